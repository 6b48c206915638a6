"""Silent degradation: cells that look well and serve nobody."""

from __future__ import annotations

from telegym.envs.base_station.faults._fields import field_fault
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import uniform
from telegym.envs.base_station.objects import Cell

__all__: list[str] = []


def _process(network: Network, element: str) -> tuple[str, ...]:
    return (element, network.get(Cell, element).board_id)


field_fault(
    "sleeping_cell_access",
    Cell,
    lambda network, element, seed: {"on_board": uniform(seed, "process", element) < 0.4},
    lambda network, element, details: {"access_hung": True, "access_hang_on_board": bool(details["on_board"])},
    accepted=_process,
)
