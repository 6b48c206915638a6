"""Alarms: conditions that hold long enough, as a management system reports them (TS 28.532, X.733).

A condition must hold for its raise time before its alarm is raised, and be gone for its clear time before the alarm is
cleared; alarms of the manual kind stay until somebody clears them, and come back if their condition still holds. What
a node would report while its management connection is down waits in the node and arrives when it is back; what a node
without power would notice, nobody does.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

import yaml

from telegym.core.errors import ToolError, did_you_mean
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.conditions import MANAGER, Finding, findings_at, findings_between
from telegym.envs.base_station.engine import DAY_S, OBSERVERS, follows, handles
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.objects import Cell, Node, RadioUnit, TransportLink
from telegym.envs.base_station.state import Alarm, Condition, Severity, Values

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = [
    "AlarmKind",
    "acknowledge",
    "active_alarms",
    "additional_text",
    "clear_by_hand",
    "comment",
    "dialect_of",
    "dictionary",
    "occurrences_24h",
    "plant",
    "proposed_repair",
    "recall",
    "specific_problem",
]

Key = tuple[str, str]
Dialect = Literal["A", "B", "C"]
BETWEEN = ""
"""Stands for what is at no site: links and aggregation routers."""
_LOWER = {
    Severity.CRITICAL: Severity.MAJOR,
    Severity.MAJOR: Severity.MINOR,
    Severity.MINOR: Severity.WARNING,
    Severity.WARNING: Severity.WARNING,
}


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """An entry of the alarm dictionary."""

    key: str
    """Its name here; vendors have their own."""
    type: str
    """Alarm type (X.733)."""
    cause: str
    """Probable cause (TS 32.111-2, annex B)."""
    severity: Severity
    """Perceived severity, as a rule."""
    object: str
    """Class of the object that it is about."""
    raise_s: int
    """How long its condition must hold, in seconds."""
    clear_s: int
    """How long its condition must be gone, in seconds."""
    manual: bool
    """Whether it stays until somebody clears it (ADMC); else it clears by itself (ADAC)."""
    service: Literal["yes", "no", "maybe"]
    """Whether customers notice."""
    root: bool
    """Whether it can be what is wrong; else it follows from something else."""
    A: str
    """Text of vendor A: a number and a sentence."""
    B: str
    """Text of vendor B: a fault code and a few words."""
    C: str
    """Text of vendor C: object and condition in one word."""
    repair: str
    """What its vendor proposes to do."""
    mistaken: str | None = None
    """Alarm whose repair some vendors propose instead."""


@lru_cache(maxsize=1)
def dictionary() -> dict[str, AlarmKind]:
    """Return all alarms that there can be, by key."""
    text = resources.files("telegym.envs.base_station").joinpath("alarms.yaml").read_text(encoding="utf-8")
    return {
        key: AlarmKind(key=key, **{**entry, "severity": Severity(entry["severity"])})
        for key, entry in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)).items()
    }


def dialect_of(network: Network) -> Dialect:
    """Return whose equipment the region has."""
    return network.get(Node, network.index.of_kind[Node][0]).dialect


# --- watching -------------------------------------------------------------------------------------------


@follows(OBSERVERS)
def watch(network: Network, sites: list[str]) -> None:
    """Compare the conditions that hold at some sites with those that did."""
    groups: dict[str, dict[Key, Condition]] = {site: {} for site in sites}
    between = _transport_touched(network)
    if between:
        groups[BETWEEN] = {}
    for key, condition in network.conditions.items():
        site = _site_of(network, key[1])
        if site in groups:
            groups[site][key] = condition
    for site, known in groups.items():
        findings = findings_between(network) if site == BETWEEN else findings_at(network, site)
        _compare(network, known, findings)
    if network.queued:
        for reporter in sorted(network.queued):
            if _reachable(network, reporter):
                _arrive(network, reporter)


def _transport_touched(network: Network) -> bool:
    if any(name.startswith(("TL-", "CSR-", "AGG-", "PWR-")) for name in network.altered):
        return True
    return bool(network.measured) or any(_site_of(network, name) == BETWEEN for _, name in network.conditions)


def _site_of(network: Network, object_id: str) -> str:
    """Return the site where the condition of an object is looked for."""
    if object_id.startswith(("TL-", "CSR-", "AGG-")):
        return BETWEEN
    site = network.index.site_of.get(object_id)
    return site if site is not None else f"S{object_id[4:7]}"


def _compare(network: Network, known: dict[Key, Condition], findings: Any) -> None:
    seen: set[Key] = set()
    for finding in findings:
        key = (finding.key, finding.object_id)
        if finding.reporter != MANAGER and not _alive(network, finding.reporter):
            continue
        seen.add(key)
        _holds(network, key, known.get(key), finding)
    for key, condition in known.items():
        if key in seen:
            continue
        if _alive(network, condition.reporter):
            stuck = not dictionary()[key[0]].manual and network.agenda.due_s("alarm.clear", key) is None
            if condition.present or stuck:
                _is_gone(network, key, condition)
        elif not condition.announced:
            # A node that stops forgets what it was about to report.
            _forget(network, key)
        else:
            network.cancel("alarm.clear", *key)


def _holds(network: Network, key: Key, known: Condition | None, finding: Finding) -> None:
    severity = finding.severity or dictionary()[key[0]].severity
    if known is None:
        new = Condition(True, network.now, severity, finding.values, finding.reporter)
        network.writable("conditions")[key] = new
        delay = _delay_s(network, key)
        if delay == 0:
            _raised(network, *key)
        else:
            network.schedule(network.now + delay, "alarm.raise", *key)
        return
    if not known.present:
        network.cancel("alarm.clear", *key)
        known = known._replace(present=True, since_s=network.now)
    changed = known._replace(severity=severity, values=finding.values, reporter=finding.reporter)
    if changed != network.conditions[key]:
        network.writable("conditions")[key] = changed
        if changed.announced and severity is not known.severity:
            _report(network, key, "change")


def _is_gone(network: Network, key: Key, condition: Condition) -> None:
    if not condition.announced:
        network.cancel("alarm.raise", *key)
        _forget(network, key)
        return
    kind = dictionary()[key[0]]
    network.writable("conditions")[key] = condition._replace(present=False, since_s=network.now)
    if kind.manual:
        return
    if kind.clear_s == 0:
        _cleared(network, *key)
    else:
        network.schedule(network.now + kind.clear_s, "alarm.clear", *key)


def _forget(network: Network, key: Key) -> None:
    network.cancel("alarm.raise", *key)
    network.writable("conditions").pop(key, None)


def _delay_s(network: Network, key: Key) -> int:
    """Return how long a condition must hold: vendor C takes twice the time, and some roots are polled late."""
    kind = dictionary()[key[0]]
    delay = kind.raise_s * (2 if dialect_of(network) == "C" else 1)
    late = network.rumours.late_root
    if kind.root and late > 0 and uniform(network.seed, "late", *key) < late:
        delay += integer(60, 180, network.seed, "how late", *key)
    return delay


@handles("alarm.raise")
def _raised(network: Network, key: str, object_id: str) -> None:
    condition = network.conditions.get((key, object_id))
    if condition is not None and condition.present:
        network.writable("conditions")[key, object_id] = condition._replace(announced=True)
        _report(network, (key, object_id), "raise")


@handles("alarm.clear")
def _cleared(network: Network, key: str, object_id: str) -> None:
    condition = network.conditions.get((key, object_id))
    if condition is not None and not condition.present:
        _report(network, (key, object_id), "clear")
        network.writable("conditions").pop((key, object_id))


# --- reporting ------------------------------------------------------------------------------------------


def _parts(reporter: str) -> tuple[str, str]:
    kind, colon, name = reporter.partition(":")
    return (kind, name) if colon else ("node", reporter)


def _alive(network: Network, reporter: str) -> bool:
    """Return whether a reporter notices anything."""
    kind, name = _parts(reporter)
    if reporter == MANAGER:
        return True
    if kind == "power":
        return works.power_controller_reachable(network, name)
    if kind == "clock":
        return any(works.node_up(network, node.id) for node in network.at_site(Node, name))
    if kind == "router":
        return works.router_up(network, name)
    if kind == "link":
        link = network.get(TransportLink, name)
        return works.router_up(network, link.a_id) or works.router_up(network, link.b_id)
    return works.node_up(network, name)


def _reachable(network: Network, reporter: str) -> bool:
    """Return whether what a reporter says gets through."""
    kind, name = _parts(reporter)
    if reporter == MANAGER or kind == "power":
        return True
    if kind == "clock":
        return any(works.oam_reachable(network, node.id) for node in network.at_site(Node, name))
    if kind == "router":
        return works.router_reachable(network, name)
    if kind == "link":
        link = network.get(TransportLink, name)
        return works.router_reachable(network, link.a_id) or works.router_reachable(network, link.b_id)
    return works.oam_reachable(network, name)


def _report(network: Network, key: Key, what: Literal["raise", "change", "clear"]) -> None:
    """Report something about an alarm now, or once its reporter is reached again."""
    condition = network.conditions[key]
    if _reachable(network, condition.reporter):
        _enter(network, key, what, condition, network.now)
        return
    waiting = network.queued.get(condition.reporter, ())
    network.writable("queued")[condition.reporter] = (*waiting, (network.now, what, *key, condition))


def _arrive(network: Network, reporter: str) -> None:
    """What a node noticed while it was out of reach arrives."""
    for at_s, what, key, object_id, condition in network.writable("queued").pop(reporter):
        _enter(network, (key, object_id), what, condition, at_s)


def _enter(network: Network, key: Key, what: str, condition: Condition, at_s: int) -> None:
    network.revision += 1
    known = network.open_alarms.get(key)
    if what == "raise" and known is None:
        _new_alarm(network, key, condition, at_s)
    elif known is not None and what == "clear":
        alarm = network.alarms[known]
        network.writable("alarms")[known] = dataclasses.replace(alarm, cleared_s=at_s)
        del network.writable("open_alarms")[key]
        network.report("alarm_cleared", known, alarm.severity.value)
    elif known is not None:
        _set_severity(network, known, _shown(network, key[0], condition.severity), condition.values, at_s)


def _set_severity(network: Network, alarm_id: str, severity: Severity, values: Values, at_s: int) -> None:
    alarm = network.alarms[alarm_id]
    if alarm.severity is severity:
        return
    network.writable("alarms")[alarm_id] = dataclasses.replace(
        alarm,
        severity=severity,
        changed_s=at_s,
        first_severity=alarm.first_severity or alarm.severity,
        values=values,
    )
    network.report("alarm_changed", alarm_id, severity.value)


def _new_alarm(network: Network, key: Key, condition: Condition, at_s: int) -> Alarm:
    site = network.index.site_of.get(key[1])
    if site is None and not key[1].startswith(("TL-", "AGG-")):
        site = f"S{key[1][4:7]}"
    alarm = Alarm(
        id=f"ALM-{len(network.alarms) + 1:05}",
        key=key[0],
        object_id=key[1],
        site_id=site,
        severity=_shown(network, key[0], condition.severity),
        raised_s=at_s,
        values=condition.values,
        **_hearsay(network, key, _occurrences(network, key)),
    )
    network.writable("alarms")[alarm.id] = alarm
    network.writable("open_alarms")[key] = alarm.id
    network.report("alarm_raised", alarm.id, alarm.severity.value)
    return alarm


def _shown(network: Network, key: str, severity: Severity) -> Severity:
    """Return the severity that the vendor gives: vendor B rates quality of service one step lower."""
    lower = dialect_of(network) == "B" and dictionary()[key].type == "QUALITY_OF_SERVICE_ALARM"
    return _LOWER[severity] if lower else severity


# --- what alarms say beyond the facts -------------------------------------------------------------------


def _occurrences(network: Network, key: Key) -> int:
    return sum((alarm.key, alarm.object_id) == key for alarm in network.alarms.values())


def _hearsay(network: Network, key: Key, earlier: int) -> dict[str, Any]:
    """Return which repair is proposed, what an alarm is said to be correlated with, and whether it is a root cause.

    Args:
        network: The network.
        key: Alarm and object.
        earlier: How often it has been raised before: each time something else may be said.
    """

    def draw(what: str) -> float:
        return uniform(network.seed, what, *key, earlier)

    rumours, kind = network.rumours, dictionary()[key[0]]
    above = _upstream(network, key[1])
    reasons = [
        name
        for (other, element), name in network.open_alarms.items()
        if dictionary()[other].root and element != key[1] and _belongs(element, above)
    ]
    correlated = tuple(sorted(reasons)[-3:])
    if network.open_alarms and draw("correlation") < rumours.wrong_correlation:
        correlated = (choice(sorted(network.open_alarms.values()), network.seed, "correlated", *key),)
    told: bool | None = None
    if draw("indicator") < rumours.indicator:
        told = (kind.root and not reasons) == (draw("right") < rumours.indicator_right)
    mistaken = kind.mistaken is not None and draw("repair") < rumours.wrong_repair
    repair = kind.mistaken if mistaken else key[0]
    return {"correlated": correlated, "root_cause": told, "repair_key": repair}


def _belongs(element: str, above: tuple[str, ...]) -> bool:
    """Return whether an element is one of those above, or a part of one (a breaker, rectifier or port)."""
    return element in above or element.rpartition("-")[0] in above


def _upstream(network: Network, object_id: str) -> tuple[str, ...]:
    """Return what an object depends on."""
    record = network.objects.get(object_id)
    if isinstance(record, Cell):
        return (record.ru_id, *_upstream(network, record.ru_id), f"CLK-{record.site_id[1:]}")
    if isinstance(record, RadioUnit):
        link = network.index.fronthaul_of[object_id]
        return (link, record.board_id, record.node_id, *_upstream(network, record.node_id))
    site = network.index.site_of.get(object_id)
    if site is None:
        return ()
    way = works.path(network, site)
    powers = (f"PWR-{name[4:]}" for name in way.routers if name.startswith("CSR"))
    return (f"CAB-{site[1:]}", *powers, *way.routers, *way.links)


# --- texts ----------------------------------------------------------------------------------------------


def specific_problem(network: Network, alarm: Alarm) -> str:
    """Return an alarm's text in the words of the region's vendor."""
    text: str = getattr(dictionary()[alarm.key], dialect_of(network))
    return text


def additional_text(alarm: Alarm) -> str:
    """Return the measured values, for example `VSWR=2.41, branch=A, threshold=1.80`."""
    return ", ".join(f"{name}={value}" for name, value in alarm.values)


def proposed_repair(network: Network, alarm: Alarm) -> str | None:
    """Return what the vendor proposes to do; vendor C proposes nothing."""
    return None if dialect_of(network) == "C" else dictionary()[alarm.repair_key or alarm.key].repair


def occurrences_24h(network: Network, alarm: Alarm) -> int:
    """Return how often this alarm of this object was raised within 24 hours."""
    return sum(
        other.key == alarm.key and other.object_id == alarm.object_id and other.raised_s > network.now - DAY_S
        for other in network.alarms.values()
    )


def active_alarms(network: Network, site_id: str | None = None) -> list[Alarm]:
    """Return the active alarms, oldest first; of one site or of all."""
    network.settle()
    found = (network.alarms[name] for name in sorted(network.open_alarms.values()))
    return [alarm for alarm in found if site_id is None or alarm.site_id == site_id]


# --- what operators do ----------------------------------------------------------------------------------


def _alarm(network: Network, alarm_id: str) -> Alarm:
    alarm = network.alarms.get(alarm_id)
    if alarm is None:
        raise ToolError(f"NOT_FOUND: no alarm {alarm_id!r}.{did_you_mean(alarm_id, network.alarms)}")
    return alarm


def _replace(network: Network, alarm: Alarm, **fields: Any) -> Alarm:
    changed = dataclasses.replace(alarm, **fields)
    network.writable("alarms")[alarm.id] = changed
    network.revision += 1
    return changed


def acknowledge(network: Network, alarm_id: str, by: str | None) -> Alarm:
    """Acknowledge an alarm, or with None take that back.

    Raises:
        ToolError: If there is no such alarm, or nothing would change.
    """
    alarm = _alarm(network, alarm_id)
    if (alarm.acknowledged_by is None) == (by is None):
        raise ToolError(f"NO_CHANGE: {alarm_id} is {'not ' if by is None else ''}acknowledged")
    return _replace(network, alarm, acknowledged_by=by, acknowledged_s=None if by is None else network.now)


def comment(network: Network, alarm_id: str, text: str) -> Alarm:
    """Add a comment to an alarm.

    Raises:
        ToolError: If there is no such alarm.
    """
    alarm = _alarm(network, alarm_id)
    return _replace(network, alarm, comments=(*alarm.comments, (network.now, text)))


def clear_by_hand(network: Network, alarm_id: str, by: str) -> Alarm:
    """Clear an alarm of the manual kind. If its condition still holds it is raised again after its raise time.

    Raises:
        ToolError: If there is no such alarm, it is not active, or it clears by itself.
    """
    alarm = _alarm(network, alarm_id)
    if not alarm.active:
        raise ToolError(f"NO_CHANGE: {alarm_id} is cleared")
    if not dictionary()[alarm.key].manual:
        raise ToolError(f"PRECONDITION_FAILED: {alarm_id} is ADAC: it clears by itself when its cause is gone")
    key = (alarm.key, alarm.object_id)
    del network.writable("open_alarms")[key]
    condition = network.conditions.get(key)
    if condition is not None and condition.present:
        network.writable("conditions")[key] = condition._replace(since_s=network.now, announced=False)
        network.schedule(network.now + max(_delay_s(network, key), 1), "alarm.raise", *key)
    elif condition is not None:
        network.writable("conditions").pop(key)
    return _replace(network, alarm, cleared_s=network.now, cleared_by=by)


def plant(
    network: Network,
    key: str,
    object_id: str,
    raised_s: int,
    *,
    cleared_s: int | None = None,
    severity: Severity | None = None,
    values: Values = (),
) -> Alarm:
    """Put an alarm without a condition into the list: an old one, or one that nobody cleared.

    Raises:
        ToolError: If the object has an active alarm of this kind.
    """
    network.settle()
    pair = (key, object_id)
    if pair in network.open_alarms:
        raise ToolError(f"NO_CHANGE: {object_id} has an active {key} alarm")
    condition = Condition(True, raised_s, severity or dictionary()[key].severity, values)
    alarm = _new_alarm(network, pair, condition, raised_s)
    if cleared_s is not None:
        del network.writable("open_alarms")[pair]
    return _replace(network, alarm, cleared_s=cleared_s, seeded=True)


def recall(network: Network, key: str, object_id: str, raised_s: int, values: Values = ()) -> Alarm:
    """Enter an alarm that was raised in the past; the caller sees to it that its condition holds.

    Raises:
        ToolError: If the object has an active alarm of this kind.
    """
    pair = (key, object_id)
    if pair in network.open_alarms:
        raise ToolError(f"NO_CHANGE: {object_id} has an active {key} alarm")
    kind = dictionary()[key]
    condition = Condition(True, raised_s - kind.raise_s, kind.severity, values, announced=True)
    network.cancel("alarm.raise", *pair)
    network.writable("conditions")[pair] = condition
    return _new_alarm(network, pair, condition, raised_s)
