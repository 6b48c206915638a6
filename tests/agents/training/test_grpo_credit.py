"""The trainer hands credit turn by turn to TRL's losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from telegym.agents.training.credit import schemes_of
from telegym.agents.training.grpo import EpisodeGRPOTrainer
from telegym.agents.training.rollouts import Transcript, branch_of
from telegym.core.errors import ConfigurationError
from telegym.core.score import Score
from telegym.rewards.base import Reward, Run
from telegym.rewards.combination import GateProduct
from telegym.rewards.compose import Composite
from telegym.rewards.outcome import EnvironmentOutcome

from .test_grpo import Keeping
from .toy import ToyEnvironment
from .toy_trainer import Policy, make_trainer

CREDITS: list[Any] = [
    "turn",
    "grpo",
    "rloo",
    {"kind": "turns", "components": {"fixed": 1.0, "careful": 0.5}},
    {"kind": "group_in_group", "same": "observed"},
    {"kind": "leave_one_out", "calls": 2},
    {"kind": "branches", "choose": "entropy", "branches": 1},
    [{"kind": "branches", "choose": "divergence"}, {"kind": "turns", "source": "none", "weight": 0.5}],
]


class Whole(Keeping):
    _may_select = False


def trained(policy: Policy, environment: ToyEnvironment, folder: Path, credit: Any, **options: Any) -> Any:
    seen: list[Transcript] = []
    trainer = make_trainer(
        policy, environment, folder, Whole, lambda step, transcripts, scores: seen.extend(transcripts),
        credit=credit, max_steps=1, per_device_train_batch_size=8, **options,
    )  # fmt: skip
    trainer.train()
    return trainer, seen


@pytest.mark.parametrize("credit", CREDITS, ids=lambda credit: str(credit)[:40])
def test_every_scheme_trains(policy: Policy, environment: ToyEnvironment, tmp_path: Path, credit: Any) -> None:
    before = {name: value.clone() for name, value in policy.model.named_parameters()}
    trainer, seen = trained(policy, environment, tmp_path, credit)
    advantages, mask = trainer.made["advantages"], trainer.made["tool_mask"]
    assert advantages.shape == mask.shape
    assert advantages.abs().sum() > 0
    assert float((advantages * (1 - mask)).abs().sum()) == 0.0
    for row, item in enumerate(seen):
        for start, end in item.turns:
            assert len(set(advantages[row, start:end].tolist())) == 1
        assert float(advantages[row, len(item.completion) :].abs().sum()) == 0.0
    assert any(not torch.equal(value, before[name]) for name, value in policy.model.named_parameters())


def test_trl_and_the_scheme_of_the_same_name_agree(policy: Policy, environment: ToyEnvironment, tmp_path: Path) -> None:
    trainer, _ = trained(policy, environment, tmp_path, "trajectory")
    theirs = trainer.made["advantages"]
    credit = trainer._credit(theirs.tolist())
    trainer._schemes = schemes_of("grpo")
    ours = torch.tensor([row[0] for row in trainer._credit(theirs.tolist())])
    assert [row[0] for row in credit] == pytest.approx(theirs.tolist())
    assert theirs.abs().max() > 0.1
    assert torch.allclose(ours, theirs, atol=1e-3)


def test_credit_goes_with_its_rollouts_into_smaller_batches(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path
) -> None:
    """A generation of 16 rollouts is learnt from in four parts, twice."""
    parts: list[dict[str, Any]] = []

    class Parts(Keeping):
        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
            parts.append(inputs)
            return super()._compute_loss(model, inputs)

    trainer = make_trainer(
        policy, environment, tmp_path, Parts, credit="group_in_group", max_steps=2, per_device_train_batch_size=4,
        gradient_accumulation_steps=4, num_iterations=2,
    )  # fmt: skip
    trainer.train()
    assert isinstance(trainer, Parts)
    assert len(parts) == 8
    expected = {tuple(ids): row for ids, row in zip(*_rows(trainer.made), strict=True)}
    for inputs in parts:
        for ids, row in zip(*_rows(inputs), strict=True):
            assert row == expected[tuple(ids)]


def _rows(made: dict[str, Any]) -> tuple[list[list[int]], list[list[float]]]:
    """Return tokens and advantages of each rollout."""
    ids = torch.cat([made["prompt_ids"], made["completion_ids"]], dim=1)
    return ids.tolist(), made["advantages"].tolist()


def test_branches_take_the_places_of_rollouts(policy: Policy, environment: ToyEnvironment, tmp_path: Path) -> None:
    trainer, seen = trained(policy, environment, tmp_path, {"kind": "branches", "branches": 2})
    assert [item.parent is not None for item in seen] == [False, False, True, True] * 2
    for first in (0, 4):
        parents = [item.parent for item in seen[first + 2 : first + 4]]
        assert any(parents[0] is item and parents[1] is item for item in seen[first : first + 2])
    for row, item in enumerate(seen):
        if item.parent is not None:
            start = item.turns[item.forked_at][0]
            assert item.completion[:start] == item.parent.completion[:start]
            assert trainer.made["tool_mask"][row, :start].sum() == 0
            assert trainer.made["advantages"][row, :start].abs().sum() == 0
            assert item.episode is not item.parent.episode


class Reading(Reward):
    """What calls are worth: reading is worth 1."""

    name = "reading"

    def score(self, runs: Sequence[Run]) -> list[Score]:
        return [
            Score(value=1.0, calls=tuple(float(each.call.name == "get_alarm") for each in run.calls)) for run in runs
        ]


def test_values_that_rewards_give_calls_reach_the_turns(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path
) -> None:
    parts: dict[str, Reward] = {"outcome": EnvironmentOutcome(), "reading": Reading()}
    seen: list[Transcript] = []
    trainer = make_trainer(
        policy, environment, tmp_path, Whole, lambda step, transcripts, scores: seen.extend(transcripts),
        Composite(parts, GateProduct(quality={"reading": 1.0})), {"kind": "calls", "outcome": "none"}, max_steps=1,
    )  # fmt: skip
    trainer.train()
    assert isinstance(trainer, Whole)
    firsts = [float(item.episode.calls[0].call.name == "get_alarm") for item in seen]
    alone = [sum(record.turn == 1 for record in item.episode.calls) == 1 for item in seen]
    assert {0.0, 1.0} == set(firsts)
    assert sum(alone) > 8
    for row, item in enumerate(seen):
        mean = sum(firsts[row // 4 * 4 : row // 4 * 4 + 4]) / 4
        if alone[row]:
            assert float(trainer.made["advantages"][row, item.turns[0][0]]) == pytest.approx(firsts[row] - mean)


LOSSES = ["grpo", "dr_grpo", "bnpo", "dapo", "cispo", "sapo", "luspo", "vespo"]


def test_every_loss_takes_credit_by_turns(policy: Policy, environment: ToyEnvironment, tmp_path: Path) -> None:
    """An advantage that is the same for all tokens gives the loss and gradient of one for the rollout."""
    trainer, _ = trained(policy, environment, tmp_path, "trajectory")
    whole = trainer.made["advantages"]
    made = {**trainer.made, "old_per_token_logps": torch.full(trainer.made["tool_mask"].shape, -1.0)}
    trainer.current_gradient_accumulation_steps = 1
    for loss in LOSSES:
        trainer.loss_type = loss
        by_token = whole[:, None].repeat(1, made["tool_mask"].shape[1]) * made["tool_mask"]
        found = []
        for advantages in (whole, by_token):
            policy.model.zero_grad()
            value = trainer._compute_loss(trainer.model, {**made, "advantages": advantages})
            value.backward()
            gradient = policy.model.model.layers[0].mlp.up_proj.weight.grad
            found.append((float(value.detach()), gradient.clone()))
        assert found[0][0] == pytest.approx(found[1][0], rel=1e-4, abs=1e-6), loss
        assert float(found[0][1].abs().max()) > 0, loss
        assert torch.allclose(found[0][1], found[1][1], atol=1e-6), loss


def test_groups_that_are_not_whole_are_refused(policy: Policy, environment: ToyEnvironment, tmp_path: Path) -> None:
    trainer = make_trainer(policy, environment, tmp_path, credit="rloo", per_device_train_batch_size=8)
    trainer.args.generation_batch_size = 6
    with pytest.raises(ConfigurationError, match="credit by rloo needs whole groups on each process: 6 rollouts"):
        trainer._check_credit()
    with pytest.raises(ConfigurationError, match="at most 2 can be branches, not 3"):
        make_trainer(policy, environment, tmp_path, credit={"kind": "branches", "branches": 3})


def test_entropies_need_logprobs(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpisodeGRPOTrainer, "in_lock_step", property(lambda self: True))
    with pytest.raises(ConfigurationError, match="`choose: entropy` needs log-probabilities"):
        make_trainer(policy, environment, tmp_path, credit={"kind": "branches", "choose": "entropy"})


def test_a_component_that_credit_weighs_and_no_score_has_is_named(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained(policy, environment, tmp_path, {"kind": "turns", "components": {"fixt": 1.0}})
    messages = [record.getMessage() for record in caplog.records if "credit" in record.getMessage()]
    assert messages == ["credit: no score has the component 'fixt'. Did you mean 'fixed'?"]


def test_branches_can_be_played_in_lock_step(policy: Policy, environment: ToyEnvironment, tmp_path: Path) -> None:
    trainer, seen = trained(policy, environment, tmp_path, {"kind": "branches", "branches": 1})
    branch = next(item for item in seen if item.parent is not None)
    assert branch.parent is not None
    given: list[list[int]] = []
    stop = policy.codec.turn('<tool_call>\n{"name": "done", "arguments": {}}\n</tool_call>')

    def single_turn(ids: Any, *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        given.extend(ids)
        return [stop for _ in ids], None

    trainer._generate_single_turn = single_turn
    (again,) = trainer.play_in_lock_step([branch_of(branch.parent, branch.forked_at)])
    start = branch.turns[branch.forked_at][0]
    assert given == [branch.prompt + branch.completion[:start]]
    assert again.sampled == len(stop)
    assert isinstance(again.episode.score(), Score)
