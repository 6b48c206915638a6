"""Transport of a region: routers, links, and the planned ways to the core."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from telegym.envs.base_station.noise import uniform
from telegym.envs.base_station.objects import Port, Router, Site, TransportLink
from telegym.envs.base_station.region.archetypes import Archetype
from telegym.envs.base_station.region.layout import Layout

__all__ = ["Transport", "connect"]

Kind = Literal["fibre_10ge", "fibre_1ge", "leased_line", "mw_18", "mw_23", "mw_80"]
_CAPACITY: dict[Kind, float] = {
    "fibre_10ge": 10_000.0,
    "fibre_1ge": 1_000.0,
    "leased_line": 2_000.0,
    "mw_18": 800.0,
    "mw_23": 800.0,
    "mw_80": 5_000.0,
}
PLANNED_MBPS = {
    "L7": 7.0,
    "L8": 7.0,
    "N7": 7.0,
    "L18": 21.0,
    "L21": 18.0,
    "L23": 16.0,
    "L26": 21.0,
    "N26": 115.0,
    "N35": 250.0,
}
"""Busy-hour traffic of a cell that links are dimensioned for, by band."""
PLANNED_UTILISATION = 0.5
"""Utilisation at which a link is upgraded."""
_UPGRADE: dict[Kind, Kind] = {"fibre_1ge": "fibre_10ge", "mw_18": "mw_80", "mw_23": "mw_80"}
GATEWAYS = ("AGG-01", "AGG-02")


@dataclass(frozen=True, slots=True)
class Transport:
    """Routers and links, and which links each site uses."""

    routers: tuple[Router, ...]
    """Cell-site routers, then aggregation routers."""
    links: tuple[TransportLink, ...]
    """Links."""
    paths: dict[str, dict[str, tuple[str, ...]]]
    """For each site the links of its `primary` and, where there is one, `secondary` path, from the site to the core."""


Edge = tuple[str, str, Kind]
"""Router nearer to the sites, router nearer to the core, medium."""


def connect(kind: Archetype, layout: Layout, seed: int) -> Transport:
    """Draw the transport network of a region."""
    names = [f"CSR-{site.id[1:]}" for site in layout.sites]
    plans: dict[str, Callable[[], dict[str, list[list[Edge]]]]] = {
        "ring": lambda: _rings([_around(layout.sites, names)], "fibre_10ge"),
        "rings": lambda: _rings(_split(_around(layout.sites, names), 2), "fibre_10ge"),
        "star": lambda: _star(names, "fibre_10ge", protected=True),
        "leased": lambda: _star(names, "leased_line", protected=False),
        "tree": lambda: _tree(layout.sites, names, seed),
        "chain": lambda: _chains(layout.sites, names, seed),
        "mixed": lambda: _mixed(layout.sites, names, seed),
    }
    traffic = sum(3 * PLANNED_MBPS[layer] for layer in kind.layers)
    return _assemble(layout, plans[kind.transport](), traffic, seed)


def _around(sites: Sequence[Site], names: Sequence[str]) -> list[str]:
    """Return routers in the order of a walk around the region's middle."""
    order = sorted(range(len(sites)), key=lambda index: (math.atan2(sites[index].y_m, sites[index].x_m), index))
    return [names[index] for index in order]


