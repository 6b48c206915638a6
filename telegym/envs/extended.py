"""An environment with more tools: the same tasks, worlds, texts and scoring."""

from __future__ import annotations

from collections.abc import Iterable

from telegym.core.environment import Environment
from telegym.core.task import Task
from telegym.core.tool import Tool, Toolkit
from telegym.core.wrapped import WrappedEnvironment

__all__ = ["ExtendedEnvironment"]


class ExtendedEnvironment(WrappedEnvironment):
    """An environment whose toolkit ends with tools of one's own. The tools are Python and stay out of its options.

    Args:
        base: The environment to extend.
        tools: The tools to add; their names must be new.
    """

    def __init__(self, base: Environment, tools: Iterable[Tool]) -> None:
        super().__init__(base)
        self.extra_tools = tuple(tools)
        self.id = base.id  # type: ignore[misc] # the identity of the environment it extends
        self._last: tuple[Toolkit, Toolkit] | None = None

    def toolkit(self, task: Task) -> Toolkit:
        """Return the base toolkit with the extra tools at its end."""
        plain = self.inner.toolkit(task)
        if self._last is None or self._last[0] is not plain:
            self._last = (plain, plain.with_tools(self.extra_tools))
        return self._last[1]
