"""Episode: the one implementation of the turn protocol.

A turn is one assistant message. Its tool calls are executed in order and answered; text goes to the simulated user, who
may use tools of their own before answering. An episode ends with a typed reason. It is synchronous, uses no threads,
and can be forked at any turn. Gymnasium, rollouts, trainers, servers and the player are thin adapters over it.

Hops and errors are counted as tau2-bench counts them, so that its limits can be reproduced exactly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from telegym.core.environment import Environment
from telegym.core.errors import InfrastructureError, TeleGymError
from telegym.core.messages import Message, ToolCall, trusted
from telegym.core.parsing import MAX_NESTING, nested_too_deeply, parse_assistant_text, without_half_characters
from telegym.core.score import Failure, Score
from telegym.core.task import Task
from telegym.core.tool import CallError, ToolOutcome
from telegym.core.trajectory import CallEntry, Trajectory
from telegym.core.user import User, is_stop
from telegym.core.world import StateMark

__all__ = ["MAX_USER_CALLS", "CallRecord", "EndReason", "Episode", "Limits"]

MAX_USER_CALLS = 30
"""Most tool calls a simulated user may make before answering; more end the episode as the user's error."""


class EndReason(StrEnum):
    """Why an episode ended."""

    FINISHED = "finished"
    """The agent said it was done."""
    USER_STOP = "user_stop"
    """The user ended the conversation."""
    GAVE_UP = "gave_up"
    """The agent gave up."""
    AGENT_ERROR = "agent_error"
    """The agent broke the protocol."""
    USER_ERROR = "user_error"
    """The simulated user broke the protocol."""
    TURN_LIMIT = "turn_limit"
    """Too many turns or hops."""
    ERROR_LIMIT = "error_limit"
    """Too many tool errors."""
    TIME_LIMIT = "time_limit"
    """The simulated time was used up."""
    TOKEN_LIMIT = "token_limit"
    """The agent's context was full."""
    INFRASTRUCTURE = "infrastructure"
    """A server or a process failed; the episode says nothing about the agent."""


_TERMINAL = frozenset(
    {EndReason.FINISHED, EndReason.USER_STOP, EndReason.GAVE_UP, EndReason.AGENT_ERROR, EndReason.USER_ERROR}
)


class Limits(BaseModel):
    """When an episode is cut off. None means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hops: PositiveInt | None = 100
    """Messages sent from one party (agent, user, environment) to another, as `max_steps` of tau2-bench. A message that
    ends the episode on the last hop counts as cut off."""
    errors: PositiveInt | None = 10
    """Failed tool calls of either side in the whole episode, as `max_errors` of tau2-bench."""
    errors_in_row: PositiveInt | None = None
    """Failed tool calls of the agent in a row."""
    turns: PositiveInt | None = None
    """Assistant messages."""
    minutes: PositiveFloat | None = None
    """Simulated minutes."""
    tokens: PositiveInt | None = None
    """Tokens of the agent's context; enforced by whoever counts tokens, through `Episode.truncate`."""


@dataclass(slots=True)
class CallRecord:
    """One executed (or refused) tool call."""

    index: int
    """Position among all calls of the episode, from 0."""
    turn: int
    """The turn it belongs to, from 1; 0 for calls of the user before the agent's first turn."""
    call: ToolCall
    """The call."""
    content: str
    """The answer."""
    error: CallError | None
    """Why it failed, or None."""
    minutes: float
    """Simulated time it took."""
    before: StateMark | None
    """The state before the call; None if the episode does not record."""
    after: StateMark | None
    """The state after the call; None if the episode does not record."""


class _Checkpoint(NamedTuple):
    """Where an episode stood before a turn."""

    world: Any
    user: User | None
    messages: int
    calls: int
    actions: int
    hops: int
    errors: int
    errors_in_row: int


