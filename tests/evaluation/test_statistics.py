from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.evaluation.statistics import (
    Estimate,
    bootstrap_difference,
    mean_over_seeds,
    normal_quantile,
    pass_hat_k,
    success_rate,
    t_quantile,
    wilson_interval,
)

RATES = st.floats(0, 1)
TRIALS = st.dictionaries(st.text(max_size=3), st.lists(st.sampled_from([0.0, 1.0]), max_size=5), max_size=8)


def flat(*values: float) -> dict[str, list[float]]:
    return {f"t{index}": [value] for index, value in enumerate(values)}


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(5, 10, 0.2366, 0.7634), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_as_in_the_literature(successes: int, n: int, low: float, high: float) -> None:
    # 81 of 263 is the example of Newcombe (1998), whose table gives 0.2553 and 0.3662 for method 3.
    estimate = success_rate(flat(*[1.0] * successes, *[0.0] * (n - successes)))
    assert (estimate.value, estimate.n, estimate.method) == (successes / n, n, "wilson")
    assert estimate.low == pytest.approx(low, abs=5e-5)
    assert estimate.high == pytest.approx(high, abs=5e-5)


@given(rate=RATES, n=st.integers(1, 10_000), confidence=st.floats(0.5, 0.999))
def test_a_wilson_interval_holds_the_rate_and_stays_within_0_and_1(rate: float, n: int, confidence: float) -> None:
    low, high = wilson_interval(rate, n, confidence)
    assert 0 <= low <= rate <= high <= 1
    assert (
        wilson_interval(rate, 2 * n, confidence)[1] - wilson_interval(rate, 2 * n, confidence)[0] <= high - low + 1e-12
    )


def test_equal_trials_of_a_task_add_nothing() -> None:
    once = success_rate(flat(1.0, 1.0, 0.0, 1.0, 0.0, 0.0))
    repeated = success_rate({task: values * 8 for task, values in flat(1.0, 1.0, 0.0, 1.0, 0.0, 0.0).items()})
    assert repeated.method == "wilson-clustered"
    assert repeated.n == 48
    assert repeated.low == pytest.approx(once.low)
    assert repeated.high == pytest.approx(once.high)


def test_tasks_that_all_succeed_count_once_each() -> None:
    estimate = success_rate({f"t{index}": [1.0] * 8 for index in range(6)})
    assert (estimate.low, estimate.high) == wilson_interval(1.0, 6)


def test_trials_that_resemble_each_other_somewhat_count_in_part() -> None:
    # Residuals 1, 0, -1, 0: the variance of the rate is 4/3 · 2/64, that of six independent trials.
    estimate = success_rate({"a": [1.0, 1.0], "b": [1.0, 0.0], "c": [0.0, 0.0], "d": [0.0, 1.0]})
    assert [estimate.low, estimate.high] == pytest.approx(wilson_interval(0.5, 6))


def test_independent_trials_count_in_full() -> None:
    alike = success_rate({f"t{index}": [1.0, 0.0] for index in range(10)})
    assert (alike.low, alike.high) == pytest.approx(wilson_interval(0.5, 20))


@given(trials=TRIALS)
def test_a_success_rate_is_the_share_of_successes(trials: dict[str, list[float]]) -> None:
    estimate = success_rate(trials)
    values = list(itertools.chain(*trials.values()))
    assert estimate.n == len(values)
    if estimate.value is None:
        assert not values
        return
    assert estimate.value == pytest.approx(sum(values) / len(values))
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low <= estimate.value <= estimate.high
    widest = wilson_interval(estimate.value, sum(bool(outcomes) for outcomes in trials.values()))
    assert widest[0] - 1e-12 <= estimate.low
    assert estimate.high <= widest[1] + 1e-12


def test_differences_are_paired_by_task() -> None:
    # The tasks differ a lot, the agents by little: unpaired, nothing could be seen.
    before = {f"t{index}": [float(index % 2)] * 10 for index in range(40)}
    after = {task: [*values[1:], 1.0] for task, values in before.items()}
    estimate = bootstrap_difference(before, after)
    assert estimate.value == pytest.approx(0.05)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0.03 < estimate.low < 0.05 < estimate.high < 0.07
    assert estimate.n == 40


def test_only_tasks_of_both_sides_count() -> None:
    estimate = bootstrap_difference({"a": [0.0], "b": [1.0], "c": []}, {"a": [1.0], "c": [0.0], "d": [0.0]})
    assert estimate == Estimate(value=1.0, n=1, method="bootstrap")


