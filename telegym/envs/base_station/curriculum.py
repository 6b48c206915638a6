"""A curriculum: which tasks come next, given how often those before were solved.

Tasks are in buckets of a family of causes and a level. A learner begins with the easiest levels; a bucket that is
solved most of the time opens the next level of its family and passes most of its weight on. Buckets that are always
or never solved teach nothing where rewards are compared within a group: they rest, and are looked at again rarely. A
fixed share of tasks has no fault, another one is to be handed over, so that acting is never right by itself.

Nothing is drawn by chance: every bucket saves up its share and the one that has saved most is next, so that shares hold
in every stretch of a run. The seed decides who begins.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.task import Task
from telegym.envs.base_station.faults import fault_codes, fault_infos
from telegym.envs.base_station.noise import uniform
from telegym.envs.base_station.tasks import HELD_OUT_FAULTS, HIGHEST_LEVEL

__all__ = [
    "ESCALATION",
    "NO_FAULT",
    "START_MIX",
    "Bucket",
    "Curriculum",
    "CurriculumTasks",
    "Stage",
    "bucket_of",
    "default_buckets",
]

NO_FAULT, ESCALATION, QUESTION = "no_fault", "escalation", "question"
"""Families that are made by the kind of a task: nothing is wrong, others have to act, something is asked."""
SHARES = {NO_FAULT: 0.15, ESCALATION: 0.10}
"""Least share of tasks of these families, at any time."""
START_MIX: dict[int, float] = {0: 0.3, 1: 0.4, 2: 0.3}
"""Share of levels at the beginning, among tasks of other families."""
BAND = (0.2, 0.8)
"""Success rates that teach most."""
PROMOTION = 0.75
"""Success rate over a window from which the next level is opened."""
FLAT_VISITS = 3
"""Groups in a row that all succeed, or all fail, until a bucket rests."""
OUT_OF_BAND, RESTING = 0.1, 0.05
"""Factor on the weight of buckets that are too easy or too hard, and of those that rest."""
PASSED_ON = 0.8
"""Share of its weight that a bucket gives to the next level when that is opened."""
RECENT = 8
"""Groups by which a bucket is said to be in the band."""
_VERSION = 1
Stage = Literal["closed", "open", "promoted", "resting"]
"""Not drawn yet; drawn; the next level is open; always or never solved of late."""


class Bucket(NamedTuple):
    """Tasks that are alike."""

    family: str
    """Family of the cause, or `no_fault`, `escalation`, `question`."""
    level: int
    """Level of difficulty, 0 to 5."""

    @property
    def name(self) -> str:
        """Short text, for example `power/2`."""
        return f"{self.family}/{self.level}"

    @classmethod
    def parse(cls, name: str) -> Bucket:
        """Return the bucket of a short text.

        Raises:
            ConfigurationError: If it is not of that form.
        """
        family, slash, level = name.rpartition("/")
        if not slash or not level.isdigit():
            raise ConfigurationError(f"{name!r} is no bucket; one is for example 'power/2'")
        return cls(family, int(level))


def bucket_of(task: Task | Mapping[str, Any]) -> Bucket:
    """Return the bucket of a task, or of a task with these labels."""
    labels = task.labels if isinstance(task, Task) else task
    return Bucket(_family(str(labels["kind"]), str(labels["family"])), int(str(labels["level"])))


def _family(kind: str, family: str) -> str:
    return {"NOF": NO_FAULT, "ESC": ESCALATION, "QNA": QUESTION}.get(kind, family)


def default_buckets(split: str = "train") -> tuple[Bucket, ...]:
    """Return the buckets that a split may have tasks of; questions are left out.

    Args:
        split: The split.
    """
    lowest: dict[str, int] = {}
    for code in fault_codes(1):
        if (code in HELD_OUT_FAULTS) == (split == "ood-faults"):
            info = fault_infos()[code]
            for kind in info.kinds:
                family = _family(kind, info.family)
                lowest[family] = min(lowest.get(family, HIGHEST_LEVEL), info.level)
    return tuple(Bucket(name, level) for name in sorted(lowest) for level in range(lowest[name], HIGHEST_LEVEL + 1))


@dataclass
class _Record:
    """What is known about a bucket."""

    mass: float = 0.0
    """Weight before its success rate is looked at; 0 while it is closed."""
    credit: float = 0.0
    """What it has saved up; who has most is drawn."""
    visits: list[tuple[int, int]] = field(default_factory=list)
    """Successes and size of its last groups, oldest first."""
    flat: int = 0
    """Groups in a row without any difference."""
    drawn: int = 0
    """How often it was drawn."""
    promoted: bool = False
    """Whether it has opened the next level."""

    @property
    def resting(self) -> bool:
        """Whether its last groups were all alike."""
        return self.flat >= FLAT_VISITS

    def rate(self, groups: int) -> float | None:
        """Return the success rate over its last groups; None if there was none."""
        last = self.visits[-groups:]
        return sum(wins for wins, _ in last) / sum(size for _, size in last) if last else None


class Curriculum:
    """Decides from which buckets tasks are taken.

    Args:
        seed: Decides the order of what is equally due.
        buckets: The buckets there are; by default those of the split that is learnt from.
        window: Groups over which a bucket's success rate has to pass 0.75 for the next level to be opened.
        mix: Share of each level at the beginning.

    Raises:
        ConfigurationError: If there is no bucket, or none to begin with.
    """

    def __init__(
        self,
        seed: int = 0,
        buckets: Iterable[Bucket] | None = None,
        *,
        window: int = 200,
        mix: Mapping[int, float] | None = None,
    ) -> None:
        if window < 1:
            raise ConfigurationError(f"window is {window}, but must be at least 1")
        chosen = default_buckets() if buckets is None else tuple(buckets)
        self.seed, self.window, self.mix = seed, window, dict(START_MIX if mix is None else mix)
        self._records = {bucket: _Record() for bucket in sorted(set(chosen))}
        self._saved = dict.fromkeys(_groups(self._records), 0.0)
        self._history: list[tuple[int, int]] = []
        for bucket, record in self._records.items():
            record.credit = -uniform(seed, "curriculum", bucket.name)
        self._begin()
        if not self._records:
            raise ConfigurationError("a curriculum needs at least one bucket")

    def _begin(self) -> None:
        """Open what a learner begins with: the levels of the mix, and the lowest level of each group without them."""
        for group in self._saved:
            members = [bucket for bucket in self._records if _group(bucket) == group]
            first = [bucket for bucket in members if self.mix.get(bucket.level, 0.0) > 0]
            first = first or [bucket for bucket in members if bucket.level == min(item.level for item in members)]
            for bucket in first:
                alike = sum(other.level == bucket.level for other in first)
                self._records[bucket].mass = self.mix.get(bucket.level, 1.0) / alike

    # --- what can be seen --------------------------------------------------------------------------------

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """All buckets, closed ones included."""
        return tuple(self._records)

    def stage(self, bucket: Bucket) -> Stage:
        """Return where a bucket stands."""
        record = self._record(bucket)
        if record.mass <= 0:
            return "closed"
        if record.resting:
            return "resting"
        return "promoted" if record.promoted else "open"

    def rate(self, bucket: Bucket) -> float | None:
        """Return the success rate over a bucket's last window; None if it was not visited."""
        return self._record(bucket).rate(self.window)

    @property
    def recent_rate(self) -> float | None:
        """Success rate over the last groups of all buckets; None before the first one."""
        sizes = sum(size for _, size in self._history)
        return sum(wins for wins, _ in self._history) / sizes if sizes else None

    def weights(self) -> dict[Bucket, float]:
        """Return the present share of each open bucket in its group: no fault, escalation, all others."""
        found = {bucket: self._weight(bucket) for bucket, record in self._records.items() if record.mass > 0}
        totals = dict.fromkeys(self._saved, 0.0)
        for bucket, weight in found.items():
            totals[_group(bucket)] += weight
        return {bucket: weight / totals[_group(bucket)] for bucket, weight in found.items()}

    # --- drawing -------------------------------------------------------------------------------------------

    def draw(self, count: int) -> list[Bucket]:
        """Return the buckets of the next tasks.

        Args:
            count: How many.

        Raises:
            ConfigurationError: If every bucket was left out.
        """
        weights = self.weights()
        return [self._next(weights) for _ in range(count)]

    def _next(self, weights: dict[Bucket, float]) -> Bucket:
        shares = _shares({_group(bucket) for bucket in weights})
        for group, share in shares.items():
            self._saved[group] += share
        group = max(shares, key=lambda name: (self._saved[name], name))
        self._saved[group] -= 1.0
        members = [bucket for bucket in weights if _group(bucket) == group]
        for bucket in members:
            self._records[bucket].credit += weights[bucket]
        chosen = max(members, key=lambda bucket: (self._records[bucket].credit, bucket))
        self._records[chosen].credit -= 1.0
        self._records[chosen].drawn += 1
        return chosen

    def _weight(self, bucket: Bucket) -> float:
        record = self._records[bucket]
        if record.resting:
            return RESTING * record.mass
        rate, overall = record.rate(RECENT), self.recent_rate
        if rate is None or overall is None:
            return record.mass
        low, high = BAND
        # Who fails all the time needs what he can do, who never fails what he cannot.
        easy = rate > high and overall >= low
        hard = rate < low and overall <= high
        return record.mass * (OUT_OF_BAND if easy or hard else 1.0)

    # --- results -------------------------------------------------------------------------------------------

    def record(self, bucket: Bucket, successes: int, of: int) -> None:
        """Note how a group of episodes of one task went.

        Args:
            bucket: The task's bucket.
            successes: Episodes that were solved.
            of: Episodes of the group.

        Raises:
            ConfigurationError: If the numbers cannot be, or the bucket is unknown.
        """
        if not 0 <= successes <= of or of < 1:
            raise ConfigurationError(f"{successes} of {of} episodes cannot have been solved")
        record = self._record(bucket)
        record.visits = [*record.visits, (successes, of)][-self.window :]
        record.flat = record.flat + 1 if successes in (0, of) else 0
        self._history = [*self._history, (successes, of)][-max(RECENT, 4 * len(self._records)) :]
        if not record.promoted and record.mass > 0 and self._mastered(record):
            self._promote(bucket)

    def _mastered(self, record: _Record) -> bool:
        rate = record.rate(self.window)
        over_window = len(record.visits) == self.window and rate is not None and rate > PROMOTION
        always = record.resting and all(wins == size for wins, size in record.visits[-FLAT_VISITS:])
        return over_window or always

    def _promote(self, bucket: Bucket) -> None:
        """Open the next level of a family, and families that begin there."""
        record = self._records[bucket]
        record.promoted = True
        higher = [other for other in self._records if other.family == bucket.family and other.level > bucket.level]
        if higher:
            self._records[higher[0]].mass += PASSED_ON * record.mass
            record.mass *= 1.0 - PASSED_ON
        for other in self._beginning_at(bucket.level + 1):
            open_ = [item.mass for name, item in self._records.items() if item.mass > 0 and _group(name) == "others"]
            self._records[other].mass = sum(open_) / len(open_)

    def _beginning_at(self, level: int) -> list[Bucket]:
        """Return the closed buckets up to a level that no lower bucket of their family can open."""
        lowest: dict[str, Bucket] = {}
        for bucket in self._records:
            lowest.setdefault(bucket.family, bucket)
        return [
            bucket
            for bucket in lowest.values()
            if self._records[bucket].mass <= 0 and bucket.level <= level and _group(bucket) == "others"
        ]

    def leave_out(self, bucket: Bucket) -> None:
        """Forget a bucket of which there are no tasks; what it would have opened is opened instead.

        Raises:
            ConfigurationError: If the bucket is unknown.
        """
        record = self._record(bucket)
        if record.mass > 0 and not record.promoted:
            self._promote(bucket)
        del self._records[bucket]
        groups = _groups(self._records)
        self._saved = {group: saved for group, saved in self._saved.items() if group in groups}
        if not self._records:
            raise ConfigurationError("no bucket of the curriculum has tasks")
        if not any(record.mass > 0 for record in self._records.values()):
            self._begin()

    def _record(self, bucket: Bucket) -> _Record:
        if bucket not in self._records:
            names = [item.name for item in self._records]
            hint = did_you_mean(bucket.name, names)
            raise ConfigurationError(f"the curriculum has no bucket {bucket.name!r}.{hint}")
        return self._records[bucket]

    # --- keeping -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that decides what comes next, as JSON values."""
        return {
            "version": _VERSION,
            "seed": self.seed,
            "window": self.window,
            "mix": {str(level): share for level, share in self.mix.items()},
            "saved": dict(self._saved),
            "history": [list(item) for item in self._history],
            "buckets": {bucket.name: asdict(record) for bucket, record in self._records.items()},
        }

    @classmethod
    def resume(cls, state: Mapping[str, Any]) -> Self:
        """Return a curriculum that goes on where another one stood.

        Args:
            state: What `state` returned.

        Raises:
            ConfigurationError: If it is of another version.
        """
        if state.get("version") != _VERSION:
            raise ConfigurationError(f"a curriculum of version {state.get('version')!r}; this is {_VERSION}")
        mix = {int(level): share for level, share in state["mix"].items()}
        known = {Bucket.parse(name): entry for name, entry in state["buckets"].items()}
        made = cls(state["seed"], known, window=state["window"], mix=mix)
        made._saved = dict(state["saved"])
        made._history = [(wins, size) for wins, size in state["history"]]
        for bucket, entry in known.items():
            made._records[bucket] = _Record(**{**entry, "visits": [(wins, size) for wins, size in entry["visits"]]})
        return made


