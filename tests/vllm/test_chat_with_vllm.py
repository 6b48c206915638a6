"""The chat agent against a real vLLM server: `tests/vllm/setup.sh` once, then `pytest -m vllm`.

The model is made on the spot and has never learnt anything: what it says is noise. What is tested is that everything
the agent sends is accepted, and everything the server answers, its errors included, is understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from telegym.agents.chat import ChatAgent, ChatClient, ChatRequest, ChatSettings, ContextLengthError
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import InfrastructureError
from telegym.core.messages import Message, ToolCall
from telegym.core.replay import replay
from telegym.envs.registry import make_environment
from tests.toy import Toy
from tests.vllm.server import vllm_python, vllm_server

pytestmark = pytest.mark.vllm

CONTEXT = 32_768
QUESTION = [Message(role="user", content="Which line has no service?")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    vllm_python()  # skips where there is none, before anything is made
    nano = pytest.importorskip("telegym.agents.training.nano")
    environment = make_environment("tau2-telecom", count=50)
    texts = [environment.instructions(environment.tasks[0]), *(task.ticket for task in environment.tasks)]
    texts += [str(schema) for schema in environment.toolkit(environment.tasks[0]).schemas()]
    tokenizer = nano.train_tokenizer(texts, 2048)
    folder = tmp_path_factory.mktemp("vllm")
    model = nano.new_model(tokenizer, nano.NanoShape(layers=2, context=CONTEXT), seed=0)
    nano.save(model, tokenizer, folder / "model")
    with vllm_server(folder / "model", folder / "server.log", context=CONTEXT) as url:
        yield url


def settings_of(url: str, **settings: Any) -> dict[str, Any]:
    return {"base_url": url, "temperature": 1.0, "max_tokens": 48, "retries": 0, **settings}


def client_of(url: str, **settings: Any) -> ChatClient:
    return ChatClient(ChatSettings(model="tiny", **settings_of(url, **settings)))


@pytest.mark.parametrize("stream", [True, False])
def test_a_tau2_episode_is_played_and_can_be_replayed(server: str, stream: bool) -> None:
    environment = make_environment("tau2-telecom", count=3)
    agent = ChatAgent("tiny", **settings_of(server, stream=stream))
    episodes = rollout(environment, environment.tasks, agent, limits=Limits(turns=4))
    for episode in episodes:
        assert episode.end is not EndReason.INFRASTRUCTURE, episode.failure
        assert episode.turn > 0
        assert replay(episode.trajectory(agent.name), environment) == []
    assert agent.client.usage.completion_tokens > 0
    assert agent.client.usage.prompt_tokens > 1000


@pytest.mark.parametrize("stream", [True, False])
def test_calls_that_the_server_enforces_reach_the_tools(server: str, stream: bool) -> None:
    environment = Toy(limits=Limits(turns=4))
    forced = {"type": "function", "function": {"name": "done"}}
    agent = ChatAgent("tiny", **settings_of(server, stream=stream, extra_body={"tool_choice": forced}))
    (episode,) = rollout(environment, environment.tasks[:1], agent)
    assert [record.call.name for record in episode.calls] == ["done"]
    assert episode.end is EndReason.FINISHED


def test_a_history_with_a_malformed_call_is_accepted(server: str) -> None:
    broken = ToolCall(id="call_0", name="no such tool!", parse_error="broken", raw='{"line_id": "L10')
    history = [
        Message(role="system", content="Help."),
        *QUESTION,
        Message(role="assistant", tool_calls=(broken,)),
        Message(role="tool", content="Error: malformed", tool_call_id="call_0", name="no such tool!", error=True),
    ]
    with client_of(server) as client:
        assert client.complete(history, Toy().toolkit(Toy().tasks[0]).schemas()).role == "assistant"


def test_a_conversation_that_is_too_long_is_recognised(server: str) -> None:
    long = [Message(role="user", content="words and more words " * CONTEXT)]
    with client_of(server) as client, pytest.raises(ContextLengthError, match="HTTP 400"):
        client.complete(long)


def test_an_episode_whose_context_is_full_is_cut_off(server: str) -> None:
    class Wordy(Toy):
        def instructions(self, task: Any) -> str:
            return "words and more words " * CONTEXT

    environment = Wordy()
    (episode,) = rollout(environment, environment.tasks[:1], ChatAgent("tiny", **settings_of(server)))
    assert isinstance(episode, Episode)
    assert episode.end is EndReason.TOKEN_LIMIT


def test_the_same_seed_gives_the_same_answer_streamed_or_not(server: str) -> None:
    answers = set()
    for stream in (True, False):
        with client_of(server, stream=stream) as client:
            answers.add(client.complete(QUESTION, seed=7))
            other = client.complete(QUESTION, seed=8)
    assert len(answers) == 1
    assert other not in answers


def test_many_requests_at_once_are_all_answered(server: str) -> None:
    requests = [ChatRequest(tuple(QUESTION), seed=seed) for seed in range(32)]
    with client_of(server, parallel=16) as client:
        answers = client.complete_all(requests)
    assert all(isinstance(answer, Message) for answer in answers)
    assert client.usage.requests == 32


def test_a_model_that_is_not_served_is_named(server: str) -> None:
    client = ChatClient(ChatSettings(model="other", **settings_of(server)))
    with client, pytest.raises(InfrastructureError, match=r"HTTP 404.*other"):
        client.complete(QUESTION)


def test_agent_and_user_played_by_models_talk_with_each_other(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server)
    environment = make_environment("tau2-telecom", mode="dual", user="openai:tiny", count=2)
    agent = ChatAgent("tiny", **settings_of(server))
    episodes = rollout(environment, environment.tasks, agent, limits=Limits(turns=2), batch_size=2)
    for episode in episodes:
        assert episode.end is not EndReason.INFRASTRUCTURE, episode.failure
        assert any(message.role == "user" for message in episode.messages)
        assert replay(episode.trajectory(agent.name), environment) == []
