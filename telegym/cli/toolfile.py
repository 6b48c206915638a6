"""Tools from a Python file: loading them, and checking that they behave.

A check calls every tool on copies of a real world with arguments made from its schema, and says what a player or a
trainer would stumble over: a tool that fails, answers differently the second time, changes a world it only reads, or
accepts what its schema forbids.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from telegym.agents.random import SchemaSampler
from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError, ToolDefinitionError
from telegym.core.messages import ToolCall
from telegym.core.tool import CallError, Tool, Toolkit
from telegym.core.world import World, canonical_json

__all__ = ["Finding", "check_tools", "load_tools"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_SAMPLES = 40


class Finding(NamedTuple):
    """One thing wrong with a tool."""

    tool: str
    """Name of the tool."""
    check: str
    """What was checked: `schema`, `determinism`, `kind`, `errors` or `result`."""
    message: str
    """What is wrong."""


def load_tools(path: str | Path) -> list[Tool]:
    """Import a Python file and return the tools it defines, in order.

    Raises:
        ConfigurationError: If there is no such file or no tool in it.
        ToolDefinitionError: If the file cannot be imported or a tool in it is not well defined.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigurationError(f"no file {str(path)!r}")
    name = f"telegym_tools_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ToolDefinitionError as error:
        raise ToolDefinitionError(f"{path}: {error}") from error
    except Exception as error:
        raise ToolDefinitionError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    tools = list({id(value): value for value in vars(module).values() if isinstance(value, Tool)}.values())
    if not tools:
        raise ConfigurationError(f"{path} defines no tool; decorate a function with @tool")
    return tools


def check_tools(tools: list[Tool], environment: Environment, seed: int = 0) -> list[Finding]:
    """Try every tool on the world of the environment's first task.

    Args:
        tools: The tools to check.
        environment: Where they would be used.
        seed: Decides the arguments that are tried.

    Returns:
        What is wrong, empty if nothing is.
    """
    task = environment.tasks[0]
    world = environment.build_world(task, seed)
    taken = environment.toolkit(task)
    findings: list[Finding] = []
    for tool in tools:
        if tool.name in taken:
            findings.append(Finding(tool.name, "schema", f"{environment.id} already has a tool of this name"))
        findings += _check_schema(tool)
        findings += _check_calls(tool, world, seed)
        findings += _check_errors(tool, world)
    return list(dict.fromkeys(findings))


def _check_schema(tool: Tool) -> Iterator[Finding]:
    if not _NAME.fullmatch(tool.name):
        yield Finding(
            tool.name, "schema", "a name is at most 64 letters, digits, '_' and '-', and begins with a letter"
        )
    if not tool.description.strip():
        yield Finding(tool.name, "schema", "the description is empty")
    for name, schema in tool.parameters.get("properties", {}).items():
        if not str(schema.get("description", "")).strip():
            yield Finding(tool.name, "schema", f"parameter {name!r} has no description")


def _check_calls(tool: Tool, world: World, seed: int) -> Iterator[Finding]:
    """Call the tool twice with each of some valid arguments, on equal worlds."""
    sampler = SchemaSampler(Random(f"{seed}/{tool.name}"), sorted(set(_texts(world.dump()))))
    for _ in range(_SAMPLES):
        arguments = sampler.sample(tool.parameters)
        first, second = (_outcome(tool, world, arguments) for _ in range(2))
        shown = canonical_json(arguments)[:200]
        if first.error is CallError.INTERNAL:
            yield Finding(tool.name, "errors", f"fails on {shown}: {first.content}; raise ToolError to refuse a call")
            return
        if first.content != second.content or first.after != second.after:
            yield Finding(tool.name, "determinism", f"two calls on equal worlds differ, with {shown}")
            return
        if first.changed and tool.kind == "read":
            yield Finding(tool.name, "kind", f"is of kind read but changes the world, with {shown}")
            return
        if first.changed and first.error is not None:
            yield Finding(tool.name, "errors", f"refuses a call but has changed the world, with {shown}")
            return


def _check_errors(tool: Tool, world: World) -> Iterator[Finding]:
    """Offer arguments that no schema without free keys allows."""
    outcome = _outcome(tool, world, {"no_such_parameter": 1})
    open_ended = tool.parameters.get("additionalProperties", True) is not False
    if outcome.error not in (CallError.INVALID_ARGUMENTS, CallError.TOO_LARGE) and not open_ended:
        yield Finding(tool.name, "errors", "accepts an argument that its schema does not name")


class _Outcome(NamedTuple):
    content: str
    error: CallError | None
    changed: bool
    after: str


def _outcome(tool: Tool, world: World, arguments: dict[str, Any]) -> _Outcome:
    """Call the tool on a copy of the world."""
    copy = world.fork()
    before = copy.state_hash()
    call = ToolCall(id="check", name=tool.name, arguments=arguments, requestor=tool.requestor)
    result = Toolkit([tool]).execute(copy, call)
    after = copy.state_hash()
    return _Outcome(result.content, result.error, before != after, after)


def _texts(value: Any) -> Iterator[str]:
    """Yield the short texts in a state: ids and names, which arguments are likely to mean."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and len(value) <= 40:
        yield value
