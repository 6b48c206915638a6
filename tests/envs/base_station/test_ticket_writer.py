"""Tickets: enough of them, in two disjoint sets and two languages, as exact as their level says, and without causes."""

from __future__ import annotations

import difflib
import itertools
import re
from importlib import resources
from typing import Any

import pytest
import yaml

from telegym.core.errors import ConfigurationError, TaskError
from telegym.envs.base_station import ticket_writer
from telegym.envs.base_station.engine import DAY_S, time_text
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Site
from telegym.envs.base_station.ticket_grammar import parse, render, required_slots, slots
from telegym.envs.base_station.ticket_writer import (
    HUMAN_SOURCES,
    KINDS,
    LANGUAGES,
    SOURCES,
    VARIANTS,
    Symptom,
    TicketText,
    suitable_sources,
    templates,
    write_ticket,
)

SYMPTOM = Symptom(
    "degraded",
    "S004",
    "Hillview",
    cells=("S004-L8-1", "S004-L18-2"),
    count=3,
    since_s=9 * DAY_S + 13 * 3600 + 47 * 60,
    neighbour_site_id="S011",
    neighbour_place="Dunmore",
    indicator="erab_drop_pct",
    link_id="TL-004-011",
    road="Long Acre",
    complaints=5,
    alarm_text="26101 Mains supply lost, site on battery",
    pci=211,
    rsrp_dbm=-97.4,
    measured_min=25,
    design_min=240,
    work="battery test",
)
SEEDS = range(400)
SYSTEMS = tuple(source for source in SOURCES if source not in HUMAN_SOURCES)
NAMED = (*(name for name in (SYMPTOM.indicator, SYMPTOM.link_id, SYMPTOM.alarm_text, *SYMPTOM.cells)), "S004", "S011")
"""What must never be misspelt."""
CHINESE_CAUSES = (
    *("光缆", "整流", "蓄电池", "空调", "驻波", "馈线", "许可", "证书", "闭锁", "邻区漏配", "冲突", "混淆", "直放站"),
    *("大气波导", "雨衰", "时钟", "被盗", "雷击", "睡眠", "软件", "版本", "板卡", "光模块", "倾角", "方位角", "参数"),
)


def rows(language: str, source: str) -> dict[str, list[dict[str, Any]]]:
    folder = resources.files("telegym.envs.base_station").joinpath("texts", language, "tickets")
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load(folder.joinpath(f"{source}.yaml").read_text("utf-8"))
    return found


def plain(text: str) -> str:
    """A text without case, punctuation, spaces and brackets."""
    return re.sub(r"[\W_]+", "", text.lower())


def written(kind: str = "degraded", **options: Any) -> list[TicketText]:
    return [write_ticket(SYMPTOM._replace(kind=kind), seed=seed, **options) for seed in SEEDS]


ALL = [(language, source) for language in LANGUAGES for source in SOURCES]


@pytest.mark.parametrize(("language", "source"), ALL)
def test_every_source_has_forty_templates_in_two_sets(language: str, source: str) -> None:
    sets = rows(language, source)
    assert set(sets) == set(VARIANTS)
    assert all(len(sets[name]) >= 20 for name in VARIANTS)
    assert sum(map(len, sets.values())) >= 40
    assert all(row["kinds"] and set(row["kinds"]) <= set(KINDS) for row in itertools.chain(*sets.values()))


@pytest.mark.parametrize(("language", "source"), ALL)
def test_templates_are_all_different_and_sets_do_not_resemble_each_other(language: str, source: str) -> None:
    sets = rows(language, source)
    titles = [plain(row["title"]) for row in itertools.chain(*sets.values())]
    bodies = {name: [plain(row["body"]) for row in sets[name]] for name in VARIANTS}
    assert len(set(titles)) == len(titles)
    assert len({*bodies["A"], *bodies["B"]}) == len(bodies["A"]) + len(bodies["B"])
    matcher = difflib.SequenceMatcher(autojunk=False)
    for second in bodies["B"]:
        matcher.set_seq2(second)
        for first in bodies["A"]:
            matcher.set_seq1(first)
            assert matcher.real_quick_ratio() < 0.8 or matcher.ratio() < 0.8, (first, second)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_written_from_one_set_comes_from_the_other(language: str, kind: str) -> None:
    texts = [{plain(t.title + t.body) for t in written(kind, language=language, variant=name)} for name in VARIANTS]
    assert not texts[0] & texts[1]


