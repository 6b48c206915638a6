"""Clocks and synchronisation."""

from __future__ import annotations

from telegym.envs.base_station.faults._fields import field_fault
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import ClockSource, ClockUnit

__all__ = ["SATELLITES"]

SATELLITES = field_fault(
    "gnss_antenna_failure",
    ClockUnit,
    lambda network, element, seed: {"antenna": choice(("open", "open", "short"), seed, "antenna", element)},
    lambda network, element, details: {"antenna": details["antenna"]},
    test=lambda clock: clock.source is ClockSource.GNSS,
    accepted=lambda network, element: (element, f"S{element[4:]}", f"ENB-{element[4:]}", f"GNB-{element[4:]}"),
)
"""A satellite antenna that receives nothing."""
