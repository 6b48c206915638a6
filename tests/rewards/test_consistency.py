from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.rewards.base import Run
from telegym.rewards.consistency import Consistency, clusters
from telegym.rewards.registry import make_reward
from tests.rewards.parts import Plain, toy_run

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=9)


def answer(run: Run) -> str | None:
    assert isinstance(run, Plain)
    found: str | None = run.marks["answer"]
    return found


def values(answers: Sequence[str | None], reward: Consistency, group: str = "g") -> list[float | None]:
    return [score.value for score in reward.score([Plain(group, answer=each) for each in answers])]


def test_the_majority_is_paid() -> None:
    assert values(["a", "b", "a", None], Consistency(answer)) == [1, 0, 1, 0]
    assert values(["a", "b", "a", None], Consistency(answer, pays="share")) == [0.5, 0.25, 0.5, 0]


def test_ties() -> None:
    given_answers = ["a", "b", "a", "b", "c"]
    assert values(given_answers, Consistency(answer)) == [0, 0, 0, 0, 0]
    assert values(given_answers, Consistency(answer, ties="all")) == [1, 1, 1, 1, 0]
    assert values(given_answers, Consistency(answer, ties="share")) == [0.5, 0.5, 0.5, 0.5, 0]


def test_one_answer_is_no_majority() -> None:
    assert values(["a"], Consistency(answer)) == [0]
    assert values(["a", None, None], Consistency(answer)) == [0, 0, 0]
    assert values(["a"], Consistency(answer, quorum=1)) == [1]


@settings(deadline=None, max_examples=40)
@given(ANSWERS)
def test_it_is_the_majority_by_counting(answers: list[str | None]) -> None:
    counts = Counter(each for each in answers if each is not None)
    top = counts.most_common()
    alone = len(top) == 1 or (len(top) > 1 and top[0][1] > top[1][1])
    expected = [float(alone and sum(counts.values()) >= 2 and each == top[0][0]) if each else 0.0 for each in answers]
    assert values(answers, Consistency(answer)) == expected


@settings(deadline=None, max_examples=40)
@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_the_runs_changes_nothing(answers: list[str | None], random: object) -> None:
    reward = Consistency(answer, ties="share")
    places = list(range(len(answers)))
    random.shuffle(places)  # type: ignore[attr-defined]
    shuffled = values([answers[place] for place in places], reward)
    assert [shuffled[places.index(place)] for place in range(len(answers))] == values(answers, reward)


def test_groups_do_not_mix() -> None:
    runs = [Plain("x", answer="a"), Plain("y", answer="b"), Plain("x", answer="a"), Plain("y", answer="a")]
    assert [score.value for score in Consistency(answer).score(runs)] == [1, 0, 1, 0]


def test_equivalent_answers_are_one() -> None:
    def near(left: str, right: str) -> bool:
        return abs(float(left) - float(right)) <= 0.11

    assert clusters(["1.0", "5", "1.1", "1.2", None, "1.0"], near) == [0, 1, 0, 0, None, 0]
    assert clusters(["1.2", "1.0", "1.1"], near) == [0, 0, 0]
    assert values(["1.0", "5", "1.1"], Consistency(answer, near)) == [1, 0, 1]
    assert values(["Ja ", "ja", "nein"], Consistency(answer)) == [1, 1, 0]


def test_it_is_made_by_name_and_finds_answers_by_itself() -> None:
    made = make_reward("consistency", ties="share")
    assert [score.value for score in made.score([toy_run(turns=0), toy_run(turns=0)])] == [0, 0]
    with pytest.raises(ConfigurationError, match="Did you mean 'share'"):
        Consistency(ties="shared")  # type: ignore[arg-type]
