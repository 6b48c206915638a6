"""Base values of indicators: what physics and process make of a network, without scatter.

Everything is computed for the cells of a layer in several hours at once. What does not depend on the hour is worked out
once for a view; where views follow one another, only for the cells that have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from operator import is_
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from telegym.envs.base_station import radio
from telegym.envs.base_station.memory import KEPT_REGIONS, Latest
from telegym.envs.base_station.objects import Cell, Relation
from telegym.envs.base_station.physics.spectrum import LAYERS, roots_conflict
from telegym.envs.base_station.physics.uplink import preamble_success, uplink_efficiency, uplink_sinr_db
from telegym.envs.base_station.physics.voice import mean_opinion_scores
from telegym.envs.base_station.radio import asleep, serves
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.view import CellView, View

__all__ = ["GROUPS", "STORM_PCT", "LayerView", "base_values", "foreign_share"]

Array = NDArray[np.float64]

ONE_BRANCH = 0.45
"""Share of the interference of a single branch, in dB, that is left after branches are combined."""
STORM_PCT = 30.0
"""Processor load when every tracking-area update fails and is tried again."""
UNPAGED = 0.15
"""Share of calls to users that are not found because the tracking area is wrong all around."""
_SESSION_S = 40.0
_LATEST_KEPT = 256


class _Traits(NamedTuple):
    """What indicators depend on of a cell; as columns, of all cells of a layer."""

    serves: Any
    """Whether users can get in."""
    on_air: Any
    """Whether counters run."""
    quiet: Any
    """Whether it sleeps or is muted: there is no load then."""
    radiating: Any
    """Whether its amplifiers work."""
    muted: Any
    """Whether nothing is radiated in spite of that."""
    shut: Any
    """Whether it radiates but lets nobody in."""
    limit: Any
    """Most connected users."""
    late: Any
    """How much later than usual handovers are triggered."""
    early: Any
    """How much earlier."""
    branches: Any
    """Share of branches that work."""
    rank: Any
    """Factor on the rank of users."""
    offset_ppm: Any
    """Frequency error beyond what users notice."""
    errors: Any
    """Share of fronthaul frames lost."""
    foreign: Any
    """Whether its tracking area is not as built."""
    pci: Any
    """Physical cell id."""
    moved: Any
    """Whether its root sequences are not as built."""


def _traits(region: Region, seen: CellView) -> _Traits:
    cell = seen.cell
    built = region.records[cell.id]
    assert isinstance(built, Cell)
    return _Traits(
        serves=serves(seen),
        on_air=seen.on_air,
        quiet=asleep(seen) or seen.muted,
        radiating=seen.on_air and not asleep(seen),
        muted=seen.muted,
        shut=seen.on_air and not seen.muted and not seen.access_ok,
        limit=cell.max_connected_users,
        late=max(cell.a3_offset_db - 3, 0) / 5 + max(cell.ttt_ms - 320, 0) / 960,
        early=max(3 - cell.a3_offset_db, 0) / 3 + max(320 - cell.ttt_ms, 0) / 280,
        branches=max(seen.branches, 0.0),
        rank=seen.rank,
        offset_ppm=max(seen.frequency_ppm - 0.05, 0),
        errors=seen.bit_errors,
        foreign=cell.tac != built.tac,
        pci=cell.pci,
        moved=cell.root_sequence_index != built.root_sequence_index,
    )


class LayerView:
    """A layer in a view: what indicators depend on that does not depend on the hour.

    Args:
        region: The region.
        view: The view.
        tag: The band.
    """

    __slots__ = (
        *(
            "__weakref__",
            "_pairs",
            "cells",
            "clashes",
            "control",
            "endc",
            "extra",
            "foreign",
            "links",
            "missing",
            "nodes",
        ),
        *("outside", "plane", "refused", "region", "sites", "table", "tag", "traits", "view"),
    )

    def __init__(self, region: Region, view: View, tag: str) -> None:
        self.region, self.view, self.tag = region, view, tag
        self.cells = [view.cells[name] for name in region.cells_of[tag]]
        other = _LATEST.get((region.archetype, region.seed, tag))
        self.table = self._table(other)
        self.traits = _Traits(*self.table)
        self.nodes = [view.nodes[cell.cell.node_id] for cell in self.cells]
        self.control, self.plane, self.extra, self.links = self._reached(other)
        self.sites = _sites(region.archetype, region.seed)[tag]
        self.clashes = self._clashes(other)
        self.foreign, self.refused, self.missing = self._foreign(), self._refused(), self._missing_share()
        self.endc, self._pairs = self._nr_added(other), self._root_conflicts()
        self.outside = self._outside()
        _LATEST.put((region.archetype, region.seed, tag), self)

    def _reached(self, other: LayerView | None) -> tuple[Array, Array, Array, NDArray[np.intp]]:
        """Return what nodes reach: control plane, user plane, processor load beyond traffic, links on their way."""
        nodes = self.nodes
        if other is not None and all(map(is_, nodes, other.nodes)):
            return other.control, other.plane, other.extra, other.links
        return (
            np.array([node.control for node in nodes]),
            np.array([node.user_plane and node.up for node in nodes], float),
            np.array([node.cpu_extra_pct for node in nodes]),
            radio.busiest(self.view, [node.links for node in nodes]),
        )

    def _outside(self) -> list[tuple[Array, float]]:
        """Return what emitters outside the network give each cell, and which share of the band they take."""
        if not self.view.emitters:
            return []
        blocks = LAYERS[self.tag].prbs
        return [
            (10 ** (received / 10), min((emitter.last_prb - emitter.first_prb + 1) / blocks, 1.0))
            for emitter, received in radio.external(self.region, self.view, self.tag)
        ]

    def _table(self, other: LayerView | None) -> Array:
        """Return the traits of all cells as rows; those that are the same objects in another view are taken over."""
        table = np.empty((len(_Traits._fields), len(self.cells))) if other is None else other.table.copy()
        rows = [row for row, cell in enumerate(self.cells) if other is None or cell is not other.cells[row]]
        if rows:
            table[:, rows] = np.array([_traits(self.region, self.cells[row]) for row in rows], float).T
        return table

    def _share(self, mass: Array) -> Array:
        return _share_of_border(self.region, self.tag, mass)

    def _foreign(self) -> Array:
        """Return the share of a cell's border whose tracking area is not as built."""
        return _foreign_share(self.region, self.tag, self.traits.foreign)

    def _refused(self) -> Array:
        """Return the share of a cell's border towards cells that radiate but let nobody in."""
        shut = self.traits.shut
        if not shut.any():
            return np.zeros(len(self.cells))
        return np.where(shut > 0, 0.0, self._share(self.region.overlap[self.tag] @ shut))

    def _missing_share(self) -> Array:
        """Return the share of a cell's border towards cells it has no relation with, beyond what was planned."""
        if self.view.relations is self.region.relations:
            return np.zeros(len(self.cells))
        lost = self._listed(self.region.relations) - self._listed(self.view.relations)
        mass = (self.region.overlap[self.tag] * np.maximum(lost, 0)).sum(axis=1)
        return np.minimum(self._share(mass), 1.0)

    def _listed(self, relations: Any) -> Array:
        listed = np.zeros((len(self.cells), len(self.cells)))
        place = {name: index for index, name in enumerate(self.region.cells_of[self.tag])}
        relation: Relation
        for relation in relations.values():
            if relation.is_ho_allowed and relation.source_id in place and relation.target_id in place:
                listed[place[relation.source_id], place[relation.target_id]] = 1.0
        return listed

    def _clashes(self, other: LayerView | None) -> tuple[Array, Array]:
        """Return the share of a cell's border with a cell of the same id, and with two cells of one id."""
        pcis = self.traits.pci
        if other is not None and np.array_equal(pcis, other.traits.pci):
            return other.clashes
        same = (pcis[:, None] == pcis[None, :]) & ~np.eye(len(pcis), dtype=bool)
        if not same.any():
            return np.zeros(len(pcis)), np.zeros(len(pcis))
        overlap = self.region.overlap[self.tag]
        mass = overlap / np.maximum(overlap.sum(axis=1, keepdims=True), 1e-12)
        both = same & ((mass + mass.T) > 0)
        collision = (np.maximum(mass, mass.T) * both).sum(axis=1)
        confusion = np.zeros(len(pcis))
        for one, another in zip(*np.nonzero(np.triu(same)), strict=True):
            confusion += np.minimum(mass[:, one], mass[:, another])
        return np.minimum(collision, 1.0), np.minimum(confusion, 1.0)

    def _nr_added(self, other: LayerView | None) -> Array:
        """Return how often NR is added; NaN where LTE has no NR beside it."""
        partners = _partners(self.region.archetype, self.region.seed)[self.tag]
        relations, cells = self.view.relations, self.view.cells
        known = other if other is not None and other.view.relations is relations else None
        values: Array = np.full(len(self.cells), np.nan) if known is None else known.endc.copy()
        for row, (relation, partner) in enumerate(partners):
            if known and self.cells[row] is known.cells[row] and cells[partner] is known.view.cells[partner]:
                continue
            ready = self.cells[row].cell.endc_allowed and relation in relations and serves(cells[partner])
            values[row] = 98.8 if ready else 0.0
        return values

    def _root_conflicts(self) -> list[tuple[int, int]]:
        """Return pairs of cells, one of them changed, that overlap and share root sequences."""
        moved = np.flatnonzero(self.traits.moved).tolist()
        overlap = self.region.overlap[self.tag]
        found = []
        for one in moved:
            first = self.cells[one].cell
            for other, cell in enumerate(self.cells):
                second = cell.cell
                near = other != one and overlap[one, other] + overlap[other, one] > 0
                if near and roots_conflict(
                    first.root_sequence_index,
                    first.root_sequences,
                    second.root_sequence_index,
                    second.root_sequences,
                ):
                    found.append((one, other))
        return found

    def false_preambles(self, attempts: Array) -> Array:
        """Return preambles meant for neighbours that share roots with a cell, hours x cells."""
        false = np.zeros(attempts.shape)
        for one, other in self._pairs:
            false[:, one] += 1.6 * attempts[:, other]
            false[:, other] += 1.6 * attempts[:, one]
        return false


