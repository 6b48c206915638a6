"""Faults over time: what comes and goes stays present, what is repaired stays away, what threatens can be averted."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from statistics import median

import pytest

from telegym.core.errors import ConfigurationError
from telegym.core.messages import ToolCall
from telegym.envs.base_station import alarms, operations, power_model
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S
from telegym.envs.base_station.faults import Defect, fault, fault_codes
from telegym.envs.base_station.faults.registry import Fault
from telegym.envs.base_station.faults.temporal import Form, fault_as, first_outage_s, forms_of, inject_as
from telegym.envs.base_station.licences import licence_pool
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import (
    AntennaLine,
    Cell,
    ClockSource,
    ClockUnit,
    FronthaulLink,
    Generator,
    Node,
    PowerSystem,
    Rectifier,
    Site,
    TransportLink,
)
from telegym.envs.base_station.process.records import Change, Notice, Window, WorkOrder
from telegym.envs.base_station.state import Rumours
from telegym.tools.base_station import toolkit

REGIONS = [("U1", 0), ("S1", 1), ("R1", 2), ("M1", 3), ("X3", 4)]
NOON = 12 * HOUR_S
INTERMITTENT = {
    "fronthaul_fibre_degradation": "FH_",
    "vswr_connector_degradation": "ANT_VSWR_HIGH",
    "passive_intermodulation": None,
    "external_interferer": None,
}
"""Faults that come and go, and the alarm that comes and goes with them. Alarms on interference are slower than that."""
GROWING = {"vswr_connector_degradation": "vswr", "battery_capacity_degraded": "soh", "transport_congestion": "growth"}
DELAYED = {
    "certificate_expired": ("SEC_CERT_EXPIRING", "SEC_CERT_EXPIRED"),
    "licence_expired": ("LIC_EXPIRING", "LIC_EXPIRED"),
    "gnss_antenna_failure": ("CLK_GNSS_LOST", "CLK_HOLDOVER_EXPIRED"),
    "utility_mains_outage": ("PWR_MAINS_FAIL", "CELL_UNAVAILABLE"),
    "site_mains_breaker_trip": ("PWR_MAINS_FAIL", "CELL_UNAVAILABLE"),
    "cooling_system_failure": ("ENV_HIGH_TEMP", "CELL_UNAVAILABLE"),
}
"""Faults that threaten: the alarm that warns, and what comes if nobody heeds it."""
ALL = [(code, form) for code in fault_codes(1) for form in forms_of(code)]

Case = tuple[Network, Fault, Defect]


def case(code: str, form: Form, index: int, seed: int = 3) -> Case | None:
    network = Network(*REGIONS[index], seed=seed + index, start_s=NOON, rumours=Rumours(0, 0, 0))
    made = fault_as(code, form)
    options = made.eligible(network)
    if not options:
        return None
    element = choice(options, seed, code, form, index)
    return network, fault(code), inject_as(network, code, element, form, seed)


def cases(code: str, form: Form) -> list[Case]:
    found = [made for index in range(len(REGIONS)) if (made := case(code, form, index)) is not None]
    assert found, f"{code} is {form} nowhere"
    return found


@cache
def watched(code: str, index: int) -> tuple[tuple[int, bool], ...] | None:
    """Return when an intermittent defect was quiet or not, minute by minute for two days."""
    made = case(code, "intermittent", index)
    if made is None:
        return None
    network, cause, defect = made
    seen = []
    for _ in range(24 * 60):
        network.advance(MINUTE_S)
        assert not cause.cleared(network, defect)
        seen.append((network.now, disturbed(network, defect)))
    return tuple(seen)


def disturbed(network: Network, defect: Defect) -> bool:
    view = network.epochs[-1].view
    if defect.code == "external_interferer":
        return bool(view.emitters)
    record = network.objects[defect.element_id]
    if isinstance(record, FronthaulLink):
        return record.flap_down
    assert isinstance(record, AntennaLine)
    return works.rain_mm_h(network, network.index.site_of[record.id]) > 0


def stretches(seen: tuple[tuple[int, bool], ...]) -> dict[bool, list[float]]:
    """Return the lengths of stretches, in minutes, without the first and last ones."""
    found: dict[bool, list[float]] = {True: [], False: []}
    begun, state = seen[0]
    whole = False
    for now, is_on in seen:
        if is_on != state:
            if whole:
                found[state].append((now - begun) / 60)
            begun, state, whole = now, is_on, True
    return found


# --- every form -----------------------------------------------------------------------------------------


def test_the_first_form_is_that_of_a_plain_fault() -> None:
    for code in fault_codes(1):
        network = Network("M1", 3, start_s=NOON)
        options = fault(code).eligible(network)
        if options:
            assert fault(code).inject(network, options[0]).form == forms_of(code)[0]


def test_forms_by_name() -> None:
    by_form: dict[str, set[str]] = {}
    for code, form in ALL:
        by_form.setdefault(form, set()).add(code)
    assert set(INTERMITTENT) | {"faulty_sensor_false_alarm"} == by_form["intermittent"]
    assert by_form["scheduled"] == {"rectifier_module_failure", "mass_event_congestion"}
    assert by_form["growing"] == set(GROWING)
    assert by_form["delayed"] == set(DELAYED)
    assert by_form["self_clearing"] == {
        *("utility_mains_outage", "microwave_rain_fade", "mass_event_congestion", "planned_work_alarms")
    }


def test_forms_that_a_fault_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="cell_barred is never growing; its forms: permanent"):
        fault_as("cell_barred", "growing")
    with pytest.raises(ConfigurationError, match="Did you mean 'cell_barred'"):
        forms_of("cell_bared")


@pytest.mark.parametrize(("code", "form"), ALL)
def test_a_repaired_defect_of_any_form_never_happened(code: str, form: Form) -> None:
    for network, cause, defect in cases(code, form):
        assert defect.form == form
        assert not cause.cleared(network, defect)
        network.advance(2 * HOUR_S)
        cause.undo(network, defect)
        assert cause.cleared(network, defect)
        assert not set(lasting(network)) - following(network)
        network.advance(2 * DAY_S)
        assert cause.cleared(network, defect)
        assert not lasting(network), defect
        kinds = {event.kind for event in network.agenda.pending()}
        assert not kinds & {"fronthaul_flap", "emitter.switches", "fault.grows", "event_resumes", "weather.shower"}


def following(network: Network) -> set[str]:
    """Return what goes on by itself after a repair: charging, cooling down, locking, starting."""
    kinds = ("PWR-", "CAB-", "CLK-", "ENB-", "GNB-", "DU-", "CU-")
    return {name for name in network.changed_objects() if name.startswith(kinds)}


def lasting(network: Network) -> list[str]:
    """Return what is not as built but for its history: when nodes were started last."""
    found = []
    for name, record in network.changed_objects().items():
        built = network.region.records.get(name)
        if isinstance(record, Node) and isinstance(built, Node):
            record = replace(record, booted_s=built.booted_s)
        if record != built and not isinstance(record, (Notice, Change, Window, WorkOrder)):
            found.append(name)
    return found


@pytest.mark.parametrize(("code", "form"), [(code, form) for code, form in ALL if len(forms_of(code)) > 1])
def test_the_seed_decides_the_course(code: str, form: Form) -> None:
    one = next(made for index in range(5) if (made := case(code, form, index)) is not None)
    other = next(made for index in range(5) if (made := case(code, form, index)) is not None)
    assert one[2] == other[2]
    for network, _, _ in (one, other):
        network.advance(3 * HOUR_S)
    assert one[0].state_hash() == other[0].state_hash()


# --- intermittent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(INTERMITTENT))
def test_disturbances_last_minutes_and_stay_away_for_longer(code: str) -> None:
    lengths: dict[bool, list[float]] = {True: [], False: []}
    for index in range(len(REGIONS)):
        seen = watched(code, index)
        for state, found in stretches(seen).items() if seen else ():
            lengths[state] += found
    assert len(lengths[True]) > 40
    assert 9 < median(lengths[True]) < 16
    assert 34 < median(lengths[False]) < 60


@pytest.mark.parametrize("code", [code for code, key in INTERMITTENT.items() if key])
def test_alarms_come_and_go_and_are_on_record(code: str) -> None:
    key = str(INTERMITTENT[code])
    for network, _, defect in cases(code, "intermittent"):
        network.advance(8 * HOUR_S)
        mine = [alarm for alarm in network.alarms.values() if alarm.key.startswith(key)]
        assert len(mine) >= 3 and sum(alarm.cleared_s is not None for alarm in mine) >= 2, defect
        text = call("list_alarms", network, scope_id=network.index.site_of[defect.element_id], state="all", limit=50)
        assert sum(alarm.id in text for alarm in mine) >= 2, text


def test_a_quiet_interferer_is_not_heard() -> None:
    for network, cause, defect in cases("external_interferer", "intermittent"):
        heard = set()
        for _ in range(12):
            network.advance(20 * MINUTE_S)
            heard.add(bool(network.epochs[-1].view.emitters))
            assert not cause.cleared(network, defect)
        assert heard == {True, False}


def test_a_rusty_joint_is_worse_in_rain() -> None:
    for network, _, defect in cases("passive_intermodulation", "intermittent"):
        levels = set()
        for _ in range(24):
            network.advance(10 * MINUTE_S)
            levels.add(works.intermodulation_dbm(network, network.get(AntennaLine, defect.element_id)))
        details = dict(defect.parameters)
        assert levels == {details["level_dbm"], float(details["level_dbm"]) - works.DRY_JOINT_DB}


def test_showers_pass_for_good() -> None:
    network, cause, defect = cases("vswr_connector_degradation", "intermittent")[0]
    network.advance(2 * DAY_S)
    assert not network.agenda.pending("weather.shower")
    assert not disturbed(network, defect) and not cause.cleared(network, defect)


def test_after_a_field_repair_nothing_comes_back() -> None:
    for network, cause, defect in cases("fronthaul_fibre_degradation", "intermittent"):
        link = network.get(FronthaulLink, defect.element_id)
        network.update(link, extra_loss_db=0.0, extra_loss_at_m=0.0, cleanable=True, flapping=False, flap_down=False)
        network.advance(DAY_S)
        assert cause.cleared(network, defect) and not network.agenda.pending("fronthaul_flap")


# --- scheduled ------------------------------------------------------------------------------------------


def test_too_few_rectifiers_matter_in_the_evening_only() -> None:
    for network, _, defect in cases("rectifier_module_failure", "scheduled"):
        draining = set()
        for _ in range(48):
            network.advance(HOUR_S)
            power = network.get(PowerSystem, defect.element_id)
            short = power_model.rectifier_w(power) < power_model.load_w(network, power.site_id)
            assert short == (power.soc_per_s < 0)
            draining.add(short)
        assert draining == {True, False}


def test_a_festival_has_its_hours() -> None:
    for network, cause, defect in cases("mass_event_congestion", "scheduled"):
        details = dict(defect.parameters)
        minutes, days = int(details["minutes"]), int(details["days"])
        for day in range(days):
            assert crowded(network, defect)
            network.advance(minutes * MINUTE_S)
            assert not crowded(network, defect)
            assert cause.cleared(network, defect) == (day == days - 1)
            network.advance(DAY_S - minutes * MINUTE_S)
        assert not crowded(network, defect)


def crowded(network: Network, defect: Defect) -> bool:
    return any(cell.demand_factor > 1 for cell in network.at_site(Cell, defect.element_id))


# --- growing --------------------------------------------------------------------------------------------


def extent(network: Network, defect: Defect) -> float:
    record = network.objects[defect.element_id]
    if isinstance(record, AntennaLine):
        return record.vswr
    if isinstance(record, TransportLink):
        return record.growth
    assert isinstance(record, PowerSystem)
    return -record.strings[0].soh


@pytest.mark.parametrize(("code", "name"), sorted(GROWING.items()))
def test_a_growing_defect_becomes_worse_and_stays_bad(code: str, name: str) -> None:
    for network, cause, defect in cases(code, "growing"):
        details, seen = dict(defect.parameters), [extent(network, defect)]
        for _ in range(int(details["hours"])):
            network.advance(HOUR_S)
            seen.append(extent(network, defect))
            assert not cause.cleared(network, defect)
        assert seen == sorted(seen) and len(set(seen)) == len(seen)
        assert seen[-1] == pytest.approx(abs(float(details[name])) * (-1 if name == "soh" else 1), abs=1e-3)
        network.advance(6 * HOUR_S)
        assert extent(network, defect) == seen[-1]


# --- delayed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(DELAYED))
def test_what_threatens_is_announced_and_comes(code: str) -> None:
    warning, consequence = DELAYED[code]
    for network, _, defect in cases(code, "delayed"):
        network.advance(30 * HOUR_S)
        raised: dict[str, int] = {}
        for alarm in network.alarms.values():
            raised.setdefault(alarm.key, alarm.raised_s)
        assert raised[warning] + 30 * MINUTE_S < raised[consequence], defect


@pytest.mark.parametrize("code", sorted(set(DELAYED) - {"licence_expired"}))
def test_the_time_that_is_left_is_known(code: str) -> None:
    for network, _, defect in cases(code, "delayed"):
        before = network.state_hash()
        moment = first_outage_s(network, 30 * HOUR_S)
        assert network.state_hash() == before
        assert moment is not None and moment > network.now + 30 * MINUTE_S, defect
        network.advance(moment - network.now - 1)
        assert all(works.in_service(network, cell.id) for cell in network.all(Cell))
        network.advance(1)
        assert not all(works.in_service(network, cell.id) for cell in network.all(Cell))


def test_nothing_threatens_a_healthy_network() -> None:
    assert first_outage_s(Network("U1", 0, start_s=NOON)) is None


def avert(network: Network, defect: Defect) -> None:
    """Do what an operator would do."""
    if defect.code == "certificate_expired":
        node = network.get(Node, defect.element_id)
        call("renew_certificate", network, node_id=node.id, certificate_id=node.certificates[0].id)
        network.advance(operations.TUNNEL_S)
    elif defect.code == "licence_expired":
        feature = dict(defect.parameters)["feature"]
        licence = next(item for item in licence_pool(network) if item.feature == feature)
        call("activate_licence", network, node_id=defect.element_id, licence_id=licence.id)
    elif defect.code == "gnss_antenna_failure":
        node = network.at_site(Node, network.index.site_of[defect.element_id])[0]
        call("switch_clock_source", network, node_id=node.id, source="ptp")
        network.advance(HOUR_S)
    elif defect.code == "utility_mains_outage":
        zone = network.get(Site, f"S{defect.element_id[4:]}").utility_zone
        for power in list(network.all(PowerSystem)):
            if network.get(Site, power.site_id).utility_zone == zone:
                generator = power.generator or Generator(mobile=True)
                operations.start_generator(network, network.update(power, generator=generator))
        network.advance(10 * MINUTE_S)
    elif defect.code == "site_mains_breaker_trip":
        network.set_breaker(defect.element_id, shorted=False)
        power_model.reclose_breaker(network, defect.element_id)
    else:
        fault(defect.code).undo(network, defect)


def call(tool: str, network: Network, **arguments: str | int) -> str:
    outcome = toolkit().execute(network, ToolCall(id="1", name=tool, arguments=arguments))
    assert outcome.error is None, outcome.content
    return outcome.content


@pytest.mark.parametrize("code", sorted(DELAYED))
def test_what_threatens_can_be_averted(code: str) -> None:
    averted = 0
    for network, cause, defect in cases(code, "delayed"):
        network.advance(30 * MINUTE_S)
        assert not cause.cleared(network, defect)
        avert(network, defect)
        assert cause.cleared(network, defect), defect
        assert first_outage_s(network, 30 * HOUR_S) is None
        network.advance(30 * HOUR_S)
        warning, consequence = DELAYED[code]
        assert consequence not in {alarm.key for alarm in network.alarms.values()}
        assert code == "gnss_antenna_failure" or warning not in {a.key for a in alarms.active_alarms(network)}
        averted += 1
    assert averted


def test_satellites_that_come_back_are_not_needed_any_more() -> None:
    for network, cause, defect in cases("gnss_antenna_failure", "delayed"):
        network.configure(network.get(ClockUnit, defect.element_id), "source", ClockSource.PTP, "operator")
        network.advance(HOUR_S)
        assert cause.cleared(network, defect)
        network.configure(network.get(ClockUnit, defect.element_id), "source", ClockSource.GNSS, "operator")
        network.advance(HOUR_S)
        assert not cause.cleared(network, defect), "back on a dead antenna"


def test_modules_are_alike() -> None:
    for archetype, seed in REGIONS:
        for power in Network(archetype, seed).all(PowerSystem):
            assert len(set(power.rectifiers)) == 1 and isinstance(power.rectifiers[0], Rectifier)
