from __future__ import annotations

import builtins
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError, JudgeError
from telegym.rewards.base import Judgement, Run
from telegym.rewards.registry import make_reward
from telegym.rewards.rubrics import Criterion, HashedWords, Rubric, RubricReward, RubricStore, register_predicate
from tests.rewards.parts import TOY, toy_run

pytest.importorskip("faiss")

READS = Criterion(question="Was a counter read?", predicate="called", arguments={"tool": "read_counter"})
DONE = Criterion(question="Was the work ended?", weight=3, predicate="ended")
JUDGED = Criterion(question="Is it polite?", weight=2)
COUNTERS = Rubric(id="counters", question="Bring counter C001 to 7.", criteria=(READS, DONE))


def test_the_value_is_the_weighted_share_of_what_is_met() -> None:
    score = RubricReward(RubricStore([COUNTERS]))(toy_run())
    assert isinstance(score, Judgement)
    assert score.value == pytest.approx(3 / 4)
    assert score.reasons == ("No: Was a counter read?",)
    assert score.analysis == "rubric counters"


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0.1, 5), st.booleans()), min_size=1, max_size=8))
def test_the_value_by_hand(parts: list[tuple[float, bool]]) -> None:
    criteria = tuple(
        Criterion(question=str(number), weight=weight, predicate="at_most_calls", arguments={"most": 100 if met else 0})
        for number, (weight, met) in enumerate(parts)
    )
    rubric = Rubric(id="r", question="Bring counter C001 to 7.", criteria=criteria)
    met = total = 0.0
    for weight, value in parts:
        total += weight
        met += weight if value else 0
    assert RubricReward(RubricStore([rubric]))(toy_run()).value == pytest.approx(met / total, abs=1e-5)


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ({"predicate": "not_called", "arguments": {"tool": "read_counter"}}, 1),
        ({"predicate": "called_before", "arguments": {"first": "change_counter", "then": "done"}}, 1),
        ({"predicate": "called_before", "arguments": {"first": "done", "then": "change_counter"}}, 0),
        ({"predicate": "at_most_errors"}, 1),
        ({"predicate": "component", "arguments": {"name": "nothing"}}, 0),
        ({"pattern": "c00\\d"}, 1),
        ({"pattern": "c00\\d", "absent": True}, 0),
        ({"pattern": "elephant", "absent": True}, 1),
    ],
)
def test_criteria_that_code_decides(criterion: dict[str, Any], expected: float) -> None:
    rubric = Rubric.parse(
        {"id": "r", "question": "Bring counter C001 to 7.", "criteria": [{"question": "?", **criterion}]}
    )
    assert RubricReward(RubricStore([rubric]))(toy_run()).value == expected


def test_judges_decide_the_rest_and_may_abstain_or_fail() -> None:
    rubric = Rubric(id="r", question="Bring counter C001 to 7.", criteria=(DONE, JUDGED))

    def judged(answer: bool | None) -> float | None:
        return RubricReward(RubricStore([rubric]), lambda question, run: answer)(toy_run()).value

    values = {"yes": judged(True), "no": judged(False), "perhaps": judged(None)}
    assert values == {"yes": 1, "no": pytest.approx(3 / 5), "perhaps": 1}

    def broken(question: str, run: Run) -> bool | None:
        raise JudgeError("nobody is there")

    failed = RubricReward(RubricStore([rubric]), broken)(toy_run())
    assert failed.value is None
    assert failed.failure is not None
    assert failed.failure.party == "judge"
    alone = RubricReward(RubricStore([Rubric(id="r", question="Bring counter C001 to 7.", criteria=(JUDGED,))]))(
        toy_run()
    )
    assert alone.value is None


def test_the_rubric_of_the_likest_question_is_taken() -> None:
    other = Rubric(id="other", question="Which modulation has the highest rate?", criteria=(READS,))
    chinese = Rubric(id="zh", question="小区退服的原因是什么？", criteria=(READS,))
    store = RubricStore([other, COUNTERS, chinese])
    assert store.search("Bring counter C003 to 12.")[0].rubric.id == "counters"
    assert store.search("这个小区退服是什么原因？")[0].rubric.id == "zh"
    assert next(found.rubric.id for found in store.search("modulation rate", 3)) == "other"
    assert store.search("Bring counter C001 to 7.")[0].similarity == pytest.approx(1, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True), st.text())
def test_the_search_finds_what_a_slow_search_finds(questions: list[str], asked: str) -> None:
    store = RubricStore([Rubric(id=str(n), question=text, criteria=(READS,)) for n, text in enumerate(questions)])
    embedding = HashedWords()
    best = -2.0
    for text in questions:
        left, right = embedding.embed([text])[0], embedding.embed([asked])[0]
        best = max(best, sum(float(a) * float(b) for a, b in zip(left, right, strict=True)))
    assert store.search(asked)[0].similarity == pytest.approx(best, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(), max_size=5))
