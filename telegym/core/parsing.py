"""From the text of a model to a message with tool calls.

Understood, wherever they stand among text: Qwen/Hermes blocks `<tool_call>{"name": …, "arguments": {…}}</tool_call>`;
and as a whole message or inside prose: JSON objects with `name` and `arguments`, alone, in a list, in a code fence, or
as OpenAI `tool_calls`; and as a whole message: `name(argument=value)`, one or several. What a model thinks
(`<think>…</think>`) is neither text nor call.

What is meant as a call but cannot be read becomes a call with a `parse_error`. Nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pydantic_core

from telegym.core.messages import Message, Requestor, ToolCall, trusted

__all__ = ["MAX_NESTING", "nested_too_deeply", "parse_assistant_text", "without_half_characters"]

MAX_NESTING = 64
"""Deepest nesting of arguments that are read at all; tools take less."""

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_THINK, _THINK_END = "<think>", "</think>"
_MAX_FUNCTION_FORM = 8_192
_JSON_START = re.compile(r"""\{\s*(?:["'}]|name\b)|\[\s*\{""")
_EMBEDDED = re.compile(r'\{\s*"(?:name|type|function|tool_calls)"\s*:')
_CALL_KEYS = re.compile(r'"(?:arguments|parameters|function|tool_calls)"\s*:')
_FENCE = re.compile(r"\A```(?:json|tool_call|tool_code|python)?\s*\n(.*?)\n?\s*```\Z", re.DOTALL)
_FUNCTION_FORM = re.compile(r"\A\[?\s*[A-Za-z_]\w*\(.*\)\s*\]?\Z", re.DOTALL)
_CUT_SHORT = re.compile(r"\A\[?\s*[A-Za-z_]\w*\(\s*\w+\s*=")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_WELL_FORMED: dict[str, Any] = {"parse_error": None, "raw": None}
_NO_RESULT: dict[str, Any] = {"tool_call_id": None, "name": None, "error": False, "requestor": "assistant"}
_CONSTANTS = {"true": True, "false": False, "null": None}


class _Unreadable(Exception):
    """The text is meant as a call but cannot be read; the message says why."""


def parse_assistant_text(text: str, first_id: int = 0, requestor: Requestor = "assistant") -> Message:
    """Read the text of a model.

    Args:
        text: What the model wrote, with or without thoughts, text and calls.
        first_id: Calls without an id of their own are named `call_<n>`, counting from here.
        requestor: The side that speaks.

    Returns:
        A message of role `assistant` with the remaining text (None if there is none) and the calls in order. Calls that
        cannot be read have `parse_error` set.
    """
    text = without_half_characters(text)
    message = _parse_single_block(text, first_id, requestor)
    if message is not None:
        return message
    pieces, calls = _split(text)
    content = "\n".join(part for piece in pieces if (part := piece.strip())) or None
    if not calls and content is not None:
        content, calls = _parse_plain(content)
    numbered = (_number(call, index, requestor) for index, call in enumerate(calls, first_id))
    return Message(role="assistant", content=content, tool_calls=tuple(numbered))


def _parse_single_block(text: str, first_id: int, requestor: Requestor) -> Message | None:
    """Read the most common form at once: one block and nothing else."""
    if not (text.startswith(_OPEN) and text.endswith(_CLOSE) and text.find(_OPEN, 1) < 0):
        return None
    if text.count("[") + text.count("{") > MAX_NESTING:
        return None
    try:
        body = pydantic_core.from_json(text[len(_OPEN) : -len(_CLOSE)], allow_inf_nan=False)
    except ValueError:
        return None
    if type(body) is not dict or body.keys() != {"name", "arguments"}:
        return None
    name, arguments = body["name"], body["arguments"]
    if type(name) is not str or not name or type(arguments) is not dict:
        return None
    call = {"id": f"call_{first_id}", "name": name, "arguments": arguments, "requestor": requestor}
    message = {"role": "assistant", "content": None, "tool_calls": (trusted(ToolCall, call | _WELL_FORMED),)}
    return trusted(Message, message | _NO_RESULT)


def without_half_characters(text: str) -> str:
    """Replace lone surrogates, which no file or server can carry."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _number(call: dict[str, Any], index: int, requestor: Requestor) -> ToolCall:
    return ToolCall(**{"id": f"call_{index}", **call, "requestor": requestor})


# --- blocks --------------------------------------------------------------------------------


def _split(text: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Separate text from thoughts and `<tool_call>` blocks."""
    text = _drop_leading_thoughts(text)
    pieces: list[str] = []
    calls: list[dict[str, Any]] = []
    position = 0
    while True:
        block, thought = text.find(_OPEN, position), text.find(_THINK, position)
        if thought >= 0 and (block < 0 or thought < block):
            pieces.append(text[position:thought])
            end = text.find(_THINK_END, thought)
            if end < 0:
                return pieces, calls
            position = end + len(_THINK_END)
        elif block >= 0:
            pieces.append(_strip_stray_close(text[position:block], calls))
            found, position = _read_block(text, block + len(_OPEN))
            calls.extend(found)
        else:
            pieces.append(_strip_stray_close(text[position:], calls))
            return pieces, calls


def _drop_leading_thoughts(text: str) -> str:
    """Drop thoughts whose opening tag was part of the prompt."""
    end = text.find(_THINK_END)
    start = text.find(_THINK)
    if end < 0 or 0 <= start < end:
        return text
    block = text.find(_OPEN)
    if 0 <= block < end and _decode_object(text, block + len(_OPEN), end):
        return text  # the tag is inside an argument
    return text[end + len(_THINK_END) :]


def _decode_object(text: str, start: int, beyond: int) -> bool:
    """Return whether a JSON value that begins at `start` reaches past `beyond`."""
    try:
        _, end = _decode(text, start)
    except _Unreadable:
        return False
    return end > beyond


def _strip_stray_close(piece: str, calls: list[dict[str, Any]]) -> str:
    """Report a closing tag without an opening one, or an opening tag cut short, as a malformed call."""
    if _CLOSE in piece:
        body, _, rest = piece.rpartition(_CLOSE)
        calls.append(_malformed(body, f"{_CLOSE} without {_OPEN} before it"))
        return rest
    if piece.rstrip().endswith(_OPEN[:-1]):
        calls.append(_malformed(_OPEN[:-1], f"{_OPEN} was cut short"))
        return piece.rstrip()[: -len(_OPEN) + 1]
    return piece


def _read_block(text: str, start: int) -> tuple[list[dict[str, Any]], int]:
    """Read the block whose content begins at `start`; return its calls and where it ends."""
    try:
        value, end = _decode(text, start)
        after = _skip_space(text, end)
        if text.startswith(_CLOSE, after):
            return list(_calls_of(value, text[start:end])), after + len(_CLOSE)
        if after == len(text) or text.startswith(_OPEN, after):
            return list(_calls_of(value, text[start:end])), after
        reason = f"unexpected text after the JSON object: {text[after : after + 40]!r}"
    except _Unreadable as error:
        reason = str(error)
    stop = min((at for at in (text.find(_CLOSE, start), text.find(_OPEN, start)) if at >= 0), default=len(text))
    end = stop + len(_CLOSE) if text.startswith(_CLOSE, stop) else stop
    return [_malformed(text[start:stop], reason)], end


# --- JSON --------------------------------------------------------------------------------


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _decode(text: str, start: int) -> tuple[Any, int]:
    """Read one JSON value.

    Raises:
        _Unreadable: If there is none; the message is that of the JSON parser.
    """
    begin = _skip_space(text, start)
    if begin == len(text):
        raise _Unreadable("the call is empty")
    try:
        value, end = _DECODER.raw_decode(text, begin)
        if _HALF_CHARACTER.search(text, begin, end):
            json.dumps(value, ensure_ascii=False).encode()
        return value, end
    except UnicodeEncodeError:
        raise _Unreadable("not valid JSON: half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        place = f"at character {error.pos - begin} of the call"
        raise _Unreadable(f'not valid JSON: {error.msg} {place}; expected {{"name": …, "arguments": {{…}}}}') from None
    except ValueError as error:
        raise _Unreadable(f"not valid JSON: {error}") from None
    except RecursionError:
        raise _Unreadable("not valid JSON: nested too deeply") from None


def _decode_whole(text: str) -> Any:
    """Read a text that is one JSON value and nothing else."""
    value, end = _decode(text, 0)
    if _skip_space(text, end) < len(text):
        raise _Unreadable("not valid JSON: unexpected text after the value")
    return value


def _calls_of(value: Any, raw: str) -> Iterator[dict[str, Any]]:
    """Yield the calls a JSON value holds: one object, a list of them, or OpenAI `tool_calls`."""
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    if isinstance(value, list) and value:
        for item in value:
            yield _call_of(item, raw)
    else:
        yield _call_of(value, raw)


def _call_of(value: Any, raw: str) -> dict[str, Any]:
    """Return one call, or what is wrong with it."""
    if not isinstance(value, dict):
        return _malformed(raw, f"a call is a JSON object, this is a {type(value).__name__}")
    body = value["function"] if isinstance(value.get("function"), dict) else value
    name = body.get("name")
    arguments = body.get("arguments", body.get("parameters", {}))
    if not isinstance(name, str) or not name:
        return _malformed(raw, 'the call has no "name"')
    if isinstance(arguments, str):
        try:
            arguments = _decode_whole(arguments)
        except _Unreadable as error:
            return _malformed(raw, f"arguments: {error}", name)
    if not isinstance(arguments, dict):
        return _malformed(raw, f'"arguments" must be a JSON object, not {json.dumps(arguments)[:40]}', name)
    if nested_too_deeply(arguments):
        return _malformed(raw, f"the arguments are nested deeper than {MAX_NESTING} levels", name)
    call: dict[str, Any] = {"name": name, "arguments": arguments}
    if isinstance(value.get("id"), str) and value["id"]:
        call["id"] = value["id"]
    return call


def nested_too_deeply(value: Any, levels: int = MAX_NESTING) -> bool:
    """Return whether a JSON value is nested deeper than readers of JSON are sure to follow."""
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(nested_too_deeply(item, levels - 1) for item in items)


def _malformed(raw: str, reason: str, name: str = "") -> dict[str, Any]:
    return {"name": name, "parse_error": reason, "raw": raw}


# --- whole messages without tags --------------------------------------------------------------------------------


def _parse_plain(content: str) -> tuple[str | None, list[dict[str, Any]]]:
    """Look for calls in text without tags; return the remaining text and the calls."""
    fenced = _FENCE.match(content)
    body = fenced.group(1).strip() if fenced else content
    if _JSON_START.match(body):
        return None, _parse_json_message(body)
    if _FUNCTION_FORM.match(body):
        calls = _parse_function_form(body)
        return (None, calls) if calls else (content, [])
    if _CUT_SHORT.match(body) and ")" not in body:
        return None, [_malformed(body, "name(argument=value) was cut short", body.partition("(")[0].strip("[ "))]
    return _parse_embedded(content)


def _parse_json_message(body: str) -> list[dict[str, Any]]:
    """Read a message that consists of JSON: one value, or several after each other."""
    calls: list[dict[str, Any]] = []
    position = 0
    while position < len(body):
        try:
            value, end = _decode(body, position)
        except _Unreadable as error:
            return [*calls, _malformed(body[position:], str(error))]
        calls.extend(_calls_of(value, body[position:end]))
        position = _skip_space(body, end)
        if position < len(body) and body[position] == ",":
            position = _skip_space(body, position + 1)
    return calls


def _parse_embedded(content: str) -> tuple[str | None, list[dict[str, Any]]]:
    """Find JSON calls inside prose."""
    pieces: list[str] = []
    calls: list[dict[str, Any]] = []
    position = 0
    for match in _EMBEDDED.finditer(content):
        if match.start() < position or not _CALL_KEYS.search(content, match.start()):
            continue
        pieces.append(content[position : match.start()])
        try:
            value, position = _decode(content, match.start())
            calls.extend(_calls_of(value, content[match.start() : position]))
        except _Unreadable as error:
            calls.append(_malformed(content[match.start() :], str(error)))
            position = len(content)
    if not calls:
        return content, []
    pieces.append(content[position:])
    return "\n".join(part for piece in pieces if (part := piece.strip())) or None, calls


def _parse_function_form(body: str) -> list[dict[str, Any]]:
    """Read `name(argument=value)`, one a line or in a list; return nothing if the text is not of that form."""
    if len(body) > _MAX_FUNCTION_FORM:
        return []
    try:
        tree = ast.parse(body.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return _broken_function_form(body, error)
    expressions: list[ast.expr] = []
    for statement in tree.body:
        if not isinstance(statement, ast.Expr):
            return []
        expressions.extend(statement.value.elts if isinstance(statement.value, ast.List) else [statement.value])
    if not expressions or not all(_looks_like_call(expression) for expression in expressions):
        return []
    return [_function_call(expression, body) for expression in expressions if isinstance(expression, ast.Call)]


def _broken_function_form(body: str, error: Exception) -> list[dict[str, Any]]:
    """Report text that was meant as `name(argument=value)` but is not Python syntax; prose is not."""
    head = re.match(r"\[?\s*([A-Za-z]\w*_\w*|[a-z_]\w*)\(\s*(?:\w+\s*=|$)", body)
    if head is None:
        return []
    return [_malformed(body, f"not of the form name(argument=value): {error}", head.group(1))]


def _looks_like_call(expression: ast.expr) -> bool:
    """Return whether an expression is meant as a tool call: `Hello(world)` is not, `f()` and `f(a=1)` are."""
    if not isinstance(expression, ast.Call) or not isinstance(expression.func, ast.Name):
        return False
    return not expression.args or bool(expression.keywords) or "_" in expression.func.id


def _function_call(call: ast.Call, body: str) -> dict[str, Any]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if call.args:
        return _malformed(body, "arguments must be named: name(argument=value)", name)
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in arguments:
            return _malformed(body, "arguments must be named, each once", name)
        try:
            arguments[keyword.arg] = _literal(keyword.value)
        except _Unreadable as error:
            return _malformed(body, f"argument {keyword.arg!r}: {error}", name)
    return {"name": name, "arguments": arguments}


def _literal(node: ast.expr) -> Any:
    """Return the JSON value a Python expression denotes, without evaluating anything."""
    if isinstance(node, ast.Constant) and (node.value is None or type(node.value) in (str, int, float, bool)):
        return node.value
    if isinstance(node, ast.Name):
        return _CONSTANTS.get(node.id, node.id)
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {_key(key): _literal(value) for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _literal(node.operand)
        if type(value) in (int, float):
            return -value if isinstance(node.op, ast.USub) else value
    raise _Unreadable("only text, numbers, true, false, null, lists and objects are values")


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise _Unreadable("the keys of an object are text")
