"""Report of a scored run: what its components say, how far they agree, and where to look.

It is made from scores alone (`telegym judge --output`). What a part of the report would need and the scores do not
have is named in `missing`; it is never counted as zero.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.evaluation.resampling import (
    Array,
    TaskBootstrap,
    calibration_rows,
    calibration_statistic,
    confusion_rows,
    correlation_rows,
    kappa_statistic,
    partial_correlation_statistic,
    ratio,
)
from telegym.evaluation.reward_figures import (
    Agreement,
    CalibrationFigures,
    CodeFigures,
    ComponentFigures,
    Cost,
    Disagreement,
    Excerpt,
    FailureCount,
    GuardFigures,
    Histogram,
    LengthBias,
    LengthBucket,
    PositionBias,
    RewardReport,
    ViewGap,
)
from telegym.evaluation.scored import Part, ScoredRun, roles_in
from telegym.evaluation.statistics import Estimate
from telegym.rewards.compose import GUARDS
from telegym.rewards.grm.calibration import reliability
from telegym.rewards.roles import Role
from telegym.rewards.verdict import CallVerdict, Code

__all__ = ["TOTAL", "reward_report"]

TOTAL = "total"
"""Name under which the combined score is reported."""

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS = 20
_BUCKETS = 4
_EXCERPTS = 5
_SAME = 1e-6
_AUTHORITY: dict[Role, int] = {"outcome": 0, "oracle": 1, "observable": 2, "rule": 3, "judge": 4}
_TOOK = ("requests", "prompt_tokens", "completion_tokens", "cost", "votes", "unreadable", "unanswered", "conflicts")


def reward_report(
    runs: Sequence[ScoredRun],
    *,
    roles: Mapping[str, str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    usage: Mapping[str, Mapping[str, int]] | None = None,
    seed: int = 0,
    resamples: int = 2_000,
    most: int = 20,
) -> RewardReport:
    """Return the report of scored runs.

    Args:
        runs: The runs.
        roles: What components are, over what the scores say: outcome, oracle, observable, rule or judge.
        thresholds: Above which value a component accepts a run; 0.5 by default. Outcomes accept successes alone.
        usage: What was really used, by component.
        seed: Of the resamples.
        resamples: How often tasks are resampled.
        most: Largest number of disagreements, of runs and of calls each.

    Raises:
        ConfigurationError: If there are no runs, or a component or role is unknown.
    """
    if not runs:
        raise ConfigurationError("there are no scored runs to report on")
    known = roles_in(runs, dict(roles or {}))
    for name in thresholds or {}:
        if name not in known:
            raise ConfigurationError(
                f"threshold for {name!r}; there are {', '.join(known)}.{did_you_mean(name, list(known))}"
            )
    bootstrap = TaskBootstrap([run.cluster for run in runs], seed=seed, resamples=resamples)
    return _Maker(runs, known, dict(thresholds or {}), dict(usage or {}), bootstrap, most).report()


class _Maker:
    """Makes a report part by part; each part says what it misses."""

    def __init__(
        self,
        runs: Sequence[ScoredRun],
        roles: dict[str, Role],
        thresholds: dict[str, float],
        usage: dict[str, Mapping[str, int]],
        bootstrap: TaskBootstrap,
        most: int,
    ) -> None:
        self.runs = runs
        self.roles = roles
        self.thresholds = {name: thresholds.get(name, 0.5) for name, role in roles.items() if role != "outcome"}
        self.usage = usage
        self.bootstrap = bootstrap
        self.most = most
        self.missing: list[str] = []
        self._said = {name: self._told_of_calls(name) for name in roles}

    def report(self) -> RewardReport:
        self._say_what_roles_miss()
        return RewardReport(
            runs=len(self.runs),
            tasks=self.bootstrap.count,
            groups=len({run.group for run in self.runs}),
            environments=tuple(sorted({run.environment for run in self.runs})),
            thresholds=self.thresholds,
            components=tuple(self._component(name) for name in (TOTAL, *self.roles)),
            failures=tuple(sorted(self._failures(), key=lambda each: (-each.count, each.component, each.party))),
            agreement=(*self._run_agreement(), *self._call_agreement()),
            codes=tuple(self._codes()),
            views=tuple(self._views()),
            disagreements=self._disagreements(),
            length=tuple(self._length()),
            buckets=tuple(self._buckets()),
            position=tuple(self._position()),
            guarded=sum(GUARDS in run.parts for run in self.runs),
            guards=tuple(self._guards()),
            calibration=tuple(self._calibration()),
            cost=tuple(self._cost()),
            missing=tuple(dict.fromkeys(self.missing)),
        )

    def _say_what_roles_miss(self) -> None:
        if self.bootstrap.count < 2:
            self.missing.append("intervals: all runs are of one task")
        for role, parts in (
            ("outcome", "agreement with it, length bias given it"),
            ("oracle", "agreement with the truth on calls"),
            ("judge", "calibration, position bias, cost"),
        ):
            if not self._named(role):
                self.missing.append(f"no component is of the role {role}: {parts}")

    # --- what was said ------------------------------------------------------------------------------------

    def _named(self, *roles: str) -> list[str]:
        return [name for name, role in self.roles.items() if role in roles]

    def _values(self, name: str) -> list[tuple[int, float]]:
        """Return the runs for which a component, or the total, has a value, and the values."""
        parts = ((row, run if name == TOTAL else run.parts.get(name)) for row, run in enumerate(self.runs))
        return [(row, part.value) for row, part in parts if part is not None and part.value is not None]

    def _accepts(self, name: str) -> dict[int, bool]:
        """Return for each run with a value whether a component accepts it."""
        if self.roles[name] == "outcome":
            return {row: value >= 1 - _SAME for row, value in self._values(name)}
        return {row: value > self.thresholds[name] for row, value in self._values(name)}

    def _verdicts(self, name: str) -> dict[tuple[int, int], CallVerdict]:
        """Return what a component says of calls, by run and position."""
        return self._said[name]

    def _told_of_calls(self, name: str) -> dict[tuple[int, int], CallVerdict]:
        """Return what a component says of calls, by run and position, as far as it says something."""
        return {
            (row, verdict.index): verdict
            for row, run in enumerate(self.runs)
            if name in run.parts
            for verdict in run.parts[name].verdicts
            if verdict.reasonable is not None
        }

    def _share(self, said: Mapping[int, bool] | Mapping[tuple[int, int], bool]) -> Estimate:
        """Return the share of runs or calls of which something is so."""
        rows = [key if isinstance(key, int) else key[0] for key in said]
        return self._mean(rows, [float(value) for value in said.values()], share=True)

    def _mean(self, rows: Sequence[int], values: Sequence[float], *, share: bool = False) -> Estimate:
        return self.bootstrap.estimate([(1.0, value) for value in values], rows, ratio, share=share)

    def _pairs(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return pairs of components: the one that is compared, and the one of greater authority."""
        ordered = sorted(names, key=lambda name: _AUTHORITY[self.roles[name]])
        return [(second, first) for first, second in combinations(ordered, 2)]

    # --- values and failures --------------------------------------------------------------------------

    def _component(self, name: str) -> ComponentFigures:
        asked = [row for row, run in enumerate(self.runs) if name == TOTAL or name in run.parts]
        given = dict(self._values(name))
        values = np.asarray(list(given.values()))
        return ComponentFigures(
            name=name,
            role=self.roles.get(name),
            runs=len(asked),
            failed=self._share({row: row not in given for row in asked}),
            mean=self._mean(list(given), list(given.values())),
            quantiles={f"{each:g}": float(np.quantile(values, each)) for each in _QUANTILES} if given else {},
            histogram=_histogram(values) if given else None,
            substituted=sum(f"substituted.{name}" in run.counters for run in self.runs),
        )

    def _failures(self) -> Iterator[FailureCount]:
        found: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        for row, run in enumerate(self.runs):
            parts: dict[str, Part] = {TOTAL: run, **run.parts}
            for name, part in parts.items():
                if part.failure is not None:
                    found[name, part.failure.party][row] = part.failure.message
        for (name, party), messages in found.items():
            rows = [row for row, run in enumerate(self.runs) if name == TOTAL or name in run.parts]
            share = self._share({row: row in messages for row in rows})
            example = next(iter(messages.values()))
            yield FailureCount(component=name, party=party, count=len(messages), share=share, example=example)

    # --- agreement --------------------------------------------------------------------------------------

    def _run_agreement(self) -> Iterator[Agreement]:
        for first, second in self._pairs(list(self.roles)):
            if self.roles[first] != "rule" or self.roles[second] != "rule":
                one, two = self._accepts(first), self._accepts(second)
                both = [row for row in one if row in two]
                table = confusion_rows([one[row] for row in both], [two[row] for row in both])
                yield self._agreement(first, second, "runs", table, both)

    def _call_agreement(self) -> Iterator[Agreement]:
        pairs = self._call_pairs()
        if not pairs:
            self.missing.append("no two components say something of the same calls: agreement on calls, codes")
        for first, second, one, two in pairs:
            table = confusion_rows([each.reasonable is True for each in one], [each.reasonable is True for each in two])
            yield self._agreement(first, second, "calls", table, self._rows(first, second))

    def _agreement(
        self, first: str, second: str, of: Literal["runs", "calls"], table: Array, rows: Sequence[int]
    ) -> Agreement:
        both, only_first, only_second, neither = (int(count) for count in table.sum(axis=0))
        agree = [(1.0, row[0] + row[3]) for row in table]
        return Agreement(
            first=first,
            second=second,
            of=of,
            both=both,
            only_first=only_first,
            only_second=only_second,
            neither=neither,
            agreement=self.bootstrap.estimate(agree, rows, ratio, share=True),
            kappa=self.bootstrap.estimate(table, rows, kappa_statistic),
        )

    def _common(self, first: str, second: str) -> list[tuple[int, int]]:
        """Return the calls of which two components say something, by run and position."""
        theirs = self._verdicts(second)
        return [place for place in self._verdicts(first) if place in theirs]

    def _rows(self, first: str, second: str) -> list[int]:
        return [row for row, _ in self._common(first, second)]

    def _call_pairs(self) -> list[tuple[str, str, list[CallVerdict], list[CallVerdict]]]:
        """Return pairs of components with their verdicts on the calls of which both say something."""
        said = {name: found for name in self.roles if (found := self._verdicts(name))}
        pairs = [(first, second, self._common(first, second)) for first, second in self._pairs(list(said))]
        return [
            (first, second, [said[first][place] for place in places], [said[second][place] for place in places])
            for first, second, places in pairs
            if places
        ]

    def _codes(self) -> Iterator[CodeFigures]:
        for first, second, one, two in self._call_pairs():
            rows = self._rows(first, second)
            yield self._code(first, second, "any", _wrong(one), _wrong(two), rows)
            for code in Code:
                said, true = _wrong(one, code), _wrong(two, code)
                if any(said) or any(true):
                    yield self._code(first, second, code.value, said, true, rows)

    def _code(
        self, first: str, second: str, code: str, said: Sequence[bool], true: Sequence[bool], rows: Sequence[int]
    ) -> CodeFigures:
        hits = [mine and theirs for mine, theirs in zip(said, true, strict=True)]
        precision, recall = (
            self.bootstrap.estimate(np.stack([whole, hits], axis=1), rows, ratio, share=True) for whole in (said, true)
        )
        return CodeFigures(
            component=first,
            reference=second,
            code=code,
            said=sum(said),
            true=sum(true),
            both=sum(hits),
            precision=precision.model_copy(update={"n": sum(said)}),
            recall=recall.model_copy(update={"n": sum(true)}),
        )

    def _views(self) -> Iterator[ViewGap]:
        oracles, sights = self._named("oracle"), self._named("observable")
        if not (oracles and sights):
            self.missing.append("no component of each view: gap between the oracle's view and the observable one")
        for oracle, sight in ((one, two) for one in oracles for two in sights):
            yield self._view(oracle, sight)

    def _view(self, oracle: str, sight: str) -> ViewGap:
        true, seen = dict(self._values(oracle)), dict(self._values(sight))
        gaps = {row: true[row] - seen[row] for row in true if row in seen}
        verdicts, known = self._verdicts(oracle), self._verdicts(sight)
        places = self._common(oracle, sight)
        return ViewGap(
            oracle=oracle,
            observable=sight,
            gap=self._mean(list(gaps), list(gaps.values())),
            differing=self._share({row: abs(gap) > _SAME for row, gap in gaps.items()}),
            calls=len(places),
            right_by_truth_alone=sum(bool(verdicts[at].reasonable and not known[at].reasonable) for at in places),
            right_by_sight_alone=sum(bool(known[at].reasonable and not verdicts[at].reasonable) for at in places),
        )

    # --- cases to read --------------------------------------------------------------------------------

    def _disagreements(self) -> tuple[Disagreement, ...]:
        """Return judges, or else rules, against the greatest authority there is."""
        found: list[Disagreement] = []
        compared = self._named("judge") or self._named("observable", "oracle")
        for name in compared:
            truth = self._above(name, list(self.roles))
            calls = self._above(name, [each for each in self.roles if self._verdicts(each)], above="outcome")
            runs = _surest(self._run_cases(name, truth), self.most) if truth is not None else []
            found += runs + (_surest(self._call_cases(name, calls), self.most) if calls is not None else [])
        return tuple(_surest(found, len(found)))

    def _above(self, name: str, names: Sequence[str], above: Role | None = None) -> str | None:
        """Return the component of greatest authority among those with more than a component has."""
        least = -1 if above is None else _AUTHORITY[above]
        ranks = {each: _AUTHORITY[self.roles[each]] for each in names}
        higher = [each for each, rank in ranks.items() if least < rank < _AUTHORITY[self.roles[name]]]
        return min(higher, key=lambda each: ranks[each], default=None)

    def _run_cases(self, name: str, reference: str) -> Iterator[Disagreement]:
        ours, theirs = self._accepts(name), self._accepts(reference)
        for row, accepts in ours.items():
            if row in theirs and theirs[row] != accepts:
                run = self.runs[row]
                part, other = run.parts[name], run.parts[reference]
                found = {
                    "of": "run",
                    "component": name,
                    "reference": reference,
                    "accepts": accepts,
                    "confidence": _sureness(part.value, self.thresholds[name]),
                    "evidence": "; ".join(part.reasons),
                    "reference_evidence": "; ".join(other.reasons),
                    "analysis": part.analysis,
                }
                yield Disagreement.model_validate({**found, **_where(run)})

    def _call_cases(self, name: str, reference: str) -> Iterator[Disagreement]:
        ours, theirs = self._verdicts(name), self._verdicts(reference)
        for (row, index), verdict in ours.items():
            other = theirs.get((row, index))
            if other is not None and other.reasonable != verdict.reasonable:
                yield self._call_case(name, reference, self.runs[row], verdict, other)

    def _call_case(
        self, name: str, reference: str, run: ScoredRun, verdict: CallVerdict, other: CallVerdict
    ) -> Disagreement:
        part, index = run.parts[name], verdict.index
        value = part.calls[index] if index < len(part.calls) else None
        code = verdict.code or other.code
        found = {
            "of": "call",
            "component": name,
            "reference": reference,
            "accepts": bool(verdict.reasonable),
            "confidence": _sureness(value if value is not None else float(bool(verdict.reasonable)), 0.5),
            "call": index,
            "made": run.made[index] if index < len(run.made) else "",
            "code": None if code is None else code.value,
            "evidence": verdict.evidence,
            "reference_evidence": other.evidence,
            "analysis": part.analysis,
        }
        return Disagreement.model_validate({**found, **_where(run)})

    # --- biases ---------------------------------------------------------------------------------------

    def _lengths(self) -> dict[int, int]:
        found = {row: run.length for row, run in enumerate(self.runs) if run.length is not None}
        if len(found) < len(self.runs):
            self.missing.append(f"the length of {len(self.runs) - len(found)} runs: length bias leaves them out")
        return found

    def _length(self) -> Iterator[LengthBias]:
        lengths = self._lengths()
        given = next(iter(self._named("outcome")), None)
        outcome = dict(self._values(given)) if given is not None else {}
        for name in (TOTAL, *self._named("judge", "oracle", "observable", "rule")) if lengths else ():
            said = {row: value for row, value in self._values(name) if row in lengths}
            yield LengthBias(
                component=name,
                given=given,
                plain=self._correlation(list(said), said, lengths, {}),
                partial=self._correlation([row for row in said if row in outcome], said, lengths, outcome),
            )

    def _correlation(
        self, rows: Sequence[int], said: Mapping[int, float], lengths: Mapping[int, int], given: Mapping[int, float]
    ) -> Estimate:
        columns = ([said[row], np.log(max(1, lengths[row])), given.get(row, 0.0)] for row in rows)
        values = np.asarray(list(columns), dtype=np.float64).reshape(-1, 3)
        return self.bootstrap.estimate(correlation_rows(*values.T), rows, partial_correlation_statistic)

    def _buckets(self) -> Iterator[LengthBucket]:
        lengths = self._lengths()
        order = sorted(lengths, key=lambda row: lengths[row])
        said = {name: self._accepts(name) for name in self.roles if self.roles[name] != "rule"}
        for rows in _cut(order, lengths):
            yield LengthBucket(
                shortest=lengths[rows[0]],
                longest=lengths[rows[-1]],
                runs=len(rows),
                accepted={
                    name: self._share({row: accepts[row] for row in rows if row in accepts})
                    for name, accepts in said.items()
                },
            )

    def _position(self) -> Iterator[PositionBias]:
        compared = False
        for name in self._named("judge"):
            parts = {row: run.parts[name].counters for row, run in enumerate(self.runs) if name in run.parts}
            shown = {row: counters for row, counters in parts.items() if "flip_rate" in counters}
            compared = compared or bool(shown)
            if shown:
                yield self._position_of(name, shown)
        if self._named("judge") and not compared:
            self.missing.append("no judge compared runs in several orders: position bias")

    def _position_of(self, name: str, shown: Mapping[int, Mapping[str, float]]) -> PositionBias:
        flipped = [counters.get("flipped", counters["flip_rate"]) for counters in shown.values()]
        places: list[Estimate] = []
        while at := _told(shown, f"place_{len(places) + 1}"):
            places.append(self._mean(list(at), list(at.values())))
        if not places:
            self.missing.append(f"what {name} says by place: the scores do not have it")
        return PositionBias(
            component=name,
            runs=len(shown),
            flipped=self._mean(list(shown), flipped, share=True),
            by_place=tuple(places),
            judged_alone=sum("judged_alone" in counters for counters in shown.values()),
        )

    # --- guards, calibration, cost ------------------------------------------------------------------------

    def _guards(self) -> list[GuardFigures]:
        looked = [row for row, run in enumerate(self.runs) if GUARDS in run.parts]
        if not looked:
            self.missing.append("no guards looked at the runs: guard hits")
        hits: dict[str, list[tuple[int, Excerpt]]] = defaultdict(list)
        for row in looked:
            for excerpt, guard in _excerpts(self.runs[row]):
                hits[guard].append((row, excerpt))
        found = [self._guard(guard, each, looked) for guard, each in hits.items()]
        return sorted(found, key=lambda each: (-each.runs, each.guard))

    def _guard(self, guard: str, hits: Sequence[tuple[int, Excerpt]], looked: Sequence[int]) -> GuardFigures:
        rows = {row for row, _ in hits}
        graver = sorted((excerpt for _, excerpt in hits), key=lambda each: _GRAVITY.get(each.severity, len(_GRAVITY)))
        return GuardFigures(
            guard=guard,
            runs=len(rows),
            share=self._share({row: row in rows for row in looked}),
            hits=len(hits),
            severities=dict(sorted(Counter(excerpt.severity for _, excerpt in hits).items())),
            excerpts=tuple(graver[:_EXCERPTS]),
        )

    def _calibration(self) -> Iterator[CalibrationFigures]:
        for name in self._named("judge"):
            said = dict(self._values(name))
            if any(not 0 <= value <= 1 for value in said.values()):
                self.missing.append(f"calibration of {name}: its values are no probabilities")
                continue
            for truth in self._named("outcome", "oracle"):
                true = self._accepts(truth)
                rows = [row for row in said if row in true]
                if rows:
                    yield self._calibrated(name, truth, rows, [said[row] for row in rows], [true[row] for row in rows])

    def _calibrated(
        self, name: str, truth: str, rows: Sequence[int], said: Sequence[float], true: Sequence[bool]
    ) -> CalibrationFigures:
        squares = [(value - label) ** 2 for value, label in zip(said, true, strict=True)]
        return CalibrationFigures(
            component=name,
            truth=truth,
            runs=len(rows),
            error=self.bootstrap.estimate(calibration_rows(said, true), rows, calibration_statistic),
            brier=self._mean(rows, squares),
            table=reliability(said, np.asarray(true, dtype=np.float64)),
        )

    def _cost(self) -> Iterator[Cost]:
        for name in self.roles:
            counters = [run.parts[name].counters for run in self.runs if name in run.parts]
            told = [each for each in counters if "requests" in each]
            used = self.usage.get(name)
            if told or used:
                took = {kind: sum(each[kind] for each in told if kind in each) for kind in _TOOK}
                present = {kind: total for kind, total in took.items() if any(kind in each for each in told)}
                yield Cost(component=name, runs=len(told), took=present, used=None if used is None else dict(used))
            if told and used is None:
                self.missing.append(f"what {name} really used, cache hits: not written beside the scores")


