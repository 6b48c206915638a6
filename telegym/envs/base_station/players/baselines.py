"""Baselines: players that do not think, to measure others by. None of them knows more than an agent is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from telegym.envs.base_station.cases import TICKET
from telegym.envs.base_station.noise import choice, integer, mix
from telegym.envs.base_station.players.desk import site_of
from telegym.envs.base_station.players.habits import alarms, finish, id_in, key_of, named_in, tried
from telegym.envs.base_station.players.steps import Call, Player, Steps
from telegym.envs.base_station.process.parties import PARTIES

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = [
    "BASELINES",
    "GUESS",
    "alarm_keywords",
    "escalate_everything",
    "no_op",
    "random_valid",
    "reset_first",
    "waiter",
]

GUESS = "radio_unit_hardware_failure"
"""The cause that is named by those who look at nothing."""
WAIT_MIN = 240
"""How long the waiter waits, in minutes."""
RANDOM_CALLS = 15
"""Calls of the random player before it closes."""
MOST_RESETS = 12
"""Elements that are restarted at most."""


def no_op(episode: Episode) -> Steps[None]:
    """Name always the same cause at the first element of the ticket, and close at once."""
    yield from finish(episode, GUESS, named_in(episode.task.ticket)[0], "no_fault_found")


def waiter(episode: Episode) -> Steps[None]:
    """Wait four hours, then do what `no_op` does."""
    yield from tried(episode, "wait", minutes=WAIT_MIN)
    yield from no_op(episode)


# --- chance ---------------------------------------------------------------------------------------------

_ID_PATTERNS = {
    "cell_id": r"S\d{3}-[LN]\d+-\d",
    "failed_cell_id": r"S\d{3}-[LN]\d+-\d",
    "source_cell_id": r"S\d{3}-[LN]\d+-\d",
    "target_cell_id": r"S\d{3}-[LN]\d+-\d",
    "helper_cell_ids": r"S\d{3}-[LN]\d+-\d",
    "node_id": r"(?:ENB|GNB|DU|CU)-\d{3}",
    "ru_id": r"RU-\d{3}-[LN]\d+-\d",
    "site_id": r"S\d{3}",
    "link_id": r"(?:TL|FH)-[A-Z0-9-]+",
    "alarm_id": r"ALM-\d+",
    "record_id": r"INC-\d+",
    "ticket_id": r"INC-\d+",
    "work_order_id": r"WO-\d+",
    "window_id": r"MW-\d+",
    "change_request_id": r"CR-\d+",
    "technician_id": r"TECH-\d+",
    "licence_id": r"LIC-[A-Z0-9-]+",
    "certificate_id": r"CERT-[A-Z0-9-]+",
}
_ELEMENTS = r"(?:S\d{3}|[A-Z]{2,4}-\d{3})(?:-[A-Z0-9]+)*"
_WORDS = {
    "kpi": ("prb_util_dl_pct", "rrc_setup_success_pct", "cell_availability_pct"),
    "kpis": ("prb_util_dl_pct", "rrc_setup_success_pct", "dl_user_throughput_mbps"),
    "parameter": ("cell_barred", "pci", "max_tx_power_dbm", "es_enabled"),
    "value": ("true", "false", "10", "43"),
    "part_type": ("SFP_10G", "JUMPER_KIT", "RECTIFIER"),
    "spare_part_types": ("SFP_10G", "JUMPER_KIT", "RECTIFIER"),
}
_ENDING = frozenset({"close_ticket", "submit_diagnosis", "submit_answer", "compute_radio_quantity"})


def random_valid(episode: Episode) -> Steps[None]:
    """Make fifteen calls by chance, with arguments from what lists have shown; name something by chance, and close."""
    key, told = key_of(episode), episode.task.ticket
    site = next((name for name in map(site_of, named_in(told)) if name), "S001")
    for number in range(RANDOM_CALLS):
        if number == 0:
            call = Call("list_elements", {"parent_id": site, "limit": 100})
        elif number == 1:
            call = Call("list_alarms", {"state": "all", "limit": 50})
        else:
            call = _drawn(episode, told, mix(key, "call", number))
        told += f"\n{(yield call).text}"
    places = list(dict.fromkeys(re.findall(rf"\b{_ELEMENTS}\b", told)))
    code = choice(_causes(episode), key, "cause")
    yield from finish(episode, code, choice(places, key, "place"), choice(_RESOLUTIONS, key, "resolution"))


_RESOLUTIONS = ("fixed_remote", "fixed_on_site", "fixed_by_third_party", "no_fault_found", "monitoring_handed_over")


def _causes(episode: Episode) -> list[str]:
    """Return the causes that a diagnosis may name, as the tool tells them."""
    tool = episode.toolkit.get("submit_diagnosis")
    return list(tool.parameters["properties"]["root_cause"]["enum"]) if tool is not None else [GUESS]


def _drawn(episode: Episode, told: str, key: int) -> Call:
    """Return a call by chance: a tool whose required arguments can all be filled."""
    names = [name for name in episode.toolkit.names if name not in _ENDING]
    for attempt in range(30):
        tool = episode.toolkit.get(choice(names, key, "tool", attempt))
        assert tool is not None
        given = {name: _value(name, tool.parameters["properties"][name], told, key) for name in _required(tool)}
        if None not in given.values():
            return Call(tool.name, given)
    return Call("get_external_notices", {})


def _required(tool: Any) -> list[str]:
    return list(tool.parameters.get("required", []))


def _value(name: str, schema: dict[str, Any], told: str, key: int) -> Any:
    """Return a value for an argument; None if nothing that was told would fit."""
    if schema["type"] == "array":
        item = _value(name, schema["items"], told, key)
        return None if item is None else [item]
    if "enum" in schema:
        return choice(schema["enum"], key, name)
    if schema["type"] in ("integer", "number"):
        return integer(int(schema["minimum"]), int(min(schema["maximum"], 60)), key, name)
    if name in _WORDS:
        return choice(_WORDS[name], key, name)
    pattern = _ID_PATTERNS.get(name, _ELEMENTS if name.endswith(("_id", "_ids")) else None)
    if pattern is None:
        return "looking into it"
    known = list(dict.fromkeys(re.findall(rf"\b{pattern}\b(?!-)", told)))
    return choice(known, key, name) if known else None


# --- reflexes -------------------------------------------------------------------------------------------


class Reflex(NamedTuple):
    """What somebody does who goes by the words of an alarm."""

    words: str
    """Words of the alarm in any vendor's way of speaking, a regular expression."""
    cause: str
    """The cause that is named."""
    task: str | None
    """Whom to send; None for a restart from afar."""
    place: str = "{}"
    """The element that is named, made of the alarm's."""