@pytest.mark.parametrize("source", SOURCES)
def test_languages_have_the_same_kinds_and_slots(source: str) -> None:
    for name in VARIANTS:
        for first, second in zip(templates("en", source)[name], templates("zh", source)[name], strict=True):
            assert first.kinds == second.kinds
            for one, other in ((first.title, second.title), (first.body, second.body)):
                assert slots(one) == slots(other)
                assert required_slots(one) == required_slots(other)


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_name_no_bare_identifiers_of_sites_and_every_template_says_where(language: str) -> None:
    for source in SOURCES:
        for template in itertools.chain(*templates(language, source).values()):
            used = required_slots(template.title) | required_slots(template.body)
            if source in HUMAN_SOURCES:
                assert "site" not in slots(template.title) | slots(template.body)
                assert used & {"place", "where", "address"}
            else:
                assert used & {"site", "cells"}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_enough_voices_and_wordings(kind: str, language: str, variant: str) -> None:
    tickets = written(kind, language=language, variant=variant)
    assert len({ticket.source for ticket in tickets}) >= 2
    assert len({ticket.body for ticket in tickets}) >= 100


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_poor_service_is_told_in_hundreds_of_ways(language: str, variant: str) -> None:
    assert len({ticket.body for ticket in written("degraded", language=language, variant=variant)}) >= 300


def test_same_seed_same_ticket_in_any_order() -> None:
    forward = [write_ticket(SYMPTOM, seed=seed, imprecision=3) for seed in range(40)]
    ticket_writer.templates.cache_clear()
    backward = [write_ticket(SYMPTOM, seed=seed, imprecision=3) for seed in reversed(range(40))]
    assert forward == backward[::-1]
    assert len(set(forward)) > 35


def test_both_languages_have_the_same_source_and_the_same_mistakes() -> None:
    for kind in KINDS:
        for first, second in zip(
            written(kind, imprecision=3), written(kind, imprecision=3, language="zh"), strict=True
        ):
            assert (first.source, first.scope) == (second.source, second.scope)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_cause_is_named(language: str) -> None:
    text = resources.files("telegym.envs.base_station.faults").joinpath("faults.yaml").read_text(encoding="utf-8")
    faults = yaml.safe_load(text)
    banned = {plain(code) for code in faults}
    codes = re.compile(rf"\b({'|'.join(info['id'] for info in faults.values())})\b")
    known = SYMPTOM._replace(alarm_text="26999 An alarm")
    assert len(banned) > 80
    for kind, variant, level in itertools.product(KINDS, VARIANTS, (0, 3)):
        for seed in range(120):
            ticket = write_ticket(
                known._replace(kind=kind), language=language, variant=variant, imprecision=level, seed=seed
            )
            said = plain(f"{ticket.title} {ticket.body}")
            assert not [name for name in banned if name in said], ticket
            assert not codes.search(f"{ticket.title} {ticket.body}"), ticket


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_template_names_a_cause_in_any_alternative(language: str) -> None:
    text = resources.files("telegym.envs.base_station.faults").joinpath("faults.yaml").read_text(encoding="utf-8")
    banned = {*map(plain, yaml.safe_load(text)), *CHINESE_CAUSES}
    for source in SOURCES:
        for row in itertools.chain(*rows(language, source).values()):
            flat = plain(row["title"] + row["body"])
            assert not [name for name in banned if name in flat], row


