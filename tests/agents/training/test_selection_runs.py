"""Runs whose rollouts are chosen: what is learnt from, what is logged, and that a continued run goes on exactly."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from telegym.agents.training.curriculum import CurriculumSettings, make_source
from telegym.agents.training.recipe import GrpoSettings, Recipe, load_recipe
from telegym.agents.training.run import RunFolder, RunResult, train
from telegym.core.errors import ConfigurationError
from telegym.core.trajectory import read_trajectories
from telegym.envs.registry import register_environment

from .by_recipe import BASE, GRPO, logged, recipe, trainer_of
from .processes import launch
from .toy import ToyEnvironment

TIMES = ("step_time", "time", "runtime", "per_second", "tokens/second")


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")


def whole(model: str, **grpo: Any) -> Recipe:
    """A run of four steps with everything that remembers something."""
    settings = {
        **GRPO,
        "steps": 4,
        "dynamic_sampling": {"rounds": 2},
        "deviation_filter": {"starts": 1, "filters": 3, "beta": 0.2, "decay": 0.5},
        "curriculum": {"survey": 4, "look": 2, "width": 0.2},
        "watches": [{"figure": "episode/turns", "above": 100.0}, {"figure": "episode/surprisal", "below": 0.0}],
        **grpo,
    }
    rollout = {**BASE["rollout"], "keep": True}
    return Recipe.model_validate(
        {**BASE, "model": {"name": model}, "rollout": rollout, "grpo": settings, "save_steps": 2}
    )


def metrics(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in RunFolder(folder).metrics.read_text("utf-8").splitlines()]
    return [{key: value for key, value in row.items() if not any(word in key for word in TIMES)} for row in rows]


def tasks(folder: Path) -> list[tuple[str, int]]:
    """Return which tasks were played with which seeds, in order."""
    files = sorted((folder / "trajectories" / "train").glob("*.jsonl.gz"))
    return [(each.task.id, each.seed) for file in files for each in read_trajectories(file)]


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture(scope="module")
def finished(taught_folder: str, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return train(whole(taught_folder), name="whole", runs=tmp_path_factory.mktemp("runs"), console=quiet())


def test_everything_is_logged(finished: RunResult) -> None:
    rows = metrics(finished.folder)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        assert 1 <= row["selection/rounds"] <= 2
        assert 0 <= row["selection/dropped"] <= 1
        assert row["selection/groups"] <= 2
        assert row["curriculum/buckets"] == 1
        assert 0 <= row["curriculum/success/all"] <= 1
        assert row["episode/surprisal"] > 0
    played = sum(1 for _ in tasks(finished.folder))
    assert played == sum(8 + (row["selection/rounds"] - 1) * 4 for row in rows) or played > 32


class Killed(Exception):
    pass


def test_a_killed_run_draws_what_it_would_have_drawn(
    finished: RunResult, taught_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunFolder.log

    def fall(self: RunFolder, row: dict[str, Any]) -> None:
        log(self, row)
        if row["step"] == 3:
            raise Killed

    monkeypatch.setattr(RunFolder, "log", fall)
    with pytest.raises(Killed):
        train(whole(taught_folder), name="killed", runs=tmp_path, console=quiet())
    monkeypatch.undo()
    folder = tmp_path / "killed"
    # As if the power had gone: what was kept of the failing step is lost too.
    for late in folder.glob("checkpoints/checkpoint-3"):
        (late / "trainer_state.json").unlink()
    train(whole(taught_folder), name="killed", runs=tmp_path, resume=True, console=quiet())
    assert metrics(folder) == metrics(finished.folder)
    assert tasks(folder) == tasks(finished.folder)
    for part in ("source", "selection", "watches"):
        files = [path / "checkpoints/checkpoint-4" / f"{part}-0.json" for path in (folder, finished.folder)]
        states = [json.loads(file.read_text("utf-8")) for file in files]
        assert states[0] == states[1]


def test_a_watch_stops_a_run_and_the_run_can_go_on(taught_folder: str, tmp_path: Path) -> None:
    stop = [{"figure": "episode/turns", "below": 1000.0, "after": 1, "action": "stop"}]
    console = quiet()
    made = whole(taught_folder, dynamic_sampling=None, deviation_filter=None, curriculum=None, watches=stop)
    result = train(made, name="watched", runs=tmp_path, console=console)
    assert result.interrupted
    assert result.stopped is not None
    assert [row["step"] for row in metrics(result.folder)] == [1, 2]
    assert (result.folder / "checkpoints" / "checkpoint-2" / "trainer_state.json").is_file()
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Stopped: episode/turns is" in said
    assert "below 1000. Continue with: telegym train --name watched --resume" in said
    again = train(made, name="watched", runs=tmp_path, resume=True, console=quiet())
    assert not again.interrupted
    assert again.stopped is None
    assert [row["step"] for row in metrics(result.folder)] == [1, 2, 3, 4]


def test_dropped_groups_move_nothing(taught_folder: str, tmp_path: Path) -> None:
    """With a bar that no group reaches from the second step on, that step has no gradient, whatever the credit."""
    for credit in ("trajectory", {"kind": "turns", "components": {"fixed": 1.0}}):
        made = recipe(
            taught_folder, credit=credit, trl={"beta": 0.1},
            deviation_filter={"starts": 1, "filters": 2, "beta": 100.0, "decay": 0.0},
        )  # fmt: skip
        trainer = trainer_of(made, tmp_path)
        trainer.train()
        first, second = logged(trainer)
        assert first["selection/dropped"] == 0.0
        assert first["grad_norm"] > 0
        assert second["selection/dropped"] == 1.0
        assert second["grad_norm"] == 0.0
        assert second["loss"] == 0.0


def test_groups_that_were_kept_are_the_whole_of_the_loss(taught_folder: str, tmp_path: Path) -> None:
    trainer = trainer_of(recipe(taught_folder, dynamic_sampling={"rounds": 1}, groups=4, steps=1), tmp_path)
    made: list[dict[str, Any]] = []
    original = trainer._informative

    def keep(output: dict[str, Any]) -> Any:
        made.append(dict(output))
        return original(output)

    trainer._informative = keep
    trainer.train()
    (output,) = made
    dropped = torch.tensor(trainer._dropped)
    assert bool(dropped.any())
    assert not bool(dropped.all())
    assert float(output["tool_mask"][dropped].sum() - (output["completion_mask"][dropped] == 0).sum()) <= 0
    counted = output["completion_mask"] * output["tool_mask"]
    assert float(counted[dropped].sum()) == 0.0
    assert int(output["num_items_in_batch"]) == int(counted.sum()) > 0
    assert output["advantages"][dropped].abs().sum() == 0.0


def played_by(model: str, folder: Path, tokens: int, **grpo: Any) -> tuple[Any, dict[str, Any]]:
    """Return a trainer that has played four groups, and what it gave to TRL."""
    made = recipe(model, groups=4, **grpo)
    rollout = made.rollout.model_copy(update={"completion_tokens": tokens})
    trainer = trainer_of(made.model_copy(update={"rollout": rollout}), folder)
    trainer._inputs = [{"task": place // 4, "seed": place // 4} for place in range(16)]
    return trainer, trainer.play_batch()


def test_rollouts_that_are_too_long_are_treated_as_asked(taught_folder: str, tmp_path: Path) -> None:
    _, free = played_by(taught_folder, tmp_path, 400)
    limit = sorted(len(ids) for ids in free["completion_ids"])[7]
    _, plain = played_by(taught_folder, tmp_path, limit)
    for action in ("keep", "mask", "punish"):
        settings = {"action": action, "buffer": limit // 2, "weight": 0.5}
        trainer, output = played_by(taught_folder, tmp_path, limit, over_long=settings)
        cut = [item.episode.truncated for item in trainer._transcripts]
        assert any(cut)
        assert not all(cut)
        for place, truncated in enumerate(cut):
            length = len(output["completion_ids"][place])
            share = min(1.0, max(0.0, (length - (limit - limit // 2)) / (limit // 2)))
            taken = plain["value"][place] - output["value"][place]
            assert taken == pytest.approx((0.5 if truncated else 0.5 * share) if action == "punish" else 0.0)
            assert (sum(output["env_mask"][place]) == 0) == (action == "mask" and truncated)


def test_settings_are_checked() -> None:
    for override, message in (
        ("grpo.dynamic_sampling.round=2", "unknown key 'grpo.dynamic_sampling.round'.* Did you mean 'rounds'"),
        ("grpo.curriculum.target=2", "grpo.curriculum.target"),
        ("grpo.over_long.action=drop", "grpo.over_long.action"),
        ("grpo.watches=[{figure: entropy}]", "has no limit"),
        ("grpo.watches=[{figure: kl, above: 1}]", "it needs `trl.beta` above 0"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            load_recipe("nano", [override])


def test_a_source_takes_the_place_of_the_rows(taught_folder: str, tmp_path: Path) -> None:
    plain = trainer_of(recipe(taught_folder, steps=1), tmp_path)
    drawn = trainer_of(recipe(taught_folder, steps=1, curriculum={}), tmp_path)
    for trainer in (plain, drawn):
        trainer.train()
    ids = [[item.episode.task.id for item in trainer._transcripts] for trainer in (plain, drawn)]
    assert ids[0] != ids[1]
    source = make_source(ToyEnvironment(200), 0, CurriculumSettings())
    assert ids[1] == [f"toy-{slot.task}" for slot in source.draw(2) for _ in range(4)]


def test_the_settings_of_the_documentation_are_valid() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "training.md").read_text("utf-8")
    part = text[text.index("## Which rollouts are learnt from") :]
    blocks = re.findall(r"^```yaml\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks[:2]:
        assert GrpoSettings.model_validate(yaml.safe_load(block)["grpo"]) != GrpoSettings()


@pytest.mark.slow
def test_two_processes_select_what_one_does(taught_folder: str, tmp_path: Path) -> None:
    found: dict[int, list[dict[str, Any]]] = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        ran = launch(processes, Path(__file__).with_name("ranked_selection.py"), taught_folder, str(folder))
        assert ran.returncode == 0, ran.stderr[-2000:]
        found[processes] = [json.loads((folder / f"found-{rank}.json").read_text()) for rank in range(processes)]
    (alone,), (first, second) = found[1], found[2]
    assert first["states"] == second["states"]
    assert first["states"]["source"] == alone["states"]["source"]
    assert first["tasks"] + second["tasks"] == alone["tasks"]
    for ours, theirs in zip(first["logged"], alone["logged"], strict=True):
        for name in ("selection/rounds", "selection/dropped", "selection/groups", "episode/success", "reward"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-5), name
