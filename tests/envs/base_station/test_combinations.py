"""Several things at once: each can happen, shows itself, and is wholly undone."""

from __future__ import annotations

from functools import cache

import pytest

from telegym.core.errors import ConfigurationError
from telegym.envs.base_station import alarms, kpi, radio
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S, hour_of_week
from telegym.envs.base_station.faults import Defect, fault, fault_codes, fault_infos
from telegym.envs.base_station.faults.combinations import (
    EARLIER_TICKET,
    allowed_pairs,
    combination,
    combination_names,
    inject_combination,
    lead_s,
    masks,
)
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Cell, Node, PowerSystem, Router, Site
from telegym.envs.base_station.operations import AGENT
from telegym.envs.base_station.physics.spectrum import LAYERS
from telegym.envs.base_station.process.records import Change, Notice, Ticket, Window, WorkOrder
from telegym.envs.base_station.state import Rumours

NOON = 12 * HOUR_S
REGIONS = [("U1", 2), ("S1", 2), ("R1", 2), ("M1", 3), ("X2", 2), ("X3", 4)]
MUST = {
    "K1": {"PWR_MAINS_FAIL", "PWR_BATT_LOW", "NE_OAM_UNREACHABLE", "CELL_UNAVAILABLE"},
    "K2": {"PWR_MAINS_FAIL", "PWR_BATT_LOW", "CELL_UNAVAILABLE"},
    "K5": {"TRN_UTIL_HIGH", "TRN_PKT_LOSS_HIGH"},
    "K7": {"ENV_HIGH_TEMP", "BBU_OVER_TEMP", "CELL_UNAVAILABLE"},
    "K11": {"LIC_EXPIRED", "CELL_LOCKED"},
    "K12": {"CELL_UL_INTERFERENCE"},
    "K13": set[str](),
    "K14": set[str](),
}
"""Alarms that must have come when a combination is noticed, or within its busy hour."""
HISTORY = (Change, Notice, Ticket, Window, WorkOrder)

Case = tuple[Network, tuple[Defect, ...]]


@cache
def prepared(name: str, index: int, seed: int) -> Case | None:
    network = Network(*REGIONS[index], seed=seed + index, start_s=NOON, rumours=Rumours(0, 0, 0))
    before = network.state_hash()
    defects = inject_combination(network, name, seed)
    if defects is None:
        assert network.state_hash() == before
        return None
    return network, defects


def cases(name: str, seeds: tuple[int, ...] = (3,)) -> list[Case]:
    made = [prepared(name, index, seed) for index in range(len(REGIONS)) for seed in seeds]
    found = [(case[0].fork(), case[1]) for case in made if case is not None]
    assert found, f"{name} can happen nowhere"
    return found


def physical(network: Network) -> list[str]:
    """Return what is not as built, but for history: notes of the process, and when nodes started last."""
    found = []
    for name, record in network.changed_objects().items():
        if isinstance(record, HISTORY) or (isinstance(record, Node) and name in network.region.records):
            continue
        found.append(name)
    return found


def test_combinations_by_name() -> None:
    assert set(combination_names()) == set(MUST)
    with pytest.raises(ConfigurationError, match=r"no combination 'K99'; known: K1, K2"):
        combination("K99")


@pytest.mark.parametrize("name", combination_names())
def test_defects_are_in_the_order_of_the_parts(name: str) -> None:
    parts = combination(name).parts
    assert parts[0].role == "required"
    for network, defects in cases(name, (3, 4)):
        assert len(defects) == len(parts)
        for part, defect in zip(parts, defects, strict=True):
            assert defect.code in (part.code, combination(name).instead.get(part.code)) or part.code == "any"
            assert not fault(defect.code).cleared(network, defect)
            assert defect.element_id in fault(defect.code).accepted(network, defect.element_id)


@pytest.mark.parametrize("name", combination_names())
def test_the_seed_decides(name: str) -> None:
    index = next(index for index in range(len(REGIONS)) if prepared(name, index, 3) is not None)
    one = prepared(name, index, 3)
    again = Network(*REGIONS[index], seed=3 + index, start_s=NOON, rumours=Rumours(0, 0, 0))
    assert one is not None and inject_combination(again, name, 3) == one[1]
    assert again.state_hash() == one[0].fork().state_hash()


