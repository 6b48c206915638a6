"""The knowledge base: what alarms and indicators mean and what the calculator needs, and a search in it.

A passage exists in every language. A search looks at the words of all of them and answers in one, so that an English
question finds a Chinese passage and the other way round, and what comes first is the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

from telegym.envs.base_station.alarms import AlarmKind, dictionary
from telegym.envs.base_station.kpi import kpi, kpi_names
from telegym.tools.base_station._texts import LANGUAGES, text_file
from telegym.tools.base_station.calculator import CALCULATIONS, Input

__all__ = ["Passage", "passages", "search"]

TITLE_WEIGHT = 3.0
"""How much more a word counts in a title."""


class Passage(NamedTuple):
    """A passage of the knowledge base."""

    id: str
    """Name, for example `CALC-noise_floor`."""
    title: str
    """What it is about."""
    text: str
    """What it says."""


# --- passages ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=len(LANGUAGES))
def passages(language: str) -> tuple[Passage, ...]:
    """Return the knowledge base: indicators, alarms, calculations, in the same order in every language."""
    said: dict[str, Any] = yaml.safe_load(text_file(f"knowledge-{language}.yaml"))
    return (*_indicators(said), *_alarms(said), *_calculations(said))


def _indicators(said: dict[str, Any]) -> Iterator[Passage]:
    phrases = said["phrases"]
    for name in kpi_names():
        meaning = kpi(name)
        own = said["indicators"][name] if "indicators" in said else {"title": meaning.title, "unit": meaning.unit}
        title = phrases["indicator"].format(name=name, **own)
        yield Passage(f"KPI-{name}", title, phrases["indicator_text"].format(**own))


def _alarms(said: dict[str, Any]) -> Iterator[Passage]:
    phrases = said["phrases"]
    for kind in dictionary().values():
        own = said["alarms"][kind.key] if "alarms" in said else {"title": "", "repair": kind.repair}
        yield Passage(
            f"ALARM-{kind.key}",
            phrases["alarm"].format(vendors=_vendors(kind), **own),
            phrases["alarm_text"].format(cause=kind.cause, service=said["service"][kind.service], **own),
        )


def _vendors(kind: AlarmKind) -> str:
    return f"{kind.A} | {kind.B} | {kind.C}"


def _calculations(said: dict[str, Any]) -> Iterator[Passage]:
    phrases = said["phrases"]
    for name, calculation in CALCULATIONS.items():
        own = said["calculations"][name]
        meanings = own.get("inputs", {})
        needed = [_input(phrases, key, spec, meanings.get(key)) for key, spec in calculation.inputs.items()]
        yield Passage(
            f"CALC-{name}",
            phrases["calculation"].format(**own),
            phrases["calculation_text"].format(inputs=phrases["separator"].join(needed)),
        )


def _input(phrases: dict[str, str], name: str, spec: Input, meaning: str | None) -> str:
    rule = ""
    if spec.default is not None:
        rule = phrases["default"].format(value=_amount(spec.default))
    elif spec.optional:
        rule = phrases["optional"]
    pattern = phrases["input"] if meaning is None else phrases["meant_input"]
    return pattern.format(name=name, meaning=meaning, low=_amount(spec.low), high=_amount(spec.high), rule=rule)


def _amount(value: float) -> str:
    return str(round(value)) if value == round(value) else f"{value:g}"


# --- search -----------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """A passage as the search sees it."""

    place: int
    title: frozenset[str]
    text: frozenset[str]


@lru_cache(maxsize=1)
def _entries() -> tuple[tuple[_Entry, ...], Counter[str]]:
    """Return the words of all passages in all languages, and how many passages hold each."""
    found = []
    for place, versions in enumerate(zip(*(passages(language) for language in LANGUAGES), strict=True)):
        title = frozenset[str]().union(*(_words(f"{item.id} {item.title}") for item in versions))
        text = frozenset[str]().union(*(_words(item.text) for item in versions))
        found.append(_Entry(place, title, text))
    return tuple(found), Counter(word for entry in found for word in entry.title | entry.text)


def search(query: str, language: str, limit: int) -> list[Passage]:
    """Return the passages that share most words with a query; rare words and titles count more.

    Args:
        query: Words in any of the languages.
        language: Language of the answer.
        limit: Most passages.
    """
    entries, holders = _entries()
    asked = {word: 1.0 / (1 + holders[word]) for word in _words(query, single=False) if word in holders}
    scored = []
    for entry in entries:
        score = sum(
            weight * (TITLE_WEIGHT if word in entry.title else 1.0)
            for word, weight in sorted(asked.items())
            if word in entry.title or word in entry.text
        )
        if score > 0:
            scored.append((-round(score, 9), entry.place))
    known = passages(language)
    return [known[place] for _, place in sorted(scored)[:limit]]


def _words(text: str, *, single: bool = True) -> set[str]:
    """Return the words of a text in the singular; of Chinese, which has no spaces, all pairs of characters.

    Args:
        text: Any text; full-width letters and digits count as plain ones.
        single: Whether single characters count too; if not, only where one stands alone.
    """
    plain = unicodedata.normalize("NFKC", text).replace("_", " ")
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    found = re.findall(r"[a-z0-9]{2,}", f"{plain} {apart}".lower())
    words = {_singular(word) for word in found}
    for run in re.findall(r"[\u4e00-\u9fff]+", plain):
        words |= {run[index : index + 2] for index in range(len(run) - 1)}
        words |= set(run) if single or len(run) == 1 else set()
    return words


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
