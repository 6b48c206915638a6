"""Rewards: callables that say what runs are worth.

A reward takes runs and returns one score for each, in order. It gets many at once, so that judges can be asked in
batches and the runs of a group (same task, same seed) can be compared. A failure of a judge or of the infrastructure is
a score with a `failure` and without a value; it is never raised and never turned into zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal, Self

from pydantic import Field

from telegym.core.environment import Environment
from telegym.core.episode import CallRecord, Episode
from telegym.core.messages import Message
from telegym.core.score import Failure, Score
from telegym.core.task import Task
from telegym.core.trajectory import CallEntry, Trajectory
from telegym.core.world import sha256_hex
from telegym.rewards.verdict import CallVerdict

__all__ = ["Judgement", "Reward", "Run", "Signals", "Sitting"]


class Judgement(Score):
    """A score that tells more: verdicts on the calls, the judge's analysis, counters."""

    verdicts: tuple[CallVerdict, ...] = ()
    """Verdicts on the agent's calls, in order."""
    analysis: str = ""
    """What a judge wrote before its verdict."""
    counters: dict[str, float] = Field(default_factory=dict)
    """What the verdict took and what was noticed: requests, tokens, votes, guard hits."""


class Signals:
    """What only the policy that made a run can tell: log-probabilities of its tokens.

    Args:
        logprobs: Log-probability of each token the policy sampled, in nats.
        entropies: Entropy of the distribution at each of these tokens, in nats.
        certainties: KL divergence from the uniform distribution to the policy's at each token, in nats.
        reference_probabilities: Probability of each token of the reference answer given the reasoning of the run.
        baseline_probabilities: The same without the reasoning, under the first policy.
    """

    __slots__ = ("baseline_probabilities", "certainties", "entropies", "logprobs", "reference_probabilities")

    def __init__(
        self,
        logprobs: Sequence[float] = (),
        entropies: Sequence[float] = (),
        certainties: Sequence[float] = (),
        reference_probabilities: Sequence[float] = (),
        baseline_probabilities: Sequence[float] = (),
    ) -> None:
        self.logprobs = logprobs
        self.entropies = entropies
        self.certainties = certainties
        self.reference_probabilities = reference_probabilities
        self.baseline_probabilities = baseline_probabilities


