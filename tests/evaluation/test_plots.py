from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from telegym.core.errors import ConfigurationError
from telegym.evaluation.plots import curve_names, learning_curve_svg, write_learning_curve

METRICS: list[dict[str, Any]] = [
    {"step": step, "zeta": step % 3, "loss": 1 / (1 + step), "train/reward": step / 10, "success": step / 20, "lr": 1.0}
    for step in range(20)
]


def test_curves_are_those_that_change_the_known_ones_first() -> None:
    assert curve_names(METRICS) == ["success", "train/reward", "loss", "zeta"]
    assert curve_names(METRICS, most=2) == ["success", "train/reward"]


def test_what_is_no_number_is_no_point() -> None:
    rows: list[dict[str, Any]] = [
        {"step": 0, "reward": math.nan},
        {"step": 1, "reward": "x"},
        {"step": 2, "reward": 1.0},
        {"reward": True},
    ]
    assert curve_names(rows) == []
    assert curve_names([*rows, {"step": 3, "reward": 2.0}]) == ["reward"]


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    write_learning_curve(METRICS, tmp_path / "learning-curve.png")
    assert (tmp_path / "learning-curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("metrics", [[], METRICS[:1]])
def test_without_steps_the_picture_is_empty_and_no_error(metrics: list[dict[str, Any]], tmp_path: Path) -> None:
    write_learning_curve(metrics, tmp_path / "x.svg")
    assert "<svg" in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_the_same_metrics_give_the_same_svg() -> None:
    assert learning_curve_svg(METRICS) == learning_curve_svg(METRICS)


def test_names_are_not_formulas() -> None:
    rows = [{"step": step, "cost $x^{$": float(step)} for step in range(3)]
    assert "<svg" in learning_curve_svg(rows)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'telegym\[train\]'"):
        write_learning_curve(METRICS, tmp_path / "x.png")
