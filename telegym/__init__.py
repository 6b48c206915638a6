"""TeleGym: worlds, tools and tasks of telecom operations for language-model agents.

A task and a seed become a world; an episode lets an agent act on it through validated tool calls; a score says what
the trajectory is worth. Names are imported when first used; what the import itself does is to tell Gymnasium the names
of the environments.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from telegym._registration import register_all

__version__ = "0.1.0"

if TYPE_CHECKING:
    from telegym.core.environment import Environment
    from telegym.core.episode import EndReason, Episode, Limits
    from telegym.core.errors import TeleGymError, ToolError
    from telegym.core.messages import Message, ToolCall
    from telegym.core.score import Score
    from telegym.core.task import Task, TaskSet
    from telegym.core.tool import Tool, Toolkit, tool
    from telegym.core.trajectory import Trajectory
    from telegym.core.world import World
    from telegym.envs.registry import environment_ids, make_environment, register_environment

__all__ = [
    "EndReason",
    "Environment",
    "Episode",
    "Limits",
    "Message",
    "Score",
    "Task",
    "TaskSet",
    "TeleGymError",
    "Tool",
    "ToolCall",
    "ToolError",
    "Toolkit",
    "Trajectory",
    "World",
    "__version__",
    "environment_ids",
    "make_environment",
    "register_environment",
    "tool",
]

_MODULES = {
    "EndReason": "telegym.core.episode",
    "Environment": "telegym.core.environment",
    "Episode": "telegym.core.episode",
    "Limits": "telegym.core.episode",
    "Message": "telegym.core.messages",
    "Score": "telegym.core.score",
    "Task": "telegym.core.task",
    "TaskSet": "telegym.core.task",
    "TeleGymError": "telegym.core.errors",
    "Tool": "telegym.core.tool",
    "ToolCall": "telegym.core.messages",
    "ToolError": "telegym.core.errors",
    "Toolkit": "telegym.core.tool",
    "Trajectory": "telegym.core.trajectory",
    "World": "telegym.core.world",
    "environment_ids": "telegym.envs.registry",
    "make_environment": "telegym.envs.registry",
    "register_environment": "telegym.envs.registry",
    "tool": "telegym.core.tool",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_MODULES))


register_all()
