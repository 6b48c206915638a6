"""Reward by confidence: how sure the policy is of what it says, and nothing else (RLIF: Intuitor, arXiv 2505.19590).

Self-certainty is the mean divergence of the policy's distribution from the uniform one over the tokens that it sampled.
Unlike low entropy it is seeking modes and is biased less to long texts. Such rewards need no label, and may be gained
by being sure of nonsense: watch the outcome beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.score import Failure, Score
from telegym.rewards.base import Reward, Run, Signals

__all__ = ["Confidence", "Measure", "entropy_bits", "self_certainty"]

Measure = Literal["self_certainty", "entropy", "log_likelihood", "mean_log_likelihood"]
"""What is measured; see `Confidence`."""


def self_certainty(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the divergence KL(U || pi) of distributions from the uniform one, in nats.

    With V tokens, KL(U || pi) = -log V - mean(log pi) = logsumexp(logits) - mean(logits) - log V: 0 for the uniform
    distribution, and without bound for one that is sure.

    Args:
        logits: Of any shape; the last axis is the vocabulary.
    """
    values = np.asarray(logits, dtype=np.float64)
    highest = values.max(-1, keepdims=True)
    total = np.log(np.exp(values - highest).sum(-1)) + highest[..., 0]
    result: NDArray[np.float64] = total - values.mean(-1) - math.log(values.shape[-1])
    return result


def entropy_bits(entropies: Sequence[float]) -> float:
    """Return the mean of entropies in nats as bits a token.

    Raises:
        ValueError: If there is none.
    """
    if not entropies:
        raise ValueError("there is no token whose entropy could be told")
    return math.fsum(entropies) / len(entropies) / math.log(2)


class Confidence(Reward):
    """How sure the policy was of the tokens that it sampled. Needs `run.signals`; a run without them has no value.

    Args:
        measure: `self_certainty`: mean divergence from the uniform distribution, in nats, from 0 up. `entropy`: mean
            entropy in bits with a minus sign, at most 0. `log_likelihood`: log-probability of all sampled tokens
            together, in nats, at most 0. `mean_log_likelihood`: the same for each token.

    Raises:
        ConfigurationError: If the measure is unknown.
    """

    name = "confidence"

    needs_signals = True

    def __init__(self, measure: Measure = "self_certainty") -> None:
        valid = get_args(Measure)
        if measure not in valid:
            raise ConfigurationError(
                f"no measure {measure!r}; valid: {', '.join(valid)}.{did_you_mean(measure, valid)}"
            )
        self.measure: Measure = measure

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return the confidence of each run; without the signals it is a failure of the infrastructure."""
        return [self._score(run.signals) for run in runs]

    def _score(self, signals: Signals | None) -> Score:
        values = self._tokens(signals) if signals is not None else ()
        if not values:
            message = f"no signals for {self.measure}; see telegym.agents.signals"
            return Score(failure=Failure(party="infrastructure", message=message))
        if self.measure == "entropy":
            value = -entropy_bits(values)
        else:
            total = math.fsum(values)
            value = total if self.measure == "log_likelihood" else total / len(values)
        return Score(value=value, components={self.measure: value})

    def _tokens(self, signals: Signals) -> Sequence[float]:
        if self.measure == "self_certainty":
            return signals.certainties
        return signals.entropies if self.measure == "entropy" else signals.logprobs
