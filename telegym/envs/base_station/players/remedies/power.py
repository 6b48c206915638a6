"""Power and environment."""

from __future__ import annotations

import re

from telegym.envs.base_station.players.desk import Desk, fields, site_of
from telegym.envs.base_station.players.remedies.registry import Remedy, register
from telegym.envs.base_station.players.steps import Steps

__all__ = ["POLL_MIN", "without_mains"]

MAX_OUTAGE_MIN = 1200
"""For how long somebody waits for the mains."""
POLL_MIN = 45
"""Minutes between two looks at a site without mains."""


def _look(desk: Desk, element: str) -> Steps[str]:
    site = site_of(element)
    owner = "-".join(element.split("-")[:2]) if element.startswith("PWR-") else element
    alarms = yield from desk.do("list_alarms", scope_id=site)
    power = yield from desk.do("get_power_status", site_id=site)
    info = yield from desk.do("get_element_info", element_id=owner)
    return f"{alarms.text}\n{power.text}\n{info.text}"


# --- breakers -------------------------------------------------------------------------------------------


def _reclose(desk: Desk, element: str) -> Steps[bool]:
    """Reclose a breaker from afar; return whether it holds."""
    reply = yield from desk.act(
        "control_site_power", site_id=site_of(element), action="reclose_breaker", breaker_id=element
    )
    if reply.error:
        return False
    yield from desk.wait(2)
    power = yield from desk.do("get_power_status", site_id=site_of(element))
    return not power.error and f"{element}=" not in fields(power.text).get("breakers_not_closed", "")


def _main_breaker(desk: Desk, element: str, seen: str) -> Steps[str]:
    if (yield from _reclose(desk, element)):
        return "fixed_remote"
    order = yield from desk.send(site_of(element), "power_electrical", ["MCB"])
    if order is None:
        order = yield from desk.send(site_of(element), "power_electrical", [])
    if order is None:
        return "monitoring_handed_over"
    found = yield from desk.instruct(order, "close_breaker", element)
    if "holds" not in found:
        yield from desk.instruct(order, "replace_part", element, "MCB")
    yield from desk.leave(order)
    return "fixed_on_site"


def _feed(desk: Desk, element: str, seen: str) -> Steps[str]:
    # A unit may be named instead of its feed.
    element = element if element.startswith("PWR-") else fields(seen).get("breaker", element)
    if (yield from _reclose(desk, element)):
        return "fixed_remote"
    order = yield from desk.send(site_of(element), "inspection", [])
    if order is None:
        return "monitoring_handed_over"
    yield from desk.instruct(order, "close_breaker", element)
    yield from desk.leave(order)
    return "fixed_on_site"


# --- modules, batteries, cooling ------------------------------------------------------------------------


def _replace_all(desk: Desk, site: str, task: str, part: str, count: int, target: str) -> Steps[str]:
    order = yield from desk.send(site, task, [part] * count)
    if order is None:
        return "monitoring_handed_over"
    for _ in range(count):
        yield from desk.instruct(order, "replace_part", target, part)
    yield from desk.leave(order)
    return "fixed_on_site"


def _rectifiers(desk: Desk, element: str, seen: str) -> Steps[str]:
    found = re.search(r"rectifiers: (\d+)/(\d+)", seen)
    dead = int(found[2]) - int(found[1]) if found else 1
    return (yield from _replace_all(desk, site_of(element), "power_electrical", "RECTIFIER", max(dead, 1), element))


def _batteries(desk: Desk, element: str, seen: str) -> Steps[str]:
    found = re.search(r"battery: (\d+) x \S+ Ah (\w+)", seen)
    count, kind = (int(found[1]), found[2]) if found else (1, "VRLA")
    return (yield from _replace_all(desk, site_of(element), "battery_work", f"BATTERY_{kind}", count, element))


def _look_at_cabinet(desk: Desk, element: str) -> Steps[str]:
    seen = yield from _look(desk, element)
    info = yield from desk.do("get_element_info", element_id=f"CAB-{site_of(element)[1:]}")
    return f"{seen}\n{info.text}"


def _cooling(desk: Desk, element: str, seen: str) -> Steps[str]:
    part = "FAN_KIT" if "cooling: fans" in seen else "HVAC_UNIT"
    return (yield from _replace_all(desk, site_of(element), "cooling", part, 1, element))


# --- mains ----------------------------------------------------------------------------------------------


def _mains(desk: Desk, element: str, seen: str) -> Steps[str]:
    site = site_of(element)
    state = fields(seen)
    order = None
    if state.get("generator", "none") != "none":
        if state["generator"].startswith("OFF"):
            yield from desk.act("control_site_power", site_id=site, action="start_generator")
    else:
        yield from desk.act("control_site_power", site_id=site, action="battery_saver_on")
    summary = f"{site} and its zone are without mains; please confirm and say when they are back."
    yield from desk.escalate("power_utility", element, summary)
    if state.get("generator", "none") == "none" and state.get("mobile_inlet") == "true":
        order = yield from _bring_generator(desk, site, state)
    yield from _await_mains(desk, site)
    yield from _tidy(desk, site, order)
    return "fixed_by_third_party"


def _bring_generator(desk: Desk, site: str, state: dict[str, str]) -> Steps[str | None]:
    """Bring a mobile generator, where the battery would not last the usual outage."""
    minutes = re.match(r"\d+", state.get("autonomy_min", ""))
    if minutes is None or int(minutes[0]) > 90:
        return None
    free = yield from desk.do("list_resources", resource_type="mobile_generators")
    if free.error:
        return None
    order = yield from desk.send(site, "mobile_generator", [])
    if order is not None:
        power = yield from desk.do("get_power_status", site_id=site)
        if without_mains(power.text):
            yield from desk.instruct(order, "connect_mobile_generator")
    return order


def without_mains(text: str) -> bool:
    """Return whether a site whose power status was read has no mains."""
    return fields(text).get("mains_voltage_v", "").split("|")[0] in ("0", "")


def _await_mains(desk: Desk, site: str) -> Steps[None]:
    end = desk.elapsed + MAX_OUTAGE_MIN
    while desk.elapsed < end:
        power = yield from desk.do("get_power_status", site_id=site)
        if not power.error and not without_mains(power.text):
            return
        yield from desk.wait(POLL_MIN)


def _tidy(desk: Desk, site: str, order: str | None) -> Steps[None]:
    """Stop what was started, once the mains have been stable for a while."""
    yield from desk.do("list_alarms", scope_id=site)
    power = yield from desk.do("get_power_status", site_id=site)
    state = fields(power.text)
    if state.get("generator", "none").startswith(("RUNNING", "STARTING")):
        yield from desk.wait(16)
        yield from desk.act("control_site_power", site_id=site, action="stop_generator")
    if state.get("battery_saver") == "on":
        yield from desk.act("control_site_power", site_id=site, action="battery_saver_off")
    if order is not None:
        yield from desk.leave(order)


register("site_mains_breaker_trip", Remedy(_look, _main_breaker))
register("dc_breaker_left_open", Remedy(_look, _feed))
register("rectifier_module_failure", Remedy(_look, _rectifiers))
register("battery_capacity_degraded", Remedy(_look, _batteries))
register("cooling_system_failure", Remedy(_look_at_cabinet, _cooling))
register("utility_mains_outage", Remedy(_look, _mains))
