"""The person behind a ticket: says what can be noticed where they are, now, in two languages, and nothing of causes."""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources
from typing import Any

import pytest
import yaml

from telegym.envs.base_station.engine import DAY_S, HOUR_S, time_text
from telegym.envs.base_station.facts import site_at
from telegym.envs.base_station.faults import Defect, fault, fault_infos
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import Cell, FronthaulLink, PowerSystem, Site, TransportLink
from telegym.envs.base_station.process import field, requester, tickets
from telegym.envs.base_station.process.records import Notice, Ticket, Window
from telegym.envs.base_station.process.requester import QUESTIONS, Symptom, make_card, noticed, reply, symptom_of
from telegym.envs.base_station.state import Weather
from tests.tools.base_station.worlds import text, values

BEGIN_S = 9 * DAY_S + 11 * HOUR_S
NOTICED = [
    ("csr_port_or_sfp_failure", {"no_service"}),
    ("outage_spillover", {"no_service"}),
    ("radio_unit_hardware_failure", {"patchy"}),
    ("cell_left_locked", {"patchy"}),
    ("cell_barred", {"cannot_connect"}),
    ("sleeping_cell_access", {"cannot_connect"}),
    ("wrong_tac", {"cannot_connect"}),
    ("external_interferer", {"cannot_connect", "drops", "slow"}),
    ("pci_collision", {"drops"}),
    ("missing_neighbour", {"drops"}),
    ("mass_event_congestion", {"slow", "cannot_connect"}),
    ("tx_power_misconfiguration", {"patchy", "slow", "no_data", "vague"}),
    ("rectifier_module_failure", {"vague"}),
    ("gnss_antenna_failure", {"vague"}),
]
"""What people notice of some causes."""


def language_texts(language: str) -> dict[str, Any]:
    file = resources.files("telegym.envs.base_station").joinpath("texts", language, "requester.yaml")
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def injected(code: str, archetype: str = "S1", region: int = 1, seed: int = 3) -> tuple[Network, Defect, Symptom]:
    """Return a network with a fault for half an hour, and what a person near it notices."""
    network = Network(archetype, region, seed=seed, start_s=BEGIN_S)
    field.staff(network)
    element = choice(fault(code).eligible(network), seed, code)
    defect = fault(code).inject(network, element, seed=seed)
    network.advance(1800)
    cells = (element,) if element in network.index.tilt_unit_of else network.index.cells_of.get(element, ())
    site = site_at(network, element) or "S001"
    return network, defect, symptom_of(network, site, defect.since_s, cells)


def with_ticket(network: Network, symptom: Symptom, seed: int = 5, language: str = "en") -> Ticket:
    card = make_card(network, symptom, seed, language)
    return network.add(Ticket("INC-7", network.now, "customer_care", True, "t", "t", (symptom.site_id,), answers=card))


# --- texts ----------------------------------------------------------------------------------------------


def test_every_question_has_five_phrasings_in_both_languages() -> None:
    english, chinese = language_texts("en"), language_texts("zh")
    assert list(english) == list(chinese)
    for texts in (english, chinese):
        for name in [name for name in texts if name.partition(".")[0] in QUESTIONS]:
            groups = texts[name].values() if name == "recent_work" else [texts[name]]
            assert all(len(set(group)) == len(group) >= 5 for group in groups), name
        assert {name.partition(".")[0] for name in texts} == {*QUESTIONS, "trouble", "part"}
    assert set(english["trouble"]) == {*requester.Trouble.__args__} - {"nothing"}  # type: ignore[attr-defined]


def test_phrasings_of_both_languages_say_the_same() -> None:
    english, chinese = language_texts("en"), language_texts("zh")
    for name, groups in english.items():
        for key, said in groups.items() if isinstance(groups, dict) else [(None, groups)]:
            other = chinese[name][key] if key is not None else chinese[name]
            assert re.findall(r"\{\w+\}", str(said)) == re.findall(r"\{\w+\}", str(other)), (name, key)
            assert re.search(r"[\u4e00-\u9fff]", str(other))


# --- noticing -------------------------------------------------------------------------------------------


def test_nobody_notices_anything_in_a_healthy_network() -> None:
    for archetype in ("U1", "S1", "R1", "X1"):
        network = Network(archetype, 2, seed=1, start_s=BEGIN_S)
        for hour in range(0, 24, 5):
            network.advance(hour * HOUR_S)
            assert noticed(network, [cell.id for cell in network.all(Cell)]) == "nothing"


