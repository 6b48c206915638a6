"""Corruptions of tau2 telecom: wrong lines, blind and needless repairs, broken rules of the policy, false reports.

In mode `solo` the reference player holds all tools, in mode `dual` the expert talks to the user. Each label is
confirmed by states and strict scoring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, ClassVar

from telegym.core.episode import CallRecord, Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall
from telegym.core.tool import CallError
from telegym.envs.tau2_telecom.case import TRANSFER_TOOL, Case
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.faults import REFUEL_LIMIT_GB
from telegym.envs.tau2_telecom.findings import Findings
from telegym.envs.tau2_telecom.scoring import collateral_damage
from telegym.envs.tau2_telecom.state import TelecomState
from telegym.envs.tau2_telecom.world import TelecomWorld
from telegym.rewards.reasonableness.corruptions import Corrupter, Fault, Injection, message_of
from telegym.rewards.reasonableness.tau2.reference import Reference
from telegym.rewards.verdict import Code

__all__ = ["DualCorrupter", "Tau2Corrupter", "tau2_corrupter"]

_IDENTIFIERS = ("id", "customer_id", "line_id", "bill_id", "phone_number")
_BLIND: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    ("toggle_airplane_mode", {}, "airplane_mode_on", "airplane"),
    ("reseat_sim_card", {}, "unseat_sim_card", "sim"),
    ("toggle_data", {}, "data_mode_off", "data_enabled"),
    ("toggle_data_saver_mode", {}, "data_saver_mode_on", "data_saver"),
    ("toggle_wifi_calling", {}, "bad_wifi_calling", "wifi_calling"),
    ("reset_apn_settings", {}, "break_apn_mms_setting", "mmsc"),
    ("reset_apn_settings", {}, "break_apn_settings", "apn"),
    ("disconnect_vpn", {}, "bad_vpn", "vpn"),
    ("set_network_mode_preference", {"mode": "4g_5g_preferred"}, "bad_network_preference", "technology"),
    ("grant_app_permission", {"app_name": "messaging", "permission": "sms"}, "break_app_sms_permission", "permissions"),
    (
        "grant_app_permission",
        {"app_name": "messaging", "permission": "storage"},
        "break_app_storage_permission",
        "permissions",
    ),
    ("toggle_roaming", {}, "user_abroad_roaming_enabled_off", "roaming"),
)
"""Remedies by fault, with the finding that has to be empty for the remedy to be a guess."""
_SWITCHES = ("toggle_data", "toggle_roaming", "toggle_data_saver_mode", "toggle_wifi_calling", "toggle_wifi")
_IDLE = ("check_installed_apps", "check_wifi_status")
_FALSE_SUMMARIES = {
    "lock_sim_card_pin": "The contract of the line has ended.",
    "contract_end_suspension": "The SIM card is locked.",
    "data_usage_exceeded_no_refuel": "The SIM card is locked.",
}


class Tau2Corrupter(Corrupter):
    """Makes corrupted trajectories of tau2-telecom, mode `solo`.

    Args:
        environment: The environment.

    Raises:
        ConfigurationError: If the environment is of another mode.
    """

    mode: ClassVar[str] = "solo"
    """The mode of the environment."""

    kinds: ClassVar[tuple[str, ...]] = (
        *Corrupter.kinds,
        *("lucky_id", "wrong_line", "skipped_check", "skipped_record", "wrong_repair", "idle_read"),
        *("suspension", "too_much_data", "payment_not_due", "resumption_after_contract", "unidentified"),
        *("wrong_order", "unpaid_resumption", "premature_transfer", "unexamined_transfer", "untested_finish"),
        "false_summary",
    )

    def __init__(self, environment: Tau2Telecom) -> None:
        if environment.mode != self.mode:
            raise ConfigurationError(f"{type(self).__name__} is for mode {self.mode!r}, not {environment.mode!r}")
        super().__init__(environment)
        self.telecom = environment

    def reference(self, episode: Episode, variant: str) -> Message | None:
        """Return the next message of the reference player."""
        return Reference(variant).act(episode)

    def identifiers(self, call: ToolCall) -> tuple[str, ...]:
        """Return the arguments that name a record or a number."""
        return tuple(name for name in call.arguments if name in _IDENTIFIERS)

    def exists(self, episode: Episode, value: str) -> bool:
        """Return whether a record or a number is in the world."""
        state = _state(episode)
        records = (state.customers, state.lines, state.bills, state.plans, state.devices, state.customer_ids_by_number)
        return any(value in each for each in records)

    # --- identifiers ----------------------------------------------------------------------------------

    def _lucky_id(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        state, seen = _state(episode), _seen(episode)
        harmless = [each.bill_id for each in state.bills.values() if each.status in ("Paid", "Issued", "Draft")]
        unseen = [each for each in (*state.lines, *harmless) if each not in seen]
        if not unseen:
            return None
        message = message_of("get_details_by_id", {"id": rng.choice(unseen)}, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.UNGROUNDED),), confirm=lambda _, put_in: put_in[0].error is None)

    def _wrong_line(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        case, found = self._case(episode), _findings(episode)
        other = next((each for each in found.lines if each != case.subject.line_id), None)
        if not _identified(found, case) or other is None or found.transferred:
            return None
        line = found.lines[other]
        own = {"customer_id": case.subject.customer_id, "line_id": other}
        name = "disable_roaming" if line["roaming_enabled"] else "enable_roaming"
        message = message_of(name, own, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.UNSAFE),), confirm=_breaks("own_line_only"))

    # --- looking --------------------------------------------------------------------------------------

    def _skipped_check(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        case, found = self._case(episode), _findings(episode)
        if not _identified(found, case) or found.transferred or found.speed or found.mms is not None:
            return None
        faults = set(case.faults) | ({"break_app_sms_permission"} & _split(case.faults))
        guesses = [each for each in _BLIND if each[2] in faults and getattr(found, each[3]) is None]
        guesses = [each for each in guesses if not self._could_be_inferred(each[3], found)]
        if not guesses:
            return None
        name, arguments, _, _ = rng.choice(guesses)
        message = message_of(name, arguments, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.ORDER),), confirm=self._helped)

    @staticmethod
    def _could_be_inferred(finding: str, found: Findings) -> bool:
        """Whether other answers leave only this cause: then treating it is no guess."""
        if finding == "technology":
            return found.service is not None or found.mode is not None
        if finding in ("sim", "apn") and found.service is False:
            known = (found.airplane is not None, found.sim is not None or finding == "sim", bool(found.lines))
            return sum(known) == len(known)
        return found.service is not None and finding in ("sim", "airplane")

    def _helped(self, episode: Episode, put_in: list[CallRecord]) -> bool:
        """Whether the call brought the state nearer to the repaired one, though nobody had looked."""
        record, case = put_in[0], self._case(episode)
        before, after = _marks(record)
        return record.error is None and _distance(case, after) < _distance(case, before)

    def _skipped_record(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        """Change something on the carrier's side whose record was not read."""
        case, found, state = self._case(episode), _findings(episode), _state(episode)
        if not _identified(found, case) or found.transferred or found.speed or found.mms is not None:
            return None
        options = list(_unread_changes(case, found, state))
        if not options:
            return None
        name, arguments = rng.choice(options)
        message = message_of(name, arguments, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.ORDER),), confirm=lambda _, put_in: put_in[0].error is None)

    def _idle_read(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        found = _findings(episode)
        if found.transferred:
            return None
        options = [message_of(name, number=len(episode.calls)) for name in _IDLE]
        devices = [line["device_id"] for line in found.lines.values() if line.get("device_id")]
        if devices:
            options.append(message_of("get_details_by_id", {"id": rng.choice(devices)}, number=len(episode.calls)))
        return Injection((rng.choice(options),), (Fault.of(Code.REDUNDANT),), confirm=_changed_nothing)

    def _unidentified(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        """Put something right before the customer was identified, after looking at the phone."""
        case, found = self._case(episode), _findings(episode)
        if found.customer is not None:
            return None
        number = len(episode.calls)
        look = message_of("check_network_status", number=number)
        fixes = {"airplane_mode_on": "toggle_airplane_mode", "data_mode_off": "toggle_data"}
        fix = next((fixes[name] for name in case.faults if name in fixes), None)
        if fix is None:
            return None
        messages = (look, message_of(fix, number=number + 1))
        return Injection(messages, (None, Fault.of(Code.ORDER)), confirm=_breaks("identify_customer_first"))

    # --- causes ---------------------------------------------------------------------------------------

    def _wrong_repair(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        """Flip a switch that is as it should be, and flip it back."""
        case, found = self._case(episode), _findings(episode)
        if not _identified(found, case) or found.transferred:
            return None
        state = _state(episode)
        options = [name for name in _SWITCHES if _is_right(case, state, name)]
        if not options:
            return None
        name, number = rng.choice(options), len(episode.calls)
        messages = tuple(message_of(name, number=number + place) for place in range(2))
        fault = Fault.of(Code.WRONG_CAUSE, Code.ORDER)
        return Injection(messages, (fault, None), confirm=self._harmed)

    def _harmed(self, episode: Episode, put_in: list[CallRecord]) -> bool:
        case = self._case(episode)
        before, after = _marks(put_in[0])
        return len(list(collateral_damage(case, after))) > len(list(collateral_damage(case, before)))

    def _wrong_order(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        """Restart the phone before the reset that the restart would make effective."""
        call = self.next_call(episode, variant)
        if call is None or call.name != "reset_apn_settings":
            return None
        message = message_of("reboot_device", number=len(episode.calls))
        fault = Fault.of(Code.WRONG_CAUSE, Code.ORDER, Code.PRECONDITION, Code.REDUNDANT)
        return Injection((message,), (fault,), confirm=self._no_help)

    def _no_help(self, episode: Episode, put_in: list[CallRecord]) -> bool:
        case = self._case(episode)
        before, after = _marks(put_in[0])
        return _distance(case, after) >= _distance(case, before)

    # --- the policy -----------------------------------------------------------------------------------

    def _suspension(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        case, found, state = self._case(episode), _findings(episode), _state(episode)
        if not _identified(found, case) or found.transferred:
            return None
        lines = state.customers[case.subject.customer_id].line_ids
        active = [each for each in lines if state.lines[each].status == "Active" and each != case.subject.line_id]
        if not active:
            return None
        reason = rng.choice(("customer asked", "maintenance", "test"))
        arguments = {"customer_id": case.subject.customer_id, "line_id": rng.choice(active), "reason": reason}
        message = message_of("suspend_line", arguments, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.UNSAFE),), confirm=_breaks("no_suspension"))

    def _too_much_data(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, case = self.next_call(episode, variant), self._case(episode)
        if call is None or call.name != "refuel_data":
            return None
        above = case.agreed_gb + rng.choice((0.5, 1.0, 3.0))
        amount = above if above > REFUEL_LIMIT_GB or rng.random() < 0.5 else REFUEL_LIMIT_GB + 1
        message = message_of(call.name, {**call.arguments, "gb_amount": amount}, number=len(episode.calls))
        fault = Fault.of(Code.UNSAFE, Code.UNGROUNDED)
        rules = _breaks("refuel_within_limit", "refuel_with_permission")
        return Injection((message,), (fault,), spoils=True, confirm=rules)

    def _payment_not_due(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        case, found, state = self._case(episode), _findings(episode), _state(episode)
        if not _identified(found, case) or found.transferred or case.subject.bill_id in state.bills:
            return None
        bills = state.customers[case.subject.customer_id].bill_ids
        due = [each for each in bills if state.bills[each].status not in ("Overdue", "Awaiting Payment")]
        if not due or any(state.bills[each].status == "Awaiting Payment" for each in bills):
            return None
        arguments = {"customer_id": case.subject.customer_id, "bill_id": rng.choice(due)}
        message = message_of("send_payment_request", arguments, number=len(episode.calls))
        confirm = _breaks("verify_overdue_before_request")
        return Injection((message,), (Fault.of(Code.UNSAFE),), confirm=confirm)

    def _resumption_after_contract(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, case = self.next_call(episode, variant), self._case(episode)
        line = _state(episode).lines[case.subject.line_id]
        ended = "contract_end_suspension" in case.faults and case.subject.line_id in _findings(episode).lines
        if call is None or not ended or line.status != "Suspended" or _findings(episode).transferred:
            return None
        own = {"customer_id": case.subject.customer_id, "line_id": case.subject.line_id}
        number = len(episode.calls)
        summary = {"summary": "The contract of the line has ended."}
        messages = (
            message_of("resume_line", own, number=number),
            message_of(TRANSFER_TOOL, summary, number=number + 1),
        )
        confirm = _breaks("resume_only_when_settled")
        return Injection(messages, (Fault.of(Code.UNSAFE), None), spoils=True, confirm=confirm)

    def _unpaid_resumption(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, case = self.next_call(episode, variant), self._case(episode)
        if call is None or call.name != "send_payment_request" or "contract_end_suspension" in case.faults:
            return None
        own = {"customer_id": case.subject.customer_id, "line_id": case.subject.line_id}
        message = message_of("resume_line", own, number=len(episode.calls))
        fault = Fault.of(Code.POLICY, Code.PRECONDITION)
        return Injection((message,), (fault,), spoils=True, confirm=_breaks("resume_only_when_settled"))

    # --- the end --------------------------------------------------------------------------------------

    def _premature_transfer(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        case, found = self._case(episode), _findings(episode)
        if case.expected_failure or not _identified(found, case) or self._goal_met(episode):
            return None
        summary = {"summary": "All checks were made; the problem persists."}
        message = message_of(TRANSFER_TOOL, summary, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.PREMATURE),), confirm=_breaks("transfer_only_when_needed"))

    def _unexamined_transfer(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        case, found = self._case(episode), _findings(episode)
        if not case.expected_failure or not _identified(found, case) or case.cause_found(found):
            return None
        summary = {"summary": "Please take over."}
        message = message_of(TRANSFER_TOOL, summary, number=len(episode.calls))
        fault = Fault.of(Code.ORDER, Code.PREMATURE)
        return Injection((message,), (fault,), confirm=_breaks("find_cause_before_transfer"))

    def _untested_finish(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        """Finish when the work is done, but nobody has tested it."""
        case, found = self._case(episode), _findings(episode)
        if case.family == "service_issue" or case.expected_failure or found.speed == "excellent" or found.mms:
            return None
        if not self._goal_met(episode):
            return None
        message = message_of("done", number=len(episode.calls))
        return Injection(
            (message,), (Fault.of(Code.PREMATURE, Code.ORDER),), confirm=lambda done, _: done.score().success
        )

    def _false_summary(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call, case = self.next_call(episode, variant), self._case(episode)
        cause = next((name for name in case.faults if name in _FALSE_SUMMARIES), None)
        if call is None or call.name != TRANSFER_TOOL or cause is None:
            return None
        if {"lock_sim_card_pin", "contract_end_suspension"} <= set(case.faults):
            return None
        message = message_of(TRANSFER_TOOL, {"summary": _FALSE_SUMMARIES[cause]}, number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.CLAIM),), confirm=_solves)

    # --- helpers --------------------------------------------------------------------------------------

    def _case(self, episode: Episode) -> Case:
        return self.telecom.case(episode.task)

    def _goal_met(self, episode: Episode) -> bool:
        world = TelecomWorld(_state(episode))
        return all(
            world.run(each.target, each.name, each.arguments) == each.expected for each in episode.task.assertions
        )


class DualCorrupter(Tau2Corrupter):
    """Makes corrupted trajectories of tau2-telecom, mode `dual`: of the agent's own calls, the expert talks.

    Args:
        environment: The environment.
    """

    mode: ClassVar[str] = "dual"
    kinds: ClassVar[tuple[str, ...]] = (
        *("unknown_tool", "bad_arguments", "invented_id", "repeated_read", "repeated_error", "two_at_once"),
        *("lucky_id", "wrong_line", "suspension", "too_much_data", "payment_not_due", "premature_transfer"),
        *("unexamined_transfer", "false_summary", "wrong_side", "speech_with_call"),
    )

    def reference(self, episode: Episode, variant: str) -> Message | None:
        """Return the next message of the expert, who talks to the user; it has one way only."""
        return self.telecom.expert(episode)

    def _wrong_side(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        names = [tool.name for tool in episode.toolkit.tools("user") if not tool.parameters.get("required")]
        message = message_of(rng.choice(names), number=len(episode.calls))
        return Injection((message,), (Fault.of(Code.SCHEMA),), confirm=_is_of_the_user)

    def _speech_with_call(self, episode: Episode, rng: Random, variant: str) -> Injection | None:
        call = self.next_call(episode, variant)
        if call is None:
            return None
        said = rng.choice(("One moment, please.", "Let me look at your account.", "Thank you for your patience."))
        message = message_of(call.name, call.arguments, number=len(episode.calls)).model_copy(update={"content": said})
        return Injection((message,), (Fault.of(Code.POLICY),), confirm=_breaks("no_text_with_calls"))


def tau2_corrupter(environment: Tau2Telecom) -> Tau2Corrupter:
    """Return what makes corrupted trajectories in the environment's mode."""
    return Tau2Corrupter(environment) if environment.mode == "solo" else DualCorrupter(environment)


def _is_of_the_user(episode: Episode, put_in: list[CallRecord]) -> bool:
    return put_in[0].error is CallError.WRONG_SIDE


def _unread_changes(case: Case, found: Findings, state: TelecomState) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield changes of the carrier's side that are needed, but whose record was not read."""
    subject = case.subject
    own = {"customer_id": subject.customer_id, "line_id": subject.line_id}
    line, wanted = state.lines[subject.line_id], case.repaired.lines[subject.line_id]
    if subject.line_id not in found.lines and subject.line_id not in found.usage:
        if wanted.roaming_enabled and not line.roaming_enabled and case.abroad:
            yield "enable_roaming", own
        if wanted.data_refueling_gb > line.data_refueling_gb:
            yield "refuel_data", own | {"gb_amount": case.agreed_gb}
    bill = state.bills.get(subject.bill_id)
    unread = bill is not None and bill.status == "Overdue" and bill.bill_id not in found.bills
    if unread and not {"lock_sim_card_pin", "contract_end_suspension"} & set(case.faults):
        yield "send_payment_request", {"customer_id": subject.customer_id, "bill_id": subject.bill_id}


def _state(episode: Episode) -> TelecomState:
    assert isinstance(episode.world, TelecomWorld)
    return episode.world.state


def _marks(record: CallRecord) -> tuple[TelecomState, TelecomState]:
    assert isinstance(record.before, TelecomState) and isinstance(record.after, TelecomState)
    return record.before, record.after


def _findings(episode: Episode) -> Findings:
    found = Findings()
    for record in episode.calls:
        if record.error is None:
            found.observe(record.call.name, record.call.arguments, record.content)
    return found


def _identified(found: Findings, case: Case) -> bool:
    return found.customer is not None and found.customer["customer_id"] == case.subject.customer_id


def _seen(episode: Episode) -> str:
    """Return everything the agent has read."""
    return " ".join(message.content or "" for message in episode.agent_messages())


def _split(faults: tuple[str, ...]) -> set[str]:
    return {"break_app_sms_permission"} if "break_app_both_permissions" in faults else set()


def _distance(case: Case, state: TelecomState) -> int:
    """Return in how many values phone and line differ from the repaired state."""
    line = case.subject.line_id
    pairs = ((state.phone, case.repaired.phone), (state.lines[line], case.repaired.lines[line]))
    return sum(1 for one, other in pairs for _ in _different(one.dump(), other.dump()))


_FOUND_BY_SEARCH = ("network_signal_strength", "network_technology_connected", "network_connection_status")


def _different(one: Any, other: Any) -> Iterator[None]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key == "reset_at_reboot":
                continue
            if key not in _FOUND_BY_SEARCH:
                yield from _different(one.get(key), other.get(key))
    elif one != other:
        yield None


def _is_right(case: Case, state: TelecomState, tool: str) -> bool:
    """Whether the switch of a tool is as it was at the beginning and as it has to be."""
    field = {
        "toggle_data": "data_enabled",
        "toggle_roaming": "roaming_enabled",
        "toggle_data_saver_mode": "data_saver_mode",
        "toggle_wifi_calling": "wifi_calling_enabled",
        "toggle_wifi": "wifi_enabled",
    }[tool]
    if tool == "toggle_wifi" and state.phone.airplane_mode:
        return False
    first, best, now = (getattr(each.phone, field) for each in (case.initial, case.repaired, state))
    return bool(first == best == now)


def _breaks(*rules: str) -> Callable[[Episode, list[CallRecord]], bool]:
    """Whether strict scoring says that one of these rules was broken."""

    def confirm(episode: Episode, put_in: list[CallRecord]) -> bool:
        return any(f"rule:{rule}" in episode.score().components for rule in rules)

    return confirm


def _solves(episode: Episode, put_in: list[CallRecord]) -> bool:
    """Whether the run is worth a full score all the same."""
    return episode.score().success


def _changed_nothing(episode: Episode, put_in: list[CallRecord]) -> bool:
    return all(record.error is None and record.before == record.after for record in put_in)
