"""DualExpert: an agent for mode `dual` that solves cases by talking plain English to the user.

It knows the conversation and the results of its own tools, nothing else, and decides anew at every turn. It finds the
line, lets the user read the phone, has them put right what is wrong, repairs the carrier's side itself, and hands the
case over when a locked SIM card, an ended contract or used-up extra data was found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from telegym.core.messages import Message, ToolCall
from telegym.envs.tau2_telecom.faults import REFUEL_LIMIT_GB
from telegym.envs.tau2_telecom.findings import TODAY
from telegym.envs.tau2_telecom.phrases import phrases
from telegym.envs.tau2_telecom.scenario import Family

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["DualExpert"]

_NUMBER = re.compile(r"\b\d{3}-\d{3}-\d{4}\b")
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*GB", re.I)
_SWITCHES = {
    "airplane": r"airplane mode(?: is)?(?: already| now)?(?: was already)?:? (on|off)\b",
    "data": r"mobile data(?: is| enabled)?(?: already| now)?(?: was already)?:? (on|off|yes|no)\b",
    "roaming": r"data roaming(?: is| enabled)?(?: already| now)?(?: was already)?:? (on|off|yes|no)\b",
}
_BAR = re.compile(r"(✈️?|📵 No Signal|📶. \w+)[^;]*?🔋")
_MOST_REPEATS = 2


@dataclass
class _Beliefs:
    """What is known from the conversation."""

    family: Family = "service_issue"
    number: str | None = None
    abroad: bool | None = None
    heard_network: bool = False
    airplane: bool | None = None
    data: bool | None = None
    roaming: bool | None = None
    sim: str | None = None
    service: bool | None = None
    technology: str | None = None
    apn_bad: bool | None = None
    permissions: frozenset[str] | None = None
    vpn_poor: bool | None = None
    vpn: bool | None = None
    speed: str | None = None
    mms: bool | None = None
    amount: float | None = None
    refuses: bool = False
    customer: dict[str, Any] | None = None
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    bills: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: bool = False
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)
    usage: dict[str, float] | None = None
    requested: str | None = None
    has_paid: bool = False
    resumed: bool = False
    transferred: bool = False
    heard_change: bool = False
    said: list[str] = field(default_factory=list)

    # --- the user -----------------------------------------------------------------------------------

    def hear(self, text: str, first: bool) -> None:
        """Learn from what the user says."""
        low = text.lower()
        if first:
            self.family = _family(low)
        found = _NUMBER.search(text)
        self.number = found[0] if found else self.number
        if re.search(r"\babroad\b|\boverseas\b|\btravel", low) and "not travel" not in low:
            self.abroad = True
        elif re.search(r"\bat home\b|\bin the united states\b", low):
            self.abroad = False
        for name, pattern in _SWITCHES.items():
            for state in re.findall(pattern, low):
                setattr(self, name, state in ("on", "yes"))
        self._hear_network(text, low)
        self._hear_settings(text, low)
        if amount := _AMOUNT.search(text):
            self.amount = float(amount[1])
        self.has_paid = re.search(r"\bpaid\b|payment of \d", low) is not None
        self.refuses = self.refuses or "don't want to buy" in low

    def _hear_network(self, text: str, low: str) -> None:
        self.heard_change = self.heard_network and "cellular connection:" not in low and not _BAR.search(text)
        self.heard_network = self.heard_network or "cellular connection:" in low
        if found := re.search(r"cellular connection: (\w+)", low):
            self.service = found[1] == "connected"
        for found in re.finditer(r"sim card status: (\w+)|sim card[^.;]*?\b(active|locked|missing)\b", low):
            self.sim = (found[1] or found[2]).partition("_")[0]
        for technology in re.findall(r"(?:cellular network type: |\| )([2-5]g|none)", low):
            self.technology = technology.upper()
        if bars := _BAR.findall(text):
            self.airplane = bars[-1].startswith("✈")
            self.service = bars[-1].startswith("📶")

    def _hear_settings(self, text: str, low: str) -> None:
        if "apn name" in low:
            self.apn_bad = "apn name: broken" in low or "not set" in low
        if found := re.search(r"permissions?(?: for)?:? ([\w, ]+)", low):
            self.permissions = frozenset(re.findall(r"\b(sms|storage|phone|network)\b", found[1]))
        if "vpn" in low and (shown := re.search(r"vpn(?: is)?:? ?(on|off|not|connected|disconnected)|no vpn", low)):
            self.vpn = shown[1] in ("on", "connected") and "not connected" not in low
            self.vpn_poor = "performancelevel.poor" in low if "server_performance" in low else self.vpn_poor
        if found := re.search(r"no connection|\b(very poor|poor|fair|good|excellent)\)", low):
            self.speed = found[1] or "no connection"
        if found := re.search(r"\b(can|cannot|can't|can not) (?:be sent|send)", low):
            self.mms = found[1] == "can"

    # --- the tools ----------------------------------------------------------------------------------

    def see(self, call: ToolCall, content: str) -> None:
        """Learn from a result of the agent's own tools."""
        name, found = call.name, _json(content)
        if name == "transfer_to_human_agents":
            self.transferred = True
        elif name == "get_customer_by_phone" and isinstance(found, dict):
            self.customer = found
        elif name == "get_details_by_id" and isinstance(found, dict):
            self._see_record(found)
        elif name == "get_bills_for_customer" and isinstance(found, list):
            self.listed = True
            self.bills |= {bill["bill_id"]: bill for bill in found}
        elif name == "send_payment_request":
            self.requested = str(call.arguments["bill_id"])
        else:
            self._see_change(call, found)

    def _see_record(self, found: dict[str, Any]) -> None:
        if "line_id" in found:
            self.lines[found["line_id"]] = found
        elif "data_limit_gb" in found:
            self.plans[found["plan_id"]] = found
        elif "bill_id" in found:
            self.bills[found["bill_id"]] = found

    def _see_change(self, call: ToolCall, found: Any) -> None:
        line_id = str(call.arguments.get("line_id"))
        if call.name == "get_data_usage" and isinstance(found, dict):
            numbers = ("data_used_gb", "data_limit_gb", "data_refueling_gb")
            self.usage = {name: float(found[name]) for name in numbers}
        elif call.name == "refuel_data" and isinstance(found, dict) and self.usage:
            self.usage["data_refueling_gb"] = float(found["new_data_refueling_gb"])
            self.speed = self.mms = None
        elif call.name == "enable_roaming" and line_id in self.lines:
            self.lines[line_id] = self.lines[line_id] | {"roaming_enabled": True}
        elif call.name == "resume_line":
            self.resumed = True
            self.lines[line_id] = self.lines[line_id] | {"status": "Active"}

    @property
    def line(self) -> dict[str, Any] | None:
        """The record of the user's line, if it was read."""
        return next((line for line in self.lines.values() if line["phone_number"] == self.number), None)

    def has_said(self, text: str) -> bool:
        """Whether the agent has said this."""
        return any(text in said for said in self.said)


