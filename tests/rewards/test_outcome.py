"""The outcome is the environment's; a part of it can be taken, and another rule of scoring."""

from __future__ import annotations

import pytest

from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall
from telegym.core.replay import replay_episode
from telegym.core.score import Failure
from telegym.envs.registry import make_environment
from telegym.rewards.base import Run
from telegym.rewards.outcome import EnvironmentOutcome
from tests.rewards.parts import TOY, toy_run


@pytest.mark.parametrize(("turns", "value", "success", "reached"), [(9, 1, 1, 1), (1, 0, 0, 1), (0, 0, 0, 0)])
def test_parts(turns: int, value: float, success: float, reached: float) -> None:
    run = toy_run(0, turns)
    assert EnvironmentOutcome()(run) == run.outcome
    found = [EnvironmentOutcome(part)(run).value for part in ("value", "success", "reached")]
    assert found == [value, success, reached]


def test_a_part_that_there_is_not_is_a_failure() -> None:
    score = EnvironmentOutcome("reachd")(toy_run())
    assert score.value is None and score.failure is not None
    assert "it has value, success, reached, collateral. Did you mean 'reached'?" in score.failure.message


def test_a_failed_episode_stays_one() -> None:
    episode = Episode(TOY, TOY.tasks[0])
    failure = Failure(party="infrastructure", message="the server died")
    episode.truncate(EndReason.INFRASTRUCTURE, failure)
    for outcome in (EnvironmentOutcome(), EnvironmentOutcome("reached"), EnvironmentOutcome(scoring="strict")):
        assert outcome(Run.of(episode)).failure == failure


def test_another_rule_of_scoring() -> None:
    """A needless switch costs by the strict rule, and nothing by the official one."""
    environment = make_environment("tau2-telecom", split="test", count=1, scoring="benchmark")
    episode = Episode(environment, environment.tasks[0])
    customer = environment.tasks[0].labels
    assert customer
    while not episode.done:
        message = environment.hint(episode)
        assert message is not None
        if message.tool_calls and message.tool_calls[0].name == "done":
            wasteful = ToolCall(id="x", name="toggle_airplane_mode", arguments={})
            episode.step(Message(role="assistant", tool_calls=(wasteful,)))
            episode.step(Message(role="assistant", tool_calls=(wasteful.model_copy(update={"id": "y"}),)))
        episode.step(message)
    live = Run.of(episode)
    recorded = Run(trajectory=episode.trajectory(), reopen=lambda each: replay_episode(each, environment))
    for run in (live, recorded):
        assert EnvironmentOutcome(scoring="benchmark")(run) == run.outcome
        strict = EnvironmentOutcome(scoring="strict")(run)
        assert strict == make_environment("tau2-telecom", split="test", count=1).score(episode)
        assert strict.components != run.outcome.components


def test_a_rule_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has one rule of scoring"):
        EnvironmentOutcome(scoring="strict")(toy_run())
