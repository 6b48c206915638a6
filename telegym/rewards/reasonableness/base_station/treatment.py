"""What a change is good for: the causes it helps against, and what else makes it right.

The table `remedies.yaml` says what helps against which cause. A change is *fitting* if it helps against something
that is wrong, prepares that, or takes back what the agent did before. In the oracle's view what is wrong is the
truth; in the view of what could be known it is what is still possible, each cause with its weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import yaml

from telegym.envs.base_station.alarms import dictionary
from telegym.envs.base_station.faults import Defect, fault, fault_infos
from telegym.envs.base_station.hypotheses import Hypothesis
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import PowerSystem
from telegym.envs.base_station.observations import kind_of, layer_sector_of, site_of
from telegym.envs.base_station.power_model import mains_live
from telegym.rewards.reasonableness.base_station.case import DIAGNOSTIC, Act, Case, text_of

__all__ = [
    "ANTENNA_CAUSES",
    "WEAK",
    "Ailment",
    "ailments",
    "eases",
    "helps",
    "likelihood",
    "near",
    "sites_of",
    "takes_back",
]

ANTENNA_CAUSES = frozenset({"vswr_connector_degradation", "feeder_disconnected", "passive_intermodulation"})
"""Causes for whose repair cells are locked."""
WEIGHTS = {"confirmed": 8.0, "supported": 2.0, "open": 0.1}
"""How much a possible cause counts, by what speaks for it."""
WEAK = frozenset({"stale_alarm", "faulty_sensor_false_alarm", "planned_work_alarms"})
"""Causes that may be there beside any other."""
_RESERVE = ("start_generator", "battery_saver_on")
_NO_RESERVE = ("stop_generator", "battery_saver_off")


class Ailment(NamedTuple):
    """Something that is wrong, or may be."""

    code: str
    """The cause."""
    names: tuple[str, ...]
    """Where: the element, and others it may be called by."""
    weight: float = 1.0
    """How much it counts."""


class _Remedy(NamedTuple):
    """A row of the table."""

    tool: str
    arguments: Mapping[str, tuple[str, ...]]
    exact: bool


@cache
def _remedies() -> dict[str, tuple[_Remedy, ...]]:
    table: dict[str, list[dict[str, Any]]] = yaml.safe_load(text_of("remedies.yaml"))
    return {code: tuple(_remedy(row) for row in (*rows, *_common(code))) for code, rows in table.items()}


def _remedy(row: Mapping[str, Any]) -> _Remedy:
    arguments = {key: tuple(value) for key, value in row.items() if key not in ("tool", "exact")}
    return _Remedy(row["tool"], arguments, bool(row.get("exact")))


def _common(code: str) -> list[dict[str, Any]]:
    """Return what the table of causes says: field work, and who outside has to act."""
    info = fault_infos()[code]
    rows: list[dict[str, Any]] = []
    if info.tasks:
        rows.append({"tool": "dispatch_technician", "task": list(info.tasks)})
    if info.party:
        rows.append({"tool": "escalate_ticket", "target": [info.party]})
    return rows


# --- where -------------------------------------------------------------------------------------------------


def _targets(act: Act) -> tuple[str, ...]:
    """Return the elements that a change is about."""
    arguments = act.arguments
    if act.tool in ("escalate_ticket", "request_change_approval"):
        return tuple(str(name) for name in arguments.get("element_ids") or ())
    if act.tool == "set_neighbour_relation":
        source, target = arguments.get("source_cell_id"), arguments.get("target_cell_id")
        return (f"{source}>{target}", f"{target}>{source}")
    return (act.element_id,) if act.element_id else ()


def near(name: str, other: str, *, exact: bool) -> bool:
    """Return whether two elements belong together: the same one, or (not `exact`) of the same site."""
    if name == other:
        return True
    sites, others = sites_of(name), sites_of(other)
    if not sites & others:
        return False
    if not exact or kind_of(other) == "site":
        return True
    if ">" in name or ">" in other:
        return other in name.split(">") or name in other.split(">")
    one, two = layer_sector_of(name), layer_sector_of(other)
    if one is not None and two is not None:
        return one == two
    return kind_of(name) != kind_of(other)


def sites_of(name: str) -> set[str]:
    """Return the sites that an element is of; both ends of what stands between sites.

    Args:
        name: An id, or a relation of two cells.
    """
    if ">" in name:
        return {part[:4] for part in name.split(">")}
    site = site_of(name)
    if site is not None:
        return {site}
    return {f"S{part}" for part in name.split("-")[1:] if len(part) == 3 and part.isdigit()}


def helps(act: Act, ailment: Ailment) -> bool:
    """Return whether a change helps against something, or would if that were the case."""
    if act.tool == "update_alarm" and not _stays(act):
        return False
    for remedy in _remedies().get(ailment.code, ()):
        if remedy.tool == act.tool and _fits(act.arguments, remedy.arguments):
            if any(near(target, name, exact=remedy.exact) for target in _targets(act) for name in ailment.names):
                return True
            if act.tool == "reroute_transport" and _between(ailment.names):
                return True
    return _prepares(act, ailment)


def _stays(act: Act) -> bool:
    """Return whether an alarm stays until somebody clears it; the others are gone when their cause is."""
    alarm = act.before.alarms.get(str(act.arguments.get("alarm_id"))) if act.before is not None else None
    return alarm is None or dictionary()[alarm.key].manual


def _between(names: Iterable[str]) -> bool:
    return any(kind_of(name) == "link" for name in names)


def _fits(arguments: Mapping[str, Any], wanted: Mapping[str, tuple[str, ...]]) -> bool:
    return all(any(_like(str(arguments.get(key, "")), form) for form in forms) for key, forms in wanted.items())


def _like(value: str, form: str) -> bool:
    return value.startswith(form[:-1]) if form.endswith("*") else value == form


def _prepares(act: Act, ailment: Ailment) -> bool:
    """Return whether a call prepares a remedy: approval, a lock, a visit to look."""
    close = any(near(target, name, exact=False) for target in _targets(act) for name in ailment.names)
    if act.tool == "request_change_approval":
        kind = str(act.arguments.get("change_type"))
        reroute = kind == "transport_reroute" and _between(ailment.names)
        return reroute or (close and any(_is_work(remedy, kind) for remedy in _remedies().get(ailment.code, ())))
    if act.tool == "dispatch_technician":
        later = act.arguments.get("urgency") == "next_business_day"
        return close and act.arguments.get("task") == "inspection" and later
    return False


_REPLACING = ("replace_part", "power_cycle")
_WORK: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "reset": {"reset_unit": (), "reset_node": (), "instruct_technician": _REPLACING},
    "lock": {"set_admin_state": (), "instruct_technician": ()},
    "antenna_work": {"set_admin_state": (), "instruct_technician": ()},
    "offline_test": {"set_admin_state": (), "instruct_technician": ()},
    "parameter": {"set_parameter": ()},
    "tilt": {"set_antenna_tilt": (), "set_parameter": ()},
    "neighbour": {"set_neighbour_relation": ()},
    "rollback": {"rollback_config": ()},
    "software": {"change_software": ()},
    "transport_reroute": {"reroute_transport": ()},
}
"""By the kind of an approval: the tools that it is for, with the actions of technicians that count (none: all)."""


def _is_work(remedy: _Remedy, kind: str) -> bool:
    """Return whether a remedy is work of the kind that an approval is asked for."""
    actions = _WORK.get(kind, {}).get(remedy.tool)
    if actions is None:
        return False
    return not actions or bool(set(actions) & set(remedy.arguments.get("action", ())))


# --- what is wrong -----------------------------------------------------------------------------------------


def ailments(case: Case, act: Act) -> list[Ailment]:
    """Return what was truly wrong before a call: defects, required or not, that were not cleared.

    One that was cleared counts as long as the attempt to see whether it is was refused: not even who knows the cause
    could know then that the remedy had worked.
    """
    truth = case.truth
    if truth is None:
        return []
    network, defects = act.before or case.network, (*truth.defects, *truth.harmless)
    found = [item for item in defects if not _gone(network, item)]
    if len(found) < len(defects) and _unanswered(case, act):
        found = list(defects)
    return [_ailment(truth.network, item) for item in found]


def _gone(network: Network, defect: Defect) -> bool:
    """Return whether a defect is gone: for now, and for good where it only threatens."""
    natural = fault(defect.code)
    lasting = natural.present(network, defect.element_id, dict(defect.parameters))
    return natural.cleared(network, defect) and not (defect.form == "delayed" and lasting)


def _unanswered(case: Case, act: Act) -> bool:
    """Return whether the only tests since the last remedy were refused."""
    earlier = [item for item in case.acts if item.index < act.index]
    last = max((item.index for item in earlier if item.changes), default=-1)
    tests = [item for item in earlier if item.index > last and item.group == DIAGNOSTIC]
    return bool(tests) and all(item.failed for item in tests)


def _ailment(network: Network, defect: Defect) -> Ailment:
    names = (defect.element_id, *fault(defect.code).accepted(network, defect.element_id))
    behind = network.index.behind.get(defect.element_id, ())
    return Ailment(defect.code, tuple(dict.fromkeys((*names, *behind))))


def likelihood(act: Act, possible: Sequence[Hypothesis]) -> float:
    """Return how likely it is that a change helps, given the causes that are possible; 0 to 1.

    Causes at the same place compete with each other by their weight; what may be there beside any other does not. A
    cause that nothing points to is not tried to be cured while another one was shown elsewhere.

    Args:
        act: The change.
        possible: What is still possible.
    """
    known = [(item, _as_ailment(item)) for item in possible if item.element_id]
    helped = [item for item, ailment in known if helps(act, ailment)]
    if not helped:
        return 0.0
    if any(item.status == "confirmed" for item in helped):
        return 1.0
    shown = any(item.status == "confirmed" and item.code not in WEAK for item in possible)
    if shown and all(item.status == "open" for item in helped):
        return 0.0
    places = {site for item in helped for site in sites_of(item.element_id)}
    rivals = {item.code: WEIGHTS[item.status] for item, _ in reversed(known) if sites_of(item.element_id) & places}
    useful = {item.code for item in helped}
    total = sum(weight for code, weight in rivals.items() if code in useful or code not in WEAK)
    return sum(rivals[code] for code in useful) / total


def _as_ailment(item: Hypothesis) -> Ailment:
    return Ailment(item.code, (item.element_id,), WEIGHTS[item.status])


# --- what else makes a change right ------------------------------------------------------------------------


def takes_back(act: Act, earlier: Sequence[Act]) -> bool:
    """Return whether a change takes back, or completes, one that the agent made before."""
    arguments = act.arguments
    done = [item for item in earlier if not item.failed and item.tool == act.tool]
    if act.tool == "request_change_approval" and arguments.get("change_type") == "transport_reroute":
        return any(item.tool == "reroute_transport" and not item.failed for item in earlier)
    if act.tool == "set_admin_state" and arguments.get("state") == "UNLOCKED":
        return any(item.element_id == act.element_id and item.arguments.get("state") != "UNLOCKED" for item in done)
    if act.tool == "control_site_power":
        opposite = {"stop_generator": "start_generator", "battery_saver_off": "battery_saver_on"}
        wanted = opposite.get(str(arguments.get("action")))
        return any(item.arguments.get("action") == wanted for item in done) if wanted else False
    if act.tool == "reroute_transport" and arguments.get("path") == "primary":
        return any(item.arguments.get("path") == "secondary" for item in done)
    if act.tool == "switch_clock_source":
        return bool(done)
    if act.tool == "instruct_technician":
        return arguments.get("action") == "complete_and_leave"
    return False


def eases(act: Act) -> str:
    """Return what everybody can see that a change eases; empty if there is nothing.

    A site without mains gets a reserve, and one whose mains are back gets rid of it, whoever had brought it.
    """
    if act.tool != "control_site_power" or act.before is None:
        return ""
    power = act.before.objects.get(f"PWR-{str(act.arguments.get('site_id'))[1:]}")
    if not isinstance(power, PowerSystem):
        return ""
    live, action = mains_live(power), str(act.arguments.get("action"))
    if action in _RESERVE:
        return "" if live else "the site has no mains"
    return "the site has mains again" if live and action in _NO_RESERVE else ""
