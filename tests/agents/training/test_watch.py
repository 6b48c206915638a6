"""Watches give an alarm when a figure leaves its range, once, and remember across a restart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from telegym.agents.training.watch import Watch, Watches, WatchSettings


def alarms(values: list[float], **options: Any) -> list[str | None]:
    watch = Watch(WatchSettings(figure="entropy", **options))
    found = [watch.see(value) for value in values]
    return [alarm.text if alarm is not None else None for alarm in found]


def test_a_figure_below_its_limit_is_an_alarm() -> None:
    assert alarms([1.0, 0.6, 0.2], below=0.5, decay=0.0) == [None, None, "entropy is 0.2, below 0.5"]


def test_the_average_decides_not_a_single_step() -> None:
    # Weighted means with decay 1/2: 1, 1/3, 1/7.
    watch = Watch(WatchSettings(figure="entropy", below=0.2, decay=0.5))
    found = []
    for value in (1.0, 0.0, 0.0):
        found.append(watch.see(value) is not None)
        assert watch.average is not None
    assert found == [False, False, True]
    assert watch.average == pytest.approx(1 / 7)


def test_limits_can_be_relative_to_the_first_steps() -> None:
    values = [90.0, 110.0, 140.0, 160.0]
    found = alarms(values, above=1.5, relative=True, first=2, decay=0.0)
    assert found == [None, None, None, "entropy is 160, above 150, 1.5 times the 100 of the first steps"]


def test_an_alarm_is_given_once_until_all_was_well_again() -> None:
    found = alarms([2.0, 2.0, 0.0, 2.0], above=1.0, decay=0.0)
    assert [text is not None for text in found] == [True, False, False, True]


def test_nothing_is_an_alarm_too_early() -> None:
    assert [text is not None for text in alarms([2.0, 2.0, 2.0], above=1.0, after=2)] == [False, False, True]


def test_what_is_no_number_is_an_alarm() -> None:
    assert alarms([1.0, float("nan")], below=0.5) == [None, "entropy is nan"]


def test_a_figure_that_is_not_logged_is_named_once() -> None:
    watches = Watches([WatchSettings(figure="entropi", below=0.1, action="stop")])
    (alarm,) = watches.see({"entropy": 1.0, "loss": None})
    assert alarm.text == "the figure 'entropi' is watched, but was not logged. Did you mean 'entropy'?"
    assert not alarm.stops
    assert watches.see({"entropy": 1.0}) == []


def test_only_a_watch_that_shall_stop_stops() -> None:
    both = [WatchSettings(figure="kl", above=1, action=action) for action in ("warn", "stop")]
    assert [alarm.stops for alarm in Watches(both).see({"kl": 3.0})] == [False, True]


def test_a_state_goes_on() -> None:
    made = [WatchSettings(figure="kl", above=1.5, relative=True, first=2, decay=0.5)]
    values = [1.0, 1.2, 1.9, 2.5, 2.6, 0.1, 3.0, 9.0]
    whole = Watches(made)
    expected = [[alarm.text for alarm in whole.see({"kl": value})] for value in values]
    for cut in range(len(values)):
        first, second = Watches(made), Watches(made)
        found = [[alarm.text for alarm in first.see({"kl": value})] for value in values[:cut]]
        second.restore(json.loads(json.dumps(first.state())))
        found += [[alarm.text for alarm in second.see({"kl": value})] for value in values[cut:]]
        assert found == expected
    assert sum(len(each) for each in expected) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "has no limit; set `below` or `above`"), ({"below": 2, "above": 1}, "leave no range")],
)
def test_a_watch_without_a_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WatchSettings(figure="kl", **options)