@pytest.mark.parametrize(("language", "source"), ALL)
def test_exact_tickets_name_site_and_time_exactly(language: str, source: str) -> None:
    clock, month_day = ("13:47", "03-12") if language == "en" or source in SYSTEMS else ("13:47", "3月12日")
    for kind in KINDS:
        if source not in suitable_sources(SYMPTOM._replace(kind=kind)):
            continue
        for seed in range(60):
            ticket = write_ticket(SYMPTOM._replace(kind=kind), language=language, seed=seed, sources=(source,))
            said = f"{ticket.title} {ticket.body}"
            assert "S004" in said
            assert ticket.scope[0] == "S004"
            assert set(ticket.scope[1:]) <= set(SYMPTOM.cells)
            assert all(name in said for name in ticket.scope)
            times = re.findall(r"\d\d:\d\d", said)
            assert set(times) <= {clock}
            assert not times or month_day in said


def test_the_time_is_given_in_most_tickets() -> None:
    for kind, source in itertools.product(KINDS, SOURCES):
        symptom = SYMPTOM._replace(kind=kind)
        if source in suitable_sources(symptom):
            texts = [write_ticket(symptom, seed=seed, sources=(source,)) for seed in range(60)]
            assert sum("13:47" in f"{text.title} {text.body}" for text in texts) >= 58


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_name_places_from_level_one_on_and_systems_identifiers(language: str) -> None:
    for kind, level in itertools.product(KINDS, (1, 2, 3)):
        for ticket in written(kind, language=language, imprecision=level):
            said = f"{ticket.title} {ticket.body}"
            if ticket.human:
                assert not re.search(r"S\d{3}", said), ticket
                assert "Hillview" in said or "Dunmore" in said
            else:
                assert ticket.scope[0] in said


def test_mistakes_come_as_often_as_told_and_only_from_level_two_on() -> None:
    truth = time_text(SYMPTOM.since_s)[:-3]
    for level in (0, 1):
        for ticket in written("uplink", imprecision=level, sources=("son",)):
            assert ticket.scope[0] == "S004"
            assert truth in ticket.body
            assert "S004-L8-1, S004-L18-2" in ticket.body + ticket.title
    tickets = written("uplink", imprecision=2, sources=("son",))
    wrong_site = [ticket for ticket in tickets if ticket.scope[0] == "S011"]
    assert 0.23 < len(wrong_site) / len(tickets) < 0.37
    assert all(ticket.scope == ("S011",) and "S004-" not in ticket.body for ticket in wrong_site)
    offsets = [_minutes(ticket.body) - _minutes(truth) for ticket in tickets]
    assert 0.23 < sum(offset != 0 for offset in offsets) / len(tickets) < 0.37
    assert max(map(abs, offsets)) <= 40
    assert min(offsets) < -30
    assert max(offsets) > 30


def _minutes(text: str) -> int:
    found = re.search(r"T(\d\d):(\d\d)", text)
    assert found is not None
    return 60 * int(found[1]) + int(found[2])


def test_no_neighbour_no_confusion() -> None:
    alone = SYMPTOM._replace(neighbour_site_id="", neighbour_place="")
    for seed in range(200):
        assert write_ticket(alone, seed=seed, imprecision=2).scope[0] == "S004"


