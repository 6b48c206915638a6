"""Players as generators: they yield calls, are sent the replies, and return what they found.

A procedure that is used by several players is a generator too, and is entered with `yield from`. Nothing of a player is
kept in an episode: its next call is found by running it again over what was called so far.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from telegym.core.messages import Message, ToolCall

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["Call", "Player", "Reply", "Steps", "as_message", "next_call", "play"]

_T = TypeVar("_T")


class Call(NamedTuple):
    """A tool call."""

    tool: str
    """Name of the tool."""
    arguments: dict[str, Any]
    """Its arguments."""


class Reply(NamedTuple):
    """What came back."""

    text: str
    """The result as the agent sees it."""
    error: bool
    """Whether the call was refused."""
    minutes: float
    """Simulated time it took."""


Steps = Generator[Call, Reply, _T]
"""A procedure: yields calls, is sent replies, returns something."""
Player = Callable[["Episode"], Steps[None]]
"""Makes the procedure of an episode; it may look at what the episode shows to an agent, and the oracle at all of it."""


def as_message(call: Call, index: int) -> Message:
    """Return the message of an assistant who makes a call."""
    return Message(
        role="assistant",
        content=None,
        tool_calls=(ToolCall(id=f"call_{index}", name=call.tool, arguments=call.arguments),),
    )


def play(episode: Episode, player: Player) -> Episode:
    """Play an episode from its present state until it ends or the player has nothing left to do."""
    steps = player(episode)
    try:
        call = next(steps)
        while episode.end is None:
            episode.step(as_message(call, len(episode.calls)))
            call = steps.send(_reply(episode, -1))
    except StopIteration:
        pass
    return episode


def next_call(episode: Episode, player: Player) -> Call | None:
    """Return what a player would do next; None if it has nothing left to do.

    Calls that were made before are not made again: the player is sent their replies. Others than it would have made are
    passed over, so that it can take over from anybody.
    """
    steps = player(episode)
    position = 0
    try:
        call = next(steps)
        while (found := _made(episode, call, position)) is not None:
            position = found + 1
            call = steps.send(_reply(episode, found))
    except StopIteration:
        return None
    return call


def _made(episode: Episode, call: Call, position: int) -> int | None:
    for index in range(position, len(episode.calls)):
        made = episode.calls[index].call
        if made.name == call.tool and made.arguments == call.arguments:
            return index
    return None


def _reply(episode: Episode, index: int) -> Reply:
    record = episode.calls[index]
    return Reply(record.content, record.error is not None, record.minutes)
