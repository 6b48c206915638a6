"""Alarms on indicators: congestion, interference, missing traffic, full links.

What a node counts is compared with thresholds at the end of a reporting period, from the expected values of its hour,
without noise. A healthy network crosses none of them, by design of its planning, and is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import epochs, radio
from telegym.envs.base_station.conditions import Finding, chance
from telegym.envs.base_station.engine import HOUR_S, OBSERVERS, follows, handles, hour_of_week
from telegym.envs.base_station.objects import TransportLink

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["PERIOD_S", "measure"]

PERIOD_S = 900
"""A reporting period."""
CONGESTED = 0.95
"""Share of resource blocks in use at which a cell is congested."""
INTERFERENCE_DBM = -108.0
"""Uplink noise and interference of a resource block that is reported."""
FULL_LINK = 0.85
"""Utilisation of a link that is reported."""
LOSSY = 0.005
"""Share of packets lost that is reported."""
_UNIFORM_DAYS = 96
"""Hours of the days, from Monday on, that have the same demand."""


@follows(OBSERVERS + 60)
def plan(network: Network, sites: list[str]) -> None:
    """Have indicators looked at at the end of the period, if they may cross thresholds."""
    last = network.epochs[-1]
    if last.view is epochs.healthy_view(network) and not network.measured:
        network.cancel("thresholds.review")
        return
    due = network.agenda.due_s("thresholds.review", ())
    if due is None or last.start_s == network.now:
        network.schedule((network.now // PERIOD_S + 1) * PERIOD_S, "thresholds.review")


@handles("thresholds.review")
def _review(network: Network) -> None:
    found = tuple(measure(network))
    for finding in {*found} ^ {*network.measured}:
        site_id = network.index.site_of.get(finding.object_id) or next(iter(network.index.at_site))
        network.touch_site(site_id, stale=False)
    network.measured = found
    if network.epochs[-1].view is not epochs.healthy_view(network):
        network.schedule((network.now // HOUR_S + 1) * HOUR_S + PERIOD_S, "thresholds.review")


def measure(network: Network) -> Iterator[Finding]:
    """Yield the thresholds that were crossed in the last reporting period."""
    view = network.epochs[-1].view
    if view is epochs.healthy_view(network):
        return
    week_hour = hour_of_week(network.now - 1)
    hour = radio.hour(network.region, view, week_hour % 24 if week_hour < _UNIFORM_DAYS else week_hour)
    for tag, layer in hour.layers.items():
        loads, levels = layer.solved.load.round(9).tolist(), layer.uplink_dbm.tolist()
        for name, load, level in zip(network.region.cells_of[tag], loads, levels, strict=True):
            if load >= CONGESTED or level > INTERFERENCE_DBM or not view.cells[name].access_ok:
                yield from _cell(network, name, load, level)
    for name, link in hour.links.items():
        if round(link.utilisation, 9) >= FULL_LINK and works.link_up(network, name):
            yield from _link(network, name, link.utilisation, link.loss)


def _cell(network: Network, name: str, load: float, level: float) -> Iterator[Finding]:
    view = network.epochs[-1].view.cells[name]
    by = view.cell.node_id
    if not view.on_air or works.asleep(view.cell):
        return
    if load >= CONGESTED and radio.serves(view) and not view.cell.ocns_enabled:
        yield Finding("CELL_CONGESTED", name, by)
    if level > INTERFERENCE_DBM:
        yield Finding("CELL_UL_INTERFERENCE", name, by)
    if not view.access_ok and chance(network, 0.5, "no traffic", name):
        yield Finding("CELL_TRAFFIC_ABNORMAL", name, by)


def _link(network: Network, name: str, utilisation: float, loss: float) -> Iterator[Finding]:
    by = f"link:{network.get(TransportLink, name).id}"
    yield Finding("TRN_UTIL_HIGH", name, by)
    if round(loss, 9) > LOSSY:
        yield Finding("TRN_PKT_LOSS_HIGH", name, by)
