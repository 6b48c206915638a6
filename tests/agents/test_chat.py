from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from telegym.agents._wire import Reply
from telegym.agents.base import make_agent
from telegym.agents.chat import ChatAgent, ChatClient, ChatRequest, ChatSettings, ContextLengthError
from telegym.agents.random import RandomAgent
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import ConfigurationError, InfrastructureError
from telegym.core.messages import Message, ToolCall
from telegym.core.replay import replay
from telegym.core.tool import CallError
from telegym.envs.registry import make_environment
from tests.agents.fake_server import FakeServer, call, chunk, completion, error, serve, stream, text, wait_for, whole
from tests.toy import Toy

QUESTION = [Message(role="user", content="How are you?")]
KEY = "sk-very-secret-0123456789"


def client_of(server: FakeServer, waits: list[float] | None = None, **settings: Any) -> ChatClient:
    sleep: Callable[[float], Any] = (waits if waits is not None else []).append
    return ChatClient(ChatSettings(model="m", base_url=server.url, **settings), sleep=sleep)


# --- answers --------------------------------------------------------------------------------------


def test_a_whole_answer_is_read() -> None:
    with serve(whole("Fine.")) as server, client_of(server, stream=False) as client:
        assert client.complete(QUESTION) == Message(role="assistant", content="Fine.")
    assert server.paths == ["/v1/chat/completions"]
    assert server.requests[0] == {
        "model": "m",
        "messages": [{"role": "user", "content": "How are you?"}],
        "temperature": 0.0,
        "max_tokens": 1024,
    }


def test_a_streamed_answer_is_put_together_from_any_pieces() -> None:
    parts = [
        chunk({"role": "assistant", "content": "Let me "}),
        chunk({"content": "see… ü"}),
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "read_counter", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"counter_'}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "done", "arguments": "{}"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": 'id": "C001"}'}}]}),
        chunk(finish="tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}},
    ]
    with serve(stream(*parts)) as server, client_of(server) as client:
        message = client.complete(QUESTION)
    assert message.content == "Let me see… ü"
    assert message.tool_calls == (
        ToolCall(id="a", name="read_counter", arguments={"counter_id": "C001"}),
        ToolCall(id="b", name="done"),
    )
    assert (client.usage.requests, client.usage.prompt_tokens, client.usage.completion_tokens) == (1, 11, 5)
    assert server.requests[0]["stream"] is True


def test_a_server_that_does_not_stream_although_asked_is_understood() -> None:
    with serve(whole("Fine.")) as server, client_of(server) as client:
        assert client.complete(QUESTION).content == "Fine."


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [('{"counter_id": "C0', "not valid JSON"), ("[1, 2]", "a list, not a JSON object"), ('{"x": NaN}', "NaN")],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_broken_arguments_make_a_malformed_call(arguments: str, reason: str, streamed: bool) -> None:
    broken = call("read_counter", arguments)
    answer = stream(chunk({"tool_calls": [{"index": 0, **broken}]}), chunk(finish="tool_calls"))
    with serve(answer if streamed else whole(None, [broken])) as server, client_of(server) as client:
        (made,) = client.complete(QUESTION).tool_calls
    assert made.name == "read_counter"
    assert made.parse_error is not None
    assert reason in made.parse_error
    assert made.raw == arguments
    assert made.arguments == {}


@pytest.mark.parametrize("ids", [("", ""), ("same", "same")])
def test_ids_that_a_server_leaves_out_or_repeats_are_made_distinct(ids: tuple[str, str]) -> None:
    answer = whole(None, [call("read_counter", {"counter_id": "C001"}, ids[0]), call("done", {}, ids[1])])
    with serve(answer) as server, client_of(server) as client:
        assert [made.id for made in client.complete(QUESTION).tool_calls] == ["call_0", "call_1"]


