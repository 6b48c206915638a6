"""Several things at once: chains of consequences, two causes, decoys, and traces of one's own earlier work.

    defects = inject_combination(network, "K2", seed=1)
    roles = [part.role for part in combination("K2").parts]

What is returned is in the order of the parts, the main cause first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from itertools import combinations as pairs_of
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.envs.base_station import alarms, power_model
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S
from telegym.envs.base_station.faults._traffic import link_traffic_mbps
from telegym.envs.base_station.faults.registry import Defect, Parameters, fault, fault_codes, fault_infos
from telegym.envs.base_station.faults.temporal import fault_as, first_outage_s
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, shuffled, uniform
from telegym.envs.base_station.objects import AntennaLine, Cell, PowerSystem, RadioUnit, Site, TransportLink
from telegym.envs.base_station.operations import AGENT
from telegym.envs.base_station.process.records import Change, ChangeStatus, Notice, Ticket, TicketStatus

__all__ = [
    "Combination",
    "Part",
    "allowed_pairs",
    "combination",
    "combination_names",
    "inject_combination",
    "lead_s",
    "masks",
]

Role = Literal["required", "optional", "harmless"]
EARLIER_TICKET = "INC-10017"
"""The ticket under which the own change was made that broke something."""
FULL_ENOUGH = 0.7
"""Load in the busy hour from which a link with the traffic of others may be taken to have outgrown its capacity."""
_LEAD_S = 20 * MINUTE_S
_HIDES = {"site": {"node", "unit", "service"}, "unit": {"unit", "service"}, "cell": {"service"}, "nothing": set[str]()}
"""What a fault hides that takes something away."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Strict):
    """One of several causes."""

    code: str
    """The cause; `any` if it is drawn."""
    role: Role
    """Whether a diagnosis must name it, may, or should leave it alone."""


class Combination(_Strict):
    """Several things at once."""

    title: str
    """What happens."""
    parts: tuple[Part, ...]
    """Its causes, the main one first."""
    outage: bool = False
    """Whether it is noticed when the site of its main cause is out, not when it begins."""
    noticed: Literal["here", "neighbours"] = "here"
    """Who complains first."""
    instead: dict[str, str] = {}
    """Causes that others may take the place of."""


class _Effect(_Strict):
    takes: Literal["site", "unit", "cell", "nothing"] = "nothing"
    """What it takes away where it is."""
    seen: Literal["outside", "node", "unit", "service"]
    """By what it can be seen."""


class _Table(_Strict):
    combinations: dict[str, Combination]
    own_changes: tuple[str, ...]
    effects: dict[str, _Effect]


@cache
def _table() -> _Table:
    file = resources.files("telegym.envs.base_station.faults").joinpath("combinations.yaml")
    return _Table.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


# --- asking ---------------------------------------------------------------------------------------------


def combination_names() -> tuple[str, ...]:
    """Return the names of all combinations."""
    return tuple(_table().combinations)


def combination(name: str) -> Combination:
    """Return a combination.

    Raises:
        ConfigurationError: If there is none of this name.
    """
    known = _table().combinations
    if name not in known:
        raise ConfigurationError(
            f"no combination {name!r}; known: {', '.join(known)}.{did_you_mean(name, tuple(known))}"
        )
    return known[name]


def masks(code: str, other: str) -> bool:
    """Return whether a fault hides another one at the same place for as long as it lasts.

    Raises:
        ConfigurationError: If one of them is no everyday fault.
    """
    effects = _table().effects
    for name in (code, other):
        if name not in effects:
            raise ConfigurationError(f"no everyday fault {name!r}.{did_you_mean(name, tuple(effects))}")
    return effects[other].seen in _HIDES[effects[code].takes]


def allowed_pairs() -> tuple[tuple[str, str], ...]:
    """Return the pairs of everyday faults of which neither hides the other, even at the same place."""
    found = pairs_of(fault_codes(1), 2)
    return tuple(pair for pair in found if not masks(*pair) and not masks(*reversed(pair)))


def inject_combination(network: Network, name: str, seed: int = 0) -> tuple[Defect, ...] | None:
    """Bring a combination about.

    Args:
        network: The network.
        name: Which combination.
        seed: Decides where, and details.

    Returns:
        Its defects in the order of its parts; None, with the network unchanged, if it cannot happen there.

    Raises:
        ConfigurationError: If there is none of this name.
    """
    combination(name)
    return _MAKERS[name](network, seed)


def lead_s(network: Network, name: str, defects: Sequence[Defect]) -> int:
    """Return how many seconds from now a combination will be noticed.

    Args:
        network: A network in which it has just begun.
        name: Which combination.
        defects: What was injected.

    Raises:
        ConfigurationError: If there is no such combination.
    """
    if not combination(name).outage:
        return _LEAD_S
    moment = first_outage_s(network, 2 * DAY_S, network.index.site_of[defects[0].element_id])
    return _LEAD_S if moment is None else moment - network.now + _LEAD_S


