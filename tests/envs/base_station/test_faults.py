"""Every fault: injected it does what it says and nothing elsewhere; repaired, it never happened."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.faults import Defect, fault, fault_codes, fault_infos
from telegym.envs.base_station.faults.registry import Fault, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import Cell, ClockState, ClockUnit, PowerSystem, Site
from telegym.envs.base_station.process.records import Notice
from telegym.envs.base_station.region.archetypes import archetype_names

NOON = 12 * 3600
REGIONS = [("U1", 0), ("S1", 1), ("R1", 2), ("M1", 3), ("X3", 4)]
AT_ONCE = {
    *("backhaul_fibre_cut", "csr_port_or_sfp_failure", "fronthaul_sfp_failure", "radio_unit_hardware_failure"),
    *("radio_unit_software_hang", "baseband_board_failure", "dc_breaker_left_open", "cell_left_locked"),
    *("certificate_expired", "outage_spillover", "energy_saving_stuck", "planned_work_alarms"),
}
"""Faults that take cells out of service at once."""
LATER = {"utility_mains_outage": 16, "site_mains_breaker_trip": 16, "cooling_system_failure": 12}
"""Faults that do so after some hours."""
NEVER = {
    *("rectifier_module_failure", "battery_capacity_degraded", "gnss_antenna_failure", "tx_branch_failure"),
    *("vswr_connector_degradation", "feeder_disconnected", "passive_intermodulation", "pci_collision"),
    *("pci_confusion", "missing_neighbour", "wrong_tac", "tilt_misconfiguration", "tx_power_misconfiguration"),
    *("cell_barred", "mass_event_congestion", "external_interferer", "sleeping_cell_access"),
    *("faulty_sensor_false_alarm", "transport_congestion", "stale_alarm"),
}
"""Faults that leave every cell in service."""


def injected(code: str, index: int = 0, seed: int = 7) -> tuple[Network, Fault, Defect] | None:
    """Inject a fault into one of the regions, at an element drawn; None if it cannot happen there."""
    network = Network(*REGIONS[index], seed=seed, start_s=NOON)
    made = fault(code)
    options = made.eligible(network)
    if not options:
        return None
    return network, made, made.inject(network, choice(options, seed, code), seed=seed)


def everywhere(code: str) -> list[tuple[Network, Fault, Defect]]:
    found = [case for index in range(len(REGIONS)) if (case := injected(code, index)) is not None]
    assert found, f"{code} can happen nowhere"
    return found


def out(network: Network) -> set[str]:
    return {cell.id for cell in network.all(Cell) if not works.in_service(network, cell.id)}


def elsewhere(network: Network) -> set[str]:
    """Return the objects of the region that are not as built."""
    return set(network.changed_objects()) & set(network.region.records)


def test_the_table_names_89_causes() -> None:
    assert len(fault_infos()) == 89
    assert len({row.id for row in fault_infos().values()}) == 89
    assert sum(row.tier == 1 for row in fault_infos().values()) == 39
    assert set(fault_codes()) <= set(fault_infos())
    assert len(fault_codes(tier=1)) == 39


def test_every_fault_has_its_expectation() -> None:
    others = {"microwave_rain_fade", "fronthaul_fibre_degradation", "licence_expired", "vlan_ip_misconfiguration"}
    assert set(fault_codes(1)) == AT_ONCE | set(LATER) | NEVER | others


@pytest.mark.parametrize("code", fault_codes())
def test_a_repaired_fault_never_happened(code: str) -> None:
    for network, made, defect in everywhere(code):
        assert not made.cleared(network, defect)
        assert network.changed_objects() or network.altered
        made.undo(network, defect)
        assert made.cleared(network, defect)
        assert not elsewhere(network)
        assert network.relations == network.region.relations


@pytest.mark.parametrize("code", fault_codes())
def test_the_seed_decides_the_details(code: str) -> None:
    one, other = injected(code, 3, seed=11), injected(code, 3, seed=11)
    if one is None or other is None:
        pytest.skip(f"{code} cannot happen in {REGIONS[3]}")
    assert one[2] == other[2]
    assert one[0].state_hash() == other[0].state_hash()


@pytest.mark.parametrize("code", fault_codes())
def test_a_diagnosis_may_name_the_faulty_element(code: str) -> None:
    for network, made, defect in everywhere(code):
        names = made.accepted(network, defect.element_id)
        assert defect.element_id in names
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("code", sorted(AT_ONCE))
def test_cells_go_out_of_service_at_once(code: str) -> None:
    for network, made, defect in everywhere(code):
        assert out(network), (code, defect)
        made.undo(network, defect)
        assert not out(network), (code, defect)


@pytest.mark.parametrize("code", sorted(NEVER))
def test_cells_stay_in_service(code: str) -> None:
    for network, _, defect in everywhere(code):
        network.advance(3600)
        assert not out(network), (code, defect)


@pytest.mark.parametrize(("code", "hours"), sorted(LATER.items()))
def test_cells_go_out_of_service_in_time(code: str, hours: int) -> None:
    reached = 0
    for network, _, _ in everywhere(code):
        assert not out(network)
        for _ in range(hours * 4):
            network.advance(900)
            if out(network):
                reached += 1
                break
    assert reached >= 1


def test_mains_return_by_themselves_and_everything_comes_back() -> None:
    for network, made, defect in everywhere("utility_mains_outage"):
        notices = [item for item in network.objects.values() if isinstance(item, Notice)]
        assert [notice.kind for notice in notices] == ["utility_outage"]
        network.advance(int(dict(defect.parameters)["minutes"]) * 60 + 24 * 3600)
        assert made.cleared(network, defect)
        assert not out(network)


def test_a_weak_battery_lasts_as_long_as_its_health() -> None:
    times = []
    for soh in (1.0, 0.3):
        network = Network("U1", 0, seed=1, start_s=NOON)
        power = next(iter(network.all(PowerSystem)))
        if soh < 1:
            fault("battery_capacity_degraded").inject(network, power.id, {"soh": soh})
        fault("site_mains_breaker_trip").inject(network, f"{power.id}-Q1", {"shorted": True})
        begun = network.now
        while not network.get(PowerSystem, power.id).dark:
            network.advance(300)
            assert network.now < begun + 48 * 3600
        times.append(network.now - begun)
    assert 0.2 < times[1] / times[0] < 0.45


def test_without_satellites_a_clock_holds_over() -> None:
    for network, made, defect in everywhere("gnss_antenna_failure"):
        network.advance(30 * 60)
        assert network.get(ClockUnit, defect.element_id).state is ClockState.HOLDOVER
        made.undo(network, defect)
        network.advance(2 * 3600)
        assert network.get(ClockUnit, defect.element_id).state is ClockState.LOCKED


def test_rain_passes() -> None:
    for network, made, defect in everywhere("microwave_rain_fade"):
        network.advance(int(dict(defect.parameters)["minutes"]) * 60)
        assert made.cleared(network, defect)
        assert not elsewhere(network)


def test_a_dirty_fibre_comes_and_goes() -> None:
    network, _, _ = everywhere("fronthaul_fibre_degradation")[0]
    states = set()
    for _ in range(60):
        network.advance(300)
        states.add(bool(out(network)))
    assert states == {True, False}


def test_an_event_ends() -> None:
    network, made, defect = everywhere("mass_event_congestion")[0]
    network.advance(int(dict(defect.parameters)["minutes"]) * 60)
    assert made.cleared(network, defect)


@pytest.mark.parametrize("code", ["pci_collision", "wrong_tac", "tilt_misconfiguration", "vlan_ip_misconfiguration"])
def test_a_wrong_configuration_is_in_the_log(code: str) -> None:
    network, _, defect = everywhere(code)[0]
    assert [change.element_id for change in network.changes] == [defect.element_id]


def test_faults_are_refused_where_they_cannot_happen() -> None:
    network = Network("R1", 2)
    with pytest.raises(ConfigurationError, match="energy_saving_stuck cannot happen to 'S001-L8-1'"):
        fault("energy_saving_stuck").inject(network, "S001-L8-1")
    with pytest.raises(ConfigurationError, match="Did you mean 'cell_barred'"):
        fault("cell_bared")
    made = fault("cell_barred")
    with pytest.raises(ConfigurationError, match=r"faults.yaml has no row"):
        register(Fault("cell_bared", made.eligible, made.sample, made.apply, made.present, made.repair))


@given(st.sampled_from(fault_codes()), st.sampled_from(archetype_names()), st.integers(0, 500))
@settings(max_examples=40, deadline=None)
def test_any_fault_anywhere_can_be_undone(code: str, archetype: str, seed: int) -> None:
    network = Network(archetype, seed % 7, seed=seed, start_s=NOON)
    made = fault(code)
    options = made.eligible(network)
    if not options:
        return
    defect = made.inject(network, choice(options, seed, code), seed=seed)
    network.advance(20 * 60)
    made.undo(network, defect)
    assert made.cleared(network, defect)
    network.advance(48 * 3600)
    assert not out(network)
    assert not elsewhere(network) - {"CLK-" + site.id[1:] for site in network.all(Site)}
