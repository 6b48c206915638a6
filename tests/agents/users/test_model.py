"""The user played by a chat model, against a scripted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from telegym.agents.users import make_user
from telegym.agents.users.model import ModelUser, system_prompt
from telegym.core.errors import InfrastructureError
from telegym.core.messages import Message, ToolCall
from tests.agents.users.phones import Person, scenario


class FakeModel:
    """Gives prepared answers and keeps what it was asked."""

    def __init__(self, *answers: Message | InfrastructureError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Message, ...]] = []
        self.tools: list[list[str]] = []
        self.seeds: list[int | None] = []

    def complete(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), *, seed: int | None = None
    ) -> Message:
        self.asked.append(tuple(messages))
        self.tools.append([tool["function"]["name"] for tool in tools])
        self.seeds.append(seed)
        answer = self.answers.pop(0)
        if isinstance(answer, InfrastructureError):
            raise answer
        return answer


def says(text: str | None, *calls: str) -> Message:
    tool_calls = tuple(ToolCall(id="x", name=name) for name in calls)
    return Message(role="assistant", content=text, tool_calls=tool_calls)


def test_roles_are_exchanged_and_only_the_user_s_side_is_seen() -> None:
    model = FakeModel(says("No service!"), says(None, "check_status_bar"), says("It shows nothing."))
    person = Person(user=ModelUser(scenario(), model))
    assert person.hear("Hello!").text == "No service!"
    turn = person.hear("Check your status bar.")
    assert (turn.calls, turn.text) == (["check_status_bar"], "It shows nothing.")
    roles = [message.role for message in model.asked[-1]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "tool"]
    assert model.asked[-1][-1].content == turn.results[0]


def test_messages_are_text_or_calls_with_ids_of_their_own() -> None:
    model = FakeModel(says("Let me look.", "check_status_bar", "run_speed_test"), says("Done."))
    turn = Person(user=ModelUser(scenario(), model)).hear("Check both.")
    assert turn.messages[0].content is None
    assert [call.id for call in turn.messages[0].tool_calls] == ["user_1", "user_2"]
    assert {call.requestor for call in turn.messages[0].tool_calls} == {"user"}


def test_calls_written_as_text_are_calls() -> None:
    text = '<tool_call>\n{"name": "check_status_bar", "arguments": {}}\n</tool_call>'
    model = FakeModel(says(text), says("It shows nothing."))
    assert Person(user=ModelUser(scenario(), model)).hear("Check your status bar.").calls == ["check_status_bar"]


def test_the_phone_s_tools_are_offered() -> None:
    model = FakeModel(says("Hi."))
    ModelUser(scenario(), model).respond([says("Hello!")])
    assert len(model.tools[0]) == 30
    assert "refuel_data" not in model.tools[0]


def test_an_empty_answer_is_asked_for_again_and_then_an_infrastructure_error() -> None:
    model = FakeModel(says(" "), says("Hi."))
    assert ModelUser(scenario(), model).respond([says("Hello!")]).content == "Hi."
    assert model.seeds[0] != model.seeds[1]
    with pytest.raises(InfrastructureError, match="neither text nor a tool call"):
        ModelUser(scenario(), FakeModel(says(None), says(""))).respond([says("Hello!")])


def test_a_model_that_cannot_be_reached_is_an_infrastructure_error() -> None:
    with pytest.raises(InfrastructureError, match="down"):
        ModelUser(scenario(), FakeModel(InfrastructureError("down"))).respond([says("Hello!")])


def test_a_fork_goes_its_own_way() -> None:
    model = FakeModel(says("One."), says("Two."), says("Three."))
    user = ModelUser(scenario(), model)
    user.respond([says("Hello!")])
    twin = user.fork()
    twin.respond([says("Twin?")])
    user.respond([says("You?")])
    assert [message.content for message in model.asked[-1][1:]] == ["Hello!", "One.", "You?"]


def test_the_same_conversation_has_the_same_seeds() -> None:
    models = [FakeModel(says("One."), says("Two.")) for _ in range(2)]
    for model in models:
        user = ModelUser(scenario(), model, seed=3)
        user.respond([says("Hello!")])
        user.respond([says("And?")])
    assert models[0].seeds == models[1].seeds
    assert models[0].seeds[0] != models[0].seeds[1]


def test_the_prompt_holds_guidelines_person_and_scenario() -> None:
    prompt = system_prompt(scenario(persona="Hard", task_instructions="Be brief."))
    for part in ("###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###", "librar", "no service", "Be brief."):
        assert part in prompt
    assert "a pilot" in system_prompt(scenario(persona="Hard", persona_text="You are a pilot."))
    assert "Who you are" not in system_prompt(scenario())


def test_make_user_with_a_model() -> None:
    user = make_user("openai:some-model", scenario())
    assert isinstance(user, ModelUser)