class Episode:
    """One task being worked on.

    Args:
        environment: The domain.
        task: What to do.
        seed: Decides everything random in the world and the user.
        limits: When to cut off; the environment's own by default.
        user: The simulated user; the environment's own by default.
        record: Whether to keep state marks of every call and a checkpoint of every turn, for trajectories, `fork(turn)`
            and `undo`. Messages and calls are kept in any case.
    """

    __slots__ = (
        "_actions",
        "_calls",
        "_checkpoints",
        "_errors",
        "_errors_in_row",
        "_failure",
        "_hops",
        "_limits",
        "_messages",
        "_record",
        "_user",
        "end",
        "environment",
        "seed",
        "task",
        "toolkit",
        "turn",
        "world",
    )

    def __init__(
        self,
        environment: Environment,
        task: Task,
        seed: int = 0,
        limits: Limits | None = None,
        user: User | None = None,
        record: bool = True,
    ) -> None:
        self.environment = environment
        self.task = task
        self.seed = seed
        self.toolkit = environment.toolkit(task)
        self.world = environment.build_world(task, seed)
        self.turn = 0
        self.end: EndReason | None = None
        self._limits = limits or environment.limits
        self._user = user or environment.user(task, seed)
        self._record = record
        self._hops = self._errors = self._errors_in_row = 0
        self._failure: Failure | None = None
        self._messages: list[Message] = environment.opening(task)
        self._calls: list[CallRecord] = []
        self._actions: list[str | Message] = []
        self._checkpoints: list[_Checkpoint] = []
        if self._user is not None and not (self._messages and self._messages[-1].role == "user"):
            self._ask_user(self._messages[-1:])

    # --- what can be seen --------------------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    @property
    def done(self) -> bool:
        """Whether the episode has ended."""
        return self.end is not None

    @property
    def terminated(self) -> bool:
        """Whether the episode ended by itself, as Gymnasium means it."""
        return self.end in _TERMINAL

    @property
    def truncated(self) -> bool:
        """Whether the episode was cut off from outside: by a limit or by the infrastructure."""
        return self.end is not None and self.end not in _TERMINAL

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages so far, the opening included, the user's own tool calls too."""
        return tuple(self._messages)

    @property
    def calls(self) -> Sequence[CallRecord]:
        """All tool calls so far, of both sides."""
        return self._calls

    @property
    def actions(self) -> Sequence[str | Message]:
        """What was given to `step`, turn by turn."""
        return self._actions

    @property
    def failure(self) -> Failure | None:
        """Why the episode ended as an infrastructure failure, or None."""
        return self._failure

    @property
    def system(self) -> str:
        """The policy the agent has to follow."""
        return self.environment.instructions(self.task)

    def agent_messages(self) -> list[Message]:
        """Return what the agent has seen and said, without the system message."""
        return [message for message in self._messages if message.visible_to_agent]

    # --- playing --------------------------------------------------------------------------------

    def step(self, action: str | Message) -> list[Message]:
        """Play one turn.

        Args:
            action: The text of a model, or an assistant message.

        Returns:
            What is new to the agent: one result for each tool call, or the user's answer. No action of an agent raises.

        Raises:
            TeleGymError: If the episode has ended (a mistake of the caller, not of the agent).
        """
        if self.end is not None:
            raise TeleGymError(f"the episode of task {self.task.id!r} has ended ({self.end}); start a new one")
        if self._record:
            self._checkpoint()
        if isinstance(action, str):
            action = without_half_characters(action)
            message = parse_assistant_text(action, len(self._calls))
        else:
            action = message = _as_assistant(action)
        self._actions.append(action)
        self.turn += 1
        self._hops += 1
        start = len(self._messages) + 1
        self._messages.append(message)
        if message.tool_calls:
            self._act(message)
            return self._messages[start:]
        if message.content is None or not message.content.strip():
            self._answer_blank()
        else:
            self._talk(message)
        return [message for message in self._messages[start:] if message.visible_to_agent]

    def truncate(self, reason: EndReason, failure: Failure | None = None) -> None:
        """End the episode from outside.

        Args:
            reason: A limit or `INFRASTRUCTURE`.
            failure: What failed, for `INFRASTRUCTURE`.

        Raises:
            TeleGymError: If the reason is one only the agent or the user can give, or the episode has ended.
        """
        if reason in _TERMINAL or self.end is not None:
            raise TeleGymError(f"an episode that stands at {self.end} cannot be truncated with reason {reason!r}")
        self.end = reason
        self._failure = failure

    def _act(self, message: Message) -> None:
        control = self._control_call(message)
        if control is not None:
            self._finish(message, control)
            return
        seen: set[str] = set()
        for call in message.tool_calls:
            if call.id in seen:
                text = f"Error: two calls of this message have the id {call.id!r}; only the first was executed"
                outcome = ToolOutcome(text, CallError.DUPLICATE_ID)
                self._log_call(call, outcome)
            else:
                seen.add(call.id)
                self._call(call)
        self._hops += 1
        self._check_limits()

    def _control_call(self, message: Message) -> ToolCall | None:
        """Return the first call that ends the episode, if any."""
        controls = self.toolkit.controls
        for call in message.tool_calls:
            if call.name in controls and call.parse_error is None:
                return call
        return None

    def _finish(self, message: Message, control: ToolCall) -> None:
        """Execute the call that ends the episode and drop the others of its message."""
        for call in message.tool_calls:
            if call is not control:
                text = "Error: not executed; another call of this message ends the episode"
                self._log_call(call, ToolOutcome(text, CallError.DROPPED))
                continue
            item = self.toolkit.get(call.name)
            assert item is not None
            if not item.parameters["properties"]:  # tau2-bench ignores whatever is passed to `done`
                call = call.model_copy(update={"arguments": {}})
            if not self._call(call).error:
                self.end = EndReason(item.ends)
        self._check_limits()

    def _call(self, call: ToolCall) -> Message:
        """Execute one call and log its result."""
        before = self.world.mark() if self._record else None
        outcome = self.toolkit.execute(self.world, call)
        if outcome.minutes and not self.world.keeps_time:
            self.world.minutes += outcome.minutes
        return self._log_call(call, outcome, before)

    def _log_call(self, call: ToolCall, outcome: ToolOutcome, before: StateMark | None = None) -> Message:
        content, error, minutes = outcome
        after = None
        if self._record:
            after = self.world.mark()
            before = after if before is None else before
        if error is None:
            self._errors_in_row = 0
        elif error is not CallError.DROPPED:
            self._errors += 1
            self._errors_in_row += call.requestor == "assistant"
        self._calls.append(CallRecord(len(self._calls), self.turn, call, content, error, minutes, before, after))
        result = trusted(
            Message,
            {
                "role": "tool",
                "content": content,
                "tool_calls": (),
                "tool_call_id": call.id,
                "name": call.name,
                "error": error is not None,
                "requestor": call.requestor,
            },
        )
        self._messages.append(result)
        return result

    def _answer_blank(self) -> None:
        """Answer a message without text and calls as a tool error, and let the agent try again."""
        call = ToolCall(id=f"call_{len(self._calls)}", name="", parse_error="the message is empty", raw="")
        text = "Error: the message has neither text nor a tool call"
        self._log_call(call, ToolOutcome(text, CallError.EMPTY_MESSAGE))
        self._hops += 1
        self._check_limits()

    def _talk(self, message: Message) -> None:
        """Deliver text."""
        if is_stop(message.content):
            self.end = EndReason.FINISHED
        elif self._user is None or self.environment.text_ends_episode:
            self.end = EndReason.AGENT_ERROR
        self._check_limits()
        if self.end is None:
            self._ask_user([message])

    def _ask_user(self, incoming: list[Message]) -> None:
        """Let the user answer, executing the user's tool calls on the way."""
        for _ in range(MAX_USER_CALLS):
            reply = self._user_reply(incoming)
            if reply is None:
                return
            self._messages.append(reply)
            self._hops += 1
            if not reply.tool_calls:
                if is_stop(reply.content):
                    self.end = EndReason.USER_STOP
                self._check_limits()
                return
            incoming = [self._call(call) for call in reply.tool_calls]
            self._hops += 1
            self._check_limits()
            if self.end is not None:
                return
        self.end = EndReason.USER_ERROR

    def _user_reply(self, incoming: list[Message]) -> Message | None:
        """Return the user's next message, or None if that ended the episode."""
        assert self._user is not None
        try:
            reply = self._user.respond(incoming)
        except InfrastructureError as error:
            self.truncate(EndReason.INFRASTRUCTURE, Failure(party="infrastructure", message=str(error)))
            return None
        if reply.role != "user" or not (reply.tool_calls or (reply.content and reply.content.strip())):
            self.end = EndReason.USER_ERROR
            return None
        return reply

    def _check_limits(self) -> None:
        """End the episode if a limit is reached. A stop on exactly the last hop counts as cut off, as in tau2-bench."""
        limits = self._limits
        if limits.hops is not None and self._hops >= limits.hops:
            self.end = EndReason.TURN_LIMIT
        if limits.errors is not None and self._errors >= limits.errors:
            self.end = EndReason.ERROR_LIMIT
        if self.end is not None:
            return
        if limits.turns is not None and self.turn >= limits.turns:
            self.end = EndReason.TURN_LIMIT
        elif limits.errors_in_row is not None and self._errors_in_row >= limits.errors_in_row:
            self.end = EndReason.ERROR_LIMIT
        elif limits.minutes is not None and self.world.minutes >= limits.minutes:
            self.end = EndReason.TIME_LIMIT

    # --- time travel --------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        if not self.world.cheap_snapshots:
            return
        user = self._user.fork() if self._user is not None else None
        sizes = (len(self._messages), len(self._calls), len(self._actions))
        counters = (self._hops, self._errors, self._errors_in_row)
        self._checkpoints.append(_Checkpoint(self.world.snapshot(), user, *sizes, *counters))

    def fork(self, turn: int | None = None) -> Episode:
        """Return an independent copy, as it stands or as it stood.

        Args:
            turn: How many turns the copy has played: 0 is the beginning; the present by default.

        Raises:
            TeleGymError: If the episode has not played so many turns.
        """
        if turn is not None and not 0 <= turn <= self.turn:
            raise TeleGymError(f"cannot fork at turn {turn}: the episode has played {self.turn} turns")
        if turn is None or turn == self.turn:
            return self._copy()
        if turn < len(self._checkpoints):
            return self._copy()._rewind(turn)
        return self._replayed(turn)

    def undo(self) -> None:
        """Take back the last turn.

        Raises:
            TeleGymError: If no turn has been played.
        """
        if self.turn == 0:
            raise TeleGymError("there is no turn to take back")
        earlier = self.fork(self.turn - 1)
        for name in self.__slots__:
            setattr(self, name, getattr(earlier, name))

    def _copy(self) -> Episode:
        copy = object.__new__(Episode)
        copy.environment = self.environment
        copy.task = self.task
        copy.seed = self.seed
        copy.toolkit = self.toolkit
        copy.world = self.world.fork()
        copy.turn = self.turn
        copy.end = self.end
        copy._limits = self._limits
        copy._user = self._user.fork() if self._user is not None else None
        copy._record = self._record
        copy._hops, copy._errors, copy._errors_in_row = self._hops, self._errors, self._errors_in_row
        copy._failure = self._failure
        copy._messages = self._messages.copy()
        copy._calls = self._calls.copy()
        copy._actions = self._actions.copy()
        copy._checkpoints = self._checkpoints.copy()
        return copy

    def _rewind(self, turn: int) -> Episode:
        """Return to the checkpoint before turn `turn + 1`."""
        point = self._checkpoints[turn]
        self.world.restore(point.world)
        self._user = point.user.fork() if point.user is not None else None
        del self._messages[point.messages :], self._calls[point.calls :], self._actions[point.actions :]
        del self._checkpoints[turn:]
        self._hops, self._errors, self._errors_in_row = point.hops, point.errors, point.errors_in_row
        self.turn, self.end, self._failure = turn, None, None
        return self

    def _replayed(self, turn: int) -> Episode:
        """Play the first turns again: for worlds whose snapshots are too dear to take at every turn."""
        copy = Episode(self.environment, self.task, self.seed, self._limits, record=self._record)
        for action in self._actions[:turn]:
            copy.step(action)
        return copy

    # --- what remains --------------------------------------------------------------------------------

    def score(self) -> Score:
        """Return the outcome score; a failure of the infrastructure is passed on as such."""
        if self._failure is not None:
            return Score(failure=self._failure)
        return self.environment.score(self)

    def trajectory(self, agent: str = "") -> Trajectory:
        """Return everything that happened, for a file.

        Args:
            agent: Who played.
        """
        return Trajectory(
            environment=self.environment.id,
            options=self.environment.options,
            task=self.task,
            seed=self.seed,
            limits=self._limits.model_dump(),
            agent=agent,
            actions=tuple(self._actions),
            messages=self.messages,
            calls=tuple(_entry(record) for record in self._calls),
            end=self.end,
            turns=self.turn,
            final_state=self.world.state_hash(),
            score=self.score(),
        )


