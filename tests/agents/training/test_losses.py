"""Every loss of TRL is within a recipe's reach, and does what it does without our short ways."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from telegym.agents.local import load_model
from telegym.agents.training.grpo import EpisodeGRPOTrainer
from telegym.envs.registry import register_environment

from .by_recipe import logged, recipe, trainer_of, weights
from .toy import ToyEnvironment
from .toy_trainer import Policy, make_trainer

LOSSES = ("grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo")
GSPO = {"loss_type": "grpo", "importance_sampling_level": "sequence"}
CASES: dict[str, dict[str, Any]] = {
    **{name: {"trl": {"loss_type": name}} for name in LOSSES},
    "gspo": {"trl": {**GSPO, "epsilon": 3e-4, "epsilon_high": 4e-4}},
    "gspo by turns": {"trl": GSPO, "credit": "rloo"},
    "luspo by sequence": {"trl": {"loss_type": "luspo", "importance_sampling_level": "sequence"}},
    "clip higher": {"trl": {"epsilon_high": 0.28, "num_iterations": 2}},
    "cispo by turns": {"trl": {"loss_type": "cispo", "epsilon_high": 5.0, "num_iterations": 2}, "credit": "turn"},
    "vespo by turns": {"trl": {"loss_type": "vespo", "num_iterations": 2}, "credit": "rloo"},
    "two-sided": {"trl": {"delta": 4.0, "num_iterations": 2}},
    "reference": {"trl": {"beta": 0.1}},
    "reference, corrected": {"trl": {"beta": 0.1, "use_bias_correction_kl": True, "num_iterations": 2}},
    "tokens of high entropy": {"trl": {"top_entropy_quantile": 0.2}},
    "scaled by batch": {"trl": {"scale_rewards": "batch"}},
    "not scaled": {"trl": {"scale_rewards": "none", "loss_type": "dr_grpo"}},
    "entropy bonus": {"trl": {"entropy_coef": 0.01}},
    "adaptive entropy": {"trl": {"use_adaptive_entropy": True, "entropy_target": 0.5}},
    "off-policy mask": {"trl": {"off_policy_mask_threshold": 0.1, "num_iterations": 2}},
    "small batches": {"trl": {"loss_type": "sapo"}, "batch_size": 4, "credit": "grpo"},
    "selected": {
        "trl": {"loss_type": "dapo", "beta": 0.05, "epsilon_high": 0.28},
        "dynamic_sampling": {"rounds": 2},
        "over_long": {"action": "punish", "limit": 150, "buffer": 100},
        "credit": {"kind": "turns", "components": {"fixed": 1.0}},
    },
}


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")


@pytest.mark.parametrize("name", CASES)
def test_a_recipe_trains_by_it(taught_folder: str, tmp_path: Path, name: str) -> None:
    trainer = trainer_of(recipe(taught_folder, **CASES[name]), tmp_path)
    before = weights(trainer)
    trainer.train()
    rows = logged(trainer)
    assert len(rows) == 2
    assert all(math.isfinite(row["loss"]) and math.isfinite(row["grad_norm"]) for row in rows)
    assert any(row["grad_norm"] > 0 for row in rows)
    after = weights(trainer)
    assert all(torch.isfinite(value).all() for value in after.values())
    assert any(not torch.equal(value, before[key]) for key, value in after.items())
    if CASES[name]["trl"].get("beta"):
        assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-5)
        assert rows[1]["kl"] > 1e-8


WAYS: dict[str, dict[str, Any]] = {
    **{name: {"loss_type": name} for name in LOSSES},
    "gspo": GSPO,
    "entropy bonus": {"entropy_coef": 0.5},
    "tokens of high entropy": {"top_entropy_quantile": 0.2},
    "reference": {"beta": 0.1, "num_iterations": 2},
    "not scaled": {"scale_rewards": "none"},
}


@pytest.mark.parametrize("name", WAYS)
def test_the_short_way_gives_the_same_gradient(
    taught: Policy, taught_folder: str, environment: ToyEnvironment, tmp_path: Path, name: str
) -> None:
    """Leaving out rollouts without advantage and tokens that were not sampled changes nothing, whatever the loss."""

    def gradients(short: bool) -> dict[str, torch.Tensor]:
        class Way(EpisodeGRPOTrainer):
            def _plain(self, model: Any) -> bool:
                return short and super()._plain(model)

            @property
            def _may_select(self) -> bool:
                return short and super()._may_select

        model = load_model(taught_folder, dtype=torch.float32)
        options = {"per_device_train_batch_size": 8, "max_completion_length": 200, **WAYS[name]}
        trainer = make_trainer(taught._replace(model=model), environment, tmp_path, Way, max_steps=1, **options)
        found: dict[str, torch.Tensor] = {}
        inner = trainer.accelerator.clip_grad_norm_

        def keep(parameters: Any, *rest: Any, **more: Any) -> Any:
            found.update({key: value.grad.clone() for key, value in model.named_parameters() if value.grad is not None})
            return inner(parameters, *rest, **more)

        trainer.accelerator.clip_grad_norm_ = keep
        trainer.train()
        return found

    short, long = gradients(True), gradients(False)
    largest = max(float(value.abs().max()) for value in long.values())
    assert largest > 0
    for key, value in long.items():
        assert torch.allclose(short[key], value, atol=1e-5 * largest, rtol=1e-3), key


@pytest.mark.parametrize("sampling", [None, {"rounds": 2}], ids=["as they come", "dynamic sampling"])
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_failures_move_nothing_under_any_scale(
    taught_folder: str, tmp_path: Path, scale: str, sampling: dict[str, Any] | None
) -> None:
    """Of tasks whose judge fails no token is learnt from, and they are in no mean."""
    made = recipe(
        taught_folder, trl={"scale_rewards": scale}, dynamic_sampling=sampling, groups=4, steps=1,
        environment={"train": {"tasks": 10, "broken": True}},
    )  # fmt: skip
    trainer = trainer_of(made, tmp_path)
    seen: list[tuple[list[float | None], torch.Tensor, list[bool]]] = []
    original = trainer._informative

    def keep(output: dict[str, Any]) -> dict[str, Any]:
        failed = [item.episode.task.id.endswith("3") for item in trainer._transcripts]
        seen.append((list(trainer._values), output["advantages"].clone(), failed))
        return original(output)  # type: ignore[no-any-return]

    trainer._informative = keep
    trainer.train()
    ((values, advantages, failed),) = seen
    for value, advantage, broken in zip(values, advantages.tolist(), failed, strict=True):
        if broken:
            assert value is None
            assert advantage == 0.0
    groups = [values[first : first + 4] for first in range(0, 16, 4)]
    for number, group in enumerate(groups):
        known = [value for value in group if value is not None]
        mean = sum(known) / len(known) if known else 0.0
        for place, value in enumerate(group):
            advantage = float(advantages[number * 4 + place])
            assert value is None or math.isclose(value, mean, abs_tol=1e-6) or (advantage > 0) == (value > mean)
    (row,) = logged(trainer)
    assert math.isfinite(row["loss"])
    if sampling is None:
        assert any(failed) == (row["episode/failures"] > 0)
