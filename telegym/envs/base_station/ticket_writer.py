"""Tickets in the voice of who reports them.

Eight sources write tickets: three systems, which know identifiers, indicators and alarms, and five kinds of people,
who know places, roads and what does not work. A ticket is made from a `Symptom`, which holds nothing but what a source
could observe; no cause can leak from it, for none is in it. Every source has two disjoint sets of templates, one to
learn from and one for tests, in every language.

How far a ticket can be trusted is a level:

- 0: everything is exact, identifiers included.
- 1: people name places; only systems name identifiers.
- 2: also, with a probability of 0.3 each, the neighbouring site is named instead, or the time is up to 40 minutes off.
- 3: also, people name an area, cells are not listed, details are missing and people mistype words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import yaml

from telegym.core.errors import ConfigurationError, TaskError, did_you_mean
from telegym.envs.base_station.engine import time_text
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.ticket_grammar import Piece, Sequence, parse, render, required_slots, slots

__all__ = [
    "HUMAN_SOURCES",
    "KINDS",
    "LANGUAGES",
    "SLOTS",
    "SOURCES",
    "Symptom",
    "Template",
    "TicketText",
    "suitable_sources",
    "templates",
    "write_ticket",
]

LANGUAGES = ("en", "zh")
"""Languages that tickets are written in."""
KINDS = (
    *("outage", "degraded", "alarm", "audit", "interference", "overload", "planned", "uplink", "mobility"),
    "prevention",
)
"""Kinds of symptom."""
HUMAN_SOURCES = ("customer_care", "enterprise_customer", "field_report", "drive_test", "neighbour_operator")
"""Sources that are people."""
SOURCES = ("alarm_correlation", "audit", "son", *HUMAN_SOURCES)
"""All sources of tickets."""
VARIANTS = ("A", "B")
"""Sets of templates: A to learn from, B for tests."""
SLOTS = frozenset(
    (
        *("site", "place", "where", "address", "cells", "count", "since", "neighbour", "indicator", "link", "road"),
        *("complaints", "alarm", "pci", "rsrp", "measured", "design", "work", "company", "contract", "crew"),
        "operator",
    )
)
"""Names that templates can use in braces."""

_WRONG_SITE = 0.3
_WRONG_TIME = 0.3
_WRONG_BY_MIN = (5, 40)
_MISSING = 0.3
_VAGUE_TIME = 0.3
_TYPO = 0.06
_HOMOPHONE = 0.12
_SHOWN_CELLS = 6
_WORD = re.compile(r"[A-Za-z][a-z]{3,}")
_BEFORE_LATIN = re.compile(r"(?<=[一-鿿])(?=[A-Za-z0-9-])|(?<=[A-Za-z0-9])(?=[一-鿿])")
_DATE = re.compile(r"(\d+) 月 (\d+) 日")
_START = re.compile(r"(^|[.?!] )([a-z]\w*)")


class Symptom(NamedTuple):
    """What a source can observe; never why it is so. What is empty or None is not known."""

    kind: str
    """One of `KINDS`."""
    site_id: str
    """Site that the trouble seems to be at, for example `S012`."""
    place: str
    """Name of its place."""
    cells: tuple[str, ...] = ()
    """Cells concerned."""
    count: int = 0  # type: ignore[assignment]  # hides a method of tuples that nobody needs here
    """Number of cells without service."""
    since_s: int = 0
    """When it began, in seconds of simulated time."""
    neighbour_site_id: str = ""
    """A site nearby: named by mistake, or the other side of a movement."""
    neighbour_place: str = ""
    """Name of its place."""
    indicator: str = ""
    """Indicator, or item of an audit, that stands out."""
    link_id: str = ""
    """Transport link that alarms are about."""
    road: str = ""
    """Road of a drive test; drawn if empty."""
    complaints: int = 0
    """Number of complaints; from 2 to 7 are drawn if 0, and one alone is not counted in the text."""
    alarm_text: str = ""
    """Alarm as a management system shows it."""
    pci: int | None = None
    """Physical cell identity that was measured."""
    rsrp_dbm: float | None = None
    """Reference signal received power that was measured, in dBm."""
    measured_min: int | None = None
    """A duration that an audit observed, for example of battery operation, in minutes."""
    design_min: int | None = None
    """The duration it should have been, in minutes; both are mentioned only if what was observed is shorter."""
    work: str = ""
    """Work that is due, in the language of the ticket."""


class TicketText(NamedTuple):
    """A ticket as its source wrote it."""

    source: str
    """One of `SOURCES`."""
    human: bool
    """Whether a person wrote it."""
    title: str
    """First line."""
    body: str
    """What is reported."""
    scope: tuple[str, ...]
    """Identifiers of what is meant, as reported: the site whose place the text names, rightly or not, and the cells
    that it lists; for an area also the other site."""


class Template(NamedTuple):
    """A text with slots."""

    kinds: tuple[str, ...]
    """Kinds of symptom that it suits."""
    title: Sequence
    """First line."""
    body: Sequence
    """Text."""
    needs: frozenset[str]
    """Slots without which it cannot be used."""


@dataclass(frozen=True, slots=True)
class _Account:
    """What a source believes, and how precisely it says so."""

    symptom: Symptom
    mistaken: bool
    language: str
    level: int
    human: bool
    seed: int

    @property
    def style(self) -> Literal["exact", "named", "area"]:
        """How places are named by people."""
        return "exact" if self.level == 0 else "named" if self.level < 3 else "area"

    def draw(self, name: str) -> str:
        """Return one of the words of a list."""
        return str(choice(_words(self.language)[name], self.seed, "ticket", name))


def write_ticket(
    symptom: Symptom,
    *,
    language: str = "en",
    variant: str = "A",
    imprecision: int = 0,
    seed: int,
    sources: tuple[str, ...] | None = None,
) -> TicketText:
    """Write a ticket about a symptom.

    Args:
        symptom: What can be observed.
        language: One of `LANGUAGES`.
        variant: Set of templates: `A` to learn from, `B` for tests.
        imprecision: How far the ticket is from exact, 0 to 3.
        seed: Decides who writes, which words, and which mistakes.
        sources: Who may write; None for all that suit the symptom.

    Raises:
        ConfigurationError: If a language, variant, level or source does not exist.
        TaskError: If the kind of symptom does not exist or no allowed source has anything to say about it.
    """
    if imprecision not in range(4):
        raise ConfigurationError(f"no imprecision {imprecision!r}; valid: 0, 1, 2, 3")
    able = suitable_sources(symptom, language=language, variant=variant, sources=sources)
    if not able:
        raise TaskError(f"no source among {', '.join(sources or SOURCES)} can write about {symptom.kind!r}: {symptom}")
    fitting = [(source, *found) for source in able for found in _fitting(symptom, language, source, variant)]
    source, index, template = choice(fitting, seed, "ticket template")
    human = source in HUMAN_SOURCES
    believed = _believed(symptom, imprecision, seed)
    account = _Account(believed, believed.site_id != symptom.site_id, language, imprecision, human, seed)
    values = _values(account)
    title, body = (
        _finished(account, values, nodes, f"ticket {source} {variant}{index} {name}")
        for name, nodes in (("title", template.title), ("body", template.body))
    )
    return TicketText(source, human, title, body, _scope(account, slots(template.title) | slots(template.body)))


def suitable_sources(
    symptom: Symptom, *, language: str = "en", variant: str = "A", sources: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """Return the sources that have a template for a symptom, of all or of those given.

    Raises:
        ConfigurationError: If a language, variant or source does not exist.
        TaskError: If the kind of symptom does not exist.
    """
    _one_of("language", language, LANGUAGES)
    _one_of("variant", variant, VARIANTS)
    for source in sources or ():
        _one_of("source", source, SOURCES)
    if symptom.kind not in KINDS:
        raise TaskError(f"no kind {symptom.kind!r}; valid: {', '.join(KINDS)}.{did_you_mean(symptom.kind, KINDS)}")
    return tuple(
        source
        for source in SOURCES
        if (sources is None or source in sources) and _fitting(symptom, language, source, variant)
    )


def _one_of(what: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ConfigurationError(
            f"no ticket {what} {value!r}; valid: {', '.join(options)}.{did_you_mean(value, options)}"
        )


# --- templates --------------------------------------------------------------------------------------------


@cache
def templates(language: str, source: str) -> dict[str, tuple[Template, ...]]:
    """Return the templates of a source by set.

    Raises:
        TaskError: If a template has an unknown kind or slot, or brackets that do not match.
    """
    sets: dict[str, list[dict[str, Any]]] = _read(language, source)
    return {name: tuple(_template(f"{language}/{source}", row) for row in sets[name]) for name in VARIANTS}


def _template(file: str, row: dict[str, Any]) -> Template:
    title, body = parse(row["title"]), parse(row["body"])
    for kind in row["kinds"]:
        if kind not in KINDS:
            raise TaskError(f"{file}: no kind {kind!r} ({row['title']!r}); valid: {', '.join(KINDS)}")
    for slot in sorted(slots(title) | slots(body)):
        if slot not in SLOTS:
            raise TaskError(f"{file}: no slot {slot!r} ({row['title']!r}).{did_you_mean(slot, SLOTS)}")
    return Template(tuple(row["kinds"]), title, body, required_slots(title) | required_slots(body))


@cache
def _words(language: str) -> dict[str, Any]:
    found: dict[str, Any] = _read(language, "words")
    return found


def _read(language: str, name: str) -> Any:
    folder = resources.files("telegym.envs.base_station").joinpath("texts", language, "tickets")
    return yaml.safe_load(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def _fitting(symptom: Symptom, language: str, source: str, variant: str) -> list[tuple[int, Template]]:
    """Return the templates that suit a symptom and need nothing that is not known, with their positions."""
    known = _known(symptom)
    rows = enumerate(templates(language, source)[variant])
    return [(index, row) for index, row in rows if symptom.kind in row.kinds and row.needs <= known]


def _known(symptom: Symptom) -> frozenset[str]:
    """Return the slots that a symptom can fill; those that are drawn are always known."""
    unknown = {
        "cells": not symptom.cells,
        "count": not symptom.count,
        "neighbour": not (symptom.neighbour_site_id and symptom.neighbour_place),
        "indicator": not symptom.indicator,
        "link": not symptom.link_id,
        "complaints": symptom.complaints == 1,
        "alarm": not symptom.alarm_text,
        "pci": symptom.pci is None,
        "rsrp": symptom.rsrp_dbm is None,
        "measured": not _is_short(symptom),
        "design": not _is_short(symptom),
        "work": not symptom.work,
    }
    return SLOTS - {name for name, is_unknown in unknown.items() if is_unknown}


def _is_short(symptom: Symptom) -> bool:
    measured, design = symptom.measured_min, symptom.design_min
    return measured is not None and design is not None and measured < design


# --- mistakes ---------------------------------------------------------------------------------------------


def _believed(symptom: Symptom, level: int, seed: int) -> Symptom:
    """Return a symptom as its source believes it to be."""
    if level < 2:
        return symptom
    if uniform(seed, "ticket time wrong") < _WRONG_TIME:
        minutes = integer(*_WRONG_BY_MIN, seed, "ticket time")
        sign = choice((-1, 1), seed, "ticket time sign")
        symptom = symptom._replace(since_s=max(0, symptom.since_s + 60 * sign * minutes))
    if "neighbour" in _known(symptom) and uniform(seed, "ticket site wrong") < _WRONG_SITE:
        symptom = symptom._replace(
            site_id=symptom.neighbour_site_id,
            place=symptom.neighbour_place,
            neighbour_site_id=symptom.site_id,
            neighbour_place=symptom.place,
        )
    return symptom


def _scope(account: _Account, used: frozenset[str]) -> tuple[str, ...]:
    symptom = account.symptom
    if account.human and account.level == 3 and symptom.neighbour_site_id:
        return (symptom.site_id, symptom.neighbour_site_id)
    return (symptom.site_id, *(symptom.cells if "cells" in used and _names_cells(account) else ()))


def _names_cells(account: _Account) -> bool:
    """Return whether cells are listed: not by people who name places, nor by who means another site."""
    return account.level == 0 if account.human else account.level < 3 and not account.mistaken


# --- words ------------------------------------------------------------------------------------------------


def _values(account: _Account) -> dict[str, str]:
    """Return what stands in the slots; an empty string for what is not known."""
    symptom, known = account.symptom, _known(account.symptom)
    values = {
        "site": symptom.site_id,
        "place": _place(account, "place"),
        "where": _place(account, "where"),
        "address": _place(account, "address"),
        "cells": _cells(account),
        "count": _count(account),
        "since": _since(account),
        "neighbour": _neighbour(account),
        "indicator": symptom.indicator,
        "link": symptom.link_id,
        "road": symptom.road or account.draw("roads"),
        "complaints": str(symptom.complaints or integer(2, 7, account.seed, "ticket complaints")),
        "alarm": symptom.alarm_text,
        "pci": str(symptom.pci),
        "rsrp": f"{symptom.rsrp_dbm or 0.0:.0f} dBm",
        "measured": _minutes(account, symptom.measured_min),
        "design": _minutes(account, symptom.design_min),
        "work": symptom.work,
        "company": account.draw("companies"),
        "contract": f"EC-{integer(10_000, 99_999, account.seed, 'ticket contract')}",
        "crew": account.draw("crews"),
        "operator": account.draw("operators"),
    }
    return {name: text if name in known else "" for name, text in values.items()}


def _place(account: _Account, slot: str) -> str:
    """Return a place as it is named, alone, with a preposition or as an address."""
    symptom, forms = account.symptom, _words(account.language)[slot]
    options = list(forms[account.style])
    if account.style == "area" and symptom.neighbour_place:
        options += forms.get("between", ())
    return str(choice(options, account.seed, "ticket", slot)).format(
        place=symptom.place,
        site=symptom.site_id,
        neighbour=symptom.neighbour_place,
        street=account.draw("streets"),
        number=integer(1, 98, account.seed, "ticket house"),
    )


def _neighbour(account: _Account) -> str:
    symptom = account.symptom
    if not account.human:
        return symptom.neighbour_site_id
    style = "exact" if account.level == 0 else "named"
    pattern: str = _words(account.language)["place"][style][0]
    return pattern.format(place=symptom.neighbour_place, site=symptom.neighbour_site_id)


def _cells(account: _Account) -> str:
    symptom, forms = account.symptom, _words(account.language)["cells"]
    if not _names_cells(account):
        return str(forms["place" if account.human else "site"]).format(place=symptom.place, site=symptom.site_id)
    shown = ", ".join(symptom.cells[:_SHOWN_CELLS])
    total = len(symptom.cells)
    return shown if total <= _SHOWN_CELLS else forms["more"].format(shown=shown, more=total - _SHOWN_CELLS, total=total)


def _count(account: _Account) -> str:
    forms, count = _words(account.language)["count"], account.symptom.count
    return str(forms["one" if count == 1 else "many"]).format(count=count)


def _minutes(account: _Account, minutes: int | None) -> str:
    return str(_words(account.language)["minutes"]).format(minutes=minutes)


def _since(account: _Account) -> str:
    """Return a time: as systems write it, as people write it, roughly, or only the part of the day."""
    stamp = time_text(account.symptom.since_s)
    if not account.human:
        return stamp[:-3]
    words = _words(account.language)
    date, clock = stamp[:-3].split("T")
    month, day = map(int, date.split("-"))
    if account.level == 3 and uniform(account.seed, "ticket time vague") < _VAGUE_TIME:
        part = words["parts"][int(clock[:2]) // 6]
        return str(words["time"]["part"]).format(month=month, day=day, part=part)
    time = str(words["time"]["person"]).format(month=month, day=day, clock=clock)
    return time if account.level < 2 else str(words["time"]["about"]).format(time=time)


# --- typing -----------------------------------------------------------------------------------------------


def _finished(account: _Account, values: Mapping[str, str], nodes: Sequence, key: str) -> str:
    """Return a text with its slots filled, mistyped where people do so, spaced and capitalised."""
    missing = _MISSING if account.level == 3 else 0.0
    pieces = render(nodes, values, account.seed, key, missing=missing)
    noisy = account.human and account.level == 3
    texts = (_mistyped(account, piece, f"{key} {index}") if noisy else piece.text for index, piece in enumerate(pieces))
    text = re.sub(" +", " ", _joined(texts)).strip()
    if account.language == "zh":
        return _DATE.sub(r"\1月\2日", _BEFORE_LATIN.sub(" ", text))
    return _START.sub(lambda found: found[1] + _capitalised(found[2]), text)


def _joined(texts: Iterable[str]) -> str:
    """Return texts one after the other, with a space between names that would run together."""
    whole = ""
    for text in texts:
        whole += " " + text if whole[-1:].isascii() and whole[-1:].isalnum() and text[:1].isupper() else text
    return whole


def _capitalised(word: str) -> str:
    """Return a word with a capital; names of indicators stay as they are."""
    return word if "_" in word else word[0].upper() + word[1:]


def _mistyped(account: _Account, piece: Piece, key: str) -> str:
    """Return a piece with typing errors: in words of the template only, so that nothing that is known suffers."""
    if piece.exact:
        return piece.text
    similar: dict[str, str] = _words(account.language)["homophones"]
    if not similar:
        return _WORD.sub(lambda found: _slip(found[0], account.seed, f"{key} {found.start()}"), piece.text)
    return "".join(
        similar[sign] if sign in similar and uniform(account.seed, key, index) < _HOMOPHONE else sign
        for index, sign in enumerate(piece.text)
    )


def _slip(word: str, seed: int, key: str) -> str:
    """Return a word, now and then with two letters swapped, one left out or one doubled; never the first or last."""
    if uniform(seed, key) >= _TYPO:
        return word
    at = integer(1, len(word) - 3, seed, key, "at")
    before, first, second, after = word[:at], word[at], word[at + 1], word[at + 2 :]
    return choice(
        (before + second + first + after, before + second + after, before + first * 2 + second + after),
        seed,
        key,
        "kind",
    )