def test_a_malformed_call_goes_back_in_a_form_that_servers_accept() -> None:
    broken = ToolCall(id="call_0", name="rea d!", parse_error="no", raw="{oops")
    history = [
        *QUESTION,
        Message(role="assistant", tool_calls=(broken,)),
        Message(role="tool", content="Error: malformed", tool_call_id="call_0", name="rea d!", error=True),
        Message(role="assistant"),
    ]
    with serve(whole("Sorry.")) as server, client_of(server) as client:
        client.complete(history, Toy().toolkit(Toy().tasks[0]).schemas())
    sent = server.requests[0]
    assert sent["messages"][1]["tool_calls"] == [
        {"id": "call_0", "type": "function", "function": {"name": "rea_d_", "arguments": '{"malformed": "{oops"}'}}
    ]
    assert sent["messages"][2] == {"role": "tool", "content": "Error: malformed", "tool_call_id": "call_0"}
    assert sent["messages"][3] == {"role": "assistant", "content": ""}
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["read_counter", "change_counter", "done"]


def test_settings_reach_the_request() -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "max_tokens": 9}
    with serve(whole("x")) as server, client_of(server, temperature=None, top_p=0.5, extra_body=extra) as client:
        client.complete(QUESTION, seed=5)
    sent = server.requests[0]
    assert sent["seed"] == 5
    assert sent["top_p"] == 0.5
    assert sent["max_tokens"] == 9
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert "temperature" not in sent


def test_half_characters_are_sent_without_an_exception() -> None:
    with serve(whole("x")) as server, client_of(server) as client:
        assert client.complete([Message(role="user", content="\ud800")]).content == "x"


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_tried_again(status: int) -> None:
    waits: list[float] = []
    with serve(error(status), error(status), whole("Fine.")) as server, client_of(server, waits) as client:
        assert client.complete(QUESTION).content == "Fine."
    assert len(server.requests) == 3
    assert client.usage.retries == 2
    assert 0.25 <= waits[0] <= 0.5
    assert 0.5 <= waits[1] <= 1.0


def test_waits_are_the_same_every_time() -> None:
    runs: list[list[float]] = [[], []]
    for waits in runs:
        with serve(*[error(500)] * 4, whole("Fine.")) as server, client_of(server, waits) as client:
            client.complete(QUESTION)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 4


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": "1000"}, 60.0),
        ({"Retry_After": "nonsense"}, None),
        ({"Retry_After": "-3"}, None),
    ],
)
def test_the_server_says_how_long_to_wait(headers: dict[str, str], expected: float | None) -> None:
    waits: list[float] = []
    with serve(error(429, **headers), whole("Fine.")) as server, client_of(server, waits) as client:
        client.complete(QUESTION)
    assert waits[0] == expected if expected is not None else waits[0] <= 0.5


def test_a_date_to_wait_for_counts_from_the_servers_clock() -> None:
    def answer(handler: Any) -> None:
        handler.date_time_string = lambda timestamp=None: "Mon, 01 Jan 2001 10:00:00 GMT"
        handler.reply(503, "", Retry_After="Mon, 01 Jan 2001 10:00:12 GMT")

    waits: list[float] = []
    with serve(answer, whole("Fine.")) as server, client_of(server, waits) as client:
        client.complete(QUESTION)
    assert waits == [12.0]


@pytest.mark.parametrize(
    "broken",
    [
        text("<html>Bad gateway</html>", "text/html"),
        text('{"choices": []}'),
        text('{"choices": [{"message": {"content": 5}}]}'),
        text('{"choices": [{"message": {"tool_calls": [3]}}]}'),
        text("[1]"),
        text(b"\xff\xfe\x00"),
        text(""),
        stream(chunk({"content": "I was ab"}), done=False),
        stream(chunk({"content": "I was ab"}), done=True),
        stream(chunk({"content": "x"}), "{not json", chunk(finish="stop")),
        stream(chunk({"content": "x"}), '{"error": {"message": "worker died"}}'),
        stream('{"choices": 7}'),
    ],
)
def test_garbage_and_cut_streams_are_tried_again(broken: Any) -> None:
    with serve(broken, whole("Fine.")) as server, client_of(server) as client:
        assert client.complete(QUESTION).content == "Fine."
    assert len(server.requests) == 2


