"""How fast the simulators are, on one core: what `telegym bench` measures.

Everything is told as a rate per second of processor time, so that a busy machine does not blur it: the median of
several measurements after a warm-up, with the lowest and the highest.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from typing import Any

from telegym.bench.rates import Job, Rate, rate_of
from telegym.core.errors import ConfigurationError

__all__ = ["DEFAULT_ENVIRONMENT", "REWARDS", "TRAINING", "measure"]

DEFAULT_ENVIRONMENT = "tau2-telecom"
"""What is measured unless another environment is named."""
REWARDS = "rewards"
"""Named instead of an environment: how fast auditors are; option `environment` says whose."""
TRAINING = "training"
"""Named instead of an environment: how long training waits for slow tools."""
Progress = Callable[[str, int, int], None]
"""Told what is measured next, how much has been measured, and how much there is."""


def measure(
    environment: str = DEFAULT_ENVIRONMENT,
    *,
    seconds: float = 1.0,
    repeats: int = 5,
    options: Mapping[str, Any] | None = None,
    only: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure every rate of an environment.

    Args:
        environment: Its name, `rewards` for the auditors that judge an environment's calls, or `training`.
        seconds: Length of one measurement, in seconds of processor time.
        repeats: How many measurements the median is of.
        options: Options of the environment.
        only: Measure only what has this in its name.
        progress: Called before each measurement.

    Returns:
        `rates`: for each thing counted, the `median`, `lowest` and `highest` rate per second, the `milliseconds` one
        takes and, for some, a `note`; and what was measured.

    Raises:
        ConfigurationError: If nothing that is measured has such a name.
    """
    jobs, workload = _jobs(environment, dict(options or {}))
    chosen = {name: job for name, job in jobs.items() if only in name}
    if not chosen:
        raise ConfigurationError(f"nothing measured of {environment} has {only!r} in its name: {', '.join(jobs)}")
    rates: dict[str, Rate] = {}
    for place, (name, job) in enumerate(chosen.items()):
        if progress is not None:
            progress(name, place, len(chosen))
        rates[name] = rate_of(job, seconds, repeats)
    return {
        "environment": environment,
        "options": dict(options or {}),
        **workload,
        "seconds": seconds,
        "repeats": repeats,
        **_versions(),
        "rates": {name: rate.as_dict() for name, rate in rates.items()},
    }


def _jobs(environment: str, options: dict[str, Any]) -> tuple[dict[str, Job], dict[str, Any]]:
    """Return what is measured of an environment, and facts about the workload."""
    from telegym.envs.registry import make_environment

    if environment == TRAINING:
        from telegym.bench import training

        return training.jobs()
    if environment == REWARDS:
        from telegym.bench import rewards

        return rewards.jobs(make_environment(options.pop("environment", DEFAULT_ENVIRONMENT), **options))
    made = make_environment(environment, **options)
    if environment == "base-station":
        from telegym.bench import base_station

        return base_station.jobs(made)
    from telegym.bench import episodes

    return episodes.jobs(made)


def _versions() -> dict[str, str]:
    import numpy

    return {"python": platform.python_version(), "numpy": numpy.__version__}
