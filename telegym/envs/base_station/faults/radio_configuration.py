"""Wrong radio configuration."""

from __future__ import annotations

import numpy as np

from telegym.envs.base_station.faults._fields import built, configuration_fault, ids
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.objects import Cell, Relation

__all__: list[str] = []


_CROSSED = (0.03, 0.11)
"""Share of a cell's border towards a neighbour that is forgotten: more would be noticed at once, less never."""


def _neighbours(network: Network, cell_id: str) -> list[str]:
    """Return the cells of the same layer that a cell overlaps, the strongest first, without those of its own site."""
    tag = cell_id.split("-")[1]
    names = network.region.cells_of[tag]
    row = network.region.overlap[tag][names.index(cell_id)]
    order = np.argsort(-row, kind="stable").tolist()
    site = cell_id.split("-")[0]
    return [names[index] for index in order if row[index] > 0 and not names[index].startswith(f"{site}-")]


def _border(network: Network, cell_id: str, other: str) -> float:
    """Return which share of a cell's border is towards another one."""
    tag = cell_id.split("-")[1]
    names, overlap = network.region.cells_of[tag], network.region.overlap[tag]
    row = overlap[names.index(cell_id)]
    return float(row[names.index(other)] / max(row.sum(), 1e-12))


def _bordering(network: Network) -> list[str]:
    return [name for name in ids(network, Cell) if _neighbours(network, name)]


configuration_fault(
    "pci_collision",
    Cell,
    lambda network, element, seed: {"pci": int(built(network, _neighbours(network, element)[0], "pci"))},
    lambda network, element, details: {"pci": int(details["pci"])},
    eligible=_bordering,
)


def _confused(network: Network) -> list[str]:
    """Return cells that share a neighbour with a cell they do not border on themselves."""
    return [name for name in _bordering(network) if _twin(network, name) is not None]


def _twin(network: Network, cell_id: str) -> str | None:
    """Return the cell that a neighbour has most reason to mistake for this one; none that borders on it itself."""
    own = {cell_id, *_neighbours(network, cell_id)}
    found: dict[str, float] = {}
    for source in _neighbours(network, cell_id)[:6]:
        here = _border(network, source, cell_id)
        for other in _neighbours(network, source):
            if other not in own and other.split("-")[0] != cell_id.split("-")[0]:
                found[other] = max(found.get(other, 0.0), min(here, _border(network, source, other)))
    return max(sorted(found), key=lambda other: found[other], default=None)


def _draw_twin(network: Network, element: str, seed: int) -> Parameters:
    twin = _twin(network, element)
    return {"pci": int(built(network, twin or element, "pci")), "twin": twin or ""}


configuration_fault(
    "pci_confusion",
    Cell,
    _draw_twin,
    lambda network, element, details: {"pci": int(details["pci"])},
    eligible=_confused,
)


# --- missing_neighbour ----------------------------------------------------------------------------------


def _lost(network: Network, element: str, details: Parameters) -> tuple[str, str]:
    target = str(details["target"])
    return f"{element}>{target}", f"{target}>{element}"


def _forget(network: Network, element: str, details: Parameters) -> None:
    for name in _lost(network, element, details):
        relation = network.relations.get(name)
        if relation is not None:
            network.remove(relation)
            network.log_change(name, "relation", "present", "removed", "anr-cleanup")


def _remember(network: Network, element: str, details: Parameters) -> None:
    for name in _lost(network, element, details):
        if name in network.region.relations:
            network.add(network.region.relations[name])


def _forgotten(network: Network, element: str, details: Parameters) -> bool:
    name, _ = _lost(network, element, details)
    relation = network.relations.get(name)
    return not isinstance(relation, Relation) or not relation.is_ho_allowed


def _draw_forgotten(network: Network, element: str, seed: int) -> Parameters:
    """Draw a neighbour of some weight; where there is none, the one nearest to it."""
    low, high = _CROSSED
    weights = {name: _border(network, element, name) for name in _neighbours(network, element)}
    fit = [name for name, weight in weights.items() if low <= weight <= high]
    nearest = min(weights, key=lambda name: abs(weights[name] - high))
    return {"target": choice(fit, seed, "target", element) if fit else nearest}


def _relations(network: Network, element: str) -> tuple[str, ...]:
    """Return the cell, and its relations to and from its neighbours: both directions are lost together."""
    near = _neighbours(network, element)
    return (element, *(f"{element}>{name}" for name in near), *(f"{name}>{element}" for name in near))


register(
    Fault(
        "missing_neighbour",
        _bordering,
        _draw_forgotten,
        _forget,
        _forgotten,
        _remember,
        _relations,
    )
)


# --- one parameter --------------------------------------------------------------------------------------


def _typing_error(network: Network, element: str, seed: int) -> Parameters:
    """Swap two digits of the tracking area, or change the last one."""
    right = str(built(network, element, "tac"))
    swapped = right[:-2] + right[-1] + right[-2]
    return {"tac": int(swapped) if swapped != right else int(right) + integer(1, 8, seed, "tac", element)}


configuration_fault("wrong_tac", Cell, _typing_error, lambda network, element, details: {"tac": int(details["tac"])})


def _draw_tilt(network: Network, element: str, seed: int) -> Parameters:
    planned = float(built(network, element, "electrical_tilt_deg"))
    down = planned + 6.0 <= 14.0 and (planned < 5.0 or uniform(seed, "direction", element) < 0.6)
    step = float(integer(6, 8, seed, "step", element)) if down else -float(integer(5, 6, seed, "step", element))
    return {"tilt_deg": min(max(planned + step, 0.0), 14.0)}


configuration_fault(
    "tilt_misconfiguration",
    Cell,
    _draw_tilt,
    lambda network, element, details: {"electrical_tilt_deg": float(details["tilt_deg"])},
    test=lambda cell: 2.0 <= cell.electrical_tilt_deg <= 10.0,
)
configuration_fault(
    "tx_power_misconfiguration",
    Cell,
    lambda network, element, seed: {"change_db": float(choice((-12, -10, -9, -8, -6), seed, "power", element))},
    lambda network, element, details: {
        "max_tx_power_dbm": float(built(network, element, "max_tx_power_dbm")) + float(details["change_db"])
    },
)
configuration_fault("cell_barred", Cell, lambda network, element, seed: {}, lambda *_: {"cell_barred": True})
configuration_fault(
    "energy_saving_stuck",
    Cell,
    lambda network, element, seed: {},
    lambda *_: {"es_wake_threshold_pct": 100},
    test=lambda cell: cell.es_enabled,
)
