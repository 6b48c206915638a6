"""Store: rubrics with their questions, found by the similarity of questions, and how often each criterion is met.

The vectors are searched by faiss, in memory and exactly; the store itself is one JSON file.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from telegym.core.errors import ConfigurationError
from telegym.rewards.rubrics.embedding import Embedding, HashedWords
from telegym.rewards.rubrics.rubric import Criterion, Rubric

__all__ = ["Found", "RubricStore"]

VERSION = 1
"""Version of the file. Readers refuse others."""


class Found(NamedTuple):
    """A rubric that was found."""

    rubric: Rubric
    """The rubric."""
    similarity: float
    """Cosine of the angle between the questions, at most 1."""


class RubricStore:
    """Rubrics by similarity of their questions. Safe to use from several threads.

    Args:
        rubrics: What it holds at first.
        embedding: Turns questions into vectors.

    Raises:
        ConfigurationError: If faiss is not installed, or an id occurs twice.
    """

    def __init__(self, rubrics: Iterable[Rubric] = (), embedding: Embedding | None = None) -> None:
        self.embedding: Embedding = embedding or HashedWords()
        self._rubrics: dict[str, Rubric] = {}
        self._counts: dict[str, list[list[int]]] = {}
        self._order: list[str] = []
        self._index: Any = None
        self._lock = threading.RLock()
        for rubric in rubrics:
            self.add(rubric)

    def __len__(self) -> int:
        return len(self._rubrics)

    @property
    def rubrics(self) -> tuple[Rubric, ...]:
        """All rubrics in the order in which they were added."""
        with self._lock:
            return tuple(self._rubrics.values())

    def add(self, rubric: Rubric) -> None:
        """Add a rubric.

        Raises:
            ConfigurationError: If there is one of that id.
        """
        with self._lock:
            if rubric.id in self._rubrics:
                raise ConfigurationError(f"there is already a rubric {rubric.id!r}")
            self._rubrics[rubric.id] = rubric
            self._counts[rubric.id] = [[0, 0] for _ in rubric.criteria]
            self._index = None

    def search(self, question: str, count: int = 1) -> list[Found]:
        """Return the rubrics whose questions are most like one, likest first; equals in the order of their ids.

        Args:
            question: The question.
            count: How many at most.
        """
        with self._lock:
            if not self._rubrics:
                return []
            if self._index is None:
                self._build()
            vector = self.embedding.embed([question])
            values, places = self._index.search(vector, len(self._order))
            found = [
                Found(self._rubrics[self._order[place]], float(value))
                for value, place in zip(values[0], places[0], strict=True)
            ]
        return sorted(found, key=lambda each: (-round(each.similarity, 6), each.rubric.id))[:count]

    def _build(self) -> None:
        self._order = sorted(self._rubrics)
        self._index = _faiss().IndexFlatIP(self.embedding.size)
        self._index.add(self.embedding.embed([self._rubrics[name].question for name in self._order]))

    # --- how often criteria are met ------------------------------------------------------------------------

    def count(self, rubric_id: str, met: Sequence[bool | None]) -> None:
        """Count a run for each criterion of a rubric; None counts for nothing."""
        with self._lock:
            for pair, value in zip(self._counts.get(rubric_id, ()), met, strict=False):
                if value is not None:
                    pair[0] += value
                    pair[1] += 1

    def rates(self, rubric_id: str) -> list[float | None]:
        """Return how often each criterion of a rubric was met, 0 to 1; None where it was never asked."""
        with self._lock:
            return [hits / asked if asked else None for hits, asked in self._counts[rubric_id]]

    def prune(self, low: float = 0.05, high: float = 0.95, least: int = 20) -> list[Criterion]:
        """Remove criteria that nearly no run or nearly every run meets: they tell runs apart no more.

        A rubric without criteria is removed too.

        Args:
            low: Lowest rate that is kept, 0 to 1.
            high: Highest rate that is kept, 0 to 1.
            least: Fewest runs by which a criterion is judged.

        Returns:
            The criteria that were removed.

        Raises:
            ConfigurationError: If the rates are not in order.
        """
        if not 0 <= low <= high <= 1:
            raise ConfigurationError(f"low is {low} and high {high}, but must be 0 <= low <= high <= 1")
        removed: list[Criterion] = []
        with self._lock:
            for name in list(self._rubrics):
                removed += self._prune(name, low, high, least)
        return removed

    def _prune(self, name: str, low: float, high: float, least: int) -> list[Criterion]:
        rubric, counts = self._rubrics[name], self._counts[name]
        kept = [place for place, (hits, asked) in enumerate(counts) if asked < least or low <= hits / asked <= high]
        if len(kept) == len(counts):
            return []
        removed = [item for place, item in enumerate(rubric.criteria) if place not in kept]
        if kept:
            self._rubrics[name] = rubric.model_copy(
                update={"criteria": tuple(rubric.criteria[place] for place in kept)}
            )
            self._counts[name] = [counts[place] for place in kept]
        else:
            del self._rubrics[name], self._counts[name]
            self._index = None
        return removed

    # --- on disk ----------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the store to a JSON file."""
        with self._lock:
            entries = [
                {"rubric": rubric.model_dump(mode="json"), "counts": self._counts[name]}
                for name, rubric in self._rubrics.items()
            ]
        text = json.dumps({"version": VERSION, "embedding": self.embedding.name, "rubrics": entries}, indent=1)
        Path(path).write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, embedding: Embedding | None = None) -> Self:
        """Read what `save` wrote; vectors are computed anew.

        Raises:
            ConfigurationError: If the file is no store of this version, or was made with another embedding.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            version, name, entries = data["version"], data["embedding"], data["rubrics"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path} is no store of rubrics: {error}") from error
        store = cls(embedding=embedding)
        if version != VERSION or name != store.embedding.name:
            expected = f"version {VERSION} with {store.embedding.name}"
            raise ConfigurationError(f"{path} is of version {version} with {name}, but {expected} is needed")
        for entry in entries:
            rubric = Rubric.parse(entry["rubric"])
            store.add(rubric)
            store._counts[rubric.id] = [list(pair) for pair in entry["counts"]]
        return store


def _faiss() -> Any:
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise ConfigurationError(
            "a store of rubrics needs faiss, which is not installed; pip install 'telegym[rubrics]'"
        ) from error
