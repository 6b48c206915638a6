"""Credit: every scheme against numbers worked out by hand, its formula written out slowly, and its properties."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.agents.training.credit import (
    Advantages,
    Blame,
    Branches,
    Calls,
    CallValue,
    GroupInGroup,
    LeaveOneOut,
    Outcome,
    Rollout,
    Scheme,
    Trajectory,
    Turns,
    blamed_turns,
    combined,
    schemes_of,
    unseen_components,
)
from telegym.agents.training.recipe import load_recipe
from telegym.agents.training.rollouts import Transcript
from telegym.core.errors import ConfigurationError

# --- blame -------------------------------------------------------------------------------------------------


def transcript(components: list[dict[str, float]], failed: tuple[int, ...] = ()) -> Transcript:
    calls: list[Any] = [SimpleNamespace(turn=turn, error="refused") for turn in failed]
    calls += [SimpleNamespace(turn=turn, error=None) for turn in range(1, len(components))]
    turns = [(turn, turn + 1) for turn in range(len(components) - 1)]
    return cast(Transcript, SimpleNamespace(components=components, turns=turns, episode=SimpleNamespace(calls=calls)))


GOOD, DAMAGED = {"ended": 0.0, "collateral": 1.0}, {"ended": 0.0, "collateral": 0.0}


@pytest.mark.parametrize(
    ("components", "failed", "blamed"),
    [
        ([GOOD, GOOD, DAMAGED, DAMAGED], (), [False, True, False]),
        ([GOOD, DAMAGED, GOOD, DAMAGED], (), [True, False, True]),
        ([GOOD, GOOD, GOOD, GOOD], (2,), [False, True, False]),
        ([GOOD, GOOD, {"ended": 1.0, "assertions": 0.0, "collateral": 1.0}], (), [False, True]),
        ([GOOD, GOOD, GOOD], (), [True, True]),
    ],
)
def test_turns_answer_for_what_fell(
    components: list[dict[str, float]], failed: tuple[int, ...], blamed: list[bool]
) -> None:
    assert blamed_turns(transcript(components, failed)) == blamed


def test_blame_takes_away_only_from_the_guilty() -> None:
    good = Rollout("g", 1.0, 2, 0.5, blamed=(True, False))
    bad = Rollout("g", 0.0, 2, -0.5, blamed=(True, False))
    assert Blame().advantages([good, bad]) == [[0.5, 0.5], [-0.5, 0.0]]


# --- by hand -----------------------------------------------------------------------------------------------


def close(found: Advantages, expected: Sequence[Sequence[float]], tolerance: float = 1e-9) -> None:
    assert [len(row) for row in found] == [len(row) for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(list(wanted), abs=tolerance)


GROUP = [Rollout("g", 1.0, 2), Rollout("g", 0.0, 1), Rollout("g", 0.5, 1), Rollout("h", 7.0, 1)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("dr_grpo", [[0.5, 0.5], [-0.5], [0.0], [0.0]]),
        ("rloo", [[0.75, 0.75], [-0.75], [0.0], [0.0]]),  # 1 - (0 + 0.5) / 2
        ("grpo", [[0.5 / 0.5001, 0.5 / 0.5001], [-0.5 / 0.5001], [0.0], [0.0]]),  # the deviation is 0.5
    ],
)
def test_outcomes_by_hand(kind: str, expected: Advantages) -> None:
    close(Outcome.model_validate({"kind": kind}).advantages(GROUP), expected)


def test_returns_of_turns_by_hand() -> None:
    """Two rollouts: rises of `a` by 1 in the first turn against a rise in the second, and rewards 1 and 0."""
    first = Rollout("g", 1.0, 2, components=({"a": 0.0}, {"a": 1.0}, {"a": 1.0}))
    second = Rollout("g", 0.0, 2, components=({"a": 0.0}, {"a": 0.0}, {"a": 1.0}))
    scheme = Turns(discount=0.5, baseline="dr_grpo")
    assert scheme.rewards(first) == [1.0, 1.0]
    assert scheme.returns(first) == [1.5, 1.0]
    assert scheme.returns(second) == [0.5, 1.0]
    close(scheme.advantages([first, second]), [[0.5, 0.0], [-0.5, 0.0]])
    everywhere = Turns(discount=0.5, baseline="dr_grpo", across="group")
    close(everywhere.advantages([first, second]), [[0.5, 0.0], [-0.5, 0.0]])


def test_components_are_weighted_and_count_from_their_first_appearance() -> None:
    rollout = Rollout("g", None, 3, components=({"a": 1.0}, {"a": 0.5, "b": 1.0}, {"b": 0.0}))
    assert Turns(components={"a": 2.0, "b": 1.0}).rewards(rollout) == [0.0, -1.0, 0.0]
    assert Turns(final=0.0).rewards(rollout) == [0.25, -0.5, 0.0]
    assert unseen_components([Turns(components={"a": 1.0, "bb": 1.0})], [rollout]) == {"bb": ["a", "b"]}


def test_values_of_calls_by_hand() -> None:
    """Second calls are worth 1 and 0, first ones 1 and 1; the third call of the first has no like."""
    first = Rollout("g", 1.0, 2, 0.3, calls=(CallValue(0, 0, 1.0), CallValue(0, 1, 1.0), CallValue(1, 0, 0.0)))
    second = Rollout("g", 0.0, 2, -0.3, calls=(CallValue(0, 0, 1.0), CallValue(1, 0, 0.0)))
    close(Calls(gamma=0.5).advantages([first, second]), [[0.55, 0.3], [-0.3, -0.55]])


def test_calls_are_compared_where_turns_begin_alike() -> None:
    first = Rollout("g", 1.0, 1, calls=(CallValue(0, 0, 1.0),), situations=(("s", "x"),))
    second = Rollout(
        "g", 0.0, 2, calls=(CallValue(0, 0, 0.0), CallValue(1, 0, 0.5)), situations=(("r", "x"), ("s", "y"))
    )
    batch = [first, second]
    close(Calls(same="state", outcome="none").advantages(batch), [[0.25], [0.0, -0.25]])
    close(Calls(same="observed", outcome="none").advantages(batch), [[0.0], [0.0, 0.0]])
    close(Calls(same="position", outcome="none").advantages(batch), [[0.5], [-0.5, 0.0]])


def test_turns_of_one_situation_by_hand() -> None:
    """`s` occurs three times, with returns 0.5 (one turn from the end), 1 and 0."""
    first = Rollout("g", 1.0, 2, 0.2, situations=(("s", "a"), ("s", "b")))
    second = Rollout("g", 0.0, 2, -0.2, situations=(("s", "a"), ("q", "b")))
    close(
        GroupInGroup(discount=0.5, omega=2.0).advantages([first, second]),
        [[0.2 + 2 * 0.0, 0.2 + 2 * 0.5], [-0.2 + 2 * -0.5, -0.2]],
    )
    close(
        GroupInGroup(discount=0.5, outcome="none", same="observed").advantages([first, second]),
        [[0.25, 0.0], [-0.25, 0.0]],
    )


def test_differences_are_added() -> None:
    batch = [Rollout("g", 1.0, 2, 0.1, counterfactuals=(1.0, 0.0)), Rollout("g", 1.0, 1, 0.1, counterfactuals=(-0.5,))]
    close(LeaveOneOut(gamma=0.5).advantages(batch), [[0.6, 0.1], [-0.15]])


def test_continuations_by_hand() -> None:
    """Two roots with 1 and 0; from the second turn of the second there are branches with 1 and 0.5."""
    batch = [
        Rollout("g", 1.0, 2),
        Rollout("g", 0.0, 2, fork="f", forked_at=1),
        Rollout("g", 1.0, 3, fork="f", forked_at=1, branch=True),
        Rollout("g", 0.5, 2, fork="f", forked_at=1, branch=True),
    ]
    scheme = Branches(outcome="dr_grpo", baseline="dr_grpo")
    close(scheme.advantages(batch), [[0.5, 0.5], [-0.5, -1.0], [0.0, 0.5, 0.5], [0.0, 0.0]])
    assert Outcome(kind="rloo").advantages(batch)[2:] == [[0.0] * 3, [0.0] * 2]


def test_shared_turns_have_no_credit_and_count_once() -> None:
    root = Rollout("g", 0.0, 2, situations=(("s", ""), ("s", "")), fork="f", forked_at=1)
    branch = Rollout("g", 1.0, 2, situations=(("s", ""), ("s", "")), fork="f", forked_at=1, branch=True)
    scheme = GroupInGroup(outcome="none", discount=1.0)
    close(combined([scheme], [root, branch]), [[-1 / 3, -1 / 3], [0.0, 2 / 3]])


# --- the papers' formulas, written out ------------------------------------------------------------------------


values = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@st.composite
def rollouts(draw: st.DrawFn, failures: bool = True) -> list[Rollout]:
    batch = []
    for _ in range(draw(st.integers(1, 9))):
        turns = draw(st.integers(1, 4))
        calls = [
            CallValue(t, p, draw(st.none() | values)) for t in range(turns) for p in range(draw(st.integers(0, 2)))
        ]
        batch.append(
            Rollout(
                group=draw(st.sampled_from("gh")),
                value=draw(st.none() | values if failures else values),
                turns=turns,
                advantage=draw(st.floats(-2, 2)),
                blamed=tuple(draw(st.booleans()) for _ in range(turns)),
                components=tuple({"a": draw(values), "b": draw(values)} for _ in range(turns + 1)),
                calls=tuple(calls),
                situations=tuple((draw(st.sampled_from("st")), draw(st.sampled_from("xy"))) for _ in range(turns)),
                counterfactuals=tuple(draw(values) for _ in range(turns)),
            )
        )
    return batch


def slowly_normalised(value: float, others: list[float], kind: str) -> float:
    """One value relative to all of its group, itself included, with the library's mean and deviation."""
    if len(others) < 2:
        return 0.0
    if kind == "rloo":
        return value - (sum(others) - value) / (len(others) - 1)
    centred = value - statistics.mean(others)
    return centred / (statistics.stdev(others) + 1e-4) if kind == "grpo" else centred


