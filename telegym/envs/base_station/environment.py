"""Base-station maintenance as an environment: a network with a fault, a ticket, tools, a policy, a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError, TeleGymError
from telegym.core.messages import Message
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit
from telegym.envs.base_station.cases import beginning
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.outcome import outcome
from telegym.envs.base_station.players.steps import as_message, next_call
from telegym.envs.base_station.policy import PolicyConstants, policy_variant
from telegym.envs.base_station.tasks import KINDS, BaseStationTasks, Kind, Split

if TYPE_CHECKING:
    from telegym.core.episode import Episode, Limits

__all__ = ["BaseStation"]


class BaseStation(Environment):
    """An operator's network, one ticket at a time.

    Args:
        split: train, dev, test, ood-faults or ood-topology.
        count: How many tasks.
        seed: Decides the tasks.
        easiest: Lowest level, 0 to 5.
        hardest: Highest level, 0 to 5.
        kind: Kinds of tasks, separated by commas: RES, DIA, PRV, NOF, ESC, QNA; or all.
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
        easiest: int = 0,
        hardest: int = 5,
        kind: str = "all",
        profile: str = "full",
        results: str = "full",
        policy: str = "train-1",
        language: str = "en",
    ) -> None:
        from telegym.tools.base_station import toolkit

        self._tasks = BaseStationTasks(
            seed, split, count, levels=(easiest, hardest), kinds=_kinds(kind), language=language
        )
        if profile == "qa" and _kinds(kind) != ("QNA",):
            raise ConfigurationError("profile 'qa' is for kind QNA alone; valid here: core, full, family:<letter>")
        self._toolkit = toolkit(profile, language, results)
        self._reading = self._toolkit.without_actions()
        self._asking = toolkit("qa", language, results)
        self.constants: PolicyConstants = policy_variant(policy)
        """The numbers of the policy."""
        self._options = {
            "split": split,
            "count": count,
            "seed": seed,
            "easiest": easiest,
            "hardest": hardest,
            "kind": kind,
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
        """Eighty calls, a day, and no patience with calls that keep failing."""
        from telegym.core.episode import Limits

        return Limits(hops=None, errors=20, turns=80, minutes=1440.0)

    @property
    def text_ends_episode(self) -> bool:
        """True: nobody reads what is not a tool call."""
        return True

    def toolkit(self, task: Task) -> Toolkit:
        """Return the tools of the profile; none that act for a diagnosis only, those of `qa` for questions."""
        kind = task.data["kind"]
        return self._asking if kind == "QNA" else self._reading if kind == "DIA" else self._toolkit

    def build_world(self, task: Task, seed: int = 0) -> Network:
        """Return the network at the time of the ticket; the task alone decides it, not the seed."""
        return beginning(task.data)

    def instructions(self, task: Task) -> str:
        """Return the policy with its numbers."""
        return _policy_text(self._options["language"]).format(**self.constants.model_dump())

    def opening(self, task: Task) -> list[Message]:
        """Return the ticket."""
        return [Message(role="user", content=task.ticket)]

    def score(self, episode: Episode) -> Score:
        """Return the strict score: the case is diagnosed, repaired and closed, and nothing else was harmed."""
        return outcome(episode)

    def bucket(self, labels: Mapping[str, Any]) -> str:
        """Return the family of the cause, or the kind of the case, and its level, for example `power/2`."""
        from telegym.envs.base_station.curriculum import bucket_of

        return bucket_of(labels).name

    def hint(self, episode: Episode) -> Message | None:
        """Return what the oracle would do next."""
        from telegym.envs.base_station.players.oracle import oracle

        call = next_call(episode, oracle)
        return as_message(call, len(episode.calls)) if call is not None else None

    def expert(self, episode: Episode) -> Message:
        """Return what the blind expert would do next.

        Raises:
            TeleGymError: If it has nothing left to do.
        """
        from telegym.envs.base_station.players.expert import expert

        call = next_call(episode, expert)
        if call is None:
            raise TeleGymError(f"the expert has nothing left to do in task {episode.task.id!r}")
        return as_message(call, len(episode.calls))

    def tutor(self, episode: Episode) -> Message:
        """Return what the terse engineer of `demonstrator` would do next without mistakes, whoever played until now.

        Raises:
            TeleGymError: If there is nothing left to do.
        """
        from telegym.envs.base_station.players.demonstrator import tutor

        call = next_call(episode, tutor)
        if call is None:
            raise TeleGymError(f"the tutor has nothing left to do in task {episode.task.id!r}")
        return as_message(call, len(episode.calls))

    def demonstrator(self, seed: int, mistakes: dict[str, float], take: int) -> Callable[[Episode], Message]:
        """Return a terse engineer who plays one episode, for a small model to learn from.

        Args:
            seed: Decides the mistakes.
            mistakes: How often which mistake is made: fields of `players.demonstrator.SlipRates`.
            take: Which demonstration of the task it is.
        """
        from telegym.envs.base_station.players.demonstrator import Demonstrator, SlipRates

        return Demonstrator(seed, SlipRates(**mistakes), take).act


def _kinds(text: str) -> tuple[Kind, ...]:
    """Return the kinds in a text; unknown ones are refused by the tasks."""
    names = KINDS if text == "all" else tuple(name.strip().upper() for name in text.split(","))
    return names  # type: ignore[return-value]


@cache
def _policy_text(language: str) -> str:
    file = resources.files("telegym.envs.base_station").joinpath("texts", language, "policy.md")
    return file.read_text(encoding="utf-8").strip()
