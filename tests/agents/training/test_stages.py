"""Rounds of playing and learning: what is learnt from, in which steps, and that it helps."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from telegym.agents.generation import GenerationEngine, SampledTurn, Sampling
from telegym.agents.training.recipe import Recipe, load_recipe
from telegym.agents.training.rollouts import Transcript, play
from telegym.agents.training.run import RunFolder, RunResult, train
from telegym.agents.training.scoring import score_tokens
from telegym.agents.training.stages.dagger import Apprentice, adviser_of
from telegym.agents.training.stages.forward import example_logits, learnt_logprobs, learnt_tokens
from telegym.agents.training.stages.items import Example, Item, Pair, read_items, write_items
from telegym.agents.training.stages.rejection import best_of, example_of
from telegym.agents.training.stages.settings import RejectionSettings
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError, InfrastructureError
from telegym.core.trajectory import read_trajectories
from telegym.envs.registry import register_environment

from .toy import ToyEnvironment, demonstrator
from .toy_expert import ExpertToyEnvironment
from .toy_trainer import Policy

TIMES = ("step_time", "time", "runtime", "second")


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")
    register_environment("toy-experts", "tests.agents.training.toy_expert:ExpertToyEnvironment")


def recipe(model: str, kind: str, **settings: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "kind": kind,
            "threads": 1,
            "save_steps": 5,
            "model": {"name": model},
            "environment": {"id": "toy-experts", "train": {"tasks": 200}},
            "rollout": {"turn_tokens": 40, "completion_tokens": 400, "context": 1024},
            "evaluation": {"sets": {"held-out": {"tasks": 40}}},
            kind: settings,
        }
    )


def quiet() -> Console:
    return Console(file=io.StringIO(), width=120)


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Return what was logged, but for what a clock says."""
    rows = [json.loads(line) for line in RunFolder(folder).metrics.read_text("utf-8").splitlines()]
    return [{key: value for key, value in row.items() if not any(word in key for word in TIMES)} for row in rows]


def rate(result: RunResult, when: str) -> float:
    outcomes = getattr(result, when)["held-out"].outcomes
    return float(sum(outcome.success for outcome in outcomes) / len(outcomes))


# --- what is learnt from ------------------------------------------------------------------------------


def rollout(environment: ToyEnvironment, completion: Sequence[int], cut: bool = False) -> Transcript:
    episode = Episode(environment, environment.tasks[0])
    if cut:
        episode.truncate(EndReason.TOKEN_LIMIT)
    return Transcript(episode, [1, 2], list(completion), [1, 0, 1], [-0.5, 0.0, -0.25])


def test_the_best_rollouts_of_a_task_are_learnt_from(environment: ToyEnvironment) -> None:
    good, same, better = (rollout(environment, ids) for ids in ([3, 4, 5], [3, 4, 5], [6, 4, 5]))
    bad, failed, cut = (
        rollout(environment, ids, cut) for ids, cut in (([7, 4, 5], False), ([8, 4, 5], False), ([9, 4, 5], True))
    )
    group = [(bad, 0.2), (good, 0.6), (same, 0.6), (better, 0.9), (failed, None), (cut, 1.0)]

    def chosen(**settings: Any) -> list[Transcript]:
        return best_of(group, RejectionSettings(**{"keep": 3, "threshold": 0.5, **settings}))

    assert chosen() == [better, good]
    assert chosen(distinct=False) == [better, good, same]
    assert chosen(keep=1) == [better]
    assert chosen(truncated=True) == [cut, better, good]
    assert chosen(threshold=0.9) == [better]
    assert chosen(threshold=1.1) == []
    assert chosen(easiest=0.7) == []  # four of the five that have a reward reach the threshold
    assert chosen(easiest=0.8) == [better, good]


