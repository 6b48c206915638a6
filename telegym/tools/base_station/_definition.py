"""From a definition and a function to a tool: schema, time, refusals, repeated reads.

A tool's body is a plain function of the network, a `Report` to fill and the arguments. What all tools have in common is
done here, once: time passes before the body runs, a refusal takes back that time and costs 12 seconds instead, and a
read that is repeated while nothing has changed is answered with the text of the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from telegym.core.errors import ToolDefinitionError, ToolError, did_you_mean
from telegym.core.tool import Kind, Risk, Tool
from telegym.tools.base_station._errors import REFUSAL_SECONDS
from telegym.tools.base_station._format import Report, Style
from telegym.tools.base_station._texts import tool_texts
from telegym.tools.base_station._validation import with_quick_acceptance

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["Body", "Definition", "definition", "definitions", "make_tool", "schema", "spend_refusal"]

Body = Callable[..., Report]
"""Called with the network, an empty report and the arguments by keyword."""
RiskClass = Literal["read_only", "reversible", "service_affecting", "destructive", "process"]
CACHE_SECONDS = 300
"""For how long a read is answered with the same text while nothing changes."""

_RISKS: dict[str, Risk] = {
    "read_only": "none",
    "process": "low",
    "reversible": "medium",
    "service_affecting": "high",
    "destructive": "critical",
}
_ENDING = frozenset({"submit_answer", "close_ticket"})


@dataclass(frozen=True, slots=True)
class Definition:
    """What is fixed about a tool, in every language and style."""

    name: str
    """Its name."""
    group: str
    """`query`, `diagnostic`, `remote_action`, `field`, `process`, `control` or `compute`."""
    risk: RiskClass
    """What a wrong call can do to the network."""
    minutes: float | None
    """Simulated time it takes; None if the arguments or the network decide."""
    cost: float | None
    """Money it costs, in euros; None if the network decides."""
    parameters: dict[str, dict[str, Any]]
    """JSON Schema of each parameter, without descriptions."""
    required: tuple[str, ...]
    """Parameters that must be given."""

    @property
    def kind(self) -> Kind:
        """Whether it reads, acts or ends the episode."""
        if self.name in _ENDING:
            return "control"
        return "read" if self.risk == "read_only" else "write"


@lru_cache(maxsize=1)
def definitions() -> dict[str, Definition]:
    """Return all definitions by name, in their order."""
    text = resources.files(__package__).joinpath("definitions.json").read_text(encoding="utf-8")
    return {
        name: Definition(name, **{**entry, "required": tuple(entry["required"])})
        for name, entry in json.loads(text).items()
    }


def definition(name: str) -> Definition:
    """Return one definition.

    Raises:
        ToolDefinitionError: If there is no such tool.
    """
    found = definitions().get(name)
    if found is None:
        raise ToolDefinitionError(f"no tool {name!r}.{did_you_mean(name, definitions())}")
    return found


def schema(name: str, language: str = "en") -> dict[str, Any]:
    """Return a tool's name, description and parameters in one language."""
    fixed, texts = definition(name), tool_texts(language)[name]
    properties = {}
    for parameter, spec in fixed.parameters.items():
        properties[parameter] = {**spec, "description": texts.parameters[parameter]}
        if "items" in spec:
            properties[parameter]["items"] = {**spec["items"], "description": texts.items[parameter]}
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(fixed.required),
        "additionalProperties": False,
    }
    return {"name": name, "description": texts.description, "parameters": parameters}


def make_tool(name: str, body: Body, style: Style, language: str = "en", *, own_time: bool = False) -> Tool:
    """Make a tool.

    Args:
        name: Name of its definition.
        body: What it does.
        style: How much its results show.
        language: Language of its description.
        own_time: Whether the body lets time pass by itself.

    Raises:
        ToolDefinitionError: If there is no such definition.
    """
    fixed = definition(name)
    seconds = 0 if own_time or fixed.minutes is None else round(60 * fixed.minutes)
    make = _reader if fixed.group in ("query", "compute") else _writer
    tool = Tool.from_schema(
        schema(name, language),
        make(name, body, replace(style, language=language), seconds, fixed),
        kind=fixed.kind,
        minutes=fixed.minutes or 0.0,
        cost=fixed.cost or 0.0,
        risk=_RISKS[fixed.risk],
    )
    return replace(tool, validate=with_quick_acceptance(tool.parameters, tool.validate))


class Answer(NamedTuple):
    """An answer given to a read."""

    time_s: int
    """When."""
    revision: int
    """What the network's revision was."""
    text: str
    """The answer."""


def _fresh(network: Network, known: Answer) -> bool:
    return known.revision == network.revision and network.now - known.time_s < CACHE_SECONDS


def spend_refusal(network: Network) -> None:
    """Let the time pass that a refused call takes."""
    network.advance(REFUSAL_SECONDS)


def _perform(network: Network, seconds: int, body: Callable[[], str]) -> str:
    """Let time pass, then run a body; if it refuses, only the time of a refusal has passed.

    Where no event is due in that time, the clock alone is set back; else the whole state is.
    """
    start = network.now
    following = network.next_event_s()
    quiet = following is None or following > start + seconds
    before = None if quiet else network.snapshot()
    if quiet:
        network.now = start + seconds
    else:
        network.advance(seconds)
    try:
        return body()
    except ToolError:
        if quiet:
            network.now = start
        else:
            network.restore(before)
        spend_refusal(network)
        raise


def _writer(name: str, body: Body, style: Style, seconds: int, fixed: Definition) -> Callable[..., str]:
    def perform(network: Network, **arguments: Any) -> str:
        def run() -> str:
            return body(network, Report(style), **arguments).text()

        return _perform(network, seconds, run)

    return perform


def _reader(name: str, body: Body, style: Style, seconds: int, fixed: Definition) -> Callable[..., str]:
    defaults = [(parameter, spec.get("default")) for parameter, spec in fixed.parameters.items()]

    def perform(network: Network, **arguments: Any) -> str:
        key = f"{name}{[arguments.get(parameter, default) for parameter, default in defaults]}"
        known: Answer | None = network.reads.get(key)
        if known is not None and _fresh(network, known):
            network.advance(seconds)
            return known.text

        def run() -> str:
            return body(network, Report(style), **arguments).text()

        text = _perform(network, seconds, run)
        network.reads[key] = Answer(network.now, network.revision, text)
        return text

    return perform
