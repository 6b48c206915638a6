"""From votes to a score: probabilities of verdicts, shares of votes, what is said of each call, what it took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from telegym.core.score import Failure
from telegym.rewards.grm.asking import Prices
from telegym.rewards.grm.backend import Choice, Token
from telegym.rewards.grm.panel import Vote
from telegym.rewards.grm.verdicts import CallMark, Verdict
from telegym.rewards.verdict import CallVerdict, Code

__all__ = ["call_verdicts", "counters_of", "failure_of", "positive_probability", "vote_share"]

Read = TypeVar("Read")


def vote_share(positive: float, votes: int) -> float:
    """Return the probability that (n1 + 1/2) / (n + 1) estimates from n1 of n votes (Jeffreys' prior)."""
    return (positive + 0.5) / (votes + 1)


def positive_probability(choice: Choice, digit_at: int) -> float | None:
    """Return the probability of the verdict 1 against 0, where the digit of the verdict was written.

    It is e^l1 / (e^l0 + e^l1) with the log-probabilities of both digits. If the other digit is not among the likeliest
    tokens, it has at most the probability of the least likely of them, and at most what they leave.

    Args:
        choice: The reply with its tokens.
        digit_at: Where in its text the digit stands.

    Returns:
        The probability; None if the reply has no tokens, or they do not spell its text.
    """
    place = _token_at(choice, digit_at)
    if place is None or place[0].text[place[1]] not in "01":
        return None
    token, at = place
    written = token.text[at]
    other = f"{token.text[:at]}{'1' if written == '0' else '0'}{token.text[at + 1 :]}"
    likely = {**dict(token.top), token.text: token.logprob}
    here, there = _mass(likely, token.text), _mass(likely, other)
    if there == 0.0:
        masses = [math.exp(logprob) for logprob in likely.values()]
        there = max(0.0, min(1.0 - sum(masses), min(masses)))
    share = here / (here + there)
    return share if written == "1" else 1.0 - share


def _token_at(choice: Choice, digit_at: int) -> tuple[Token, int] | None:
    """Return the token in which a character stands, and where in it.

    Counted from the end: verdicts stand there, and of a character that is several tokens no token spells a part. The
    last token may be the one that ended the reply, which is no part of its text.
    """
    for tokens in (choice.tokens, choice.tokens[:-1]):
        spelt = ""
        for token in reversed(tokens):
            spelt = token.text + spelt
            if len(spelt) >= len(choice.text) - digit_at:
                break
        start = len(choice.text) - len(spelt)
        if spelt and choice.text.endswith(spelt) and start <= digit_at:
            return token, digit_at - start
    return None


def _mass(likely: dict[str, float], text: str) -> float:
    """Return the probability of a token, with or without space around it."""
    return sum(math.exp(logprob) for other, logprob in likely.items() if other.strip() == text.strip())


def call_verdicts(votes: Sequence[Verdict], positions: Sequence[int]) -> tuple[CallVerdict, ...]:
    """Return what the majority says of each call; a tie says nothing, and neither do votes that left calls out.

    Args:
        votes: The votes.
        positions: Position of each of the agent's calls among all calls of the episode.
    """
    marked = [vote.calls for vote in votes if vote.calls is not None]
    if not marked:
        return ()
    return tuple(_call_verdict([marks[place] for marks in marked], index) for place, index in enumerate(positions))


def _call_verdict(marks: Sequence[CallMark], index: int) -> CallVerdict:
    right = sum(mark.right for mark in marks)
    if 2 * right == len(marks):
        return CallVerdict(index=index, reasonable=None, evidence=f"{right} of {len(marks)} votes say it was right")
    reasonable = 2 * right > len(marks)
    evidence = f"{right if reasonable else len(marks) - right} of {len(marks)} votes"
    code = None if reasonable else _most_common(mark.code for mark in marks if not mark.right)
    return CallVerdict(index=index, reasonable=reasonable, code=code, evidence=evidence)


def _most_common(codes: Iterable[Code | None]) -> Code | None:
    """Return the code most votes give; of several, the one that comes first in the list of codes."""
    counts = Counter(code for code in codes if code is not None)
    return max(counts, key=lambda code: (counts[code], -list(Code).index(code)), default=None)


def counters_of(votes: Sequence[Vote[Read]], prices: Prices) -> dict[str, float]:
    """Return what votes took, and what was noticed."""
    prompt = sum(vote.prompt_tokens for vote in votes)
    completion = sum(vote.completion_tokens for vote in votes)
    return {
        "votes": float(sum(vote.verdict is not None for vote in votes)),
        "unreadable": float(sum(vote.verdict is None and vote.choice is not None for vote in votes)),
        "unanswered": float(sum(vote.choice is None for vote in votes)),
        "conflicts": float(sum(vote.conflict for vote in votes)),
        "asked_again": float(sum(vote.asked_again for vote in votes)),
        "requests": float(sum(vote.requests for vote in votes)),
        "retries": float(sum(vote.retries for vote in votes)),
        "prompt_tokens": float(prompt),
        "completion_tokens": float(completion),
        "cost": prices.cost(prompt, completion),
    }


def failure_of(votes: Sequence[Vote[Read]], needed: int) -> Failure:
    """Return why too few votes could be read: the fault of the judge, unless it was never reached."""
    failures = [vote.failure for vote in votes if vote.failure is not None]
    blamed = next((failure for failure in failures if failure.party == "judge"), failures[0])
    usable = len(votes) - len(failures)
    message = (
        f"{usable} of {len(votes)} votes can be used, and {needed} are needed; one failed because {blamed.message}"
    )
    return Failure(party=blamed.party, message=message)
