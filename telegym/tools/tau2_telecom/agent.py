"""The carrier's back office: the 13 tools of the agent."""

# ruff: noqa: D417 - the world is no argument of the call; the agent reads these docstrings

from __future__ import annotations

import json

from telegym.core.tool import Tool, tool
from telegym.envs.tau2_telecom import carrier
from telegym.envs.tau2_telecom.world import TelecomWorld
from telegym.tools.tau2_telecom._sync import synced

__all__ = ["AGENT_TOOLS"]

_quoted = json.encoder.encode_basestring_ascii


@tool
@synced
def get_customer_by_phone(world: TelecomWorld, phone_number: str) -> str:
    """Find the customer with this contact number or with a line of this number.

    Args:
        phone_number: Phone number, for example "555-123-2002".
    """
    return carrier.customer_of_phone(world, phone_number).text()


@tool
@synced
def get_customer_by_id(world: TelecomWorld, customer_id: str) -> str:
    """Read a customer's record.

    Args:
        customer_id: Customer id, for example "C1001".
    """
    return carrier.customer_of_id(world, customer_id).text()


@tool
@synced
def get_customer_by_name(world: TelecomWorld, full_name: str, dob: str) -> str:
    """List the customers with this name and date of birth; the list is empty if there is none.

    Args:
        full_name: First and last name.
        dob: Date of birth, YYYY-MM-DD.
    """
    found = carrier.customers_of_name(world, full_name, dob)
    return f"[{', '.join([customer.text() for customer in found])}]"


@tool
@synced
def get_details_by_id(world: TelecomWorld, id: str) -> str:
    """Read the record of a line, device, bill, customer or plan.

    Args:
        id: Id beginning with L (line), D (device), B (bill), C (customer) or P (plan).
    """
    return carrier.record_of_id(world, id).text()


@tool(kind="write", risk="high")
@synced
def suspend_line(world: TelecomWorld, customer_id: str, line_id: str, reason: str) -> str:
    """Suspend an active line: it loses service, for a holding fee of $5 a month.

    Args:
        customer_id: Id of the customer who owns the line.
        line_id: Id of the line.
        reason: Why the line is suspended.
    """
    line = carrier.suspend_line(world, customer_id, line_id)
    return f'{{"message": "Line suspended; a holding fee of $5/month applies.", "line": {line.text()}}}'


@tool(kind="write", risk="medium")
@synced
def resume_line(world: TelecomWorld, customer_id: str, line_id: str) -> str:
    """Make a suspended or pending line active again.

    Args:
        customer_id: Id of the customer who owns the line.
        line_id: Id of the line.
    """
    line = carrier.resume_line(world, customer_id, line_id)
    return f'{{"message": "Line resumed.", "line": {line.text()}}}'


@tool
@synced
def get_bills_for_customer(world: TelecomWorld, customer_id: str, limit: int = 12) -> str:
    """List a customer's bills, the latest issue date first.

    Args:
        customer_id: Customer id.
        limit: How many bills to return at most.
    """
    bills = carrier.bills_of_customer(world, customer_id)
    bills.sort(key=lambda bill: bill.issue_date, reverse=True)
    return f"[{', '.join([bill.text() for bill in bills[:limit]])}]"


@tool(kind="write", risk="medium")
@synced
def send_payment_request(world: TelecomWorld, customer_id: str, bill_id: str) -> str:
    """Ask a customer to pay a bill; its status becomes Awaiting Payment. One bill at a time, overdue or not.

    Args:
        customer_id: Customer id.
        bill_id: Id of the bill to pay.
    """
    carrier.send_payment_request(world, customer_id, bill_id)
    return f"Payment request sent for bill {bill_id}."


@tool
@synced
def get_data_usage(world: TelecomWorld, customer_id: str, line_id: str) -> str:
    """Read how much data a line used in this billing cycle, and how much it may use.

    Args:
        customer_id: Id of the customer who owns the line.
        line_id: Id of the line.
    """
    line = carrier.owned_line(world, customer_id, line_id)
    limit = carrier.plan_of_id(world, line.plan_id).data_limit_gb
    return (
        f'{{"line_id": {_quoted(line_id)}, "data_used_gb": {_quoted(str(line.data_used_gb))}, '
        f'"data_limit_gb": {_quoted(str(limit))}, "data_refueling_gb": {_quoted(str(line.data_refueling_gb))}, '
        f'"cycle_end_date": "{carrier.CYCLE_END}"}}'
    )


@tool(kind="write", risk="low")
@synced
def enable_roaming(world: TelecomWorld, customer_id: str, line_id: str) -> str:
    """Allow a line to roam abroad, free of charge.

    Args:
        customer_id: Id of the customer who owns the line.
        line_id: Id of the line.
    """
    changed = carrier.set_roaming(world, customer_id, line_id, True)
    return "Roaming enabled." if changed else "Roaming was already enabled."


@tool(kind="write", risk="medium")
@synced
def disable_roaming(world: TelecomWorld, customer_id: str, line_id: str) -> str:
    """Forbid a line to roam abroad.

    Args:
        customer_id: Id of the customer who owns the line.
        line_id: Id of the line.
    """
    changed = carrier.set_roaming(world, customer_id, line_id, False)
    return "Roaming disabled." if changed else "Roaming was already disabled."


@tool
@synced
def transfer_to_human_agents(world: TelecomWorld, summary: str) -> str:
    """Hand the case over to a human agent.

    Args:
        summary: The user's problem, in short.
    """
    return "Transfer successful"


@tool(kind="write", risk="medium")
@synced
def refuel_data(world: TelecomWorld, customer_id: str, line_id: str, gb_amount: float) -> str:
    """Add data to a line; the price goes on the customer's next bill.

    Args:
        customer_id: Id of the customer who owns the line.
        line_id: Id of the line.
        gb_amount: How many gigabytes to add, above 0.
    """
    line, charge = carrier.refuel_data(world, customer_id, line_id, gb_amount)
    message = f"Added {gb_amount} GB to line {line_id} for ${charge:.2f}."
    refuelled = _quoted(str(line.data_refueling_gb))
    return f'{{"message": {_quoted(message)}, "new_data_refueling_gb": {refuelled}, "charge": {_quoted(str(charge))}}}'


AGENT_TOOLS: tuple[Tool, ...] = (
    get_customer_by_phone,
    get_customer_by_id,
    get_customer_by_name,
    get_details_by_id,
    suspend_line,
    resume_line,
    get_bills_for_customer,
    send_payment_request,
    get_data_usage,
    enable_roaming,
    disable_roaming,
    transfer_to_human_agents,
    refuel_data,
)
"""The agent's tools, in the order in which they are listed."""
