"""Rewards for final answers: options, numbers with units, free text."""

from telegym.rewards.answer.choice import ChoiceReward
from telegym.rewards.answer.extraction import Extraction, FinalAnswer
from telegym.rewards.answer.numeric import NumericReward
from telegym.rewards.answer.text import AnswerJudge, AnswerQuery, AnswerVerdict, TextReward

__all__ = [
    "AnswerJudge",
    "AnswerQuery",
    "AnswerVerdict",
    "ChoiceReward",
    "Extraction",
    "FinalAnswer",
    "NumericReward",
    "TextReward",
]
