"""A terse engineer whose cases are short enough to be learnt by a small model, and who errs as often as asked for.

The engineer knows the cause, looks at what shows it, repairs, and closes: the same remedies as the oracle's, with fewer
reads and without the courtesies of the policy. Mistakes are habits of single turns and of whole episodes; a policy that
was taught by somebody who errs has something left to unlearn.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from telegym.core.messages import Message
from telegym.envs.base_station.cases import TICKET, namings, truth_of
from telegym.envs.base_station.facts import CaseTruth
from telegym.envs.base_station.faults import fault_infos
from telegym.envs.base_station.players.desk import Desk, fields, site_of
from telegym.envs.base_station.players.remedies import remedies, remedy_of
from telegym.envs.base_station.players.steps import Call, Reply, Steps, as_message
from telegym.envs.base_station.policy.constants import PolicyConstants

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["Demonstrator", "SlipRates", "tutor"]

FRESH_MIN = 20.0
"""For how many minutes a read is not repeated."""
_ASIDE = frozenset({"notify_stakeholders", "update_ticket", "get_record", "ask_requester"})
"""Courtesies that are left out."""
_TURNING = frozenset({"submit_diagnosis", "close_ticket"})
"""Calls that end a case, after which no slip is made."""


class SlipRates(BaseModel):
    """How often the engineer errs. The first six are decided once an episode, the others at every turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wrong_cause: float = Field(default=0.0, ge=0, le=1)
    """Names another cause of the same family."""
    skip_repair: float = Field(default=0.0, ge=0, le=1)
    """Closes without having repaired anything."""
    skip_verification: float = Field(default=0.0, ge=0, le=1)
    """Closes without having waited."""
    leave_locked: float = Field(default=0.0, ge=0, le=1)
    """Does not unlock what was locked."""
    leave_waiting: float = Field(default=0.0, ge=0, le=1)
    """Does not let the technician go."""
    needless_visit: float = Field(default=0.0, ge=0, le=1)
    """Sends somebody to look first."""
    stop_early: float = Field(default=0.0, ge=0, le=1)
    """Submits and closes at once."""
    wrong_reset: float = Field(default=0.0, ge=0, le=1)
    """Restarts the node, whatever it is."""
    repeat_read: float = Field(default=0.0, ge=0, le=1)
    """Looks at something once more."""


class _Habits(NamedTuple):
    """The slips of one episode."""

    wrong_cause: bool = False
    skip_repair: bool = False
    skip_verification: bool = False
    leave_locked: bool = False
    leave_waiting: bool = False
    needless_visit: bool = False


class _BriefDesk(Desk):
    """A desk at which nothing is read twice in a short time, and nobody is told anything."""

    def __init__(self, constants: PolicyConstants, habits: _Habits) -> None:
        super().__init__(TICKET, constants)
        self.priority = "P1"
        self._habits = habits
        self._read: dict[str, tuple[float, Reply]] = {}

    def do(self, tool: str, **arguments: Any) -> Steps[Reply]:
        """Make one call, unless it is left out or its answer is known."""
        if tool in _ASIDE:
            return Reply("", False, 0.0)
        key = f"{tool}{sorted(arguments.items(), key=str)}"
        known = self._read.get(key)
        if known is not None and self.elapsed - known[0] < FRESH_MIN:
            return known[1]
        reply: Reply = yield Call(tool, arguments)
        self.elapsed += reply.minutes
        if tool.startswith(("get_", "list_")):
            self._read[key] = (self.elapsed, reply)
        return reply

    def act(self, tool: str, **arguments: Any) -> Steps[Reply]:
        """Change the network; what was read before is old then."""
        self._read.clear()
        return (yield from super().act(tool, **arguments))

    def allow_outage(self, elements: list[str]) -> Steps[None]:
        """Ask nobody."""
        yield from ()

    def approve(self, elements: list[str], kind: str, why: str, *, emergency: bool = False) -> Steps[str | None]:
        """Ask for approval and wait for the decision."""
        reply = yield from self.do(
            "request_change_approval",
            element_ids=elements,
            change_type=kind,
            justification="repair",
            emergency=emergency,
        )
        name = fields(reply.text).get("change", "")
        told = ""
        for _ in range(4):
            told += (yield from self.do("wait", minutes=720)).text
            if f"{name}," in told:
                break
        return name if f"{name},APPROVED" in told else None

    def approve_soon(self, elements: list[str], kind: str, why: str) -> Steps[str | None]:
        """Ask for a normal approval only."""
        return (yield from self.approve(elements, kind, why))

    def unlock(self, cells: list[str]) -> Steps[None]:
        """Bring cells back on the air, if that is not forgotten."""
        if not self._habits.leave_locked:
            yield from super().unlock(cells)

    def leave(self, order: str) -> Steps[None]:
        """Let somebody go, if that is not forgotten."""
        if not self._habits.leave_waiting:
            yield from super().leave(order)

    def verify(self, site: str, cell: str | None, *, intermittent: bool = False) -> Steps[None]:
        """Wait, then look at alarms."""
        if self.changed and not self._habits.skip_verification:
            needed = self.constants.intermittent_verify_min if intermittent else self.constants.verify_min
            yield from self.do("wait", minutes=needed + 1)
            yield from self.do("list_alarms", scope_id=site or "region")


