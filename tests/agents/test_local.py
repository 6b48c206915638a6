"""A local model plays episodes, alone or in a batch, fresh or forked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("torch")

from telegym.agents.local import LocalAgent, PlayerSettings, load_model
from telegym.agents.prompting import PromptProfile
from telegym.agents.rollout import play_episodes, rollout
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError

from .training.conftest import environment, taught, taught_folder  # noqa: F401
from .training.toy import ToyEnvironment

TOLD = PromptProfile(tools="none", policy="none")


@pytest.fixture
def folder(taught_folder: str) -> str:  # noqa: F811
    PlayerSettings(prompt=TOLD, temperature=1.0, turn_tokens=60).write(taught_folder)
    return taught_folder


def actions(episodes: Sequence[Episode]) -> list[list[object]]:
    return [list(episode.actions) for episode in episodes]


def test_a_model_plays_as_it_was_trained_to(folder: str, environment: ToyEnvironment) -> None:  # noqa: F811
    episodes = rollout(environment, environment.tasks[:12], LocalAgent(folder, temperature=0.0))
    assert all(episode.done for episode in episodes)
    calls = [call for episode in episodes for call in episode.calls]
    assert {call.call.name for call in calls} >= {"get_alarm", "done"}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_batch_has_no_influence(folder: str, environment: ToyEnvironment, temperature: float) -> None:  # noqa: F811
    together = rollout(environment, environment.tasks[:9], LocalAgent(folder, temperature=temperature))
    in_threes = rollout(environment, environment.tasks[:9], LocalAgent(folder, temperature=temperature), batch_size=3)
    assert actions(together) == actions(in_threes)


def test_the_seed_has_an_influence(folder: str, environment: ToyEnvironment) -> None:  # noqa: F811
    first, second = (rollout(environment, environment.tasks[:9], LocalAgent(folder, seed=seed)) for seed in (0, 1))
    assert actions(first) != actions(second)


def test_a_forked_episode_is_read_again_and_goes_on_alike(folder: str, environment: ToyEnvironment) -> None:  # noqa: F811
    agent = LocalAgent(folder, temperature=0.0)
    (whole,) = rollout(environment, [environment.tasks[1]], agent)
    assert whole.turn > 1
    (forked,) = play_episodes([whole.fork(1)], LocalAgent(folder, temperature=0.0))
    assert actions([forked]) == actions([whole])


def test_a_turn_without_an_end_is_cut_off(folder: str, environment: ToyEnvironment) -> None:  # noqa: F811
    (episode,) = rollout(environment, [environment.tasks[0]], LocalAgent(folder, turn_tokens=3))
    assert episode.end is EndReason.TOKEN_LIMIT
    assert episode.truncated


def test_ended_episodes_are_forgotten(folder: str, environment: ToyEnvironment) -> None:  # noqa: F811
    agent = LocalAgent(folder)
    rollout(environment, environment.tasks[:5], agent)
    assert agent._seats == {}
    assert not agent._session.busy


def test_a_model_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no model '/no/such/folder'"):
        load_model("/no/such/folder")


def test_options_are_checked(folder: str) -> None:
    with pytest.raises(ConfigurationError, match="tools"):
        LocalAgent(folder, tools="everything")
