"""Background of a case: what else goes on in a region, has nothing to do with the case, and may lead astray.

Everything is brought about before the fault and decided by hashed randomness. Old alarms come from real conditions that
harm nobody (an open door, a certificate that ends soon), at sites that the case's traffic does not pass. Changes are
innocent: what they touched is as planned. Nothing here alters a service, and what is needed to solve a case is there:
the technician on call is free, and parts that are out of stock are on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from telegym.envs.base_station.alarms import recall
from telegym.envs.base_station.conditions import NOTICE_S
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S, handles
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, mix, uniform
from telegym.envs.base_station.objects import (
    Board,
    BoardKind,
    Cabinet,
    Cell,
    ClockSource,
    ClockUnit,
    Node,
    PowerSystem,
    RadioUnit,
    Record,
    RetUnit,
    Site,
    TransportLink,
)
from telegym.envs.base_station.parameters import parameters_of, planned_value
from telegym.envs.base_station.process.records import (
    Change,
    ChangeStatus,
    Depot,
    Notice,
    Technician,
    TechnicianState,
    Window,
)
from telegym.envs.base_station.state import Rumours, Trouble, Values

__all__ = ["prepare_background", "rumours_for"]

OLD_ALARMS = {True: (3, 12), False: (0, 2)}
"""Fewest and most old alarms, by whether the case is of level 2 or more."""
DECOY_CHANGE = 0.25
"""How likely each of two decoy changes is."""
DECOY_WORK = 0.5
"""How likely planned work at another site is."""
BUSY = 0.25
"""How likely a technician who is not on call is busy."""
MISSING = 0.1
"""How likely a type of spare part is out of stock."""
TICKET = "INC-10001"
"""A ticket of the past that earlier changes belong to."""
USERS = ("cm-operator", "rf-optimisation", "field-support")
"""Who changes configuration."""
WORKS = (
    "Inspection of the tower; cells stay in service",
    "Cleaning of cabinets; no outage expected",
    "Renewal of signs and fences; cells stay in service",
)
"""Purposes of planned work that nobody notices."""


def rumours_for(level: int) -> Rumours:
    """Return how often what alarms say beyond the facts misleads in a case of a level.

    Args:
        level: Difficulty, from 0; up to 1 nothing misleads, from 3 on everything does as often as it may.
    """
    if level <= 1:
        return Rumours(0.0, 0.0, Rumours().indicator, 1.0, 0.0)
    if level == 2:
        return Rumours(0.05, 0.02, Rumours().indicator, 0.95, 0.1)
    return Rumours(late_root=0.25)


def prepare_background(network: Network, *, seed: int, level: int, site_id: str, spared: Iterable[str] = ()) -> None:
    """Bring about what else goes on in a region, an hour or more before a case begins.

    Args:
        network: The network, with its technicians and depot, before the fault.
        seed: Decides everything.
        level: Difficulty of the case, from 0: more of it misleads in harder cases.
        site_id: Site of the case; what is wrong elsewhere has nothing to do with it.
        spared: More sites where no old alarm may be, such as those of further faults.
    """
    seed = mix(seed, "background")
    _explain_plan(network, seed)
    _old_alarms(network, seed, OLD_ALARMS[level >= 2], _unrelated(network, site_id, frozenset(spared)))
    if level >= 2:
        _decoy_changes(network, seed, site_id)
        _notices(network, seed, site_id)
    if level >= 3:
        _decoy_work(network, seed, site_id)
        _occupy(network, seed)
        _run_short(network, seed)
    _order_parts(network, seed)
    network.settle()


def _unrelated(network: Network, site_id: str, spared: frozenset[str]) -> list[str]:
    """Return the sites that the case's traffic does not pass, and whose traffic does not pass the case's site."""
    ways = network.region.transport.paths[site_id].values()
    links = [network.get(TransportLink, name) for way in ways for name in way]
    passed = {site_id, *(f"S{end[4:]}" for link in links for end in (link.a_id, link.b_id))}
    passed.update(network.index.behind.get(f"CSR-{site_id[1:]}", ()))
    others = [site.id for site in network.all(Site) if site.id not in {site_id, *spared}]
    return [name for name in others if name not in passed] or others


# --- old alarms -----------------------------------------------------------------------------------------


class Sign(NamedTuple):
    """A minor condition that harms nobody, and its alarm."""

    key: str
    """Entry of the alarm dictionary."""
    options: Callable[[Network, Iterable[str]], list[str]]
    """Returns the objects at some sites that it can be seen at."""
    apply: Callable[[Network, str, int], None]
    """Brings it about, at an object, since a time."""
    values: Callable[[Network, str], Values] = lambda network, name: ()
    """Returns the measured values of the alarm."""


def _at(
    kind: type[Record], test: Callable[[Any], bool] = lambda record: True
) -> Callable[[Network, Iterable[str]], list[str]]:
    def options(network: Network, sites: Iterable[str]) -> list[str]:
        return [record.id for site_id in sites for record in network.at_site(kind, site_id) if test(record)]

    return options


def _field(**values: Any) -> Callable[[Network, str, int], None]:
    def apply(network: Network, name: str, since_s: int) -> None:
        network.update(network.objects[name], **values)

    return apply


def _end_certificate(network: Network, name: str, since_s: int) -> None:
    """Let a certificate end two weeks after its alarm: nobody has renewed it yet."""
    node = network.get(Node, name)
    first, *others = node.certificates
    network.update(node, certificates=(replace(first, auto_renew=False, expires_s=since_s + NOTICE_S), *others))


def _end_licence(network: Network, name: str, since_s: int) -> None:
    node = network.get(Node, name)
    *others, last = node.licences
    network.update(node, licences=(*others, replace(last, expires_s=since_s + NOTICE_S)))


def _licence(network: Network, name: str) -> Values:
    last = network.get(Node, name).licences[-1]
    return (("licence", last.id), ("feature", last.feature.value))


def _consume(network: Network, name: str, since_s: int) -> None:
    unit = network.get(RadioUnit, name)
    network.add(Trouble(f"TRB-{name}-ALD", unit.site_id, name, "ANT_ALD_CURRENT", _CURRENT))


_CURRENT: Values = (("current", "61 mA"), ("expected", "38 mA"))
SIGNS = (
    Sign("ENV_DOOR_OPEN", _at(Cabinet), _field(door_open=True)),
    Sign("ENV_FAN_FAIL", _at(Board, lambda board: board.kind is BoardKind.FAN), _field(fan_failed=True)),
    Sign("PWR_SPD_FAIL", _at(PowerSystem), _field(surge_arrester_failed=True)),
    Sign(
        "CLK_PTP_LOST",
        _at(ClockUnit, lambda clock: ClockSource.PTP in clock.provisioned and clock.source is ClockSource.GNSS),
        _field(ptp_lost=True),
    ),
    Sign(
        "SEC_CERT_EXPIRING",
        _at(Node, lambda node: bool(node.certificates)),
        _end_certificate,
        lambda network, name: (("certificate", network.get(Node, name).certificates[0].id),),
    ),
    Sign("LIC_EXPIRING", _at(Node, lambda node: bool(node.licences)), _end_licence, _licence),
    Sign("ANT_RET_FAULT", _at(RetUnit), _field(jammed=True)),
    Sign(
        "ANT_ALD_CURRENT",
        _at(RadioUnit, lambda unit: not unit.part_type.startswith("AAU")),
        _consume,
        lambda network, name: _CURRENT,
    ),
)
"""Conditions that can go unattended for days."""


def _old_alarms(network: Network, seed: int, count: tuple[int, int], sites: list[str]) -> None:
    """Let some conditions hold since hours or days, each with its alarm; each object has one at most."""
    wanted = integer(*count, seed, "old alarms")
    found: dict[str, tuple[int, Sign]] = {}
    for attempt in range(6 * wanted):
        sign = choice(SIGNS, seed, "sign", attempt)
        options = sign.options(network, sites)
        if options and len(found) < wanted:
            name = choice(options, seed, "object", attempt)
            found.setdefault(name, (network.now - _age_s(seed, attempt), sign))
    for name, (raised_s, sign) in sorted(found.items(), key=lambda item: (item[1][0], item[0])):
        recall(network, sign.key, name, raised_s, sign.values(network, name))
    for name, (raised_s, sign) in sorted(found.items()):
        sign.apply(network, name, raised_s)


def _age_s(seed: int, attempt: int) -> int:
    """Return for how long an alarm has been there: hours, for every other one days."""
    if uniform(seed, "recent", attempt) < 0.5:
        return integer(90, 20 * 60, seed, "age", attempt) * MINUTE_S + integer(0, 59, seed, "age s", attempt)
    return integer(DAY_S, 9 * DAY_S, seed, "age", attempt)


# --- changes --------------------------------------------------------------------------------------------


EDITS: tuple[tuple[str, tuple[int | float, ...]], ...] = (
    ("max_tx_power_dbm", (-1.0, -2.0)),
    ("electrical_tilt_deg", (1.0, -1.0)),
    ("cio_db", (1.0, -1.0)),
    ("a3_offset_db", (0.5, -0.5)),
    ("q_rx_lev_min_dbm", (2, -2)),
    ("max_connected_users", (-50, 50)),
)
"""Parameters that innocent changes are about, and how far the other value is from the planned one."""


def _explain_plan(network: Network, seed: int) -> None:
    """Where the plan lags behind the network, let the log tell the approved change of weeks ago."""
    for name, values in network.region.planned.items():
        for parameter, planned in values.items():
            built = getattr(network.region.records[name], parameter)
            if planned != built:
                at_s = network.now - integer(10 * DAY_S, 26 * DAY_S, seed, "stale plan", name)
                change_id = _record_change(network, 10, name, parameter, at_s, "Optimisation after a drive test.")
                network.log_change(name, parameter, planned, built, "rf-optimisation", change_id, at_s)


def _record_change(network: Network, number: int, name: str, parameter: str, at_s: int, why: str) -> str:
    """Add an approved change that has expired since, and return its id."""
    kind = "tilt" if parameter == "electrical_tilt_deg" else "parameter"
    made = Change(
        id=f"CR-{number:05}",
        ticket_id=TICKET,
        element_ids=(name,),
        kind=kind,
        emergency=False,
        justification=why,
        asked_s=at_s - 4 * HOUR_S,
        status=ChangeStatus.EXPIRED,
        valid_from_s=at_s - 3 * HOUR_S,
        valid_to_s=at_s + HOUR_S,
    )
    network.add(made)
    return made.id


def _decoy_changes(network: Network, seed: int, site_id: str) -> None:
    """Let the log of a cell near the case tell of innocent changes."""
    own = [cell.id for cell in network.at_site(Cell, site_id)]
    near = sorted({name for cell in own for name in network.index.neighbours_of.get(cell, ())} - set(own))
    for number in (1, 2):
        if uniform(seed, "decoy change", number) >= DECOY_CHANGE:
            continue
        there = near if near and uniform(seed, "decoy place", number) < 0.5 else own
        name = choice(there, seed, "decoy cell", number)
        parameter, steps = choice(_as_planned(network, name), seed, "decoy parameter", number)
        _pretend(
            network, mix(seed, "decoy", number), name, parameter, choice(steps, seed, "decoy step", number), number
        )


def _as_planned(network: Network, name: str) -> list[tuple[str, tuple[int | float, ...]]]:
    """Return the edits whose parameters have their planned value."""
    cell = network.get(Cell, name)
    known = parameters_of(cell)
    return [edit for edit in EDITS if planned_value(network, cell, known[edit[0]]) == getattr(cell, edit[0])]


def _pretend(network: Network, seed: int, name: str, parameter: str, step: float, number: int) -> None:
    """Write an innocent change into the log: to the planned value, or away from it and back within the hour."""
    planned = getattr(network.get(Cell, name), parameter)
    other = max(planned + step, 0) if parameter == "electrical_tilt_deg" else planned + step
    at_s = network.now - integer(70, 22 * 60, seed, "when") * MINUTE_S
    user = choice(USERS, seed, "user")
    back = uniform(seed, "and back") < 0.5
    why = f"Trial of {parameter}, taken back within the hour." if back else f"Audit: {parameter} set to plan."
    change_id = _record_change(network, 10 + number, name, parameter, at_s, why)
    if back:
        network.log_change(name, parameter, planned, other, user, change_id, at_s)
        at_s += integer(15, 50, seed, "how long") * MINUTE_S
    network.log_change(name, parameter, other, planned, user, change_id, at_s)


# --- planned work and notices ---------------------------------------------------------------------------


def _elsewhere(network: Network, seed: int, site_id: str, what: str) -> Site:
    return choice([site for site in network.all(Site) if site.id != site_id], seed, what)


def _next_midnight(network: Network) -> int:
    return network.now - network.now % DAY_S + DAY_S


def _decoy_work(network: Network, seed: int, site_id: str) -> None:
    """Plan work at another site that takes nothing out of service: now, or tonight."""
    if uniform(seed, "decoy work") >= DECOY_WORK:
        return
    site = _elsewhere(network, seed, site_id, "work site")
    running = uniform(seed, "running") < 0.5
    start = network.now - 2 * HOUR_S if running else _next_midnight(network)
    end = start + (8 if running else 5) * HOUR_S
    window = Window(
        id=f"MW-{integer(10, 40, seed, 'window'):05}",
        element_ids=(site.id,),
        start_s=start,
        end_s=end,
        owner="field-operations",
        purpose=choice(WORKS, seed, "purpose"),
    )
    network.add(window)
    text = f"Planned work at {site.id}: {window.purpose} ({window.id})."
    network.add(Notice(f"WORK-{site.id}", "planned_work", (site.id,), start, end, text, network.now - 2 * DAY_S))


_Kind = Literal["utility_outage", "transport_works", "weather", "event"]


def _notices(network: Network, seed: int, site_id: str) -> None:
    """Publish what is going to happen elsewhere, long after the case."""
    for kind, (likely, make) in _NOTICES.items():
        if uniform(seed, "notice", kind) < likely and (made := make(network, seed, site_id)) is not None:
            scope, text, hours = made
            start = network.now + integer(16, 22, seed, "notice start", kind) * HOUR_S
            name = f"{kind.partition('_')[0].upper()}-{scope[0]}-PLAN"
            network.add(Notice(name, kind, scope, start, start + hours * HOUR_S, text, network.now - DAY_S))


_Announced = tuple[tuple[str, ...], str, int]


def _utility(network: Network, seed: int, site_id: str) -> _Announced | None:
    own = network.get(Site, site_id).utility_zone
    zones = sorted({site.utility_zone for site in network.all(Site)} - {own})
    if not zones:
        return None
    zone = choice(zones, seed, "zone")
    return (zone,), f"Work on feeder {zone}; short interruptions are possible.", 3


def _transport(network: Network, seed: int, site_id: str) -> _Announced | None:
    used = network.region.transport.paths[site_id]["primary"]
    links = [link for link in network.all(TransportLink) if link.id not in used]
    if not links:
        return None
    link = choice(links, seed, "link")
    return (link.id,), f"Work along {link.id}; short interruptions are possible.", 4


def _weather(network: Network, seed: int, site_id: str) -> _Announced:
    site = _elsewhere(network, seed, site_id, "weather")
    what = choice(("Thunderstorms", "Strong wind", "Heavy rain"), seed, "what weather")
    return (site.id,), f"{what} expected around {site.name}.", 5


def _event(network: Network, seed: int, site_id: str) -> _Announced:
    site = _elsewhere(network, seed, site_id, "event")
    return (site.id,), f"Concert near {site.name}, some hundred visitors.", 4


_NOTICES: dict[_Kind, tuple[float, Callable[[Network, int, str], _Announced | None]]] = {
    "weather": (0.5, _weather),
    "utility_outage": (0.3, _utility),
    "transport_works": (0.3, _transport),
    "event": (0.2, _event),
}


# --- people and parts -----------------------------------------------------------------------------------


def _occupy(network: Network, seed: int) -> None:
    """Let some technicians work elsewhere for some hours; the one on call is free."""
    for person in network.all(Technician):
        if person.shift != "on-call" and uniform(seed, "busy", person.id) < BUSY:
            network.update(person, state=TechnicianState.ON_SITE)
            hours = integer(2, 6, seed, "busy until", person.id)
            network.schedule(network.now + hours * HOUR_S, "background.work_ends", person.id)


@handles("background.work_ends")
def _free(network: Network, name: str) -> None:
    person = network.get(Technician, name)
    if person.work_order_id is None:
        network.update(person, state=TechnicianState.IDLE)


def _run_short(network: Network, seed: int) -> None:
    """Let the depot run out of some types of parts."""
    for depot in network.all(Depot):
        parts = tuple(
            (name, 0 if uniform(seed, "out of stock", name) < MISSING else count) for name, count in depot.parts
        )
        network.update(depot, parts=parts)


def _order_parts(network: Network, seed: int) -> None:
    """Let parts that are out of stock arrive within some hours."""
    for depot in network.all(Depot):
        missing = [name for name, count in depot.parts if not count]
        expected = tuple(
            (name, network.now + integer(2 * 60, 6 * 60, seed, "delivery", name) * MINUTE_S) for name in missing
        )
        network.update(depot, expected=expected)
        for name, at_s in expected:
            network.schedule(at_s, "background.delivery", depot.id, name)


@handles("background.delivery")
def _deliver(network: Network, depot_id: str, part: str) -> None:
    depot = network.get(Depot, depot_id)
    parts = tuple((name, count + (2 if name == part else 0)) for name, count in depot.parts)
    network.update(depot, parts=parts, expected=tuple(item for item in depot.expected if item[0] != part))
