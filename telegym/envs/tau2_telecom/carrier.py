"""How the carrier's back office behaves: looking up records, lines, bills, roaming, extra data.

Every function takes the world first and raises `ToolError` for what the back office refuses. The date is frozen.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from telegym.core.errors import ToolError
from telegym.envs.tau2_telecom.state import Bill, Customer, Line, LineItem, Plan, Record, evolve

if TYPE_CHECKING:
    from telegym.envs.tau2_telecom.world import TelecomWorld

__all__ = [
    "CYCLE_END",
    "TODAY",
    "add_bill",
    "bill_of_id",
    "bills_of_customer",
    "customer_of_id",
    "customer_of_phone",
    "customers_of_name",
    "line_of_id",
    "owned_line",
    "plan_of_id",
    "record_of_id",
    "refuel_data",
    "resume_line",
    "send_payment_request",
    "set_roaming",
    "suspend_line",
]

TODAY = "2025-02-25"
"""The frozen date of the simulation."""
CYCLE_END = "2025-02-28"
"""Last day of the current billing cycle."""
_R = TypeVar("_R", bound=Record)
_NEXT_CYCLE_START, _NEXT_CYCLE_END, _NEXT_DUE_DATE = "2025-03-01", "2025-03-31", "2025-03-15"


def _found(record: _R | None, kind: str, name: str) -> _R:
    if record is None:
        raise ToolError(f"{kind} '{name}' not found")
    return record


def customer_of_id(world: TelecomWorld, customer_id: str) -> Customer:
    """Return a customer by id."""
    return _found(world.state.customers.get(customer_id), "customer", customer_id)


def line_of_id(world: TelecomWorld, line_id: str) -> Line:
    """Return a line by id."""
    return _found(world.state.lines.get(line_id), "line", line_id)


def bill_of_id(world: TelecomWorld, bill_id: str) -> Bill:
    """Return a bill by id."""
    return _found(world.state.bills.get(bill_id), "bill", bill_id)


def plan_of_id(world: TelecomWorld, plan_id: str) -> Plan:
    """Return a plan by id."""
    return _found(world.state.plans.get(plan_id), "plan", plan_id)


def record_of_id(world: TelecomWorld, identifier: str) -> Record:
    """Return the line, device, bill, customer or plan that an id names; the first letter tells which."""
    kind = identifier[:1]
    if kind == "L":
        return line_of_id(world, identifier)
    if kind == "B":
        return bill_of_id(world, identifier)
    if kind == "C":
        return customer_of_id(world, identifier)
    if kind == "P":
        return plan_of_id(world, identifier)
    if kind != "D":
        raise ToolError(f"unknown id format '{identifier}': ids begin with L, D, B, C or P")
    device = world.state.devices.get(identifier)
    if device is None:
        raise ToolError(f"device '{identifier}' not found")
    return device


def owned_line(world: TelecomWorld, customer_id: str, line_id: str) -> Line:
    """Return a line of a customer."""
    if line_id not in customer_of_id(world, customer_id).line_ids:
        raise ToolError(f"line '{line_id}' not found for customer '{customer_id}'")
    return line_of_id(world, line_id)


def customer_of_phone(world: TelecomWorld, phone_number: str) -> Customer:
    """Return the first customer with this contact number or a line with this number."""
    customer_id = world.state.customer_ids_by_number.get(phone_number)
    if customer_id is None:
        raise ToolError(f"no customer with phone number '{phone_number}'")
    return world.state.customers[customer_id]


def customers_of_name(world: TelecomWorld, full_name: str, dob: str) -> list[Customer]:
    """Return the customers with this name, whatever its case, and this date of birth."""
    wanted = full_name.lower()
    customers = world.state.customers.values()
    return [item for item in customers if item.date_of_birth == dob and item.full_name.lower() == wanted]


def bills_of_customer(world: TelecomWorld, customer_id: str) -> list[Bill]:
    """Return the bills of a customer, in the order of the customer's list."""
    return [bill_of_id(world, bill_id) for bill_id in customer_of_id(world, customer_id).bill_ids]


