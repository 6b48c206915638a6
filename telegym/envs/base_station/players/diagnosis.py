"""The blind expert's diagnosis: it sees what an agent sees, asks as an engineer would, and stops when it knows.

Steps go from the loud to the silent: alarms and notices, what the alarms point to, the change log, then what only
measurements show. After every answer the causes that are still possible are weighed; the first that is confirmed and
could have caused what the ticket says ends the search.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from telegym.envs.base_station.hypotheses import Hypothesis, weigh
from telegym.envs.base_station.observations import (
    REGION,
    Observations,
    as_number,
    kind_of,
    layer_sector_of,
    observe,
    site_of,
)
from telegym.envs.base_station.players.steps import Call, Reply, Steps

__all__ = ["MAX_CALLS", "Diagnosis", "diagnose"]

MAX_CALLS = 25
"""Most calls of a diagnosis."""


class Diagnosis(NamedTuple):
    """What the expert thinks is wrong."""

    root_cause: str
    """Code of the cause; empty if there is no idea."""
    element_id: str
    """Where."""
    additional: tuple[tuple[str, str], ...]
    """Further causes that were confirmed at the same place, with their elements."""
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


@dataclass
class _Case:
    """What is known of a case."""

    briefing: str
    records: list[_Seen] = field(default_factory=list)
    seen: Observations = field(default_factory=Observations)
    sites: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()

    def learn(self, call: Call, reply: Reply) -> None:
        """Take an answer in."""
        self.records.append(_Seen(_Asked(call.tool, call.arguments), reply.text, "refused" if reply.error else None))
        self.seen = observe(self.records)

    def was_asked(self, call: Call) -> bool:
        """Return whether a call was made already."""
        return any(item.call == _Asked(call.tool, call.arguments) for item in self.records)

    def alarms(self, *keys: str, kinds: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the objects with one of some alarms, those of the ticket's sites first."""
        found = [
            name
            for (name, fact) in self.seen.facts
            if fact.startswith("alarm.") and fact[6:] in keys and kind_of(name) not in (None, "site")
        ]
        wanted = [name for name in dict.fromkeys(found) if not kinds or kind_of(name) in kinds]
        return tuple(sorted(wanted, key=lambda name: site_of(name) not in self.sites))

    def active(self, name: str, key: str) -> bool:
        """Return whether an object has an active alarm."""
        return self.seen.latest(name, f"alarm.{key}") == "active"


def diagnose(briefing: str) -> Steps[Diagnosis]:
    """Find out what is wrong, by reading and by tests that interrupt nothing.

    Args:
        briefing: The text of the ticket.
    """
    case = _Case(briefing)
    for stage in _STAGES:
        for call in stage(case):
            if len(case.records) >= MAX_CALLS:
                return _verdict(case, final=True) or _nothing(case)
            if case.was_asked(call):
                continue
            case.learn(call, (yield call))
            if len(case.records) > 1 and (found := _verdict(case)) is not None:
                return found
    return _verdict(case, final=True) or _nothing(case)


# --- verdict -----------------------------------------------------------------------------------------------


def _verdict(case: _Case, *, final: bool = False) -> Diagnosis | None:
    """Return the best confirmed cause, at the end also one that is only supported; None if there is none."""
    found = weigh(case.seen)
    confirmed = [item for item in found if item.status == "confirmed"]
    if not final:
        confirmed = [item for item in confirmed if _fits(case, item)]
    chosen = confirmed or ([item for item in found if item.status == "supported"] if final else [])
    if not chosen:
        return None
    best = min(chosen, key=lambda item: _rank(case, item))
    return Diagnosis(
        best.code,
        _element(case, best),
        tuple((item.code, item.element_id) for item in confirmed if item.code != best.code and _fits(case, item))[:3],
        best.status == "confirmed",
        tuple(
            f"{case.records[call].call.name}: {case.records[call].content.splitlines()[0]}" for call in best.evidence
        ),
    )


def _nothing(case: _Case) -> Diagnosis:
    return Diagnosis("", case.sites[0] if case.sites else REGION, (), False, ("nothing was found",))


WIDE = frozenset(
    {
        "utility_mains_outage",
        "backhaul_fibre_cut",
        "microwave_rain_fade",
        "csr_port_or_sfp_failure",
        "transport_congestion",
    }
)
"""Causes that are felt at other places than where they are."""


def _fits(case: _Case, item: Hypothesis) -> bool:
    """Return whether a cause could have led to what the ticket says."""
    return item.code in WIDE or not case.sites or site_of(item.element_id) in case.sites