def _split(items: list[str], parts: int) -> list[list[str]]:
    size = -(-len(items) // parts)
    return [items[start : start + size] for start in range(0, len(items), size)]


def _rings(rings: Sequence[list[str]], medium: Kind) -> dict[str, list[list[Edge]]]:
    """Rings between the two aggregation routers: the shorter way is primary, the other one secondary."""
    paths: dict[str, list[list[Edge]]] = {}
    for ring in rings:
        for place, name in enumerate(ring):
            one = [*reversed(ring[: place + 1]), GATEWAYS[0]]
            other = [*ring[place:], GATEWAYS[1]]
            ways = sorted((one, other), key=len)
            paths[name] = [[(a, b, medium) for a, b in pairwise(way)] for way in ways]
    return paths


def _star(names: Sequence[str], medium: Kind, *, protected: bool) -> dict[str, list[list[Edge]]]:
    """Every site directly at the first aggregation router; the hub also at the second."""
    paths = {name: [[(name, GATEWAYS[0], medium)]] for name in names}
    for name in names[:: 2 if protected else len(names)]:
        paths[name].append([(name, GATEWAYS[1], medium)])
    return paths


def _hop(seed: int, name: str, near: Kind = "mw_23") -> Kind:
    return "mw_18" if uniform(seed, "hop", name) < 0.6 else near


def _tree(sites: Sequence[Site], names: Sequence[str], seed: int) -> dict[str, list[list[Edge]]]:
    """A fibre trunk through the middle sites, microwave leaves up to two hops away."""
    trunk = names[: max(3, len(names) // 3)]
    paths = _rings([list(trunk)], "fibre_1ge")
    for index in range(len(trunk), len(names)):
        nearest = min(
            range(index), key=lambda other: (len(paths[names[other]][0]) > 3, _distance(sites[index], sites[other]))
        )
        up = names[nearest]
        edge: Edge = (names[index], up, _hop(seed, names[index]))
        paths[names[index]] = [[edge, *way] for way in paths[up]]
    return paths


def _chains(sites: Sequence[Site], names: Sequence[str], seed: int) -> dict[str, list[list[Edge]]]:
    """Microwave chains three to five hops deep from the hub, which has fibre."""
    paths: dict[str, list[list[Edge]]] = {names[0]: [[(names[0], GATEWAYS[0], "fibre_1ge")]]}
    ends = [0]
    for index in range(1, len(names)):
        deep = [end for end in ends if len(paths[names[end]][0]) < 5]
        up = min(deep, key=lambda other: _distance(sites[index], sites[other])) if len(ends) > 1 else 0
        edge: Edge = (names[index], names[up], _hop(seed, names[index]))
        paths[names[index]] = [[edge, *paths[names[up]][0]]]
        ends = [end for end in ends if end != up or end == 0] + [index]
    return paths


def _mixed(sites: Sequence[Site], names: Sequence[str], seed: int) -> dict[str, list[list[Edge]]]:
    """A fibre ring in the town, chains into the country."""
    town = max(4, len(names) // 2)
    paths = _rings([_around(sites[:town], names[:town])], "fibre_10ge")
    for index in range(town, len(names)):
        up = min(range(index), key=lambda other: _distance(sites[index], sites[other]))
        edge: Edge = (names[index], names[up], _hop(seed, names[index], "mw_80"))
        paths[names[index]] = [[edge, *way] for way in paths[names[up]]]
    return paths


def _distance(one: Site, other: Site) -> float:
    return round(math.hypot(one.x_m - other.x_m, one.y_m - other.y_m), 1)


def _assemble(layout: Layout, paths: dict[str, list[list[Edge]]], traffic_mbps: float, seed: int) -> Transport:
    """Make records of the links that paths use; a link used by primary paths is primary."""
    edges: dict[str, tuple[Edge, bool]] = {}
    named: dict[str, dict[str, tuple[str, ...]]] = {}
    for site in layout.sites:
        ways = dict(zip(("primary", "secondary"), paths[f"CSR-{site.id[1:]}"], strict=False))
        named[site.id] = {role: tuple(map(_link_id, way)) for role, way in ways.items()}
        for role, edge in ((role, edge) for role, way in ways.items() for edge in way):
            known, primary = edges.get(_link_id(edge), (edge, False))
            edges[_link_id(edge)] = (edge if role == "primary" else known, primary or role == "primary")
    where = {f"CSR-{site.id[1:]}": site for site in layout.sites}
    busy = Counter(name for ways in named.values() for name in ways["primary"])
    links = tuple(
        _link(name, _upgraded(edge, busy[name] * traffic_mbps), primary, where, seed)
        for name, (edge, primary) in sorted(edges.items())
    )
    ends: dict[str, list[str]] = {}
    for link in links:
        ends.setdefault(link.a_id, []).append(link.id)
        ends.setdefault(link.b_id, []).append(link.id)
    routers = [_router(name, site.id, ends.get(name, [])) for name, site in where.items()]
    return Transport((*routers, *(_router(name, None, ends[name]) for name in GATEWAYS if name in ends)), links, named)


def _upgraded(edge: Edge, traffic_mbps: float) -> Edge:
    """Return a link with the medium that carries its traffic."""
    a, b, medium = edge
    enough = traffic_mbps <= PLANNED_UTILISATION * _CAPACITY[medium]
    return edge if enough else (a, b, _UPGRADE.get(medium, medium))


@lru_cache(maxsize=16_384)
def _link_id(edge: Edge) -> str:
    ends = sorted(_short(name) for name in edge[:2])
    return f"TL-{ends[0]}-{ends[1]}"


@lru_cache(maxsize=1024)
def _short(router: str) -> str:
    kind, number = router.split("-")
    return number if kind == "CSR" else f"A{number}"


def _link(name: str, edge: Edge, primary: bool, where: dict[str, Site], seed: int) -> TransportLink:
    a, b, medium = edge
    span = _distance(where[a], where[b]) if a in where and b in where else 4_000.0
    length = round(max(span * (1.0 if medium.startswith("mw") else 1.35), 300.0) / 1e3, 2)
    microwave = medium.startswith("mw")
    return TransportLink(
        id=name,
        a_id=a,
        b_id=b,
        kind=medium,
        capacity_mbps=_CAPACITY[medium],
        delay_ms=round(0.15 + 0.005 * length + (0.3 if microwave else 0.05), 3),
        length_km=length,
        role="primary" if primary else "secondary",
        provider="own" if microwave else ("Fibrenet" if uniform(seed, "provider", name) < 0.6 else "Trunkline"),
        design_rsl_dbm=round(-38.0 - 8.0 * uniform(seed, "level", name), 1) if microwave else None,
        spare_members=1 if medium == "fibre_10ge" and uniform(seed, "spare", name) < 0.5 else 0,
    )


@lru_cache(maxsize=16_384)
def _port(router: str, number: int, link: str | None) -> Port:
    return Port(f"{router}-P{number}", link)


def _router(name: str, site_id: str | None, links: Sequence[str]) -> Router:
    ports = [_port(name, number, link) for number, link in enumerate(links, start=1)]
    if site_id is not None:
        ports.insert(0, _port(name, 0, None))
    number = _short(name)
    return Router(
        id=name,
        site_id=site_id,
        kind="CSR" if site_id else "AGG",
        ports=tuple(ports),
        next_hop=f"10.{int(number.lstrip('A'))}.0.1",
    )
