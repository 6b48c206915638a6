"""Where final answers are found."""

from __future__ import annotations

import pytest

from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Failure
from telegym.core.task import Task
from telegym.rewards.answer.extraction import Extraction, Source, boxed, tagged, without_thinking
from telegym.rewards.answer.normalisation import bare, comparable
from telegym.rewards.answer.numeric import NumericReward
from telegym.rewards.base import Run

from .asking import Asking, run


@pytest.mark.parametrize(
    ("reply", "text", "source"),
    [
        ("It is 5.", "It is 5.", Source.TEXT),
        ("So <answer>5</answer>.", "5", Source.TAG),
        (r"First \boxed{4}, no: \boxed{\frac{1}{2}}", r"\frac{1}{2}", Source.BOXED),
        (r"<answer>\boxed{3}</answer>", r"\boxed{3}", Source.TAG),
        ("<think>7 <answer>7</answer></think>It is 8", "It is 8", Source.TEXT),
        ("7 then </think> 8", "8", Source.TEXT),
        ("The end. ###STOP###", "The end.", Source.TEXT),
        ("<ANSWER> 5 </ANSWER> and <answer>5</answer>", "5", Source.TAG),
    ],
)
def test_the_first_place_with_an_answer_counts(reply: str, text: str, source: Source) -> None:
    found = Extraction().of(run(reply))
    assert found.text is not None
    assert (found.text.strip(), found.source) == (text, source)


def test_a_tool_call_counts_before_text_and_brings_its_unit() -> None:
    found = Extraction().of(run({"answer": 3.5, "unit": "dB"}))
    assert (found.text, found.unit, found.source, found.marked) == ("3.5", "dB", Source.TOOL, True)
    assert Extraction().of(run({"answer": [1.0, 2.5]})).text == "1.0; 2.5"


def test_a_refused_call_is_no_answer() -> None:
    assert Extraction(sources=("tool",)).of(run({"answer": {"a": 1}})).text is None


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "there is no final answer"),
        ("<think>it never ends 5", "there is no final answer"),
        ("<answer>4</answer> <answer>5</answer>", "contradict"),
    ],
)
def test_no_answer_has_a_reason(reply: str, problem: str) -> None:
    found = Extraction(sources=("tool", "tag", "boxed")).of(run(reply))
    assert found.text is None
    assert problem in found.problem


@pytest.mark.parametrize(
    ("reply", "found"), [("<answer>5</answer>", "5"), ("5", None), ("<answer>5</answer>" * 2, None)]
)
def test_tags_may_have_to_occur_once(reply: str, found: str | None) -> None:
    answer = Extraction(sources=("tag",), once=True).of(run(reply))
    assert answer.text == found
    assert (answer.problem == "") == (found is not None)


def test_an_unknown_source_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'boxed'"):
        Extraction(sources=("box",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\boxed{a}", ["a"]),
        (r"\boxed{\text{x {y}}} \fbox{z}", [r"\text{x {y}}", "z"]),
        (r"\boxed{open", []),
        (r"\boxed {\{1\}}", [r"\{1\}"]),
    ],
)
def test_boxes_are_balanced(text: str, expected: list[str]) -> None:
    assert boxed(text) == expected


def test_tags_hold_the_innermost() -> None:
    assert tagged("<answer>x<answer>y</answer>") == ["y"]
    assert tagged("<final>z</final>", "final") == ["z"]


def test_thoughts_are_left_out() -> None:
    assert without_thinking("<think>a</think>b<think>c</think>d") == "bd"
    assert without_thinking("<thinking>a") == ""


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("H=N*I/L", "H=N/I*L", False),
        ("λ", "µ", False),
        ("\u00b5s", "\u03bcs", True),
        ("Open\u00a0 RAN ", "open ran", True),
        ("ﬁbre", "FIBRE", True),
        ("a < b", "a > b", False),
        ("5G", "5 G", False),
    ],
)
def test_symbols_are_kept_when_texts_are_compared(one: str, other: str, equal: bool) -> None:
    assert (comparable(one) == comparable(other)) is equal


@pytest.mark.parametrize("text", ["x", " x. ", "**x**", "$x$", '"x"', r"\boxed{\text{x}}", "`x`."])
def test_what_is_around_an_answer_goes(text: str) -> None:
    assert bare(text) == "x"


def test_a_run_broken_from_outside_is_not_scored() -> None:
    task = Task(id="q", ticket="?", data={"answer": 5})
    episode = Episode(Asking(task), task)
    episode.truncate(EndReason.INFRASTRUCTURE, Failure(party="infrastructure", message="server died"))
    score = NumericReward()(Run.of(episode))
    assert score.value is None
    assert score.failure is not None
    assert score.failure.message == "server died"


def test_a_recording_is_scored_like_the_episode() -> None:
    live = run({"answer": 5.0}, answer=5)
    recorded = Run(trajectory=live.trajectory)
    assert NumericReward()(recorded) == NumericReward()(live)
    assert NumericReward()(live).success


def test_an_answer_beside_the_last_call_counts_as_text() -> None:
    task = Task(id="q", ticket="?", data={"answer": 5})
    episode = Episode(Asking(task), task)
    call = ToolCall(id="a", name="unknown", arguments={})
    episode.step(Message(role="assistant", content="It is 5.", tool_calls=(call,)))
    assert NumericReward()(Run.of(episode)).success
