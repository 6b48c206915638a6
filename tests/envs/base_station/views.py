"""Views made by hand, for tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from telegym.envs.base_station.objects import Cell, Emitter, Node, Relation
from telegym.envs.base_station.region import Region
from telegym.envs.base_station.view import CellView, LinkView, NodeView, View


def healthy(region: Region) -> View:
    """Return the view of a network in which all works as planned."""
    records = region.records.values()
    paths = region.transport.paths
    return View(
        cells={record.id: _cell(record) for record in records if isinstance(record, Cell)},
        nodes={record.id: _node(record, paths) for record in records if isinstance(record, Node)},
        links={
            link.id: LinkView(True, link.capacity_mbps, link.delay_ms, 1.0, link.kind.startswith("mw"))
            for link in region.transport.links
        },
        relations=region.relations,
        emitters={},
    )


def _cell(cell: Cell) -> CellView:
    return CellView(
        cell=cell,
        on_air=True,
        muted=False,
        access_ok=True,
        power_offset_db=0.0,
        branches=1.0,
        capability=1.0,
        qam256=True,
        pim_dbm=None,
        pim_branch=0,
        bit_errors=0.0,
        phase_us=0.0,
        frequency_ppm=0.0,
        tilt_deg=cell.electrical_tilt_deg,
        azimuth_deg=cell.azimuth_deg,
    )


def _node(node: Node, paths: Mapping[str, Mapping[str, tuple[str, ...]]]) -> NodeView:
    return NodeView(
        up=True,
        control=1.0,
        user_plane=True,
        peers_down=(),
        links=paths[node.site_id]["primary"],
        mtu_ok=True,
        dscp_ok=True,
        shaper_mbps=0.0,
        cpu_extra_pct=0.0,
        users_limit=0,
        software=node.software,
    )


def with_cell(view: View, name: str, record: Mapping[str, Any] | None = None, **fields: Any) -> View:
    """Return a view in which one cell differs, in its record or in how it works."""
    cell = view.cells[name]
    if record:
        cell = cell._replace(cell=replace(cell.cell, **record))
    return replace(view, cells={**view.cells, name: cell._replace(**fields)})


def with_relations(view: View, relations: Mapping[str, Relation]) -> View:
    """Return a view with other neighbour relations."""
    return replace(view, relations=relations)


def with_emitter(view: View, emitter: Emitter) -> View:
    """Return a view with a source of interference."""
    return replace(view, emitters={emitter.id: emitter})


def with_link(view: View, name: str, **fields: Any) -> View:
    """Return a view in which one link differs."""
    return replace(view, links={**view.links, name: view.links[name]._replace(**fields)})
