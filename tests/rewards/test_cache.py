"""What was judged once is not judged again, by nobody; what failed is; what lies in a cache is never executed."""

from __future__ import annotations

import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telegym.core.errors import InfrastructureError
from telegym.core.score import Failure, Score
from telegym.rewards.base import Judgement, Run, Signals
from telegym.rewards.cache import Cached, JsonStore
from telegym.rewards.verdict import CallVerdict, Check, Code
from tests.rewards.parts import Calling, Marked, Plain, toy_run


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JsonStore]:
    made = JsonStore(tmp_path / "cache")
    yield made
    made.close()


number = st.floats(allow_nan=False, allow_infinity=False)
verdicts = st.builds(
    CallVerdict,
    index=st.integers(0, 50),
    reasonable=st.sampled_from([True, False, None]),
    code=st.one_of(st.none(), st.sampled_from(Code)),
    evidence=st.text(),
    checks=st.dictionaries(st.sampled_from(Check), st.one_of(st.none(), number)),
)
scores = st.one_of(
    st.builds(
        Score,
        value=number,
        components=st.dictionaries(st.text(), number),
        reasons=st.lists(st.text()).map(tuple),
        calls=st.lists(st.one_of(st.none(), number)).map(tuple),
    ),
    st.builds(
        Judgement,
        value=number,
        analysis=st.text(),
        verdicts=st.lists(verdicts).map(tuple),
        counters=st.dictionaries(st.text(), number),
    ),
)
RUNS = [toy_run(task) for task in range(3)]


@given(scores)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_what_comes_back_is_identical_and_nothing_is_asked_twice(store: JsonStore, score: Score) -> None:
    reward = Calling(lambda run: score)
    cached = Cached(reward, store, {"of": score.model_dump_json()})
    first = cached.score(RUNS[:2])
    asked = reward.asked
    assert cached.score(RUNS[:2]) == first == [score, score]
    assert [type(each) for each in cached.score(RUNS[:2])] == [type(score)] * 2
    assert reward.asked == asked
    again = Cached(Calling(lambda run: Score(value=-1.0)), JsonStore(store.folder), {"of": score.model_dump_json()})
    assert again.score(RUNS[:2]) == first


def test_equal_runs_of_a_batch_are_asked_about_once(store: JsonStore) -> None:
    reward = Calling(lambda run: Score(value=float(len(run.trajectory.calls))))
    cached = Cached(reward, store)
    made = [toy_run(1), toy_run(0), toy_run(1), toy_run(1, turns=1)]
    assert [score.value for score in cached.score(made)] == [3, 2, 3, 1]
    assert (reward.asked, cached.misses, cached.hits, len(store)) == (3, 3, 1, 3)


def test_failures_are_asked_about_again(store: JsonStore) -> None:
    answers = iter([Score(failure=Failure(party="judge", message="busy")), Score(value=1.0)])
    cached = Cached(Calling(lambda run: next(answers)), store)
    assert [cached(RUNS[0]).value for _ in range(3)] == [None, 1.0, 1.0]


def test_everything_that_decides_a_score_is_part_of_the_key(store: JsonStore) -> None:
    reward = Calling(lambda run: Score(value=1.0))
    other = Calling(lambda run: Score(value=1.0), name="other")
    newer = Calling(lambda run: Score(value=1.0))
    newer.version = "2"
    signalled = Run(trajectory=RUNS[0].trajectory, signals=Signals(logprobs=[-0.5, float("-inf")]))
    for made, settings_, run in [
        (reward, {"votes": 4}, RUNS[0]),
        (reward, {"votes": 8}, RUNS[0]),
        (reward, {"votes": 4}, RUNS[1]),
        (reward, {"votes": 4}, signalled),
        (other, {"votes": 4}, RUNS[0]),
        (newer, {"votes": 4}, RUNS[0]),
    ]:
        before = made.asked
        Cached(made, store, settings_)(run)
        assert made.asked == before + 1
    assert len(store) == 6


def test_settings_that_are_no_json_are_taken_by_their_text(store: JsonStore) -> None:
    made = Cached(
        Calling(lambda run: Score(value=1.0)), store, {"at": Path("x"), "much": float("inf"), "of": (1, None)}
    )
    assert made(RUNS[0]).value == 1.0


def test_where_runs_are_compared_the_company_counts(store: JsonStore) -> None:
    reward = Marked("rank", groupwise=True)
    cached = Cached(reward, store)
    group = [_plain("A", 0, 1.0), _plain("A", 1, 2.0), _plain("B", 2, 3.0)]
    assert [score.value for score in cached.score(group)] == [1, 2, 3]
    assert [score.value for score in cached.score([group[1], group[0]])] == [2, 1]
    assert len(reward.asked) == 1
    cached.score(group[:1])
    assert len(reward.asked) == 2
    cached.score([*group[1:], _plain("B", 1, 4.0)])
    assert [[run.group for run in asked] for asked in reward.asked[2:]] == [["A", "B", "B"]]


def _plain(group: str, task: int, mark: float) -> Plain:
    run = Plain(group, rank=mark)
    run.__dict__["key"] = RUNS[task].key
    return run


def test_threads_and_processes_share_a_cache(tmp_path: Path) -> None:
    code = (
        "import sys; from telegym.rewards.cache import JsonStore; store = JsonStore(sys.argv[1]);"
        "[store.set(JsonStore.key(n=n), {'n': n}) for n in range(int(sys.argv[2]), int(sys.argv[2]) + 20)]"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(start)]) for start in (0, 10)]
    store = JsonStore(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: store.set(JsonStore.key(n=n), {"n": n}), range(25, 45)))
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert [store.get(JsonStore.key(n=n)) for n in range(45)] == [{"n": n} for n in range(45)]


class Planted:
    """Does harm when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("import sys; sys.planted = True",))


def test_a_planted_entry_is_not_executed(store: JsonStore) -> None:
    store.set("a", 1)
    with sqlite3.connect(store.folder / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 4, value = ?", (sqlite3.Binary(pickle.dumps(Planted())),))
    assert store.get("a") is None
    assert not hasattr(sys, "planted")
    pickle.loads(pickle.dumps(Planted()))
    assert sys.__dict__.pop("planted"), "the entry would not have done any harm"


@pytest.mark.parametrize("damage", [b"", b"not compressed", None])
def test_a_damaged_entry_is_no_entry(store: JsonStore, damage: bytes | None) -> None:
    cached = Cached(Calling(lambda run: Score(value=1.0)), store)
    cached(RUNS[0])
    with sqlite3.connect(store.folder / "cache.db") as database:
        database.execute("UPDATE Cache SET value = ?", (damage,))
    assert cached(RUNS[0]).value == 1.0
    assert cached.misses == 2


@pytest.mark.parametrize("stored", [[], {}, {"class": "telegym.core.score:Score", "score": {"value": "much"}}])
def test_an_entry_of_another_form_is_no_entry(store: JsonStore, stored: object) -> None:
    reward = Calling(lambda run: Score(value=1.0))
    cached = Cached(reward, store)
    (key,) = cached._keys([RUNS[0]])
    store.set(key, stored)
    assert cached(RUNS[0]).value == 1.0
    assert reward.asked == 1


def test_a_folder_that_is_none_is_an_infrastructure_failure(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_text("this is no database, and has never been one " * 100)
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(InfrastructureError, match="cannot be opened"):
            JsonStore(place)
