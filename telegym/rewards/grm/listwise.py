"""Judging a group together: the runs of one task side by side, in several orders, any number of them right.

A judge that sees several runs finds facts it would miss, and is swayed by their order. So every group is shown in all
orders if there are at most three runs, and otherwise in at least three that move each run to another place; verdicts
are mapped back and averaged. How often they change with the order is reported, and where that is too often, each run is
judged on its own instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random
from threading import Lock
from typing import Any

from pydantic import BaseModel, ConfigDict

from telegym.core.score import Failure, Score
from telegym.core.world import sha256_hex
from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.combination import within_groups
from telegym.rewards.grm.adapters import parse_preference, parse_scores
from telegym.rewards.grm.asking import Health, Tally
from telegym.rewards.grm.judge import GenerativeJudge, input_of
from telegym.rewards.grm.judge_input import JudgeInput
from telegym.rewards.grm.panel import Case, Panel, Vote
from telegym.rewards.grm.verdicts import parse_verdicts
from telegym.rewards.grm.votes import counters_of, failure_of, vote_share

__all__ = ["ListwiseJudge", "OrderReport", "orders_of"]

Order = tuple[int, ...]
"""Which run of the group stands at each place."""
Marks = tuple[float, ...]
"""What is said of the runs, in the order shown; above one half is in favour."""
_ALL_ORDERS = 3
_LEAST_ORDERS = 3


class OrderReport(BaseModel):
    """How much the order mattered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: int
    """Groups shown in more than one order."""
    items: int
    """Runs in them."""
    flipped: int
    """Runs whose verdict changed with the order."""
    by_place: tuple[float, ...]
    """For each place, from the first: how much better a run does there than it does on average."""

    @property
    def flip_rate(self) -> float:
        """Share of runs whose verdict changed with the order."""
        return self.flipped / self.items if self.items else 0.0


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was read of a group in one order."""

    order: Order
    marks: Marks


@dataclass(frozen=True, slots=True)
class _Compared:
    """What came of a group."""

    counters: tuple[dict[str, float], ...]
    """What was noticed of each run, and its share of what the group took."""
    judgements: tuple[Judgement, ...] = ()
    """The judgements; none if the order mattered too much."""


class ListwiseJudge(Reward):
    """Judges the runs of a group together. Safe to call from several threads.

    Counters of its judgements: each run has an equal share of what its group took; `flipped`, whether its verdict
    changed with the order; `place_1` and so on, how much better it did there than on average; `flip_rate` and
    `order_bias` of the group; `judged_alone`, 1 where the order mattered too much.

    Args:
        panel: The judge and how it is asked. With style `scores` it answers as DeepSeek-GRM does, with `preference` as
            RM-R1 does, in pairs.
        pointwise: Judges runs on their own: those of groups of one, and of groups in which the order mattered too much.
        orders: In how many orders a group of more than three is shown; at least three.
        flip_limit: Largest share of runs of a group whose verdict may change with the order.
        health: Watches how often it fails.
        name: Under which its components are reported.
    """

    version = "1"
    waits = True
    groupwise = True
    persuadable = True

    def __init__(
        self,
        panel: Panel,
        *,
        pointwise: GenerativeJudge,
        orders: int = _LEAST_ORDERS,
        flip_limit: float = 0.2,
        health: Health | None = None,
        name: str = "judge",
    ) -> None:
        self.name = name
        self.panel = panel
        self.pointwise = pointwise
        self.orders = max(_LEAST_ORDERS, orders)
        self.flip_limit = flip_limit
        self.health = health or Health()
        self._groups = self._items = self._flipped = 0
        self._by_place: dict[int, list[float]] = defaultdict(list)
        self._lock = Lock()

    @property
    def tally(self) -> Tally:
        """What was really used so far, without the pointwise judge."""
        return self.panel.tally

    @property
    def report(self) -> OrderReport:
        """How much the order mattered so far."""
        with self._lock:
            means = tuple(sum(values) / len(values) for _, values in sorted(self._by_place.items()))
            return OrderReport(groups=self._groups, items=self._items, flipped=self._flipped, by_place=means)

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return one judgement for each run, in order; runs are compared within their groups."""
        scores: dict[int, Score] = {}
        inputs = [input_of(run, self.panel.settings, self.pointwise.rubrics) for run in runs]
        broken = {place: item for place, item in enumerate(inputs) if isinstance(item, Failure)}
        scores |= {place: Judgement(failure=failure) for place, failure in broken.items()}
        groups = [
            [place for place in group if place not in broken] for group in within_groups([run.group for run in runs])
        ]
        shown = {place: item for place, item in enumerate(inputs) if isinstance(item, JudgeInput)}
        together = [sorted(group, key=lambda place: shown[place].key) for group in groups if len(group) > 1]
        compared = self._judged_together(together, shown)
        scores |= (agreed := _agreed(together, compared))
        self.health.add(sum(score.value is None for score in agreed.values()), len(agreed))
        noticed = {
            place: counters
            for group, each in zip(together, compared, strict=True)
            for place, counters in zip(group, each.counters, strict=True)
        }
        alone = [place for place in range(len(runs)) if place not in scores]
        judged = self.pointwise.score([runs[place] for place in alone]) if alone else []
        scores |= {place: _noted(score, noticed.get(place)) for place, score in zip(alone, judged, strict=True)}
        return [scores[place] for place in range(len(runs))]

    def _judged_together(self, groups: Sequence[Sequence[int]], shown: dict[int, JudgeInput]) -> list[_Compared]:
        """Return what came of each group."""
        plans = [self._plan([shown[place] for place in group]) for group in groups]
        cases = [
            self._case([shown[group[item]] for item in order])
            for group, plan in zip(groups, plans, strict=True)
            for order in plan
        ]
        with self.panel.batch() as batch:
            ballots = iter(self.panel.vote(batch, cases))
        return [
            self._judge_group(len(group), plan, [next(ballots)[0] for _ in plan])
            for group, plan in zip(groups, plans, strict=True)
        ]

    def _plan(self, items: Sequence[JudgeInput]) -> list[Order]:
        if self.panel.settings.style == "preference":
            return list(permutations(range(len(items)), 2))
        return orders_of(len(items), self.orders, sha256_hex("\n".join(item.key for item in items)))

    def _case(self, items: Sequence[JudgeInput]) -> Case[Marks]:
        style, count = self.panel.settings.style, len(items)
        own_form = style in ("scores", "preference")
        return Case(
            prompt="listwise",
            inputs=tuple(items),
            votes=1,
            read=_reader(style, count),
            fields=() if own_form else ("score",),
            json_schema=None if own_form else _schema(count),
        )

    def _judge_group(self, count: int, plan: Sequence[Order], votes: Sequence[Vote[Marks]]) -> _Compared:
        """Return what came of one group."""
        readings = [
            _Reading(order, vote.verdict) for order, vote in zip(plan, votes, strict=True) if vote.verdict is not None
        ]
        took = {name: value / count for name, value in counters_of(votes, self.panel.settings.prices).items()}
        needed = -(-len(plan) // 2)
        seen = {item for reading in readings for item in reading.order}
        if len(readings) < needed or len(seen) < count:
            return _Compared((took,) * count, (Judgement(failure=failure_of(votes, needed), counters=took),) * count)
        flipped, by_place = _flipped(readings), _by_place(readings)
        self._count(count, flipped, by_place)
        took |= {"orders": float(len(readings)), "flip_rate": len(flipped) / count}
        took["order_bias"] = max(abs(sum(values) / len(values)) for values in by_place.values())
        counters = tuple({**took, "flipped": float(item in flipped), **_own(item, readings)} for item in range(count))
        if len(flipped) / count > self.flip_limit:
            return _Compared(tuple({**each, "judged_alone": 1.0} for each in counters))
        return _Compared(counters, tuple(_judgement(item, readings, counters[item]) for item in range(count)))

    def _count(self, count: int, flipped: set[int], by_place: dict[int, list[float]]) -> None:
        with self._lock:
            self._groups += 1
            self._items += count
            self._flipped += len(flipped)
            for place, values in by_place.items():
                self._by_place[place].extend(values)


def _agreed(groups: Sequence[Sequence[int]], compared: Sequence[_Compared]) -> dict[int, Score]:
    """Return the judgements of the groups in which the order did not matter too much, by position."""
    return {
        place: judgement
        for group, each in zip(groups, compared, strict=True)
        if each.judgements
        for place, judgement in zip(group, each.judgements, strict=True)
    }


def _noted(score: Score, noticed: dict[str, float] | None) -> Score:
    """Return the judgement of a run on its own, with what was noticed and taken when its group was compared."""
    if noticed is None or not isinstance(score, Judgement):
        return score
    counters = {name: noticed.get(name, 0.0) + score.counters.get(name, 0.0) for name in {**noticed, **score.counters}}
    return score.model_copy(update={"counters": counters})


def orders_of(count: int, least: int, seed: str) -> list[Order]:
    """Return the orders in which a group is shown: all of at most three, otherwise `least` different ones.

    The orders come in rounds: each is a random one, turned, so that within a round no run stands twice in one place,
    and over a whole round of `count` orders each stands everywhere once.

    Args:
        count: Number of runs.
        least: Number of orders of a group of more than three.
        seed: Decides the random orders.
    """
    if count <= _ALL_ORDERS:
        return list(permutations(range(count)))
    rng = Random(seed)
    orders: list[Order] = []
    while len(orders) < least:
        first = rng.sample(range(count), count)
        size = min(count, least - len(orders))
        turns = (count * turn // size for turn in range(size))
        orders += [order for by in turns if (order := (*first[by:], *first[:by])) not in orders]
    return orders


def _reader(style: str, count: int) -> Callable[[str], Marks]:
    """Return what reads a reply in the form of a judge."""
    if style == "scores":
        return lambda text: parse_scores(text, count).shares
    if style == "preference":
        return lambda text: (1.0, 0.0) if parse_preference(text) == "A" else (0.0, 1.0)
    return lambda text: tuple(float(score) for score in parse_verdicts(text, count).scores)


def _schema(count: int) -> dict[str, Any]:
    bit: dict[str, Any] = {"type": "integer", "enum": [0, 1]}
    scores = {"type": "array", "items": bit, "minItems": count, "maxItems": count}
    return {
        "type": "object",
        "properties": {"analysis": {"type": "string", "maxLength": 1_000}, "score": scores},
        "required": ["analysis", "score"],
        "additionalProperties": False,
    }


def _flipped(readings: Sequence[_Reading]) -> set[int]:
    """Return the runs whose verdict changed while the same runs were shown in another order."""
    said: dict[tuple[int, frozenset[int]], set[bool]] = defaultdict(set)
    for reading in readings:
        company = frozenset(reading.order)
        for item, mark in zip(reading.order, reading.marks, strict=True):
            said[item, company].add(mark > 0.5)
    return {item for (item, _), verdicts in said.items() if len(verdicts) > 1}


def _by_place(readings: Sequence[_Reading]) -> dict[int, list[float]]:
    """Return for each place how much better runs did there than the same runs did on average."""
    given: dict[int, list[float]] = defaultdict(list)
    for reading in readings:
        for item, mark in zip(reading.order, reading.marks, strict=True):
            given[item].append(mark)
    means = {item: sum(marks) / len(marks) for item, marks in given.items()}
    found: dict[int, list[float]] = defaultdict(list)
    for reading in readings:
        for place, (item, mark) in enumerate(zip(reading.order, reading.marks, strict=True)):
            found[place].append(mark - means[item])
    return found


def _own(item: int, readings: Sequence[_Reading]) -> dict[str, float]:
    """Return how much better a run did at each place, from 1, than on average."""
    marks: dict[int, list[float]] = defaultdict(list)
    for reading in readings:
        if item in reading.order:
            place = reading.order.index(item)
            marks[place].append(reading.marks[place])
    every = [mark for given in marks.values() for mark in given]
    mean = sum(every) / len(every)
    return {f"place_{place + 1}": sum(given) / len(given) - mean for place, given in sorted(marks.items())}


def _judgement(item: int, readings: Sequence[_Reading], counters: dict[str, float]) -> Judgement:
    marks = [dict(zip(reading.order, reading.marks, strict=True)) for reading in readings]
    own = [mark[item] for mark in marks if item in mark]
    value = vote_share(sum(own), len(own))
    reasons = () if value > 0.5 else ("the judge does not accept the run beside the others of its group",)
    return Judgement(value=value, components={"probability": value}, reasons=reasons, counters=counters)