def _share_of_border(region: Region, tag: str, mass: Array) -> Array:
    """Return masses of cells' borders as shares of all of them."""
    result: Array = mass / np.maximum(region.overlap[tag].sum(axis=1), 1e-12)
    return result


def _foreign_share(region: Region, tag: str, wrong: Array) -> Array:
    """Return the share of cells' borders whose tracking area is not as built.

    Args:
        region: The region.
        tag: The band.
        wrong: 1 for cells whose own is not as built, else 0.
    """
    if not wrong.any():
        return np.zeros(len(wrong))
    return np.where(wrong > 0, 0.35, 0.25 * _share_of_border(region, tag, region.overlap[tag] @ wrong))


def foreign_share(region: Region, view: View, tag: str) -> Array | None:
    """Return the share of cells' borders whose tracking area is not as built; None if that is nowhere."""
    wrong = []
    for name in region.cells_of[tag]:
        built = region.records[name]
        assert isinstance(built, Cell)
        wrong.append(view.cells[name].cell.tac != built.tac)
    return _foreign_share(region, tag, np.array(wrong, float)) if any(wrong) else None


_LATEST: Latest[tuple[str, int, str], LayerView] = Latest(_LATEST_KEPT)


@lru_cache(maxsize=KEPT_REGIONS)
def _sites(archetype: str, seed: int) -> dict[str, NDArray[np.intp]]:
    """Return the place of each cell's site among the sites, by layer."""
    region = build_region(archetype, seed)
    places = {site.id: place for place, site in enumerate(region.layout.sites)}
    return {tag: np.array([places[name.split("-")[0]] for name in names]) for tag, names in region.cells_of.items()}


