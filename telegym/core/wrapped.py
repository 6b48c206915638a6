"""An environment around another one, which it is in all that is not said otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from telegym.core.environment import Environment
from telegym.core.messages import Message
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit
from telegym.core.user import User
from telegym.core.world import World

if TYPE_CHECKING:
    from telegym.core.episode import Episode, Limits

__all__ = ["WrappedEnvironment"]


class WrappedEnvironment(Environment):
    """Another environment; subclasses change what they are for.

    Args:
        inner: The wrapped environment.
    """

    def __init__(self, inner: Environment) -> None:
        self.inner = inner
        """The wrapped environment."""

    @property
    def options(self) -> dict[str, Any]:
        """The wrapped environment's options."""
        return self.inner.options

    @property
    def tasks(self) -> TaskSet:
        """The wrapped environment's tasks."""
        return self.inner.tasks

    @property
    def limits(self) -> Limits:
        """The wrapped environment's limits."""
        return self.inner.limits

    @property
    def waits(self) -> bool:
        """As in the wrapped environment."""
        return self.inner.waits

    @property
    def text_ends_episode(self) -> bool:
        """As in the wrapped environment."""
        return self.inner.text_ends_episode

    def toolkit(self, task: Task) -> Toolkit:
        """Return the wrapped environment's tools."""
        return self.inner.toolkit(task)

    def build_world(self, task: Task, seed: int) -> World:
        """Return the wrapped environment's world."""
        return self.inner.build_world(task, seed)

    def instructions(self, task: Task) -> str:
        """Return the wrapped environment's policy."""
        return self.inner.instructions(task)

    def opening(self, task: Task) -> list[Message]:
        """Return the wrapped environment's opening, with the ticket of the task given here."""
        return self.inner.opening(task)

    def user(self, task: Task, seed: int) -> User | None:
        """Return the wrapped environment's user."""
        return self.inner.user(task, seed)

    def score(self, episode: Episode) -> Score:
        """Return the wrapped environment's score."""
        return self.inner.score(episode)

    def bucket(self, labels: Mapping[str, Any]) -> str:
        """Return the wrapped environment's bucket."""
        return self.inner.bucket(labels)

    def hint(self, episode: Episode) -> Message | None:
        """Return what the wrapped environment's oracle would do next."""
        return self.inner.hint(episode)
