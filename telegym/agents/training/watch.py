"""Watches: figures of a training that say when it goes wrong, before success does.

A policy whose entropy falls to nothing has stopped to try; one whose turns or tokens grow without end talks instead of
acting; one far from its reference (`kl`) has found a reward nobody meant. A watch follows a figure by a moving average
and, where it leaves its range, warns, or stops the run with a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from telegym.core.errors import did_you_mean
from telegym.core.settings import Settings

__all__ = ["Alarm", "Watch", "WatchSettings", "Watches"]


class WatchSettings(Settings):
    """A figure that has to stay in a range."""

    figure: str
    """The figure as it is logged: `entropy` (of the tokens learnt from), `episode/surprisal` (mean of -log p of all
    sampled tokens, an estimate of their entropy), `episode/tokens` and `episode/turns` (sampled in an episode), `kl`
    (with `beta`), `reward`, `grad_norm`, or any other of `metrics.jsonl`."""
    below: float | None = None
    """A moving average below this is an alarm."""
    above: float | None = None
    """A moving average above this is an alarm."""
    relative: bool = False
    """Whether `below` and `above` are multiples of the mean over the first steps."""
    first: PositiveInt = 5
    """Steps whose mean limits are relative to; nothing is an alarm in them then."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Weight of the past in the moving average."""
    after: NonNegativeInt = 0
    """Steps in which nothing is an alarm."""
    action: Literal["warn", "stop"] = "warn"
    """`warn`: a message; `stop`: a checkpoint and the end of the training, which can be continued."""

    @model_validator(mode="after")
    def _watch_something(self) -> Self:
        if self.below is None and self.above is None:
            raise ValueError(f"the watch of {self.figure!r} has no limit; set `below` or `above`")
        if self.below is not None and self.above is not None and self.below >= self.above:
            raise ValueError(f"the watch of {self.figure!r}: below {self.below} and above {self.above} leave no range")
        return self


class Alarm:
    """A figure that left its range.

    Args:
        text: What happened.
        stops: Whether the training is to end.
    """

    __slots__ = ("stops", "text")

    def __init__(self, text: str, stops: bool) -> None:
        self.text = text
        self.stops = stops


class Watch:
    """Follows one figure. An alarm is given once; the next one only after the figure was in its range again.

    Args:
        settings: What is watched.
    """

    def __init__(self, settings: WatchSettings) -> None:
        self.settings = settings
        self.average: float | None = None
        """The moving average, without the bias of its beginning: weights of all steps so far sum to 1."""
        self._weight = 0.0
        self._steps = 0
        self._first: list[float] = []
        self._raised = False

    def see(self, value: float) -> Alarm | None:
        """Take note of a step's figure; return the alarm, if it is one."""
        self._steps += 1
        if not math.isfinite(value):
            return self._alarm(f"{self.settings.figure} is {value}")
        decay = self.settings.decay
        past = decay * self._weight
        self._weight = past + (1 - decay)
        self.average = ((self.average or 0.0) * past + (1 - decay) * value) / self._weight
        if len(self._first) < self.settings.first:
            self._first.append(value)
        return self._judge(self.average)

    def state(self) -> dict[str, Any]:
        """Return what it remembers, as JSON values."""
        return {
            "average": self.average,
            "weight": self._weight,
            "steps": self._steps,
            "first": list(self._first),
            "raised": self._raised,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.average, self._weight, self._steps = state["average"], state["weight"], state["steps"]
        self._first, self._raised = list(state["first"]), state["raised"]

    def _judge(self, average: float) -> Alarm | None:
        settings = self.settings
        waits = max(settings.after, settings.first if settings.relative else 0)
        if self._steps <= waits:
            return None
        start = math.fsum(self._first) / len(self._first) if settings.relative else 1.0
        for limit, broken, word in (
            (settings.below, lambda value, bound: value < bound, "below"),
            (settings.above, lambda value, bound: value > bound, "above"),
        ):
            if limit is not None and broken(average, limit * start):
                times = f", {limit:g} times the {start:.4g} of the first steps" if settings.relative else ""
                return self._alarm(f"{settings.figure} is {average:.4g}, {word} {limit * start:.4g}{times}")
        self._raised = False
        return None

    def _alarm(self, text: str) -> Alarm | None:
        if self._raised:
            return None
        self._raised = True
        return Alarm(text, self.settings.action == "stop")


class Watches:
    """Several watches.

    Args:
        settings: What is watched.
    """

    def __init__(self, settings: Sequence[WatchSettings]) -> None:
        self._watches = [Watch(each) for each in settings]
        self._missed: set[str] = set()

    @property
    def figures(self) -> frozenset[str]:
        """Names of the figures that are watched."""
        return frozenset(watch.settings.figure for watch in self._watches)

    def see(self, row: Mapping[str, Any]) -> list[Alarm]:
        """Take note of what was logged for a step; return the alarms.

        A figure that was not logged is a warning, once: some figures are not there in every step.
        """
        alarms = [self._missing(name, row) for name in sorted(self.figures) if row.get(name) is None]
        for watch in self._watches:
            value = row.get(watch.settings.figure)
            alarms.append(watch.see(float(value)) if value is not None else None)
        return [alarm for alarm in alarms if alarm is not None]

    def state(self) -> list[dict[str, Any]]:
        """Return what they remember, as JSON values."""
        return [watch.state() for watch in self._watches]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Go on from a state."""
        for watch, each in zip(self._watches, state, strict=True):
            watch.restore(each)

    def _missing(self, name: str, row: Mapping[str, Any]) -> Alarm | None:
        if name in self._missed:
            return None
        self._missed.add(name)
        known = sorted(key for key, value in row.items() if value is not None)
        return Alarm(f"the figure {name!r} is watched, but was not logged.{did_you_mean(name, known)}", stops=False)
