"""Alarms: `list_alarms`, `get_alarm`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from telegym.core.errors import ToolError
from telegym.envs.base_station import alarms
from telegym.envs.base_station.alarms import AlarmKind
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Board, Cell, Node, RadioUnit, Record, Router, Site, TransportLink
from telegym.envs.base_station.state import Alarm
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station._errors import not_found
from telegym.tools.base_station._format import Report, cell, second

__all__ = ["find_alarm", "get_alarm", "list_alarms"]

KEPT_S = 7 * 86_400
"""How long a cleared alarm can be read."""
_ORDER = {"CRITICAL": 4, "MAJOR": 3, "MINOR": 2, "WARNING": 1, "INDETERMINATE": 1, "CLEARED": 0}
_SECURITY = frozenset(
    {
        *("SECURITY_SERVICE_OR_MECHANISM_VIOLATION", "INTEGRITY_VIOLATION", "OPERATIONAL_VIOLATION"),
        *("PHYSICAL_VIOLATION", "TIME_DOMAIN_VIOLATION"),
    }
)
"""Alarm types that X.736 counts as security alarms."""


def list_alarms(
    network: Network,
    report: Report,
    scope_id: str = elements.REGION,
    state: str = "active",
    min_severity: str = "WARNING",
    alarm_type: str = "ANY",
    since_minutes: int = 1440,
    limit: int = 20,
    offset: int = 0,
) -> Report:
    """Answer with the alarms of a scope, the newest first."""
    network.settle()
    since, lowest = network.now - 60 * since_minutes, _ORDER[min_severity]
    kinds = alarms.dictionary()
    found = [
        alarm
        for alarm in _in_scope(network, scope_id)
        if (state == "all" or alarm.active == (state == "active"))
        and _ORDER[alarm.severity] >= lowest
        and max(alarm.raised_s, alarm.cleared_s or 0) >= since
        and _of_type(kinds[alarm.key], alarm_type)
    ]
    found.sort(key=lambda alarm: (alarm.raised_s, alarm.id), reverse=True)
    page = found[offset : offset + limit]
    report.line(f"total: {len(found)} {state} (shown {len(page)}, newest first)")
    rows = [_row(network, alarm, state) for alarm in page]
    columns = ["alarm_id", "raised", "severity", "managed_object", "specific_problem", "ack"]
    columns += [] if state == "active" else ["cleared"]
    if limit > 20:
        report.long()
    return report.table(columns, rows) if rows else report


def _row(network: Network, alarm: Alarm, state: str) -> tuple[str, ...]:
    row = (
        alarm.id,
        second(alarm.raised_s),
        alarm.severity.value,
        alarm.object_id,
        cell(alarms.specific_problem(network, alarm)),
        "yes" if alarm.acknowledged_by else "no",
    )
    return row if state == "active" else (*row, "-" if alarm.cleared_s is None else second(alarm.cleared_s))


def _of_type(kind: AlarmKind, wanted: str) -> bool:
    return wanted in ("ANY", kind.type) or (wanted == "SECURITY" and kind.type in _SECURITY)


def _in_scope(network: Network, scope_id: str) -> Iterable[Alarm]:
    if scope_id == elements.REGION:
        return network.alarms.values()
    belongs = _membership(network, scope_id)
    return [alarm for alarm in network.alarms.values() if belongs(alarm)]


def _membership(network: Network, scope_id: str) -> Callable[[Alarm], bool]:
    """Return what tells whether an alarm belongs to a scope."""
    record = elements.element(network, scope_id)
    if isinstance(record, Site):
        return lambda alarm: alarm.site_id == record.id
    names = {scope_id, *_parts(network, record)}
    starts = tuple(f"{name}-" for name in (record.id,) if not isinstance(record, Cell))

    def belongs(alarm: Alarm) -> bool:
        return alarm.object_id in names or alarm.object_id.startswith(starts or "\n")

    return belongs


def _parts(network: Network, record: Record) -> Iterable[str]:
    """Return the ids of what belongs to an element, as far as its alarms are concerned."""
    index = network.index
    if isinstance(record, Cell):
        lines = index.lines_of.get(record.ru_id, ())
        return (record.ru_id, index.fronthaul_of[record.ru_id], index.tilt_unit_of[record.id], *lines)
    if isinstance(record, RadioUnit):
        return (index.fronthaul_of[record.id], *index.lines_of.get(record.id, ()), *index.cells_of[record.id])
    if isinstance(record, Board):
        units = index.units_of.get(record.id, ())
        return (*units, *(index.fronthaul_of[unit] for unit in units), *index.cells_of.get(record.id, ()))
    if isinstance(record, Node):
        boards = index.boards_of.get(record.id, ())
        below = [name for board in boards for name in _parts(network, network.objects[board])]
        return (*boards, *below, *index.cells_of.get(record.id, ()))
    if isinstance(record, Router):
        return tuple(port.id for port in record.ports)
    if isinstance(record, TransportLink):
        return tuple(
            port.id
            for name in (record.a_id, record.b_id)
            for port in network.get(Router, name).ports
            if port.link_id == record.id
        )
    return ()


def find_alarm(network: Network, alarm_id: str) -> Alarm:
    """Return an alarm that is active or was cleared in the last week.

    Raises:
        ToolError: If there is none.
    """
    network.settle()
    alarm = network.alarms.get(alarm_id)
    if alarm is None or (alarm.cleared_s is not None and alarm.cleared_s < network.now - KEPT_S):
        raise _unknown(network, alarm_id)
    return alarm


def _unknown(network: Network, alarm_id: str) -> ToolError:
    return not_found("alarm", alarm_id, network.alarms)


def get_alarm(network: Network, report: Report, alarm_id: str) -> Report:
    """Answer with the whole record of an alarm."""
    alarm = find_alarm(network, alarm_id)
    kind = alarms.dictionary()[alarm.key]
    report.fields(alarmId=alarm.id, objectInstance=alarm.object_id, perceivedSeverity=alarm.severity)
    report.fields(alarmType=kind.type, kind="ADMC" if kind.manual else "ADAC", backedUpStatus=_backed_up(alarm))
    report.line(f"probableCause: {kind.cause}")
    report.line(f"specificProblem: {alarms.specific_problem(network, alarm)}")
    if text := alarms.additional_text(alarm):
        report.line(f"additionalText: {text}")
    report.fields(
        alarmRaisedTime=second(alarm.raised_s),
        alarmChangedTime=_time(alarm.changed_s),
        alarmClearedTime=_time(alarm.cleared_s),
    )
    if repair := alarms.proposed_repair(network, alarm):
        report.line(f"proposedRepairActions: {repair}")
    report.fields(
        rootCauseIndicator="-" if alarm.root_cause is None else alarm.root_cause,
        correlatedNotifications=alarm.correlated,
        occurrences_24h=alarms.occurrences_24h(network, alarm),
    )
    report.details(
        trendIndication=_trend(alarm), ackState="acknowledged" if alarm.acknowledged_by else "unacknowledged"
    )
    if alarm.acknowledged_by:
        report.details(ackUserId=alarm.acknowledged_by, ackTime=_time(alarm.acknowledged_s))
    if alarm.cleared_by:
        report.details(clearUserId=alarm.cleared_by)
    for time_s, text in alarm.comments[-3:]:
        report.line(f"comment {second(time_s)}: {text}")
    return report


def _time(time_s: int | None) -> str:
    return "-" if time_s is None else second(time_s)


def _backed_up(alarm: Alarm) -> bool:
    return dict(alarm.values).get("backup", "no") == "yes"


def _trend(alarm: Alarm) -> str:
    if alarm.first_severity is None:
        return "NO_CHANGE"
    return "MORE_SEVERE" if _ORDER[alarm.severity] > _ORDER[alarm.first_severity] else "LESS_SEVERE"
