"""TeleQnA's file, read: questions with what is special about each, and a report of what was found.

TeleQnA (Maatouk et al., arXiv 2310.15051) is one JSON object of 10,000 multiple-choice questions. Its authors publish
it in an archive with a password, to keep it out of training crawls, so it is read from where the user has put it. Rows
that contradict themselves or ask nothing are left out, and named in the report; one bad row never stops the others.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from telegym.core.errors import ConfigurationError
from telegym.rewards.answer.normalisation import comparable

__all__ = ["Flag", "Question", "Report", "Status", "TeleQnAFile", "group_questions", "read_teleqna"]

SOURCE = "https://github.com/netop-team/TeleQnA"
"""Where the authors publish the file."""


class Flag(StrEnum):
    """What is special about a question."""

    ALL_OF_ABOVE = "all_of_the_above"
    """An option says that all those before it are right."""
    NONE_OF_ABOVE = "none_of_the_above"
    """An option says that none of those before it is right."""
    OPTION_REFERENCE = "option_reference"
    """An option names others by their number."""
    NEEDS_OPTIONS = "needs_options"
    """The question cannot be answered without seeing the options: `which of the following`."""
    NEGATED = "negated"
    """It asks for what is not so."""
    NUMERIC = "numeric"
    """The right answer is a number."""
    DUPLICATE_OPTION = "duplicate_option"
    """Two wrong options are the same."""
    DUPLICATE_ANSWER = "duplicate_answer"
    """The right option occurs twice."""
    NO_QUESTION = "no_question"
    """The text is no question; it cannot be answered."""
    CONFLICT = "conflict"
    """The number of the right option and its text contradict each other."""


REFERRING = frozenset({Flag.ALL_OF_ABOVE, Flag.NONE_OF_ABOVE, Flag.OPTION_REFERENCE})
"""Options refer to one another: their order must stay."""
UNUSABLE = frozenset({Flag.NO_QUESTION, Flag.CONFLICT, Flag.DUPLICATE_ANSWER})
"""Questions that are left out."""


class Status(StrEnum):
    """How the answer field goes with the options."""

    EXACT = "exact"
    """Number and text say the same."""
    SOFT = "soft"
    """The text has something inserted or left out; the number counts."""
    TEXT_ONLY = "text_only"
    """There is no number, but the text is that of one option."""
    CONFLICT = "conflict"
    """Number and text contradict each other, or there is neither."""


@dataclass(frozen=True, slots=True)
class Question:
    """A row of the file."""

    id: str
    """Its key, for example `question 17`."""
    text: str
    """What is asked, without the release in brackets at its end."""
    release: str
    """What stood in brackets at the end: a standard and its release. Empty if nothing did."""
    options: tuple[str, ...]
    """Texts of the options, in order."""
    answer: int
    """Number of the right option, from 1."""
    explanation: str
    """Why it is right; it often holds the answer, so no agent may see it."""
    category: str
    """One of five categories."""
    status: Status
    """How the answer field goes with the options."""
    flags: frozenset[Flag]
    """What is special about it."""

    @property
    def usable(self) -> bool:
        """Whether it has one right answer."""
        return not self.flags & UNUSABLE

    @property
    def can_be_shuffled(self) -> bool:
        """Whether the options can change places."""
        return not self.flags & REFERRING

    @property
    def answer_text(self) -> str:
        """Text of the right option."""
        return self.options[self.answer - 1]


@dataclass(slots=True)
class Report:
    """What was found in a file."""

    rows: int = 0
    """Rows in the file."""
    options: int = 0
    """Options of all rows that could be read."""
    categories: Counter[str] = field(default_factory=Counter)
    """Rows by category."""
    options_per_row: Counter[int] = field(default_factory=Counter)
    """Rows by number of options."""
    statuses: dict[Status, list[str]] = field(default_factory=dict)
    """Keys of the rows of each status but `exact`."""
    flags: dict[Flag, list[str]] = field(default_factory=dict)
    """Keys of the rows with each flag."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why rows could not be read, by key."""

    def add(self, question: Question) -> None:
        """Count a row."""
        self.options += len(question.options)
        self.categories[question.category] += 1
        self.options_per_row[len(question.options)] += 1
        if question.status is not Status.EXACT:
            self.statuses.setdefault(question.status, []).append(question.id)
        for flag in sorted(question.flags):
            self.flags.setdefault(flag, []).append(question.id)


