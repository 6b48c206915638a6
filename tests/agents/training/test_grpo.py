"""The trainer trains on exactly what was played, and TRL is what it was when this was written."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOTrainer

from telegym.agents.signals import signals_of_transcripts
from telegym.agents.training.grpo import EpisodeGRPOTrainer, Outcome, TaskRows
from telegym.agents.training.rollouts import Transcript
from telegym.core.score import Failure, Score
from telegym.rewards.base import Reward, Run
from telegym.rewards.combination import GateProduct, Weighted
from telegym.rewards.compose import Composite
from telegym.rewards.confidence import Confidence
from telegym.rewards.outcome import EnvironmentOutcome

from .toy import ToyEnvironment
from .toy_trainer import ROWS, Policy, make_trainer


class Keeping(EpisodeGRPOTrainer):
    """Keeps what TRL made of each batch."""

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self.rows_played = list(inputs)
        self.made: dict[str, Any] = super()._generate_and_score_completions(inputs)
        return self.made


def test_trl_is_the_version_whose_methods_are_overridden() -> None:
    assert importlib.metadata.version("trl") == "1.16.0"
    overridden = {
        "_generate_and_score_completions": ["self", "inputs"],
        "_compute_loss": ["self", "model", "inputs"],
        "_generate_single_turn": [
            "self", "prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images"
        ],
        "_get_per_token_logps_and_entropies": [
            "self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size", "compute_entropy",
            "compute_aux_loss", "pixel_values", "image_grid_thw", "num_images", "pixel_attention_mask",
            "spatial_shapes", "num_tiles", "image_sizes", "token_type_ids", "mm_token_type_ids", "image_position_ids",
        ],
    }  # fmt: skip
    for name, parameters in overridden.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters) == parameters
    source = inspect.getsource(GRPOTrainer._generate)
    assert "self.rollout_func(prompts, self)" in source
    assert 'extra_fields.pop("env_mask", None)' in source


def test_a_group_plays_one_task_with_one_seed(policy: Policy, environment: ToyEnvironment, tmp_path: Path) -> None:
    trainer = make_trainer(policy, environment, tmp_path, Keeping, max_steps=1)
    trainer.train()
    assert isinstance(trainer, Keeping)
    played = [(row["task"], row["seed"]) for row in trainer.rows_played]
    assert played == [pair for pair in ROWS[:4] for _ in range(4)]


def test_what_is_trained_on_is_what_was_sampled(policy: Policy, environment: ToyEnvironment, tmp_path: Path) -> None:
    seen: list[Transcript] = []

    class Whole(Keeping):
        _may_select = False

    trainer = make_trainer(
        policy, environment, tmp_path, Whole, lambda step, transcripts, scores: seen.extend(transcripts), max_steps=1
    )
    trainer.train()
    assert isinstance(trainer, Whole)
    made = trainer.made
    for row, transcript in enumerate(seen):
        length = len(transcript.completion)
        assert made["completion_ids"][row][:length].tolist() == transcript.completion
        assert made["tool_mask"][row][:length].tolist() == transcript.mask
        assert made["completion_mask"][row].sum() == length
        assert made["prompt_ids"][row][made["prompt_mask"][row].bool()].tolist() == transcript.prompt
        text = policy.tokenizer.decode(transcript.completion)
        messages = transcript.episode.agent_messages()
        last = max(place for place, message in enumerate(messages) if message.role == "assistant")
        for message in messages[1:last]:
            assert message.role != "tool" or (message.content or "") in text
    assert {transcript.episode.done for transcript in seen} == {True}


def test_malformed_calls_are_answered_and_the_rollout_goes_on(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path
) -> None:
    trainer = make_trainer(policy, environment, tmp_path)
    turns = iter(['<tool_call>\n{"name": "get_al', '<tool_call>\n{"name": "get_alarm", "arguments": {}}\n</tool_call>'])
    stop = '<tool_call>\n{"name": "done", "arguments": {}}\n</tool_call>'
    given: list[list[int]] = []

    def single_turn(ids: Sequence[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        given.append(ids[0])
        return [policy.codec.turn(next(turns, stop))], None

    trainer._generate_single_turn = single_turn
    episode = TaskRows(environment, environment.tasks).episodes([{"task": 0, "seed": 0}])[0]
    (played,) = trainer.play_in_lock_step([episode])
    assert [str(call.error) if call.error else None for call in episode.calls] == ["malformed_call", None, None]
    assert played.prompt + played.completion == given[-1] + policy.codec.turn(stop)
    assert episode.terminated


def test_limits_of_training_episodes_override_the_environments(environment: ToyEnvironment) -> None:
    rows = TaskRows(environment, environment.tasks, limits={"turns": 2})
    (episode,) = rows.episodes([{"task": 0, "seed": 0}])
    assert episode.limits == environment.limits.model_copy(update={"turns": 2})


def test_both_ways_of_playing_give_the_same_greedy_transcripts(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path
) -> None:
    trainer = make_trainer(policy, environment, tmp_path, temperature=1e-4)
    rows = TaskRows(environment, environment.tasks)
    batch = [{"task": index, "seed": index} for index in range(6)]
    trainer.generation_config.do_sample = False
    trainer.model.eval()
    together = trainer._play(rows.episodes(batch))
    step_by_step = trainer.play_in_lock_step(rows.episodes(batch))
    assert [item.completion for item in together] == [item.completion for item in step_by_step]
    assert [item.mask for item in together] == [item.mask for item in step_by_step]


@pytest.mark.parametrize("masked", [True, False])
def test_cut_off_rollouts_are_masked_whatever_they_end_on(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path, masked: bool
) -> None:
    seen: list[Transcript] = []
    trainer = make_trainer(
        policy,
        environment,
        tmp_path,
        on_rollouts=lambda step, transcripts, scores: seen.extend(transcripts),
        max_completion_length=60,
        mask_truncated_completions=masked,
        max_steps=1,
    )
    trainer._inputs = [{"task": index, "seed": index} for index in range(8)]
    output = trainer.play_batch()
    assert all(len(ids) <= 60 for ids in output["completion_ids"])
    for item, mask in zip(seen, output["env_mask"], strict=True):
        expected = [0] * len(item.mask) if masked and item.episode.truncated else item.mask
        assert mask == expected
    assert any(item.episode.truncated for item in seen)
    assert any(item.completion[-1] == policy.tokenizer.eos_token_id for item in seen if item.episode.truncated)


def test_a_failure_is_no_reward(policy: Policy, tmp_path: Path) -> None:
    failed = Score(failure=Failure(party="judge", message="no verdict"))
    assert Outcome()([Score(value=1.0), failed, Score(value=0.0)]) == [1.0, None, 0.0]

    class Whole(Keeping):
        _may_select = False

    trainer = make_trainer(policy, ToyEnvironment(400, broken=True), tmp_path, Whole, max_steps=1)
    trainer.train()
    assert isinstance(trainer, Whole)
    assert trainer.made["advantages"][12:16].tolist() == [0.0] * 4
    logged = next(row for row in trainer.state.log_history if "reward" in row)
    assert logged["episode/failures"] == 0.25


class Brevity(Reward):
    """1 for a run without calls, less with every one; silent on the runs of one task."""

    name = "brevity"

    def __init__(self, silent: str) -> None:
        self.silent = silent
        self.batches: list[list[str]] = []

    def score(self, runs: Sequence[Run]) -> list[Score]:
        self.batches.append([run.group for run in runs])
        return [self._of(run) for run in runs]

    def _of(self, run: Run) -> Score:
        if run.episode.task.id == self.silent:
            return Score(failure=Failure(party="judge", message="no verdict"))
        return Score(value=1 / (1 + len(run.episode.calls)))


def test_a_composition_can_be_the_reward(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked about whole groups, its failures are left out, and its parts are logged."""

    class Whole(Keeping):
        _may_select = False

    seen: list[Transcript] = []
    brevity = Brevity(environment.tasks[1].id)
    parts: dict[str, Reward] = {"outcome": EnvironmentOutcome(), "brevity": brevity}
    rewards = Composite(parts, GateProduct(quality={"brevity": 1.0}, alpha=0.5))
    trainer = make_trainer(
        policy, environment, tmp_path, Whole, lambda step, transcripts, scores: seen.extend(transcripts), rewards,
        max_steps=1,
    )  # fmt: skip
    trainer.train()
    assert isinstance(trainer, Whole)
    asked = [group for batch in brevity.batches for group in batch]
    assert asked == [f"{environment.tasks[task].id}#{seed}" for task, seed in ROWS[:4] for _ in range(4)]
    advantages = trainer.made["advantages"].reshape(4, 4)
    assert advantages[1].tolist() == [0.0] * 4
    logged = next(row for row in trainer.state.log_history if "reward" in row)
    assert logged["rewards/failures"] == 0.25
    valid = [item.episode for item in seen if item.episode.task.id != brevity.silent]
    shortness = [1 / (1 + len(episode.calls)) for episode in valid]
    outcomes = [episode.score().value or 0.0 for episode in valid]
    expected = [o * (0.5 + 0.5 * q) for o, q in zip(outcomes, shortness, strict=True)]
    assert logged["rewards/brevity"] == pytest.approx(sum(shortness) / 12)
    assert logged["reward"] == pytest.approx(sum(expected) / 12, abs=1e-6)
    assert torch.tensor(expected[:4]).argsort().tolist() == advantages[0].argsort().tolist()
    assert any(
        "4 of 16 rollouts have no reward; the first: brevity: no verdict" in each.message for each in caplog.records
    )


