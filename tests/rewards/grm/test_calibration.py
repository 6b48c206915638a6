"""Calibration brings what a judge says to how often it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.rewards.grm import Calibration, GenerativeJudge, Panel, fit_calibration
from telegym.rewards.grm.calibration import Array, brier_score, expected_calibration_error, reliability
from tests.rewards.grm.scripted import ScriptedBackend, always, played, verdict

Kind = Literal["platt", "temperature", "isotonic"]
KINDS: tuple[Kind, ...] = ("platt", "temperature", "isotonic")


def overconfident(count: int, seed: int = 0, shift: float = 0.0) -> tuple[Array, Array]:
    """Return probabilities whose log-odds are three times too far out, and labels."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.0, 1.2, count)
    labels = rng.random(count) < 1 / (1 + np.exp(-odds))
    return 1 / (1 + np.exp(-(3 * odds + shift))), labels.astype(float)


@pytest.mark.parametrize("kind", KINDS)
def test_it_gets_better_on_items_it_was_not_fitted_to(kind: Kind) -> None:
    fitted = fit_calibration(*overconfident(2000), kind)
    values, labels = overconfident(4000, seed=1)
    corrected = fitted.apply(values)
    assert expected_calibration_error(corrected, labels) < 0.5 * expected_calibration_error(values, labels)
    assert brier_score(corrected, labels) < brier_score(values, labels)
    assert fitted.ece_after < fitted.ece_before
    assert fitted.brier_after < fitted.brier_before


def test_slope_and_offset_are_found() -> None:
    fitted = fit_calibration(*overconfident(20_000, shift=0.9), "platt")
    assert fitted.slope == pytest.approx(1 / 3, abs=0.02)
    assert fitted.offset == pytest.approx(-0.3, abs=0.05)
    assert fit_calibration(*overconfident(20_000), "temperature").slope == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_stored_as_json(kind: Kind, tmp_path: Path) -> None:
    fitted = fit_calibration(*overconfident(300), kind)
    fitted.write(tmp_path / "card.json")
    assert Calibration.read(tmp_path / "card.json") == fitted
    assert Calibration.read(tmp_path / "card.json")(0.7) == fitted(0.7)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40).filter(
        lambda items: len({label for _, label in items}) == 2
    ),
    st.sampled_from(KINDS),
)
def test_calibrated_values_are_probabilities_and_isotonic_ones_keep_the_order(
    items: list[tuple[float, bool]], kind: Kind
) -> None:
    values, labels = np.asarray(items, dtype=float).T
    fitted = fit_calibration(values, labels, kind)
    grid = fitted.apply(np.linspace(0, 1, 50))
    assert np.isfinite(grid).all() and grid.min() >= 0 and grid.max() <= 1
    if kind == "isotonic":
        assert (np.diff(grid) >= -1e-12).all()


def test_pool_adjacent_violators_by_hand() -> None:
    fitted = fit_calibration([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1], "isotonic")
    assert fitted.apply([0.1, 0.2, 0.25, 0.3, 0.4, 0.9]).tolist() == [0, 0.5, 0.5, 0.5, 1, 1]


def test_bins_have_equal_mass_and_equal_values_stay_together() -> None:
    values, labels = overconfident(1500)
    table = reliability(values, labels)
    assert [row.count for row in table] == [100] * 15
    assert [row.predicted for row in table] == sorted(row.predicted for row in table)
    votes = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], [50, 5, 10, 5, 30])
    assert [row.count for row in reliability(votes, np.tile([0.0, 1.0], 50))] == [50, 5, 10, 5, 30]


def test_measures_by_hand() -> None:
    assert brier_score([0.8, 0.4], [1, 0]) == pytest.approx((0.04 + 0.16) / 2)
    assert expected_calibration_error([0.8, 0.8, 0.4, 0.4], [1, 0, 0, 0], bins=2) == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("values", "labels", "problem"),
    [
        ([0.5], [0.5], "labels must be 0 or 1"),
        ([1.5], [1], "between 0 and 1"),
        ([float("nan")], [1], "between 0 and 1"),
        ([0.5, 0.5], [1], "do not fit"),
        ([], [], "do not fit"),
        ([0.5, 0.6], [1, 1], "of both kinds"),
    ],
)
def test_what_cannot_be_fitted_is_refused(values: list[float], labels: list[float], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        fit_calibration(values, labels)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"kind": "magic"}')
    with pytest.raises(ConfigurationError, match="not a calibration"):
        Calibration.read(tmp_path / "card.json")
    with pytest.raises(ConfigurationError, match=r"none\.json"):
        Calibration.read(tmp_path / "none.json")


def test_a_judge_is_corrected_and_what_it_said_is_kept() -> None:
    half = Calibration(kind="platt", slope=0.5)
    panel = Panel(ScriptedBackend(always(verdict(1))))
    found = GenerativeJudge(panel, calibration=half)(played())
    assert found.components["probability"] == pytest.approx(0.9)
    assert found.value == pytest.approx(0.75)
