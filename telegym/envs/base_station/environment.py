"""Base-station maintenance as an environment: a network with a fault, a ticket, tools, a policy, a score."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.outcome import outcome
from telegym.envs.base_station.policy import policy_variant
from telegym.envs.base_station.tasks import BaseStationTasks, Split, add_ticket, build_case

if TYPE_CHECKING:
    from telegym.core.episode import Episode, Limits

__all__ = ["BaseStation"]


class BaseStation(Environment):
    """An operator's network, one ticket at a time.

    Args:
        split: train, dev, test, ood-faults or ood-topology.
        count: How many tasks.
        seed: Decides the tasks.
        easiest: Lowest difficulty of causes, 1 to 5.
        hardest: Highest difficulty of causes, 1 to 5.
        profile: Tools the agent gets: core, full, or family: and a letter.
        results: How much tools show: full, or terse for small contexts.
        policy: Version of the policy.
        language: en or zh.

    Raises:
        ConfigurationError: If an option has no valid value.
    """

    id: ClassVar[str] = "base-station"

    def __init__(
        self,
        *,
        split: Split = "train",
        count: int = 1000,
        seed: int = 0,
        easiest: int = 1,
        hardest: int = 5,
        profile: str = "full",
        results: str = "full",
        policy: str = "train-1",
        language: str = "en",
    ) -> None:
        from telegym.tools.base_station import toolkit

        self._tasks = BaseStationTasks(seed, split, count, levels=(easiest, hardest), language=language)
        if profile == "qa":
            raise ConfigurationError("profile 'qa' is for questions; valid here: core, full, family:<letter>")
        self._toolkit = toolkit(profile, language, results)
        self._constants = policy_variant(policy)
        self._options = {
            "split": split,
            "count": count,
            "seed": seed,
            "easiest": easiest,
            "hardest": hardest,
            "profile": profile,
            "results": results,
            "policy": policy,
            "language": language,
        }

    @property
    def options(self) -> dict[str, Any]:
        """The options with which an equal environment is built."""
        return dict(self._options)

    @property
    def tasks(self) -> TaskSet:
        """The tasks that can be played."""
        return self._tasks

    @property
    def limits(self) -> Limits:
        """Sixty calls, twelve hours, and no patience with calls that keep failing."""
        from telegym.core.episode import Limits

        return Limits(hops=None, errors=20, turns=60, minutes=720.0)

    @property
    def text_ends_episode(self) -> bool:
        """True: nobody reads what is not a tool call."""
        return True

    def toolkit(self, task: Task) -> Toolkit:
        """Return the tools of the profile."""
        return self._toolkit

    def build_world(self, task: Task, seed: int = 0) -> Network:
        """Return the network at the time of the ticket; the task alone decides it, not the seed."""
        network, _ = build_case(task.data)
        add_ticket(network, task.data)
        return network

    def instructions(self, task: Task) -> str:
        """Return the policy with its numbers."""
        return _policy_text(self._options["language"]).format(**self._constants.model_dump())

    def opening(self, task: Task) -> list[Message]:
        """Return the ticket."""
        return [Message(role="user", content=task.ticket)]

    def score(self, episode: Episode) -> Score:
        """Return the strict score: the case is diagnosed, repaired and closed, and nothing else was harmed."""
        return outcome(episode)


@cache
def _policy_text(language: str) -> str:
    file = resources.files("telegym.envs.base_station").joinpath("texts", language, "policy.md")
    return file.read_text(encoding="utf-8").strip()
