"""Figures of a scored run, as a report has them and as JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from telegym.evaluation.statistics import Estimate
from telegym.rewards.grm.calibration import Bin
from telegym.rewards.roles import Role

__all__ = [
    "Agreement",
    "CalibrationFigures",
    "CodeFigures",
    "ComponentFigures",
    "Cost",
    "Disagreement",
    "Excerpt",
    "FailureCount",
    "GuardFigures",
    "Histogram",
    "LengthBias",
    "LengthBucket",
    "PositionBias",
    "RewardReport",
    "ViewGap",
]


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Histogram(_Figures):
    """How often values lie where."""

    edges: tuple[float, ...]
    """Edges of the bins, rising; one more than bins."""
    counts: tuple[int, ...]
    """Values in each bin; a value on an edge is in the bin above, the largest in the last."""


class ComponentFigures(_Figures):
    """The values of the total, or of one component."""

    name: str
    """Its name."""
    role: Role | None
    """What it is; None for the total."""
    runs: int
    """Runs that it was asked about."""
    failed: Estimate
    """Share of them for which it has no value."""
    mean: Estimate
    """Mean of the values."""
    quantiles: dict[str, float]
    """Quantiles of the values, by probability; empty if there is none."""
    histogram: Histogram | None
    """None if there is no value."""
    substituted: int
    """Runs for which something else stood in for it."""


class FailureCount(_Figures):
    """Failures of a component by who has to act."""

    component: str
    """The component, or the total."""
    party: str
    """Who has to act: judge, infrastructure or task."""
    count: int
    """Runs."""
    share: Estimate
    """Share of all runs that it was asked about."""
    example: str
    """One message."""


class Agreement(_Figures):
    """How far two components agree, on runs or on calls."""

    first: str
    """The component that is compared."""
    second: str
    """What it is compared with: the outcome before the views, these before rules and judges."""
    of: Literal["runs", "calls"]
    """What both accept or not."""
    both: int
    """Accepted by both."""
    only_first: int
    """Accepted by the first alone."""
    only_second: int
    """Accepted by the second alone."""
    neither: int
    """Accepted by neither."""
    agreement: Estimate
    """Share on which they agree."""
    kappa: Estimate
    """Cohen's kappa: agreement beyond chance, -1 to 1; no value if both always say the same one thing."""

    @property
    def count(self) -> int:
        """Runs or calls of which both say something."""
        return self.both + self.only_first + self.only_second + self.neither


class CodeFigures(_Figures):
    """How well a component finds what another calls by a code."""

    component: str
    """The component."""
    reference: str
    """The component that is taken for right."""
    code: str
    """The code; `any` for calls that are not reasonable, whatever the code."""
    said: int
    """Calls of which the component says so."""
    true: int
    """Calls of which the reference says so."""
    both: int
    """Calls of which both say so."""
    precision: Estimate
    """Share of what the component says that is so; no value if it never says so."""
    recall: Estimate
    """Share of what is so that the component says; no value if it is never so."""


class ViewGap(_Figures):
    """How far the truth differs from what could be known."""

    oracle: str
    """The component that knows the truth."""
    observable: str
    """The component that knows what could be known."""
    gap: Estimate
    """Mean of the oracle's value less the other."""
    differing: Estimate
    """Share of runs of which the values differ."""
    calls: int
    """Calls of which both say something."""
    right_by_truth_alone: int
    """Calls that were right, but not by what could be known: luck, or a leap."""
    right_by_sight_alone: int
    """Calls that everything spoke for, and that were wrong: bad luck."""


class Disagreement(_Figures):
    """A run or a call on which two components disagree."""

    of: Literal["run", "call"]
    """What they disagree on."""
    component: str
    """The component that is compared."""
    reference: str
    """What it is compared with."""
    accepts: bool
    """What the component says; the reference says the opposite."""
    confidence: float
    """How far the component is from being undecided, 0 to 1."""
    environment: str
    """Name of the environment."""
    task: str
    """Id of the task."""
    seed: int
    """Seed of the episode."""
    agent: str
    """Who played."""
    file: str | None
    """File of the recording."""
    line: int | None
    """Its number in the file: `telegym replay FILE --line LINE`."""
    key: str
    """SHA-256 of everything that happened."""
    call: int | None = None
    """Position of the call, from 0."""
    made: str = ""
    """The call."""
    code: str | None = None
    """Why not, if the component or the reference gives a code."""
    evidence: str = ""
    """What the component rests on."""
    reference_evidence: str = ""
    """What the reference rests on."""
    analysis: str = ""
    """What the judge wrote before its verdict."""


