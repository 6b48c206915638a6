from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.rewards.base import Signals
from telegym.rewards.confidence import Confidence, entropy_bits, self_certainty
from telegym.rewards.registry import make_reward
from tests.rewards.parts import toy_run

LOGITS = st.lists(st.floats(-30, 30), min_size=2, max_size=30)


def slow_divergence(logits: list[float]) -> float:
    """KL(U || pi), token by token."""
    highest = max(logits)
    total = sum(math.exp(value - highest) for value in logits)
    size = len(logits)
    divergence = 0.0
    for value in logits:
        log_probability = value - highest - math.log(total)
        divergence += (math.log(1 / size) - log_probability) / size
    return divergence


@settings(deadline=None, max_examples=40)
@given(LOGITS)
def test_self_certainty_is_the_divergence_from_the_uniform_distribution(logits: list[float]) -> None:
    assert float(self_certainty(logits)) == pytest.approx(slow_divergence(logits), abs=1e-5)
    assert float(self_certainty(logits)) >= -1e-9


@settings(deadline=None, max_examples=40)
@given(LOGITS, st.floats(-100, 100))
def test_the_identity_of_the_code(logits: list[float], shift: float) -> None:
    """It is logsumexp less mean up to a constant, so a shift of all logits changes nothing."""
    values = np.array(logits)
    plain = np.log(np.exp(values).sum()) - values.mean()
    assert float(self_certainty(logits)) == pytest.approx(plain - math.log(len(logits)), abs=1e-5)
    assert float(self_certainty(values + shift)) == pytest.approx(float(self_certainty(logits)), abs=1e-5)


def test_the_uniform_distribution_is_not_sure_at_all() -> None:
    assert float(self_certainty([3.0] * 8)) == pytest.approx(0)
    assert self_certainty([[0.0, 0.0], [0.0, 5.0]]).shape == (2,)
    assert entropy_bits([math.log(8)]) == pytest.approx(3)
    with pytest.raises(ValueError, match="no token"):
        entropy_bits([])


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("self_certainty", 3.0), ("entropy", -1.5), ("log_likelihood", -4.0), ("mean_log_likelihood", -2.0)],
)
def test_measures(measure: str, expected: float) -> None:
    run = toy_run()
    run.signals = Signals([-1.0, -3.0], [math.log(2), math.log(4)], [2.0, 4.0])
    score = make_reward("confidence", measure=measure)(run)
    assert score.value == pytest.approx(expected)
    assert score.components == {measure: score.value}


@pytest.mark.parametrize("signals", [None, Signals(logprobs=[-1.0])])
def test_without_signals_there_is_no_value(signals: Signals | None) -> None:
    run = toy_run()
    run.signals = signals
    score = Confidence()(run)
    assert score.value is None
    assert score.failure is not None


def test_unknown_measures_are_named() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'entropy'"):
        Confidence("entrpy")  # type: ignore[arg-type]
