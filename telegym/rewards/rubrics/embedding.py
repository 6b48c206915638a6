"""Embeddings: texts as vectors, so that similar questions can be found. The default needs no model and no network."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Embedding", "HashedWords"]

_WORD = re.compile("[\u3400-\u9fff]|[^\\W_]+")


class Embedding(Protocol):
    """Turns texts into vectors of length 1; the same text always into the same vector."""

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        ...

    @property
    def name(self) -> str:
        """Names it together with its settings: stores made with another cannot be opened."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row for each text."""
        ...


class HashedWords:
    """Words, pairs of words and pieces of words, hashed into a vector; frequent ones in a text count by their root.

    Chinese characters count as words. Numbers and identifiers count by their form alone, so that a question about one
    cell is like that about another.

    Args:
        size: How many numbers a vector has.
        pieces: Length of the pieces of words, which make different forms of a word alike.
    """

    def __init__(self, size: int = 1024, pieces: int = 4) -> None:
        self._size, self._pieces = size, pieces

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return self._size

    @property
    def name(self) -> str:
        """Names it together with its settings."""
        return f"hashed-words-{self._size}-{self._pieces}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row of length 1 for each text; a text without words is all zeros."""
        rows = np.zeros((len(texts), self._size), dtype=np.float64)
        for row, text in zip(rows, texts, strict=True):
            for feature, count in Counter(self._features(text)).items():
                digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
                place = int.from_bytes(digest, "big")
                row[place % self._size] += (1 if place >> 63 else -1) * np.sqrt(count)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)

    def _features(self, text: str) -> list[str]:
        words = [_form(word) for word in _WORD.findall(text.casefold())]
        pairs = [f"{left} {right}" for left, right in pairwise(words)]
        size = self._pieces
        pieces = [f"~{word[place : place + size]}" for word in words for place in range(max(0, len(word) - size + 1))]
        return [*words, *pairs, *pieces]


def _form(word: str) -> str:
    return re.sub(r"\d+", "#", word)
