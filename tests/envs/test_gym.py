"""The Gymnasium face keeps Gymnasium's contract, for single and for vector environments."""

from __future__ import annotations

import json
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv
from hypothesis import given
from hypothesis import strategies as st

from telegym.core.episode import Limits
from telegym.core.errors import ConfigurationError, InfrastructureError
from telegym.core.messages import Message
from telegym.core.tool import tool
from telegym.core.user import User
from telegym.envs.gym import MAX_TEXT, TelegymEnv, message_from_json, render_messages
from telegym.envs.registry import register_environment
from telegym.envs.text_space import UnicodeText
from tests.toy import CounterWorld, Toy

ID = "telegym/Environment-v0"


def make(**options: Any) -> TelegymEnv:
    env = gymnasium.make(ID, environment="toy", **options).unwrapped
    assert isinstance(env, TelegymEnv)
    return env


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


@pytest.mark.parametrize("options", [{}, {"talkative": True}], ids=["solo", "dual"])
def test_check_env_finds_nothing(options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(**options))


def test_tau2_telecom_is_registered_by_importing_telegym() -> None:
    spec = gymnasium.spec("telegym/Tau2Telecom-v0")
    assert spec.kwargs == {"environment": "tau2-telecom"}


@pytest.mark.parametrize("mode", ["solo", "dual"])
def test_check_env_finds_nothing_in_tau2_telecom(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("telegym/Tau2Telecom-v0", mode=mode).unwrapped)


@pytest.mark.parametrize("mode", ["solo", "dual"])
def test_sync_and_async_are_equal_in_tau2_telecom(mode: str) -> None:
    actions = [("check_status_bar()", "Could you restart your phone?"), ("done()", call("toggle_data"))] * 2
    results = []
    for vectorization in ("sync", "async"):
        envs = gymnasium.make_vec(
            "telegym/Tau2Telecom-v0", num_envs=2, vectorization_mode=vectorization, mode=mode, count=20
        )
        results.append([_plain(envs.reset(seed=9)), *(_plain(envs.step(pair)) for pair in actions)])
        envs.close()
    assert results[0] == results[1]


def test_an_episode_from_reset_to_score() -> None:
    env = make()
    observation, info = env.reset(seed=3, options={"task_id": "toy-2"})
    assert info["task_id"] == "toy-2"
    assert info["episode_seed"] == 3
    assert [message["role"] for message in info["messages"]] == ["system", "user"]
    assert [tool["function"]["name"] for tool in info["tools"]] == ["read_counter", "change_counter", "done"]
    assert observation == f"[system]\n{info['messages'][0]['content']}\n\n[user]\nBring counter C001 to 6."
    observation, reward, terminated, truncated, info = env.step(call("change_counter", counter_id="C001", amount=6))
    assert observation == "[tool change_counter]\nC001 is now 6"
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert "score" not in info
    assert [message["role"] for message in info["messages"]] == ["assistant", "tool"]
    _, reward, terminated, truncated, info = env.step("done()")
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["end_reason"] == "finished"
    assert info["score"] == {
        "value": 1.0,
        "success": True,
        "components": {"reached": 1.0, "collateral": 1.0},
        "reasons": (),
    }


def test_the_messages_of_all_infos_are_the_chat() -> None:
    env = make()
    _, info = env.reset(options={"task_id": "toy-2"})
    chat = list(info["messages"])
    for action in (call("read_counter", counter_id="C009"), '{"name": "done', "done()"):
        chat += env.step(action)[-1]["messages"]
    expected = [message.to_openai() for message in env.episode.agent_messages()]
    assert chat[1:] == expected
    answered = [message["tool_call_id"] for message in chat if message["role"] == "tool"]
    assert answered == [item["id"] for message in chat for item in message.get("tool_calls", ())]


