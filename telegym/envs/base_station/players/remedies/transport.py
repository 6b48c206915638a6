"""Transport."""

from __future__ import annotations

import re

from telegym.envs.base_station.players.desk import Desk, fields, rows, site_of
from telegym.envs.base_station.players.remedies.registry import Remedy, register
from telegym.envs.base_station.players.steps import Steps

__all__: list[str] = []

MAX_REPAIR_MIN = 1300
"""For how long somebody waits for a provider."""


def _site_behind(link: str) -> str:
    """Return a site at the end of a link, or of a router's port."""
    found = re.match(r"TL-(?:.*-)?(\d{3})(?:-A\d+)?$", link)
    return f"S{found[1]}" if found else site_of(link)


def _look_at_link(desk: Desk, element: str) -> Steps[str]:
    alarms = yield from desk.do("list_alarms")
    status = yield from desk.do("get_transport_status", element_id=element)
    info = yield from desk.do("get_element_info", element_id=element)
    return f"{alarms.text}\n{status.text}\n{info.text}"


def _cut(desk: Desk, element: str, seen: str) -> Steps[str]:
    test = yield from desk.do("run_link_test", link_id=element, test="otdr")
    moved = yield from desk.act("reroute_transport", element_id=element, path="secondary")
    place = fields(test.text).get("break_at_km", "")
    summary = f"{element} is interrupted{f' at {place} km' if place else ''}; please repair."
    case = yield from desk.escalate("transport_provider", element, summary)
    yield from desk.wait_for("party_restored", case, MAX_REPAIR_MIN)
    if not moved.error:
        yield from desk.do("list_alarms")
        yield from desk.do("get_transport_status", element_id=element)
        change = yield from desk.approve([element], "transport_reroute", f"{element} is repaired")
        named = {"change_request_id": change} if change else {}
        yield from desk.act("reroute_transport", element_id=element, path="primary", **named)
    return "fixed_by_third_party"


def _rain(desk: Desk, element: str, seen: str) -> Steps[str]:
    for _ in range(20):
        yield from desk.wait(20)
        notices = yield from desk.do("get_external_notices", scope_id=element)
        status = yield from desk.do("get_transport_status", element_id=element)
        if _dry(status.text):
            break
        if notices.error:
            break
    desk.changed = True
    return "monitoring_handed_over"


def _dry(text: str) -> bool:
    """Return whether the level of a hop is as designed."""
    state = fields(text)
    try:
        return float(state["rsl_dbm"]) > float(state["design_rsl_dbm"]) - 2.0
    except (KeyError, ValueError):
        return False


def _look_at_port(desk: Desk, element: str) -> Steps[str]:
    alarms = yield from desk.do("list_alarms", scope_id=site_of(element))
    router = yield from desk.do("get_transport_status", element_id=element.rpartition("-")[0])
    port = yield from desk.do("get_transport_status", element_id=element)
    return f"{port.text}\n{router.text}\n{alarms.text}"


def _port(desk: Desk, element: str, seen: str) -> Steps[str]:
    if "tx_dbm: -40" not in seen:
        reply = yield from desk.act("reset_unit", unit_id=element)
        if not reply.error:
            yield from desk.wait(10)
            return "fixed_remote"
    order = yield from desk.send(site_of(element), "router_hw", ["SFP_10G"])
    if order is None:
        return "monitoring_handed_over"
    yield from desk.instruct(order, "replace_part", element, "SFP_10G")
    yield from desk.leave(order)
    return "fixed_on_site"


def _congestion(desk: Desk, element: str, seen: str) -> Steps[str]:
    summary = f"{element} carries more than it can in busy hours; please plan more capacity."
    case = yield from desk.escalate("rf_planning", element, summary)
    yield from desk.wait_for("party_answered", case, 600)
    return "monitoring_handed_over"


def _look_at_addresses(desk: Desk, element: str) -> Steps[str]:
    alarms = yield from desk.do("list_alarms", scope_id=site_of(element))
    config = yield from desk.do("get_config", element_id=element, compare_to="planned")
    history = yield from desk.do("get_config_history", element_id=element)
    return f"{alarms.text}\n{config.text}\n{history.text}"


def _address(desk: Desk, element: str, seen: str) -> Steps[str]:
    wrong = rows(seen, "parameter")
    change = yield from desk.approve_soon([element], "parameter", f"{element} goes back to its planned addresses")
    named = {"change_request_id": change} if change else {}
    yield from desk.do("list_alarms", scope_id=site_of(element))
    yield from desk.do("get_config", element_id=element, compare_to="planned")
    for row in wrong:
        reply = yield from desk.act(
            "set_parameter", element_id=element, parameter=row["parameter"], value=row["planned"], **named
        )
        if reply.error:
            yield from desk.act("rollback_config", element_id=element, **named)
            break
    return "fixed_remote"


register("backhaul_fibre_cut", Remedy(_look_at_link, _cut, site=_site_behind))
register("microwave_rain_fade", Remedy(_look_at_link, _rain, site=_site_behind))
register("csr_port_or_sfp_failure", Remedy(_look_at_port, _port))
register("transport_congestion", Remedy(_look_at_link, _congestion, site=_site_behind))
register("vlan_ip_misconfiguration", Remedy(_look_at_addresses, _address))
