"""Demonstrations hold exactly the tokens of a rollout, and count the demonstrator's only."""

from __future__ import annotations

from telegym.agents.generation import SampledTurn
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.rollouts import Player
from telegym.agents.training.sft import Demonstration, batches, demonstrate, demonstrations
from telegym.core.episode import Episode
from telegym.envs.registry import make_environment

from .toy import ToyEnvironment, demonstrator
from .toy_trainer import Policy


def test_a_demonstration_is_what_a_rollout_with_these_turns_would_be(
    taught: Policy, environment: ToyEnvironment
) -> None:
    act, task = demonstrator(1.0), environment.tasks[5]
    shown = demonstrate(taught.codec, Episode(environment, task), act, 1000)
    assert shown is not None
    episode = Episode(environment, task)
    player = Player(taught.codec, [episode], 1000)
    while not episode.done:
        player.advance([SampledTurn(0, taught.codec.turn(act(episode)), True)])
    (transcript,) = player.transcripts
    assert shown.ids == transcript.prompt + transcript.completion
    assert shown.mask == [0] * len(transcript.prompt) + transcript.mask
    assert episode.score().success


def test_demonstrations_that_are_too_long_are_left_out(taught: Policy, environment: ToyEnvironment) -> None:
    assert demonstrate(taught.codec, Episode(environment, environment.tasks[0]), demonstrator(1.0), 30) is None


def test_batches_depend_on_the_seed_only() -> None:
    shown = [Demonstration([0] * length, [1] * length) for length in (5, 9, 3, 7, 8, 2)]
    first = batches(shown, 16, 2, seed=1)
    assert first == batches(shown, 16, 2, seed=1)
    assert sorted(len(item.ids) for batch in first for item in batch) == sorted([5, 9, 3, 7, 8, 2] * 2)
    assert first != batches(shown, 16, 2, seed=3)


def test_what_is_emphasised_is_kept_and_a_share_of_the_others(taught: Policy) -> None:
    environment = make_environment("tau2-telecom", split="train", count=40, mode="solo")

    def made(emphasis: dict[str, object] | None) -> int:
        shown = {"count": 40, "emphasis": emphasis}
        settings = {"kind": "sft", "rollout": {"context": 100_000}, "sft": {"demonstrations": shown}}
        return len(list(demonstrations(Recipe.model_validate(settings), taught.codec, environment, range(40))))

    every = made(None)
    assert made({"tool": "get_customer_by_phone", "others": 0}) == every
    once, twice = (made({"tool": "get_details_by_id", "calls": calls, "others": 0}) for calls in (1, 2))
    assert every > once > twice > 0
    assert (
        made({"tool": "no_such_call", "others": 0}) == 0 < made({"tool": "no_such_call", "others": 0.4}) < 0.75 * every
    )