class Run:
    """A run to be scored: a live episode, a recorded trajectory, or both; each is made from the other when needed.

    Args:
        episode: The episode, if it is at hand.
        trajectory: The recording, if it is at hand.
        reopen: Plays a recording again; needed for rewards that look into the simulator if there is no episode.
        group: Runs of a group are of the same task and seed; the id of the task and the seed by default.
        signals: What the policy's log-probabilities tell, if known.
        source: The file of the recording, and its number in it from 1, if it was read from one.
    """

    def __init__(
        self,
        episode: Episode | None = None,
        trajectory: Trajectory | None = None,
        *,
        reopen: Callable[[Trajectory], Episode] | None = None,
        group: str | None = None,
        signals: Signals | None = None,
        source: tuple[str, int] | None = None,
    ) -> None:
        if episode is None and trajectory is None:
            raise ValueError("a run needs an episode or a trajectory")
        self._episode = episode
        self._trajectory = trajectory
        self._reopen = reopen
        self._group = group
        self.signals = signals
        self.source = source

    @classmethod
    def of(cls, episode: Episode, group: str | None = None) -> Self:
        """Return the run of a live episode."""
        return cls(episode, group=group)

    @property
    def live(self) -> Episode | None:
        """The episode, if it is at hand without playing anything again."""
        return self._episode

    @cached_property
    def episode(self) -> Episode:
        """The episode, played again from the recording if need be.

        Raises:
            ValueError: If there is only a recording and nobody to play it again.
        """
        if self._episode is not None:
            return self._episode
        if self._reopen is None or self._trajectory is None:
            raise ValueError("this run has only a recording; pass `reopen` to have it played again")
        return self._reopen(self._trajectory)

    @cached_property
    def trajectory(self) -> Trajectory:
        """The recording, made from the episode if need be."""
        return self._trajectory if self._trajectory is not None else self.episode.trajectory()

    @property
    def task(self) -> Task:
        """The task that was worked on."""
        return self._trajectory.task if self._trajectory is not None else self.episode.task

    @property
    def messages(self) -> Sequence[Message]:
        """All messages."""
        return self._trajectory.messages if self._trajectory is not None else self.episode.messages

    @property
    def calls(self) -> Sequence[CallEntry | CallRecord]:
        """All tool calls."""
        return self._trajectory.calls if self._trajectory is not None else self.episode.calls

    @property
    def infrastructure_failure(self) -> Failure | None:
        """What broke the run from outside, if anything did: it then says nothing about the agent."""
        failure = self._trajectory.score.failure if self._trajectory is not None else self.episode.failure
        return failure if failure is not None and failure.party == "infrastructure" else None

    @cached_property
    def outcome(self) -> Score:
        """The environment's own score."""
        return self._trajectory.score if self._trajectory is not None else self.episode.score()

    @cached_property
    def environment(self) -> Environment:
        """The environment: the episode's if it is at hand, otherwise an equal one made from the recording.

        Raises:
            ConfigurationError: If the recording names an environment that is not registered.
        """
        if self._episode is not None:
            return self._episode.environment
        from telegym.envs.registry import make_environment

        return make_environment(self.trajectory.environment, **self.trajectory.options)

    @cached_property
    def group(self) -> str:
        """Name of the group: runs of the same task and seed."""
        if self._group is not None:
            return self._group
        if self._trajectory is not None:
            return f"{self._trajectory.task.id}#{self._trajectory.seed}"
        return f"{self.episode.task.id}#{self.episode.seed}"

    @cached_property
    def key(self) -> str:
        """SHA-256 of everything that happened: equal runs have equal keys."""
        return sha256_hex(self.trajectory.to_json())


class Sitting(ABC):
    """A reward that is asked about a batch bit by bit, as its runs come to an end. Safe to use from several threads.

    `settle(runs, [score for each piece in consider(piece)])` is what `score(runs)` would have returned.
    """

    piece: Literal["run", "group", "batch"] = "batch"
    """What it has to be asked about together."""

    @abstractmethod
    def consider(self, runs: Sequence[Run]) -> list[Score]:
        """Return scores of one piece, in order."""

    def settle(self, runs: Sequence[Run], scores: Sequence[Score]) -> list[Score]:
        """Return the scores of the whole batch, given those of its pieces; called once."""
        return list(scores)


class Reward(ABC):
    """Says what runs are worth. Safe to call from several threads."""

    name: str
    """Under which its components are reported."""
    version: str = "1"
    """Part of the keys of caches: another one when equal runs would be scored otherwise than before."""
    waits: bool = False
    """Whether it waits for others, as judges do: it is asked in threads, a batch at a time."""
    groupwise: bool = False
    """Whether a score depends on the other runs of the group. Groups are never cut."""
    persuadable: bool = False
    """Whether the words of a run could sway it, as they could a language model that judges."""
    needs_signals: bool = False
    """Whether it goes by `Run.signals`: what only the policy knows of its own tokens."""
    needs_references: bool = False
    """Whether what it needs of these are the probabilities of the reference answer."""
    needs_baseline: bool = False
    """Whether it needs these also without the reasoning, under the first policy."""

    @abstractmethod
    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return one score for each run, in order.

        Failures of judges and of the infrastructure are scores with a `failure`; they are not raised.
        """

    def sitting(self) -> Sitting | None:
        """Return the reward as it is asked while other runs are still going on; None if it must not be."""
        return None

    def __call__(self, run: Run) -> Score:
        """Return the score of a single run."""
        return self.score([run])[0]