@pytest.mark.parametrize("language", LANGUAGES)
def test_vague_tickets_are_shorter_and_mention_areas(language: str) -> None:
    exact = written("outage", language=language, imprecision=1)
    vague = written("outage", language=language, imprecision=3)
    assert [ticket.source for ticket in exact] == [ticket.source for ticket in vague]
    systems = [(len(a.body), len(b.body)) for a, b in zip(exact, vague, strict=True) if not a.human]
    assert sum(second < first for first, second in systems) > 0.25 * len(systems)
    assert all(ticket.scope == ("S004", "S011") or ticket.scope == ("S011", "S004") for ticket in vague if ticket.human)
    areas = ("area", "side of town", "somewhere") if language == "en" else ("片区", "一带", "那边", "一大片", "之间")
    for ticket in vague:
        if ticket.human:
            assert any(area in f"{ticket.title} {ticket.body}".lower() for area in areas), ticket


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("source", SOURCES)
def test_only_people_mistype_and_never_what_is_known(
    monkeypatch: pytest.MonkeyPatch, language: str, source: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ticket_writer, "_TYPO", 0.0)
        patch.setattr(ticket_writer, "_HOMOPHONE", 0.0)
        clean = _all_kinds(source, language)
    mistyped = [pair for pair in zip(clean, _all_kinds(source, language), strict=True) if pair[0] != pair[1]]
    if source in SYSTEMS:
        assert not mistyped
        return
    assert len(mistyped) > 0.3 * len(clean)
    for before, after in mistyped:
        first, second = (f"{ticket.title} {ticket.body}" for ticket in (before, after))
        exact = r"[A-Z]{2,}|[A-Za-z]*\d[A-Za-z0-9:.-]*|Hillview|Dunmore|Long Acre|erab_drop_pct"
        assert re.findall(exact, first) == re.findall(exact, second)
        assert [first.count(name) for name in NAMED] == [second.count(name) for name in NAMED]
        assert abs(len(first) - len(second)) <= 8
        assert before.scope == after.scope


