"""Time: what is due when, and who deals with it.

An agenda holds events, each with a time, a kind and a payload of plain values, so that it can be copied, compared and
written down. What an event does is said once for its kind, by a handler in a table:

    @handles("restart_end")
    def _restart_end(network: Network, unit_id: str) -> None: ...

    network.schedule(network.now + 180, "restart_end", "RU-012-L18-1")

What follows from a change of records, at any time, is said by consequences in another table (`follows`).

Between two events nothing happens: what changes continuously is a value, a rate and a time, and the moment when it
crosses a limit is predicted and put on the agenda.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "DAY_S",
    "HOUR_S",
    "MINUTE_S",
    "OBSERVERS",
    "WEEK_S",
    "Agenda",
    "Consequence",
    "Event",
    "Handler",
    "Happening",
    "Scalar",
    "consequences",
    "follows",
    "handler_of",
    "handles",
    "hour_of_day",
    "hour_of_week",
    "seconds",
    "time_text",
]

MINUTE_S = 60
"""Seconds in a minute."""
HOUR_S = 3_600
"""Seconds in an hour."""
DAY_S = 86_400
"""Seconds in a day."""
WEEK_S = 604_800
"""Seconds in a week."""
_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)

Scalar: TypeAlias = str | int | float | bool | None
"""A value that a payload may hold."""
Handler: TypeAlias = Callable[..., None]
"""Takes the network and the payload's values."""

Consequence: TypeAlias = Callable[..., None]
"""Takes the network and the ids of sites where something changed."""
OBSERVERS = 100
"""Order from which consequences change no records."""

_HANDLERS: dict[str, Handler] = {}
_CONSEQUENCES: dict[str, tuple[int, Consequence]] = {}


class Event(NamedTuple):
    """Something that will happen."""

    at_s: int
    """When, in seconds since the start of week 0."""
    sequence: int
    """Orders events of one second: first planned, first done."""
    kind: str
    """What; names the handler."""
    payload: tuple[Scalar, ...]
    """What the handler is told."""


class Happening(NamedTuple):
    """Something that somebody who waits may want to know."""

    at_s: int
    """When it happened."""
    kind: str
    """What, for example `alarm_raised` or `technician_arrived`."""
    subject: str
    """Id of the alarm, work order or other record it is about."""
    detail: str = ""
    """More, for example a severity."""


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Make a function the handler of a kind of events.

    Raises:
        ValueError: If the kind has another handler already.
    """

    def register(function: Handler) -> Handler:
        known = _HANDLERS.setdefault(kind, function)
        if known is not function and (known.__module__, known.__qualname__) != (
            function.__module__,
            function.__qualname__,
        ):
            raise ValueError(f"{kind!r} is handled by {known.__module__}.{known.__qualname__} already")
        _HANDLERS[kind] = function
        return function

    return register


def handler_of(kind: str) -> Handler:
    """Return the handler of a kind of events.

    Raises:
        LookupError: If there is none.
    """
    if kind not in _HANDLERS:
        raise LookupError(f"no handler for events of kind {kind!r}; known: {', '.join(sorted(_HANDLERS))}")
    return _HANDLERS[kind]


def follows(order: int) -> Callable[[Consequence], Consequence]:
    """Register what is worked out whenever something has changed, in the given order.

    Below `OBSERVERS` it may change records itself; then it is worked out again, until nothing changes any more. What
    comes later only looks, once, at all sites that have changed.
    """

    def register(function: Consequence) -> Consequence:
        _CONSEQUENCES[f"{function.__module__}.{function.__qualname__}"] = (order, function)
        consequences.cache_clear()
        return function

    return register


@lru_cache(maxsize=2)
def consequences(*, changing: bool) -> tuple[Consequence, ...]:
    """Return what is worked out after changes, in its order: what changes records, or what only looks."""
    items = sorted((order, name, function) for name, (order, function) in _CONSEQUENCES.items())
    return tuple(function for order, _, function in items if (order < OBSERVERS) == changing)


class Agenda:
    """Events to come. At most one event of a kind and payload is pending: planning it again moves it."""

    __slots__ = ("_due", "_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[Event] = []
        self._due: dict[tuple[str, tuple[Scalar, ...]], Event] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._due)

    def copy(self) -> Agenda:
        """Return an independent agenda with the same events."""
        other = Agenda.__new__(Agenda)
        other._heap = self._heap.copy()
        other._due = self._due.copy()
        other._sequence = self._sequence
        return other

    def schedule(self, at_s: int, kind: str, payload: tuple[Scalar, ...]) -> None:
        """Plan an event, or move it if it is pending."""
        key = (kind, payload)
        known = self._due.get(key)
        if known is not None and known.at_s == at_s:
            return
        self._sequence += 1
        event = Event(at_s, self._sequence, kind, payload)
        self._due[key] = event
        heapq.heappush(self._heap, event)

    def cancel(self, kind: str, payload: tuple[Scalar, ...]) -> None:
        """Forget an event; nothing happens if it is not pending."""
        self._due.pop((kind, payload), None)
        if len(self._heap) > 64 + 4 * len(self._due):
            self._heap = sorted(self._due.values())

    def due_s(self, kind: str, payload: tuple[Scalar, ...]) -> int | None:
        """Return when an event is due; None if it is not pending."""
        event = self._due.get((kind, payload))
        return None if event is None else event.at_s

    def pop(self, until_s: int) -> Event | None:
        """Remove and return the next event up to a time, that second included; None if there is none."""
        heap, due = self._heap, self._due
        while heap and heap[0].at_s <= until_s:
            event = heapq.heappop(heap)
            if due.get((event.kind, event.payload)) is event:
                del due[event.kind, event.payload]
                return event
        return None

    def next_s(self) -> int | None:
        """Return when the next event is due; None if nothing is."""
        heap, due = self._heap, self._due
        while heap:
            event = heap[0]
            if due.get((event.kind, event.payload)) is event:
                return event.at_s
            heapq.heappop(heap)
        return None

    def pending(self, kind: str | None = None) -> list[Event]:
        """Return the events to come in their order: all, or those of one kind."""
        return sorted(event for event in self._due.values() if kind is None or event.kind == kind)

    def dump(self) -> list[list[Any]]:
        """Return the events in their order as JSON values; numbers that only order them are left out."""
        return [[event.at_s, event.kind, *event.payload] for event in self.pending()]


def seconds(minutes: float) -> int:
    """Return minutes as whole seconds."""
    return round(minutes * MINUTE_S)


def hour_of_week(at_s: int) -> int:
    """Return the hour of the week, 0 to 167, Monday 0 h being 0."""
    return at_s // HOUR_S % 168


def hour_of_day(at_s: int) -> float:
    """Return the time of day in hours."""
    return at_s % DAY_S / HOUR_S


def time_text(at_s: int) -> str:
    """Return a time as `03-04T12:10:31`: month, day and time; week 0 begins on Monday, 3 March 2031."""
    day, rest = divmod(at_s, DAY_S)
    day = (day + 61) % 365
    month = max(index for index, before in enumerate(_DAYS_BEFORE_MONTH) if before <= day)
    hour, minute = divmod(rest // MINUTE_S, 60)
    return f"{month + 1:02}-{day - _DAYS_BEFORE_MONTH[month] + 1:02}T{hour:02}:{minute:02}:{rest % MINUTE_S:02}"