REFLEXES = (
    Reflex(r"Mains ?(supply )?lost|MAINS LOSS|MainsLost", "utility_mains_outage", "power_electrical"),
    Reflex(r"Rectifier|RECT (MOD|REDUND)|RedundancyLost", "rectifier_module_failure", "power_electrical"),
    Reflex(r"breaker is open|BRKR OPEN|Breaker_Open", "dc_breaker_left_open", "power_electrical"),
    Reflex(
        r"Air conditioner|HVAC FLT|CoolingFailed|CAB OVERTEMP|Cabinet is too hot", "cooling_system_failure", "cooling"
    ),
    Reflex(r"No signal on transport|LINK LOS|TransportLink_Loss", "backhaul_fibre_cut", "transport_fibre"),
    Reflex(r"Microwave|MW RSL|MW ACM", "microwave_rain_fade", "microwave"),
    Reflex(r"Optical module|SFP TX|port is down|PORT DOWN|Port_", "csr_port_or_sfp_failure", "router_hw"),
    Reflex(r"nearly full|LINK UTIL|UtilisationHigh", "transport_congestion", "router_hw"),
    Reflex(r"Satellite|GNSS|holdover|Holdover|HOLDOVER", "gnss_antenna_failure", "clock_antenna"),
    Reflex(r"Standing wave|SWR|Vswr", "vswr_connector_degradation", "antenna_line"),
    Reflex(r"Intermodulation|ANT PIM|PimSuspected", "passive_intermodulation", "antenna_line"),
    Reflex(r"Transmit branch|TX BRANCH|TxBranch", "tx_branch_failure", "radio_hw"),
    Reflex(r"optical port|OPT LOS|FronthaulPort_Loss", "fronthaul_sfp_failure", "fronthaul", "RU{}"),
    Reflex(r"Fronthaul|OPT (LOW|BER)", "fronthaul_fibre_degradation", "fronthaul"),
    Reflex(r"Radio unit hardware|RU HW|Radio_?Unit_Hardware", "radio_unit_hardware_failure", "radio_hw"),
    Reflex(r"does not answer|RU CM LOSS|MaintenanceLinkLost|RU SW FLT", "radio_unit_software_hang", None),
    Reflex(r"Board has failed|BRD FLT|Board_Hardware", "baseband_board_failure", "baseband_hw"),
    Reflex(r"Licence has|LIC EXPIRED|LicenceExpired", "licence_expired", None),
    Reflex(r"certificate has|CERT EXPIRED|CertificateExpired", "certificate_expired", None),
    Reflex(r"blocked by the operator|CELL LOCK|Cell_Blocked", "cell_left_locked", None),
    Reflex(r"Uplink interference|UL INTF|UplinkInterference", "external_interferer", "antenna_line"),
    Reflex(r"Cell is unavailable|CELL UNAVAIL|Cell_Unavailable", "radio_unit_hardware_failure", "radio_hw"),
    Reflex(r"Management connection|NE DISCONN|ConnectionLost", "baseband_board_failure", "baseband_hw", "{}-B1"),
)
"""Rules from words to causes, the most telling ones first."""


