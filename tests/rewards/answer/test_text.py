"""Free text: equal to a reference, or judged without it, or judged with it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from telegym.core.errors import ConfigurationError, InfrastructureError, JudgeError, TaskError
from telegym.core.score import Failure
from telegym.rewards.answer.text import AnswerJudge, AnswerQuery, AnswerVerdict, TextReward
from telegym.rewards.base import Judgement
from telegym.rewards.registry import make_reward

from .asking import run


class Scripted:
    """A judge that looks its verdicts up."""

    def __init__(self, verdicts: dict[tuple[str, bool], AnswerVerdict | Failure]) -> None:
        self.verdicts = verdicts
        self.asked: list[list[AnswerQuery]] = []

    def __call__(self, queries: Sequence[AnswerQuery], /) -> list[AnswerVerdict | Failure]:
        self.asked.append(list(queries))
        return [self.verdicts[query.answer, query.reference is not None] for query in queries]


SURE_RIGHT, SURE_WRONG, UNSURE = AnswerVerdict(1.0), AnswerVerdict(0.0), AnswerVerdict(0.4, sure=False)


def test_equal_answers_are_never_judged() -> None:
    judge = Scripted({})
    scores = TextReward(judge=judge).score(
        [run("the  diversity Gain.", answer="The diversity gain"), run("b", answer=["a", "B"])]
    )
    assert [score.value for score in scores] == [1.0, 1.0]
    assert judge.asked == []


def test_exact_comparison_is_to_the_letter() -> None:
    reward = TextReward(compare="exact")
    assert reward(run("ab ", answer="ab")).value == 1.0
    assert reward(run("AB", answer="ab")).value == 0.0


def test_the_reference_is_shown_only_to_an_unsure_judge() -> None:
    judge = Scripted(
        {("p", False): SURE_RIGHT, ("q", False): SURE_WRONG, ("r", False): UNSURE, ("r", True): SURE_RIGHT}
    )
    scores = TextReward(judge=judge).score([run(text, "Why?", answer="because") for text in "pqr"])
    assert [score.value for score in scores] == [1.0, 0.0, 1.0]
    assert judge.asked == [
        [AnswerQuery("Why?", "p"), AnswerQuery("Why?", "q"), AnswerQuery("Why?", "r")],
        [AnswerQuery("Why?", "r", "because")],
    ]
    last = scores[2]
    assert isinstance(last, Judgement)
    assert last.counters == {"requests": 2.0, "shown_reference": 1.0, "unsure": 0.0}


def test_without_a_reference_the_first_verdict_stands() -> None:
    judge = Scripted({("r", False): UNSURE})
    score = TextReward(judge=judge)(run("r"))
    assert score.value == pytest.approx(0.4)
    assert len(judge.asked) == 1


def test_a_judge_may_be_kept_from_the_reference() -> None:
    judge = Scripted({("r", False): UNSURE})
    assert TextReward(judge=judge, show_reference=False, threshold=0.5)(run("r", answer="x")).value == 0.0


def test_a_threshold_makes_scores_binary() -> None:
    judge = Scripted({("p", False): AnswerVerdict(0.7), ("q", False): AnswerVerdict(0.5)})
    scores = TextReward(judge=judge, threshold=0.6).score([run("p", answer="x"), run("q", answer="x")])
    assert [score.value for score in scores] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("verdict", "party"),
    [
        (Failure(party="infrastructure", message="timeout"), "infrastructure"),
        (AnswerVerdict(7.0), "judge"),
        (AnswerVerdict(float("nan")), "judge"),
    ],
)
def test_a_failure_is_no_zero(verdict: AnswerVerdict | Failure, party: str) -> None:
    judge = Scripted({("p", False): verdict, ("q", False): SURE_RIGHT})
    failed, judged = TextReward(judge=judge).score([run("p", answer="x"), run("q", answer="x")])
    assert failed.value is None
    assert failed.failure is not None
    assert failed.failure.party == party
    assert judged.value == 1.0


def test_a_failure_with_the_reference_is_no_zero_either() -> None:
    judge = Scripted({("r", False): UNSURE, ("r", True): Failure(party="judge", message="unreadable")})
    assert TextReward(judge=judge)(run("r", answer="x")).value is None


@pytest.mark.parametrize(
    ("error", "party"), [(JudgeError("no verdict"), "judge"), (InfrastructureError("down"), "infrastructure")]
)
def test_a_judge_that_raises_fails_all_it_was_asked(error: Exception, party: str) -> None:
    def judge(queries: Sequence[AnswerQuery], /) -> list[AnswerVerdict | Failure]:
        raise error

    scores = TextReward(judge=judge).score([run("p", answer="x"), run("x", answer="x")])
    assert scores[0].failure == Failure(party=party, message=str(error))
    assert scores[1].value == 1.0


def test_too_few_verdicts_are_a_failure() -> None:
    def judge(queries: Sequence[AnswerQuery], /) -> list[AnswerVerdict | Failure]:
        return []

    assert isinstance(judge, AnswerJudge)
    score = TextReward(judge=judge)(run("p", answer="x"))
    assert score.failure is not None
    assert "0 verdicts for 1 answers" in score.failure.message


@pytest.mark.parametrize("reply", ["", ":", "...", "<answer> ? </answer>"])
def test_what_says_nothing_is_never_judged(reply: str) -> None:
    judge = Scripted({})
    score = TextReward(judge=judge)(run(reply, answer="x"))
    assert (score.value, score.components["answered"]) == (0.0, 0.0)
    assert judge.asked == []


def test_without_a_judge_other_words_are_wrong_and_a_reference_is_needed() -> None:
    assert TextReward()(run("y", answer="x")).value == 0.0
    with pytest.raises(TaskError, match="has no 'answer'"):
        TextReward()(run("y"))


def test_rewards_for_answers_are_made_by_name() -> None:
    right = run("<final>option 2</final>", answer=2, options=["x", "y"])
    assert make_reward("choice", tag="final", once=True, sources=["tag"])(right).success
    assert make_reward("numeric", rule="telemath", units="required")(run("3 dB", answer=3, unit="dB")).success
    judge = Scripted({("p", False): SURE_RIGHT})
    assert make_reward("text", judge=judge, threshold=0.5)(run("p", answer="x")).success
    with pytest.raises(ConfigurationError, match="Did you mean 'relative'"):
        make_reward("numeric", relativ=0.1)


@pytest.mark.parametrize("settings", [{"compare": "loose"}, {"threshold": 0.0}, {"threshold": 2.0}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        TextReward(**settings)  # type: ignore[arg-type]
