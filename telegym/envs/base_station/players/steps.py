"""Players as generators: they yield calls, are sent the replies, and return what they found.

A procedure that is used by several players is a generator too, and is entered with `yield from`. Nothing of a player is
kept in an episode: its next call is found by running it again over what was called so far.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from telegym.core.messages import Message, ToolCall

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["Call", "Player", "Reply", "Steps", "as_message", "next_call", "play", "within_stock", "without_repeats"]

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


def without_repeats(player: Player, fresh_min: float = 15.0) -> Player:
    """Return a player who does not ask again what was answered just before, while nothing has happened since.

    Args:
        player: The player; its own procedure is told the answer that it got before.
        fresh_min: For how many minutes an answer is still good.
    """

    @wraps(player)
    def careful(episode: Episode) -> Steps[None]:
        steps, known = player(episode), _Memory(fresh_min)
        try:
            call = next(steps)
            while True:
                reply = known.recall(call)
                if reply is None:
                    reply = yield call
                    known.learn(call, reply)
                call = steps.send(reply)
        except StopIteration:
            return

    return careful


class _Memory:
    """Answers that are still good."""

    def __init__(self, fresh_min: float) -> None:
        self._fresh_min = fresh_min
        self._known: dict[str, tuple[float, Reply]] = {}
        self._elapsed = 0.0

    def recall(self, call: Call) -> Reply | None:
        """Return the answer to a read that is still good, as one that takes no time."""
        known = self._known.get(f"{call.tool}{sorted(call.arguments.items(), key=str)}")
        if known is None or self._elapsed - known[0] >= self._fresh_min:
            return None
        return known[1]._replace(minutes=0.0)

    def learn(self, call: Call, reply: Reply) -> None:
        """Keep an answer; what was known before a change or a wait is good no more."""
        self._elapsed += reply.minutes
        if call.tool.startswith(_READS) and not reply.error:
            self._known[f"{call.tool}{sorted(call.arguments.items(), key=str)}"] = (self._elapsed, reply)
        elif not call.tool.startswith((*_READS, *_TALKS)) and not reply.error:
            self._known.clear()


def within_stock(player: Player) -> Player:
    """Return a player who does not ask for a spare part of which it was told before that none is in stock.

    Args:
        player: The player; its own procedure is told the refusal that it would get.
    """

    @wraps(player)
    def careful(episode: Episode) -> Steps[None]:
        steps = player(episode)
        missing: dict[str, bool] = {}
        try:
            call = next(steps)
            while True:
                wanted = call.arguments.get("spare_part_types") or () if call.tool == "dispatch_technician" else ()
                part = next((name for name in wanted if missing.get(name)), None)
                refusal = Reply(f"Error: RESOURCE_BUSY: {part} is not in stock", True, 0.0)
                reply = refusal if part is not None else (yield call)
                if call.tool == "list_resources" and "part_type" in call.arguments:
                    missing[call.arguments["part_type"]] = f"\n{call.arguments['part_type']},0," in reply.text
                call = steps.send(reply)
        except StopIteration:
            return

    return careful


_READS = ("get_", "list_", "compute_", "search_", "rank_", "run_")
"""How the names of tools begin that only read."""
_TALKS = ("notify_", "update_ticket", "ask_", "request_", "escalate_", "submit_")
"""How the names of tools begin after which what was read is still so."""
