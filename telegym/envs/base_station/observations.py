"""What a sequence of tool results says: text in, typed facts out.

Results are lines of `key: value` pairs and CSV tables. `parse` reads them as such; `observe` turns those of known tools
into facts about elements. Text that nobody knows yields no facts and does no harm, and a table of which rows were left
out is never taken for all there is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, NamedTuple, Protocol

from telegym.envs.base_station.alarms import dictionary

__all__ = [
    "REGION",
    "CallLike",
    "Fact",
    "Listing",
    "Observations",
    "Parsed",
    "RecordLike",
    "Table",
    "as_number",
    "conclude",
    "kind_of",
    "layer_sector_of",
    "observe",
    "parse",
    "site_of",
    "take_in",
]

REGION = "region"
"""Subject of facts about everything."""
CHANGING = (
    *("set_", "reset_", "control_", "rollback_", "reroute_", "switch_", "update_alarm", "instruct_", "renew_"),
    *("activate_", "change_software", "manage_", "install_", "run_battery_test"),
)
"""How the names of tools begin that change a network; what is seen after them excludes nothing."""
COMPARED = (
    *("pci", "tac", "electrical_tilt_deg", "max_tx_power_dbm", "cell_barred", "es_wake_threshold_pct"),
    *("administrative_state", "vlan_id", "oam_vlan_id", "next_hop", "amf_ip"),
)
"""Parameters that a comparison of everything covers, as far as any cause is about them."""
DARK_DBM = -39.0
"""Level below which there is no light."""


# --- ids ---------------------------------------------------------------------------------------------------

_KINDS: tuple[tuple[str, str], ...] = (
    ("relation", r"S\d{3}-[LN]\d+-\d>S\d{3}-[LN]\d+-\d"),
    ("site", r"S\d{3}"),
    ("cell", r"S\d{3}-[LN]\d+-\d+"),
    ("ru", r"RU-\d{3}-[LN]\d+-\d+"),
    ("fronthaul", r"FH-\d{3}-[LN]\d+-\d+"),
    ("antenna", r"ANT-\d{3}-[LN]\d+-\d+-[A-H]"),
    ("breaker", r"PWR-\d{3}-[QBF]\d+"),
    ("power", r"PWR-\d{3}"),
    ("cabinet", r"CAB-\d{3}"),
    ("clock", r"CLK-\d{3}"),
    ("board", r"(?:ENB|GNB|DU)-\d{3}-B\d+"),
    ("node", r"(?:ENB|GNB|DU)-\d{3}"),
    ("port", r"(?:CSR-\d{3}|AGG-\d{2})-P\d+"),
    ("router", r"(?:CSR-\d{3}|AGG-\d{2})"),
    ("link", r"TL-\d{3}-(?:\d{3}|A\d{2})"),
    ("record", r"(?:INC|CR|WO|MW|ESC)-\d{5}"),
)
_NAMES_KEPT = 1 << 16
"""Ids of which it is remembered what they are."""
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
_SITE = re.compile(r"^S(\d{3})(?:$|-)|^(?:RU|FH|ANT|RET|PWR|CAB|CLK|CSR|ENB|GNB|DU)-(\d{3})(?:$|-)")
_SECTOR = re.compile(r"-([LN]\d+-\d+)(?:$|-[A-H]$|>)")


@lru_cache(maxsize=_NAMES_KEPT)
def kind_of(name: str) -> str | None:
    """Return what kind of element an id is of; None for what looks like no id."""
    for kind, pattern in _PATTERNS:
        if pattern.fullmatch(name):
            return kind
    return None


@lru_cache(maxsize=_NAMES_KEPT)
def site_of(name: str) -> str | None:
    """Return the site that an id is of; None for what stands between sites."""
    found = _SITE.match(name)
    return None if found is None else f"S{found[1] or found[2]}"


@lru_cache(maxsize=_NAMES_KEPT)
def layer_sector_of(name: str) -> str | None:
    """Return layer and sector that an id names, for example `L18-2`."""
    found = _SECTOR.search(name)
    return None if found is None else found[1]


# --- text --------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    """A CSV table of a result."""

    columns: tuple[str, ...]
    """Names of the columns."""
    rows: tuple[dict[str, str], ...]
    """Rows by column."""
    whole: bool
    """Whether no rows were left out."""


class Parsed(NamedTuple):
    """A result."""

    fields: dict[str, str]
    """Values by key; of a key that occurs twice, the first."""
    tables: tuple[Table, ...]
    """Tables in their order."""
    lines: tuple[str, ...]
    """All lines."""

    def table(self, column: str) -> Table | None:
        """Return the first table with a column; None if there is none."""
        return next((table for table in self.tables if column in table.columns), None)

    def rows(self, column: str) -> tuple[dict[str, str], ...]:
        """Return the rows of the first table with a column."""
        table = self.table(column)
        return table.rows if table is not None else ()

    def value(self, key: str, default: str = "-") -> str:
        """Return a value."""
        return self.fields.get(key, default)


_PAIR = re.compile(r"(?:^|  )([A-Za-z][\w]*): ")
_HEAD = re.compile(r"^[a-z][a-z0-9_]*(?:,[a-z][a-z0-9_]*)+$")
_MORE = re.compile(r"^…\(\+\d+ more\)$")


@lru_cache(maxsize=1024)
def parse(text: str) -> Parsed:
    """Return the pairs and tables of a result; nobody may change them, for the last results are kept."""
    lines = tuple(text.split("\n"))
    fields: dict[str, str] = {}
    tables: list[Table] = []
    place = 0
    while place < len(lines):
        if "," in lines[place] and _HEAD.match(lines[place]):
            table, place = _table(lines, place)
            tables.append(table)
            continue
        for key, value in _pairs(lines[place]):
            fields.setdefault(key, value)
        place += 1
    return Parsed(fields, tuple(tables), lines)


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    if ": " not in line:
        return
    found = list(_PAIR.finditer(line))
    ends = [*(item.start() for item in found[1:]), len(line)]
    for item, end in zip(found, ends, strict=False):
        yield item[1], line[item.end() : end].strip()


def _table(lines: Sequence[str], place: int) -> tuple[Table, int]:
    """Read a table that begins at a line; return it and the line after it."""
    columns = tuple(lines[place].split(","))
    rows: list[dict[str, str]] = []
    whole, place = True, place + 1
    while place < len(lines):
        line = lines[place]
        if line.startswith("…") and _MORE.match(line):
            whole, place = False, place + 1
            continue
        cells = line.split(",") if line and '"' not in line else next(csv.reader([line]), [])
        if len(cells) != len(columns):
            break
        rows.append(dict(zip(columns, cells, strict=True)))
        place += 1
    return Table(columns, tuple(rows), whole), place


def as_number(text: str) -> float | None:
    """Return the number that a text begins with; None if it begins with none."""
    found = _NUMBER.match(text)
    return float(found[0]) if found else None


_NUMBER = re.compile(r"\s*-?\d+(?:\.\d+)?")


# --- facts -------------------------------------------------------------------------------------------------


class CallLike(Protocol):
    """A tool call, as episodes record it."""

    @property
    def name(self) -> str:
        """Name of the tool."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Its arguments."""