# --- power and heat -------------------------------------------------------------------------------------


def _inject(network: Network, code: str, element: str, seed: int, **details: Any) -> Defect:
    """Inject a fault with drawn details, some of them given."""
    drawn = dict(fault(code).sample(network, element, seed))
    return fault(code).inject(network, element, {**drawn, **details}, seed)


def _outage(minutes: float) -> Parameters:
    return {"minutes": round(minutes), "estimate_min": round(1.1 * minutes)}


def _depth_behind(network: Network, site_id: str) -> int:
    """Return how many sites hang on a site one behind the other, by the longest chain."""
    children = [child for child, parent in network.index.parent_of.items() if parent == site_id]
    return max((1 + _depth_behind(network, child) for child in children), default=0)


def _without_mains_at_the_head(network: Network, seed: int) -> tuple[Defect, ...] | None:
    heads = [site.id for site in network.all(Site) if _depth_behind(network, site.id) >= 2]
    if not heads:
        return None
    element = f"PWR-{choice(heads, seed, 'head')[1:]}"
    lasts = power_model.autonomy_min(network, network.get(PowerSystem, element))
    outage = _outage(lasts + integer(120, 240, seed, "outage", element))
    return (_inject(network, "utility_mains_outage", element, seed, **outage),)


def _without_mains_and_worn(network: Network, seed: int) -> tuple[Defect, ...] | None:
    power = choice(list(network.all(PowerSystem)), seed, "worn")
    lasts = power_model.autonomy_min(network, power)
    health = min(max((25.0 + 20.0 * uniform(seed, "lasts", power.id)) / max(lasts, 1.0), 0.05), 0.5)
    outage = _outage(integer(120, 300, seed, "outage", power.id))
    worn = _inject(network, "battery_capacity_degraded", power.id, seed, soh=round(health, 3))
    return (_inject(network, "utility_mains_outage", power.id, seed, **outage), worn)


def _hot_cabinet(network: Network, seed: int) -> tuple[Defect, ...] | None:
    slow = fault_as("cooling_system_failure", "delayed")
    options = [name for name in slow.eligible(network) if _has_neighbours(network, f"S{name[4:]}")]
    if not options:
        return None
    element = choice(options, seed, "cabinet")
    warmer = float(slow.sample(network, element, seed)["warmer_c"])
    return (_inject(network, "cooling_system_failure", element, seed, warmer_c=round(warmer + 3.0, 1)),)


def _has_neighbours(network: Network, site_id: str) -> bool:
    cells = network.at_site(Cell, site_id)
    around = {near.partition("-")[0] for cell in cells for near in network.index.neighbours_of.get(cell.id, ())}
    return len(around - {site_id}) >= 2


# --- traffic left on the secondary path ------------------------------------------------------------------


def _left_on_the_secondary(network: Network, seed: int) -> tuple[Defect, ...] | None:
    cuts = [link.id for link in network.all(TransportLink) if link.role == "primary" and not link.kind.startswith("mw")]
    for cut in shuffled(cuts, seed, "cut"):
        paths = network.region.transport.paths
        sites = [site for site, ways in paths.items() if cut in ways["primary"]]
        able = [site for site in sites if "secondary" in paths[site] and cut not in paths[site]["secondary"]]
        if not able:
            continue
        fullest, load = _fullest(network, able)
        if load >= FULL_ENOUGH:
            over = 1.4 + 0.4 * uniform(seed, "growth", cut)
            return (_forget_path(network, cut, able, fullest, round(max(over / load, 1.0), 2), seed),)
    return None


def _fullest(network: Network, sites: Sequence[str]) -> tuple[str, float]:
    """Return the link that would be fullest in the busy hour if sites used their secondary paths, and its load."""
    traffic = link_traffic_mbps(network, sites)
    used = {link for site in sites for link in network.region.transport.paths[site]["secondary"]}
    loads = {link: traffic[link] / network.get(TransportLink, link).capacity_mbps for link in sorted(used)}
    name = max(loads, key=lambda link: loads[link])
    return name, loads[name]


