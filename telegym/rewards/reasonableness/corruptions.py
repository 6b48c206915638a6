"""Corruptions: trajectories that are right except for calls put in on purpose, to measure auditors by.

A reference player, who knows no more than an agent could and plays every task in several valid ways, is interrupted at
a turn where a fault of some kind fits. The fault is put in, and the player goes on from what it sees. So every other
call is right, the label of the faulty one comes from how it was made, and it is confirmed by the environment's own
answers, states and scores, never by the auditor that is measured. What cannot be confirmed is thrown away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, ClassVar, NamedTuple

from telegym.core.environment import Environment
from telegym.core.episode import CallRecord, Episode
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.messages import Message, ToolCall
from telegym.core.task import Task
from telegym.core.tool import CallError
from telegym.rewards.reasonableness.recovery import identical, signature
from telegym.rewards.verdict import Code

__all__ = ["Corrupter", "Fault", "Injection", "Seeded", "message_of"]

_LONGEST = 80


class Fault(NamedTuple):
    """What is expected of a call that was put in."""

    codes: frozenset[Code]
    """Codes that name it rightly."""

    @classmethod
    def of(cls, *codes: Code) -> Fault:
        """Return a fault with these codes."""
        return cls(frozenset(codes))


class Injection(NamedTuple):
    """Messages to put in at a turn."""

    messages: tuple[Message, ...]
    """The messages."""
    faults: tuple[Fault | None, ...]
    """For each call of these messages what is wrong with it, or None for a call that is right."""
    spoils: bool = False
    """Whether the goal cannot be reached any more, so that nothing can be said of the call that closes the run."""
    confirm: Callable[[Episode, list[CallRecord]], bool] | None = None
    """Whether answers, states and scores bear the label out; gets the finished episode and the calls put in."""


class Seeded(NamedTuple):
    """A trajectory with known faults."""

    kind: str
    """Kind of corruption, or `none`."""
    episode: Episode
    """The episode."""
    wrong: dict[int, frozenset[Code]]
    """Calls that are wrong, by index, with the codes that name them rightly."""
    open: frozenset[int] = frozenset()
    """Calls of which nothing can be said."""


def message_of(name: str, arguments: dict[str, Any] | None = None, *, number: int = 0) -> Message:
    """Return a message that calls one tool.

    Args:
        name: The tool.
        arguments: Its arguments.
        number: Makes the id of the call.
    """
    call = ToolCall(id=f"call_{number}", name=name, arguments=arguments or {})
    return Message(role="assistant", tool_calls=(call,))


class Corrupter(ABC):
    """Makes corrupted trajectories of one environment. Kinds that need no domain knowledge are here.

    Args:
        environment: The environment, configured.
    """

    kinds: ClassVar[tuple[str, ...]] = (
        "unknown_tool",
        "bad_arguments",
        "invented_id",
        "repeated_read",
        "repeated_error",
        "two_at_once",
        "premature_finish",
    )
    """Names of the corruptions."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._kept: tuple[Task, str, list[Episode]] | None = None

    # --- what a domain says ---------------------------------------------------------------------------

    @abstractmethod
    def reference(self, episode: Episode, variant: str) -> Message | None:
        """Return the next message of a player who knows what an agent could know.

        Args:
            episode: The episode, at any point.
            variant: Seeds which of several valid ways is taken; the answer depends on nothing else.
        """

    @abstractmethod
    def identifiers(self, call: ToolCall) -> tuple[str, ...]:
        """Return the arguments of a call that name something of the world."""

    @abstractmethod
    def exists(self, episode: Episode, value: str) -> bool:
        """Return whether something of the world has this name."""

    def solved(self, episode: Episode) -> bool:
        """Return whether the work is done: whether the score would be a full one."""
        return episode.score().success

    # --- making trajectories --------------------------------------------------------------------------

    def play(self, task: Task, variant: str, episode: Episode | None = None) -> Episode:
        """Let the reference player play a task, or go on with an episode, to the end.

        Args:
            task: The task.
            variant: Which of several valid ways.
            episode: An episode to go on with; a new one by default.
        """
        episode = Episode(self.environment, task) if episode is None else episode
        while not episode.done and episode.turn < _LONGEST:
            message = self.reference(episode, variant)
            if message is None:
                break
            episode.step(message)
        return episode

    def clean(self, task: Task, variant: str) -> Seeded:
        """Return a trajectory of the reference player, in which no call is wrong."""
        return Seeded("none", self.play(task, variant), {})

    def seeded(self, task: Task, kind: str, variant: str) -> Seeded | None:
        """Return a trajectory with faults of a kind, or None if the kind fits nowhere in this task.

        Args:
            task: The task.
            kind: One of `kinds`.
            variant: Seeds the reference player's way, the turn and the fault.

        Raises:
            ConfigurationError: If there is no such kind.
        """
        if kind not in self.kinds:
            hint = did_you_mean(kind, self.kinds)
            raise ConfigurationError(f"no corruption {kind!r}; valid: {', '.join(self.kinds)}.{hint}")
        rng = Random(f"{variant}/{kind}/{task.id}")
        branches = list(self._branches(task, variant))
        rng.shuffle(branches)
        for branch in branches:
            injection: Injection | None = getattr(self, f"_{kind}")(branch, rng, variant)
            found = self._inject(branch.fork(), kind, variant, injection) if injection is not None else None
            if found is not None:
                return found
        return None

    def _branches(self, task: Task, variant: str) -> list[Episode]:
        """Return how the reference player's run stood before each of its turns; kept for the next kind."""
        kept = self._kept
        if kept is None or kept[0] is not task or kept[1] != variant:
            whole = self.play(task, variant)
            kept = self._kept = (task, variant, [whole.fork(turn) for turn in range(whole.turn)])
        return kept[2]

    def _inject(self, branch: Episode, kind: str, variant: str, injection: Injection) -> Seeded | None:
        first = len(branch.calls)
        for message in injection.messages:
            if branch.done:
                return None
            branch.step(message)
        put_in = [record for record in branch.calls[first:] if record.call.requestor == "assistant"]
        if len(put_in) < len(injection.faults):
            return None
        marked = list(zip(put_in, injection.faults, strict=False))
        self.play(branch.task, f"{variant}+", branch)
        if injection.confirm is not None and not injection.confirm(branch, [record for record, _ in marked]):
            return None
        wrong = {record.index: fault.codes for record, fault in marked if fault is not None}
        return Seeded(kind, branch, wrong, self._open(branch, injection, wrong))

    def _open(self, episode: Episode, injection: Injection, wrong: dict[int, frozenset[Code]]) -> frozenset[int]:
        if not injection.spoils:
            return frozenset()
        last = max(wrong)
        closing = (record for record in episode.calls if record.index > last and self.closes(episode, record.call))
        return frozenset(record.index for record in closing)

    def closes(self, episode: Episode, call: ToolCall) -> bool:
        """Return whether a call declares the work finished."""
        return call.name in episode.toolkit.controls

    def next_call(self, episode: Episode, variant: str) -> ToolCall | None:
        """Return the reference player's next call, or None if it does not call a tool next."""
        message = self.reference(episode, variant)
        return message.tool_calls[0] if message is not None and message.tool_calls else None

    # --- kinds that every domain has ------------------------------------------------------------------

    def _unknown_tool(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call = self.next_call(episode, variant)
        if call is None:
            return None
        name = rng.choice((f"{call.name}s", f"get_{call.name}", call.name.replace("_", "-"), f"{call.name}_v2"))
        if name in episode.toolkit:
            return None
        message = message_of(name, call.arguments, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.SCHEMA),), confirm=_failed_as(CallError.UNKNOWN_TOOL))

    def _bad_arguments(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call = self.next_call(episode, variant)
        if call is None or not call.arguments or self.closes(episode, call):
            return None
        name = rng.choice(sorted(call.arguments))
        arguments = {key: value for key, value in call.arguments.items() if key != name}
        if rng.random() < 0.5:
            arguments |= {name: [call.arguments[name]]} if rng.random() < 0.5 else {f"{name}s": call.arguments[name]}
        message = message_of(call.name, arguments, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.SCHEMA),), confirm=_failed_as(CallError.INVALID_ARGUMENTS))

    def _invented_id(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call = self.next_call(episode, variant)
        names = self.identifiers(call) if call is not None else ()
        if call is None or not names:
            return None
        name = rng.choice(names)
        value = _other_digits(str(call.arguments[name]), rng)
        if value == call.arguments[name] or self.exists(episode, value):
            return None
        message = message_of(call.name, {**call.arguments, name: value}, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.UNGROUNDED),), confirm=_told_nothing)

    def _repeated_read(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        calls = [record.call for record in self._unchanged_reads(episode)]
        if not calls:
            return None
        call = rng.choice(calls)
        message = message_of(call.name, call.arguments, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.REDUNDANT),), confirm=_same_answer)

    def _unchanged_reads(self, episode: Episode) -> Iterator[CallRecord]:
        """Yield the agent's reads since the last call that may have changed something."""
        for record in reversed(episode.calls):
            tool = episode.toolkit.get(record.call.name)
            if tool is None or tool.kind != "read":
                return
            if record.error is None and record.call.requestor == "assistant" and not self.closes(episode, record.call):
                yield record

    def _repeated_error(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        make = rng.choice((self._unknown_tool, self._bad_arguments, self._invented_id))
        once = make(episode, rng, variant)
        if once is None:
            return None
        first = once.faults[0]
        assert first is not None
        again = Fault(first.codes | {Code.REPEATED_ERROR})
        return Injection((*once.messages, *once.messages), (first, again), confirm=_failed)

    def _two_at_once(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        first = self.next_call(episode, variant)
        if first is None or self.closes(episode, first):
            return None
        ahead = episode.fork()
        ahead.step(message_of(first.name, first.arguments, number=len(episode.calls)))
        second = self.next_call(ahead, variant) if not ahead.done else None
        if second is None or self.closes(episode, second):
            return None
        count = len(episode.calls)
        calls = [each.model_copy(update={"id": f"call_{count + place}"}) for place, each in enumerate((first, second))]
        message = Message(role="assistant", tool_calls=tuple(calls))
        return Injection((message,), (None, Fault.of(Code.POLICY)))

    def _premature_finish(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        name = next(iter(sorted(episode.toolkit.controls)), None)
        if name is None:
            return None
        message = message_of(name, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.PREMATURE),), confirm=lambda done, _: not self.solved(done))


def _other_digits(value: str, rng: Random) -> str:
    """Change some digits of an identifier."""
    places = [place for place, letter in enumerate(value) if letter.isdigit()]
    letters = list(value)
    for place in rng.sample(places, min(len(places), rng.randint(1, 2))):
        letters[place] = rng.choice("0123456789")
    return "".join(letters)


def _failed_as(error: CallError) -> Callable[[Episode, list[CallRecord]], bool]:
    return lambda episode, put_in: all(record.error is error for record in put_in)


def _failed(episode: Episode, put_in: list[CallRecord]) -> bool:
    return all(record.error is not None for record in put_in) and identical(put_in[0].call, put_in[1].call)


def _told_nothing(episode: Episode, put_in: list[CallRecord]) -> bool:
    return all(record.error is not None or record.content in ("[]", "{}") for record in put_in)


def _same_answer(episode: Episode, put_in: list[CallRecord]) -> bool:
    """Whether an earlier equal call had had the same answer."""
    record = put_in[0]
    earlier = (each for each in episode.calls[: record.index] if signature(each.call) == signature(record.call))
    return any(each.content == record.content for each in earlier)