def _as_assistant(action: Message) -> Message:
    """Return a message as the assistant's, whoever built it, with nothing in it that JSON cannot carry."""
    calls = tuple(_as_agent_call(call) for call in action.tool_calls)
    content = action.content if action.content is None else without_half_characters(action.content)
    if action.role == "assistant" and content == action.content and calls == action.tool_calls:
        return action
    return Message(role="assistant", content=content, tool_calls=calls)


def _as_agent_call(call: ToolCall) -> ToolCall:
    names = {"id": without_half_characters(call.id), "name": without_half_characters(call.name)}
    try:
        if nested_too_deeply(call.arguments):
            raise ValueError(f"nested deeper than {MAX_NESTING} levels")
        json.dumps(call.arguments, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return ToolCall(
            **names, parse_error=f"the arguments are not JSON: {error}", raw=ascii(list(call.arguments))[:1000]
        )
    if call.requestor == "assistant" and call.id == names["id"] and call.name == names["name"]:
        return call
    return call.model_copy(update={**names, "requestor": "assistant"})


def _entry(record: CallRecord) -> CallEntry:
    return CallEntry(
        index=record.index,
        turn=record.turn,
        call=record.call,
        content=record.content,
        error=record.error,
        minutes=record.minutes,
        state_before=record.before.hash() if record.before is not None else None,
        state_after=record.after.hash() if record.after is not None else None,
    )