class LengthBias(_Figures):
    """Whether long runs get more than they deserve."""

    component: str
    """The component, or the total."""
    given: str | None
    """The outcome that is accounted for; None if there is none, and `partial` has no value."""
    plain: Estimate
    """Correlation of value and logarithm of the length."""
    partial: Estimate
    """The same with the outcome accounted for in both."""


class LengthBucket(_Figures):
    """Runs of about one length."""

    shortest: int
    """Characters of the shortest."""
    longest: int
    """Characters of the longest."""
    runs: int
    """Runs of this length."""
    accepted: dict[str, Estimate]
    """Share of them that each component accepts."""


class PositionBias(_Figures):
    """Whether a judge that compares runs is swayed by their order."""

    component: str
    """The judge."""
    runs: int
    """Runs that were shown in several orders."""
    flipped: Estimate
    """Share of them whose verdict changed with the order."""
    by_place: tuple[Estimate, ...]
    """For each place, from the first: how much better a run does there than it does on average."""
    judged_alone: int
    """Runs that were judged on their own in the end, for the order mattered too much."""


class Excerpt(_Figures):
    """A hit of a guard."""

    environment: str
    """Name of the environment."""
    task: str
    """Id of the task."""
    seed: int
    """Seed of the episode."""
    file: str | None
    """File of the recording."""
    line: int | None
    """Its number in the file."""
    severity: str
    """What follows from it."""
    reason: str
    """What is wrong."""
    excerpt: str
    """What was found."""


class GuardFigures(_Figures):
    """The hits of one guard."""

    guard: str
    """Its name."""
    runs: int
    """Runs with a hit."""
    share: Estimate
    """Their share of the runs that were looked at."""
    hits: int
    """Hits."""
    severities: dict[str, int]
    """Hits by what follows from them."""
    excerpts: tuple[Excerpt, ...]
    """The first hits, those with graver consequences before others."""


class CalibrationFigures(_Figures):
    """How often a judge is right when it says so."""

    component: str
    """The judge."""
    truth: str
    """What is taken for true."""
    runs: int
    """Runs of which both say something."""
    error: Estimate
    """Expected calibration error over 15 bins of equal mass, 0 to 1."""
    brier: Estimate
    """Mean squared distance of value and truth: 0 is perfect, 0.25 is always saying one half."""
    table: tuple[Bin, ...]
    """The bins."""


class Cost(_Figures):
    """What a component took."""

    component: str
    """The component."""
    runs: int
    """Runs whose verdict says what it took."""
    took: dict[str, float]
    """What the verdicts took when they were asked for, summed: requests, tokens, cost, votes, what was unreadable."""
    used: dict[str, int] | None
    """What was really used when these scores were made, answers from stores (`cached`) and whole scores from caches
    (`kept`) apart; None if it was not written down."""


class RewardReport(_Figures):
    """All figures of a scored run. Intervals hold the true value with 95% probability; tasks are resampled."""

    runs: int
    """Scored runs."""
    tasks: int
    """Different tasks."""
    groups: int
    """Different groups."""
    environments: tuple[str, ...]
    """Names of the environments."""
    thresholds: dict[str, float]
    """What a component accepts has a value above this; outcomes accept successes."""
    components: tuple[ComponentFigures, ...]
    """The total and all components."""
    failures: tuple[FailureCount, ...]
    """Failures, the most frequent first."""
    agreement: tuple[Agreement, ...]
    """Agreement of pairs on runs and on calls."""
    codes: tuple[CodeFigures, ...]
    """Precision and recall of codes."""
    views: tuple[ViewGap, ...]
    """Gap between truth and sight."""
    disagreements: tuple[Disagreement, ...]
    """Cases to read, the most confident first."""
    length: tuple[LengthBias, ...]
    """Correlations with the length."""
    buckets: tuple[LengthBucket, ...]
    """Runs by length, the shortest first."""
    position: tuple[PositionBias, ...]
    """Judges that compare."""
    guarded: int
    """Runs that guards looked at."""
    guards: tuple[GuardFigures, ...]
    """Hits of guards, the most frequent first."""
    calibration: tuple[CalibrationFigures, ...]
    """Judges against truth."""
    cost: tuple[Cost, ...]
    """What judges took."""
    missing: tuple[str, ...]
    """What is not in this report, and why."""
