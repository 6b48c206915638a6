"""Networks with something wrong, and somebody who calls tools in them: what diagnoses are tried on."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NamedTuple, TypeVar

from telegym.core.messages import ToolCall
from telegym.core.tool import CallError
from telegym.envs.base_station.background import prepare_background, rumours_for
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S
from telegym.envs.base_station.faults import Defect, fault, fault_codes
from telegym.envs.base_station.faults.combinations import combination, inject_combination, lead_s
from telegym.envs.base_station.faults.temporal import Form, fault_as, forms_of, inject_as
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, mix, uniform
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
    """A network with one or several faults, the main one first."""

    network: Network
    defects: tuple[Defect, ...]
    site: str
    ticket: str

    @property
    def defect(self) -> Defect:
        """The main cause."""
        return self.defects[0]

    @property
    def accepted(self) -> tuple[str, ...]:
        """Elements that a diagnosis of the main cause may name."""
        return fault(self.defect.code).accepted(self.network, self.defect.element_id)

    def is_named(self, code: str, element_id: str) -> bool:
        """Return whether a cause and an element name the main cause."""
        boards = tuple(f"{name}-B1" for name in self.accepted)
        if self.defect.code == "outage_spillover" and code == "baseband_board_failure":
            return element_id in boards
        return code == self.defect.code and element_id in self.accepted


def _start(key: int, held_out: bool, level: int) -> Network:
    kind = choice(archetype_names(held_out=held_out), key, "archetype")
    onset = DAY_S * integer(7, 12, key, "day") + HOUR_S * choice(HOURS, key, "hour") + 60 * integer(0, 59, key, "m")
    region = integer(0, 2999, key, "region")
    return Network(kind, region, seed=key, start_s=onset - HOUR_S, rumours=rumours_for(level))


def trial(code: str, seed: int, *, held_out: bool = False, level: int = 0, form: Form | None = None) -> Trial:
    """Return a network with a fault that began some time ago, and what a ticket would say about it."""
    form = form or forms_of(code)[0]
    for attempt in range(100):
        key = mix(seed, code, attempt)
        network = _start(key, held_out and attempt < 10, level)
        options = fault_as(code, form).eligible(network)
        if options:
            break
    field.staff(network)
    element = choice(options, key, "element")
    if level:
        prepare_background(network, seed=key, level=level, site_id=near(network, element))
    network.advance(HOUR_S)
    defect = inject_as(network, code, element, form, key)
    network.advance(MINUTE_S * (fault_as(code, form).lead_min + integer(0, 30, key, "lead")))
    return _noticed(network, (defect,), key, level)


def combined(name: str, seed: int) -> Trial:
    """Return a network with a combination of faults."""
    for attempt in range(200):
        key = mix(seed, name, attempt)
        network = _start(key, False, 3)
        field.staff(network)
        network.advance(HOUR_S)
        defects = inject_combination(network, name, key)
        if defects is not None:
            break
    network.advance(lead_s(network, name, defects or ()))
    return _noticed(network, defects or (), key, 0, around=combination(name).noticed == "neighbours")


def _noticed(network: Network, defects: tuple[Defect, ...], key: int, level: int, *, around: bool = False) -> Trial:
    """Return the trial with a ticket: about the cell, the site, the place, or, in hard cases, a place nearby."""
    network.start_s = network.now
    element = defects[0].element_id
    site = near(network, element)
    name = site
    if around or (level >= 3 and uniform(key, "vague") < 0.3):
        own = [cell.id for cell in network.at_site(Cell, site)]
        others = {other.partition("-")[0] for cell in own for other in network.index.neighbours_of.get(cell, ())} - {
            site
        }
        name = choice(sorted(others), key, "vague") if others else site
    cell = (
        f"S{element[3:]}" if kind_of(element) in ("ru", "fronthaul") else re.sub(r"^ANT-(.*)-[A-H]$", r"S\1", element)
    )
    known = isinstance(network.objects.get(cell), Cell) and name == site
    named = cell if known and uniform(key, "named") < 0.5 else name
    texts = (f"INC-10023: Trouble with {named}", f"INC-10023: Complaints from {network.get(Site, name).name}")
    return Trial(network, defects, site, choice(texts, key, "ticket"))


def near(network: Network, element: str) -> str:
    """Return the site of an element; for what stands between sites, one that its traffic comes from."""
    site = site_of(element)
    if site is None:
        numbers = [part for part in re.split(r"[-S>]", element) if len(part) == 3 and part.isdigit()]
        site = f"S{numbers[0]}" if numbers else network.region.layout.sites[0].id
    return site


def codes() -> tuple[str, ...]:
    """Return the everyday causes."""
    return fault_codes(1)


def carried_out(network: Network, steps: Generator[Call, Reply, _T]) -> tuple[_T, list[Made]]:
    """Make the calls of a procedure; return what it returns, and the calls."""
    tools, made = toolkit("full"), list[Made]()
    try:
        call = next(steps)
        while True:
            asked = ToolCall(id=f"call_{len(made)}", name=call.tool, arguments=call.arguments)
            content, error, minutes = tools.execute(network, asked)
            made.append(Made(asked, content, error))
            call = steps.send(Reply(content, error is not None, minutes))
    except StopIteration as ended:
        found: _T = ended.value
        return found, made
