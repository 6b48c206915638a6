"""Which words are facts in tau2 telecom, and which arguments have to be such facts."""

from __future__ import annotations

import re
from typing import Any

from telegym.envs.tau2_telecom.faults import REFUEL_LIMIT_GB
from telegym.envs.tau2_telecom.phone import MODES, PERMISSIONS
from telegym.envs.tau2_telecom.state import TelecomState
from telegym.rewards.reasonableness.provenance import Facts, Pattern

__all__ = ["exists", "facts", "hear", "kind_of", "read_answer"]

_PATTERNS = (
    Pattern("phone", r"\b\d{3}-\d{3}-\d{4}\b"),
    Pattern("date", r"\b\d{4}-\d{2}-\d{2}\b"),
    *(
        Pattern(kind, rf"\b{letter}(?=[0-9a-f]*\d)[0-9a-f]{{3,12}}\b")
        for kind, letter in (("customer", "C"), ("line", "L"), ("bill", "B"), ("plan", "P"), ("device", "D"))
    ),
)
_BY_LETTER = {"C": "customer", "L": "line", "B": "bill", "P": "plan", "D": "device"}
_KINDS = {
    "phone_number": "phone",
    "customer_id": "customer",
    "line_id": "line",
    "bill_id": "bill",
    "full_name": "name",
    "dob": "date",
    "gb_amount": "amount",
    "mode": "mode",
    "app_name": "app",
    "permission": "permission",
}
_AMOUNT = re.compile(r"\b(\d+(?:\.\d+)?)\s*(?:GB|gigabytes?|gigs?)\b", re.I)
_APPS = re.compile(r"Installed apps: (.*)")


def facts() -> Facts:
    """Return what is known before anything was read: what schema and policy list."""
    known = Facts(_PATTERNS, {"amount": _is_rest, "permission": _is_listed, "name": _is_mentioned})
    for mode in MODES:
        known.learn("mode", mode, "schema")
    for permission in PERMISSIONS:
        known.learn("permission", permission, "schema")
    known.learn("app", "messaging", "schema")
    known.learn("amount", REFUEL_LIMIT_GB, "policy")
    return known


def _is_rest(value: Any, known: Facts) -> bool:
    """Whether an amount is what the limit leaves after a known one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return any(abs(REFUEL_LIMIT_GB - value - other) < 1e-6 for other in known.of_kind("amount"))


def _is_listed(value: Any, _: Facts) -> bool:
    return str(value).lower() in PERMISSIONS


def _is_mentioned(value: Any, known: Facts) -> bool:
    return known.mentions(str(value))


def hear(known: Facts, text: str | None, source: str, step: int) -> None:
    """Take in what was said: ticket, or a turn of the user."""
    known.read(text, source, step)
    for amount in _AMOUNT.findall(text or ""):
        known.learn("amount", float(amount), source, step)


def read_answer(known: Facts, tool: str, content: str, step: int) -> None:
    """Take in the answer of a successful call."""
    known.read(content, tool, step)
    if tool == "check_installed_apps" and (found := _APPS.match(content)):
        for app in found[1].split(", "):
            known.learn("app", app, tool, step)


def kind_of(argument: str, value: Any) -> str | None:
    """Return the kind of fact an argument has to be, or None if it need not be one."""
    if argument == "id":
        return _BY_LETTER.get(str(value)[:1], "record")
    return _KINDS.get(argument)


def exists(state: TelecomState, kind: str, value: Any) -> bool:
    """Return whether there is such a thing in the world, shown or not."""
    if kind == "phone":
        return value in state.customer_ids_by_number
    if kind == "app":
        return value in state.phone.app_statuses
    if kind in ("name", "date"):
        return any(value in (each.full_name, each.date_of_birth) for each in state.customers.values())
    records: dict[str, Any] = {
        "customer": state.customers,
        "line": state.lines,
        "bill": state.bills,
        "plan": state.plans,
        "device": state.devices,
    }
    return value in records.get(kind, ())
