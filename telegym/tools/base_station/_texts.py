"""Texts of tools in the languages there are."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

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
    """Return the knowledge base."""
    return ()
