"""Agents behind an OpenAI-compatible endpoint: vLLM, a hosted model, anything that speaks `/chat/completions`.

`ChatClient` sends requests in parallel, streams the answers, retries what may pass and gives up with an
`InfrastructureError` that names the endpoint. `ChatAgent` plays episodes with it. The API key is read from the
environment at every request and kept nowhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from random import Random
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telegym.agents._wire import Reply, StreamAssembler, WireError, events, read_reply, write_messages
from telegym.agents.base import Action, Agent
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError, InfrastructureError, did_you_mean
from telegym.core.messages import Message
from telegym.core.parsing import parse_assistant_text
from telegym.core.score import Failure

if TYPE_CHECKING:
    import httpx

__all__ = ["ChatAgent", "ChatClient", "ChatRequest", "ChatSettings", "ContextLengthError", "Usage"]

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_CONTEXT_FULL = re.compile(r"context[_ ]length|maximum context|max_model_len", re.IGNORECASE)


class ContextLengthError(InfrastructureError):
    """The conversation no longer fits into the model's context."""


class ChatSettings(BaseModel):
    """Where a chat model is and how it is asked."""

    # Who takes a key for the name of a variable shall not find it in an error message.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str
    """Name of the model, as the endpoint knows it."""
    base_url: str | None = Field(default=None, repr=False)
    """Endpoint up to and including `/v1`; None takes the environment variable OPENAI_BASE_URL, or OpenAI's own."""
    api_key_variable: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", repr=False)
    """Environment variable that holds the API key; without it, requests go without a key."""
    temperature: float | None = Field(default=0.0, ge=0)
    """Sampling temperature; None leaves it to the endpoint."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling; None leaves it to the endpoint."""
    max_tokens: int | None = Field(default=1024, ge=1)
    """Longest answer, in tokens; None leaves it to the endpoint."""
    stream: bool = True
    """Whether answers are streamed."""
    send_seed: bool = True
    """Whether each request carries a sampling seed of its own."""
    extra_body: dict[str, Any] = {}
    """Further fields of the request, for example `{"chat_template_kwargs": {"enable_thinking": false}}`."""
    parallel: int = Field(default=32, ge=1)
    """Most requests at once."""
    timeout: float = Field(default=300.0, gt=0)
    """Seconds until an attempt is given up, however much of the answer has come."""
    connect_timeout: float = Field(default=10.0, gt=0)
    """Seconds until an attempt to connect is given up."""
    retries: int = Field(default=5, ge=0)
    """Further attempts after the first."""
    backoff: float = Field(default=0.5, ge=0)
    """Seconds before the second attempt; doubled for each further one."""
    longest_wait: float = Field(default=60.0, ge=0)
    """Longest wait between attempts, in seconds, whatever the server asks for."""

    @classmethod
    def of(cls, model: str, **settings: Any) -> Self:
        """Check settings that a person has written.

        Raises:
            ConfigurationError: If one is unknown or has no valid value.
        """
        valid = [name for name in cls.model_fields if name != "model"]
        for name in settings:
            if name not in valid:
                hint = did_you_mean(name, valid)
                raise ConfigurationError(f"chat models have no option {name!r}; valid: {', '.join(valid)}.{hint}")
        try:
            return cls(model=model, **settings)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"option {name!r} of chat model {model!r}: {first['msg']}") from None

    @property
    def url(self) -> str:
        """The address requests go to."""
        base = self.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        return f"{base.rstrip('/')}/chat/completions"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a chat model."""

    messages: tuple[Message, ...]
    """The conversation, system message included."""
    tools: tuple[dict[str, Any], ...] = ()
    """Tools in the OpenAI format."""
    seed: int | None = None
    """Sampling seed."""
    n: int = 1
    """How many answers; several are not streamed."""
    temperature: float | None = None
    """Sampling temperature; None takes that of the settings."""
    max_tokens: int | None = None
    """Longest answer, in tokens; None takes that of the settings."""
    logprobs: int = 0
    """How many of the likeliest tokens to report at each position; such answers are not streamed."""
    response_format: dict[str, Any] | None = None
    """What the answer has to look like, as the endpoint takes it, for example a JSON Schema."""


@dataclass(slots=True)
class Usage:
    """What a client has used so far."""

    requests: int = 0
    """Answered requests."""
    retries: int = 0
    """Attempts beyond the first."""
    prompt_tokens: int = 0
    """Tokens read, as the endpoint counts them."""
    completion_tokens: int = 0
    """Tokens written, as the endpoint counts them."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, reply: Reply) -> None:
        """Count an answer."""
        with self._lock:
            self.requests += 1
            self.prompt_tokens += reply.prompt_tokens
            self.completion_tokens += reply.completion_tokens

    def add_retry(self) -> None:
        """Count an attempt beyond the first."""
        with self._lock:
            self.retries += 1


