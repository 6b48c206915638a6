"""Oracle: a player that sees everything and solves a task in the fewest calls that break no rule.

It plans from the state at hand, so it can take over in the middle of an episode: whatever was changed by mistake and
can be changed back, it changes back. It proves that a task can be solved, and gives par.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from telegym.core.errors import TaskError
from telegym.core.messages import Message, ToolCall
from telegym.core.task import Task
from telegym.envs.tau2_telecom.case import TRANSFER_TOOL, Case
from telegym.envs.tau2_telecom.findings import Findings
from telegym.envs.tau2_telecom.phrases import phrases
from telegym.envs.tau2_telecom.scoring import collateral_damage
from telegym.envs.tau2_telecom.state import Phone, TelecomState
from telegym.envs.tau2_telecom.world import TelecomWorld

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["next_message", "par"]

_SWITCHES = {
    "airplane_mode": "toggle_airplane_mode",
    "data_enabled": "toggle_data",
    "roaming_enabled": "toggle_roaming",
    "data_saver_mode": "toggle_data_saver_mode",
    "wifi_calling_enabled": "toggle_wifi_calling",
    "wifi_enabled": "toggle_wifi",
}
_MOST_CALLS = 60


class _Step(NamedTuple):
    """The next call."""

    name: str
    arguments: dict[str, Any]


def _step(name: str, **arguments: Any) -> _Step:
    return _Step(name, arguments)


_DONE = _step("done")


def next_message(episode: Episode, case: Case, alone: bool = True) -> Message | None:
    """Return the oracle's next message, or None if the task can no longer be solved.

    Args:
        episode: The episode, at any point.
        case: The case of its task.
        alone: Whether the agent operates the phone itself; otherwise it asks the user to.
    """
    if episode.end is not None:
        return None
    assert isinstance(episode.world, TelecomWorld)
    findings = Findings()
    for record in episode.calls:
        if record.error is None:
            findings.observe(record.call.name, record.call.arguments, record.content)
    step = _Plan(case, episode.world, findings, alone).next()
    if step is None:
        return None
    number = len(episode.calls)
    return _message(step, number) if alone else _spoken(step, case, episode.world.state.phone, number)


def _message(step: _Step, number: int) -> Message:
    call = ToolCall(id=f"call_{number}", name=step.name, arguments=step.arguments)
    return Message(role="assistant", tool_calls=(call,))


def _spoken(step: _Step, case: Case, phone: Phone, number: int) -> Message:
    """Put what the user has to do into words."""
    words = phrases("oracle")
    if step == _DONE:
        text = words["transfer"] if case.expected_failure else words["verify"][case.family]
    elif step.name in words["requests"]:
        switch = next((name for name, tool in _SWITCHES.items() if tool == step.name), None)
        way = "off" if switch is not None and getattr(phone, switch) else "on"
        text = words["requests"][step.name].format(way=way, **step.arguments)
    else:
        return _message(step, number)
    return Message(role="assistant", content=text)


def par(task: Task, case: Case, world: TelecomWorld) -> int:
    """Return the number of calls the oracle needs from the beginning, `done` included.

    Args:
        task: The task.
        case: Its case.
        world: Its initial world; it is not changed.

    Raises:
        TaskError: If the oracle cannot solve it.
    """
    from telegym.tools.tau2_telecom import solo_toolkit  # the tools import this package

    toolkit, trial, findings = solo_toolkit(), world.fork(), Findings()
    for number in range(1, _MOST_CALLS):
        step = _Plan(case, trial, findings).next()
        if step == _DONE:
            return number
        if step is None:
            break
        outcome = toolkit.execute(trial, ToolCall(id="", name=step.name, arguments=step.arguments))
        findings.observe(step.name, step.arguments, outcome.content)
    raise TaskError(f"task {task.id!r} cannot be solved")


class _Plan:
    """The next call, given state and findings."""

    def __init__(self, case: Case, world: TelecomWorld, findings: Findings, alone: bool = True) -> None:
        self.case, self.world, self.findings, self.alone = case, world, findings, alone
        self.state: TelecomState = world.state

    def next(self) -> _Step | None:
        """Return the next call, or None if nothing leads to the goal."""
        case, findings = self.case, self.findings
        if self._goal_met(self.world) and (findings.transferred or not case.expected_failure):
            return self._tidy_up() or _DONE
        customer = findings.customer
        if customer is None or customer["customer_id"] != case.subject.customer_id:
            return _step("get_customer_by_phone", phone_number=case.subject.phone_number)
        if case.expected_failure:
            return self._examine()
        return next(self._repairs(), None) or self._search()

    def _goal_met(self, world: TelecomWorld) -> bool:
        trial, assertions = world.fork(), self.case.task.assertions
        return all(trial.run(each.target, each.name, each.arguments) == each.expected for each in assertions)

    def _tidy_up(self) -> _Step | None:
        """Undo damage that stands between a met goal and a perfect score."""
        if next(collateral_damage(self.case, self.state), None) is None:
            return None
        if self.case.expected_failure:
            return next(self._changes_of_phone(self.case.initial.phone, self.case.repaired.phone), None)
        return next(self._repairs(), None)

    def _examine(self) -> _Step | None:
        """Find the cause in the cheapest way, then hand over."""
        case, subject = self.case, self.case.subject
        if case.cause_found(self.findings):
            words = phrases("oracle")["handover"]
            cause = next((words[name] for name in case.faults if name in words), "The case needs a human.")
            return _step(TRANSFER_TOOL, summary=cause)
        if "contract_end_suspension" in case.faults:
            return _step("get_details_by_id", id=subject.line_id)
        if "lock_sim_card_pin" in case.faults:
            return _step("reseat_sim_card" if self.state.phone.sim_card_missing else "check_sim_status")
        return _step("get_data_usage", customer_id=subject.customer_id, line_id=subject.line_id)

    def _repairs(self) -> Iterator[_Step]:
        yield from self._changes_of_line()
        yield from self._changes_of_phone(self.case.repaired.phone, self.case.repaired.phone)

    def _changes_of_line(self) -> Iterator[_Step]:
        subject = self.case.subject
        own = {"customer_id": subject.customer_id, "line_id": subject.line_id}
        line, wanted = self.state.lines[subject.line_id], self.case.repaired.lines[subject.line_id]
        if self.state.surroundings.payment_request is not None:
            yield _step("make_payment")
        if line.status != "Active" and wanted.status == "Active":
            yield from self._settle_bills()
            if line.line_id not in self.findings.lines:
                yield _step("get_details_by_id", id=line.line_id)
            yield _Step("resume_line", own)
        if line.roaming_enabled != wanted.roaming_enabled:
            yield _Step("enable_roaming" if wanted.roaming_enabled else "disable_roaming", own)
        lacking = wanted.data_refueling_gb - line.data_refueling_gb
        if lacking > 1e-9:
            if line.line_id not in self.findings.usage:
                yield _Step("get_data_usage", own)
            yield _Step("refuel_data", own | {"gb_amount": lacking})

    def _settle_bills(self) -> Iterator[_Step]:
        customer_id = self.case.subject.customer_id
        for bill_id in self.state.customers[customer_id].bill_ids:
            if self.state.bills[bill_id].status == "Overdue":
                if self.findings.bills.get(bill_id, {}).get("status") != "Overdue":
                    yield _step("get_details_by_id", id=bill_id)
                yield _step("send_payment_request", customer_id=customer_id, bill_id=bill_id)

    def _changes_of_phone(self, wanted: Phone, fine: Phone) -> Iterator[_Step]:
        """Yield what makes the phone as wanted, leaving alone what is as in `fine`."""
        phone = self.state.phone

        def is_off(name: str) -> bool:
            return getattr(phone, name) not in (getattr(wanted, name), getattr(fine, name))

        for switch, tool in _SWITCHES.items():
            if is_off(switch):
                yield _step("toggle_airplane_mode" if switch == "wifi_enabled" and phone.airplane_mode else tool)
        if phone.sim_card_missing and is_off("sim_card_missing"):
            yield _step("reseat_sim_card")
        yield from self._changes_of_apn(wanted, fine)
        if is_off("network_mode_preference"):
            yield _step("set_network_mode_preference", mode=wanted.network_mode_preference)
        if is_off("vpn_connected"):
            yield _step("connect_vpn" if wanted.vpn_connected else "disconnect_vpn")
        for app_name, app in phone.app_statuses.items():
            granted, needed = app.permissions.dump(), wanted.app_statuses[app_name].permissions.dump()
            for permission in (name for name in needed if needed[name] and not granted[name]):
                yield _step("grant_app_permission", app_name=app_name, permission=permission)

    def _changes_of_apn(self, wanted: Phone, fine: Phone) -> Iterator[_Step]:
        """A new set of values takes effect at once; in words it is easier to ask for a reset."""
        present, needed, other = (each.active_apn_settings.dump() for each in (self.state.phone, wanted, fine))
        pending = present.pop("reset_at_reboot")
        needed.pop("reset_at_reboot")
        other.pop("reset_at_reboot")
        if present in (needed, other):
            return
        if pending:
            yield _step("reboot_device")
        elif self.alone:
            yield _step("set_apn_settings", apn_settings=needed)
        else:
            yield _step("reset_apn_settings")

    def _search(self) -> _Step | None:
        """Let the phone search for a network if that is all that is missing."""
        trial = self.world.fork()
        trial.run("user", "reboot_device", {})
        return _step("reboot_device") if self._goal_met(trial) else None
