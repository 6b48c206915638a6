"""Hypothesis strategies that write what no agent should."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from telegym.core.messages import Message, ToolCall
from tests.hostile.checker import corpus

ODD_CHARACTERS = st.sampled_from(list("\x00\x1b\u202e\ufeff\u2028\ud800\udfff😀漢\"'\\{}[]<>`,:\n "))
ODD_TEXT = st.one_of(
    st.text(st.characters(), max_size=20),
    st.text(ODD_CHARACTERS, max_size=10),
    st.sampled_from(
        ["", "null", "<tool_call>", "</tool_call>", "<|im_end|>", "<think>", "</think>", "###STOP###", "world", "self"]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, -0.0, -1, 2**63, 10**400, 1e308, 5e-324]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_TEXT, inner, max_size=4),
    max_leaves=8,
)
HUGE_ARGUMENTS = st.sampled_from(
    ["x" * 70_000, ["y"] * 70_000, {"a": "漢" * 70_000}, {str(number): 0 for number in range(70_000)}]
)


def _deep(depth: int) -> Any:
    value: Any = 0
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


DEEP = st.integers(17, 200).map(_deep)


def names(toolkit_names: Sequence[str]) -> st.SearchStrategy[str]:
    """Return names of tools, near misses and nonsense."""
    near = st.sampled_from(toolkit_names).flatmap(
        lambda name: st.sampled_from(
            [name.upper(), f" {name}", f"{name}s", name[:-1], f"functions.{name}", f"{name}()"]
        )
    )
    return st.one_of(st.sampled_from(toolkit_names), st.sampled_from(toolkit_names), near, ODD_TEXT)


def arguments(schemas: dict[str, dict[str, Any]], words: Sequence[str], name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return arguments for a tool: right ones, wrong ones, too many, too few, too large."""
    keys = list(schemas.get(name, {}).get("properties", {}))
    some = st.sampled_from([*words, "C1001", "L1002", "B0000"])
    key = st.sampled_from([*keys, "world", "", "__class__", "extra"])
    value = some | VALUES
    plausible = st.fixed_dictionaries(dict.fromkeys(keys, some | NUMBERS))
    return st.one_of(
        plausible,
        st.fixed_dictionaries(dict.fromkeys(keys, value)),
        st.dictionaries(key, value, max_size=4),
        st.dictionaries(key, DEEP, min_size=1, max_size=1),
    )


def calls(schemas: dict[str, dict[str, Any]], words: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return calls as JSON objects."""
    return names(list(schemas)).flatmap(
        lambda name: st.fixed_dictionaries({"name": st.just(name), "arguments": arguments(schemas, words, name)})
    )


def _mutilate(text: str, operation: str, place: float, odd: str) -> str:
    """Damage a text at one place."""
    index = int(place * len(text))
    match operation:
        case "cut":
            return text[:index]
        case "behead":
            return text[index:]
        case "delete":
            return text[:index] + text[index + 1 :]
        case "insert":
            return text[:index] + odd + text[index:]
        case "double":
            return text[:index] + text
        case "quotes":
            return text.replace('"', "'")
        case _:
            return text


OPERATIONS = st.sampled_from(["none", "none", "cut", "behead", "delete", "insert", "double", "quotes"])


def _block(call: dict[str, Any]) -> str:
    return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"


def _nested(call: dict[str, Any]) -> str:
    return f"<tool_call>{_block(call)}</tool_call>"


def _openai(call: dict[str, Any]) -> str:
    function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
    return json.dumps({"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": function}] * 2})


def _function(call: dict[str, Any]) -> str:
    return f"{call['name']}({', '.join(f'{key}={value!r}' for key, value in call['arguments'].items())})"


FORMS = st.sampled_from([_block, _block, json.dumps, _nested, _openai, _function])


def actions(schemas: dict[str, dict[str, Any]], words: Sequence[str]) -> st.SearchStrategy[str | Message]:
    """Return actions: texts of every kind, and messages as objects.

    Args:
        schemas: Parameter schemas by the names of the tools.
        words: Texts that mean something in the world, for example ids.
    """
    call = calls(schemas, words)
    written = st.builds(lambda form, body: form(body), FORMS, call)
    damaged = st.builds(_mutilate, written, OPERATIONS, st.floats(0, 1), ODD_TEXT)
    several = st.lists(damaged | ODD_TEXT, min_size=2, max_size=4).map("\n".join)
    collected = st.builds(
        _mutilate, st.sampled_from([entry.text for entry in corpus()]), OPERATIONS, st.floats(0, 1), ODD_TEXT
    )
    return st.one_of(damaged, damaged, several, collected, ODD_TEXT, messages(call))


def messages(call: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Message]:
    """Return message objects, of any role, with calls of any side and with ids that are not unique."""
    tool_call = st.builds(
        lambda body, id, requestor: ToolCall(id=id, requestor=requestor, **body),
        call,
        st.sampled_from(["a", "a", "b", ""]) | ODD_TEXT,
        st.sampled_from(["assistant", "user"]),
    )
    return st.builds(
        lambda role, content, found: Message(role=role, content=content, tool_calls=tuple(found)),
        st.sampled_from(["assistant", "user", "tool", "system"]),
        st.none() | ODD_TEXT,
        st.lists(tool_call, max_size=3),
    )