@pytest.mark.parametrize(("code", "expected"), NOTICED)
def test_what_is_noticed_follows_from_the_network(code: str, expected: set[str]) -> None:
    for archetype, region in (("S1", 1), ("M1", 3), ("U1", 0)):
        network, defect, symptom = injected(code, archetype, region)
        assert symptom.trouble in expected
        fault(code).undo(network, defect)
        network.advance(1800)
        assert noticed(network, symptom.cells) == "nothing"


@pytest.mark.parametrize("code", [code for code, expected in NOTICED if "vague" not in expected])
def test_restoration_is_confirmed_when_it_is_true(code: str) -> None:
    network, defect, symptom = injected(code)
    ticket = with_ticket(network, symptom)
    before = reply(network, ticket, "confirm_restored")
    assert before.answer == "no"
    assert before.said
    fault(code).undo(network, defect)
    network.advance(1800)
    after = reply(network, ticket, "confirm_restored")
    assert after.answer == "yes"
    assert after.said != before.said


def test_who_asks_while_trouble_pauses_hears_that() -> None:
    network = Network("S1", 1, seed=3, start_s=BEGIN_S)
    link = next(iter(network.all(FronthaulLink)))
    unit = network.index.cells_of[link.ru_id]
    failing = network.update(link, flapping=True, flap_down=True, extra_loss_db=30.0)
    ticket = with_ticket(network, symptom_of(network, network.index.site_of[link.id], network.now, unit))
    during = reply(network, ticket, "confirm_symptom").answer
    network.update(failing, flap_down=False)
    pause = reply(network, ticket, "confirm_symptom").answer
    assert during != pause
    trouble = next(said for said in language_texts("en")["trouble"]["patchy"] if said in during)
    assert trouble in pause
    assert reply(network, ticket, "confirm_restored").answer == "yes"


def test_the_ticket_may_name_another_place_than_the_person_is_at() -> None:
    network, _, symptom = injected("cell_barred")
    ticket = with_ticket(network, symptom)
    other = next(site.id for site in network.all(Site) if site.id != symptom.site_id)
    ticket = network.update(ticket, scope=(other,))
    assert reply(network, ticket, "confirm_restored").answer == "no"


def test_without_a_card_the_cells_of_the_ticket_count() -> None:
    network, defect, symptom = injected("cell_barred")
    network.add(Ticket("INC-8", network.now, "customer_care", True, "t", "t", (symptom.site_id,)))
    ticket = network.get(Ticket, "INC-8")
    assert reply(network, ticket, "confirm_restored") == ("no", "")
    fault("cell_barred").undo(network, defect)
    assert reply(network, ticket, "confirm_restored") == ("yes", "")
    assert reply(network, ticket, "start_time") == ("unknown", "")


# --- the card -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_card_answers_everything_and_names_no_cause(language: str) -> None:
    for code, _ in NOTICED:
        network, _, symptom = injected(code)
        card = dict(make_card(network, symptom, 4, language))
        assert make_card(network, symptom, 4, language) == tuple(card.items())
        asked = {name.partition(".")[0] for name in card} & set(QUESTIONS)
        assert asked == set(QUESTIONS)
        for name in (name for name in card if name.partition(".")[0] in QUESTIONS):
            assert "{" not in card[name]
            causes = (*fault_infos(), *(cause.replace("_", " ") for cause in fault_infos()))
            assert not [cause for cause in causes if cause in card[name]]


def test_all_phrasings_are_used() -> None:
    network, _, symptom = injected("cell_barred")
    said = Counter(dict(make_card(network, symptom, seed))["approve_outage.yes"] for seed in range(100))
    assert len(said) == 5
    assert min(said.values()) >= 8


def test_the_beginning_is_remembered_within_twenty_minutes() -> None:
    network, _, symptom = injected("cell_barred")
    near = {time_text(symptom.since_s + 60 * minute)[:-3] for minute in range(-20, 21)}
    said = [dict(make_card(network, symptom, seed))["start_time"] for seed in range(200)]
    told = {re.findall(r"\d\d-\d\dT\d\d:\d\d", answer)[0] for answer in said}
    assert told <= near
    assert len(told) > 30


