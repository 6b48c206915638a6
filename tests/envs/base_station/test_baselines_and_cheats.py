"""Baselines and cheats: they come to an end, know nothing that agents are not told, and are not paid for it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean
from typing import Any

import pytest

from telegym.core.episode import EndReason, Episode
from telegym.core.replay import replay
from telegym.core.score import Score
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.players.baselines import BASELINES, REFLEXES
from telegym.envs.base_station.players.cheats import CHEATS
from telegym.envs.base_station.players.habits import named_in
from telegym.envs.base_station.players.steps import Player, Reply, next_call, play

CASES = "RES,DIA,PRV,NOF,ESC"
PLAYERS = {**BASELINES, **CHEATS}


@pytest.fixture(scope="module")
def environment() -> BaseStation:
    return BaseStation(count=12, seed=21, kind=CASES)


@pytest.fixture(scope="module")
def played(environment: BaseStation) -> dict[str, list[Episode]]:
    return {
        name: [play(Episode(environment, task), player) for task in environment.tasks]
        for name, player in PLAYERS.items()
    }


def scores(episodes: list[Episode]) -> Iterator[Score]:
    return (episode.score() for episode in episodes)


def test_there_are_enough_of_them() -> None:
    assert list(BASELINES) == [
        *("no_op", "waiter", "random_valid", "alarm_keywords", "reset_first", "escalate_everything"),
    ]
    assert len(CHEATS) >= 12 and not set(BASELINES) & set(CHEATS)
    for name, player in PLAYERS.items():
        assert player.__name__ == name and player.__doc__


@pytest.mark.parametrize("name", PLAYERS)
def test_they_close_their_tickets(played: dict[str, list[Episode]], name: str) -> None:
    for episode in played[name]:
        assert episode.end in (EndReason.FINISHED, EndReason.TIME_LIMIT)
        assert len(episode.calls) < 80
    assert sum(episode.end is EndReason.FINISHED for episode in played[name]) >= len(played[name]) - 1


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_gain_nothing(played: dict[str, list[Episode]], name: str) -> None:
    nothing = mean(score.components["reward"] for score in scores(played["no_op"]))
    assert mean(score.components["reward"] for score in scores(played[name])) < nothing + 0.1
    assert not [score for score in scores(played[name]) if score.success]


def test_doing_nothing_leaves_most_to_be_gained(played: dict[str, list[Episode]]) -> None:
    assert mean(score.components["reward"] for score in scores(played["no_op"])) < 0.5


@pytest.mark.parametrize("name", ["random_valid", "alarm_keywords", "hand_over_everything"])
def test_plays_are_repeated_byte_by_byte(environment: BaseStation, played: dict[str, list[Episode]], name: str) -> None:
    for episode in played[name][:3]:
        again = play(Episode(environment, episode.task), PLAYERS[name])
        assert [record.content for record in again.calls] == [record.content for record in episode.calls]
        assert replay(episode.trajectory(name), environment) == []


@pytest.mark.parametrize("name", PLAYERS)
def test_they_do_not_look_behind_the_scenes(played: dict[str, list[Episode]], name: str) -> None:
    """A player who is shown a task without its secrets makes the same calls."""
    for episode in played[name][:4]:
        calls = [(record.call.name, record.call.arguments) for record in episode.calls]
        assert _without_secrets(episode, PLAYERS[name]) == calls


def _without_secrets(episode: Episode, player: Player) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls of a player whose episode has neither secrets nor a world, and gives the recorded answers."""
    blind = episode.fork()
    blind.task = episode.task.model_copy(update={"data": {"kind": episode.task.data["kind"]}, "labels": {}})
    blind.world = None  # type: ignore[assignment]
    made, calls = [], iter(episode.calls)
    steps = player(blind)
    call = next(steps)
    try:
        while True:
            made.append((call.tool, call.arguments))
            record = next(calls, None)
            if record is None:
                break
            call = steps.send(Reply(record.content, record.error is not None, record.minutes))
    except StopIteration:
        pass
    return made


def test_reflexes_are_of_known_causes(environment: BaseStation) -> None:
    tool = environment.toolkit(environment.tasks[0]).get("submit_diagnosis")
    assert tool is not None
    assert {rule.cause for rule in REFLEXES} <= set(tool.parameters["properties"]["root_cause"]["enum"])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("S006-L18-3 at S006 is down", "S006-L18-3"),
        ("S006: link TL-004-012 lost", "TL-004-012"),
        ("Trouble at S012", "S012"),
        ("Slow around the stadium", "S001"),
        ("Fuse PWR-012-F3 in S012", "PWR-012-F3"),
    ],
)
def test_names_are_read_off_tickets(text: str, first: str) -> None:
    assert named_in(text)[0] == first


def test_players_can_be_asked_for_one_call(environment: BaseStation) -> None:
    episode = Episode(environment, environment.tasks[0])
    first = next_call(episode, BASELINES["waiter"])
    assert first is not None and first.tool in ("wait", "submit_diagnosis")
