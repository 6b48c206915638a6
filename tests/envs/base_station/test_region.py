"""Regions: counts, identities, transport, determinism, and radio planning that makes sense."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.envs.base_station.objects import Cell, ClockUnit, Node, PowerSystem, RadioUnit, Router
from telegym.envs.base_station.physics.load import LayerRadio, solve
from telegym.envs.base_station.physics.spectrum import roots_conflict
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.region.archetypes import archetype, archetype_names

regions = st.builds(build_region, st.sampled_from(archetype_names()), st.integers(0, 10_000))


@given(region=regions)
@settings(max_examples=25, deadline=None)
def test_a_region_holds_what_its_archetype_says(region: Region) -> None:
    low, high = archetype(region.archetype).sites
    assert low <= len(region.layout.sites) <= high
    cells = [record for record in region.records.values() if isinstance(record, Cell)]
    assert len(cells) == 3 * len(region.layout.sites) * len(region.kind.layers)
    assert sorted(cell.id for cell in cells) == sorted(name for names in region.cells_of.values() for name in names)
    for name, record in region.records.items():
        assert record.id == name


@given(region=regions)
@settings(max_examples=25, deadline=None)
def test_identities_do_not_clash(region: Region) -> None:
    for tag, names in region.cells_of.items():
        cells = [region.records[name] for name in names]
        assert all(isinstance(cell, Cell) for cell in cells)
        pcis = [cell.pci for cell in cells if isinstance(cell, Cell)]
        assert len(set(pcis)) == len(pcis)
        assert max(pcis) <= (503 if tag.startswith("L") else 1007)
        for start in range(0, len(pcis), 3):
            assert {pci % 3 for pci in pcis[start : start + 3]} == {0, 1, 2}
        roots = [(cell.root_sequence_index, cell.root_sequences) for cell in cells if isinstance(cell, Cell)]
        if sum(count for _, count in roots) <= 838:
            assert not any(roots_conflict(*one, *other) for one, other in combinations(roots, 2))


@given(region=regions)
@settings(max_examples=25, deadline=None)
def test_every_site_reaches_the_core(region: Region) -> None:
    links = {link.id: link for link in region.transport.links}
    for site in region.layout.sites:
        for way in region.transport.paths[site.id].values():
            here = f"CSR-{site.id[1:]}"
            for name in way:
                link = links[name]
                assert here in (link.a_id, link.b_id)
                here = link.b_id if here == link.a_id else link.a_id
            assert here.startswith("AGG")
    ports = {port.link_id for router in region.records.values() if isinstance(router, Router) for port in router.ports}
    assert ports - {None} == set(links)


@given(region=regions)
@settings(max_examples=15, deadline=None)
def test_equipment_refers_to_what_is_there(region: Region) -> None:
    for record in region.records.values():
        if isinstance(record, Cell):
            unit = region.records[record.ru_id]
            assert isinstance(unit, RadioUnit) and unit.board_id == record.board_id in region.records
            assert record.node_id in region.records
        if isinstance(record, PowerSystem):
            feeds = {breaker.id for breaker in record.breakers}
            units = [u for u in region.records.values() if isinstance(u, RadioUnit) and u.site_id == record.site_id]
            assert {unit.breaker_id for unit in units} <= feeds
            assert len(units) == len({unit.breaker_id for unit in units})
        if isinstance(record, Node):
            assert set(record.peers) <= region.records.keys()
        if isinstance(record, ClockUnit):
            assert record.source in record.provisioned


@given(region=regions)
@settings(max_examples=15, deadline=None)
def test_neighbours_are_near(region: Region) -> None:
    sites = {site.id: site for site in region.layout.sites}
    for relation in region.relations.values():
        assert relation.source_id != relation.target_id
        assert {relation.source_id, relation.target_id} <= region.records.keys()
    first = region.cells_of[region.kind.layers[0]]
    for source in first:
        targets = [r.target_id for r in region.relations.values() if r.source_id == source and r.target_id in first]
        own = sites[source.split("-")[0]]
        assert targets, f"{source} has no neighbour"
        nearest = min(
            np.hypot(sites[t.split("-")[0]].x_m - own.x_m, sites[t.split("-")[0]].y_m - own.y_m) for t in targets
        )
        assert nearest < 2.5 * region.layout.spacing_m


@pytest.mark.parametrize("name", archetype_names())
def test_the_same_seed_gives_the_same_region(name: str) -> None:
    one = build_region(name, 3)
    build_region.cache_clear()
    other = build_region(name, 3)
    assert one.records == other.records and one.relations == other.relations
    assert all(np.array_equal(one.layers[tag].rsrp_dbm, other.layers[tag].rsrp_dbm) for tag in one.layers)
    assert build_region(name, 4).records != one.records


def test_unknown_archetypes_name_the_valid_ones() -> None:
    with pytest.raises(ConfigurationError, match="no archetype 'U9'; valid: U1, U2"):
        build_region("U9", 0)


def test_some_plans_are_stale() -> None:
    stale = [build_region("R1", seed).planned for seed in range(120)]
    assert 1 <= sum(map(bool, stale)) <= 20


@pytest.mark.parametrize("name", archetype_names())
def test_signal_quality_is_that_of_a_planned_network(name: str) -> None:
    quality = []
    for seed in range(6):
        region = build_region(name, seed)
        plan = region.layers[region.kind.layers[0]]
        cells, points = plan.rsrp_dbm.shape
        radio = LayerRadio(
            rsrp_dbm=plan.rsrp_dbm,
            bias_db=np.zeros(cells),
            bandwidth_mhz=np.full(cells, plan.layer.bandwidth_mhz),
            efficiency=np.full(cells, plan.layer.efficiency),
            noise_dbm=-125.2,
            downlink_share=1.0,
            extra_load=np.full(cells, 0.45),
            penalty_db=np.zeros(cells),
        )
        quality.append(solve(radio, np.full(points, 0.01)).sinr_db)
    low, middle, high = np.quantile(np.concatenate(quality), [0.05, 0.5, 0.95])
    assert -6 < low < 4 < middle < 16 < high < 40
