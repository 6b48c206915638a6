"""Case: what a task comes down to, worked out from its initial world.

Who it is about, which faults there are, the state a perfect agent would leave behind, and what counts as having found a
cause that only a human can treat. Scoring, oracle and cheaters ask the case; agents never see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from telegym.core.errors import TaskError
from telegym.core.task import Task
from telegym.envs.tau2_telecom.composition import FAMILIES
from telegym.envs.tau2_telecom.faults import FAULTS, REFUEL_LIMIT_GB, Repair, Subject
from telegym.envs.tau2_telecom.findings import TODAY, Findings
from telegym.envs.tau2_telecom.scenario import Family, UserScenario
from telegym.envs.tau2_telecom.state import TelecomState
from telegym.envs.tau2_telecom.world import TelecomWorld

__all__ = ["TRANSFER_TOOL", "Case", "scenario_of"]

TRANSFER_TOOL = "transfer_to_human_agents"
"""The tool that hands a case over."""


def scenario_of(task: Task) -> UserScenario:
    """Return the user's scenario of a native or benchmark task.

    Raises:
        TaskError: If the task has none.
    """
    if "scenario" in task.data:
        return UserScenario.model_validate(task.data["scenario"])
    if "record" not in task.data:
        raise TaskError(f"task {task.id!r} has neither data['scenario'] nor data['record']: nobody knows its user")
    return UserScenario.from_benchmark(task.data["record"])


@dataclass(frozen=True, slots=True)
class Case:
    """A task, seen from behind the scenes."""

    task: Task
    """The task."""
    subject: Subject
    """Customer and line it is about."""
    family: Family
    """What fails for the user."""
    faults: tuple[str, ...]
    """Names of the known faults."""
    expected_failure: bool
    """Whether handing over is the right end."""
    abroad: bool
    """Whether the user is outside the home network."""
    agreed_gb: float
    """Extra data the customer agrees to buy; 0 if none."""
    initial: TelecomState
    """The state the agent meets."""
    repaired: TelecomState
    """The state after everything that can be repaired was repaired."""

    @classmethod
    def of(cls, task: Task, initial: TelecomWorld) -> Case:
        """Work out the case of a task.

        Args:
            task: The task.
            initial: Its initial world; it is not changed.

        Raises:
            TaskError: If the user's phone belongs to no customer, or a repair fails.
        """
        subject = _subject(task, initial.state)
        faults = tuple(name for name in cast(list[str], task.labels.get("faults") or []) if name in FAULTS)
        expected_failure = any(action.name == TRANSFER_TOOL for action in task.actions)
        world = initial.fork()
        for requestor, name, arguments in _repairs(task, faults, subject, expected_failure):
            world.run(requestor, name, arguments)
        family = task.labels.get("family")
        return cls(
            task=task,
            subject=subject,
            family=next((each for each in FAMILIES if each == family), "service_issue"),
            faults=faults,
            expected_failure=expected_failure,
            abroad=initial.state.surroundings.is_abroad,
            agreed_gb=scenario_of(task).refuel_gb or 0.0,
            initial=initial.state,
            repaired=world.state,
        )

    def cause_found(self, findings: Findings) -> bool:
        """Return whether a cause that only a human can treat has been seen; True if the case names none."""
        causes = [_CAUSES[name] for name in self.faults if name in _CAUSES]
        return not causes or any(seen(findings, self.subject) for seen in causes)


def _subject(task: Task, state: TelecomState) -> Subject:
    number = state.surroundings.phone_number or ""
    line_id, customer_id = state.line_ids_by_number.get(number), state.customer_ids_by_number.get(number)
    if line_id is None or customer_id is None:
        raise TaskError(f"task {task.id!r}: the user's phone number {number!r} belongs to no customer's line")
    bills = (call.arguments["new_bill_id"] for call in task.initialization if "new_bill_id" in call.arguments)
    return Subject(
        customer_id=customer_id,
        line_id=line_id,
        name=state.surroundings.name or "",
        phone_number=number,
        bill_id=next(bills, ""),
        data_limit_gb=state.plans[state.lines[line_id].plan_id].data_limit_gb,
    )


def _repairs(task: Task, faults: tuple[str, ...], subject: Subject, expected_failure: bool) -> list[Repair]:
    if not expected_failure:
        return [Repair(cast(Any, each.requestor), each.name, each.arguments) for each in task.actions]
    return [repair for name in faults for repair in FAULTS[name].repair(subject)]


def _saw_locked_sim(findings: Findings, _: Subject) -> bool:
    return findings.sim is not None and findings.sim.startswith("locked")


def _saw_ended_contract(findings: Findings, subject: Subject) -> bool:
    line = findings.lines.get(subject.line_id)
    return line is not None and line["contract_end_date"] is not None and line["contract_end_date"] < TODAY


def _saw_used_up(findings: Findings, subject: Subject) -> bool:
    usage, line = findings.usage.get(subject.line_id), findings.lines.get(subject.line_id)
    if usage is not None:
        return bool(usage["data_refueling_gb"] >= REFUEL_LIMIT_GB)
    if line is None or line["plan_id"] not in findings.plans:
        return False
    return bool(line["data_refueling_gb"] >= REFUEL_LIMIT_GB)


_CAUSES = {
    "lock_sim_card_pin": _saw_locked_sim,
    "contract_end_suspension": _saw_ended_contract,
    "data_usage_exceeded_no_refuel": _saw_used_up,
}
