"""The player: every command, scripted, in a plain terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telegym.core.trajectory import read_trajectories
from tests.cli.conftest import Telegym, telegym

__all__ = ["telegym"]


def play(telegym: Telegym, *lines: str, task: str = "toy-2", options: tuple[str, ...] = ()) -> str:
    result = telegym("play", "toy", "--task", task, *options, stdin="\n".join(lines) + "\n")
    assert result.code == 0, result.err
    return result.out


def test_a_whole_game_shows_ticket_calls_changes_and_score(telegym: Telegym) -> None:
    out = play(telegym, "change_counter counter_id=C001 amount=6", "done")
    assert "Bring counter C001 to 6." in out
    assert (
        '→ change_counter(counter_id="C001", amount=6)\nC001 is now 6\n  minutes: 0.0 → 2.0\n  values.C001: 0 → 6\n'
        in out
    )
    assert "Score 1   (ended: finished, 2 turns, 2 calls)\n  reached: 1\n  collateral: 1\n" in out


@pytest.mark.parametrize(
    "line",
    [
        "change_counter counter_id=C001 amount=6",
        'change_counter(counter_id="C001", amount=6)',
        '{"name": "change_counter", "arguments": {"counter_id": "C001", "amount": 6}}',
        'change_counter counter_id="C001" amount=6 direction=up',
    ],
)
def test_a_call_can_be_written_in_every_form(telegym: Telegym, line: str) -> None:
    assert "values.C001: 0 → 6" in play(telegym, line)


def test_a_wrong_call_is_answered_and_changes_nothing(telegym: Telegym) -> None:
    out = play(telegym, "change_counter counter_id=C001 amount=60", "read_counter", "change_counter(1)")
    assert "less than or equal to 10" in out
    assert out.count("the state is as before") == 3
    assert "arguments must be named" in out


def test_text_that_is_no_call_does_not_end_the_episode_by_accident(telegym: Telegym) -> None:
    out = play(telegym, "read_countr now", "/say I give up")
    assert "Not a tool call, and nobody listens here. Did you mean 'read_counter'?" in out
    assert "ended: agent_error" in out


def test_hint_do_undo(telegym: Telegym) -> None:
    out = play(telegym, "/undo", "/hint", "/do", "/undo", "/do", "/do", "/hint", "/undo", "/score")
    assert "There is no turn to take back." in out
    assert 'The oracle would: change_counter(counter_id="C001", amount=6, direction="up")' in out
    assert "Back to turn 0.\n  minutes: 2.0 → 0.0\n  values.C001: 6 → 0" in out
    assert "There is no hint from here." in out
    assert "Back to turn 1." in out
    assert "as it stands, 1 turns" in out


def test_where_nobody_listens_commands_need_no_slash(telegym: Telegym) -> None:
    slashed = play(telegym, "/do", "/undo", "/hint", "/quit")
    assert play(telegym, "do", "undo", "hint", "quit") == slashed.replace("> /", "> ")


def test_after_the_end_only_looking_and_undo(telegym: Telegym) -> None:
    out = play(telegym, "done", "read_counter counter_id=C001", "/say hello", "", "never read")
    assert "The episode has ended. /undo takes the last turn back" in out
    assert "never read" not in out


def test_looking_around(telegym: Telegym) -> None:
    out = play(
        telegym,
        "/tools",
        "/tools change_counter",
        "/tools change_countr",
        "/state values.C002",
        "/state valeus",
        "/policy",
        "/ticket",
        "read_counter counter_id=C001",
        "/messages",
        "/help",
        "/stat",
        "/quit",
        "never read",
    )
    assert "change_counter(counter_id, amount, [direction])\n    Change a counter." in out
    assert 'direction ("up" | "down"): Whether the counter rises or falls.' in out
    assert "No tool 'change_countr'. Did you mean 'change_counter'?" in out
    assert "> /state values.C002\n0\n" in out
    assert "The state has no 'valeus'. Did you mean 'values'?" in out
    assert "leave the others alone" in out
    assert out.count('{"counter_id": "C001", "value": 0}') == 2
    assert "/undo      take back the last turn" in out
    assert "No command /stat. Did you mean '/state'?" in out
    assert "never read" not in out


def test_where_a_user_listens_text_is_said(telegym: Telegym) -> None:
    out = play(telegym, "What is wrong?", "It is all done.", options=("-o", "talkative=true"))
    assert "user: Bring counter C001 to 6." in out
    assert "ended: user_stop" in out


def test_the_end_of_the_input_leaves(telegym: Telegym) -> None:
    assert "Score" not in play(telegym, "read_counter counter_id=C001")


def test_result_as_json_and_saved(telegym: Telegym, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    result = telegym("play", "toy", "--task", "toy-2", "--save", path, "--json", stdin="/do\n/do\n")
    report = json.loads(result.out)
    assert (report["end"], report["score"]["value"], report["calls"]) == ("finished", 1.0, 2)
    assert "values.C001" in result.err
    assert [each.agent for each in read_trajectories(path)] == ["human"]
    assert telegym("replay", path).code == 0


def test_a_task_is_drawn_by_the_seed(telegym: Telegym) -> None:
    tasks = {json.loads(telegym("play", "toy", "--seed", seed, "--json").out)["task"] for seed in range(8)}
    assert len(tasks) > 2
    assert json.loads(telegym("play", "toy", "--seed", 1, "--json").out)["task"] in tasks


def test_tau2_telecom_is_played_to_the_end_by_its_hints(telegym: Telegym) -> None:
    result = telegym("play", "--seed", 3, "--json", stdin="/do\n" * 40)
    assert json.loads(result.out)["score"]["value"] == 1.0
