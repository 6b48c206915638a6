"""Generative judges: language models that say whether a run was right, call by call, and why.

`GenerativeJudge` judges runs on their own, `ListwiseJudge` in groups, `GenerativeAnswerJudge` answers in words. They
ask a `Backend` through a `Panel`; backends for endpoints and local models are in `telegym.agents.judging`.
"""

from telegym.rewards.grm.answers import GenerativeAnswerJudge
from telegym.rewards.grm.asking import Budget, Health, Prices, ReplyStore, Tally
from telegym.rewards.grm.backend import Backend, Choice, JudgeReply, JudgeRequest, Token
from telegym.rewards.grm.calibration import Calibration, fit_calibration
from telegym.rewards.grm.judge import GenerativeJudge
from telegym.rewards.grm.judge_input import JudgeInput, judge_input
from telegym.rewards.grm.listwise import ListwiseJudge
from telegym.rewards.grm.meta import MetaJudge, vote_features
from telegym.rewards.grm.panel import JudgeSettings, Panel

__all__ = [
    "Backend",
    "Budget",
    "Calibration",
    "Choice",
    "GenerativeAnswerJudge",
    "GenerativeJudge",
    "Health",
    "JudgeInput",
    "JudgeReply",
    "JudgeRequest",
    "JudgeSettings",
    "ListwiseJudge",
    "MetaJudge",
    "Panel",
    "Prices",
    "ReplyStore",
    "Tally",
    "Token",
    "fit_calibration",
    "judge_input",
    "vote_features",
]
