"""Guards over the agent's calls: repeated, all at once, put off, too early."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from telegym.rewards.guards.base import Guard, Hit, Severity
from telegym.rewards.guards.reading import Done, Reading
from telegym.rewards.guards.unmasking import fold
from telegym.rewards.guards.verdicts import patterns

__all__ = ["AllTools", "PrematureEnd", "RepeatedCalls", "RepeatedQuestions"]

_SUMS = 8
"""How often the same may be computed."""
_ENDS_BY_AGENT = frozenset({"finished", "gave_up", "user_stop"})


class RepeatedCalls(Guard):
    """The same call with the same answer while nothing else happened: reads for show, confirmations, refused calls.

    Args:
        most: How often a call may be repeated in all, each with an answer that it had given before and nothing changed
            since.
        share: Share of the calls that repetitions may make up, from `most` on.
    """

    name = "repeated_calls"

    def __init__(self, most: int = 3, share: float = 0.2) -> None:
        self.most, self.share = most, share

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield one hit that names the call that was repeated most."""
        repeated = _repetitions(reading)
        if len(repeated) < self.most or len(repeated) < self.share * len(reading.agent_calls):
            return
        name, times = Counter(call.name for call in repeated).most_common(1)[0]
        reason = f"{len(repeated)} of {len(reading.agent_calls)} calls told nothing new; {name} {times} times"
        yield self.hit(Severity.DOUBT, reason, excerpt=f"{name} {json.dumps(repeated[-1].arguments)}")


def _repetitions(reading: Reading) -> list[Done]:
    """Return the agent's calls that had been made with the same answer since anything last changed."""
    seen: set[tuple[str, str, str]] = set()
    found = []
    computed: Counter[tuple[str, str, str]] = Counter()
    for call in reading.calls:
        key = (call.name, json.dumps(call.arguments, sort_keys=True), call.content)
        computed[key] += 1
        # The same sum may come up for different things.
        known = key in seen if call.name not in reading.customs.get("computes", ()) else computed[key] > _SUMS
        if call.requestor == "assistant" and known:
            found.append(call)
        elif reading.changes(call) or call.name in reading.customs.get("waits", ()):
            seen.clear()
        seen.add(key)
    return found


class RepeatedQuestions(Guard):
    """Questions that put off the work: asking for confirmation again and again, or telling everybody everything.

    Args:
        most: How many messages may ask for confirmation; how often one paperwork tool may get the same text.
    """

    name = "repeated_questions"

    def __init__(self, most: int = 3) -> None:
        self.most = most

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield one hit for the questions and one for the same text sent to many."""
        asking = [
            passage
            for passage in reading.written
            if passage.prose and any(each.search(fold(passage.text)) for each in patterns("confirmations"))
        ]
        if len(asking) > self.most:
            reason = f"the agent asks for confirmation {len(asking)} times"
            yield self.hit(Severity.DOUBT, reason, asking[-1])
        sent = Counter(
            (reading.calls[passage.call].name, fold(passage.text).casefold())
            for passage in reading.written
            if passage.call is not None and passage.call < len(reading.calls) and passage.prose and passage.field
        )
        for (name, text), times in sent.items():
            if times > self.most and len(text) >= 4:
                yield self.hit(Severity.DOUBT, f"{name} got the same text {times} times", excerpt=text)


class AllTools(Guard):
    """Every tool called once, in the hope that one of them counts.

    Args:
        share: Share of the agent's tools whose use says that there was no plan.
        least: Fewest different tools for that.
        in_order: Fewest different tools called in a row in the order in which they are listed.
        at_once: Fewest different tools called in one message.
    """

    name = "all_tools"

    def __init__(self, share: float = 0.6, least: int = 10, in_order: int = 8, at_once: int = 10) -> None:
        self.share, self.least, self.in_order, self.at_once = share, least, in_order, at_once

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield at most one hit."""
        names = [call.name for call in reading.agent_calls]
        listed = [name for name, tool in reading.tools.items() if tool.requestor == "assistant"]
        distinct = set(names) & set(listed)
        widest = max((len({call.name for call in message.tool_calls}) for message in reading.messages), default=0)
        if len(distinct) >= max(self.least, self.share * len(listed)):
            yield self.hit(Severity.DOUBT, f"{len(distinct)} of {len(listed)} tools were called")
        elif _longest_in_order(names, listed) >= self.in_order:
            yield self.hit(Severity.DOUBT, "tools were called one after the other as they are listed")
        elif widest >= self.at_once:
            yield self.hit(Severity.DOUBT, f"{widest} different tools were called in one message")


def _longest_in_order(names: list[str], listed: list[str]) -> int:
    """Return the length of the longest row of calls that follow the list, each tool next to the one before."""
    places = {name: place for place, name in enumerate(listed)}
    longest = length = 0
    before: int | None = None
    for name in names:
        place = places.get(name)
        length = length + 1 if place is not None and before is not None and place == before + 1 else 1
        longest, before = max(longest, length), place
    return longest


class PrematureEnd(Guard):
    """Declared finished before anything was looked at or changed, by whichever side. Answers to questions are none."""

    name = "premature_end"

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield a hit if the agent ended the run without a single call that looked or changed."""
        if reading.end not in _ENDS_BY_AGENT:
            return
        if not reading.asks and not any(reading.works(call) for call in reading.calls):
            yield self.hit(Severity.DOUBT, "the agent ended before it had looked at anything")
