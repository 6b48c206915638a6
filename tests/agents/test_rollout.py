from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from telegym.agents.base import Action, Agent
from telegym.agents.oracle import OracleAgent
from telegym.agents.random import RandomAgent
from telegym.agents.rollout import Progress, play_episodes, rollout
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import InfrastructureError
from telegym.core.messages import Message
from telegym.core.score import Failure
from telegym.core.task import Task
from telegym.core.trajectory import read_trajectories
from telegym.core.user import User
from tests.toy import Toy, ToyUser


class Watched(RandomAgent):
    """A random agent that keeps what it is told and asked."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.begun: list[tuple[str, int]] = []
        self.finished: list[tuple[str, int]] = []

    def begin(self, episodes: Sequence[Episode]) -> None:
        self.begun += [(episode.task.id, episode.seed) for episode in episodes]

    def finish(self, episodes: Sequence[Episode]) -> None:
        assert all(episode.done for episode in episodes)
        self.finished += [(episode.task.id, episode.seed) for episode in episodes]

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        assert not any(episode.done for episode in episodes)
        self.batches.append(len(episodes))
        return super().act(episodes)


def lines(episodes: Sequence[Episode]) -> list[str]:
    return [episode.trajectory().to_json() for episode in episodes]


@pytest.mark.parametrize("talkative", [False, True])
@pytest.mark.parametrize("batch_size", [7, 64])
def test_trajectories_do_not_depend_on_the_batch_size(batch_size: int, talkative: bool) -> None:
    env = Toy(talkative=talkative)
    agent = RandomAgent(talk=0.3 if talkative else 0.0)
    one_by_one = rollout(env, env.tasks, agent, seeds=[0, 1, 2], batch_size=1)
    together = rollout(env, env.tasks, agent, seeds=[0, 1, 2], batch_size=batch_size)
    assert len({episode.turn for episode in one_by_one}) > 1
    assert lines(together) == lines(one_by_one)


def test_results_come_task_by_task_and_seed_by_seed() -> None:
    env = Toy()
    episodes = rollout(env, env.tasks, OracleAgent(), seeds=[5, 6], batch_size=3)
    assert [(episode.task.id, episode.seed) for episode in episodes] == [
        (task.id, seed) for task in env.tasks for seed in (5, 6)
    ]
    assert all(episode.done for episode in episodes)


def test_free_slots_are_filled_at_once_and_every_episode_begins_and_finishes_once() -> None:
    env, agent = Toy(), Watched()
    rollout(env, env.tasks, agent, seeds=[0, 1], batch_size=5)
    full = agent.batches[: agent.batches.index(min(agent.batches))]
    assert max(agent.batches) == 5
    # Until the source is empty no batch is smaller than the slots.
    assert agent.batches == sorted(agent.batches, reverse=True)
    assert len(full) > 5
    assert sorted(agent.begun) == sorted(agent.finished)
    assert len(set(agent.begun)) == 24


def test_episodes_are_made_only_when_a_slot_is_free() -> None:
    env, made = Toy(), 0

    def source() -> Iterator[Episode]:
        nonlocal made
        for task in env.tasks:
            made += 1
            yield Episode(env, task)

    alive: list[int] = []
    play_episodes(source(), OracleAgent(), batch_size=2, on_progress=lambda step: alive.append(made - step.done))
    assert max(alive) == 2


def test_progress_adds_up() -> None:
    env, steps = Toy(), list[Progress]()
    episodes = rollout(env, env.tasks, OracleAgent(), batch_size=5, on_progress=steps.append)
    assert [step.turns for step in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].done == steps[-1].total == len(env.tasks)
    assert steps[-1].active == 0
    assert sorted(episode.task.id for step in steps for episode in step.ended) == sorted(env.tasks.ids)
    assert len(episodes) == len(env.tasks)


def test_trajectories_are_written_in_order(tmp_path: Path) -> None:
    env, file = Toy(), tmp_path / "deep" / "t.jsonl"
    episodes = rollout(env, env.tasks, RandomAgent(), batch_size=4, write_to=file)
    written = list(read_trajectories(file))
    assert [item.to_json() for item in written] == [episode.trajectory("random").to_json() for episode in episodes]


def test_what_is_written_when_interrupted_is_a_prefix_of_whole_trajectories(tmp_path: Path) -> None:
    class Interrupted(OracleAgent):
        turns = 0

        def act(self, episodes: Sequence[Episode]) -> list[Action]:
            self.turns += 1
            if self.turns > 6:
                raise KeyboardInterrupt
            return super().act(episodes)

    env, file = Toy(), tmp_path / "t.jsonl"
    with pytest.raises(KeyboardInterrupt):
        rollout(env, env.tasks, Interrupted(), batch_size=2, write_to=file)
    written = [trajectory.task.id for trajectory in read_trajectories(file)]
    assert 0 < len(written) < len(env.tasks)
    assert written == list(env.tasks.ids[: len(written)])


def test_a_failure_ends_its_episode_only() -> None:
    class Patchy(OracleAgent):
        def act(self, episodes: Sequence[Episode]) -> list[Action]:
            failure = Failure(party="infrastructure", message="no answer")
            actions = super().act(episodes)
            return [failure if e.task.id == "toy-1" else a for e, a in zip(episodes, actions, strict=True)]

    env = Toy()
    episodes = rollout(env, env.tasks[:3], Patchy())
    assert [episode.end for episode in episodes] == [EndReason.FINISHED, EndReason.INFRASTRUCTURE, EndReason.FINISHED]
    assert episodes[1].score().value is None
    assert episodes[1].failure == Failure(party="infrastructure", message="no answer")


def test_an_agent_whose_server_dies_fails_the_batch_and_not_the_rollout() -> None:
    class Dying(OracleAgent):
        def act(self, episodes: Sequence[Episode]) -> list[Action]:
            if any(episode.task.id == "toy-0" for episode in episodes):
                raise InfrastructureError("the server has died")
            return super().act(episodes)

    env = Toy()
    episodes = rollout(env, env.tasks[:4], Dying(), batch_size=2)
    assert [episode.end is EndReason.INFRASTRUCTURE for episode in episodes] == [True, True, False, False]


def test_an_agent_may_cut_an_episode_off() -> None:
    class Full(OracleAgent):
        def act(self, episodes: Sequence[Episode]) -> list[Action]:
            for episode in episodes:
                episode.truncate(EndReason.TOKEN_LIMIT)
            return [""] * len(episodes)

    env = Toy()
    (episode,) = rollout(env, env.tasks[:1], Full())
    assert (episode.end, episode.turn) == (EndReason.TOKEN_LIMIT, 0)


def test_episodes_that_end_before_the_first_turn_are_not_played() -> None:
    class NoUser(User):
        def respond(self, incoming: Sequence[Message]) -> Message:
            raise InfrastructureError("the user's model is away")

        def fork(self) -> NoUser:
            return self

    env, agent = Toy(talkative=True), Watched()
    fresh = [Episode(env, env.tasks[0], user=NoUser()), Episode(env, env.tasks[1])]
    episodes = play_episodes(iter(fresh), agent, batch_size=1)
    assert episodes[0].end is EndReason.INFRASTRUCTURE
    assert episodes[0].turn == 0
    assert episodes[1].turn > 0
    assert agent.finished == [("toy-0", 0), ("toy-1", 0)]


def test_forked_episodes_are_played_on() -> None:
    env = Toy()
    start = Episode(env, env.tasks[1])
    start.step('change_counter(counter_id="C001", amount=1)')
    forks = play_episodes([start.fork() for _ in range(3)], OracleAgent(), batch_size=2)
    assert len({episode.trajectory().to_json() for episode in forks}) == 1
    assert not start.done


class Together(ToyUser):
    """A user behind a network: answers only when the users of all slots have been asked."""

    deterministic = False
    barrier = threading.Barrier(4, timeout=20)

    def respond(self, incoming: Sequence[Message]) -> Message:
        self.barrier.wait()
        return super().respond(incoming)


def test_users_behind_a_network_do_not_wait_for_each_other() -> None:
    class Remote(Toy):
        def user(self, task: Task, seed: int) -> User:
            return Together(task.ticket)

    class Greeting(Agent):
        name = "greeting"

        def act(self, episodes: Sequence[Episode]) -> list[Action]:
            return ["Good day."] * len(episodes)

    env, plain, limits = Remote(talkative=True), Toy(talkative=True), Limits(turns=3)
    remote = rollout(env, env.tasks[:8], Greeting(), batch_size=4, limits=limits)
    assert lines(remote) == lines(rollout(plain, plain.tasks[:8], Greeting(), limits=limits))


def test_limits_given_are_used() -> None:
    env = Toy()
    episodes = rollout(env, env.tasks, RandomAgent(), limits=Limits(turns=1))
    assert {episode.turn for episode in episodes} == {1}


def test_nothing_to_play_is_nothing_played() -> None:
    assert rollout(Toy(), [], OracleAgent()) == []


def test_a_batch_must_hold_something() -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, not 0"):
        play_episodes([], OracleAgent(), threads=0)
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        rollout(Toy(), Toy().tasks, OracleAgent(), batch_size=0)


def test_an_agent_that_answers_too_little_is_named() -> None:
    class Lazy(Agent):
        name = "lazy"

        def act(self, episodes: Sequence[Episode]) -> list[Action]:
            return []

    with pytest.raises(ValueError, match="'lazy' gave 0 actions for 12 episodes"):
        rollout(Toy(), Toy().tasks, Lazy())