def alarm_keywords(episode: Episode) -> Steps[None]:
    """Look for a known word in the alarms, send whom it suggests or restart the element, and close four hours later."""
    listed = yield from alarms(episode)
    found = [(rule, row) for rule in REFLEXES for row in listed if re.search(rule.words, row["specific_problem"])]
    if not found:
        yield from no_op(episode)
        return
    rule, row = found[0]
    element = row["managed_object"]
    place = rule.place.format(element.removeprefix("FH") if rule.place == "RU{}" else element)
    if rule.task is None:
        yield from _restart(episode, element)
    else:
        site = site_of(element) or named_in(episode.task.ticket)[-1]
        order = {"site_id": site, "task": rule.task, "ticket_id": TICKET}
        yield from tried(episode, "dispatch_technician", **order)
    yield from tried(episode, "wait", minutes=WAIT_MIN)
    yield from finish(episode, rule.cause, place, "fixed_on_site" if rule.task else "fixed_remote")


def _restart(episode: Episode, element: str) -> Steps[None]:
    """Restart an element, whatever it is; of cells their radio unit, of links nothing."""
    if re.match(r"(ENB|GNB|DU)-\d{3}$", element):
        yield from tried(episode, "reset_node", node_id=element)
    elif re.match(r"S\d{3}-[LN]", element):
        yield from tried(episode, "reset_unit", unit_id=f"RU-{element[1:]}")
    elif re.match(r"(RU|CSR|ENB|GNB|DU)-", element):
        yield from tried(episode, "reset_unit", unit_id=element)


def reset_first(episode: Episode) -> Steps[None]:
    """Restart every element that has an alarm, wait half an hour, and close."""
    listed = yield from alarms(episode)
    elements = list(dict.fromkeys(row["managed_object"] for row in listed))[:MOST_RESETS]
    for element in elements:
        yield from _restart(episode, element)
    yield from tried(episode, "wait", minutes=31)
    place = (elements or named_in(episode.task.ticket))[0]
    yield from finish(episode, "radio_unit_software_hang", place, "fixed_remote")


def escalate_everything(episode: Episode) -> Steps[None]:
    """Hand the case to every party there is, wait for all answers and half a day more, and close."""
    listed = yield from alarms(episode)
    elements = [*named_in(episode.task.ticket), *(row["managed_object"] for row in listed)]
    names = [name for name in dict.fromkeys(elements) if not name.startswith("ALM")][:10]
    waiting = 0
    for party in PARTIES:
        arguments = {"ticket_id": TICKET, "target": party, "summary": "please look into it", "element_ids": names}
        reply = yield from tried(episode, "escalate_ticket", **arguments)
        if reply.error:
            arguments["element_ids"] = [site for site in map(site_of, names) if site][:1] or ["S001"]
            reply = yield from tried(episode, "escalate_ticket", **arguments)
        waiting += bool(id_in(reply, "escalation"))
    yield from tried(episode, "update_ticket", ticket_id=TICKET, status="pending_third_party")
    for _ in range(waiting + 4):
        yield from tried(episode, "wait", minutes=180)
    yield from finish(episode, GUESS, names[0], "fixed_by_third_party")


BASELINES: dict[str, Player] = {
    player.__name__: player
    for player in (no_op, waiter, random_valid, alarm_keywords, reset_first, escalate_everything)
}
"""Every baseline by name."""