_GRAVITY = {"block": 0, "doubt": 1, "note": 2}


def _histogram(values: Array) -> Histogram:
    low, high = float(values.min()), float(values.max())
    bounds = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high) if high > low else (low - 0.5, high + 0.5)
    counts, edges = np.histogram(values, bins=_BINS, range=bounds)
    return Histogram(edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))


def _told(counters: Mapping[int, Mapping[str, float]], name: str) -> dict[int, float]:
    """Return a counter of the runs that have it."""
    return {row: each[name] for row, each in counters.items() if name in each}


def _wrong(verdicts: Sequence[CallVerdict], code: Code | None = None) -> list[bool]:
    """Return which calls are not reasonable, for a reason if one is given."""
    return [each.reasonable is False and (code is None or each.code is code) for each in verdicts]


def _sureness(value: float | None, threshold: float) -> float:
    """Return how far a value is from a threshold, as a share of how far it could be on its side."""
    if value is None:
        return 0.0
    room = 1 - threshold if value > threshold else threshold
    return min(1.0, abs(value - threshold) / room) if room > 0 else 1.0


def _surest(cases: Iterator[Disagreement] | Sequence[Disagreement], most: int) -> list[Disagreement]:
    return sorted(cases, key=lambda each: (-each.confidence, each.task, each.seed, each.key, each.call or 0))[:most]


