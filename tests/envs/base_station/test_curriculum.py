"""The curriculum: shares hold at any time, levels open, flat buckets rest, and a resumed run is the same run."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.core.task import Task
from telegym.envs.base_station.curriculum import (
    BAND,
    ESCALATION,
    NO_FAULT,
    SHARES,
    START_MIX,
    Bucket,
    Curriculum,
    CurriculumTasks,
    bucket_of,
    default_buckets,
)
from telegym.envs.base_station.noise import uniform
from telegym.envs.base_station.tasks import BaseStationTasks

SIZE = 8
SMALL = tuple(Bucket(name, level) for name in ("power", "antenna", NO_FAULT, ESCALATION) for level in range(4))
OTHERS = tuple(bucket for bucket in SMALL if bucket.family not in SHARES)


def outcome(key: int, bucket: Bucket, skill: float, number: int) -> int:
    """Return how many of a group succeed, for a learner of some skill."""
    chance = 1.0 / (1.0 + math.exp(2.0 * (bucket.level - skill)))
    return sum(uniform(key, "learner", number, index) < chance for index in range(SIZE))


def learn(curriculum: Curriculum, key: int, groups: int, *, gain: float = 0.0, skill: float = 0.5) -> list[Bucket]:
    """Let a learner go through a curriculum; return what was drawn."""
    drawn = []
    for number in range(groups):
        (bucket,) = curriculum.draw(1)
        drawn.append(bucket)
        curriculum.record(bucket, outcome(key, bucket, skill + gain * number, number), SIZE)
    return drawn


def always(curriculum: Curriculum, bucket: Bucket, wins: int, times: int) -> None:
    for _ in range(times):
        curriculum.record(bucket, wins, SIZE)


# --- shares ---------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), wins=st.lists(st.integers(0, SIZE), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_whatever_happens_the_fixed_shares_hold_at_any_time(seed: int, wins: list[int]) -> None:
    curriculum = Curriculum(seed, SMALL, window=5)
    counts: Counter[str] = Counter()
    for number in range(1, 201):
        (bucket,) = curriculum.draw(1)
        counts[bucket.family] += 1
        curriculum.record(bucket, wins[number % len(wins)], SIZE)
        for family, share in SHARES.items():
            assert abs(counts[family] - share * number) <= 1.0


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_run_begins_with_the_levels_of_the_mix(seed: int) -> None:
    others = [bucket for bucket in Curriculum(seed).draw(1200) if bucket.family not in SHARES]
    levels = Counter(bucket.level for bucket in others)
    assert levels.keys() == START_MIX.keys()
    for level, share in START_MIX.items():
        assert levels[level] / len(others) == pytest.approx(share, abs=0.02)


def test_families_of_a_level_come_equally_often() -> None:
    drawn = Counter(bucket for bucket in Curriculum(4).draw(2000) if bucket.level == 1)
    counts = [count for bucket, count in drawn.items() if bucket.family not in SHARES]
    assert len(counts) >= 4
    assert max(counts) - min(counts) <= 2


def test_without_other_tasks_the_fixed_shares_are_all_there_is() -> None:
    drawn = Counter(bucket.family for bucket in Curriculum(0, [Bucket(NO_FAULT, 1), Bucket(ESCALATION, 3)]).draw(100))
    assert drawn == {NO_FAULT: 60, ESCALATION: 40}


def test_escalations_are_drawn_from_the_beginning_though_they_are_hard() -> None:
    curriculum = Curriculum(0)
    levels = {bucket.level for bucket in curriculum.draw(100) if bucket.family == ESCALATION}
    assert levels == {3}


# --- promotion ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wins", "stage", "next_stage"), [(7, "promoted", "open"), (6, "open", "closed")])
def test_a_level_opens_above_three_quarters_over_a_window(wins: int, stage: str, next_stage: str) -> None:
    curriculum = Curriculum(0, SMALL, window=6)
    always(curriculum, Bucket("power", 2), wins, 5)
    assert curriculum.stage(Bucket("power", 2)) == "open"
    always(curriculum, Bucket("power", 2), wins, 1)
    assert curriculum.stage(Bucket("power", 2)) == stage
    assert curriculum.stage(Bucket("power", 3)) == next_stage
    assert curriculum.stage(Bucket("antenna", 3)) == "closed"


def test_old_groups_do_not_count() -> None:
    curriculum = Curriculum(0, SMALL, window=4)
    always(curriculum, Bucket("power", 2), 1, 50)
    always(curriculum, Bucket("power", 2), 7, 3)
    assert curriculum.stage(Bucket("power", 2)) == "open"
    always(curriculum, Bucket("power", 2), 7, 1)
    assert curriculum.stage(Bucket("power", 2)) == "promoted"
    assert curriculum.rate(Bucket("power", 2)) == 7 / SIZE


def test_what_always_succeeds_need_not_fill_a_window() -> None:
    curriculum = Curriculum(0, SMALL)
    always(curriculum, Bucket("power", 2), SIZE, 3)
    assert curriculum.stage(Bucket("power", 2)) == "resting"
    assert curriculum.stage(Bucket("power", 3)) == "open"


def test_weight_goes_on_to_the_next_level() -> None:
    curriculum = Curriculum(0, SMALL)
    before = curriculum.weights()[Bucket("power", 2)]
    always(curriculum, Bucket("power", 2), SIZE, 3)
    weights = curriculum.weights()
    assert weights[Bucket("power", 3)] > 0.7 * before
    assert weights[Bucket("power", 2)] < 0.1 * before


def test_families_that_begin_higher_open_when_somebody_gets_there() -> None:
    curriculum = Curriculum(0, [Bucket("power", 2), Bucket("power", 3), Bucket("clock", 3), Bucket("interference", 4)])
    always(curriculum, Bucket("power", 2), SIZE, 3)
    assert curriculum.stage(Bucket("clock", 3)) == "open"
    assert curriculum.stage(Bucket("interference", 4)) == "closed"
    always(curriculum, Bucket("clock", 3), SIZE, 3)
    assert curriculum.stage(Bucket("interference", 4)) == "open"


def test_a_learner_gets_to_the_highest_levels() -> None:
    curriculum = Curriculum(1, SMALL, window=10)
    drawn = learn(curriculum, 5, 1500, gain=0.0017)
    assert {bucket.level for bucket in drawn[-200:] if bucket in OTHERS} >= {3}
    assert all(curriculum.stage(bucket) != "closed" for bucket in SMALL)
    mean = [sum(b.level for b in part if b in OTHERS) / sum(b in OTHERS for b in part) for part in _thirds(drawn)]
    assert mean[0] < mean[1] < mean[2]


def _thirds(drawn: list[Bucket]) -> list[list[Bucket]]:
    size = len(drawn) // 3
    return [drawn[:size], drawn[size : 2 * size], drawn[2 * size :]]


@pytest.mark.parametrize("key", range(4))
@pytest.mark.parametrize("skill", [0.5, 1.5, 2.5])
def test_the_success_rate_stays_where_it_teaches(key: int, skill: float) -> None:
    curriculum = Curriculum(key, SMALL, window=10)
    learn(curriculum, key, 300, skill=skill)
    rate = curriculum.recent_rate
    assert rate is not None and BAND[0] <= rate <= BAND[1]


# --- buckets that teach nothing -------------------------------------------------------------------------


@pytest.mark.parametrize("wins", [0, SIZE])
def test_a_bucket_without_variance_rests_and_is_looked_at_again(wins: int) -> None:
    curriculum = Curriculum(0, SMALL)
    bucket = Bucket("power", 1)
    before = Counter(curriculum.draw(3000))[bucket]
    always(curriculum, bucket, wins, 2)
    assert curriculum.stage(bucket) != "resting"
    always(curriculum, bucket, wins, 1)
    assert curriculum.stage(bucket) == "resting"
    after = Counter(curriculum.draw(3000))[bucket]
    assert 0 < after < before / 5
    always(curriculum, bucket, 3, 1)
    assert curriculum.stage(bucket) != "resting"


def test_difference_now_and_then_is_enough() -> None:
    curriculum = Curriculum(0, SMALL)
    for wins in (0, 0, 1, 0, 0, 1):
        always(curriculum, Bucket("power", 1), wins, 1)
    assert curriculum.stage(Bucket("power", 1)) == "open"


# --- going on -------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), cut=st.integers(0, 120), window=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_a_resumed_run_is_the_same_run(seed: int, cut: int, window: int) -> None:
    whole = Curriculum(seed, SMALL, window=window)
    expected = learn(whole, seed, cut, gain=0.01)
    kept = json.loads(json.dumps(whole.state()))
    expected += learn(whole, seed, 80, skill=1.5)
    resumed = Curriculum.resume(kept)
    assert learn(resumed, seed, 80, skill=1.5) == expected[cut:]
    assert resumed.state() == whole.state()


@given(seed=st.integers(0, 2**32), parts=st.lists(st.integers(0, 9), min_size=1, max_size=9))
@settings(max_examples=25, deadline=None)
def test_it_does_not_matter_how_many_are_drawn_at_a_time(seed: int, parts: list[int]) -> None:
    one, other = Curriculum(seed), Curriculum(seed)
    assert [bucket for part in parts for bucket in one.draw(part)] == other.draw(sum(parts))


def test_the_seed_decides_the_order() -> None:
    assert Curriculum(1).draw(60) == Curriculum(1).draw(60)
    assert Curriculum(1).draw(60) != Curriculum(2).draw(60)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda: Curriculum(0, []), "at least one bucket"),
        (lambda: Curriculum(0, window=0), "window is 0"),
        (lambda: Curriculum(0).record(Bucket("power", 1), 9, 8), "9 of 8 episodes"),
        (lambda: Curriculum(0).record(Bucket("powr", 1), 1, 8), "Did you mean 'power/1'"),
        (lambda: Curriculum.resume({"version": 7}), "version 7"),
        (lambda: Bucket.parse("power"), "no bucket"),
    ],
)
def test_mistakes_are_named(act: object, error: str) -> None:
    assert callable(act)
    with pytest.raises(ConfigurationError, match=error):
        act()


# --- tasks ----------------------------------------------------------------------------------------------


def made_up(count: int) -> list[Task]:
    """Return tasks of two families and two levels, and some without a fault."""
    kinds = [
        ("RES", "power", 0),
        ("RES", "power", 1),
        ("DIA", "antenna", 1),
        ("NOF", "no_fault", 1),
        ("ESC", "power", 3),
    ]
    labels = [kinds[index % len(kinds)] for index in range(count)]
    return [
        Task(id=f"t{index}", ticket="?", labels={"kind": kind, "family": family, "level": level})
        for index, (kind, family, level) in enumerate(labels)
    ]


def test_tasks_come_from_the_buckets_that_are_due_and_each_once() -> None:
    tasks = made_up(100)
    buckets = {bucket_of(task) for task in tasks}
    source = CurriculumTasks(tasks, Curriculum(3, buckets))
    expected = Curriculum(3, buckets).draw(30)
    drawn = source.draw(30)
    assert [bucket_of(tasks[position]) for position in drawn] == expected
    assert len(set(drawn)) == 30


def test_a_bucket_without_tasks_is_left_out() -> None:
    tasks = made_up(50)
    buckets = {*(bucket_of(task) for task in tasks), Bucket("security", 1), Bucket("security", 2)}
    source = CurriculumTasks(tasks, Curriculum(0, buckets), patience=60)
    assert all(bucket_of(tasks[position]).family != "security" for position in source.draw(60))
    assert Bucket("security", 1) not in source.curriculum.buckets
    with pytest.raises(ConfigurationError, match="no bucket of the curriculum has tasks"):
        CurriculumTasks([], Curriculum(0, buckets)).draw(1)


def test_tasks_of_a_resumed_run_are_the_same(tmp_path: Path) -> None:
    tasks = made_up(200)
    whole = CurriculumTasks(tasks, Curriculum(1, {bucket_of(task) for task in tasks}, window=3))
    for position in whole.draw(20):
        whole.record(position, 7, SIZE)
    whole.write(tmp_path / "curriculum.json")
    resumed = CurriculumTasks.read(tmp_path / "curriculum.json", tasks)
    assert resumed.draw(40) == whole.draw(40)
    assert resumed.state() == whole.state()


def test_real_tasks_have_buckets_that_are_known() -> None:
    tasks = BaseStationTasks(0, "train", 16, levels=(0, 2), kinds=("RES", "NOF"))
    source = CurriculumTasks(tasks, Curriculum(0), patience=16)
    assert {bucket_of(tasks[position]).level for position in source.draw(8)} <= {0, 1, 2}
    assert all(bucket_of(task) in default_buckets() for task in tasks)
