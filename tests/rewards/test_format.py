"""Form: calls, tags, repetition."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.episode import Episode
from telegym.rewards.base import Run
from telegym.rewards.format import Format, has_tags_once, repeats_itself
from tests.rewards.parts import TOY, toy_run
from tests.toy import Toy


def call(name: str, **arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def played(*actions: str, environment: Toy = TOY) -> Run:
    episode = Episode(environment, environment.tasks[0])
    for action in actions:
        episode.step(action)
    return Run.of(episode)


def test_the_oracle_has_form() -> None:
    score = Format()(toy_run())
    assert (score.value, score.reasons) == (1.0, ())
    assert score.calls == (1.0,) * len(toy_run().trajectory.calls)


def test_calls_that_are_not_well_formed_count() -> None:
    score = Format()(
        played(
            call("read_counter", counter_id="C001"),
            call("read_countr", counter_id="C001"),
            call("read_counter", counter="C001"),
            '<tool_call>\n{"name": "read_co',
            call("read_counter", counter_id="C009"),
        )
    )
    assert score.calls == (1.0, 0.0, 0.0, 0.0, 1.0)  # the last one is refused by the system, and well formed
    assert score.value == pytest.approx(2 / 5)
    assert score.reasons[0] == "call 1 is not well formed: unknown_tool"


def test_an_empty_message_is_no_answer() -> None:
    assert (Format()(played("")).value or 0.0) < 1.0


def test_calls_dropped_at_the_end_count_neither_way() -> None:
    ending = played(call("read_counter", counter_id="C001") + call("done"))
    assert Format()(ending).calls == (None, 1.0)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("<think>a</think><answer>b</answer>", True),
        ("so: <think>a</think> and <answer>b</answer>.", True),
        ("<answer>b</answer><think>a</think>", False),
        ("<think>a<answer>b</answer></think>", False),
        ("<think>a</think><answer>b</answer><answer>c</answer>", False),
        ("<think>a</think><answer>b", False),
        ("<think>a</think></answer>b<answer>", False),
        ("", False),
    ],
)
def test_tags_exactly_once_and_in_order(text: str, good: bool) -> None:
    assert has_tags_once(text, ("think", "answer")) is good
    assert has_tags_once(text, ())
    talk = Toy(talkative=True)
    value = Format(tags=("think", "answer"))(played("Hello there", text or "nothing", environment=talk)).value
    assert value == float(good)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 40))
def test_a_text_repeats_itself_from_a_length_on(window: int, times: int, length: int) -> None:
    """`a` n times has n - window + 1 windows, all alike."""
    assert repeats_itself("a " * length, window, times) is (length - window + 1 >= times)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["up", "down", "north", "south"]), max_size=60))
def test_a_text_of_different_words_never_repeats(words: list[str]) -> None:
    assert not repeats_itself(" ".join(f"{word}{number}" for number, word in enumerate(words)), 1, 2)


def test_a_repetition_costs_1() -> None:
    circling = "the cell is down because the cell is up and so " * 10
    assert Format()(played(circling, environment=Toy(talkative=True))).value == 0.0
    assert Format()(played(circling + call("read_countr"), environment=Toy(talkative=True))).value == -1.0
    assert Format(times=20)(played(circling, environment=Toy(talkative=True))).value == 1.0


def test_chinese_has_words_too() -> None:
    assert repeats_itself("小区已经退服请尽快处理。" * 10)
    assert not repeats_itself("小区已经退服请尽快处理。" * 9)


def test_windows_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at least, not 0 and 10"):
        Format(window=0)
