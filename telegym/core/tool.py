"""Tools: typed functions that an agent calls by name with JSON arguments.

A tool is made by `@tool` from a function whose first parameter is the world, or from an explicit JSON Schema. Arguments
are validated once, by a validator compiled when the tool is defined, before the function runs. What does not fit is
answered with an error that says what is wrong and what is valid; the world is not touched.

Coercion: none, except that an integer is accepted where a number is asked (and passed on as it is). Text is never
turned into a number, a number never into text, and `true` is not 1.
"""

from __future__ import annotations

import inspect
import json
import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import pydantic_core
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from telegym.core import signature
from telegym.core.errors import ToolDefinitionError, ToolError, did_you_mean
from telegym.core.messages import Requestor, ToolCall
from telegym.core.world import World

__all__ = ["MAX_DEPTH", "MAX_SIZE", "CallError", "Kind", "Risk", "Tool", "ToolOutcome", "Toolkit", "tool"]

logger = logging.getLogger(__name__)

MAX_SIZE = 65_536
"""Largest total length of the text in one call's arguments, in characters; also of the elements they hold."""
MAX_DEPTH = 16
"""Deepest nesting of lists and objects in one call's arguments."""

Kind = Literal["read", "write", "control"]
"""`read` leaves the world as it is, `write` may change it, `control` ends the episode."""
Risk = Literal["none", "low", "medium", "high", "critical"]
"""How much harm a wrong call can do."""


class CallError(StrEnum):
    """Why a tool call failed."""

    MALFORMED = "malformed_call"
    """The text of the call could not be read."""
    UNKNOWN_TOOL = "unknown_tool"
    """There is no tool of that name."""
    WRONG_SIDE = "wrong_side"
    """The tool belongs to the other side of the conversation."""
    INVALID_ARGUMENTS = "invalid_arguments"
    """The arguments do not fit the tool's schema."""
    TOO_LARGE = "too_large"
    """The arguments are longer or nested deeper than allowed."""
    DUPLICATE_ID = "duplicate_id"
    """Another call of the same message has the same id."""
    DROPPED = "dropped"
    """The message ended the episode, so its other calls were not executed."""
    EMPTY_MESSAGE = "empty_message"
    """The message had neither text nor a tool call."""
    REFUSED = "refused"
    """The simulated system refused the call."""
    INTERNAL = "internal"
    """The tool itself failed: its author has to act."""


class ToolOutcome(NamedTuple):
    """What one call gave."""

    content: str
    """The text the caller sees."""
    error: CallError | None = None
    """Why it failed, or None."""
    minutes: float = 0.0
    """Simulated time the call took."""


class _InvalidArgumentsError(Exception):
    """The arguments do not fit; the text says how."""


class _TooLargeError(_InvalidArgumentsError):
    """The arguments are too long or nested too deeply."""