def test_a_connection_cut_in_the_middle_is_tried_again() -> None:
    def cut(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices"')
        handler.close_connection = True

    with serve(cut, whole("Fine.")) as server, client_of(server) as client:
        assert client.complete(QUESTION).content == "Fine."


def test_a_silent_server_is_given_up() -> None:
    release = threading.Event()
    with serve(wait_for(release, whole("late"))) as server, client_of(server, timeout=0.2, retries=1) as client:
        with pytest.raises(InfrastructureError, match=r"timed out.*2 attempts"):
            client.complete(QUESTION)
        release.set()


def test_a_server_that_drips_is_given_up() -> None:
    drops = [chunk({"content": "."})] * 100
    slow = stream(*drops, before=lambda index: time.sleep(0.05))
    started = time.monotonic()
    with serve(slow) as server, client_of(server, timeout=0.3, retries=0) as client:
        with pytest.raises(InfrastructureError, match="timed out before the end"):
            client.complete(QUESTION)
        assert time.monotonic() - started < 2


def test_the_error_names_endpoint_status_and_body() -> None:
    with serve(error(503, "the GPU is on fire")) as server, client_of(server, retries=2) as client:
        with pytest.raises(InfrastructureError) as caught:
            client.complete(QUESTION)
        endpoint = f"{server.url}/chat/completions"
    assert str(caught.value) == f"{endpoint}, model 'm': HTTP 503: the GPU is on fire (3 attempts)"


def test_an_endpoint_nobody_listens_at_is_named() -> None:
    with serve(whole("x")) as server:
        url = server.url
    client = ChatClient(ChatSettings(model="m", base_url=url, retries=1, backoff=0.0))
    with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1:\d+/v1/chat/completions.*ConnectError"):
        client.complete(QUESTION)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    raises = pytest.raises(InfrastructureError, match=f"HTTP {status}")
    with serve(error(status)) as server, client_of(server) as client, raises:
        client.complete(QUESTION)
    assert len(server.requests) == 1


def test_an_address_without_a_scheme_is_the_callers_mistake() -> None:
    client = ChatClient(ChatSettings(model="m", base_url="localhost:8000/v1"))
    with pytest.raises(ConfigurationError, match="not a usable address"):
        client.complete(QUESTION)


# --- the API key ----------------------------------------------------------------------------------


def test_the_key_comes_from_the_environment_and_stays_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with serve(error(401, f"bad key {KEY}")) as server, client_of(server, api_key_variable="MY_KEY") as client:
        with pytest.raises(InfrastructureError, match="environment variable MY_KEY") as caught:
            client.complete(QUESTION)
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        shown = [repr(client), repr(client.settings), repr(vars(client)), str(caught.value), caplog.text]
    assert all(KEY not in view for view in shown)


def test_without_a_key_no_authorization_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serve(whole("x")) as server, client_of(server) as client:
        client.complete(QUESTION)
    assert "Authorization" not in server.headers[0]


def test_a_key_that_no_header_can_carry_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "geheim\nö")
    raises = pytest.raises(ConfigurationError, match="OPENAI_API_KEY")
    with serve(whole("x")) as server, client_of(server) as client, raises as caught:
        client.complete(QUESTION)
    assert "geheim" not in str(caught.value)


def test_a_password_in_the_address_is_not_shown() -> None:
    client = ChatClient(ChatSettings(model="m", base_url="http://me:hush@127.0.0.1:1/v1", retries=0))
    assert "hush" not in repr(client)
    assert "hush" not in repr(client.settings)
    with pytest.raises(InfrastructureError) as caught:
        client.complete(QUESTION)
    assert "hush" not in str(caught.value)


def test_the_address_comes_from_the_environment_if_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")
    assert ChatSettings(model="m").url == "http://127.0.0.1:9/v1/chat/completions"


# --- in parallel ----------------------------------------------------------------------------------


def test_requests_run_in_parallel_and_answers_keep_their_order() -> None:
    together = threading.Barrier(8, timeout=20)

    def echo(handler: Any) -> None:
        together.wait()
        handler.reply(200, json.dumps(completion(handler.body["messages"][0]["content"])))

    requests = [ChatRequest((Message(role="user", content=str(number)),)) for number in range(8)]
    with serve(echo) as server, client_of(server, parallel=8) as client:
        answers = client.complete_all(requests)
    assert [answer.content for answer in answers if isinstance(answer, Message)] == [str(n) for n in range(8)]


