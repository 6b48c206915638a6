"""Priorities follow from what is out of service, from what is worse, and from nothing else."""

from __future__ import annotations

import pytest

from telegym.envs.base_station.faults import fault
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import AdministrativeState, Cell
from telegym.envs.base_station.priority import priorities
from telegym.envs.base_station.process.records import Ticket
from tests.tools.base_station.worlds import TICKET, town

CELLS = ("S004-L18-1", "S005-L18-1", "S006-L18-1")


def urgency(network: Network) -> tuple[str, ...]:
    return priorities(network, network.get(Ticket, TICKET))


def lock(network: Network, *names: str) -> None:
    for name in names:
        network.update(network.get(Cell, name), administrative_state=AdministrativeState.LOCKED)
    network.settle()


def faulty(code: str, element: str) -> Network:
    network = town()
    made = fault(code)
    made.inject(network, element, None, seed=1)
    network.advance(60 * made.lead_min)
    return network


@pytest.mark.parametrize(("count", "expected"), [(0, ("P4", "P3")), (1, ("P2",)), (2, ("P2",)), (3, ("P1",))])
def test_cells_out_at_one_site_or_several(count: int, expected: tuple[str, ...]) -> None:
    network = town()
    lock(network, *CELLS[:count])
    assert urgency(network) == expected


def test_all_cells_of_a_site() -> None:
    network = town()
    cells = [cell.id for cell in network.at_site(Cell, "S004")]
    lock(network, *cells[:-1])
    assert urgency(network) == ("P2",)
    lock(network, cells[-1])
    assert urgency(network) == ("P1",)


@pytest.mark.parametrize(
    ("code", "element"),
    [("cell_barred", CELLS[0]), ("energy_saving_stuck", "S004-L26-1"), ("sleeping_cell_access", CELLS[0])],
)
def test_cells_that_serve_nobody_are_urgent_though_they_are_not_out(code: str, element: str) -> None:
    assert urgency(faulty(code, element)) == ("P2", "P3", "P1")


def test_worse_service_is_a_matter_of_judgement() -> None:
    assert urgency(faulty("external_interferer", CELLS[0]))[0] == "P3"
    assert "P2" in urgency(faulty("external_interferer", CELLS[0]))


def test_what_nobody_notices_is_not_urgent() -> None:
    assert urgency(faulty("battery_capacity_degraded", "PWR-004")) == ("P4", "P3")
