"""Cases: from the data of a task to a network with something wrong in it and a ticket about that."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from telegym.core.errors import ConfigurationError, TaskError
from telegym.envs.base_station.background import prepare_background, rumours_for
from telegym.envs.base_station.engine import HOUR_S, MINUTE_S
from telegym.envs.base_station.facts import CaseTruth, site_at
from telegym.envs.base_station.faults import Defect, fault
from telegym.envs.base_station.faults.combinations import combination, inject_combination
from telegym.envs.base_station.faults.temporal import inject_as
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.process import field
from telegym.envs.base_station.process.records import Question, Ticket
from telegym.envs.base_station.questions import make_question

__all__ = [
    "QUESTION",
    "TICKET",
    "Naming",
    "begin",
    "beginning",
    "build_case",
    "build_question",
    "namings",
    "take_ticket",
    "truth_of",
]

TICKET = "INC-10023"
"""The ticket of every task."""
QUESTION = "Q-1"
"""The question of a task that asks one."""
_KEPT = 32
_BEGINNINGS: OrderedDict[str, CaseTruth] = OrderedDict()


class Naming(NamedTuple):
    """A way to name a cause."""

    code: str
    """Cause."""
    element_id: str
    """Element."""
    credit: float
    """What it is worth, 0-1."""


def build_case(data: dict[str, Any]) -> tuple[Network, tuple[Defect, ...]]:
    """Return the network of a task at the time of its ticket, without the ticket, and what is wrong in it.

    Args:
        data: The data of a task.
    """
    network = Network(
        data["archetype"],
        data["region_seed"],
        seed=data["seed"],
        start_s=data["onset_s"] - HOUR_S,
        rumours=rumours_for(data["level"]),
    )
    field.staff(network)
    site = site_at(network, data["faults"][0]["element_id"]) or network.region.layout.sites[0].id
    prepare_background(network, seed=data["seed"], level=data["level"], site_id=site)
    network.advance(HOUR_S)
    defects = _inject(network, data)
    network.advance(data["lead_min"] * MINUTE_S)
    network.start_s = network.now
    return network, defects


def _inject(network: Network, data: dict[str, Any]) -> tuple[Defect, ...]:
    """Bring about what is wrong: a combination, or single faults."""
    name = data["combination"]
    if name is not None:
        found = inject_combination(network, name, data["seed"])
        if found is None:
            raise TaskError(f"combination {name} cannot happen in region {data['archetype']}-{data['region_seed']}")
        return found
    return tuple(
        inject_as(network, item["code"], item["element_id"], item["form"], data["seed"]) for item in data["faults"]
    )


def build_question(data: dict[str, Any], variant: str) -> dict[str, Any] | None:
    """Return the data of a task with a question about its network and the answer; None if nothing can be asked.

    Args:
        data: The data of a task.
        variant: `A` or `B`: which of two disjoint sets of sentences.
    """
    network, defects = build_case(data)
    try:
        asked = make_question(network, network.seed, language=data["language"], variant=variant, level=data["level"])
    except ConfigurationError:
        return None
    made = {**data, "question": asked.as_dict(), "ticket": {"shown": asked.text, "priority": "P4"}}
    begin(made, network, defects)
    return made


def take_ticket(network: Network, data: dict[str, Any]) -> None:
    """Open the ticket of a task, or ask its question."""
    text = data["ticket"]
    if data["kind"] == "QNA":
        network.add(Question(QUESTION, text["shown"]))
        return
    network.add(
        Ticket(
            TICKET,
            network.now,
            text["source"],
            text["human"],
            text["title"],
            text["text"],
            tuple(text["scope"]),
            priority=text["priority"],
            answers=tuple((question, answer) for question, answer in text["answers"]),
        )
    )


def truth_of(data: dict[str, Any]) -> CaseTruth:
    """Return what is true about the case of a task; nobody may change the network in it.

    Args:
        data: The data of a task.
    """
    known = _BEGINNINGS.get(_key(data))
    if known is not None:
        _BEGINNINGS.move_to_end(_key(data))
        return known
    return begin(data, *build_case(data))


def begin(data: dict[str, Any], network: Network, defects: tuple[Defect, ...]) -> CaseTruth:
    """Open the ticket in a network that was just built, and remember it as the beginning of its task.

    Args:
        data: The data of the task, its ticket included.
        network: The network of `build_case`; nobody may change it afterwards.
        defects: What is wrong in it.
    """
    take_ticket(network, data)
    network.settle()
    known = _BEGINNINGS[_key(data)] = _truth(network, defects, data)
    while len(_BEGINNINGS) > _KEPT:
        _BEGINNINGS.popitem(last=False)
    return known


def _key(data: dict[str, Any]) -> str:
    parts = (data[name] for name in ("archetype", "region_seed", "seed", "kind", "level", "faults"))
    return f"{'/'.join(map(str, parts))}/{data['ticket']}"


def _truth(network: Network, defects: tuple[Defect, ...], data: dict[str, Any]) -> CaseTruth:
    """Return what is true about a case; what a diagnosis may pass over is none of its causes."""
    parts = combination(data["combination"]).parts if data["combination"] is not None else ()
    roles = [part.role for part in parts] or ["required"] * len(defects)
    wrong = tuple(defect for defect, role in zip(defects, roles, strict=True) if role == "required")
    return CaseTruth(
        network,
        wrong,
        TICKET,
        intermittent=any(defect.form == "intermittent" for defect in wrong),
        harmless=tuple(defect for defect in defects if defect not in wrong),
        repairing=data["kind"] != "DIA",
    )


def beginning(data: dict[str, Any]) -> Network:
    """Return the network of a task when its ticket is taken, for somebody who will change it."""
    return truth_of(data).network.fork()


def namings(network: Network, defect: Defect) -> tuple[Naming, ...]:
    """Return how a cause may be named in a diagnosis, the best way first.

    Users of a failed site who crowd its neighbours are the consequence of what failed: naming that is worth all,
    naming the crowd is worth half.
    """
    elements = fault(defect.code).accepted(network, defect.element_id)
    names = tuple(dict.fromkeys((defect.element_id, *elements)))
    if defect.code != "outage_spillover":
        return tuple(Naming(defect.code, name, 1.0) for name in names)
    boards = tuple(f"{name}-B1" for name in names if f"{name}-B1" in network.objects)
    underlying = tuple(Naming("baseband_board_failure", board, 1.0) for board in boards)
    return (*underlying, *(Naming(defect.code, name, 0.5) for name in names))
