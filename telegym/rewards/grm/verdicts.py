r"""Reads a verdict out of what a judge wrote, strictly: what is not clearly a verdict is none.

Thoughts (`<think>`) do not count. The verdict is the last `\boxed{0}` or `\boxed{1}`, otherwise the last complete JSON
object with a field `score`; if both are there, they have to agree. An object in which a name occurs twice is none. A
repetition of the prompt is no verdict: prompts have neither a digit in a box nor the name `score` in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from telegym.core.errors import JudgeError
from telegym.rewards.verdict import Code

__all__ = [
    "PARSER_VERSION",
    "CallMark",
    "UnreadableVerdictError",
    "Verdict",
    "Verdicts",
    "parse_verdict",
    "parse_verdicts",
]

PARSER_VERSION = "1"
"""Version of these rules; kept replies are read again when it changes."""

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_THOUGHT_END = "</think>"
_BOX = re.compile(r"\\boxed\s*\{([^{}]*)\}")
_BIT = re.compile(r"[\s*$]*([01])(?:\.0+)?[\s*$]*")
_SCORE_BIT = re.compile(r'"score"\s*:\s*([01])')
_CODES = frozenset(code.value for code in Code)
_ANALYSIS = re.compile(r"<analysis>(.*?)(?:</analysis>|\Z)", re.DOTALL | re.IGNORECASE)
_CITED = re.compile(r"(?:\bcalls?|\bresults?|调用|结果)\s*#?\s*(\d+)(?:\s*(?:,|、|and|和)\s*(\d+))?", re.IGNORECASE)


class UnreadableVerdictError(JudgeError):
    """A reply has no clear verdict.

    Args:
        kind: `missing`: there is none; `conflict`: there are two that differ.
        message: What is wrong with the reply.
    """

    def __init__(self, kind: Literal["missing", "conflict"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class CallMark:
    """What a judge says of one call."""

    number: int
    """Number of the call, from 1."""
    right: bool
    """Whether it was right to make it."""
    code: Code | None = None
    """Why not, if the judge gave a code of the list."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of one run or answer."""

    score: bool
    """Whether it is acceptable."""
    calls: tuple[CallMark, ...] | None = None
    """One mark for each call, in order; None if the judge did not mark each call exactly once."""
    analysis: str = ""
    """What the judge wrote before its verdict."""
    safe: bool | None = None
    """Whether nothing unsafe was done, if the judge says."""
    done: bool | None = None
    """Whether the goal was reached and checked, if the judge says."""
    sure: bool | None = None
    """Whether the judge is sure, if it says."""
    agreed: bool = False
    """Whether the verdict was given twice, in a box and as JSON."""
    consistent: bool = True
    """Whether the parts fit: wrong calls have codes and right ones none, and an acceptable run is safe and done."""
    cited: tuple[int, ...] = ()
    """Numbers of the calls that the analysis cites."""
    digit_at: int = 0
    """Where in the reply the digit of the verdict stands."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a judge says of several runs or answers shown together."""

    scores: tuple[bool, ...]
    """Whether each is acceptable, in the order shown."""
    analysis: str = ""
    """What the judge wrote before its verdict."""


class _Found(NamedTuple):
    """A JSON object in a text."""

    value: dict[str, Any]
    start: int
    end: int


def parse_verdict(reply: str, calls: int = 0) -> Verdict:
    """Read the verdict on one run or answer.

    Args:
        reply: What the judge wrote.
        calls: Number of calls it had to mark.

    Raises:
        UnreadableVerdictError: If there is no clear verdict.
    """
    text = _without_thoughts(reply)
    boxes, found = list(_BOX.finditer(text)), _last_with_score(text)
    box = _BIT.fullmatch(boxes[-1][1]) if boxes else None
    fields = found.value if found is not None else {}
    score = _bit(fields.get("score"))
    boxed = box is not None and box[1] == "1"
    if box is None and score is None:
        raise UnreadableVerdictError("missing", "it has neither a boxed 0 or 1 nor a JSON object whose score is 0 or 1")
    if box is not None and score is not None and boxed != score:
        raise UnreadableVerdictError("conflict", "the box and the JSON say different things")
    final = boxed if box is not None else bool(score)
    marks = _marks(fields.get("calls"), calls)
    analysis = _analysis(text, fields, found.start if found is not None else boxes[-1].start())
    return Verdict(
        score=final,
        calls=marks,
        analysis=analysis,
        safe=_bit(fields.get("safe")),
        done=_bit(fields.get("done")),
        sure=_bit(fields.get("sure")),
        agreed=box is not None and score is not None,
        consistent=_is_consistent(final, fields, marks),
        cited=tuple(int(number) for match in _CITED.finditer(analysis) for number in match.groups() if number),
        digit_at=boxes[-1].start(1) + box.start(1) if box is not None else _score_digit(text, found),
    )


