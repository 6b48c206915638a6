"""How answers to multiple-choice questions are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import TaskError
from telegym.rewards.answer.choice import ChoiceReward, read_choice, read_verdict

from .asking import run

PLAIN = ("Open RAN", "A core network", "A base station", "The user", "None of the above")
NUMBERS = ("0", "4", "2", "1")
FORMULAS = ("H=N*I/L", "H=N/I*L", "λ", "µ")


def _read(text: str, options: tuple[str, ...] = PLAIN, marked: bool = False) -> int | None:
    place = read_choice(text, options, marked=marked).place
    return None if place is None else place + 1


@pytest.mark.parametrize(
    "text",
    [
        "3",
        "C",
        "c",
        "(C)",
        "c)",
        "C.",
        "[3]",
        "option 3",
        "Option 3.",
        "OPTION3",
        "option C",
        "choice: 3",
        "answer: 3",
        "option 3: A base station",
        "3: a base station",
        "C) A base station",
        "3. A base\u00a0station",
        "A base station",
        "a  BASE station.",
        r"\boxed{3}",
        r"\boxed{\text{option 3}}",
        r"\boxed{C}",
        "**option 3**",
        '"option 3"',
        '{"answer": 3}',
        '{"Answer": "option 3: A base station"}',
        '```json\n{"choice": "C"}\n```',
        "[3]",
        "３",
        "The answer is 3.",
        "The correct answer is option 3: A base station",
        "The answer is (C).",
        "the final answer is **C**",
        "The answer is A base station.",
        "Option 1 is wrong, as is option 2. So the answer is option 3.",
        "Options 1 and 2 fail.\n\nAnswer: C",
        "We compare option 1 with option 3.\nTherefore, option 3 is correct.",
        "It is option 3, not option 2.",
        "The answer is option 3 rather than option 1.",
        "It isn't option 2. I choose (C)",
        "答案是选项3",
        "答案：C",
        "选C",
        "应选第3个选项。",
        "The UE sends 2 messages to 4 cells.\nFinal answer: option 3",
    ],
)
def test_these_mean_the_third_option(text: str) -> None:
    assert _read(text) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "Thought process:",
        "option 7",
        "0",
        "Z",
        "option 3 or option 4",
        "Options: option 1, option 2, option 3, option 4",
        "The answer is option 2 or the answer is option 3",
        "option 3: A core network",
        "not option 3",
        "A",
        "I do not know",
        "3.5",
        "The answer is 3.5 dB",
        "A base station is a device",
        "There are 3 of them",
        '{"answer": [2, 3]}',
        "[2, 3]",
    ],
)
def test_these_mean_no_option_or_not_one(text: str) -> None:
    read = read_choice(text, PLAIN, marked=False)
    if text == "A":
        assert read.place == 0
        return
    assert read.place is None
    assert read.problem


def test_a_marked_answer_may_not_name_other_options_anywhere() -> None:
    text = "Option 1 fits. On reflection, option 3 fits."
    assert _read(text, marked=False) == 3
    assert _read(text, marked=True) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("option 2", 2), ("option 3: 2", 3), ("3", 3), ("0", 1), ("option 2: 4", 2), ("option 2: 2", None), ("2", None)],
)
def test_labels_and_numbers_as_options_are_told_apart(text: str, expected: int | None) -> None:
    """A bare `2` is the label of one option and the text of another: it is not guessed which."""
    assert _read(text, NUMBERS) == expected


@pytest.mark.parametrize(("text", "expected"), [("H=N*I/L", 1), ("h=n/i*l", 2), ("λ", 3), ("μ", 4), ("H=NIL", None)])
def test_symbols_of_options_count(text: str, expected: int | None) -> None:
    assert _read(text, FORMULAS) == expected


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 10])
def test_any_number_of_options(count: int) -> None:
    options = tuple(f"statement {number}" for number in range(1, count + 1))
    for number in range(1, count + 1):
        assert _read(f"option {number}", options) == number
        assert _read(chr(ord("a") + number - 1), options) == number
    assert _read(f"option {count + 1}", options) is None


@settings(deadline=None)
@given(st.permutations(PLAIN), st.integers(1, 5))
def test_label_and_text_agree_under_any_order(options: list[str], number: int) -> None:
    for text in (f"option {number}", f"option {number}: {options[number - 1]}", options[number - 1]):
        assert _read(text, tuple(options)) == number


@settings(deadline=None)
@given(st.text(max_size=200))
def test_nothing_breaks_it(text: str) -> None:
    place = read_choice(text, PLAIN, marked=False).place
    assert place is None or 0 <= place < len(PLAIN)


def test_the_reward_says_why() -> None:
    data: dict[str, Any] = {"answer": 2, "options": list(PLAIN)}
    right = ChoiceReward()(run({"answer": "option 2"}, **data))
    assert (right.value, right.components, right.reasons) == (1.0, {"answer": 1.0, "answered": 1.0}, ())
    wrong = ChoiceReward()(run("The answer is option 3.", **data))
    assert (wrong.value, wrong.reasons) == (0.0, ("the answer is option 2, not option 3",))
    none = ChoiceReward()(run("hm", **data))
    assert (none.value, none.components["answered"]) == (0.0, 0.0)


def test_options_of_equal_text_are_one() -> None:
    data: dict[str, Any] = {"answer": 1, "options": ["x", "y", " X"]}
    assert ChoiceReward()(run("option 3", **data)).success
    assert not ChoiceReward()(run("option 2", **data)).success


@pytest.mark.parametrize(
    "data", [{"answer": 3, "options": ["x", "y"]}, {"answer": "x", "options": ["x", "y"]}, {"answer": 1}]
)
def test_a_task_without_a_right_option_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match="task 'q'"):
        ChoiceReward()(run("option 1", **data))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", True),
        ("No.", False),
        ("**True**", True),
        ("1", True),
        (r"\boxed{0}", False),
        ("It is not correct", False),
        ("incorrect", False),
        ('{"answer": "no"}', False),
        ("First I thought no.\nYes, the option is right.", True),
        ("yes and no", None),
        ("maybe", None),
        ("是", True),
        ("不正确", False),
        ("正确。", True),
        ("", None),
    ],
)
def test_verdicts(text: str, expected: bool | None) -> None:
    assert read_verdict(text) is expected
