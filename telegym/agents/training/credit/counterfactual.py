"""What a call was worth: the score of an episode minus that of the same episode played again without the call.

What the agent does later is the same, whether or not it still makes sense; the simulated user answers anew. So the
difference is that of the call alone, not of what a policy would have done instead.
"""

from __future__ import annotations

from collections.abc import Callable

from telegym.core.episode import CallRecord, Episode
from telegym.core.messages import Message

__all__ = ["Worth", "candidates", "without_call", "worth_of_turns"]

Worth = Callable[[Episode], float | None]
"""What an episode is worth; None if that cannot be told."""


def worth_of_turns(
    episode: Episode, turns: int, worth: Worth, budget: int, changed_turns: frozenset[int] = frozenset()
) -> tuple[float, ...]:
    """Return for each turn what its calls were worth, summed; 0 for calls that were not tried.

    Args:
        episode: The episode, to its end.
        turns: How many turns of the model there are; a last one that was cut off need not have been played.
        worth: What an episode is worth.
        budget: The most calls that are tried; each costs a replay from its turn on.
        changed_turns: Turns, from 0, in which the score is known to have changed: their calls are tried first.
    """
    found = [0.0] * turns
    value = worth(episode)
    for record in candidates(episode, changed_turns)[:budget] if value is not None else ():
        other = worth(without_call(episode, record))
        if value is not None and other is not None:
            found[record.turn - 1] += value - other
    return tuple(found)


def candidates(episode: Episode, changed_turns: frozenset[int] = frozenset()) -> list[CallRecord]:
    """Return the agent's calls that may have changed the score, the likeliest first, later ones first among equals.

    A call counts that a tool executed which writes or ends the episode, that changed the recorded state, that failed,
    or that was made in a turn in which the score changed.
    """
    calls = [record for record in episode.calls if record.call.requestor == "assistant" and record.turn > 0]
    ranked = [(_rank(episode, record, record.turn - 1 in changed_turns), record.index, record) for record in calls]
    return [record for rank, _, record in sorted(ranked, key=lambda each: (-each[0], -each[1])) if rank > 0]


def _rank(episode: Episode, record: CallRecord, score_changed: bool) -> int:
    tool = episode.toolkit.get(record.call.name)
    writes = record.error is None and tool is not None and tool.kind != "read"
    moved = record.before is not None and record.after is not None and record.before.hash() != record.after.hash()
    return 4 * score_changed + 2 * (writes or moved) + (record.error is not None)


def without_call(episode: Episode, record: CallRecord) -> Episode:
    """Return the episode played again from a call's turn on without this call.

    A turn that is left without calls is left out. An episode that had ended through the call is left open.

    Args:
        episode: The episode; it is not changed.
        record: One of the agent's calls.
    """
    turn = record.turn - 1
    copy = episode.fork(turn)
    actions: list[str | Message] = list(episode.actions[turn:])
    rest = _stripped(_message_of(episode, record.turn), _place(episode, record))
    actions[:1] = [rest] if rest is not None else []
    for action in actions:
        if copy.done:
            break
        copy.step(action)
    return copy


def _message_of(episode: Episode, turn: int) -> Message:
    """Return the assistant's message of a turn, from 1."""
    played = [message for message in episode.messages if message.role == "assistant"]
    return played[len(played) - episode.turn + turn - 1]


def _place(episode: Episode, record: CallRecord) -> int:
    """Return the place of a call among the calls of its message."""
    message = _message_of(episode, record.turn)
    places = [place for place, call in enumerate(message.tool_calls) if call.id == record.call.id]
    earlier = sum(
        other.turn == record.turn and other.call.id == record.call.id and other.index < record.index
        for other in episode.calls
    )
    return places[min(earlier, len(places) - 1)] if places else -1


def _stripped(message: Message, place: int) -> Message | None:
    """Return a message without one of its calls, or None if nothing is left."""
    calls = tuple(call for number, call in enumerate(message.tool_calls) if number != place)
    # Text beside calls goes to nobody; alone it would be an answer to the user, which the agent never gave.
    return message.model_copy(update={"tool_calls": calls}) if calls else None
