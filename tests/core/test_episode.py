from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import InfrastructureError, TeleGymError
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Failure
from telegym.core.tool import CallError
from telegym.core.user import User
from tests.lamp import Lamp, LampRoom, State

TOY = LampRoom()
TASK = TOY.tasks.by_id("lamp-5")
ON = '<tool_call>{"name": "switch_lamp", "arguments": {"position": "on"}}</tool_call>'
DIM = '<tool_call>{"name": "dim_lamp", "arguments": {"level": 5}}</tool_call>'
DONE = '<tool_call>{"name": "done", "arguments": {}}</tool_call>'


def play(*actions: str | Message, **options: Any) -> Episode:
    episode = Episode(TOY, TASK, **options)
    for action in actions:
        episode.step(action)
    return episode


def state(episode: Episode) -> State:
    assert isinstance(episode.world, Lamp)
    return episode.world.state


def test_a_whole_episode() -> None:
    episode = play(ON, DIM, DONE)
    assert episode.end is EndReason.FINISHED and episode.terminated and not episode.truncated
    assert episode.score().success
    assert episode.world.minutes == 1.5
    assert [record.error for record in episode.calls] == [None, None, None]
    assert [message.role for message in episode.messages] == ["user", *["assistant", "tool"] * 3]
    with pytest.raises(TeleGymError, match="has ended"):
        episode.step(ON)


def test_calls_of_one_message_are_executed_in_order() -> None:
    answers = Episode(TOY, TASK).step(f"Both: {DIM}{ON}{DIM}")
    assert [answer.error for answer in answers] == [True, False, False]
    assert [answer.tool_call_id for answer in answers] == ["call_0", "call_1", "call_2"]


def test_malformed_calls_are_answered() -> None:
    episode = play('<tool_call>{"name": "switch_lamp"', "   ")
    assert [record.error for record in episode.calls] == [CallError.MALFORMED, CallError.EMPTY_MESSAGE]
    assert episode.end is None and state(episode) == State(level=1)


def test_two_calls_with_one_id() -> None:
    call = ToolCall(id="x", name="switch_lamp", arguments={"position": "on"})
    again = ToolCall(id="x", name="dim_lamp", arguments={"level": 9})
    first, second = Episode(TOY, TASK).step(Message(role="assistant", tool_calls=(call, again)))
    assert not first.error and second.error and "'x'" in (second.content or "")


def test_an_agent_cannot_pass_as_the_user() -> None:
    call = ToolCall(id="x", name="unplug_lamp", requestor="user")
    episode = play(Message(role="assistant", tool_calls=(call,)))
    assert episode.calls[0].error is CallError.WRONG_SIDE
    assert episode.calls[0].call.requestor == "assistant"


def test_done_drops_the_other_calls_and_ignores_arguments() -> None:
    episode = play(ON + '<tool_call>{"name": "done", "arguments": {"x": 1}}</tool_call>' + DIM)
    assert episode.end is EndReason.FINISHED and state(episode) == State(level=1)
    assert [record.error for record in episode.calls] == [CallError.DROPPED, None, CallError.DROPPED]


def test_text_where_nobody_listens_ends_the_episode() -> None:
    assert play("I think it is fine.").end is EndReason.AGENT_ERROR
    assert play("All good ###STOP###").end is EndReason.FINISHED


def test_text_goes_to_the_user() -> None:
    episode = Episode(LampRoom(mode="dual"), TASK)
    assert [message.content for message in episode.step("Hello")] == ["I heard: Hello"]
    assert episode.end is None


@pytest.mark.parametrize(
    ("limits", "actions", "end"),
    [
        (Limits(hops=6), (ON, DIM, DONE), EndReason.FINISHED),
        (Limits(hops=5), (ON, DIM, DONE), EndReason.TURN_LIMIT),
        (Limits(hops=4), (ON, DIM), EndReason.TURN_LIMIT),
        (Limits(turns=2), (ON, DIM), EndReason.TURN_LIMIT),
        (Limits(turns=3), (ON, DIM, DONE), EndReason.FINISHED),
        (Limits(errors=2), (DIM, DIM), EndReason.ERROR_LIMIT),
        (Limits(errors=2), (DIM, ON, DIM), None),
        (Limits(errors_in_row=2), (DIM, DIM), EndReason.ERROR_LIMIT),
        (Limits(errors_in_row=2), (DIM, ON, DIM), None),
        (Limits(minutes=3), (ON, ON), EndReason.TIME_LIMIT),
    ],
)
def test_limits(limits: Limits, actions: tuple[str, ...], end: EndReason | None) -> None:
    episode = play(*actions, limits=limits)
    assert episode.end is end
    assert episode.truncated == (end not in (None, EndReason.FINISHED))


def test_an_adapter_can_cut_off() -> None:
    episode = play(ON)
    episode.truncate(EndReason.TOKEN_LIMIT)
    assert episode.truncated and not episode.terminated
    with pytest.raises(TeleGymError):
        play(ON).truncate(EndReason.FINISHED)


class DeadUser(User):
    def respond(self, incoming: Any) -> Message:
        raise InfrastructureError("connection refused")

    def fork(self) -> DeadUser:
        return self


def test_a_dead_user_is_a_failure_not_a_zero() -> None:
    episode = Episode(LampRoom(mode="dual"), TASK, user=DeadUser())
    assert episode.step("Hello") == []
    assert episode.end is EndReason.INFRASTRUCTURE
    assert episode.score().value is None
    assert episode.score().failure == Failure(party="infrastructure", message="connection refused")


ACTIONS = st.lists(st.sampled_from([ON, DIM, DIM.replace("5", "9"), "<tool_call>{", ""]), max_size=8)


@given(ACTIONS, st.data())
def test_a_fork_at_any_turn_is_the_episode_as_it_stood(actions: list[str], data: st.DataObject) -> None:
    episode = play(*actions, limits=Limits(errors=None))
    turn = data.draw(st.integers(0, len(actions)))
    earlier = play(*actions[:turn], limits=Limits(errors=None))
    fork = episode.fork(turn)
    assert fork.trajectory() == earlier.trajectory()
    fork.step(ON)
    assert episode.turn == len(actions)


def test_worlds_with_dear_snapshots_fork_by_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lamp, "cheap_snapshots", False)
    episode = play(ON, DIM)
    assert episode.fork(1).trajectory() == play(ON).trajectory()


def test_undo() -> None:
    episode = play(ON, DIM, DONE)
    episode.undo()
    assert episode.end is None and episode.trajectory() == play(ON, DIM).trajectory()
    with pytest.raises(TeleGymError, match="no turn"):
        play().undo()
    with pytest.raises(TeleGymError, match="has played 3 turns"):
        play(ON, DIM, DONE).fork(4)


def test_recording_off_keeps_messages_and_calls() -> None:
    episode = play(ON, DIM, DONE, record=False)
    assert len(episode.calls) == 3 and episode.calls[0].before is None
    assert episode.score().success


def test_openai_shapes() -> None:
    message = play(ON).messages[1].to_openai()
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"position": "on"}
    assert play(ON).messages[2].to_openai()["tool_call_id"] == "call_0"
