"""What was computed last, up to a limit of room; what was not used for longest goes first.

What is large is kept in one place, which counts its room. Others that find it again hold weak references: it is gone
for them when it is gone there, and made anew when somebody asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import ReferenceType, ref

__all__ = ["KEPT_REGIONS", "Latest", "Recent"]

KEPT_REGIONS = 64
"""How many regions are kept in memory, with what belongs to them: 2 to 9 MB each."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Entry(Generic[V]):
    __slots__ = ("room", "value")

    def __init__(self, value: V, room: int) -> None:
        self.value = value
        self.room = room


class Recent(Generic[K, V]):
    """Values by key; each says how much room it takes, as a rule how many numbers it holds.

    Args:
        room: How much all values together may take; the value used last stays in any case.
    """

    __slots__ = ("_entries", "_free", "_room")

    def __init__(self, room: int) -> None:
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._free = self._room = room

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    @property
    def used(self) -> int:
        """How much room is taken."""
        return self._room - self._free

    def get(self, key: K, make: Callable[[], V], room: int = 1) -> V:
        """Return the value of a key; it is made, and takes room, if it is not there."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(make(), room)
            self._take(room)
        else:
            self._entries.move_to_end(key)
        return entry.value

    def grow(self, key: K, room: int) -> None:
        """Note that the value of a key, which was used last, takes more room."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.room += room
            self._take(room)

    def _take(self, room: int) -> None:
        self._free -= room
        while self._free < 0 and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self._free += oldest.room


class Latest(Generic[K, V]):
    """The latest value of each of the latest keys, as long as somebody else holds it.

    Args:
        count: How many keys are remembered.
    """

    __slots__ = ("_count", "_entries")

    def __init__(self, count: int) -> None:
        self._entries: OrderedDict[K, ReferenceType[V]] = OrderedDict()
        self._count = count

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the latest value of a key; None if there is none any more."""
        known = self._entries.get(key)
        return None if known is None else known()

    def put(self, key: K, value: V) -> None:
        """Note the latest value of a key."""
        self._entries[key] = ref(value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._count:
            self._entries.popitem(last=False)
