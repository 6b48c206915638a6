"""Auditors: how long the verdicts on a trajectory of thirty calls take, by rules alone and with trials on forks."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

from telegym.bench.episodes import workload
from telegym.bench.rates import Job, Sample
from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.errors import ConfigurationError
from telegym.rewards.reasonableness.auditor import auditor_for
from telegym.rewards.verdict import View

__all__ = ["CALLS", "jobs"]

CALLS = 30
"""Calls of a trajectory."""
_NO_LIMITS = Limits(hops=None, errors=None)


def jobs(environment: Environment) -> tuple[dict[str, Job], dict[str, Any]]:
    """Return what is measured, and facts about the workload.

    Raises:
        ConfigurationError: If nobody judges the environment's calls, or no trajectory is long enough.
    """
    episodes = _episodes(environment)
    if not episodes:
        raise ConfigurationError(f"no trajectory of {environment.id} has {CALLS} calls")
    auditor = auditor_for(environment.id)

    def auditing(view: View, counterfactual: bool) -> Callable[[], Sample]:
        def job() -> Sample:
            start = process_time()
            for episode in episodes:
                auditor.audit(episode, view, counterfactual=counterfactual)
            return Sample(len(episodes), process_time() - start)

        return job

    found = {
        f"audit, {view} view, {how}": Job(auditing(view, how == "with forks"))
        for view in View
        for how in ("rules alone", "with forks")
    }
    return found, {"trajectories": len(episodes), "calls": CALLS}


def _episodes(environment: Environment) -> list[Episode]:
    """Return trajectories of the oracle's way with reading and wrong calls between, cut after thirty calls."""
    found = []
    for script in workload(environment):
        episode = Episode(environment, script.task, limits=_NO_LIMITS)
        for text in script.texts:
            if len(episode.calls) == CALLS:
                break
            episode.step(text)
        if len(episode.calls) == CALLS:
            found.append(episode)
    return found