def _forget_path(network: Network, cut: str, sites: Sequence[str], link: str, growth: float, seed: int) -> Defect:
    """Move sites to their secondary paths for a cut that was repaired since."""
    begun = network.now - DAY_S + HOUR_S * integer(-3, 3, seed, "cut", cut)
    mended = begun + HOUR_S * integer(3, 7, seed, "repair", cut)
    details: Parameters = {"growth": growth, "rerouted": " ".join(sites), "change": "CR-00008"}
    known = network.changes
    fault("transport_congestion").apply(network, link, details)
    network.changes = tuple(
        entry if entry in known else entry._replace(time_s=begun + 20 * MINUTE_S) for entry in network.changes
    )
    alarms.plant(network, "TRN_LINK_LOS", cut, begun, cleared_s=mended)
    text = f"{cut}: fibre repaired, splice tested."
    network.add(Notice(f"REPAIR-{cut}", "transport_works", (cut,), begun, mended, text, begun + HOUR_S))
    return Defect("transport_congestion", link, tuple(sorted(details.items())), network.now)


# --- decoys, and two causes at one cell -------------------------------------------------------------------


def _licence_beside_work(network: Network, seed: int) -> tuple[Defect, ...] | None:
    nodes = fault("licence_expired").eligible(network)
    if not nodes:
        return None
    node = choice(nodes, seed, "node")
    own = network.index.site_of[node]
    others = [name for name in fault("planned_work_alarms").eligible(network) if name != own]
    work = choice(others, seed, "work")
    return (
        _inject(network, "licence_expired", node, seed),
        _inject(network, "planned_work_alarms", work, seed),
    )


def _two_disturbances(network: Network, seed: int) -> tuple[Defect, ...] | None:
    lines = [line for line in network.all(AntennaLine) if len(network.index.cells_of[line.ru_id]) == 1]
    if not lines:
        return None
    line = choice(lines, seed, "line")
    cell = network.index.cells_of[network.get(RadioUnit, line.ru_id).id][0]
    level = round(-95.0 + 4.0 * uniform(seed, "intermodulation", line.id), 1)
    # At 100 m and within 20 degrees of the main direction the cell hears the transmitter at its level, or a dB less.
    near = {
        "distance_m": 100,
        "bearing_deg": round(-20.0 + 40.0 * uniform(seed, "bearing", cell), 1),
        "power_dbm": round(-104.0 + 4.0 * uniform(seed, "power", cell), 1),
    }
    return (
        _inject(network, "passive_intermodulation", line.id, seed, level_dbm=level),
        _inject(network, "external_interferer", cell, seed, **near),
    )


def _with_a_decoy(network: Network, seed: int) -> tuple[Defect, ...] | None:
    decoy = choice(("stale_alarm", "faulty_sensor_false_alarm"), seed, "decoy")
    codes = [code for code in fault_codes(1) if fault_infos()[code].family != "no_fault" and not masks(code, decoy)]
    for code in shuffled(codes, seed, "main"):
        options = [name for name in fault(code).eligible(network) if name in network.index.site_of]
        if options:
            element = choice(options, seed, "element", code)
            site = network.index.site_of[element]
            where = [name for name in fault(decoy).eligible(network) if network.index.site_of[name] == site]
            return (
                _inject(network, code, element, seed),
                _inject(network, decoy, choice(where, seed, "decoy at"), seed),
            )
    return None


def _by_ourselves(network: Network, seed: int) -> tuple[Defect, ...] | None:
    for code in shuffled(_table().own_changes, seed, "own change"):
        options = fault(code).eligible(network)
        if options:
            known = network.changes
            defect = _inject(network, code, choice(options, seed, "element", code), seed)
            _sign(network, known, defect, seed)
            return (defect,)
    return None


def _sign(network: Network, known: Sequence[Any], defect: Defect, seed: int) -> None:
    """Make the latest entries of the change log our own, under a ticket that we closed."""
    asked, number = network.now - 2 * HOUR_S, integer(10, 40, seed, "change")
    change = f"CR-{number:05}"
    network.changes = tuple(
        entry if entry in known else entry._replace(user=AGENT, change_id=change) for entry in network.changes
    )
    site = network.index.site_of.get(defect.element_id, defect.element_id)
    network.add(
        Ticket(
            EARLIER_TICKET,
            asked,
            "audit",
            False,
            f"{site}: configuration audit",
            f"Clean up the configuration around {site}.",
            (site,),
            priority="P4",
            status=TicketStatus.CLOSED,
            resolution="fixed_remote",
            summary=f"Configuration of {defect.element_id} changed under {change}.",
            closed_s=network.now,
        )
    )
    reason = "Configuration clean-up."
    expired = Change(
        change, EARLIER_TICKET, (defect.element_id,), "parameter", False, reason, asked, ChangeStatus.EXPIRED
    )
    network.add(expired)


_MAKERS: dict[str, Callable[[Network, int], tuple[Defect, ...] | None]] = {
    "K1": _without_mains_at_the_head,
    "K2": _without_mains_and_worn,
    "K5": _left_on_the_secondary,
    "K7": _hot_cabinet,
    "K11": _licence_beside_work,
    "K12": _two_disturbances,
    "K13": _with_a_decoy,
    "K14": _by_ourselves,
}
