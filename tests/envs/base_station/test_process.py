"""The process: who may do what, when it happens to the second, and what a repair repairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from telegym.core.errors import ToolError
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import DAY_S, HOUR_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    AntennaLine,
    BatteryString,
    Board,
    BreakerState,
    Cabinet,
    Cell,
    ClockUnit,
    Emitter,
    FronthaulLink,
    PowerSystem,
    RadioUnit,
    Record,
    Site,
    TransportLink,
)
from telegym.envs.base_station.process import changes, field, parties, requester, tickets
from telegym.envs.base_station.process.records import (
    Change,
    ChangeStatus,
    Depot,
    Escalation,
    Technician,
    TechnicianState,
    Ticket,
    TicketStatus,
    Window,
    WorkOrder,
    WorkState,
)

TICKET = "INC-10023"
NOON, NIGHT = 12 * HOUR_S, 2 * HOUR_S


def network(start_s: int = NOON, archetype: str = "S1") -> Network:
    world = Network(archetype, 1, seed=5, start_s=start_s)
    field.staff(world)
    depot = world.get(Depot, "DEPOT")
    world.add(replace(depot, parts=tuple((part, 3) for part, _ in depot.parts), mobile_generators=1))
    world.add(
        Ticket(
            TICKET,
            start_s,
            "customer_care",
            True,
            "Calls drop",
            "Calls drop near the harbour.",
            ("S001",),
            answers=(("confirm_symptom", "calls still drop"),),
            blackout_h=(8, 18),
        )
    )
    return world


def change(world: Network, *names: str, kind: str = "parameter", **options: Any) -> str:
    return changes.request(world, TICKET, names, kind, "restores service", **options).id


def status(world: Network, change_id: str) -> ChangeStatus:
    return world.get(Change, change_id).status


# --- changes --------------------------------------------------------------------------------------------


def test_a_normal_change_is_decided_after_half_an_hour() -> None:
    world = network()
    name = change(world, "S001-L18-1")
    world.advance(30 * 60 - 1)
    assert status(world, name) is ChangeStatus.PENDING
    world.advance(1)
    assert status(world, name) is ChangeStatus.APPROVED
    assert changes.valid_change(world, name, "S001-L18-1")
    assert changes.valid_change(world, None, "S001-L18-1")
    assert changes.valid_change(world, name, "S001-L18-2") is None
    world.advance(4 * HOUR_S - 1)
    assert changes.valid_change(world, name, "S001-L18-1")
    world.advance(1)
    assert changes.valid_change(world, name, "S001-L18-1") is None
    assert status(world, name) is ChangeStatus.EXPIRED


@pytest.mark.parametrize(("start", "decided"), [(NIGHT, 7 * HOUR_S), (20 * HOUR_S, DAY_S + 7 * HOUR_S)])
def test_at_night_a_change_waits_for_the_morning(start: int, decided: int) -> None:
    world = network(start)
    name = change(world, "S001-L18-1")
    world.advance(decided - start - 1)
    assert status(world, name) is ChangeStatus.PENDING
    world.advance(1)
    assert status(world, name) is ChangeStatus.APPROVED


def test_an_emergency_is_decided_in_five_minutes_and_must_be_one() -> None:
    world = network()
    name = change(world, "S001-L18-1", emergency=True)
    world.advance(5 * 60)
    assert status(world, name) is ChangeStatus.REJECTED
    assert "no emergency" in world.get(Change, name).reason
    world.update(world.get(RadioUnit, "RU-001-L18-1"), failed=True)
    name = change(world, "S001-L18-1", emergency=True)
    world.advance(5 * 60 - 1)
    assert status(world, name) is ChangeStatus.PENDING
    world.advance(1)
    assert status(world, name) is ChangeStatus.APPROVED


def test_a_node_in_service_is_restarted_in_a_window_only() -> None:
    world = network()
    name = change(world, "ENB-001", kind="reset")
    world.advance(30 * 60)
    assert status(world, name) is ChangeStatus.REJECTED
    window = Window("MW-00004", ("ENB-001",), world.now + HOUR_S, world.now + 3 * HOUR_S, "noc", "upgrade")
    world.add(window)
    name = change(world, "ENB-001", kind="reset", window_id=window.id)
    world.advance(30 * 60)
    assert status(world, name) is ChangeStatus.APPROVED
    assert changes.valid_change(world, name, "ENB-001") is None
    world.advance(30 * 60)
    assert changes.valid_change(world, name, "ENB-001")


@pytest.mark.parametrize(
    ("names", "options", "error"),
    [
        (("S001-L18-9",), {}, "NOT_FOUND"),
        (("S001-L18-1",), {"window_id": "MW-9"}, "NOT_FOUND: no window"),
    ],
)
def test_changes_of_nothing_are_refused(names: tuple[str, ...], options: dict[str, str], error: str) -> None:
    world = network()
    before = world.state_hash()
    with pytest.raises(ToolError, match=error):
        change(world, *names, **options)
    assert world.state_hash() == before


def test_cells_affected_by_an_element() -> None:
    world = network()
    cells = {cell.id for cell in world.at_site(Cell, "S001")}
    assert {cell.id for cell in changes.cells_affected(world, "S001")} == cells
    assert {cell.id for cell in changes.cells_affected(world, "PWR-001")} == cells
    assert [cell.id for cell in changes.cells_affected(world, "RU-001-L18-1")] == ["S001-L18-1"]
    assert [cell.id for cell in changes.cells_affected(world, "FH-001-L18-1")] == ["S001-L18-1"]
    link = world.region.transport.paths["S001"]["primary"][0]
    assert cells <= {cell.id for cell in changes.cells_affected(world, link)}


# --- tickets --------------------------------------------------------------------------------------------


def test_a_ticket_is_changed_linked_and_closed() -> None:
    world = network()
    world.add(replace(world.get(Ticket, TICKET), id="INC-10024"))
    tickets.update_ticket(world, TICKET, priority="P1", status="in_progress", note="looking")
    tickets.update_ticket(world, "INC-10024", link_to=TICKET)
    assert world.get(Ticket, "INC-10024").parent_id == TICKET
    tickets.notify(world, TICKET, "noc", "working on it")
    with pytest.raises(ToolError, match="PRECONDITION_FAILED: no diagnosis"):
        tickets.close_ticket(world, TICKET, "fixed_remote", "done")
    tickets.submit_diagnosis(world, TICKET, "cell_barred", "S001-L18-1")
    tickets.submit_diagnosis(world, TICKET, "cell_barred", "S001-L18-2")
    with pytest.raises(ToolError, match="2 diagnoses"):
        tickets.submit_diagnosis(world, TICKET, "cell_barred", "S001-L18-1")
    closed = tickets.close_ticket(world, TICKET, "fixed_remote", "unbarred")
    assert (closed.priority, closed.status, closed.closed_s) == ("P1", TicketStatus.CLOSED, world.now)
    assert closed.notes[0].text == "looking" and closed.notifications[0].audience == "noc"
    with pytest.raises(ToolError, match="is closed"):
        tickets.update_ticket(world, TICKET, note="again")


@pytest.mark.parametrize("element", ["S001-L18-9", "PWR-001-F99", "nothing"])
def test_a_diagnosis_names_something_that_is_there(element: str) -> None:
    with pytest.raises(ToolError, match="INVALID_ARGUMENT: no element"):
        tickets.submit_diagnosis(network(), TICKET, "cell_barred", element)


@pytest.mark.parametrize("element", ["PWR-001-Q1", "CSR-001-P0", "RU-001-L18-1", "S001-L18-1>S001-L18-2"])
def test_parts_and_relations_can_be_diagnosed(element: str) -> None:
    assert tickets.submit_diagnosis(network(), TICKET, "cell_barred", element).diagnoses


def test_only_people_can_be_asked() -> None:
    world = network()
    assert 3 <= tickets.ask_requester(world, TICKET, "confirm_symptom") <= 20
    ticket = world.get(Ticket, TICKET)
    assert requester.reply(world, ticket, "confirm_symptom").answer == "calls still drop"
    assert requester.reply(world, ticket, "confirm_restored") == ("yes", "")
    assert requester.reply(world, ticket, "approve_outage") == ("no", "")
    world.advance(8 * HOUR_S)
    assert requester.reply(world, ticket, "approve_outage") == ("yes", "")
    world.update(ticket, human=False)
    with pytest.raises(ToolError, match="PRECONDITION_FAILED: INC-10023 was opened by a system"):
        tickets.ask_requester(world, TICKET, "confirm_symptom")


# --- field work -----------------------------------------------------------------------------------------


def on_site(world: Network, task: str, *parts: str, site: str = "S001") -> str:
    order = field.dispatch(world, site, task, TICKET, parts)
    world.advance(order.arrival_s - world.now)
    return order.id


def test_a_technician_arrives_on_the_second() -> None:
    world = network()
    order = field.dispatch(world, "S001", "radio_hw", TICKET, ("RU_L18",))
    site = world.get(Site, "S001")
    drive = 25 + 60 * site.travel_km / 45 + 20
    assert order.arrival_s - world.now >= round(drive) * 60
    assert world.get(Technician, order.technician_id).state is TechnicianState.EN_ROUTE
    with pytest.raises(ToolError, match="PRECONDITION_FAILED: nobody is on site"):
        field.instruct(world, order.id, "inspect")
    world.advance(order.arrival_s - world.now - 1)
    assert world.get(WorkOrder, order.id).state is WorkState.EN_ROUTE
    world.advance(1)
    assert world.get(WorkOrder, order.id).state is WorkState.ON_SITE


def test_the_right_part_repairs_and_the_rest_goes_back() -> None:
    world = network()
    world.update(world.get(RadioUnit, "RU-001-L18-1"), failed=True)
    order = on_site(world, "radio_hw", "RU_L8", "RU_L18")
    wrong = field.instruct(world, order, "replace_part", "RU-001-L18-1", "RU_L8")
    assert "does not fit" in wrong.text
    assert not works.in_service(world, "S001-L18-1")
    before = world.now
    right = field.instruct(world, order, "replace_part", "RU-001-L18-1", "RU_L18")
    assert 0.85 * 90 <= right.minutes <= 1.2 * 90
    assert world.now - before == round(right.minutes * 60)
    assert works.in_service(world, "S001-L18-1")
    assert world.get(RadioUnit, "RU-001-L18-1") is world.region.records["RU-001-L18-1"]
    with pytest.raises(ToolError, match="no RU_L18 on the van"):
        field.instruct(world, order, "replace_part", "RU-001-L18-1", "RU_L18")
    field.instruct(world, order, "complete_and_leave")
    done = world.get(WorkOrder, order)
    assert done.state is WorkState.DONE
    assert world.get(Technician, done.technician_id).state is TechnicianState.IDLE
    assert world.get(Depot, "DEPOT").stock("SFP_10G") == 3
    assert field.work_cost_eur(done, world.now) > 350 + 2400


def test_antenna_work_needs_locked_cells() -> None:
    world = network()
    line = world.get(AntennaLine, "ANT-001-L18-1-A")
    world.update(line, disconnected=True)
    order = on_site(world, "antenna_line", "FEEDER_KIT")
    before = world.state_hash()
    with pytest.raises(ToolError, match="not LOCKED: S001-L18-1"):
        field.instruct(world, order, "reseat_connector", line.id)
    assert world.state_hash() == before
    world.update(world.get(Cell, "S001-L18-1"), administrative_state=AdministrativeState.LOCKED)
    assert field.instruct(world, order, "reseat_connector", line.id).done
    assert world.get(AntennaLine, line.id) is world.region.records[line.id]
    assert world.get(WorkOrder, order).antenna_work
    field.instruct(world, order, "complete_and_leave")
    assert not world.get(WorkOrder, order).antenna_work


REPAIRS: list[tuple[type[Record], str, dict[str, object], str, str, str]] = [
    (Board, "ENB-001-B2", {"failed": True}, "replace_part", "baseband_hw", "BB_BOARD"),
    (Board, "ENB-001-B2", {"hang": True}, "power_cycle", "baseband_hw", ""),
    (FronthaulLink, "FH-001-L18-1", {"far_sfp_failed": True}, "replace_part", "fronthaul", "SFP_10G"),
    (FronthaulLink, "FH-001-L18-1", {"extra_loss_db": 12.0}, "replace_part", "fronthaul", "FIBRE_PATCH"),
    (RadioUnit, "RU-001-L18-1", {"failed_branches": (1,)}, "replace_part", "radio_hw", "RU_L18"),
    (ClockUnit, "CLK-001", {"antenna": "open"}, "replace_part", "clock_antenna", "GNSS_ANT"),
    (Site, "S001", {"intruded": True}, "secure_site", "security_visit", ""),
    (PowerSystem, "PWR-001", {"surge_arrester_failed": True}, "replace_part", "power_electrical", "SPD"),
]


@pytest.mark.parametrize(("kind", "name", "fields", "action", "task", "part"), REPAIRS)
def test_what_a_technician_repairs_never_failed(
    kind: type[Record], name: str, fields: dict[str, object], action: str, task: str, part: str
) -> None:
    world = network()
    world.update(world.get(kind, name), **fields)
    order = on_site(world, task, *([part] if part else []))
    assert field.instruct(world, order, "walk_test").text
    assert field.instruct(world, order, action, name, part).done
    for field_name in fields:
        assert getattr(world.get(kind, name), field_name) == getattr(world.region.records[name], field_name)


def test_a_healthy_site_has_nothing_to_repair() -> None:
    world = network()
    for action in (
        "clean_connector",
        "align_microwave",
        "close_breaker",
        "power_cycle",
        "secure_site",
        "align_antenna",
    ):
        world.update(world.get(Cell, "S001-L18-1"), administrative_state=AdministrativeState.LOCKED)
        order = on_site(world, "inspection")
        target = "S001-L18-1" if action == "align_antenna" else ""
        assert not field.instruct(world, order, action, target).done
        field.instruct(world, order, "complete_and_leave")


def test_a_weak_string_is_replaced_by_its_kind() -> None:
    world = network()
    power = world.get(PowerSystem, "PWR-001")
    weak = tuple(replace(string, soh=0.3) for string in power.strings)
    world.update(power, strings=weak)
    kind = power.strings[0].kind
    other = "LI" if kind == "VRLA" else "VRLA"
    order = on_site(world, "battery_work", *[f"BATTERY_{kind}"] * 3, f"BATTERY_{other}")
    assert "does not fit" in field.instruct(world, order, "replace_part", "PWR-001", f"BATTERY_{other}").text
    for _ in power.strings:
        assert field.instruct(world, order, "replace_part", "PWR-001", f"BATTERY_{kind}").done
    strings: tuple[BatteryString, ...] = world.get(PowerSystem, "PWR-001").strings
    assert strings == power.strings


def test_a_shorted_breaker_trips_again_until_it_is_replaced() -> None:
    world = network()
    world.set_breaker("PWR-001-F1", state=BreakerState.TRIPPED, shorted=True)
    order = on_site(world, "power_electrical", "MCB")
    assert "trips again" in field.instruct(world, order, "close_breaker", "PWR-001-F1").text
    assert field.instruct(world, order, "replace_part", "PWR-001-F1", "MCB").done
    assert world.breaker("PWR-001-F1")[1].state is BreakerState.CLOSED


@pytest.mark.parametrize("fault", ["door_open", "smoke", "cooling_failed"])
def test_an_inspection_sees_what_is_there(fault: str) -> None:
    world = network()
    world.update(world.get(Cabinet, "CAB-001"), **{fault: True})
    order = on_site(world, "inspection")
    assert "no damage" not in field.instruct(world, order, "inspect").text
    world = network()
    assert "no damage" in field.instruct(world, on_site(world, "inspection"), "inspect").text


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ({"task": "radio_hw", "parts": ("RU_L99",)}, "NOT_FOUND: no part type 'RU_L99'"),
        ({"task": "radio_hw", "technician_id": "TECH-77"}, "NOT_FOUND: no technician"),
        ({"task": "radio_hw", "site_id": "S099"}, "NOT_FOUND: no site"),
        ({"task": "radio_hw", "ticket_id": "INC-1"}, "NOT_FOUND: no ticket"),
    ],
)
def test_impossible_dispatches_are_refused(call: dict[str, Any], error: str) -> None:
    world = network()
    before = world.state_hash()
    with pytest.raises(ToolError, match=error):
        field.dispatch(world, **{"site_id": "S001", "ticket_id": TICKET, **call})
    assert world.state_hash() == before


def test_parts_and_people_run_out() -> None:
    world = network()
    depot = world.get(Depot, "DEPOT")
    world.add(replace(depot, parts=tuple((part, 0 if part == "MCB" else count) for part, count in depot.parts)))
    with pytest.raises(ToolError, match="RESOURCE_BUSY: MCB is not in stock"):
        field.dispatch(world, "S001", "power_electrical", TICKET, ("MCB",))
    for _ in range(8):
        try:
            field.dispatch(world, "S001", "inspection", TICKET)
        except ToolError as error:
            assert "RESOURCE_BUSY: no technician" in str(error)
            break
    else:
        pytest.fail("technicians never run out")


# --- third parties --------------------------------------------------------------------------------------


def provider_link(world: Network) -> TransportLink:
    return next(link for link in world.all(TransportLink) if link.provider != "own")


def test_the_provider_restores_a_cut_fibre() -> None:
    world = network(archetype="U1")
    link = world.update(provider_link(world), cut=True, cut_at_km=0.2)
    case = parties.escalate(world, TICKET, "transport_provider", "cut at 0.2 km", (link.id,))
    world.advance(15 * 60 - 1)
    assert world.get(Escalation, case.id).accepted is None
    world.advance(1)
    accepted = world.get(Escalation, case.id)
    assert accepted.accepted and accepted.restore_s is not None
    world.advance(accepted.restore_s - world.now - 1)
    assert world.get(TransportLink, link.id).cut
    world.advance(1)
    assert world.get(TransportLink, link.id) is world.region.records[link.id]


@pytest.mark.parametrize("party", sorted(set(parties.PARTIES) - {"tier3_ran"}))
def test_nobody_takes_what_is_not_theirs(party: str) -> None:
    world = network()
    case = parties.escalate(world, TICKET, party, "please look", ("S001",))
    world.advance(parties.PARTIES[party].bounces_min * 60 - 1)
    assert world.get(Escalation, case.id).accepted is None
    world.advance(1)
    assert world.get(Escalation, case.id).accepted is False


def test_the_utility_and_the_regulator_take_what_is_theirs() -> None:
    world = network()
    world.update(world.get(PowerSystem, "PWR-001"), mains_ok=False)
    world.add(Emitter("EXT-1", 0.0, 0.0, ("L18",), -80.0, 30, 36))
    for party, element in (("power_utility", "S001"), ("spectrum_regulator", "S001-L18-1")):
        case = parties.escalate(world, TICKET, party, "see scan", (element,))
        world.advance(parties.PARTIES[party].responds_min * 60)
        answered = world.get(Escalation, case.id)
        assert answered.accepted, party
        world.advance((answered.restore_s or 0) - world.now)
    assert world.get(PowerSystem, "PWR-001").mains_ok
    assert not list(world.all(Emitter))


def test_the_same_seed_gives_the_same_crew() -> None:
    one, other = network(), network()
    assert one.state_hash() == other.state_hash()
    assert {skill for person in one.all(Technician) for skill in person.skills} >= {"power", "radio", "fuel"}
