"""What every procedure at the desk has in common: reading replies, the clock, approvals, visits, verification.

Procedures go by the texts of replies alone, as an engineer does.
"""

from __future__ import annotations

import re
from typing import Any

from telegym.envs.base_station.players.steps import Call, Reply, Steps
from telegym.envs.base_station.policy.constants import PolicyConstants
from telegym.envs.base_station.policy.trace import LOOKS

__all__ = ["Desk", "fields", "rows"]

_FIELD = re.compile(r"(?:^|  )([A-Za-z_0-9]+): (.*?)(?=  [A-Za-z_0-9]+: |$)", re.MULTILINE)
_LOOKED_AT = frozenset({"element_id", "cell_id", "node_id", "site_id", "ru_id", "link_id", "scope_id"})
NEEDED_LOOKS = 2
"""Looks at an element that a diagnosis needs."""
MAX_WAITS = 60
"""Most times that somebody waits for one thing."""


def fields(text: str) -> dict[str, str]:
    """Return the values of a reply's `key: value` lines; the first one where a key occurs twice."""
    found: dict[str, str] = {}
    for match in _FIELD.finditer(text):
        found.setdefault(match[1], match[2].strip())
    return found


def rows(text: str, first: str) -> list[dict[str, str]]:
    """Return the rows of a reply's table whose first column has a given name."""
    lines = text.splitlines()
    head = next((index for index, line in enumerate(lines) if line.startswith(f"{first},")), None)
    if head is None:
        return []
    columns = lines[head].split(",")
    found = []
    for line in lines[head + 1 :]:
        values = line.split(",")
        if len(values) < len(columns):
            break
        found.append(dict(zip(columns, values, strict=False)))
    return found


