"""Training: how long rollouts wait for slow tools, here and in TRL's own trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from telegym.bench.rates import Job, Sample

__all__ = ["jobs"]


def jobs() -> tuple[dict[str, Job], dict[str, Any]]:
    """Return what is measured, and facts about the workload. Unlike other rates, these go by a clock on the wall."""
    from telegym.agents.training import waiting

    calls = waiting.SAMPLES * waiting.TURNS

    def job(measure: Callable[[], float]) -> Callable[[], Sample]:
        return lambda: Sample(calls, measure())

    note = f"{waiting.SAMPLES} samples, {waiting.TURNS} turns"
    found = {
        "slow tool calls of a step": Job(job(waiting.waiting_here), note=note),
        "slow tool calls of a step, TRL's trainer": Job(job(waiting.waiting_in_trl), note=note),
    }
    return found, {"samples": waiting.SAMPLES, "turns": waiting.TURNS, "seconds_of_a_call": waiting.SECONDS}
