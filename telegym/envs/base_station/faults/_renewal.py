"""What comes and goes: stretches of minutes, and the weather that goes with them."""

from __future__ import annotations

from dataclasses import replace

from telegym.envs.base_station.engine import MINUTE_S, handles
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import integer, lognormal
from telegym.envs.base_station.process.records import Notice
from telegym.envs.base_station.state import Weather

__all__ = ["OFF_MIN", "ON_MIN", "begin_showers", "change_s", "end_showers", "set_rain", "set_warmth"]

ON_MIN, OFF_MIN = 12.0, 45.0
"""Medians of the minutes that a disturbance lasts, and stays away."""
SPREAD = 0.5
"""Standard deviation of their logarithm."""
_FRONT_H = (24, 36)
_SHOWER_MM_H = (15, 60)


def change_s(network: Network, what: str, element: str, *, on: bool) -> int:
    """Return when a stretch that begins now will end.

    Args:
        network: The network.
        what: What comes and goes.
        element: Where.
        on: Whether the stretch is one of disturbance.
    """
    median = ON_MIN if on else OFF_MIN
    minutes = max(lognormal(median, SPREAD, network.seed, what, element, network.now), 1.0)
    return network.now + round(minutes * MINUTE_S)


# --- showers --------------------------------------------------------------------------------------------


def set_rain(network: Network, site_id: str, rate_mm_h: float) -> None:
    """Let it rain at a site, or stop; how warm it is stays as it is."""
    _set_weather(network, replace(_weather(network, site_id), rain_mm_h=rate_mm_h))


def set_warmth(network: Network, site_id: str, warmer_c: float) -> None:
    """Let it be warmer than usual at a site; rain goes on."""
    _set_weather(network, replace(_weather(network, site_id), warmer_c=warmer_c))


def _weather(network: Network, site_id: str) -> Weather:
    known = network.objects.get(f"WX-{site_id[1:]}")
    return known if isinstance(known, Weather) else Weather(f"WX-{site_id[1:]}", site_id)


def _set_weather(network: Network, weather: Weather) -> None:
    if weather.rain_mm_h or weather.warmer_c:
        network.add(weather)
    else:
        network.remove(weather)


def _front(site_id: str) -> str:
    return f"SHOWERS-{site_id}"


def begin_showers(network: Network, site_id: str) -> None:
    """Let showers pass over a site, the first at once, for a day and a half at most."""
    end = network.now + 3600 * integer(*_FRONT_H, network.seed, "front", site_id)
    text = "Unsettled weather with repeated showers."
    network.add(Notice(_front(site_id), "weather", (site_id,), network.now, end, text, network.now))
    _shower(network, site_id, on=True)


def end_showers(network: Network, site_id: str) -> None:
    """Let the weather be dry for good."""
    network.cancel("weather.shower", site_id)
    set_rain(network, site_id, 0.0)


def _shower(network: Network, site_id: str, *, on: bool) -> None:
    rate = float(integer(*_SHOWER_MM_H, network.seed, "shower", site_id, network.now)) if on else 0.0
    set_rain(network, site_id, rate)
    network.schedule(change_s(network, "shower", site_id, on=on), "weather.shower", site_id)


@handles("weather.shower")
def _turn(network: Network, site_id: str) -> None:
    """A shower begins or ends; after the last one it stays dry."""
    notice, raining = network.objects.get(_front(site_id)), _weather(network, site_id).rain_mm_h > 0
    over = not isinstance(notice, Notice) or network.now >= notice.end_s
    if over:
        set_rain(network, site_id, 0.0)
    else:
        _shower(network, site_id, on=not raining)
