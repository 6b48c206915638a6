"""A panel: one judge asked several times, whose readable replies are votes.

A reply that cannot be read is answered once with the request for the JSON alone; if that cannot be read either, the
vote is a typed failure. It is never a vote against the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt

from telegym.core.messages import Message
from telegym.core.score import Failure
from telegym.core.world import sha256_hex
from telegym.rewards.grm.asking import Answer, Asker, Batch, Budget, Prices, Question, ReplyStore, Tally
from telegym.rewards.grm.backend import Backend, Choice
from telegym.rewards.grm.judge_input import JudgeInput
from telegym.rewards.grm.prompting import Language, PromptName, Style, prompt_messages, prompt_version, reask_message
from telegym.rewards.grm.verdicts import UnreadableVerdictError

__all__ = ["Case", "JudgeSettings", "Panel", "Vote"]

Read = TypeVar("Read")

_VOTE_TEMPERATURE = 0.7


class JudgeSettings(BaseModel):
    """How a judge is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    votes: PositiveInt = 4
    """How often it is asked about each run."""
    scoring: Literal["auto", "votes", "logprobs"] = "auto"
    """`votes`: a score is (n1 + 1/2) / (n + 1) with n1 of n votes in favour; `logprobs`: the mean probability of the
    positive verdict; `auto`: `logprobs` for a single vote and `votes` for several."""
    temperature: NonNegativeFloat | None = None
    """Sampling temperature; by default 0 for a single vote and 0.7 for several."""
    max_tokens: PositiveInt = 1024
    """Longest reply, in tokens."""
    top_logprobs: PositiveInt = 10
    """How many of the likeliest tokens are asked for at each position, where log-probabilities are needed."""
    language: Language = "en"
    """Language of the prompts."""
    style: Style = "text"
    """Form of the reply; `json` is enforced by a schema where the backend can."""
    principles: bool = False
    """Whether the judge first names the checks that matter most."""
    together: bool = False
    """Whether all votes on a run are asked for in one request, which reads the prompt once."""
    text_characters: PositiveInt = 2_000
    """Longer observations and utterances lose their middle."""
    characters: PositiveInt = 60_000
    """If a transcript is longer than this, its texts are shortened further; never the calls."""
    prices: Prices = Prices()
    """What tokens cost."""

    @property
    def by_logprobs(self) -> bool:
        """Whether scores come from log-probabilities."""
        return self.scoring == "logprobs" or (self.scoring == "auto" and self.votes == 1)

    @property
    def sampling_temperature(self) -> float:
        """The temperature in force."""
        if self.temperature is not None:
            return self.temperature
        return 0.0 if self.votes == 1 else _VOTE_TEMPERATURE

    @property
    def needed(self) -> int:
        """How many readable votes a score needs: half of them, rounded up."""
        return -(-self.votes // 2)


@dataclass(frozen=True, slots=True)
class Case(Generic[Read]):
    """Something to be voted on."""

    prompt: PromptName
    """What is asked."""
    inputs: tuple[JudgeInput, ...]
    """What is judged."""
    votes: int
    """How many votes."""
    read: Callable[[str], Read]
    """Reads a reply; raises `UnreadableVerdictError`."""
    fields: tuple[str, ...] = ()
    """Fields of the JSON in a reply; none where the judge has a form of its own and is not asked again."""
    json_schema: dict[str, Any] | None = None
    """JSON Schema of the reply where it is JSON alone."""


@dataclass(frozen=True, slots=True)
class Vote(Generic[Read]):
    """One vote."""

    verdict: Read | None = None
    """What was read, or None."""
    failure: Failure | None = None
    """Why nothing was read; set if and only if there is no verdict."""
    choice: Choice | None = None
    """The reply that was read."""
    asked_again: bool = False
    """Whether the judge had to be asked again."""
    conflict: bool = False
    """Whether a reply contradicted itself."""
    requests: int = 0
    """Answers it took, from the store or not."""
    prompt_tokens: int = 0
    """Tokens read for them."""
    completion_tokens: int = 0
    """Tokens written for them."""
    retries: int = 0
    """Attempts beyond the first."""


class Panel:
    """Asks one judge for votes.

    Args:
        backend: Who answers.
        settings: How it is asked.
        store: Keeps answers, so that nothing is asked twice; None keeps none.
        replay: Whether only kept answers are used; what has none fails.
        budget: What a batch may take.

    Raises:
        ConfigurationError: If there is no prompt in the language.
    """

    def __init__(
        self,
        backend: Backend,
        settings: JudgeSettings | None = None,
        *,
        store: ReplyStore | None = None,
        replay: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self.settings = settings or JudgeSettings()
        self.asker = Asker(
            backend,
            temperature=self.settings.sampling_temperature,
            max_tokens=self.settings.max_tokens,
            logprobs=self.settings.top_logprobs if self.settings.by_logprobs else 0,
            store=store,
            replay=replay,
            budget=budget,
            together=self.settings.together,
        )

    def like(self, settings: JudgeSettings) -> Panel:
        """Return the same judge, asked in another way."""
        asker = self.asker
        return Panel(asker.backend, settings, store=asker.store, replay=asker.replay, budget=asker.budget)

    @property
    def tally(self) -> Tally:
        """What was really used so far."""
        return self.asker.tally

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Open a batch with a budget of its own."""
        with self.asker.batch() as batch:
            yield batch

    def vote(self, batch: Batch, cases: Sequence[Case[Read]]) -> list[list[Vote[Read]]]:
        """Return the votes on each case, in order; all are asked for at once, and then those to be asked again."""
        asked = [question for case in cases for question in self._questions(case)]
        owners = [case for case in cases for _ in range(case.votes)]
        votes = [_vote(case, answer) for case, answer in zip(owners, batch.ask(asked), strict=True)]
        again = [
            place for place, vote in enumerate(votes) if vote.verdict is None and vote.choice and owners[place].fields
        ]
        second = [self._again(asked[place], owners[place], votes[place]) for place in again]
        for place, answer in zip(again, batch.ask(second) if second else [], strict=True):
            votes[place] = _joined(votes[place], _vote(owners[place], answer))
        rest = iter(votes)
        return [[next(rest) for _ in range(case.votes)] for case in cases]

    def _questions(self, case: Case[Read]) -> list[Question]:
        settings = self.settings
        messages = prompt_messages(
            case.prompt, case.inputs, language=settings.language, style=settings.style, principles=settings.principles
        )
        version = prompt_version(case.prompt, settings.language)
        judged = sha256_hex("\n".join(item.key for item in case.inputs))
        schema = case.json_schema if settings.style == "json" and self.asker.backend.structured else None
        return [Question(messages, version, judged, vote, 0, schema) for vote in range(case.votes)]

    def _again(self, question: Question, case: Case[Read], vote: Vote[Read]) -> Question:
        """Ask once more, for the JSON alone."""
        assert vote.choice is not None and vote.failure is not None
        said = Message(role="assistant", content=vote.choice.text)
        request = reask_message(self.settings.language, vote.failure.message, case.fields)
        schema = case.json_schema if self.asker.backend.structured else None
        return replace(question, messages=(*question.messages, said, request), attempt=1, json_schema=schema)


def _vote(case: Case[Read], answer: Answer | Failure) -> Vote[Read]:
    if isinstance(answer, Failure):
        return Vote(failure=answer)
    verdict: Read | None = None
    failure, conflict = None, False
    try:
        verdict = case.read(answer.choice.text)
    except UnreadableVerdictError as error:
        problem = f"{error}{' (it was cut off)' if answer.choice.finish == 'length' else ''}"
        failure, conflict = Failure(party="judge", message=problem), error.kind == "conflict"
    return Vote(
        verdict=verdict,
        failure=failure,
        choice=answer.choice,
        conflict=conflict,
        requests=1,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        retries=answer.retries,
    )


def _joined(first: Vote[Read], second: Vote[Read]) -> Vote[Read]:
    """Return the second vote with what both took."""
    return replace(
        second,
        asked_again=True,
        conflict=first.conflict or second.conflict,
        requests=first.requests + second.requests,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        retries=first.retries + second.retries,
    )
