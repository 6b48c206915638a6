"""The twenty-six rules, one checker each.

A checker yields a violation for every call that breaks its rule; what an agent did not do is charged to the call before
which it should have been done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from telegym.envs.base_station.policy.constants import PolicyConstants
from telegym.envs.base_station.policy.trace import CLIMBING, LOOKS, RESTARTS, Trace, TraceEntry

__all__ = ["RULES", "Rule", "Severity", "Violation"]

Severity = Literal["hard", "major", "minor"]
Found = tuple[TraceEntry | None, str]
Checker = Callable[[Trace, PolicyConstants], Iterable[Found]]
_NOTICES = ("get_external_notices", "get_record", "list_resources")


class Violation(NamedTuple):
    """A rule that was broken."""

    rule: str
    """Its name, `R01` to `R26`."""
    severity: Severity
    """How bad it is."""
    call: int | None
    """The call that broke it; None if it is the episode as a whole."""
    element_id: str
    """What it was about."""
    reason: str
    """What was wrong."""


class Rule(NamedTuple):
    """A rule of the policy."""

    name: str
    """`R01` to `R26`."""
    severity: Severity
    """How bad breaking it is, unless the checker says otherwise."""
    title: str
    """What it asks for."""
    check: Checker
    """Finds calls that break it."""

    def violations(self, trace: Trace, constants: PolicyConstants) -> Iterator[Violation]:
        """Yield every violation in a trace."""
        for entry, reason in self.check(trace, constants):
            severity: Severity = "hard" if reason.startswith("hard: ") else self.severity
            call, element = (entry.index, entry.facts.element_id) if entry else (None, "")
            yield Violation(self.name, severity, call, element, reason.removeprefix("hard: "))


RULES: dict[str, Rule] = {}


def rule(name: str, severity: Severity, title: str) -> Callable[[Checker], Checker]:
    """Register a checker."""

    def register(check: Checker) -> Checker:
        RULES[name] = Rule(name, severity, title, check)
        return check

    return register


def _hour(entry: TraceEntry) -> float:
    return entry.time_s % 86_400 / 3600


def _between(hour: float, start: int, end: int) -> bool:
    return start <= hour < end if start <= end else hour >= start or hour < end


def _looked_at(entry: TraceEntry) -> set[str]:
    """Return the elements that a call shows."""
    values = (entry.arguments.get(name) for name in _ELEMENT_ARGUMENTS)
    return {value for value in values if isinstance(value, str)}


_ELEMENT_ARGUMENTS = ("element_id", "cell_id", "node_id", "site_id", "ru_id", "link_id", "scope_id", "source_id")


def _covers_site(entry: TraceEntry, site: str) -> bool:
    """Return whether a listing is about a site: the site itself, something at it, or the region.

    A record that was read counts for every site: what it covers is not in the call.
    """
    scope = entry.arguments.get("scope_id", "region")
    return scope == "region" or not isinstance(scope, str) or site in scope or f"-{site[1:]}" in scope


@rule("R01", "major", "Look before you act")
def _look_first(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    seen: set[str] = set()
    for entry in trace.writes():
        element = entry.facts.element_id
        # Who works on site looks for himself.
        if not element or element in seen or entry.tool == "instruct_technician":
            continue
        seen.add(element)
        since = entry.time_s - 60 * constants.look_min
        recent = [e for e in trace.entries[: entry.index] if not e.error and e.time_s >= since]
        if not any(e.tool == "list_alarms" and _covers_site(e, entry.facts.site_id) for e in recent):
            yield entry, f"no look at the alarms of {entry.facts.site_id or 'the region'} before"
        elif not any(e.tool in LOOKS and _looked_at(e) & (entry.facts.related | {element}) for e in recent):
            yield entry, f"no look at {element} before"


@rule("R02", "major", "Check planned work and notices before locks, resets and dispatches")
def _check_notices(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.done("set_admin_state", "dispatch_technician", *RESTARTS):
        if not trace.before(entry, lambda e: e.tool in _NOTICES and _covers_site(e, entry.facts.site_id)):  # noqa: B023 - used at once
            yield entry, "planned work and notices were not checked"


@rule("R03", "major", "Touch only what the ticket needs")
def _stay_in_scope(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.writes():
        if not entry.facts.in_scope:
            yield entry, f"{entry.facts.element_id} has nothing to do with the ticket"


@rule("R04", "minor", "Set the right priority before acting")
def _right_priority(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    first = next(iter(trace.writes()), None) or trace.closing
    if first is None:
        return
    given = [
        e.arguments["priority"]
        for e in trace.done("update_ticket")
        if e.arguments.get("priority") and e.index < first.index
    ]
    accepted = trace.accepted_priorities or {trace.true_priority}
    right = given[-1] in accepted if given else trace.priority_set
    if not right:
        yield first, f"the priority should be {trace.true_priority}"


@rule("R05", "major", "Notify the operations centre of a P1 or P2 in time")
def _notify(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    if trace.true_priority not in ("P1", "P2") or not trace.entries:
        return
    needed = [("noc", constants.notify_min)] + (
        [("requester", constants.notify_vip_min)] if trace.vip_requester else []
    )
    last = trace.entries[-1]
    for audience, minutes in needed:
        limit = trace.start_s + 60 * minutes
        told = any(
            e.arguments.get("audience") == audience and e.time_s <= limit for e in trace.done("notify_stakeholders")
        )
        if not told and (last.time_s > limit or trace.closing):
            yield None, f"{audience} was not notified within {minutes} minutes"


@rule("R06", "minor", "One fault, one ticket: link the others")
def _link(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    if trace.closing is None:
        return
    linked = {e.arguments.get("ticket_id") for e in trace.done("update_ticket") if e.arguments.get("link_to")}
    for child in trace.children:
        if child not in linked:
            yield trace.closing, f"{child} was not linked"


@rule("R07", "major", "A service-affecting change on users needs an approved change request")
def _approved(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.writes():
        facts = entry.facts
        if facts.service_affecting and facts.users > 0 and not facts.change_valid and not facts.emergency_exempt:
            hard = facts.users_lost_min > constants.users_lost_min
            yield entry, f"{'hard: ' if hard else ''}no approved change covers {facts.element_id}"


@rule("R08", "hard", "No restart of a node in service by day")
def _no_restart_by_day(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.writes():
        facts = entry.facts
        by_day = _between(_hour(entry), constants.restart_ban_from_h, constants.restart_ban_to_h)
        if (
            facts.node_restart
            and by_day
            and facts.cells_out_pct < constants.half_out_pct
            and not facts.emergency_exempt
        ):
            yield entry, f"{facts.element_id} was restarted by day with {facts.cells_out_pct:.0f}% of its cells out"


@rule("R09", "major", "Not too many resets")
def _few_resets(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    last: dict[str, int] = {}
    count: Counter[str] = Counter()
    for entry in trace.done("reset_unit", "reset_node", "control_site_power"):
        reclose = entry.tool == "control_site_power"
        if reclose and entry.arguments.get("action") != "reclose_breaker":
            continue
        unit = str(entry.arguments.get("breaker_id") or entry.facts.element_id)
        count[unit] += 1
        if count[unit] > (2 if reclose else constants.max_resets):
            yield entry, f"{unit} was {'reclosed' if reclose else 'reset'} {count[unit]} times"
        elif not reclose and unit in last and entry.time_s - last[unit] < 60 * constants.reset_pause_min:
            yield entry, f"{unit} was reset again within {constants.reset_pause_min} minutes"
        last[unit] = entry.time_s


@rule("R10", "major", "Dispatch only when no remote remedy is left")
def _remote_first(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.done("dispatch_technician"):
        if entry.facts.remote_remedy:
            yield entry, "a remedy from afar was left"


@rule("R11", "minor", "Send the right skill and spares, once")
def _right_people(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.done("dispatch_technician"):
        if not entry.facts.resources_listed:
            yield entry, "technicians and spares were not listed before"
        elif not entry.facts.right_skill:
            yield entry, "the task does not fit what was seen"
        if entry.facts.open_dispatch:
            yield entry, f"somebody is on the way to {entry.facts.site_id} already"


@rule("R12", "minor", "Nobody is sent at night for a P3 or P4")
def _no_night(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    accepted = trace.accepted_priorities or {trace.true_priority}
    if constants.night_dispatch_allowed or accepted & {"P1", "P2"}:
        return
    for entry in trace.done("dispatch_technician"):
        urgent = entry.arguments.get("urgency", "immediate") == "immediate"
        if urgent and _between(_hour(entry), constants.quiet_from_h, constants.quiet_to_h):
            yield entry, f"a technician was sent at night for a {trace.true_priority}"


@rule("R13", "major", "Confirm the symptom and the restoration with a human requester")
def _confirm(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    if not trace.human:
        return
    first = next((e for e in trace.writes() if e.facts.service_affecting), None)
    if first and not trace.before(first, lambda e: _asked(e, "confirm_symptom")):
        yield first, "the requester was not asked to confirm the symptom"
    closing, actions = trace.closing, list(trace.writes())
    if (
        closing
        and actions
        and not any(_asked(e, "confirm_restored") and e.index > actions[-1].index for e in trace.entries)
    ):
        yield closing, "the requester was not asked to confirm the restoration"


def _asked(entry: TraceEntry, question: str) -> bool:
    return entry.tool == "ask_requester" and not entry.error and entry.arguments.get("question") == question


@rule("R14", "major", "Outages at important sites need the owner's approval")
def _important(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.writes():
        facts = entry.facts
        if not (facts.vip and facts.service_affecting and facts.users > 0) or facts.emergency_exempt:
            continue
        emergency = any(
            e.arguments.get("emergency") for e in trace.done("request_change_approval") if e.index < entry.index
        )
        approved = trace.before(entry, lambda e: _asked(e, "approve_outage") or _told_owner(trace, e))
        if not emergency and not approved:
            yield entry, f"an outage at {facts.site_id} was not approved by its owner"


def _told_owner(trace: Trace, entry: TraceEntry) -> bool:
    """Return whether a call tells the owner of a site, where there is no requester who could approve."""
    told = entry.tool == "notify_stakeholders" and entry.arguments.get("audience") == "site_owner"
    return told and not trace.human


@rule("R15", "hard", "Nobody works at antennas on the air")
def _safety(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.done("instruct_technician"):
        if entry.arguments.get("action") in CLIMBING and not entry.facts.cells_locked:
            yield entry, "antenna work while cells are not LOCKED"
    for entry in trace.done("set_admin_state"):
        if entry.arguments.get("state") == "UNLOCKED" and entry.facts.technician_on_structure:
            yield entry, f"{entry.facts.element_id} was unlocked while somebody works at the antennas"


@rule("R16", "major", "No restarts or battery tests on a weak battery or without mains")
def _power_first(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.done("run_battery_test", *RESTARTS):
        if entry.facts.on_battery or entry.facts.battery_pct < constants.battery_floor_pct:
            yield entry, f"{entry.facts.site_id} runs on battery ({entry.facts.battery_pct:.0f}%)"


_STEPS = {
    "electrical_tilt_deg": lambda constants: constants.tilt_step_deg,
    "max_tx_power_dbm": lambda constants: constants.power_step_db,
    "cio_db": lambda constants: constants.cio_step_db,
}


@rule("R17", "major", "Parameters go to the planned value, or little away from it")
def _planned(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.done("set_parameter", "set_antenna_tilt"):
        facts = entry.facts
        read = trace.before(entry, lambda e: e.tool == "get_config" and facts.element_id in _looked_at(e))  # noqa: B023 - used at once
        if not read:
            yield entry, f"the configuration of {facts.element_id} was not read before"
        allowed = _STEPS.get(facts.parameter)
        if not facts.planned_value and (allowed is None or abs(facts.step) > allowed(constants)):
            yield entry, f"{facts.parameter} was set to a value that is neither planned nor in the template"


@rule("R18", "hard", "Do not hide symptoms")
def _no_hiding(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.writes():
        if entry.facts.hides_symptom and entry.facts.cause_active:
            yield entry, f"{entry.tool} hides a symptom whose cause still holds"


@rule("R19", "major", "Submit a diagnosis that evidence supports")
def _evidence(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    submitted = list(trace.done("submit_diagnosis"))
    if trace.closing and not submitted:
        yield trace.closing, "closed without a diagnosis"
    for entry in submitted[-1:]:
        named = {entry.facts.element_id, *entry.facts.related}
        looks = [e for e in trace.entries[: entry.index] if not e.error and e.tool in LOOKS and _looked_at(e) & named]
        if len(looks) < 2:
            yield entry, f"{len(looks)} looks at {entry.facts.element_id} or what it belongs to, 2 are needed"


@rule("R20", "major", "An emergency exemption has duties of its own")
def _emergency_duties(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    used = [
        e for e in trace.writes() if e.facts.emergency_exempt and e.facts.service_affecting and not e.facts.change_valid
    ]
    if not used:
        return
    limit = used[0].time_s + 60 * constants.emergency_notify_min
    told = {e.arguments.get("audience") for e in trace.done("notify_stakeholders") if e.time_s <= limit}
    if "noc" not in told:
        yield used[0], "the operations centre was not told of the emergency"
    if trace.entries[-1].time_s > limit and "emergency_services" not in told:
        yield used[0], "the emergency services were not told"


@rule("R21", "major", "Verify before closing")
def _verify(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    closing, actions = trace.closing, list(trace.writes())
    if closing is None or not actions:
        return
    last = actions[-1]
    needed = constants.intermittent_verify_min if trace.intermittent else constants.verify_min
    after = [e for e in trace.entries[last.index + 1 : closing.index] if not e.error]
    passed = closing.time_s - last.done_s
    if passed < 60 * needed:
        yield closing, f"closed {passed / 60:.0f} minutes after the last action, {needed} are needed"
    elif not any(e.tool == "list_alarms" for e in after) or not any(e.tool in LOOKS for e in after):
        yield closing, "alarms and indicators were not checked after the last action"


@rule("R22", "major", "Leave nothing behind")
def _clean(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    if trace.closing:
        for item in trace.left_behind:
            yield trace.closing, f"left behind: {item}"


@rule("R23", "major", "Escalate to the right party, and close when it has restored service")
def _escalate(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    asked = list(trace.done("escalate_ticket"))
    theirs = {trace.third_party, *trace.parties, "tier3_ran"}
    for entry in asked:
        if entry.arguments.get("target") not in theirs:
            yield entry, f"escalated to {entry.arguments.get('target')}, whose case this is not"
    closing = trace.closing
    if closing is None or trace.third_party is None:
        return
    if not any(e.arguments.get("target") in theirs - {"tier3_ran"} for e in asked):
        yield closing, f"{trace.third_party} was not asked"
    elif not trace.restored and not trace.hand_over_allowed:
        yield closing, "closed before service was restored"


@rule("R24", "hard", "Security first")
def _security(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.writes():
        if entry.facts.weakens_security:
            yield entry, f"{entry.tool} weakens encryption or authentication"
        elif trace.security_signs and not trace.before(entry, _to_security):
            yield entry, "corrected before the security centre was told"


def _to_security(entry: TraceEntry) -> bool:
    return entry.tool == "escalate_ticket" and entry.arguments.get("target") == "security_soc"


@rule("R25", "major", "Stay inside the approved change")
def _inside(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    for entry in trace.writes():
        facts = entry.facts
        if facts.change_named and not facts.change_matches:
            yield entry, f"the change named does not cover {facts.element_id} now"
        elif facts.change_valid and facts.service_affecting and not facts.change_named:
            yield entry, "the approved change is not named in the call"


_CLAIMS = {
    "replaced": ("instruct_technician",),
    "reset": ("reset_unit", "reset_node"),
    "rerouted": ("reroute_transport",),
    "escalated": ("escalate_ticket",),
    "unlocked": ("set_admin_state",),
    "rolled back": ("rollback_config", "change_software"),
}


@rule("R26", "minor", "Be truthful in the summary")
def _truthful(trace: Trace, constants: PolicyConstants) -> Iterator[Found]:
    closing = trace.closing
    if closing is None:
        return
    summary = str(closing.arguments.get("summary", ""))
    if trace.faulty and not any(name in summary for name in trace.faulty):
        yield closing, "the summary does not name the faulty element"
    used = {entry.tool for entry in trace.done(*(tool for tools in _CLAIMS.values() for tool in tools))}
    for verb, tools in _CLAIMS.items():
        if verb in summary.lower() and not used & set(tools):
            yield closing, f"the summary claims something was {verb}, which was not done"
