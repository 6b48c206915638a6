"""Carriers: frequencies, resource blocks, physical cell ids, random-access roots, peak rates."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = [
    "LAYERS",
    "Layer",
    "dbm_sum",
    "earfcn_to_mhz",
    "noise_floor_dbm",
    "nr_arfcn_to_mhz",
    "nr_peak_rate_mbps",
    "pci_parts",
    "resource_blocks",
    "roots_conflict",
    "shannon_rate_mbps",
]


class Layer(NamedTuple):
    """A band as it is deployed."""

    name: str
    """Tag used in cell ids."""
    rat: str
    """`LTE` or `NR`."""
    band: str
    """3GPP band."""
    tdd: bool
    """Whether it is time-division duplex."""
    frequency_mhz: float
    """Downlink carrier."""
    arfcn: int
    """EARFCN or NR-ARFCN of that carrier."""
    bandwidth_mhz: float
    """Channel bandwidth."""
    prbs: int
    """Resource blocks."""
    subcarrier_khz: float
    """Subcarrier spacing."""
    power_dbm: float
    """Power of the carrier, all branches."""
    gain_dbi: float
    """Antenna gain."""
    efficiency: float
    """Spatial layers that throughput gains, on average."""
    branches: int
    """Transmit branches; groups of them for massive MIMO."""

    @property
    def prb_khz(self) -> float:
        """Width of a resource block."""
        return 12 * self.subcarrier_khz

    @property
    def uplink_mhz(self) -> float:
        """Uplink carrier; that of the downlink where both share it."""
        return self.frequency_mhz + _DUPLEX_MHZ.get(self.band, 0.0)


_DUPLEX_MHZ = {"B1": -190.0, "B3": -95.0, "B7": -120.0, "B20": 41.0, "B28": -55.0, "n28": -55.0}

LAYERS: dict[str, Layer] = {
    layer.name: layer
    for layer in (
        Layer("L8", "LTE", "B20", False, 806.0, 6300, 10.0, 50, 15.0, 46.0, 15.5, 1.5, 2),
        Layer("L7", "LTE", "B28", False, 783.0, 9460, 10.0, 50, 15.0, 46.0, 15.0, 1.5, 2),
        Layer("L18", "LTE", "B3", False, 1842.5, 1575, 20.0, 100, 15.0, 46.0, 17.5, 2.0, 4),
        Layer("L21", "LTE", "B1", False, 2140.0, 300, 15.0, 75, 15.0, 46.0, 17.8, 2.0, 4),
        Layer("L23", "LTE", "B40", True, 2350.0, 39150, 20.0, 100, 15.0, 46.0, 17.8, 2.0, 4),
        Layer("L26", "LTE", "B7", False, 2655.0, 3100, 20.0, 100, 15.0, 46.0, 18.0, 2.0, 4),
        Layer("N7", "NR", "n28", False, 763.0, 152600, 10.0, 52, 15.0, 46.0, 15.0, 1.5, 2),
        Layer("N26", "NR", "n41", True, 2595.0, 519000, 60.0, 162, 30.0, 53.0, 24.0, 5.0, 4),
        Layer("N35", "NR", "n78", True, 3600.0, 640000, 100.0, 273, 30.0, 53.0, 24.0, 6.5, 4),
    )
}
"""Bands by tag."""

_EARFCN = (
    # first number, one past the last, lowest frequency (TS 36.101, table 5.7.3-1)
    (0, 600, 2110.0),
    (1200, 1950, 1805.0),
    (2750, 3450, 2620.0),
    (6150, 6450, 791.0),
    (9210, 9660, 758.0),
    (38650, 39650, 2300.0),
)
_NR_BLOCKS = {
    15.0: {5.0: 25, 10.0: 52, 15.0: 79, 20.0: 106},
    30.0: {10.0: 24, 20.0: 51, 40.0: 106, 50.0: 133, 60.0: 162, 80.0: 217, 100.0: 273},
}
_LTE_BLOCKS = {1.4: 6, 3.0: 15, 5.0: 25, 10.0: 50, 15.0: 75, 20.0: 100}


def earfcn_to_mhz(number: int) -> float:
    """Return the downlink carrier of an EARFCN (TS 36.101, 5.7.3).

    Raises:
        ValueError: If the number belongs to no band that is known here.
    """
    for first, end, low in _EARFCN:
        if first <= number < end:
            return low + 0.1 * (number - first)
    raise ValueError(f"EARFCN {number} is in none of the bands 1, 3, 7, 20, 28, 40")


def nr_arfcn_to_mhz(number: int) -> float:
    """Return the frequency of an NR-ARFCN up to 24.25 GHz (TS 38.104, table 5.4.2.1-1).

    Raises:
        ValueError: If the number is out of range.
    """
    if 0 <= number < 600_000:
        return 0.005 * number
    if number < 2_016_667 and number >= 600_000:
        return 3000.0 + 0.015 * (number - 600_000)
    raise ValueError(f"NR-ARFCN {number} is not in 0-2016666")


def resource_blocks(rat: str, bandwidth_mhz: float, subcarrier_khz: float = 15.0) -> int:
    """Return the resource blocks of a channel (TS 36.101, table 5.6-1; TS 38.104, table 5.3.2-1).

    Raises:
        ValueError: If there is no such channel.
    """
    table = _LTE_BLOCKS if rat == "LTE" else _NR_BLOCKS.get(subcarrier_khz, {})
    blocks = table.get(bandwidth_mhz)
    if blocks is None:
        raise ValueError(f"{rat} has no channel of {bandwidth_mhz:g} MHz; valid: {', '.join(f'{b:g}' for b in table)}")
    return blocks


def noise_floor_dbm(bandwidth_hz: float, noise_figure_db: float = 0.0) -> float:
    """Return thermal noise at 290 K: -174 dBm/Hz plus bandwidth plus noise figure."""
    return -174.0 + 10 * math.log10(bandwidth_hz) + noise_figure_db


def pci_parts(pci: int) -> dict[str, int]:
    """Return the parts of a physical cell id: `n_id_1`, `n_id_2` (its value modulo 3) and the value modulo 30."""
    return {"n_id_1": pci // 3, "n_id_2": pci % 3, "mod30": pci % 30}


def roots_conflict(first: int, first_count: int, second: int, second_count: int, total: int = 838) -> bool:
    """Return whether two cells share a random-access root; roots go round from `total - 1` to 0."""
    return (second - first) % total < first_count or (first - second) % total < second_count


def nr_peak_rate_mbps(
    prbs: int,
    subcarrier_khz: float,
    layers: int = 4,
    modulation_bits: int = 8,
    *,
    scaling: float = 1.0,
    overhead: float = 0.14,
) -> float:
    """Return the peak rate of one NR carrier (TS 38.306, 4.1.2), code rate 948/1024.

    Args:
        prbs: Resource blocks.
        subcarrier_khz: Subcarrier spacing.
        layers: Spatial layers.
        modulation_bits: Bits per symbol; 8 for 256QAM.
        scaling: Scaling factor of the device.
        overhead: Share lost to signals and control.
    """
    symbols_per_s = 14 * 1e3 * (subcarrier_khz / 15.0)
    return 1e-6 * layers * modulation_bits * scaling * (948 / 1024) * prbs * 12 * symbols_per_s * (1 - overhead)


def shannon_rate_mbps(bandwidth_mhz: float, sinr_db: float) -> float:
    """Return Shannon's capacity of a channel."""
    return bandwidth_mhz * math.log2(1 + 10 ** (sinr_db / 10))


def dbm_sum(levels_dbm: list[float]) -> float:
    """Return the level of powers added together."""
    return 10 * math.log10(math.fsum(10 ** (level / 10) for level in levels_dbm))
