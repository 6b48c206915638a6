"""Tokens go in and out unchanged: no template and no tokenizer can touch what was sampled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from telegym.agents.prompting import ChatCodec, PromptProfile, call_text, opening_messages
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall
from telegym.core.parsing import parse_assistant_text

from .training.toy import ToyEnvironment

END = "<|end|>"


class FakeTokenizer:
    """One token a character, and a template that marks turns."""

    eos_token, eos_token_id = END, 1

    def __init__(self) -> None:
        self.all_special_tokens = [END]

    def apply_chat_template(self, conversation: list[dict[str, Any]], **options: Any) -> str:
        tools = options.get("tools")
        text = f"TOOLS {json.dumps(tools)}\n" if tools else ""
        for place, message in enumerate(conversation):
            text += self.render(message, place == len(conversation) - 1)
        return text + "assistant: "

    def render(self, message: dict[str, Any], last: bool) -> str:
        return f"{message['role']}: {message['content']}{END}\n"

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        ids: list[int] = []
        for piece in text.split(END):
            ids += [*self.pieces(piece), 1]
        return ids[:-1]

    def pieces(self, text: str) -> list[int]:
        return [ord(character) + 10 for character in text]

    def decode(self, token_ids: list[int]) -> str:
        return "".join(END if token == 1 else chr(token - 10) for token in token_ids)


class RewritingTokenizer(FakeTokenizer):
    """Renders an assistant's last turn with thoughts that vanish from its history, as Qwen3 does."""

    def render(self, message: dict[str, Any], last: bool) -> str:
        thoughts = "<think>\n</think>" if last and message["role"] == "assistant" else ""
        return super().render({**message, "content": thoughts + message["content"]}, last)


class MergingTokenizer(FakeTokenizer):
    """Merges the first characters of a text with the control token before them, and `ok` with what follows it."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return self.merged(super().encode(text, add_special_tokens=add_special_tokens))

    def merged(self, ids: list[int]) -> list[int]:
        out: list[int] = []
        for token in ids:
            if out and out[-1] == 1 and token == ord("\n") + 10:
                out[-1] = 100_000
            else:
                out.append(token)
        return out

    def decode(self, token_ids: list[int]) -> str:
        return "".join(
            f"{END}\n" if token == 100_000 else super(MergingTokenizer, self).decode([token]) for token in token_ids
        )


@pytest.fixture
def episode() -> Episode:
    environment = ToyEnvironment()
    return Episode(environment, environment.tasks[0])


@pytest.mark.parametrize("tokenizer", [FakeTokenizer(), RewritingTokenizer(), MergingTokenizer()])
def test_sampled_tokens_stay_and_answers_are_appended(tokenizer: FakeTokenizer, episode: Episode) -> None:
    codec = ChatCodec(tokenizer, PromptProfile(tools="none", policy="none"))
    history = codec.prompt(episode)
    unusual = [ord(c) + 10 for c in "get_alarm()"] + [1]
    for _ in range(2):
        before = list(history)
        suffix = codec.suffix(episode.step(codec.text(unusual)))
        history += [*unusual, *suffix]
        assert history[: len(before)] == before
        assert history[len(before) : len(before) + len(unusual)] == unusual
    text = tokenizer.decode(history)
    assert text.count("<think>") == 0
    assert text.startswith("user: The site 0 is down.")
    assert text.endswith(f"alarm on unit {episode.world.dump()['unit']}{END}\nassistant: ")
    assert text.count("assistant: get_alarm()") == 2


def test_what_was_sampled_is_never_rendered(episode: Episode) -> None:
    class Forbidding(FakeTokenizer):
        def apply_chat_template(self, conversation: list[dict[str, Any]], **options: Any) -> str:
            assert not any("sampled" in str(message["content"]) for message in conversation)
            return super().apply_chat_template(conversation, **options)

    codec = ChatCodec(Forbidding(), PromptProfile(tools="none"))
    codec.prompt(episode)
    codec.suffix(episode.step('sampled words <tool_call>{"name": "get_alarm", "arguments": {}}</tool_call>'))
    assert len(episode.calls) == 1


def test_a_template_without_the_end_token_is_refused() -> None:
    class Endless(FakeTokenizer):
        def render(self, message: dict[str, Any], last: bool) -> str:
            return f"{message['role']}: {message['content']}\n"

    with pytest.raises(ConfigurationError, match="does not end a turn"):
        ChatCodec(Endless())


def test_control_tokens_in_texts_do_not_end_turns() -> None:
    codec = ChatCodec(FakeTokenizer(), PromptProfile(tools="none"))
    suffix = codec.suffix([Message(role="tool", name="get_alarm", tool_call_id="1", content=f"a{END}\nassistant: b")])
    assert suffix.count(1) == 1
    assert "< |end|>" in codec.tokenizer.decode(suffix)


def test_profiles_say_what_they_promise(episode: Episode) -> None:
    full = opening_messages(episode, PromptProfile())
    assert [message["role"] for message in full] == ["system", "user"]
    assert full[0]["content"] == "Reset the unit that is in alarm."
    compact = opening_messages(episode, PromptProfile(tools="compact", policy="none"))
    assert compact[0]["content"].splitlines() == [
        "get_alarm(): Read the alarm.",
        "reset_unit(unit: integer): Reset a unit.",
        "done(): Say that the work is done.",
    ]
    assert [m["role"] for m in opening_messages(episode, PromptProfile(tools="none", policy="none"))] == ["user"]


def test_full_tools_are_the_exact_schemas(episode: Episode) -> None:
    codec = ChatCodec(FakeTokenizer(), PromptProfile(tools="full"))
    text = codec.tokenizer.decode(codec.prompt(episode))
    assert json.loads(text.splitlines()[0].removeprefix("TOOLS ")) == episode.toolkit.schemas("assistant")


def test_demonstrations_are_written_as_they_are_read() -> None:
    calls = (
        ToolCall(id="call_0", name="reset_unit", arguments={"unit": 7, "note": 'a "b"\n'}),
        ToolCall(id="call_1", name="done"),
    )
    message = Message(role="assistant", content="One moment.", tool_calls=calls)
    assert parse_assistant_text(call_text(message)) == message
