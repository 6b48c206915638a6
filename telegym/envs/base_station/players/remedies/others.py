"""Crowds, interference from outside, and cases without a fault."""

from __future__ import annotations

from telegym.envs.base_station.players.desk import Desk, rows, site_of
from telegym.envs.base_station.players.remedies.registry import Remedy, no_work, register
from telegym.envs.base_station.players.steps import Steps

__all__: list[str] = []


def _look_at_crowd(desk: Desk, element: str) -> Steps[str]:
    site = site_of(element)
    alarms = yield from desk.do("list_alarms", scope_id=site)
    notices = yield from desk.do("get_external_notices", scope_id=site)
    info = yield from desk.do("get_element_info", element_id=site)
    kpis = ["rrc_users_mean", "prb_util_dl_pct"]
    load = yield from desk.do("get_kpi", element_id=site, kpis=kpis, hours=6)
    return f"{alarms.text}\n{notices.text}\n{info.text}\n{load.text}"


def _crowd(desk: Desk, element: str, seen: str) -> Steps[str]:
    message = "A crowd uses the network near this place; service will be slow until it is over."
    yield from desk.do("notify_stakeholders", audience="affected_customers", ticket_id=desk.ticket_id, message=message)
    return "monitoring_handed_over"


def _look_at_noise(desk: Desk, element: str) -> Steps[str]:
    alarms = yield from desk.do("list_alarms", scope_id=site_of(element))
    report = yield from desk.do("get_interference_report", cell_id=element)
    scan = yield from desk.do("run_spectrum_scan", cell_id=element)
    return f"{alarms.text}\n{report.text}\n{scan.text}"


def _emitter(desk: Desk, element: str, seen: str) -> Steps[str]:
    summary = f"{element} receives interference from outside; report and scan are attached."
    case = yield from desk.escalate("spectrum_regulator", element, summary)
    yield from desk.wait_for("party_answered", case, 200)
    return "monitoring_handed_over"


def _look_at_site(desk: Desk, element: str) -> Steps[str]:
    site = site_of(element)
    seen = []
    for tool, arguments in (
        ("list_alarms", {"scope_id": site, "state": "all"}),
        ("get_external_notices", {"scope_id": site}),
        ("get_power_status", {"site_id": site}),
        ("get_element_info", {"element_id": element}),
    ):
        seen.append((yield from desk.do(tool, **arguments)).text)
    return "\n".join(seen)


def _look_at_old_alarm(desk: Desk, element: str) -> Steps[str]:
    site = site_of(element)
    alarms = yield from desk.do("list_alarms", scope_id=site, since_minutes=10_080)
    power = yield from desk.do("get_power_status", site_id=site)
    info = yield from desk.do("get_element_info", element_id=element)
    logs = yield from desk.do("get_logs", element_id=site, hours=168)
    return f"{alarms.text}\n{power.text}\n{info.text}\n{logs.text}"


def _clear(desk: Desk, element: str, seen: str) -> Steps[str]:
    listed = rows(seen, "alarm_id")
    own = [row for row in listed if row["managed_object"] == element]
    # The site may be named instead of what the alarm is about.
    site = site_of(element)
    for row in own or [row for row in listed if row["managed_object"] in (site, f"PWR-{site[1:]}")]:
        yield from desk.act("update_alarm", alarm_id=row["alarm_id"], action="clear")
    return "no_fault_found"


register("mass_event_congestion", Remedy(_look_at_crowd, _crowd))
register("external_interferer", Remedy(_look_at_noise, _emitter))
register("faulty_sensor_false_alarm", Remedy(_look_at_site, no_work("no_fault_found")))
register("planned_work_alarms", Remedy(_look_at_site, no_work("planned_work")))
register("stale_alarm", Remedy(_look_at_old_alarm, _clear))