def _rank(case: _Case, item: Hypothesis) -> tuple[int, ...]:
    """Order causes: at the ticket's cell, at its site, strong causes before weak ones."""
    cell = any(layer_sector_of(item.element_id) == layer_sector_of(name) for name in case.cells)
    return (not _fits(case, item), not cell, item.code in WEAK, item.code in CONSEQUENT)


WEAK = frozenset({"stale_alarm", "faulty_sensor_false_alarm"})
"""Causes that explain no trouble of customers."""
CONSEQUENT = frozenset({"mass_event_congestion"})
"""Causes that others would explain as well."""


def _element(case: _Case, item: Hypothesis) -> str:
    """Return the element that a diagnosis of a cause should name."""
    if item.code == "site_mains_breaker_trip":
        return f"{item.element_id}-Q1"
    if item.code == "dc_breaker_left_open":
        return case.seen.latest(item.element_id, "breaker") or item.element_id
    if item.code == "external_interferer":
        rises = {
            name: as_number(case.seen.latest(name, "uplink_rise_db") or "") or 0.0
            for name in case.seen.known("cell")
            if layer_of(name) == layer_of(item.element_id)
        }
        return max(rises, key=lambda name: rises[name]) if rises else item.element_id
    return item.element_id


def layer_of(name: str) -> str:
    """Return the layer of a cell's id."""
    return (layer_sector_of(name) or "").partition("-")[0]


# --- stages ------------------------------------------------------------------------------------------------


def _alarms_first(case: _Case) -> Stage:
    """Find out where the ticket is, and read the alarms."""
    case.cells = tuple(dict.fromkeys(re.findall(r"\bS\d{3}-[LN]\d+-\d+\b", case.briefing)))
    named = dict.fromkeys(re.findall(r"\bS\d{3}\b", case.briefing))
    if not named:
        yield Call("list_elements", {"element_type": "site", "limit": 40})
        places = {name: case.seen.latest(name, "place") for name in case.seen.known("site")}
        named = dict.fromkeys(name for name, place in places.items() if place and place in case.briefing)
    case.sites = tuple(named)
    yield Call("list_alarms", {"state": "all", "limit": 50})
    yield Call("get_external_notices", {})


def _all_alarms(case: _Case) -> Stage:
    """Read the rest of a flood: what came first, and what the site itself says."""
    if any(item.kind == "alarms" and item.scope == REGION for item in case.seen.listings):
        return
    for site in case.sites[:1]:
        yield Call("list_alarms", {"scope_id": site, "state": "all", "limit": 50})
    pages = [
        item.content
        for item in case.records
        if item.call.name == "list_alarms" and "scope_id" not in item.call.arguments
    ]
    total = re.match(r"total: (\d+)", pages[0]) if pages else None
    if total is not None:
        yield Call("list_alarms", {"state": "all", "limit": 50, "offset": max(int(total[1]) - 24, 0)})


def _power(case: _Case) -> Stage:
    keys = ("PWR_MAINS_FAIL", "PWR_MAINS_FAIL_NO_BACKUP", "PWR_RECTIFIER_FAIL", "PWR_REDUNDANCY_LOST")
    more = ("PWR_DC_BREAKER_OPEN", "PWR_BATT_CHARGE_FAIL", "PWR_LLVD_OPEN", "PWR_SPD_FAIL")
    env = ("ENV_COOLING_FAIL", "ENV_FAN_FAIL", "ENV_HIGH_TEMP", "ENV_DOOR_OPEN", "ENV_INTRUSION", "BBU_OVER_TEMP")
    sites = [site_of(name) for name in case.alarms(*keys, *more, *env)]
    for site in list(dict.fromkeys(item for item in sites if item))[:2]:
        yield Call("get_power_status", {"site_id": site})


def _transport(case: _Case) -> Stage:
    for link in case.alarms("TRN_LINK_LOS", "TRN_MW_RSL_LOW", "TRN_MW_ACM_DOWNSHIFT", kinds=("link",))[:3]:
        yield Call("get_transport_status", {"element_id": link})
    for port in case.alarms("TRN_PORT_DOWN", "TRN_SFP_FAULT", kinds=("port",))[:2]:
        yield Call("get_transport_status", {"element_id": port})
    for link in case.alarms("TRN_UTIL_HIGH", "TRN_PKT_LOSS_HIGH", kinds=("link",))[:2]:
        yield Call("get_transport_status", {"element_id": link})
        yield Call("get_kpi", {"element_id": link, "kpis": ["backhaul_util_pct"], "hours": 24})


