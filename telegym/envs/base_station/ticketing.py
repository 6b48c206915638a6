"""From what can be noticed of a case to the ticket about it."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.alarms import active_alarms, specific_problem
from telegym.envs.base_station.facts import site_at
from telegym.envs.base_station.faults import Defect, fault_infos
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.objects import Cell, PowerSystem, Site
from telegym.envs.base_station.process.requester import make_card, symptom_of
from telegym.envs.base_station.ticket_writer import Symptom, write_ticket

__all__ = ["IMPRECISION", "describe", "symptom_seen"]

TICKET = "INC-10023"
IMPRECISION = (0, 0, 1, 2, 3, 3)
"""How imprecise tickets are, by level."""
_GUESSES = ("P1", "P2", "P3", "P4")
_RIGHT_GUESS = 0.6
_KINDS = {
    "pci_collision": "mobility",
    "pci_confusion": "mobility",
    "missing_neighbour": "mobility",
    "passive_intermodulation": "uplink",
    "external_interferer": "interference",
    "mass_event_congestion": "overload",
    "outage_spillover": "overload",
    "battery_capacity_degraded": "audit",
}
"""What is noticed of a cause, where that is neither an outage nor an alarm nor worse service in general."""
_INDICATORS = {
    "mobility": "ho_success_pct",
    "uplink": "ul_rssi_prb_dbm",
    "interference": "ul_sinr_db",
    "overload": "prb_util_dl_pct",
    "degraded": "dl_user_throughput_mbps",
    "audit": "autonomy",
}
"""What stands out in the statistics, by kind of symptom."""


def describe(network: Network, defects: tuple[Defect, ...], data: dict[str, Any], variant: str) -> dict[str, Any]:
    """Return the ticket of a case: text, source, scope, priority and what its requester answers.

    Args:
        network: The network at the time of the ticket.
        defects: Tell where to look; of causes only what customers and systems notice is used.
        data: What the task is built from.
        variant: `A` or `B`: which of two disjoint sets of templates.

    Raises:
        TaskError: If nobody can write about the symptom.
    """
    symptom = symptom_seen(network, defects[0], data)
    text = write_ticket(
        symptom, language=data["language"], variant=variant, imprecision=IMPRECISION[data["level"]], seed=network.seed
    )
    priority = _guess(network.seed)
    noticed = symptom_of(network, symptom.site_id, symptom.since_s, symptom.cells)
    asked = _requests(data["language"]).get(data["kind"], "")
    shown = "\n".join(filter(None, (f"{TICKET} ({priority}): {text.title}", text.body, asked)))
    answers = make_card(network, noticed, network.seed, data["language"]) if text.human else ()
    return {
        "source": text.source,
        "human": text.human,
        "title": text.title,
        "text": text.body,
        # People who name places do not know identifiers.
        "scope": [] if text.human and IMPRECISION[data["level"]] else list(text.scope),
        "priority": priority,
        "shown": shown,
        "answers": [list(item) for item in answers],
    }


@cache
def _requests(language: str) -> dict[str, str]:
    """Return what is asked for beside what is reported, by kind of task."""
    file = resources.files("telegym.envs.base_station").joinpath("texts", language, "requests.yaml")
    found: dict[str, str] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def _guess(seed: int) -> str:
    """Return the priority that whoever opened the ticket gave it."""
    return "P3" if uniform(seed, "guess") < _RIGHT_GUESS else choice(_GUESSES, seed, "guessed priority")


def symptom_seen(network: Network, defect: Defect, data: dict[str, Any]) -> Symptom:
    """Return what can be noticed of a case from outside.

    Args:
        network: The network at the time of the ticket.
        defect: What is wrong.
        data: What the task is built from.
    """
    site_id = site_at(network, defect.element_id) or network.region.layout.sites[0].id
    out = tuple(cell.id for cell in network.all(Cell) if not works.in_service(network, cell.id))
    if out and site_id not in {name.partition("-")[0] for name in out}:
        site_id = out[0].partition("-")[0]
    kind = _kind(network, defect, site_id, out, data["kind"])
    neighbour = _neighbour(network, site_id)
    if defect.code == "outage_spillover" or data.get("noticed") == "neighbours":
        site_id, neighbour, kind = neighbour, site_id, "overload"
    cells = _cells(network, defect, site_id, out if kind == "outage" else ())
    power = network.get(PowerSystem, f"PWR-{site_id[1:]}")
    design = round(60 * network.get(Site, site_id).design_autonomy_h)
    weakest = min((string.soh for string in power.strings), default=1.0)
    first = network.get(Cell, cells[0])
    return Symptom(
        kind=kind,
        site_id=site_id,
        place=network.get(Site, site_id).name,
        cells=cells,
        count=len(out),
        since_s=defect.since_s + 60 * integer(-5, 5, network.seed, "since"),
        neighbour_site_id=neighbour,
        neighbour_place=network.get(Site, neighbour).name,
        indicator=_INDICATORS.get(kind, ""),
        link_id=defect.element_id if defect.element_id.startswith("TL-") else "",
        alarm_text=_alarm_text(network, site_id),
        pci=first.pci,
        measured_min=round(design * weakest) if kind == "audit" else None,
        design_min=design if kind == "audit" else None,
    )


def _kind(network: Network, defect: Defect, site_id: str, out: tuple[str, ...], task_kind: str) -> str:
    """Return what kind of trouble is noticed."""
    if task_kind == "PRV":
        return "prevention"
    if out:
        return "outage"
    special = _KINDS.get(defect.code)
    if special is not None:
        return special
    known = active_alarms(network, site_id)
    return "alarm" if known or fault_infos()[defect.code].family in ("no_fault", "clock", "power") else "degraded"


def _cells(network: Network, defect: Defect, site_id: str, out: tuple[str, ...]) -> tuple[str, ...]:
    """Return the cells that are named: those that are out, the one it is about, or those of the site."""
    here = tuple(name for name in out if name.startswith(f"{site_id}-"))
    near = tuple(cell.id for cell in network.at_site(Cell, site_id))
    name = defect.element_id.partition(">")[0]
    unit = f"S{name.split('-', 1)[1]}" if name.startswith(("RU-", "FH-")) else name
    if name.startswith("ANT-"):
        unit = f"S{name[4:].rpartition('-')[0]}"
    return here or tuple(cell for cell in near if cell == unit) or near[:2]


def _neighbour(network: Network, site_id: str) -> str:
    """Return the site whose cells border most on a site's."""
    counts: dict[str, int] = {}
    for relation in network.region.relations.values():
        if relation.source_id.startswith(f"{site_id}-"):
            other = relation.target_id.partition("-")[0]
            counts[other] = counts.get(other, 0) + (other != site_id)
    others = sorted((-count, name) for name, count in counts.items() if name != site_id)
    return others[0][1] if others else next(s.id for s in network.region.layout.sites if s.id != site_id)


def _alarm_text(network: Network, site_id: str) -> str:
    """Return the text of the site's worst alarm, as its management system shows it."""
    order = ("CRITICAL", "MAJOR", "MINOR", "WARNING")
    known = [(order.index(alarm.severity), alarm.raised_s, alarm.id) for alarm in active_alarms(network, site_id)]
    return specific_problem(network, network.alarms[min(known)[2]]) if known else ""