def test_one_failure_does_not_cost_the_others() -> None:
    with serve(whole("one"), error(404), whole("three")) as server, client_of(server, parallel=1) as client:
        first, second, third = client.complete_all([ChatRequest(tuple(QUESTION))] * 3)
    assert isinstance(first, Message)
    assert isinstance(second, InfrastructureError)
    assert isinstance(third, Message)


def test_after_an_interrupt_nothing_more_is_asked_and_nobody_waits() -> None:
    class Interrupted(ChatClient):
        def _attempt(self, body: bytes, deadline: float | None) -> Reply:
            if b"stop" in body:
                while not server.requests:
                    time.sleep(0.01)
                raise KeyboardInterrupt
            return super()._attempt(body, deadline)

    requests = [ChatRequest((Message(role="user", content=said),)) for said in ("stop", "a", *"bcdef")]
    with serve(error(500)) as server:
        settings = ChatSettings(model="m", base_url=server.url, parallel=2, retries=1, backoff=20)
        with pytest.raises(KeyboardInterrupt):
            Interrupted(settings).complete_all(requests)
        for thread in threading.enumerate():
            if thread.name.startswith("telegym-chat"):
                thread.join(5)
                assert not thread.is_alive()
        assert len(server.requests) < 5


def test_connections_are_used_again() -> None:
    chunks = [json.dumps(chunk({"content": "Fine."})), json.dumps(chunk(finish="stop")), "[DONE]"]
    answer = text("".join(f"data: {item}\r\n\r\n" for item in chunks), "text/event-stream")
    with serve(answer) as server, client_of(server) as client:
        assert [client.complete(QUESTION).content for _ in range(5)] == ["Fine."] * 5
        assert (len(server.requests), server.connections) == (5, 1)


def test_nothing_asked_nothing_answered() -> None:
    assert ChatClient(ChatSettings(model="m", base_url="http://127.0.0.1:1/v1")).complete_all([]) == []


# --- the agent ------------------------------------------------------------------------------------


def agent_of(server: FakeServer, **settings: Any) -> ChatAgent:
    return ChatAgent("m", client=client_of(server, **settings))


def test_the_agent_plays_an_episode_and_its_ids_do_not_depend_on_the_server() -> None:
    read = whole("I look.", [call("read_counter", {"counter_id": "C001"}, "chatcmpl-8f3a")])
    with serve(read, whole(None, [call("done", {}, "chatcmpl-77")])) as server:
        (episode,) = rollout(Toy(), Toy().tasks[:1], agent_of(server))
    assert episode.end is EndReason.FINISHED
    assert [record.call.id for record in episode.calls] == ["call_0", "call_1"]
    first, second = server.requests
    assert first["messages"][0] == {"role": "system", "content": episode.system}
    assert first["messages"][1] == {"role": "user", "content": episode.task.ticket}
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "tool"]
    assert first["seed"] != second["seed"]


def test_a_call_that_the_server_passes_on_as_text_is_still_a_malformed_call() -> None:
    with serve(whole('<tool_call>\n{"name": "read_counter", "argu')) as server:
        episodes = rollout(Toy(), Toy().tasks[:1], agent_of(server), limits=Limits(turns=2))
    assert [record.error for record in episodes[0].calls] == [CallError.MALFORMED] * 2


def test_an_empty_answer_is_answered_as_an_error() -> None:
    with serve(whole("")) as server:
        episodes = rollout(Toy(), Toy().tasks[:1], agent_of(server), limits=Limits(turns=1))
    assert [record.error for record in episodes[0].calls] == [CallError.EMPTY_MESSAGE]


def test_thoughts_beside_a_call_are_not_said() -> None:
    with serve(whole("<think>secret</think>I look.", [call("done", {})])) as server:
        (episode,) = rollout(Toy(), Toy().tasks[:1], agent_of(server))
    assert episode.messages[-2].content == "I look."