@pytest.mark.parametrize("name", combination_names())
def test_its_alarms_come(name: str) -> None:
    for network, defects in cases(name):
        network.advance(lead_s(network, name, defects))
        if name in ("K5", "K12"):
            network.advance(8 * HOUR_S)
        raised = {alarm.key for alarm in network.alarms.values()}
        assert MUST[name] <= raised, (name, defects, sorted(raised))


@pytest.mark.parametrize("name", combination_names())
def test_undone_it_never_happened(name: str) -> None:
    for network, defects in cases(name):
        network.advance(lead_s(network, name, defects))
        for defect in reversed(defects):
            fault(defect.code).undo(network, defect)
        assert all(fault(defect.code).cleared(network, defect) for defect in defects)
        network.advance(2 * DAY_S)
        assert not physical(network), (name, physical(network))
        assert all(works.in_service(network, cell.id) for cell in network.all(Cell))
        left = [alarm for alarm in alarms.active_alarms(network) if not alarm.seeded]
        assert all(alarms.dictionary()[alarm.key].manual for alarm in left), [alarm.key for alarm in left]


@pytest.mark.parametrize("name", combination_names())
def test_repairing_one_part_leaves_the_others(name: str) -> None:
    for network, defects in cases(name):
        for index, defect in enumerate(defects):
            alone = network.fork()
            fault(defect.code).undo(alone, defect)
            others = [other for place, other in enumerate(defects) if place != index]
            assert all(not fault(other.code).cleared(alone, other) for other in others)


# --- one by one -------------------------------------------------------------------------------------------


def test_k1_takes_a_chain_of_three_with_it() -> None:
    for network, defects in cases("K1"):
        head = f"S{defects[0].element_id[4:]}"
        network.advance(lead_s(network, "K1", defects))
        dark = {cell.site_id for cell in network.all(Cell) if not works.in_service(network, cell.id)}
        behind = {site for site in dark if head in ancestors(network, site)}
        assert head in dark and len(behind) >= 2
        assert max(len(ancestors(network, site)) for site in behind) >= 2


def ancestors(network: Network, site: str) -> list[str]:
    found = []
    while (parent := network.index.parent_of.get(site)) is not None:
        found.append(parent)
        site = parent
    return found


def test_k2_dies_long_before_its_controller_expects() -> None:
    from telegym.envs.base_station import power_model

    for network, defects in cases("K2", (3, 4)):
        power = network.get(PowerSystem, defects[0].element_id)
        said = power_model.autonomy_min(network, power)
        begun = network.now
        while not network.get(PowerSystem, power.id).dark:
            network.advance(MINUTE_S)
            assert network.now < begun + 2 * HOUR_S
        assert (network.now - begun) / 60 < 0.4 * said


def test_k5_is_cured_by_going_back_to_the_primary_path() -> None:
    for network, (defect,) in cases("K5", (3, 4)):
        assert not [a for a in alarms.active_alarms(network) if a.key == "TRN_LINK_LOS"]
        moved = str(dict(defect.parameters)["rerouted"]).split()
        assert all(works.path(network, site).secondary for site in moved)
        assert fullest(network, moved[0]) > 99.0
        for site in moved:
            network.configure(network.get(Router, f"CSR-{site[1:]}"), "active_path", "primary", AGENT)
        assert fault(defect.code).cleared(network, defect)
        assert fullest(network, moved[0]) < 98.0
        assert all(change.time_s < network.now - 12 * HOUR_S for change in network.changes if change.user != AGENT)


def fullest(network: Network, site: str) -> float:
    """Return how full the fullest link on a site's way to the core is in the busy hour, in per cent."""
    network.settle()
    cell = network.at_site(Cell, site)[0]
    view, first = network.epochs[-1].view, 4 * 18
    return float(kpi.expected_bins(network.region, view, cell.id, "backhaul_util_pct", first, 1)[0])


def test_k7_burdens_the_neighbours() -> None:
    for network, defects in cases("K7", (3, 4)):
        (defect,) = defects
        site = f"S{defect.element_id[4:]}"
        before = loads(network)
        network.advance(lead_s(network, "K7", defects))
        after = loads(network)
        near = {
            name
            for cell in network.at_site(Cell, site)
            for name in network.index.neighbours_of.get(cell.id, ())
            if not name.startswith(f"{site}-")
        }
        assert max(after[name] - before[name] for name in near) > 0.1


