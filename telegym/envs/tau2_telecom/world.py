"""The telecom world: a carrier's back office and a user's phone, linked by the number of the phone's line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from telegym.core.errors import TaskError, ToolError, did_you_mean
from telegym.core.world import World
from telegym.envs.tau2_telecom.state import (
    Bill,
    Customer,
    Line,
    PaymentRequest,
    Phone,
    Surroundings,
    TelecomState,
    VpnDetails,
    evolve,
)

__all__ = ["TelecomWorld"]


class TelecomWorld(World):
    """The world as tau2-bench's telecom domain defines it.

    Args:
        state: The state to begin with; it is a value and may be shared by many worlds.
        seed: Decides the ids of bills that the carrier creates.

    Raises:
        TaskError: If the user's phone number belongs to no line.
    """

    cheap_snapshots: ClassVar[bool] = True

    state: TelecomState
    """The present state. Replace it, never change it."""
    seed: int
    """Decides the ids of bills that the carrier creates."""

    def __init__(self, state: TelecomState, seed: int = 0) -> None:
        self.state = state
        self.seed = seed
        self.minutes = 0.0
        if not state.synced:
            try:
                self.sync()
            except ToolError as error:
                raise TaskError(f"phone and carrier do not fit together: {error}") from error

    @classmethod
    def from_records(cls, agent: Mapping[str, Any], user: Mapping[str, Any] | None = None, seed: int = 0) -> Self:
        """Build a world from JSON records; see `TelecomState.from_records`."""
        return cls(TelecomState.from_records(agent, user), seed)

    @property
    def phone(self) -> Phone:
        """The user's phone."""
        return self.state.phone

    @property
    def surroundings(self) -> Surroundings:
        """The user's surroundings."""
        return self.state.surroundings

    def dump(self) -> dict[str, Any]:
        """Return both sides' records as JSON values, under `agent` and `user`."""
        return {"agent": self.state.agent_dump(), "user": self.state.user_dump()}

    def agent_dump(self) -> dict[str, Any]:
        """Return the carrier's records as JSON values."""
        return self.state.agent_dump()

    def user_dump(self) -> dict[str, Any]:
        """Return phone (`device`) and `surroundings` as JSON values."""
        return self.state.user_dump()

    def snapshot(self) -> tuple[TelecomState, float]:
        """Return the present state, which is a value, and the clock."""
        return self.state, self.minutes

    def restore(self, snapshot: tuple[TelecomState, float]) -> None:
        """Return to an earlier state."""
        self.state, self.minutes = snapshot

    def fork(self) -> Self:
        """Return an independent world in the same state."""
        cls = type(self)
        copy = cls.__new__(cls)
        copy.state = self.state
        copy.seed = self.seed
        copy.minutes = self.minutes
        return copy

    def mark(self) -> TelecomState:
        """Return the present state; its hash is computed when asked for."""
        return self.state

    def set_phone(self, phone: Phone) -> None:
        """Replace the phone."""
        self.state = state = self.state.copy()
        state.phone = phone

    def set_surroundings(self, **changes: Any) -> None:
        """Replace some fields of the surroundings."""
        self.state = state = self.state.copy()
        state.surroundings = evolve(state.surroundings, **changes)
        state.synced = False

    def set_default_vpn(self, profile: VpnDetails) -> None:
        """Replace the profile that `connect_vpn` uses."""
        self.state = state = self.state.copy()
        state.default_vpn = profile

    def put_line(self, line: Line) -> None:
        """Replace a line."""
        self.state = state = self.state.copy()
        state.lines = {**state.lines, line.line_id: line}
        state.carrier_changed()

    def put_bill(self, bill: Bill) -> None:
        """Replace or append a bill."""
        self.state = state = self.state.copy()
        state.bills = {**state.bills, bill.bill_id: bill}
        state.carrier_changed()

    def put_customer(self, customer: Customer) -> None:
        """Replace a customer."""
        self.state = state = self.state.copy()
        state.customers = {**state.customers, customer.customer_id: customer}
        state.carrier_changed()

    def sync(self) -> None:
        """Let each side know what happened on the other: line and quota to the phone, payments to the carrier.

        Raises:
            ToolError: If the phone's number belongs to no line, or a record it needs is missing.
        """
        if self.state.synced:
            return
        if self.state.surroundings.phone_number is not None:
            self._sync_line()
            self._sync_payment()
        if not self.state.synced:
            self.state = self.state.copy()
            self.state.synced = True

    def _sync_line(self) -> None:
        state = self.state
        around = state.surroundings
        line_id = state.line_ids_by_number.get(around.phone_number or "")
        if line_id is None:
            raise ToolError(f"no line with phone number '{around.phone_number}'")
        line = state.lines[line_id]
        active, roaming = line.status == "Active", line.roaming_enabled
        if around.line_active != active or around.roaming_allowed != roaming:
            self.set_surroundings(line_active=active, roaming_allowed=roaming)
        plan = state.plans.get(line.plan_id)
        if plan is None:
            raise ToolError(f"plan '{line.plan_id}' not found")
        exceeded = line.data_used_gb >= plan.data_limit_gb + line.data_refueling_gb
        if around.mobile_data_usage_exceeded != exceeded:
            self.set_surroundings(mobile_data_usage_exceeded=exceeded)

    def _sync_payment(self) -> None:
        request = self.state.surroundings.payment_request
        if request is not None:
            if not request.paid:
                return
            bill = self.state.bills.get(request.bill_id)
            if bill is None:
                raise ToolError(f"bill '{request.bill_id}' not found")
            self.put_bill(evolve(bill, status="Paid"))
            self.set_surroundings(payment_request=None)
        waiting = self._awaiting_payment()
        if waiting is not None:
            asked = PaymentRequest(bill_id=waiting.bill_id, amount_due=waiting.total_due)
            self.set_surroundings(payment_request=asked)

    def _awaiting_payment(self) -> Bill | None:
        state = self.state
        owner = state.customer_ids_by_number.get(state.surroundings.phone_number or "")
        if owner is None:
            raise ToolError(f"no customer with phone number '{state.surroundings.phone_number}'")
        for bill_id in state.customers[owner].bill_ids:
            bill = state.bills.get(bill_id)
            if bill is None:
                raise ToolError(f"bill '{bill_id}' not found")
            if bill.status == "Awaiting Payment":
                return bill
        return None

    def run(self, target: str, name: str, arguments: Mapping[str, Any]) -> Any:
        """Run an initialisation function, an assertion or a tool of one side, then sync.

        Args:
            target: `user` for the phone's side, `assistant` for the carrier's.
            name: Name of the function.
            arguments: Keyword arguments.

        Returns:
            What the function returned.

        Raises:
            TaskError: If there is no such function or it fails.
        """
        from telegym.envs.tau2_telecom.initialization import function_names, function_of

        function = function_of(target, name)
        if function is None:
            names = function_names(target)
            raise TaskError(f"no function {name!r} on side {target!r}.{did_you_mean(name, names)}")
        try:
            result = function(self, **arguments)
            self.sync()
        except TaskError:
            raise
        except Exception as error:  # the function ran with unvalidated arguments: whatever it raises, the task is wrong
            raise TaskError(f"{target} function {name!r} failed with {dict(arguments)!r}: {error}") from error
        return result

    def call_unchecked(self, requestor: str, name: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
        """Call a tool as tau2-bench does: no schema validation, no rollback, any exception is the call's error.

        Args:
            requestor: `assistant` or `user`; each side reaches its own tools only.
            name: Name of the tool.
            arguments: Keyword arguments.

        Returns:
            The content of the answer, and whether it is an error.
        """
        from telegym.envs.tau2_telecom.initialization import tool_function

        function = tool_function(requestor, name)
        if function is None:
            return f"Error: Tool '{name}' not found.", True
        try:
            return str(function(self, **arguments)), False
        except Exception as error:  # unvalidated arguments may raise anything
            return f"Error: {error}", True