def _family(text: str) -> Family:
    if re.search(r"\bmms\b|picture message", text):
        return "mms_issue"
    return "mobile_data_issue" if re.search(r"\bdata\b|internet|speed", text) else "service_issue"


def _json(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _beliefs(messages: Sequence[Message]) -> _Beliefs:
    beliefs, calls, first = _Beliefs(), {}, True
    for message in messages:
        if message.role == "assistant":
            calls = {call.id: call for call in message.tool_calls}
            beliefs.said += [message.content] if message.content and not message.tool_calls else []
        elif message.role == "user" and message.content:
            beliefs.hear(message.content, first)
            first = False
        elif message.role == "tool" and not message.error and (call := calls.get(message.tool_call_id or "")):
            beliefs.see(call, message.content or "")
    return beliefs


_Move = str | tuple[str, dict[str, Any]]
"""What to say, or the tool to call."""


class DualExpert:
    """Chooses the next message of an agent that talks to a user."""

    def act(self, episode: Episode) -> Message:
        """Return the next message, given nothing but what the agent can see."""
        return self.decide(episode.agent_messages())

    def decide(self, messages: Sequence[Message]) -> Message:
        """Return the next message after these.

        Args:
            messages: The conversation as the agent sees it.
        """
        beliefs = _beliefs(messages)
        move = _Decision(beliefs).next()
        if isinstance(move, str) and sum(move == said for said in beliefs.said) >= _MOST_REPEATS:
            move = _hand_over("unknown")
        if isinstance(move, str):
            return Message(role="assistant", content=move)
        name, arguments = move
        made = sum(len(message.tool_calls) for message in messages if message.role == "assistant")
        call = ToolCall(id=f"call_{made}", name=name, arguments=arguments)
        return Message(role="assistant", tool_calls=(call,))


def _say(key: str, **fields: Any) -> str:
    text: str = phrases("dual_expert")[key]
    return text.strip().format(**fields)


def _hand_over(reason: str) -> _Move:
    return "transfer_to_human_agents", {"summary": phrases("dual_expert")["handover"][reason]}


class _Decision:
    """The next move, given what is known."""

    def __init__(self, beliefs: _Beliefs) -> None:
        self.known = beliefs

    def next(self) -> _Move:
        """Return the next move."""
        if self.known.transferred:
            return _say("transfer")
        return self._identify() or self._basics() or self._service() or self._family() or _hand_over("unknown")

    def _once(self, key: str) -> _Move | None:
        """Say something that was not said before."""
        return None if self.known.has_said(_say(key)) else _say(key)

    def _identify(self) -> _Move | None:
        known = self.known
        if known.number is None:
            return _say("identify")
        if known.customer is None:
            return "get_customer_by_phone", {"phone_number": known.number}
        if known.line is None:
            unread = [each for each in known.customer.get("line_ids", ()) if each not in known.lines]
            return ("get_details_by_id", {"id": unread[0]}) if unread else _hand_over("unknown")
        if known.family != "service_issue" and known.abroad is None and not known.has_said(_say("locate")):
            return _say("locate")
        return None if known.heard_network else _say("check_network")

    def _basics(self) -> _Move | None:
        """Put right what the network status shows."""
        known, wanted = self.known, []
        if known.sim == "locked":
            return _hand_over("sim")
        if known.airplane:
            wanted.append("airplane")
        if known.family != "service_issue":
            wanted += ["data"] if known.data is False else []
            wanted += ["roaming"] if known.abroad and known.roaming is False else []
        if known.sim == "missing":
            wanted.append("sim")
        if not wanted:
            return None
        steps = [_say(key) for key in wanted]
        return f"Please {', '.join(steps[:-1])}{', and ' if steps[1:] else ''}{steps[-1]}."

    def _service(self) -> _Move | None:
        if self.known.service:
            return None
        again = self._once("check_network_again") if self._is_in_the_dark() else None
        return again or self._lift_suspension() or self._repair_apn() or self._search_again()

    def _is_in_the_dark(self) -> bool:
        """Whether the user changed something and did not say what the phone shows now."""
        return self.known.heard_change and self.known.family != "service_issue"

    def _lift_suspension(self) -> _Move | None:
        known, line = self.known, self.known.line or {}
        if line.get("status") != "Suspended":
            return None
        if line["contract_end_date"] is not None and line["contract_end_date"] < TODAY:
            return _hand_over("contract")
        customer = (known.customer or {})["customer_id"]
        if not known.listed:
            return "get_bills_for_customer", {"customer_id": customer}
        return self._settle_bills(customer) or ("resume_line", {"customer_id": customer, "line_id": line["line_id"]})

    def _settle_bills(self, customer: str) -> _Move | None:
        known = self.known
        if known.requested is not None and known.bills[known.requested]["status"] != "Paid":
            if known.bills[known.requested]["status"] == "Awaiting Payment":
                return _hand_over("unknown")
            looks = "get_details_by_id", {"id": known.requested}
            return looks if known.has_paid else self._once("pay") or _hand_over("unknown")
        overdue = [bill_id for bill_id, bill in known.bills.items() if bill["status"] == "Overdue"]
        return ("send_payment_request", {"customer_id": customer, "bill_id": overdue[0]}) if overdue else None

    def _repair_apn(self) -> _Move | None:
        if self.known.apn_bad is None:
            return self._once("check_apn")
        return self._once("reset_apn") if self.known.apn_bad else None

    def _search_again(self) -> _Move | None:
        return self._once("reboot") if self.known.resumed else None

    def _family(self) -> _Move | None:
        family = self.known.family
        if family == "service_issue":
            return self._once("check_bar")
        carrier = self._carrier_side()
        if carrier is not None:
            return carrier
        return self._fast_data() if family == "mobile_data_issue" else self._mms()

    def _carrier_side(self) -> _Move | None:
        """Repair what keeps data from flowing on the carrier's side."""
        known, line = self.known, self.known.line or {}
        own = {"customer_id": (known.customer or {})["customer_id"], "line_id": line["line_id"]}
        if known.abroad and not line["roaming_enabled"]:
            return "enable_roaming", own
        if known.usage is None:
            return "get_data_usage", own
        used, limit, extra = (known.usage[name] for name in ("data_used_gb", "data_limit_gb", "data_refueling_gb"))
        if used < limit + extra:
            return None
        left = REFUEL_LIMIT_GB - extra
        if left <= 0 or known.refuses:
            return _hand_over("data")
        if line["plan_id"] not in known.plans:
            return "get_details_by_id", {"id": line["plan_id"]}
        if known.amount is None:
            price = known.plans[line["plan_id"]]["data_refueling_price_per_gb"]
            return _say("refuel", price=f"{price:.2f}", limit=f"{left:g}")
        return "refuel_data", own | {"gb_amount": min(known.amount, left)}

    def _fast_data(self) -> _Move | None:
        known = self.known
        if known.speed is None:
            return self._once("check_speed_settings") or self._once("check_vpn") or _say("check_speed")
        if known.vpn_poor and not known.has_said(_say("disconnect_vpn")):
            return _say("disconnect_vpn")
        return None

    def _mms(self) -> _Move | None:
        known = self.known
        if known.technology == "2G" and not known.has_said(_say("set_mode")):
            return _say("set_mode")
        if known.permissions is None or known.apn_bad is None:
            return self._once("check_mms_settings")
        if known.apn_bad and (reset := self._once("reset_apn")):
            return reset
        missing = [name for name in ("sms", "storage") if name not in known.permissions]
        if missing and not any("grant the messaging app" in said for said in known.said):
            return f"{_say('grant', names=' permission and the '.join(missing))} {_say('check_mms')}"
        return self._once("check_mms")
