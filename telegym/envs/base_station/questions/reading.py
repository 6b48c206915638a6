"""Reading what tools print: pairs, tables, series. Players know nothing else of the network."""

from __future__ import annotations

import csv
from typing import Any, NamedTuple

from telegym.envs.base_station.players.steps import Call, Steps

__all__ = ["Answer", "Unanswerable", "calculate", "fields", "look", "pages", "series", "table"]


class Answer(NamedTuple):
    """What a player submits."""

    text: str
    """The answer."""
    unit: str = ""
    """Its unit."""


class Unanswerable(Exception):
    """What tools say leaves a question without an answer."""


def look(tool: str, **arguments: Any) -> Steps[str]:
    """Call a tool and return its text.

    Raises:
        Unanswerable: If it refuses.
    """
    reply = yield Call(tool, arguments)
    if reply.error:
        raise Unanswerable(reply.text)
    return reply.text


def fields(text: str) -> dict[str, str]:
    """Return the `key: value` pairs of a result; the first of equal keys counts."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        for item in line.split("  "):
            key, mark, value = item.partition(": ")
            if mark:
                found.setdefault(key, value)
    return found


def table(text: str, first: str) -> list[dict[str, str]]:
    """Return the rows of the table whose first column has a name; empty if there is none."""
    lines = text.split("\n")
    heads = [place for place, line in enumerate(lines) if line.split(",")[0] == first]
    if not heads:
        return []
    columns, rows = lines[heads[0]].split(","), []
    for cells in csv.reader(lines[heads[0] + 1 :]):
        if len(cells) == len(columns):
            rows.append(dict(zip(columns, cells, strict=True)))
        elif not (cells and cells[0].startswith("…")):
            break
    return rows


def series(text: str, kpi: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return an indicator by time, and what is normal at those times; times without a value are left out."""
    rows = [row for row in table(text, "time") if "|" not in row[kpi] and row["time"] != "ref_4wk_same_hours"]
    last = next(line for line in text.split("\n") if line.startswith("ref_4wk_same_hours,"))
    place = text.split("\n")[0].split(",").index(kpi)
    usual = last.split(",")[place].split("|")
    times = [row["time"] for row in rows]
    values = {time: float(row[kpi]) for time, row in zip(times, rows, strict=True) if row[kpi] != "-"}
    return values, {time: float(item) for time, item in zip(times, usual, strict=True) if item != "-"}


def pages(first: str, **arguments: Any) -> Steps[list[dict[str, str]]]:
    """Return all rows of a list of alarms, page by page: long pages are cut, so what was shown is counted."""
    rows: list[dict[str, str]] = []
    while True:
        text = yield from look("list_alarms", **arguments, limit=40, offset=len(rows))
        page = table(text, first)
        rows += page
        if not page or len(rows) >= int(fields(text)["total"].split()[0]):
            return rows


def calculate(quantity: str, **inputs: float) -> Steps[dict[str, str]]:
    """Return the results of the calculator."""
    text = yield from look("compute_radio_quantity", quantity=quantity, inputs=inputs)
    return fields(text)
