"""Questions: each can be asked and answered with tools, wrong answers are refused, and no guess wins by itself."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import pytest

from telegym.core.errors import ConfigurationError
from telegym.core.messages import ToolCall
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S
from telegym.envs.base_station.faults import fault
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, mix
from telegym.envs.base_station.objects import Cell, Node
from telegym.envs.base_station.players.steps import Reply
from telegym.envs.base_station.process import field
from telegym.envs.base_station.process.records import Question as Asked
from telegym.envs.base_station.questions import (
    NOT_AVAILABLE,
    UNANSWERABLE_SHARE,
    Question,
    ask,
    check_answer,
    make_question,
    question_of,
    template,
    templates,
)
from telegym.envs.base_station.questions.making import LANGUAGES, texts
from telegym.envs.base_station.questions.reading import Answer
from telegym.tools.base_station import profile_tools, toolkit

ARCHETYPES = ("U1", "U2", "S1", "R1", "M1", "X1", "X2", "X3")
REGIONS = 2
ENOUGH = 6
"""Questions of a template that must be found."""
LIMIT = 25
"""Most calls that a reference needs."""
QUIET = "nothing"
OTHER_SOFTWARE = "other software"
"""Not a fault that can be injected: one node runs another version."""
CAUSES: dict[str, tuple[str, ...]] = {
    "Q02": ("backhaul_fibre_cut", "csr_port_or_sfp_failure"),
    "Q04": ("utility_mains_outage",),
    "Q05": ("pci_collision", "pci_confusion"),
    "Q06": ("sleeping_cell_access", "cell_barred"),
    "Q07": ("backhaul_fibre_cut", "radio_unit_hardware_failure"),
    "Q18": ("backhaul_fibre_cut",),
    "Q19": ("external_interferer",),
    "Q20": (OTHER_SOFTWARE,),
    "Q24": ("cell_left_locked", "cell_barred"),
    "Q25": ("gnss_antenna_failure",),
    "Q27": ("tilt_misconfiguration", "tx_power_misconfiguration", "wrong_tac", "cell_left_locked"),
    "Q28": ("backhaul_fibre_cut",),
    "Q29": ("utility_mains_outage", "backhaul_fibre_cut"),
}
"""What has to happen in a network so that a template can be asked; the others can be asked anywhere."""
FEW = {"Q17": {"U2", "S1", "R1", "M1", "X3"}, "Q18": {"U1", "S1", "R1", "M1", "X1", "X2"}, "Q26": {"S1", "R1", "M1"}}
"""Archetypes in which alone a template can be asked, because of their transport: see `Template.needs`."""


class Played(NamedTuple):
    """What a reference did."""

    answer: Answer
    tools: list[str]


@cache
def world(archetype: str, region: int, cause: str) -> Network | None:
    """Return a network some time after something happened in it; None if it cannot happen there."""
    seed = mix(5, archetype, region, cause)
    hour = choice((9, 11, 13, 15, 17, 19, 21), seed, "hour")
    start = DAY_S * integer(8, 11, seed, "day") + HOUR_S * hour + MINUTE_S * integer(0, 59, seed, "minute")
    network = Network(archetype, region, seed=seed, start_s=start)
    field.staff(network)
    network.advance(MINUTE_S)
    if cause == OTHER_SOFTWARE:
        nodes = [node for node in network.all(Node) if node.kind != "CU"]
        network.update(choice(nodes, seed, "node"), software="21.9.0")
    elif cause != QUIET:
        options = fault(cause).eligible(network)
        if not options:
            return None
        fault(cause).inject(network, choice(options, seed, "element"), seed=seed)
        network.advance(MINUTE_S * (fault(cause).lead_min + integer(0, 30, seed, "lead")))
    return network


def worlds(name: str) -> Iterator[tuple[str, int, Network]]:
    """Yield networks in which a template may be asked, with a number of each."""
    causes = CAUSES.get(name, (QUIET,))
    for region in range(REGIONS):
        for place, archetype in enumerate(ARCHETYPES):
            cause = causes[(place + region) % len(causes)]
            network = world(archetype, region, cause)
            if network is not None:
                yield archetype, region, network


@cache
def asked(name: str) -> tuple[tuple[str, Network, Question], ...]:
    """Return the questions of a template over all networks."""
    found = []
    for archetype, region, network in worlds(name):
        language = LANGUAGES[(region + len(archetype)) % 2]
        question = question_of(name, network, mix(9, archetype, region), language=language, variant="AB"[region % 2])
        if question is not None:
            found.append((archetype, network, question))
    return tuple(found)


def play(network: Network, question: Question) -> Played:
    """Let the reference answer a question with the tools of its profile."""
    copy, tools = network.fork(), []
    copy.add(Asked("QUESTION", question.text))
    kit, steps = toolkit("qa"), ask(question)
    try:
        call = next(steps)
        while True:
            outcome = kit.execute(copy, ToolCall(id="1", name=call.tool, arguments=call.arguments))
            tools.append(call.tool)
            call = steps.send(Reply(outcome.content, outcome.error is not None, outcome.minutes))
    except StopIteration as end:
        submitted = next(copy.all(Asked))
        assert (submitted.answer, submitted.unit) == (end.value.text.strip(), end.value.unit)
        return Played(end.value, tools)


def said(expected: dict[str, Any]) -> str:
    """Return a right answer as text."""
    value = expected["value"]
    if expected["kind"] == "parts":
        return ", ".join(map(said, value))
    if expected["kind"] == "not_available":
        return NOT_AVAILABLE
    return ", ".join(value) if isinstance(value, list) else str(value)


# --- every template ---------------------------------------------------------------------------------------


def test_there_are_thirty() -> None:
    assert list(templates()) == [f"Q{number:02}" for number in range(1, 31)]
    assert {item.level for item in templates().values()} == {0, 1, 2}


@pytest.mark.parametrize("name", list(templates()))
def test_the_reference_answers_every_question(name: str) -> None:
    """Solvability: whoever goes by what the tools print alone finds the right answer, now and some minutes later."""
    found = asked(name)
    assert len(found) >= ENOUGH
    for archetype, network, question in found:
        later = network.fork()
        later.advance(template(name).horizon_min * MINUTE_S // 2)
        for world_then in (network, later):
            answer, tools = play(world_then, question)
            told = (archetype, question.text, question.expected, answer)
            assert check_answer(question.expected, answer.text, answer.unit), told
            assert tools[-1] == "submit_answer" and len(tools) <= LIMIT
            assert set(tools) <= set(profile_tools(question.profile))


@pytest.mark.parametrize("name", list(templates()))
def test_it_can_be_asked_in_several_kinds_of_regions(name: str) -> None:
    kinds = {archetype for archetype, _, _ in asked(name)}
    assert len(kinds) >= 3
    assert kinds <= FEW.get(name, set(ARCHETYPES))


@pytest.mark.parametrize("name", [name for name, item in templates().items() if item.unknown or item.lacking])
def test_what_has_no_answer_is_found_to_have_none(name: str) -> None:
    found = 0
    for archetype, region, network in islice(worlds(name), 10):
        for seed in (mix(1, archetype, region), mix(2, archetype, region)):
            question = question_of(name, network, seed, answerable=False)
            if question is None:
                continue
            found += 1
            assert play(network, question).answer.text == NOT_AVAILABLE
            assert check_answer(question.expected, NOT_AVAILABLE)
            assert not any(check_answer(question.expected, text) for text in ("", "0", "none", "yes", question.text))
    assert found >= ENOUGH


def wrong_answers(question: Question) -> Iterator[str]:
    """Yield answers that are wrong, whatever the question."""
    yield from ("", " ", "yes and no", "0 or 1", "unknown", "S999-L18-1", "NaN", "inf", question.text, NOT_AVAILABLE)
    yield f"{said(question.expected)}, S999"
    yield f"not {said(question.expected)}"


def shifted(expected: dict[str, Any]) -> str:
    """Return a right answer with one thing changed."""
    kind, value = expected["kind"], expected["value"]
    if kind == "parts":
        return ", ".join([*map(said, value[:-1]), shifted(value[-1])])
    if kind == "number":
        off = max(expected["absolute"], expected["relative"] * abs(value)) * 1.2 + 1e-6
        return f"{value + off:.6f}"
    if kind == "count":
        return str(value + 1)
    if kind == "yes_no":
        return "no" if value == "yes" else "yes"
    return ", ".join(value[1:]) if kind in ("set", "pair") else f"{value[:-1]}{(int(value[-1]) + 1) % 10}"


@pytest.mark.parametrize("name", list(templates()))
def test_wrong_answers_are_refused(name: str) -> None:
    for _, _, question in asked(name):
        assert check_answer(question.expected, said(question.expected))
        assert not check_answer(question.expected, shifted(question.expected)), question.expected
        taken = [text for text in wrong_answers(question) if check_answer(question.expected, text)]
        assert not taken, (taken, question.expected)
        if question.expected["kind"] != "yes_no":
            assert not check_answer(question.expected, "yes")


@pytest.mark.parametrize("name", [name for name in templates() if name != "Q04"])
def test_no_constant_answer_wins(name: str) -> None:
    expectations = [question.expected for _, _, question in asked(name)]
    for guess in map(said, expectations):
        right = sum(check_answer(expected, guess) for expected in expectations)
        assert right <= 0.6 * len(expectations), (guess, right, len(expectations))


@pytest.mark.parametrize(("name", "place"), [("Q04", None), ("Q14", 1), ("Q24", 0)])
def test_yes_and_no_are_balanced(name: str, place: int | None) -> None:
    answers = []
    for archetype, region, network in worlds(name):
        for seed in range(4):
            question = question_of(name, network, mix(seed, archetype, region))
            if question is not None:
                value = question.expected["value"]
                answers.append(value if place is None else value[place]["value"])
    assert len(answers) >= 20
    assert 0.35 <= answers.count("yes") / len(answers) <= 0.65


# --- sentences --------------------------------------------------------------------------------------------


def named(sentence: str) -> set[str]:
    return {key for _, key, _, _ in string.Formatter().parse(sentence) if key}


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_complete(language: str) -> None:
    known = texts(language)
    assert set(known) == {*templates(), "comma", "unanswerable"}
    sentences = [sentence for name in templates() for variant in "AB" for sentence in known[name][variant]]
    assert len(set(sentences)) == len(sentences)
    for name in templates():
        assert len(known[name]["A"]) >= 3 and len(known[name]["B"]) >= 2
        slots = set(asked(name)[0][2].slots)
        for sentence in (*known[name]["A"], *known[name]["B"]):
            assert named(sentence) == slots, sentence
    assert len(known["unanswerable"]["A"]) >= 3 and len(known["unanswerable"]["B"]) >= 2


def test_languages_have_sentences_of_their_own() -> None:
    chinese = str(texts("zh"))
    assert sum("\u4e00" <= letter <= "\u9fff" for letter in chinese) > 3000
    for name in templates():
        for variant in "AB":
            for sentence in texts("zh")[name][variant]:
                assert any("\u4e00" <= letter <= "\u9fff" for letter in sentence)
                assert sentence.endswith(("？", "。"))


@pytest.mark.parametrize("name", list(templates()))
def test_texts_name_the_subject_and_not_the_answer(name: str) -> None:
    for _, network, question in asked(name):
        assert "{" not in question.text and "}" not in question.text
        assert NOT_AVAILABLE in question.text
        for value in question.slots.values():
            if str(value) in network.objects:
                assert str(value) in question.text
        if question.expected["kind"] == "id" and name != "Q20":
            assert question.expected["value"] not in question.text.replace(",", " ").split()


def test_words_of_a_language_stand_for_values() -> None:
    _, network, question = next(item for item in asked("Q24") if item[2].slots["asked"])
    spoken = question_of("Q24", network, 3, language="zh")
    assert spoken is not None and ("早于" in spoken.text) and "{asked}" not in question.text


# --- making -----------------------------------------------------------------------------------------------


def test_a_question_follows_from_network_and_seed_and_changes_nothing() -> None:
    network = world("M1", 0, "backhaul_fibre_cut")
    assert network is not None
    before = network.state_hash()
    one = [make_question(network, seed, language="zh", variant="B") for seed in range(8)]
    other = [make_question(network.fork(), seed, language="zh", variant="B") for seed in range(8)]
    assert one == other
    assert network.state_hash() == before
    assert len({question.template for question in one}) >= 4


def test_a_question_travels_as_json() -> None:
    for name in ("Q14", "Q17", "Q27"):
        question = asked(name)[0][2]
        again = Question(**json.loads(json.dumps(question.as_dict())))
        assert again == question
        assert check_answer(again.expected, said(question.expected))


def test_a_few_questions_have_no_answer() -> None:
    network = world("U1", 0, QUIET)
    assert network is not None
    made = [make_question(network, seed, only=("Q08", "Q09", "Q12", "Q21")) for seed in range(400)]
    share = sum(question.expected["kind"] == "not_available" for question in made) / len(made)
    assert abs(share - UNANSWERABLE_SHARE) < 0.03


def test_what_is_wrong_is_asked_about_more_often() -> None:
    network = world("R1", 0, "backhaul_fibre_cut")
    assert network is not None
    made = [make_question(network, seed) for seed in range(40)]
    answered = [question for question in made if question.expected["kind"] != "not_available"]
    share = sum(template(question.template).special for question in answered) / len(answered)
    assert 0.5 < share < 0.9


def test_levels_and_templates_can_be_chosen() -> None:
    network = world("R1", 0, QUIET)
    assert network is not None
    assert {make_question(network, seed, level=2).level for seed in range(6)} == {2}
    assert make_question(network, 1, only=("Q16",)).template == "Q16"
    with pytest.raises(ConfigurationError, match="none of Q15 can be asked here"):
        make_question(network, 1, only=("Q15",))
    with pytest.raises(ConfigurationError, match="no question template 'Q99'"):
        question_of("Q99", network, 1)
    with pytest.raises(ConfigurationError, match="no texts 'fr'"):
        question_of("Q16", network, 1, language="fr")


def test_a_stale_question_is_not_asked() -> None:
    """A cell that is about to be unlocked is not asked about: the answer would change while somebody looks it up."""
    network = world("U1", 0, "sleeping_cell_access")
    assert network is not None
    question = question_of("Q06", network, 1)
    assert question is not None
    copy = network.fork()
    cell = copy.get(Cell, question.expected["value"])
    copy.update(cell, restart_until_s=copy.now + 30 * MINUTE_S)
    assert question_of("Q06", copy, 1) is None


# --- judging ----------------------------------------------------------------------------------------------

NUMBER = {"kind": "number", "value": 1234.5, "absolute": 0.5, "relative": 0.0, "unit": "MHz"}
SHARE = {"kind": "number", "value": 0.0123, "absolute": 1e-4, "relative": 0.0, "unit": "share"}
MINUTES = {"kind": "number", "value": 90.0, "absolute": 1.0, "relative": 0.0, "unit": "min"}
LEVEL = {"kind": "number", "value": -97.4, "absolute": 0.1, "relative": 0.0, "unit": "dBm"}
SET = {"kind": "set", "value": ["S001", "S002"]}
ONE = {"kind": "id", "value": "S004-L18-1"}
YES = {"kind": "yes_no", "value": "yes"}
COUNT = {"kind": "count", "value": 12}
DELAY = {
    "kind": "parts",
    "value": [{"kind": "number", "value": 12.25, "absolute": 0.1, "relative": 0.0, "unit": "us"}, YES],
}
PLAN = {"kind": "parts", "value": [COUNT, {"kind": "set", "value": ["pci", "tac"]}]}
ENERGY = {
    "kind": "parts",
    "value": [
        {"kind": "number", "value": 1234.5, "absolute": 0.5, "relative": 0.0, "unit": "kWh"},
        {"kind": "number", "value": 40.0, "absolute": 1.0, "relative": 0.0, "unit": "%"},
    ],
}


@pytest.mark.parametrize(
    ("expected", "text", "unit"),
    [
        (NUMBER, "1234.5", ""),
        (NUMBER, "1,234.5 MHz", ""),
        (NUMBER, "1 234.5", "mhz"),
        (NUMBER, "1234,5", ""),
        (NUMBER, "1.2345 GHz", ""),
        (NUMBER, "约1234.4兆赫", ""),
        (NUMBER, "approximately 1234.5", "MHz"),
        (NUMBER, "１２３４．５", ""),
        (SHARE, "1.23 %", ""),
        (SHARE, "1.23e-2", ""),
        (MINUTES, "1.5 h", ""),
        (MINUTES, "90分钟", ""),
        (MINUTES, "1.5", "hours"),
        (LEVEL, "−97.4 dBm", ""),
        (SET, "s002 and S001", ""),
        (SET, "S002、S001", ""),
        (SET, "S001; S002.", ""),
        (SET, "sites S001, S002", ""),
        (ONE, "cell s004-l18-1", ""),
        (ONE, "小区S004-L18-1。", ""),
        (YES, "Yes.", ""),
        (YES, "是", ""),
        (COUNT, "12 alarms", ""),
        (COUNT, "12", "条"),
        (DELAY, "12.3 µs, yes", ""),
        (DELAY, "12.2，是", "us"),
        (PLAN, "12, tac, pci", ""),
        (PLAN, "12 cells, pci and tac", ""),
        (ENERGY, "1,234.5 kWh, 40 %", ""),
        (ENERGY, "1234.2，40.5", ""),
        ({"kind": "not_available", "value": None}, "Not available", ""),
    ],
)
def test_right_answers_may_be_written_in_many_ways(expected: dict[str, Any], text: str, unit: str) -> None:
    assert check_answer(expected, text, unit)


@pytest.mark.parametrize(
    ("expected", "text", "unit"),
    [
        (NUMBER, "1234.5 dBm", ""),
        (NUMBER, "1234.5 MHz", "GHz"),
        (NUMBER, "1234.5 bananas", ""),
        (NUMBER, "1234.5 or 99", ""),
        (NUMBER, "1233 1234.5", ""),
        (NUMBER, "not 1234.5", ""),
        (NUMBER, "1235.1", ""),
        (NUMBER, "1e999", ""),
        (NUMBER, "1200+34.5", ""),
        (NUMBER, "__import__('os')", ""),
        (MINUTES, "90 h", ""),
        (LEVEL, "97.4 dBm", ""),
        (SHARE, "1.23", ""),
        (SET, "S001", ""),
        (SET, "S001, S002, S003", ""),
        (SET, "all", ""),
        (ONE, "S004-L18-1, S004-L18-2", ""),
        (ONE, "S004-L18-11", ""),
        (ONE, "not S004-L18-1", ""),
        (YES, "no", ""),
        (YES, "yes no", ""),
        (YES, "不是", ""),
        (COUNT, "12.5", ""),
        (COUNT, "12 MHz", ""),
        (COUNT, "12", "dB"),
        (DELAY, "12.3 µs", ""),
        (DELAY, "12.3 ms, yes", ""),
        (DELAY, "yes, 12.3", ""),
        (PLAN, "12", ""),
        (PLAN, "12, pci", ""),
        (PLAN, "11, pci, tac", ""),
        (ENERGY, "40 %, 1234.5 kWh", ""),
        ({"kind": "not_available", "value": None}, "not_available, or 42", ""),
        (ONE, "S004-L18-1 " * 60, ""),
    ],
)
def test_wrong_contents_are_refused(expected: dict[str, Any], text: str, unit: str) -> None:
    assert not check_answer(expected, text, unit)
