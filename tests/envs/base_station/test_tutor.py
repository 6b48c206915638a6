"""The tutor plays as the demonstrator who never errs, and takes over from anybody."""

from __future__ import annotations

import pytest

from telegym.core.episode import Episode
from telegym.core.messages import Message, ToolCall
from telegym.envs.base_station.environment import BaseStation


@pytest.fixture(scope="module")
def environment() -> BaseStation:
    return BaseStation(results="terse", easiest=0, hardest=1, kind="RES,PRV,NOF", split="test", count=3)


def names(episode: Episode) -> list[str]:
    return [record.call.name for record in episode.calls]


def test_the_tutor_is_the_demonstrator_without_mistakes(environment: BaseStation) -> None:
    for task in environment.tasks:
        shown, asked = Episode(environment, task), Episode(environment, task)
        demonstrator = environment.demonstrator(0, {}, 0)
        while not shown.done:
            shown.step(demonstrator(shown))
        while not asked.done:
            asked.step(environment.tutor(asked))
        assert names(asked) == names(shown)
        assert asked.score().success


def test_the_tutor_takes_over_from_anybody(environment: BaseStation) -> None:
    task = environment.tasks[0]
    episode = Episode(environment, task)
    needless = ToolCall(id="needless", name="list_elements", arguments={"element_type": "site"})
    for turn in range(60):
        if episode.done:
            break
        other = turn in (0, 3)
        episode.step(Message(role="assistant", tool_calls=(needless,)) if other else environment.tutor(episode))
    assert episode.score().success
