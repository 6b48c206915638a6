"""People and processes."""

from __future__ import annotations

from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.faults._fields import ids
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import integer
from telegym.envs.base_station.objects import AdministrativeState, Cell
from telegym.envs.base_station.process.records import Change, ChangeStatus

__all__: list[str] = []


def _forget_locked(network: Network, element: str, details: Parameters) -> None:
    """Lock a cell under a change that has ended since."""
    name = f"CR-{int(details['change']):05}"
    asked = network.now - 2 * HOUR_S
    change = Change(
        name, "INC-10001", (element,), "lock", False, "Antenna inspection.", asked, ChangeStatus.EXPIRED, "", asked
    )
    network.add(change)
    cell = network.get(Cell, element)
    network.configure(cell, "administrative_state", AdministrativeState.LOCKED, "field-support", name)


def _unlock(network: Network, element: str, details: Parameters) -> None:
    network.update(network.get(Cell, element), administrative_state=AdministrativeState.UNLOCKED)


register(
    Fault(
        "cell_left_locked",
        lambda network: ids(network, Cell),
        lambda network, element, seed: {"change": integer(2, 9, seed, "change", element)},
        _forget_locked,
        lambda network, element, details: (
            network.get(Cell, element).administrative_state is not AdministrativeState.UNLOCKED
        ),
        _unlock,
    )
)
