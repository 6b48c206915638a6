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
    model = pytest.importorskip("tests.vllm.model", reason="the model is made with the extra train")
    environment = make_environment("tau2-telecom", count=50)
    texts = [environment.instructions(environment.tasks[0]), *(task.ticket for task in environment.tasks)]
    texts += [str(schema) for schema in environment.toolkit(environment.tasks[0]).schemas()]
    folder = tmp_path_factory.mktemp("vllm")
    model.write_model(folder / "model", texts, CONTEXT)
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


def _meaning(calls: tuple[ToolCall, ...]) -> list[tuple[str, dict[str, Any], bool]]:
    return [(call.name, call.arguments, call.parse_error is None) for call in calls]


def test_calls_that_the_server_enforces_are_read_streamed_or_not(server: str) -> None:
    tools = Toy().toolkit(Toy().tasks[0]).schemas()
    made: list[list[tuple[ToolCall, ...]]] = []
    for stream in (True, False):
        with client_of(server, stream=stream, max_tokens=300, extra_body={"tool_choice": "required"}) as client:
            answers = [client.complete(QUESTION, tools, seed=seed) for seed in range(8)]
        made.append([tuple(call.model_copy(update={"id": ""}) for call in answer.tool_calls) for answer in answers])
    streamed, whole = made
    assert all(streamed)
    # Of an answer cut off in the middle of a call the server keeps nothing, unless it is streamed; and it writes the
    # numbers of a whole answer in its own way.
    complete = [(_meaning(one), _meaning(other)) for one, other in zip(streamed, whole, strict=True) if other]
    assert len(complete) > 1
    assert [one for one, _ in complete] == [other for _, other in complete]
    calls = [call for answer in streamed for call in answer]
    assert {call.name for call in calls} <= {"read_counter", "change_counter", "done"}
    # The server asks for JSON, not for an object: numbers and null come too, and are malformed calls.
    assert any(call.parse_error is not None for call in calls)


@pytest.mark.parametrize("stream", [True, False])
def test_calls_that_the_servers_parser_reads_reach_the_tools(server: str, stream: bool) -> None:
    block = '<tool_call>\n{{"name": "{}", "arguments": {}}}\n</tool_call>'
    texts = [block.format("read_counter", '{"counter_id": "C001"}'), block.format("done", "{}")]
    only = {"structured_outputs": {"choice": texts}}
    environment = Toy(limits=Limits(turns=6))
    agent = ChatAgent("tiny", **settings_of(server, stream=stream, max_tokens=128, extra_body=only))
    episodes = rollout(environment, environment.tasks, agent)
    records = [record for episode in episodes for record in episode.calls]
    assert {record.call.name for record in records} == {"read_counter", "done"}
    assert {record.error for record in records} == {None}
    # What the server's parser does not read would come as text.
    assert all(isinstance(action, Message) for episode in episodes for action in episode.actions)


def test_an_episode_of_enforced_calls_answers_each_of_them(server: str) -> None:
    environment = Toy(limits=Limits(turns=6, errors=None))
    forced = {"tool_choice": "required"}
    agent = ChatAgent("tiny", **settings_of(server, max_tokens=300, extra_body=forced))
    for episode in rollout(environment, environment.tasks, agent):
        assert episode.end in (EndReason.FINISHED, EndReason.TURN_LIMIT)
        assert len(episode.calls) >= episode.turn
        assert {record.call.name for record in episode.calls} <= set(episode.toolkit.names)


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
