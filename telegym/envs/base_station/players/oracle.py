"""The oracle: knows the cause, does what has to be done, and keeps to the policy.

What it needs of calls, minutes and money is the par of a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telegym.envs.base_station.cases import TICKET, namings, truth_of
from telegym.envs.base_station.facts import CaseTruth
from telegym.envs.base_station.faults import Defect, fault_infos
from telegym.envs.base_station.players.desk import Desk
from telegym.envs.base_station.players.remedies import remedy_of
from telegym.envs.base_station.players.steps import Steps, without_repeats
from telegym.envs.base_station.policy.constants import PolicyConstants
from telegym.envs.base_station.priority import priorities
from telegym.envs.base_station.process.records import Ticket
from telegym.envs.base_station.questions import Question, ask

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["oracle", "repair_order", "work_through"]

_ORDER = ("power", "transport", "clock", "fronthaul", "antenna")
"""Families in the order in which they are repaired: what others depend on comes first."""


def repair_order(defects: tuple[Defect, ...]) -> list[Defect]:
    """Return defects in the order in which they are repaired."""
    families = [fault_infos()[defect.code].family for defect in defects]
    rank = [_ORDER.index(family) if family in _ORDER else len(_ORDER) for family in families]
    return [defect for _, _, defect in sorted(zip(rank, range(len(defects)), defects, strict=True))]


@without_repeats
def oracle(episode: Episode) -> Steps[None]:
    """Play a case knowing what is wrong."""
    data = episode.task.data
    if data["kind"] == "QNA":
        yield from ask(Question(**data["question"]))
        return
    truth = truth_of(data)
    constants: PolicyConstants = getattr(episode.environment, "constants", PolicyConstants())
    desk = Desk(TICKET, constants)
    ticket = truth.network.get(Ticket, TICKET)
    yield from desk.take(priorities(truth.network, ticket)[0])
    yield from desk.link_children(truth.children)
    yield from work_through(desk, truth, data["kind"])


def work_through(desk: Desk, truth: CaseTruth, kind: str) -> Steps[None]:
    """Look, repair, verify, submit, close."""
    resolution = "monitoring_handed_over"
    repairing = kind != "DIA"
    if repairing and kind != "NOF":
        yield from desk.ask("confirm_symptom")
    for defect in repair_order(truth.defects):
        remedy = remedy_of(defect.code)
        seen = yield from remedy.look(desk, defect.element_id)
        if repairing:
            resolution = yield from remedy.work(desk, defect.element_id, seen)
    main = truth.defects[0]
    named = [namings(truth.network, defect)[0] for defect in truth.defects]
    remedy = remedy_of(main.code)
    if repairing:
        yield from desk.verify(
            remedy.site(main.element_id), remedy.cell(main.element_id), intermittent=truth.intermittent
        )
    additional = [f"{item.code}@{item.element_id}" for item in named[1:]]
    yield from desk.submit(named[0].code, named[0].element_id, additional)
    names = ", ".join(item.element_id for item in named)
    yield from desk.close(resolution, f"{names}: {named[0].code.replace('_', ' ')}. {_done(desk)}")


def _done(desk: Desk) -> str:
    return "Dealt with, service checked afterwards." if desk.changed else "Assessed; nothing was changed."
