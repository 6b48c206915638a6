"""What the metrics of a training run say: row by row, and how many episodes it took to succeed as often as asked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["WINDOW", "episodes_to", "read_metrics"]

WINDOW = 4
"""Steps over which success is averaged."""


def read_metrics(path: str | Path) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of a metrics file in the order of their steps, and how many lines could not be read.

    Of several rows for one step (a run that was resumed) the last counts.
    """
    rows: dict[Any, dict[str, Any]] = {}
    broken = 0
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            rows[float(row["step"])] = row
        except (ValueError, KeyError, TypeError):
            broken += bool(line.strip())
    return [rows[step] for step in sorted(rows)], broken


def episodes_to(share: float, metrics: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> int | None:
    """Return the episodes played until the mean success of `WINDOW` steps, weighted by their episodes, was reached.

    Success is that of the rollouts learnt from, at the temperature of the training and on its tasks. It is known at
    every step and costs nothing; what was reached on held-out tasks is another figure.

    Args:
        share: Success, 0 to 1.
        metrics: The run's metrics, a mapping per step.
        config: The run's recipe, with defaults.

    Returns:
        The number of episodes; None if the success was never reached, or the run is no reinforcement learning.
    """
    settings = config.get("grpo")
    if config.get("kind") != "grpo" or not isinstance(settings, Mapping):
        return None
    groups, size = int(settings["groups"]), int(settings["group_size"])
    played, recent = 0.0, list[tuple[float, float]]()
    for row in metrics:
        if "episode/success" not in row:
            continue
        episodes = _groups_played(row, groups) * size
        played += episodes
        recent = [*recent, (episodes, row["episode/success"])][-WINDOW:]
        if len(recent) == WINDOW and _mean(recent) >= share:
            return round(played)
    return None


def _groups_played(row: Mapping[str, Any], groups: int) -> float:
    """Return how many groups a step took, those included that were replaced."""
    learnt, dropped = row.get("selection/groups"), row.get("selection/dropped", 0.0)
    return groups if learnt is None or dropped >= 1 else max(float(groups), learnt / (1 - dropped))


def _mean(recent: Sequence[tuple[float, float]]) -> float:
    return math.fsum(n * success for n, success in recent) / math.fsum(n for n, _ in recent)
