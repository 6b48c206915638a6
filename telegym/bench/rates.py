"""Rates: how often a job gets done in a second of processor time."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Job", "Rate", "Sample", "rate_of"]

_MOST_SAMPLES = 100_000


class Sample(NamedTuple):
    """One run of a job."""

    done: int
    """How many things were done."""
    seconds: float
    """In how many seconds of processor time."""


class Job(NamedTuple):
    """Something that can be measured."""

    run: Callable[[], Sample]
    """Does it once; what is only prepared is not timed."""
    single: bool = False
    """Whether the runs differ much: then the rate is the median of runs, not of measurements of many runs."""
    note: str = ""
    """What a reader has to know."""


class Rate(NamedTuple):
    """How much is done per second."""

    median: float
    """In the middle."""
    lowest: float
    """At worst."""
    highest: float
    """At best."""
    note: str = ""
    """What a reader has to know."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, with the time of one in milliseconds."""
        found = {**self._asdict(), "milliseconds": 1e3 / self.median}
        return found if self.note else {name: value for name, value in found.items() if name != "note"}


def rate_of(job: Job, seconds: float, repeats: int) -> Rate:
    """Return how much a job does per second.

    Args:
        job: The job; it is run once before anything is measured.
        seconds: Length of one measurement, in seconds of processor time.
        repeats: How many measurements; for a job whose runs count singly, how many runs at least.
    """
    job.run()
    rates = _singly(job, seconds, repeats) if job.single else [_together(job, seconds) for _ in range(repeats)]
    return Rate(statistics.median(rates), min(rates), max(rates), job.note)


def _together(job: Job, seconds: float) -> float:
    """Return the rate over as many runs as fit into the time."""
    count, used = 0, 0.0
    while used < seconds:
        sample = job.run()
        count, used = count + sample.done, used + sample.seconds
    return count / used


def _singly(job: Job, seconds: float, repeats: int) -> list[float]:
    """Return the rates of single runs."""
    samples: list[Sample] = []
    while len(samples) < repeats or (sum(sample.seconds for sample in samples) < seconds):
        samples.append(job.run())
        if len(samples) >= _MOST_SAMPLES:
            break
    return [sample.done / max(sample.seconds, 1e-9) for sample in samples]
