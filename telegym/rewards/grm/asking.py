"""Asks a judge in batches: what was answered before is not asked again, and nothing costs more than was allowed.

Every answer is kept under the digest of all that decided it: model, revision, versions of prompt and parser, what was
judged, sampling and number of the vote. A batch has a budget; what exceeds it fails and says so.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

from telegym.core.errors import InfrastructureError, JudgeError
from telegym.core.messages import Message
from telegym.core.score import Failure
from telegym.core.world import sha256_hex
from telegym.rewards.grm.backend import Backend, Choice, JudgeReply, JudgeRequest, Token
from telegym.rewards.grm.judge_input import plain_json
from telegym.rewards.grm.verdicts import PARSER_VERSION

__all__ = ["Answer", "Asker", "Batch", "Budget", "Health", "Prices", "Question", "ReplyStore", "SharedBatch", "Tally"]


class ReplyStore(Protocol):
    """Keeps answers by key: JSON values by text. Safe to use from several threads."""

    def get(self, key: str) -> Any:
        """Return what is kept under a key, or None."""
        ...

    def set(self, key: str, value: Any) -> Any:
        """Keep a value."""
        ...


class Budget(BaseModel):
    """What one batch may take. None means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: PositiveInt | None = None
    """Requests."""
    tokens: PositiveInt | None = None
    """Tokens, read and written; checked between waves of requests, so the last wave may exceed it."""
    seconds: PositiveFloat | None = None
    """Time; what was answered by then counts."""


class Prices(BaseModel):
    """What tokens cost, per million, in whatever currency the report is to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: NonNegativeFloat = 0.0
    """A million tokens read."""
    completion: NonNegativeFloat = 0.0
    """A million tokens written."""

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what tokens cost."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


@dataclass(slots=True)
class Tally:
    """What a judge has really used so far; answers from the store cost nothing."""

    requests: int = 0
    """Requests sent and answered."""
    cached: int = 0
    """Answers that came from the store."""
    failures: int = 0
    """Requests without an answer."""
    retries: int = 0
    """Attempts beyond the first."""
    prompt_tokens: int = 0
    """Tokens read."""
    completion_tokens: int = 0
    """Tokens written."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, reply: JudgeReply | Failure) -> None:
        """Count what a request brought."""
        with self._lock:
            if isinstance(reply, Failure):
                self.failures += 1
                return
            self.requests += 1
            self.retries += reply.retries
            self.prompt_tokens += reply.prompt_tokens
            self.completion_tokens += reply.completion_tokens

    def add_cached(self) -> None:
        """Count an answer from the store."""
        with self._lock:
            self.cached += 1


class Health:
    """Watches how often a judge fails, over the last batches.

    Args:
        limit: Largest share of verdicts that may be missing.
        batches: Over how many batches; before so many have been seen there is no alarm.
        alarm: Called with an explanation when the limit is exceeded, once until it is met again.
    """

    def __init__(self, limit: float = 0.1, batches: int = 20, alarm: Callable[[str], None] | None = None) -> None:
        self.limit = limit
        self._counts: deque[tuple[int, int]] = deque(maxlen=batches)
        self._alarm = alarm
        self._lock = Lock()
        self.alarmed = False
        """Whether too many verdicts are missing: a training on this judge should stop."""

    @property
    def rate(self) -> float:
        """Share of missing verdicts over the last batches."""
        total = sum(count for _, count in self._counts)
        return sum(missing for missing, _ in self._counts) / total if total else 0.0

    def add(self, missing: int, count: int) -> None:
        """Count a batch; one without verdicts to give says nothing."""
        if not count:
            return
        with self._lock:
            self._counts.append((missing, count))
            full = len(self._counts) == self._counts.maxlen
            raised = full and self.rate > self.limit
            call = raised and not self.alarmed and self._alarm is not None
            self.alarmed = raised
            message = (
                f"the judge gave no verdict on {self.rate:.0%} of the runs of the last {len(self._counts)} batches"
            )
        if call and self._alarm is not None:
            self._alarm(f"{message}; at most {self.limit:.0%} may be missing")


@dataclass(frozen=True, slots=True)
class Question:
    """One vote that is asked for."""

    messages: tuple[Message, ...]
    """The conversation."""
    prompt: str
    """Name and version of the prompt."""
    judged: str
    """Digest of what is judged."""
    vote: int = 0
    """Number of the vote, from 0."""
    attempt: int = 0
    """0, or 1 when a judge is asked again."""
    json_schema: dict[str, Any] | None = None
    """JSON Schema of the answer, if one is to be enforced."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a judge answered, now or earlier."""

    choice: Choice
    """The answer."""
    prompt_tokens: int
    """Tokens read for it."""
    completion_tokens: int
    """Tokens written for it."""
    retries: int
    """Attempts beyond the first."""


