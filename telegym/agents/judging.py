"""Judges that are language models: behind an OpenAI-compatible endpoint, or on this machine with transformers.

`ChatBackend` and `LocalBackend` answer the requests of `telegym.rewards.grm`. `ModelJudge` is the reward of kind
`judge`, made of plain settings; `JudgedText` judges answers in words. torch is imported only for a local model.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from telegym.agents._wire import Reply
from telegym.agents.chat import ChatClient, ChatRequest, ChatSettings, ContextLengthError
from telegym.core.errors import ConfigurationError, InfrastructureError, did_you_mean
from telegym.core.score import Failure, Score
from telegym.core.settings import Settings, parse_settings
from telegym.rewards.answer.numeric import check_choice
from telegym.rewards.answer.text import Comparison, TextReward
from telegym.rewards.base import Reward, Run, Sitting
from telegym.rewards.cache import JsonStore
from telegym.rewards.grm.answers import GenerativeAnswerJudge
from telegym.rewards.grm.asking import Budget, Health, SharedBatch, Tally
from telegym.rewards.grm.backend import Backend, Choice, JudgeReply, JudgeRequest, Token
from telegym.rewards.grm.calibration import Calibration
from telegym.rewards.grm.judge import GenerativeJudge
from telegym.rewards.grm.listwise import ListwiseJudge
from telegym.rewards.grm.meta import MetaJudge
from telegym.rewards.grm.panel import JudgeSettings, Panel

__all__ = ["ChatBackend", "Endpoint", "JudgedText", "LocalBackend", "ModelJudge", "make_backend", "make_panel"]

_PREFIXES = ("openai", "local")


class ChatBackend:
    """A judge behind an OpenAI-compatible endpoint. Safe to use from several threads.

    Args:
        client: Where it is, and how it is asked; requests run in parallel, up to the client's limit.
        revision: Which state of the model; endpoints do not say.
        structured: Whether the endpoint enforces a JSON Schema given as `response_format`.
    """

    def __init__(self, client: ChatClient, *, revision: str = "", structured: bool = False) -> None:
        self.client = client
        self.revision = revision
        self.structured = structured

    @property
    def model(self) -> str:
        """Name of the model, as the endpoint knows it."""
        return self.client.settings.model

    def complete(self, requests: Sequence[JudgeRequest], *, seconds: float | None = None) -> list[JudgeReply | Failure]:
        """Answer requests in parallel; outages, refusals and time-outs are failures of the infrastructure."""
        replies = self.client.ask_all([_chat_request(request) for request in requests], seconds=seconds)
        return [_judge_reply(reply) for reply in replies]


def _chat_request(request: JudgeRequest) -> ChatRequest:
    schema = request.json_schema
    wanted = None if schema is None else {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
    return ChatRequest(
        request.messages,
        seed=request.seed,
        n=request.n,
        temperature=request.temperature,
        max_tokens=request.max_tokens,
        logprobs=request.logprobs,
        response_format=wanted,
    )


def _judge_reply(reply: Reply | InfrastructureError) -> JudgeReply | Failure:
    if isinstance(reply, ContextLengthError):
        return Failure(party="judge", message=f"the run is too long for the judge: {reply}")
    if isinstance(reply, InfrastructureError):
        return Failure(party="infrastructure", message=str(reply))
    choices = tuple(_choice(each) for each in (reply, *reply.others))
    return JudgeReply(choices, reply.prompt_tokens, reply.completion_tokens, reply.retries)


def _choice(reply: Reply) -> Choice:
    tokens = tuple(Token(token.text, token.logprob, token.top) for token in reply.tokens)
    return Choice(reply.message.content or "", reply.finish_reason, tokens)


class LocalBackend:
    """A judge on this machine, with transformers. Safe to use from several threads, one at a time.

    Args:
        path: A folder, or a name on the model hub.
        revision: Which state of the model.
        device: Where it runs; by default a GPU if there is one.
        rows: Answers written at once.
        template_options: Passed to the chat template, for example `enable_thinking: false`.

    Raises:
        ConfigurationError: If there is no such model.
    """

    structured = False

    def __init__(
        self,
        path: str,
        *,
        revision: str = "",
        device: str | None = None,
        rows: int = 32,
        template_options: Mapping[str, bool | int | str] | None = None,
    ) -> None:
        import torch

        from telegym.agents.local import load_model, load_tokenizer
        from telegym.agents.prompting import ChatCodec, PromptProfile

        self.model = path
        self.revision = revision
        self._model = load_model(path).to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        profile = PromptProfile(tools="none", policy="none", template_options=dict(template_options or {}))
        self._codec = ChatCodec(load_tokenizer(path), profile)
        self._context = int(self._model.config.get_text_config().max_position_embeddings)
        self._rows = rows
        self._lock = Lock()

    def complete(self, requests: Sequence[JudgeRequest], *, seconds: float | None = None) -> list[JudgeReply | Failure]:
        """Answer requests together; those sampled alike share batches."""
        deadline = None if seconds is None else time.monotonic() + seconds
        replies: dict[int, JudgeReply | Failure] = {}
        groups: dict[tuple[float, int], list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault((request.temperature, request.max_tokens), []).append(place)
        with self._lock:
            for places in groups.values():
                answers = self._answer([requests[place] for place in places], deadline)
                replies.update(zip(places, answers, strict=True))
        return [replies[place] for place in range(len(requests))]

    def _answer(self, requests: Sequence[JudgeRequest], deadline: float | None) -> list[JudgeReply | Failure]:
        prompts = [self._codec.conversation(request.messages) for request in requests]
        wanted = {
            (row, number): prompt
            for row, (request, prompt) in enumerate(zip(requests, prompts, strict=True))
            for number in range(request.n)
            if len(prompt) + 1 < self._context
        }
        turns = self._sample(requests, wanted, deadline)
        return [
            self._reply(request, prompt, [turns.get((row, number)) for number in range(request.n)])
            for row, (request, prompt) in enumerate(zip(requests, prompts, strict=True))
        ]

    def _sample(
        self, requests: Sequence[JudgeRequest], wanted: Mapping[tuple[int, int], list[int]], deadline: float | None
    ) -> dict[tuple[int, int], Any]:
        """Return the turns that were written before the deadline."""
        from telegym.agents.generation import GenerationEngine, Sampling, evaluating

        first = requests[0]
        sampling = Sampling(temperature=first.temperature, turn_tokens=first.max_tokens, context=self._context)
        session = GenerationEngine(self._model, self._codec.stop_ids, sampling, self._rows).session()
        keys = list(wanted)
        turns: dict[tuple[int, int], Any] = {}
        with evaluating(self._model):
            for index, (row, number) in enumerate(keys):
                session.start(index, wanted[row, number], random.Random(f"judge/{requests[row].seed}/{number}"))
            while session.busy and (deadline is None or time.monotonic() < deadline):
                for turn in session.step():
                    turns[keys[turn.index]] = turn
                    session.drop(turn.index)
        return turns

    def _reply(self, request: JudgeRequest, prompt: list[int], turns: Sequence[Any]) -> JudgeReply | Failure:
        written = [turn for turn in turns if turn is not None]
        if len(prompt) + 1 >= self._context:
            message = f"the run is too long for the judge: {len(prompt)} tokens, and it reads {self._context}"
            return Failure(party="judge", message=message)
        if len(written) < len(turns):
            return Failure(party="infrastructure", message=f"{self.model} gave no answer within the time allowed")
        tokens = self._tokens(prompt, written, request.logprobs) if request.logprobs else [()] * len(written)
        choices = tuple(
            Choice(self._codec.text(turn.ids), "stop" if turn.complete else "length", spelt)
            for turn, spelt in zip(written, tokens, strict=True)
        )
        return JudgeReply(choices, len(prompt), sum(len(turn.ids) for turn in written))

    def _tokens(self, prompt: list[int], turns: Sequence[Any], count: int) -> list[tuple[Token, ...]]:
        """Return the tokens of answers with the likeliest alternatives, read off in one more pass."""
        import torch

        from telegym.agents.training.scoring import likely_tokens

        device = self._model.device
        sequences = [torch.tensor([*prompt, *turn.ids], device=device) for turn in turns]
        masks = [torch.arange(len(sequence), device=device) >= len(prompt) for sequence in sequences]
        with torch.inference_mode():
            found = likely_tokens(self._model, sequences, masks, count)
        spell = self._codec.tokenizer.decode
        return [
            tuple(
                Token(spell([token]), likely.logprob, tuple((spell([other]), logprob) for other, logprob in likely.top))
                for token, likely in zip(turn.ids, row, strict=True)
            )
            for turn, row in zip(turns, found, strict=True)
        ]


class Endpoint(Settings):
    """Where a judge is, and how it is reached."""

    base_url: str | None = None
    """Endpoint up to and including `/v1`; None takes the environment variable OPENAI_BASE_URL, or OpenAI's own."""
    api_key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the API key."""
    revision: str = ""
    """Which state of the model: kept answers of another are not used."""
    structured: bool = False
    """Whether it enforces a JSON Schema given as `response_format`, as vLLM does."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of requests."""
    parallel: PositiveInt = 32
    """Most requests at once; for a local model, answers written at once."""
    timeout: PositiveFloat = 300.0
    """Seconds until an attempt is given up."""
    retries: NonNegativeInt = 5
    """Further attempts after the first."""
    device: str | None = None
    """Where a local model runs; by default a GPU if there is one."""


