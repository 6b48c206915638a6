"""Agent: who plays. One batch of episodes in, one action for each out.

A batch is all that is alive in a turn, so that a model behind an agent generates once a turn. Agents hold no state of
an episode that the episode does not hold itself, and draw chance from `Agent.stream`, so that what they do in one
episode depends neither on the batch it is in nor on the order of the batch.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from telegym.core.entry_points import load_entry_point, register_entry_point
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.messages import Message
from telegym.core.score import Failure

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["Action", "Agent", "agent_names", "make_agent", "register_agent"]

Action = str | Message | Failure
"""Assistant text (tool calls in it are parsed), an assistant message, or the reason why there is neither."""


class Agent(ABC):
    """A player of episodes."""

    name: str
    """Name in reports and trajectories, for example `oracle` or `openai:Qwen/Qwen3-8B`."""
    seed: int = 0
    """Decides all of the agent's chance, together with task, episode seed and turn."""

    @abstractmethod
    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        """Return one action for each episode, in order.

        A `Failure` ends its episode as an infrastructure failure, which is never a reward of zero. An agent that
        meets a limit of its own (the context of its model is full) calls `episode.truncate`, and whatever it returns
        for that episode is ignored.

        Args:
            episodes: The episodes that wait for the agent; none has ended.
        """

    def begin(self, episodes: Sequence[Episode]) -> None:  # noqa: B027 - an optional hook
        """Hear of episodes that start. The default does nothing."""

    def finish(self, episodes: Sequence[Episode]) -> None:  # noqa: B027 - an optional hook
        """Hear of episodes that have ended, so that what is kept about them can go. The default does nothing."""

    def stream(self, episode: Episode) -> Random:
        """Return the random numbers for this turn of this episode: the same whatever else is played."""
        return Random(f"{self.seed}/{episode.task.id}/{episode.seed}/{episode.turn}")


_ENTRY_POINTS: dict[str, str] = {
    "oracle": "telegym.agents.oracle:OracleAgent",
    "expert": "telegym.agents.oracle:ExpertAgent",
    "random": "telegym.agents.random:RandomAgent",
    "replay": "telegym.agents.replaying:ReplayingAgent",
    "human": "telegym.agents.human:HumanAgent",
    "openai": "telegym.agents.chat:ChatAgent",
    "local": "telegym.agents.local:LocalAgent",
    "nano": "telegym.agents.local:nano_agent",
    "nano-base-station": "telegym.agents.local:nano_base_station_agent",
    "nano-tau2": "telegym.agents.local:nano_tau2_agent",
}
_ARGUMENTS = {"replay": "FILE", "openai": "MODEL", "local": "PATH"}


def agent_names() -> tuple[str, ...]:
    """Return the specifications that `make_agent` takes, for example `random` and `openai:MODEL`."""
    return tuple(f"{name}:{_ARGUMENTS[name]}" if name in _ARGUMENTS else name for name in _ENTRY_POINTS)


def register_agent(name: str, entry_point: str, argument: str | None = None) -> None:
    """Register an agent under a name.

    Args:
        name: The name, without a colon.
        entry_point: `module:callable`, imported when first made; it returns an `Agent`.
        argument: What follows the colon in a specification, as shown in error messages, for example `PATH`; None if
            nothing may follow. The text after the colon is the callable's first positional argument.

    Raises:
        ConfigurationError: If the name is taken, or a name or entry point is malformed.
    """
    if ":" in name or not name:
        raise ConfigurationError(f"agent name {name!r} must not be empty or contain a colon")
    register_entry_point(_ENTRY_POINTS, "agent", name, entry_point, "callable")
    if argument is not None:
        _ARGUMENTS[name] = argument


def make_agent(spec: str, **options: Any) -> Agent:
    """Build an agent from its specification.

    Args:
        spec: A name, with what it needs after a colon: `oracle`, `random`, `replay:FILE`, `openai:MODEL`, …
        **options: Passed to the agent; an unknown option is an error that names the nearest valid one.

    Raises:
        ConfigurationError: If the name or an option is unknown, or the part after the colon is missing or too much.
    """
    name, colon, argument = spec.partition(":")
    if name not in _ENTRY_POINTS:
        hint = did_you_mean(name, _ENTRY_POINTS)
        raise ConfigurationError(f"no agent {spec!r}; valid: {', '.join(agent_names())}.{hint}")
    if name in _ARGUMENTS and not argument:
        raise ConfigurationError(f"agent {spec!r} needs an argument: {name}:{_ARGUMENTS[name]}")
    if name not in _ARGUMENTS and colon:
        raise ConfigurationError(f"agent {name!r} takes no argument, but was given {argument!r}")
    factory: Callable[..., Agent] = load_entry_point(_ENTRY_POINTS[name])
    positional = (argument,) if name in _ARGUMENTS else ()
    _check_options(name, factory, positional, options)
    return factory(*positional, **options)


def _check_options(name: str, factory: Callable[..., Agent], positional: tuple[str, ...], options: Any) -> None:
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    valid = [parameter.name for parameter in parameters][len(positional) :]
    for option in options:
        if option not in valid:
            hint = did_you_mean(option, valid)
            raise ConfigurationError(f"agent {name!r} has no option {option!r}; valid: {', '.join(valid)}.{hint}")
