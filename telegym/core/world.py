"""World: the simulator's whole state and its clock.

A world is deterministic: one seed decides everything, no global random generator, wall clock or `hash()` is used.
`fork()` gives an independent copy. `mark()` gives a cheap reference to the present state whose hash can be asked for
later: worlds that keep their state in immutable records return that state itself and hash lazily.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

__all__ = ["Change", "Digest", "StateMark", "World", "canonical_json", "diff_states", "sha256_hex"]


def canonical_json(value: Any) -> str:
    """Return JSON text with sorted keys, `", "` and `": "` as separators, ASCII only.

    Raises:
        ValueError: If the value holds NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False)


def sha256_hex(text: str) -> str:
    """Return the SHA-256 digest of the UTF-8 bytes of `text`, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


class StateMark(Protocol):
    """A reference to one state of a world."""

    def hash(self) -> str:
        """Return the SHA-256 digest (hexadecimal) of the state's canonical JSON."""
        ...


@dataclass(frozen=True, slots=True)
class Digest:
    """A state mark that holds nothing but the hash."""

    value: str
    """SHA-256 digest, hexadecimal."""

    def hash(self) -> str:
        """Return the digest."""
        return self.value


class Change(NamedTuple):
    """One difference between two states."""

    path: str
    """Where, as keys and indices joined with dots, for example `phone.data_enabled`."""
    before: Any
    """Value in the first state; None where the path does not exist."""
    after: Any
    """Value in the second state; None where the path does not exist."""


def diff_states(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    """Yield the leaves in which two JSON values differ, in sorted order of their paths."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from diff_states(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from diff_states(left, right, f"{path}.{index}")
    elif before != after or type(before) is not type(after):
        yield Change(path, before, after)


class World(ABC):
    """State and clock of a simulation."""

    cheap_snapshots: ClassVar[bool] = False
    """Whether `snapshot()` costs about a microsecond, so that an episode may take one at every turn."""

    keeps_time: ClassVar[bool] = False
    """Whether tools let time pass in the world themselves; else the episode adds the minutes of each call."""

    minutes: float = 0.0
    """Simulated time since the episode began, in minutes."""

    @abstractmethod
    def dump(self) -> dict[str, Any]:
        """Return the whole state as JSON values."""

    @abstractmethod
    def snapshot(self) -> Any:
        """Return an opaque, immutable copy of the state (clock included) for `restore`."""

    @abstractmethod
    def restore(self, snapshot: Any) -> None:
        """Return to a state that `snapshot` gave."""

    @abstractmethod
    def fork(self) -> Self:
        """Return an independent copy of this world."""

    def mark(self) -> StateMark:
        """Return a reference to the present state. The default hashes at once."""
        return Digest(sha256_hex(canonical_json(self.dump())))

    def state_hash(self) -> str:
        """Return the SHA-256 digest (hexadecimal) of the canonical JSON of the state."""
        return self.mark().hash()

    def situation(self) -> str:
        """Return a digest that states share which differ in nothing but the passing of time.

        The default is the hash of the state, for worlds whose state does not hold the time.
        """
        return self.state_hash()

    def diff(self, other: World) -> list[Change]:
        """Return every leaf in which `other` differs from this world."""
        return list(diff_states(self.dump(), other.dump()))
