"""Tasks are drawn where most can be learnt, in an order that a continued run goes on with."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.agents.training.curriculum import (
    Curriculum,
    CurriculumSettings,
    TaskSource,
    TaskStream,
    bucket_names,
    make_source,
)
from telegym.core.errors import ConfigurationError
from telegym.envs.registry import make_environment

from .toy import ToyEnvironment

NAMES = ("easy", "middle", "hard", "rare")


def bucket(task: int) -> str:
    """One task in twenty is of the rare bucket, the others are spread evenly."""
    return "rare" if task % 20 == 0 else NAMES[task % 3]


def curriculum(**options: Any) -> Curriculum:
    return Curriculum(1000, bucket, 7, CurriculumSettings(**options))


def play(source: TaskSource, steps: int, groups: int = 4) -> list[tuple[int, int]]:
    """Draw and record: easy tasks are always solved, hard ones never, the others half of the time."""
    drawn = []
    for _ in range(steps):
        slots = source.draw(groups)
        for slot in slots:
            source.record(slot.task, {"easy": 8, "hard": 0}.get(bucket(slot.task), 4), 8)
        drawn += [(slot.task, slot.seed) for slot in slots]
    return drawn


def test_a_stream_plays_every_task_before_any_again() -> None:
    drawn = [slot.task for slot in TaskStream(10, 3).draw(25)]
    assert sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10))
    assert drawn[:10] != drawn[10:20]
    assert drawn != [slot.task for slot in TaskStream(10, 4).draw(25)]


def test_a_stream_gives_the_same_however_it_is_asked() -> None:
    stream = TaskStream(10, 3)
    parts = [*stream.draw(3), *stream.draw(1), *stream.draw(21)]
    assert parts == TaskStream(10, 3).draw(25)
    assert len({slot.seed for slot in parts}) == 25


def test_no_tasks_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no task to learn from"):
        TaskStream(0, 0)


def test_shares_are_the_formula() -> None:
    source = curriculum(floor=0.4, width=0.25, target=0.5)
    source.draw(1)
    for name, solved in (("easy", 8), ("hard", 0), ("middle", 6)):
        source.record(next(task for task in range(1000) if bucket(task) == name), solved, 8)
    weights = {"easy": math.exp(-2), "hard": math.exp(-2), "middle": math.exp(-0.5), "rare": 1.0}
    total = sum(weights.values())
    expected = {name: 0.1 + 0.6 * weight / total for name, weight in weights.items()}
    assert source.shares() == pytest.approx(expected)


def test_success_is_a_moving_average_and_failures_say_nothing() -> None:
    source = curriculum(decay=0.5)
    task = next(task for task in range(1000) if bucket(task) == "easy")
    for solved, of in ((8, 8), (0, 8), (0, 0)):
        source.record(task, solved, of)
    assert source.success == {"easy": 0.5}
    assert source.figures()["curriculum/success/easy"] == 0.5


def test_buckets_near_the_target_are_drawn_most_and_none_is_forgotten() -> None:
    source = curriculum(floor=0.2, width=0.1)
    counts = Counter(bucket(task) for task, _ in play(source, 100)[100:])
    total = sum(counts.values())
    assert counts["middle"] / total > 0.35
    for name in ("easy", "hard"):
        assert 0.04 <= counts[name] / total <= 0.08  # a floor of 0.2 over four buckets is 0.05
    assert counts["rare"] / total > 0.1


def test_with_a_floor_of_one_success_says_nothing() -> None:
    counts = Counter(bucket(task) for task, _ in play(curriculum(floor=1.0), 100))
    assert all(90 <= counts[name] <= 110 for name in ("easy", "middle", "hard"))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.sampled_from(["stream", "curriculum"]), st.integers(1, 12))
def test_a_continued_source_draws_what_it_would_have_drawn(before: int, kind: str, count: int) -> None:
    def made() -> TaskSource:
        return TaskStream(40, 1) if kind == "stream" else Curriculum(40, bucket, 1, CurriculumSettings(kept=3))

    whole, first, second = made(), made(), made()
    expected = play(whole, before + 10, count)
    drawn = play(first, before, count)
    second.restore(json.loads(json.dumps(first.state())))
    assert drawn + play(second, 10, count) == expected
    assert second.state() == whole.state()
    assert second.figures() == whole.figures()


def test_few_tasks_are_enough() -> None:
    source = Curriculum(2, lambda task: "all", 0)
    assert Counter(slot.task for slot in source.draw(20)) == {0: 10, 1: 10}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tau2-telecom", {"split": "train", "count": 12}),
        ("telemath", {"count": 12}),
    ],
)
def test_environments_name_buckets(name: str, options: dict[str, Any]) -> None:
    environment = make_environment(name, **options)
    found = [bucket_names(environment)(index) for index in range(12)]
    assert found == [environment.bucket(task.labels) for task in environment.tasks]
    if name == "tau2-telecom":
        labels = [task.labels for task in environment.tasks]
        assert found == [f"{each['family']}/{len(each['faults'])}" for each in labels]  # type: ignore[arg-type]
    else:
        assert found == [str(task.labels.get("family") or "all") for task in environment.tasks]


def test_base_station_names_its_own_buckets() -> None:
    from telegym.envs.base_station.curriculum import bucket_of

    environment = make_environment("base-station", split="train", count=2, hardest=1)
    task = environment.tasks[0]
    assert environment.bucket(task.labels) == bucket_of(task).name


def test_wrapped_environments_keep_the_buckets() -> None:
    inner = {"split": "train", "count": 3}
    wrapped = make_environment("tripwired", environment="tau2-telecom", options=inner, share=0.0)
    plain = make_environment("tau2-telecom", **inner)
    assert [wrapped.bucket(wrapped.tasks.labels_of(i)) for i in range(3)] == [
        plain.bucket(plain.tasks.labels_of(i)) for i in range(3)
    ]


def test_a_recipe_decides_which_source_there_is() -> None:
    environment = ToyEnvironment(20)
    assert isinstance(make_source(environment, 0, None), TaskStream)
    assert isinstance(make_source(environment, 0, CurriculumSettings()), Curriculum)
