"""What is no fault: sensors that lie, planned work, alarms nobody cleared."""

from __future__ import annotations

from telegym.envs.base_station import alarms
from telegym.envs.base_station.engine import DAY_S, HOUR_S, handles
from telegym.envs.base_station.faults._fields import field_fault, ids
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer
from telegym.envs.base_station.objects import AdministrativeState, Cell, PowerSystem, Site
from telegym.envs.base_station.process.records import Notice, Window, WorkOrder, WorkState

__all__: list[str] = []

field_fault(
    "faulty_sensor_false_alarm",
    Site,
    lambda network, element, seed: {"sensor": choice(("door", "temperature", "door"), seed, "sensor", element)},
    lambda network, element, details: {"sensor_fault": str(details["sensor"])},
    accepted=lambda network, element: (element, f"CAB-{element[1:]}", f"PWR-{element[1:]}"),
    lead_min=180,
    form="intermittent",
)


# --- planned_work_alarms --------------------------------------------------------------------------------


def _begin_work(network: Network, element: str, details: Parameters) -> None:
    cells = network.at_site(Cell, element)
    end = network.now + int(details["hours"]) * HOUR_S
    window = Window(
        id=f"MW-{int(details['window']):05}",
        element_ids=(element, *(cell.id for cell in cells)),
        start_s=network.now,
        end_s=end,
        owner="field-operations",
        purpose="Exchange of antennas",
    )
    network.add(window)
    text = f"Planned work at {element}: exchange of antennas under {window.id}."
    network.add(Notice(f"WORK-{element}", "planned_work", (element,), network.now, end, text, -1))
    for cell in cells:
        state = AdministrativeState.LOCKED
        network.configure(cell, "administrative_state", state, "field-operations", window.id)
    network.schedule(end, "planned_work_ends", element)


@handles("planned_work_ends")
def _end_work(network: Network, element: str) -> None:
    for cell in network.at_site(Cell, element):
        network.update(cell, administrative_state=AdministrativeState.UNLOCKED)


def _locked(network: Network, element: str) -> bool:
    cells = network.at_site(Cell, element)
    return any(cell.administrative_state is not AdministrativeState.UNLOCKED for cell in cells)


register(
    Fault(
        "planned_work_alarms",
        lambda network: ids(network, Site),
        lambda network, element, seed: {
            "hours": integer(4, 8, seed, "hours", element),
            "window": integer(2, 9, seed, "window", element),
        },
        _begin_work,
        lambda network, element, details: _locked(network, element),
        lambda network, element, details: _end_work(network, element),
        lambda network, element: (element, *(cell.id for cell in network.at_site(Cell, element))),
        form="self_clearing",
    )
)


# --- stale_alarm ----------------------------------------------------------------------------------------


def _stale_pair(network: Network, element: str) -> tuple[str, str]:
    return ("PWR_SPD_FAIL" if element.startswith("PWR") else "ENV_INTRUSION", element)


def _leave_alarm(network: Network, element: str, details: Parameters) -> None:
    """Leave an alarm whose cause was repaired days ago."""
    key, _ = _stale_pair(network, element)
    raised = network.now - int(details["days"]) * DAY_S
    site = f"S{element[-3:]}"
    network.add(
        WorkOrder(
            id=f"WO-{int(details['order']):05}",
            ticket_id="INC-10001",
            visit_site_id=site,
            task="power_electrical" if key == "PWR_SPD_FAIL" else "security_visit",
            technician_id="TECH-02",
            created_s=raised + HOUR_S,
            arrival_s=raised + 3 * HOUR_S,
            state=WorkState.DONE,
            left_s=raised + 4 * HOUR_S,
            note="Surge protector replaced." if key == "PWR_SPD_FAIL" else "Site secured, lock replaced.",
        )
    )
    alarms.plant(network, key, element, raised)


def _clear_alarm(network: Network, element: str, details: Parameters) -> None:
    alarm = network.open_alarms.get(_stale_pair(network, element))
    if alarm is not None:
        alarms.clear_by_hand(network, alarm, "operator")


register(
    Fault(
        "stale_alarm",
        lambda network: [*ids(network, PowerSystem), *ids(network, Site)],
        lambda network, element, seed: {
            "days": integer(2, 6, seed, "days", element),
            "order": integer(2, 9, seed, "order", element),
        },
        _leave_alarm,
        lambda network, element, details: _stale_pair(network, element) in network.open_alarms,
        _clear_alarm,
        lambda network, element: tuple(dict.fromkeys((element, f"S{element[-3:]}"))),
    )
)
