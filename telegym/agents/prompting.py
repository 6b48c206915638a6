"""From an episode to the tokens of a model, and back.

`ChatCodec` renders the opening of an episode through the model's chat template once. After that it only appends: the
tokens the model sampled stay as they are, and what is new (tool results, the user's answer) is rendered behind a
stand-in for the model's turn, cut off right after it, and tokenised on its own. So neither a template that rewrites
history nor a tokenizer that merges across turns can change a token that was sampled.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.tool import Tool, Toolkit

__all__ = ["ChatCodec", "PromptProfile", "Tokenizer", "call_text", "opening_messages"]

_STAND_IN = "The turn of the model stands here."
_CACHED = 4096


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    eos_token: str
    eos_token_id: int
    all_special_tokens: list[str]

    def apply_chat_template(self, conversation: list[dict[str, Any]], **options: Any) -> Any:
        """Render a conversation."""
        ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Return the tokens of a text."""
        ...

    def decode(self, token_ids: list[int]) -> str:
        """Return the text of tokens."""
        ...


class PromptProfile(BaseModel):
    """What a model is told before its first turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tools: Literal["full", "compact", "none"] = "full"
    """`full`: JSON Schemas through the chat template; `compact`: one line a tool; `none`: nothing, for a model that
    knows its tools from training."""
    policy: Literal["full", "none"] = "full"
    """Whether the policy is the system message."""
    template_options: dict[str, bool | int | str] = {}
    """Passed to the chat template, for example `enable_thinking: false`."""


class ChatCodec:
    """Turns episodes into tokens for one model.

    Args:
        tokenizer: The model's tokenizer, with a chat template.
        profile: What the model is told.

    Raises:
        ConfigurationError: If the template does not end a turn of the model with the tokenizer's end token.
    """

    def __init__(self, tokenizer: Tokenizer, profile: PromptProfile | None = None) -> None:
        self.tokenizer = tokenizer
        self.profile = profile or PromptProfile()
        self._suffixes: dict[tuple[tuple[str, str], ...], list[int]] = {}
        self.suffix([Message(role="user", content="test")])

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end a turn of the model."""
        return (self.tokenizer.eos_token_id,)

    def prompt(self, episode: Episode) -> list[int]:
        """Return the tokens up to the model's next turn, rendered from the messages."""
        return self.begin(episode.system, episode.toolkit, episode.agent_messages())

    def begin(self, policy: str, toolkit: Toolkit, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of any conversation with a policy and tools up to the model's next turn.

        Args:
            policy: What the system message says, if the model is told it.
            toolkit: The tools, if the model is told them.
            messages: What the agent has seen and said.
        """
        told = _told(policy, toolkit, messages, self.profile)
        tools = toolkit.schemas("assistant") if self.profile.tools == "full" else None
        return self._encode(self._render([self._shield(message) for message in told], tools))

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of any conversation up to the model's next turn."""
        return self._encode(self._render([self._shield(message.to_openai()) for message in messages], None))

    def suffix(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens between a turn of the model and its next one."""
        key = tuple((message.role, message.content or "") for message in messages)
        if key not in self._suffixes:
            if len(self._suffixes) >= _CACHED:
                self._suffixes.clear()
            self._suffixes[key] = self._suffix(messages)
        return self._suffixes[key]

    def turn(self, message: Message | str) -> list[int]:
        """Return the tokens of a turn as the model should write it, with the end token."""
        text = message if isinstance(message, str) else call_text(message)
        return [*self._encode(text), self.tokenizer.eos_token_id]

    def text(self, turn: Sequence[int]) -> str:
        """Return what the model wrote, without the end token."""
        ids = list(turn[:-1]) if turn and turn[-1] in self.stop_ids else list(turn)
        return self.tokenizer.decode(ids)

    def _suffix(self, messages: Sequence[Message]) -> list[int]:
        rendered = [self._shield(message.to_openai()) for message in messages]
        call = {"type": "function", "function": {"name": messages[0].name or "tool", "arguments": {}}}
        turn: dict[str, Any] = {"role": "assistant", "content": _STAND_IN}
        if messages[0].role == "tool":
            turn["tool_calls"] = [call]
        text = self._render([{"role": "user", "content": "user"}, turn, *rendered], None)
        _, found, behind = text.partition(_STAND_IN)
        _, ended, suffix = behind.partition(self.tokenizer.eos_token)
        if not found or not ended:
            raise ConfigurationError(
                f"the chat template does not end a turn of the assistant with {self.tokenizer.eos_token!r}, the end "
                f"token of the tokenizer; it renders {text!r}"
            )
        return self._encode(suffix)

    def _shield(self, message: dict[str, Any]) -> dict[str, Any]:
        """Break up control tokens in a text, which would end turns that have not ended."""
        content = message["content"]
        if not content or not any(token in content for token in self.tokenizer.all_special_tokens):
            return message
        for token in self.tokenizer.all_special_tokens:
            content = content.replace(token, f"{token[0]} {token[1:]}")
        return {**message, "content": content}

    def _render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> str:
        text: str = self.tokenizer.apply_chat_template(
            messages, tools=tools, tokenize=False, add_generation_prompt=True, **self.profile.template_options
        )
        return text

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))


def opening_messages(episode: Episode, profile: PromptProfile) -> list[dict[str, Any]]:
    """Return the messages of an episode so far, in the OpenAI format, as a model is told them."""
    return _told(episode.system, episode.toolkit, episode.agent_messages(), profile)


def _told(policy: str, toolkit: Toolkit, messages: Sequence[Message], profile: PromptProfile) -> list[dict[str, Any]]:
    parts = [policy] if profile.policy == "full" else []
    if profile.tools == "compact":
        parts.append("\n".join(_line(tool) for tool in toolkit.tools("assistant")))
    system = [{"role": "system", "content": "\n\n".join(parts)}] if any(parts) else []
    return [*system, *(message.to_openai() for message in messages)]


def call_text(message: Message) -> str:
    """Return an assistant message as text, with calls in the Qwen/Hermes form."""
    calls = [
        f'<tool_call>\n{{"name": "{call.name}", "arguments": {json.dumps(call.arguments)}}}\n</tool_call>'
        if call.parse_error is None
        else call.raw or ""
        for call in message.tool_calls
    ]
    return "\n".join([*([message.content] if message.content else []), *calls])


def _line(tool: Tool) -> str:
    """Describe a tool in one line: `name(parameter: type, …): first sentence`."""
    required = tool.parameters.get("required", [])
    parameters = ", ".join(
        f"{name}{'' if name in required else '?'}: {_kind(schema)}"
        for name, schema in tool.parameters.get("properties", {}).items()
    )
    return f"{tool.name}({parameters}): {tool.description.split('. ')[0].splitlines()[0].rstrip('.')}."


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return "|".join(_kind(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"[{_kind(schema.get('items', {}))}]"
    return str(schema.get("type", "any"))
