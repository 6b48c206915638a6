"""Indicators: healthy where all is well, and moved by faults the way engineers know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.envs.base_station.kpi import (
    BIN_S,
    bins_and_expected,
    cell_bins,
    expected_bins,
    kpi,
    kpi_names,
    layer_bins,
    processor_load_now,
    table,
    users_now,
)
from telegym.envs.base_station.objects import Emitter
from telegym.envs.base_station.radio import BUSY_LOAD, busy_demand_mbps, hour
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.region.archetypes import archetype_names
from telegym.envs.base_station.view import Epoch, View

from .views import healthy, with_cell, with_emitter, with_link, with_relations

BUSY = 19
"""Monday, 19 h."""
HEALTHY = {
    "cell_availability_pct": (99.9, 100),
    "rrc_setup_success_pct": (99.3, 100),
    "sig_setup_success_pct": (99.7, 100),
    "erab_setup_success_pct": (99.4, 100),
    "erab_drop_pct": (0, 0.4),
    "rrc_reestablishment_pct": (0, 0.8),
    "ho_success_pct": (98, 100),
    "ho_prep_success_pct": (99.5, 100),
    "ho_too_late_pct": (0, 0.5),
    "ho_too_early_pct": (0, 0.4),
    "ho_pingpong_pct": (0, 2),
    "prb_util_dl_pct": (0, 70),
    "prb_util_ul_pct": (0, 60),
    "ul_rssi_prb_dbm": (-119, -110),
    "ul_sinr_db": (8, 99),
    "cqi_mean": (8, 12),
    "rank_mean": (1.3, 3.2),
    "dl_bler_pct": (8, 12),
    "ul_bler_pct": (8, 12),
    "rach_success_pct": (95, 100),
    "voice_setup_success_pct": (99.5, 100),
    "voice_drop_pct": (0, 0.3),
    "voice_mos": (3.9, 5),
    "packet_loss_dl_pct": (0, 0.05),
    "latency_dl_ms": (0, 25),
    "tau_success_pct": (99.5, 100),
    "endc_setup_success_pct": (98, 100),
    "cpu_load_pct": (0, 65),
    "backhaul_util_pct": (0, 70),
    "complaints_per_hour": (0, 1),
}


@pytest.fixture(scope="module")
def region() -> Region:
    return build_region("U1", 0)


@pytest.fixture(scope="module")
def well(region: Region) -> View:
    return healthy(region)


def at(region: Region, view: View, cell: str, name: str, how: int = BUSY) -> float:
    tag = cell.split("-")[1]
    return float(table(region, view, how)[tag][name][region.cells_of[tag].index(cell)])


def ratio(region: Region, view: View, other: View, cell: str, name: str) -> float:
    return at(region, other, cell, name) / at(region, view, cell, name)


@pytest.mark.parametrize("archetype", archetype_names())
def test_healthy_networks_are_healthy(archetype: str) -> None:
    fine = []
    for seed in range(4):
        region = build_region(archetype, seed)
        for values in table(region, healthy(region), BUSY).values():
            inside = [
                np.isnan(values[name]) | ((values[name] >= low) & (values[name] <= high))
                for name, (low, high) in HEALTHY.items()
            ]
            fine.append(np.logical_and.reduce(inside))
    assert np.concatenate(fine).mean() >= 0.95


def test_the_busy_hour_is_as_planned() -> None:
    for seed in range(3):
        region = build_region("U1", seed)
        for tag in region.kind.layers:
            loads = np.max([table(region, healthy(region), how)[tag]["prb_util_dl_pct"] for how in range(24)], axis=0)
            assert 100 * BUSY_LOAD * 0.8 < loads.mean() < 100 * BUSY_LOAD * 1.2
            assert np.quantile(loads, 0.9) < 85
            assert busy_demand_mbps(region, tag).min() > 0


def test_every_indicator_is_defined_and_computed(region: Region, well: View) -> None:
    assert len(kpi_names()) == 38
    for values in table(region, well, BUSY).values():
        assert tuple(values) == kpi_names()
    assert kpi("prb_util_dl_pct").unit == "%"


CELL = "S001-L18-1"


@pytest.mark.parametrize(("offset_db", "low", "high"), [(-10.0, 0.1, 0.5), (-3.0, 0.5, 0.9)])
def test_less_power_serves_less(region: Region, well: View, offset_db: float, low: float, high: float) -> None:
    weak = with_cell(well, CELL, power_offset_db=offset_db)
    assert low < ratio(region, well, weak, CELL, "dl_volume_gb") < high


def test_too_much_tilt_shrinks_a_cell_and_flatters_its_averages(region: Region, well: View) -> None:
    down = with_cell(well, CELL, tilt_deg=14.0 + well.cells[CELL].tilt_deg)
    assert ratio(region, well, down, CELL, "dl_volume_gb") < 0.9
    assert ratio(region, well, down, CELL, "ta_p90_m") < 0.9


def test_a_lost_site_loads_its_neighbours(region: Region, well: View) -> None:
    dark = well
    for name in region.cells_of["L18"]:
        if name.startswith("S001-"):
            dark = with_cell(dark, name, on_air=False)
    others = [name for name in region.cells_of["L18"] if not name.startswith("S001-")]
    rises = sorted(at(region, dark, n, "prb_util_dl_pct") - at(region, well, n, "prb_util_dl_pct") for n in others)
    assert np.mean(rises[-3:]) > 8
    assert at(region, dark, CELL, "cell_availability_pct") == 0
    assert at(region, dark, CELL, "rrc_setup_attempts") == 0
    assert np.isnan(at(region, dark, CELL, "ho_success_pct"))


@pytest.mark.parametrize(
    ("fields", "record"), [({"access_ok": False}, None), ({}, {"cell_barred": True}), ({"muted": True}, None)]
)
def test_cells_that_let_nobody_in_have_no_attempts(
    region: Region, well: View, fields: dict[str, bool], record: dict[str, bool] | None
) -> None:
    shut = with_cell(well, CELL, record, **fields)
    assert at(region, shut, CELL, "rrc_setup_attempts") == 0
    assert at(region, shut, CELL, "cell_availability_pct") == 100
    assert at(region, shut, CELL, "prb_util_dl_pct") < 5
    assert at(region, shut, CELL, "dl_volume_gb") == 0


def test_half_the_branches_cost_rank_and_throughput(region: Region, well: View) -> None:
    half = with_cell(well, CELL, branches=0.5, capability=0.57)
    assert 0.4 < ratio(region, well, half, CELL, "rank_mean") < 0.7
    assert ratio(region, well, half, CELL, "dl_user_throughput_mbps") < 0.8


def test_two_cells_of_one_id_hurt_each_other(region: Region, well: View) -> None:
    row = region.cells_of["L18"].index(CELL)
    near = region.cells_of["L18"][int(np.argmax(region.overlap["L18"][row]))]
    clash = with_cell(well, CELL, {"pci": well.cells[near].cell.pci})
    assert at(region, clash, CELL, "erab_drop_pct") > 2 * at(region, well, CELL, "erab_drop_pct")
    assert at(region, clash, CELL, "ho_success_pct") < at(region, well, CELL, "ho_success_pct") - 2


def test_a_missing_neighbour_makes_handovers_too_late(region: Region, well: View) -> None:
    row = region.cells_of["L18"].index(CELL)
    target = region.cells_of["L18"][int(np.argmax(region.overlap["L18"][row]))]
    fewer = {name: item for name, item in region.relations.items() if name != f"{CELL}>{target}"}
    without = with_relations(well, fewer)
    assert at(region, without, CELL, "ho_too_late_pct") > 1.5
    assert at(region, without, CELL, "rrc_reestablishment_pct") > 2
    assert at(region, without, target, "ho_too_late_pct") == at(region, well, target, "ho_too_late_pct")


def test_a_wrong_tracking_area_shows_in_updates_there_and_beside(region: Region, well: View) -> None:
    wrong = with_cell(well, CELL, {"tac": 9})
    assert at(region, wrong, CELL, "tau_success_pct") < 90
    row = region.cells_of["L18"].index(CELL)
    near = region.cells_of["L18"][int(np.argmax(region.overlap["L18"][:, row]))]
    assert at(region, wrong, near, "tau_success_pct") < at(region, well, near, "tau_success_pct")


def test_an_emitter_is_heard_around_it_at_any_load(region: Region, well: View) -> None:
    site = region.layout.sites[0]
    loud = with_emitter(well, Emitter("EXT-1", site.x_m + 100, site.y_m + 50, ("L18",), -75.0, 30, 36))
    rises = [
        at(region, loud, name, "ul_rssi_prb_dbm") - at(region, well, name, "ul_rssi_prb_dbm")
        for name in region.cells_of["L18"]
    ]
    assert 8 < max(rises) < 50 and min(rises) < 1
    worst = region.cells_of["L18"][int(np.argmax(rises))]
    night = at(region, loud, worst, "ul_rssi_prb_dbm", 3) - at(region, well, worst, "ul_rssi_prb_dbm", 3)
    assert night > 8
    assert at(region, loud, worst, "ul_sinr_db") < at(region, well, worst, "ul_sinr_db") - 5
    assert at(region, loud, worst, "erab_drop_pct") > 1.5 * at(region, well, worst, "erab_drop_pct")


def test_intermodulation_follows_the_load(region: Region, well: View) -> None:
    rusty = with_cell(well, CELL, pim_dbm=-92.0)
    day = at(region, rusty, CELL, "ul_rssi_prb_dbm") - at(region, well, CELL, "ul_rssi_prb_dbm")
    night = at(region, rusty, CELL, "ul_rssi_prb_dbm", 3) - at(region, well, CELL, "ul_rssi_prb_dbm", 3)
    assert day > 5 > 2 > night
    layer = hour(region, rusty, BUSY).layers["L18"]
    assert layer.branch_excess_db[region.cells_of["L18"].index(CELL)] > 5


def test_a_clock_out_of_step_disturbs_its_neighbours(region: Region, well: View) -> None:
    late = well
    for name in ("S001-N35-1", "S001-N35-2", "S001-N35-3"):
        late = with_cell(late, name, phase_us=8.0)
    rises = [
        at(region, late, name, "ul_rssi_prb_dbm") - at(region, well, name, "ul_rssi_prb_dbm")
        for name in region.cells_of["N35"]
        if not name.startswith("S001")
    ]
    assert max(rises) > 8
    assert at(region, late, CELL, "ul_rssi_prb_dbm") == at(region, well, CELL, "ul_rssi_prb_dbm")


def test_a_full_link_slows_every_cell_behind_it(region: Region, well: View) -> None:
    link = region.transport.paths["S001"]["primary"][0]
    full = with_link(well, link, capacity_mbps=200.0)
    behind = {site for site, ways in region.transport.paths.items() if link in ways["primary"]}
    for site in (item.id for item in region.layout.sites):
        cell = f"{site}-L18-1"
        slower = ratio(region, well, full, cell, "dl_user_throughput_mbps")
        assert (slower < 0.8) == (site in behind)
    assert at(region, full, CELL, "latency_dl_ms") > at(region, well, CELL, "latency_dl_ms") + 5
    assert at(region, full, CELL, "cqi_mean") == at(region, well, CELL, "cqi_mean")
    assert at(region, full, CELL, "prb_util_dl_pct") < at(region, well, CELL, "prb_util_dl_pct")


def test_artificial_load_fills_a_cell_and_disturbs_others(region: Region, well: View) -> None:
    on = with_cell(well, CELL, {"ocns_enabled": True})
    assert at(region, on, CELL, "prb_util_dl_pct", 3) == 100
    row = region.cells_of["L18"].index(CELL)
    near = region.cells_of["L18"][int(np.argmax(region.overlap["L18"][:, row]))]
    assert at(region, on, near, "cqi_mean") < at(region, well, near, "cqi_mean")


def test_an_event_fills_a_cell(region: Region, well: View) -> None:
    crowd = with_cell(well, CELL, {"demand_factor": 7.0})
    assert at(region, crowd, CELL, "prb_util_dl_pct") > 95
    assert ratio(region, well, crowd, CELL, "dl_user_throughput_mbps") < 0.4
    assert at(region, crowd, CELL, "rrc_setup_success_pct") < 99


def test_history_does_not_change(region: Region, well: View) -> None:
    now = 10 * 86_400
    first = now // BIN_S - 48
    before = cell_bins(region, [Epoch(0, well)], CELL, "dl_volume_gb", first, 48)
    broken = with_cell(well, CELL, on_air=False)
    after = cell_bins(region, [Epoch(0, well), Epoch(now, broken)], CELL, "dl_volume_gb", first, 60)
    assert np.array_equal(before, after[:48])
    assert (after[48:] == 0).all()


def test_an_outage_within_a_period_counts_by_its_share(region: Region, well: View) -> None:
    start = 96 * BIN_S
    epochs = [Epoch(0, well), Epoch(start + 300, with_cell(well, CELL, on_air=False)), Epoch(start + 600, well)]
    (value,) = cell_bins(region, epochs, CELL, "cell_availability_pct", 96, 1)
    assert value == pytest.approx(100 * 2 / 3)


@given(first=st.integers(-2000, 2000), count=st.integers(1, 40), cut=st.integers(0, 40))
@settings(max_examples=25, deadline=None)
def test_values_do_not_depend_on_how_they_are_read(first: int, count: int, cut: int) -> None:
    region = build_region("U1", 0)
    epochs = [Epoch(0, _WELL)]
    whole = cell_bins(region, epochs, CELL, "prb_util_dl_pct", first, count)
    cut = min(cut, count - 1)
    parts = [
        cell_bins(region, epochs, CELL, "prb_util_dl_pct", first + begin, size)
        for begin, size in ((0, cut), (cut, count - cut))
        if size
    ]
    assert np.array_equal(whole, np.concatenate(parts))


_WELL = healthy(build_region("U1", 0))


def test_scatter_is_around_what_is_expected(region: Region, well: View) -> None:
    for name in ("prb_util_dl_pct", "ul_rssi_prb_dbm", "rrc_setup_success_pct", "dl_volume_gb"):
        values = cell_bins(region, [Epoch(0, well)], CELL, name, 0, 672)
        expected = expected_bins(region, well, CELL, name, 0, 672)
        assert values.mean() == pytest.approx(expected.mean(), rel=0.03)
        assert 0 < np.abs(values - expected).mean() < 0.2 * abs(expected).mean()


def test_the_same_view_made_twice_gives_the_same_values(region: Region, well: View) -> None:
    again = replace(well, cells=dict(well.cells))
    for tag, values in table(region, well, BUSY).items():
        for name, value in table(region, again, BUSY)[tag].items():
            assert np.array_equal(values[name], value, equal_nan=True)


def test_what_is_read_at_once_is_what_the_tables_say() -> None:
    region = build_region("U1", 2)
    name = region.cells_of["L18"][3]
    views = [healthy(region), with_cell(healthy(region), name, on_air=False)]
    for view in views:
        for tag, cells in region.cells_of.items():
            values = table(region, view, BUSY)[tag]
            for row, cell in enumerate(cells):
                assert users_now(region, view, cell, BUSY) == values["rrc_users_mean"][row]
                assert processor_load_now(region, view, cell, BUSY) == values["cpu_load_pct"][row]


def test_many_indicators_at_once_are_those_asked_for_one_by_one() -> None:
    region = build_region("S1", 3)
    name = region.cells_of["L18"][4]
    view, off = healthy(region), with_cell(healthy(region), name, on_air=False)
    epochs = [Epoch(0, view), Epoch(100_000, off), Epoch(103_000, view), Epoch(103_700, off), Epoch(190_000, view)]
    names = kpi_names()
    for first, count in ((-40, 30), (100, 30), (108, 9), (113, 1), (60, 200)):
        together, usual = bins_and_expected(region, epochs, name, names, first, count)
        for row, indicator in enumerate(names):
            alone = cell_bins(region, epochs, name, indicator, first, count)
            layer = layer_bins(region, epochs, "L18", indicator, first, count)[4]
            assert np.array_equal(together[row], alone, equal_nan=True)
            assert np.array_equal(alone, layer, equal_nan=True)
            expected = expected_bins(region, view, name, indicator, first, count)
            assert np.array_equal(usual[row], expected, equal_nan=True)


def test_reading_indicators_leaves_what_they_are_made_of(region: Region, well: View) -> None:
    off = with_cell(well, CELL, on_air=False)
    layer = hour(region, off, BUSY).layers["L18"]
    before = layer.uplink_dbm.copy(), layer.distance_p90_m.copy()
    assert np.isnan(at(region, off, CELL, "ul_rssi_prb_dbm")) and np.isnan(at(region, off, CELL, "ta_p90_m"))
    assert np.array_equal(layer.uplink_dbm, before[0]) and np.array_equal(layer.distance_p90_m, before[1])


def test_hours_asked_for_together_are_those_asked_for_alone(region: Region) -> None:
    broken = with_cell(healthy(region), CELL, on_air=False)
    together = bins_and_expected(region, [Epoch(0, broken)], "S002-L18-2", kpi_names(), 4 * 90, 4 * 24)[1]
    alone = [table(region, with_cell(healthy(region), CELL, on_air=False), how)["L18"] for how in range(90, 114)]
    row = region.cells_of["L18"].index("S002-L18-2")
    for place, values in enumerate(alone):
        expected = np.array([values[name][row] for name in kpi_names()])
        assert np.array_equal(together[:, 4 * place], expected, equal_nan=True)
