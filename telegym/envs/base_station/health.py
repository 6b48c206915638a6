"""Health of generated regions: networks in which nothing is wrong must look as if nothing were wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from telegym.core.errors import ConfigurationError
from telegym.envs.base_station import alarms, kpi
from telegym.envs.base_station.engine import DAY_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.physics.spectrum import LAYERS
from telegym.envs.base_station.region.archetypes import archetype_names

__all__ = ["BUSY_HOUR", "HEALTHY_GOAL", "HealthReport", "bands", "check_health"]

BUSY_HOUR = 19
"""Hour of Monday in which indicators are looked at."""
HEALTHY_GOAL = 0.95
"""Share of cells that are inside all bands."""
_WIDE_KHZ = 30

Band = tuple[float, float]
"""Lowest and highest healthy value."""


@dataclass(slots=True)
class HealthReport:
    """What was found out about regions without faults."""

    regions: int = 0
    """Regions looked at."""
    cells: int = 0
    """Their cells."""
    healthy: int = 0
    """Cells inside all bands."""
    shares: dict[str, float] = field(default_factory=dict)
    """Share of such cells, by archetype."""
    outside: dict[str, int] = field(default_factory=dict)
    """How many cells are outside a band, by indicator; bands that all keep are left out."""
    root_alarms: list[str] = field(default_factory=list)
    """Alarms that tell of a cause, raised within a day."""

    @property
    def share(self) -> float:
        """Share of cells inside all bands."""
        return self.healthy / self.cells if self.cells else 0.0

    @property
    def missed(self) -> list[str]:
        """The goals that were missed, a line for each."""
        found = []
        if self.share < HEALTHY_GOAL:
            found.append(f"{self.share:.1%} of cells are inside all bands, the goal is {HEALTHY_GOAL:.0%}")
        if self.root_alarms:
            found.append(f"{len(self.root_alarms)} alarms tell of a cause where nothing is wrong")
        return found

    @property
    def passed(self) -> bool:
        """Whether every goal was met."""
        return not self.missed

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {"passed": self.passed, "missed": self.missed, "share": self.share, **asdict(self)}


def bands(tag: str) -> dict[str, Band]:
    """Return the healthy bands of the indicators of a carrier, for example `N35`."""
    layer = LAYERS[tag]
    width = "wide" if layer.rat == "NR" and layer.subcarrier_khz >= _WIDE_KHZ else "narrow"
    found = {}
    for name, band in _bands().items():
        low, high = band if isinstance(band, list) else band.get(layer.rat) or band[width]
        found[name] = (float(low), float(high))
    return found


@cache
def _bands() -> dict[str, Any]:
    text = resources.files("telegym.envs.base_station").joinpath("healthy_bands.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def check_health(count: int = 50, seed: int = 0, on_progress: Callable[[int, int], None] | None = None) -> HealthReport:
    """Look at regions in which nothing is wrong.

    Args:
        count: How many, of all archetypes in turn.
        seed: Which ones: the first regions from this one on.
        on_progress: Called after every region with the number of regions done and of all regions.

    Raises:
        ConfigurationError: If there is nothing to look at.
    """
    if count < 1:
        raise ConfigurationError(f"{count} regions are none; at least 1 is needed")
    report, names = HealthReport(), archetype_names()
    fine: dict[str, list[bool]] = {}
    for place in range(count):
        name = names[place % len(names)]
        network = Network(name, seed + place // len(names), seed)
        network.advance(DAY_S)
        fine.setdefault(name, []).extend(_cells(network, report))
        report.root_alarms += _root_alarms(network)
        report.regions += 1
        if on_progress is not None:
            on_progress(report.regions, count)
    report.cells, report.healthy = sum(map(len, fine.values())), sum(map(sum, fine.values()))
    report.shares = {name: sum(cells) / len(cells) for name, cells in fine.items()}
    return report


def _cells(network: Network, report: HealthReport) -> list[bool]:
    """Return whether each cell is inside all bands; count those outside of each."""
    table = kpi.table(network.region, network.epochs[-1].view, BUSY_HOUR)
    found: list[bool] = []
    for tag in network.region.kind.layers:
        values = table[tag]
        inside: NDArray[np.bool_] = np.ones(len(network.region.cells_of[tag]), dtype=bool)
        for name, (low, high) in bands(tag).items():
            kept = np.isnan(values[name]) | ((values[name] >= low) & (values[name] <= high))
            if not kept.all():
                report.outside[name] = report.outside.get(name, 0) + int(np.count_nonzero(~kept))
            inside &= kept
        found += inside.tolist()
    return found


def _root_alarms(network: Network) -> list[str]:
    region = f"{network.region.archetype}-{network.region.seed}"
    found = [alarm for alarm in network.alarms.values() if alarms.dictionary()[alarm.key].root]
    return [f"{region}: {alarm.key} {alarm.object_id}" for alarm in found]
