"""Where sites stand and where antennas point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

from telegym.envs.base_station.noise import choice, integer, mix, shuffled, uniform
from telegym.envs.base_station.objects import AccessRule, Site
from telegym.envs.base_station.region.archetypes import Archetype

__all__ = ["Layout", "lay_out"]

_ORIGIN = (48.0, 11.0)
_METRES_PER_DEGREE = 111_320.0
_PLACES = (
    *("Ashford", "Birchwood", "Cedar Hill", "Dunmore", "Eastgate", "Fairview", "Glenside", "Harbour Road", "Hillview"),
    *("Ironbridge", "Juniper Park", "Kingsway", "Lakeside", "Millbrook", "North Quay", "Oakfield", "Parkside"),
    *("Quarry Lane", "Riverside", "Southmoor", "Stadium", "Thornbury", "University", "Vale Road", "Westfield"),
    *("Yarrow", "Abbey Square", "Brickworks", "Canal Street", "Dockyard"),
)
_COMPANIES = ("Meridian Towers", "Northmast", "Skyline Sites")
_AREAS: tuple[Literal["residential", "business", "road", "leisure"], ...] = (
    *("residential", "residential", "residential", "business", "business", "road", "leisure"),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Sites of a region."""

    spacing_m: float
    """Mean distance of neighbouring sites."""
    sites: tuple[Site, ...]
    """Sites, numbered from the middle outwards."""
    heights_m: tuple[float, ...]
    """Antenna height at each site."""
    bearings_deg: tuple[tuple[float, float, float], ...]
    """Directions of the three sectors at each site."""


def lay_out(kind: Archetype, seed: int) -> Layout:
    """Draw sites: a hexagonal grid whose points are moved by up to 8 per cent of their distance."""
    count = integer(*kind.sites, seed, "sites")
    spacing = _between(kind.spacing_m, seed, "spacing")
    names = shuffled(_PLACES, seed, "names")
    grid = _hexagons()
    sites = tuple(_site(kind, seed, index, spacing, grid[index], names[index]) for index in range(count))
    heights = tuple(round(_between(kind.height_m, seed, "height", index), 1) for index in range(count))
    bearings = tuple(_bearings(seed, index) for index in range(count))
    return Layout(spacing, sites, heights, bearings)


def _between(limits: tuple[float, float], seed: int, *keys: str | int) -> float:
    low, high = limits
    return low + (high - low) * uniform(seed, *keys)


def _bearings(seed: int, index: int) -> tuple[float, float, float]:
    first, second, third = (
        round((120.0 * sector + _between((-8, 8), seed, "bearing", index, sector)) % 360.0) for sector in range(3)
    )
    return float(first % 360), float(second % 360), float(third % 360)


@cache
def _hexagons() -> list[tuple[float, float]]:
    """Return the points of a hexagonal grid of spacing 1, from the middle outwards."""
    reach = 6
    points = [(i + 0.5 * j, j * math.sqrt(0.75)) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
    return sorted(points, key=lambda point: (round(math.hypot(*point), 6), round(math.atan2(point[1], point[0]), 6)))


def _site(kind: Archetype, seed: int, index: int, spacing: float, point: tuple[float, float], place: str) -> Site:
    number = index + 1
    bits = mix(seed, "site", number)
    x = round(spacing * (point[0] + 0.08 * (2 * uniform(seed, "x", number) - 1)), 1)
    y = round(spacing * (point[1] + 0.08 * (2 * uniform(seed, "y", number) - 1)), 1)
    urban = kind.environment == "urban"
    zones = 2 + (kind.sites[1] > 10) + 2 * (kind.sites[1] > 20)
    share = (bits >> 8) % 100
    return Site(
        id=f"S{number:03}",
        name=place,
        x_m=x,
        y_m=y,
        lat=round(_ORIGIN[0] + y / _METRES_PER_DEGREE, 5),
        lon=round(_ORIGIN[1] + x / (_METRES_PER_DEGREE * math.cos(math.radians(_ORIGIN[0]))), 5),
        site_type=("rooftop" if urban and share < 70 else "macro_tower") if number > 1 else "hub",
        utility_zone=f"UZ-{1 + int((math.atan2(y, x) + math.pi) / (2 * math.pi) * zones * 0.999999)}",
        access=(AccessRule.ALWAYS, AccessRule.OFFICE_HOURS, AccessRule.KEY_HOLDER, AccessRule.PERMIT)[
            0 if share < 70 else 1 if share < 85 else 2 if share < 96 else 3
        ],
        travel_km=round(3.0 + math.hypot(x, y) / 1e3 + (10 if urban else 35) * uniform(seed, "travel", number), 1),
        vip=(bits >> 16) % 100 < 12,
        emergency=kind.environment == "rural" and (bits >> 24) % 100 < 30,
        tower_company=choice(_COMPANIES, seed, "company", number),
        design_autonomy_h=round(_between(kind.battery_h, seed, "autonomy", number) * 2) / 2,
        area_type=choice(_AREAS, seed, "area", number),
        probe=urban,
    )
