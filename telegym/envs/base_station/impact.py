"""What customers lose, in user-minutes, and who caused it.

At every test point users lose everything where no cell of any layer serves them, and otherwise as much of the
throughput they need as is missing compared with the healthy network in the same hour. Users whose layer is down but
whom another layer serves lose only the difference. Loss is a pure function of epochs, so what an agent has caused is
the loss in its network minus the loss in a fork of the beginning that it never touched.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from telegym.envs.base_station import epochs, radio
from telegym.envs.base_station.engine import HOUR_S, MINUTE_S, hour_of_week
from telegym.envs.base_station.kpi import table
from telegym.envs.base_station.physics.spectrum import LAYERS
from telegym.envs.base_station.region import Region
from telegym.envs.base_station.view import View

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["Loss", "caused", "loss", "lost_user_minutes", "lost_users", "penalty_eur", "users_of"]

Array = NDArray[np.float64]

WEAKEST_DBM = -118.0
"""Weakest reference level that serves a user."""
DATA, VOICE = 0.96, 0.04
"""Share of sessions."""
WORST_SLOWDOWN = 0.8
"""What a user loses at most while being served."""
ENOUGH_MBPS = 10.0
"""Throughput beyond which a user misses nothing."""
VOICE_WEIGHT = 5.0
"""How much a share of calls dropped weighs."""
USER_MINUTE_EUR = 0.02
"""Penalty for a user-minute."""
ENTERPRISE_MINUTE_EUR = 0.2
"""Penalty for a user-minute at the site of an important customer."""
_KEPT_VIEWS = 64
_UNIFORM_DAYS = 96


class Loss(NamedTuple):
    """What customers lost in some time."""

    user_minutes: float
    """In all."""
    by_site: dict[str, float]
    """By the site in whose area they are; sites without loss are left out."""


class _Service(NamedTuple):
    """How a layer serves each test point."""

    served: NDArray[np.bool_]
    """Whether a cell serves it."""
    throughput_mbps: Array
    """Throughput of a user there."""
    users: Array
    """Users of the layer there."""
    voice: Array
    """Share of calls that are dropped there."""


_LOST: OrderedDict[int, tuple[View, dict[int, Array]]] = OrderedDict()


def _service(region: Region, view: View, tag: str, hour: int) -> _Service:
    layer = radio.hour(region, view, hour).layers[tag]
    sites = radio.hour(region, view, hour).sites
    solved, cells = layer.solved, [view.cells[name] for name in region.cells_of[tag]]
    open_ = np.array([_open(view, cell.cell.id) for cell in cells])
    share = np.array([sites[cell.cell.site_id].share for cell in cells])
    free = (1 - 0.75 * solved.load) / np.maximum(solved.need, 1.0) * share
    serving = solved.serving
    demand = radio.demand_mbps(region, view, tag, hour)
    dropped = np.nan_to_num(table(region, view, hour)[tag]["voice_drop_pct"]) / 100.0
    return _Service(
        served=open_[serving] & (solved.level_dbm >= WEAKEST_DBM),
        throughput_mbps=solved.rate_mbps * free[serving],
        users=demand / radio.USER_RATE_MBPS[LAYERS[tag].rat],
        voice=dropped[serving],
    )


def _open(view: View, cell_id: str) -> bool:
    cell = view.cells[cell_id]
    node = view.nodes[cell.cell.node_id]
    return radio.serves(cell) and node.user_plane and node.up


def lost_users(region: Region, view: View, healthy: View, hour: int) -> Array:
    """Return how many users are without service in an hour of the week, by site; a slow user counts in part."""
    kept = _LOST.get(id(view))
    if kept is None:
        kept = _LOST[id(view)] = (view, {})
        while len(_LOST) > _KEPT_VIEWS:
            _LOST.popitem(last=False)
    else:
        _LOST.move_to_end(id(view))
    hour = hour % 24 if hour < _UNIFORM_DAYS else hour
    if hour not in kept[1]:
        kept[1][hour] = _lost_users(region, view, healthy, hour)
    return kept[1][hour]


def _lost_users(region: Region, view: View, healthy: View, hour: int) -> Array:
    sites = len(region.layout.sites)
    if view is healthy:
        return np.zeros(sites)
    tags = tuple(region.layers)
    now = {tag: _service(region, view, tag, hour) for tag in tags}
    lost = np.zeros(len(region.points.home))
    for tag in tags:
        then = _service(region, healthy, tag, hour)
        lost += now[tag].users * np.where(then.served, _severity(now, then, tag), 0.0)
    by_site = np.bincount(region.points.home // 3, weights=lost, minlength=sites)
    result: Array = np.round(by_site, 9)
    return result


def _severity(now: dict[str, _Service], then: _Service, tag: str) -> Array:
    """Return what a user of a layer loses at each point, 0-1, being served by the best layer there is."""
    wanted = np.clip(then.throughput_mbps, 1e-9, ENOUGH_MBPS)
    ways = [np.where(way.served, 1 - way.throughput_mbps / wanted, 1.0) for way in now.values()]
    ways = [np.where(way >= 1.0, 1.0, np.clip(way, 0.0, WORST_SLOWDOWN)) for way in ways]
    own = now[tag]
    # Users stay with their own layer while it serves them.
    slow = np.where(own.served, ways[list(now).index(tag)], np.min(ways, axis=0))
    calls = np.where(own.served, np.clip(VOICE_WEIGHT * (own.voice - then.voice), 0.0, 1.0), slow)
    result: Array = DATA * np.where(slow < 0.02, 0.0, slow) + VOICE * calls
    return result


def loss(network: Network, from_s: int | None = None, to_s: int | None = None) -> Loss:
    """Return what customers lost between two times; by default from the start until now."""
    network.settle()
    begin = network.start_s if from_s is None else from_s
    end = network.now if to_s is None else to_s
    healthy = epochs.healthy_view(network)
    total = np.zeros(len(network.region.layout.sites))
    for place, epoch in enumerate(network.epochs):
        stop = network.epochs[place + 1].start_s if place + 1 < len(network.epochs) else end
        total += _stretch(network.region, epoch.view, healthy, max(epoch.start_s, begin), min(stop, end))
    names = [site.id for site in network.region.layout.sites]
    by_site = {name: round(value, 6) for name, value in zip(names, total.tolist(), strict=True) if value > 0}
    return Loss(round(float(total.sum()), 6), by_site)


def _stretch(region: Region, view: View, healthy: View, begin: int, end: int) -> Array:
    """Return user-minutes lost by site while one view held."""
    total = np.zeros(len(region.layout.sites))
    if view is healthy:
        return total
    while begin < end:
        stop = min((begin // HOUR_S + 1) * HOUR_S, end)
        total += lost_users(region, view, healthy, hour_of_week(begin)) * ((stop - begin) / MINUTE_S)
        begin = stop
    return total


def lost_user_minutes(network: Network, from_s: int | None = None, to_s: int | None = None) -> float:
    """Return the user-minutes lost between two times; by default from the start until now."""
    return loss(network, from_s, to_s).user_minutes


def caused(network: Network, beginning: Network) -> Loss:
    """Return what was lost in a network beyond what would have been lost had nobody acted.

    Args:
        network: The network as it is now.
        beginning: A fork of it from before the first action; it stays as it is.
    """
    alone = beginning.fork()
    alone.advance(network.now - alone.now)
    run, idle = loss(network, beginning.now), loss(alone, beginning.now)
    names = sorted(run.by_site.keys() | idle.by_site.keys())
    more = {name: round(run.by_site.get(name, 0.0) - idle.by_site.get(name, 0.0), 6) for name in names}
    return Loss(round(run.user_minutes - idle.user_minutes, 6), {name: value for name, value in more.items() if value})


def penalty_eur(network: Network, lost: Loss) -> float:
    """Return the penalty for a loss: more at the sites of important customers."""
    sites = {site.id: site for site in network.region.layout.sites}
    rates = {True: ENTERPRISE_MINUTE_EUR, False: USER_MINUTE_EUR}
    return round(sum(value * rates[sites[name].vip] for name, value in lost.by_site.items()), 2)


def users_of(network: Network, cell_ids: tuple[str, ...] | list[str]) -> float:
    """Return how many users are in some cells at present, as expected for this hour."""
    network.settle()
    view, found = network.epochs[-1].view, 0.0
    for tag in {name.split("-")[1] for name in cell_ids}:
        users = np.nan_to_num(table(network.region, view, network.hour_of_week)[tag]["rrc_users_mean"])
        found += sum(float(users[place]) for place, name in enumerate(network.region.cells_of[tag]) if name in cell_ids)
    return round(found, 6)
