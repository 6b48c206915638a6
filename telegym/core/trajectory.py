"""Trajectory: everything that happened in an episode, as one line of JSON.

`telegym.core.replay` plays it again: the same actions in an equal environment must give the same bytes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from telegym.core.errors import InfrastructureError
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.core.task import Task
from telegym.core.tool import CallError

__all__ = ["VERSION", "CallEntry", "Trajectory", "TrajectoryWriter", "read_trajectories"]

VERSION = 1
"""Version of the format. Readers refuse others."""


class CallEntry(BaseModel):
    """One tool call with its answer and the states around it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    """Position among all calls, from 0."""
    turn: int
    """The turn it belongs to, from 1; 0 before the agent's first turn."""
    call: ToolCall
    """The call."""
    content: str
    """The answer."""
    error: CallError | None
    """Why it failed, or None."""
    minutes: float
    """Simulated time it took."""
    state_before: str | None
    """SHA-256 of the state before; None if the episode did not record."""
    state_after: str | None
    """SHA-256 of the state after; None if the episode did not record."""


class Trajectory(BaseModel):
    """A finished or unfinished episode on disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    """Version of the format."""
    environment: str
    """Name of the environment."""
    options: dict[str, Any]
    """Options that build an equal environment."""
    task: Task
    """The task, whole."""
    seed: int
    """Seed of the episode."""
    limits: dict[str, Any]
    """Limits of the episode."""
    agent: str
    """Who played."""
    actions: tuple[str | Message, ...]
    """What the agent gave, turn by turn: raw text or messages."""
    messages: tuple[Message, ...]
    """All messages."""
    calls: tuple[CallEntry, ...]
    """All tool calls."""
    end: str | None
    """Why it ended, or None if it has not."""
    turns: int
    """Turns played."""
    final_state: str
    """SHA-256 of the final state."""
    score: Score
    """The outcome score."""

    def to_json(self) -> str:
        """Return one line of JSON. The order of arguments is kept: error messages name them in it."""
        return json.dumps(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InfrastructureError: If the text is no trajectory of this version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InfrastructureError(f"not a trajectory of version {VERSION}: {place}: {first['msg']}") from error


class TrajectoryWriter:
    """Appends trajectories to a JSONL file, one a line, flushed at once.

    Args:
        path: The file; its folder is made if needed. A name that ends in `.gz` is compressed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = _open(self.path, "a")

    def write(self, trajectory: Trajectory) -> None:
        """Append one trajectory."""
        self._file.write(f"{trajectory.to_json()}\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path, mode: Literal["a", "r"]) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, f"{mode}t", compresslevel=6, encoding="utf-8")  # type: ignore[return-value]
    return path.open(mode, encoding="utf-8")


def read_trajectories(path: str | Path) -> Iterator[Trajectory]:
    """Yield the trajectories of a JSONL file.

    Raises:
        InfrastructureError: If the file cannot be read or a line is no trajectory; the message names the line.
    """
    try:
        with _open(Path(path), "r") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _read_line(path, number, line)
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be read: {error}") from error


def _read_line(path: str | Path, number: int, line: str) -> Trajectory:
    try:
        return Trajectory.from_json(line)
    except InfrastructureError as error:
        raise InfrastructureError(f"{path}, line {number}: {error}") from error
