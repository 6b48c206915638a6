"""The blind expert's diagnosis: it sees what an agent sees, asks as an engineer would, and stops when it knows.

Steps go from the loud to the silent: alarms and notices, what the alarms point to, the change log, then what only
measurements show. After every answer the causes that are still possible are weighed; the first that is confirmed and
could have caused what the ticket says ends the search, but for a look at what often comes with it. What harms nobody, a
sensor that lies or an alarm that nobody cleared, is only named if nothing else is found. If nothing is found where the
ticket says, the requester is asked where it is, and the search goes on there and farther away; at last, under load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from telegym.envs.base_station.hypotheses import Hypothesis, weigh
from telegym.envs.base_station.observations import (
    REGION,
    Observations,
    as_number,
    conclude,
    kind_of,
    layer_sector_of,
    site_of,
    take_in,
)
from telegym.envs.base_station.players.steps import Call, Reply, Steps

__all__ = ["MAX_CALLS", "Diagnosis", "diagnose"]

MAX_CALLS = 25
"""Most calls of a search."""
MAX_MORE_CALLS = 22
"""Most calls of a second search, where the first one found nothing."""
MAX_LATE_CALLS = 16
"""Most calls of a third search, in the next busy hour."""
BUSY_HOURS = (10, 19)
"""Hours of day in which what load brings about shows."""
UNEVEN_DB = 1.5
"""Difference between branches, or rise of a cell's uplink, that is worth a test."""
WEAK = frozenset({"stale_alarm", "faulty_sensor_false_alarm"})
"""Causes that explain no trouble of customers."""
CONSEQUENT = {"mass_event_congestion": 1, "transport_congestion": 2}
"""Causes whose signs others would explain as well, and in what order they are believed."""
WIDE = frozenset(
    {
        *("utility_mains_outage", "backhaul_fibre_cut", "microwave_rain_fade", "csr_port_or_sfp_failure"),
        *("transport_congestion", "outage_spillover", "cooling_system_failure", "site_mains_breaker_trip"),
    }
)
"""Causes that are felt at other places than where they are."""
ENDING = frozenset({"licence_expired", "certificate_expired"})
"""Causes that are felt only later, so that a ticket's place says little."""
PAIRED = {
    "utility_mains_outage": "battery_capacity_degraded",
    "site_mains_breaker_trip": "battery_capacity_degraded",
    "passive_intermodulation": "external_interferer",
    "external_interferer": "passive_intermodulation",
}
"""Causes that are looked for beside others."""


class Diagnosis(NamedTuple):
    """What the expert thinks is wrong."""

    root_cause: str
    """Code of the cause; empty if there is no idea."""
    element_id: str
    """Where."""
    additional: tuple[tuple[str, str], ...]
    """Further causes that were confirmed there, with their elements."""
    confirmed: bool
    """Whether it was shown, not only suspected."""
    notes: tuple[str, ...]
    """What it rests on, for the record of the case."""


class _Asked(NamedTuple):
    """The call of a record."""

    name: str
    arguments: Mapping[str, Any]


class _Seen(NamedTuple):
    """A call and its answer, as `observe` wants them."""

    call: _Asked
    content: str
    error: object | None


Stage = Generator[Call, None, None]
"""Yields calls; what they say is found in the case."""
Maker = Callable[["_Case"], Stage]
"""Makes a stage for a case."""


