"""Faults and their alarms: what must be raised, what may be, and that nothing is left after the repair."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from telegym.envs.base_station import alarms, operations
from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.faults import Defect, fault, fault_codes, fault_infos
from telegym.envs.base_station.faults.registry import Fault
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.state import Rumours

REGIONS = [("U1", 0), ("S1", 1), ("R1", 2), ("M1", 3), ("X3", 4)]
NOON = 12 * HOUR_S
HANDLERS = operations
"""Imported so that its events are handled."""

SPILL = {"CELL_CONGESTED"}
"""Neighbours that take over."""
CUT_OFF = {"NE_OAM_UNREACHABLE", "CELL_UNAVAILABLE"}
BEHIND = CUT_OFF | SPILL | {"CP_S1_FAULT", "CP_NG_FAULT", "CP_F1_FAULT", "CP_X2_XN_FAULT"}
"""What is raised where nodes are cut off."""
HOPS = {"TRN_LINK_LOS", "TRN_PORT_DOWN", "TRN_ROUTING_PEER_DOWN"}
SILENT_UNIT = {"FH_LINK_LOS", "RU_MAINT_LINK_FAIL", "RU_POWER_LOST", "CELL_UNAVAILABLE"}
CLOCK = {"CLK_PTP_LOST", "CLK_HOLDOVER", "CLK_HOLDOVER_EXPIRED"}


@dataclass(frozen=True)
class Expected:
    """What a fault raises within eight hours from noon."""

    must: set[str]
    """Always raised, in this order where it matters."""
    may: set[str]
    """Raised in some networks."""


def expected(must: str, *may: set[str]) -> Expected:
    return Expected(set(must.split()), set().union(*may))


POWER = expected(
    "PWR_MAINS_FAIL PWR_BATT_DISCHARGING",
    BEHIND | HOPS | SILENT_UNIT | CLOCK | {"PWR_BATT_LOW", "PWR_LLVD_OPEN", "PWR_MAINS_FAIL_NO_BACKUP"},
    {"TRN_UTIL_HIGH", "TRN_PKT_LOSS_HIGH"},
)
EXPECTED = {
    "utility_mains_outage": POWER,
    "site_mains_breaker_trip": POWER,
    "rectifier_module_failure": expected("PWR_RECTIFIER_FAIL PWR_REDUNDANCY_LOST", {"PWR_BATT_DISCHARGING"}),
    "battery_capacity_degraded": expected("", {"PWR_BATT_CHARGE_FAIL"}),
    "cooling_system_failure": expected(
        "ENV_HIGH_TEMP", {"ENV_COOLING_FAIL", "ENV_FAN_FAIL", "BBU_OVER_TEMP", "CELL_DEGRADED"}, BEHIND, CLOCK
    ),
    "dc_breaker_left_open": expected(
        "FH_LINK_LOS RU_MAINT_LINK_FAIL CELL_UNAVAILABLE", {"RU_POWER_LOST", "PWR_DC_BREAKER_OPEN"}, SPILL
    ),
    "backhaul_fibre_cut": expected("TRN_LINK_LOS TRN_ROUTING_PEER_DOWN NE_OAM_UNREACHABLE", BEHIND, HOPS, CLOCK),
    "microwave_rain_fade": expected("TRN_MW_RSL_LOW", {"TRN_MW_ACM_DOWNSHIFT", "TRN_UTIL_HIGH"}, BEHIND, HOPS, CLOCK),
    "csr_port_or_sfp_failure": expected(
        "TRN_PORT_DOWN NE_OAM_UNREACHABLE CELL_UNAVAILABLE", {"TRN_SFP_FAULT"}, BEHIND, CLOCK
    ),
    "transport_congestion": expected("TRN_UTIL_HIGH", {"TRN_PKT_LOSS_HIGH"}),
    "vlan_ip_misconfiguration": expected("", {"UP_PATH_FAIL"}, BEHIND),
    "gnss_antenna_failure": expected("CLK_GNSS_LOST CLK_HOLDOVER", {"CLK_HOLDOVER_EXPIRED", "CELL_UNAVAILABLE"}, SPILL),
    "fronthaul_sfp_failure": expected("FH_LINK_LOS RU_MAINT_LINK_FAIL CELL_UNAVAILABLE", SPILL),
    "fronthaul_fibre_degradation": expected("", {"FH_OPT_POWER_LOW", "FH_BER_HIGH"}, SILENT_UNIT, SPILL),
    "radio_unit_hardware_failure": expected("RU_HW_FAULT CELL_UNAVAILABLE", SPILL),
    "radio_unit_software_hang": expected("RU_MAINT_LINK_FAIL CELL_UNAVAILABLE", {"RU_SW_FAULT"}, SPILL),
    "tx_branch_failure": expected("RU_TX_BRANCH_FAIL CELL_DEGRADED", SPILL),
    "baseband_board_failure": expected("BBU_BOARD_FAULT CELL_UNAVAILABLE", SPILL),
    "vswr_connector_degradation": expected("ANT_VSWR_HIGH CELL_DEGRADED", {"RU_TX_BRANCH_FAIL"}, SPILL),
    "feeder_disconnected": expected("ANT_VSWR_HIGH RU_TX_BRANCH_FAIL CELL_DEGRADED", SPILL),
    "passive_intermodulation": expected("", {"ANT_PIM_SUSPECT", "CELL_UL_INTERFERENCE"}),
    "pci_collision": expected("", {"CFG_PCI_CONFLICT"}),
    "pci_confusion": expected("", {"CFG_PCI_CONFLICT"}),
    "missing_neighbour": expected(""),
    "wrong_tac": expected(""),
    "tilt_misconfiguration": expected("", SPILL),
    "tx_power_misconfiguration": expected("", SPILL),
    "cell_barred": expected("", SPILL),
    "energy_saving_stuck": expected("", SPILL),
    "licence_expired": expected("LIC_EXPIRED", {"CELL_DEGRADED", "CELL_UNAVAILABLE"}, SPILL),
    "certificate_expired": expected("SEC_CERT_EXPIRED SEC_IKE_FAIL CELL_UNAVAILABLE", BEHIND),
    "mass_event_congestion": expected("CELL_CONGESTED", {"TRN_UTIL_HIGH", "TRN_PKT_LOSS_HIGH"}),
    "outage_spillover": expected("NE_OAM_UNREACHABLE CELL_UNAVAILABLE", BEHIND),
    "external_interferer": expected("CELL_UL_INTERFERENCE", SPILL),
    "cell_left_locked": expected("CELL_LOCKED", SPILL),
    "sleeping_cell_access": expected("", {"CELL_TRAFFIC_ABNORMAL"}, SPILL),
    "faulty_sensor_false_alarm": expected("", {"ENV_DOOR_OPEN", "ENV_HIGH_TEMP", "ENV_SMOKE", "ENV_FLOOD"}),
    "planned_work_alarms": expected("CELL_LOCKED", SPILL),
    "stale_alarm": expected("", {"PWR_SPD_FAIL", "ENV_INTRUSION", "RU_HW_FAULT", "SEC_UNAUTH_ACCESS"}),
}


def cases(code: str) -> list[tuple[Network, Fault, Defect]]:
    found = []
    for index, (archetype, seed) in enumerate(REGIONS):
        world = Network(archetype, seed, 7 + index, start_s=NOON, rumours=Rumours(0, 0, 0))
        made = fault(code)
        options = made.eligible(world)
        if options:
            found.append((world, made, made.inject(world, choice(options, index, code), seed=index)))
    return found


def test_every_tier_one_fault_has_its_alarms() -> None:
    assert set(fault_codes(1)) <= set(EXPECTED)


@pytest.mark.parametrize("code", fault_codes(1))
def test_a_fault_raises_its_alarms_and_leaves_none(code: str) -> None:
    rule = EXPECTED[code]
    for world, made, defect in cases(code):
        world.advance(8 * HOUR_S)
        raised = [alarm.key for alarm in sorted(world.alarms.values(), key=lambda alarm: alarm.raised_s)]
        assert rule.must <= set(raised), (defect, sorted(rule.must - set(raised)))
        assert set(raised) <= rule.must | rule.may, (defect, sorted(set(raised) - rule.must - rule.may))
        made.undo(world, defect)
        world.advance(40 * HOUR_S)
        left = [alarm.key for alarm in alarms.active_alarms(world) if not alarm.seeded]
        assert all(alarms.dictionary()[key].manual for key in left), (defect, left)
        assert not world.queued and not world.measured


@pytest.mark.parametrize("code", fault_codes(1))
def test_roots_are_raised_at_the_faulty_site_alone(code: str) -> None:
    elsewhere = {"utility_mains_outage", "outage_spillover", "external_interferer"}
    for world, _, defect in cases(code):
        world.advance(2 * HOUR_S)
        site = world.index.site_of.get(defect.element_id) or f"S{defect.element_id[4:7]}"
        roots = {
            alarm.site_id
            for alarm in world.alarms.values()
            if alarms.dictionary()[alarm.key].root and not alarm.seeded and alarm.site_id is not None
        }
        if code not in elsewhere and defect.element_id in {*world.index.site_of, *roots}:
            assert roots <= {site}, (defect, roots)


@pytest.mark.parametrize("code", [code for code in fault_codes(1) if fault_infos()[code].silent])
def test_silent_faults_have_no_root_alarm_on_the_element(code: str) -> None:
    noticed = {"CFG_PCI_CONFLICT", "ANT_PIM_SUSPECT", "PWR_BATT_CHARGE_FAIL"}
    for world, _, defect in cases(code):
        world.advance(8 * HOUR_S)
        mine = [alarm for alarm in world.alarms.values() if alarm.object_id == defect.element_id and not alarm.seeded]
        assert not [alarm.key for alarm in mine if alarms.dictionary()[alarm.key].root and alarm.key not in noticed]


def test_power_fails_in_the_order_of_the_textbook() -> None:
    for world, _, _ in cases("site_mains_breaker_trip"):
        world.advance(8 * HOUR_S)
        order = list(dict.fromkeys(alarm.key for alarm in world.alarms.values()))
        chain = ["PWR_MAINS_FAIL", "PWR_BATT_DISCHARGING", "PWR_BATT_LOW", "PWR_LLVD_OPEN", "NE_OAM_UNREACHABLE"]
        seen = [key for key in order if key in chain]
        assert seen == [key for key in chain if key in seen]


def test_a_flood_is_a_flood() -> None:
    sizes = []
    for world, _, _ in cases("backhaul_fibre_cut"):
        world.advance(600)
        sizes.append(len(world.alarms))
    assert max(sizes) >= 50 and min(sizes) >= 10
