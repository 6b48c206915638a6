"""The OpenAI chat format, as it goes over the wire: messages out, complete or streamed answers in. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from telegym.core.messages import Message, ToolCall

__all__ = ["Reply", "SampledToken", "StreamAssembler", "WireError", "events", "read_reply", "write_messages"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class WireError(ValueError):
    """The server's answer is not what the protocol says: cut off, or garbage."""


@dataclass(frozen=True, slots=True)
class SampledToken:
    """A token that a model wrote, and what it might have written."""

    text: str
    """The token."""
    logprob: float
    """Its log-probability, in nats."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens there with their log-probabilities, in nats."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    message: Message
    """The assistant's message."""
    finish_reason: str
    """Why the model stopped: `stop`, `tool_calls`, `length`, …"""
    prompt_tokens: int = 0
    """Tokens read, as the server counts them; 0 if it does not say."""
    completion_tokens: int = 0
    """Tokens written, as the server counts them; 0 if it does not say."""
    tokens: tuple[SampledToken, ...] = ()
    """The tokens of the text, if log-probabilities were asked for and given."""
    others: tuple[Reply, ...] = ()
    """Further answers, if several were asked for."""
    retries: int = 0
    """Attempts that failed before this one."""


def write_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return messages in the OpenAI format, with every call in a form that servers accept.

    A malformed call is sent as a call whose only argument is the text that could not be read: servers refuse broken
    JSON in the history, and without the call its error message would answer nothing.
    """
    return [_write(message) for message in messages]


def _write(message: Message) -> dict[str, Any]:
    wire = message.to_openai()
    if message.tool_calls:
        wire["tool_calls"] = [_write_call(call) for call in message.tool_calls]
    elif wire["content"] is None:
        wire["content"] = ""
    if message.role == "tool":
        wire.pop("name")
    return wire


def _write_call(call: ToolCall) -> dict[str, Any]:
    wire = call.to_openai()
    if call.parse_error is not None:
        wire["function"]["arguments"] = json.dumps({"malformed": call.raw or ""})
    if not _NAME.fullmatch(call.name):
        wire["function"]["name"] = re.sub(r"[^A-Za-z0-9_-]", "_", call.name)[:64] or "malformed_call"
    return wire


def read_reply(payload: Any) -> Reply:
    """Read the JSON of a `chat.completion`.

    Raises:
        WireError: If it has no message.
    """
    try:
        first, *others = payload["choices"]
        return replace(
            _read_choice(first, payload.get("usage")), others=tuple(_read_choice(choice, None) for choice in others)
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, WireError):
            raise
        raise WireError(f"no chat message in {_excerpt(payload)}") from error


def _read_choice(choice: Any, usage: Any) -> Reply:
    message = choice["message"]
    content, calls = message.get("content"), message.get("tool_calls") or ()
    functions = [(call.get("id") or "", call["function"]) for call in calls]
    parsed = [_read_call(id, function.get("name"), function.get("arguments")) for id, function in functions]
    reply = _reply(content, parsed, choice.get("finish_reason"), usage)
    return replace(reply, tokens=_read_tokens(choice.get("logprobs")))


def _read_tokens(logprobs: Any) -> tuple[SampledToken, ...]:
    """Read the log-probabilities of an answer; a server that does not offer them gives none."""
    listed = logprobs.get("content") if isinstance(logprobs, dict) else None
    return tuple(
        SampledToken(
            str(item["token"]),
            float(item["logprob"]),
            tuple((str(other["token"]), float(other["logprob"])) for other in item.get("top_logprobs") or ()),
        )
        for item in listed or ()
    )


def events(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """Yield the chunks of a stream of server-sent events.

    Raises:
        WireError: If a chunk is not a JSON object, or is an error report.
    """
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            # Read on: a connection whose answer was not read to its end is not used again.
            continue
        try:
            chunk = json.loads(data)
        except ValueError as error:
            raise WireError(f"a chunk of the stream is not JSON: {_excerpt(data)}") from error
        if not isinstance(chunk, dict) or "error" in chunk:
            raise WireError(f"the stream reports: {_excerpt(chunk)}")
        yield chunk


@dataclass(slots=True)
class StreamAssembler:
    """Puts the chunks of a `chat.completion.chunk` stream together."""

    _text: list[str] = field(default_factory=list)
    _calls: dict[int, dict[str, str]] = field(default_factory=dict)
    _finish_reason: str | None = None
    _usage: Any = None

    def feed(self, chunk: dict[str, Any]) -> None:
        """Take the next chunk.

        Raises:
            WireError: If it has not the shape of a chunk.
        """
        try:
            self._usage = chunk.get("usage") or self._usage
            for choice in chunk.get("choices") or ():
                self._finish_reason = choice.get("finish_reason") or self._finish_reason
                self._feed_delta(choice.get("delta") or {})
        except (KeyError, TypeError, AttributeError) as error:
            raise WireError(f"not a chunk of a chat stream: {_excerpt(chunk)}") from error

    def _feed_delta(self, delta: dict[str, Any]) -> None:
        self._text.append(delta.get("content") or "")
        for part in delta.get("tool_calls") or ():
            call = self._calls.setdefault(part.get("index", len(self._calls)), {"id": "", "name": "", "arguments": ""})
            function = part.get("function") or {}
            call["id"] = call["id"] or part.get("id") or ""
            call["name"] += function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""

    def reply(self) -> Reply:
        """Return the whole answer.

        Raises:
            WireError: If the stream ended before the model did.
        """
        if self._finish_reason is None:
            raise WireError("the stream was cut off before its end")
        calls = [_read_call(call["id"], call["name"], call["arguments"]) for _, call in sorted(self._calls.items())]
        return _reply("".join(self._text) or None, calls, self._finish_reason, self._usage)


def _reply(content: Any, calls: Sequence[ToolCall], finish_reason: Any, usage: Any) -> Reply:
    if content is not None and not isinstance(content, str):
        raise WireError(f"the content of the message is not text: {_excerpt(content)}")
    message = Message(role="assistant", content=content, tool_calls=_with_distinct_ids(calls))
    counts = usage if isinstance(usage, dict) else {}
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    return Reply(message, str(finish_reason or "stop"), _count(prompt), _count(completion))


def _read_call(call_id: Any, name: Any, arguments: Any) -> ToolCall:
    """Read a call; arguments that are not a JSON object make it a malformed call."""
    call_id, name = str(call_id), name if isinstance(name, str) else ""
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
    try:
        parsed = json.loads(raw or "{}", parse_constant=_refuse) if isinstance(arguments, str) else arguments or {}
    except (ValueError, RecursionError) as error:
        return ToolCall(id=call_id, name=name, parse_error=f"the arguments are not valid JSON: {error}", raw=raw)
    if not isinstance(parsed, dict):
        kind = type(parsed).__name__
        return ToolCall(id=call_id, name=name, parse_error=f"the arguments are a {kind}, not a JSON object", raw=raw)
    return ToolCall(id=call_id, name=name, arguments=parsed)


def _with_distinct_ids(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Number the calls where a server gave no ids, or one twice: that is its fault, not the model's."""
    if len({call.id for call in calls}) == len(calls) and all(call.id for call in calls):
        return tuple(calls)
    return tuple(call.model_copy(update={"id": f"call_{index}"}) for index, call in enumerate(calls))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _excerpt(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