def _where(run: ScoredRun) -> dict[str, Any]:
    return {
        "environment": run.environment,
        "task": run.task,
        "seed": run.seed,
        "agent": run.agent,
        "file": run.file,
        "line": run.line,
        "key": run.key,
    }


def _cut(order: Sequence[int], lengths: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield runs in buckets of about equal size; runs of one length are never parted."""
    start = 0
    for bucket in range(1, _BUCKETS + 1):
        end = len(order) * bucket // _BUCKETS
        while 0 < end < len(order) and lengths[order[end]] == lengths[order[end - 1]]:
            end += 1
        if end > start:
            yield list(order[start:end])
            start = end


def _excerpts(run: ScoredRun) -> Iterator[tuple[Excerpt, str]]:
    """Yield the hits of a run; of scores without excerpts, what is known from the counters."""
    part = run.parts[GUARDS]
    place = {"environment": run.environment, "task": run.task, "seed": run.seed, "file": run.file, "line": run.line}
    if part.hits:
        for hit in part.hits:
            found = {"severity": hit.severity.value, "reason": hit.reason, "excerpt": hit.excerpt}
            yield Excerpt.model_validate({**place, **found}), hit.guard
        return
    for counter, count in part.counters.items():
        if counter.startswith("guard/"):
            found = {"severity": "unknown", "reason": "", "excerpt": ""}
            for _ in range(int(count)):
                yield Excerpt.model_validate({**place, **found}), counter.removeprefix("guard/")
