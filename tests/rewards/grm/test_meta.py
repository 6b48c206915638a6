"""A judge of votes knows good voters by how they vote."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from telegym.core.errors import ConfigurationError
from telegym.rewards.grm import GenerativeJudge, JudgeRequest, JudgeSettings, MetaJudge, Panel, vote_features
from telegym.rewards.grm.judge import Opinion, form_opinion
from telegym.rewards.grm.meta import FEATURES
from telegym.rewards.grm.panel import Vote
from telegym.rewards.grm.verdicts import Verdict, parse_verdict
from tests.rewards.grm.scripted import ScriptedBackend, played, verdict

CALLS = 4
SETTINGS = JudgeSettings(votes=8)


def careful(score: bool, rng: Random) -> str:
    """A voter who mostly does what was asked."""
    marks = [(0, "redundant") if not score and n == 0 else (1, None) for n in range(CALLS)]
    words = " ".join(["word"] * rng.randint(15, 40))
    return verdict(int(score), marks, analysis=f"Call {rng.randint(1, CALLS)} decides it: {words}.")


def careless(score: bool, rng: Random) -> str:
    """A voter who often cites calls that never were, forgets codes, says it in one form only, and rambles."""
    marks: list[tuple[int, str | None]] = [(rng.randint(0, 1), None) for _ in range(rng.choice((CALLS, CALLS - 1)))]
    number = rng.randint(1, 2 * CALLS)
    text = verdict(int(score), marks, analysis=f"Call {number}. " + "so " * rng.randint(0, 120))
    return text.rpartition("\n")[0] if rng.random() < 0.4 else text


def ballot(truth: bool, rng: Random) -> list[Vote[Verdict]]:
    """Return the votes of three voters who are right nine times of ten, and of five who are six times of ten."""
    votes = []
    for good in [True] * 3 + [False] * 5:
        right = rng.random() < (0.9 if good else 0.6)
        text = (careful if good else careless)(truth == right, rng)
        votes.append(Vote(verdict=parse_verdict(text, CALLS), requests=1))
    rng.shuffle(votes)
    return votes


def examples(count: int, seed: str) -> list[tuple[bool, list[Vote[Verdict]]]]:
    rng = Random(seed)
    return [(truth := rng.random() < 0.5, ballot(truth, rng)) for _ in range(count)]


def taught(count: int = 300) -> MetaJudge:
    features: list[list[float]] = []
    right: list[bool] = []
    for truth, votes in examples(count, "train"):
        features += vote_features(votes, CALLS)
        right += [vote.verdict is not None and vote.verdict.score == truth for vote in votes]
    return MetaJudge.fit(features, right)


def accuracy(meta: MetaJudge | None, items: list[tuple[bool, list[Vote[Verdict]]]]) -> float:
    """Return the share of right majorities; a tie is half right."""
    total = 0.0
    for truth, votes in items:
        opinion = form_opinion(votes, SETTINGS, calls=CALLS, meta=meta)
        assert isinstance(opinion, Opinion)
        total += 0.5 if opinion.probability == 0.5 else float((opinion.probability > 0.5) == truth)
    return total / len(items)


def test_filtered_votes_are_right_more_often() -> None:
    items = examples(2000, "test")
    plain, filtered = accuracy(None, items), accuracy(taught(), items)
    assert filtered >= plain + 0.03


def test_it_keeps_the_better_half_in_order() -> None:
    meta = taught(100)
    ((_, votes),) = examples(1, "one")
    kept = meta.keep(votes, CALLS)
    likely = meta.probabilities(vote_features(votes, CALLS))
    assert len(kept) == 4 and kept == sorted(kept)
    assert min(likely[place] for place in kept) >= max(likely[place] for place in range(8) if place not in kept)
    assert meta.keep(votes[:3], CALLS) == sorted(meta.keep(votes[:3], CALLS)) and len(meta.keep(votes[:3], CALLS)) == 2
    assert meta.keep(votes[:1], CALLS) == [0]


def test_the_features_are_what_they_are_called() -> None:
    text = verdict(1, [(1, None)] * CALLS, analysis="Call 2 and 9 matter")
    first = Vote(verdict=parse_verdict(text, CALLS), asked_again=True)
    second = Vote(verdict=parse_verdict(r"\boxed{1}", CALLS))
    third = Vote(verdict=parse_verdict(verdict(0, [(0, None)] * CALLS), CALLS))
    rows = [dict(zip(FEATURES, row, strict=True)) for row in vote_features([first, second, third], CALLS)]
    assert rows[0] == {
        "readable": 0.0,
        "agreed": 1.0,
        "cites": 0.5,
        "consistent": 1.0,
        "marked": 1.0,
        "length": 5.0,
        "agreement": 0.5,
    }
    assert (rows[1]["agreed"], rows[1]["cites"], rows[1]["marked"]) == (0.0, 0.0, 0.0)
    assert (rows[2]["consistent"], rows[2]["agreement"]) == (0.0, 0.0)


def test_it_is_stored_as_json(tmp_path: Path) -> None:
    meta = taught(20)
    meta.write(tmp_path / "meta.json")
    assert MetaJudge.read(tmp_path / "meta.json") == meta
    with pytest.raises(ConfigurationError, match="not a judge of votes"):
        MetaJudge.read(tmp_path / "nothing.json")


def test_it_needs_votes_of_both_kinds() -> None:
    with pytest.raises(ConfigurationError, match="votes that were right and votes that were wrong"):
        MetaJudge.fit([[0.0] * len(FEATURES)] * 2, [1, 1])
    with pytest.raises(ConfigurationError, match="do not fit"):
        MetaJudge.fit([[0.0]], [1])


def test_a_judge_listens_to_the_votes_that_are_kept() -> None:
    rng = Random("judge")
    run = played(0)

    def script(request: JudgeRequest) -> str:
        return verdict(1, [(1, None), (1, None)], analysis="Call 1 and call 2.") if next(turn) else careless(False, rng)

    turn = iter([True, False, True, False])
    panel = Panel(ScriptedBackend(script), JudgeSettings(votes=4))
    found = GenerativeJudge(panel, meta=taught())(run)
    assert found.value == pytest.approx(2.5 / 3)
