"""Diagnosis within groups: what pulls with the outcome, and what pulls against it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.rewards.diagnosis import ComponentDiagnosis, Marks, diagnose


def found(marks: list[Marks], weights: dict[str, float] | None = None) -> dict[str, ComponentDiagnosis]:
    return {each.name: each for each in diagnose(marks, weights or {"outcome": 1.0, "x": 1.0}, "outcome")}


def marks(*rows: tuple[str, float, float | None]) -> list[Marks]:
    return [Marks(group, {"outcome": outcome, "x": value}) for group, outcome, value in rows]


def test_a_component_that_follows_the_outcome_between_groups_and_not_within_misleads() -> None:
    """Simpson's paradox: over all runs the correlation is positive."""
    x = found(marks(("A", 0, 0.2), ("A", 1, 0.1), ("B", 1, 0.8), ("B", 0, 0.9), ("B", 1, 0.8)))["x"]
    assert x.correlation == pytest.approx(-1, abs=0.1) and x.conflicts == 1.0
    assert x.misleading and x.informative == 2


def test_a_component_turned_round_by_its_weight_does_not_mislead() -> None:
    x = found(marks(("A", 0, 0.9), ("A", 1, 0.1)), {"x": -0.5})["x"]
    assert x.correlation == pytest.approx(1.0) and x.conflicts == 0.0 and not x.misleading


def test_one_that_is_only_reported_cannot_mislead() -> None:
    x = found(marks(("A", 0, 0.9), ("A", 1, 0.1)), {"outcome": 1.0})["x"]
    assert x.correlation == pytest.approx(-1.0) and not x.misleading


def test_what_does_not_vary_says_nothing() -> None:
    x = found(marks(("A", 0, 0.3), ("A", 1, 0.3), ("B", 1, 0.9)))["x"]
    assert (x.correlation, x.conflicts, x.informative, x.variance_share) == (None, None, 0, 0.0)
    assert found(marks(("A", 1, 0.3)))["x"].variance_share is None


def test_failures_are_counted_and_left_out() -> None:
    x = found(marks(("A", 0, None), ("A", 0, 0.0), ("A", 1, 1.0), ("B", 1, None)))["x"]
    assert x.nulls == 0.5 and x.correlation == pytest.approx(1.0)


def test_variance_is_shared_by_weight() -> None:
    both = found(marks(("A", 0, 0.0), ("A", 1, 1.0)), {"outcome": 2.0, "x": 1.0})
    assert (both["outcome"].variance_share, both["x"].variance_share) == pytest.approx((0.8, 0.2))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from([0.0, 1.0]), st.floats(-5, 5)), min_size=1))
def test_figures_are_in_their_ranges_and_the_outcome_agrees_with_itself(rows: list[tuple[str, float, float]]) -> None:
    both = found(marks(*rows))
    for each in both.values():
        assert each.correlation is None or abs(each.correlation) <= 1 + 1e-9
        assert each.conflicts is None or 0 <= each.conflicts <= 1
    own = both["outcome"]
    assert own.correlation is None or (own.correlation == pytest.approx(1.0) and own.conflicts == 0.0)
    shares = [each.variance_share for each in both.values() if each.variance_share is not None]
    assert not shares or math.fsum(shares) == pytest.approx(1.0)
