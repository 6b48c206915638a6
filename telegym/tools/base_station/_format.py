"""Results as text: lines of `key: value` and CSV tables, short enough for a model's context.

A tool builds a `Report`; a `Style` decides how much of it is shown. Whatever is left out of a table is counted in a
marker `…(+n more)`, so that nobody takes a part for the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

__all__ = [
    "FULL",
    "HARD_LIMIT",
    "TERSE",
    "Report",
    "Style",
    "cell",
    "day",
    "minute",
    "number",
    "second",
    "value",
]

HARD_LIMIT = 2500
"""Longest result, in characters."""
_EPOCH = datetime(2031, 3, 3)


@dataclass(frozen=True, slots=True)
class Style:
    """How much a result shows."""

    name: str
    """What it is called."""
    limit: int
    """Characters of a result by default."""
    long_limit: int
    """Characters of a result whose size the caller chose, such as a series of many bins."""
    rows: int
    """Most rows of a table, unless the caller asks for fewer."""
    details: bool
    """Whether details are shown."""
    language: str = "en"
    """Language of what is written in sentences."""


FULL = Style("full", 1200, HARD_LIMIT, 200, True)
"""Everything a tool reads."""
TERSE = Style("terse", 420, 420, 6, False)
"""What matters most, for small contexts."""


@lru_cache(maxsize=16_384)
def second(time_s: int) -> str:
    """Return a time as `03-04T11:52:31`."""
    return (_EPOCH + timedelta(seconds=time_s)).isoformat()[5:]


@lru_cache(maxsize=16_384)
def minute(time_s: int) -> str:
    """Return a time as `03-04T11:52`."""
    return (_EPOCH + timedelta(seconds=time_s)).isoformat()[5:16]


@lru_cache(maxsize=4096)
def day(time_s: int) -> str:
    """Return a date with its year, as `2031-03-04T11:52`."""
    return (_EPOCH + timedelta(seconds=time_s)).isoformat()[:16]


def number(amount: float, digits: int = 1) -> str:
    """Return a number with fixed decimals, never `-0.0`."""
    return f"{round(amount, digits) + 0.0:.{digits}f}"


def value(item: Any) -> str:
    """Return a single value as text: `-` for nothing, `true` and `false`, lists with `|`, floats without noise."""
    kind = type(item)
    if kind is str:
        return item or "-"
    if item is None:
        return "-"
    if kind is bool:
        return "true" if item else "false"
    if kind is float:
        return f"{round(item, 4) + 0.0:g}" if abs(item) < 1e5 else f"{item:.0f}"
    if isinstance(item, (tuple, list, frozenset)):
        return "|".join(map(value, item)) or "-"
    return str(item)


def cell(text: str) -> str:
    """Return a text for a table, quoted if it holds a comma or a line break."""
    if "," in text or '"' in text or "\n" in text:
        return '"' + text.replace('"', "'").replace("\n", " ") + '"'
    return text


class _Table:
    """Rows under a header."""

    __slots__ = ("head", "keep_last", "more", "rows")

    def __init__(self, head: str, rows: list[str], more: int, keep_last: bool) -> None:
        self.head = head
        self.rows = rows
        self.more = more
        self.keep_last = keep_last

    def lines(self) -> list[str]:
        marker = [f"…(+{self.more} more)"] if self.more else []
        return [self.head, *marker, *self.rows] if self.keep_last else [self.head, *self.rows, *marker]

    def drop(self, surplus: int) -> int:
        """Leave out rows until `surplus` characters are gone; return how many were."""
        gone = 0
        while len(self.rows) > 1 and gone < surplus:
            gone += len(self.rows.pop(0 if self.keep_last else -1)) + 1
            gone -= 0 if self.more else 14
            self.more += 1
        return gone


class Report:
    """A result under construction.

    Args:
        style: How much is shown.
    """

    __slots__ = ("_limit", "_parts", "style")

    def __init__(self, style: Style = FULL) -> None:
        self.style = style
        self._limit = style.limit
        self._parts: list[str | _Table] = []

    def long(self) -> Report:
        """Allow more characters, because the caller chose the size."""
        self._limit = self.style.long_limit
        return self

    @property
    def room(self) -> int:
        """How many characters the result may have."""
        return self._limit

    def fields(self, **values: Any) -> Report:
        """Add one line of `key: value` pairs."""
        self._parts.append("  ".join([f"{key}: {value(item)}" for key, item in values.items()]))
        return self

    def details(self, **values: Any) -> Report:
        """Add one line of pairs that short styles leave out."""
        return self.fields(**values) if self.style.details else self

    def line(self, text: str) -> Report:
        """Add one line as it is."""
        self._parts.append(text)
        return self

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        details: int = 0,
        more: int = 0,
        keep_last: bool = False,
    ) -> Report:
        """Add a CSV table.

        Args:
            columns: Names of the columns.
            rows: Texts of the cells; `cell` makes free text safe.
            details: How many of the last columns short styles leave out.
            more: How many rows there are beyond these.
            keep_last: Whether the last rows matter most, as in a series of times.
        """
        width = len(columns) if self.style.details or not details else len(columns) - details
        lines = [",".join(row[:width]) for row in rows]
        return self.rows(columns[:width], lines, more=more, keep_last=keep_last)

    def rows(self, columns: Sequence[str], lines: list[str], *, more: int = 0, keep_last: bool = False) -> Report:
        """Add a CSV table whose lines are written already; arguments as of `table`."""
        surplus = len(lines) - self.style.rows
        if surplus > 0:
            lines = lines[surplus:] if keep_last else lines[:-surplus]
            more += surplus
        self._parts.append(_Table(",".join(columns), lines, more, keep_last))
        return self

    def text(self) -> str:
        """Return the result, no longer than the style allows."""
        text = self._joined()
        surplus = len(text) - self._limit
        if surplus <= 0:
            return text
        for part in reversed(self._parts):
            if isinstance(part, _Table) and surplus > 0:
                surplus -= part.drop(surplus)
        text = self._joined()
        return text if len(text) <= self._limit else _cut(text, self._limit)

    def _joined(self) -> str:
        lines: list[str] = []
        for part in self._parts:
            if type(part) is str:
                lines.append(part)
            else:
                assert isinstance(part, _Table)
                lines += part.lines()
        return "\n".join(lines)


def _cut(text: str, limit: int) -> str:
    """Leave out whole lines, or the end of the only line, and say how many."""
    lines = text.split("\n")
    kept, length = 0, 16
    while kept < len(lines) and length + len(lines[kept]) + 1 <= limit:
        length += len(lines[kept]) + 1
        kept += 1
    if kept == 0:
        return f"{text[: limit - 1]}…"
    return "\n".join([*lines[:kept], f"…(+{len(lines) - kept} more)"])