def test_bootstrap_depends_on_its_seed_alone() -> None:
    rng = Random(1)
    before, after = (flat(*(rng.random() for _ in range(60))) for _ in range(2))
    assert bootstrap_difference(before, after, seed=1) == bootstrap_difference(before, after, seed=1)
    assert bootstrap_difference(before, after, seed=1) != bootstrap_difference(before, after, seed=2)


def test_bootstrap_agrees_with_the_normal_approximation() -> None:
    values = [1.0] * 60 + [0.0] * 30 + [-1.0] * 10
    estimate = bootstrap_difference(flat(*[0.0] * 100), flat(*values))
    deviation = math.sqrt(sum((value - 0.5) ** 2 for value in values) / 100)
    assert estimate.value == pytest.approx(0.5)
    assert estimate.low == pytest.approx(0.5 - 1.96 * deviation / 10, abs=0.015)
    assert estimate.high == pytest.approx(0.5 + 1.96 * deviation / 10, abs=0.015)


@pytest.mark.parametrize(("change", "low", "high"), [(0.0, -0.2425, 0.2425), (1.0, 0.515, 1.0), (-1.0, -1.0, -0.515)])
def test_tasks_that_all_change_alike_leave_some_doubt(change: float, low: float, high: float) -> None:
    start = 1.0 if change < 0 else 0.0
    estimate = bootstrap_difference(flat(*[start] * 12), flat(*[start + change] * 12))
    assert estimate.value == change
    assert [estimate.low, estimate.high] == pytest.approx([low, high], abs=1e-4)


def test_t_interval_over_seeds() -> None:
    estimate = mean_over_seeds([0.2, 0.3, 0.4])
    assert estimate.value == pytest.approx(0.3)
    assert estimate.high == pytest.approx(0.3 + 4.302653 * 0.1 / math.sqrt(3))
    assert estimate.low == pytest.approx(0.3 - 4.302653 * 0.1 / math.sqrt(3))
    assert mean_over_seeds([0.2]) == Estimate(value=0.2, n=1, method="t")
    assert mean_over_seeds([]).value is None


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.70620), (2, 4.302653), (3, 3.182446), (4, 2.776445), (5, 2.570582), (9, 2.262157), (30, 2.042272)],
)
def test_quantiles_of_students_t(degrees: int, quantile: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(quantile, rel=1e-6)
    assert t_quantile(0.025, degrees) == pytest.approx(-quantile, rel=1e-6)


def test_quantiles_of_the_normal_distribution() -> None:
    assert normal_quantile(0.975) == pytest.approx(1.959963984540054, rel=1e-12)
    assert normal_quantile(0.5) == pytest.approx(0.0, abs=1e-12)
    assert t_quantile(0.95, 2000) == pytest.approx(normal_quantile(0.95), rel=1e-3)


@pytest.mark.parametrize("call", [lambda: wilson_interval(0.5, 3, 1.0), lambda: mean_over_seeds([1, 2], 1.5)])
def test_impossible_confidences_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        call()


OUTCOMES = st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=6)


@given(st.lists(OUTCOMES, min_size=1, max_size=4), st.integers(1, 4))
def test_pass_hat_k_is_the_share_of_k_subsets_without_a_miss(tasks: list[list[float]], k: int) -> None:
    shares = [
        sum(all(subset) for subset in itertools.combinations(values, k)) / math.comb(len(values), k) for values in tasks
    ]
    trials = {str(index): values for index, values in enumerate(tasks)}
    assert pass_hat_k(trials, k) == pytest.approx(sum(shares) / len(shares))


def test_pass_hat_k_leaves_out_tasks_with_too_few_trials() -> None:
    assert pass_hat_k({"a": [1.0, 1.0], "b": [0.0]}, 2) == 1.0
    assert pass_hat_k({"a": [1.0]}, 2) is None
    with pytest.raises(ValueError, match="at least 1"):
        pass_hat_k({}, 0)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(value=0.625, low=0.484, high=0.748), "62.5% (48.4–74.8)"),
        (Estimate(value=None), "–"),
        (Estimate(value=0.5), "50.0%"),
    ],
)
def test_estimates_read_well(estimate: Estimate, text: str) -> None:
    assert estimate.format() == text
