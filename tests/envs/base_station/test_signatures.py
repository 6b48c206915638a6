"""Every everyday fault looks as it was designed: alarms, shifts of indicators, and nothing elsewhere."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from telegym.envs.base_station import epochs, kpi
from telegym.envs.base_station.engine import DAY_S, HOUR_S
from telegym.envs.base_station.faults import fault, fault_codes, fault_infos
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Cell, Node, TransportLink
from telegym.envs.base_station.process.records import Change, Notice, Window, WorkOrder
from tests.envs.base_station.signatures import (
    DRAWS,
    REGIONS,
    Shift,
    alarms_on,
    allowed,
    border,
    cases,
    changed_cells,
    dependants,
    is_out,
    measure,
    own_cells,
    signatures,
    tables,
)

NAMES = sorted(signatures())
SHIFTS = [(name, shift) for name in NAMES for shift in signatures()[name].shifts]
THROUGH_LINKS = {
    *("backhaul_util_pct", "latency_dl_ms", "packet_loss_dl_pct", "dl_user_throughput_mbps", "dl_volume_gb"),
    *("ul_user_throughput_mbps", "voice_mos", "voice_drop_pct", "prb_util_dl_pct"),
}
"""Indicators that sites with links in common may share."""
FAR_PCT = 1.5
"""How much the load of a cell may change two borders away from the cells concerned, in percentage points.