def _group(bucket: Bucket) -> str:
    return bucket.family if bucket.family in SHARES else "others"


def _groups(buckets: Iterable[Bucket]) -> tuple[str, ...]:
    return tuple(sorted({_group(bucket) for bucket in buckets}))


def _shares(groups: set[str]) -> dict[str, float]:
    """Return the shares of the groups there are; without other tasks, the fixed shares grow to all of them."""
    shares = {group: SHARES.get(group, 1.0 - sum(SHARES[name] for name in groups & SHARES.keys())) for group in groups}
    total = sum(shares.values())
    return {group: shares[group] / total for group in sorted(shares)}


class CurriculumTasks:
    """Takes tasks of a set in the order that a curriculum asks for.

    Tasks keep their ids, so what was played can be replayed. The set is gone through from its beginning, and again when
    it is over; tasks whose bucket is not due yet wait.

    Args:
        tasks: The tasks.
        curriculum: Says which bucket is next.
        patience: Tasks that are looked through for a bucket before it counts as empty.
        state: What `state` returned, to go on from there; the curriculum is then that of the state.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        curriculum: Curriculum | None = None,
        *,
        patience: int = 2000,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.tasks = tasks
        self.curriculum = curriculum or Curriculum()
        """Says which bucket is next."""
        self._patience = patience
        self._seen = 0
        self._waiting: dict[Bucket, list[int]] = {}
        if state is not None:
            self.curriculum = Curriculum.resume(state["curriculum"])
            self._seen = state["seen"]
            self._waiting = {Bucket.parse(name): list(found) for name, found in state["waiting"].items()}

    def draw(self, count: int) -> list[int]:
        """Return the positions of the next tasks.

        Args:
            count: How many.

        Raises:
            ConfigurationError: If the set has no task of any bucket.
        """
        found: list[int] = []
        while len(found) < count:
            (bucket,) = self.curriculum.draw(1)
            position = self._take(bucket)
            if position is None:
                self.curriculum.leave_out(bucket)
            else:
                found.append(position)
        return found

    def record(self, position: int, successes: int, of: int) -> None:
        """Note how a group of episodes of the task at a position went."""
        bucket = bucket_of(self.tasks[position])
        if bucket in self.curriculum.buckets:
            self.curriculum.record(bucket, successes, of)

    def state(self) -> dict[str, Any]:
        """Return all that decides what comes next, as JSON values."""
        waiting = {bucket.name: found for bucket, found in self._waiting.items() if found}
        return {"curriculum": self.curriculum.state(), "seen": self._seen, "waiting": waiting}

    def write(self, path: str | Path) -> None:
        """Write the state to a file."""
        Path(path).write_text(json.dumps(self.state(), sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path, tasks: Sequence[Task], *, patience: int = 2000) -> Self:
        """Return what goes on where a file was written."""
        return cls(tasks, patience=patience, state=json.loads(Path(path).read_text(encoding="utf-8")))

    def _take(self, bucket: Bucket) -> int | None:
        """Return the first task of a bucket that was not taken; None if there is none for a long time."""
        waiting = self._waiting.setdefault(bucket, [])
        for _ in range(self._patience if len(self.tasks) else 0):
            if waiting:
                break
            position = self._seen % len(self.tasks)
            self._seen += 1
            self._waiting.setdefault(bucket_of(self.tasks[position]), []).append(position)
        return waiting.pop(0) if waiting else None
