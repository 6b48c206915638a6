"""A judge of votes: which of several votes is likely to be right, from how it was given.

A logistic regression on seven features of a vote, trained on votes of which it is known whether they were right
(simulators label them for nothing). The better half of the votes is kept (compare the meta reward model of
"Inference-Time Scaling for Generalist Reward Modeling", arXiv:2504.02495).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from telegym.core.errors import ConfigurationError
from telegym.rewards.grm.calibration import logistic_weights
from telegym.rewards.grm.panel import Vote
from telegym.rewards.grm.verdicts import Verdict

__all__ = ["FEATURES", "MetaJudge", "vote_features"]

FEATURES = ("readable", "agreed", "cites", "consistent", "marked", "length", "agreement")
"""What is looked at: whether the reply could be read at once; whether box and JSON agree; the share of cited calls that
exist (0 if none is cited); whether codes and verdicts fit; whether each call was marked; the number of words of the
analysis; the share of the other votes with the same verdict. The length counts twice: by its distance from the mean
in standard deviations, and by the square of that."""

_LENGTH = FEATURES.index("length")


def vote_features(votes: Sequence[Vote[Verdict]], calls: int) -> list[list[float]]:
    """Return the features of votes on one run, all of which have a verdict.

    Args:
        votes: The votes.
        calls: Number of calls they had to mark.
    """
    verdicts = [vote.verdict for vote in votes if vote.verdict is not None]
    return [_features(vote, verdict, verdicts, calls) for vote, verdict in zip(votes, verdicts, strict=True)]


def _features(vote: Vote[Verdict], verdict: Verdict, verdicts: Sequence[Verdict], calls: int) -> list[float]:
    same = sum(other.score == verdict.score for other in verdicts) - 1
    existing = sum(1 <= number <= calls for number in verdict.cited)
    return [
        float(not vote.asked_again),
        float(verdict.agreed),
        existing / len(verdict.cited) if verdict.cited else 0.0,
        float(verdict.consistent),
        float(verdict.calls is not None),
        float(len(verdict.analysis.split())),
        same / (len(verdicts) - 1) if len(verdicts) > 1 else 0.5,
    ]


class MetaJudge(BaseModel):
    """Says how likely a vote is right. It is stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    means: tuple[float, ...]
    """Mean of each feature."""
    deviations: tuple[float, ...]
    """Standard deviation of each feature; 1 where it does not vary."""
    weights: tuple[float, ...]
    """Weight of each feature, of the square of the length, and the offset."""
    count: int = 0
    """Votes it was trained on."""

    @classmethod
    def fit(cls, features: npt.ArrayLike, right: npt.ArrayLike, penalty: float = 1.0) -> Self:
        """Train on votes.

        Args:
            features: One row of `FEATURES` for each vote.
            right: Whether each vote was right.
            penalty: Factor of half the squared weights.

        Raises:
            ConfigurationError: If the shapes do not fit, or all votes were right or all wrong.
        """
        rows, targets = np.asarray(features, dtype=np.float64), np.asarray(right, dtype=np.float64)
        if rows.ndim != 2 or rows.shape != (len(targets), len(FEATURES)):
            raise ConfigurationError(f"features of shape {rows.shape} do not fit {len(targets)} labels")
        if targets.min() == targets.max():
            raise ConfigurationError("a judge of votes needs votes that were right and votes that were wrong")
        means, deviations = rows.mean(0), rows.std(0)
        deviations[deviations == 0] = 1.0
        weights = logistic_weights(_expanded((rows - means) / deviations), targets, penalty)
        return cls(
            means=tuple(means.tolist()),
            deviations=tuple(deviations.tolist()),
            weights=tuple(weights.tolist()),
            count=len(targets),
        )

    def probabilities(self, features: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return for each vote the probability that it is right."""
        rows = (np.asarray(features, dtype=np.float64) - np.asarray(self.means)) / np.asarray(self.deviations)
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(_expanded(rows) @ np.asarray(self.weights), -500, 500))))

    def keep(self, votes: Sequence[Vote[Verdict]], calls: int) -> list[int]:
        """Return the positions of the better half of the votes on one run, rounded up, in their order."""
        if len(votes) < 2:
            return list(range(len(votes)))
        likely = self.probabilities(vote_features(votes, calls))
        best = sorted(range(len(votes)), key=lambda place: (-round(float(likely[place]), 12), place))
        return sorted(best[: -(-len(votes) // 2)])

    def write(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ConfigurationError: If the file cannot be read or is none.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise ConfigurationError(f"{path}: not a judge of votes: {str(error).splitlines()[0]}") from error


def _expanded(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Add the square of the length and a column of ones."""
    squares = rows[:, _LENGTH : _LENGTH + 1] ** 2
    return np.concatenate([rows, squares, np.ones((len(rows), 1))], axis=1)
