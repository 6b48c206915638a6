"""Scored runs, as `telegym judge --output` wrote them: one JSON object a line, with all parts of the score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from telegym.core.errors import ConfigurationError, InfrastructureError, did_you_mean
from telegym.core.score import Failure
from telegym.rewards.compose import GUARDS
from telegym.rewards.guards.base import Hit
from telegym.rewards.roles import USAGE_SUFFIX, Role
from telegym.rewards.verdict import CallVerdict

__all__ = ["Part", "ScoredRun", "read_scores", "read_usage", "roles_in"]

_ROLES: tuple[Role, ...] = ("outcome", "oracle", "observable", "rule", "judge")


class Part(BaseModel):
    """What one component said of a run."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: float | None = None
    """Its value, or None if it failed."""
    reasons: tuple[str, ...] = ()
    """What cost something."""
    calls: tuple[float | None, ...] = ()
    """Value of each call."""
    failure: Failure | None = None
    """Why there is no value."""
    verdicts: tuple[CallVerdict, ...] = ()
    """Verdicts on the agent's calls."""
    analysis: str = ""
    """What a judge wrote before its verdict."""
    counters: dict[str, float] = {}
    """What the verdict took and what was noticed."""
    hits: tuple[Hit, ...] = ()
    """What guards found."""


class ScoredRun(Part):
    """A run with all that was said of it."""

    environment: str
    """Name of the environment."""
    task: str
    """Id of the task."""
    seed: int
    """Seed of the episode."""
    agent: str = ""
    """Who played."""
    group: str
    """Name of the group."""
    key: str = ""
    """SHA-256 of everything that happened."""
    file: str | None = None
    """File of the recording."""
    line: int | None = None
    """Its number in the file, from 1."""
    roles: dict[str, Role] = {}
    """What each component is."""
    length: int | None = None
    """Characters that stand in the agent's name."""
    made: tuple[str, ...] = ()
    """Each call in one line."""
    parts: dict[str, Part]
    """What each component said."""

    @property
    def cluster(self) -> str:
        """Name of the task, the environment included: what is resampled."""
        return f"{self.environment}/{self.task}"


def read_scores(files: Sequence[str | Path]) -> list[ScoredRun]:
    """Read scored runs.

    Raises:
        InfrastructureError: If a file cannot be read, or a line is no scored run; the message names the line.
        ConfigurationError: If there is none in all files, or a file holds trajectories that were not scored.
    """
    runs = [run for file in files for run in _read(Path(file))]
    if not runs:
        raise ConfigurationError(f"no scored runs in {', '.join(map(str, files))}")
    return runs


def _read(file: Path) -> list[ScoredRun]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InfrastructureError(f"{file}: cannot be read: {error}") from error
    return [_run(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _run(file: Path, number: int, line: str) -> ScoredRun:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InfrastructureError(f"{file}, line {number}: no JSON: {error}") from error
    if isinstance(row, dict) and "final_state" in row and "parts" not in row:
        raise ConfigurationError(f"{file} holds trajectories; score them first: telegym judge {file} --output FILE")
    try:
        return ScoredRun.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InfrastructureError(f"{file}, line {number}: not a scored run: {place}: {first['msg']}") from error


def read_usage(files: Sequence[str | Path]) -> dict[str, dict[str, int]]:
    """Return what was really used for files of scores, by component, as far as it was written beside them."""
    found: dict[str, dict[str, int]] = {}
    for file in dict.fromkeys(Path(each).with_suffix(USAGE_SUFFIX) for each in files):
        for name, used in _usage(file).items():
            known = found.setdefault(name, {})
            for kind, count in used.items():
                known[kind] = known.get(kind, 0) + count
    return found


def _usage(file: Path) -> dict[str, dict[str, int]]:
    if not file.is_file():
        return {}
    try:
        found: Any = json.loads(file.read_text("utf-8"))
        return {str(name): {kind: int(count) for kind, count in used.items()} for name, used in found.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InfrastructureError(f"{file}: not what a judge used: {error}") from error


def roles_in(runs: Sequence[ScoredRun], given: dict[str, str] | None = None) -> dict[str, Role]:
    """Return the role of each component, guards left out, in order of appearance.

    Args:
        runs: Scored runs.
        given: Roles by component, over those that the scores name. A component of which nothing is known is the
            outcome if it is called so, a judge if votes were counted, and otherwise a rule.

    Raises:
        ConfigurationError: If a component or role is unknown.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.parts if name != GUARDS))
    for name, role in (given or {}).items():
        _valid("component", name, names)
        _valid("role", role, _ROLES)
    told = {name: role for run in runs for name, role in run.roles.items()}
    chosen = {name: next(role for role in _ROLES if role == text) for name, text in (given or {}).items()}
    return {name: chosen.get(name) or told.get(name) or _guessed(name, runs) for name in names}


def _guessed(name: str, runs: Sequence[ScoredRun]) -> Role:
    if name == "outcome":
        return "outcome"
    return "judge" if any("votes" in run.parts[name].counters for run in runs if name in run.parts) else "rule"


def _valid(what: str, name: str, valid: Sequence[str]) -> None:
    if name not in valid:
        raise ConfigurationError(f"no {what} {name!r}; there are {', '.join(valid)}.{did_you_mean(name, valid)}")