def test_a_message_as_json_is_an_action() -> None:
    env = make()
    env.reset(options={"task_id": "toy-2"})
    arguments = json.dumps({"counter_id": "C001", "amount": 6})
    function = {"name": "change_counter", "arguments": arguments}
    message = {
        "role": "assistant",
        "content": "Now.",
        "tool_calls": [{"id": "x7", "type": "function", "function": function}],
    }
    observation, *_, info = env.step(json.dumps(message))
    assert observation == "[tool change_counter]\nC001 is now 6"
    assert info["messages"][0] == message
    assert info["messages"][1]["tool_call_id"] == "x7"


@pytest.mark.parametrize(
    "text",
    [
        '{"role": "assistant"',
        '{"role": "user", "content": "hi"}',
        '{"role": "assistant", "content": 5}',
        '{"role": "assistant", "tool_calls": 1}',
    ],
)
def test_json_that_is_no_assistant_message_is_answered_as_a_malformed_call(text: str) -> None:
    assert message_from_json(text) is None
    env = make()
    env.reset()
    observation, _, terminated, _, _ = env.step(text)
    assert not terminated
    assert "Error" in observation


def test_a_broken_call_inside_a_json_message_is_malformed_not_dropped() -> None:
    message = message_from_json(
        '{"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "done", "arguments": "{"}}]}'
    )
    assert message is not None
    assert message.tool_calls[0].parse_error is not None


def test_limits_truncate_and_text_terminates() -> None:
    env = make(limits={"turns": 1})
    env.reset(seed=0)
    assert env.step(call("read_counter", counter_id="C001"))[2:4] == (False, True)
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step("Thanks (ok)")
    assert (reward, terminated, truncated, info["end_reason"]) == (0.0, True, False, "agent_error")


@pytest.mark.parametrize("when", ["before the first reset", "after the end"])
def test_stepping_without_an_episode_is_an_error(when: str) -> None:
    env = make()
    if when == "after the end":
        env.reset()
        env.step("done()")
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step("done()")


def test_an_action_that_is_no_text_is_an_error() -> None:
    env = make()
    env.reset()
    with pytest.raises(TypeError, match="an action is text, not dict"):
        env.step({"name": "done"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task_id": "toy-22"}, r"no task 'toy-22' among the 12 .*Did you mean 'toy-2'\?"),
        ({"task_id": 3}, "task_id must be text, not 3"),
        ({"taskid": "toy-2"}, r"no option 'taskid'; valid: task_id, episode_seed. Did you mean 'task_id'\?"),
        ({"episode_seed": "x"}, "episode_seed must be an integer"),
    ],
)
def test_wrong_reset_options_name_the_nearest(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make().reset(options=options)


def test_wrong_environment_options_name_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"no option 'talkativ'.*Did you mean 'talkative'"):
        make(talkativ=True)
    with pytest.raises(ConfigurationError, match=r"no limit 'turn'.*Did you mean 'turns'"):
        make(limits={"turn": 3})
    with pytest.raises(ConfigurationError, match="go with the name of an environment"):
        TelegymEnv(Toy(), size=3)


def test_tasks_are_drawn_by_the_seed() -> None:
    env = make()
    first = [env.reset(seed=7)[1]["task_id"], *(env.reset()[1]["task_id"] for _ in range(20))]
    second = [env.reset(seed=7)[1]["task_id"], *(env.reset()[1]["task_id"] for _ in range(20))]
    assert first == second
    assert len(set(first)) > 3


def test_what_reset_gives_may_be_changed() -> None:
    env = make()
    _, info = env.reset(seed=1)
    before = json.dumps(info["tools"])
    info["tools"][0]["function"]["parameters"].clear()
    assert json.dumps(env.reset(seed=1)[1]["tools"]) == before


@tool
def sum_of_counters(world: CounterWorld) -> int:
    """Add up the counters."""
    return sum(world.values.values())


def test_extra_tools_are_offered_and_executed() -> None:
    env = make(extra_tools=[sum_of_counters])
    _, info = env.reset()
    assert info["tools"][-1]["function"]["name"] == "sum_of_counters"
    assert env.step("sum_of_counters()")[0] == "[tool sum_of_counters]\n0"


