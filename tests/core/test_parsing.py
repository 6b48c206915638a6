from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.core.messages import Message
from telegym.core.parsing import parse_assistant_text

CALL = '{"name": "ping", "arguments": {"host": "a"}}'
OTHER = '{"name": "stop", "arguments": {}}'
BLOCK = f"<tool_call>\n{CALL}\n</tool_call>"


def calls(message: Message) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.arguments) for call in message.tool_calls if call.parse_error is None]


PING: tuple[str, dict[str, Any]] = ("ping", {"host": "a"})
STOP: tuple[str, dict[str, Any]] = ("stop", {})


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        (BLOCK, None, [PING]),
        (f"<tool_call>{CALL}</tool_call>", None, [PING]),
        (f"First {BLOCK} then {BLOCK} last", "First\nthen\nlast", [PING, PING]),
        (f"<think>hm <tool_call>{OTHER}</tool_call></think>\n\n{BLOCK}", None, [PING]),
        (f"I should use <tool_call>.\n</think>\n{BLOCK}", None, [PING]),
        (f"so</think>Hello {BLOCK}", "Hello", [PING]),
        ("<think>only thinking", None, []),
        (f"{BLOCK}<think>why</think>", None, [PING]),
        (f"<tool_call>{CALL}", None, [PING]),
        (f"<tool_call>{CALL}\n<tool_call>{OTHER}</tool_call>", None, [PING, STOP]),
        (f"<tool_call>[{CALL}, {OTHER}]</tool_call>", None, [PING, STOP]),
        (CALL, None, [PING]),
        (f"  {CALL}\n{OTHER} ", None, [PING, STOP]),
        (f"[{CALL}, {OTHER}]", None, [PING, STOP]),
        (f"```json\n{CALL}\n```", None, [PING]),
        (f"Let me look. {CALL}", "Let me look.", [PING]),
        ('{"name": "ping", "parameters": {"host": "a"}}', None, [PING]),
        ('{"name": "stop"}', None, [STOP]),
        ('{"type": "function", "function": {"name": "ping", "arguments": "{\\"host\\": \\"a\\"}"}}', None, [PING]),
        ('{"tool_calls": [{"id": "x", "function": {"name": "stop", "arguments": "{}"}}]}', None, [STOP]),
        ('ping(host="a")', None, [PING]),
        ("ping(host='a')\nstop()", None, [PING, STOP]),
        ("[ping(host='a'), stop()]", None, [PING, STOP]),
        (
            "f(a=-1, b=[1, {'c': null}], d=true, e=L1002)",
            None,
            [("f", {"a": -1, "b": [1, {"c": None}], "d": True, "e": "L1002"})],
        ),
        ("Thanks (ok)", "Thanks (ok)", []),
        ("Thanks(ok)", "Thanks(ok)", []),
        ("Is it on (or off)?", "Is it on (or off)?", []),
        ("{smile} hello", "{smile} hello", []),
        ("[note] hello", "[note] hello", []),
        ("Set {x} to 3", "Set {x} to 3", []),
        ("", None, []),
        ("   \n", None, []),
    ],
)
def test_forms(text: str, content: str | None, expected: list[Any]) -> None:
    message = parse_assistant_text(text)
    assert message.content == content
    assert calls(message) == expected
    assert len(message.tool_calls) == len(expected)


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "<tool_call></tool_call>",
        "<tool_call",
        "</tool_call>",
        f"{CALL}</tool_call>",
        '<tool_call>{"name": "ping", "arguments": {"host": </tool_call>',
        "<tool_call>{'name': 'ping', 'arguments': {}}</tool_call>",
        f"<tool_call>{CALL} and more</tool_call>",
        '<tool_call>{"name": "ping", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "ping", "arguments": null}</tool_call>',
        '<tool_call>{"name": "ping", "arguments": "{} x"}</tool_call>',
        '<tool_call>{"name": 3, "arguments": {}}</tool_call>',
        '<tool_call>{"arguments": {}}</tool_call>',
        '<tool_call>"ping"</tool_call>',
        "<tool_call>ping</tool_call>",
        '<tool_call>{"name": "ping", "arguments": {"x": NaN}}</tool_call>',
        '<tool_call>{"name": "ping", "arguments": {"x": -Infinity}}</tool_call>',
        '{"name": "ping", "arguments": {"host": "a"',
        '{"foo": 1}',
        "{'name': 'ping', 'arguments': {}}",
        '{name: "ping"}',
        '[{"name": "ping"',
        'I will call {"name": "ping", "arguments": {"host"',
        "ping(host=open('/etc/passwd'))",
        "ping(host=1+1)",
        "ping(**{'host': 1})",
        "get_host('a')",
        "ping(host='a', host='b')",
        "ping(host=",
        '<tool_call>{"name":"f","arguments":' + '{"a":' * 5000,
        "<tool_call>" + "[" * 100_000,
    ],
)
def test_broken_calls_are_malformed_calls_never_text(text: str) -> None:
    message = parse_assistant_text(text)
    assert message.tool_calls
    broken = [call for call in message.tool_calls if call.parse_error is not None]
    assert broken and all(call.raw is not None for call in broken)
    assert message.content is None or "{" not in message.content


def test_a_broken_call_does_not_hide_its_neighbours() -> None:
    message = parse_assistant_text(f"{BLOCK} a <tool_call>{{oops</tool_call> b {BLOCK}")
    assert [call.parse_error is None for call in message.tool_calls] == [True, False, True]
    assert message.content == "a\nb"
    assert [call.id for call in message.tool_calls] == ["call_0", "call_1", "call_2"]


def test_ids_are_kept_or_counted_on() -> None:
    message = parse_assistant_text('{"id": "mine", "name": "a", "arguments": {}}\n' + OTHER, first_id=7)
    assert [call.id for call in message.tool_calls] == ["mine", "call_8"]


def test_tags_inside_arguments_are_data() -> None:
    text = '<tool_call>{"name": "say", "arguments": {"x": "</tool_call></think><tool_call>"}}</tool_call>'
    assert calls(parse_assistant_text(text)) == [("say", {"x": "</tool_call></think><tool_call>"})]


def test_half_characters_do_not_survive() -> None:
    assert parse_assistant_text("a\ud800b").content == "a\ufffdb"
    assert parse_assistant_text("😀 ok").content == "😀 ok"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.dictionaries(st.text(max_size=6), json_values, max_size=4))
def test_what_is_written_is_read(name: str, arguments: dict[str, Any]) -> None:
    body = json.dumps({"name": name, "arguments": arguments})
    for text in (f"<tool_call>\n{body}\n</tool_call>", body, f"ok <tool_call>{body}</tool_call>"):
        assert calls(parse_assistant_text(text)) == [(name, arguments)]


@given(st.text(alphabet=st.sampled_from("<tool_call>/{}[]\":,name argumts()=\\\n'0think"), max_size=80))
def test_nothing_raises_and_reading_is_deterministic(text: str) -> None:
    assert parse_assistant_text(text) == parse_assistant_text(text)
