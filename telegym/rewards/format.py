"""Form: calls that can be read, tags where they belong, and no text that goes round in circles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from telegym.core.episode import CallRecord, Episode
from telegym.core.messages import Message
from telegym.core.score import Score
from telegym.core.tool import CallError
from telegym.core.trajectory import CallEntry, Trajectory
from telegym.rewards.base import Reward, Run

__all__ = ["Format", "has_tags_once", "repeats_itself"]

_ILL_FORMED = frozenset(
    {
        CallError.MALFORMED,
        CallError.UNKNOWN_TOOL,
        CallError.WRONG_SIDE,
        CallError.INVALID_ARGUMENTS,
        CallError.TOO_LARGE,
        CallError.DUPLICATE_ID,
        CallError.EMPTY_MESSAGE,
    }
)
# Chinese has no spaces: each of its characters counts as a word.
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


class Format(Reward):
    """The form of what an agent says, -1 to 1: what it means is not looked at.

    The value is the share of its calls that are well formed (1 if there are none), times 1 if the tags are as asked for
    and 0 otherwise, less 1 if a message repeats itself. A call is well formed if it could be read, names a tool of the
    agent's, and has arguments that fit the tool's schema; whether the simulated system then refuses it does not matter.

    Args:
        tags: Tags that the last message must have, each opened and closed exactly once, in this order and not nested;
            for example `[think, answer]`.
        window: How many words in a row are compared within a message.
        times: How often the same words in a row make a repetition; windows may overlap.
    """

    name = "format"

    def __init__(self, tags: Sequence[str] = (), window: int = 10, times: int = 10) -> None:
        if window < 1 or times < 2:
            raise ValueError(f"a repetition needs a window of 1 word and 2 times at least, not {window} and {times}")
        self.tags = tuple(tags)
        self.window = window
        self.times = times

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return the form of each run."""
        # A recording of a live episode would take the hashes of all its states, which are not looked at.
        return [self._score(run.live if run.live is not None else run.trajectory) for run in runs]

    def _score(self, played: Episode | Trajectory) -> Score:
        texts = _texts(played.actions)
        calls = tuple(_form(entry) for entry in played.calls)
        judged = [value for value in calls if value is not None]
        formed = sum(judged) / len(judged) if judged else 1.0
        tagged = float(has_tags_once(texts[-1] if texts else "", self.tags))
        repeated = any(repeats_itself(text, self.window, self.times) for text in texts)
        return Score(
            value=formed * tagged - repeated,
            components={"calls": formed, "tags": tagged, "repetition": float(not repeated)},
            reasons=self._reasons(played.calls, bool(tagged), repeated),
            calls=calls,
        )

    def _reasons(self, calls: Sequence[CallEntry | CallRecord], tagged: bool, repeated: bool) -> tuple[str, ...]:
        reasons = [f"call {each.index} is not well formed: {each.error}" for each in calls if _form(each) == 0]
        if not tagged:
            reasons.append(
                f"the last message does not have the tags {', '.join(self.tags)} exactly once, in this order"
            )
        if repeated:
            reasons.append(f"a message has the same {self.window} words {self.times} times or more")
        return tuple(reasons)


def has_tags_once(text: str, tags: Sequence[str]) -> bool:
    """Return whether each tag is opened and closed exactly once, one after the other."""
    position = 0
    for tag in tags:
        start, end = f"<{tag}>", f"</{tag}>"
        if text.count(start) != 1 or text.count(end) != 1:
            return False
        opened, closed = text.find(start), text.find(end)
        if not position <= opened < closed:
            return False
        position = closed + len(end)
    return True


def repeats_itself(text: str, window: int = 10, times: int = 10) -> bool:
    """Return whether the same words in a row occur so often.

    Args:
        text: The text; case and punctuation make no difference.
        window: How many words.
        times: How often at least; occurrences may overlap.
    """
    words = [word.casefold() for word in _WORD.findall(text)]
    found = Counter(tuple(words[start : start + window]) for start in range(len(words) - window + 1))
    return any(count >= times for count in found.values())


def _texts(actions: Sequence[str | Message]) -> list[str]:
    """Return what the agent wrote, turn by turn, thoughts included where they are known."""
    return [action if isinstance(action, str) else action.content or "" for action in actions]


def _form(entry: CallEntry | CallRecord) -> float | None:
    """Return 1 for a well-formed call of the agent, 0 for another, None for one that does not count."""
    if entry.call.requestor != "assistant" or entry.error is CallError.DROPPED:
        return None
    return float(entry.error not in _ILL_FORMED)
