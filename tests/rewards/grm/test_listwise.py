"""Judging groups: every order counts, any number may be right, and a judge that looks at the order is found out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.core.score import Failure
from telegym.rewards.base import Judgement, Run
from telegym.rewards.grm import GenerativeJudge, JudgeRequest, JudgeSettings, ListwiseJudge, Panel, judge_input
from telegym.rewards.grm.listwise import orders_of
from tests.rewards.grm.scripted import READ, Script, ScriptedBackend, always, played, prompt_of, verdict

ALONE = verdict(1)


def group(size: int, good: int, name: str = "g") -> list[Run]:
    """Return runs of one task; the good ones are those that read no counter that does not exist."""
    return [played(1, READ % (f"C00{n % 3 + 1}" if n < good else f"C90{n}"), group=name) for n in range(size)]


def shown_runs(request: JudgeRequest) -> list[bool]:
    """Return whether each run that a judge sees is a good one, in the order shown."""
    parts = re.split(r"^RUN \d+$", prompt_of(request), flags=re.MULTILINE)[1:]
    return ["no counter" not in part for part in parts]


def listwise(reader: Callable[[list[bool]], list[int]], **options: object) -> tuple[ListwiseJudge, ScriptedBackend]:
    def script(request: JudgeRequest) -> str:
        runs = shown_runs(request)
        return f"\\boxed{{{', '.join(map(str, reader(runs)))}}}" if runs else ALONE

    backend = ScriptedBackend(script)
    panel = Panel(backend, JudgeSettings(votes=1, scoring="votes"))
    return ListwiseJudge(panel, pointwise=GenerativeJudge(panel), **options), backend  # type: ignore[arg-type]


def honest(runs: list[bool]) -> list[int]:
    return [int(good) for good in runs]


@pytest.mark.parametrize("good", [0, 1, 2, 3])
def test_any_number_may_be_right(good: int) -> None:
    judge, backend = listwise(honest)
    scores = judge.score(group(3, good))
    assert [score.value is not None and score.value > 0.5 for score in scores] == [n < good for n in range(3)]
    assert len(backend.requests) == 6
    assert all(isinstance(score, Judgement) and score.counters["flip_rate"] == 0 for score in scores)


def test_runs_are_compared_within_their_groups_and_alone_where_they_are_alone() -> None:
    runs = [*group(2, 1, "a"), *group(1, 1, "b"), *group(4, 2, "c")]
    runs = [runs[0], runs[3], runs[2], runs[1], *runs[4:]]
    judge, backend = listwise(honest)
    scores = judge.score(runs)
    good = ["no counter" not in str([call.content for call in run.calls]) for run in runs]
    assert [score.value is not None and score.value > 0.5 for score in scores] == good
    assert len(backend.requests) == 2 + 1 + 3


def first_is_best(runs: list[bool]) -> list[int]:
    """A judge with a liking for the first place, and a dislike of the last."""
    return [1, *(int(good) for good in runs[1:-1]), 0]


def test_a_liking_for_the_first_place_is_measured_and_reported() -> None:
    judge, _ = listwise(first_is_best, flip_limit=1.0)
    judge.score(group(4, 2, "x"))
    report = judge.report
    assert report.groups == 1 and report.items == 4
    assert report.flip_rate > 0
    assert report.by_place[0] > 0.1 and report.by_place[-1] < -0.1
    honest_judge, _ = listwise(honest)
    honest_judge.score(group(4, 2, "x"))
    assert honest_judge.report.flip_rate == 0
    assert set(honest_judge.report.by_place) == {0.0}


@pytest.mark.parametrize(("size", "good"), [(3, 1), (3, 2), (4, 2)])
def test_voting_over_orders_removes_it(size: int, good: int) -> None:
    runs = group(size, good)
    single, _ = listwise(first_is_best)
    with single.panel.batch() as batch:
        (once,) = single.panel.vote(batch, [single._case([judge_input(run) for run in runs[::-1]])])
    assert once[0].verdict is not None
    assert [mark > 0.5 for mark in once[0].verdict[::-1]] != [n < good for n in range(size)]
    judge, _ = listwise(first_is_best, flip_limit=1.0, orders=size)
    scores = judge.score(runs)
    values = [score.value or 0.0 for score in scores]
    assert min(values[:good]) > max(values[good:])
    assert len({round(value, 9) for value in values[:good]}) == 1
    assert len({round(value, 9) for value in values[good:]}) == 1
    for score in scores:
        assert isinstance(score, Judgement) and score.counters["order_bias"] > 0


def test_where_the_order_matters_too_much_each_run_is_judged_alone() -> None:
    judge, backend = listwise(first_is_best)
    scores = judge.score(group(3, 1))
    assert [score.value for score in scores] == [0.75, 0.75, 0.75]
    assert len(backend.requests) == 6 + 3
    assert judge.report.flip_rate > 0.2


def test_failures_are_typed_and_half_of_the_orders_suffice() -> None:
    def script(down: int) -> Script:
        outage = Failure(party="infrastructure", message="HTTP 503")
        return always(*[outage] * down, "\\boxed{1, 1, 1}")

    for down, failed in ((3, False), (4, True)):
        panel = Panel(ScriptedBackend(script(down)), JudgeSettings(votes=1, scoring="votes"))
        judge = ListwiseJudge(panel, pointwise=GenerativeJudge(panel))
        scores = judge.score(group(3, 3))
        assert all((score.value is None) == failed for score in scores)
        assert all((score.failure is not None) == failed for score in scores)
        assert judge.health.rate == float(failed)


def test_deepseek_grm_scores_a_group() -> None:
    def script(request: JudgeRequest) -> str:
        scores = ["9" if good else "2" for good in shown_runs(request)]
        return f"\\boxed{{{', '.join([*scores, '3'])}}}"

    panel = Panel(ScriptedBackend(script), JudgeSettings(votes=1, scoring="votes", style="scores"))
    scores = ListwiseJudge(panel, pointwise=GenerativeJudge(panel)).score(group(3, 2))
    good, bad = (6 * 8 / 9 + 0.5) / 7, (6 / 9 + 0.5) / 7
    assert [score.value for score in scores] == [pytest.approx(good), pytest.approx(good), pytest.approx(bad)]


def test_rm_r1_compares_in_pairs_and_in_both_orders() -> None:
    def script(request: JudgeRequest) -> str:
        a, b = ("no counter" not in part for part in re.split(r"^RUN [AB]$", prompt_of(request), flags=re.M)[1:])
        return f"<answer>[[{'A' if a >= b else 'B'}]]</answer>"

    backend = ScriptedBackend(script)
    panel = Panel(backend, JudgeSettings(votes=1, scoring="votes", style="preference"))
    judge = ListwiseJudge(panel, pointwise=GenerativeJudge(panel), flip_limit=1.0)
    values = [score.value or 0.0 for score in judge.score(group(3, 1))]
    assert len(backend.requests) == 6
    assert values[0] > max(values[1:])
    # Between two bad runs it always takes the first: that is a flip of both.
    assert judge.report.flipped == 2


@given(st.integers(1, 8), st.integers(3, 10), st.text(max_size=3))
def test_orders_are_permutations_and_move_each_run(count: int, least: int, seed: str) -> None:
    orders = orders_of(count, least, seed)
    assert all(sorted(order) == list(range(count)) for order in orders)
    assert len(set(orders)) == len(orders)
    if count > 3:
        assert len(orders) == least
        first_round = orders[: min(count, least)]
        assert all(len(set(places)) == len(places) for places in zip(*first_round, strict=True))
    assert orders == orders_of(count, least, seed)
