"""Runs keep everything, and an interrupted one does what it would have done."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from telegym.agents.local import LocalAgent
from telegym.agents.training.keeping import Keeper
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.run import RunFolder, RunResult, train
from telegym.core.errors import ConfigurationError
from telegym.core.trajectory import read_trajectories
from telegym.envs.registry import register_environment
from telegym.rewards.base import Run

ROOT = Path(__file__).resolve().parents[3]
TIMES = ("time", "second")


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")


def recipe(model: str, **grpo: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "threads": 1,
            "save_steps": 2,
            "model": {"name": model},
            "environment": {"id": "toy-units", "train": {"tasks": 200}},
            "rollout": {"turn_tokens": 40, "completion_tokens": 400, "context": 1024},
            "evaluation": {"sets": {"held-out": {"tasks": 6}, "absent": {"data": None}}},
            "grpo": {"steps": 5, "groups": 2, "group_size": 4, "learning_rate": 1e-3, **grpo},
        }
    )


def quiet() -> Console:
    return Console(file=io.StringIO(), width=120)


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Return what was logged, but for what a clock says."""
    rows = [json.loads(line) for line in RunFolder(folder).metrics.read_text("utf-8").splitlines()]
    return [{key: value for key, value in row.items() if not any(word in key for word in TIMES)} for row in rows]


@pytest.fixture(scope="module")
def finished(taught_folder: str, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run that nothing interrupted."""
    runs = tmp_path_factory.mktemp("runs")
    return train(recipe(taught_folder), name="whole", runs=runs, console=quiet())


def test_a_run_keeps_everything(finished: RunResult) -> None:
    folder = RunFolder(finished.folder)
    assert [row["step"] for row in metrics(finished.folder)] == [1, 2, 3, 4, 5]
    assert set(finished.before) == set(finished.after) == {"held-out"}
    for when in ("before", "after"):
        assert len(list(read_trajectories(folder.trajectories(f"evaluation-{when}-held-out")))) == 6
    for step in range(1, 6):
        assert len(list(read_trajectories(folder.trajectories(f"train/step-{step:05d}")))) == 8
    assert finished.report is not None
    assert "held-out" in finished.report.read_text("utf-8")
    assert LocalAgent(str(folder.model)).name == f"local:{folder.model}"


def test_names_are_checked(finished: RunResult, taught_folder: str) -> None:
    runs = finished.folder.parent
    with pytest.raises(ConfigurationError, match="run 'whole' exists"):
        train(recipe(taught_folder), name="whole", runs=runs)
    with pytest.raises(ConfigurationError, match="no run 'hole' to continue"):
        train(recipe(taught_folder), name="hole", runs=runs, resume=True)
    with pytest.raises(ConfigurationError, match="keeps its settings"):
        train("nano", ["seed=1"], name="whole", runs=runs, resume=True)


def test_a_finished_run_has_nothing_left_to_do(finished: RunResult, taught_folder: str) -> None:
    before = metrics(finished.folder)
    again = train(recipe(taught_folder), name="whole", runs=finished.folder.parent, resume=True, console=quiet())
    assert metrics(finished.folder) == before
    assert again.after == finished.after


@pytest.mark.parametrize("values", [{"groups": 3, "batch_size": 5}, {"trl": {"bta": 0.1}}])
def test_impossible_settings_are_refused(taught_folder: str, tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be split|Did you mean 'beta'"):
        train(recipe(taught_folder, **values), name="x", runs=tmp_path, console=quiet())


def test_ctrl_c_leaves_a_run_that_resume_continues(
    finished: RunResult, taught_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunFolder.log

    def interrupt(self: RunFolder, row: dict[str, Any]) -> None:
        log(self, row)
        if row["step"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RunFolder, "log", interrupt)
    console = quiet()
    stopped = train(recipe(taught_folder), name="stopped", runs=tmp_path, console=console)
    assert stopped.interrupted
    assert "telegym train --name stopped --resume" in console.file.getvalue()  # type: ignore[attr-defined]
    assert len(metrics(stopped.folder)) in (3, 4)
    monkeypatch.undo()
    resumed = train(recipe(taught_folder), name="stopped", runs=tmp_path, resume=True, console=quiet())
    assert not resumed.interrupted
    assert metrics(resumed.folder) == metrics(finished.folder)


def test_a_run_by_a_rewards_recipe_can_be_judged_again(taught_folder: str, tmp_path: Path) -> None:
    """What was logged is what the recorded episodes are worth; what the rewards remember is in the checkpoints."""
    rewards = {"rewards": {"outcome": {"kind": "outcome"}, "format": {"kind": "format"}}}
    combine = {"kind": "gate_product", "costs": {"format": 0.5}, "rescue": {"below": 1.0}}
    made = recipe(taught_folder, steps=2, rewards={**rewards, "combine": combine})
    assert Recipe.model_validate(yaml.safe_load(made.to_yaml())) == made
    run = train(made, name="judged", runs=tmp_path, console=quiet())
    folder = RunFolder(run.folder)
    assert made.grpo.rewards is not None
    again = made.grpo.rewards.build()
    for row in metrics(run.folder):
        played = read_trajectories(folder.trajectories(f"train/step-{row['step']:05d}"))
        scores = again.score([Run(trajectory=each) for each in played])
        assert row["reward"] == pytest.approx(sum(score.value or 0.0 for score in scores) / len(scores), abs=1e-6)
        for name in ("outcome", "format", "format.calls"):
            assert row[f"rewards/{name}"] == pytest.approx(sum(s.components[name] for s in scores) / len(scores))
    kept = folder.checkpoints / "checkpoint-2" / "rewards-0.json"
    assert [tuple(each) for each in json.loads(kept.read_text())] == again.state()
    fresh = made.grpo.rewards.build()
    Keeper({"rewards": fresh}).restore(kept.parent)
    assert fresh.state() == again.state() != []


def test_groups_are_not_cut(taught_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    rewards = {"rewards": {"outcome": {"kind": "outcome"}}}
    with pytest.raises(ConfigurationError, match="needs whole groups: 2 cannot be shared out among 4 processes"):
        train(recipe(taught_folder, rewards=rewards), name="x", runs=tmp_path, console=quiet())


PROGRAM = """
import sys
from telegym.agents.training.run import train
from telegym.envs.registry import register_environment

register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")
train(sys.argv[1], name="killed", runs=sys.argv[2], resume=len(sys.argv) > 3)
"""


def test_a_killed_run_is_continued_as_if_nothing_had_happened(
    finished: RunResult, taught_folder: str, tmp_path: Path
) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(recipe(taught_folder).to_yaml(), "utf-8")
    command = [sys.executable, "-c", PROGRAM, str(file), str(tmp_path)]
    folder = RunFolder(tmp_path / "killed")
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None and (not folder.metrics.is_file() or len(metrics(folder.path)) < 3):
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert folder.last_checkpoint() is not None
    assert not folder.model.exists()
    subprocess.run([*command, "resume"], cwd=ROOT, check=True, capture_output=True)
    assert metrics(folder.path) == metrics(finished.folder)
