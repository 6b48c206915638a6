"""TeleMath's published problems, read; and problems made on demand.

TeleMath (Colle et al., arXiv 2506.10674) has 500 problems whose answers are numbers, each with `question`, `answer`,
`category`, `tags` and `difficulty`. It is read from where the user has put it, as JSON, JSON Lines or an export of the
hub's viewer (rows under `rows`, each under `row`).
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

from telegym.core.errors import ConfigurationError
from telegym.core.task import GeneratedTasks, Task
from telegym.envs.questions.desk import check, phrases
from telegym.envs.questions.problems import TEMPLATES, Draw, Problem, Template, number
from telegym.tools.calculator import LANGUAGES

__all__ = ["GeneratedProblems", "Split", "read_telemath"]

Split = Literal["train", "dev", "test"]
"""Which generated problems. No problem is in two splits."""
SOURCE = "https://huggingface.co/datasets/netop/TeleMath"
"""Where the authors publish the problems."""
LEVEL_TOLERANCE_DB = 0.1
"""How near a level or a gain has to be, in dB; a share of it would say little."""
_ID = re.compile(r"tm-(?P<split>[a-z]+)-(?P<index>\d{6})-[0-9a-f]{8}")
_ATTEMPTS = 200


def read_telemath(path: str) -> list[Task]:
    """Read published problems.

    Args:
        path: The file.

    Raises:
        ConfigurationError: If it cannot be read, or a row has no question or no number as its answer.
    """
    rows = _rows(path)
    if not rows:
        raise ConfigurationError(f"{path!r} holds no problems; TeleMath is published at {SOURCE}")
    return [_published(row, position, path) for position, row in enumerate(rows)]


def _rows(path: str) -> list[Any]:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"TeleMath cannot be read from {path!r}: {error}; it is published at {SOURCE}"
        ) from None
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise ConfigurationError(f"{path!r} is neither JSON nor JSON Lines: {error}") from None
    if isinstance(value, dict):
        value = [item.get("row", item) for item in value["rows"]] if "rows" in value else [value]
    return value if isinstance(value, list) else []


def _published(row: Any, position: int, path: str) -> Task:
    question = row.get("question") if isinstance(row, dict) else None
    answer = _as_number(row.get("answer")) if isinstance(row, dict) else None
    if not isinstance(question, str) or not question.strip() or answer is None:
        raise ConfigurationError(f"{path!r}, problem {position}: it needs a question, and a number as its answer")
    tags = row.get("tags")
    return Task(
        id=f"telemath-{position}",
        ticket=question.strip(),
        labels={
            "family": str(row.get("category") or "unknown"),
            "difficulty": str(row.get("difficulty") or "unknown"),
            "tags": [str(tag) for tag in tags] if isinstance(tags, list) else [],
        },
        data={"question": question.strip(), "answer": answer},
    )


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


class GeneratedProblems(GeneratedTasks):
    """Problems that are made when they are asked for.

    Args:
        seed: Decides everything.
        split: train, dev or test: a problem belongs to one of them by its values, 8 to 1 to 1.
        count: How many.
        language: Language of the texts, en or zh.
        level: basic, advanced or all.

    Raises:
        ConfigurationError: If an argument has no valid value.
    """

    def __init__(self, seed: int, split: Split, count: int, language: str, level: str = "all") -> None:
        super().__init__(count)
        check("split", split, get_args(Split))
        check("language", language, LANGUAGES)
        check("level", level, ("basic", "advanced", "all"))
        self.seed, self.split_name, self.language = seed, split, language
        self._templates = [template for template in TEMPLATES if level in ("all", template.level)]
        self._texts = phrases("problems", language)

    def make_id(self, index: int) -> str:
        """Return an id that says nothing about the answer."""
        digest = hashlib.sha256(f"{self.seed}/{self.split_name}/{index}".encode()).hexdigest()
        return f"tm-{self.split_name}-{index:06}-{digest[:8]}"

    def claimed_index(self, task_id: str) -> int | None:
        """Return the position that an id claims to be of."""
        found = _ID.fullmatch(task_id)
        return int(found["index"]) if found is not None and found["split"] == self.split_name else None

    def make_task(self, index: int) -> Task:
        """Make a problem. Every template has its turn before any comes again."""
        whole, place = divmod(index, len(self._templates))
        order = list(self._templates)
        Random(f"telemath/{self.seed}/{self.split_name}/{whole}").shuffle(order)
        template = order[place]
        problem = self._problem(template, index)
        text = self._text(template, problem)
        return Task(
            id=self.make_id(index),
            ticket=text,
            labels={"family": template.category, "template": template.name, "difficulty": template.level},
            data={
                "question": text,
                "answer": problem.answer,
                "unit": problem.unit,
                "tolerance": LEVEL_TOLERANCE_DB if problem.unit.startswith("dB") else None,
                "expression": problem.expression,
            },
        )

    def _problem(self, template: Template, index: int) -> Problem:
        random = Random(f"telemath/{self.seed}/{self.split_name}/{index}/{template.name}")
        for _ in range(_ATTEMPTS):
            problem = template.make(Draw(random))
            if _split_of(template, problem) == self.split_name:
                return problem
        raise ConfigurationError(f"template {template.name!r} has no problem for split {self.split_name!r}")

    def _text(self, template: Template, problem: Problem) -> str:
        slots = {name: number(value) for name, value in problem.slots.items()}
        asked = self._texts["ask" if problem.unit else "plain"].format(unit=problem.unit)
        joint = "" if self.language == "zh" else " "
        return f"{self._texts[template.name].format(**slots)}{joint}{asked}"


def _split_of(template: Template, problem: Problem) -> Split:
    """Return the split of a problem: drawn by its values, so that the splits share none, whatever their seeds."""
    values = json.dumps([template.name, sorted(problem.slots.items())])
    drawn = hashlib.sha256(values.encode()).digest()[0]
    return "test" if drawn < 26 else "dev" if drawn < 52 else "train"