def suspend_line(world: TelecomWorld, customer_id: str, line_id: str) -> Line:
    """Suspend an active line and return it."""
    line = owned_line(world, customer_id, line_id)
    if line.status != "Active":
        raise ToolError(f"line '{line_id}' is not Active but {line.status}: it cannot be suspended")
    line = evolve(line, status="Suspended", suspension_start_date=TODAY)
    world.put_line(line)
    return line


def resume_line(world: TelecomWorld, customer_id: str, line_id: str) -> Line:
    """Make a suspended or pending line active and return it."""
    line = owned_line(world, customer_id, line_id)
    if line.status not in ("Suspended", "Pending Activation"):
        raise ToolError(f"line '{line_id}' is {line.status}: only a suspended or pending line can be resumed")
    line = evolve(line, status="Active", suspension_start_date=None)
    world.put_line(line)
    return line


def send_payment_request(world: TelecomWorld, customer_id: str, bill_id: str) -> None:
    """Ask a customer to pay a bill, whatever its status is."""
    customer = customer_of_id(world, customer_id)
    waiting = next((b for b in bills_of_customer(world, customer_id) if b.status == "Awaiting Payment"), None)
    if waiting is not None:
        raise ToolError(f"bill '{waiting.bill_id}' is awaiting payment already; only one bill may at a time")
    if bill_id not in customer.bill_ids:
        raise ToolError(f"bill '{bill_id}' not found for customer '{customer_id}'")
    world.put_bill(evolve(bill_of_id(world, bill_id), status="Awaiting Payment"))


def set_roaming(world: TelecomWorld, customer_id: str, line_id: str, enabled: bool) -> bool:
    """Allow or forbid roaming on a line; return whether that changed anything."""
    line = owned_line(world, customer_id, line_id)
    if line.roaming_enabled == enabled:
        return False
    world.put_line(evolve(line, roaming_enabled=enabled))
    return True


def refuel_data(world: TelecomWorld, customer_id: str, line_id: str, gb_amount: float) -> tuple[Line, float]:
    """Add data to a line and its price to the draft bill; return the line and the price."""
    line = owned_line(world, customer_id, line_id)
    if gb_amount <= 0:
        raise ToolError(f"gb_amount must be positive, not {gb_amount}")
    price = plan_of_id(world, line.plan_id).data_refueling_price_per_gb
    charge = gb_amount * price
    line = evolve(line, data_refueling_gb=line.data_refueling_gb + gb_amount)
    world.put_line(line)
    _add_charge(world, customer_id, charge, f"Data refueling: {gb_amount} GB at ${price}/GB")
    return line, charge


def _add_charge(world: TelecomWorld, customer_id: str, amount: float, description: str) -> None:
    bills = bills_of_customer(world, customer_id)
    bill = next((item for item in bills if item.status == "Draft"), None) or _new_draft(world, customer_id)
    kind = "Credit" if amount < 0 else "Charge"
    item = LineItem(description=description, amount=amount, date=TODAY, item_type=kind)
    world.put_bill(evolve(bill, line_items=(*bill.line_items, item), total_due=bill.total_due + amount))


def _new_draft(world: TelecomWorld, customer_id: str) -> Bill:
    digest = hashlib.sha256(f"{world.seed}/{customer_id}/{len(world.state.bills)}".encode()).hexdigest()
    bill = Bill(
        bill_id=f"B{digest[:8]}",
        customer_id=customer_id,
        period_start=_NEXT_CYCLE_START,
        period_end=_NEXT_CYCLE_END,
        issue_date=_NEXT_CYCLE_START,
        total_due=0.0,
        due_date=_NEXT_DUE_DATE,
    )
    add_bill(world, bill)
    return bill


def add_bill(world: TelecomWorld, bill: Bill) -> None:
    """Append a bill to the records and to its customer's list."""
    customer = customer_of_id(world, bill.customer_id)
    world.put_bill(bill)
    world.put_customer(evolve(customer, bill_ids=(*customer.bill_ids, bill.bill_id)))
