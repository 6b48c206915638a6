"""The blind expert: sees what an agent sees, finds out what is wrong, and does what the oracle would do about it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from telegym.envs.base_station.cases import TICKET
from telegym.envs.base_station.players.desk import Desk, fields, rows, site_of
from telegym.envs.base_station.players.diagnosis import Diagnosis, diagnose
from telegym.envs.base_station.players.remedies import remedy_of
from telegym.envs.base_station.players.remedies.power import POLL_MIN, without_mains
from telegym.envs.base_station.players.steps import Call, Reply, Steps, within_stock, without_repeats
from telegym.envs.base_station.policy.constants import PolicyConstants
from telegym.envs.base_station.questions import Question, ask

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["expert"]

NO_ACTION = frozenset({"faulty_sensor_false_alarm", "planned_work_alarms", "mass_event_congestion"})
"""Causes about which nothing is done."""
COME_AND_GO = frozenset(
    {
        *("fronthaul_fibre_degradation", "passive_intermodulation", "vswr_connector_degradation"),
        "external_interferer",
    }
)
"""Causes that come and go, or may."""
MANY_SITES = 3
"""Sites with cells out from which a trouble is as urgent as a whole site."""
UNKNOWN = Diagnosis("faulty_sensor_false_alarm", "", (), False, ())
"""What is said when nothing was found."""


@without_repeats
@within_stock
def expert(episode: Episode) -> Steps[None]:
    """Play a case knowing nothing but what the agent is told."""
    if episode.task.data["kind"] == "QNA":
        # The reference goes by what tools print; of the question it knows the template and what its text names.
        yield from ask(Question(**episode.task.data["question"]))
        return
    constants: PolicyConstants = getattr(episode.environment, "constants", PolicyConstants())
    desk = Desk(TICKET, constants)
    acting = episode.toolkit.get("dispatch_technician") is not None
    known = yield from _heard(desk.take())
    found = yield from _watched(desk, diagnose(episode.task.ticket), known)
    found = found if found.root_cause else UNKNOWN._replace(element_id=found.element_id)
    yield from _set_priority(desk)
    causes = [(found.root_cause, found.element_id), *found.additional]
    notices = known.get(_key(Call("get_external_notices", {})))
    zone = _zone(notices.text if notices is not None else "", found.element_id)
    resolution = yield from _repair(desk, causes, zone, acting=acting)
    additional = [f"{code}@{element}" for code, element in found.additional]
    yield from desk.support(found.element_id)
    yield from desk.submit(found.root_cause, found.element_id, additional)
    yield from desk.close(resolution, _summary(desk, found, causes))


def _summary(desk: Desk, found: Diagnosis, causes: list[tuple[str, str]]) -> str:
    """Return what was found and done; what was only looked at is told if nothing was shown to be the cause."""
    names = ", ".join(element for _, element in causes)
    done = "Dealt with, service checked afterwards." if desk.changed else "Assessed; nothing was changed."
    cause = found.root_cause.replace("_", " ")
    if found.confirmed:
        return f"{names}: {cause}. {done}"
    looked = ", ".join(dict.fromkeys(site_of(name) or name for name in desk.looks))
    return f"{names}: {cause}, not confirmed; looked at {looked}. {done}"


def _heard(steps: Steps[None]) -> Steps[dict[str, Reply]]:
    """Go through steps; return what was read."""
    read: dict[str, Reply] = {}
    try:
        call = next(steps)
        while True:
            reply: Reply = yield call
            if call.tool.startswith("get_"):
                read[_key(call)] = reply
            call = steps.send(reply)
    except StopIteration:
        return read


def _watched(desk: Desk, steps: Steps[Diagnosis], known: dict[str, Reply]) -> Steps[Diagnosis]:
    """Go through a diagnosis while looking at the watch; what was read when the ticket was taken is not read again."""
    try:
        call = next(steps)
        while True:
            reply = known.get(_key(call))
            if reply is None:
                reply = yield call
                desk.note(call, reply)
            call = steps.send(reply)
    except StopIteration as end:
        found: Diagnosis = end.value
        return found


def _key(call: Call) -> str:
    return f"{call.tool}{sorted(call.arguments.items(), key=str)}"


def _set_priority(desk: Desk) -> Steps[None]:
    """Give the ticket the priority that the alarms ask for."""
    reply = yield from desk.do("list_alarms", alarm_type="PROCESSING_ERROR_ALARM", state="all", limit=50)
    # What comes and goes counts if it was there when the ticket was opened.
    here = [row for row in rows(reply.text, "alarm_id") if row["cleared"] == "-" or row["cleared"] > desk.opened]
    out = [row for row in here if _is_cell(row["managed_object"])]
    down = {row["managed_object"] for row in out if row["severity"] in ("MAJOR", "CRITICAL")}
    warned = yield from desk.do("list_alarms", limit=50)
    listed = rows(warned.text, "alarm_id")
    locked = {
        row["managed_object"]
        for row in listed
        if row["severity"] == "WARNING" and "LOCK" in row["specific_problem"].upper()
    }
    cells = down | {name for name in locked if _is_cell(name)}
    sites = Counter(name.partition("-")[0] for name in cells)
    whole = any(row["severity"] == "CRITICAL" for row in out)
    for site, count in sites.items():
        if not whole and count >= 3:
            info = fields((yield from desk.do("get_element_info", element_id=site)).text)
            whole = info.get("cells") == str(count)
    if whole or len(sites) >= MANY_SITES:
        yield from desk.rank("P1")
    else:
        yield from desk.rank("P2" if cells else "P3")


def _is_cell(name: str) -> bool:
    return name.startswith("S") and name.count("-") == 2


def _zone(notices: str, element: str) -> list[str]:
    """Return the sites that notices of a power cut name together with the site of an element."""
    cuts = [row["scope"].split("|") for row in rows(notices, "kind") if row["kind"] == "utility_outage"]
    near = [names for names in cuts if site_of(element) in names]
    return list(dict.fromkeys(name for names in near for name in names if site_of(name) == name))


def _until_mains_are_back(desk: Desk, sites: list[str]) -> Steps[None]:
    """Wait until all sites of a power cut have mains: the one that was asked about may be restored first."""
    for site in sites:
        for _ in range(MOST_POLLS):
            power = yield from desk.do("get_power_status", site_id=site)
            if not power.error and not without_mains(power.text):
                break
            yield from desk.wait(POLL_MIN)


MOST_POLLS = 10
"""Times that the mains of a site are looked at, at most."""


def _repair(desk: Desk, causes: list[tuple[str, str]], zone: list[str], *, acting: bool) -> Steps[str]:
    """Look at what was found once more, repair it and verify; return how the ticket is to be closed."""
    resolution, seen = "monitoring_handed_over", ""
    main, element = causes[0]
    if acting and main not in NO_ACTION:
        yield from desk.ask("confirm_symptom")
    for code, name in causes:
        if name:
            remedy = remedy_of(code)
            seen = yield from remedy.look(desk, name)
            if acting:
                resolution = yield from remedy.work(desk, name, seen)
            if acting and code == "utility_mains_outage":
                yield from _until_mains_are_back(desk, zone)
    if not acting or not element:
        return resolution if element else "no_fault_found"
    repeated = main in COME_AND_GO or (yield from _comes_and_goes(desk, element))
    remedy = remedy_of(main)
    yield from desk.verify(remedy.site(element), remedy.cell(element), intermittent=repeated)
    return resolution


def _comes_and_goes(desk: Desk, element: str) -> Steps[bool]:
    """Return whether alarms at a site were raised again and again."""
    site = site_of(element)
    if not desk.changed or not site:
        return False
    reply = yield from desk.do("list_alarms", scope_id=site, state="all", since_minutes=720, limit=50)
    seen = Counter((row["managed_object"], row["specific_problem"]) for row in rows(reply.text, "alarm_id"))
    return any(count >= 3 for count in seen.values())
