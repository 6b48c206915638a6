"""What key performance indicators depend on, as an immutable value.

A view is made from the records of one moment. Whoever computes indicators needs nothing else but the region, the time
and hashed noise, so what was computed for a view holds for ever and may be shared by all copies of a network. Parts
that did not change are the very same objects in two views: results may be kept by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from telegym.envs.base_station.objects import Cell, Emitter, Relation

__all__ = ["CellView", "Epoch", "LinkView", "NodeView", "View"]


class CellView(NamedTuple):
    """A cell as users and counters see it."""

    cell: Cell
    """Its record: configuration and demand."""
    on_air: bool
    """Unlocked and enabled: counters run and, unless muted, it radiates. Sleeping to save energy is not in it."""
    muted: bool
    """On the air as reported, but nothing is radiated."""
    access_ok: bool
    """Whether random access is answered."""
    power_offset_db: float
    """What mismatch, back-off and heat take from the configured power; 0 or less."""
    branches: float
    """Transmit branches that work, as a share of all."""
    capability: float
    """Capacity left by branches, heat and licences, 0-1."""
    qam256: bool
    """Whether the densest constellation is licensed."""
    pim_dbm: float | None
    """Passive intermodulation at full downlink load, dBm per resource block; None if there is none."""
    pim_branch: int
    """Branch that suffers from it."""
    bit_errors: float
    """Share of fronthaul frames lost, 0-1."""
    phase_us: float
    """Phase error of its clock."""
    frequency_ppm: float
    """Frequency error of its clock."""
    tilt_deg: float
    """True electrical tilt."""
    azimuth_deg: float
    """True direction."""
    rank: float = 1.0
    """Layers that licences leave for one user, as a share of all."""


class NodeView(NamedTuple):
    """A node as its cells depend on it."""

    up: bool
    """Whether it works."""
    control: float
    """Share of core associations that are up, 0-1."""
    user_plane: bool
    """Whether user traffic gets through."""
    peers_down: tuple[str, ...]
    """Nodes whose X2 or Xn link is down."""
    links: tuple[str, ...]
    """Links on its way to the core."""
    mtu_ok: bool
    """Whether full-sized packets get through."""
    dscp_ok: bool
    """Whether voice keeps its priority on the way."""
    shaper_mbps: float
    """Rate limit on the way; 0 for none."""
    cpu_extra_pct: float
    """Processor load beyond what traffic causes."""
    users_limit: int
    """Connected users that licences permit; 0 for no limit."""
    software: str
    """Version in use."""


class LinkView(NamedTuple):
    """A transport link as traffic on it sees it."""

    up: bool
    """Whether it works."""
    capacity_mbps: float
    """Capacity at present."""
    delay_ms: float
    """Delay without load."""
    growth: float
    """Factor on the traffic it carries."""
    microwave: bool
    """Whether it is a microwave hop."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Everything that indicators depend on, for as long as nothing of it changes."""

    cells: Mapping[str, CellView]
    """By cell."""
    nodes: Mapping[str, NodeView]
    """By node."""
    links: Mapping[str, LinkView]
    """By link."""
    relations: Mapping[str, Relation]
    """Neighbour relations, by `SOURCE>TARGET`."""
    emitters: Mapping[str, Emitter]
    """Interference from outside."""


class Epoch(NamedTuple):
    """A view and when it began; it lasts until the next one."""

    start_s: int
    """First second."""
    view: View
    """The view."""
