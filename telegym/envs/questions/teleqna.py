"""TeleQnA as an environment: choose an option, judge a proposed answer, or answer in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal, get_args

from telegym.core.errors import ConfigurationError
from telegym.core.task import Task, TaskSet
from telegym.envs.questions.desk import Tools, check, phrases
from telegym.envs.questions.environment import Questions
from telegym.envs.questions.teleqna_data import SOURCE, Flag, Question, TeleQnAFile, read_teleqna
from telegym.rewards.answer.base import Marked
from telegym.rewards.answer.choice import mark_choice, read_verdict
from telegym.rewards.answer.extraction import FinalAnswer
from telegym.rewards.answer.normalisation import comparable
from telegym.rewards.answer.text import TextReward

__all__ = ["Mode", "Split", "TeleQnA", "split_of"]

Mode = Literal["choice", "verify", "open"]
"""Choose an option; say whether a proposed answer is right; answer without seeing the options."""
Split = Literal["train", "rl", "test", "all"]
"""Which questions: `test` is a fifth, `rl` a fifth of the others, `train` what remains."""
Claims = Literal["pair", "all"]
"""Which proposed answers mode `verify` has of a question: the right one and a wrong one, or every option."""


def split_of(group: str, seed: int) -> Split:
    """Return the split of a group of questions: drawn by its name, so that no other question has a say in it."""
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "test" if share < 0.2 else "rl" if share < 0.36 else "train"


class TeleQnA(Questions):
    """Questions about telecommunications, from TeleQnA's published file.

    Args:
        data: The file `TeleQnA.txt`, or its folder. It is not part of TeleGym: its authors publish it.
        mode: choice, verify or open.
        split: train, rl, test or all. Questions of equal stem, or with the same options, are never in two splits.
        seed: Decides the splits, the order of options, and which wrong answers are proposed.
        tools: none, calculator, submit or all.
        shuffle: Whether options change places, where they do not refer to one another.
        claims: For mode verify: pair or all.
        category: Only the questions of this category.
        language: Language of the instructions and tools, en or zh; the questions are English.

    Raises:
        ConfigurationError: If an option has no valid value, or the file cannot be read.
    """

    id: ClassVar[str] = "teleqna"

    def __init__(
        self,
        *,
        data: str | None = None,
        mode: Mode = "choice",
        split: Split = "test",
        seed: int = 0,
        tools: Tools = "submit",
        shuffle: bool = True,
        claims: Claims = "pair",
        category: str | None = None,
        language: str = "en",
    ) -> None:
        if data is None:
            raise ConfigurationError(f"teleqna needs data, the path of TeleQnA.txt; its authors publish it at {SOURCE}")
        check("mode", mode, get_args(Mode))
        check("split", split, get_args(Split))
        check("claims", claims, get_args(Claims))
        super().__init__(mode, tools, language, "teleqna")
        self.mode: Mode = mode
        self.file = _read(data)
        """The questions, and the report of what was found in the file."""
        self._options: dict[str, Any] = {
            "data": data,
            "mode": mode,
            "split": split,
            "seed": seed,
            "tools": tools,
            "shuffle": shuffle,
            "claims": claims,
            "category": category,
            "language": language,
        }
        self._tasks = TaskSet(list(self._made()))

    @property
    def options(self) -> dict[str, Any]:
        """The options with which an equal environment is built."""
        return dict(self._options)

    @property
    def tasks(self) -> TaskSet:
        """The tasks that can be played."""
        return self._tasks

    def mark(self, answer: FinalAnswer, task: Task) -> Marked:
        """Return what an answer is worth. In mode open it has to equal the right option; judges are rewards."""
        right = task.data["answer"]
        if self.mode == "choice":
            return mark_choice(answer, task.data["options"], right - 1)
        if self.mode == "verify":
            said = read_verdict(answer.text or "")
            if said is None:
                return Marked(False, False, "the answer is neither yes nor no")
            wrong = f"the proposed answer is {'right' if right == 'yes' else 'wrong'}"
            return Marked(True, True) if said == (right == "yes") else Marked(False, True, wrong)
        if TextReward().equal(answer.text or "", right):
            return Marked(True, True)
        return Marked(False, True, "the answer does not equal the reference")

    def right_answer(self, task: Task) -> str:
        """Return the right answer, as an agent would give it."""
        right = task.data["answer"]
        return f"option {right}" if self.mode == "choice" else str(right)

    def _made(self) -> Iterator[Task]:
        """Yield the tasks, in the order of the file."""
        chosen = self._chosen()
        make = {"choice": self._choice, "verify": self._claims, "open": self._open}[self.mode]
        for question in chosen:
            yield from make(question)

    def _chosen(self) -> list[Question]:
        """Return the questions that can be asked in this mode, of the split and category."""
        options = self._options
        usable = [question for question in self.file.questions if question.usable]
        if options["category"] is not None:
            check("category", options["category"], sorted({question.category for question in usable}))
        return [
            question
            for question in usable
            if options["split"] in ("all", split_of(self.file.groups[question.id], options["seed"]))
            and options["category"] in (None, question.category)
            and (self.mode == "choice" or question.can_be_shuffled)
            and (self.mode != "open" or Flag.NEEDS_OPTIONS not in question.flags)
        ]

    def _random(self, question: Question, purpose: str) -> Random:
        return Random(f"teleqna/{self._options['seed']}/{question.id}/{purpose}")

    def _choice(self, question: Question) -> Iterator[Task]:
        order = list(range(len(question.options)))
        if self._options["shuffle"] and question.can_be_shuffled:
            self._random(question, "order").shuffle(order)
        options = [question.options[place] for place in order]
        lines = [self._line("option", number=number, text=text) for number, text in enumerate(options, start=1)]
        answer = order.index(question.answer - 1) + 1
        yield self._task(question, "", lines, answer=answer, options=options)

    def _claims(self, question: Question) -> Iterator[Task]:
        right = comparable(question.answer_text)
        wrong = [number for number, text in enumerate(question.options, start=1) if comparable(text) != right]
        if self._options["claims"] == "pair":
            wrong = [self._random(question, "claim").choice(wrong)] if wrong else []
        for number in sorted([question.answer, *wrong]):
            text = question.options[number - 1]
            verdict = "yes" if number == question.answer else "no"
            lines = [self._line("proposed", text=text)]
            yield self._task(question, f"-{number}", lines, answer=verdict, proposed=text)

    def _open(self, question: Question) -> Iterator[Task]:
        yield self._task(question, "", [], answer=question.answer_text)

    def _line(self, name: str, **slots: Any) -> str:
        return str(phrases("teleqna", self.language)[name]).format(**slots)

    def _task(self, question: Question, suffix: str, lines: Sequence[str], **data: Any) -> Task:
        asked = self._line(
            "release" if question.release else "question", question=question.text, release=question.release
        )
        return Task(
            id=question.id.replace("question ", "teleqna-").replace(" ", "-") + suffix,
            ticket="\n".join([asked, "", *lines] if lines else [asked]),
            labels={
                "family": question.category,
                "release": question.release or None,
                "flags": sorted(question.flags),
            },
            data={"question": asked, **data, "explanation": question.explanation},
        )


def _read(path: str) -> TeleQnAFile:
    file = Path(path)
    file = file / "TeleQnA.txt" if file.is_dir() else file
    try:
        stamp = file.stat()
    except OSError:
        return read_teleqna(path)
    return _read_once(str(file), stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=4)
def _read_once(path: str, changed: int, size: int) -> TeleQnAFile:
    return read_teleqna(path)
