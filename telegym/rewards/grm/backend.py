"""What a judge asks of a language model: a batch of requests in, a reply or a typed failure for each out.

The implementations (an endpoint, a local model) live with the agents; tests script their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from telegym.core.messages import Message
from telegym.core.score import Failure

__all__ = ["Backend", "Choice", "JudgeReply", "JudgeRequest", "Token"]


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """One question to a judge."""

    messages: tuple[Message, ...]
    """The conversation, system message included."""
    seed: int
    """Sampling seed."""
    n: int = 1
    """How many answers."""
    temperature: float = 0.0
    """Sampling temperature; 0 takes the most likely token."""
    max_tokens: int = 1024
    """Longest answer, in tokens."""
    logprobs: int = 0
    """How many of the likeliest tokens to report at each position, with their log-probabilities."""
    json_schema: dict[str, Any] | None = None
    """JSON Schema that the answer has to follow, where the backend can enforce one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token the judge wrote, and what it might have written."""

    text: str
    """The token."""
    logprob: float
    """Its log-probability, in nats."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens there with their log-probabilities, in nats."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer."""

    text: str
    """What the judge wrote."""
    finish: str = "stop"
    """Why it stopped; `length` if it was cut off."""
    tokens: tuple[Token, ...] = ()
    """The tokens, if log-probabilities were asked for and are offered."""


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """All answers to one request."""

    choices: tuple[Choice, ...]
    """The answers, at most as many as asked for."""
    prompt_tokens: int = 0
    """Tokens read, as the backend counts them; 0 if it does not say."""
    completion_tokens: int = 0
    """Tokens written, as the backend counts them; 0 if it does not say."""
    retries: int = 0
    """Attempts beyond the first."""


class Backend(Protocol):
    """Answers requests of judges. Safe to use from several threads."""

    @property
    def model(self) -> str:
        """Name of the model."""
        ...

    @property
    def revision(self) -> str:
        """Which state of the model; answers kept for one revision are not used for another."""
        ...

    @property
    def structured(self) -> bool:
        """Whether a JSON Schema can be enforced."""
        ...

    def complete(self, requests: Sequence[JudgeRequest], *, seconds: float | None = None) -> list[JudgeReply | Failure]:
        """Answer independent requests, in their order, several at once.

        Args:
            requests: What is asked.
            seconds: Requests that have no answer by then fail; None waits as long as it takes.

        Returns:
            A reply or a failure for each. One failure does not cost the others.
        """
        ...