@lru_cache(maxsize=KEPT_REGIONS)
def _partners(archetype: str, seed: int) -> dict[str, list[tuple[str, str]]]:
    """Return for each LTE cell the relation with the NR cell beside it, and that cell; nothing where there is none."""
    region = build_region(archetype, seed)
    nr = [tag for tag in region.kind.layers if LAYERS[tag].rat == "NR"]
    found = {}
    for tag, names in region.cells_of.items():
        beside = region.cells_of[nr[-1]] if nr and LAYERS[tag].rat == "LTE" else ()
        found[tag] = [(f"{name}>{partner}", partner) for name, partner in zip(names, beside, strict=False)]
    return found


# --- values of hours --------------------------------------------------------------------------------------


GROUPS: dict[str, tuple[str, ...]] = {
    "access": (
        *("cell_availability_pct", "rrc_setup_attempts", "rrc_setup_success_pct", "sig_setup_success_pct"),
        *("erab_setup_success_pct", "rach_attempts", "rach_success_pct", "voice_setup_success_pct"),
        *("rrc_users_mean", "tau_success_pct", "endc_setup_success_pct"),
    ),
    "mobility": (
        *("ho_success_pct", "ho_prep_success_pct", "ho_too_late_pct", "ho_too_early_pct", "ho_pingpong_pct"),
        *("rrc_reestablishment_pct", "erab_drop_pct", "voice_drop_pct"),
    ),
    "traffic": (
        *("prb_util_dl_pct", "prb_util_ul_pct", "dl_user_throughput_mbps", "ul_user_throughput_mbps"),
        *("dl_volume_gb", "packet_loss_dl_pct", "latency_dl_ms"),
    ),
    "quality": (
        *("ul_rssi_prb_dbm", "ul_sinr_db", "cqi_mean", "rank_mean", "dl_bler_pct", "ul_bler_pct", "voice_mos"),
        "ta_p90_m",
    ),
    "surroundings": ("cpu_load_pct", "backhaul_util_pct", "power_kw", "complaints_per_hour"),
}
"""Indicators that are computed together."""


