"""UnicodeText: a Gymnasium space of text in any script, that vector environments carry unchanged.

Gymnasium's own `Text` lists its characters, and an asynchronous vector environment with shared memory reads such texts
once, when it is built, and never again. `UnicodeText` holds every string up to a length, and its shared memory is read
at each step.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from ctypes import c_int32
from multiprocessing.sharedctypes import SynchronizedArray
from typing import Any, overload

import numpy as np
from gymnasium.spaces import Text
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory
from numpy.typing import NDArray

__all__ = ["UnicodeText"]

_CODEC = ("utf-32-le", "surrogatepass")


class UnicodeText(Text):
    """Every string of at most `max_length` characters, lone surrogates included.

    Samples are short and of printable ASCII: there is no sense in drawing from a million characters.

    Args:
        max_length: Length of the longest string.
        sample_length: Length of the longest sample.
    """

    def __init__(self, max_length: int, *, sample_length: int = 200) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable)
        self.sample_length = min(sample_length, max_length)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Draw a short text; `mask` and `probability` are those of `Text`, over `character_list`."""
        if mask is None and probability is None:
            mask = (int(self.np_random.integers(self.sample_length + 1)), None)
        return super().sample(mask=mask, probability=probability)

    def contains(self, x: Any) -> bool:
        """Return whether `x` is a string that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    @property
    def is_np_flattenable(self) -> bool:
        """False: no array of characters stands for every script."""
        return False

    def __repr__(self) -> str:
        return f"UnicodeText({self.max_length})"


def _cells(space: UnicodeText, memory: SynchronizedArray[c_int32]) -> NDArray[np.int32]:
    """Return one row for each environment: the length of its text, then the characters."""
    cells: NDArray[np.int32] = np.frombuffer(memory.get_obj(), dtype=np.int32)  # type: ignore[call-overload]
    return cells.reshape(-1, 1 + space.max_length)


class _TextBatch(Sequence[str]):
    """A live view of the texts in shared memory. A copy of it (what a step returns) is a tuple of strings."""

    def __init__(self, space: UnicodeText, memory: SynchronizedArray[c_int32]) -> None:
        self._cells = _cells(space, memory)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        row = self._cells[index]
        text: str = row[1 : 1 + row[0]].tobytes().decode(*_CODEC)
        return text

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)


@create_shared_memory.register(UnicodeText)
def _create(space: UnicodeText, n: int = 1, ctx: Any = None) -> SynchronizedArray[c_int32]:
    memory: SynchronizedArray[c_int32] = ctx.Array("i", n * (1 + space.max_length))
    return memory


@read_from_shared_memory.register(UnicodeText)
def _read(space: UnicodeText, shared_memory: SynchronizedArray[c_int32], n: int = 1) -> _TextBatch:
    return _TextBatch(space, shared_memory)


@write_to_shared_memory.register(UnicodeText)
def _write(space: UnicodeText, index: int, values: str, shared_memory: SynchronizedArray[c_int32]) -> None:
    row = _cells(space, shared_memory)[index]
    codes = np.frombuffer(values.encode(*_CODEC), dtype=np.int32)
    row[1 : 1 + len(codes)] = codes
    row[0] = len(codes)
