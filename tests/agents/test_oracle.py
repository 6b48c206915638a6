from __future__ import annotations

import pytest

from telegym.agents.oracle import ExpertAgent, OracleAgent
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from tests.toy import Toy


@pytest.mark.parametrize("talkative", [False, True])
def test_the_oracle_solves_every_task(talkative: bool) -> None:
    env = Toy(talkative=talkative)
    episodes = rollout(env, env.tasks, OracleAgent())
    assert [episode.score().value for episode in episodes] == [1.0] * len(env.tasks)


def test_without_a_hint_the_oracle_stops() -> None:
    class Silent(Toy):
        def hint(self, episode: Episode) -> Message | None:
            return None

    (episode,) = rollout(Silent(), Silent().tasks[:1], OracleAgent())
    assert episode.end is EndReason.FINISHED
    assert episode.turn == 1
    assert episode.score().value == 0.0


def test_an_expert_is_asked_where_there_is_one() -> None:
    class Guided(Toy):
        def expert(self, episode: Episode) -> Message | None:
            return self._ending()

    (episode,) = rollout(Guided(), Guided().tasks[:1], ExpertAgent())
    assert [record.call.name for record in episode.calls] == ["done"]


def test_without_an_expert_the_environment_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'toy' has no expert"):
        rollout(Toy(), Toy().tasks[:1], ExpertAgent())
