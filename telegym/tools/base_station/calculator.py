"""The calculator: closed formulas of radio, power, transport and traffic engineering.

Each quantity has named inputs with bounds; the formulas are those of `telegym.envs.base_station.physics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from telegym.core.errors import ToolError, did_you_mean
from telegym.envs.base_station.physics import antenna_line, battery, propagation, spectrum, transport, voice
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, number

__all__ = ["CALCULATIONS", "Calculation", "Input", "compute", "compute_radio_quantity"]

Results = dict[str, str]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a calculation."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    default: float | None = None
    """Value if it is not given; None if it must be."""
    whole: bool = False
    """Whether it is a whole number."""
    several: bool = False
    """Whether it is a list of numbers."""
    optional: bool = False
    """Whether it may be missing without a default."""


@dataclass(frozen=True, slots=True)
class Calculation:
    """One quantity the calculator knows."""

    inputs: dict[str, Input]
    """Inputs by name."""
    function: Callable[..., Results]
    """Called with the inputs by keyword; returns the results with their units in their names."""


def _path_loss_uma(distance_m: float, frequency_mhz: float, station_height_m: float, user_height_m: float) -> Results:
    geometry = (distance_m, frequency_mhz, station_height_m, user_height_m)
    return {
        "breakpoint_m": number(float(propagation.uma_breakpoint(*geometry[1:])), 2),
        "line_of_sight_db": number(float(propagation.uma_los(*geometry)), 3),
        "non_line_of_sight_db": number(float(propagation.uma_nlos(*geometry)), 3),
        "line_of_sight_probability": number(float(propagation.los_probability_uma(distance_m)), 4),
    }


def _path_loss_cost231(
    distance_m: float, frequency_mhz: float, station_height_m: float, user_height_m: float, metropolitan: float
) -> Results:
    loss = propagation.cost231_hata(
        distance_m, frequency_mhz, station_height_m, user_height_m, metropolitan=bool(metropolitan)
    )
    return {"path_loss_db": number(float(loss), 2)}


def _free_space_loss(distance_m: float, frequency_mhz: float) -> Results:
    return {"path_loss_db": number(float(propagation.free_space_loss(distance_m, frequency_mhz)), 2)}


def _noise_floor(bandwidth_mhz: float, noise_figure_db: float) -> Results:
    return {"noise_floor_dbm": number(spectrum.noise_floor_dbm(bandwidth_mhz * 1e6, noise_figure_db), 2)}


def _link_budget(
    tx_power_dbm: float,
    path_loss_db: float,
    tx_gain_dbi: float,
    rx_gain_dbi: float,
    other_losses_db: float,
    sensitivity_dbm: float | None,
) -> Results:
    level = tx_power_dbm + tx_gain_dbi + rx_gain_dbi - path_loss_db - other_losses_db
    results = {"rx_level_dbm": number(level, 2)}
    if sensitivity_dbm is not None:
        results["margin_db"] = number(level - sensitivity_dbm, 2)
    return results


def _rsrp(
    tx_power_dbm: float, resource_blocks: int, path_loss_db: float, antenna_gain_dbi: float, cable_loss_db: float
) -> Results:
    element = tx_power_dbm - 10 * math.log10(12 * resource_blocks)
    return {
        "power_per_resource_element_dbm": number(element, 2),
        "rsrp_dbm": number(element + antenna_gain_dbi - cable_loss_db - path_loss_db, 2),
    }


def _nr_arfcn(arfcn: int) -> Results:
    return {"frequency_mhz": number(spectrum.nr_arfcn_to_mhz(arfcn), 3)}


def _earfcn(earfcn: int) -> Results:
    return {"frequency_mhz": number(spectrum.earfcn_to_mhz(earfcn), 1)}


def _nr_peak_rate(
    resource_blocks: int | None,
    bandwidth_mhz: float | None,
    subcarrier_khz: float,
    layers: int,
    modulation_bits: int,
    scaling: float,
    overhead: float,
    downlink_share: float,
) -> Results:
    if resource_blocks is None:
        if bandwidth_mhz is None:
            raise ValueError("give resource_blocks or bandwidth_mhz")
        resource_blocks = spectrum.resource_blocks("NR", bandwidth_mhz, subcarrier_khz)
    rate = spectrum.nr_peak_rate_mbps(
        resource_blocks, subcarrier_khz, layers, modulation_bits, scaling=scaling, overhead=overhead
    )
    return {
        "resource_blocks": str(resource_blocks),
        "peak_rate_mbps": number(rate, 1),
        "peak_rate_downlink_share_mbps": number(rate * downlink_share, 1),
    }


def _shannon_rate(bandwidth_mhz: float, sinr_db: float) -> Results:
    return {"capacity_mbps": number(spectrum.shannon_rate_mbps(bandwidth_mhz, sinr_db), 3)}


def _erlang_b(traffic_erlang: float, circuits: int) -> Results:
    return {"blocking_probability": number(voice.erlang_b(traffic_erlang, circuits), 5)}


def _vswr(vswr: float, forward_power_w: float | None) -> Results:
    results = {
        "reflection_coefficient": number(antenna_line.reflection(vswr), 4),
        "return_loss_db": number(antenna_line.return_loss_db(vswr), 2) if vswr > 1 else "inf",
        "mismatch_loss_db": number(antenna_line.mismatch_loss_db(vswr), 3),
    }
    if forward_power_w is not None:
        results["reflected_power_w"] = number(forward_power_w * antenna_line.reflection(vswr) ** 2, 3)
    return results


def _battery_autonomy(load_kw: float, capacity_ah: float, state_of_health: float, discharge_depth: float) -> Results:
    hours = battery.autonomy_h(load_kw, capacity_ah, state_of_health, discharge_depth)
    return {"autonomy_h": number(hours, 3), "autonomy_min": number(60 * hours, 1)}


def _fibre_delay(length_km: float, budget_us: float) -> Results:
    delay = transport.fibre_delay_us(length_km)
    return {"one_way_delay_us": number(delay, 2), "within_budget": "true" if delay <= budget_us else "false"}


def _availability(availability_pct: float, days: float) -> Results:
    return {"outage_min": number((100 - availability_pct) / 100 * days * 1440, 2)}


def _pci_parts(pci: int) -> Results:
    parts = {name: str(part) for name, part in spectrum.pci_parts(pci).items()}
    return {**parts, "mod3": str(pci % 3)}


def _dbm_sum(levels_dbm: list[float]) -> Results:
    return {"sum_dbm": number(spectrum.dbm_sum(levels_dbm), 2)}


_DISTANCE = Input(1, 1e5)
_FREQUENCY = Input(100, 1e5)
_POWER = Input(-50, 100)
_GAIN = Input(-50, 60, 0.0)
_LOSS = Input(0, 300)

CALCULATIONS: dict[str, Calculation] = {
    "path_loss_uma": Calculation(
        {
            "distance_m": _DISTANCE,
            "frequency_mhz": _FREQUENCY,
            "station_height_m": Input(2, 150, 25.0),
            "user_height_m": Input(1.1, 22.5, 1.5),
        },
        _path_loss_uma,
    ),
    "path_loss_cost231": Calculation(
        {
            "distance_m": Input(1, 1e5),
            "frequency_mhz": Input(1500, 2000),
            "station_height_m": Input(30, 200, 30.0),
            "user_height_m": Input(1, 10, 1.5),
            "metropolitan": Input(0, 1, 0.0, whole=True),
        },
        _path_loss_cost231,
    ),
    "free_space_loss": Calculation({"distance_m": _DISTANCE, "frequency_mhz": _FREQUENCY}, _free_space_loss),
    "noise_floor": Calculation({"bandwidth_mhz": Input(1e-6, 1e4), "noise_figure_db": Input(0, 30, 0.0)}, _noise_floor),
    "link_budget": Calculation(
        {
            "tx_power_dbm": _POWER,
            "path_loss_db": _LOSS,
            "tx_gain_dbi": _GAIN,
            "rx_gain_dbi": _GAIN,
            "other_losses_db": Input(0, 300, 0.0),
            "sensitivity_dbm": Input(-200, 50, optional=True),
        },
        _link_budget,
    ),
    "rsrp": Calculation(
        {
            "tx_power_dbm": _POWER,
            "resource_blocks": Input(1, 273, whole=True),
            "path_loss_db": _LOSS,
            "antenna_gain_dbi": _GAIN,
            "cable_loss_db": Input(0, 50, 0.0),
        },
        _rsrp,
    ),
    "nr_arfcn_to_mhz": Calculation({"arfcn": Input(0, 2_016_666, whole=True)}, _nr_arfcn),
    "earfcn_to_mhz": Calculation({"earfcn": Input(0, 70_000, whole=True)}, _earfcn),
    "nr_peak_rate": Calculation(
        {
            "resource_blocks": Input(1, 275, whole=True, optional=True),
            "bandwidth_mhz": Input(5, 100, optional=True),
            "subcarrier_khz": Input(15, 120, 30.0),
            "layers": Input(1, 8, 4, whole=True),
            "modulation_bits": Input(1, 10, 8, whole=True),
            "scaling": Input(0.1, 1, 1.0),
            "overhead": Input(0, 0.9, 0.14),
            "downlink_share": Input(0, 1, 1.0),
        },
        _nr_peak_rate,
    ),
    "shannon_rate": Calculation({"bandwidth_mhz": Input(1e-6, 1e4), "sinr_db": Input(-50, 100)}, _shannon_rate),
    "erlang_b": Calculation({"traffic_erlang": Input(0, 1e4), "circuits": Input(1, 10_000, whole=True)}, _erlang_b),
    "vswr_to_return_loss": Calculation(
        {"vswr": Input(1, 1000), "forward_power_w": Input(0, 1e4, optional=True)}, _vswr
    ),
    "battery_autonomy": Calculation(
        {
            "load_kw": Input(0.01, 1000),
            "capacity_ah": Input(0.1, 1e5),
            "state_of_health": Input(0, 1, 1.0),
            "discharge_depth": Input(0, 1, 0.8),
        },
        _battery_autonomy,
    ),
    "fibre_delay": Calculation({"length_km": Input(0, 1e5), "budget_us": Input(0, 1e6, 100.0)}, _fibre_delay),
    "availability_to_minutes": Calculation(
        {"availability_pct": Input(0, 100), "days": Input(0.001, 3660, 7.0)}, _availability
    ),
    "pci_parts": Calculation({"pci": Input(0, 1007, whole=True)}, _pci_parts),
    "dbm_sum": Calculation({"levels_dbm": Input(-300, 200, several=True)}, _dbm_sum),
}
"""What can be calculated, by the name of the quantity."""


def compute(quantity: str, inputs: dict[str, Any]) -> Results:
    """Return the results of one calculation, rounded, with their units in their names.

    Args:
        quantity: A key of `CALCULATIONS`.
        inputs: Numbers by name.

    Raises:
        ToolError: If an input is missing, unknown, no number or out of range.
    """
    calculation = CALCULATIONS[quantity]
    for name in inputs:
        if name not in calculation.inputs:
            hint = did_you_mean(name[:60], calculation.inputs)
            raise _invalid(f"{quantity} has no input {name[:60]!r}.{hint} Inputs: {', '.join(calculation.inputs)}")
    arguments = {name: _checked(quantity, name, spec, inputs) for name, spec in calculation.inputs.items()}
    try:
        return calculation.function(**arguments)
    except ValueError as error:
        raise _invalid(f"{quantity}: {error}") from None


def _checked(quantity: str, name: str, spec: Input, inputs: dict[str, Any]) -> Any:
    if name not in inputs:
        if spec.default is None and not spec.optional:
            raise _invalid(f"{quantity} needs the input {name}")
        return spec.default
    given = inputs[name]
    if not spec.several:
        return _number(quantity, name, spec, given)
    if not isinstance(given, list) or not 1 <= len(given) <= 100:
        raise _invalid(f"{quantity}: {name} is a list of 1 to 100 numbers")
    return [_number(quantity, name, spec, item) for item in given]


def _number(quantity: str, name: str, spec: Input, given: Any) -> float:
    if isinstance(given, bool) and name == "metropolitan":
        return int(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _invalid(f"{quantity}: {name} is a number, not {str(given)[:40]!r}")
    if not spec.low <= given <= spec.high:
        raise _invalid(f"{quantity}: {name} is between {spec.low:g} and {spec.high:g}, not {str(given)[:40]}")
    if not spec.whole:
        return float(given)
    if given != int(given):
        raise _invalid(f"{quantity}: {name} is a whole number, not {given}")
    return int(given)


def _invalid(message: str) -> ToolError:
    return refusal(Code.INVALID_ARGUMENT, message)


def compute_radio_quantity(network: object, report: Report, quantity: str, inputs: dict[str, Any]) -> Report:
    """Answer with the results of one calculation, one a line."""
    for name, result in compute(quantity, inputs).items():
        report.line(f"{name}: {result}")
    return report
