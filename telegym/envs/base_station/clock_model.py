"""Clocks over time: locking, holdover, and the moment when holdover ends.

A clock whose source is lost keeps time by itself: its phase runs away along a parabola, and the second at which it
leaves the limit of time-division cells is put on the agenda. When the source is back, or another one is chosen, it
takes minutes to lock again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import HOUR_S, follows, handles
from telegym.envs.base_station.objects import ClockSource, ClockState, ClockUnit
from telegym.envs.base_station.physics.holdover import PHASE_LIMIT_US, phase_us, seconds_to_phase

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = [
    "LOCK_S",
    "available",
    "expires_s",
    "lose_training",
    "phase_error_us",
    "satellites",
]

LOCK_S = {ClockSource.GNSS: 600, ClockSource.PTP: 300, ClockSource.SYNCE: 300}
"""How long a source takes to be locked to."""
UNTRAINED = 5.0
"""How much faster a clock drifts that was restarted in holdover."""


def available(network: Network, clock: ClockUnit, source: ClockSource) -> bool:
    """Return whether a source can be locked to at present."""
    if source is ClockSource.GNSS:
        return clock.antenna == "ok" and not clock.jammed
    if source is ClockSource.FREE_RUN:
        return False
    return not clock.ptp_lost and works.transport_up(network, clock.site_id)


def satellites(clock: ClockUnit) -> int:
    """Return how many satellites a clock sees."""
    return clock.satellites if clock.antenna == "ok" and not clock.jammed else 0


def bias_us(network: Network, clock: ClockUnit) -> float:
    """Return the phase error that a locked clock does not notice."""
    own = clock.undetected_phase_us if clock.biased_source in (None, clock.source) else 0.0
    if clock.source is not ClockSource.PTP:
        return own
    return round(own + 0.5 * works.path(network, clock.site_id).asymmetry_us, 6)


def phase_error_us(network: Network, clock: ClockUnit, at_s: int | None = None) -> float:
    """Return the true phase error at a time, in microseconds."""
    if clock.state is ClockState.LOCKED:
        return bias_us(network, clock)
    elapsed = (network.now if at_s is None else at_s) - clock.lost_s
    return round(phase_us(elapsed, clock.drift_per_s, clock.ageing_per_s2, clock.phase_us), 9)


def expires_s(clock: ClockUnit) -> int:
    """Return when a clock in holdover leaves the phase limit, or the time that its vendor promises."""
    start = max(clock.phase_us, 0.0)
    drifting = seconds_to_phase(PHASE_LIMIT_US, clock.drift_per_s, clock.ageing_per_s2, start)
    return clock.lost_s + min(math.ceil(round(drifting, 6)), round(clock.holdover_limit_h * HOUR_S))


def lose_training(network: Network, site_id: str) -> None:
    """Restart the clock of a site: if it is in holdover it forgets what it has learnt, and drifts faster."""
    clock = network.get(ClockUnit, f"CLK-{site_id[1:]}")
    if clock.state is ClockState.LOCKED or clock.untrained:
        return
    here = phase_error_us(network, clock)
    network.update(clock, phase_us=here, lost_s=network.now, drift_per_s=clock.drift_per_s * UNTRAINED, untrained=True)


@follows(30)
def tick(network: Network, sites: list[str]) -> None:
    """Let clocks lock, or begin holdover, as their sources come and go."""
    for site_id in sites:
        clock = network.get(ClockUnit, f"CLK-{site_id[1:]}")
        usable = available(network, clock, clock.source)
        if clock.id in network.altered or not usable or bias_us(network, clock) != clock.phase_us:
            _step(network, clock, usable)


@handles("clock.review")
def _review(network: Network, site_id: str) -> None:
    """A clock locks now, or its holdover ends."""
    network.touch_site(site_id, stale=False)


def _step(network: Network, clock: ClockUnit, usable: bool) -> None:
    if clock.state is ClockState.LOCKED:
        if usable and clock.source is (clock.locked_to or _built(network, clock).source):
            network.update(clock, phase_us=bias_us(network, clock))
            return
        clock = network.update(clock, lost_s=network.now, phase_us=phase_error_us(network, clock))
    clock = _enter(network, clock, usable)
    if not clock.expired and network.now >= expires_s(clock):
        held = clock.state is ClockState.HOLDOVER
        changed = {"state": ClockState.FREE_RUN, "state_s": network.now} if held else {}
        clock = network.update(clock, expired=True, **changed)
        network.report("holdover_expired", clock.id)
    moments = [] if clock.expired else [expires_s(clock)]
    if clock.state is ClockState.ACQUIRING:
        locks_s = clock.state_s + LOCK_S[clock.source]
        if network.now >= locks_s:
            _lock(network, clock)
            return
        moments.append(locks_s)
    _plan(network, clock, moments)


def _enter(network: Network, clock: ClockUnit, usable: bool) -> ClockUnit:
    """Let a clock that is not locked acquire its source, or hold over."""
    state = ClockState.ACQUIRING if usable else ClockState.FREE_RUN if clock.expired else ClockState.HOLDOVER
    acquiring = clock.source if usable else None
    if state is clock.state and acquiring is clock.acquiring:
        return clock
    return network.update(clock, state=state, state_s=network.now, acquiring=acquiring)


def _built(network: Network, clock: ClockUnit) -> ClockUnit:
    built = network.region.records[clock.id]
    return built if isinstance(built, ClockUnit) else clock


def _plan(network: Network, clock: ClockUnit, moments: list[int]) -> None:
    if moments:
        network.schedule(min(moments), "clock.review", clock.site_id)
    else:
        network.cancel("clock.review", clock.site_id)


def _lock(network: Network, clock: ClockUnit) -> None:
    """The clock follows its source again; its phase is what the source says."""
    built = _built(network, clock)
    network.update(
        clock,
        state=ClockState.LOCKED,
        state_s=0,
        lost_s=0,
        expired=False,
        untrained=False,
        acquiring=None,
        drift_per_s=built.drift_per_s,
        locked_to=None if clock.source is built.source else clock.source,
        phase_us=bias_us(network, clock),
    )
    network.cancel("clock.review", clock.site_id)
    network.report("clock_locked", clock.id)