def make_backend(model: str, endpoint: Endpoint | None = None) -> Backend:
    """Return what answers for a model.

    Args:
        model: `openai:NAME` for a model behind an endpoint, `local:PATH` for a folder or a name on the model hub.
        endpoint: Where it is, and how it is reached.

    Raises:
        ConfigurationError: If the name has no valid prefix, a setting has no valid value, or there is no such model.
    """
    reached = endpoint or Endpoint()
    prefix, _, name = model.partition(":")
    if not name or prefix not in _PREFIXES:
        hint = did_you_mean(prefix, _PREFIXES)
        raise ConfigurationError(f"no judge {model!r}; valid: openai:NAME, local:PATH.{hint}")
    if prefix == "local":
        return LocalBackend(name, revision=reached.revision, device=reached.device, rows=reached.parallel)
    settings = reached.model_dump(
        include={"base_url", "api_key_variable", "extra_body", "parallel", "timeout", "retries"}
    )
    client = ChatClient(ChatSettings.of(name, stream=False, **settings))
    return ChatBackend(client, revision=reached.revision, structured=reached.structured)


def make_panel(
    model: str,
    asking: JudgeSettings | None = None,
    *,
    endpoint: Endpoint | None = None,
    cache: str | None = None,
    replay: bool = False,
    budget: Budget | None = None,
) -> Panel:
    """Return a judge, ready to be asked.

    Args:
        model: `openai:NAME` or `local:PATH`.
        asking: How it is asked.
        endpoint: Where it is, and how it is reached.
        cache: A folder in which answers are kept.
        replay: Whether only kept answers are used.
        budget: What a batch may take.

    Raises:
        ConfigurationError: If there is no such model, or answers are to be replayed and none are kept.
    """
    if replay and cache is None:
        raise ConfigurationError(f"judge {model!r}: `replay` needs a `cache` with the answers")
    store = JsonStore(cache) if cache is not None else None
    return Panel(make_backend(model, endpoint), asking, store=store, replay=replay, budget=budget)


