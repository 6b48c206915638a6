"""GRPO's advantage in verl, with rollouts that failed technically left out of their groups.

verl knows no missing reward. A failed rollout comes without a token to learn from (its response mask is all zero), and
the estimator registered here, `telegym_grpo`, leaves such rows out of the mean and the deviation of their group. Where
verl imports this module (`VERL_USE_EXTERNAL_MODULES=telegym.agents.verl.advantage`), `algorithm.adv_estimator` can name
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from verl.trainer.ppo.core_algos import register_adv_est

__all__ = ["NAME", "advantages_without_failures"]

NAME = "telegym_grpo"
_LEAST = 1e-6


@register_adv_est(NAME)  # type: ignore[untyped-decorator, unused-ignore]
def advantages_without_failures(
    token_level_rewards: Tensor, response_mask: Tensor, index: Sequence[Any], config: Any = None
) -> tuple[Tensor, Tensor]:
    """Return GRPO's advantages (https://arxiv.org/abs/2402.03300), in the form verl asks for.

    Args:
        token_level_rewards: Rewards, one row a rollout; their sum is the rollout's.
        response_mask: 1 for each token the model sampled; a row of zeros is a rollout that failed.
        index: The group of each row.
        config: verl's settings of the algorithm; `norm_adv_by_std_in_grpo: false` leaves out the division (Dr. GRPO,
            https://arxiv.org/abs/2503.20783).

    Returns:
        Advantages and returns, which are the same; groups of which at most one rollout is left get none.
    """
    rewards = token_level_rewards.sum(-1)
    valid = response_mask.sum(-1) > 0
    divide = True if config is None else bool(config.get("norm_adv_by_std_in_grpo", True))
    advantages = torch.zeros_like(rewards)
    for group in dict.fromkeys(index):
        rows = [row for row, other in enumerate(index) if other == group and bool(valid[row])]
        if len(rows) > 1:
            own = rewards[rows]
            centred = own - own.mean()
            advantages[rows] = centred / (own.std() + _LEAST) if divide else centred
    spread = advantages[:, None] * response_mask
    return spread, spread