@dataclass
class _Case:
    """What is known of a case."""

    briefing: str
    records: list[_Seen] = field(default_factory=list)
    seen: Observations = field(default_factory=Observations)
    sites: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    missing: set[str] = field(default_factory=set)
    wide: bool = False
    """Whether things are looked at wherever they are."""
    stale: int = 0
    """Answers before this one are old."""
    weighed: tuple[Hypothesis, ...] | None = None
    """The causes that are possible after the last answer, once somebody asked."""

    def learn(self, call: Call, reply: Reply) -> None:
        """Take an answer in."""
        record = _Seen(_Asked(call.tool, call.arguments), reply.text, "refused" if reply.error else None)
        take_in(self.seen, len(self.records), record)
        conclude(self.seen)
        self.records.append(record)
        self.weighed = None
        if reply.error and "no tool" in reply.text:
            self.missing.add(call.tool)

    def possible(self) -> tuple[Hypothesis, ...]:
        """Return the causes that are possible."""
        if self.weighed is None:
            self.weighed = weigh(self.seen)
        return self.weighed

    def is_idle(self, call: Call) -> bool:
        """Return whether a call was made already, or cannot be made."""
        return call.tool in self.missing or any(
            item.call == _Asked(call.tool, call.arguments) for item in self.records[self.stale :]
        )

    def alarms(self, *keys: str, kinds: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the objects with one of some alarms, those of the ticket's sites first, then active before cleared."""
        found = [
            name
            for (name, fact) in self.seen.facts
            if fact.startswith("alarm.") and fact[6:] in keys and kind_of(name) not in (None, "site")
        ]
        wanted = [name for name in dict.fromkeys(found) if not kinds or kind_of(name) in kinds]
        return tuple(sorted(wanted, key=lambda name: (site_of(name) not in self.sites, not self.active(name, *keys))))

    def ending(self, key: str) -> tuple[str, ...]:
        """Return the nodes where something is about to end; in a narrow search those that the ticket names, if any."""
        found = self.alarms(key)
        here = tuple(name for name in found if site_of(name) in self.sites)
        return found if self.wide else here or found

    def active(self, name: str, *keys: str) -> bool:
        """Return whether an object, or anything at a site, has one of some alarms now."""
        return any(self.seen.latest(name, f"alarm.{key}") == "active" for key in keys)

    def number(self, name: str, fact: str) -> float:
        """Return what was measured last; 0 if nothing was."""
        return as_number(self.seen.latest(name, fact) or "") or 0.0

    def begun(self, name: str, fact: str) -> bool:
        """Return whether something that a notice tells has begun, as far as the time is known."""
        told = self.seen.latest(name, fact)
        if told is None:
            return False
        return self.seen.now is None or told.partition("|")[0] <= self.seen.now.isoformat()[5:16]

    def near(self, site: str) -> list[str]:
        """Return the sites that handovers from a site go to, the nearest first, as far as that was asked."""
        names = [row.value.partition("-")[0] for row in self.seen.of(site, "neighbour")]
        return [name for name in dict.fromkeys(names) if name not in self.sites]

    def troubled(self, site: str) -> bool:
        """Return whether cells of a site are known to be out."""
        return self.active(site, "CELL_UNAVAILABLE", "NE_OAM_UNREACHABLE", "CELL_LOCKED")


def diagnose(briefing: str) -> Steps[Diagnosis]:
    """Find out what is wrong, by reading and by tests that interrupt nothing.

    Args:
        briefing: The text of the ticket.
    """
    case = _Case(briefing)
    if not (yield from _searched(case, _STAGES, MAX_CALLS)) and _is_doubtful(case):
        yield from _followed(case, _where(case))
        case.wide = True
        if not (yield from _searched(case, _STAGES[1:], len(case.records) + MAX_MORE_CALLS)) and _is_doubtful(case):
            yield from _followed(case, _busy_hour(case))
            yield from _searched(case, _LATE_STAGES, len(case.records) + MAX_LATE_CALLS)
    return _concluded(case)


def _searched(case: _Case, stages: Sequence[Maker], limit: int) -> Steps[bool]:
    """Go through stages until a cause is obvious or the calls are used up; return whether one is."""
    for stage in stages:
        for call in stage(case):
            if case.is_idle(call):
                continue
            if len(case.records) >= limit:
                return False
            case.learn(call, (yield call))
            found = _obvious(case) if stage not in _WHOLE else None
            if found is not None:
                yield from _complete(case, found, limit)
                return True
        found = _obvious(case)
        if found is not None:
            yield from _complete(case, found, limit)
            return True
    return False


def _followed(case: _Case, stage: Stage) -> Steps[None]:
    for call in stage:
        if not case.is_idle(call):
            case.learn(call, (yield call))


def _is_doubtful(case: _Case) -> bool:
    """Return whether a search that ended without an obvious cause found nothing that explains the ticket."""
    found = _concluded(case)
    if found.root_cause == "battery_capacity_degraded" and _RESERVE.search(case.briefing):
        return not found.confirmed and not any(_ALARMED in item.content for item in case.records)
    return not found.confirmed or site_of(found.element_id) not in case.sites


def _complete(case: _Case, found: Hypothesis, limit: int) -> Steps[None]:
    """Look for what often comes with a cause."""
    partner = _PARTNERS.get(found.code)
    if partner is None:
        return
    for call in partner(case, found):
        if not case.is_idle(call) and len(case.records) < limit:
            case.learn(call, (yield call))


# --- verdict -----------------------------------------------------------------------------------------------


def _obvious(case: _Case) -> Hypothesis | None:
    """Return a confirmed cause that could have led to what the ticket says, and does harm; None if there is none."""
    found = [item for item in case.possible() if item.status == "confirmed" and item.code not in WEAK]
    outage = any(fact in ("alarm.CELL_UNAVAILABLE", "alarm.CELL_LOCKED") for _, fact in case.seen.facts)
    fitting = [item for item in found if _fits(case, item) and not (outage and item.code in CONSEQUENT)]
    return min(fitting, key=lambda item: _rank(case, item)) if fitting else None


def _concluded(case: _Case) -> Diagnosis:
    """Return the best confirmed cause; else one that is supported; else none."""
    found = case.possible()
    confirmed = [item for item in found if item.status == "confirmed"]
    chosen = confirmed or [item for item in found if item.status == "supported" and _fits(case, item)]
    if not chosen or (not confirmed and _RESERVE.search(case.briefing)):
        return _by_elimination(case, found)
    best = min(chosen, key=lambda item: _rank(case, item))
    if best.code == "planned_work_alarms":
        # Who works on purpose breaks nothing: what is broken as well is what the ticket is about.
        broken = [item for item in confirmed if item.code not in WEAK | CONSEQUENT.keys() | _OF_WORK]
        best = min(broken, key=lambda item: _rank(case, item)) if broken else best
    code, element = _named(case, best)
    weak = [
        item for item in confirmed if item.code == PAIRED.get(best.code) and item.code == "battery_capacity_degraded"
    ]
    if weak and not any(_same_site(item, best) for item in weak):
        # The mains failed at many sites; the one that went out is the one whose battery is worn.
        best = best._replace(element_id=weak[0].element_id)
        code, element = _named(case, best)
    return Diagnosis(
        code,
        element,
        _beside(case, best, found),
        best.status == "confirmed",
        tuple(
            f"{case.records[call].call.name}: {case.records[call].content.splitlines()[0]}" for call in best.evidence
        ),
    )


def _by_elimination(case: _Case, found: Sequence[Hypothesis]) -> Diagnosis:
    """Return the battery if it is all that is left and cannot be tested now; else nothing."""
    site = case.sites[0] if case.sites else REGION
    tried = [item.content for item in case.records if item.call.name == "run_battery_test"]
    refused = any(reason in text for text in tried for reason in _UNTESTED)
    if refused and any(item.code == "battery_capacity_degraded" and item.element_id == site for item in found):
        notes = (f"run_battery_test: {tried[0].splitlines()[0]}", "nothing else was found")
        return Diagnosis("battery_capacity_degraded", f"PWR-{site[1:]}", (), False, notes)
    return Diagnosis("", site, (), False, ("nothing was found",))


_ALARMED = "has an active power alarm"
_UNTESTED = ("not tested between", _ALARMED, "no tool")
"""Why batteries could not be tested."""


_OF_WORK = frozenset({"planned_work_alarms", "cell_left_locked"})
"""Causes that planned work looks like."""


def _beside(case: _Case, best: Hypothesis, found: Sequence[Hypothesis]) -> tuple[tuple[str, str], ...]:
    """Return what else is wrong at the same place, of what goes together; shown, unless the test for it is missing."""
    pairs = [item for item in found if item.code == PAIRED.get(best.code) and _same_site(item, best)]
    shown = [item for item in pairs if item.status == "confirmed"]
    if not shown and best.code == "external_interferer" and "run_pim_test" in case.missing:
        shown = [item for item in pairs if item.status == "supported"][:1]
    return tuple(_named(case, item) for item in shown)


def _same_site(one: Hypothesis, other: Hypothesis) -> bool:
    return site_of(one.element_id) == site_of(other.element_id)


def _fits(case: _Case, item: Hypothesis) -> bool:
    """Return whether a cause could have led to what the ticket says."""
    site = site_of(item.element_id)
    if item.code in ENDING and not any(case.troubled(name) for name in case.sites):
        return True
    if case.wide or item.code in WIDE or not case.sites or site in case.sites:
        return True
    elsewhere = item.code != "planned_work_alarms" and site is not None and case.troubled(site)
    return elsewhere and not any(case.troubled(name) for name in case.sites)


def _rank(case: _Case, item: Hypothesis) -> tuple[float, ...]:
    """Order causes: at the ticket's site, strong ones before weak ones, at the ticket's cell, at the fullest link."""
    here = site_of(item.element_id) in case.sites
    cell = any(layer_sector_of(item.element_id) == layer_sector_of(name) for name in case.cells)
    order = _ORDER.get(item.code, 0)
    full = max(case.number(item.element_id, name) for name in ("utilisation_pct", "kpi.backhaul_util_pct"))
    return (not _fits(case, item), item.code in WEAK, CONSEQUENT.get(item.code, 0), not here, not cell, order, -full)


_ORDER = {"planned_work_alarms": -1, "battery_capacity_degraded": 1, "cell_left_locked": 1}
"""What comes before and after others at the same place."""


def _named(case: _Case, item: Hypothesis) -> tuple[str, str]:
    """Return the code and the element that a diagnosis of a cause names."""
    site, element = site_of(item.element_id) or "", item.element_id
    if item.code == "site_mains_breaker_trip":
        return item.code, f"{element}-Q1"
    if item.code == "dc_breaker_left_open":
        return item.code, case.seen.latest(element, "breaker") or element
    if item.code == "missing_neighbour":
        return item.code, case.seen.latest(element, "relation_removed") or element
    if item.code == "outage_spillover":
        silent = [name for name in case.alarms("NE_OAM_UNREACHABLE", kinds=("node",)) if site_of(name) == site]
        return ("baseband_board_failure", f"{silent[0]}-B1") if silent else (item.code, element)
    if item.code == "passive_intermodulation" and item.status != "confirmed":
        return item.code, f"RU{element[3:-2]}"
    if item.code == "external_interferer":
        same = [name for name in case.seen.known("cell") if _layer(name) == _layer(element)]
        return item.code, max([element, *same], key=lambda name: case.number(name, "uplink_rise_db"))
    return item.code, element


def _layer(name: str) -> str:
    """Return the layer of a cell."""
    return (layer_sector_of(name) or "").partition("-")[0]


# --- what alarms point to ----------------------------------------------------------------------------------


def _orientation(case: _Case) -> Stage:
    """Find out where the ticket is, and read alarms and notices."""
    case.cells = tuple(dict.fromkeys(re.findall(r"\bS\d{3}-[LN]\d+-\d+\b", case.briefing)))
    ticket = re.search(r"\bINC-\d{5}\b", case.briefing)
    if ticket is not None:
        yield Call("get_record", {"record_id": ticket[0]})
    named = dict.fromkeys([*re.findall(r"\bS\d{3}(?!\d)", case.briefing), *case.seen.looked_at])
    if not named:
        yield Call("list_elements", {"element_type": "site", "limit": 40})
        named = dict.fromkeys(_places_in(case, case.briefing))
    case.sites = tuple(named)
    yield Call("list_alarms", {"state": "all", "limit": 50})
    yield Call("get_external_notices", {})


def _places_in(case: _Case, text: str) -> list[str]:
    """Return the sites whose places a text names, in its order, as far as places are known."""
    places = {name: case.seen.latest(name, "place") for name in case.seen.known("site")}
    told = {name: text.find(place) for name, place in places.items() if place and place in text}
    return sorted(told, key=lambda name: told[name])


def _where(case: _Case) -> Stage:
    """Ask the requester where it is, if a person reported; the search goes on there."""
    record = next((item for item in case.records if item.call.name == "get_record"), None)
    if record is None or "requester: person" not in record.content:
        yield from _around(case)
        return
    yield Call("list_elements", {"element_type": "site", "limit": 40})
    asked = {"ticket_id": record.call.arguments["record_id"], "question": "affected_area"}
    yield Call("ask_requester", asked)
    told = [
        name for item in case.records if item.call.name == "ask_requester" for name in _places_in(case, item.content)
    ]
    case.sites = tuple(dict.fromkeys([*told, *case.sites]))


def _around(case: _Case) -> Stage:
    """Take the nearest sites in where nobody can be asked: systems often mean a neighbour."""
    for site in case.sites[:1]:
        yield Call("get_topology", {"element_id": site, "layer": "radio", "depth": 1})
        case.sites = tuple(dict.fromkeys([*case.sites, *case.near(site)[:NEIGHBOURS]]))


NEIGHBOURS = 3
"""Sites around that are taken in."""


def _busy_hour(case: _Case) -> Stage:
    """Wait until there is load."""
    if case.seen.now is None:
        return
    hour = case.seen.now.hour + case.seen.now.minute / 60.0
    # What was heard last is some minutes old.
    minutes = round(60 * min((busy - hour - 0.2) % 24 for busy in BUSY_HOURS))
    case.stale = len(case.records)
    yield Call("wait", {"minutes": min(max(minutes, 30), 720)})
    yield Call("list_alarms", {"state": "all", "limit": 50})


def _floods(case: _Case) -> Stage:
    """Read the rest of a flood: what the site itself says, and what came first."""
    if any(item.kind == "alarms" and item.scope == REGION for item in case.seen.listings):
        return
    for site in case.sites[:1]:
        yield Call("list_alarms", {"scope_id": site, "state": "all", "limit": 50})
    yield Call("list_alarms", {"state": "all", "min_severity": "MAJOR", "limit": 50})
    total = re.match(r"total: (\d+)", case.records[-1].content)
    shown = case.records[-1].content.count("\nALM-")
    if total and int(total[1]) > shown:
        offset = max(int(total[1]) - 22, shown)
        yield Call("list_alarms", {"state": "all", "min_severity": "MAJOR", "limit": 50, "offset": offset})


def _power(case: _Case) -> Stage:
    keys = ("PWR_MAINS_FAIL", "PWR_MAINS_FAIL_NO_BACKUP", "PWR_RECTIFIER_FAIL", "PWR_REDUNDANCY_LOST")
    others = ("PWR_DC_BREAKER_OPEN", "PWR_BATT_CHARGE_FAIL", "PWR_LLVD_OPEN")
    heat = ("ENV_COOLING_FAIL", "ENV_FAN_FAIL", "ENV_HIGH_TEMP", "BBU_OVER_TEMP")
    named = case.alarms(*keys, *others, *heat, kinds=("power", "breaker", "cabinet"))
    sites = [site for name in named if (site := site_of(name)) is not None]
    dark = [site for site in case.sites if case.begun(site, "notice.utility_outage")]
    for site in list(dict.fromkeys([*dark, *sites]))[:2]:
        yield Call("get_power_status", {"site_id": site})


def _transport(case: _Case) -> Stage:
    """Look at links and ports that are down; a link's status shows the ports at both ends."""
    lost = case.alarms("NE_OAM_UNREACHABLE", kinds=("node",))
    for site in list(dict.fromkeys(site for name in lost if (site := site_of(name)) is not None))[:1]:
        yield Call("get_transport_status", {"element_id": site})
    down = [link for link in case.seen.known("link") if case.seen.latest(link, "state") == "DOWN"]
    faded = case.alarms("TRN_LINK_LOS", "TRN_MW_RSL_LOW", "TRN_MW_ACM_DOWNSHIFT", kinds=("link",))
    for link in list(dict.fromkeys([*down, *faded]))[:3]:
        yield Call("get_transport_status", {"element_id": link})
    for port in case.alarms("TRN_SFP_FAULT", "TRN_PORT_DOWN", kinds=("port",))[:2]:
        if case.seen.latest(port, "module") is None:
            yield Call("get_transport_status", {"element_id": port})
    if not down and not faded:
        for link in case.alarms("TRN_UTIL_HIGH", "TRN_PKT_LOSS_HIGH", kinds=("link",))[:2]:
            yield Call("get_kpi", {"element_id": link, "kpis": _LOAD, "hours": 3, "granularity": "15min"})


def _hardware(case: _Case) -> Stage:
    """Follow the chain from board to antenna for units with alarms."""
    for board in case.alarms("BBU_BOARD_FAULT", kinds=("board",))[:1]:
        yield Call("get_node_status", {"node_id": board.rpartition("-")[0]})
    for unit in case.alarms("ANT_VSWR_HIGH", "RU_TX_BRANCH_FAIL", "RU_TX_POWER_LOW", "RU_HW_FAULT", kinds=("ru",))[:2]:
        yield Call("get_antenna_status", {"ru_id": unit})
        if case.seen.of(unit, "alarm.ANT_VSWR_HIGH"):
            ids = [name for name, known in case.seen.alarm_ids.items() if known == ("ANT_VSWR_HIGH", unit)]
            yield Call("get_alarm", {"alarm_id": ids[0]})
    keys = ("RU_MAINT_LINK_FAIL", "RU_SW_FAULT", "RU_POWER_LOST", "FH_LINK_LOS", "FH_OPT_POWER_LOW", "FH_BER_HIGH")
    units = dict.fromkeys(f"RU{name[name.index('-') :]}" for name in case.alarms(*keys, kinds=("ru", "fronthaul")))
    answering = [unit for unit in units if not case.active(site_of(unit) or "", "NE_OAM_UNREACHABLE")]
    for unit in answering[:2]:
        yield from _fronthaul(case, unit)


def _fronthaul(case: _Case, unit: str) -> Stage:
    """Find out whether light, power, or the unit itself is missing."""
    link, site = f"FH{unit[2:]}", site_of(unit) or ""
    yield Call("get_fronthaul_status", {"ru_id": unit})
    if case.seen.latest(unit, "link_state") == "CM_DOWN":
        yield Call("get_antenna_status", {"ru_id": unit})
    elif case.seen.latest(link, "near_rx") == "dark" and case.seen.latest(link, "near_tx") == "light":
        yield Call("get_element_info", {"element_id": unit})
        yield Call("get_power_status", {"site_id": site})
        yield Call("get_logs", {"element_id": site, "min_level": "INFO", "keyword": "WO-"})
    else:
        yield Call("run_link_test", {"link_id": link, "test": "otdr"})


def _nodes(case: _Case) -> Stage:
    """Ask about nodes that are not associated with the core or not managed, and about clocks."""
    for node in [*case.alarms("LIC_EXPIRED", kinds=("node",)), *case.ending("LIC_EXPIRING")][:3]:
        yield Call("get_licence_status", {"node_id": node})
    ended = case.alarms("SEC_CERT_EXPIRED", "SEC_IKE_FAIL", kinds=("node",))
    for node in [*ended, *case.ending("SEC_CERT_EXPIRING")][:3]:
        yield Call("get_software_status", {"node_id": node, "section": "certificates"})
    lost = ("CP_S1_FAULT", "CP_NG_FAULT", "CP_F1_FAULT", "UP_PATH_FAIL", "NE_OAM_UNREACHABLE")
    for node in case.alarms(*lost, kinds=("node",))[:2]:
        yield Call("get_config", {"element_id": node, "compare_to": "planned"})
    for node in case.alarms("NE_OAM_UNREACHABLE", kinds=("node",))[:1]:
        site = site_of(node) or ""
        yield Call("get_transport_status", {"element_id": f"CSR-{site[1:]}"})
        yield Call("get_power_status", {"site_id": site})
    for clock in case.alarms("CLK_GNSS_LOST", "CLK_HOLDOVER", kinds=("clock",))[:1]:
        site = site_of(clock) or ""
        yield Call("list_elements", {"element_type": "node", "parent_id": site})
        for node in [name for name in case.seen.known("node") if site_of(name) == site][:1]:
            yield Call("get_clock_status", {"node_id": node})


def _locks(case: _Case) -> Stage:
    for cell in case.alarms("CELL_LOCKED", kinds=("cell",))[:1]:
        yield Call("get_cell_status", {"cell_id": cell})


# --- what was changed --------------------------------------------------------------------------------------

_SUSPECT = ("pci", "tac", "electrical_tilt_deg", "max_tx_power_dbm", "cell_barred", "es_wake_threshold_pct")
"""Parameters of cells whose change can be a cause."""


def _changes(case: _Case) -> Stage:
    """Read what was changed, and whether it is as planned."""
    yield Call("get_config_history", {"element_id": REGION, "hours": 48})
    changed = {
        name: fact[8:]
        for name, fact in case.seen.facts
        if fact.startswith("changed.") and kind_of(name) in ("cell", "node") and fact[8:] != "administrative_state"
    }
    near = sorted(changed, key=lambda name: (site_of(name) not in case.sites, changed[name] not in _SUSPECT))
    for name in near[:4]:
        yield Call("get_config", {"element_id": name, "compare_to": "planned"})
        if case.seen.latest(name, "differs.pci") == "yes":
            yield Call("get_neighbour_relations", {"cell_id": name})
    removed = [name for name, fact in case.seen.facts if fact == "relation_removed"]
    for cell in sorted(removed, key=lambda name: site_of(name) not in case.sites)[:2]:
        yield Call("get_neighbour_relations", {"cell_id": cell})


# --- what makes no noise -----------------------------------------------------------------------------------


def _events(case: _Case) -> Stage:
    """See whether a crowd or rain that was announced is felt."""
    crowds = [name for name, fact in case.seen.facts if fact == "notice.event" and case.begun(name, fact)]
    for site in sorted(crowds, key=lambda name: name not in case.sites)[:1]:
        kpis = ["rrc_users_mean", "prb_util_dl_pct"]
        yield Call("get_kpi", {"element_id": site, "kpis": kpis, "hours": 3, "granularity": "15min"})
    wet = [
        name
        for name, fact in case.seen.facts
        if fact == "notice.weather" and kind_of(name) == "site" and case.begun(name, fact)
    ]
    for site in sorted(wet, key=lambda name: name not in case.sites)[:2]:
        yield Call("get_transport_status", {"element_id": site})
        for link in _radio_links(case, site):
            yield Call("get_transport_status", {"element_id": link})


def _radio_links(case: _Case, site: str) -> tuple[str, ...]:
    """Return the microwave links that end at a site."""
    links = [link for link in case.seen.known("link") if site[1:] in link.split("-")]
    return tuple(link for link in links if (case.seen.latest(link, "kind") or "").startswith("mw"))


def _lines(case: _Case) -> Stage:
    """Measure the antenna line of the ticket's cell, and see how it was when it was new."""
    for cell in case.cells[:1]:
        yield Call("get_antenna_status", {"ru_id": f"RU-{cell[1:]}"})
        lines = [name for name in case.seen.known("antenna") if f"-{cell[1:]}-" in name]
        for line in sorted(lines, key=lambda name: -case.number(name, "vswr"))[:1]:
            if case.number(line, "vswr") > NEW_VSWR:
                yield Call("get_element_info", {"element_id": line})


NEW_VSWR = 1.3
"""Standing wave ratio that is worth a look at the record."""


def _silent_cells(case: _Case) -> Stage:
    """Look for cells that nobody connects to, and that answer nobody."""
    asked = {"kpi": "rrc_setup_attempts", "hours": 1, "aggregation": "min", "order": "asc"}
    yield Call("rank_cells", asked)
    unused = [name for name in case.seen.known("cell") if case.seen.latest(name, "rank.rrc_setup_attempts") in _NONE]
    sites = [site for name in unused if (site := site_of(name)) is not None]
    for site in list(dict.fromkeys([*case.sites[:1], *sites]))[:2]:
        yield Call("get_logs", {"element_id": site, "min_level": "DEBUG", "keyword": "preambles", "hours": 1})


_NONE = ("0", "0.0", "-")


def _load(case: _Case) -> Stage:
    """See whether links at the site, and on its way to the core, carry more than they used to."""
    for site in case.sites[: 2 if not case.wide else 1 + NEIGHBOURS]:
        yield Call("get_transport_status", {"element_id": site})
        if not case.wide:
            yield Call("get_transport_status", {"element_id": f"CSR-{site[1:]}"})
        known = case.seen.known("link")
        links = [name for name in known if case.seen.of(name, "ends_at") or case.seen.of(name, "delay_ms")]
        for link in sorted(links, key=lambda name: -case.number(name, "utilisation_pct"))[
            : _LINKS[len(case.sites) > 1]
        ]:
            yield Call("get_kpi", {"element_id": link, "kpis": _LOAD, "hours": 3, "granularity": "15min"})


_LOAD = ["backhaul_util_pct"]
_LINKS = {False: 4, True: 2}
"""How many links are asked about, by whether the ticket names several sites."""


def _air(case: _Case) -> Stage:
    """Listen to the uplink: where an alarm says so, at the ticket's cell, and at the loudest cell of each layer."""
    cells = [*case.alarms("CELL_UL_INTERFERENCE", "ANT_PIM_SUSPECT", kinds=("cell",))[:2], *case.cells]
    for site in case.sites[:1]:
        yield Call("rank_cells", {"kpi": "ul_rssi_prb_dbm", "scope_id": site, "hours": 3, "aggregation": "max"})
        ranked = [name for name in case.seen.known("cell") if site_of(name) == site and case.seen.of(name, _UPLINK)]
        ranked.sort(key=lambda name: -case.number(name, _UPLINK))
        loudest = {_layer(name): name for name in reversed(ranked)}
        cells += [name for layer, name in loudest.items() if layer not in map(_layer, cells)]
    for cell in list(dict.fromkeys(cells))[:4]:
        yield Call("get_interference_report", {"cell_id": cell, "hours": 3})
    yield from _tests(case)


_UPLINK = "rank.ul_rssi_prb_dbm"


def _tests(case: _Case) -> Stage:
    """Scan where the uplink is or was loud, longer and again if it is quiet, and load where branches differ."""
    loud = sorted(case.seen.known("cell"), key=lambda name: -_loudness(case, name))
    for cell in [name for name in loud if _loudness(case, name) > UNEVEN_DB][:1]:
        yield Call("run_spectrum_scan", {"cell_id": cell, "duration_minutes": 10})
        wet = bool(case.seen.of(site_of(cell) or "", "notice.weather"))
        if case.number(cell, "peak_rise_db") > QUIET_DB and not wet:
            for minutes in (30, 29):
                yield Call("run_spectrum_scan", {"cell_id": cell, "duration_minutes": minutes})
    for cell in _worth_loading(case)[:3]:
        yield Call("run_pim_test", {"ru_id": f"RU-{cell[1:]}"})


QUIET_DB = 4.0
"""Rise of the uplink at some time that is worth waiting for it to come back."""


def _loudness(case: _Case, cell: str) -> float:
    return max(case.number(cell, "uplink_rise_db"), case.number(cell, "peak_rise_db") - 3.0)


def _worth_loading(case: _Case) -> list[str]:
    """Return the cells whose antenna lines may make intermodulation, the likeliest first."""
    suspected = list(case.alarms("ANT_PIM_SUSPECT", "CELL_UL_INTERFERENCE", kinds=("cell",)))
    reported = [name for name in case.seen.known("cell") if case.seen.of(name, "imbalance_db")]
    uneven = sorted(reported, key=lambda name: -max(case.number(name, "imbalance_db"), _loudness(case, name)))
    named = [name for name in case.cells if name not in uneven[:1]]
    return list(dict.fromkeys([*suspected, *uneven[:1], *named, *uneven]))


def _unheard(case: _Case) -> Stage:
    """Load the other antenna lines of the site: at night a loose joint is silent by itself."""
    for site in case.sites[:1]:
        for cell in [name for name in case.seen.known("cell") if site_of(name) == site][: 15 if case.wide else 6]:
            yield Call("run_pim_test", {"ru_id": f"RU-{cell[1:]}"})


def _old_alarms(case: _Case) -> Stage:
    """Look for alarms that nobody cleared, and sensors that lie."""
    yield Call("list_alarms", {"since_minutes": 10_080, "limit": 50})
    found = case.alarms("PWR_SPD_FAIL", "ENV_HIGH_TEMP", kinds=("power", "cabinet"))
    sites = [site for name in found if (site := site_of(name)) is not None]
    for site in list(dict.fromkeys(sites))[:4]:
        yield Call("get_power_status", {"site_id": site})
    entered = [name for name, fact in case.seen.facts if fact == "alarm.ENV_INTRUSION" and kind_of(name) == "site"]
    for site in sorted(entered, key=lambda name: name not in case.sites)[: 4 if case.wide else 1]:
        yield Call("get_logs", {"element_id": site, "hours": 168, "min_level": "INFO", "keyword": "WO-"})


def _elsewhere(case: _Case) -> Stage:
    """Listen where the uplink is loudest in the region: the ticket may name a neighbour."""
    yield Call("rank_cells", {"kpi": "ul_rssi_prb_dbm", "hours": 3, "aggregation": "max", "limit": 5})
    for cell in [name for name in case.seen.known("cell") if 0 > case.number(name, _UPLINK) > LOUD_DBM][:2]:
        if not case.seen.of(cell, "uplink_rise_db"):
            yield Call("get_interference_report", {"cell_id": cell, "hours": 3})
            yield Call("run_spectrum_scan", {"cell_id": cell, "duration_minutes": 10})
            yield Call("run_pim_test", {"ru_id": f"RU-{cell[1:]}"})


LOUD_DBM = -112.0
"""Uplink level that is not explained by traffic."""


_RESERVE = re.compile(r"autonomy|reserve|备电|后备|续航|\d+ ?(?:min|分钟)\D+\d+ ?(?:min|分钟)", re.IGNORECASE)
"""What tickets say about batteries: words, or two lengths of time that are compared."""


def _doubts(case: _Case) -> Stage:
    """Test the battery first where the ticket is about how long it lasts, at the site whose design it tells of."""
    if not _RESERVE.search(case.briefing) or not case.sites:
        return
    told = [int(found) for found in re.findall(r"(\d+) ?(?:min|分钟)", case.briefing)]
    if told:
        yield Call("get_element_info", {"element_id": case.sites[0]})
        if case.wide or _design_min(case, case.sites[0]) != max(told):
            yield from _where(case)
            for site in [*case.sites, *case.near(case.sites[0])][:CANDIDATES]:
                yield Call("get_element_info", {"element_id": site})
        known = [*case.sites, *case.near(case.sites[0])]
        fitting = [site for site in known if _design_min(case, site) == max(told)]
        case.sites = tuple(dict.fromkeys([*fitting, *case.sites]))
        for site in fitting[:TESTED]:
            yield from _tested(case, site)
    yield from _battery(case)


CANDIDATES = 6
"""Sites whose design is read where a ticket tells of another one than its site has."""
TESTED = 3
"""Batteries that are tested at most, of sites with the design that a ticket tells of."""


def _design_min(case: _Case, site: str) -> int:
    return round(60 * case.number(site, "design_autonomy_h"))


def _battery(case: _Case) -> Stage:
    if any(item.status == "confirmed" for item in case.possible()):
        return
    for site in case.sites[:1]:
        yield from _tested(case, site)


def _tested(case: _Case, site: str) -> Stage:
    yield Call("get_power_status", {"site_id": site})
    yield Call("run_battery_test", {"site_id": site, "duration_minutes": 20})
    if _RESERVE.search(case.briefing) and "not tested between" in case.records[-1].content:
        yield from _later(case, site)


def _later(case: _Case, site: str) -> Stage:
    """Wait until batteries may be tested, and test one."""
    now = case.seen.now
    if now is None:
        return
    yield Call("wait", {"minutes": max(60 * (LATE_H - now.hour) - now.minute + 5, 5)})
    yield Call("run_battery_test", {"site_id": site, "duration_minutes": 21})


LATE_H = 23
"""Hour from which batteries may be tested again."""


# --- what comes with a cause -------------------------------------------------------------------------------

Partner = Callable[[_Case, Hypothesis], Stage]


def _how_long(case: _Case, found: Hypothesis) -> Stage:
    """See how long batteries should have lasted at sites that went out after their mains."""
    yield from _floods(case)
    out = [name for name, fact in case.seen.facts if fact == "alarm.NE_OAM_UNREACHABLE" and kind_of(name) == "site"]
    dark = [site for site in out if case.seen.of(site, "alarm.PWR_MAINS_FAIL")]
    for site in sorted(dark, key=lambda name: name not in case.sites)[:4]:
        yield Call("list_alarms", {"scope_id": site, "state": "all", "limit": 50})
        yield Call("get_element_info", {"element_id": site})


def _both_disturbances(case: _Case, found: Hypothesis) -> Stage:
    """Look for intermodulation beside a foreign signal, and the other way round."""
    cell = f"{site_of(found.element_id)}-{layer_sector_of(found.element_id)}"
    yield Call("get_interference_report", {"cell_id": cell, "hours": 3})
    if found.code == "passive_intermodulation":
        if case.number(cell, "block_spread_db") > UNEVEN_DB:
            yield Call("run_spectrum_scan", {"cell_id": cell, "duration_minutes": 10})
    else:
        yield Call("run_pim_test", {"ru_id": f"RU-{cell[1:]}"})


def _besides_work(case: _Case, found: Hypothesis) -> Stage:
    """See what is wrong with nodes while somebody works on purpose."""
    yield from _nodes(case)


_PARTNERS: dict[str, Partner] = {
    "planned_work_alarms": _besides_work,
    "utility_mains_outage": _how_long,
    "site_mains_breaker_trip": _how_long,
    "passive_intermodulation": _both_disturbances,
    "external_interferer": _both_disturbances,
}
_STAGES: tuple[Maker, ...] = (
    *(_orientation, _floods, _power, _doubts, _transport, _hardware, _nodes, _locks, _changes),
    *(_events, _silent_cells, _lines, _load, _air, _elsewhere, _old_alarms, _battery, _unheard),
)
_LATE_STAGES: tuple[Maker, ...] = (_transport, _hardware, _air, _load, _elsewhere, _lines)
_WHOLE = frozenset({_transport, _load})
"""Stages that are gone through to their end, as what they find first may follow from what they find later."""