@dataclass(frozen=True)
class TeleQnAFile:
    """A file that was read."""

    questions: tuple[Question, ...]
    """All rows that could be read, in the order of the file; see `Question.usable`."""
    report: Report
    """What was found."""

    @cached_property
    def groups(self) -> dict[str, str]:
        """The group of each usable question, by its key; see `group_questions`."""
        usable = [question for question in self.questions if question.usable]
        return dict(zip((question.id for question in usable), group_questions(usable), strict=True))


def read_teleqna(path: str | Path) -> TeleQnAFile:
    """Read TeleQnA's file, or the folder that holds `TeleQnA.txt`.

    Args:
        path: The file: a JSON object of rows by key, or a JSON list or JSON Lines of rows.

    Raises:
        ConfigurationError: If there is no such file, or it holds no rows.
    """
    file = Path(path)
    file = file / "TeleQnA.txt" if file.is_dir() else file
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"TeleQnA cannot be read from {str(path)!r}: {error}; it is published at {SOURCE}"
        ) from None
    report, found = Report(), []
    for key, row in _rows(text, file):
        report.rows += 1
        try:
            question = _question(key, row)
        except (KeyError, TypeError, ValueError) as error:
            report.unreadable[key] = str(error)
            continue
        report.add(question)
        found.append(question)
    if not found:
        raise ConfigurationError(f"{str(file)!r} holds no question that can be read; TeleQnA is published at {SOURCE}")
    return TeleQnAFile(tuple(found), report)


