"""Expert: an unprivileged player that diagnoses a case by the book, alone with the ticket and all tools.

It decides the next single call from nothing but the ticket and its own tool results, so that a model can learn the
decision from the same transcript. The order of checks is fixed:

1. identify the customer by the number in the ticket, read the network status;
2. put right what that shows: airplane mode, SIM card, mobile data, and abroad the phone's roaming;
3. without service: APN settings, then the line, its contract and its bills;
4. for mobile data: data saver, network mode and VPN, as the status bar shows them;
   for picture messages: network mode, Wi-Fi calling, APN settings, permissions of the messaging app;
5. test; if data still does not flow: the line's roaming, its data usage; test again;
6. finish when the goal was seen, hand over when a locked SIM card, an ended contract or used-up extra data was seen.

`SlipRates` make it err in the ways agents err, for demonstrations that show how to recover, or how not to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from telegym.core.messages import Message, ToolCall
from telegym.envs.tau2_telecom.faults import REFUEL_LIMIT_GB
from telegym.envs.tau2_telecom.findings import TODAY, Findings
from telegym.envs.tau2_telecom.scenario import Family

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["Expert", "Request", "SlipRates"]

_PHONE = re.compile(r"\b\d{3}-\d{3}-\d{4}\b")
_GIGABYTES = re.compile(r"(\d+(?:\.\d+)?)\s*GB", re.I)
_ABROAD = re.compile(r"\b(abroad|overseas|travell?ing|outside the home network|outside the United States)\b", re.I)
_HANDOVER = {
    "sim": "The SIM card is locked.",
    "contract": "The line is suspended and its contract has ended.",
    "data": "The data allowance and all extra data are used up.",
    "unknown": "All checks were made; the problem persists.",
}
_SWITCHES = ("toggle_data", "toggle_roaming", "toggle_data_saver_mode", "toggle_wifi_calling", "toggle_airplane_mode")
_IDLE_SWITCHES: dict[Family, tuple[str, ...]] = {
    "service_issue": ("toggle_data", "toggle_roaming", "toggle_data_saver_mode", "toggle_wifi_calling"),
    "mobile_data_issue": ("toggle_wifi_calling",),
    "mms_issue": ("toggle_data_saver_mode",),
}
"""Switches that cannot be the cause of a family's problem."""
_MOST_REPEATS = 4
"""How often one call may be made before the expert gives the case up."""


class Request(NamedTuple):
    """What a ticket says."""

    family: Family
    """What does not work."""
    phone_number: str
    """Number of the line."""
    abroad: bool
    """Whether the user is outside the home network."""
    refuel_gb: float
    """Extra data the customer agrees to buy; the most there is if the ticket names no amount."""

    @classmethod
    def read(cls, ticket: str) -> Request:
        """Read a ticket."""
        family: Family = "service_issue"
        if re.search(r"\bMMS\b", ticket):
            family = "mms_issue"
        elif re.search(r"\bexcellent\b", ticket):
            family = "mobile_data_issue"
        number, amount = _PHONE.search(ticket), _GIGABYTES.search(ticket)
        agreed = float(amount[1]) if amount else REFUEL_LIMIT_GB
        return cls(family, number[0] if number else "", bool(_ABROAD.search(ticket)), agreed)


class SlipRates(BaseModel):
    """How often the expert errs. The first four are decided once an episode, the others at every turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    skip_check: float = Field(default=0.0, ge=0, le=1)
    """Takes APN settings, permissions, Wi-Fi calling or roaming of the line to be in order without looking."""
    forget_reboot: float = Field(default=0.0, ge=0, le=1)
    """Does not restart the phone where that is needed."""
    skip_verification: float = Field(default=0.0, ge=0, le=1)
    """Finishes without testing."""
    wrong_line: float = Field(default=0.0, ge=0, le=1)
    """Takes the customer's first line for the line of the ticket."""
    stop_early: float = Field(default=0.0, ge=0, le=1)
    """Finishes before the work is done."""
    needless_toggle: float = Field(default=0.0, ge=0, le=1)
    """Flips a switch that needs no flipping; it flips it back when it notices."""
    premature_transfer: float = Field(default=0.0, ge=0, le=1)
    """Hands over without a reason."""
    wrong_argument: float = Field(default=0.0, ge=0, le=1)
    """Garbles an argument."""


class _Habits(NamedTuple):
    """The slips of one episode."""

    skipped: str | None = None
    forgets_reboot: bool = False
    skips_verification: bool = False
    takes_first_line: bool = False


_CAREFUL = _Habits()


class _Step(NamedTuple):
    """The next call."""

    name: str
    arguments: dict[str, Any]


def _step(name: str, **arguments: Any) -> _Step:
    return _Step(name, arguments)


def _hand_over(reason: str) -> _Step:
    return _step("transfer_to_human_agents", summary=_HANDOVER[reason])


_DONE = _step("done")