@given(rollouts(), st.sampled_from(["grpo", "dr_grpo", "rloo"]))
@settings(max_examples=60, deadline=None)
def test_outcomes_as_in_their_papers(batch: list[Rollout], kind: str) -> None:
    found = Outcome.model_validate({"kind": kind}).advantages(batch)
    for rollout, row in zip(batch, found, strict=True):
        rewards = [each.value for each in batch if each.group == rollout.group and each.value is not None]
        expected = 0.0 if rollout.value is None else slowly_normalised(rollout.value, rewards, kind)
        assert row == pytest.approx([expected] * rollout.turns, abs=1e-6)


def slow_return(rollout: Rollout, turn: int, discount: float) -> float:
    """The sum of discounted rewards from a turn on: rises of the mean component, and the reward at the end."""
    total = 0.0
    for later in range(turn, rollout.turns):
        before, after = rollout.components[later], rollout.components[later + 1]
        reward = (after["a"] - before["a"]) / 2 + (after["b"] - before["b"]) / 2
        if later == rollout.turns - 1:
            reward += rollout.value or 0.0
        total += discount ** (later - turn) * reward
    return total


@given(rollouts(), st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_returns_of_turns_as_in_gtpo(batch: list[Rollout], discount: float, by_position: bool) -> None:
    scheme = Turns(discount=discount, across="position" if by_position else "group")
    found = combined([scheme], batch)
    live = [each for each in batch if each.value is not None]
    for rollout, row in zip(batch, found, strict=True):
        for turn, advantage in enumerate(row):
            like = [
                slow_return(other, at, discount)
                for other in live
                if other.group == rollout.group
                for at in range(other.turns)
                if at == turn or not by_position
            ]
            expected = slowly_normalised(slow_return(rollout, turn, discount), like, "grpo")
            assert advantage == pytest.approx(0.0 if rollout.value is None else expected, abs=1e-6)


@given(rollouts(failures=False), st.booleans())
@settings(max_examples=60, deadline=None)
def test_group_in_group_as_in_gigpo(batch: list[Rollout], scaled: bool) -> None:
    omega, discount, kind = 0.7, 0.9, "grpo" if scaled else "dr_grpo"
    scheme = GroupInGroup.model_validate({"omega": omega, "discount": discount, "outcome": "grpo", "baseline": kind})
    found = scheme.advantages(batch)
    for rollout, row in zip(batch, found, strict=True):
        whole = slowly_normalised(
            rollout.value or 0.0, [each.value or 0.0 for each in batch if each.group == rollout.group], "grpo"
        )
        for turn, advantage in enumerate(row):
            like = [
                discount ** (other.turns - 1 - at) * (other.value or 0.0)
                for other in batch
                if other.group == rollout.group
                for at in range(other.turns)
                if other.situations[at][0] == rollout.situations[turn][0]
            ]
            own = discount ** (rollout.turns - 1 - turn) * (rollout.value or 0.0)
            assert advantage == pytest.approx(whole + omega * slowly_normalised(own, like, kind), abs=1e-6)


@given(rollouts(failures=False))
@settings(max_examples=60, deadline=None)
def test_values_of_calls_as_written(batch: list[Rollout]) -> None:
    found = Calls(gamma=0.5).advantages(batch)
    for rollout, row in zip(batch, found, strict=True):
        expected = [rollout.advantage] * rollout.turns
        for number, call in enumerate(rollout.calls):
            like = [
                other.calls[number].value
                for other in batch
                if other.group == rollout.group and number < len(other.calls)
            ]
            known = [value for value in like if value is not None]
            if call.value is not None:
                expected[call.turn] += 0.5 * (call.value - statistics.mean(known))
        assert row == pytest.approx(expected, abs=1e-9)


# --- properties --------------------------------------------------------------------------------------------


SCHEMES: list[Scheme] = [
    Trajectory(),
    Blame(),
    Outcome(kind="grpo"),
    Outcome(kind="dr_grpo"),
    Outcome(kind="rloo"),
    Turns(),
    Turns(source="calls", across="group", discount=0.5),
    Calls(),
    Calls(same="observed"),
    GroupInGroup(),
    GroupInGroup(source="components", same="observed", baseline="grpo", outcome="rloo"),
    LeaveOneOut(),
    Branches(),
]
COMPARING = [Turns(baseline="dr_grpo"), Turns(across="group"), GroupInGroup(outcome="none"), Calls(outcome="none")]


@given(rollouts(), st.sampled_from(SCHEMES), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_rollouts_makes_no_difference(batch: list[Rollout], scheme: Scheme, rng: Any) -> None:
    order = list(range(len(batch)))
    rng.shuffle(order)
    found, shuffled = combined([scheme], batch), combined([scheme], [batch[place] for place in order])
    close(shuffled, [found[place] for place in order], 1e-12)


@given(rollouts(), st.sampled_from(SCHEMES))
@settings(max_examples=100, deadline=None)
def test_a_rollout_without_reward_gets_nothing_and_changes_nothing(batch: list[Rollout], scheme: Scheme) -> None:
    found = combined([scheme], batch)
    kept = [place for place, rollout in enumerate(batch) if rollout.value is not None]
    close(combined([scheme], [batch[place] for place in kept]), [found[place] for place in kept], 1e-12)
    assert all(value == 0.0 for place, row in enumerate(found) if place not in kept for value in row)


@given(rollouts(failures=False), st.sampled_from(["grpo", "dr_grpo", "rloo"]))
@settings(max_examples=60, deadline=None)
def test_outcomes_sum_to_zero_in_each_group(batch: list[Rollout], kind: str) -> None:
    found = Outcome.model_validate({"kind": kind}).advantages(batch)
    for group in "gh":
        rows = [row[0] for rollout, row in zip(batch, found, strict=True) if rollout.group == group]
        assert math.fsum(rows) == pytest.approx(0.0, abs=1e-9)


@given(rollouts(), st.sampled_from(COMPARING))
@settings(max_examples=80, deadline=None)
def test_what_is_compared_sums_to_zero_in_each_group(batch: list[Rollout], scheme: Scheme) -> None:
    found = combined([scheme], batch)
    for group in "gh":
        total = [value for rollout, row in zip(batch, found, strict=True) if rollout.group == group for value in row]
        assert math.fsum(total) == pytest.approx(0.0, abs=1e-6)


@given(rollouts(failures=False), st.sampled_from(SCHEMES[2:]), st.integers(2, 5))
@settings(max_examples=80, deadline=None)
def test_equal_rollouts_get_nothing(batch: list[Rollout], scheme: Scheme, copies: int) -> None:
    """A difference of a replay is its own baseline; so are repeated visits of one rollout to a situation or turn."""
    blank: dict[str, Any] = {"advantage": 0.0, "counterfactuals": (0.0,) * batch[0].turns}
    one = dataclasses.replace(batch[0], situations=tuple((str(t), "") for t in range(batch[0].turns)), **blank)
    if isinstance(scheme, Turns) and scheme.across == "group":
        return
    assert all(abs(value) < 1e-9 for row in combined([scheme], [one] * copies) for value in row)


@given(rollouts(), st.sampled_from(SCHEMES), st.floats(-2, 2), st.floats(-2, 2))
@settings(max_examples=60, deadline=None)
def test_schemes_add_up_with_their_weights(batch: list[Rollout], scheme: Scheme, one: float, two: float) -> None:
    weighted = [scheme.model_copy(update={"weight": one}), Outcome(kind="rloo", weight=two)]
    parts = [combined([scheme], batch), combined([Outcome(kind="rloo")], batch)]
    expected = [
        [one * a + two * b for a, b in zip(*rows, strict=True)] for rows in zip(*parts, strict=True)
    ]  # fmt: skip
    close(combined(weighted, batch), expected, 1e-9)


# --- recipes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("turn", (Blame(),)),
        ("group_in_group", (GroupInGroup(),)),
        ("{kind: calls, gamma: 0.5, same: state}", (Calls(gamma=0.5, same="state"),)),
        (
            "[{kind: rloo, weight: 0.5}, {kind: turns, discount: 0, final: 0}]",
            (Outcome(kind="rloo", weight=0.5), Turns(discount=0.0, final=0.0)),
        ),
    ],
)
def test_recipes_name_schemes(text: str, expected: tuple[Scheme, ...]) -> None:
    assert load_recipe("nano", [f"grpo.credit={text}"]).grpo.credit == expected
    assert load_recipe("nano").grpo.credit == (Trajectory(),)


@pytest.mark.parametrize(
    ("credit", "message"),
    [
        ("{kind: group_in_group, omga: 1}", "Did you mean 'omega'"),
        ("{kind: calls, discount: 1}", "unknown key 'grpo.credit.0.discount'"),
        ("group_in_grp", "Did you mean 'group_in_group'"),
        ("{kind: turns, discount: 2}", "less than or equal to 1"),
        ("[]", "no scheme of credit"),
        ("[branches, branches]", "once only"),
        ("[branches, trajectory]", "'trajectory' cannot use the trainer's advantage"),
        ("[branches, calls]", "'calls' cannot use the trainer's advantage"),
        ("{kind: branches, branches: 7}", "at most 6 can be branches"),
    ],
)
def test_wrong_credit_is_named(credit: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_recipe("nano", ["grpo.group_size=8", f"grpo.credit={credit}"])
    assert message in str(error.value)


def test_schemes_are_read_without_a_recipe() -> None:
    assert schemes_of("dr_grpo") == (Outcome(kind="dr_grpo"),)
    with pytest.raises(ConfigurationError, match="Did you mean 'rloo'"):
        schemes_of("rlo")
