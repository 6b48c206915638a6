"""What may be wrong with a phone and its line: every combination of the causes that the manual lists.

Each attribute of `Beliefs` is a set of hypotheses, as bits of one number: those under which this thing is so *now*.
Calls move hypotheses (`apply`), answers rule some out (`shown`). The same class with a single hypothesis is the truth,
read off a state (`truth`), so that what a tool shows is written down once; an observation is the comparison of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from typing import Any

from telegym.envs.tau2_telecom.case import Case
from telegym.envs.tau2_telecom.faults import REFUEL_LIMIT_GB
from telegym.envs.tau2_telecom.findings import TODAY, Findings
from telegym.envs.tau2_telecom.scenario import Family
from telegym.envs.tau2_telecom.state import TelecomState

__all__ = ["SEARCHING", "Beliefs", "beliefs", "causes_shown", "shown", "truth"]

_LINE = ("none", "overdue", "ended")
_USAGE = ("none", "exceeded", "spent")
_SERVICE: dict[str, tuple[Any, ...]] = {
    "airplane": (False, True),
    "missing": (False, True),
    "locked": (False, True),
    "apn": (False, True),
    "line": _LINE,
}
_DATA: dict[str, tuple[Any, ...]] = {
    "data_off": (False, True),
    "roaming_off": (False, True),
    "line_roaming_off": (False, True),
    "usage": _USAGE,
}
_CAUSES: dict[Family, dict[str, tuple[Any, ...]]] = {
    "service_issue": _SERVICE,
    "mobile_data_issue": {
        **_SERVICE,
        **_DATA,
        "saver": (False, True),
        "slow": (None, "2G", "3G"),
        "vpn": (None, "fine", "slow"),
    },
    "mms_issue": {
        **_SERVICE,
        **_DATA,
        "slow": (None, "2G"),
        "calling": (False, True),
        "mmsc": (False, True),
        "sms": (False, True),
        "storage": (False, True),
    },
}
"""Causes of each complaint, with the values each may have."""

SEARCHING = frozenset(
    {
        *("toggle_airplane_mode", "toggle_data", "toggle_roaming", "reseat_sim_card", "reboot_device"),
        *("set_network_mode_preference", "set_apn_settings", "reset_apn_settings"),
    }
)
"""Tools after which the phone has searched for a network."""

_FLAGS = (
    *("airplane", "missing", "locked", "apn", "suspended", "ended", "overdue", "awaiting"),
    *("data_off", "roaming_off", "line_roaming_off", "exceeded", "spent", "saver"),
    *("slow2", "slow3", "slow4", "vpn_on", "vpn_slow", "calling", "captures", "mmsc", "sms", "storage"),
    *("pending", "connected", "tech2", "tech3", "tech4"),
)


class Beliefs:
    """Sets of hypotheses: under which each thing is so now."""

    __slots__ = ("abroad", "all", "family", *_FLAGS)

    family: Family
    abroad: bool
    all: int
    airplane: int
    missing: int
    locked: int
    apn: int
    suspended: int
    ended: int
    overdue: int
    awaiting: int
    data_off: int
    roaming_off: int
    line_roaming_off: int
    exceeded: int
    spent: int
    saver: int
    slow2: int
    slow3: int
    slow4: int
    vpn_on: int
    vpn_slow: int
    calling: int
    captures: int
    mmsc: int
    sms: int
    storage: int
    pending: int
    connected: int
    tech2: int
    tech3: int
    tech4: int

    def copy(self) -> Beliefs:
        """Return an independent copy."""
        new = Beliefs.__new__(Beliefs)
        for name in Beliefs.__slots__:
            setattr(new, name, getattr(self, name))
        return new

    # --- what follows --------------------------------------------------------------------------------

    @property
    def reachable(self) -> int:
        """Where a search would find the network."""
        return self.all & ~(self.airplane | self.missing | self.locked | self.apn | self.suspended)

    @property
    def stale(self) -> int:
        """Where a search would change whether there is service."""
        return self.reachable ^ self.connected

    @property
    def data_works(self) -> int:
        """Where mobile data flows."""
        blocked = self.airplane | self.data_off | self.roaming_off | self.line_roaming_off | self.exceeded
        return self.connected & ~blocked

    @property
    def excellent(self) -> int:
        """Where a speed test says excellent."""
        slow = self.tech2 | self.tech3 | self.tech4 | self.saver | (self.vpn_on & self.vpn_slow)
        return self.data_works & ~slow

    @property
    def sends_mms(self) -> int:
        """Where a picture message can be sent."""
        blocked = self.tech2 | (self.calling & self.captures) | self.mmsc | self.sms | self.storage
        return self.data_works & ~blocked

    @property
    def goal(self) -> int:
        """Where what the customer complained of works."""
        if self.family == "service_issue":
            return self.connected & ~self.airplane
        return self.excellent if self.family == "mobile_data_issue" else self.sends_mms

    @property
    def hopeless(self) -> int:
        """Where only a human can help."""
        return self.locked | self.ended | (self.exceeded & self.spent)

    # --- what calls do --------------------------------------------------------------------------------

    def search(self) -> None:
        """Let the phone search for a network."""
        self.connected = found = self.reachable
        self.tech2, self.tech3, self.tech4 = found & self.slow2, found & self.slow3, found & self.slow4

    def apply(self, name: str, arguments: Mapping[str, Any], own_line: bool, now: Beliefs) -> None:
        """Take in what a successful call did.

        Args:
            name: The tool.
            arguments: Its arguments.
            own_line: Whether it was about the customer's line, for tools of the carrier.
            now: The truth afterwards, for what numbers decide.
        """
        change = _CHANGES.get(name)
        if change is not None and (own_line or name not in _ON_LINE):
            change(self, arguments, now)
        if name in SEARCHING:
            self.search()

    def _toggle_airplane(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.airplane ^= self.all
        self.vpn_on &= ~self.airplane

    def _toggle_data(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.data_off ^= self.all

    def _toggle_roaming(self, _: Mapping[str, Any], now: Beliefs) -> None:
        if self.abroad:
            self.roaming_off ^= self.all

    def _toggle_saver(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.saver ^= self.all

    def _toggle_calling(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.calling ^= self.all

    def _reseat(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.missing = 0

    def _reset_apn(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.pending = self.all

    def _set_apn(self, arguments: Mapping[str, Any], now: Beliefs) -> None:
        self.apn, self.mmsc, self.pending = (self.all * now.apn, self.all * now.mmsc, self.all * now.pending)

    def _reboot(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.apn &= ~self.pending
        self.mmsc &= ~self.pending
        self.pending = 0

    def _set_mode(self, arguments: Mapping[str, Any], now: Beliefs) -> None:
        self.slow2, self.slow3, self.slow4 = self.all * now.slow2, self.all * now.slow3, self.all * now.slow4

    def _connect(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.vpn_on = self.all

    def _disconnect(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.vpn_on = 0

    def _grant(self, arguments: Mapping[str, Any], now: Beliefs) -> None:
        if arguments.get("app_name") == "messaging":
            permission = str(arguments.get("permission")).lower()
            if permission in ("sms", "storage"):
                setattr(self, permission, 0)

    def _resume(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.suspended = 0

    def _suspend(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.suspended = self.all

    def _enable(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.line_roaming_off = 0

    def _disable(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.line_roaming_off = self.all if self.abroad else 0

    def _refuel(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.exceeded &= self.all * now.exceeded
        self.spent = self.all * now.spent

    def _request(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.overdue, self.awaiting = self.all * now.overdue, self.all * now.awaiting

    def _pay(self, _: Mapping[str, Any], now: Beliefs) -> None:
        self.awaiting = self.all * now.awaiting


_ON_LINE = frozenset({"resume_line", "suspend_line", "enable_roaming", "disable_roaming", "refuel_data"})
_CHANGES: dict[str, Callable[[Beliefs, Mapping[str, Any], Beliefs], None]] = {
    "toggle_airplane_mode": Beliefs._toggle_airplane,
    "toggle_data": Beliefs._toggle_data,
    "toggle_roaming": Beliefs._toggle_roaming,
    "toggle_data_saver_mode": Beliefs._toggle_saver,
    "toggle_wifi_calling": Beliefs._toggle_calling,
    "reseat_sim_card": Beliefs._reseat,
    "reset_apn_settings": Beliefs._reset_apn,
    "set_apn_settings": Beliefs._set_apn,
    "reboot_device": Beliefs._reboot,
    "set_network_mode_preference": Beliefs._set_mode,
    "connect_vpn": Beliefs._connect,
    "disconnect_vpn": Beliefs._disconnect,
    "grant_app_permission": Beliefs._grant,
    "resume_line": Beliefs._resume,
    "suspend_line": Beliefs._suspend,
    "enable_roaming": Beliefs._enable,
    "disable_roaming": Beliefs._disable,
    "refuel_data": Beliefs._refuel,
    "send_payment_request": Beliefs._request,
    "make_payment": Beliefs._pay,
}


def _mask(bits: list[bool]) -> int:
    return int("".join("1" if bit else "0" for bit in reversed(bits)), 2)


@lru_cache(maxsize=6)
def _template(family: Family, abroad: bool) -> Beliefs:
    causes = dict(_CAUSES[family])
    if not abroad:
        causes.pop("roaming_off", None)
        causes.pop("line_roaming_off", None)
    rows = list(product(*causes.values()))
    column = {name: [row[place] for row in rows] for place, name in enumerate(causes)}

    def where(name: str, *values: Any) -> int:
        return _mask([value in values for value in column[name]]) if name in column else 0

    new = Beliefs.__new__(Beliefs)
    for flag in _FLAGS:
        setattr(new, flag, where(flag, True))
    new.family, new.abroad, new.all = family, abroad, (1 << len(rows)) - 1
    new.suspended = new.overdue = where("line", "overdue", "ended")
    new.ended = where("line", "ended")
    new.exceeded, new.spent = where("usage", "exceeded", "spent"), where("usage", "spent")
    new.slow2, new.slow3 = where("slow", "2G"), where("slow", "3G")
    new.vpn_on, new.vpn_slow = where("vpn", "fine", "slow"), where("vpn", "slow")
    new.captures = new.calling
    new.search()
    return new


def beliefs(family: Family, abroad: bool) -> Beliefs:
    """Return what may be wrong before anything was seen.

    Args:
        family: What the customer complains of.
        abroad: Whether the customer is outside the home network.
    """
    return _template(family, abroad).copy()


def size(family: Family, abroad: bool) -> int:
    """Return the number of hypotheses."""
    return _template(family, abroad).all.bit_length()


def truth(case: Case, state: TelecomState) -> Beliefs:
    """Return what is so in a state, as the only hypothesis."""
    new = Beliefs.__new__(Beliefs)
    new.family, new.abroad, new.all = case.family, case.abroad, 1
    _read_phone(new, state)
    _read_carrier(new, case, state)
    return new


def _read_phone(new: Beliefs, state: TelecomState) -> None:
    phone, apn = state.phone, state.phone.active_apn_settings
    new.airplane, new.missing = int(phone.airplane_mode), int(phone.sim_card_missing)
    new.locked = int(phone.sim_card_status != "active")
    new.apn, new.mmsc, new.pending = int(apn.apn_name == "broken"), int(apn.mmsc_url is None), int(apn.reset_at_reboot)
    new.data_off, new.saver = int(not phone.data_enabled), int(phone.data_saver_mode)
    new.roaming_off = int(new.abroad and not phone.roaming_enabled)
    mode = phone.network_mode_preference
    new.slow2, new.slow3, new.slow4 = int(mode == "2g_only"), int(mode == "3g_only"), int(mode == "4g_only")
    new.vpn_on = int(phone.vpn_connected)
    new.vpn_slow = int(phone.vpn_details is not None and phone.vpn_details.server_performance == "poor")
    new.calling, new.captures = int(phone.wifi_calling_enabled), int(phone.wifi_calling_mms_over_wifi)
    app = phone.app_statuses.get("messaging")
    new.sms = int(app is None or not app.permissions.sms)
    new.storage = int(app is None or not app.permissions.storage)
    new.connected = int(phone.network_connection_status == "connected")
    technology = phone.network_technology_connected
    new.tech2, new.tech3, new.tech4 = int(technology == "2G"), int(technology == "3G"), int(technology == "4G")


def _read_carrier(new: Beliefs, case: Case, state: TelecomState) -> None:
    line = state.lines[case.subject.line_id]
    plan = state.plans[line.plan_id]
    new.suspended = int(line.status != "Active")
    new.ended = int(line.contract_end_date is not None and line.contract_end_date < TODAY)
    bills = [state.bills[bill_id].status for bill_id in state.customers[case.subject.customer_id].bill_ids]
    new.overdue, new.awaiting = int("Overdue" in bills), int("Awaiting Payment" in bills)
    new.line_roaming_off = int(new.abroad and not line.roaming_enabled)
    new.exceeded = int(line.data_used_gb >= plan.data_limit_gb + line.data_refueling_gb)
    new.spent = int(new.exceeded and line.data_refueling_gb >= REFUEL_LIMIT_GB)


# --- what tools show ------------------------------------------------------------------------------


def _bar(b: Beliefs) -> tuple[int, ...]:
    found = b.connected & ~b.airplane
    data = found & ~b.data_off
    return b.airplane, found, found & b.tech2, found & b.tech3, found & b.tech4, data, data & b.saver, b.vpn_on


def _network(b: Beliefs) -> tuple[int, ...]:
    sim = (b.missing, b.locked & ~b.missing)
    return b.airplane, *sim, b.connected, b.tech2, b.tech3, b.tech4, b.data_off, b.roaming_off


def _sim(b: Beliefs) -> tuple[int, ...]:
    return b.missing, b.locked & ~b.missing


def _mode(b: Beliefs) -> tuple[int, ...]:
    return b.slow2, b.slow3, b.slow4


def _speed(b: Beliefs) -> tuple[int, ...]:
    return b.data_works, b.excellent


def _mms(b: Beliefs) -> tuple[int, ...]:
    return (b.sends_mms,)


def _apn(b: Beliefs) -> tuple[int, ...]:
    return b.apn, b.mmsc


def _vpn(b: Beliefs) -> tuple[int, ...]:
    return b.vpn_on, b.vpn_on & b.vpn_slow


def _permissions(b: Beliefs) -> tuple[int, ...]:
    return b.sms, b.storage


def _line(b: Beliefs) -> tuple[int, ...]:
    return b.suspended, b.suspended & b.ended, b.line_roaming_off


def _usage(b: Beliefs) -> tuple[int, ...]:
    return b.exceeded, b.spent


def _bills(b: Beliefs) -> tuple[int, ...]:
    return b.overdue, b.awaiting


_PHONE_SHOWS: dict[str, Callable[[Beliefs], tuple[int, ...]]] = {
    "check_status_bar": _bar,
    "check_network_status": _network,
    "check_sim_status": _sim,
    "check_network_mode_preference": _mode,
    "run_speed_test": _speed,
    "can_send_mms": _mms,
    "check_data_restriction_status": lambda b: (b.saver,),
    "check_apn_settings": _apn,
    "check_wifi_calling_status": lambda b: (b.calling,),
    "check_vpn_status": _vpn,
    "toggle_airplane_mode": _bar,
    "toggle_data": lambda b: (b.data_off, *_bar(b)),
    "toggle_roaming": lambda b: (b.roaming_off, *_bar(b)),
    "toggle_data_saver_mode": lambda b: (b.saver, *_bar(b)),
    "toggle_wifi_calling": lambda b: (b.calling, *_bar(b)),
    "reseat_sim_card": _bar,
    "reset_apn_settings": _bar,
    "set_apn_settings": _bar,
    "reboot_device": _bar,
    "set_network_mode_preference": _bar,
    "connect_vpn": _bar,
    "disconnect_vpn": _bar,
    "grant_app_permission": _bar,
    "toggle_wifi": _bar,
}
_CAUSES_SHOWN: dict[str, Callable[[Beliefs], tuple[int, ...]]] = {
    "check_network_status": lambda b: (b.airplane, *_sim(b), b.data_off, b.roaming_off),
    "check_sim_status": _sim,
    "check_network_mode_preference": _mode,
    "check_data_restriction_status": lambda b: (b.saver,),
    "check_apn_settings": _apn,
    "check_wifi_calling_status": lambda b: (b.calling,),
    "check_vpn_status": lambda b: (b.vpn_on & b.vpn_slow,),
}
_APPS = ("check_app_permissions", "check_app_status")


Shown = Callable[[Beliefs], tuple[int, ...]]
"""What a tool shows, as a function of what is so."""


def shown(name: str, arguments: Mapping[str, Any], case: Case, findings: Findings) -> Shown:
    """Return what the answer of a successful call shows, as a function of what is so after the call.

    Args:
        name: The tool.
        arguments: Its arguments.
        case: The case.
        findings: What had been read before: line and plan together tell whether data is used up.
    """
    if name in _APPS:
        return _permissions if arguments.get("app_name") == "messaging" else _nothing
    if name == "get_data_usage" and arguments.get("line_id") == case.subject.line_id:
        return _usage
    if name == "get_bills_for_customer" and arguments.get("customer_id") == case.subject.customer_id:
        return _bills
    if name == "get_details_by_id":
        return _record(str(arguments.get("id")), case, findings)
    return _PHONE_SHOWS.get(name, _nothing)


def causes_shown(name: str, arguments: Mapping[str, Any], b: Beliefs) -> tuple[int, ...]:
    """Return where each cause is there that a read of the phone shows directly.

    Args:
        name: The tool.
        arguments: Its arguments.
        b: What may be so.
    """
    if name in _APPS:
        return _permissions(b) if arguments.get("app_name") == "messaging" else ()
    show = _CAUSES_SHOWN.get(name)
    return show(b) if show is not None else ()


def _record(identifier: str, case: Case, findings: Findings) -> Shown:
    if identifier == case.subject.line_id:
        plan_id = case.initial.lines[identifier].plan_id
        return (lambda b: (*_line(b), *_usage(b))) if plan_id in findings.plans else _line
    own = findings.lines.get(case.subject.line_id)
    if own is not None and identifier == own["plan_id"]:
        return _usage
    return _bills if identifier == case.subject.bill_id else _nothing


def _nothing(_: Beliefs) -> tuple[int, ...]:
    return ()
