"""Questions about software, licences, people and the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from telegym.envs.base_station.engine import DAY_S, HOUR_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import integer, shuffled
from telegym.envs.base_station.objects import Cell, Node, Site
from telegym.envs.base_station.parameters import parameters_of, planned_value
from telegym.envs.base_station.players.steps import Steps
from telegym.envs.base_station.process.field import on_shift, travel_min
from telegym.envs.base_station.process.records import Technician, TechnicianState
from telegym.envs.base_station.questions.expected import Expected, count, one, parts, quantity, several
from telegym.envs.base_station.questions.power import sites
from telegym.envs.base_station.questions.reading import Answer, Unanswerable, fields, look, table
from telegym.envs.base_station.questions.template import Slots, Template

__all__ = ["TEMPLATES"]


# --- Q20 another software version -------------------------------------------------------------------------

GROUP = 5
"""Nodes that are named."""


def _groups(network: Network, seed: int, versions: Counter[str], *, odd: bool) -> Iterator[Slots]:
    nodes = shuffled([node for node in network.all(Node) if node.kind != "CU"], seed, "node")
    usual = versions.most_common(1)[0][0]
    same = [node.id for node in nodes if node.software == usual]
    others = [node.id for node in nodes if node.software != usual]
    if not odd and len(same) >= GROUP:
        yield {"nodes": sorted(same[:GROUP])}
    if odd and len(same) >= GROUP - 1:
        yield from ({"nodes": sorted([*same[: GROUP - 1], name])} for name in others)


def _versions(network: Network) -> Counter[str]:
    return Counter(node.software for node in network.all(Node) if node.kind != "CU")


def _odd_groups(network: Network, seed: int) -> Iterator[Slots]:
    yield from _groups(network, seed, _versions(network), odd=True)


def _even_groups(network: Network, seed: int) -> Iterator[Slots]:
    yield from _groups(network, seed, _versions(network), odd=False)


def _odd_one(network: Network, slots: Slots) -> Expected | None:
    versions = {name: network.get(Node, name).software for name in slots["nodes"]}
    seen = Counter(versions.values())
    single = [name for name, version in versions.items() if seen[version] == 1]
    return one(single[0]) if len(single) == 1 and len(seen) == 2 else None


def _find_odd_one(slots: Slots) -> Steps[Answer]:
    versions = {}
    for name in slots["nodes"]:
        text = yield from look("get_software_status", node_id=name, section="software")
        versions[name] = fields(text)["version"]
    seen = Counter(versions.values())
    single = [name for name, version in versions.items() if seen[version] == 1]
    if len(single) != 1:
        raise Unanswerable("all run the same version")
    return Answer(single[0])


# --- Q21 licences that expire -----------------------------------------------------------------------------

_EPOCH = datetime(2031, 3, 3)
"""Monday of week 0."""


def _date(time_s: int) -> str:
    return (_EPOCH + timedelta(seconds=time_s)).isoformat()[:16]


def _ending(network: Network, seed: int) -> Iterator[Slots]:
    """Yield nodes with a date before which one to three of their licences end."""
    for node in shuffled([node for node in network.all(Node) if node.licences], seed, "node"):
        ends = sorted(item.expires_s for item in node.licences if item.expires_s > network.now)
        if not ends:
            continue
        last = ends[min(integer(0, 2, seed, "how many", node.id), len(ends) - 1)]
        until = last // DAY_S * DAY_S + DAY_S * integer(1, 9, seed, "days", node.id) + 12 * HOUR_S
        yield {"node": node.id, "today": _date(network.now), "until": _date(until)}


def _expiring(network: Network, slots: Slots) -> Expected | None:
    licences = network.get(Node, slots["node"]).licences
    found = [item.id for item in licences if item.expires_s > network.now and _date(item.expires_s) <= slots["until"]]
    return several(found) if found else None


def _find_expiring(slots: Slots) -> Steps[Answer]:
    text = yield from look("get_licence_status", node_id=slots["node"])
    rows = [row for row in table(text, "licence_id") if row["state"] != "EXPIRED" and row["expires"] <= slots["until"]]
    return Answer(", ".join(row["licence_id"] for row in rows))


# --- Q23 whom to send -------------------------------------------------------------------------------------


def _errands(network: Network, seed: int) -> Iterator[Slots]:
    skills = sorted({skill for person in network.all(Technician) for skill in person.skills})
    for site in sites(network, seed):
        yield from ({"site": site.id, "skill": skill} for skill in shuffled(skills, seed, "skill", site.id)[:3])


def _whom(network: Network, slots: Slots) -> Expected | None:
    free = [
        person
        for person in network.all(Technician)
        if person.state is TechnicianState.IDLE and on_shift(person, network.now) and slots["skill"] in person.skills
    ]
    if not free:
        return None
    chosen = min(free, key=lambda person: (len(person.skills), person.id))
    minutes = travel_min(network, network.get(Site, slots["site"]), network.now, parts=False)
    return parts(one(chosen.id), quantity(minutes, "min", absolute=2.0))


def _find_whom(slots: Slots) -> Steps[Answer]:
    text = yield from look("list_resources", resource_type="technicians", site_id=slots["site"])
    free = [
        (len(row["skills"].split("|")), row["technician_id"], row["eta_min"])
        for row in table(text, "technician_id")
        if row["free_now"] == "yes" and slots["skill"] in row["skills"].split("|")
    ]
    _, name, minutes = min(free)
    return Answer(f"{name}, {minutes} min")


# --- Q27 what is not as planned ---------------------------------------------------------------------------


def _deviations(network: Network, cell: Cell) -> list[str]:
    known = parameters_of(cell).items()
    return [name for name, item in known if planned_value(network, cell, item) != getattr(cell, item.attribute)]


def _unplanned(network: Network, seed: int) -> Iterator[Slots]:
    for site in sites(network, seed):
        if any(_deviations(network, cell) for cell in network.at_site(Cell, site.id)):
            yield {"site": site.id}


def _as_planned(network: Network, seed: int) -> Iterator[Slots]:
    for site in sites(network, seed):
        if not any(_deviations(network, cell) for cell in network.at_site(Cell, site.id)):
            yield {"site": site.id}


def _deviating(network: Network, slots: Slots) -> Expected | None:
    found = [names for cell in network.at_site(Cell, slots["site"]) if (names := _deviations(network, cell))]
    return parts(count(len(found)), several(name for names in found for name in names)) if found else None


def _find_deviating(slots: Slots) -> Steps[Answer]:
    listed = yield from look("list_elements", element_type="cell", parent_id=slots["site"])
    cells, names = 0, set()
    for row in table(listed, "element_id"):
        text = yield from look("get_config", element_id=row["element_id"], compare_to="planned")
        found = {item["parameter"] for item in table(text, "parameter")}
        cells += bool(found)
        names |= found
    if not cells:
        raise Unanswerable("all is as planned")
    return Answer(f"{cells}, {', '.join(sorted(names))}")


TEMPLATES = (
    Template(
        "Q20",
        1,
        _odd_groups,
        _odd_one,
        _find_odd_one,
        needs="a node with another software version than the rest",
        special=True,
        lacking=_even_groups,
    ),
    Template("Q21", 0, _ending, _expiring, _find_expiring, unknown="node"),
    Template("Q23", 0, _errands, _whom, _find_whom, needs="technicians", unknown="site"),
    Template(
        "Q27",
        2,
        _unplanned,
        _deviating,
        _find_deviating,
        needs="a cell whose configuration differs from its plan",
        special=True,
        horizon_min=20,
        lacking=_as_planned,
    ),
)
