"""Rubrics: weighted yes-or-no checks for a question, kept in a store that finds them for similar questions."""

from telegym.rewards.rubrics.embedding import Embedding, HashedWords
from telegym.rewards.rubrics.reward import Generator, RubricReward
from telegym.rewards.rubrics.rubric import Criterion, Rubric, register_predicate
from telegym.rewards.rubrics.store import RubricStore

__all__ = [
    "Criterion",
    "Embedding",
    "Generator",
    "HashedWords",
    "Rubric",
    "RubricReward",
    "RubricStore",
    "register_predicate",
]
