"""Answers to questions: whether they are right, or at least rest on something that was read."""

from __future__ import annotations

from telegym.envs.base_station.questions import check_answer
from telegym.rewards.reasonableness.base_station.case import Act, Case
from telegym.rewards.reasonableness.base_station.claims import Claim
from telegym.rewards.verdict import View

__all__ = ["answer_claim"]


def answer_claim(case: Case, act: Act, view: View) -> list[Claim]:
    """Return the claim of an answer.

    In the view of what could be known, an answer that was given without having read anything is a guess; whether one
    that rests on reads is right is not to be told from outside. That there is no such thing is an answer too.

    Args:
        case: An episode about a question.
        act: Its `submit_answer`.
        view: From where to judge.
    """
    answer, unit = str(act.arguments.get("answer", "")), str(act.arguments.get("unit", ""))
    if view is View.ORACLE:
        right = check_answer(case.episode.task.data["question"]["expected"], answer, unit)
        return [Claim(f"{answer[:60]!r} is the answer", right)]
    heard = (item for item in case.acts[: act.visible] if not item.failed or item.refusal == "NOT_FOUND")
    read = any(item.reads for item in heard)
    return [Claim(f"{answer[:60]!r} rests on something that was read", read)]
