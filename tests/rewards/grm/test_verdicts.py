"""What is a verdict, and what is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.rewards.grm.adapters import parse_preference, parse_scores
from telegym.rewards.grm.verdicts import CallMark, UnreadableVerdictError, parse_verdict, parse_verdicts
from telegym.rewards.verdict import Code
from tests.rewards.grm.scripted import verdict


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        (r"\boxed{1}", True),
        (r"\boxed{0}", False),
        (r"\boxed{0.0}", False),
        (r"\boxed{**1**}", True),
        (r"\boxed{ $1$ }", True),
        (r"first \boxed{0}, no: \boxed{1}", True),
        ('{"score": 1}', True),
        ('{"score": 0.0}', False),
        ('```json\n{"score": 0}\n```', False),
        ('{"score": 1} and then {"score": 0}', False),
        ('{"a": {"b": "}"}} {"score": 1} {"other": 2}', True),
        ('{"score": 1}\n\\boxed{1}', True),
        (r"<think>\boxed{0}</think>\boxed{1}", True),
        (r"the tag was in the prompt \boxed{0}</think>\boxed{1}", True),
        (r'{"score": 1} then the form: \boxed{VALUE}', True),
    ],
)
def test_the_last_box_or_else_the_last_json_counts(reply: str, score: bool) -> None:
    assert parse_verdict(reply).score is score


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "It is fine.",
        r"\boxed{2}",
        r"\boxed{0|1}",
        r"\boxed{}",
        r"<think>\boxed{1}",
        r"<think>\boxed{1}</think>",
        '{"score": 0|1}',
        '{"score": true}',
        '{"score": "1"}',
        '{"score": 0.5}',
        '{"score": 1',
        '{"score": 1} {"score": 2}',
        '{"score": 0, "score": 1}',
        '{"nested": {"score": 1}}',
        '{"\\u0073core": 1}',
        "[1]",
        "{" * 5000,
    ],
)
def test_anything_else_is_no_verdict(reply: str) -> None:
    with pytest.raises(UnreadableVerdictError) as raised:
        parse_verdict(reply)
    assert raised.value.kind == "missing"


def test_two_verdicts_that_differ_are_none() -> None:
    with pytest.raises(UnreadableVerdictError, match="different things") as raised:
        parse_verdict('{"score": 0}\n\\boxed{1}')
    assert raised.value.kind == "conflict"


def test_marks_have_codes_of_the_list() -> None:
    found = parse_verdict(verdict(0, [(1, None), (0, "REDUNDANT"), (0, "nonsense")]), 3)
    marks = (CallMark(1, True), CallMark(2, False, Code.REDUNDANT), CallMark(3, False))
    assert found.calls == marks
    assert not found.consistent
    assert parse_verdict(verdict(0, [(1, None), (0, "redundant")]), 2).consistent


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [{"i": 1, "v": 1}],
        [{"i": 1, "v": 1}, {"i": 1, "v": 1}],
        [{"i": 1, "v": 1}, {"i": 3, "v": 1}],
        [{"i": 1, "v": 1}, {"i": 2, "v": 1}, {"i": 3, "v": 1}],
        [{"i": 1, "v": 1}, {"i": 2, "v": 2}],
        [{"i": 1, "v": 1}, {"i": True, "v": 1}],
        [{"i": 1, "v": 1}, "2"],
        "all good",
        None,
    ],
)
def test_marks_that_do_not_cover_each_call_once_are_dropped_and_the_verdict_stays(calls: object) -> None:
    found = parse_verdict(json.dumps({"calls": calls, "score": 1}), 2)
    assert found.calls is None
    assert found.score


def test_marks_come_in_the_order_of_the_calls() -> None:
    found = parse_verdict('{"calls": [{"i": 2, "v": 0, "code": "order"}, {"i": 1, "v": 1}], "score": 0}', 2)
    assert found.calls == (CallMark(1, True), CallMark(2, False, Code.ORDER))


def test_contradictions_are_noticed() -> None:
    assert not parse_verdict(verdict(1, [(1, None)], safe=0), 1).consistent
    assert not parse_verdict(verdict(1, [(0, "unsafe")]), 1).consistent
    assert not parse_verdict(verdict(1, [(1, "order")]), 1).consistent
    assert not parse_verdict(verdict(0, [(0, None)]), 1).consistent


def test_the_analysis_and_what_it_cites_are_found() -> None:
    found = parse_verdict(verdict(1, [(1, None)], analysis="Call 1 and 2 are needed; so is result 3, 调用 4."), 1)
    assert found.analysis.startswith("Call 1")
    assert found.cited == (1, 2, 3, 4)
    assert parse_verdict('Because of call 7. {"score": 1}').analysis == "Because of call 7."
    assert parse_verdict('{"analysis": "Why.", "score": 1}').analysis == "Why."
    assert parse_verdict(r"Why not. \boxed{0}").analysis == "Why not."


@given(st.text(max_size=40), st.sampled_from("01"), st.booleans())
def test_the_digit_is_where_it_is_said_to_be(before: str, digit: str, boxed: bool) -> None:
    reply = f"{before} \\boxed{{{digit}}}" if boxed else f'{before} {{"score": {digit}}}'
    found = parse_verdict(reply)
    assert reply[found.digit_at] == digit
    assert found.score == (digit == "1")


@settings(max_examples=200)
@given(st.text(alphabet='{}[]":,01 \\boxed score<think>/v\n', max_size=120), st.integers(0, 3))
def test_no_text_breaks_the_parser(reply: str, calls: int) -> None:
    try:
        found = parse_verdict(reply, calls)
    except UnreadableVerdictError:
        return
    assert reply[found.digit_at] in "01"
    assert found.calls is None or len(found.calls) == calls


@pytest.mark.parametrize(
    ("reply", "scores"),
    [
        (r"\boxed{1, 0, 1}", (True, False, True)),
        (r"\boxed{[1,0,1]}", (True, False, True)),
        ('{"score": [0, 0, 0]}', (False, False, False)),
        ('{"score": [1, 0, 1]} \\boxed{1,0,1}', (True, False, True)),
    ],
)
def test_verdicts_on_several(reply: str, scores: tuple[bool, ...]) -> None:
    assert parse_verdicts(reply, 3).scores == scores


@pytest.mark.parametrize(
    "reply", [r"\boxed{1, 0}", r"\boxed{1}", '{"score": 1}', '{"score": [1, 0, 2]}', "1, 0, 1", ""]
)
def test_verdicts_on_several_have_to_be_as_many(reply: str) -> None:
    with pytest.raises(UnreadableVerdictError):
        parse_verdicts(reply, 3)


def test_verdicts_on_several_have_to_agree() -> None:
    with pytest.raises(UnreadableVerdictError, match="different things"):
        parse_verdicts('{"score": [1, 0]} \\boxed{0, 1}', 2)


def test_deepseek_grm_scores_are_read_and_counted() -> None:
    found = parse_scores(r"Principles … \boxed{1, 2} … Scores: \boxed{10, 5.5, 7}", 2)
    assert found.values == (10.0, 5.5)
    assert found.extra == 1
    assert found.shares == (1.0, 0.5)


@pytest.mark.parametrize("reply", [r"\boxed{8}", r"\boxed{8, x}", r"\boxed{8, 11}", r"\boxed{8, nan}", "8, 9"])
def test_deepseek_grm_scores_that_are_none(reply: str) -> None:
    with pytest.raises(UnreadableVerdictError):
        parse_scores(reply, 2)


def test_rm_r1_labels() -> None:
    assert parse_preference("<think>[[B]]</think> so <answer>[[A]]</answer>") == "A"
    assert parse_preference("<answer> [[B]] </answer>") == "B"
    for reply in ("[[A]]", "<answer>[[C]]</answer>", "<answer>A</answer>", ""):
        with pytest.raises(UnreadableVerdictError):
            parse_preference(reply)
    with pytest.raises(UnreadableVerdictError, match="2 labels"):
        parse_preference("<answer>[[A]]</answer><answer>[[A]]</answer>")
