"""Questions about alarms and about what hangs on what."""

from __future__ import annotations

from collections.abc import Iterator

from telegym.envs.base_station import alarms
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, shuffled
from telegym.envs.base_station.objects import Node, Router, Site, TransportLink
from telegym.envs.base_station.players.steps import Steps
from telegym.envs.base_station.questions.expected import Expected, count, one, several
from telegym.envs.base_station.questions.power import sites
from telegym.envs.base_station.questions.reading import Answer, Unanswerable, fields, look, pages, table
from telegym.envs.base_station.questions.template import Slots, Template
from telegym.envs.base_station.state import Alarm, Severity

__all__ = ["TEMPLATES"]

WEEK_MIN = 7 * 1440
MAX_BEHIND = 14
"""Most sites behind an element that a question is asked about."""


def _behind(network: Network, link_id: str) -> list[str]:
    """Return the sites whose present way to the core leads over a link."""
    return [site for site in network.region.transport.paths if link_id in works.path_links(network, site)]


# --- Q02 alarms because of a link -------------------------------------------------------------------------


def _troubled_links(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    troubled = {alarm.object_id for alarm in alarms.active_alarms(network)}
    links = shuffled(list(network.all(TransportLink)), seed, "link")
    down = [link for link in links if not works.link_up(network, link.id)]
    other = [link for link in links if link.id in troubled and link not in down]
    yield from ({"link": link.id} for link in (*down, *other))


def _concerns(network: Network, alarm: Alarm, link_id: str, behind: set[str]) -> bool:
    link = network.get(TransportLink, link_id)
    routers = (network.get(Router, name) for name in (link.a_id, link.b_id))
    ports = {port.id for router in routers for port in router.ports if port.link_id == link_id}
    return alarm.object_id == link_id or alarm.object_id in ports or alarm.site_id in behind


def _alarms_of_link(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    behind = set(_behind(network, slots["link"]))
    if not 1 <= len(behind) <= MAX_BEHIND:
        return None
    critical = [alarm for alarm in alarms.active_alarms(network) if alarm.severity is Severity.CRITICAL]
    found = sum(_concerns(network, alarm, slots["link"], behind) for alarm in critical)
    old = any(alarm.raised_s < network.now - 6 * 86_400 for alarm in critical)
    return count(found) if found and not old else None


def _critical_at(scope: str) -> Steps[set[str]]:
    rows = yield from pages("alarm_id", scope_id=scope, min_severity="CRITICAL", since_minutes=WEEK_MIN)
    return {row["alarm_id"] for row in rows}


def _find_alarms_of_link(slots: Slots) -> Steps[Answer]:
    text = yield from look("get_topology", element_id=slots["link"], layer="transport", direction="downstream", depth=1)
    found = yield from _critical_at(slots["link"])
    for row in table(text, "hop"):
        found |= yield from _critical_at(row["element_id"])
    return Answer(str(len(found)))


# --- Q17 who hangs on a router ----------------------------------------------------------------------------

MAX_HOPS = 6


def _hops_to(network: Network, site: str, links: tuple[str, ...], router: str) -> int | None:
    """Return after how many links a way from a site reaches a router; None if it does not lead there."""
    here = f"CSR-{site[1:]}"
    if here == router:
        return 0
    for hop, name in enumerate(links, start=1):
        link = network.get(TransportLink, name)
        here = link.b_id if here == link.a_id else link.a_id
        if here == router:
            return hop
    return None


def _without(network: Network, router: str) -> dict[str, list[int | None]]:
    """Return for every site that has a way through a router how many hops away it is on each of its ways."""
    paths = network.region.transport.paths
    found = {site: [_hops_to(network, site, way, router) for way in ways.values()] for site, ways in paths.items()}
    return {site: hops for site, hops in found.items() if any(hop is not None for hop in hops)}


def _routers(network: Network, seed: int) -> Iterator[Slots]:
    """Yield routers on which a site depends that is not their own."""
    for router in shuffled(list(network.all(Router)), seed, "router"):
        hanging = [site for site, hops in _without(network, router.id).items() if None not in hops]
        if any(site != router.site_id for site in hanging):
            yield {"router": router.id}


def _dark_sites(network: Network, slots: Slots) -> Expected | None:
    ways = _without(network, slots["router"])
    dark = [site for site, hops in ways.items() if all(hop is not None and hop <= MAX_HOPS for hop in hops)]
    far = any(hop is not None and hop > MAX_HOPS for site in dark for hop in ways[site])
    passing = sum(
        _hops_to(network, site, works.path_links(network, site), slots["router"]) is not None for site in ways
    )
    return several(dark) if dark and not far and passing <= MAX_BEHIND else None


def _find_dark_sites(slots: Slots) -> Steps[Answer]:
    router = slots["router"]
    text = yield from look("get_topology", element_id=router, layer="transport", direction="downstream", depth=2)
    names = [row["element_id"] for row in table(text, "hop") if row["element_id"].startswith("S")]
    own = fields((yield from look("get_element_info", element_id=router)))["site"]
    dark = [own] if own != "-" else []
    for name in names:
        steps = yield from look(
            "get_topology", element_id=name, layer="transport", direction="upstream", depth=MAX_HOPS
        )
        ways: dict[str, set[str]] = {}
        for row in table(steps, "hop"):
            ways.setdefault(row["note"].split()[0], set()).add(row["element_id"])
        ways.pop("site", None)
        if all(router in way for way in ways.values()):
            dark.append(name)
    return Answer(", ".join(dark))


# --- Q18 what unreachable sites share ---------------------------------------------------------------------


def _first_down(network: Network, site: str) -> str | None:
    return next((name for name in works.path_links(network, site) if not works.link_up(network, name)), None)


def _cut_off(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    groups: dict[str, list[str]] = {}
    for site in sites(network, seed):
        lost = not any(works.oam_reachable(network, node.id) for node in network.at_site(Node, site.id))
        down = _first_down(network, site.id)
        if lost and down is not None:
            groups.setdefault(down, []).append(site.id)
    yield from ({"sites": sorted(names[:5])} for names in groups.values() if len(names) > 1)


def _shared_link(network: Network, slots: Slots) -> Expected | None:
    found = {_first_down(network, site) for site in slots["sites"]}
    link = found.pop() if len(found) == 1 else None
    return None if link is None else one(link)


def _find_shared_link(slots: Slots) -> Steps[Answer]:
    found = []
    for site in slots["sites"]:
        text = yield from look("get_transport_status", element_id=site)
        found.append(next((row["link"] for row in table(text, "link") if row["state"] == "DOWN"), ""))
    if len(set(found)) != 1 or not found[0]:
        raise Unanswerable("they share no link that is down")
    return Answer(found[0])


# --- Q29 the oldest alarm that follows from no other ------------------------------------------------------

_SEVERE = {"MINOR": 2, "MAJOR": 3, "CRITICAL": 4}
_RANK = {"CRITICAL": 4, "MAJOR": 3, "MINOR": 2, "WARNING": 1}


def _floods(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    active = alarms.active_alarms(network)
    where = sorted({alarm.site_id for alarm in active if alarm.site_id})
    for lowest in shuffled(["MINOR", "MAJOR", "CRITICAL"], seed, "severity"):
        places = ["region", *shuffled(where, seed, "place")]
        start = choice((0, 1), seed, "first place")
        yield from ({"scope": scope, "severity": lowest} for scope in places[start:])


def _root_candidate(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    found = [
        alarm
        for alarm in alarms.active_alarms(network)
        if _RANK.get(alarm.severity.value, 0) >= _SEVERE[slots["severity"]]
        and slots["scope"] in ("region", alarm.site_id)
    ]
    roots = sorted((alarm for alarm in found if not alarm.correlated), key=lambda alarm: (alarm.raised_s, alarm.id))
    old = any(max(alarm.raised_s, alarm.cleared_s or 0) < network.now - 6 * 86_400 for alarm in found)
    if len(found) < 2 or not roots or old:
        return None
    tied = {alarm.object_id for alarm in roots if alarm.raised_s == roots[0].raised_s}
    return one(roots[0].object_id) if len(tied) == 1 else None


def _find_root_candidate(slots: Slots) -> Steps[Answer]:
    rows = yield from pages("alarm_id", scope_id=slots["scope"], min_severity=slots["severity"], since_minutes=WEEK_MIN)
    for row in sorted(rows, key=lambda row: (row["raised"], row["alarm_id"])):
        record = fields((yield from look("get_alarm", alarm_id=row["alarm_id"])))
        if record["correlatedNotifications"] == "-":
            return Answer(row["managed_object"])
    raise Unanswerable("every alarm is said to follow from another one")


def _quiet(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    loud = {alarm.site_id for alarm in alarms.active_alarms(network)}
    yield from ({"scope": site.id, "severity": "MAJOR"} for site in sites(network, seed) if site.id not in loud)


def _connected(network: Network, seed: int) -> Iterator[Slots]:
    """Yield sites that are all reachable."""
    names = [
        site.id
        for site in network.all(Site)
        if _first_down(network, site.id) is None
        and all(works.oam_reachable(network, node.id) for node in network.at_site(Node, site.id))
    ]
    chosen = shuffled(names, seed, "sites")
    if len(chosen) >= 3:
        yield {"sites": sorted(chosen[:3])}


TEMPLATES = (
    Template(
        "Q02",
        2,
        _troubled_links,
        _alarms_of_link,
        _find_alarms_of_link,
        needs="a transport link with CRITICAL alarms on it or behind it",
        special=True,
        horizon_min=20,
        unknown="link",
    ),
    Template(
        "Q17",
        2,
        _routers,
        _dark_sites,
        _find_dark_sites,
        needs="sites without a second way (none in the rings of U1, X1, X2)",
        unknown="router",
    ),
    Template(
        "Q18",
        2,
        _cut_off,
        _shared_link,
        _find_shared_link,
        needs="two or more sites cut off by one link (not in the stars of U2, X3)",
        special=True,
        lacking=_connected,
    ),
    Template(
        "Q29",
        2,
        _floods,
        _root_candidate,
        _find_root_candidate,
        needs="two or more active alarms",
        special=True,
        horizon_min=20,
        lacking=_quiet,
    ),
)
