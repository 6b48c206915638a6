from __future__ import annotations

from pathlib import Path

import pytest

from telegym.agents.base import make_agent
from telegym.agents.oracle import OracleAgent
from telegym.agents.random import RandomAgent
from telegym.agents.replaying import ReplayingAgent
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import ConfigurationError
from telegym.core.score import Failure
from tests.toy import Toy


@pytest.mark.parametrize("talkative", [False, True])
def test_a_recording_is_played_again_to_the_byte(talkative: bool, tmp_path: Path) -> None:
    env, file = Toy(talkative=talkative), tmp_path / "played.jsonl"
    first = rollout(env, env.tasks, RandomAgent(), seeds=[0, 7], write_to=file)
    again = rollout(env, env.tasks, make_agent(f"replay:{file}"), seeds=[7, 0])
    by_key = {(episode.task.id, episode.seed): episode.trajectory("x").to_json() for episode in first}
    assert len(by_key) == len(again) == 2 * len(env.tasks)
    assert all(by_key[episode.task.id, episode.seed] == episode.trajectory("x").to_json() for episode in again)


def test_a_recording_cut_off_from_outside_is_cut_off_again() -> None:
    env = Toy()
    cut = Episode(env, env.tasks[0])
    cut.step('read_counter(counter_id="C001")')
    cut.truncate(EndReason.TOKEN_LIMIT)
    (again,) = rollout(env, env.tasks[:1], ReplayingAgent([cut.trajectory()]))
    assert again.end is EndReason.TOKEN_LIMIT
    assert again.turn == 1


def test_a_recorded_failure_of_the_infrastructure_stays_one() -> None:
    env, failure = Toy(), Failure(party="infrastructure", message="no power")
    failed = Episode(env, env.tasks[0])
    failed.truncate(EndReason.INFRASTRUCTURE, failure)
    (again,) = rollout(env, env.tasks[:1], ReplayingAgent([failed.trajectory()]))
    assert again.end is EndReason.INFRASTRUCTURE
    assert again.score().failure == failure


def test_an_unfinished_recording_ends_at_its_last_turn() -> None:
    env = Toy()
    open_end = Episode(env, env.tasks[0])
    open_end.step('read_counter(counter_id="C001")')
    (again,) = rollout(env, env.tasks[:1], ReplayingAgent([open_end.trajectory()]))
    assert (again.end, again.turn) == (EndReason.TURN_LIMIT, 1)


def test_a_missing_recording_is_named() -> None:
    env = Toy(limits=Limits(turns=3))
    recordings = [episode.trajectory() for episode in rollout(env, env.tasks[:1], OracleAgent(), seeds=[3, 4])]
    with pytest.raises(ConfigurationError, match="'toy-0' with seed 5; recorded seeds: 3, 4"):
        rollout(env, env.tasks[:1], ReplayingAgent(recordings), seeds=[5])
    with pytest.raises(ConfigurationError, match=r"'toy-1' among the 2 recordings. Did you mean 'toy-0'\?"):
        rollout(env, env.tasks[1:2], ReplayingAgent(recordings))