class Expert:
    """Chooses the next call of an agent that works alone.

    Args:
        seed: Decides the slips, together with task, episode seed and turn.
        slips: How often it errs; never by default.
    """

    def __init__(self, seed: int = 0, slips: SlipRates | None = None) -> None:
        self.seed = seed
        self.slips = slips

    def act(self, episode: Episode) -> Message:
        """Return the next message of an episode: one tool call.

        Args:
            episode: An episode in solo mode; only what its agent has seen is used.
        """
        return self.reply(episode.agent_messages(), f"{self.seed}/{episode.task.id}/{episode.seed}")

    def reply(self, messages: Sequence[Message], stream: str = "") -> Message:
        """Return the next message after a conversation that begins with the ticket.

        Args:
            messages: What the agent has seen and said.
            stream: Names the random numbers that decide slips.
        """
        ticket = next((message.content for message in messages if message.role == "user"), "") or ""
        findings, made = _read(messages)
        habits = self._habits(stream)
        step = _Decision(Request.read(ticket), findings, made, habits).next()
        if made.count(step) >= _MOST_REPEATS and step != _DONE:
            step = _DONE if findings.transferred else _hand_over("unknown")
        if self.slips is not None:
            step = self._slip(step, Random(f"{stream}/{len(made)}"), self.slips)
        call = ToolCall(id=f"call_{len(made)}", name=step.name, arguments=step.arguments)
        return Message(role="assistant", tool_calls=(call,))

    def _habits(self, stream: str) -> _Habits:
        if self.slips is None:
            return _CAREFUL
        rng, slips = Random(stream), self.slips
        skipped = rng.choice(("apn", "permissions", "wifi_calling", "line_roaming", "status_bar"))
        return _Habits(
            skipped=skipped if rng.random() < slips.skip_check else None,
            forgets_reboot=rng.random() < slips.forget_reboot,
            skips_verification=rng.random() < slips.skip_verification,
            takes_first_line=rng.random() < slips.wrong_line,
        )

    def _slip(self, step: _Step, rng: Random, slips: SlipRates) -> _Step:
        chance = [rng.random() for _ in range(4)]
        if chance[0] < slips.stop_early:
            return _DONE
        if chance[1] < slips.premature_transfer:
            return _hand_over("unknown")
        if chance[2] < slips.needless_toggle:
            return _step(rng.choice(_SWITCHES))
        if chance[3] < slips.wrong_argument and step.arguments:
            name = rng.choice(list(step.arguments))
            return _Step(step.name, step.arguments | {name: _garble(step.arguments[name], rng)})
        return step


def _read(messages: Sequence[Message]) -> tuple[Findings, list[_Step]]:
    """Return what the tool results reveal, and the calls made."""
    findings, made = Findings(), []
    calls: dict[str, ToolCall] = {}
    for message in messages:
        if message.role == "assistant":
            calls = {call.id: call for call in message.tool_calls}
            made += [_Step(call.name, call.arguments) for call in message.tool_calls]
        elif message.role == "tool" and not message.error and message.content is not None:
            call = calls.get(message.tool_call_id or "")
            if call is not None:
                findings.observe(call.name, call.arguments, message.content)
    return findings, made


def _garble(value: Any, rng: Random) -> Any:
    if not isinstance(value, str):
        return value + rng.choice((0.5, 1, 10))
    position = rng.randrange(len(value)) if value else 0
    return value[:position] + rng.choice("0123456789") + value[position + 1 :]


