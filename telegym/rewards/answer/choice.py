"""Answers to multiple-choice questions: which option an answer means, or that it means none or several."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from telegym.core.errors import TaskError
from telegym.core.task import Task
from telegym.rewards.answer.base import AnswerReward, Marked, reference_of
from telegym.rewards.answer.extraction import FinalAnswer, boxed
from telegym.rewards.answer.normalisation import bare, comparable

__all__ = ["Choice", "ChoiceReward", "mark_choice", "read_choice", "read_verdict"]


class Choice(NamedTuple):
    """How an answer was read."""

    place: int | None
    """Position of the option, from 0; None if the answer names none, or several."""
    problem: str = ""
    """Why it names none."""


_KEYS = ("answer", "option", "choice", "final_answer", "index", "label")
_LABEL = r"(?P<label>\d{1,2}|[A-Za-z])"
_END = (
    r"(?=\s*(?:[.,:;)\]}*。，：；）]\s|[.,:;)\]}*\"'。，：；）]*\Z|[:：)）]|\s*\n"
    r"|\s+(?:and|or|but|is|are|because|since|as|not)\b))"
)
_NAME = r"(?:option|choice|选项|選項)"
_WHOLE = re.compile(
    rf"\A[(\[（]?\s*(?:{_NAME}|answer)?\s*[:：#]?\s*[(\[（]?{_LABEL}[)\]）]?\s*(?:(?:[.\-–—](?=\s|\Z)|[:：)])\s*(?P<text>.*))?\Z",
    re.IGNORECASE | re.DOTALL,
)
_NAMED = re.compile(
    rf"(?<![A-Za-z]){_NAME}\s*(?:number|no\.?|#|is|:)?\s*[(\[]?{_LABEL}(?![A-Za-z0-9])|第\s*(?P<nth>\d+)\s*个?选?项",
    re.IGNORECASE,
)
_DECLARED = re.compile(
    r"(?:answer|choice|option)\s*(?:is|are|:|=|would be|should be|must be)+\s*:?\s*\**\s*"
    rf"(?:{_NAME})?\s*[(\[]?{_LABEL}[)\]]?\**{_END}"
    rf"|(?:答案|应选|應選|故选|选择|选)\s*(?:是|为|：|:)*\s*[(（]?(?P<chinese>\d{{1,2}}|[A-Ha-h])[)）]?(?![\w.])",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"(?<![\w)])[(（](?P<label>\d{1,2}|[A-Z])[)）]")
_LEAD = re.compile(
    r"\A(?:(?:so|thus|therefore|hence|then)\b[,:]?\s*)?(?:the\s+)?(?:(?:final|correct|right|best)\s+)*(?:answer|choice|option)"
    r"\s*(?:is|would be|should be|must be|[:=])\s*[:：]?\s*|\A(?:正确)?答案\s*(?:是|为|[:：])+\s*",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"(?:\bnot|n't(?:\s+be)?|\brather\s+than|\binstead\s+of|\bunlike|\bnor|\bneither|\bexcept|不是|而非|不选|排除)\s*(?:the\s+|also\s+|simply\s+)?[\"'(*]*\Z",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"*])|[。！？]|\n+")


def read_choice(text: str, options: Sequence[str], *, marked: bool = True) -> Choice:
    """Return which option an answer means.

    Read are `3`, `C`, `(c)`, `option 3`, `option 3: its text`, JSON with such a value, and an option's own text (equal
    up to case, spaces and compatible characters). In longer texts the last sentence that names an option counts; if it
    names several, the answer contradicts itself and means none.

    Args:
        text: The answer.
        options: The texts of the options.
        marked: Whether the whole text was given as the answer: then it may not name different options anywhere.
    """
    text = boxed(text)[-1] if boxed(text) else text
    inner = _from_json(text)
    if inner is not None:
        text = inner
    whole = _whole(bare(text), options)
    if whole is not None:
        return whole
    parts = [text] if marked else [part for part in _SENTENCE.split(text) if part and part.strip()]
    for part in reversed(parts):
        found = _in_sentence(part, options)
        if found is not None:
            return found
    return Choice(None, "no option is named")


def _from_json(text: str) -> str | None:
    """Return the answer inside a JSON object or list; None if the text is neither."""
    start = re.search(r"[{\[]", text)
    if start is None:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start.start() :])
    except (ValueError, RecursionError):
        return None
    return _json_value(value)


def _json_value(value: Any) -> str | None:
    if isinstance(value, dict):
        found = {name.casefold(): item for name, item in value.items()}
        return next((str(found[key]) for key in _KEYS if isinstance(found.get(key), str | int)), None)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str | int):
        return str(value[0])
    return None


def _whole(text: str, options: Sequence[str]) -> Choice | None:
    """Read an answer that is nothing but an option: its label, its text, or both."""
    text = bare(_LEAD.sub("", text))
    texts = _equal(text, options)
    match = _WHOLE.match(text)
    if match is None:
        return Choice(texts[0]) if texts else None
    label = match["label"]
    named = bool(re.search(_NAME, text[: match.start("label")], re.IGNORECASE))
    if match["text"] and label.isalpha() and not named and not _equal(match["text"], options):
        return Choice(texts[0]) if texts else None
    return _agreed(label, match["text"] or "", [] if named else texts, options)


def _agreed(label: str, said: str, texts: list[int], options: Sequence[str]) -> Choice:
    """Join what a label says with what the text beside it says."""
    choice = _of_label(label, len(options))
    others = texts or _equal(said, options)
    if not others:
        return choice
    if choice.place is None:
        return Choice(others[0]) if texts else choice
    if choice.place in others or comparable(options[choice.place]) == comparable(options[others[0]]):
        return choice
    if texts:
        return Choice(None, f"{label} could be option {choice.place + 1} or the text of option {others[0] + 1}")
    return Choice(None, f"it names option {choice.place + 1}, but its text is that of option {others[0] + 1}")


def _equal(text: str, options: Sequence[str]) -> list[int]:
    wanted = (comparable(text), comparable(bare(text)))
    return (
        [
            place
            for place, option in enumerate(options)
            if comparable(option) in wanted or comparable(bare(option)) in wanted
        ]
        if text.strip()
        else []
    )


def _of_label(label: str, count: int) -> Choice:
    number = int(label) if label.isdecimal() else ord(label.upper()) - ord("A") + 1
    if 1 <= number <= count:
        return Choice(number - 1)
    return Choice(None, f"there is no option {label}; there are {count}")


def _in_sentence(sentence: str, options: Sequence[str]) -> Choice | None:
    whole = _whole(bare(sentence), options)
    if whole is not None:
        return whole
    found = {choice.place: choice for choice in _mentions(sentence, options)}
    if not found:
        return None
    if len(found) > 1:
        named = ", ".join("another" if place is None else str(place + 1) for place in found)
        return Choice(None, f"it names several options: {named}")
    return next(iter(found.values()))


def _mentions(sentence: str, options: Sequence[str]) -> Iterator[Choice]:
    """Yield the options that a sentence names and does not deny."""
    for pattern in (_DECLARED, _NAMED, _BRACKETED):
        for match in pattern.finditer(sentence):
            if not _NEGATION.search(sentence[: match.start()]):
                label = next(group for group in match.groupdict().values() if group is not None)
                yield _of_label(label, len(options))


_YES = frozenset({"yes", "true", "correct", "right", "1", "y", "是", "对", "正确"})
_NO = frozenset({"no", "false", "incorrect", "wrong", "0", "n", "否", "不对", "错误", "不正确", "错", "不是"})
_WORD = re.compile(r"not\s+(?:correct|right|true)|[a-z]+|\d+|不正确|不对|不是|正确|错误|[是否对错]", re.IGNORECASE)


def read_verdict(text: str) -> bool | None:
    """Return whether an answer says yes; None if it says neither, or both.

    In longer texts the last sentence that says either counts. `not correct` is no.
    """
    text = boxed(text)[-1] if boxed(text) else _from_json(text) or text
    for sentence in reversed(_SENTENCE.split(text)):
        said = {
            word in _YES
            for word in (re.sub(r"not\s+\w+", "no", found.casefold()) for found in _WORD.findall(sentence or ""))
            if word in _YES or word in _NO
        }
        if said:
            return said.pop() if len(said) == 1 else None
    return None


def mark_choice(answer: FinalAnswer, options: Sequence[str], right: int) -> Marked:
    """Return what an answer to a multiple-choice question is worth.

    Args:
        answer: The answer.
        options: The texts of the options. Options of equal text are the same option.
        right: Position of the right one, from 0.
    """
    choice = read_choice(answer.text or "", options, marked=answer.marked)
    if choice.place is None:
        return Marked(False, False, choice.problem)
    if comparable(options[choice.place]) == comparable(options[right]):
        return Marked(True, True)
    return Marked(False, True, f"the answer is option {right + 1}, not option {choice.place + 1}")


class ChoiceReward(AnswerReward):
    """1 for the right option, 0 for any other, for several and for none.

    Args:
        sources: Where the answer may stand, in order of preference: tool, tag, boxed, text.
        tools: Tools whose calls give the answer.
        argument: The argument of these tools that holds it.
        tag: Name of the tags around an answer.
        once: Whether the tags have to occur exactly once.
        reference: The key of the task's data with the number of the right option, from 1.
        options: The key of the task's data with the texts of the options.
    """

    name = "choice"

    def __init__(
        self,
        *,
        sources: Sequence[str] = ("tool", "tag", "boxed", "text"),
        tools: Sequence[str] = ("submit_answer",),
        argument: str = "answer",
        tag: str = "answer",
        once: bool = False,
        reference: str = "answer",
        options: str = "options",
    ) -> None:
        super().__init__(sources=sources, tools=tools, argument=argument, tag=tag, once=once, reference=reference)
        self.options = options

    def mark(self, answer: FinalAnswer, task: Task) -> Marked:
        """Return what an answer is worth.

        Raises:
            TaskError: If the task has no options, or no right one among them.
        """
        options = reference_of(task, self.options)
        right = reference_of(task, self.reference)
        if not isinstance(right, int) or not 1 <= right <= len(options):
            raise TaskError(f"task {task.id!r}: {self.reference} is {right!r}, but must be 1 to {len(options)}")
        return mark_choice(answer, options, right - 1)
