"""Field work: `dispatch_technician`, `instruct_technician`."""

from __future__ import annotations

from telegym.envs.base_station.network import Network
from telegym.envs.base_station.process import field
from telegym.tools.base_station._format import Report, minute, number

__all__ = ["dispatch_technician", "instruct_technician"]

MAX_NOTE = 400
"""Characters of a note that reach the technician."""


def dispatch_technician(
    network: Network,
    report: Report,
    site_id: str,
    task: str,
    ticket_id: str,
    spare_part_types: list[str] | None = None,
    technician_id: str | None = None,
    urgency: str = "immediate",
    note: str = "",
) -> Report:
    """Send a technician with parts to a site."""
    order = field.dispatch(
        network,
        site_id,
        task,
        ticket_id,
        tuple(spare_part_types or ()),
        technician_id,
        urgent=urgency == "immediate",
        note=note[:MAX_NOTE],
    )
    report.fields(work_order=order.id, state=order.state, technician=order.technician_id, site=site_id, task=task)
    eta = (order.arrival_s - network.now) / 60
    return report.fields(arrival=minute(order.arrival_s), eta_min=round(eta), parts_on_van=order.parts)


def instruct_technician(
    network: Network,
    report: Report,
    work_order_id: str,
    action: str,
    target_id: str = "",
    part_type: str = "",
    value: str = "",
) -> Report:
    """Have the technician on site do something, and hear what was found."""
    found = field.instruct(network, work_order_id, action, target_id, part_type, value)
    report.fields(work_order=work_order_id, action=action, duration_min=number(found.minutes))
    return report.line(f"finding: {found.text}")