class Asker:
    """Asks one judge.

    Args:
        backend: Who answers.
        temperature: Sampling temperature.
        max_tokens: Longest answer, in tokens.
        logprobs: How many of the likeliest tokens to ask for at each position.
        store: Keeps answers; None keeps none.
        replay: Whether only kept answers are used; a question that has none fails.
        budget: What a batch may take.
        together: Whether votes on one input share a request, which reads the prompt once; otherwise each has its own.
        wave: Most requests sent at once where the budget limits tokens.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        temperature: float = 0.0,
        max_tokens: int = 1024,
        logprobs: int = 0,
        store: ReplyStore | None = None,
        replay: bool = False,
        budget: Budget | None = None,
        together: bool = False,
        wave: int = 64,
    ) -> None:
        self.backend = backend
        self.tally = Tally()
        self.store = store
        self.replay = replay
        self.budget = budget or Budget()
        self.sampling = {"temperature": temperature, "max_tokens": max_tokens, "logprobs": logprobs}
        self.temperature, self.max_tokens, self.logprobs = temperature, max_tokens, logprobs
        self.together, self.wave = together, wave

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Open a batch with a budget of its own."""
        yield Batch(self)

    def key(self, question: Question) -> str:
        """Return the digest under which the answer to a question is kept."""
        return sha256_hex(
            plain_json(
                {
                    "model": self.backend.model,
                    "revision": self.backend.revision,
                    "prompt": question.prompt,
                    "parser": PARSER_VERSION,
                    "judged": question.judged,
                    "messages": [[message.role, message.content] for message in question.messages],
                    "schema": question.json_schema,
                    "sampling": self.sampling,
                    "together": self.together,
                    "vote": question.vote,
                    "attempt": question.attempt,
                }
            )
        )