def _nodes(case: _Case) -> Stage:
    """Ask about nodes that are not associated with the core or not managed."""
    for node in case.alarms("LIC_EXPIRED", kinds=("node",))[:1]:
        yield Call("get_licence_status", {"node_id": node})
    for node in case.alarms("SEC_CERT_EXPIRED", "SEC_IKE_FAIL", kinds=("node",))[:1]:
        yield Call("get_software_status", {"node_id": node, "section": "certificates"})
    for node in case.alarms(
        "CP_S1_FAULT", "CP_NG_FAULT", "CP_F1_FAULT", "UP_PATH_FAIL", "NE_OAM_UNREACHABLE", kinds=("node",)
    )[:2]:
        yield Call("get_config", {"element_id": node, "compare_to": "planned"})
    for node in case.alarms("NE_OAM_UNREACHABLE", kinds=("node",))[:1]:
        site = site_of(node) or ""
        yield Call("get_transport_status", {"element_id": f"CSR-{site[1:]}"})
        yield Call("get_power_status", {"site_id": site})
    for clock in case.alarms("CLK_GNSS_LOST", "CLK_HOLDOVER", kinds=("clock",))[:1]:
        for node in _nodes_of(case, site_of(clock) or ""):
            yield Call("get_clock_status", {"node_id": node})
            break


def _nodes_of(case: _Case, site: str) -> Iterator[str]:
    known = [name for name in case.seen.known("node") if site_of(name) == site]
    yield from known or [f"ENB-{site[1:]}"]


def _hardware(case: _Case) -> Stage:
    """Follow the chain from board to antenna for units with alarms."""
    for board in case.alarms("BBU_BOARD_FAULT", kinds=("board",))[:1]:
        yield Call("get_node_status", {"node_id": board.rpartition("-")[0]})
    for unit in case.alarms("ANT_VSWR_HIGH", "RU_TX_BRANCH_FAIL", "RU_TX_POWER_LOW", "RU_HW_FAULT", kinds=("ru",))[:2]:
        yield Call("get_antenna_status", {"ru_id": unit})
    keys = ("RU_MAINT_LINK_FAIL", "RU_SW_FAULT", "RU_POWER_LOST", "FH_LINK_LOS", "FH_OPT_POWER_LOW", "FH_BER_HIGH")
    units = dict.fromkeys(f"RU{name[name.index('-') :]}" for name in case.alarms(*keys, kinds=("ru", "fronthaul")))
    for unit in list(units)[:2]:
        yield from _fronthaul(case, unit)


def _fronthaul(case: _Case, unit: str) -> Stage:
    link = f"FH{unit[2:]}"
    yield Call("get_fronthaul_status", {"ru_id": unit})
    if case.seen.latest(unit, "link_state") == "CM_DOWN":
        yield Call("get_antenna_status", {"ru_id": unit})
        return
    if case.seen.latest(link, "near_rx") == "dark" and case.seen.latest(link, "near_tx") == "light":
        site = site_of(unit) or ""
        yield Call("get_element_info", {"element_id": unit})
        yield Call("get_power_status", {"site_id": site})
        yield Call("get_logs", {"element_id": site, "min_level": "INFO", "keyword": "WO-"})
        return
    yield Call("run_link_test", {"link_id": link, "test": "otdr"})


def _cells(case: _Case) -> Stage:
    for cell in case.alarms("CELL_LOCKED", kinds=("cell",))[:1]:
        yield Call("get_cell_status", {"cell_id": cell})


def _changes(case: _Case) -> Stage:
    """Read what was changed, and whether it is as planned."""
    yield Call("get_config_history", {"element_id": REGION, "hours": 48})
    changed = [
        name for name, fact in case.seen.facts if fact.startswith("changed.") and kind_of(name) in ("cell", "node")
    ]
    for name in sorted(dict.fromkeys(changed), key=lambda name: site_of(name) not in case.sites)[:4]:
        yield Call("get_config", {"element_id": name, "compare_to": "planned"})
        if case.seen.latest(name, "differs.pci") == "yes":
            yield Call("get_neighbour_relations", {"cell_id": name})
    lost = [
        fact.value for (_, name), facts in case.seen.facts.items() if name == "relation_removed" for fact in facts[:1]
    ]
    for relation in lost[-2:]:
        yield Call("get_neighbour_relations", {"cell_id": relation.partition(">")[0]})


