"""Scores of episodes as rewards that verl understands, and verl's hook for a reward function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.score import Score

__all__ = ["compute_score", "figures", "weighted"]

FIELD = "telegym_score"
"""The extra field in which the agent loop hands on the whole score."""


def weighted(score: Score, weights: Mapping[str, float]) -> float | None:
    """Return the weighted sum of a score's value and components, or None if it has none because something failed.

    Args:
        score: The score of an episode.
        weights: Weight of `value` and of components by name; a component that is not there counts nothing.
    """
    if score.value is None:
        return None
    parts = {**score.components, "value": score.value}
    return sum(weight * parts.get(name, 0.0) for name, weight in weights.items())


def figures(episode: Episode, score: Score, components: Sequence[str] = ()) -> dict[str, float]:
    """Return what verl logs of an episode beside its reward; the names are the same for all episodes, as verl demands.

    Args:
        episode: The episode.
        score: Its score.
        components: Components to log; NaN where an episode does not have one.
    """
    return {
        "success": float(score.success),
        "failed": float(score.value is None),
        "truncated": float(episode.truncated),
        "turns": float(episode.turn),
        "call_errors": float(sum(call.error is not None for call in episode.calls)),
        **{f"component/{name}": score.components.get(name, float("nan")) for name in components},
    }


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    weights: Mapping[str, float] | None = None,
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
) -> dict[str, float]:
    """Return the reward of an episode: verl's hook, for runs with `defer: true` in the agent loop.

    Args:
        data_source: The row's; not used.
        solution_str: The text of the answer; not used, since an episode is more than its text.
        ground_truth: The id of the task; not used.
        extra_info: What the agent loop handed on.
        weights: Weight of `value` and of components by name; the value alone by default.
        reward_router_address: Passed by verl where it serves a reward model; not used.
        reward_model_tokenizer: Likewise.

    Raises:
        ConfigurationError: If no score was handed on: the rollout was not played by the agent loop of TeleGym.
    """
    handed = (extra_info or {}).get(FIELD)
    if handed is None:
        raise ConfigurationError(
            f"task {ground_truth!r} has no score; this reward function goes with the agent loop 'telegym' and its "
            "option `defer: true`"
        )
    score = Score.model_validate_json(handed)
    return {"score": weighted(score, weights or {"value": 1.0}) or 0.0, "failed": float(score.value is None)}
