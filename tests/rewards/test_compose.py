"""The laws of compositions: failures never become values, order makes no difference, only work is paid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError, InfrastructureError
from telegym.core.score import Failure, Score
from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.combination import Combination, GateProduct, Normalised, Rescue, Weighted
from telegym.rewards.compose import Composite, Composition, is_unsafe
from telegym.rewards.verdict import CallVerdict, Check, Code
from tests.rewards.parts import Marked, Plain, unsafe

law = settings(max_examples=40, deadline=None)
NAMES = ("outcome", "neat", "judge")
COMBINATIONS: tuple[Combination, ...] = (
    GateProduct(quality={"neat": 1.0, "judge": 3.0}),
    GateProduct(quality={"judge": 1.0}, costs={"neat": 0.2}, rescue=Rescue(below=1.0)),
    Weighted(parts={"outcome": 1.0, "neat": 0.5, "judge": -0.25}),
    Weighted(parts={"neat": 1.0, "judge": 1.0}, pays_failures=True),
    Normalised(parts={"outcome": 1.0, "neat": 0.5, "judge": 0.5}, unsafe_cost=0.3),
)
unit = st.floats(0, 1)
mark = st.one_of(unit, st.none())
combinations = st.sampled_from(COMBINATIONS)


@st.composite
def runs(draw: st.DrawFn, marks: st.SearchStrategy[float | None] = unit, outcome: Any = None) -> list[Run]:
    rows = draw(st.lists(st.tuples(st.sampled_from("ABC"), st.tuples(*[marks] * len(NAMES))), max_size=12))
    made: list[Run] = []
    for group, values in rows:
        given_marks = dict(zip(NAMES, values, strict=True))
        if outcome is not None:
            given_marks["outcome"] = draw(outcome)
        made.append(Plain(group, **given_marks))
    return made


def composite(combination: Combination, **options: Any) -> Composite:
    judge = Marked("judge", waits=True, persuadable=True)
    return Composite({"outcome": Marked("outcome"), "neat": Marked("neat"), "judge": judge}, combination, **options)


def values(scores: Sequence[Score]) -> list[float | None]:
    return [score.value for score in scores]


def one(combination: Combination, **marks: Any) -> Composition:
    (score,) = composite(combination).score([Plain("A", **{"outcome": 1, "neat": 1, "judge": 1, **marks})])
    assert isinstance(score, Composition)
    return score


# --- formulas -----------------------------------------------------------------------------------------


@law
@given(unit, unit, unit, st.booleans())
def test_gate_product_is_its_formula(outcome: float, neat: float, judge: float, harm: bool) -> None:
    marks = {"outcome": outcome, "neat": unsafe(neat) if harm else neat, "judge": judge}
    quality = (neat + 3 * judge) / 4
    expected = outcome * (0.7 + 0.3 * quality) - 0.5 * harm
    assert one(COMBINATIONS[0], **marks).value == pytest.approx(expected)


@law
@given(unit, unit)
def test_costs_only_cost(outcome: float, neat: float) -> None:
    combination = GateProduct(costs={"neat": 0.2})
    assert one(combination, outcome=outcome, neat=neat).value == pytest.approx(outcome - 0.2 * (1 - neat))
    assert one(combination, outcome=outcome, neat=7).value == pytest.approx(outcome)


def test_a_weighted_sum_pays_as_much_as_the_task_was_solved() -> None:
    combination = Weighted(parts={"outcome": 1.0, "neat": 0.5, "judge": -0.25})
    assert one(combination, outcome=1, neat=0.5, judge=1).value == pytest.approx(1 + 0.25 - 0.25)
    assert one(combination, outcome=0.5, neat=1, judge=0).value == pytest.approx(0.5 + 0.25)
    assert one(combination, outcome=0, neat=1, judge=1).value == pytest.approx(-0.25)
    paying = combination.model_copy(update={"pays_failures": True})
    assert one(paying, outcome=0, neat=1, judge=1).value == pytest.approx(0.25)


def test_components_are_normalised_within_their_group() -> None:
    made = [Plain("A", outcome=1, neat=value, judge=0) for value in (0.0, 0.5, 1.0)] + [
        Plain("B", outcome=1, neat=value, judge=0) for value in (0.50, 0.51)
    ]
    found = values(composite(Normalised(parts={"neat": 2.0}, epsilon=1e-9)).score(made))
    assert found == pytest.approx([-2, 0, 2, -math.sqrt(2), math.sqrt(2)])


@law
@given(runs(outcome=st.sampled_from([0.0, 1.0])))
def test_normalised_values_of_a_group_sum_to_nothing(made: list[Run]) -> None:
    scores = composite(Normalised(parts={"outcome": 1.0, "neat": 0.5})).score(made)
    for group in "ABC":
        found = [score.value or 0.0 for run, score in zip(made, scores, strict=True) if run.group == group]
        assert math.fsum(found) == pytest.approx(0, abs=1e-6)


# --- laws ---------------------------------------------------------------------------------------------


@law
@given(runs(), combinations, st.randoms(use_true_random=False))
def test_the_order_of_runs_makes_no_difference(made: list[Run], combination: Combination, rng: Random) -> None:
    order = list(range(len(made)))
    rng.shuffle(order)
    straight = composite(combination).score(made)
    shuffled = composite(combination).score([made[row] for row in order])
    assert [straight[row] for row in order] == shuffled


@law
@given(runs(mark), combinations)
def test_a_failure_never_becomes_a_value(made: list[Run], combination: Combination) -> None:
    counted = combination.weights()
    for run, score in zip(made, composite(combination).score(made), strict=True):
        assert isinstance(run, Plain)
        failed = [name for name in NAMES if name in counted and run.marks[name] is None]
        assert (score.value is None) == bool(failed)
        assert (score.failure is None) == (score.value is not None)
        assert all(run.marks[name] is not None for name in score.components)


@law
@given(runs(mark), combinations)
def test_runs_that_fail_do_not_change_the_others(made: list[Run], combination: Combination) -> None:
    everyone = composite(combination).score(made)
    valid = [row for row, score in enumerate(everyone) if score.value is not None]
    assert values(composite(combination).score([made[row] for row in valid])) == [everyone[row].value for row in valid]


@law
@given(runs(outcome=st.just(0.0)))
def test_a_failed_task_earns_nothing_unless_asked(made: list[Run]) -> None:
    for combination in (COMBINATIONS[0], COMBINATIONS[2], GateProduct(costs={"neat": 1.0})):
        assert all((score.value or 0.0) <= 0 for score in composite(combination).score(made))
    neat = Normalised(parts={"outcome": 1.0, "neat": 1.0})
    assert all(score.value == 0 for score in composite(neat).score(made))


@law
@given(unit, unit, unit, unit)
def test_a_better_outcome_is_never_worth_less(low: float, high: float, neat: float, judge: float) -> None:
    low, high = sorted((low, high))
    for combination in (COMBINATIONS[0], Weighted(parts={"outcome": 1.0, "neat": 0.5})):
        worse, better = (one(combination, outcome=each, neat=neat, judge=judge).value for each in (low, high))
        assert worse is not None and better is not None and worse <= better + 1e-12


def test_empty_batches_are_fine() -> None:
    for combination in COMBINATIONS:
        assert composite(combination).score([]) == []


# --- failures -------------------------------------------------------------------------------------------


def test_the_failure_names_the_component_and_keeps_the_party() -> None:
    failed = Score(failure=Failure(party="infrastructure", message="connection refused"))
    score = one(COMBINATIONS[0], judge=failed)
    assert score.failure == Failure(party="infrastructure", message="judge: connection refused")
    assert score.parts["judge"] == failed
    assert score.components == {"outcome": 1.0, "neat": 1.0}


def test_a_component_that_counts_nothing_may_fail() -> None:
    assert one(GateProduct(), judge=None).value == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_failure(value: float) -> None:
    score = one(COMBINATIONS[0], judge=value)
    assert score.value is None and score.failure is not None
    assert "no finite number" in score.failure.message


def test_neither_value_nor_failure_is_a_failure() -> None:
    assert one(COMBINATIONS[0], judge=Score()).failure is not None


class Raising(Reward):
    """Raises for one run, as no reward should."""

    name = "judge"

    def __init__(self, groupwise: bool) -> None:
        self.groupwise = groupwise

    def score(self, runs: Sequence[Run]) -> list[Score]:
        if any(isinstance(run, Plain) and run.marks.get("bad") for run in runs):
            raise InfrastructureError("out of memory")
        return [Score(value=1.0) for _ in runs]


@pytest.mark.parametrize(("groupwise", "expected"), [(False, [None, 1.0, 1.0]), (True, [None, None, 1.0])])
def test_what_a_component_raises_stays_with_the_runs_it_concerns(groupwise: bool, expected: list[float | None]) -> None:
    made = [Plain("A", outcome=1, bad=True), Plain("A", outcome=1), Plain("B", outcome=1)]
    parts: dict[str, Reward] = {"outcome": Marked("outcome"), "judge": Raising(groupwise)}
    scores = Composite(parts, GateProduct(quality={"judge": 1.0})).score(made)
    assert values(scores) == expected
    assert scores[0].failure == Failure(party="infrastructure", message="judge: out of memory")


def test_a_wrong_number_of_scores_is_a_mistake_of_its_author() -> None:
    class Short(Marked):
        def score(self, runs: Sequence[Run]) -> list[Score]:
            return []

    with pytest.raises(ValueError, match="component 'outcome' gave 0 scores for 1 runs"):
        Composite({"outcome": Short("outcome")}).score([Plain("A")])


# --- substitutes ----------------------------------------------------------------------------------------


def test_substitutes_step_in_in_order() -> None:
    combination = GateProduct(quality={"judge": 1.0}, alpha=0.5)
    made = [
        Plain("A", outcome=1, neat=0.4, judge=None),
        Plain("A", outcome=1, neat=None, judge=None),
        Plain("A", outcome=1, neat=0.9, judge=0.2),
        Plain("A", outcome=1, neat=0.9, judge=0.6),
        Plain("B", outcome=1, neat=None, judge=None),
    ]
    scores = composite(combination, fallback={"judge": ["neat", "group_mean", "drop"]}).score(made)
    assert values(scores) == pytest.approx([0.5 + 0.2, 0.5 + 0.2, 0.5 + 0.1, 0.5 + 0.3, None])
    assert [isinstance(score, Judgement) and score.counters.get("substituted.judge", 0.0) for score in scores] == [
        1.0,
        1.0,
        0.0,
        0.0,
        0.0,
    ]
    assert scores[4].failure is not None and scores[4].failure.message == "judge: no verdict"


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        ({"outcome": ["neat"]}, "the outcome 'outcome' has no substitute"),
        ({"juge": ["neat"]}, "Did you mean 'judge'"),
        ({"judge": ["neet"]}, "Did you mean 'neat'"),
        ({"judge": ["judge"]}, "no component 'judge'"),
    ],
)
def test_wrong_substitutes_are_refused(fallback: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        composite(COMBINATIONS[0], fallback=fallback)


def test_weights_of_nobody_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"the combination: no component 'outcom'; .* Did you mean 'outcome'"):
        composite(GateProduct(outcome="outcom"))
    with pytest.raises(ConfigurationError, match="no component may be called"):
        Composite({"outcome": Marked("outcome"), "drop": Marked("drop")})


# --- guards ---------------------------------------------------------------------------------------------


class Severity(Enum):
    DOUBT = 1
    BLOCK = 2


class Marks:
    """Guards that find what is marked."""

    def score(self, runs: Sequence[Run]) -> list[Score]:
        return [Score(value=float(self.gate(run) is None)) for run in runs]

    def gate(self, run: Run) -> Severity | None:
        assert isinstance(run, Plain)
        found = run.marks.get("guard")
        return Severity[found] if found is not None else None


@law
@given(runs(), combinations)
def test_what_guards_block_earns_nothing(made: list[Run], combination: Combination) -> None:
    for run in made:
        assert isinstance(run, Plain)
        run.marks["guard"] = "BLOCK"
    for score in composite(combination, guards=Marks()).score(made):
        assert score.value is not None and score.value <= 0


def test_the_calls_of_a_blocked_run_earn_nothing_either() -> None:
    made = [Plain("A", outcome=1, neat=Score(value=1, calls=(0.5, None, -1.0)), judge=1, guard="BLOCK")]
    (score,) = composite(COMBINATIONS[0], guards=Marks()).score(made)
    assert score.calls == (0.0, None, -1.0)


def test_a_doubted_run_gets_nothing_from_judges_and_keeps_its_outcome() -> None:
    talked = Score(value=1.0, calls=(1.0, 1.0))
    made = [Plain("A", outcome=1, neat=1, judge=talked, guard=guard) for guard in ("DOUBT", None)]
    doubted, clean = composite(COMBINATIONS[0], guards=Marks()).score(made)
    assert doubted.value == pytest.approx(0.7 + 0.3 * 0.25) and clean.value == 1.0
    assert doubted.components["judge"] == 0.0
    assert doubted.calls == () and clean.calls == (1.0, 1.0)
    assert isinstance(doubted, Composition)
    assert doubted.counters["guards.doubt"] == 1.0 and doubted.parts["guards"].value == 0.0


# --- rescue ---------------------------------------------------------------------------------------------


def rescued(below: float = 0.1) -> Composite:
    return composite(GateProduct(quality={"neat": 1.0}, rescue=Rescue(below=below, window=8)))


def batch(*outcomes: tuple[str, float], neat: float = 0.5) -> list[Run]:
    return [Plain(group, outcome=outcome, neat=neat, judge=0) for group, outcome in outcomes]


def test_a_group_without_success_is_paid_for_quality() -> None:
    assert values(rescued().score(batch(("A", 0), ("A", 0)))) == pytest.approx([0.05, 0.05])


def test_a_group_with_a_success_or_alone_is_not() -> None:
    found = rescued(below=1.0).score(batch(("A", 0), ("A", 1), ("B", 0)))
    assert values(found) == pytest.approx([0, 0.85, 0])


def test_it_ends_when_success_is_no_rarity_and_begins_again() -> None:
    made = rescued()
    failures = batch(*[("A", 0)] * 8)
    made.score(batch(*[("A", 1)] * 4, *[("A", 0)] * 4))
    assert values(made.score(failures)) == pytest.approx([0.05] * 8)  # the window holds whole batches of 8 runs
    made.score(batch(("A", 1), ("A", 0), ("B", 0), ("B", 0)))
    again = rescued()
    again.restore(made.state())
    for each in (made, again):
        found = values(each.score(batch(("A", 0), ("A", 0))))
        assert found == pytest.approx([0.05, 0.05])
    hot = rescued()
    hot.score(batch(("A", 1), ("A", 1)))
    assert values(hot.score(batch(("A", 0), ("A", 0)))) == [0, 0]


def test_without_being_asked_nobody_is_rescued() -> None:
    assert values(composite(GateProduct(quality={"neat": 1.0})).score(batch(("A", 0), ("A", 0)))) == [0, 0]


# --- calls and verdicts -----------------------------------------------------------------------------------


def test_values_of_calls_are_averaged_by_weight() -> None:
    score = one(
        COMBINATIONS[0], neat=Score(value=1, calls=(1.0, None, 0.0)), judge=Score(value=1, calls=(0.0, None, 1.0, 0.5))
    )
    assert score.calls == pytest.approx((0.25, None, 0.75, 0.5))


def test_an_unsafe_run_is_one_by_counter_or_verdict() -> None:
    harm = CallVerdict(index=0, reasonable=False, code=Code.UNSAFE)
    rule = CallVerdict(index=0, reasonable=False, checks={Check.SAFETY: 0.0})
    fine = CallVerdict(index=0, reasonable=False, code=Code.REDUNDANT, checks={Check.SAFETY: None})
    assert [is_unsafe(Judgement(value=1, verdicts=(each,))) for each in (harm, rule, fine)] == [True, True, False]
    assert not is_unsafe(Judgement(value=1, verdicts=(harm,), counters={"unsafe": 0.0}))
    assert is_unsafe(unsafe(1.0)) and not is_unsafe(Score(value=0.0))


def test_all_parts_are_told() -> None:
    verdict = CallVerdict(index=0, reasonable=True)
    judgement = Judgement(
        value=0.5, components={"style": 0.25}, reasons=("too long",), verdicts=(verdict,), analysis="hm",
        counters={"requests": 2.0},
    )  # fmt: skip
    score = one(COMBINATIONS[0], judge=judgement)
    assert score.components == {"outcome": 1.0, "neat": 1.0, "judge": 0.5, "judge.style": 0.25}
    assert (score.reasons, score.verdicts, score.analysis) == (("too long",), (verdict,), "hm")
    assert score.counters == {"judge.requests": 2.0, "unsafe": 0.0}
    assert score.parts["judge"] == judgement
    assert score.model_dump(mode="json")["parts"]["judge"]["analysis"] == "hm"


# --- threads ----------------------------------------------------------------------------------------------


def test_those_that_wait_are_asked_in_threads_group_by_group_and_in_order() -> None:
    judge, outcome = Marked("judge", waits=True), Marked("outcome")
    made = [Plain(group, outcome=1, judge=number / 100) for number, group in enumerate("ABCABCABCDDDD")]
    both = Composite({"outcome": outcome, "judge": judge}, Weighted(parts={"judge": 1.0}), batch=4, workers=3)
    heard: list[int] = []
    parts = both.ask(made, heard.append)
    assert values(parts["judge"]) == pytest.approx([number / 100 for number in range(len(made))])
    assert values(both.combine(made, parts)) == values(parts["judge"])
    assert sorted("".join(run.group for run in asked) for asked in judge.asked) == ["AAA", "BBB", "CCC", "DDDD"]
    assert "MainThread" not in judge.threads and outcome.threads == {"MainThread"}
    assert sum(heard) == 2 * len(made)
    assert both.waits and not Composite({"outcome": outcome}).waits
