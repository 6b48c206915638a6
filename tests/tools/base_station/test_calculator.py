"""The calculator against published and hand-computed values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from telegym.core.errors import ToolError
from telegym.tools.base_station._definition import definition
from telegym.tools.base_station._format import Report
from telegym.tools.base_station.calculator import CALCULATIONS, compute, compute_radio_quantity

GOLDEN: list[tuple[str, dict[str, Any], str, float, float]] = [
    ("path_loss_uma", {"distance_m": 100, "frequency_mhz": 3500}, "breakpoint_m", 560.39, 0.02),
    ("path_loss_uma", {"distance_m": 100, "frequency_mhz": 3500}, "line_of_sight_db", 83.138, 0.001),
    ("path_loss_uma", {"distance_m": 100, "frequency_mhz": 3500}, "non_line_of_sight_db", 103.038, 0.001),
    ("path_loss_uma", {"distance_m": 500, "frequency_mhz": 1842.5}, "line_of_sight_db", 96.80, 0.01),
    ("path_loss_uma", {"distance_m": 500, "frequency_mhz": 1842.5}, "non_line_of_sight_db", 124.34, 0.01),
    ("path_loss_uma", {"distance_m": 1000, "frequency_mhz": 806}, "non_line_of_sight_db", 128.91, 0.01),
    (
        "path_loss_cost231",
        {"distance_m": 1000, "frequency_mhz": 1842.5, "metropolitan": 1},
        "path_loss_db",
        139.54,
        0.01,
    ),
    ("path_loss_cost231", {"distance_m": 2000, "frequency_mhz": 1842.5}, "path_loss_db", 147.14, 0.01),
    ("free_space_loss", {"distance_m": 1000, "frequency_mhz": 2400}, "path_loss_db", 100.05, 0.01),
    ("noise_floor", {"bandwidth_mhz": 18}, "noise_floor_dbm", -101.45, 0.005),
    ("noise_floor", {"bandwidth_mhz": 98.28}, "noise_floor_dbm", -94.08, 0.005),
    ("noise_floor", {"bandwidth_mhz": 0.18, "noise_figure_db": 2.5}, "noise_floor_dbm", -118.95, 0.005),
    ("link_budget", {"tx_power_dbm": 46, "tx_gain_dbi": 17.5, "path_loss_db": 120}, "rx_level_dbm", -56.5, 1e-9),
    (
        "rsrp",
        {"tx_power_dbm": 46, "resource_blocks": 100, "path_loss_db": 0},
        "power_per_resource_element_dbm",
        15.21,
        0.01,
    ),
    ("nr_arfcn_to_mhz", {"arfcn": 640000}, "frequency_mhz", 3600.0, 1e-9),
    ("nr_arfcn_to_mhz", {"arfcn": 152600}, "frequency_mhz", 763.0, 1e-9),
    ("earfcn_to_mhz", {"earfcn": 1575}, "frequency_mhz", 1842.5, 1e-9),
    ("nr_peak_rate", {"bandwidth_mhz": 100}, "peak_rate_mbps", 2337, 1),
    ("nr_peak_rate", {"resource_blocks": 273, "downlink_share": 0.74}, "peak_rate_downlink_share_mbps", 1729, 1),
    ("shannon_rate", {"bandwidth_mhz": 20, "sinr_db": 0}, "capacity_mbps", 20, 1e-9),
    ("erlang_b", {"traffic_erlang": 20, "circuits": 30}, "blocking_probability", 0.00846, 1e-5),
    ("erlang_b", {"traffic_erlang": 3, "circuits": 5}, "blocking_probability", 0.1101, 1e-4),
    ("vswr_to_return_loss", {"vswr": 1.5}, "return_loss_db", 13.98, 0.01),
    ("vswr_to_return_loss", {"vswr": 2.0}, "mismatch_loss_db", 0.51, 0.01),
    ("vswr_to_return_loss", {"vswr": 3, "forward_power_w": 40}, "reflected_power_w", 10, 1e-9),
    ("battery_autonomy", {"load_kw": 2.4, "capacity_ah": 200}, "autonomy_h", 2.94, 0.01),
    ("battery_autonomy", {"load_kw": 1.3, "capacity_ah": 200}, "autonomy_h", 5.44, 0.01),
    ("fibre_delay", {"length_km": 20}, "one_way_delay_us", 98, 1e-9),
    ("availability_to_minutes", {"availability_pct": 99.9}, "outage_min", 10.08, 1e-9),
    ("pci_parts", {"pci": 503}, "n_id_1", 167, 0),
    ("pci_parts", {"pci": 503}, "mod3", 2, 0),
    ("dbm_sum", {"levels_dbm": [-100, -100]}, "sum_dbm", -96.99, 0.01),
]


@pytest.mark.parametrize(("quantity", "inputs", "name", "expected", "tolerance"), GOLDEN)
def test_golden_values(quantity: str, inputs: dict[str, Any], name: str, expected: float, tolerance: float) -> None:
    assert float(compute(quantity, inputs)[name]) == pytest.approx(expected, abs=tolerance)


def test_every_quantity_of_the_tool_is_known_and_tested() -> None:
    quantities = definition("compute_radio_quantity").parameters["quantity"]["enum"]
    assert list(CALCULATIONS) == quantities
    assert {row[0] for row in GOLDEN} == set(quantities)


def test_yes_and_no() -> None:
    assert compute("fibre_delay", {"length_km": 20})["within_budget"] == "true"
    assert compute("fibre_delay", {"length_km": 31})["within_budget"] == "false"
    assert compute("path_loss_cost231", {"distance_m": 1000, "frequency_mhz": 1842.5, "metropolitan": True}) == (
        compute("path_loss_cost231", {"distance_m": 1000, "frequency_mhz": 1842.5, "metropolitan": 1})
    )
    assert compute("vswr_to_return_loss", {"vswr": 1})["return_loss_db"] == "inf"
    assert (
        compute("link_budget", {"tx_power_dbm": 23, "path_loss_db": 120, "sensitivity_dbm": -110})["margin_db"]
        == "13.00"
    )


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("noise_floor", {}, "needs the input bandwidth_mhz"),
    ("noise_floor", {"bandwith_mhz": 18}, "Did you mean 'bandwidth_mhz'"),
    ("noise_floor", {"bandwidth_mhz": "18"}, "is a number"),
    ("noise_floor", {"bandwidth_mhz": True}, "is a number"),
    ("noise_floor", {"bandwidth_mhz": None}, "is a number"),
    ("noise_floor", {"bandwidth_mhz": 0}, "between"),
    ("pci_parts", {"pci": 3.5}, "whole number"),
    ("pci_parts", {"pci": 10**400}, "between"),
    ("dbm_sum", {"levels_dbm": []}, "1 to 100"),
    ("dbm_sum", {"levels_dbm": -90}, "list"),
    ("dbm_sum", {"levels_dbm": ["x"]}, "is a number"),
    ("earfcn_to_mhz", {"earfcn": 60_000}, "none of the bands"),
    ("nr_peak_rate", {}, "resource_blocks or bandwidth_mhz"),
    ("nr_peak_rate", {"bandwidth_mhz": 33}, "no channel of 33 MHz"),
]


@pytest.mark.parametrize(("quantity", "inputs", "message"), REFUSED)
def test_wrong_inputs_are_refused(quantity: str, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolError, match=r"^INVALID_ARGUMENT: ") as refusal:
        compute(quantity, inputs)
    assert message in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_bounds_themselves_are_accepted() -> None:
    for quantity, calculation in CALCULATIONS.items():
        for edge in ("low", "high"):
            inputs = {
                name: [getattr(spec, edge)] if spec.several else getattr(spec, edge)
                for name, spec in calculation.inputs.items()
            }
            if quantity in ("earfcn_to_mhz", "nr_peak_rate"):
                continue
            assert all("nan" not in text for text in compute(quantity, inputs).values()), (quantity, edge)


def test_the_answer_is_one_result_a_line() -> None:
    text = compute_radio_quantity(None, Report(), "pci_parts", {"pci": 137}).text()
    assert text == "n_id_1: 45\nn_id_2: 2\nmod30: 17\nmod3: 2"
    assert json.dumps(text)
