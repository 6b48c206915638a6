"""Putting a region together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telegym.envs.base_station.memory import KEPT_REGIONS
from telegym.envs.base_station.noise import choice, mix, uniform
from telegym.envs.base_station.objects import Cell, CorePeer, Node, Record, Relation
from telegym.envs.base_station.region.archetypes import Archetype, archetype
from telegym.envs.base_station.region.equipment import CellPlan, equip
from telegym.envs.base_station.region.layout import Layout, lay_out
from telegym.envs.base_station.region.radio_plan import (
    MAX_NEIGHBOURS,
    LayerPlan,
    Points,
    identities,
    neighbours,
    plan_layers,
    scatter,
)
from telegym.envs.base_station.region.transport import Transport, connect

__all__ = ["Region", "build_region"]

Array = NDArray[np.float64]
_STALE_SHARE = 0.06


@dataclass(frozen=True)
class Region:
    """A region as built; it never changes."""

    archetype: str
    """Name of its archetype."""
    seed: int
    """What it was drawn from."""
    kind: Archetype
    """The archetype."""
    layout: Layout
    """Sites."""
    points: Points
    """Where users stand."""
    layers: dict[str, LayerPlan]
    """Layers as planned, by band; rows in the order of `cells_of`."""
    cells_of: dict[str, tuple[str, ...]]
    """Cells of each layer, in the order of the rows of its matrices."""
    transport: Transport
    """Routers, links and paths."""
    records: dict[str, Record]
    """Every managed object as it is when the region is healthy."""
    relations: dict[str, Relation]
    """Neighbour relations, by `SOURCE>TARGET`."""
    overlap: dict[str, Array]
    """How much cells of a layer overlap, cells x cells."""
    planned: dict[str, dict[str, Any]]
    """Where the plan differs from what was built with approval: cell, parameter, planned value."""


@lru_cache(maxsize=KEPT_REGIONS)
def build_region(name: str, seed: int) -> Region:
    """Build a region.

    Args:
        name: An archetype, for example `S1`.
        seed: Decides everything else.

    Raises:
        ConfigurationError: If there is no such archetype.
    """
    kind = archetype(name)
    seed64 = mix(seed, "region", name)
    layout = lay_out(kind, seed64)
    points = scatter(layout, seed64)
    layers = plan_layers(kind, layout, points, seed64)
    transport = connect(kind, layout, seed64)
    overlap = {tag: neighbours(plan) for tag, plan in layers.items()}
    records = _records(kind, layout, layers, transport, seed64)
    cells_of = dict(_cells_of(tuple(site.id for site in layout.sites), kind.layers))
    relations = _relations(cells_of, overlap)
    _link_nodes(records, relations)
    planned = _stale_plan(records, cells_of, seed64)
    return Region(name, seed, kind, layout, points, layers, cells_of, transport, records, relations, overlap, planned)


def _records(
    kind: Archetype, layout: Layout, layers: dict[str, LayerPlan], transport: Transport, seed: int
) -> dict[str, Record]:
    dialect = choice(("A", "B"), seed, "dialect")
    tacs = 1 + mix(seed, "tacs") % 3
    ids = {tag: identities(layout, plan.layer, seed) for tag, plan in layers.items()}
    base_tac = 1000 + mix(seed, "tac") % 60_000
    records: list[Record] = [*layout.sites, *transport.routers, *transport.links]
    for index, site in enumerate(layout.sites):
        tac = base_tac + (index * tacs) // len(layout.sites)
        plans = [
            CellPlan(
                layer=plan.layer,
                sector=sector + 1,
                pci=ids[tag][0][3 * index + sector],
                root=ids[tag][1][3 * index + sector],
                roots=ids[tag][2],
                tac=tac,
                tilt_deg=float(plan.tilts_deg[3 * index + sector]),
                azimuth_deg=layout.bearings_deg[index][sector],
                height_m=layout.heights_m[index],
            )
            for tag, plan in layers.items()
            for sector in range(3)
        ]
        records += equip(kind, site, plans, dialect, seed)
    records += [CorePeer(f"{what}-{number}", what) for what in ("MME", "AMF", "SGW", "UPF") for number in (1, 2)]
    return {record.id: record for record in records}


@lru_cache(maxsize=65_536)
def _relation(source: str, target: str) -> tuple[str, Relation]:
    """Return a relation with its name; the same one in all regions that have it."""
    name = f"{source}>{target}"
    return name, Relation(name, source, target)


@lru_cache(maxsize=64)
def _cells_of(sites: tuple[str, ...], layers: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {tag: tuple(f"{site}-{tag}-{sector}" for site in sites for sector in (1, 2, 3)) for tag in layers}


def _relations(cells_of: dict[str, tuple[str, ...]], overlap: dict[str, Array]) -> dict[str, Relation]:
    """Relate each cell to those of its layer that it overlaps most, and to its sector's cells on other layers."""
    found = []
    for tag, cells in cells_of.items():
        ranks = np.argsort(-overlap[tag], axis=1, kind="stable")[:, :MAX_NEIGHBOURS]
        near = np.take_along_axis(overlap[tag], ranks, axis=1) > 0
        others = [names for other, names in cells_of.items() if other != tag]
        for row, (source, columns, counts) in enumerate(zip(cells, ranks.tolist(), near.tolist(), strict=True)):
            found += [
                _relation(source, cells[column]) for column, counted in zip(columns, counts, strict=True) if counted
            ]
            found += [_relation(source, names[row]) for names in others]
    return dict(found)


def _link_nodes(records: dict[str, Record], relations: dict[str, Relation]) -> None:
    """Give nodes X2 or Xn links to those that their cells have relations with."""
    node_of = {record.id: record.node_id for record in records.values() if isinstance(record, Cell)}
    pairs = {(node_of[relation.source_id], node_of[relation.target_id]) for relation in relations.values()}
    peers: dict[str, set[str]] = {}
    for one, other in pairs:
        if one != other:
            peers.setdefault(one, set()).add(other)
            peers.setdefault(other, set()).add(one)
    for name, linked in peers.items():
        node = records[name]
        if isinstance(node, Node):
            # The region is under construction: nobody has seen this record yet.
            object.__setattr__(node, "peers", tuple(sorted(linked)))


def _stale_plan(
    records: dict[str, Record], cells_of: dict[str, tuple[str, ...]], seed: int
) -> dict[str, dict[str, Any]]:
    """In a few regions, let the plan lag behind one approved change."""
    if uniform(seed, "stale") >= _STALE_SHARE:
        return {}
    tag = choice(tuple(cells_of), seed, "stale layer")
    name = choice(cells_of[tag], seed, "stale cell")
    cell = records[name]
    if not isinstance(cell, Cell):
        raise TypeError(f"{name} is no cell")
    return {name: {"electrical_tilt_deg": max(cell.electrical_tilt_deg - 1.0, 0.0)}}
