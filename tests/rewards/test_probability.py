"""Rewards of token probabilities are what the formulas say, computed slowly."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.core.score import Score
from telegym.rewards.base import Run, Signals
from telegym.rewards.probability import Aggregation, DeviationFilter, ReferenceProbability, aggregate
from telegym.rewards.registry import make_reward
from tests.rewards.parts import toy_run

PROBABILITIES = st.lists(st.floats(0.001, 1), min_size=1, max_size=12)


def asked(reference: list[float], baseline: list[float] | None = None) -> Run:
    run = toy_run()
    run.signals = Signals(reference_probabilities=reference, baseline_probabilities=baseline or [])
    return run


@pytest.mark.parametrize(
    ("probabilities", "mean", "geometric"), [((0.01, 0.7, 0.9), 0.537, 0.185), ((0.05, 0.7, 0.9), 0.550, 0.316)]
)
def test_the_numbers_of_the_paper(probabilities: tuple[float, ...], mean: float, geometric: float) -> None:
    assert aggregate(probabilities) == pytest.approx(mean, abs=5e-4)
    assert aggregate(probabilities, "geo") == pytest.approx(geometric, abs=5e-4)


@settings(deadline=None, max_examples=40)
@given(PROBABILITIES)
def test_aggregations_by_hand(probabilities: list[float]) -> None:
    product = 1.0
    total = logs = 0.0
    for probability in probabilities:
        product *= probability
        total += probability
        logs += math.log(probability)
    count = len(probabilities)
    assert aggregate(probabilities) == pytest.approx(total / count, abs=1e-5)
    assert aggregate(probabilities, "prod") == pytest.approx(product, abs=1e-5)
    assert aggregate(probabilities, "geo") == pytest.approx(product ** (1 / count), abs=1e-5)
    assert aggregate(probabilities, "mean_logp") == pytest.approx(logs / count, abs=1e-5)


def test_a_zero_and_nonsense() -> None:
    assert aggregate([0.0, 1.0], "geo") == 0
    assert aggregate([0.0, 1.0], "mean_logp") == -math.inf
    with pytest.raises(ValueError, match="no token"):
        aggregate([])
    with pytest.raises(ValueError, match=r"1\.5"):
        aggregate([1.5])
    with pytest.raises(ConfigurationError, match="Did you mean 'mean_prob'"):
        aggregate([1.0], "mean_prb")  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(PROBABILITIES, PROBABILITIES)
def test_the_baseline_is_taken_off_and_the_rest_clipped(reference: list[float], baseline: list[float]) -> None:
    difference = sum(reference) / len(reference) - sum(baseline) / len(baseline)
    clipped = ReferenceProbability()(asked(reference, baseline))
    assert clipped.value == pytest.approx(min(1.0, max(0.0, difference)), abs=1e-5)
    raw = ReferenceProbability(clip=False)(asked(reference, baseline))
    assert raw.value == pytest.approx(difference, abs=1e-5)
    alone = ReferenceProbability(baseline=False)(asked(reference))
    assert alone.value == pytest.approx(sum(reference) / len(reference), abs=1e-5)


@pytest.mark.parametrize("how", ["mean_prob", "geo", "prod", "mean_logp"])
def test_reasoning_that_helps_is_worth_more(how: Aggregation) -> None:
    reward = ReferenceProbability(how)
    values = [reward(asked([p, p], [0.3, 0.3])).value for p in (0.2, 0.3, 0.6, 0.9)]
    assert None not in values
    assert all(left <= right for left, right in pairwise(value for value in values if value is not None))
    assert values[0] == values[1] == 0
    assert values[3] is not None and values[3] > 0


def test_form_makes_up_its_share() -> None:
    run = asked([0.8], [0.3])
    mixed = ReferenceProbability(format_share=0.1)(run)
    assert mixed.components["format"] == 1
    assert mixed.value == pytest.approx(0.9 * 0.5 + 0.1)
    untagged = ReferenceProbability(format_share=0.1, tags=["answer"])(run)
    assert untagged.value == pytest.approx(0.9 * 0.5)


@pytest.mark.parametrize("signals", [None, Signals(), Signals(reference_probabilities=[0.5])])
def test_without_signals_there_is_no_value(signals: Signals | None) -> None:
    run = toy_run()
    run.signals = signals
    score: Score = ReferenceProbability()(run)
    assert score.value is None
    assert score.failure is not None
    assert score.failure.party == "infrastructure"


def test_no_value_is_infinite() -> None:
    score = ReferenceProbability("mean_logp", baseline=False, clip=False)(asked([0.0, 1.0]))
    assert score.value is None


def test_it_is_made_by_name() -> None:
    made = make_reward("probability", aggregation="geo", format_share=0.1)
    assert isinstance(made, ReferenceProbability)
    with pytest.raises(ConfigurationError):
        make_reward("probability", aggregation="geometric")


# --- the filter ----------------------------------------------------------------------------------------


def slow_filter(steps: list[list[list[float]]]) -> list[list[bool]]:
    """The filter, written out with its defaults."""
    average, kept = None, []
    for number, groups in enumerate(steps, start=1):
        sigmas = []
        for group in groups:
            mean = sum(group) / len(group)
            sigmas.append((sum((value - mean) ** 2 for value in group) / len(group)) ** 0.5)
        kept.append([number < 11 or average is None or sigma >= 0.5 * average for sigma in sigmas])
        if number >= 6:
            mean = sum(sigmas) / len(sigmas)
            average = mean if average is None else 0.99 * average + 0.01 * mean
    return kept


GROUPS = st.lists(
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=1, max_size=3), min_size=1, max_size=16
)


@settings(deadline=None, max_examples=40)
@given(GROUPS)
def test_the_filter_keeps_what_the_formula_keeps(steps: list[list[list[float]]]) -> None:
    filtering = DeviationFilter()
    assert [filtering.keep(groups) for groups in steps] == slow_filter(steps)


@settings(deadline=None, max_examples=40)
@given(GROUPS, st.integers(0, 16))
def test_the_filter_goes_on_from_its_state(steps: list[list[list[float]]], cut: int) -> None:
    whole, first = DeviationFilter(), DeviationFilter()
    expected = [whole.keep(groups) for groups in steps]
    found = [first.keep(groups) for groups in steps[:cut]]
    second = DeviationFilter.restore(json.loads(json.dumps(first.state())))
    assert found + [second.keep(groups) for groups in steps[cut:]] == expected
    assert second.state() == whole.state()


def test_the_filter_waits_then_leaves_out_what_is_all_the_same() -> None:
    filtering = DeviationFilter()
    varied, same = [0.0, 1.0], [0.5, 0.5]
    for _ in range(10):
        assert filtering.keep([varied, same]) == [True, True]
    assert filtering.average == pytest.approx(0.25)
    assert filtering.keep([varied, same, [0.3]]) == [True, False, False]


@pytest.mark.parametrize("options", [{"beta": -1}, {"decay": 1.0}, {"starts": 0}, {"starts": 11}])
def test_numbers_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        DeviationFilter(**options)  # type: ignore[arg-type]
