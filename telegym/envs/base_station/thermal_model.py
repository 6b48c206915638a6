"""Temperature of cabinets over time.

As long as its cooling works, a cabinet is as warm as it should be, and nothing needs to be computed. Without cooling it
approaches a steady state that the load and the weather decide; the moments when baseband units reduce their load or
switch themselves off are put on the agenda. The steady state is worked out anew at every full hour.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from telegym.envs.base_station import power_model
from telegym.envs.base_station.engine import HOUR_S, follows, handles, hour_of_day
from telegym.envs.base_station.objects import Board, BoardKind, Cabinet
from telegym.envs.base_station.physics.thermal import (
    HIGH_C,
    SHUTDOWN_C,
    THROTTLE_C,
    ambient_c,
    crossing_s,
    relax,
)
from telegym.envs.base_station.state import Weather

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["board_temperature_c", "cabinet_temperature_c", "outside_c"]

COOLED_C = 24.0
"""Temperature that an air conditioner keeps."""
FANNED_C = 6.0
"""How much warmer than outside a cabinet with working fans is."""
HEAT_C_PER_KW = 8.0
"""How much warmer than outside a cabinet without cooling becomes, for each kilowatt of load."""
HYSTERESIS_C = {"hot": 2.0, "throttled": 2.0, "overheated": 5.0}
"""How far it has to cool down again."""
LEVELS_C = {"hot": HIGH_C, "throttled": THROTTLE_C, "overheated": SHUTDOWN_C}
"""What happens at which temperature."""
NEAR_C = 0.5
"""From how near a cooled cabinet counts as cooled down."""
BOARD_RISE_C = 20.0
"""How much warmer than the cabinet a board is."""
FAN_RISE_C = 12.0
"""What a dead fan tray adds."""
MEAN_C, SWING_C = 17.0, 7.0
"""Outside temperature: mean of the day, and half its range."""


def outside_c(network: Network, site_id: str, at_s: int | None = None) -> float:
    """Return the outside temperature at a site."""
    weather = network.objects.get(f"WX-{site_id[1:]}")
    warmer = weather.warmer_c if isinstance(weather, Weather) else 0.0
    return round(ambient_c(hour_of_day(network.now if at_s is None else at_s), MEAN_C, SWING_C) + warmer, 3)


def _normal_c(network: Network, cabinet: Cabinet) -> float:
    """Return the temperature of a cabinet whose cooling works."""
    if cabinet.has_air_conditioner:
        return COOLED_C
    return round(outside_c(network, cabinet.site_id) + FANNED_C, 3)


def cabinet_temperature_c(network: Network, site_id: str) -> float:
    """Return the temperature inside a cabinet."""
    cabinet = network.get(Cabinet, f"CAB-{site_id[1:]}")
    if not _moving(cabinet):
        return _normal_c(network, cabinet)
    return round(relax(cabinet.temperature_c, cabinet.target_c, network.now - cabinet.temperature_s), 6)


def board_temperature_c(network: Network, board: Board) -> float:
    """Return the temperature of a board."""
    fans = [network.get(Board, name) for name in network.index.boards_of[board.node_id]]
    dead = any(fan.kind is BoardKind.FAN and fan.fan_failed for fan in fans)
    cabinet = cabinet_temperature_c(network, network.index.site_of[board.id])
    return round(cabinet + BOARD_RISE_C + (FAN_RISE_C if dead else 0.0), 1)


def _moving(cabinet: Cabinet) -> bool:
    """Return whether the temperature is not simply what cooling makes of it."""
    return cabinet.temperature_s != 0


@follows(20)
def heat(network: Network, sites: list[str]) -> None:
    """Follow the temperature of cabinets whose cooling is dead, or was."""
    for site_id in sites:
        cabinet = network.get(Cabinet, f"CAB-{site_id[1:]}")
        if cabinet.cooling_failed or _moving(cabinet):
            _follow(network, cabinet)


@handles("thermal.review")
def _review(network: Network, site_id: str) -> None:
    """A crossing was predicted for now, or a new hour has begun."""
    network.touch_site(site_id, stale=False)


def _follow(network: Network, cabinet: Cabinet) -> None:
    here = cabinet_temperature_c(network, cabinet.site_id)
    target = _normal_c(network, cabinet)
    if cabinet.cooling_failed:
        load_kw = power_model.load_w(network, cabinet.site_id) / 1e3
        target = max(target, round(outside_c(network, cabinet.site_id) + HEAT_C_PER_KW * load_kw, 3))
    flags = {name: _beyond(here, name, getattr(cabinet, name)) for name in LEVELS_C}
    woken = cabinet.overheated and not flags["overheated"]
    if not cabinet.cooling_failed and abs(here - target) <= NEAR_C + 1e-9 and not any(flags.values()):
        network.cancel("thermal.review", cabinet.site_id)
        network.update(cabinet, temperature_c=COOLED_C, temperature_s=0, target_c=COOLED_C, **flags)
    else:
        if target != cabinet.target_c or not _moving(cabinet):
            cabinet = network.update(cabinet, temperature_c=here, temperature_s=max(network.now, 1), target_c=target)
        cabinet = network.update(cabinet, **flags)
        network.schedule(_next_s(network, cabinet), "thermal.review", cabinet.site_id)
    if woken:
        power_model.boot(network, cabinet.site_id)


def _beyond(temperature: float, name: str, already: bool) -> bool:
    level = LEVELS_C[name] - (HYSTERESIS_C[name] if already else 0.0)
    return temperature > level + 1e-9 if already else temperature >= level - 1e-9


def _next_s(network: Network, cabinet: Cabinet) -> int:
    """Return when the next level is crossed, or the next hour begins."""
    start, target = cabinet.temperature_c, cabinet.target_c
    levels = [LEVELS_C[name] - (HYSTERESIS_C[name] if getattr(cabinet, name) else 0.0) for name in LEVELS_C]
    if not cabinet.cooling_failed:
        levels.append(target + NEAR_C if start > target else target - NEAR_C)
    moments = [(network.now // HOUR_S + 1) * HOUR_S]
    for level in levels:
        elapsed = crossing_s(start, target, level)
        if elapsed is not None:
            moments.append(cabinet.temperature_s + math.ceil(round(elapsed, 6)))
    return min(moment for moment in moments if moment > network.now)