class _TransientError(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class ChatClient:
    """Asks an OpenAI-compatible endpoint. Safe to use from several threads.

    Args:
        settings: Where the model is and how it is asked.
        sleep: Waits a number of seconds between attempts; None really waits.
    """

    def __init__(self, settings: ChatSettings, *, sleep: Callable[[float], Any] | None = None) -> None:
        self.settings = settings
        self.usage = Usage()
        self._sleep = sleep
        self._http: httpx.Client | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"ChatClient(model={self.settings.model!r}, endpoint={self.endpoint!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        """The address requests go to, without the user name, password and query a URL may carry."""
        parts = urlsplit(self.settings.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def close(self) -> None:
        """Close the connections. The client opens new ones when it is used again."""
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None

    def complete(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), *, seed: int | None = None
    ) -> Message:
        """Return the model's answer to a conversation.

        Args:
            messages: The conversation, system message included.
            tools: Tools in the OpenAI format.
            seed: Sampling seed.

        Raises:
            ContextLengthError: If the conversation is too long for the model.
            InfrastructureError: If no answer came; the message names the endpoint and the last reason.
        """
        return self._ask(ChatRequest(tuple(messages), tuple(tools), seed), Event()).message

    def complete_all(self, requests: Sequence[ChatRequest]) -> list[Message | InfrastructureError]:
        """Return the answers to independent requests, asked in parallel, in their order.

        A request that got none has the exception in its place, so that one failure does not cost the others.
        """
        return [reply if isinstance(reply, InfrastructureError) else reply.message for reply in self.ask_all(requests)]

    def ask_all(
        self, requests: Sequence[ChatRequest], *, seconds: float | None = None
    ) -> list[Reply | InfrastructureError]:
        """Return the whole replies to independent requests, asked in parallel, in their order.

        A request that got none has the exception in its place.

        Args:
            requests: What is asked.
            seconds: What has no reply by then has an exception; None waits as long as it takes.
        """
        if not requests:
            return []
        stop = Event()
        deadline = None if seconds is None else time.monotonic() + seconds
        pool = ThreadPoolExecutor(min(self.settings.parallel, len(requests)), thread_name_prefix="telegym-chat")
        futures = [pool.submit(self._try, request, stop, deadline) for request in requests]
        try:
            if seconds is not None:
                wait(futures, seconds)
            late = self._failure(f"no answer within the {seconds} seconds that were allowed for all")
            return [future.result() if seconds is None or future.done() else late for future in futures]
        finally:
            # After an interrupt nobody waits for the others: they end with the attempt they are in.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _try(self, request: ChatRequest, stop: Event, deadline: float | None) -> Reply | InfrastructureError:
        try:
            return self._ask(request, stop, deadline)
        except InfrastructureError as error:
            return error

    def _ask(self, request: ChatRequest, stop: Event, deadline: float | None = None) -> Reply:
        body = json.dumps(self._body(request)).encode()
        jitter = Random(hashlib.sha256(body).hexdigest())
        for attempt in range(self.settings.retries + 1):
            try:
                reply = self._attempt(body, deadline)
            except _TransientError as error:
                if attempt == self.settings.retries or stop.is_set():
                    raise self._failure(f"{error} ({attempt + 1} attempts)") from error
                self.usage.add_retry()
                (self._sleep or stop.wait)(self._wait(attempt, error.wait, jitter))
            else:
                self.usage.add(reply)
                return replace(reply, retries=attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _wait(self, attempt: int, asked: float | None, jitter: Random) -> float:
        wait = self.settings.backoff * 2.0**attempt * (0.5 + 0.5 * jitter.random())
        return float(min(max(wait, asked or 0.0), self.settings.longest_wait))

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        settings = self.settings
        body: dict[str, Any] = {"model": settings.model, "messages": write_messages(request.messages)}
        for name in ("temperature", "top_p", "max_tokens"):
            own = getattr(request, name, None)
            if own is not None or getattr(settings, name) is not None:
                body[name] = own if own is not None else getattr(settings, name)
        body |= _wanted(request)
        if request.tools:
            body["tools"] = list(request.tools)
        if request.seed is not None and settings.send_seed:
            body["seed"] = request.seed
        if settings.stream and request.n == 1 and not request.logprobs:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body | settings.extra_body

    def _attempt(self, body: bytes, deadline: float | None) -> Reply:
        import httpx

        now = time.monotonic()
        seconds = self.settings.timeout if deadline is None else max(0.001, min(self.settings.timeout, deadline - now))
        timeout = httpx.Timeout(seconds, connect=min(seconds, self.settings.connect_timeout))
        url, headers = self.settings.url, {"Content-Type": "application/json", **self._authorization()}
        try:
            with self._client().stream("POST", url, content=body, headers=headers, timeout=timeout) as response:
                return self._read(response, now + seconds)
        except httpx.TimeoutException as error:
            raise _TransientError(f"timed out ({type(error).__name__})") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ConfigurationError(f"not a usable address: {self.endpoint!r} ({error})") from error
        except httpx.HTTPError as error:
            raise _TransientError(f"{type(error).__name__}: {self._scrub(str(error))}") from error
        except WireError as error:
            raise _TransientError(self._scrub(str(error))) from error

    def _read(self, response: httpx.Response, deadline: float) -> Reply:
        pieces = _until(response.iter_text(), deadline)
        if response.status_code != 200:
            self._refuse(response, "".join(pieces))
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            assembler = StreamAssembler()
            for chunk in events(_lines(pieces)):
                assembler.feed(chunk)
            return assembler.reply()
        text = "".join(pieces)
        try:
            return read_reply(json.loads(text))
        except ValueError as error:
            raise WireError(f"the answer is not a chat completion: {_excerpt(text)!r} ({error})") from error

    def _refuse(self, response: httpx.Response, text: str) -> None:
        reason = f"HTTP {response.status_code}: {self._scrub(_excerpt(text))}"
        if response.status_code in _TRANSIENT:
            raise _TransientError(reason, _retry_after(response))
        if response.status_code in (400, 413, 422) and _CONTEXT_FULL.search(text):
            raise ContextLengthError(f"{self.endpoint}, model {self.settings.model!r}: {reason}")
        if response.status_code in (401, 403):
            reason += f" (the API key is read from the environment variable {self.settings.api_key_variable})"
        raise self._failure(reason)

    def _failure(self, reason: str) -> InfrastructureError:
        return InfrastructureError(f"{self.endpoint}, model {self.settings.model!r}: {reason}")

    def _authorization(self) -> dict[str, str]:
        key = self._key()
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _key(self) -> str:
        key = os.environ.get(self.settings.api_key_variable, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            variable = self.settings.api_key_variable
            raise ConfigurationError(f"the API key in {variable} has characters that no request header can carry")
        return key

    def _scrub(self, text: str) -> str:
        """Remove the API key from a text a server has sent back."""
        key = self._key()
        return text.replace(key, "***") if key else text

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                self._http = _http_client(self.settings)
            return self._http


def _http_client(settings: ChatSettings) -> httpx.Client:
    import httpx

    limits = httpx.Limits(max_connections=settings.parallel, max_keepalive_connections=settings.parallel)
    timeout = httpx.Timeout(settings.timeout, connect=settings.connect_timeout)
    # Whatever proxies the environment names, this machine is reached directly.
    direct = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
    return httpx.Client(limits=limits, timeout=timeout, mounts=direct)


def _wanted(request: ChatRequest) -> dict[str, Any]:
    """Return the fields for what a request wants beyond one answer."""
    wanted: dict[str, Any] = {"n": request.n} if request.n > 1 else {}
    if request.logprobs:
        wanted |= {"logprobs": True, "top_logprobs": request.logprobs}
    if request.response_format is not None:
        wanted["response_format"] = request.response_format
    return wanted


def _until(pieces: Iterator[str], deadline: float) -> Iterator[str]:
    """Pass text on until the deadline: a read time-out alone never ends an answer that drips."""
    for piece in pieces:
        if time.monotonic() > deadline:
            raise _TransientError("timed out before the end of the answer")
        yield piece


def _lines(pieces: Iterator[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from lines
    yield rest


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds a server asks to wait; a date counts from the server's own clock."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(response.headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (ValueError, KeyError, TypeError):
        return None


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:300]}…"


class ChatAgent(Agent):
    """Plays episodes with a chat model.

    Args:
        model: Name of the model, as the endpoint knows it.
        seed: Decides the sampling seed of every request.
        client: The client to ask with; None makes one from `settings`.
        **settings: Fields of `ChatSettings`.

    Raises:
        ConfigurationError: If a setting is unknown or has no valid value.
    """

    def __init__(self, model: str, *, seed: int = 0, client: ChatClient | None = None, **settings: Any) -> None:
        self.name = f"openai:{model}"
        self.seed = seed
        self.client = client or ChatClient(ChatSettings.of(model, **settings))

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        """Ask for the next message of every episode, in parallel."""
        answers = self.client.complete_all([self._request(episode) for episode in episodes])
        return [_action(episode, answer) for episode, answer in zip(episodes, answers, strict=True)]

    def _request(self, episode: Episode) -> ChatRequest:
        system = Message(role="system", content=episode.system)
        messages = (system, *episode.agent_messages())
        return ChatRequest(messages, tuple(episode.toolkit.schemas("assistant")), self.stream(episode).getrandbits(31))


def _action(episode: Episode, answer: Message | InfrastructureError) -> Action:
    if isinstance(answer, ContextLengthError):
        episode.truncate(EndReason.TOKEN_LIMIT)
        return ""
    if isinstance(answer, InfrastructureError):
        return Failure(party="infrastructure", message=str(answer))
    if not answer.tool_calls:
        # As text: calls on which the server's own parser gave up are read, and counted as malformed, by the episode.
        return answer.content or ""
    if "</think>" in (answer.content or ""):
        answer = answer.model_copy(update={"content": parse_assistant_text(answer.content or "").content})
    # Servers draw ids at random; a trajectory must not depend on them.
    first = len(episode.calls)
    calls = [call.model_copy(update={"id": f"call_{n}"}) for n, call in enumerate(answer.tool_calls, first)]
    return answer.model_copy(update={"tool_calls": tuple(calls)})
