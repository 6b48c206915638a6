"""Scores kept on disk: what was judged once is not judged again.

Keys are hashes of everything that decides a score: the reward, its settings and version, and all that happened in the
run. Values are JSON; nothing that lies in a cache is ever executed. A cache may be used by several threads and
processes at once.
"""

from __future__ import annotations

import functools
import math
import sqlite3
import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from telegym.core.errors import InfrastructureError
from telegym.core.score import Score
from telegym.core.world import canonical_json, sha256_hex
from telegym.rewards.base import Reward, Run, Signals
from telegym.rewards.combination import within_groups

__all__ = ["Cached", "JsonStore"]


class JsonStore:
    """JSON values on disk by hash. Nothing is thrown out to make room.

    Args:
        folder: Where they are kept; made if needed.

    Raises:
        InfrastructureError: If the folder cannot be used.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self._cache = _cache_class()(str(self.folder), disk=_disk_class(), eviction_policy="none", cull_limit=0)
        except (OSError, sqlite3.Error) as error:
            raise InfrastructureError(f"the cache {self.folder} cannot be opened: {error}") from error

    @staticmethod
    def key(**parts: Any) -> str:
        """Return the hash of named JSON values; what is not JSON is taken by its text."""
        return sha256_hex(canonical_json(_plain(parts)))

    def get(self, key: str) -> Any:
        """Return a value, or None if there is none, or none that can be read."""
        try:
            return self._cache.get(key, retry=True)
        except (ValueError, OSError):
            return None

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value.

        Raises:
            TypeError: If the value is not JSON.
        """
        self._cache.set(key, value, retry=True)

    def __len__(self) -> int:
        return len(self._cache)

    def close(self) -> None:
        """Close the files; they are opened again when needed."""
        self._cache.close()


class Cached(Reward):
    """A reward that remembers. Failures are not remembered: they are asked about again.

    Args:
        reward: The reward.
        store: Where scores are kept.
        settings: How the reward was configured: scores under other settings are others. Anything with a text.
    """

    def __init__(self, reward: Reward, store: JsonStore, settings: Mapping[str, Any] | None = None) -> None:
        self.reward = reward
        self.store = store
        self.hits = 0
        """How many scores were found."""
        self.misses = 0
        """How many scores had to be asked for."""
        self.name, self.version = reward.name, reward.version
        self.waits, self.groupwise, self.persuadable = reward.waits, reward.groupwise, reward.persuadable
        self.needs_signals = reward.needs_signals
        self.needs_references, self.needs_baseline = reward.needs_references, reward.needs_baseline
        cls = type(reward)
        self._of = {"reward": f"{cls.__module__}:{cls.__qualname__}", "name": reward.name, "version": reward.version}
        self._settings = _plain(dict(settings or {}))
        self._lock = threading.Lock()

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return one score for each run, in order; equal runs are asked about once."""
        keys = self._keys(runs)
        known = {key: score for key in dict.fromkeys(keys) if (score := _restored(self.store.get(key))) is not None}
        asked = self._missing(runs, keys, known)
        given = self.reward.score([runs[row] for row in asked]) if asked else []
        for row, score in zip(asked, given, strict=True):
            known[keys[row]] = score
            if score.value is not None:
                self.store.set(keys[row], _stored(score))
        with self._lock:
            self.misses += len(asked)
            self.hits += len(runs) - len(asked)
        return [known[key] for key in keys]

    def _keys(self, runs: Sequence[Run]) -> list[str]:
        """Return the key of each run; where runs are compared, the others of the group belong to it."""
        own = [f"{run.key}{_signal_key(run.signals)}" for run in runs]
        company: dict[int, list[str]] = {}
        if self.groupwise:
            for places in within_groups([run.group for run in runs]):
                company.update(dict.fromkeys(places, sorted(own[place] for place in places)))
        return [
            JsonStore.key(**self._of, settings=self._settings, run=key, company=company.get(row))
            for row, key in enumerate(own)
        ]

    def _missing(self, runs: Sequence[Run], keys: Sequence[str], known: Mapping[str, Score]) -> list[int]:
        """Return the positions of the runs to ask about: each once, and groups whole where runs are compared."""
        if not self.groupwise:
            first = {key: row for row, key in reversed(list(enumerate(keys)))}
            return sorted(row for key, row in first.items() if key not in known)
        groups = within_groups([run.group for run in runs])
        return sorted(row for group in groups if any(keys[each] not in known for each in group) for row in group)


def _plain(value: Any) -> Any:
    """Return a value as JSON: what is none is taken by its text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _signal_key(signals: Signals | None) -> str:
    if signals is None:
        return ""
    return JsonStore.key(**{name: [float(each) for each in getattr(signals, name)] for name in Signals.__slots__})


# --- scores as JSON -----------------------------------------------------------------------------------


def _stored(score: Score) -> dict[str, Any]:
    return {"class": _class_name(type(score)), "score": score.model_dump(mode="json")}


def _restored(stored: Any) -> Score | None:
    """Return the score, or None if it is of a form that is not known any more."""
    if not isinstance(stored, dict):
        return None
    cls = next((cls for cls in _score_classes(Score) if _class_name(cls) == stored.get("class")), None)
    if cls is None:
        return None
    try:
        return cls.model_validate(stored.get("score"))
    except ValidationError:
        return None


def _class_name(cls: type[Score]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _score_classes(cls: type[Score]) -> list[type[Score]]:
    return [cls, *(found for inner in cls.__subclasses__() for found in _score_classes(inner))]


# --- the library, imported when a cache is opened -----------------------------------------------------


@functools.cache
def _cache_class() -> Any:
    from diskcache import Cache

    return Cache


@functools.cache
def _disk_class() -> Any:
    """Return what reads and writes entries: JSON alone. The library's own would unpickle a planted entry."""
    from diskcache import JSONDisk
    from diskcache.core import MODE_BINARY, MODE_RAW

    class Disk(JSONDisk):  # type: ignore[misc]  # the library has no types
        def fetch(self, mode: int, filename: str, value: Any, read: bool) -> Any:
            if mode not in (MODE_RAW, MODE_BINARY):
                raise ValueError(f"an entry of mode {mode} is not one of ours")
            try:
                return super().fetch(mode, filename, value, read)
            except (TypeError, zlib.error) as error:
                raise ValueError(f"an entry is damaged: {error}") from error

        def get(self, key: Any, raw: int) -> Any:
            if not raw:
                raise ValueError("a key that is pickled is not one of ours")
            return super().get(key, raw)

    return Disk
