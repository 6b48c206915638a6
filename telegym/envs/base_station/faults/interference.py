"""Interference from outside."""

from __future__ import annotations

import math

from telegym.envs.base_station.faults._fields import ids
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.objects import Cell, Emitter, Site
from telegym.envs.base_station.physics.spectrum import LAYERS

__all__ = ["INTERFERER", "emitter_id"]


def _draw(network: Network, element: str, seed: int) -> Parameters:
    """Draw a transmitter that the cell hears at -104 to -90 dBm, and what it sends for that."""
    width = choice((7, 12, 25), seed, "width", element)
    prbs = LAYERS[network.get(Cell, element).layer].prbs
    distance = integer(80, 260, seed, "distance", element)
    bearing = round(-40 + 80 * uniform(seed, "bearing", element), 1)
    lost = 35.0 * math.log10(distance / 100.0) + 12.0 * (bearing / 65.0) ** 2
    return {
        "distance_m": distance,
        "bearing_deg": bearing,
        "power_dbm": round(-104.0 + 14.0 * uniform(seed, "power", element) + lost, 1),
        "first_prb": integer(0, max(prbs - width, 0), seed, "place", element),
        "width_prb": min(width, prbs),
    }


def emitter_id(element: str) -> str:
    """Return the id of what disturbs a cell."""
    return f"EXT-{element}"


def _switch_on(network: Network, element: str, details: Parameters) -> None:
    cell = network.get(Cell, element)
    site = network.get(Site, cell.site_id)
    bearing = math.radians(cell.azimuth_deg + float(details["bearing_deg"]))
    first = int(details["first_prb"])
    network.add(
        Emitter(
            id=emitter_id(element),
            x_m=round(site.x_m + float(details["distance_m"]) * math.sin(bearing), 1),
            y_m=round(site.y_m + float(details["distance_m"]) * math.cos(bearing), 1),
            layers=(cell.layer,),
            power_dbm=float(details["power_dbm"]),
            first_prb=first,
            last_prb=first + int(details["width_prb"]) - 1,
            since_s=network.now,
        )
    )


def _switch_off(network: Network, element: str, details: Parameters) -> None:
    emitter = network.objects.get(emitter_id(element))
    if isinstance(emitter, Emitter):
        network.remove(emitter)


INTERFERER = register(
    Fault(
        "external_interferer",
        lambda network: ids(network, Cell),
        _draw,
        _switch_on,
        lambda network, element, details: emitter_id(element) in network.objects,
        _switch_off,
        lambda network, element: (element, network.get(Cell, element).site_id),
    )
)
"""A transmitter near a cell that disturbs its uplink."""
