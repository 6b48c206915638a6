"""Concepts: the things on a phone that a text mentions, and what it says about them by name or number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from telegym.agents.users.lexicon import grammar, grammar_table, lexicon
from telegym.agents.users.readings import SWITCH_TOOLS

__all__ = [
    "SWITCHES",
    "Found",
    "apn_settings",
    "app_name",
    "find_concepts",
    "mode_name",
    "network_mode",
    "permission_names",
    "states",
]

SWITCHES = (*SWITCH_TOOLS, "vpn")
"""What can be on or off."""


class Found(NamedTuple):
    """A mention of something in a text."""

    concept: str
    """What."""
    start: int
    """Where it begins."""
    end: int
    """Where it ends."""
    text: str
    """The words."""


def find_concepts(text: str) -> list[Found]:
    """Return everything a text mentions, in order."""
    found: list[Found] = []
    for concept, pattern in lexicon().concepts:
        for match in pattern.finditer(text):
            if not any(match.start() < other.end and other.start < match.end() for other in found):
                found.append(Found(concept, match.start(), match.end(), match[0]))
    return sorted(found, key=lambda each: each.start)


def permission_names(text: str, loose: bool = False) -> tuple[str, ...]:
    """Return the permissions that a text names, in the order in which it names them.

    Args:
        text: The text.
        loose: Whether the names alone are enough, because permissions are what is talked about.
    """
    hits = [
        (found.start(), name) for name, pattern in grammar_table("permission_names") if (found := pattern.search(text))
    ]
    about = re.search(r"permission|access|grant|allow|\bapp\b|both", text) or re.match(r"\W*(?:sms|storage)", text)
    if not (about or loose):
        return ()
    return tuple(name for _, name in sorted(hits))


def app_name(text: str) -> str | None:
    """Return the app that a text names."""
    if grammar("messaging_app").search(text):
        return "messaging"
    if grammar("browser_app").search(text):
        return "browser"
    named = grammar("other_app").search(text)
    return named[1] if named else None


def apn_settings(text: str) -> dict[str, Any]:
    """Return the APN settings that a text spells out."""
    settings: dict[str, Any] = {}
    joint = r"(?: name| url| address| field| value| setting)?(?: should be| must be| is| to| as)?\W{0,4}"
    if found := re.search(rf"\bapn(?: settings)?{joint}\b(internet|broken)\b", text):
        settings["apn_name"] = found[1]
    if found := re.search(r"(https?://[^\s,;\"')]+)", text):
        settings["mmsc_url"] = found[1].rstrip(".")
    if found := re.search(r"\bport\b\D{0,12}(\d{2,5})\b", text):
        settings["mms_port"] = int(found[1])
    if found := grammar("apn_proxy").search(text):
        settings["mms_proxy"] = found[1]
    if found := grammar("apn_mms").search(text):
        settings["mms_apn"] = found[1]
    return settings


def network_mode(text: str, values: list[Found]) -> str | None:
    """Return the network mode a text asks for."""
    wanted = [v for v in values if not grammar("mode_left").search(text[: v.start])]
    if len(wanted) > 1 and (target := [v for v in wanted if grammar("mode_chosen").search(text[: v.start])]):
        wanted = (
            target if len(target) == 1 and not re.search(r"\b(?:or|and|/)\s*$", text[: target[0].start]) else wanted
        )
    names = {mode_name(each.text, text[each.end :]) for each in wanted}
    if len(names) == 1:
        return next(iter(names))
    if "4g_5g_preferred" in names:
        return "4g_5g_preferred"
    if names:
        best = [each for each in ("4g_only", "3g_only", "2g_only") if each in names]
        return "4g_5g_preferred" if grammar("at_least").search(text) else best[0]
    if grammar("fast_mode").search(text):
        return "4g_5g_preferred"
    return None


def mode_name(value: str, after: str) -> str:
    """Return the network mode meant by words such as `4g only`, given the words that follow."""
    if "5g" in value or "auto" in value or ("preferred" in value and "4g" not in value):
        return "4g_5g_preferred"
    if grammar("or_higher").match(after):
        return "4g_5g_preferred"
    return {"2": "2g_only", "3": "3g_only"}.get(value[0], "4g_only")


def states(text: str, start: int = 0, end: int | None = None, particles: bool = False) -> list[bool]:
    """Return the switch positions that a text asks for, in order: True for on.

    Args:
        text: The text.
        start: Where to begin.
        end: Where to end; None for the end of the text.
        particles: Whether only the words on and off count, not verbs such as enable.
    """
    return [
        state for state, particle in _markers(text, start, len(text) if end is None else end) if particle >= particles
    ]


def _markers(text: str, start: int, end: int) -> Iterator[tuple[bool, bool]]:
    for found in grammar("on_or_off").finditer(text, start, end):
        particle = re.search(r"\b(?:on|off)\b", found[0]) is not None
        yield (found["on"] or found["on_particle"]) is not None, particle


def without_repeats(values: list[bool]) -> list[bool]:
    """Return the values without those that equal the one before."""
    return [value for index, value in enumerate(values) if index == 0 or values[index - 1] != value]
