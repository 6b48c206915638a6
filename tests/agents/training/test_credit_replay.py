"""Credit that plays again: episodes without a call, and branches."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from telegym.agents.prompting import ChatCodec, call_text
from telegym.agents.training.credit import Need, fork_point, rollouts_of, without_call, worth_of_turns
from telegym.agents.training.credit.counterfactual import candidates
from telegym.agents.training.rollouts import Player, Transcript, branch_of
from telegym.core.episode import Episode
from telegym.core.errors import TeleGymError
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.envs.registry import make_environment

from .toy import ToyEnvironment, ToyWorld
from .toy_trainer import Policy

torch = pytest.importorskip("torch")

from telegym.agents.generation import SampledTurn  # noqa: E402


def call(name: str, place: int = 0, **arguments: object) -> ToolCall:
    return ToolCall(id=f"call_{name}_{place}", name=name, arguments=dict(arguments))


def says(*calls: ToolCall) -> Message:
    return Message(role="assistant", tool_calls=calls)


def unit_of(episode: Episode) -> int:
    assert isinstance(episode.world, ToyWorld)
    return episode.world.unit


def played(environment: ToyEnvironment, *messages: Message, record: bool = True) -> Episode:
    episode = Episode(environment, environment.tasks[0], 3, record=record)
    for message in messages:
        episode.step(message)
    return episode


def worth(episode: Episode) -> float | None:
    return episode.score().value


@pytest.mark.parametrize("record", [True, False])
def test_a_call_is_worth_what_the_episode_loses_without_it(environment: ToyEnvironment, record: bool) -> None:
    unit = unit_of(Episode(environment, environment.tasks[0], 3))
    reading, repair, wrong = call("get_alarm"), call("reset_unit", unit=unit), call("reset_unit", 1, unit=unit + 1)
    good = played(environment, says(reading), says(repair), says(call("done")), record=record)
    assert worth_of_turns(good, 3, worth, 4) == (0.0, 1.0, 1.0)
    assert worth_of_turns(good, 3, worth, 1) == (0.0, 0.0, 1.0)
    assert worth(good) == 1.0
    harmful = played(environment, says(reading), says(wrong, repair), says(call("done")), record=record)
    # Without the wrong call the episode is a success, without the right one it stays a failure.
    assert worth_of_turns(harmful, 3, worth, 9) == (0.0, -1.0, 0.0)


def test_only_the_call_is_left_out(environment: ToyEnvironment) -> None:
    unit = unit_of(Episode(environment, environment.tasks[0], 3))
    episode = played(environment, says(call("get_alarm"), call("reset_unit", unit=unit)), says(call("done")))
    before = episode.trajectory().to_json()
    other = without_call(episode, episode.calls[0])
    assert [record.call.name for record in other.calls] == ["reset_unit", "done"]
    assert other.end == episode.end
    assert without_call(episode, episode.calls[2]).end is None
    assert episode.trajectory().to_json() == before


def test_calls_of_one_id_are_told_apart(environment: ToyEnvironment) -> None:
    episode = played(environment, says(call("get_alarm"), call("get_alarm")), says(call("done")))
    for record in episode.calls[:2]:
        assert [each.call.name for each in without_call(episode, record).calls] == ["get_alarm", "done"]


def test_calls_that_can_have_changed_something_are_tried_first(environment: ToyEnvironment) -> None:
    unit = unit_of(Episode(environment, environment.tasks[0], 3))
    episode = played(
        environment,
        says(call("get_alarm")),
        says(call("reset_unit", unit=unit)),
        says(call("nothing")),
        says(call("done")),
    )
    assert [record.call.name for record in candidates(episode)] == ["done", "reset_unit", "nothing"]
    first = candidates(episode, frozenset({0}))
    assert [record.call.name for record in first] == ["get_alarm", "done", "reset_unit", "nothing"]


def test_an_unknown_score_is_no_difference(environment: ToyEnvironment) -> None:
    episode = played(environment, says(call("done")))
    assert worth_of_turns(episode, 1, lambda _: None, 4) == (0.0,)
    seen = iter([1.0, None])
    assert worth_of_turns(episode, 1, lambda _: next(seen), 4) == (0.0,)


# --- branches ----------------------------------------------------------------------------------------------


def play_out(
    codec: ChatCodec, item: Episode | Transcript, texts: Sequence[str], surprise: Sequence[float]
) -> Transcript:
    """Play texts, whose tokens have the given log-probabilities."""
    player = Player(codec, [item], 1000, watch=True, situations=True)
    for text, logprob in zip(texts, surprise, strict=True):
        ids = codec.turn(text)
        player.advance([SampledTurn(0, ids, True, [logprob] * len(ids))])
    return player.transcripts[0]


def group(policy: Policy, environment: ToyEnvironment) -> list[Transcript]:
    read, done = call_text(says(call("get_alarm"))), call_text(says(call("done")))
    texts = [[read, read, done], [read, done]]
    surprise = [[-0.1, -0.9, -0.2], [-0.3, -0.4]]
    return [
        play_out(policy.codec, Episode(environment, environment.tasks[0], 3), text, logprobs)
        for text, logprobs in zip(texts, surprise, strict=True)
    ]


def test_a_branch_shares_world_and_tokens_and_learns_from_its_own(policy: Policy, environment: ToyEnvironment) -> None:
    parent = group(policy, environment)[0]
    unit = unit_of(parent.episode)
    texts = [call_text(says(call("reset_unit", unit=unit))), call_text(says(call("done")))]
    branch = play_out(policy.codec, branch_of(parent, 1), texts, [-1.0, -1.0])
    start = parent.turns[1][0]
    assert branch.prompt + branch.completion[:start] == parent.prompt + parent.completion[:start]
    assert branch.mask[:start] == [0] * start
    assert branch.sampled == sum(len(policy.codec.turn(text)) for text in texts)
    assert [len(branch.turns), len(branch.components), len(branch.situations)] == [3, 4, 4]
    assert branch.situations[:2] == parent.situations[:2]
    assert (worth(branch.episode), worth(parent.episode)) == (1.0, 0.0)
    for start, end in branch.turns[1:]:
        assert branch.mask[start:end] == [1] * (end - start)


def test_an_episode_that_cannot_be_repeated_is_refused(policy: Policy, environment: ToyEnvironment) -> None:
    parent = group(policy, environment)[0]
    first = next(message for message in parent.episode._messages if message.role == "tool")
    parent.episode._messages[parent.episode._messages.index(first)] = first.model_copy(update={"content": "other"})
    parent.episode._checkpoints.clear()
    with pytest.raises(TeleGymError, match="comes out otherwise"):
        branch_of(parent, 1)


def test_the_turn_to_branch_at_is_chosen(policy: Policy, environment: ToyEnvironment) -> None:
    rollouts = group(policy, environment)
    surprising = fork_point(rollouts, "entropy", Random(0))
    assert surprising is not None and (surprising.rollout, surprising.turn) == (0, 1)
    found = {fork_point(rollouts, "divergence", Random(seed)) for seed in range(20)}
    assert {(each.rollout, each.turn) for each in found if each is not None} == {(0, 1), (1, 1)}
    anywhere = {fork_point(rollouts, "random", Random(seed)) for seed in range(60)}
    assert {(each.rollout, each.turn) for each in anywhere if each} == {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)}
    assert fork_point(rollouts, "random", Random(5)) == fork_point(rollouts, "random", Random(5))
    assert fork_point([], "random", Random(0)) is None
    alike = fork_point([rollouts[1], rollouts[1]], "divergence", Random(0))
    assert alike is not None and alike.turn < 2


def test_a_turn_that_was_never_played_is_no_fork(policy: Policy, environment: ToyEnvironment) -> None:
    item = Transcript(Episode(environment, environment.tasks[0], 3), [1], [2, 3], [1, 1], [-1.0, -1.0], [(0, 2)])
    assert fork_point([item], "entropy", Random(0)) is None


def test_transcripts_become_rollouts(policy: Policy, environment: ToyEnvironment) -> None:
    parent, other = group(policy, environment)
    branch = play_out(policy.codec, branch_of(parent, 1), [call_text(says(call("done")))], [-1.0])
    scores = [Score(value=0.0, calls=(0.5, None, 1.0)), Score(value=0.0), Score(value=0.0, calls=(0.25,))]
    needs: tuple[Need, ...] = ("groups", "components", "situations", "call values", "counterfactuals")
    found = rollouts_of([parent, other, branch], [0.0, 1.0, None], [0.1, 0.2, 0.3], scores, needs, worth, 2)
    assert [item.group for item in found] == ["toy-0#3"] * 3
    assert [item.value for item in found] == [0.0, 1.0, None]
    assert [(item.fork is not None, item.forked_at, item.branch) for item in found] == [
        (True, 1, False),
        (False, 0, False),
        (True, 1, True),
    ]
    assert found[0].fork == found[2].fork
    assert list(found[2].own) == [1]
    assert [call.value for call in found[0].calls] == [0.5, None, 1.0]
    assert [call.turn for call in found[0].calls] == [0, 1, 2]
    states, told = zip(*found[0].situations, strict=True)
    assert len(set(states)) == 1
    assert told[0] != told[1] == told[2]
    assert found[0].situations[:2] == found[1].situations
    assert found[0].counterfactuals == (0.0, 0.0, 0.0)


def test_time_alone_makes_no_other_situation(environment: ToyEnvironment) -> None:
    """A network's state holds the clock, its situation does not; what is repaired differs in both."""
    network = make_environment("base-station")
    episode = Episode(network, network.tasks[0], 0)
    state, situation = episode.world.state_hash(), episode.world.situation()
    episode.step(says(call("list_alarms")))
    assert episode.calls[0].minutes > 0
    assert episode.world.state_hash() != state
    assert episode.world.situation() == situation
    toy = played(environment, says(call("get_alarm")))
    before = toy.world.situation()
    toy.step(says(call("reset_unit", unit=unit_of(toy))))
    assert toy.world.situation() != before