def _all_kinds(source: str, language: str) -> list[TicketText]:
    kinds = [kind for kind in KINDS if source in suitable_sources(SYMPTOM._replace(kind=kind))]
    return [
        write_ticket(SYMPTOM._replace(kind=kind), language=language, imprecision=3, seed=seed, sources=(source,))
        for kind in kinds
        for seed in range(300 // len(kinds))
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_bare_symptom_leaves_no_holes(language: str) -> None:
    for kind, variant, level in itertools.product(KINDS, VARIANTS, range(4)):
        bare = Symptom(kind, "S004", "Hillview", since_s=SYMPTOM.since_s, alarm_text="An alarm", indicator="cqi_mean")
        for seed in range(80):
            ticket = write_ticket(bare, language=language, variant=variant, imprecision=level, seed=seed)
            said = f"{ticket.title}\n{ticket.body}"
            assert not re.search(
                r"None|[{}\[\]<>|]|  | [.,;:。，；：]|\(\)|（）|\.\.|。。|,,|，，|: ?\.|：。|\b0 ", said
            ), said
            assert ticket.title == ticket.title.strip() and ticket.title
            if language == "en":
                assert ticket.title[0] == ticket.title[0].upper()


def test_cells_are_shortened_after_six() -> None:
    many = tuple(f"S004-L8-{index}" for index in range(1, 10))
    for language, words in (("en", "and 3 more"), ("zh", "等 9 个小区")):
        ticket = write_ticket(SYMPTOM._replace(kind="uplink", cells=many), language=language, seed=1, sources=("son",))
        assert f"{', '.join(many[:6])}" in ticket.body + ticket.title
        assert words in ticket.body + ticket.title
        assert "S004-L8-7" not in ticket.body + ticket.title


def test_sources_suit_kinds() -> None:
    for kind, expected in {
        "outage": {"alarm_correlation", "customer_care", "enterprise_customer", "field_report", "drive_test"},
        "degraded": {"customer_care", "enterprise_customer", "drive_test", "son"},
        "alarm": {"alarm_correlation", "field_report"},
        "audit": {"audit", "field_report"},
        "uplink": {"son", "neighbour_operator", "customer_care"},
        "interference": {"son", "neighbour_operator", "customer_care"},
    }.items():
        assert expected <= set(suitable_sources(SYMPTOM._replace(kind=kind)))
    quiet = SYMPTOM._replace(alarm_text="")
    assert "alarm_correlation" not in suitable_sources(quiet), "no alarm, nothing to correlate"
    assert "son" not in suitable_sources(SYMPTOM._replace(kind="uplink", cells=()))


def test_durations_are_mentioned_only_if_they_fall_short() -> None:
    for measured, said in ((25, True), (240, False), (None, False)):
        symptom = SYMPTOM._replace(kind="audit", measured_min=measured)
        bodies = [write_ticket(symptom, seed=seed, sources=("audit",)).body for seed in range(40)]
        assert any(f"{measured} min" in body for body in bodies) is said
        assert any("240 min" in body for body in bodies) is said


def test_allowed_sources_are_kept_to_and_all_of_them_write() -> None:
    allowed = ("drive_test", "son")
    tickets = written(sources=allowed)
    assert {ticket.source for ticket in tickets} == set(allowed)
    assert {ticket.human for ticket in tickets if ticket.source == "son"} == {False}
    assert {ticket.human for ticket in tickets if ticket.source == "drive_test"} == {True}
    assert {ticket.source for ticket in written()} == set(suitable_sources(SYMPTOM))


def test_names_come_from_a_network() -> None:
    site = next(iter(Network("S1", 3, seed=1).all(Site)))
    ticket = write_ticket(Symptom("outage", site.id, site.name), imprecision=1, seed=4, sources=("customer_care",))
    assert site.name in ticket.title + ticket.body
    assert site.id not in ticket.title + ticket.body


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"language": "fr"}, ConfigurationError, "no ticket language 'fr'"),
        ({"variant": "C"}, ConfigurationError, "no ticket variant 'C'"),
        ({"imprecision": 4}, ConfigurationError, "no imprecision 4"),
        ({"sources": ("customer_car",)}, ConfigurationError, "Did you mean 'customer_care'?"),
        ({"sources": ("audit",)}, TaskError, "no source among audit can write about 'degraded'"),
        ({"sources": ()}, TaskError, "can write about 'degraded'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        write_ticket(SYMPTOM, seed=1, **options)


def test_unknown_kinds_of_symptoms_are_named() -> None:
    with pytest.raises(TaskError, match=r"no kind 'outages'.*Did you mean 'outage'"):
        write_ticket(SYMPTOM._replace(kind="outages"), seed=1)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"kinds": ["outage"], "title": "{sitt}", "body": "x"}, "no slot 'sitt'"),
        ({"kinds": ["outrage"], "title": "{site}", "body": "x"}, "no kind 'outrage'"),
        ({"kinds": ["outage"], "title": "{site}", "body": "[a|b"}, "is missing"),
        ({"kinds": ["outage"], "title": "{site}", "body": "<a"}, "is missing"),
        ({"kinds": ["outage"], "title": "{site}", "body": "a]"}, "stray ']'"),
        ({"kinds": ["outage"], "title": "{site}", "body": "a | b"}, "stray '|'"),
        ({"kinds": ["outage"], "title": "{site}", "body": "{no name}"}, "a slot is a name"),
    ],
)
def test_wrong_templates_are_named(monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], words: str) -> None:
    monkeypatch.setattr(ticket_writer, "_read", lambda language, source: {"A": [row], "B": []})
    with pytest.raises(TaskError, match=re.escape(words)):
        templates.__wrapped__("en", "son")


def test_grammar_alternatives_and_parts() -> None:
    nodes = parse("[a|b<, {x}>] {y}<; [{x}|c]>")
    assert slots(nodes) == {"x", "y"}
    assert required_slots(nodes) == {"y"}
    full = {"".join(p.text for p in render(nodes, {"x": "1", "y": "2"}, seed, "k")) for seed in range(64)}
    assert full == {"a 2; 1", "a 2; c", "b, 1 2; 1", "b, 1 2; c"}
    bare = {"".join(p.text for p in render(nodes, {"x": "", "y": "2"}, seed, "k")) for seed in range(64)}
    assert bare == {"a 2", "b 2"}
    gone = {"".join(p.text for p in render(nodes, {"x": "1", "y": "2"}, seed, "k", missing=1.0)) for seed in range(64)}
    assert gone == {"a 2", "b 2"}
    assert [p.exact for p in render(parse("a {y}"), {"y": "2"}, 1, "k")] == [False, True]