def test_exactly_the_sampled_tokens_are_learnt(environment: ToyEnvironment) -> None:
    made = example_of(rollout(environment, [3, 4, 5]))
    assert made == Example([1, 2, 3, 4, 5], [0, 0, 1, 0, 1], [-0.5, -0.25], prompt=2)
    assert made.learnt == 2
    assert learnt_tokens([made, made], torch.device("cpu")).tolist() == [3, 5, 3, 5]


def test_items_are_kept_as_they_are(tmp_path: Path) -> None:
    example = Example([1, 2, 3], [0, 1, 1], [-0.1, -0.2], [4], 1)
    items: list[Item] = [example, Pair(example, Example([1, 5], [0, 1]), (-1.5, -2.0))]
    file = tmp_path / "rounds" / "round-00001.jsonl.gz"
    write_items(file, items)
    assert read_items(file) == items
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InfrastructureError, match="cannot be read"):
        read_items(file)


def test_a_wrapped_model_predicts_what_the_bare_one_does(taught: Policy) -> None:
    class Wrapper(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.module = model

        def forward(self, **inputs: Any) -> Any:
            return self.module(**inputs)

    generator = torch.Generator().manual_seed(0)
    examples = []
    for length in (9, 14, 6):
        ids = torch.randint(5, 1000, (length,), generator=generator).tolist()
        mask = [0, *torch.randint(0, 2, (length - 1,), generator=generator).tolist()]
        examples.append(Example(ids, mask))
    bare = example_logits(taught.model, examples)
    torch.testing.assert_close(example_logits(Wrapper(taught.model), examples), bare)
    found = learnt_logprobs(taught.model, examples)
    sequences, masks = ([torch.tensor(getattr(each, name)) for each in examples] for name in ("ids", "mask"))
    torch.testing.assert_close(found, score_tokens(taught.model, sequences, masks).logprobs)


# --- the expert ---------------------------------------------------------------------------------------


def say(codec: Any, text: str) -> list[int]:
    return list(codec.turn(text))


def test_the_expert_labels_the_states_the_policy_came_to(taught: Policy) -> None:
    """A wrong turn stays in the context; what the expert would have done there is learnt beside it."""
    codec, environment = taught.codec, ExpertToyEnvironment(3)
    act, task = demonstrator(1.0), environment.tasks[1]
    episode = Episode(environment, task)
    apprentice = Apprentice(codec, [episode], adviser_of(environment, "expert"), 0.0, ["a"], 400)
    (prompt,) = apprentice.begin()
    assert prompt == codec.prompt(Episode(environment, task))
    wrong = say(codec, '<tool_call>\n{"name": "reset_unit", "arguments": {"unit": 5}}\n</tool_call>')
    right = codec.turn(act(Episode(environment, task)))
    suffix = apprentice.answer(0, SampledTurn(0, wrong, True))
    assert suffix is not None
    second = codec.turn(act(episode))
    after = apprentice.answer(0, SampledTurn(0, second, True))
    assert after is not None
    done = say(codec, '<tool_call>\n{"name": "done", "arguments": {}}\n</tool_call>')
    assert apprentice.answer(0, SampledTurn(0, done, True)) is None
    (lesson,) = apprentice.lessons
    assert lesson.agreed == [False, True, True]
    main, label = lesson.examples()
    assert main.ids == prompt + wrong + suffix + second + after + done
    where = [0] * len(prompt + wrong + suffix) + [1] * len(second) + [0] * len(after) + [1] * len(done)
    assert main.mask == where
    assert label.ids == prompt + right
    assert label.mask == [0] * len(prompt) + [1] * len(right)


def test_labels_can_be_learnt_up_to_the_first_difference(taught: Policy) -> None:
    """The gradient is that of the whole label's first tokens, without a pass of its own."""
    codec, environment = taught.codec, ExpertToyEnvironment(3)
    episode = Episode(environment, environment.tasks[1])
    adviser = adviser_of(environment, "expert")
    apprentice = Apprentice(codec, [episode], adviser, 0.0, ["a"], 400, whole=False)
    (prompt,) = apprentice.begin()
    assert prompt is not None
    right = codec.turn(demonstrator(1.0)(Episode(environment, environment.tasks[1])))
    wrong = say(codec, '<tool_call>\n{"name": "reset_unit", "arguments": {"unit": 5}}\n</tool_call>')
    apprentice.answer(0, SampledTurn(0, wrong, True))
    (made,) = apprentice.lessons[0].examples()
    assert 1 < made.learnt < len(right)
    assert learnt_tokens([made], torch.device("cpu")).tolist() == right[: made.learnt]
    assert right[: made.learnt - 1] == wrong[: made.learnt - 1]
    branch = Example(prompt + right, [0] * len(prompt) + [1] * made.learnt + [0] * (len(right) - made.learnt))
    torch.testing.assert_close(learnt_logprobs(taught.model, [made]), learnt_logprobs(taught.model, [branch]))


def test_turns_of_the_expert_are_learnt_too(taught: Policy) -> None:
    """With a share of one, a round is a set of demonstrations."""
    codec, environment = taught.codec, ExpertToyEnvironment(5)
    episodes = [Episode(environment, task) for task in environment.tasks]
    apprentice = Apprentice(codec, episodes, adviser_of(environment, "expert"), 1.0, list("abcde"), 400)
    assert apprentice.begin() == [None] * 5
    assert all(episode.score().success for episode in episodes)
    from telegym.agents.training.sft import demonstrate

    for lesson, task in zip(apprentice.lessons, environment.tasks, strict=True):
        shown = demonstrate(codec, Episode(environment, task), demonstrator(1.0), 1000)
        assert shown is not None
        assert lesson.examples() == [Example(shown.ids, shown.mask)]


def test_tokens_are_those_of_the_same_episode_played_without_an_expert(taught: Policy) -> None:
    environment = ExpertToyEnvironment(6)
    sampling = Sampling(1.0, 1.0, 40, 1024)
    engine = GenerationEngine(taught.model, taught.codec.stop_ids, sampling, 4)
    seeds = [f"{place}" for place in range(6)]
    alone = play(engine, taught.codec, [Episode(environment, task) for task in environment.tasks], seeds, 400)
    episodes = [Episode(environment, task) for task in environment.tasks]
    apprentice = Apprentice(taught.codec, episodes, adviser_of(environment, "expert"), 0.0, seeds, 400)
    begun = [ids for ids in apprentice.begin() if ids is not None]
    engine.run(begun, seeds, lambda turns: [apprentice.answer(turn.index, turn) for turn in turns])
    assert [lesson.ids for lesson in apprentice.lessons] == [item.prompt + item.completion for item in alone]
    assert [each.end for each in episodes] == [item.episode.end for item in alone]
    assert not all(all(lesson.agreed) for lesson in apprentice.lessons)


def test_labels_from_states_that_are_lost_can_be_left_out(taught: Policy) -> None:
    """A wrong reset cannot be made good in this domain."""
    codec, environment = taught.codec, ExpertToyEnvironment(3)
    episode = Episode(environment, environment.tasks[1])
    apprentice = Apprentice(codec, [episode], adviser_of(environment, "expert"), 0.0, ["a"], 400, winnable=True)
    apprentice.begin()
    wrong = say(codec, '<tool_call>\n{"name": "reset_unit", "arguments": {"unit": 5}}\n</tool_call>')
    apprentice.answer(0, SampledTurn(0, wrong, True))
    apprentice.answer(0, SampledTurn(0, codec.turn(demonstrator(1.0)(episode)), True))
    (lesson,) = apprentice.lessons
    assert (lesson.agreed, lesson.mute, lesson.lost) == ([False], 1, True)


def test_without_an_expert_there_is_nobody_to_learn_from(environment: ToyEnvironment) -> None:
    with pytest.raises(ConfigurationError, match="'toy-units' has no tutor to learn from; there is the oracle"):
        adviser_of(environment, "tutor")
    assert adviser_of(environment, "oracle")(Episode(environment, environment.tasks[0])) is None


# --- whole runs ---------------------------------------------------------------------------------------

REJECTION = {"rounds": 3, "steps": 8, "tasks": 16, "rollouts": 8, "batch_size": 16}
DAGGER = {"rounds": 3, "steps": 8, "episodes": 32, "batch_size": 32}


@pytest.fixture(scope="module")
def apprenticed(taught_folder: str, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run that nothing interrupted."""
    return train(
        recipe(taught_folder, "dagger", **DAGGER), name="whole", runs=tmp_path_factory.mktemp("r"), console=quiet()
    )


def test_dagger_teaches(apprenticed: RunResult) -> None:
    assert rate(apprenticed, "after") > rate(apprenticed, "before") + 0.1
    rows = metrics(apprenticed.folder)
    assert [row["step"] for row in rows] == list(range(1, 25))
    assert [row["step"] for row in rows if "dagger/agreement" in row] == [1, 9, 17]
    assert rows[16]["dagger/agreement"] > rows[0]["dagger/agreement"]
    folder = RunFolder(apprenticed.folder)
    assert len(list(read_trajectories(folder.trajectories("train/round-00002")))) == 32
    assert apprenticed.report is not None


def test_an_interrupted_round_goes_on_with_what_it_was_learnt_from(
    apprenticed: RunResult, taught_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunFolder.log

    def interrupt(self: RunFolder, row: dict[str, Any]) -> None:
        log(self, row)
        if row["step"] == 12:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "log", interrupt)
    stopped = train(recipe(taught_folder, "dagger", **DAGGER), name="stopped", runs=tmp_path, console=quiet())
    assert stopped.interrupted
    monkeypatch.undo()
    resumed = train(recipe(taught_folder, "dagger"), name="stopped", runs=tmp_path, resume=True, console=quiet())
    assert metrics(resumed.folder) == metrics(apprenticed.folder)
    assert resumed.after == apprenticed.after


def test_rejection_sampling_teaches(taught_folder: str, tmp_path: Path) -> None:
    result = train(recipe(taught_folder, "rejection", **REJECTION), name="best", runs=tmp_path, console=quiet())
    assert rate(result, "after") > rate(result, "before") + 0.1
    rows = metrics(result.folder)
    assert 0 < rows[0]["rejection/kept"] <= 2 / 8
    kept = read_items(result.folder / "rounds" / "round-00001.jsonl.gz")
    assert len(kept) == round(rows[0]["rejection/kept"] * 128)


def test_a_round_without_success_changes_nothing(
    taught_folder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**REJECTION, "rounds": 1, "steps": 2, "threshold": 7.0, "weight_decay": 0.1}
    result = train(recipe(taught_folder, "rejection", **settings), name="none", runs=tmp_path, console=quiet())
    assert "round 1 gave nothing to learn from" in caplog.text
    assert result.after["held-out"].outcomes == result.before["held-out"].outcomes


def test_a_rewards_recipe_can_choose(taught_folder: str, tmp_path: Path) -> None:
    rewards = {"rewards": {"outcome": {"kind": "outcome"}, "format": {"kind": "format"}}}
    combine = {"kind": "gate_product", "costs": {"format": 0.5}}
    settings = {**REJECTION, "rounds": 1, "steps": 1, "tasks": 4, "rewards": {**rewards, "combine": combine}}
    made = recipe(taught_folder, "rejection", **settings)
    assert Recipe.parse(json.loads(made.model_dump_json()), "again") == made
    result = train(made, name="judged", runs=tmp_path, console=quiet())
    assert "reward" in metrics(result.folder)[0]


@pytest.mark.slow
def test_a_teacher_teaches(apprenticed: RunResult, taught_folder: str, tmp_path: Path) -> None:
    teacher = str(RunFolder(apprenticed.folder).model)
    settings = {"rounds": 2, "steps": 8, "episodes": 32, "batch_size": 32, "teacher": teacher, "chunk": 100}
    result = train(recipe(taught_folder, "distillation", **settings), name="d", runs=tmp_path, console=quiet())
    found = [row["distillation/reverse_kl"] for row in metrics(result.folder)]
    assert sum(found[-4:]) < 0.5 * sum(found[:4])
    assert rate(result, "after") > rate(result, "before")


MORE = {"teacher_prompt": {"tools": "compact", "policy": "full"}}


@pytest.mark.parametrize("changed", [{"estimator": "sampled"}, MORE])
def test_a_teacher_can_teach_in_other_ways(taught_folder: str, tmp_path: Path, changed: dict[str, Any]) -> None:
    settings = {"rounds": 1, "steps": 1, "episodes": 4, "teacher": taught_folder, **changed}
    made = recipe(taught_folder, "distillation", **settings)
    made = made.model_copy(update={"evaluation": made.evaluation.model_copy(update={"sets": {}})})
    row = metrics(train(made, name="d", runs=tmp_path, console=quiet()).folder)[0]
    told_more = "teacher_prompt" in changed  # who is told the same thinks the same
    assert row["distillation/reverse_kl"] == pytest.approx(0.0, abs=1e-5) or told_more
    assert not told_more or row["distillation/reverse_kl"] > 1e-3


@pytest.mark.slow
def test_preferences_teach(taught_folder: str, tmp_path: Path) -> None:
    settings = {"rounds": 1, "steps": 12, "tasks": 24, "rollouts": 8, "batch_size": 16, "learning_rate": 2e-4}
    result = train(recipe(taught_folder, "preferences", **settings), name="p", runs=tmp_path, console=quiet())
    rows = metrics(result.folder)
    assert rows[0]["loss"] == pytest.approx(0.6931, abs=1e-3)  # at first the policy is the reference
    assert rows[0]["preferences/margin"] == pytest.approx(0.0, abs=1e-3)
    assert rows[-1]["preferences/right"] > 0.8
    assert rows[-1]["preferences/margin"] > 0.5


def test_an_adapter_is_taught_and_handed_on(taught_folder: str, tmp_path: Path) -> None:
    """LoRA, supervised on mixed sources; its successor gets it merged."""
    pytest.importorskip("peft")
    sources = [
        {"kind": "expert", "count": 8, "share": 1.0},
        {"kind": "oracle", "count": 4, "share": 1.0, "success": False},
    ]
    taught = {"learning_rate": 1e-3, "sources": sources}
    first = {"kind": "sft", "model": {"adapter": {"rank": 4, "alpha": 8}}, "sft": taught}
    second = {"kind": "rejection", "rejection": {"rounds": 1, "steps": 1, "tasks": 2, "rollouts": 2, "threshold": 0.0}}
    made = chain(taught_folder, [first, second])
    result = train(made, name="lora", runs=tmp_path, console=quiet())
    left = result.folder / "1-sft"
    assert (left / "model" / "adapter_config.json").is_file()
    assert (left / "whole" / "model.safetensors").is_file()
    assert load_recipe(result.folder / "2-rejection" / "config.yaml").model.name == str(left / "whole")
    assert not (result.folder / "model" / "adapter_config.json").exists()


# --- chains -------------------------------------------------------------------------------------------


def chain(model: str, stages: list[dict[str, Any]], **settings: Any) -> Recipe:
    common = recipe(model, "dagger", rounds=1, steps=3, episodes=8).model_dump(mode="json")
    sets = {"sets": {"held-out": {"tasks": 6}}}
    return Recipe.parse({**common, "kind": "stages", "evaluation": sets, "stages": stages, **settings}, "chain")


STAGES: list[dict[str, Any]] = [
    {"kind": "dagger"},
    {"kind": "rejection", "rejection": {"rounds": 1, "steps": 3, "tasks": 4, "rollouts": 4}},
    {"kind": "grpo", "grpo": {"steps": 2, "groups": 2, "group_size": 4}},
    {"kind": "evaluation", "evaluation": {"sets": {"other": {"tasks": 3}}}},
]


@pytest.fixture(scope="module")
def chained(taught_folder: str, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A chain that nothing interrupted."""
    runs = tmp_path_factory.mktemp("runs")
    return train(chain(taught_folder, STAGES, between=True), name="chain", runs=runs, console=quiet())


def test_a_chain_gives_one_result(chained: RunResult, taught_folder: str) -> None:
    folder = RunFolder(chained.folder)
    assert set(chained.before) == set(chained.after) == {"held-out"}
    stages = [(row["stage"], row["step"]) for row in metrics(folder.path)]
    assert [step for _, step in stages] == list(range(1, 9))
    assert [name for name, _ in stages] == ["dagger"] * 3 + ["rejection"] * 3 + ["grpo"] * 2
    for name in ("1-dagger", "2-rejection", "3-grpo"):
        assert RunFolder(folder.path / name).evaluation("after", "held-out").is_file()
    assert RunFolder(folder.path / "4-evaluation").evaluation("after", "other").is_file()
    models = [
        load_recipe(folder.path / name / "config.yaml").model.name for name in ("1-dagger", "2-rejection", "3-grpo")
    ]
    assert models == [
        taught_folder,
        str(folder.path / "1-dagger" / "model"),
        str(folder.path / "2-rejection" / "model"),
    ]
    last = folder.path / "3-grpo" / "model" / "model.safetensors"
    assert (folder.model / "model.safetensors").read_bytes() == last.read_bytes()
    assert chained.report is not None
    assert "held-out" in chained.report.read_text("utf-8")


@pytest.mark.slow
def test_an_interrupted_chain_goes_on_in_its_stage(
    chained: RunResult, taught_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunFolder.log

    def interrupt(self: RunFolder, row: dict[str, Any]) -> None:
        log(self, row)
        if self.path.name == "2-rejection" and row["step"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "log", interrupt)
    stopped = train(chain(taught_folder, STAGES, between=True), name="chain", runs=tmp_path, console=quiet())
    assert stopped.interrupted
    monkeypatch.undo()
    kept = (stopped.folder / "1-dagger" / "metrics.jsonl").stat().st_mtime_ns
    again = train(chain(taught_folder, STAGES), name="chain", runs=tmp_path, resume=True, console=quiet())
    assert (stopped.folder / "1-dagger" / "metrics.jsonl").stat().st_mtime_ns == kept
    assert metrics(again.folder) == metrics(chained.folder)
    assert [each.value for each in again.after["held-out"].outcomes] == [
        each.value for each in chained.after["held-out"].outcomes
    ]


# --- wrong settings -----------------------------------------------------------------------------------


def test_fields_of_the_trainer_are_checked(taught_folder: str, tmp_path: Path) -> None:
    made = recipe(taught_folder, "rejection", trainer={"gradient_checkpoint": True})
    with pytest.raises(ConfigurationError, match="Did you mean 'gradient_checkpointing'"):
        train(made, name="x", runs=tmp_path, console=quiet())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rejection.treshold=1", "unknown key 'rejection.treshold'.*Did you mean 'threshold'"),
        ("dagger.expert=experts", "dagger.expert: .*'expert', 'tutor' or 'oracle'"),
        ("rejection.rewards=fom", "rejection.rewards: no recipe 'fom'.* Did you mean 'form'"),
        ("rejection={rewards: form, reward: {value: 2}}", "exclude each other; for `rewards` set `reward` to null"),
    ],
)
def test_wrong_settings_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_recipe("nano", [override])