def test_vectors_have_length_one_or_nothing_in_them(texts: list[str]) -> None:
    lengths = np.linalg.norm(HashedWords(64).embed(texts), axis=1)
    assert all(length == pytest.approx(1, abs=1e-5) or length == 0 for length in lengths)


def test_a_generator_makes_a_rubric_once_for_each_question() -> None:
    made: list[str] = []

    def generate(question: str, runs: Sequence[Run]) -> Rubric:
        made.append(question)
        return Rubric(id=f"made-{len(made)}", question=question, criteria=(DONE,), source="test")

    def of(ticket: str) -> Run:
        return Run.of(Episode(TOY, TOY.tasks[0].model_copy(update={"ticket": ticket})))

    counter, other, colour = of("Bring counter C001 to 7."), of("Bring counter C003 to 12."), of("Paint it blue.")
    reward = RubricReward(RubricStore(), generator=generate)
    assert [score.value for score in reward.score([counter, colour, other])] == [0, 0, 0]
    reward.score([colour, counter])
    assert made == ["Bring counter C001 to 7.", "Paint it blue."]
    assert len(reward.store) == 2


def test_without_a_fitting_rubric_there_is_no_value() -> None:
    other = Rubric(id="other", question="Which modulation has the highest rate?", criteria=(READS,))
    score = RubricReward(RubricStore([other]))(toy_run())
    assert score.value is None
    assert score.failure is not None
    assert "'other'" in score.failure.message

    def fails(question: str, runs: Sequence[Run]) -> Rubric | None:
        raise JudgeError("no words")

    assert RubricReward(RubricStore(), generator=fails)(toy_run()).value is None
    assert RubricReward(RubricStore(), generator=lambda question, runs: None)(toy_run()).value is None


def test_criteria_met_too_seldom_or_too_often_are_removed() -> None:
    never = Criterion(question="never", predicate="called", arguments={"tool": "elephant"})
    always = Criterion(question="always", predicate="at_most_calls", arguments={"most": 99})
    often = Criterion(question="often", predicate="ended")
    store = RubricStore([Rubric(id="r", question="Bring counter C001 to 7.", criteria=(never, always, often))])
    reward = RubricReward(store, prune_every=20)
    runs = [toy_run(turns=9 if number % 2 else 0) for number in range(20)]
    before = reward.score(runs)
    assert [score.value for score in before] == pytest.approx([1 / 3, 2 / 3] * 10)
    assert [item.question for item in store.rubrics[0].criteria] == ["often"]
    assert store.rates("r") == [0.5]
    assert [score.value for score in reward.score(runs[:2])] == [0, 1]


def test_rubrics_without_criteria_go_and_young_ones_stay() -> None:
    store = RubricStore([COUNTERS])
    store.count("counters", [True, None])
    assert store.prune(least=2) == []
    assert store.rates("counters") == [1, None]
    store.count("counters", [True, True])
    store.count("counters", [True, True])
    assert store.prune(least=2) == [READS, DONE]
    assert len(store) == 0
    assert store.search("anything") == []


def test_a_store_is_a_file(tmp_path: Path) -> None:
    store = RubricStore([COUNTERS])
    store.count("counters", [True, False])
    path = tmp_path / "rubrics.json"
    store.save(path)
    again = RubricStore.load(path)
    assert again.rubrics == store.rubrics
    assert again.rates("counters") == [1, 0]
    assert make_reward("rubric", store=str(path))(toy_run()).value == pytest.approx(3 / 4)
    with pytest.raises(ConfigurationError, match="hashed-words-64"):
        RubricStore.load(path, HashedWords(64))
    path.write_text(json.dumps({"version": 1}))
    with pytest.raises(ConfigurationError, match="no store of rubrics"):
        RubricStore.load(path)


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'called'"):
        Rubric.parse({"id": "r", "question": "?", "criteria": [{"question": "?", "predicate": "caled"}]})
    with pytest.raises(ConfigurationError, match="takes one of them"):
        Rubric.parse(
            {"id": "r", "question": "?", "criteria": [{"question": "?", "predicate": "called", "pattern": "x"}]}
        )
    with pytest.raises(ConfigurationError, match="pattern"):
        Rubric.parse({"id": "r", "question": "?", "criteria": [{"question": "?", "pattern": "("}]})
    with pytest.raises(ConfigurationError, match="already a rubric"):
        RubricStore([COUNTERS, COUNTERS])
    with pytest.raises(ConfigurationError, match="already a predicate"):
        register_predicate("called", lambda reading: True)
    rubric = Rubric.parse(
        {"id": "r", "question": "Bring counter C001 to 7.", "criteria": [{"question": "?", "predicate": "called"}]}
    )
    with pytest.raises(ConfigurationError, match="tool"):
        RubricReward(RubricStore([rubric]))(toy_run())


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    def missing(name: str) -> Any:
        raise builtins.ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"telegym\[rubrics\]"):
        RubricStore([COUNTERS]).search("x")
