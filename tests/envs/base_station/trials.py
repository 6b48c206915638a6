"""Networks with one everyday fault, and somebody who calls tools in them: what diagnoses are tried on."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NamedTuple, TypeVar

from telegym.core.messages import ToolCall
from telegym.core.tool import CallError
from telegym.envs.base_station.engine import DAY_S, HOUR_S
from telegym.envs.base_station.faults import Defect, fault, fault_codes
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, mix
from telegym.envs.base_station.objects import Cell, Site
from telegym.envs.base_station.observations import kind_of, site_of
from telegym.envs.base_station.players.steps import Call, Reply
from telegym.envs.base_station.process import field
from telegym.envs.base_station.region.archetypes import archetype_names
from telegym.tools.base_station import toolkit

_T = TypeVar("_T")
HOURS = (3, 8, 10, 11, 13, 14, 15, 19, 20, 23)


class Made(NamedTuple):
    """A call and its answer."""

    call: ToolCall
    content: str
    error: CallError | None


class Trial(NamedTuple):
    """A network with a fault."""

    network: Network
    defect: Defect
    site: str
    ticket: str

    @property
    def accepted(self) -> tuple[str, ...]:
        """Elements that a diagnosis may name."""
        return fault(self.defect.code).accepted(self.network, self.defect.element_id)


def trial(code: str, seed: int, *, held_out: bool = False) -> Trial:
    """Return a network with a fault that began some time ago, and what a ticket would say about it."""
    for attempt in range(100):
        key = mix(seed, code, attempt)
        kind = choice(archetype_names(held_out=held_out and attempt < 10), key, "archetype")
        onset = DAY_S * integer(7, 12, key, "day") + HOUR_S * choice(HOURS, key, "hour") + 60 * integer(0, 59, key, "m")
        network = Network(kind, integer(0, 2999, key, "region"), seed=key, start_s=onset - HOUR_S)
        options = fault(code).eligible(network)
        if options:
            break
    field.staff(network)
    network.advance(HOUR_S)
    element = choice(options, key, "element")
    defect = fault(code).inject(network, element, seed=key)
    network.advance(60 * (fault(code).lead_min + integer(0, 30, key, "lead")))
    network.start_s = network.now
    site = near(network, element)
    cell = (
        f"S{element[3:]}"
        if kind_of(element) in ("ru", "fronthaul")
        else element.rpartition("-")[0].replace("ANT-", "S")
    )
    cell = element if isinstance(network.objects.get(element), Cell) else cell
    named = cell if cell in network.objects and integer(0, 1, key, "named") else site
    place = network.get(Site, site).name
    ticket = choice((f"INC-10023: Trouble with {named}", f"INC-10023: Complaints from {place}"), key, "ticket")
    return Trial(network, defect, site, ticket)


def near(network: Network, element: str) -> str:
    """Return the site of an element; for what stands between sites, one that its traffic comes from."""
    site = site_of(element)
    if site is None:
        numbers = [part for part in re.split(r"[-S>]", element) if len(part) == 3 and part.isdigit()]
        site = f"S{numbers[0]}" if numbers else network.all(Site)[0].id  # type: ignore[index]
    return site


def codes() -> tuple[str, ...]:
    """Return the everyday causes."""
    return fault_codes(1)


def carried_out(network: Network, steps: Generator[Call, Reply, _T]) -> tuple[_T, list[Made]]:
    """Make the calls of a procedure; return what it returns, and the calls."""
    tools, made = toolkit("full"), []
    call = next(steps)
    while True:
        asked = ToolCall(id=f"call_{len(made)}", name=call.tool, arguments=call.arguments)
        content, error, minutes = tools.execute(network, asked)
        made.append(Made(asked, content, error))
        try:
            call = steps.send(Reply(content, error is not None, minutes))
        except StopIteration as ended:
            return ended.value, made
