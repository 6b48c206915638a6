"""Texts of tools in the languages there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

from telegym.envs.base_station.alarms import dictionary
from telegym.envs.base_station.kpi import kpi, kpi_names
from telegym.tools.base_station.calculator import CALCULATIONS

__all__ = ["Passage", "passages", "tool_texts"]


class Passage(NamedTuple):
    """A passage of the knowledge base."""

    id: str
    """Name, for example `CALC-noise_floor`."""
    title: str
    """What it is about."""
    text: str
    """What it says."""


@lru_cache(maxsize=4)
def tool_texts(language: str) -> dict[str, Any]:
    """Return the descriptions of tools and parameters, by tool."""
    text = resources.files("telegym.tools.base_station").joinpath("descriptions.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@lru_cache(maxsize=4)
def passages(language: str) -> tuple[Passage, ...]:
    """Return the knowledge base: what indicators mean, what alarms are about, what the calculator needs."""
    return (*_indicators(), *_alarms(), *_calculations())


def _indicators() -> Iterator[Passage]:
    for name in kpi_names():
        meaning = kpi(name)
        yield Passage(f"KPI-{name}", f"indicator {name}", f"{meaning.title} Unit: {meaning.unit}.")


def _alarms() -> Iterator[Passage]:
    for kind in dictionary().values():
        said = f"{kind.A} | {kind.B} | {kind.C}"
        about = f"Probable cause: {kind.cause}. Customers notice: {kind.service}. {kind.repair}"
        yield Passage(f"ALARM-{kind.key}", said, about)


def _calculations() -> Iterator[Passage]:
    for name, calculation in CALCULATIONS.items():
        needed = [
            f"{key} ({spec.low:g} to {spec.high:g}{_default(spec.default)})" for key, spec in calculation.inputs.items()
        ]
        yield Passage(f"CALC-{name}", f"calculator {name.replace('_', ' ')}", f"Inputs: {', '.join(needed)}.")


def _default(value: float | None) -> str:
    return "" if value is None else f", default {value:g}"
