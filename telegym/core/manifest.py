"""Manifests: which tasks a set has, as hashes, so that two people can tell that they mean the same.

A manifest names each task by its id and by the SHA-256 digest of the canonical JSON of all that the task is, and all of
them by one digest. It says nothing of what is asked or of what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.task import Task
from telegym.core.world import canonical_json, sha256_hex

__all__ = ["Manifest", "ManifestEntry", "make_manifest", "shipped_manifest", "shipped_manifests", "task_hash"]


class ManifestEntry(BaseModel):
    """A task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Its id."""
    hash: str
    """Digest of all it is."""


class Manifest(BaseModel):
    """The tasks of a set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: str
    """Name of the environment."""
    options: dict[str, Any] = {}
    """Options with which the set is made; all others have their defaults."""
    split: str | None = None
    """The split, where an environment has several to choose from."""
    hash: str
    """Digest of all tasks together, in their order."""
    tasks: tuple[ManifestEntry, ...]
    """The tasks in order."""

    def differences(self, tasks: Iterable[Task]) -> list[str]:
        """Return what differs between the first tasks of this manifest and some tasks, a line for each."""
        found = []
        for entry, task in zip(self.tasks, tasks, strict=False):
            if entry.id != task.id:
                found.append(f"{entry.id}: is now {task.id}")
            elif entry.hash != task_hash(task):
                found.append(f"{entry.id}: is another task")
        return found

    def problem(self) -> str | None:
        """Return what is wrong with the manifest itself; None if nothing is."""
        if self.hash != _together(self.tasks):
            return "the hash of all tasks together does not fit the tasks"
        return None if len({entry.id for entry in self.tasks}) == len(self.tasks) else "an id occurs twice"

    def write(self, path: str | Path) -> None:
        """Write the manifest as JSON, a task a line."""
        head = self.model_dump(mode="json", exclude={"tasks"})
        lines = ",\n".join(f"  {canonical_json(entry.model_dump())}" for entry in self.tasks)
        text = f'{canonical_json(head)[:-1]}, "tasks": [\n{lines}\n]}}\n'
        Path(path).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """Read what `write` wrote.

        Raises:
            ConfigurationError: If there is no such file, or it is no manifest.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise ConfigurationError(f"{path} is no manifest: {str(error).splitlines()[0]}") from None


def task_hash(task: Task) -> str:
    """Return the SHA-256 digest of the canonical JSON of a task, in hexadecimal."""
    return sha256_hex(canonical_json(task.model_dump(mode="json")))


def make_manifest(
    environment: str, tasks: Iterable[Task], options: Mapping[str, Any] | None = None, split: str | None = None
) -> Manifest:
    """Return the manifest of tasks.

    Args:
        environment: Name of the environment.
        tasks: The tasks in order.
        options: Options with which they are made.
        split: The split, where an environment has several to choose from.
    """
    entries = tuple(ManifestEntry(id=task.id, hash=task_hash(task)) for task in tasks)
    return Manifest(
        environment=environment, options=dict(options or {}), split=split, hash=_together(entries), tasks=entries
    )


def _together(entries: Iterable[ManifestEntry]) -> str:
    return sha256_hex(canonical_json([[entry.id, entry.hash] for entry in entries]))


def shipped_manifests(environment: str) -> dict[str, Path]:
    """Return the manifests that come with an environment, by split."""
    package = f"telegym.envs.{environment.replace('-', '_')}"
    try:
        folder = Path(str(resources.files(package))) / "manifests"
    except ModuleNotFoundError:
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def shipped_manifest(environment: str, split: str) -> Manifest:
    """Return the manifest of a split that comes with an environment.

    Raises:
        ConfigurationError: If there is none.
    """
    known = shipped_manifests(environment)
    if split not in known:
        valid = ", ".join(known) or "none"
        hint = did_you_mean(split, known)
        raise ConfigurationError(f"no manifest of {split!r} comes with {environment}; valid: {valid}.{hint}")
    return Manifest.read(known[split])
