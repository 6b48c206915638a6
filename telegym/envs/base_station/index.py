"""Who belongs to whom in a region, looked up once: objects by kind and site, and what stands or falls together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from telegym.envs.base_station.memory import KEPT_REGIONS
from telegym.envs.base_station.objects import (
    AntennaLine,
    Board,
    Cabinet,
    Cell,
    FronthaulLink,
    RadioUnit,
    Record,
    RetUnit,
    Router,
    TransportLink,
)
from telegym.envs.base_station.region import Region, build_region

__all__ = ["Index", "index_of", "site_of_id"]

Names = tuple[str, ...]
_K = TypeVar("_K")


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """What belongs to what, by ids; the same for ever."""

    site_of: Mapping[str, str]
    """Site of each object that stands at one."""
    at_site: Mapping[str, Names]
    """Objects of each site, the site itself first."""
    of_kind: Mapping[type[Record], Names]
    """Objects of each kind."""
    at_site_of_kind: Mapping[tuple[type[Record], str], Names]
    """Objects of a kind at a site."""
    boards_of: Mapping[str, Names]
    """Boards of each node."""
    units_of: Mapping[str, Names]
    """Radio units that a board drives."""
    cells_of: Mapping[str, Names]
    """Cells of each node, board and radio unit."""
    lines_of: Mapping[str, Names]
    """Antenna lines of each radio unit."""
    around_unit: Mapping[str, frozenset[str]]
    """Each radio unit with its fronthaul link, antenna lines and tilt units."""
    fronthaul_of: Mapping[str, str]
    """Fronthaul link of each radio unit."""
    tilt_unit_of: Mapping[str, str]
    """Tilt unit of each cell."""
    behind: Mapping[str, Names]
    """Sites that use a link or router on any of their paths."""
    neighbours_of: Mapping[str, Names]
    """Neighbours of each cell on its own carrier, as built."""
    air_conditioned: Mapping[str, bool]
    """Whether a site's cabinet has an air conditioner."""
    parent_of: Mapping[str, str]
    """For each site that reaches the core through one other site on both its paths, that site."""


@lru_cache(maxsize=KEPT_REGIONS)
def index_of(archetype: str, region_seed: int) -> Index:
    """Return the index of a region."""
    region = build_region(archetype, region_seed)
    at_site: dict[str, list[str]] = {site.id: [site.id] for site in region.layout.sites}
    of_kind: dict[type[Record], list[str]] = {}
    both: dict[tuple[type[Record], str], list[str]] = {}
    site_of: dict[str, str] = {}
    for name, record in region.records.items():
        of_kind.setdefault(type(record), []).append(name)
        site = site_of_id(region, name)
        if site is not None:
            site_of[name] = site
            both.setdefault((type(record), site), []).append(name)
            if name != site:
                at_site[site].append(name)
    records = region.records.values()
    cells = [record for record in records if isinstance(record, Cell)]
    owners = [(owner, cell.id) for cell in cells for owner in (cell.node_id, cell.board_id, cell.ru_id)]
    lines_of = _grouped((line.ru_id, line.id) for line in records if isinstance(line, AntennaLine))
    return Index(
        site_of=site_of,
        at_site=_frozen(at_site),
        of_kind=_frozen(of_kind),
        at_site_of_kind=_frozen(both),
        boards_of=_grouped((board.node_id, board.id) for board in records if isinstance(board, Board)),
        units_of=_grouped((unit.board_id, unit.id) for unit in records if isinstance(unit, RadioUnit)),
        cells_of=_grouped(owners),
        lines_of=lines_of,
        around_unit=_around_units(records, lines_of),
        fronthaul_of={link.ru_id: link.id for link in records if isinstance(link, FronthaulLink)},
        tilt_unit_of={unit.cell_id: unit.id for unit in records if isinstance(unit, RetUnit)},
        behind=_behind(region),
        neighbours_of=_grouped(
            (relation.source_id, relation.target_id)
            for relation in region.relations.values()
            if relation.source_id.split("-")[1] == relation.target_id.split("-")[1]
        ),
        air_conditioned={item.site_id: item.has_air_conditioner for item in records if isinstance(item, Cabinet)},
        parent_of=_parents(region),
    )


def _around_units(records: Iterable[Record], lines_of: Mapping[str, Names]) -> dict[str, frozenset[str]]:
    around = {item.id: {item.id, *lines_of.get(item.id, ())} for item in records if isinstance(item, RadioUnit)}
    units = {item.id: item.ru_id for item in records if isinstance(item, Cell)}
    for item in records:
        if isinstance(item, FronthaulLink):
            around[item.ru_id].add(item.id)
        elif isinstance(item, RetUnit):
            around[units[item.cell_id]].add(item.id)
    return {name: frozenset(names) for name, names in around.items()}


def _frozen(groups: Mapping[_K, list[str]]) -> dict[_K, Names]:
    return {key: tuple(names) for key, names in groups.items()}


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, Names]:
    groups: dict[str, list[str]] = {}
    for owner, name in pairs:
        groups.setdefault(owner, []).append(name)
    return _frozen(groups)


def _behind(region: Region) -> dict[str, Names]:
    """Return which sites use a link or router, on their primary or secondary path."""
    users: dict[str, dict[str, None]] = {}
    for site, ways in region.transport.paths.items():
        users.setdefault(f"CSR-{site[1:]}", {})[site] = None
        for way in ways.values():
            for name in way:
                link = region.records[name]
                users.setdefault(name, {})[site] = None
                if isinstance(link, TransportLink):
                    users.setdefault(link.a_id, {})[site] = None
                    users.setdefault(link.b_id, {})[site] = None
    for record in region.records.values():
        if isinstance(record, (Router, TransportLink)):
            users.setdefault(record.id, {})
    return {name: tuple(sites) for name, sites in users.items()}


def _parents(region: Region) -> dict[str, str]:
    """Return the sites that sites hang on: whose paths, with one more hop, are all the paths they have."""
    paths, found = region.transport.paths, {}
    for site, ways in paths.items():
        if len(ways["primary"]) < 2:
            continue
        link = region.records[ways["primary"][0]]
        if isinstance(link, TransportLink):
            end = link.b_id if link.a_id == f"CSR-{site[1:]}" else link.a_id
            parent = f"S{end[4:]}"
            if paths.get(parent) == {role: way[1:] for role, way in ways.items()}:
                found[site] = parent
    return found


def site_of_id(region: Region, name: str) -> str | None:
    """Return the site an object stands at, by its id; None for what stands between or beyond sites."""
    if name in region.transport.paths:
        return name
    prefix, _, rest = name.partition("-")
    if prefix in ("TL", "AGG", "MME", "AMF", "SGW", "UPF", "CU"):
        return None
    site = prefix if prefix.startswith("S") and prefix[1:].isdigit() else f"S{rest[:3]}"
    return site if site in region.transport.paths else None
