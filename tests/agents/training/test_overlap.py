"""Tools of many episodes run at once, and nothing else changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from telegym.agents.generation import GenerationEngine, Sampling
from telegym.agents.training.grpo import TaskRows
from telegym.agents.training.hands import Hands, Overlap, ToolOrder
from telegym.agents.training.rollouts import Transcript, play
from telegym.core.episode import Episode

from .toy import ToyEnvironment
from .toy_trainer import Policy, make_trainer
from .waiting import Meeting, WaitingEnvironment, answers

ALARM = '<tool_call>\n{"name": "get_alarm", "arguments": {}}\n</tool_call>'
DONE = '<tool_call>\n{"name": "done", "arguments": {}}\n</tool_call>'


def episodes(environment: ToyEnvironment, count: int) -> list[Episode]:
    return [Episode(environment, environment.tasks[index], seed=index) for index in range(count)]


def played(policy: Policy, environment: ToyEnvironment, count: int, rows: int = 64, **options: Any) -> list[Transcript]:
    sampling = Sampling(turn_tokens=40, context=1024)
    engine = GenerationEngine(policy.model, policy.codec.stop_ids, sampling, rows=rows)
    begun = episodes(environment, count)
    return play(engine, policy.codec, begun, [f"x/{index}" for index in range(count)], 400, **options)


def told(transcripts: Sequence[Transcript]) -> list[Any]:
    return [(item.completion, item.mask, item.turns, item.episode.end, answers(item.episode)) for item in transcripts]


@pytest.mark.parametrize("order", ["fixed", "free"])
@pytest.mark.parametrize("rows", [4, 64])
def test_threads_change_no_transcript(policy: Policy, order: ToolOrder, rows: int) -> None:
    """Sampled turns, answers and ends are those of playing one after the other, with few rows of the cache too."""
    before = told(played(policy, ToyEnvironment(), 10, rows))
    ended: list[Transcript] = []
    meeting = Meeting(expected=2)
    found = played(policy, WaitingEnvironment(meeting), 10, rows, threads=10, order=order, on_end=ended.append)
    assert told(found) == before
    assert sorted(map(id, ended)) == sorted(map(id, found))
    assert meeting.most > 1


def test_without_threads_one_tool_runs_at_a_time(policy: Policy) -> None:
    meeting = Meeting()
    played(policy, WaitingEnvironment(meeting), 6)
    assert meeting.most == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_tools_of_a_step_meet(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path, asynchronous: bool
) -> None:
    """Eight episodes that call a tool in the same turn are all in it at the same time."""
    trainer = make_trainer(policy, environment, tmp_path)
    trainer._overlap = Overlap(threads=8)
    turn = [ALARM]

    def single_turn(ids: Sequence[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        return [policy.codec.turn(turn[0])] * len(ids), None

    def on_end(transcript: Transcript) -> None:
        pass

    meeting = Meeting(expected=8)
    begun = episodes(WaitingEnvironment(meeting, asynchronous=asynchronous), 8)
    trainer._generate_single_turn = single_turn
    original = trainer._widest

    def widest(active: int) -> int:
        turn[0] = DONE if begun[0].turn == 2 else ALARM
        return original(active)

    trainer._widest = widest  # type: ignore[method-assign]
    trainer.play_in_lock_step(begun, on_end)
    assert meeting.most == 8
    assert [answers(each) for each in begun] == [
        [("get_alarm", f"alarm on unit {each.world.dump()['unit']}", None)] * 2 + [("done", "done", None)]
        for each in begun
    ]


def test_an_asynchronous_tool_runs_beside_an_event_loop() -> None:
    environment = WaitingEnvironment(Meeting(), asynchronous=True)

    async def inside() -> str | None:
        episode = Episode(environment, environment.tasks[0])
        return episode.step(ALARM)[0].content

    assert asyncio.run(inside()) == Episode(environment, environment.tasks[0]).step(ALARM)[0].content


def test_what_a_job_raises_is_raised_when_it_is_taken() -> None:
    for threads in (0, 2):
        with Hands(threads) as hands:
            failing = hands.give(lambda: "".index("x"))
            assert hands.all([lambda: 1, lambda: 2]) == [1, 2]
            with pytest.raises(ValueError):
                failing.result()


def test_episodes_begin_in_order_in_threads(environment: ToyEnvironment) -> None:
    batch = [{"task": index, "seed": index} for index in range(9)]
    alone, together = (TaskRows(environment, environment.tasks, threads=threads).episodes(batch) for threads in (0, 4))
    assert [each.task.id for each in together] == [each.task.id for each in alone]
    assert [each.world.dump() for each in together] == [each.world.dump() for each in alone]