def test_the_policy_tells_rewards_what_it_knows_of_its_own_tokens(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path
) -> None:
    seen: list[Transcript] = []
    parts: dict[str, Reward] = {"outcome": EnvironmentOutcome(), "sureness": Confidence("mean_log_likelihood")}
    rewards = Composite(parts, Weighted(parts={"outcome": 1.0, "sureness": 0.1}))
    trainer = make_trainer(
        policy, environment, tmp_path, EpisodeGRPOTrainer,
        lambda step, transcripts, scores: seen.extend(transcripts), rewards, max_steps=1, learning_rate=0.0,
    )  # fmt: skip
    trainer.train()
    expected = [sum(found.logprobs) / len(found.logprobs) for found in signals_of_transcripts(trainer.model, seen)]
    logged = next(row for row in trainer.state.log_history if "reward" in row)
    assert logged["rewards/failures"] == 0.0
    assert logged["rewards/sureness"] == pytest.approx(sum(expected) / 16, rel=1e-4)


def test_parts_of_a_success_can_be_rewarded() -> None:
    reward = Outcome({"value": 1.0, "assertions": 0.5, "policy": 0.25})
    partial = Score(value=0.0, components={"assertions": 0.5, "collateral": 1.0})
    assert reward([partial, Score(value=1.0, components={"assertions": 1.0, "policy": 1.0})]) == [0.25, 1.75]