class Batch:
    """Questions that share a budget.

    Args:
        asker: Who asks.
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._requests = self._tokens = 0
        self._start = time.monotonic()

    def ask(self, questions: Sequence[Question]) -> list[Answer | Failure]:
        """Return the answers to questions, in their order; equal questions are asked once."""
        keys = [self._asker.key(question) for question in questions]
        asked = dict(zip(keys, questions, strict=True))
        answers = {key: answer for key in asked if (answer := self._kept(key)) is not None}
        missing = {key: question for key, question in asked.items() if key not in answers}
        if self._asker.replay:
            answers |= {key: _not_kept(question) for key, question in missing.items()}
        else:
            answers |= self._send(_groups(missing, self._asker.together))
        return [answers[key] for key in keys]

    def _kept(self, key: str) -> Answer | Failure | None:
        store = self._asker.store
        value = store.get(key) if store is not None else None
        if value is None:
            return None
        self._asker.tally.add_cached()
        return _read_answer(value)

    def _send(self, groups: Sequence[dict[str, Question]]) -> dict[str, Answer | Failure]:
        """Send one request for each group, in waves, as long as the budget lasts."""
        answers: dict[str, Answer | Failure] = {}
        size = self._asker.wave if self._asker.budget.tokens is not None else max(1, len(groups))
        for start in range(0, len(groups), size):
            wave = list(groups[start : start + size])
            allowed, refusal = self._allowed(len(wave))
            for group in wave[allowed:]:
                answers |= dict.fromkeys(group, _failed(refusal))
            if allowed:
                answers |= self._send_wave(wave[:allowed])
        return answers

    def _allowed(self, wanted: int) -> tuple[int, str]:
        """Return how many requests the budget allows, and what to say of the others."""
        budget = self._asker.budget
        if budget.tokens is not None and self._tokens >= budget.tokens:
            return 0, f"the budget of {budget.tokens} tokens for this batch is used up"
        if budget.seconds is not None and self._left() == 0.0:
            return 0, f"the {budget.seconds:g} seconds for this batch are over"
        if budget.requests is None:
            return wanted, ""
        refusal = f"the budget of {budget.requests} requests for this batch is used up"
        return min(wanted, budget.requests - self._requests), refusal

    def _left(self) -> float | None:
        seconds = self._asker.budget.seconds
        return None if seconds is None else max(0.0, self._start + seconds - time.monotonic())

    def _send_wave(self, groups: Sequence[dict[str, Question]]) -> dict[str, Answer | Failure]:
        self._requests += len(groups)
        replies = self._complete([self._request(group) for group in groups])
        answers: dict[str, Answer | Failure] = {}
        for group, reply in zip(groups, replies, strict=True):
            self._asker.tally.add(reply)
            if isinstance(reply, JudgeReply):
                self._tokens += reply.prompt_tokens + reply.completion_tokens
            answers |= self._answers(group, reply)
        return answers

    def _complete(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply | Failure]:
        """Ask the backend; if it fails as a whole, so does each request."""
        try:
            replies = self._asker.backend.complete(requests, seconds=self._left())
        except JudgeError as error:
            return [_failed(str(error))] * len(requests)
        except InfrastructureError as error:
            return [Failure(party="infrastructure", message=str(error))] * len(requests)
        missing = len(requests) - len(replies)
        return [*replies[: len(requests)], *[_failed("the backend left the request out")] * missing]

    def _request(self, group: dict[str, Question]) -> JudgeRequest:
        key, question = next(iter(group.items()))
        asker = self._asker
        return JudgeRequest(
            messages=question.messages,
            seed=int(key[:8], 16) & 0x7FFFFFFF,
            n=len(group),
            temperature=asker.temperature,
            max_tokens=asker.max_tokens,
            logprobs=asker.logprobs,
            json_schema=question.json_schema,
        )

    def _answers(self, group: dict[str, Question], reply: JudgeReply | Failure) -> dict[str, Answer | Failure]:
        """Share a reply among the votes that asked for it; the first one bears the prompt."""
        if isinstance(reply, Failure):
            return dict.fromkeys(group, reply)
        answers: dict[str, Answer | Failure] = {}
        shares = _shares(reply, len(group))
        for (key, question), choice, share in zip(group.items(), _padded(reply, len(group)), shares, strict=True):
            if choice is None:
                answers[key] = _failed(f"the judge gave {len(reply.choices)} of {len(group)} answers")
                continue
            first = key == next(iter(group))
            answer = Answer(_slim(choice), reply.prompt_tokens if first else 0, share, reply.retries if first else 0)
            if self._asker.store is not None:
                self._asker.store.set(key, _write_answer(answer, question, self._asker.backend))
            answers[key] = answer
        return answers


class SharedBatch(Batch):
    """A batch without a budget whose questions come from several threads; equal ones are asked once.

    Args:
        asker: Who asks.
    """

    def __init__(self, asker: Asker) -> None:
        super().__init__(asker)
        self._lock = Lock()
        self._known: dict[str, Future[Answer | Failure]] = {}

    def ask(self, questions: Sequence[Question]) -> list[Answer | Failure]:
        """Return the answers to questions, in their order; one that another thread asks already is waited for."""
        keys = [self._asker.key(question) for question in questions]
        own: dict[str, Question] = {}
        with self._lock:
            for key, question in zip(keys, questions, strict=True):
                if key not in self._known:
                    self._known[key], own[key] = Future(), question
        try:
            answers = dict(zip(own, super().ask(list(own.values())), strict=True)) if own else {}
        except BaseException as error:
            for key in own:
                self._known[key].set_exception(error)
            raise
        for key, answer in answers.items():
            self._known[key].set_result(answer)
        return [self._known[key].result() for key in keys]


def _groups(missing: dict[str, Question], together: bool) -> list[dict[str, Question]]:
    """Return which questions share a request: votes on the same messages, if they may."""
    if not together:
        return [{key: question} for key, question in missing.items()]
    groups: dict[tuple[Message, ...], dict[str, Question]] = {}
    for key, question in missing.items():
        groups.setdefault(question.messages, {})[key] = question
    return list(groups.values())


def _padded(reply: JudgeReply, count: int) -> list[Choice | None]:
    return [*reply.choices[:count], *[None] * (count - len(reply.choices))]


def _shares(reply: JudgeReply, count: int) -> list[int]:
    """Split the tokens written evenly; the first has the remainder."""
    each, rest = divmod(reply.completion_tokens, count)
    return [each + rest, *[each] * (count - 1)]


def _failed(message: str) -> Failure:
    return Failure(party="judge", message=message)


def _not_kept(question: Question) -> Failure:
    return _failed(f"no kept answer for vote {question.vote} of prompt {question.prompt}, and replay asks nobody")


def _slim(choice: Choice) -> Choice:
    """Drop the alternatives of tokens that cannot be a verdict: they would be most of what is kept."""
    tokens = (
        token if "0" in token.text or "1" in token.text else Token(token.text, token.logprob) for token in choice.tokens
    )
    return Choice(choice.text, choice.finish, tuple(tokens))


def _write_answer(answer: Answer, question: Question, backend: Backend) -> dict[str, Any]:
    return {
        "model": backend.model,
        "prompt": question.prompt,
        "vote": question.vote,
        "attempt": question.attempt,
        "text": answer.choice.text,
        "finish": answer.choice.finish,
        "tokens": [[token.text, token.logprob, [list(pair) for pair in token.top]] for token in answer.choice.tokens],
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "retries": answer.retries,
    }


def _read_answer(value: dict[str, Any]) -> Answer:
    tokens = tuple(Token(text, logprob, tuple((a, b) for a, b in top)) for text, logprob, top in value["tokens"])
    choice = Choice(value["text"], value["finish"], tokens)
    return Answer(choice, value["prompt_tokens"], value["completion_tokens"], value["retries"])
