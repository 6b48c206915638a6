"""Networks for tests of tools, built once and forked for each test."""

from __future__ import annotations

from functools import cache
from typing import Any

from telegym.core.messages import ToolCall
from telegym.core.tool import ToolOutcome
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.process import field
from telegym.envs.base_station.process.records import Ticket
from telegym.tools.base_station import toolkit

MORNING_S = 3 * 86_400 + 10 * 3600
"""Thursday, 10 h."""
TICKET = "INC-10001"


@cache
def _built(archetype: str, seed: int, start_s: int) -> Network:
    network = Network(archetype, seed, 7, start_s=start_s)
    field.staff(network)
    network.add(
        Ticket(
            TICKET,
            network.now,
            "customer_care",
            True,
            "Calls drop near the mill",
            "Since yesterday evening calls drop.",
            ("S004",),
            answers=(("confirm_symptom", "Calls drop after a few seconds."),),
        )
    )
    network.advance(90)
    return network


def town(start_s: int = MORNING_S) -> Network:
    """Return a network of town and countryside: microwave, generators, five bands."""
    return _built("M1", 0, start_s).fork()


def city() -> Network:
    """Return an urban network, with test phones."""
    return _built("U1", 0, MORNING_S).fork()


def call(network: Network, name: str, results: str = "full", **arguments: Any) -> ToolOutcome:
    """Call a tool as an agent does."""
    call = ToolCall(id="1", name=name, arguments=arguments)
    return toolkit("full", results=results).execute(network, call)


def text(network: Network, name: str, **arguments: Any) -> str:
    """Call a tool that must not refuse, and return its result."""
    outcome = call(network, name, **arguments)
    assert outcome.error is None, outcome.content
    return outcome.content


def refused(network: Network, name: str, **arguments: Any) -> str:
    """Call a tool that must refuse, check that only 12 seconds have passed, and return its words."""
    waiting = network.fork()
    outcome = call(network, name, **arguments)
    assert outcome.error is not None, outcome.content
    waiting.advance(12)
    assert network.state_hash() == waiting.state_hash()
    assert outcome.minutes == 0.2
    assert outcome.content.startswith("Error: ")
    return outcome.content.removeprefix("Error: ")


def values(result: str) -> dict[str, str]:
    """Return the `key: value` pairs of a result."""
    found: dict[str, str] = {}
    for line in result.split("\n"):
        for pair in line.split("  "):
            key, mark, item = pair.partition(": ")
            if mark:
                found.setdefault(key, item)
    return found


def rows(result: str, first_column: str) -> list[list[str]]:
    """Return the rows of the table whose header begins with a column."""
    lines = result.split("\n")
    start = next(index for index, line in enumerate(lines) if line.split(",")[0] == first_column)
    width = len(lines[start].split(","))
    table = []
    for line in lines[start + 1 :]:
        cells = line.split(",")
        if len(cells) != width and '"' not in line:
            break
        table.append(cells)
    return table
