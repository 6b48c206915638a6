"""Environment: everything an episode needs to know about one domain.

A new domain is a `World`, a `Toolkit` and a `TaskSet`, tied together by a subclass of `Environment`. The Gymnasium
environment, the rollout, the trainer, the servers and the player work with any of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from telegym.core.messages import Message
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit
from telegym.core.user import User
from telegym.core.world import World

if TYPE_CHECKING:
    from telegym.core.episode import Episode, Limits

__all__ = ["Environment"]


class Environment(ABC):
    """A domain, configured: its tasks, worlds, tools, texts and scoring."""

    id: ClassVar[str]
    """Registered name, for example `tau2-telecom`."""

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The JSON options with which `make_environment(id, **options)` builds an equal environment."""

    @property
    @abstractmethod
    def tasks(self) -> TaskSet:
        """The tasks that can be played."""

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """The default limits of an episode."""

    @property
    def waits(self) -> bool:
        """Whether its tools, users or worlds keep one waiting, as a network does, and episodes may play in threads."""
        return False

    @property
    def text_ends_episode(self) -> bool:
        """Whether assistant text without a tool call is a protocol violation: true where nobody listens."""
        return False

    @abstractmethod
    def toolkit(self, task: Task) -> Toolkit:
        """Return the tools of an episode: the agent's, and the user's where there is one."""

    @abstractmethod
    def build_world(self, task: Task, seed: int) -> World:
        """Return the initial world of a task."""

    @abstractmethod
    def instructions(self, task: Task) -> str:
        """Return the policy the agent has to follow: the content of the system message."""

    @abstractmethod
    def opening(self, task: Task) -> list[Message]:
        """Return the messages that precede the agent's first turn, without the system message."""

    def user(self, task: Task, seed: int) -> User | None:
        """Return the simulated user of an episode, or None where the agent works alone."""
        return None

    @abstractmethod
    def score(self, episode: Episode) -> Score:
        """Return the outcome score of an episode, ended or not."""

    def bucket(self, labels: Mapping[str, Any]) -> str:
        """Return which tasks a task is alike: those of one bucket are about as hard.

        Training chooses tasks by how often those of each bucket were solved.

        Args:
            labels: The task's labels.
        """
        return str(labels.get("family") or "all")

    def hint(self, episode: Episode) -> Message | None:
        """Return the oracle's next message from here, or None if it has none."""
        return None