class RecordLike(Protocol):
    """A call and its answer, as episodes record them."""

    @property
    def call(self) -> CallLike:
        """The call."""

    @property
    def content(self) -> str:
        """The answer."""

    @property
    def error(self) -> object | None:
        """Why it failed; None if it did not."""


class Fact(NamedTuple):
    """Something seen at an element."""

    subject: str
    """Id of the element, or `region`."""
    name: str
    """What was looked at, for example `administrative_state`."""
    value: str
    """What it was."""
    call: int
    """Index of the call."""


class Listing(NamedTuple):
    """A list that is known to be complete, so that what is not in it does not exist."""

    kind: str
    """`alarms` (active and cleared), `active_alarms`, `changes` or `notices`."""
    scope: str
    """What it is about: `region` or an element."""
    minutes: int
    """How far back it goes."""
    entries: frozenset[tuple[str, str]]
    """What is in it: name and element."""
    calls: tuple[int, ...]
    """Indices of the calls it is from."""


Note = Callable[[str, str, str], None]
Reader = Callable[["Observations", Mapping[str, Any], Parsed, Note], None]


@dataclass
class Observations:
    """All that was seen."""

    facts: dict[tuple[str, str], list[Fact]] = field(default_factory=dict)
    """Facts by subject and name."""
    listings: list[Listing] = field(default_factory=list)
    """Complete lists."""
    looked_at: dict[str, int] = field(default_factory=dict)
    """Sites that somebody asked about, with the first call."""
    first_change: int | None = None
    """Index of the first call that may have changed something."""
    subjects: dict[str, dict[str, None]] = field(default_factory=dict)
    """Ids that facts are about, by kind, in the order they appeared."""
    placed: dict[tuple[str, str | None], list[str]] = field(default_factory=dict)
    """The same ids by kind and site."""
    names: set[str] = field(default_factory=set)
    """Names of facts that were seen of anything."""
    worked_out: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was concluded of the lists so far, for who weighs causes; it is added to as lists are."""
    alarm_ids: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Key and object of alarms, by id."""
    pages: dict[tuple[Any, ...], dict[str, tuple[str, str]]] = field(default_factory=dict)
    """Alarms seen of lists that come in pages."""
    pages_of: dict[tuple[Any, ...], tuple[int, ...]] = field(default_factory=dict)
    """Calls that those pages are from."""
    now: datetime | None = None
    """The latest time that anything was told of."""
    present: int = 0
    """Index of the call that is being read."""

    def note(self, subject: str, name: str, value: str) -> None:
        """Keep a fact."""
        fact, known = Fact(subject, name, value, self.present), self.facts.get((subject, name))
        if known is not None:
            known.append(fact)
            return
        self.facts[subject, name] = [fact]
        self.names.add(name)
        kind = kind_of(subject)
        if kind is not None and subject not in (ids := self.subjects.setdefault(kind, {})):
            ids[subject] = None
            self.placed.setdefault((kind, site_of(subject)), []).append(subject)

    def hear(self, *times: str) -> None:
        """Take note of times that have passed."""
        for text in times:
            moment = _moment(text)
            if moment is not None and (self.now is None or moment > self.now):
                self.now = moment

    def of(self, subject: str, name: str) -> list[Fact]:
        """Return what was seen of something, oldest first."""
        return self.facts.get((subject, name), [])

    def latest(self, subject: str, name: str) -> str | None:
        """Return what was seen last of something; None if nothing was."""
        found = self.of(subject, name)
        return found[-1].value if found else None

    def known(self, kind: str) -> tuple[str, ...]:
        """Return the ids of a kind that something is known about."""
        return tuple(self.subjects.get(kind, ()))