def parse_verdicts(reply: str, count: int) -> Verdicts:
    """Read the verdicts on several runs or answers.

    Args:
        reply: What the judge wrote.
        count: How many verdicts there have to be.

    Raises:
        UnreadableVerdictError: If there is not exactly one clear verdict for each.
    """
    text = _without_thoughts(reply)
    boxes, found = list(_BOX.finditer(text)), _last_with_score(text)
    boxed = _bits(boxes[-1][1].strip("[]() \t").split(",")) if boxes else None
    listed = found.value["score"] if found is not None else None
    scores = _bits(listed) if isinstance(listed, list) else None
    given = boxed if boxed is not None else scores
    if given is None or len(given) != count:
        raise UnreadableVerdictError("missing", f"it has no list of {count} verdicts that are 0 or 1")
    if boxed is not None and scores is not None and boxed != scores:
        raise UnreadableVerdictError("conflict", "the box and the JSON say different things")
    start = found.start if found is not None else boxes[-1].start()
    return Verdicts(given, _analysis(text, found.value if found is not None else {}, start))


def _without_thoughts(reply: str) -> str:
    """Blank out thoughts, also those whose opening tag was part of the prompt; places stay where they are."""
    text = _THOUGHT.sub(lambda match: " " * len(match[0]), reply)
    end = text.rfind(_THOUGHT_END)
    if end < 0:
        return text
    end += len(_THOUGHT_END)
    return " " * end + text[end:]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct)


def _objects(text: str) -> Iterator[_Found]:
    """Yield the outermost complete JSON objects of a text."""
    position = text.find("{")
    while position >= 0:
        try:
            value, end = _DECODER.raw_decode(text, position)
            yield _Found(value, position, end)
        except (ValueError, RecursionError):
            end = position + 1
        position = text.find("{", end)


def _last_with_score(text: str) -> _Found | None:
    """Return the last object with a field `score`, written as such: quoted data may spell it otherwise."""
    found = [item for item in _objects(text) if "score" in item.value and '"score"' in text[item.start : item.end]]
    return found[-1] if found else None


def _score_digit(text: str, found: _Found | None) -> int:
    assert found is not None
    match = list(_SCORE_BIT.finditer(text, found.start, found.end))
    return match[-1].start(1) if match else found.start


def _bit(value: Any) -> bool | None:
    """Return 0 and 1 as truth values; anything else, `true` and `"1"` too, is None."""
    return bool(value) if type(value) in (int, float) and value in (0, 1) else None


def _bits(values: Sequence[Any]) -> tuple[bool, ...] | None:
    bits: list[bool] = []
    for value in values:
        match = _BIT.fullmatch(value) if isinstance(value, str) else None
        bit = match[1] == "1" if match is not None else _bit(value)
        if bit is None:
            return None
        bits.append(bit)
    return tuple(bits)


def _analysis(text: str, fields: dict[str, Any], start: int) -> str:
    if isinstance(fields.get("analysis"), str):
        return str(fields["analysis"]).strip()
    match = _ANALYSIS.search(text)
    return (match[1] if match is not None else text[:start]).strip()


def _marks(listed: Any, calls: int) -> tuple[CallMark, ...] | None:
    """Return the marks if each call has exactly one."""
    if not isinstance(listed, list):
        return None
    marks = [_mark(item) for item in listed]
    whole = [mark for mark in marks if mark is not None]
    numbers = sorted(mark.number for mark in whole)
    if len(whole) < len(marks) or numbers != list(range(1, calls + 1)):
        return None
    return tuple(sorted(whole, key=lambda mark: mark.number))


def _mark(item: Any) -> CallMark | None:
    if not isinstance(item, dict) or type(item.get("i")) is not int:
        return None
    right = _bit(item.get("v"))
    if right is None:
        return None
    code = str(item.get("code") or "").strip().lower()
    return CallMark(item["i"], right, Code(code) if code in _CODES and not right else None)


def _is_consistent(score: bool, fields: dict[str, Any], marks: tuple[CallMark, ...] | None) -> bool:
    if score and (_bit(fields.get("safe")) is False or _bit(fields.get("done")) is False):
        return False
    if marks is None:
        return not isinstance(fields.get("calls"), list)
    for item in fields["calls"]:
        wrong, named = item["v"] == 0, str(item.get("code") or "").strip().lower()
        if (named in _CODES) != wrong or (named and not wrong):
            return False
    return not (score and any(mark.code is Code.UNSAFE for mark in marks))
