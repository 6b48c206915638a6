"""Checking tools of one's own: good ones pass, each kind of fault is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telegym.cli.toolfile import check_tools, load_tools
from telegym.core.errors import ConfigurationError, ToolDefinitionError
from tests.cli.conftest import Telegym
from tests.toy import Toy

HEADER = """
import itertools, random
from telegym import ToolError, tool
from tests.toy import CounterWorld
"""
GOOD = (
    HEADER
    + '''
@tool
def sum_counters(world: CounterWorld, first: str, second: str | None = None) -> int:
    """Add two counters.

    Args:
        first: Id of a counter.
        second: Id of another one.
    """
    if first not in world.values or (second or first) not in world.values:
        raise ToolError("no such counter")
    return world.values[first] + (world.values[second] if second else 0)
'''
)
FAULTS = {
    "determinism": """
@tool(kind="write")
def odd(world: CounterWorld) -> float:
    '''Say anything.'''
    return random.random()
""",
    "kind": """
@tool
def odd(world: CounterWorld) -> str:
    '''Read.'''
    world.values["C001"] += 1
    return "ok"
""",
    "errors": """
@tool
def odd(world: CounterWorld) -> int:
    '''Fail.'''
    return world.values["C009"]
""",
    "schema": """
@tool
def done(world: CounterWorld) -> str:
    '''End, again.'''
    return "x"
""",
}


def write(folder: Path, code: str) -> Path:
    path = folder / "my_tools.py"
    path.write_text(code, encoding="utf-8")
    return path


def test_a_good_tool_passes_and_can_be_played(telegym: Telegym, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    result = telegym("tools", "check", path, "--env", "toy")
    assert (result.code, result.out) == (0, "✓ sum_counters\n")
    assert "sum_counters" in telegym("tools", "list", "toy", "--tools", path).out
    played = telegym("play", "toy", "--task", "toy-2", "--tools", path, stdin="sum_counters first=C001\n")
    assert '→ sum_counters(first="C001")\n0\n' in played.out


@pytest.mark.parametrize("check", FAULTS)
def test_each_fault_is_named(telegym: Telegym, tmp_path: Path, check: str) -> None:
    path = write(tmp_path, HEADER + FAULTS[check])
    result = telegym("tools", "check", path, "--env", "toy", "--json")
    assert result.code == 1
    findings = json.loads(result.out)["findings"]
    assert [finding["check"] for finding in findings] == [check]
    assert telegym("tools", "check", path, "--env", "toy").out.startswith("✗ ")


def test_a_refusal_that_changes_the_world_is_found() -> None:
    from telegym.core.errors import ToolError
    from telegym.core.tool import tool
    from tests.toy import CounterWorld

    class Careless(CounterWorld):
        cheap_snapshots = False

    class CarelessToy(Toy):
        def build_world(self, task: object, seed: int) -> Careless:
            return Careless({"C001": 0})

    @tool(kind="write")
    def late(world: CounterWorld) -> str:
        """Change, then refuse."""
        world.values["C001"] += 1
        raise ToolError("too late")

    findings = check_tools([late], CarelessToy())
    assert [finding.check for finding in findings] == ["errors"]
    assert "has changed the world" in findings[0].message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", "defines no tool"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError"),
        ("def (", "cannot be imported: SyntaxError"),
        (
            HEADER + "@tool\ndef f(world: CounterWorld, a: str) -> str:\n    '''Do.'''\n    return a",
            "my_tools.py: .*'a'",
        ),
    ],
)
def test_a_file_that_gives_no_tools_says_why(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises((ConfigurationError, ToolDefinitionError), match=message):
        load_tools(write(tmp_path, code))
