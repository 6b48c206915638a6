"""What tools and their parameters are about, in the languages there are."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from telegym.core.errors import ConfigurationError, did_you_mean

__all__ = ["LANGUAGES", "ToolText", "text_file", "tool_texts"]

LANGUAGES = ("en", "zh")
"""Languages there are."""


class ToolText(NamedTuple):
    """The sentences of one tool."""

    description: str
    """What it shows or does, what must hold before, what it interrupts and how long it takes."""
    parameters: dict[str, str]
    """What each parameter is."""
    items: dict[str, str]
    """What an entry is, of those parameters that are lists."""


def text_file(name: str) -> str:
    """Return one of the files of texts."""
    return resources.files("telegym.tools.base_station").joinpath("texts", name).read_text(encoding="utf-8")


@lru_cache(maxsize=len(LANGUAGES))
def tool_texts(language: str) -> dict[str, ToolText]:
    """Return the texts of all tools by name.

    Args:
        language: `en` or `zh`; names and values are the same in both.

    Raises:
        ConfigurationError: If there is no such language.
    """
    if language not in LANGUAGES:
        hint = did_you_mean(language, LANGUAGES)
        raise ConfigurationError(f"no language {language!r}.{hint} Valid: {', '.join(LANGUAGES)}")
    found = json.loads(text_file(f"{language}.json"))
    return {
        name: ToolText(entry["description"], entry["parameters"], entry.get("items", {}))
        for name, entry in found.items()
    }