class _Decision:
    """The next call, given what was found."""

    def __init__(self, request: Request, findings: Findings, made: Sequence[_Step], habits: _Habits) -> None:
        self.request, self.found, self.made, self.habits = request, findings, made, habits

    def next(self) -> _Step:
        """Return the next call."""
        if self.found.transferred:
            return _DONE
        undo = self._undo()
        if undo is not None or self._goal_seen():
            return undo or _DONE
        return (
            self._look()
            or self._fix_basics()
            or (self._restore_service() if not self.found.service else None)
            or self._fix_family()
            or self._test()
        )

    def _undo(self) -> _Step | None:
        """Flip back a switch that was flipped for nothing."""
        idle = list(_IDLE_SWITCHES[self.request.family])
        if not self.request.abroad and "toggle_roaming" not in idle:
            idle.append("toggle_roaming")
        flipped = (name for name in idle if self.made.count(_step(name)) % 2)
        return next(map(_step, flipped), None)

    def _goal_seen(self) -> bool:
        found, family = self.found, self.request.family
        if family == "service_issue":
            return bool(found.service)
        return found.speed == "excellent" if family == "mobile_data_issue" else bool(found.mms)

    def _look(self) -> _Step | None:
        if self.found.customer is None:
            return _step("get_customer_by_phone", phone_number=self.request.phone_number)
        if self.found.roaming is None or self.found.data_enabled is None:
            return _step("check_network_status")
        return None

    def _fix_basics(self) -> _Step | None:
        found = self.found
        if found.sim is not None and found.sim.startswith("locked"):
            return _hand_over("sim")
        if found.airplane:
            return _step("toggle_airplane_mode")
        if found.sim == "missing":
            return _step("reseat_sim_card")
        if self.request.family == "service_issue":
            return None
        if not found.data_enabled:
            return _step("toggle_data")
        if self.request.abroad and not found.roaming:
            return _step("toggle_roaming")
        return None

    def _restore_service(self) -> _Step | None:
        found = self.found
        if found.sim is None:
            return _step("check_sim_status")
        return self._fix_apn() or self._lift_suspension()

    def _fix_apn(self) -> _Step | None:
        found = self.found
        if found.reset_pending and not self.habits.forgets_reboot:
            return _step("reboot_device")
        if found.apn is None and self.habits.skipped != "apn":
            return _step("check_apn_settings")
        if (found.apn == "broken" or found.mmsc is False) and not found.reset_pending:
            return _step("reset_apn_settings")
        return None

    def _find_line(self) -> _Step | None:
        """Read the customer's lines until the one of the ticket is found."""
        if self._line() is not None:
            return None
        customer = self.found.customer or {}
        unread = [line_id for line_id in customer.get("line_ids", ()) if line_id not in self.found.lines]
        return _step("get_details_by_id", id=unread[0]) if unread else _hand_over("unknown")

    def _line(self) -> dict[str, Any] | None:
        customer = self.found.customer or {}
        if self.habits.takes_first_line and customer.get("line_ids"):
            return self.found.lines.get(customer["line_ids"][0])
        return self.found.line_of(self.request.phone_number)

    def _own(self) -> dict[str, Any]:
        line = self._line() or {}
        return {"customer_id": (self.found.customer or {}).get("customer_id", ""), "line_id": line.get("line_id", "")}

    def _lift_suspension(self) -> _Step:
        step = self._find_line()
        if step is not None:
            return step
        line = self._line() or {}
        if line["status"] == "Suspended":
            ended = line["contract_end_date"] is not None and line["contract_end_date"] < TODAY
            return _hand_over("contract") if ended else self._settle_bills() or _Step("resume_line", self._own())
        if self.found.search_pending:
            return _DONE if self.habits.forgets_reboot else _step("reboot_device")
        return _hand_over("unknown")

    def _settle_bills(self) -> _Step | None:
        found, customer = self.found, self._own()["customer_id"]
        if not found.bills_listed:
            return _step("get_bills_for_customer", customer_id=customer)
        if found.requested is not None:
            return _step("make_payment")
        if found.paid and not self.habits.skips_verification:
            return _step("get_details_by_id", id=min(found.paid))
        overdue = [bill for bill in found.overdue() if bill["bill_id"] not in found.paid]
        return _step("send_payment_request", customer_id=customer, bill_id=overdue[0]["bill_id"]) if overdue else None

    def _fix_family(self) -> _Step | None:
        return self._fix_data() if self.request.family == "mobile_data_issue" else self._fix_mms()

    def _fix_data(self) -> _Step | None:
        found = self.found
        if (found.data_saver is None or found.vpn is None) and self.habits.skipped != "status_bar":
            return _step("check_status_bar")
        if found.data_saver:
            return _step("toggle_data_saver_mode")
        if found.technology != "5G":
            return _step("set_network_mode_preference", mode="4g_5g_preferred")
        if found.vpn and found.vpn_poor is None:
            return _step("check_vpn_status")
        return _step("disconnect_vpn") if found.vpn and found.vpn_poor else None

    def _fix_mms(self) -> _Step | None:
        found = self.found
        if found.technology == "2G":
            return _step("set_network_mode_preference", mode="4g_5g_preferred")
        if found.wifi_calling is None and self.habits.skipped != "wifi_calling":
            return _step("check_wifi_calling_status")
        if found.wifi_calling:
            return _step("toggle_wifi_calling")
        return self._fix_apn() or self._fix_permissions()

    def _fix_permissions(self) -> _Step | None:
        granted = self.found.permissions
        if granted is None:
            skipped = self.habits.skipped == "permissions"
            return None if skipped else _step("check_app_permissions", app_name="messaging")
        missing = [name for name in ("sms", "storage") if name not in granted]
        return _step("grant_app_permission", app_name="messaging", permission=missing[0]) if missing else None

    def _test(self) -> _Step:
        found = self.found
        data = self.request.family == "mobile_data_issue"
        if (found.speed if data else found.mms) is None:
            untested = "run_speed_test" if data else "can_send_mms"
            return _DONE if self.habits.skips_verification else _step(untested)
        if data and found.speed != "no connection":
            return _step("disconnect_vpn") if found.vpn else _hand_over("unknown")
        return self._restore_data()

    def _restore_data(self) -> _Step:
        """Look for what stops data on the carrier's side."""
        step = self._find_line()
        if step is not None:
            return step
        own, line = self._own(), self._line() or {}
        looks = self.habits.skipped != "line_roaming"
        if self.request.abroad and not line["roaming_enabled"] and looks:
            return _Step("enable_roaming", own)
        usage = self.found.usage.get(line["line_id"])
        if usage is None:
            return _Step("get_data_usage", own)
        if usage["data_used_gb"] < usage["data_limit_gb"] + usage["data_refueling_gb"]:
            return _hand_over("unknown")
        left = REFUEL_LIMIT_GB - usage["data_refueling_gb"]
        amount = min(self.request.refuel_gb, left)
        return _Step("refuel_data", own | {"gb_amount": amount}) if amount > 0 else _hand_over("data")
