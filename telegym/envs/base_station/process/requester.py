"""The person behind a ticket: what they notice, and what they answer when they are asked.

What a person notices follows from the network alone: whether the cells around them radiate, let them in, keep calls and
carry data as the same cells did when all was well. A card holds everything that the person can say, in words drawn once
for the ticket; which of it is true is looked up in the network when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import yaml

from telegym.envs.base_station.engine import DAY_S, MINUTE_S, hour_of_day, time_text
from telegym.envs.base_station.epochs import healthy_view
from telegym.envs.base_station.kpi import table
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.objects import Cell, PowerSystem, Site, TransportLink
from telegym.envs.base_station.process.records import Notice, Ticket, Window, WorkOrder
from telegym.envs.base_station.radio import asleep, serves
from telegym.envs.base_station.state import Weather
from telegym.envs.base_station.view import CellView, View

__all__ = ["QUESTIONS", "Answers", "Reply", "Symptom", "Trouble", "make_card", "noticed", "reply", "symptom_of"]

Trouble = Literal["no_service", "patchy", "cannot_connect", "no_data", "drops", "choppy", "slow", "vague", "nothing"]
"""What a person notices, the worst first; `vague` is less than the limits below, `nothing` is nothing."""
Answers = tuple[tuple[str, str], ...]
"""A card: answers by question, with variants such as `confirm_restored.no`, and what decides between them."""
QUESTIONS = ("confirm_symptom", "affected_area", "start_time", "recent_work", "approve_outage", "confirm_restored")
"""What a requester can be asked."""

SETUP_PCT = 3.0
"""Failed attempts to connect that people notice, in points more than usual."""
DROP_PCT = 0.3
"""Lost calls that people notice, in points more than usual."""
HANDOVER_PCT = 5.0
"""Lost handovers that people notice, in points more than usual."""
OPINION = 0.3
"""Loss of the mean opinion score that people hear."""
SLOWER = 0.8
"""Share of the usual throughput below which people complain."""
STALLED = 0.05
"""Share of the usual throughput below which nothing loads."""
LEFT = 0.75
"""Share of the usual users below which a cell does not reach everybody any more."""
UNSURE_MIN = 20
"""How wrong the remembered beginning may be, in minutes."""
SEEN_S = 7 * DAY_S
"""For how long a visit at the mast is remembered."""
HEARD_OF = 0.5
"""How likely somebody has seen what cut a cable."""
BLACKOUTS = {
    "business": ((8, 18), (9, 17)),
    "residential": ((18, 23), (19, 22)),
    "road": ((6, 9), (16, 19)),
    "leisure": ((17, 23), (12, 20)),
}
"""Hours in which people need the network, by kind of area."""
NEVER = 0.3
"""How likely a requester minds no hour."""
_SETUP = ("rrc_setup_success_pct", "erab_setup_success_pct", "rach_success_pct", "tau_success_pct")
_SIDES = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


class Symptom(NamedTuple):
    """What a person has noticed, and where."""

    site_id: str
    """The mast they are near."""
    cells: tuple[str, ...]
    """Cells around them."""
    since_s: int
    """When it began in truth."""
    trouble: Trouble
    """What they notice."""


class Reply(NamedTuple):
    """An answer."""

    answer: str
    """`yes`, `no` or what was said."""
    said: str = ""
    """How `yes` or `no` was put into words; empty if it was not."""


# --- noticing -------------------------------------------------------------------------------------------


def symptom_of(network: Network, site_id: str, since_s: int, cells: Iterable[str] = ()) -> Symptom:
    """Return what a person near a site notices at present; `vague` if that is less than anybody would report.

    Args:
        network: The network.
        site_id: The site.
        since_s: When it began in truth.
        cells: Cells that are not as they should be; all of the site if there are none.
    """
    names = tuple(cells) or tuple(cell.id for cell in network.at_site(Cell, site_id))
    trouble = noticed(network, names)
    return Symptom(site_id, names, since_s, "vague" if trouble == "nothing" else trouble)


def noticed(network: Network, cells: Iterable[str]) -> Trouble:
    """Return what a person among some cells notices, compared with the same hour when all was well."""
    network.settle()
    view, healthy = network.epochs[-1].view, healthy_view(network)
    names = [name for name in cells if name in view.cells]
    silent = [name for name in names if not _radiates(view.cells[name]) and _radiates(healthy.cells[name])]
    if silent:
        return "no_service" if any(_alone(view, name) for name in silent) else "patchy"
    if any(not serves(view.cells[name]) and serves(healthy.cells[name]) for name in names):
        return "cannot_connect"
    if view is healthy:
        return "nothing"
    found = {_worse(network, view, healthy, name) for name in names}
    order: tuple[Trouble, ...] = ("no_data", "cannot_connect", "drops", "patchy", "choppy", "slow")
    return next((trouble for trouble in order if trouble in found), "nothing")


def _radiates(cell: CellView) -> bool:
    return cell.on_air and not cell.muted and not asleep(cell)


def _alone(view: View, name: str) -> bool:
    """Return whether no cell of a sector radiates."""
    site, _, sector = name.split("-")
    rest = (other for other in view.cells if other.startswith(f"{site}-") and other.endswith(f"-{sector}"))
    return not any(_radiates(view.cells[other]) for other in rest)


def _worse(network: Network, view: View, healthy: View, name: str) -> Trouble:
    """Return what is worse in a cell than it was, as people notice it."""
    tag = name.split("-")[1]
    row = network.region.cells_of[tag].index(name)
    now = table(network.region, view, network.hour_of_week)[tag]
    usual = table(network.region, healthy, network.hour_of_week)[tag]

    def lost(indicator: str) -> float:
        return float(usual[indicator][row] - now[indicator][row])

    def share(indicator: str) -> float:
        normal = float(usual[indicator][row])
        return float(now[indicator][row]) / normal if normal > 0 else 1.0

    speed = share("dl_user_throughput_mbps")
    if speed < STALLED:
        return "no_data"
    if any(lost(indicator) > SETUP_PCT for indicator in _SETUP):
        return "cannot_connect"
    if -lost("erab_drop_pct") > DROP_PCT or lost("ho_success_pct") > HANDOVER_PCT:
        return "drops"
    if share("rrc_users_mean") < LEFT:
        return "patchy"
    if lost("voice_mos") > OPINION:
        return "choppy"
    return "slow" if min(speed, share("ul_user_throughput_mbps")) < SLOWER else "nothing"


def _surroundings(network: Network, symptom: Symptom, seed: int) -> str:
    """Return what a person sees around them that may have to do with it."""
    site_id, now = symptom.site_id, network.now
    if not network.get(PowerSystem, f"PWR-{site_id[1:]}").mains_ok:
        return "power"
    ways = network.region.transport.paths[site_id].values()
    if any(network.get(TransportLink, name).cut for way in ways for name in way):
        return "digging" if uniform(seed, "digging seen") < HEARD_OF else "nothing"
    weather = network.objects.get(f"WX-{site_id[1:]}")
    if isinstance(weather, Weather) and weather.rain_mm_h > 0:
        return "storm"
    if any(item.kind == "event" and site_id in item.scope and item.start_s <= now for item in network.all(Notice)):
        return "event"
    visits = (item for item in network.all(WorkOrder) if item.visit_site_id == site_id)
    works = (item for item in network.all(Window) if site_id in item.element_ids and item.start_s <= now < item.end_s)
    seen = any(item.arrival_s <= now < item.arrival_s + SEEN_S for item in visits)
    return "crew" if seen or any(works) else "nothing"


# --- the card -------------------------------------------------------------------------------------------


@cache
def _texts(language: str) -> dict[str, Any]:
    file = resources.files("telegym.envs.base_station").joinpath("texts", language, "requester.yaml")
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def make_card(network: Network, symptom: Symptom, seed: int, language: str = "en") -> Answers:
    """Return what the requester of a ticket can say.

    Args:
        network: The network when the ticket is opened.
        symptom: What the person has noticed.
        seed: Decides words, the error of the remembered beginning, and the hours without outages.
        language: `en` or `zh`.
    """
    texts = _texts(language)
    first, last = _blackout(network, symptom.site_id, seed)
    wrong_s = MINUTE_S * integer(-UNSURE_MIN, UNSURE_MIN, seed, "remembered")
    slots = {
        "place": network.get(Site, symptom.site_id).name,
        "part": texts["part"][_side(network, symptom)],
        "since": time_text(symptom.since_s + wrong_s)[:-3],
        "trouble": choice(texts["trouble"][symptom.trouble], seed, "trouble"),
        "from": first,
        "to": last,
    }
    phrasings = {name: texts[name] for name in texts if name.partition(".")[0] in QUESTIONS}
    phrasings["recent_work"] = texts["recent_work"][_surroundings(network, symptom, seed)]
    said = tuple((name, choice(options, seed, name).format(**slots)) for name, options in phrasings.items())
    facts = (("site", symptom.site_id), ("cells", "|".join(symptom.cells)), ("blackout", f"{first}-{last}"))
    return (*said, *facts)


def _side(network: Network, symptom: Symptom) -> str:
    """Return the side of the mast where the trouble is, if it is in one sector."""
    cells = [network.get(Cell, name) for name in symptom.cells]
    if len({(cell.site_id, cell.sector) for cell in cells}) != 1:
        return "all"
    return _SIDES[round(cells[0].azimuth_deg / 45.0) % 8]


def _blackout(network: Network, site_id: str, seed: int) -> tuple[int, int]:
    """Return the first and the last hour of day without outages; equal if there are none."""
    if uniform(seed, "minds no hour") < NEVER:
        return (0, 0)
    return choice(BLACKOUTS[network.get(Site, site_id).area_type], seed, "blackout")


# --- answering ------------------------------------------------------------------------------------------


def reply(network: Network, ticket: Ticket, question: str) -> Reply:
    """Return what the requester of a ticket answers now.

    Args:
        network: The network.
        ticket: A ticket that a person reported.
        question: One of `QUESTIONS`.
    """
    card = dict(ticket.answers)
    if question == "approve_outage":
        return _yes_or_no(card, question, not _needed(network, ticket, card))
    restored = noticed(network, _cells(network, ticket, card)) == "nothing"
    if question == "confirm_restored":
        return _yes_or_no(card, question, restored)
    if question == "confirm_symptom" and restored:
        return Reply(card.get("confirm_symptom.over") or card.get(question, "unknown"))
    return Reply(card.get(question, "unknown"))


def _yes_or_no(card: dict[str, str], question: str, agreed: bool) -> Reply:
    answer = "yes" if agreed else "no"
    return Reply(answer, card.get(f"{question}.{answer}", ""))


def _needed(network: Network, ticket: Ticket, card: dict[str, str]) -> bool:
    """Return whether the requester needs the network at this hour."""
    first, last = ticket.blackout_h
    if "blackout" in card:
        first, last = map(int, card["blackout"].split("-"))
    return first <= hour_of_day(network.now) < last


def _cells(network: Network, ticket: Ticket, card: dict[str, str]) -> list[str]:
    """Return the cells around the requester; without a card those that the ticket is about."""
    if card.get("cells"):
        return card["cells"].split("|")
    owners = ("id", "site_id", "node_id", "board_id", "ru_id")
    return [
        cell.id
        for cell in network.all(Cell)
        if "region" in ticket.scope or not {getattr(cell, name) for name in owners}.isdisjoint(ticket.scope)
    ]
