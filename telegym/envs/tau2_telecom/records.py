"""Random carrier and phone records for generated tasks.

Everything is drawn from one `random.Random`. The clock of the simulated carrier stands still on 25 February 2025, so
dates are laid out around that day. The subject of a task (customer, line, phone) starts healthy: the faults of the task
come on top. Everybody else is scenery, with the irregularities a real customer base has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from telegym.envs.tau2_telecom.phrases import phrases

__all__ = ["Carrier", "draw_carrier", "draw_phone"]

_BILL_STATES = ("Paid", "Paid", "Issued", "Overdue", "Disputed", "Awaiting Payment")
_LINE_STATES = ("Active", "Active", "Active", "Suspended", "Pending Activation", "Closed")
_METHODS = ("Credit Card", "Debit Card", "PayPal")


@dataclass(slots=True)
class Carrier:
    """The records of a carrier, and who the task is about."""

    plans: list[dict[str, Any]] = field(default_factory=list)
    """Plan records."""
    customers: list[dict[str, Any]] = field(default_factory=list)
    """Customer records."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    """Line records."""
    bills: list[dict[str, Any]] = field(default_factory=list)
    """Bill records."""
    devices: list[dict[str, Any]] = field(default_factory=list)
    """Device records."""
    customer: dict[str, Any] = field(default_factory=dict)
    """The subject: a customer."""
    line: dict[str, Any] = field(default_factory=dict)
    """The subject: a line of that customer."""

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """Return the collections in the order of the carrier's database."""
        return {
            "plans": self.plans,
            "customers": self.customers,
            "lines": self.lines,
            "bills": self.bills,
            "devices": self.devices,
        }

    def plan(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return the plan of a line."""
        return next(plan for plan in self.plans if plan["plan_id"] == line["plan_id"])


def draw_carrier(rng: Random, consecutive: float = 0.0) -> Carrier:
    """Draw a carrier with 3 to 6 customers, one of whom becomes the subject.

    Args:
        rng: Source of chance.
        consecutive: Share of carriers that number customers, lines and bills one after the other, 0 to 1.
    """
    carrier = Carrier()
    catalogue, people = phrases("catalogue"), phrases("people")
    _add_plans(carrier, rng, catalogue)
    count = rng.randint(3, 6)
    line_counts = [rng.randint(1, 4) for _ in range(count)]
    subject = rng.randrange(count)
    ids = _Ids(rng, count, sum(line_counts), consecutive)
    names = rng.sample(people["first_names"], count)
    for index, first_name in enumerate(names):
        own = _customer(rng, people, ids, f"{first_name} {rng.choice(people['last_names'])}")
        carrier.customers.append(own)
        lines = [_line(carrier, rng, catalogue, ids) for _ in range(line_counts[index])]
        own["line_ids"] = [line["line_id"] for line in lines]
        if index == subject:
            carrier.customer, carrier.line = own, rng.choice(lines)
            _make_healthy(carrier, rng)
        own["phone_number"] = _contact_number(rng, ids, lines, carrier.line if index == subject else None)
        _add_bills(carrier, rng, ids, own, lines, healthy=index == subject)
    return carrier


class _Ids:
    """Unused identifiers of one carrier: drawn at random, or numbered one after the other."""

    def __init__(self, rng: Random, customers: int, lines: int, consecutive: float) -> None:
        self._rng, self._consecutive = rng, bool(consecutive) and rng.random() < consecutive
        self.customers = iter(self._take(customers))
        self.lines = iter(self._take(lines))
        self.bills = iter(self._take(customers * 4))
        self.devices = iter(self._take(lines))
        area, office = rng.randint(201, 989), rng.randint(200, 999)
        self.numbers = (f"{area}-{office}-{last:04d}" for last in self._take(lines + customers, 0))

    def _take(self, count: int, least: int = 1000) -> Sequence[int]:
        if not self._consecutive:
            return self._rng.sample(range(least, 10000), count)
        first = self._rng.randrange(max(least, 1), 10000 - count) // 100 * 100 + 1
        return range(first, first + count)


def _add_plans(carrier: Carrier, rng: Random, catalogue: dict[str, Any]) -> None:
    count = rng.randint(3, 6)
    names = rng.sample(catalogue["plan_names"], count)
    limits = sorted(rng.sample(catalogue["data_limits_gb"], count))
    prices = sorted(rng.sample(catalogue["monthly_prices"], count))
    for number, name, limit, price in zip(rng.sample(range(1000, 10000), count), names, limits, prices, strict=True):
        carrier.plans.append(
            {
                "plan_id": f"P{number}",
                "name": f"{name} {rng.choice(catalogue['plan_suffixes'])}",
                "data_limit_gb": limit,
                "price_per_month": price,
                "data_refueling_price_per_gb": rng.choice(catalogue["refuel_prices_per_gb"]),
            }
        )


def _customer(rng: Random, people: dict[str, Any], ids: _Ids, name: str) -> dict[str, Any]:
    city, state, zip_code = rng.choice(people["cities"])
    mail = f"{name.lower().replace(' ', '.')}@{rng.choice(people['mail_hosts'])}"
    return {
        "customer_id": f"C{next(ids.customers)}",
        "full_name": name,
        "date_of_birth": _date(rng, 1945, 2005),
        "email": mail,
        "phone_number": "",
        "address": {
            "street": f"{rng.randint(1, 999)} {rng.choice(people['streets'])}",
            "city": city,
            "state": state,
            "zip_code": zip_code,
        },
        "account_status": "Active" if rng.random() < 0.8 else rng.choice(("Suspended", "Pending Verification")),
        "payment_methods": [_payment_method(rng) for _ in range(rng.randint(0, 2))],
        "line_ids": [],
        "bill_ids": [],
        "created_at": f"{_date(rng, 2019, 2024)} {_time(rng)}",
        "last_extension_date": _date(rng, 2024, 2024) if rng.random() < 0.2 else None,
        "goodwill_credit_used_this_year": rng.choice((0.0, 0.0, 0.0, 10.0, 25.0, 50.0)),
    }


def _payment_method(rng: Random) -> dict[str, Any]:
    return {
        "method_type": rng.choice(_METHODS),
        "account_number_last_4": f"{rng.randrange(10000):04d}",
        "expiration_date": f"{rng.randint(1, 12):02d}/{rng.randint(2025, 2030)}",
    }


def _line(carrier: Carrier, rng: Random, catalogue: dict[str, Any], ids: _Ids) -> dict[str, Any]:
    plan = rng.choice(carrier.plans)
    device = _add_device(carrier, rng, catalogue, ids)
    status = rng.choice(_LINE_STATES)
    suspended = status == "Suspended"
    line = {
        "line_id": f"L{next(ids.lines)}",
        "phone_number": next(ids.numbers),
        "status": status,
        "plan_id": plan["plan_id"],
        "device_id": device,
        "data_used_gb": round(rng.uniform(0.0, 1.1) * plan["data_limit_gb"], 1),
        "data_refueling_gb": rng.choice((0.0, 0.0, 0.0, 1.0, 2.0)),
        "roaming_enabled": rng.random() < 0.5,
        "contract_end_date": _date(rng, 2024, 2024) if suspended and rng.random() < 0.3 else _date(rng, 2026, 2028),
        "last_plan_change_date": _date(rng, 2023, 2024) if rng.random() < 0.8 else None,
        "last_sim_replacement_date": _date(rng, 2023, 2024) if rng.random() < 0.3 else None,
        "suspension_start_date": f"2025-02-{rng.randint(1, 20):02d}" if suspended else None,
    }
    carrier.lines.append(line)
    return line


def _add_device(carrier: Carrier, rng: Random, catalogue: dict[str, Any], ids: _Ids) -> str:
    kind = "phone" if rng.random() < 0.85 else rng.choice(("tablet", "router", "watch"))
    models = catalogue["phone_models"] if kind == "phone" else catalogue["other_models"][kind]
    device_id = f"D{next(ids.devices)}"
    carrier.devices.append(
        {
            "device_id": device_id,
            "device_type": kind,
            "model": rng.choice(models),
            "imei": str(rng.randint(10**14, 10**15 - 1)),
            "is_esim_capable": rng.random() < 0.8,
            "activated": True,
            "activation_date": f"{_date(rng, 2023, 2024)} {_time(rng)}",
            "last_esim_transfer_date": f"{_date(rng, 2024, 2024)} {_time(rng)}" if rng.random() < 0.2 else None,
        }
    )
    return device_id


def _make_healthy(carrier: Carrier, rng: Random) -> None:
    """Bring the subject's line in order: the faults of the task come on top."""
    limit = carrier.plan(carrier.line)["data_limit_gb"]
    carrier.line.update(
        status="Active",
        suspension_start_date=None,
        contract_end_date=_date(rng, 2026, 2028),
        data_used_gb=round(rng.uniform(0.05, 0.9) * limit, 1),
        data_refueling_gb=0.0,
    )
    carrier.customer["account_status"] = "Active"


def _contact_number(rng: Random, ids: _Ids, lines: list[dict[str, Any]], subject: dict[str, Any] | None) -> str:
    """The number to reach the customer at: that of a line, or another one."""
    chance = rng.random()
    if subject is not None and chance < 0.5:
        return str(subject["phone_number"])
    return str(rng.choice(lines)["phone_number"]) if chance < 0.7 else next(ids.numbers)


def _add_bills(
    carrier: Carrier, rng: Random, ids: _Ids, customer: dict[str, Any], lines: list[dict[str, Any]], healthy: bool
) -> None:
    """Add last month's bill, this month's, and the draft of the next; only scenery may owe money."""
    charges = [_charge(carrier, line) for line in lines if line["status"] != "Closed"]
    this_month = rng.choice(("Paid", "Issued")) if healthy else rng.choice(_BILL_STATES)
    if rng.random() < 0.4:
        _add_bill(carrier, ids, customer, ("2024-12-01", "2024-12-31", "2024-12-05", "2024-12-19"), charges, "Paid")
    _add_bill(carrier, ids, customer, ("2025-01-01", "2025-01-31", "2025-01-05", "2025-01-19"), charges, "Paid")
    _add_bill(carrier, ids, customer, ("2025-02-01", "2025-02-28", "2025-02-05", "2025-02-19"), charges, this_month)
    _add_bill(carrier, ids, customer, ("2025-03-01", "2025-03-31", "2025-03-01", "2025-03-15"), [], "Draft")


def _charge(carrier: Carrier, line: dict[str, Any]) -> tuple[str, float]:
    plan = carrier.plan(line)
    return f"{plan['name']} - Line {line['phone_number']}", plan["price_per_month"]


def _add_bill(
    carrier: Carrier,
    ids: _Ids,
    customer: dict[str, Any],
    dates: tuple[str, str, str, str],
    charges: list[tuple[str, float]],
    status: str,
) -> None:
    start, end, issued, due = dates
    bill_id = f"B{next(ids.bills)}"
    items = [
        {"description": text, "amount": amount, "date": issued, "item_type": "Plan Charge"} for text, amount in charges
    ]
    carrier.bills.append(
        {
            "bill_id": bill_id,
            "customer_id": customer["customer_id"],
            "period_start": start,
            "period_end": end,
            "issue_date": issued,
            "total_due": round(sum(amount for _, amount in charges), 2) if charges else 0.0,
            "due_date": due,
            "line_items": items,
            "status": status,
        }
    )
    customer["bill_ids"].append(bill_id)


def draw_phone(rng: Random, abroad: bool) -> dict[str, Any]:
    """Draw a healthy phone: only what differs from a new one.

    Args:
        rng: Source of chance.
        abroad: Whether the user is abroad, where a healthy phone has data roaming on.
    """
    device: dict[str, Any] = {"roaming_enabled": abroad or rng.random() < 0.25}
    device["battery_level"] = rng.randint(15, 100)
    device["network_signal_strength"] = rng.choice(("good", "excellent"))
    device["wifi_enabled"] = rng.random() < 0.3
    return {"device": device, "surroundings": {}}


def _date(rng: Random, first_year: int, last_year: int) -> str:
    return f"{rng.randint(first_year, last_year)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _time(rng: Random) -> str:
    return f"{rng.randint(7, 21):02d}:{rng.randint(0, 59):02d}:00"