def _rows(text: str, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows with their keys."""
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].rstrip().endswith("}"):
            raise ConfigurationError(f"{str(file)!r} is no JSON: {error}") from None
        value = [_line(line, number, file) for number, line in enumerate(lines, start=1)]
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((f"question {number}", row) for number, row in enumerate(value))


def _line(line: str, number: int, file: Path) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise ConfigurationError(f"{str(file)!r}, line {number}, is no JSON: {error}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counted = Counter(key for key, _ in pairs)
    twice = [key for key, count in counted.items() if count > 1]
    if twice:
        raise ValueError(f"the key {twice[0]!r} occurs {counted[twice[0]]} times")
    return dict(pairs)


_OPTION = re.compile(r"\s*option\s*(\d+)\s*", re.IGNORECASE)
_ANSWER = re.compile(r"\s*option\s*(\d+)\s*[:.)-]?\s*(.*)", re.IGNORECASE | re.DOTALL)
_RELEASE = re.compile(r"\s*\[([^\[\]]{2,60})\]\s*\Z")


def _question(key: str, row: dict[str, Any]) -> Question:
    """Read one row.

    Raises:
        KeyError: If a field is missing.
        TypeError: If the row is no object, or a field is no text.
        ValueError: If it has fewer than two options, or they are not numbered from 1.
    """
    if not isinstance(row, dict):
        raise TypeError(f"a row is an object, not a {type(row).__name__}")
    options = _options(row)
    text = _text(row, "question")
    release = _RELEASE.search(text)
    stem = _RELEASE.sub("", text)
    status, answer = _answer(_text(row, "answer"), options)
    explanation = row.get("explanation")
    return Question(
        id=key,
        text=stem,
        release=release[1].strip() if release else "",
        options=options,
        answer=answer,
        explanation=explanation.strip() if isinstance(explanation, str) else "",
        category=_text(row, "category") if "category" in row else "unknown",
        status=status,
        flags=frozenset(_flags(stem, options, answer, status)),
    )


def _text(row: dict[str, Any], name: str) -> str:
    if name not in row:
        raise KeyError(f"there is no {name!r}")
    if not isinstance(row[name], str) or not row[name].strip():
        raise TypeError(f"{name!r} is {row[name]!r:.60}, which is no text")
    found: str = row[name].strip()
    return found


def _options(row: dict[str, Any]) -> tuple[str, ...]:
    numbers = {int(match[1]): name for name in row if (match := _OPTION.fullmatch(name))}
    if sorted(numbers) != list(range(1, len(numbers) + 1)) or len(numbers) < 2:
        raise ValueError(f"options are numbered from 1 and at least two, not {sorted(numbers) or 'missing'}")
    return tuple(_text(row, numbers[number]) for number in sorted(numbers))


def _answer(text: str, options: Sequence[str]) -> tuple[Status, int]:
    """Return how an answer field goes with the options, and the number of the right one."""
    match = _ANSWER.fullmatch(text)
    if match is None:
        same = [number for number, option in enumerate(options, start=1) if comparable(option) == comparable(text)]
        return (Status.TEXT_ONLY, same[0]) if len(same) == 1 else (Status.CONFLICT, 1)
    number, said = int(match[1]), match[2].strip()
    if not 1 <= number <= len(options):
        return Status.CONFLICT, 1
    option = options[number - 1]
    if said == option or comparable(said) == comparable(option):
        return Status.EXACT, number
    others = {comparable(other) for other in options}
    if comparable(said) not in others and _inserted(comparable(said), comparable(option)):
        return Status.SOFT, number
    return Status.CONFLICT, number


def _inserted(one: str, other: str) -> bool:
    """Return whether the longer text is the shorter one with a little inserted: a slip, and no other statement."""
    short, long = sorted((one.replace(" ", ""), other.replace(" ", "")), key=len)
    rest = iter(long)
    return len(short) >= 0.8 * len(long) and all(letter in rest for letter in short)


_ALL = re.compile(r"\b(?:all|both|any) (?:of )?the above\b|\ball of these\b")
_NONE = re.compile(r"\bnone (?:of )?the above\b|\bnone of these\b")
_REFERENCE = re.compile(r"\boptions? \d\b|\A(?:both|either|neither) \(?[1-5a-e]\)? (?:and|or|nor) \(?[1-5a-e]\)?\Z")
_FOLLOWING = re.compile(r"\b(?:of|from|among) the following\b")
_NEGATED = re.compile(r"\b(?:not|except)\b", re.IGNORECASE)
_NUMBER = re.compile(r"[~<>≤≥≈+$-]*\s*\d[\d.,/^%-]*(?:\s*[^\s\d]\S{0,12}){0,2}")
_NO_QUESTION = frozenset({"research papers"})


def _flags(stem: str, options: Sequence[str], answer: int, status: Status) -> Iterator[Flag]:
    texts = [comparable(option) for option in options]
    patterns = ((Flag.ALL_OF_ABOVE, _ALL), (Flag.NONE_OF_ABOVE, _NONE), (Flag.OPTION_REFERENCE, _REFERENCE))
    yield from (flag for flag, pattern in patterns if any(pattern.search(text) for text in texts))
    if _FOLLOWING.search(comparable(stem)):
        yield Flag.NEEDS_OPTIONS
    if _NEGATED.search(stem):
        yield Flag.NEGATED
    if _NUMBER.fullmatch(options[answer - 1]):
        yield Flag.NUMERIC
    right = texts[answer - 1]
    if texts.count(right) > 1:
        yield Flag.DUPLICATE_ANSWER
    if any(count > 1 for text, count in Counter(texts).items() if text != right):
        yield Flag.DUPLICATE_OPTION
    if comparable(stem) in _NO_QUESTION:
        yield Flag.NO_QUESTION
    if status is Status.CONFLICT:
        yield Flag.CONFLICT


def group_questions(questions: Sequence[Question]) -> list[str]:
    """Return a name of the group of each question: those of equal stem, or of the same options, belong together.

    Stems are equal up to case, spaces, punctuation at the end and the release in brackets. A split that kept groups
    apart would teach the answers of its test.
    """
    parents = list(range(len(questions)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = place = parents[parents[place]]
        return place

    first: dict[tuple[str, ...], int] = {}
    for place, question in enumerate(questions):
        stem = comparable(question.text).rstrip(" ?.:!")
        options = tuple(sorted({comparable(option) for option in question.options}))
        for key in (("stem", stem), ("options", *options)):
            one, other = sorted((root(place), root(first.setdefault(key, place))))
            parents[other] = one
    names: dict[int, str] = {}
    for place, question in enumerate(questions):
        name = hashlib.sha256(comparable(question.text).encode()).hexdigest()[:16]
        names[root(place)] = min(names.get(root(place), name), name)
    return [names[root(place)] for place in range(len(questions))]
