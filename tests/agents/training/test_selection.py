"""Groups that say nothing are left out, and rollouts that are too long are treated as asked."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.agents.training.selection import (
    DeviationSettings,
    DynamicSamplingSettings,
    GroupOutcome,
    OverLongSettings,
    Selection,
    soft_punishment,
)
from telegym.core.errors import ConfigurationError


def group(*values: float | None, solved: tuple[bool | None, ...] | None = None) -> GroupOutcome:
    return GroupOutcome(values, solved or tuple(None if value is None else value >= 1 for value in values))


@pytest.mark.parametrize(
    ("outcome", "by_reward", "by_success"),
    [
        (group(1.0, 0.0, 1.0), True, True),
        (group(1.0, 1.0, 1.0), False, False),
        (group(0.0, 0.0), False, False),
        (group(0.3, 0.0), True, False),
        (group(1.3, 1.0), True, False),
        (group(None, None, None), False, False),
        (group(1.0, None, None), False, False),
        (group(1.0, None, 1.0), False, False),
        (group(1.0, None, 0.0), True, True),
        # A rollout whose judge failed has no reward, though it is known whether it solved the task.
        (group(1.0, None, 1.0, solved=(True, False, True)), False, False),
        (group(0.5, 0.7, solved=(True, None)), True, False),
    ],
)
def test_groups_without_a_difference_are_not_kept(outcome: GroupOutcome, by_reward: bool, by_success: bool) -> None:
    assert Selection(DynamicSamplingSettings(by="reward")).keeps(outcome) is by_reward
    assert Selection(DynamicSamplingSettings(by="success")).keeps(outcome) is by_success
    assert Selection().keeps(outcome)


def test_rounding_is_no_difference() -> None:
    assert not Selection(DynamicSamplingSettings()).keeps(group(0.1 + 0.2, 0.3))


def test_successes_are_counted_among_those_that_are_known() -> None:
    assert group(1.0, None, 0.0, 1.0).successes == (2, 3)
    assert group(None, None).successes == (0, 0)


def test_the_deviation_filter_goes_by_earlier_steps() -> None:
    selection = Selection(deviation=DeviationSettings(beta=0.5, decay=0.5, starts=1, filters=2).build())
    wide, narrow = group(0.0, 1.0), group(0.5, 0.6)
    assert selection.keeps(narrow)
    selection.learn([wide, wide])  # deviations of 0.5: the bar is 0.25
    assert [selection.keeps(each) for each in (wide, narrow, group(0.0, 0.5), group(0.0, 0.49))] == [
        True, False, True, False,
    ]  # fmt: skip
    assert not selection.keeps(group(1.0, None))
    selection.learn([narrow])  # the average is now 0.5 * 0.5 + 0.5 * 0.05
    assert selection.figures() == {"selection/deviation": pytest.approx(0.275)}


def test_asking_changes_nothing_and_a_state_goes_on() -> None:
    settings = DeviationSettings(starts=1, filters=2)
    selection = Selection(DynamicSamplingSettings(), settings.build())
    selection.learn([group(0.0, 1.0)])
    before = selection.state()
    for _ in range(3):
        selection.keeps(group(0.0, 0.1))
    assert selection.state() == before
    other = Selection(DynamicSamplingSettings(), settings.build())
    other.restore(json.loads(json.dumps(before)))
    assert other.state() == before
    assert not other.keeps(group(0.0, 0.1))


@pytest.mark.parametrize(
    ("length", "expected"),
    # Limit 100, buffer 40: free up to 60.
    [(0, 0.0), (60, 0.0), (61, -0.025), (70, -0.25), (80, -0.5), (100, -1.0), (101, -1.0), (5000, -1.0)],
)
def test_the_punishment_of_length_is_the_papers(length: int, expected: float) -> None:
    assert soft_punishment(length, 100, 40) == pytest.approx(expected)


@given(st.integers(1, 500), st.integers(1, 500), st.lists(st.integers(0, 1500), min_size=2, max_size=2))
def test_the_punishment_grows_with_length(limit: int, buffer: int, lengths: list[int]) -> None:
    short, long = sorted(lengths)
    buffer = min(buffer, limit)
    assert -1 <= soft_punishment(long, limit, buffer) <= soft_punishment(short, limit, buffer) <= 0
    if long > limit:
        assert soft_punishment(long, limit, buffer) == -1


def test_over_long_rollouts_are_kept_masked_or_punished() -> None:
    keep, mask = OverLongSettings().build(100), OverLongSettings(action="mask").build(100)
    punish = OverLongSettings(action="punish", buffer=40, weight=0.5).build(100)
    assert [each.masks(True) for each in (keep, mask, punish)] == [False, True, False]
    assert not mask.masks(False)
    assert [each.punishment(80, False) for each in (keep, mask, punish)] == [0.0, 0.0, -0.25]
    assert punish.punishment(30, True) == -0.5
    assert OverLongSettings(action="punish", limit=50, buffer=20).build(100).punishment(40, False) == -0.5


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="buffer of 512 tokens is longer than the limit of 100"):
        OverLongSettings(action="punish").build(100)
    with pytest.raises(ConfigurationError, match="starts is 6 and filters 3"):
        DeviationSettings(filters=3).build()