@lru_cache(maxsize=_NAMES_KEPT)
def _moment(text: str) -> datetime | None:
    """Return the time that a text tells, with or without its year; only differences between times matter."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    return datetime.fromisoformat(f"{_YEAR}-{found[2]}")


_MOMENT = re.compile(r"(?:(\d{4})-)?(\d\d-\d\dT\d\d:\d\d(?::\d\d)?)")
_YEAR = 2031
"""Year of times that are told without one."""
SOON = timedelta(hours=24)
"""How soon something must end to be urgent."""


def observe(calls: Iterable[RecordLike]) -> Observations:
    """Return what calls and their answers say."""
    seen = Observations()
    for index, record in enumerate(calls):
        take_in(seen, index, record)
    conclude(seen)
    return seen


def take_in(seen: Observations, index: int, record: RecordLike) -> None:
    """Add what one more call says; `conclude` has to follow before anything is weighed.

    Args:
        seen: What was seen before; it is changed.
        index: Index of the call.
        record: The call and its answer.
    """
    seen.present = index
    name, arguments = record.call.name, record.call.arguments
    _focus(seen, arguments, index)
    if record.error is not None:
        _read_refusal(seen, name, arguments, record.content)
        return
    if name.startswith(CHANGING) and name != "run_battery_test" and seen.first_change is None:
        seen.first_change = index
    reader = _READERS.get(name)
    result = parse(record.content)
    if result.value("oam_state") == "LOST":
        _read_snapshot(seen, arguments, result)
    elif reader is not None:
        with suppress(KeyError):  # a result that has not the columns of its tool says nothing
            reader(seen, arguments, result, seen.note)


def conclude(seen: Observations) -> None:
    """Compare what was measured with how it should be; what is known already is not noted again."""
    for line in seen.known("antenna"):
        ratio, new = (as_number(seen.latest(line, name) or "") for name in ("vswr", "commissioned_vswr"))
        if ratio is not None and new is not None:
            _note_once(seen, line, "worse_than_new", f"{ratio - new:.2f}")
    _compare_autonomy(seen)


def _compare_autonomy(seen: Observations) -> None:
    """Compare how long batteries carried sites that went out with how long they should."""
    for site in seen.known("site"):
        design = as_number(seen.latest(site, "design_autonomy_h") or "")
        begun = _moment(seen.latest(site, "raised.PWR_MAINS_FAIL") or "")
        ended = [_moment(fact.value) for fact in seen.of(site, "raised.NE_OAM_UNREACHABLE")]
        later = [end for end in ended if end is not None and begun is not None and end > begun]
        if design and begun is not None and later and seen.of(site, "alarm.PWR_BATT_LOW"):
            lasted = (min(later) - begun) / timedelta(hours=1)
            _note_once(seen, f"PWR-{site[1:]}", "lasted_of_design", f"{lasted / design:.2f}")


def _note_once(seen: Observations, subject: str, name: str, value: str) -> None:
    if seen.latest(subject, name) != value:
        seen.note(subject, name, value)


def _focus(seen: Observations, arguments: Mapping[str, Any], index: int) -> None:
    for value in arguments.values():
        site = site_of(value) if isinstance(value, str) else None
        if site is not None:
            seen.looked_at.setdefault(site, index)


def _read_snapshot(seen: Observations, arguments: Mapping[str, Any], result: Parsed) -> None:
    """What a node last told says nothing about now, only that the node does not answer."""
    for name in (result.value("node"), str(arguments.get("node_id", ""))):
        if kind_of(name) == "node":
            seen.note(name, "answers", "no")
            return


def _read_refusal(seen: Observations, tool: str, arguments: Mapping[str, Any], text: str) -> None:
    """A refusal can be a finding: what does not answer, and why a test cannot be done."""
    if "ELEMENT_UNREACHABLE" not in text:
        return
    unit = str(arguments.get("ru_id", ""))
    if unit and f"{unit} does not answer" in text:
        seen.note(unit, "answers", "no")
        state = re.search(r"link (\w+)", text)
        if state:
            seen.note(unit, "link_state", state[1])
        return
    for silent in re.findall(r"\b(?:ENB|GNB|DU)-\d{3}\b", text):
        seen.note(silent, "answers", "no")
    if "power controller" in text and (site := arguments.get("site_id")):
        seen.note(f"PWR-{site[1:]}", "answers", "no")


# --- alarms ------------------------------------------------------------------------------------------------


@cache
def _alarm_keys() -> dict[str, str]:
    """Return the keys of alarms by what vendors call them."""
    return {text: key for key, kind in dictionary().items() for text in (kind.A, kind.B, kind.C)}


def _list_alarms(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    scope, state = asked.get("scope_id", REGION), asked.get("state", "active")
    minutes = int(asked.get("since_minutes", 1440))
    low = asked.get("min_severity", "WARNING") == "WARNING" and asked.get("alarm_type", "ANY") == "ANY"
    page = (scope, state, minutes) if low else (seen.present,)
    known = seen.pages.setdefault(page, {})
    calls = seen.pages_of[page] = (*seen.pages_of.get(page, ()), seen.present)
    for row in result.rows("alarm_id"):
        key = _alarm_keys().get(row["specific_problem"])
        if key is None:
            continue
        subject = row["managed_object"]
        seen.hear(row["raised"], row.get("cleared", "-"))
        known[row["alarm_id"]] = (key, subject)
        _note_alarm(row, key, note)
        if row["alarm_id"] not in seen.alarm_ids:
            seen.alarm_ids[row["alarm_id"]] = (key, subject)
            note(subject, f"times.{key}", str(list(seen.alarm_ids.values()).count((key, subject))))
    total = as_number(result.value("total"))
    if low and total is not None and len(known) >= total and state != "cleared":
        kind = "alarms" if state == "all" else "active_alarms"
        seen.listings.append(Listing(kind, scope, minutes, frozenset(known.values()), calls))


def _note_alarm(row: Mapping[str, str], key: str, note: Note) -> None:
    subject = row["managed_object"]
    state = "active" if row.get("cleared", "-") == "-" else "cleared"
    rectifier = re.fullmatch(r"(PWR-\d{3})-R\d+", subject)
    for name in dict.fromkeys((rectifier[1] if rectifier else subject, site_of(subject) or REGION)):
        note(name, f"alarm.{key}", state)
        note(name, f"raised.{key}", row["raised"])
        if row.get("cleared", "-") != "-":
            note(name, f"cleared.{key}", row["cleared"])


def _get_alarm(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    key, subject = _alarm_keys().get(result.value("specificProblem")), result.value("objectInstance")
    if key is None:
        return
    note(subject, f"times.{key}", result.value("occurrences_24h", "1"))
    branch = re.search(r"branch=([A-H])", result.value("additionalText"))
    if key == "ANT_VSWR_HIGH" and branch:
        note(f"ANT-{subject[3:]}-{branch[1]}", "reported", "yes")


# --- inventory ---------------------------------------------------------------------------------------------


def _list_elements(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    for row in result.rows("element_id"):
        note(row["element_id"], "type", row["type"])
        if row["type"] == "site":
            note(row["element_id"], "place", row.get("info", "").rpartition(" ")[0])


def _get_element_info(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    subject = result.value("element_id")
    for name in (
        "board",
        "breaker",
        "node",
        "ru",
        "test_phone",
        "name",
        "utility_zone",
        "design_autonomy_h",
        "link",
        "commissioned_vswr",
    ):
        if name in result.fields:
            note(subject, name, result.fields[name])


def _topology(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    subject = str(asked.get("element_id", ""))
    for row in result.rows("hop"):
        if asked.get("layer") == "radio":
            note(subject, "neighbour", row["element_id"])
        elif asked.get("layer") == "transport" and kind_of(row["element_id"]) == "link":
            note(row["element_id"], "state", row["state"])


# --- states ------------------------------------------------------------------------------------------------


def _all_fields(subject: str, result: Parsed, note: Note) -> None:
    for name, value in result.fields.items():
        note(subject, name, value)


def _cell_status(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    _all_fields(str(asked.get("cell_id", "")), result, note)


def _node_status(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    node = str(asked.get("node_id", ""))
    note(node, "answers", "yes")
    _all_fields(node, result, note)
    for row in result.rows("board"):
        note(row["board"], "state", row["state"])
        note(row["board"], "board_kind", row["kind"])
        if (heat := as_number(row.get("temperature_c", ""))) is not None and row["kind"] != "FAN":
            note(row["board"], "temperature_c", str(heat))


def _clock_status(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    _all_fields(result.value("clock"), result, note)


def _power_status(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    site = str(asked.get("site_id", ""))
    power, cabinet = f"PWR-{site[1:]}", f"CAB-{site[1:]}"
    _all_fields(power, result, note)
    note(power, "answers", "yes")
    volts = as_number(result.value("mains_voltage_v"))
    note(power, "mains_v", str(volts))
    note(power, "dead_rectifiers", str(len([p for p in result.value("rectifiers_without_output", "").split("|") if p])))
    states = dict(item.split("=", 1) for item in result.value("breakers_not_closed").split("|") if "=" in item)
    note(f"{power}-Q1", "state", states.pop(f"{power}-Q1", "CLOSED"))
    for breaker, state in states.items():
        note(breaker, "state", state)
    note(power, "open_feeds", str(len(states)))
    if states == {} and result.value("not_monitored") == "0":
        note(power, "feeds", "closed")
    for name in ("air_conditioner", "fans"):
        if name in result.fields:
            note(cabinet, "cooling", result.fields[name])
    for name in ("cabinet_temp_c", "outside_c", "door", "smoke", "water"):
        if name in result.fields:
            note(cabinet, name, result.fields[name])
    health = [as_number(item) for item in result.value("tested_health_pct", "never").split("|")]
    if known := [item for item in health if item is not None]:
        note(power, "health_pct", str(min(known)))


def _fronthaul_status(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    link, unit = result.value("link"), str(asked.get("ru_id", ""))
    _all_fields(link, result, note)
    note(unit, "link_state", result.value("link_state"))
    note(link, "ru", unit)
    ends = {row["end"]: row for row in result.rows("end")}
    near, design = ends.get("bbu", {}), as_number(result.value("design_rx_dbm"))
    sent, received = as_number(near.get("tx_dbm", "")), as_number(near.get("rx_dbm", ""))
    if sent is not None:
        note(link, "near_tx", "dark" if sent <= DARK_DBM else "light")
    if received is not None and design is not None:
        light = "dark" if received <= DARK_DBM else "low" if received < design - 3.0 else "good"
        note(link, "near_rx", light)
    far = as_number(ends.get("ru", {}).get("rx_dbm", ""))
    if far is not None and design is not None:
        note(link, "far_rx", "low" if far < design - 3.0 else "good")


def _antenna_status(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    unit = str(asked.get("ru_id", ""))
    note(unit, "answers", "yes")
    rows = result.rows("branch")
    powers = [as_number(row["tx_power_w"]) or 0.0 for row in rows]
    _note_lines(unit, result.value("vswr_major"), rows, note)
    if not rows:
        return
    silent = sum(power < 0.05 for power in powers)
    dead = sum(
        p < 0.05 and row["vswr"] == "n/a" and len(row["branch"]) == 1 for p, row in zip(powers, rows, strict=True)
    )
    groups = sum(p < 0.05 and len(row["branch"]) > 1 for p, row in zip(powers, rows, strict=True))
    note(unit, "transmitting", "none" if silent == len(rows) else "some" if silent else "all")
    note(unit, "dead_branches", str(dead + groups))
    levels = [as_number(row["rx_power_dbm"]) or 0.0 for row in rows]
    note(unit, "rx_imbalance_db", f"{max(levels) - min(levels):.1f}")


def _note_lines(unit: str, major: str, rows: Iterable[Mapping[str, str]], note: Note) -> None:
    limit = as_number(major) or 1.5
    for row in rows:
        ratio = as_number(row.get("vswr", ""))
        if ratio is None or len(row["branch"]) != 1:
            continue
        line = f"ANT-{unit[3:]}-{row['branch']}"
        note(line, "vswr", str(ratio))
        match = (
            "open" if ratio > 8.0 else "poor" if ratio >= 0.97 * limit else "good" if ratio < 0.9 * limit else "unclear"
        )
        note(line, "match", match)


def _vswr_test(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    _note_lines(str(asked.get("ru_id", "")), "-", result.rows("vswr"), note)


# --- transport ---------------------------------------------------------------------------------------------


def _transport_status(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    subject = str(asked.get("element_id", ""))
    _all_fields(subject, result, note)
    for row in result.rows("port"):
        note(row["port"], "state", row["state"])
        if "note" in row:
            note(row["port"], "module", row["note"])
            note(row["port"], "link", subject)
        elif row.get("link") == "base station":
            note(subject, "base_station_port", row["state"])
        elif kind_of(row.get("link", "")) == "link":
            note(row["link"], "ends_at", subject)
    for row in result.rows("utilisation_pct"):
        for name in ("state", "utilisation_pct", "delay_ms", "loss_pct"):
            if row[name] != "-":
                note(row["link"], name, row[name])
        note(row["link"], "kind", row["kind"])
    level, design = as_number(result.value("rsl_dbm")), as_number(result.value("design_rsl_dbm"))
    if level is not None and design is not None:
        note(subject, "fade_db", f"{design - level:.1f}")
    if "router_vlan" in result.fields:
        note(subject, "same_vlan", _same(result, "vlan", "router_vlan"))
        note(subject, "same_oam_vlan", _same(result, "oam_vlan", "router_oam_vlan"))


def _same(result: Parsed, one: str, other: str) -> str:
    return "yes" if result.value(one) == result.value(other) else "no"


def _link_test(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    link, test = str(asked.get("link_id", "")), asked.get("test")
    if test == "otdr":
        note(link, "otdr", result.value("event"))
    else:
        note(link, str(test), result.value("result"))


# --- configuration -----------------------------------------------------------------------------------------


def _config(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    subject, base = str(asked.get("element_id", "")), asked.get("compare_to", "none")
    if base == "none":
        _all_fields(subject, result, note)
        return
    if base != "planned":
        return
    rows = result.rows("parameter")
    for row in rows:
        note(subject, f"differs.{row['parameter']}", "yes")
        one, other = as_number(row["present"]), as_number(row["planned"])
        if one is not None and other is not None:
            note(subject, f"off_by.{row['parameter']}", str(abs(one - other)))
    table = result.table("parameter")
    if table is None or table.whole:
        known = {row["parameter"] for row in rows}
        for name in asked.get("parameters") or COMPARED:
            if name not in known:
                note(subject, f"differs.{name}", "no")


def _config_history(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    scope, minutes = str(asked.get("element_id", "")), 60 * int(asked.get("hours", 168))
    table = result.table("version")
    entries = set()
    for row in table.rows if table is not None else ():
        entries.add((row["parameter"], row["element_id"]))
        seen.hear(row["time"])
        subject = row["element_id"]
        note(subject, f"changed.{row['parameter']}", row["time"])
        if "reference" in row and row["reference"] != "-":
            note(subject, f"reference.{row['parameter']}", row["reference"])
        if row["parameter"] == "relation" and row["new"] == "removed":
            note(subject.partition(">")[0], "relation_removed", subject)
    count = as_number(result.value("changes"))
    if count is not None and (table is None or table.whole) and count == (len(table.rows) if table else 0):
        seen.listings.append(Listing("changes", scope, minutes, frozenset(entries), (seen.present,)))


def _neighbours(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    cell = str(asked.get("cell_id", ""))
    table = result.table("target")
    same = [
        row["target"]
        for row in (table.rows if table is not None else ())
        if row.get("pci") == result.value("pci") and row.get("arfcn") == result.value("arfcn")
    ]
    if same or (table is not None and table.whole):
        note(cell, "same_identity", "|".join(same) or "none")
    for row in table.rows if table is not None else ():
        if (success := as_number(row["ho_success_pct"])) is not None and success < 50:
            note(cell, "failing_target", row["target"])
    unknown = result.rows("unknown_pci")
    if unknown:
        note(cell, "unknown_identities", "|".join(row["unknown_pci"] for row in unknown))
    elif result.value("unknown_pcis") == "none":
        note(cell, "unknown_identities", "none")


# --- performance and air -----------------------------------------------------------------------------------


def _kpi(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    element, table = str(asked.get("element_id", "")), result.table("time")
    if table is None:
        return
    seen.hear(*(row["time"] for row in table.rows))
    usual = next((line.split(",")[1:] for line in result.lines if line.startswith("ref_4wk_same_hours,")), [])
    for place, name in enumerate(table.columns[1:]):
        values = [as_number(row[name]) for row in table.rows]
        normal = [as_number(item) for item in usual[place].split("|")] if place < len(usual) else []
        pairs = [(a, b) for a, b in zip(values, normal, strict=False) if a is not None and b is not None]
        if not pairs:
            note(element, f"kpi.{name}", "none")
            continue
        recent = pairs[-2:]
        note(element, f"kpi.{name}", str(recent[-1][0]))
        expected = sum(b for _, b in recent)
        if expected:
            note(element, f"ratio.{name}", f"{sum(a for a, _ in recent) / expected:.3f}")


def _rank(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    name = str(asked.get("kpi", ""))
    for row in result.rows("rank"):
        note(row["cell_id"], f"rank.{name}", row.get(name, "-"))


def _interference(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    cell = str(asked.get("cell_id", ""))
    _all_fields(cell, result, note)
    mean, usual = as_number(result.value("mean_dbm")), as_number(result.value("reference_dbm"))
    if mean is not None and usual is not None:
        note(cell, "uplink_rise_db", f"{mean - usual:.1f}")
    groups = [as_number(item.rpartition(":")[2]) for item in result.value("dbm_by_prb_group", "").split("|")]
    if levels := [item for item in groups if item is not None]:
        note(cell, "block_spread_db", f"{max(levels) - min(levels):.1f}")
    loudest = as_number(result.value("max_dbm"))
    if loudest is not None and usual is not None:
        note(cell, "peak_rise_db", f"{loudest - usual:.1f}")
    _note_branches(cell, result.value("dbm_by_branch", ""), note)
    for row in result.rows("affected_cell"):
        note(row["affected_cell"], "uplink_rise_db", row["rise_db"])


def _note_branches(cell: str, text: str, note: Note) -> None:
    """Keep by how much the loudest branch is louder than all others."""
    branches = [item.split(":") for item in text.split("|") if ":" in item]
    levels = sorted(((as_number(level) or -999.0, name) for name, level in branches), reverse=True)
    if len(levels) > 1:
        note(f"ANT-{cell[1:]}-{levels[0][1]}", "louder_by_db", f"{levels[0][0] - levels[1][0]:.1f}")


def _spectrum(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    cell = str(asked.get("cell_id", ""))
    note(cell, "foreign_signals", result.value("peaks"))
    levels = [as_number(row["peak_dbm"]) or -999.0 for row in result.rows("peak_dbm")]
    floor, usual = as_number(result.value("floor_dbm")), as_number(seen.latest(cell, "reference_dbm") or "")
    if levels and floor is not None:
        note(cell, "foreign_over_floor_db", f"{max(levels) - floor:.1f}")
    if floor is not None and usual is not None:
        note(cell, "floor_rise_db", f"{floor - usual:.1f}")


def _pim_test(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    """Keep by how much more the noise of a branch rose than that of the others: a foreign signal raises them all."""
    unit, rows = str(asked.get("ru_id", "")), result.rows("rise_db")
    rises = {row["branch"]: as_number(row["rise_db"]) or 0.0 for row in rows}
    for branch, rise in rises.items():
        others = [value for name, value in rises.items() if name != branch]
        note(f"ANT-{unit[3:]}-{branch}", "loaded_rise_db", f"{rise - max(min(others, default=0.0), 0.0):.1f}")


def _service_test(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    answer = result.value("cause", result.value("result"))
    note(str(asked.get("cell_id", "")), f"service.{asked.get('test', 'attach')}", answer)


def _battery_test(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    health = [as_number(item) for item in result.value("health_pct").split("|")]
    if known := [item for item in health if item is not None]:
        note(f"PWR-{str(asked.get('site_id', ''))[1:]}", "health_pct", str(min(known)))


# --- software, records, logs -------------------------------------------------------------------------------


def _licences(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    features: dict[str, list[dict[str, str]]] = {}
    for row in result.rows("licence_id"):
        features.setdefault(row["feature"], []).append(row)
    node = str(asked.get("node_id", ""))
    ended = [name for name, rows in features.items() if all(row["state"] == "EXPIRED" for row in rows)]
    states = {name: {row["state"] for row in rows} for name, rows in features.items()}
    ending = [features[name] for name, found in states.items() if "EXPIRING" in found and "VALID" not in found]
    if features:
        note(node, "licences_ended", "|".join(ended) or "none")
        note(node, "licences_ending", _urgency(seen, [max(row["expires"] for row in rows) for rows in ending]))


def _urgency(seen: Observations, ends: Sequence[str]) -> str:
    """Return how soon the first of some things ends: `soon`, `later`, or `none` if there is nothing."""
    moments = [moment for end in ends if (moment := _moment(end)) is not None]
    if not moments or seen.now is None:
        return "later" if ends else "none"
    return "soon" if min(moments) - seen.now < SOON else "later"


def _software(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    table, node = result.table("certificate_id"), str(asked.get("node_id", ""))
    if table is None:
        return
    own = [row for row in table.rows if row["auto_renew"] != "yes"]
    ended = [row["certificate_id"] for row in own if row["state"] == "EXPIRED"]
    note(node, "certificates_ended", "|".join(ended) or "none")
    note(node, "certificates_ending", _urgency(seen, [row["not_after"] for row in own if row["state"] == "EXPIRING"]))


def _notices(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    scope, table = str(asked.get("scope_id", REGION)), result.table("kind")
    entries = set()
    for row in table.rows if table is not None else ():
        window = re.search(r"\bMW-\d{5}\b", row["text"])
        for name in row["scope"].split("|"):
            entries.add((row["kind"], name))
            note(name, f"notice.{row['kind']}", f"{row['start']}|{row['expected_end']}")
            if seen.now is None or row["start"] <= seen.now.isoformat()[5:16]:
                note(REGION, f"present.{row['kind']}", name)
                note(name, f"present.{row['kind']}", row["start"])
            if window:
                note(name, "window", window[0])
    count = as_number(result.value("notices"))
    if count is not None and (table is None or table.whole) and count == (len(table.rows) if table else 0):
        seen.listings.append(Listing("notices", scope, 1440, frozenset(entries), (seen.present,)))
        note(scope, "notices", "complete")


def _record(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    name = str(asked.get("record_id", ""))
    _all_fields(name, result, note)
    if "ticket" in result.fields and "scope" in result.fields:
        seen.hear(result.value("opened"))
        for item in result.fields["scope"].split("|"):
            if (site := site_of(item)) is not None:
                seen.looked_at.setdefault(site, seen.present)
    if "work_order" in result.fields:
        note(result.value("site"), f"visit.{result.value('task')}", result.value("state"))
    for item in result.value("elements", "").split("|"):
        if kind_of(item) is not None:
            note(item, f"under.{name[:2]}", result.value("state", result.value("status")))


_COMPLAINTS = (
    ("PA_FAIL", "log_amplifier"),
    ("no heartbeat", "log_watchdog"),
    ("forward power below limit", "log_branch"),
    ("self-test failed", "log_board"),
    ("0 preambles answered", "log_no_access"),
    ("own certificate has expired", "log_certificate"),
    ("err-disabled", "log_port"),
    ("laser bias out of range", "log_port"),
    ("tracking area update rejected", "log_tracking_area"),
)


def _logs(seen: Observations, asked: Mapping[str, Any], result: Parsed, note: Note) -> None:
    table = result.table("source")
    for row in table.rows if table is not None else ():
        subject = row["source"]
        seen.hear(row["time"])
        for words, name in _COMPLAINTS:
            if words in row["text"]:
                port = re.search(r"\b(?:CSR-\d{3}|AGG-\d{2})-P\d+\b", row["text"])
                note(port[0] if port else subject, name, "yes")
        visit = re.match(r"(WO-\d{5}) (begun|ended): (\w+)", row["text"])
        if visit:
            note(subject, f"visit.{visit[3]}", row["time"])
    if table is None or table.whole:
        note(str(asked.get("element_id", "")), "searched_log", str(asked.get("keyword", "")))


_READERS: dict[str, Reader] = {
    "list_alarms": _list_alarms,
    "get_alarm": _get_alarm,
    "list_elements": _list_elements,
    "get_element_info": _get_element_info,
    "get_topology": _topology,
    "get_cell_status": _cell_status,
    "get_node_status": _node_status,
    "get_clock_status": _clock_status,
    "get_power_status": _power_status,
    "get_fronthaul_status": _fronthaul_status,
    "get_antenna_status": _antenna_status,
    "run_vswr_test": _vswr_test,
    "get_transport_status": _transport_status,
    "run_link_test": _link_test,
    "get_config": _config,
    "get_config_history": _config_history,
    "get_neighbour_relations": _neighbours,
    "get_kpi": _kpi,
    "rank_cells": _rank,
    "get_interference_report": _interference,
    "run_spectrum_scan": _spectrum,
    "run_pim_test": _pim_test,
    "run_cell_service_test": _service_test,
    "run_battery_test": _battery_test,
    "get_licence_status": _licences,
    "get_software_status": _software,
    "get_external_notices": _notices,
    "get_record": _record,
    "get_logs": _logs,
}
