"""The agenda, and time texts."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.envs.base_station import engine
from telegym.envs.base_station.engine import Agenda, handler_of, handles, time_text


def popped(agenda: Agenda, until_s: int) -> list[tuple[int, str]]:
    found = []
    while (event := agenda.pop(until_s)) is not None:
        found.append((event.at_s, event.kind))
    return found


def test_events_come_in_order_of_time_then_of_planning() -> None:
    agenda = Agenda()
    for at_s, kind in ((5, "a"), (3, "b"), (5, "c"), (4, "d")):
        agenda.schedule(at_s, kind, ())
    assert agenda.next_s() == 3
    assert popped(agenda, 4) == [(3, "b"), (4, "d")]
    assert popped(agenda, 4) == []
    assert popped(agenda, 5) == [(5, "a"), (5, "c")]
    assert agenda.next_s() is None


def test_planning_an_event_again_moves_it() -> None:
    agenda = Agenda()
    agenda.schedule(5, "a", ("x",))
    agenda.schedule(9, "a", ("x",))
    agenda.schedule(7, "a", ("y",))
    assert len(agenda) == 2 and agenda.due_s("a", ("x",)) == 9
    assert popped(agenda, 100) == [(7, "a"), (9, "a")]


def test_a_cancelled_event_does_not_come() -> None:
    agenda = Agenda()
    agenda.schedule(5, "a", ())
    agenda.cancel("a", ())
    agenda.cancel("a", ())
    assert agenda.next_s() is None and popped(agenda, 10) == [] and agenda.dump() == []


def test_an_agenda_forgets_what_was_cancelled() -> None:
    agenda = Agenda()
    for at_s in range(1000):
        agenda.schedule(at_s, "a", ())
        agenda.cancel("a", ())
    agenda.schedule(7, "b", (1,))
    assert len(agenda._heap) < 200 and agenda.dump() == [[7, "b", 1]]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5), st.booleans()), max_size=60), st.integers(0, 60))
def test_an_agenda_does_what_a_sorted_list_does(steps: list[tuple[int, int, bool]], until_s: int) -> None:
    agenda, plain = Agenda(), dict[tuple[str, int], tuple[int, int]]()
    for order, (at_s, name, cancelled) in enumerate(steps):
        if cancelled:
            agenda.cancel("k", (name,))
            plain.pop(("k", name), None)
        elif plain.get(("k", name), (None,))[0] != at_s:
            agenda.schedule(at_s, "k", (name,))
            plain[("k", name)] = (at_s, order)
    copy = agenda.copy()
    expected = sorted((at_s, order, name) for (_, name), (at_s, order) in plain.items() if at_s <= until_s)
    for chosen in (agenda, copy):
        found = []
        while (event := chosen.pop(until_s)) is not None:
            found.append(event.payload[0])
        assert found == [name for _, _, name in expected]


def test_kinds_have_one_handler() -> None:
    @handles("test.once")
    def first() -> None: ...

    assert handler_of("test.once") is first
    with pytest.raises(ValueError, match=r"'test\.once' is handled by"):

        @handles("test.once")
        def second() -> None: ...

    with pytest.raises(LookupError, match=r"no handler for events of kind 'test\.never'"):
        handler_of("test.never")


@given(st.integers(0, 200 * engine.DAY_S))
def test_times_are_those_of_the_calendar(at_s: int) -> None:
    moment = datetime.datetime(2031, 3, 3) + datetime.timedelta(seconds=at_s)
    assert time_text(at_s) == moment.strftime("%m-%dT%H:%M:%S")
    assert engine.hour_of_week(at_s) == moment.weekday() * 24 + moment.hour
