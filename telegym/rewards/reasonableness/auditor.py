"""Auditors: what says of every call of an episode whether it was reasonable, one class per environment.

An auditor looks at a finished or unfinished episode, from one of two views (`telegym.rewards.verdict.View`), and gives
one verdict for each of the agent's calls and a few values of the whole run. It never changes the episode: whatever it
tries out it tries out on forks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from telegym.core.entry_points import load_entry_point
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.rewards.verdict import CallVerdict, View

__all__ = ["Audit", "Auditor", "auditor_for", "has_auditor", "register_auditor"]

_AUDITORS: dict[str, str] = {
    "tau2-telecom": "telegym.rewards.reasonableness.tau2:Tau2Auditor",
    "base-station": "telegym.rewards.reasonableness.base_station:BaseStationAuditor",
}
"""Modules of auditors, by id of the environment; a module is imported when its auditor is asked for."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What is said of an episode."""

    verdicts: tuple[CallVerdict, ...]
    """One verdict for each of the agent's calls, in order. Calls of a simulated user have none."""
    view: View
    """From where it was judged."""
    values: Mapping[str, float | None] = field(default_factory=dict)
    """Values of the whole run, 0 (bad) to 1 (good): `efficiency`, `claims`, `completion`, …; None where one does not
    apply."""
    unsafe: bool = False
    """Whether somebody was harmed, or might have been, without need, or a rule of the policy was broken that protects
    people or their property."""
    reasons: tuple[str, ...] = ()
    """One sentence for each thing that cost something and is not the matter of a single call (closing words, missing
    verification, …)."""
    counters: Mapping[str, float] = field(default_factory=dict)
    """What the audit took and what was noticed: trials on forks, surprises, …"""


class Auditor(ABC):
    """Judges the calls of one environment's episodes. It keeps nothing of an episode: safe to call from threads."""

    environment: ClassVar[str]
    """Id of the environment whose episodes it judges."""

    @abstractmethod
    def audit(self, episode: Episode, view: View = View.ORACLE, *, counterfactual: bool = True) -> Audit:
        """Return what is to be said of an episode.

        Args:
            episode: The episode; it is not changed.
            view: From where to judge.
            counterfactual: Whether to find out by playing parts of the episode again on forks which changes were
                needed. Without, necessity of a change is judged by rules alone, which is faster and blind to changes
                that only make up for each other.

        Raises:
            ConfigurationError: If the episode belongs to another environment.
        """

    def check_environment(self, episode: Episode) -> None:
        """Refuse the episode of another environment.

        Raises:
            ConfigurationError: If the episode belongs to another environment.
        """
        found = episode.environment.id
        if found != self.environment:
            raise ConfigurationError(f"the auditor of {self.environment!r} cannot judge an episode of {found!r}")


def register_auditor(environment_id: str, target: str) -> None:
    """Make an auditor available to `auditor_for`.

    Args:
        environment_id: Id of the environment.
        target: Where it is: `package.module:Class`.

    Raises:
        ConfigurationError: If the target is not of that form, or the environment has another auditor already.
    """
    if ":" not in target:
        raise ConfigurationError(f"the target of an auditor is 'package.module:Class', not {target!r}")
    known = _AUDITORS.setdefault(environment_id, target)
    if known != target:
        raise ConfigurationError(f"environment {environment_id!r} has an auditor already: {known}")


def has_auditor(environment_id: str) -> bool:
    """Return whether somebody can judge the calls of an environment's episodes."""
    return environment_id in _AUDITORS


def auditor_for(environment_id: str) -> Auditor:
    """Return the auditor of an environment.

    Args:
        environment_id: Its id, as `Environment.id`.

    Raises:
        ConfigurationError: If nobody judges its calls, or the registered target is no auditor.
    """
    target = _AUDITORS.get(environment_id)
    if target is None:
        hint = did_you_mean(environment_id, _AUDITORS)
        raise ConfigurationError(f"no auditor for {environment_id!r}; there are: {', '.join(sorted(_AUDITORS))}.{hint}")
    try:
        found = load_entry_point(target)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"the auditor of {environment_id!r}, {target}, cannot be imported: {error}") from error
    auditor = found()
    if not isinstance(auditor, Auditor):
        raise ConfigurationError(f"{target} is no Auditor")
    return auditor