def loads(network: Network) -> dict[str, float]:
    network.settle()
    view = network.epochs[-1].view
    hour = hour_of_week(NOON + HOUR_S)
    found: dict[str, float] = {}
    for tag in network.region.kind.layers:
        values = radio.layer_hour(network.region, view, tag, hour).solved.load.tolist()
        found |= dict(zip(network.region.cells_of[tag], values, strict=True))
    return found


def test_k11_has_its_decoy_elsewhere() -> None:
    for network, (licence, work) in cases("K11", (3, 4)):
        assert network.index.site_of[licence.element_id] != work.element_id
        assert isinstance(network.objects[work.element_id], Site)


def test_k12_needs_both_repairs() -> None:
    for network, (joint, emitter) in cases("K12", (3, 4)):
        cell = emitter.element_id
        tag = cell.split("-")[1]
        index = network.region.cells_of[tag].index(cell)
        clean = level(Network(network.region.archetype, network.region.seed, start_s=NOON), tag, index)
        both = level(network, tag, index)
        found = []
        for defect in (joint, emitter):
            alone = network.fork()
            fault(defect.code).undo(alone, defect)
            found.append(level(alone, tag, index))
        assert LAYERS[tag].name == tag
        assert all(clean + 3.0 < value < both - 0.5 for value in found), (clean, found, both)


def level(network: Network, tag: str, index: int) -> float:
    """Return the uplink's noise and interference in the busy hour."""
    network.settle()
    return float(radio.layer_hour(network.region, network.epochs[-1].view, tag, 18).uplink_dbm[index])


def test_k13_is_one_fault_and_one_alarm_that_means_nothing() -> None:
    decoys = set()
    for network, (main, decoy) in cases("K13", (3, 4, 5)):
        assert fault_infos()[main.code].family != "no_fault"
        assert network.index.site_of[main.element_id] == network.index.site_of[decoy.element_id]
        decoys.add(decoy.code)
    assert decoys == {"stale_alarm", "faulty_sensor_false_alarm"}


def test_k14_is_signed_by_ourselves() -> None:
    for network, (defect,) in cases("K14", (3, 4, 5)):
        ours = [change for change in network.changes if change.user == AGENT]
        assert ours and len(ours) == len(network.changes)
        change = network.get(Change, ours[0].change_id)
        assert change.ticket_id == EARLIER_TICKET == network.get(Ticket, EARLIER_TICKET).id
        assert defect.element_id in change.element_ids


# --- which pairs are possible -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "other", "hidden"),
    [
        ("utility_mains_outage", "pci_collision", True),
        ("pci_collision", "utility_mains_outage", False),
        ("utility_mains_outage", "battery_capacity_degraded", False),
        ("backhaul_fibre_cut", "tx_branch_failure", True),
        ("cell_left_locked", "tilt_misconfiguration", True),
        ("cell_left_locked", "vswr_connector_degradation", False),
        ("fronthaul_sfp_failure", "vswr_connector_degradation", True),
        ("passive_intermodulation", "external_interferer", False),
    ],
)
def test_what_hides_what(code: str, other: str, hidden: bool) -> None:
    assert masks(code, other) == hidden


def test_allowed_pairs() -> None:
    pairs = allowed_pairs()
    assert ("passive_intermodulation", "external_interferer") in pairs
    assert ("utility_mains_outage", "battery_capacity_degraded") in pairs
    assert not any(masks(*pair) or masks(*reversed(pair)) for pair in pairs)
    assert 300 < len(pairs) < 39 * 38 / 2
    with pytest.raises(ConfigurationError, match="Did you mean 'cell_barred'"):
        masks("cell_bared", "stale_alarm")


def test_every_everyday_fault_has_its_effect() -> None:
    for code in fault_codes(1):
        assert isinstance(masks(code, "stale_alarm"), bool)


def test_what_hides_takes_the_cells_away() -> None:
    """What is said to take a whole site away does so in a network."""
    for code in ("backhaul_fibre_cut", "csr_port_or_sfp_failure", "certificate_expired", "outage_spillover"):
        network = Network("U1", 2, start_s=NOON)
        fault(code).inject(network, fault(code).eligible(network)[0])
        assert any(not works.in_service(network, cell.id) for cell in network.all(Cell))
