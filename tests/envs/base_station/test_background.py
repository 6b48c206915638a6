"""What else goes on in a region: it is there as often as it should be, harms nobody, and changes no case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.alarms import active_alarms, dictionary
from telegym.envs.base_station.background import prepare_background, rumours_for
from telegym.envs.base_station.engine import DAY_S, HOUR_S
from telegym.envs.base_station.epochs import healthy_view
from telegym.envs.base_station.faults import fault, fault_codes
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import Cell, PowerSystem, RadioUnit
from telegym.envs.base_station.parameters import parameters_of, planned_value
from telegym.envs.base_station.process import field, parties
from telegym.envs.base_station.process.records import (
    Change,
    ChangeStatus,
    Depot,
    Notice,
    Technician,
    TechnicianState,
    Ticket,
    Window,
)
from telegym.envs.base_station.state import Rumours, Severity
from tests.tools.base_station.worlds import rows, text

BEGIN_S = 9 * DAY_S + 9 * HOUR_S
CASE = "S002"


def prepared(seed: int, level: int, archetype: str = "S1", region: int = 1, site: str = CASE) -> Network:
    network = Network(archetype, region, seed=seed, start_s=BEGIN_S)
    field.staff(network)
    prepare_background(network, seed=seed, level=level, site_id=site)
    return network


def many(level: int, count: int = 60) -> Iterator[Network]:
    return (prepared(seed, level) for seed in range(count))


# --- old alarms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "fewest", "most"), [(0, 0, 2), (1, 0, 2), (2, 3, 12), (3, 3, 12), (5, 3, 12)])
def test_old_alarms_are_as_many_as_the_level_says(level: int, fewest: int, most: int) -> None:
    counts = Counter(len(active_alarms(network)) for network in many(level, 80))
    assert set(counts) <= set(range(fewest, most + 1))
    assert min(counts) == fewest
    assert max(counts) >= most - 2


def test_old_alarms_are_minor_old_elsewhere_and_of_several_kinds() -> None:
    kinds: Counter[str] = Counter()
    for network in many(3):
        ages = [network.now - alarm.raised_s for alarm in active_alarms(network)]
        assert ages == sorted(ages, reverse=True)
        assert min(ages) >= HOUR_S
        for alarm in active_alarms(network):
            kinds[alarm.key] += 1
            assert alarm.severity in (Severity.MINOR, Severity.WARNING)
            assert alarm.site_id != CASE
            assert alarm.raised_s < network.now
    assert len(kinds) >= 8
    assert all(dictionary()[key].service != "yes" for key in kinds)


def test_more_sites_can_be_spared() -> None:
    for seed in range(20):
        network = Network("S1", 1, seed=seed, start_s=BEGIN_S)
        spared = {"S003", "S004", "S005"}
        prepare_background(network, seed=seed, level=3, site_id=CASE, spared=spared)
        assert len(active_alarms(network)) >= 3
        assert spared.isdisjoint(alarm.site_id for alarm in active_alarms(network))


@pytest.mark.parametrize(("archetype", "region"), [("U1", 0), ("R1", 3), ("M1", 2), ("X1", 1), ("X3", 0)])
def test_old_alarms_stay_nothing_comes_to_them_and_nobody_suffers(archetype: str, region: int) -> None:
    for seed in range(8):
        network = prepared(seed, 4, archetype, region)
        before = active_alarms(network)
        assert network.epochs[-1].view is healthy_view(network)
        network.advance(10 * HOUR_S)
        assert active_alarms(network) == before
        assert all(network.conditions[alarm.key, alarm.object_id].present for alarm in before)
        assert all(works.in_service(network, cell.id) for cell in network.all(Cell))
        assert network.epochs[-1].view is healthy_view(network)


def test_an_alarm_clears_when_its_condition_is_gone() -> None:
    network = next(item for item in many(3) if any(alarm.key == "ENV_DOOR_OPEN" for alarm in active_alarms(item)))
    alarm = next(alarm for alarm in active_alarms(network) if alarm.key == "ENV_DOOR_OPEN")
    network.update(network.objects[alarm.object_id], door_open=False)
    network.advance(HOUR_S)
    cleared = network.alarms[alarm.id].cleared_s
    assert cleared is not None
    assert cleared > BEGIN_S


# --- changes --------------------------------------------------------------------------------------------


def test_decoy_changes_are_as_likely_as_they_should_be_and_near_the_case() -> None:
    counts: Counter[int] = Counter()
    for network in many(2, 200):
        near = {CASE, *(_site(name) for cell in network.at_site(Cell, CASE) for name in _neighbours(network, cell.id))}
        recent = [change for change in network.changes if change.time_s > network.now - DAY_S]
        counts[len({change.change_id for change in recent})] += 1
        assert all(_site(change.element_id) in near for change in recent)
    # Two draws of a quarter each: 9/16, 6/16, 1/16 of 200.
    assert 95 <= counts[0] <= 130
    assert 55 <= counts[1] <= 95
    assert 4 <= counts[2] <= 25


def _site(name: str) -> str:
    return name.split("-")[0]


def _neighbours(network: Network, cell_id: str) -> tuple[str, ...]:
    return network.index.neighbours_of.get(cell_id, ())


def test_decoy_changes_are_approved_and_end_as_planned() -> None:
    forms: Counter[int] = Counter()
    for network in many(3, 120):
        recent = [change for change in network.changes if change.time_s > network.now - DAY_S]
        for change_id in {change.change_id for change in recent}:
            approval = network.get(Change, change_id)
            entries = [change for change in recent if change.change_id == change_id]
            forms[len(entries)] += 1
            cell = network.get(Cell, entries[0].element_id)
            parameter = parameters_of(cell)[entries[0].parameter]
            assert approval.status is ChangeStatus.EXPIRED
            assert approval.element_ids == (cell.id,)
            assert approval.valid_from_s <= entries[0].time_s <= entries[-1].time_s < approval.valid_to_s <= network.now
            assert getattr(cell, parameter.attribute) == planned_value(network, cell, parameter)
            assert entries[-1].new == str(getattr(cell, parameter.attribute))
            assert all(change.old != change.new and change.user for change in entries)
    assert forms[1] >= 10
    assert forms[2] >= 10
    assert set(forms) == {1, 2}


def test_a_decoy_reads_as_a_cause_does() -> None:
    network = next(item for item in many(3) if item.changes)
    change = network.changes[-1]
    shown = rows(text(network, "get_config_history", element_id=change.element_id), "version")
    assert [change.element_id, change.parameter, change.old, change.new, change.user] == shown[0][2:7]
    assert "status: EXPIRED" in text(network, "get_record", record_id=change.change_id)


def test_easy_cases_have_no_decoys() -> None:
    for level in (0, 1):
        for network in many(level, 30):
            assert not network.changes
            assert not list(network.all(Window))
            assert not list(network.all(Notice))


def test_where_the_plan_is_stale_the_log_tells_why() -> None:
    stale = 0
    for region in range(120):
        network = Network("R1", region, seed=1, start_s=BEGIN_S)
        if not any(network.region.planned.values()):
            continue
        prepare_background(network, seed=1, level=0, site_id="S001")
        for name, values in network.region.planned.items():
            cell = network.get(Cell, name)
            for parameter, planned in values.items():
                if planned == getattr(cell, parameter):
                    continue
                stale += 1
                (change,) = [change for change in network.changes if change.element_id == name]
                assert (change.before, change.new) == (planned, str(getattr(cell, parameter)))
                assert change.time_s < network.now - 7 * DAY_S
                assert network.get(Change, change.change_id).element_ids == (name,)
                assert "different: 1" in text(network, "get_config", element_id=name, compare_to="planned")
                assert change.change_id in text(network, "get_config_history", element_id=name, hours=720)
                assert "different: 0" in text(network, "get_config", element_id=name, compare_to="last_known_good")
    assert 2 <= stale <= 18


# --- planned work, notices, people, parts ---------------------------------------------------------------


def test_planned_work_is_at_another_site_and_in_the_notices() -> None:
    found = 0
    for network in many(3, 60):
        for window in network.all(Window):
            found += 1
            assert CASE not in window.element_ids
            assert window.end_s > network.now
            assert window.id in text(network, "get_external_notices", scope_id=window.element_ids[0])
            assert window.id not in text(network, "get_external_notices", scope_id=CASE)
    assert 18 <= found <= 42


def test_notices_are_about_other_places_and_later() -> None:
    kinds: Counter[str] = Counter()
    for network in (prepared(seed, 2, *where) for seed in range(30) for where in (("S1", 1), ("U1", 0), ("M1", 3))):
        for notice in network.all(Notice):
            kinds[notice.kind] += 1
            assert notice.start_s >= network.now + 13 * HOUR_S
            assert notice.published_s <= network.now
            assert CASE not in notice.scope
    assert set(kinds) == {"weather", "utility_outage", "transport_works", "event"}


def test_people_are_busy_for_some_hours_and_the_one_on_call_never() -> None:
    busy = total = 0
    for network in many(3, 60):
        people = list(network.all(Technician))
        busy += sum(person.state is not TechnicianState.IDLE for person in people)
        total += sum(person.shift != "on-call" for person in people)
        assert network.get(Technician, "TECH-01").state is TechnicianState.IDLE
        network.advance(6 * HOUR_S)
        assert all(person.state is TechnicianState.IDLE for person in network.all(Technician))
    assert 0.1 < busy / total < 0.4


def test_parts_out_of_stock_are_on_their_way() -> None:
    missing = dict.fromkeys((1, 3), 0)
    for level in missing:
        for network in many(level, 30):
            depot = network.get(Depot, "DEPOT")
            gone = {name for name, count in depot.parts if not count}
            missing[level] += len(gone)
            assert {name for name, _ in depot.expected} == gone
            assert not gone or "expected: " in text(network, "list_resources", resource_type="spares")
            network.advance(6 * HOUR_S)
            depot = network.get(Depot, "DEPOT")
            assert all(count for _, count in depot.parts)
            assert not depot.expected
    assert missing[3] > 2 * missing[1]


def test_the_utility_goes_by_its_own_outage_not_by_works_elsewhere() -> None:
    network = prepared(3, 0)
    network.add(Ticket("INC-1", network.now, "noc", False, "x", "x", (CASE,)))
    later = network.now + 30 * HOUR_S
    network.add(Notice("UTIL-X-PLAN", "utility_outage", ("UZ-9",), network.now, network.now + 60, "Works.", 0))
    power = network.get(PowerSystem, f"PWR-{CASE[1:]}")
    network.update(power, mains_ok=False)
    network.add(Notice("UTIL-OWN", "utility_outage", (CASE,), network.now, later, "Outage.", 0))
    case = parties.escalate(network, "INC-1", "power_utility", "no mains", (power.id,))
    network.advance(HOUR_S)
    assert network.objects[case.id].restore_s == later  # type: ignore[attr-defined]


# --- cases ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", fault_codes(1))
def test_a_case_is_the_same_with_and_without_a_background(code: str) -> None:
    """Same defect, same cells out, same alarms besides the old ones, and gone when it is repaired."""
    for archetype, region in (("S1", 1), ("M1", 3), ("X3", 4)):
        alone = Network(archetype, region, seed=5, start_s=BEGIN_S)
        options = fault(code).eligible(alone)
        if not options:
            continue
        element = choice(options, 5, code, archetype)
        site = alone.index.site_of.get(element.partition(">")[0], "S001")
        with_others = prepared(5, 4, archetype, region, site)
        outcomes = []
        for network in (alone, with_others):
            network.advance(HOUR_S)
            old = set(network.alarms)
            defect = fault(code).inject(network, element, seed=9)
            network.advance(2 * HOUR_S)
            out = {cell.id for cell in network.all(Cell) if not works.in_service(network, cell.id)}
            new = [item for name, item in network.alarms.items() if name not in old]
            told = {(alarm.key, alarm.object_id, alarm.raised_s) for alarm in new}
            fault(code).undo(network, defect)
            assert fault(code).cleared(network, defect)
            outcomes.append((defect, out, told))
        assert outcomes[0] == outcomes[1]


def test_the_seed_decides_the_background() -> None:
    assert prepared(4, 3).state_hash() == prepared(4, 3).state_hash()
    assert prepared(4, 3).dump()["alarms"] != prepared(5, 3).dump()["alarms"]


# --- rumours --------------------------------------------------------------------------------------------


def _hearsay(level: int, seeds: int = 120) -> tuple[float, float, float, list[int]]:
    """Return how often alarms of a dead radio unit mislead, and how late those are that can be a root."""
    repairs, links, told, delays, total = 0, 0, 0, [], 0
    for seed in range(seeds):
        network = Network("S1", 1, seed=seed, start_s=BEGIN_S, rumours=rumours_for(level))
        network.update(next(iter(network.all(RadioUnit))), failed=True)
        network.advance(600)
        for alarm in network.alarms.values():
            total += 1
            kind = dictionary()[alarm.key]
            repairs += alarm.repair_key != alarm.key
            links += bool(set(alarm.correlated) - _reasons(network, alarm.object_id))
            told += alarm.root_cause not in (None, kind.root and not alarm.correlated)
            if alarm.key == "RU_HW_FAULT":
                delays.append(alarm.raised_s - BEGIN_S - kind.raise_s)
    return repairs / total, links / total, told / total, delays


def _reasons(network: Network, object_id: str) -> set[str]:
    alarms = network.alarms.values()
    return {alarm.id for alarm in alarms if dictionary()[alarm.key].root and alarm.object_id != object_id}


def test_alarms_of_easy_cases_do_not_mislead() -> None:
    repairs, links, told, delays = _hearsay(1, 60)
    assert (repairs, links, told) == (0, 0, 0)
    assert set(delays) == {0}


def test_alarms_of_hard_cases_mislead_more() -> None:
    little, often = _hearsay(2), _hearsay(3)
    assert 0.01 < little[0] < often[0] < 0.25
    late = [[delay for delay in found[3] if delay] for found in (little, often)]
    assert 4 <= len(late[0]) < len(late[1]) <= 45
    assert all(60 <= delay <= 180 for delays in late for delay in delays)
    assert sum(found[2] for found in (little, often)) > 0


def test_the_hardest_levels_have_what_is_the_default() -> None:
    assert rumours_for(5) == rumours_for(3) == Rumours(late_root=0.25)
    assert rumours_for(0) == rumours_for(1)