class Desk:
    """An engineer's desk: one ticket, a watch, and the policy at hand.

    Args:
        ticket_id: The ticket.
        constants: The numbers of the policy.
    """

    def __init__(self, ticket_id: str, constants: PolicyConstants) -> None:
        self.ticket_id = ticket_id
        self.constants = constants
        self.opened = ""
        """When the ticket was opened, as it is printed."""
        self.opened_min = 0
        """Minute of day at which the ticket was taken."""
        self.elapsed = 0.0
        """Minutes since then."""
        self.human = False
        """Whether a person reported."""
        self.source = ""
        """Who reported."""
        self.priority = "P3"
        """Priority the ticket has."""
        self.scope: tuple[str, ...] = ()
        """What was reported to be affected."""
        self.changed = False
        """Whether the network was changed."""
        self.looks: list[str] = []
        """The elements that were looked at, one for each look."""

    @property
    def hour(self) -> float:
        """Hour of day at present."""
        return (self.opened_min + self.elapsed) / 60.0 % 24.0

    def do(self, tool: str, **arguments: Any) -> Steps[Reply]:
        """Make one call."""
        call = Call(tool, arguments)
        reply = yield call
        self.note(call, reply)
        return reply

    def note(self, call: Call, reply: Reply) -> None:
        """Look at the watch after a call, and note what it showed."""
        self.elapsed += reply.minutes
        if call.tool in LOOKS and not reply.error:
            self.looks += [value for name, value in call.arguments.items() if name in _LOOKED_AT]

    def act(self, tool: str, **arguments: Any) -> Steps[Reply]:
        """Make a call that changes the network."""
        reply = yield from self.do(tool, **arguments)
        self.changed = self.changed or not reply.error
        return reply

    # --- the ticket ------------------------------------------------------------------------------------

    def take(self, priority: str | None = None) -> Steps[None]:
        """Read the ticket, tell the operations centre, see what else is going on."""
        record = fields((yield from self.do("get_record", record_id=self.ticket_id)).text)
        self.opened = record.get("opened", "")
        clock = re.search(r"T(\d\d):(\d\d)", self.opened)
        self.opened_min = 60 * int(clock[1]) + int(clock[2]) if clock else 0
        self.human = record.get("requester") == "person"
        self.source = record.get("source", "")
        self.priority = record.get("priority", "P3")
        self.scope = tuple(record.get("scope", "").split("|"))
        for audience in ("noc", "requester") if self.source == "enterprise_customer" else ("noc",):
            message = f"{self.ticket_id} taken, cause being looked for."
            yield from self.do("notify_stakeholders", audience=audience, ticket_id=self.ticket_id, message=message)
        yield from self.do("get_external_notices")
        if priority is not None:
            yield from self.rank(priority)

    def rank(self, priority: str) -> Steps[None]:
        """Give the ticket its priority, if it has another."""
        if priority != self.priority:
            yield from self.do("update_ticket", ticket_id=self.ticket_id, priority=priority)
            self.priority = priority

    def ask(self, question: str) -> Steps[str]:
        """Ask the requester, where there is one; return the answer."""
        if not self.human:
            return ""
        reply = yield from self.do("ask_requester", ticket_id=self.ticket_id, question=question)
        return fields(reply.text).get("answer", "")

    def link_children(self, others: tuple[str, ...]) -> Steps[None]:
        """Link other tickets about the same trouble to this one."""
        for name in others:
            yield from self.do("update_ticket", ticket_id=name, link_to=self.ticket_id)

    # --- time ------------------------------------------------------------------------------------------

    def wait(self, minutes: float) -> Steps[str]:
        """Wait, whatever happens meanwhile; return what was told."""
        told, end = "", self.elapsed + minutes
        for _ in range(MAX_WAITS):
            left = end - self.elapsed
            if left <= 0:
                break
            told += (yield from self.do("wait", minutes=min(max(1, -(-int(left * 60) // 60)), 720))).text + "\n"
        return told

    def wait_for(self, event: str, subject: str, minutes: float) -> Steps[bool]:
        """Wait until an event about a subject is told; return whether it was."""
        end = self.elapsed + minutes
        for _ in range(MAX_WAITS):
            left = end - self.elapsed
            if left <= 0:
                return False
            reply = yield from self.do("wait", minutes=min(max(1, int(left)), 720))
            if any(row["event"] == event and row["subject"] == subject for row in rows(reply.text, "time")):
                return True
        return False

    # --- approvals -------------------------------------------------------------------------------------

    def approve(self, elements: list[str], kind: str, why: str, *, emergency: bool = False) -> Steps[str | None]:
        """Ask for approval of a change and wait for the decision; return the change, or None if it was rejected."""
        yield from self.allow_outage(elements)
        reply = yield from self.do(
            "request_change_approval", element_ids=elements, change_type=kind, justification=why, emergency=emergency
        )
        name = fields(reply.text).get("change", "")
        if reply.error or not name:
            return None
        yield from self.wait_for("change_decided", name, 1000)
        record = yield from self.do("get_record", record_id=name)
        return name if fields(record.text).get("status") == "APPROVED" else None

    def approve_soon(self, elements: list[str], kind: str, why: str) -> Steps[str | None]:
        """Ask for an emergency approval, and for a normal one if that is rejected."""
        change = yield from self.approve(elements, kind, why, emergency=True)
        if change is None:
            change = yield from self.approve(elements, kind, why)
        return change

    def allow_outage(self, elements: list[str]) -> Steps[None]:
        """Have an outage at an important site approved by its owner, or tell the owner."""
        sites = sorted({site for name in elements for site in [site_of(name)] if site})
        for site in sites[:2]:
            info = fields((yield from self.do("get_element_info", element_id=site)).text)
            if "true" not in (info.get("vip"), info.get("emergency_area")):
                continue
            if self.human:
                yield from self.ask("approve_outage")
            else:
                message = f"Work at {site} will interrupt service for a short time."
                yield from self.do(
                    "notify_stakeholders", audience="site_owner", ticket_id=self.ticket_id, message=message
                )

    # --- visits ----------------------------------------------------------------------------------------

    def send(self, site: str, task: str, parts: list[str]) -> Steps[str | None]:
        """Send somebody with parts and wait for the arrival; return the work order, or None if nobody can be sent."""
        yield from self.do("list_resources", resource_type="technicians", site_id=site)
        for part in sorted(set(parts)):
            yield from self.do("list_resources", resource_type="spares", part_type=part)
        for _ in range(8):
            urgency = "next_business_day" if self._is_quiet() else "immediate"
            reply = yield from self.do(
                "dispatch_technician",
                site_id=site,
                task=task,
                ticket_id=self.ticket_id,
                spare_part_types=parts,
                urgency=urgency,
            )
            if not reply.error:
                order = fields(reply.text)["work_order"]
                arrived = yield from self.wait_for("technician_arrived", order, 1400)
                return order if arrived else None
            if "RESOURCE_BUSY" not in reply.text or "stock" in reply.text:
                return None
            yield from self.wait(120)
        return None

    def _is_quiet(self) -> bool:
        """Return whether nobody is sent at this hour for a ticket of this priority."""
        rules = self.constants
        if rules.night_dispatch_allowed or self.priority in ("P1", "P2"):
            return False
        start, end = rules.quiet_from_h, rules.quiet_to_h
        # What takes a few minutes must not begin in one hour and end in the next.
        hour = (self.hour + 0.2) % 24
        return start <= hour < end if start <= end else hour >= start or hour < end

    def instruct(self, order: str, action: str, target: str = "", part: str = "") -> Steps[str]:
        """Have somebody on site do something; return what was found."""
        given = {"target_id": target, "part_type": part}
        arguments = {name: value for name, value in given.items() if value}
        reply = yield from self.act("instruct_technician", work_order_id=order, action=action, **arguments)
        return fields(reply.text).get("finding", reply.text)

    def leave(self, order: str) -> Steps[None]:
        """Let somebody on site go home."""
        yield from self.do("instruct_technician", work_order_id=order, action="complete_and_leave")

    def escalate(self, target: str, element: str, summary: str) -> Steps[str]:
        """Hand the case to somebody outside, and mark the ticket so; return the id of the escalation."""
        case = yield from self.do(
            "escalate_ticket", ticket_id=self.ticket_id, target=target, summary=summary, element_ids=[element]
        )
        yield from self.do("update_ticket", ticket_id=self.ticket_id, status="pending_third_party")
        return fields(case.text).get("escalation", "")

    # --- locks -----------------------------------------------------------------------------------------

    def lock(self, cells: list[str], change: str | None) -> Steps[list[str]]:
        """Lock cells for work at their antennas; return those that were not locked before."""
        locked = []
        for cell in cells:
            named = {"change_request_id": change} if change else {}
            reply = yield from self.act(
                "set_admin_state", element_id=cell, state="LOCKED", reason="antenna work", **named
            )
            if not reply.error:
                locked.append(cell)
        return locked

    def unlock(self, cells: list[str]) -> Steps[None]:
        """Bring cells back on the air."""
        for cell in cells:
            yield from self.act("set_admin_state", element_id=cell, state="UNLOCKED", reason="work complete")

    # --- the end ---------------------------------------------------------------------------------------

    def verify(self, site: str, cell: str | None, *, intermittent: bool = False) -> Steps[None]:
        """Wait as long as the policy asks for after a repair, then look at alarms and indicators."""
        if self.changed:
            needed = self.constants.intermittent_verify_min if intermittent else self.constants.verify_min
            yield from self.wait(needed + 1)
        yield from self.do("list_alarms", scope_id=site or "region")
        if cell:
            kpis = ["cell_availability_pct", "rrc_setup_success_pct", "dl_user_throughput_mbps"]
            yield from self.do("get_kpi", element_id=cell, kpis=kpis, hours=3)
        elif site:
            yield from self.do("get_power_status", site_id=site)
        if self.changed:
            yield from self.ask("confirm_restored")

    def support(self, element: str) -> Steps[None]:
        """Look at an element and its site until enough looks support a diagnosis."""
        site = site_of(element)
        near = {element, site, *element.split(">")}
        for name in (element.partition(">")[0], site or element):
            if sum(look in near for look in self.looks) < NEEDED_LOOKS:
                yield from self.do("get_element_info", element_id=name)

    def submit(self, code: str, element: str, additional: list[str]) -> Steps[Reply]:
        """Submit the diagnosis."""
        extra: dict[str, Any] = {"additional_causes": additional} if additional else {}
        return (
            yield from self.do(
                "submit_diagnosis", ticket_id=self.ticket_id, root_cause=code, element_id=element, **extra
            )
        )

    def close(self, resolution: str, summary: str) -> Steps[Reply]:
        """Close the ticket."""
        return (yield from self.do("close_ticket", ticket_id=self.ticket_id, resolution=resolution, summary=summary))


def site_of(name: str) -> str:
    """Return the site in an element's id; empty if there is none."""
    if re.fullmatch(r"S\d{3}(-.*)?", name):
        return name[:4]
    found = re.match(r"(?:ENB|GNB|DU|RU|FH|ANT|RET|PWR|CLK|CAB|CSR)-(\d{3})", name)
    return f"S{found[1]}" if found else ""