# --- what makes no noise -----------------------------------------------------------------------------------


def _events(case: _Case) -> Stage:
    """See whether a crowd or a shower that was announced is felt."""
    for site in case.sites[:1]:
        if case.seen.of(site, "notice.event"):
            yield Call("get_kpi", {"element_id": site, "kpis": ["rrc_users_mean", "prb_util_dl_pct"], "hours": 6})
    wet = [name for name, fact in case.seen.facts if fact == "notice.weather" and kind_of(name) == "site"]
    for site in sorted(wet, key=lambda name: name not in case.sites)[:2]:
        yield Call("get_transport_status", {"element_id": site})
        for link in _links_at(case, site):
            yield Call("get_transport_status", {"element_id": link})


def _links_at(case: _Case, site: str) -> tuple[str, ...]:
    """Return the microwave links that end at a site."""
    return tuple(
        link
        for link in case.seen.known("link")
        if site[1:] in link.split("-") and (case.seen.latest(link, "kind") or "").startswith("mw")
    )


def _old_alarms(case: _Case) -> Stage:
    """Look for alarms that nobody cleared."""
    for site in case.sites[:1]:
        yield Call("list_alarms", {"scope_id": site, "since_minutes": 10_080, "limit": 50})
        if case.alarms("PWR_SPD_FAIL"):
            yield Call("get_power_status", {"site_id": site})
        if case.seen.of(site, "alarm.ENV_INTRUSION"):
            yield Call("get_logs", {"element_id": site, "hours": 168, "min_level": "INFO", "keyword": "WO-"})


def _silent_cells(case: _Case) -> Stage:
    """Look for cells that answer nobody."""
    for site in case.sites[:1]:
        yield Call("get_logs", {"element_id": site, "min_level": "DEBUG", "keyword": "preambles", "hours": 1})


def _load(case: _Case) -> Stage:
    """See whether links on the way to the core carry more than they used to."""
    for site in case.sites[:1]:
        yield Call("get_transport_status", {"element_id": site})
        links = [link for link in case.seen.known("link") if case.seen.latest(link, "utilisation_pct") is not None]
        by_load = sorted(links, key=lambda link: -(as_number(case.seen.latest(link, "utilisation_pct") or "") or 0.0))
        for link in by_load[:3]:
            yield Call("get_kpi", {"element_id": link, "kpis": ["backhaul_util_pct"], "hours": 24})


def _air(case: _Case) -> Stage:
    """Listen to the uplink: signals from outside, and signals that the cell makes itself."""
    cells = list(case.cells)
    for site in case.sites[:1] if not cells else ():
        yield Call("rank_cells", {"kpi": "ul_rssi_prb_dbm", "scope_id": site, "hours": 1, "limit": 20})
        ranked = [name for name in case.seen.known("cell") if case.seen.of(name, "rank.ul_rssi_prb_dbm")]
        cells = [
            min((name for name in ranked if layer_of(name) == layer), key=ranked.index)
            for layer in dict.fromkeys(map(layer_of, ranked))
        ]
    for cell in cells[:5]:
        yield Call("get_interference_report", {"cell_id": cell, "hours": 1})
    loud = sorted(case.seen.known("cell"), key=lambda name: -_number(case, name, "uplink_rise_db"))
    for cell in [name for name in loud if _number(case, name, "uplink_rise_db") > 1.5][:2]:
        yield Call("run_spectrum_scan", {"cell_id": cell, "duration_minutes": 5})
    uneven = sorted(case.seen.known("cell"), key=lambda name: -_number(case, name, "imbalance_db"))
    for cell in uneven[:2]:
        yield Call("run_pim_test", {"ru_id": f"RU-{cell[1:]}"})


def _number(case: _Case, name: str, fact: str) -> float:
    return as_number(case.seen.latest(name, fact) or "") or 0.0


def _battery(case: _Case) -> Stage:
    for site in case.sites[:1]:
        yield Call("get_power_status", {"site_id": site})
        yield Call("run_battery_test", {"site_id": site, "duration_minutes": 20})


Maker = Callable[[_Case], Stage]
_STAGES: tuple[Maker, ...] = (
    _alarms_first,
    _all_alarms,
    _power,
    _transport,
    _hardware,
    _nodes,
    _cells,
    _changes,
    _events,
    _old_alarms,
    _silent_cells,
    _load,
    _air,
    _battery,
)
