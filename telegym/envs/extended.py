"""An environment with more tools: the same tasks, worlds, texts and scoring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.messages import Message
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Tool, Toolkit
from telegym.core.user import User
from telegym.core.world import World

__all__ = ["ExtendedEnvironment"]


class ExtendedEnvironment(Environment):
    """An environment whose toolkit ends with tools of one's own.

    Args:
        base: The environment to extend.
        tools: The tools to add; their names must be new.
    """

    def __init__(self, base: Environment, tools: Iterable[Tool]) -> None:
        self.base = base
        self.extra_tools = tuple(tools)
        self.id = base.id  # type: ignore[misc] # the identity of the environment it extends
        self._last: tuple[Toolkit, Toolkit] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options of the environment it extends; the tools are Python and stay out of them."""
        return self.base.options

    @property
    def tasks(self) -> TaskSet:
        """The tasks of the environment it extends."""
        return self.base.tasks

    @property
    def limits(self) -> Limits:
        """The limits of the environment it extends."""
        return self.base.limits

    @property
    def waits(self) -> bool:
        """As the base environment says."""
        return self.base.waits

    @property
    def text_ends_episode(self) -> bool:
        """As in the environment it extends."""
        return self.base.text_ends_episode

    def toolkit(self, task: Task) -> Toolkit:
        """Return the base toolkit with the extra tools at its end."""
        plain = self.base.toolkit(task)
        if self._last is None or self._last[0] is not plain:
            self._last = (plain, plain.with_tools(self.extra_tools))
        return self._last[1]

    def build_world(self, task: Task, seed: int) -> World:
        """Return the initial world of a task."""
        return self.base.build_world(task, seed)

    def instructions(self, task: Task) -> str:
        """Return the policy the agent has to follow."""
        return self.base.instructions(task)

    def opening(self, task: Task) -> list[Message]:
        """Return the messages that precede the agent's first turn."""
        return self.base.opening(task)

    def user(self, task: Task, seed: int) -> User | None:
        """Return the simulated user, if there is one."""
        return self.base.user(task, seed)

    def bucket(self, labels: Mapping[str, Any]) -> str:
        """Return the bucket in the environment it extends."""
        return self.base.bucket(labels)

    def score(self, episode: Episode) -> Score:
        """Return the outcome score of an episode."""
        return self.base.score(episode)

    def hint(self, episode: Episode) -> Message | None:
        """Return the oracle's next message."""
        return self.base.hint(episode)