def _told(asking: JudgeSettings | None, votes: int) -> JudgeSettings:
    settings = (asking or JudgeSettings()).model_dump() | {"votes": votes}
    return parse_settings(JudgeSettings, settings, "judge")


class ModelJudge(Reward):
    """The reward of kind `judge`: a language model says whether a run was right, call by call.

    Args:
        model: `openai:NAME` for a model behind an endpoint, `local:PATH` for a folder or a name on the model hub.
        votes: How often it is asked about each run.
        mode: `pointwise`: each run on its own; `listwise`: the runs of a group together, in several orders.
        rubrics: Checks it has to apply.
        asking: How else it is asked.
        endpoint: Where it is, and how it is reached.
        orders: In how many orders a group of more than three is shown.
        flip_limit: Largest share of runs of a group whose verdict may change with the order.
        calibration: A file that corrects its probabilities.
        meta: A file with a judge of votes, which keeps the better half.
        fallback: What stands in where it fails: `group_mean`, or nothing.
        missing_limit: Share of missing verdicts over 20 batches above which `health` gives an alarm.
        cache: A folder in which answers are kept.
        replay: Whether only kept answers are used.
        budget: What a batch may take: `requests`, `tokens`, `seconds`.

    Raises:
        ConfigurationError: If a setting has no valid value, or there is no such model or file.
    """

    name = "judge"
    waits = True
    persuadable = True

    def __init__(
        self,
        *,
        model: str,
        votes: PositiveInt = 4,
        mode: Literal["pointwise", "listwise"] = "pointwise",
        rubrics: tuple[str, ...] = (),
        asking: JudgeSettings | None = None,
        endpoint: Endpoint | None = None,
        orders: PositiveInt = 3,
        flip_limit: NonNegativeFloat = 0.2,
        calibration: str | None = None,
        meta: str | None = None,
        fallback: Literal["group_mean"] | None = None,
        missing_limit: NonNegativeFloat = 0.1,
        cache: str | None = None,
        replay: bool = False,
        budget: Budget | None = None,
    ) -> None:
        check_choice("mode", mode, ("pointwise", "listwise"))
        told = _told(asking, votes)
        compares = told.style in ("scores", "preference")
        if compares and mode == "pointwise":
            raise ConfigurationError(f"style {told.style!r} compares runs, so it needs mode 'listwise'")
        alone = told.model_copy(update={"style": "text"}) if compares else told
        panel = make_panel(model, alone, endpoint=endpoint, cache=cache, replay=replay, budget=budget)
        self.groupwise = mode == "listwise"
        self.health = Health(missing_limit)
        self.pointwise = GenerativeJudge(
            panel,
            calibration=Calibration.read(calibration) if calibration is not None else None,
            meta=MetaJudge.read(meta) if meta is not None else None,
            rubrics=rubrics,
            fallback=() if fallback is None else (fallback,),
            health=self.health,
        )
        single = told.model_copy(update={"votes": 1, "scoring": "votes"})
        together = panel.like(single)
        self.listwise = ListwiseJudge(
            together, pointwise=self.pointwise, orders=orders, flip_limit=flip_limit, health=self.health
        )

    @property
    def tallies(self) -> dict[str, Tally]:
        """What was really used so far, for runs on their own and for groups."""
        return {"pointwise": self.pointwise.tally, "listwise": self.listwise.tally}

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return one judgement for each run, in order."""
        return (self.listwise if self.groupwise else self.pointwise).score(runs)

    def sitting(self) -> Sitting | None:
        """Return the judge as it is asked while other runs go on; None for a model on this machine, which is busy.

        With a budget it is asked about whole batches, as otherwise, since a batch shares the budget.
        """
        asker = self.pointwise.panel.asker
        if isinstance(asker.backend, LocalBackend):
            return None
        if asker.budget != Budget():
            return _Whole(self)
        return _Groups(self) if self.groupwise else _Singly(self.pointwise)


class _Whole(Sitting):
    """Asked about a batch when all its runs have ended."""

    def __init__(self, reward: Reward) -> None:
        self._reward = reward

    def consider(self, runs: Sequence[Run]) -> list[Score]:
        return self._reward.score(runs)


class _Groups(_Whole):
    """Asked about a group when all its runs have ended."""

    piece = "group"


class _Singly(Sitting):
    """Asked about a run when it has ended; equal questions of a batch are asked once."""

    piece = "run"

    def __init__(self, judge: GenerativeJudge) -> None:
        self._judge = judge
        self._batch = SharedBatch(judge.panel.asker)

    def consider(self, runs: Sequence[Run]) -> list[Score]:
        return list(self._judge.judge(runs, self._batch))

    def settle(self, runs: Sequence[Run], scores: Sequence[Score]) -> list[Score]:
        return self._judge.settled(runs, scores)


class JudgedText(TextReward):
    """The reward of kind `judged-text`: answers in words, judged by a language model where they equal no reference.

    Args:
        model: `openai:NAME` for a model behind an endpoint, `local:PATH` for a folder or a name on the model hub.
        votes: How often it is asked about each answer.
        rubrics: Checks it has to apply.
        asking: How else it is asked.
        endpoint: Where it is, and how it is reached.
        cache: A folder in which answers are kept.
        replay: Whether only kept answers are used.
        budget: What a batch may take: `requests`, `tokens`, `seconds`.
        compare: `normalised` or `exact`.
        threshold: From which score of the judge an answer is right; None keeps the score.
        show_reference: Whether an unsure judge is asked again with the reference.
        sources: Where the answer may stand, in order of preference: tool, tag, boxed, text.
        tools: Tools whose calls give the answer.
        argument: The argument of these tools that holds it.
        tag: Name of the tags around an answer.
        once: Whether the tags have to occur exactly once.
        reference: The key of the task's data with the right answer, or a list of them.
        question: The key of the task's data with the question; the task's ticket where there is no such key.

    Raises:
        ConfigurationError: If a setting has no valid value, or there is no such model.
    """

    waits = True
    persuadable = True

    def __init__(
        self,
        *,
        model: str,
        votes: PositiveInt = 4,
        rubrics: tuple[str, ...] = (),
        asking: JudgeSettings | None = None,
        endpoint: Endpoint | None = None,
        cache: str | None = None,
        replay: bool = False,
        budget: Budget | None = None,
        compare: Comparison = "normalised",
        threshold: float | None = None,
        show_reference: bool = True,
        sources: Sequence[str] = ("tool", "tag", "boxed", "text"),
        tools: Sequence[str] = ("submit_answer",),
        argument: str = "answer",
        tag: str = "answer",
        once: bool = False,
        reference: str = "answer",
        question: str = "question",
    ) -> None:
        told = _told(asking, votes)
        check_choice("asking.style", told.style, ("text", "json"))
        panel = make_panel(model, told, endpoint=endpoint, cache=cache, replay=replay, budget=budget)
        super().__init__(
            judge=GenerativeAnswerJudge(panel, ask_whether_sure=show_reference, rubrics=rubrics),
            compare=compare,
            threshold=threshold,
            show_reference=show_reference,
            sources=sources,
            tools=tools,
            argument=argument,
            tag=tag,
            once=once,
            reference=reference,
            question=question,
        )
        self._apart = not isinstance(panel.asker.backend, LocalBackend)

    def sitting(self) -> Sitting | None:
        """Return the reward as it is asked while other runs go on; None for a model on this machine, which is busy."""
        return _Whole(self) if self._apart else None