Interference couples all cells of a carrier, so nothing is wholly untouched.
"""


def test_every_everyday_fault_has_a_signature() -> None:
    assert {name.partition("/")[0] for name in NAMES} == set(fault_codes(1))
    assert all(len({case.network.region.archetype for case in cases(name)}) >= 1 for name in NAMES)
    several = [name for name in NAMES if len({case.network.region.archetype for case in cases(name)}) >= 3]
    assert {name.partition("/")[0] for name in NAMES} - {name.partition("/")[0] for name in several} <= {
        *("microwave_rain_fade", "energy_saving_stuck"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_alarms_come_in_time_on_the_objects_concerned(name: str) -> None:
    expected = signatures()[name].alarms
    if expected is None:
        pytest.skip("nothing is said about alarms")
    if not expected:
        assert not [alarm for case in cases(name) for alarm in case.network.alarms.values()]
    for item in expected:
        concerned = [case for case in cases(name) if _applies(dict(case.defect.parameters), item.below)]
        heard = 0
        for case in concerned:
            times = [alarm.raised_s - case.defect.since_s for alarm in alarms_on(case, item)]
            in_time = bool(times) and min(times) <= 60 * item.within_min
            assert in_time or (not times and item.share < 1), (item, case.defect, times)
            heard += in_time
        assert heard == len(concerned) if item.share == 1 else heard <= len(concerned)
        if item.share < 1 and len(concerned) >= 6:
            assert 0 < heard < len(concerned), item


def _applies(details: dict[str, object], below: dict[str, float]) -> bool:
    return all(float(str(details[key])) < limit for key, limit in below.items())


@pytest.mark.parametrize(("name", "shift"), SHIFTS, ids=[f"{name}-{s.kpi}-{s.cells}" for name, s in SHIFTS])
def test_indicators_shift_as_designed(name: str, shift: Shift) -> None:
    values = measure(name, shift)
    low, high = allowed(shift)
    assert values and low <= median(values) <= high, (median(values), sorted(values))
    assert shift.why or shift.measured is None, "a deviation needs a reason"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_elsewhere(name: str) -> None:
    reach = signatures()[name].reach
    for case in cases(name):
        network, changed = case.before, changed_cells(case)
        own = own_cells(network, case.defect.element_id)
        if reach == "none":
            assert not changed
        elif reach == "border":
            # Whoever takes one cell for another may have no border with the one that has the wrong id.
            near = border(network, own, hops=2 if name == "pci_confusion" else 1)
            assert changed <= near, (case.defect, changed - near)
        elif reach == "links":
            assert changed and changed <= set(own)
        else:
            _check_radio(name, case.before, case.sound, own, changed_cells(case, _radio_indicators()))


def _radio_indicators() -> tuple[str, ...]:
    return tuple(name for name in kpi.kpi_names() if name not in THROUGH_LINKS)


def _check_radio(name: str, network: Network, sound: Network, own: list[str], changed: set[str]) -> None:
    """Loads change in the layers concerned, hardly where there is no border, and in others where users go over."""
    layers = {cell.split("-")[1] for cell in own}
    sites = {cell.partition("-")[0] for cell in own}
    beside = {cell for cell in changed if cell.split("-")[1] not in layers}
    over = {cell for cell in beside if cell.partition("-")[0] in sites}
    near, farther = (border(network, [*own, *over], hops) for hops in (1, 2))
    assert {cell.split("-")[1] for cell in beside} <= {cell.split("-")[1] for cell in over}, name
    now, then = tables(network), tables(sound)
    for tag, values in now.items():
        change = np.abs(values["prb_util_dl_pct"] - then[tag]["prb_util_dl_pct"])
        changes = dict(zip(network.region.cells_of[tag], change.tolist(), strict=True))
        most = max((more for cell, more in changes.items() if cell in near), default=0.0)
        for cell, more in changes.items():
            assert more <= (most if cell in farther else FAR_PCT) + 1e-9, (name, cell, more, most)


@pytest.mark.parametrize("name", NAMES)
def test_other_sites_raise_no_alarms(name: str) -> None:
    """Alarms come from sites that depend on the faulty element, or from cells that take over its users."""
    for case in cases(name):
        sites = dependants(case.network, case.defect.element_id)
        helpers = {cell.partition("-")[0] for cell in border(case.network, _concerned(case.network, sites))}
        for alarm in case.network.alarms.values():
            if alarm.key in ("CELL_CONGESTED", "CELL_UL_INTERFERENCE", "TRN_UTIL_HIGH", "TRN_PKT_LOSS_HIGH"):
                assert alarm.site_id is None or alarm.site_id in helpers, (name, case.defect, alarm)
            elif alarm.site_id is not None:
                assert alarm.site_id in sites, (name, case.defect, alarm)
        assert not case.sound.alarms


def _concerned(network: Network, sites: set[str]) -> list[str]:
    return [cell.id for cell in network.all(Cell) if cell.site_id in sites]


@pytest.mark.parametrize("name", NAMES)
def test_repaired_it_is_the_network_that_never_failed(name: str) -> None:
    for case in cases(name):
        network = case.network.fork()
        cause = fault(case.defect.code)
        cause.undo(network, case.defect)
        network.advance(2 * DAY_S)
        assert cause.cleared(network, case.defect)
        assert not is_out(network)
        assert network.epochs[-1].view is epochs.healthy_view(network)
        assert not [item for item in network.changed_objects().values() if not _history(network, item)]
        first = network.now // kpi.BIN_S + 1
        cell = own_cells(network, case.defect.element_id)[0]
        assert np.array_equal(
            kpi.bins(network.region, network.epochs, cell, kpi.kpi_names(), first, 8),
            kpi.bins(network.region, case.sound.epochs, cell, kpi.kpi_names(), first, 8),
            equal_nan=True,
        )


def _history(network: Network, record: object) -> bool:
    """Return whether a record is a note of the process, or a node that differs in when it started last alone."""
    if isinstance(record, Node):
        built = network.region.records[record.id]
        return isinstance(built, Node) and replace(record, booted_s=built.booted_s) == built
    return isinstance(record, (Change, Notice, Window, WorkOrder))


def test_silent_faults_are_silent() -> None:
    """A silent fault raises no alarm that names the faulty element as what is wrong, but where some notice."""
    for name in NAMES:
        code = name.partition("/")[0]
        sure = [item for item in signatures()[name].alarms or () if item.share == 1 and item.at == "element"]
        if fault_infos()[code].silent:
            assert not sure, name


def test_deviations_are_few_and_explained() -> None:
    odd = [(name, shift.kpi) for name, shift in SHIFTS if shift.measured is not None]
    assert len(odd) <= 6
    assert all(len(shift.why) > 30 for _, shift in SHIFTS if shift.measured is not None)


def test_cases_are_of_several_kinds() -> None:
    assert len({archetype for archetype, _ in REGIONS}) >= 5 and DRAWS >= 2
    links = [case.defect.element_id for case in cases("backhaul_fibre_cut")]
    assert len(set(links)) > 3
    assert all(isinstance(cases("backhaul_fibre_cut")[0].network.objects[link], TransportLink) for link in links[:1])


def test_the_clock_is_the_same_in_both() -> None:
    for case in cases("cell_barred"):
        assert case.network.now == case.sound.now == case.defect.since_s + 8 * HOUR_S
