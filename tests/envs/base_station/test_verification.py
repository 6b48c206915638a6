"""Verification: reports do not depend on the number of processes, goals are noticed when missed, leaks when there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall
from telegym.envs.base_station.cases import TICKET, namings, truth_of
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.parameters import parameters_of
from telegym.envs.base_station.players.baselines import BASELINES
from telegym.envs.base_station.players.cheats import CHEATS
from telegym.envs.base_station.players.oracle import oracle
from telegym.envs.base_station.players.steps import play
from telegym.envs.base_station.verification import (
    ALSO_PARAMETERS,
    BaseStationReport,
    Naming,
    Tally,
    leaks_in,
    verify_base_station,
)


@pytest.fixture(scope="module")
def report() -> BaseStationReport:
    return verify_base_station(4, 7, every=3)


def test_what_a_report_says(report: BaseStationReport) -> None:
    assert (report.tasks, report.sampled) == (4, 2)
    assert sum(report.kinds.values()) == sum(report.levels.values()) == 4
    assert set(report.players) == {"oracle", "expert", *BASELINES, *CHEATS}
    assert report.players["oracle"].plays == 4 and report.players["no_op"].plays == 2
    assert report.players["oracle"].successes == 4 and report.players["oracle"].reward > 0.95
    assert sum(item.accepted for item in report.acceptance.values()) == 4
    assert sum(item.cases for item in report.naming.values()) == 4 - report.kinds.get("QNA", 0)
    assert (report.replays, report.different, report.leaks) == (6, 0, 0)
    assert report.to_dict()["passed"] is report.passed


def test_processes_do_not_change_a_report(report: BaseStationReport) -> None:
    seen: list[tuple[int, int]] = []
    again = verify_base_station(4, 7, every=3, jobs=2, on_progress=lambda done, total: seen.append((done, total)))
    assert again == report
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_is_on_record_is_not_played_again(report: BaseStationReport, tmp_path: Path) -> None:
    log = tmp_path / "new" / "log.jsonl"
    assert verify_base_station(2, 7, every=3, log=log).tasks == 2
    first = log.read_text(encoding="utf-8")
    log.write_text(first + '{"index": 2, "fou', encoding="utf-8")
    assert verify_base_station(4, 7, every=3, log=log) == report
    whole = log.read_text(encoding="utf-8")
    assert whole.startswith(first) and [json.loads(line).get("index") for line in whole.splitlines()] == [
        None,
        0,
        1,
        2,
        3,
    ]
    changed = whole.replace('"success": true', '"success": false')
    log.write_text(changed, encoding="utf-8")
    assert verify_base_station(4, 7, every=3, log=log).players["oracle"].successes == 0
    assert log.read_text(encoding="utf-8") == changed


def test_the_log_of_something_else_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("notes\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"is no log of .*begins with 'notes"):
        verify_base_station(1, log=log)
    assert log.read_text(encoding="utf-8") == "notes\n"


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'test'"):
        verify_base_station(1, split="tset")  # type: ignore[arg-type]


def good_report() -> BaseStationReport:
    """Return a report of 200 tasks that meets every goal, if only just."""
    return BaseStationReport(
        tasks=200,
        players={
            "oracle": Tally(200, 199, 0.99, 0),
            "expert": Tally(200, 150, 0.9, 0),
            "no_op": Tally(100, 0, 0.40, 100),
            **{name: Tally(100, 2, 0.499, 100) for name in CHEATS},
        },
        naming={0: Naming(95, 100), 4: Naming(0, 50)},
        replays=10,
    )


def with_player(name: str, tally: Tally) -> BaseStationReport:
    report = good_report()
    return replace(report, players={**report.players, name: tally})


BAD: dict[str, Callable[[], BaseStationReport]] = {
    "the oracle solves 198 of 200 tasks": lambda: with_player("oracle", Tally(200, 198, 0.99, 0)),
    "the oracle breaks rules in 1 tasks": lambda: with_player("oracle", Tally(200, 200, 0.99, 1)),
    "the expert breaks rules in 2 tasks": lambda: with_player("expert", Tally(200, 150, 0.9, 2)),
    "the expert names 94 of 100 causes up to level 3": lambda: replace(good_report(), naming={3: Naming(94, 100)}),
    "cheat flatter gets 0.510, 0.500 is too much": lambda: with_player("flatter", Tally(100, 0, 0.51, 100)),
    "cheat flatter solves 3 of 100 tasks": lambda: with_player("flatter", Tally(100, 3, 0.40, 100)),
    "1 texts tell what is to be found out": lambda: replace(good_report(), leaks=1),
    "1 of 10 replays differ": lambda: replace(good_report(), different=1),
}


def test_a_report_that_meets_all_goals() -> None:
    assert good_report().passed


@pytest.mark.parametrize("goal", BAD)
def test_missed_goals_are_named(goal: str) -> None:
    report = BAD[goal]()
    assert not report.passed
    assert [line for line in report.missed if line.startswith(goal)] == report.missed


# --- leaks ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished() -> Episode:
    environment = BaseStation(count=1, seed=4, kind="RES")
    return play(Episode(environment, environment.tasks[0]), oracle)


@pytest.mark.parametrize("word", ["cell_left_locked", "wrong_tac", "mains_ok", "failed_branches", "soh_true"])
def test_codes_and_hidden_fields_are_leaks(finished: Episode, word: str) -> None:
    assert list(leaks_in(finished)) == []
    known = word != "soh_true"
    episode = finished.fork()
    said = [replace(record, content=f"state: ok  {word}: yes") for record in finished.calls[:1]]
    episode._calls = said
    assert list(leaks_in(episode)) == ([f"{said[0].call.name} says {word}"] if known else [])


def test_what_the_agent_says_itself_is_no_leak(finished: Episode) -> None:
    (record,) = (record for record in finished.calls if record.call.name == "submit_diagnosis")
    assert truth_of(finished.task.data).defects[0].code in record.content


def test_exempt_codes_are_names_of_parameters(finished: Episode) -> None:
    world = finished.world
    assert isinstance(world, Network)
    names = {name for record in world.region.records.values() for name in parameters_of(record)}
    assert names >= ALSO_PARAMETERS


# --- what a diagnosis is worth --------------------------------------------------------------------------


def diagnosed(code: str, element: str, extra: list[str]) -> float:
    environment = BaseStation(count=1, seed=4, kind="RES", hardest=1)
    episode = Episode(environment, environment.tasks[0], record=False)
    arguments = {"ticket_id": TICKET, "root_cause": code, "element_id": element, "additional_causes": extra}
    call = ToolCall(id="c", name="submit_diagnosis", arguments=arguments)
    assert "Error" not in str(episode.step(Message(role="assistant", tool_calls=(call,)))[0].content)
    return episode.score().components["share_diagnosis"]


def test_guesses_beside_the_truth_cost() -> None:
    environment = BaseStation(count=1, seed=4, kind="RES", hardest=1)
    truth = truth_of(environment.tasks[0].data)
    right = namings(truth.network, truth.defects[0])[0]
    wrong = ["mtu_mismatch@S001", "tma_failure@S001", "ike_mismatch@S001"]
    assert diagnosed(right.code, right.element_id, []) == 1.0
    assert diagnosed(right.code, "S001", []) == 0.3
    assert diagnosed(right.code, right.element_id, wrong[:1]) == 0.75
    assert diagnosed("mtu_mismatch", "S001", [f"{right.code}@{right.element_id}"]) == 0.75
    assert diagnosed("mtu_mismatch", "S001", [f"{right.code}@{right.element_id}", *wrong[1:]]) == 0.25
    assert diagnosed("mtu_mismatch", "S001", wrong[1:]) == 0.0