def test_a_component_that_no_score_has_is_named(caplog: pytest.LogCaptureFixture) -> None:
    reward = Outcome({"value": 1.0, "asertions": 0.5})
    for _ in range(2):
        assert reward([Score(value=1.0, components={"assertions": 1.0})]) == [1.0]
    assert [record.getMessage() for record in caplog.records] == [
        "no score has the component 'asertions'. Did you mean 'assertions'?"
    ]


def test_the_short_way_to_the_gradient_gives_the_gradient(
    taught: Policy, environment: ToyEnvironment, tmp_path: Path
) -> None:
    def gradients(short: bool) -> dict[str, torch.Tensor]:
        class Way(EpisodeGRPOTrainer):
            def _plain(self, model: Any) -> bool:
                return short

            @property
            def _may_select(self) -> bool:
                return short

        model = type(taught.model)(taught.model.config)
        model.load_state_dict(taught.model.state_dict())
        trainer = make_trainer(taught._replace(model=model), environment, tmp_path, Way, max_steps=1)
        found: dict[str, torch.Tensor] = {}
        inner = trainer.accelerator.clip_grad_norm_

        def keep(parameters: Any, *rest: Any, **options: Any) -> Any:
            found.update({name: value.grad.clone() for name, value in model.named_parameters()})
            return inner(parameters, *rest, **options)

        trainer.accelerator.clip_grad_norm_ = keep
        trainer.train()
        return found

    short, long = gradients(True), gradients(False)
    assert max(float(value.abs().max()) for value in long.values()) > 1e-3
    for name, value in long.items():
        assert torch.allclose(short[name], value, atol=1e-6), name


def test_learning_raises_the_success(policy: Policy, environment: ToyEnvironment, tmp_path: Path) -> None:
    trainer = make_trainer(
        policy,
        environment,
        tmp_path,
        max_steps=30,
        per_device_train_batch_size=32,
        num_generations=8,
        learning_rate=6e-4,
    )
    trainer.train()
    success = [row["episode/success"] for row in trainer.state.log_history if "episode/success" in row]
    assert sum(success[-8:]) / 8 > sum(success[:4]) / 4 + 0.1, success
