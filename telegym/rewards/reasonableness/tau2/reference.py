"""The reference player of tau2 telecom: knows what an agent could know, and does the work in many valid ways.

It works alone from the ticket. At every turn it collects what is sensible now (a remedy for something that was seen to
be wrong, a look at something not seen yet, a test) and draws one. Different variants look in different orders, with
different tools, and repair in different ways, so that nothing can be told by the template alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from telegym.core.episode import Episode
from telegym.core.messages import Message
from telegym.envs.tau2_telecom.case import TRANSFER_TOOL
from telegym.envs.tau2_telecom.expert import Request
from telegym.envs.tau2_telecom.faults import REFUEL_LIMIT_GB
from telegym.envs.tau2_telecom.findings import TODAY, Findings
from telegym.rewards.reasonableness.corruptions import message_of
from telegym.rewards.reasonableness.tau2.reads import TESTS

__all__ = ["Reference"]


class _Step(NamedTuple):
    name: str
    arguments: dict[str, Any]


def _step(name: str, **arguments: Any) -> _Step:
    return _Step(name, arguments)


_DONE = _step("done")
_CHANGES = re.compile(r"^(toggle|set|reset|reseat|reboot|grant|connect|disconnect|enable|disable|refuel|resume|make)_")
_HANDOVER = {
    "sim": ("The SIM card is locked.", "Locked SIM card, a colleague has to unlock it."),
    "contract": ("The line is suspended and its contract has ended.", "The contract of the line has ended."),
    "data": ("The data allowance and all extra data are used up.", "All extra data is used up."),
    "unknown": ("All checks were made; the problem persists.",),
}


class Reference:
    """One player; stateless.

    Args:
        variant: Seeds its choices.
    """

    def __init__(self, variant: str) -> None:
        self.variant = variant

    def act(self, episode: Episode) -> Message:
        """Return the next message."""
        count = len(episode.calls)
        step = _Choice(episode, Random(f"{self.variant}/{episode.task.id}/{count}"), self.variant).next()
        return message_of(step.name, step.arguments, number=count)


class _Choice:
    """The next step, given what was found."""

    def __init__(self, episode: Episode, rng: Random, variant: str) -> None:
        self.rng = rng
        self.request = Request.read(episode.task.ticket)
        self.found = Findings()
        self.made = [record for record in episode.calls if record.error is None]
        self.tested = self.request.family == "service_issue"
        """Whether the goal's test was made since the last change; for service, any look at the phone is one."""
        self.data_flowed = False
        """Whether a test ever found that data flows."""
        self.worked = False
        """Whether a test ever found that what the customer complained of works."""
        for record in self.made:
            self.found.observe(record.call.name, record.call.arguments, record.content)
            changes = bool(_CHANGES.match(record.call.name))
            self.tested = record.call.name == self.test or (self.tested and not changes)
            flows = self.found.speed not in (None, "no connection") or bool(self.found.mms)
            self.data_flowed = self.data_flowed or flows
            self.worked = self.worked or self._goal_seen()
        self.thorough = Random(f"{variant}/habit").random() < 0.3

    @property
    def test(self) -> str:
        return TESTS[self.request.family]

    def next(self) -> _Step:
        found = self.found
        if found.transferred or self._goal_seen():
            return _DONE
        if found.customer is None:
            return _step("get_customer_by_phone", phone_number=self.request.phone_number)
        reason = self._hopeless()
        if reason:
            return self._hand_over(reason)
        step = self._unfinished()
        if step is not None:
            return step
        if self.worked and not self.tested and not self._known_to_fail():
            return _step(self.test)
        remedies, looks = list(self._remedies()), list(self._looks())
        if remedies and (not looks or self.rng.random() < 0.7):
            return self.rng.choice(remedies)
        if not self.tested and not self._known_to_fail() and (not looks or self.rng.random() < 0.15):
            return _step(self.test)
        return self.rng.choice(looks) if looks else self._hand_over("unknown")

    def _known_to_fail(self) -> bool:
        """Whether a test would only tell what was seen to be wrong already."""
        found, family = self.found, self.request.family
        if family == "service_issue":
            return False
        return found.service is False or any(True for _ in self._remedies())

    def _hand_over(self, reason: str) -> _Step:
        return _step(TRANSFER_TOOL, summary=self.rng.choice(_HANDOVER[reason]))

    def _goal_seen(self) -> bool:
        found, family = self.found, self.request.family
        if family == "service_issue":
            return bool(found.service) and not found.airplane
        return found.speed == "excellent" if family == "mobile_data_issue" else bool(found.mms)

    def _hopeless(self) -> str:
        found, line = self.found, self._line()
        if (found.sim or "").startswith("locked"):
            return "sim"
        if line is not None and line["status"] == "Suspended" and self._ended(line):
            return "contract"
        if line is not None and self._exceeded() and self._refuelled(line) >= REFUEL_LIMIT_GB:
            return "data"
        return ""

    @staticmethod
    def _ended(line: dict[str, Any]) -> bool:
        return line["contract_end_date"] is not None and line["contract_end_date"] < TODAY

    def _unfinished(self) -> _Step | None:
        """Finish what needs two steps."""
        found = self.found
        if found.reset_pending or found.search_pending:
            return _step("reboot_device")
        if found.requested is not None:
            asked = found.requested
            seen = any(record.call.name == "check_payment_request" for record in self.made)
            if not seen and self.rng.random() < 0.4:
                return _step("check_payment_request")
            return _step("make_payment") if asked else None
        if found.paid:
            customer = (found.customer or {})["customer_id"]
            details = _step("get_details_by_id", id=min(found.paid))
            return details if self.rng.random() < 0.7 else _step("get_bills_for_customer", customer_id=customer)
        return None

    # --- what was seen to be wrong --------------------------------------------------------------------

    def _remedies(self) -> Iterator[_Step]:
        found, family = self.found, self.request.family
        if found.airplane:
            yield _step("toggle_airplane_mode")
        if found.sim == "missing":
            yield _step("reseat_sim_card")
        if found.apn == "broken" or (found.mmsc is False and family == "mms_issue"):
            yield _step("reset_apn_settings") if self.rng.random() < 0.7 else _step("set_apn_settings", apn_settings={})
        if family == "service_issue":
            yield from self._lift_suspension()
            return
        if found.data_enabled is False:
            yield _step("toggle_data")
        if self.request.abroad and found.roaming is False:
            yield _step("toggle_roaming")
        yield from self._carrier_remedies()
        yield from self._slow() if family == "mobile_data_issue" else self._mms()

    def _slow(self) -> Iterator[_Step]:
        found = self.found
        if found.data_saver:
            yield _step("toggle_data_saver_mode")
        if (found.technology or "5G") != "5G" or (found.mode or "4g_5g_preferred") != "4g_5g_preferred":
            yield _step("set_network_mode_preference", mode="4g_5g_preferred")
        if found.vpn and found.vpn_poor:
            yield _step("disconnect_vpn")

    def _mms(self) -> Iterator[_Step]:
        found = self.found
        if found.technology == "2G" or found.mode == "2g_only":
            mode = self.rng.choice(("4g_5g_preferred", "4g_5g_preferred", "4g_only", "3g_only"))
            yield _step("set_network_mode_preference", mode=mode)
        if found.wifi_calling:
            yield _step("toggle_wifi_calling")
        for permission in ("sms", "storage"):
            if found.permissions is not None and permission not in found.permissions:
                yield _step("grant_app_permission", app_name="messaging", permission=permission)

    def _carrier_remedies(self) -> Iterator[_Step]:
        line = self._line()
        if line is None:
            return
        if self.request.abroad and not line["roaming_enabled"]:
            yield _Step("enable_roaming", self._own(line))
        if self._exceeded():
            amount = min(self.request.refuel_gb, REFUEL_LIMIT_GB - self._refuelled(line))
            yield _Step("refuel_data", self._own(line) | {"gb_amount": amount})

    def _lift_suspension(self) -> Iterator[_Step]:
        found, line = self.found, self._line()
        if line is None or line["status"] != "Suspended":
            return
        overdue = found.overdue()
        own = self._own(line)
        if overdue:
            yield _step("send_payment_request", customer_id=own["customer_id"], bill_id=overdue[0]["bill_id"])
        elif self._bills_known():
            yield _Step("resume_line", own)

    def _bills_known(self) -> bool:
        listed = (self.found.customer or {}).get("bill_ids", ())
        return self.found.bills_listed or all(bill_id in self.found.bills for bill_id in listed)

    # --- what was not seen yet ------------------------------------------------------------------------

    def _looks(self) -> Iterator[_Step]:
        found = self.found
        if found.airplane is None:
            yield _step("check_network_status")
            yield _step("check_status_bar")
            return
        if not found.service:
            yield from self._service_looks()
            if self.request.family == "service_issue":
                return
        roams = self.request.abroad and not self.data_flowed
        if found.roaming is None and (roams or found.data_enabled is None):
            yield _step("check_network_status")
        yield from self._line_looks()
        yield from self._slow_looks() if self.request.family == "mobile_data_issue" else self._mms_looks()

    def _service_looks(self) -> Iterator[_Step]:
        found = self.found
        if found.sim is None:
            yield _step("check_sim_status")
        elif found.sim == "active" and found.apn is None:
            yield _step("check_apn_settings")
        if self.request.family != "service_issue":
            return
        line = self._line()
        if line is None:
            yield from self._find_line()
        elif line["status"] == "Suspended" and not found.overdue() and not self._bills_known():
            yield _step("get_bills_for_customer", customer_id=(found.customer or {})["customer_id"])

    def _find_line(self) -> Iterator[_Step]:
        customer = self.found.customer or {}
        unread = [each for each in customer.get("line_ids", ()) if each not in self.found.lines]
        if unread:
            yield _step("get_details_by_id", id=self.rng.choice(unread))

    def _line_looks(self) -> Iterator[_Step]:
        found, line = self.found, self._line()
        if self.data_flowed:
            return
        if line is None:
            yield from self._find_line()
        elif line["line_id"] not in found.usage and line["plan_id"] not in found.plans:
            yield _step("get_data_usage", **self._own(line))
            if self.thorough:
                yield _step("get_details_by_id", id=line["plan_id"])

    def _slow_looks(self) -> Iterator[_Step]:
        found = self.found
        if found.data_saver is None:
            yield _step("check_data_restriction_status")
        if found.vpn is None or (found.vpn and found.vpn_poor is None):
            yield _step("check_vpn_status")
        if found.technology is None and found.mode is None:
            yield _step("check_network_mode_preference")

    def _mms_looks(self) -> Iterator[_Step]:
        found = self.found
        if found.wifi_calling is None:
            yield _step("check_wifi_calling_status")
        if found.mmsc is None and found.service:
            yield _step("check_apn_settings")
        if found.permissions is None:
            yield _step(self.rng.choice(("check_app_permissions", "check_app_status")), app_name="messaging")
        if found.technology is None and found.mode is None:
            yield _step("check_network_mode_preference")

    # --- records --------------------------------------------------------------------------------------

    def _line(self) -> dict[str, Any] | None:
        return self.found.line_of(self.request.phone_number)

    def _own(self, line: dict[str, Any]) -> dict[str, Any]:
        return {"customer_id": (self.found.customer or {})["customer_id"], "line_id": line["line_id"]}

    def _exceeded(self) -> bool:
        line = self._line() or {}
        usage, plan = self.found.usage.get(line.get("line_id", "")), self.found.plans.get(line.get("plan_id", ""))
        if usage is not None:
            return bool(usage["data_used_gb"] >= usage["data_limit_gb"] + usage["data_refueling_gb"])
        return bool(plan and line["data_used_gb"] >= plan["data_limit_gb"] + self._refuelled(line))

    def _refuelled(self, line: dict[str, Any]) -> float:
        usage = self.found.usage.get(line["line_id"])
        if usage is not None:
            return float(usage["data_refueling_gb"])
        bought = (record for record in self.made if record.call.name == "refuel_data")
        added = sum(float(record.call.arguments["gb_amount"]) for record in bought)
        return float(line["data_refueling_gb"]) + added
