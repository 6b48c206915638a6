"""A step plays groups of other tasks in the place of those that say nothing; all processes agree on which."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from telegym.agents.training import rounds as module
from telegym.agents.training.curriculum import Curriculum, TaskStream
from telegym.agents.training.rounds import Played, Rounds, Rows, Step
from telegym.agents.training.selection import DeviationSettings, DynamicSamplingSettings, Selection
from telegym.core.score import Failure, Score

SIZE = 4


class Policy:
    """Solves tasks whose number is a multiple of three always, one above never, others every other time."""

    def __init__(self, broken: int | None = None) -> None:
        self.broken = broken
        self.asked: list[tuple[int, list[int], list[int]]] = []

    def __call__(self, rows: Rows) -> list[Played]:
        self.asked.append((rows.round, rows.numbers, [row["task"] for row in rows.inputs]))
        return [self._played(number, row) for number, row in zip(rows.numbers, rows.inputs, strict=True)]

    def _played(self, number: int, row: dict[str, Any]) -> Played:
        task = row["task"]
        solved = {0: 1.0, 1: 0.0}.get(task % 3, float(number % 2))
        if task == self.broken:
            failed = Score(failure=Failure(party="judge", message="no verdict"))
            return Played(number, object(), Score(value=solved), failed, None)  # type: ignore[arg-type]
        return Played(number, object(), Score(value=solved), None, solved)  # type: ignore[arg-type]


def rows(first: int = 0, count: int = 16) -> Rows:
    numbers = list(range(first, first + count))
    return Rows([{"task": number // SIZE, "seed": number // SIZE, "prompt": ""} for number in numbers], numbers)


def play(source: Any, selection: Selection | None, policy: Policy, groups: int = 4) -> Step:
    return Rounds(source, selection).play(rows(count=groups * SIZE), SIZE, groups, policy)


def test_without_source_and_selection_the_rows_are_played() -> None:
    policy = Policy()
    step = play(None, None, policy)
    assert policy.asked == [(0, list(range(16)), [n // 4 for n in range(16)])]
    assert step.dropped == [False] * 16
    assert step.figures == {}


def test_tasks_come_from_the_source_group_by_group() -> None:
    policy = Policy()
    play(TaskStream(50, 3), None, policy)
    assert policy.asked[0][2] == [slot.task for slot in TaskStream(50, 3).draw(4) for _ in range(SIZE)]


def test_in_evaluations_nothing_is_chosen() -> None:
    policy, stream = Policy(), TaskStream(50, 3)
    step = Rounds(stream, Selection(DynamicSamplingSettings())).play(rows(), SIZE, 4, policy, select=False)
    assert policy.asked[0][2] == [n // 4 for n in range(16)]
    assert stream.state() == {"drawn": 0}
    assert step.dropped == [False] * 16


def test_groups_that_say_nothing_are_replaced_until_all_say_something() -> None:
    policy, stream = Policy(), TaskStream(300, 3)
    step = play(stream, Selection(DynamicSamplingSettings(rounds=50)), policy)
    drawn = [slot.task for slot in TaskStream(300, 3).draw(stream.state()["drawn"])]
    assert [task % 3 for task in drawn].count(2) == 4  # no task was played beyond the fourth that says something
    assert drawn[-1] % 3 == 2
    assert [task for _, _, tasks in policy.asked for task in tasks[::SIZE]] == drawn
    assert step.dropped == [False] * 16
    assert {each.value for each in step.rows} == {0.0, 1.0}
    assert [each.number for each in step.rows] == list(range(16))
    assert step.figures == {
        "selection/rounds": len(policy.asked), "selection/groups": 4.0,
        "selection/dropped": pytest.approx((len(drawn) - 4) / len(drawn)),
    }  # fmt: skip
    assert len(step.everything) == len(drawn) * SIZE


def test_only_groups_that_are_due_are_played_again() -> None:
    policy = Policy()
    play(TaskStream(300, 3), Selection(DynamicSamplingSettings(rounds=2)), policy)
    first, second = policy.asked
    said_nothing = [slot for slot in range(4) if first[2][slot * SIZE] % 3 != 2]
    assert 0 < len(said_nothing) < 4
    assert second[0] == 1
    assert second[1] == [slot * SIZE + place for slot in said_nothing for place in range(SIZE)]


def test_after_the_last_round_the_rest_is_left_out() -> None:
    policy = Policy()
    step = play(TaskStream(300, 3), Selection(DynamicSamplingSettings(rounds=1)), policy)
    assert len(policy.asked) == 1
    tasks = policy.asked[0][2]
    assert step.dropped == [task % 3 != 2 for task in tasks]
    assert step.figures["selection/groups"] == len([task for task in tasks if task % 3 == 2]) / SIZE


def test_a_group_whose_judge_failed_is_replaced() -> None:
    stream = TaskStream(300, 3)
    broken = next(slot.task for slot in TaskStream(300, 3).draw(4) if slot.task % 3 == 2)
    step = play(stream, Selection(DynamicSamplingSettings(rounds=50)), Policy(broken))
    assert all(each.value is not None for each in step.rows)
    assert not any(step.dropped)


def test_the_filter_learns_from_every_group_and_the_curriculum_too() -> None:
    source = Curriculum(300, lambda task: f"kind {task % 3}", 3)
    selection = Selection(DynamicSamplingSettings(rounds=3), DeviationSettings(starts=1, filters=2).build())
    step = play(source, selection, Policy())
    played = len(step.everything) // SIZE
    dropped = round(step.figures["selection/dropped"] * played)
    assert selection.deviation is not None
    assert selection.deviation.average == pytest.approx(0.5 * (played - dropped) / played)
    assert source.success == {f"kind {kind}": rate for kind, rate in ((0, 1.0), (1, 0.0), (2, 0.5))}


def test_success_is_what_the_environment_says_even_where_a_judge_failed() -> None:
    source = Curriculum(3, lambda task: str(task), 3)
    play(source, None, Policy(broken=0))
    assert source.success["0"] == 1.0


@pytest.mark.parametrize(("processes", "groups"), [(2, 4), (2, 3), (3, 3), (4, 2)])
def test_several_processes_agree(monkeypatch: pytest.MonkeyPatch, processes: int, groups: int) -> None:
    """Groups that are cut between processes are judged as a whole, and what is played is what one process plays."""
    barrier = threading.Barrier(processes, timeout=20)
    parts: dict[int, list[Any]] = {}
    own = threading.local()

    def gathered(items: list[Any]) -> list[Any]:
        parts[own.rank] = items
        barrier.wait()
        everyone = [item for rank in sorted(parts) for item in parts[rank]]
        barrier.wait()
        return everyone

    def settings() -> tuple[Curriculum, Selection]:
        source = Curriculum(300, lambda task: f"kind {task % 3}", 3)
        filter_ = DeviationSettings(starts=1, filters=2).build()
        return source, Selection(DynamicSamplingSettings(rounds=6), filter_)

    results: dict[int, Any] = {}

    def run(rank: int) -> None:
        own.rank = rank
        local = groups * SIZE // processes
        source, selection = settings()
        played = Rounds(source, selection)
        steps = [played.play(rows(rank * local, local), SIZE, groups, Policy()) for _ in range(3)]
        results[rank] = steps, source.state(), selection.state()

    one_source, one_selection = settings()
    alone = Rounds(one_source, one_selection)
    expected = [alone.play(rows(count=groups * SIZE), SIZE, groups, Policy()) for _ in range(3)]
    monkeypatch.setattr(module, "_gathered", gathered)
    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == processes
    for number, whole in enumerate(expected):
        steps = [results[rank][0][number] for rank in range(processes)]
        assert [each.value for step in steps for each in step.rows] == [each.value for each in whole.rows]
        assert [flag for step in steps for flag in step.dropped] == whole.dropped
        assert all(step.figures == whole.figures for step in steps)
        assert sum(len(step.everything) for step in steps) == len(whole.everything)
    for rank in range(processes):
        assert results[rank][1:] == (one_source.state(), one_selection.state())