class _Absent(User):
    def __init__(self, patience: int) -> None:
        self.patience = patience

    def respond(self, incoming: Any) -> Message:
        self.patience -= 1
        if self.patience < 0:
            raise InfrastructureError("the user's server does not answer")
        return Message(role="user", content="hm")

    def fork(self) -> _Absent:
        return _Absent(self.patience)


class Forsaken(Toy):
    """A toy whose user falls silent."""

    def __init__(self, patience: int = 1) -> None:
        super().__init__(talkative=True)
        self.patience = patience

    def user(self, task: Any, seed: int) -> User:
        return _Absent(self.patience)


@pytest.mark.parametrize("patience", [0, 1])
def test_a_failure_is_flagged_and_is_no_reward(patience: int) -> None:
    env = TelegymEnv(Forsaken(patience))
    env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step("Hello?")
    assert (observation, reward, terminated, truncated) == ("", 0.0, False, True)
    assert info["end_reason"] == "infrastructure"
    assert info["failure"] == {"party": "infrastructure", "message": "the user's server does not answer"}
    assert "score" not in info
    with pytest.raises(ResetNeeded):
        env.step("Hello?")


def test_render_is_the_transcript() -> None:
    env = make(render_mode="ansi")
    env.reset(options={"task_id": "toy-2"})
    env.step("done()")
    assert env.render() == "[user]\nBring counter C001 to 6.\n\n[assistant]\n-> done({})\n\n[tool done]\nDone"
    assert make().render() is None


def test_a_long_observation_is_cut_and_whole_in_info() -> None:
    text = render_messages([Message(role="user", content="x" * (MAX_TEXT + 1))])
    assert len(text) == MAX_TEXT
    assert text in UnicodeText(MAX_TEXT)
    assert text.endswith("[cut here; whole in info]")


# --- vector environments ---------------------------------------------------------------------------------------------


@tool(kind="write")
def write_note(world: CounterWorld, note: str) -> str:
    """Write a note, and read it back.

    Args:
        note: Any text.
    """
    return f"Noted: {note}"


register_environment("forsaken", "tests.envs.test_gym:Forsaken")
ACTIONS = (
    (call("read_counter", counter_id="C001"), "Thanks (ok)", call("write_note", note="Grüße 🛰️ 漢字\u202e \x00")),
    (call("change_counter", counter_id="C002", amount=3), "anything", "done()"),
    ('{"name": "done', call("read_counter", counter_id="C003"), "anything"),
    ("done()", "done()", "done()"),
    ("text", "text", call("read_counter", counter_id="C001")),
)


def vector(mode: str, autoreset: AutoresetMode, **options: Any) -> VectorEnv[Any, Any, Any]:
    return gymnasium.make_vec(
        ID,
        num_envs=3,
        vectorization_mode=mode,
        vector_kwargs={"autoreset_mode": autoreset},
        environment="toy",
        extra_tools=[write_note],
        **options,
    )


def play(envs: VectorEnv[Any, Any, Any]) -> list[Any]:
    try:
        return [envs.reset(seed=5), *(envs.step(actions) for actions in ACTIONS)]
    finally:
        envs.close()