Validator = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A function an agent can call."""

    name: str
    """The name by which it is called."""
    description: str
    """What it does, for the agent."""
    parameters: dict[str, Any]
    """JSON Schema (draft 2020-12) of the arguments, of type `object`."""
    function: Callable[..., Any]
    """Called with the world and the validated arguments by keyword."""
    kind: Kind = "read"
    """Whether it reads, writes or ends the episode."""
    requestor: Requestor = "assistant"
    """The side that may call it."""
    minutes: float = 0.0
    """Simulated time it takes, in minutes."""
    cost: float = 0.0
    """What it costs the operator, in the environment's currency."""
    risk: Risk = "none"
    """How much harm a wrong call can do."""
    ends: Literal["finished", "gave_up"] = "finished"
    """For kind `control`: how the episode ends."""
    validate: Validator = field(default=lambda arguments: arguments, repr=False)
    """The compiled validator: returns the arguments to call with, or raises."""

    def __call__(self, world: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the underlying function without validation, as ordinary Python."""
        return self.function(world, *args, **kwargs)

    def schema(self) -> dict[str, Any]:
        """Return the tool in the OpenAI format."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    @classmethod
    def from_schema(
        cls,
        schema: dict[str, Any],
        function: Callable[..., Any],
        *,
        kind: Kind = "read",
        requestor: Requestor = "assistant",
        minutes: float = 0.0,
        cost: float = 0.0,
        risk: Risk = "none",
        ends: Literal["finished", "gave_up"] = "finished",
    ) -> Tool:
        """Make a tool from an explicit schema.

        Args:
            schema: `{"name", "description", "parameters"}`, alone or inside `{"type": "function", "function": …}`;
                `inputSchema` (as MCP servers list it) is accepted for `parameters`. Arguments the schema does not name
                are refused unless it sets `additionalProperties`.
            function: Called with the world and the arguments by keyword.
            kind: Whether the tool reads, writes or ends the episode.
            requestor: The side that may call it.
            minutes: Simulated time it takes, in minutes.
            cost: What it costs the operator.
            risk: How much harm a wrong call can do.
            ends: For kind `control`: how the episode ends.

        Raises:
            ToolDefinitionError: If a part is missing, the schema is not valid, or a parameter has no description.
        """
        body = schema.get("function", schema)
        name, description = body.get("name"), body.get("description")
        parameters = body.get("parameters", body.get("inputSchema", {"type": "object", "properties": {}}))
        _check_face(name, description, parameters)
        parameters = {"additionalProperties": False, **parameters}
        validate = _schema_validator(parameters)
        return cls(name, description, parameters, function, kind, requestor, minutes, cost, risk, ends, validate)

    @classmethod
    def from_file(cls, path: str | Path, function: Callable[..., Any], **options: Any) -> Tool:
        """Make a tool from a JSON file that holds one schema; see `from_schema` for the options.

        Raises:
            ToolDefinitionError: If the file cannot be read or holds no valid schema.
        """
        try:
            schema = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ToolDefinitionError(f"{path}: cannot be read as a tool schema: {error}") from error
        if not isinstance(schema, dict):
            raise ToolDefinitionError(f"{path}: a tool schema is a JSON object, this is a {type(schema).__name__}")
        return cls.from_schema(schema, function, **options)


def _check_face(name: Any, description: Any, parameters: Any) -> None:
    """Check what is common to all tools: a usable name, descriptions everywhere, a valid schema of type object."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ToolDefinitionError(f"tool name {name!r} is not an identifier")
    if not isinstance(description, str) or not description.strip():
        raise ToolDefinitionError(f"tool {name!r} has no description")
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise ToolDefinitionError(f"tool {name!r}: parameters must be a JSON Schema of type object")
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise ToolDefinitionError(
            f"tool {name!r}: invalid JSON Schema at {error.json_path}: {error.message}"
        ) from error
    missing = signature.undescribed(parameters)
    if missing:
        raise ToolDefinitionError(f"tool {name!r}: no description for {', '.join(missing)}")
    remote = signature.remote_reference(parameters)
    if remote is not None:
        raise ToolDefinitionError(f"tool {name!r}: $ref {remote!r} leaves the schema; only '#…' is allowed")


def _schema_validator(parameters: dict[str, Any]) -> Validator:
    """Return a validator for an explicit JSON Schema."""
    compiled = Draft202012Validator(parameters)
    valid = list(parameters.get("properties", {}))

    def validate(arguments: dict[str, Any]) -> dict[str, Any]:
        errors = sorted(compiled.iter_errors(arguments), key=lambda error: error.json_path)
        if errors:
            problems = [f"{error.json_path.removeprefix('$.')}: {error.message}" for error in errors[:5]]
            raise _InvalidArgumentsError(f"{'; '.join(problems)}. Parameters: {', '.join(valid) or 'none'}.")
        return arguments

    return validate


def _signature_validator(compiled: signature.Compiled) -> Validator:
    """Return a validator for the arguments of a typed function."""
    core = compiled.validator
    valid = compiled.names

    def explain(error: pydantic_core.ValidationError) -> _InvalidArgumentsError:
        problems = [signature.describe(item, valid) for item in error.errors(include_url=False)[:5]]
        listing = ", ".join(compiled.summaries) or "none"
        return _InvalidArgumentsError(f"{'; '.join(problems)}. Parameters: {listing}.")

    def validate_plain(arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            core.validate_python(arguments)
        except pydantic_core.ValidationError as error:
            raise explain(error) from None
        return arguments

    def validate_rich(arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            instance = core.validate_json(pydantic_core.to_json(arguments))
        except pydantic_core.ValidationError as error:
            raise explain(error) from None
        return dict(instance.__dict__)

    return validate_plain if compiled.plain else validate_rich


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    kind: Kind = "read",
    requestor: Requestor = "assistant",
    minutes: float = 0.0,
    cost: float = 0.0,
    risk: Risk = "none",
    ends: Literal["finished", "gave_up"] = "finished",
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    kind: Kind = "read",
    requestor: Requestor = "assistant",
    minutes: float = 0.0,
    cost: float = 0.0,
    risk: Risk = "none",
    ends: Literal["finished", "gave_up"] = "finished",
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool from a typed function whose first parameter is the world.

    The description is the docstring's text, the schema comes from the annotations: enums, `Literal`, nested pydantic
    models, `Optional`, unions, defaults, bounds (`Annotated[int, Field(ge=1)]`). Each parameter is described in the
    docstring's `Args:` or in its annotation (`Annotated[str, "Customer id"]`).

    Args:
        function: The function.
        name: The tool's name; the function's own by default.
        kind: Whether the tool reads, writes or ends the episode.
        requestor: The side that may call it.
        minutes: Simulated time it takes, in minutes.
        cost: What it costs the operator.
        risk: How much harm a wrong call can do.
        ends: For kind `control`: how the episode ends.

    Raises:
        ToolDefinitionError: If an annotation, a description or the docstring is missing or not usable.
    """

    def make(function: Callable[..., Any]) -> Tool:
        tool_name = name or function.__name__
        compiled = signature.compile_signature(function, tool_name)
        _check_face(tool_name, compiled.description, compiled.parameters)
        validate = _signature_validator(compiled)
        face = (tool_name, compiled.description, compiled.parameters)
        return Tool(*face, function, kind, requestor, minutes, cost, risk, ends, validate)

    return make if function is None else make(function)


_SCALARS = (str, int, float, bool, type(None))


def _check_size(arguments: dict[str, Any]) -> None:
    """Refuse arguments that are too long, nested too deeply, or hold a number that JSON cannot express."""
    size = 0
    for value in arguments.values():
        kind = type(value)
        if kind is str:
            size += _text_length(value)
        elif kind is float:
            if not math.isfinite(value):
                raise _InvalidArgumentsError(f"{value} is not a JSON number")
        elif kind is dict or kind is list:
            size += _measure(value, 2)
        elif not isinstance(value, _SCALARS):
            raise _InvalidArgumentsError(f"a {kind.__name__} is not a JSON value")
    if size > MAX_SIZE:
        raise _TooLargeError(f"arguments of {size} characters are too large; at most {MAX_SIZE} are allowed")


def _measure(value: Any, depth: int) -> int:
    """Return the length of the text in a nested value plus one for each element."""
    if depth > MAX_DEPTH:
        raise _TooLargeError(f"arguments are nested too deeply; at most {MAX_DEPTH} levels are allowed")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise _InvalidArgumentsError("the keys of a JSON object are text")
        return sum(_text_length(key) + 1 + _measure(item, depth + 1) for key, item in value.items())
    if isinstance(value, list):
        return sum(1 + _measure(item, depth + 1) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _InvalidArgumentsError(f"{value} is not a JSON number")
    if not isinstance(value, _SCALARS):
        raise _InvalidArgumentsError(f"a {type(value).__name__} is not a JSON value")
    return _text_length(value) if isinstance(value, str) else 0


def _text_length(text: str) -> int:
    """Return the length of a text, refusing half characters (lone surrogates), which no file can hold."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _InvalidArgumentsError(f"{text[:40]!r} holds half of a surrogate pair, which is not text")
    return len(text)


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what an asynchronous tool returns; beside a running event loop, in a thread of its own."""
    import asyncio  # takes long to import, and few tools are asynchronous
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def _serialise(result: Any) -> str:
    """Return a tool's result as the caller sees it: text as it is, anything else as JSON."""
    try:
        return json.dumps(result)
    except TypeError:
        return json.dumps(pydantic_core.to_jsonable_python(result))


class Toolkit:
    """Tools by name, in a fixed order.

    Args:
        tools: The tools; names must be unique.
        name: What the toolkit is called.

    Raises:
        ToolDefinitionError: If two tools have the same name.
    """

    def __init__(self, tools: Sequence[Tool], name: str = "tools") -> None:
        self.name = name
        self._tools: dict[str, Tool] = {}
        for item in tools:
            if not isinstance(item, Tool):
                raise ToolDefinitionError(f"toolkit {name!r}: {item!r} is not a Tool; decorate the function with @tool")
            if item.name in self._tools:
                raise ToolDefinitionError(f"toolkit {name!r} has two tools named {item.name!r}")
            self._tools[item.name] = item
        self.controls = frozenset(item.name for item in tools if item.kind == "control")
        """Names of the tools that end an episode."""

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def get(self, name: str) -> Tool | None:
        """Return the tool of this name, or None."""
        return self._tools.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(self._tools)

    def tools(self, requestor: Requestor | None = None) -> tuple[Tool, ...]:
        """Return the tools one side may call, or all."""
        return tuple(item for item in self._tools.values() if requestor in (None, item.requestor))

    def schemas(self, requestor: Requestor | None = None) -> list[dict[str, Any]]:
        """Return the schemas in the OpenAI format, of one side or of all."""
        return [item.schema() for item in self.tools(requestor)]

    def with_tools(self, tools: Iterable[Tool]) -> Toolkit:
        """Return a toolkit with more tools at the end."""
        return Toolkit([*self._tools.values(), *tools], self.name)

    def for_requestor(self, requestor: Requestor) -> Toolkit:
        """Return a toolkit in which one side may call every tool."""
        return Toolkit([replace(item, requestor=requestor) for item in self._tools.values()], self.name)

    def execute(self, world: World, call: ToolCall) -> ToolOutcome:
        """Validate and run one call.

        Whatever is wrong with the call, it is answered and the world stays as it was. A tool that fails in a way its
        author did not foresee is answered as an internal error and logged with its traceback.
        """
        item = self._tools.get(call.name)
        if item is None or item.requestor != call.requestor or call.parse_error is not None:
            return self._reject(call, item)
        try:
            _check_size(call.arguments)
            arguments = item.validate(call.arguments)
        except _TooLargeError as error:
            return ToolOutcome(f"Error: {item.name}: {error}.", CallError.TOO_LARGE)
        except _InvalidArgumentsError as error:
            return ToolOutcome(f"Error: {item.name}: {error}", CallError.INVALID_ARGUMENTS)
        return self._run(world, item, arguments)

    def _run(self, world: World, item: Tool, arguments: dict[str, Any]) -> ToolOutcome:
        snapshot = world.snapshot() if world.cheap_snapshots else None
        try:
            result = item.function(world, **arguments)
            if inspect.iscoroutine(result):
                result = _finished(result)
            content = result if type(result) is str else _serialise(result)
        except ToolError as error:
            if snapshot is not None:
                world.restore(snapshot)
            return ToolOutcome(f"Error: {error}", CallError.REFUSED, item.minutes)
        except Exception as error:
            logger.exception("tool %r failed on %r", item.name, arguments)
            if snapshot is not None:
                world.restore(snapshot)
            return ToolOutcome(
                f"Error: {item.name} failed: {type(error).__name__}: {error}", CallError.INTERNAL, item.minutes
            )
        return ToolOutcome(content, None, item.minutes)

    def _reject(self, call: ToolCall, item: Tool | None) -> ToolOutcome:
        if call.parse_error is not None:
            return ToolOutcome(f"Error: malformed tool call: {call.parse_error}", CallError.MALFORMED)
        names = [other.name for other in self.tools(call.requestor)]
        if item is None:
            hint = did_you_mean(call.name, names)
            text = f"Error: no tool {call.name[:100]!r}.{hint} Valid tools: {', '.join(names)}."
            return ToolOutcome(text, CallError.UNKNOWN_TOOL)
        text = f"Error: {item.name} is a tool of the {item.requestor}, not of the {call.requestor}."
        return ToolOutcome(f"{text} Valid tools: {', '.join(names)}.", CallError.WRONG_SIDE)
