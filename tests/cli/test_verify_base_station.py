"""`telegym verify base-station`: what it prints, its JSON, its exit codes."""

from __future__ import annotations

import json

import pytest

from telegym.cli.verify import _print_base_station
from telegym.envs.base_station.players.baselines import BASELINES
from telegym.envs.base_station.players.cheats import CHEATS
from telegym.envs.base_station.verification import BaseStationReport
from tests.cli.conftest import Result, Telegym

PLAYERS = {"oracle", "expert", *BASELINES, *CHEATS}


@pytest.fixture
def verified(telegym: Telegym) -> Result:
    return telegym("verify", "base-station", "--count", 6, "--every", 6, "--jobs", 2, "--json")


def test_verify_base_station_as_json(verified: Result) -> None:
    report = json.loads(verified.out)
    assert report["tasks"] == 6 and report["sampled"] == 1
    assert set(report["players"]) == PLAYERS
    assert report["players"]["oracle"]["successes"] == 6
    assert (report["leaks"], report["different"], report["replays"]) == (0, 0, 3)
    assert report["passed"] == (report["missed"] == [])
    assert verified.code == (0 if report["passed"] else 1)


def test_verify_base_station_for_people(telegym: Telegym) -> None:
    result = telegym("verify", "base-station", "--count", 2, "--split", "dev", "--seed", 1)
    lines = result.out.splitlines()
    assert lines[0].startswith("2 tasks: ")
    assert {line.split()[0] for line in lines if "%" in line} >= PLAYERS
    assert "0 leaks, 0 of 3 replays differ" in lines


def test_missed_goals_are_printed_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    report = BaseStationReport(tasks=1, leaks=2, problems=["bs-1: the ticket says wrong_tac"])
    _print_base_station(report)
    printed = capsys.readouterr().out
    assert "bs-1: the ticket says wrong_tac" in printed
    assert "missed: the oracle solves 0 of 1 tasks" in printed
    assert "missed: 2 texts tell what is to be found out" in printed


def test_an_unknown_split_is_exit_code_2(telegym: Telegym) -> None:
    result = telegym("verify", "base-station", "--count", 1, "--split", "tset")
    assert result.code == 2 and "Did you mean 'test'?" in result.err