@pytest.mark.parametrize("options", [{}, {"talkative": True}, {"limits": {"turns": 2}}], ids=["solo", "dual", "limits"])
@pytest.mark.parametrize("autoreset", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_sync_and_async_are_equal(autoreset: AutoresetMode, options: dict[str, Any]) -> None:
    sync, parallel = (play(vector(mode, autoreset, **options)) for mode in ("sync", "async"))
    assert len(sync) == len(parallel) == 1 + len(ACTIONS)
    for here, there in zip(sync, parallel, strict=True):
        assert here[0] == there[0]
        assert data_equivalence(here[1:-1], there[1:-1], exact=True)
        assert _plain(here[-1]) == _plain(there[-1])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_same_step_autoreset_keeps_the_final_observation_and_info(mode: str) -> None:
    envs = vector(mode, AutoresetMode.SAME_STEP)
    envs.reset(seed=5)
    observations, _, terminated, _, infos = envs.step(("done()", call("read_counter", counter_id="C001"), "done()"))
    envs.close()
    assert terminated.tolist() == [True, False, True]
    assert infos["final_obs"].tolist() == ["[tool done]\nDone", None, "[tool done]\nDone"]
    assert infos["final_info"]["end_reason"].tolist() == ["finished", None, "finished"]
    assert infos["final_info"]["score"]["components"]["reached"].tolist() == [0.0, 0.0, 0.0]
    assert infos["final_info"]["_score"].tolist() == [True, False, True]
    assert observations[0].startswith("[system]")
    assert infos["_tools"].tolist() == [True, False, True]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_next_step_autoreset_gives_the_final_observation_first(mode: str) -> None:
    envs = vector(mode, AutoresetMode.NEXT_STEP)
    envs.reset(seed=5)
    observations, _, terminated, _, infos = envs.step(("done()", "done()", call("read_counter", counter_id="C001")))
    assert observations[0] == "[tool done]\nDone"
    assert infos["end_reason"].tolist() == ["finished", "finished", None]
    observations, rewards, terminated, *_ = envs.step(("ignored", "ignored", "done()"))
    envs.close()
    assert observations[0].startswith("[system]")
    assert (rewards.tolist(), terminated.tolist()) == ([0.0, 0.0, 0.0], [False, False, True])


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_vector_reset_takes_a_task_and_a_mask(mode: str) -> None:
    envs = vector(mode, AutoresetMode.DISABLED)
    _, infos = envs.reset(seed=[1, 2, 3], options={"task_id": "toy-4"})  # type: ignore[arg-type]
    assert infos["task_id"].tolist() == ["toy-4"] * 3
    before, *_ = envs.step(("done()", call("read_counter", counter_id="C001"), "done()"))
    after, _ = envs.reset(options={"reset_mask": np.array([True, False, True])})
    envs.close()
    assert [text.startswith("[system]") for text in after] == [True, False, True]
    assert after[1] == before[1]


@pytest.mark.filterwarnings("ignore:.*ERROR")
def test_an_asynchronous_environment_reports_a_wrong_option() -> None:
    envs = vector("async", AutoresetMode.NEXT_STEP)
    with pytest.raises(ConfigurationError, match="Did you mean 'toy-2'"):
        envs.reset(options={"task_id": "toy-22"})
    envs.close(terminate=True)


# --- the space -------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(), max_size=50))
def test_every_text_is_in_the_space(text: str) -> None:
    space = UnicodeText(50)
    assert text in space
    assert text + "x" * 51 not in space


def test_samples_are_in_the_space_and_follow_the_seed() -> None:
    space, other = UnicodeText(300), UnicodeText(300)
    space.seed(4)
    other.seed(4)
    samples = [space.sample() for _ in range(50)]
    assert samples == [other.sample() for _ in range(50)]
    assert all(sample in space for sample in samples)
    assert len(set(samples)) > 40
    assert space == other != UnicodeText(301)
    assert 5 not in space
    assert space.sample(mask=(3, None)).__len__() == 3


@given(st.lists(st.text(st.characters(), max_size=20), min_size=3, max_size=3))
def test_shared_memory_carries_every_text(texts: list[str]) -> None:
    import copy
    import multiprocessing

    from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

    space = UnicodeText(20)
    context: Any = multiprocessing.get_context()
    memory = create_shared_memory(space, n=3, ctx=context)
    view = read_from_shared_memory(space, memory, n=3)
    for index, text in enumerate(texts):
        write: Any = write_to_shared_memory
        write(space, index, text, memory)
    assert copy.deepcopy(view) == tuple(texts)


def test_limits_as_an_object_are_taken() -> None:
    env = make(limits=Limits(turns=1))
    env.reset()
    assert env.step(call("read_counter", counter_id="C001"))[3]