def test_a_dead_endpoint_is_no_reward_of_zero() -> None:
    with serve(error(500, "dead")) as server:
        (episode,) = rollout(Toy(), Toy().tasks[:1], agent_of(server, retries=1))
    assert episode.end is EndReason.INFRASTRUCTURE
    score = episode.score()
    assert score.value is None
    assert score.failure is not None
    assert "HTTP 500: dead" in score.failure.message


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"message": "This model\'s maximum context length is 2048 tokens."}}',
        '{"error": {"code": "context_length_exceeded"}}',
    ],
)
def test_a_full_context_cuts_the_episode_off(body: str) -> None:
    with serve(error(400, body)) as server:
        with client_of(server) as client, pytest.raises(ContextLengthError):
            client.complete(QUESTION)
        (episode,) = rollout(Toy(), Toy().tasks[:1], agent_of(server))
    assert episode.end is EndReason.TOKEN_LIMIT
    assert episode.score().value == 0.0


def test_sampling_seeds_follow_task_episode_turn_and_agent() -> None:
    def seeds(agent_seed: int, episode_seed: int) -> list[int]:
        with serve(whole("", [call("read_counter", {"counter_id": "C001"})])) as server:
            agent = ChatAgent("m", seed=agent_seed, client=client_of(server, parallel=1))
            rollout(Toy(), Toy().tasks[:2], agent, seeds=[episode_seed], limits=Limits(turns=2))
            return [request["seed"] for request in server.requests]

    assert seeds(0, 0) == seeds(0, 0)
    assert len({*seeds(0, 0), *seeds(0, 1), *seeds(1, 0)}) == 12


def test_unknown_settings_are_named_with_the_nearest_valid_one() -> None:
    with pytest.raises(ConfigurationError, match=r"'temprature'.*Did you mean 'temperature'\?"):
        make_agent("openai:m", temprature=1.0)


def test_the_specification_makes_the_agent() -> None:
    agent = make_agent("openai:Qwen/Qwen3-8B", base_url="http://127.0.0.1:1/v1", seed=4)
    assert isinstance(agent, ChatAgent)
    assert (agent.name, agent.seed, agent.client.settings.model) == ("openai:Qwen/Qwen3-8B", 4, "Qwen/Qwen3-8B")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": -1}, "option 'temperature' of chat model 'm': .*greater than or equal to 0"),
        ({"parallel": "many"}, "option 'parallel' of chat model 'm': .*integer"),
    ],
)
def test_settings_without_a_valid_value_are_named(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ChatAgent("m", **setting)


def test_a_key_given_for_the_name_of_its_variable_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="option 'api_key_variable'") as caught:
        ChatAgent("m", api_key_variable=KEY)
    assert KEY not in str(caught.value)
    with pytest.raises(ValueError, match="api_key_variable") as raw:
        ChatSettings(model="m", api_key_variable=KEY)
    assert KEY not in str(raw.value)


def test_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with serve(whole("Fine.")) as server, client_of(server, retries=0) as client:
        assert client.complete(QUESTION).content == "Fine."


def test_trajectories_hold_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve(error(401, f"wrong key: {KEY}")) as server:
        (episode,) = rollout(Toy(), Toy().tasks[:1], agent_of(server))
    assert isinstance(episode, Episode)
    assert episode.end is EndReason.INFRASTRUCTURE
    assert KEY not in episode.trajectory("openai:m").to_json()


# --- a user behind an endpoint ----------------------------------------------------------------------


def test_a_user_played_by_a_model_talks_and_replays_need_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [whole(f"My number is 555-123-2002, and this is what I say as number {number}.") for number in range(99)]
    env = make_environment("tau2-telecom", mode="dual", user="openai:talker", count=4)
    with serve(*said) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        episodes = rollout(env, env.tasks, RandomAgent(talk=1.0), limits=Limits(turns=3), batch_size=4)
        assert len(server.requests) == 4 * 3
    assert {episode.end for episode in episodes} == {EndReason.TURN_LIMIT}
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/nobody")
    assert [replay(episode.trajectory(), env) for episode in episodes] == [[]] * 4
