"""Messages and tool calls: the OpenAI chat shapes, as frozen pydantic models.

One `Message` type serves all four roles. A tool call that could not be parsed is still a `ToolCall`, with
`parse_error` set: it is answered with a tool error and counted, never dropped and never mistaken for chat.
"""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

__all__ = ["Message", "Requestor", "Role", "ToolCall", "trusted"]

Role = Literal["system", "user", "assistant", "tool"]
"""Who speaks."""

Requestor = Literal["assistant", "user"]
"""Which side calls a tool: the agent, or the simulated user with their phone."""


class ToolCall(BaseModel):
    """One call of one tool, as requested (it may turn out to be invalid)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Identifies the call within its message; the tool result carries the same id."""
    name: str
    """Name of the tool. Empty if the call was too broken to tell."""
    arguments: dict[str, Any] = {}
    """Arguments by parameter name, as parsed from JSON, not yet validated."""
    requestor: Requestor = "assistant"
    """The side that calls."""
    parse_error: str | None = None
    """Why the text of this call could not be read, or None for a well-formed call."""
    raw: str | None = None
    """The text of a malformed call, or None."""

    def to_openai(self) -> dict[str, Any]:
        """Return the `tool_calls` element of the OpenAI chat format (arguments as JSON text)."""
        if self.parse_error is not None:
            arguments = self.raw or ""
        else:
            arguments = json.dumps(self.arguments) if self.arguments else "{}"
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": arguments}}


class Message(BaseModel):
    """A chat message."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    """Who speaks."""
    content: str | None = None
    """The text, or None for a message that only calls tools."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Tool calls, in the order in which they are executed."""
    tool_call_id: str | None = None
    """For role `tool`: the call that this message answers."""
    name: str | None = None
    """For role `tool`: the tool that was called."""
    error: bool = False
    """For role `tool`: whether the call failed."""
    requestor: Requestor = "assistant"
    """For role `tool`: the side that called, and that alone sees the result."""

    @property
    def visible_to_agent(self) -> bool:
        """Whether the agent sees this message: not the user's own tool calls, nor their results."""
        if self.role == "user":
            return not self.tool_calls
        return not (self.role == "tool" and self.requestor == "user")

    def to_openai(self) -> dict[str, Any]:
        """Return the message in the OpenAI chat format."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            message["tool_calls"] = [call.to_openai() for call in self.tool_calls]
        if self.role == "tool":
            message["tool_call_id"] = self.tool_call_id
            message["name"] = self.name
        return message


_Model = TypeVar("_Model", bound=BaseModel)
_set = object.__setattr__
_FIELDS: dict[type[BaseModel], set[str]] = {Message: set(Message.model_fields), ToolCall: set(ToolCall.model_fields)}


def trusted(cls: type[_Model], values: dict[str, Any]) -> _Model:
    """Make a message or a call of values that are known to be valid.

    An episode makes three of them a call; checking again what was just checked would be a fifth of its time.

    Args:
        cls: `Message` or `ToolCall`.
        values: All fields. The dictionary belongs to the model afterwards.
    """
    model = cls.__new__(cls)
    _set(model, "__dict__", values)
    _set(model, "__pydantic_fields_set__", _FIELDS[cls])
    _set(model, "__pydantic_extra__", None)
    _set(model, "__pydantic_private__", None)
    return model
