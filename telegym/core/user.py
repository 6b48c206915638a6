"""User: the simulated person on the other side of the conversation.

A user speaks one message at a time: either text for the agent, or calls of the user's own tools (the phone). The
episode executes those calls and hands the results back to the user, until the user answers in text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from telegym.core.messages import Message

__all__ = ["OUT_OF_SCOPE", "STOP", "TRANSFER", "User", "is_stop"]

STOP = "###STOP###"
"""In a message: the goal is met, the conversation ends."""
TRANSFER = "###TRANSFER###"
"""In a user's message: the agent has announced a transfer to a human, the conversation ends."""
OUT_OF_SCOPE = "###OUT-OF-SCOPE###"
"""In a user's message: the scenario gives the user nothing to go on with, the conversation ends."""


def is_stop(text: str | None) -> bool:
    """Return whether a text ends the conversation."""
    return text is not None and "###" in text and (STOP in text or TRANSFER in text or OUT_OF_SCOPE in text)


class User(ABC):
    """A simulated user."""

    deterministic: ClassVar[bool] = True
    """Whether the same messages always get the same answers; if not, replays use the recorded answers."""

    @abstractmethod
    def respond(self, incoming: Sequence[Message]) -> Message:
        """Answer the agent's text, or continue after the results of the user's own tool calls.

        Args:
            incoming: What is new to the user: one assistant message with text, or one tool message for each call of
                the user's last message. Empty when the user speaks first.

        Returns:
            A message of role `user`, with text or with tool calls (requestor `user`), never both.

        Raises:
            InfrastructureError: If a model behind the user cannot be reached.
        """

    @abstractmethod
    def fork(self) -> Self:
        """Return an independent copy with the same memory."""