class Demonstrator:
    """Chooses the next message of one episode.

    Args:
        seed: Decides the slips, together with the task.
        slips: How often the engineer errs; never by default.
        take: Which demonstration of a task it is: each has slips of its own.
    """

    def __init__(self, seed: int = 0, slips: SlipRates | None = None, take: int = 0) -> None:
        self._seed, self._slips, self._take = seed, slips or SlipRates(), take
        self._steps: Steps[None] | None = None

    def act(self, episode: Episode) -> Message:
        """Return the next message."""
        if self._steps is None:
            rng = Random(f"{self._seed}/{self._take}/{episode.task.id}")
            self._steps = _slipping(_case(episode, _habits(self._slips, rng), rng), episode, self._slips, rng)
            call = next(self._steps)
        else:
            last = episode.calls[-1]
            call = self._steps.send(Reply(last.content, last.error is not None, last.minutes))
        return as_message(call, len(episode.calls))


def tutor(episode: Episode) -> Steps[None]:
    """Play a case as the engineer does who never errs."""
    yield from _case(episode, _Habits(), Random(0))


def _habits(slips: SlipRates, rng: Random) -> _Habits:
    return _Habits(*(rng.random() < getattr(slips, name) for name in _Habits._fields))


def _slipping(steps: Steps[None], episode: Episode, slips: SlipRates, rng: Random) -> Steps[None]:
    """Go through a case, with the slips of single turns."""
    truth = truth_of(episode.task.data)
    call = next(steps)
    while True:
        if call.tool not in _TURNING:
            if len(episode.calls) > 1 and rng.random() < slips.stop_early:
                yield from _end(truth, namings(truth.network, truth.defects[0])[0].code, "fixed_remote")
            if rng.random() < slips.repeat_read:
                yield Call("get_external_notices", {})
            if rng.random() < slips.wrong_reset and len(episode.calls) > 1:
                yield Call("reset_node", {"node_id": _node(truth)})
        call = steps.send((yield call))


def _node(truth: CaseTruth) -> str:
    site = site_of(namings(truth.network, truth.defects[0])[0].element_id)
    return f"ENB-{site[1:]}" if site else "ENB-001"


def _case(episode: Episode, habits: _Habits, rng: Random) -> Steps[None]:
    """Look, repair, verify, submit, close."""
    data = episode.task.data
    truth = truth_of(data)
    desk = _BriefDesk(getattr(episode.environment, "constants", PolicyConstants()), habits)
    defect = truth.defects[0]
    remedy = remedy_of(defect.code)
    site = yield from _find_site(desk, episode.task.ticket, remedy.site(defect.element_id))
    alarms = yield from desk.do("list_alarms", scope_id=site)
    yield from desk.do("get_external_notices", scope_id=site)
    if alarms.text.startswith("total: 0"):
        yield from desk.do("get_config_history", element_id=site, hours=48)
    seen = yield from remedy.look(desk, defect.element_id)
    resolution = "monitoring_handed_over"
    if data["kind"] != "DIA":
        if habits.needless_visit:
            yield from desk.send(site, "inspection", [])
        if not habits.skip_repair:
            resolution = yield from remedy.work(desk, defect.element_id, seen)
        yield from desk.verify(remedy.site(defect.element_id), None, intermittent=truth.intermittent)
    code = namings(truth.network, defect)[0].code
    yield from _end(truth, _other(code, rng) if habits.wrong_cause else code, resolution)


def _find_site(desk: _BriefDesk, ticket: str, site: str) -> Steps[str]:
    """Look a place up, if the ticket names no site."""
    if not re.search(r"\bS\d{3}\b", ticket):
        yield from desk.do("list_elements", element_type="site")
    return site


def _other(code: str, rng: Random) -> str:
    """Return another cause of the same family, or any other."""
    infos = fault_infos()
    known = sorted(remedies())
    family = [name for name in known if infos[name].family == infos[code].family and name != code]
    return rng.choice(family or [name for name in known if name != code])


def _end(truth: CaseTruth, code: str, resolution: str) -> Steps[None]:
    """Submit and close."""
    element = namings(truth.network, truth.defects[0])[0].element_id
    yield Call("submit_diagnosis", {"ticket_id": TICKET, "root_cause": code, "element_id": element})
    yield Call("close_ticket", {"ticket_id": TICKET, "resolution": resolution, "summary": f"{element}: dealt with"})
