"""The toolkit: which tools an agent gets, and how calls that never reach a tool take their time too."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.messages import ToolCall
from telegym.core.tool import CallError, Tool, Toolkit, ToolOutcome
from telegym.core.world import World
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.state import LoggedCall
from telegym.tools.base_station import calculator, control, diagnostic, field, process, remote
from telegym.tools.base_station._definition import Body, definitions, make_tool, spend_refusal
from telegym.tools.base_station._errors import Code
from telegym.tools.base_station._format import FULL, TERSE, Style
from telegym.tools.base_station.query import (
    air,
    alarms,
    configuration,
    inventory,
    logs,
    performance,
    records,
    software,
    status,
    transport,
)

__all__ = ["FAMILIES", "PROFILES", "STYLES", "NetworkToolkit", "profile_tools", "toolkit"]

STYLES: dict[str, Style] = {"full": FULL, "terse": TERSE}
"""How much results show, by name."""
OWN_TIME = frozenset(
    {
        *("run_link_test", "run_vswr_test", "run_pim_test", "run_spectrum_scan", "run_battery_test"),
        *("instruct_technician", "ask_requester", "wait"),
    }
)
"""Tools that let time pass themselves."""
_MODULES = (
    *(alarms, inventory, status, configuration, performance, air, logs, transport, software, records),
    *(diagnostic, remote, field, process, control),
)
MAX_EXPLANATION = 600
"""Longest explanation of why arguments do not fit."""
_UNHEARD = frozenset({CallError.INVALID_ARGUMENTS, CallError.TOO_LARGE, CallError.UNKNOWN_TOOL, CallError.MALFORMED})
"""Errors of calls that reached no tool."""


@cache
def _profiles() -> dict[str, Any]:
    text = resources.files("telegym.tools.base_station").joinpath("profiles.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


PROFILES = ("core", "qa", "full", "family:<letter>")
"""Profiles there are."""
FAMILIES = "PTCFAGSXQIHZN"
"""Families of faults that have a profile of their own."""


def profile_tools(profile: str) -> tuple[str, ...]:
    """Return the names of a profile's tools, in the order of all tools.

    Args:
        profile: `core`, `qa`, `full`, or `family:` and the letter of a family.

    Raises:
        ConfigurationError: If there is no such profile.
    """
    known = definitions()
    name, _, letter = profile.partition(":")
    if profile == "full":
        return tuple(known)
    if profile in ("core", "qa"):
        chosen = set(_profiles()[profile])
    elif name == "family" and len(letter) == 1 and letter in FAMILIES:
        chosen = {*_profiles()["family"]["base"], *_profiles()["family"][letter]}
    else:
        hint = did_you_mean(profile, ("core", "qa", "full", *(f"family:{item}" for item in FAMILIES)))
        raise ConfigurationError(f"no tool profile {profile!r}.{hint} Valid: {', '.join(PROFILES)}")
    return tuple(item for item in known if item in chosen)


@cache
def _acting() -> frozenset[str]:
    """Return the tools that change the network, send people, or interrupt service for a test."""
    known = definitions()
    acting = {name for name, item in known.items() if item.group in ("remote_action", "field")}
    tests = {name for name, item in known.items() if item.group == "diagnostic" and item.risk != "read_only"}
    return frozenset((acting | tests | {"request_change_approval", "escalate_ticket"}) - {"run_link_test"})


@cache
def _reading() -> frozenset[str]:
    """Return the tools that change nothing but the clock."""
    return frozenset(name for name, item in definitions().items() if item.kind == "read")


@cache
def _bodies() -> dict[str, Body]:
    found: dict[str, Body] = {"compute_radio_quantity": calculator.compute_radio_quantity}
    for module in _MODULES:
        for name in module.__all__:
            if name in definitions():
                found[name] = getattr(module, name)
    return found


@cache
def _tool(name: str, style: str, language: str) -> Tool:
    return make_tool(name, _bodies()[name], STYLES[style], language, own_time=name in OWN_TIME)


def toolkit(profile: str = "full", language: str = "en", results: str = "full") -> NetworkToolkit:
    """Return the tools of a profile.

    Args:
        profile: `core`, `qa`, `full`, or `family:` and the letter of a family of faults.
        language: Language of the descriptions, `en` or `zh`.
        results: `full`, or `terse` for small contexts.

    Raises:
        ConfigurationError: If there is no such profile, or no such kind of results.
    """
    if results not in STYLES:
        raise ConfigurationError(f"no results {results!r}.{did_you_mean(results, STYLES)} Valid: {', '.join(STYLES)}")
    tools = [_tool(name, results, language) for name in profile_tools(profile)]
    return NetworkToolkit(tools, f"base-station {profile}")


def _shortened(content: str) -> str:
    """Return an explanation without the middle of a list that is too long to read."""
    if len(content) <= MAX_EXPLANATION:
        return content
    tail = content.rpartition(". Parameters: ")
    room = MAX_EXPLANATION - len(tail[2]) - 20
    return f"{content[: max(room, 200)]}…. Parameters: {tail[2][:400]}"


class NetworkToolkit(Toolkit):
    """Tools of a network, in which time passes with every call.

    The outcome's minutes are those that really passed. Tools that are added and know nothing of the clock take the
    minutes they declare.
    """

    def with_tools(self, tools: Iterable[Tool]) -> NetworkToolkit:
        """Return a toolkit with more tools at the end."""
        return NetworkToolkit([*self, *tools], self.name)

    def without_actions(self) -> NetworkToolkit:
        """Return the tools that look, talk and end a case, without those that change the network."""
        kept = [tool for tool in self if tool.name not in _acting()]
        return NetworkToolkit(kept, f"{self.name} reading")

    def execute(self, world: World, call: ToolCall) -> ToolOutcome:
        """Validate and run one call, and let its time pass.

        Raises:
            TypeError: If the world is no network.
        """
        if not isinstance(world, Network):
            raise TypeError(f"tools of a network need a Network, not a {type(world).__name__}")
        start = world.now
        before = None if call.name in _reading() else world.fork()
        content, error, minutes = super().execute(world, call)
        if error in _UNHEARD:
            spend_refusal(world)
            if error in (CallError.INVALID_ARGUMENTS, CallError.TOO_LARGE):
                content = _shortened(f"Error: {Code.INVALID_ARGUMENT}: {content.removeprefix('Error: ')}")
        elif world.now == start and minutes and call.name not in definitions():
            world.advance(round(60 * minutes))
        entry = LoggedCall(start, world.now, call.name, call.arguments, error is not None, before)
        world.journal = (*world.journal, entry)
        return ToolOutcome(content, error, (world.now - start) / 60.0)