def test_the_area_has_a_side_where_one_sector_is_concerned() -> None:
    network, _, symptom = injected("cell_barred")
    assert re.search(r"the \w+(-\w+)? side", dict(make_card(network, symptom, 1))["affected_area"])
    whole = symptom_of(network, symptom.site_id, network.now)
    area = dict(make_card(network, whole, 1))["affected_area"]
    assert "everywhere around" in area
    assert network.get(Site, symptom.site_id).name in area


def _cut(network: Network) -> None:
    for way in network.region.transport.paths["S003"].values():
        network.update(network.get(TransportLink, way[0]), cut=True)


WORK: dict[str, Any] = {
    "power": lambda network: network.update(network.get(PowerSystem, "PWR-003"), mains_ok=False),
    "digging": _cut,
    "storm": lambda network: network.add(Weather("WX-003", "S003", rain_mm_h=12.0)),
    "event": lambda network: network.add(Notice("EVENT-S003", "event", ("S003",), network.now, network.now + 9, "e")),
    "crew": lambda network: network.add(Window("MW-5", ("S003",), network.now - 60, network.now + 9000, "field", "x")),
    "nothing": lambda network: None,
}


@pytest.mark.parametrize("kind", list(WORK))
def test_recent_work_is_what_a_person_sees(kind: str) -> None:
    network = Network("S1", 1, seed=3, start_s=BEGIN_S)
    WORK[kind](network)
    place = network.get(Site, "S003").name
    phrasings = {said.format(place=place) for said in language_texts("en")["recent_work"][kind]}
    nothing = {said.format(place=place) for said in language_texts("en")["recent_work"]["nothing"]}
    symptom = symptom_of(network, "S003", network.now)
    told = [dict(make_card(network, symptom, seed))["recent_work"] for seed in range(60)]
    if kind == "digging":
        assert 15 <= sum(said in phrasings for said in told) <= 45
        phrasings |= nothing
    assert set(told) <= phrasings


def test_outages_are_approved_outside_the_hours_of_the_card() -> None:
    network = Network("S1", 1, seed=3, start_s=9 * DAY_S)
    symptom = symptom_of(network, "S003", network.now)
    cards = [make_card(network, symptom, seed) for seed in range(40)]
    free = 0
    for number, card in enumerate(cards):
        first, last = map(int, dict(card)["blackout"].split("-"))
        free += first == last
        ticket = Ticket(f"INC-{number}", network.now, "customer_care", True, "t", "t", ("S003",), answers=card)
        world = network.fork()
        for hour in range(24):
            heard = reply(world, ticket, "approve_outage")
            assert heard.answer == ("no" if first <= hour < last else "yes")
            assert heard.answer == "yes" or str(last) in heard.said
            world.advance(HOUR_S)
    assert 4 <= free <= 22


# --- asking ---------------------------------------------------------------------------------------------


def test_answers_take_three_to_twenty_minutes() -> None:
    delays = set()
    for seed in range(60):
        network = Network("S1", 1, seed=seed, start_s=BEGIN_S)
        with_ticket(network, symptom_of(network, "S003", network.now))
        delays |= {tickets.ask_requester(network, "INC-7", question) for question in QUESTIONS}
    assert delays == set(range(3, 21))


def test_the_tool_gives_the_answer_and_how_it_was_said() -> None:
    network, defect, symptom = injected("cell_barred")
    with_ticket(network, symptom, language="zh")
    told = values(text(network, "ask_requester", ticket_id="INC-7", question="confirm_restored"))
    assert told["answer"] == "no"
    assert re.search(r"[\u4e00-\u9fff]", told["said"])
    fault("cell_barred").undo(network, defect)
    start = network.now
    told = values(text(network, "ask_requester", ticket_id="INC-7", question="confirm_restored"))
    assert told["answer"] == "yes"
    assert network.now - start == 60 * int(told["waited_min"])


def test_repair_while_the_person_is_thinking_counts() -> None:
    """The answer is about the moment when it is given."""
    network = Network("S1", 1, seed=4, start_s=BEGIN_S)
    with_ticket(network, symptom_of(network, "S003", network.now))
    text(network, "reset_unit", unit_id="RU-003-L18-1")
    assert noticed(network, ["S003-L18-1"]) == "patchy"
    told = values(text(network, "ask_requester", ticket_id="INC-7", question="confirm_restored"))
    assert int(told["waited_min"]) > 3
    assert told["answer"] == "yes"
