"""ModelUser: a customer played by a chat model.

The model sees the conversation with the roles exchanged: what the agent says comes in as `user`, what it says itself
is `assistant`. It sees its own tool calls and their results, and nothing of the agent's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from importlib import resources
from random import Random
from typing import Any, ClassVar, Protocol, Self

from telegym.agents.users.lexicon import load_texts
from telegym.core.errors import InfrastructureError
from telegym.core.messages import Message
from telegym.core.parsing import parse_assistant_text
from telegym.core.user import User
from telegym.envs.tau2_telecom.scenario import UserScenario

__all__ = ["ChatModel", "ModelUser", "system_prompt"]


class ChatModel(Protocol):
    """What is needed of a chat client, for example of `telegym.agents.chat.ChatClient`."""

    def complete(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), *, seed: int | None = None
    ) -> Message:
        """Return the model's answer to a conversation.

        Raises:
            InfrastructureError: If no answer came.
        """
        ...


@cache
def _guidelines() -> str:
    file = resources.files("telegym.agents.users").joinpath("texts", "guidelines.md")
    return file.read_text(encoding="utf-8").strip()


def system_prompt(scenario: UserScenario) -> str:
    """Return the instructions of a model that plays the customer of a scenario."""
    person = scenario.persona_text or load_texts("personas")[scenario.persona]
    parts = [_guidelines(), "<scenario>"]
    if person:
        parts.append(f"Who you are:\n{person.strip()}")
    texts = {
        "Why you call": scenario.reason_for_call,
        "What you know": scenario.known_info,
        "How you behave": scenario.task_instructions,
    }
    parts += [f"{title}:\n{text.strip()}" for title, text in texts.items() if text.strip()]
    return "\n\n".join([*parts, "</scenario>"])


class ModelUser(User):
    """A customer played by a chat model.

    Args:
        scenario: What the customer knows, wants and agrees to.
        client: Answers conversations.
        tools: The customer's tools in the OpenAI format; None takes those of the phone.
        seed: Decides the sampling seed of every request.
    """

    deterministic: ClassVar[bool] = False

    def __init__(
        self,
        scenario: UserScenario,
        client: ChatModel,
        tools: Sequence[dict[str, Any]] | None = None,
        seed: int = 0,
    ) -> None:
        self.scenario = scenario
        self._client = client
        self._tools = tuple(_phone_tools() if tools is None else tools)
        self._seed = seed
        self._calls = 0
        self._history: tuple[Message, ...] = (Message(role="system", content=system_prompt(scenario)),)

    def respond(self, incoming: Sequence[Message]) -> Message:
        """Answer the agent's text, or go on after tool results.

        Raises:
            InfrastructureError: If the model cannot be reached, or answers with nothing twice.
        """
        self._history += tuple(_exchanged(message) for message in incoming)
        turn = len(self._history)
        for attempt in range(2):
            seed = Random(f"{self._seed}/{turn}/{attempt}").getrandbits(31)
            reply = self._client.complete(self._history, self._tools, seed=seed)
            own = self._own(reply)
            if own is not None:
                self._history += (own.model_copy(update={"role": "assistant"}),)
                return own
        raise InfrastructureError("the model behind the user answered twice with neither text nor a tool call")

    def fork(self) -> Self:
        """Return an independent copy with the same memory."""
        return copy.copy(self)

    def _own(self, reply: Message) -> Message | None:
        """Return the reply as the user's message, text or calls, or None if it is empty."""
        if not reply.tool_calls and reply.content:
            reply = parse_assistant_text(reply.content)
        if reply.tool_calls:
            numbered = []
            for call in reply.tool_calls:
                self._calls += 1
                numbered.append(call.model_copy(update={"id": f"user_{self._calls}", "requestor": "user"}))
            return Message(role="user", tool_calls=tuple(numbered))
        text = (reply.content or "").strip()
        return Message(role="user", content=text) if text else None


def _exchanged(message: Message) -> Message:
    """Return a message as the model behind the user sees it."""
    return message.model_copy(update={"role": "user"}) if message.role == "assistant" else message


@cache
def _phone_tools() -> tuple[dict[str, Any], ...]:
    from telegym.tools.tau2_telecom import dual_toolkit  # the tools import the environment, which may import users

    return tuple(dual_toolkit().schemas("user"))