def base_values(layer: LayerView, hours: Sequence[radio.Hour], groups: Iterable[str] = GROUPS) -> dict[str, Array]:
    """Return the base values of indicators, hours x cells or, where they do not depend on the hour, cells.

    Cells that are off the air have values here, too; they mean nothing.

    Args:
        layer: The layer.
        hours: The network in each hour.
        groups: Which groups of `GROUPS` are computed.
    """
    rows, found = _Hours(layer, hours), dict[str, Array]()
    for group in groups:
        found.update(getattr(rows, group)())
    return found


class _Hours:
    """Base values of one layer in several hours, hours x cells."""

    def __init__(self, fixed: LayerView, hours: Sequence[radio.Hour]) -> None:
        self.fixed, self.traits = fixed, fixed.traits
        self.band = LAYERS[fixed.tag]
        layers = [hour.layers[fixed.tag] for hour in hours]
        solved = [layer.solved for layer in layers]
        self.need = np.array([one.need for one in solved])
        self.load = np.where(self.traits.quiet > 0, 0.0, np.array([one.load for one in solved]))
        self.sinr = np.array([layer.sinr_db for layer in layers])
        self.rate = np.array([layer.rate_mbps for layer in layers])
        self.offered = np.array([layer.offered_mbps for layer in layers])
        self.unserved = np.array([layer.unserved for layer in layers])
        self.uplink = np.array([layer.uplink_dbm for layer in layers])
        self.excess = np.array([layer.branch_excess_db for layer in layers])
        self.iot = self.uplink - layers[0].noise_dbm
        self.distance = layers[0].distance_p90_m
        self.users = self.offered / radio.USER_RATE_MBPS[self.band.rat] * self.traits.serves
        self.hours = hours
        self.ways = np.array([hour.ways for hour in hours])
        self.share, self.delay, self.loss = self.ways[:, :, fixed.sites].swapaxes(0, 1)

    @property
    def felt(self) -> Array:
        """Interference over noise as users' data suffer from it."""
        return self._both[0]

    @property
    def heard(self) -> Array:
        """Interference over noise as signalling suffers from it."""
        return self._both[1]

    @cached_property
    def _both(self) -> tuple[Array, Array]:
        """Return interference over noise as users' data suffer from it, and as signalling does.

        Combining branches takes out most of what only one of them hears. What disturbs some resource blocks only is in
        the way of data that are scheduled there, and less in that of signals at the edges of the carrier.
        """
        outside, share = np.zeros(self.iot.shape), np.full(self.iot.shape, 1e-6)
        level = 10 ** ((self.uplink - self.excess) / 10)
        for received, blocks in self.fixed.outside:
            power = np.minimum(received / level, 1 - 1e-6)
            outside = np.maximum(outside, -10 * np.log10(1 - power))
            share = np.maximum(share, np.where(power > 0.01, blocks, 0.0))
        clean = self.iot - self.excess - outside + ONE_BRANCH * self.excess
        return clean + share**0.5 * outside, clean + share**0.8 * outside

    @cached_property
    def found(self) -> Array:
        """Share of random accesses that get through, measured by a quiet cell."""
        result: Array = np.minimum(preamble_success(self.heard) / preamble_success(2.0), 1.0)
        return result

    @cached_property
    def uplink_sinr(self) -> Array:
        """Mean signal-to-interference ratio of the uplink."""
        return uplink_sinr_db(self.felt, self.distance / (0.62 * self.fixed.region.layout.spacing_m))

    @cached_property
    def rejected(self) -> Array:
        """Share of access attempts that admission refuses."""
        limit = self.traits.limit
        over = np.where(self.users > limit, 1 - limit / np.maximum(self.users, 1e-9), 0.0)
        crowded = np.clip((self.need - 1.1) * 0.06, 0.0, 0.3)
        result: Array = np.clip(over + crowded, 0.0, 0.98)
        return result

    def access(self) -> dict[str, Array]:
        """Access: attempts and success."""
        attempts = self.users * 900.0 / _SESSION_S
        false = self.fixed.false_preambles(attempts)
        control = self.fixed.control
        unpaged = 1 - UNPAGED * self.fixed.foreign
        met = np.where(attempts > 0, attempts / (attempts + 0.93 * false + 1e-9), 1)
        return {
            "cell_availability_pct": 100.0 * self.traits.on_air,
            "rrc_setup_attempts": attempts,
            "rrc_setup_success_pct": 99.65 * self.found * (1 - self.rejected),
            "sig_setup_success_pct": 99.85 * np.clip(0.85 + 0.15 * control, 0, 1) * (control > 0),
            "erab_setup_success_pct": 99.75 * (1 - 0.3 * self.rejected) * np.where(control > 0, 1.0, 0.0),
            "rach_attempts": attempts * 1.08 + false,
            "rach_success_pct": 98.5 * self.found * met,
            "voice_setup_success_pct": 99.8 * self.found * (1 - 0.5 * self.rejected) * unpaged,
            "rrc_users_mean": np.minimum(self.users, self.traits.limit),
            "tau_success_pct": 99.75 - 90.0 * self.fixed.foreign,
            "endc_setup_success_pct": self.fixed.endc,
        }

    def mobility(self) -> dict[str, Array]:
        """Mobility: handovers and dropped connections."""
        missing, (collision, confusion) = self.fixed.missing, self.fixed.clashes
        late_setting, early_setting = self.traits.late, self.traits.early
        late = 0.3 + 70.0 * missing + 6.0 * late_setting
        lost = 100.0 * (confusion + 0.5 * collision)
        success = np.clip(98.9 - lost - 95.0 * self.fixed.refused - 0.5 * (late - 0.3), 0, 100)
        excess = np.maximum(self.heard - 3.0, 0.0)
        drop = 0.22 + 0.10 * excess + 0.004 * np.maximum(6.0 - self.sinr, 0) ** 2
        drop = drop + 12.0 * missing + 2.0 * collision + 0.35 * late_setting
        return {
            "ho_success_pct": success,
            "ho_prep_success_pct": 99.8 - 30.0 * confusion,
            "ho_too_late_pct": late,
            "ho_too_early_pct": 0.2 + 8.0 * early_setting + 20.0 * confusion,
            "ho_pingpong_pct": 1.0 + 14.0 * early_setting,
            "rrc_reestablishment_pct": 0.5 + 55.0 * missing + 22.0 * collision + 0.05 * excess,
            "erab_drop_pct": np.clip(drop, 0, 100),
            "voice_drop_pct": np.clip(0.16 + 0.8 * (drop - 0.22) + 25.0 * self.loss, 0, 100),
        }

    def traffic(self) -> dict[str, Array]:
        """Traffic: load, throughput, volume."""
        open_, plane, busy = self.traits.serves, self.fixed.plane, np.maximum(self.need, 1.0)
        # What is lost on the fronthaul is sent again and slows senders down; two cells of one id blur each other.
        whole = (1 - self.traits.errors) ** 2
        clear = whole * (1 - 0.5 * self.fixed.clashes[0])
        throughput = self.rate * (1 - 0.75 * self.load) / busy * self.share * plane * clear
        served = self.offered / busy * self.share * plane * open_
        ratio = uplink_efficiency(self.uplink_sinr)
        uplink_share = 0.26 if self.band.tdd else 1.0
        uplink = ratio * self.band.bandwidth_mhz * uplink_share * (1 - 0.6 * self.load) * 0.35 * self.share * plane
        uplink = uplink * whole
        reduced = self.load * np.where(self.share < 0.999, self.share, 1.0)
        return {
            "prb_util_dl_pct": 100.0 * reduced,
            "prb_util_ul_pct": 100.0 * np.clip(0.6 * self.load * 10 ** ((self.felt - 1.5) / 25), 0, 1),
            "dl_user_throughput_mbps": np.where(open_ > 0, throughput, 0.0),
            "ul_user_throughput_mbps": np.where(open_ > 0, uplink, 0.0),
            "dl_volume_gb": served * 900 / 8e3,
            "packet_loss_dl_pct": np.clip(0.01 + 100.0 * self.loss, 0, 100),
            "latency_dl_ms": self.delay + 8.0 + 14.0 * self.load**3,
        }

    def quality(self) -> dict[str, Array]:
        """Quality of the air interface."""
        sinr, traits = self.sinr, self.traits
        base_rank = 1.55 if self.band.rat == "LTE" else 2.6
        errors = 9.8 + 120 * traits.offset_ppm + 100 * traits.errors
        branches = traits.branches**0.8 * traits.rank
        return {
            "ul_rssi_prb_dbm": self.uplink,
            "ul_sinr_db": self.uplink_sinr,
            "cqi_mean": np.maximum(_quality_index(sinr) - 4.0 * self.fixed.clashes[0], 1.0),
            "rank_mean": np.clip(base_rank * branches * np.clip(0.85 + 0.015 * sinr, 0.7, 1.15), 1, 4),
            "dl_bler_pct": np.clip(errors + 0.15 * np.maximum(6 - sinr, 0), 0, 100),
            "ul_bler_pct": np.clip(9.8 + 1.2 * np.maximum(6 - self.uplink_sinr, 0), 0, 100),
            "voice_mos": mean_opinion_scores(self.ways[:, 1] + 60.0, self.ways[:, 2])[:, self.fixed.sites],
            "ta_p90_m": self.distance,
        }

    def surroundings(self) -> dict[str, Array]:
        """Processors, transport, power, complaints."""
        traits = self.traits
        idle, full = (0.42, 0.98) if self.band.power_dbm > 50 else (0.18, 0.42)
        storm = STORM_PCT * self.fixed.foreign
        busiest = np.array([hour.utilisation for hour in self.hours])[:, self.fixed.links].max(axis=2, initial=0.0)
        lost = self.unserved + (1 - np.minimum(1 / np.maximum(self.need, 1.0), 1.0))
        return {
            "cpu_load_pct": np.clip(22.0 + 35.0 * self.load + storm + self.fixed.extra, 0, 100),
            "backhaul_util_pct": 100.0 * busiest,
            "power_kw": traits.radiating * (idle + (full - idle) * self.load) * (1 - 0.45 * traits.muted),
            "complaints_per_hour": 0.15 + 0.02 * self.users * np.clip(lost, 0, 1),
        }


def _quality_index(sinr_db: Array) -> Array:
    """Return the channel quality users report on average, 1 to 12, for a mean signal quality."""
    high = 9.4 + 2.5 * (1 - np.exp(-np.maximum(sinr_db - 6.0, 0.0) / 12.0))
    result: Array = np.clip(np.where(sinr_db < 6.0, 9.4 - 0.28 * (6.0 - sinr_db), high), 1.0, 12.0)
    return result
