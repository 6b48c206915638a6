"""Hypotheses: which of the enumerated explanations are still possible, as bits of one number.

Every hypothesis has a place; a set of hypotheses is an integer with a bit for each. An observation is the set of those
that would have shown it, so learning is one `and`, and thousands of hypotheses cost a few hundred nanoseconds.
All hypotheses weigh the same.
"""

from __future__ import annotations

from math import log2

__all__ = ["Hypotheses"]


class Hypotheses:
    """The explanations that are still possible.

    Args:
        size: How many there are.
    """

    __slots__ = ("alive", "all", "surprises")

    def __init__(self, size: int) -> None:
        self.all = (1 << size) - 1
        """Every hypothesis."""
        self.alive = self.all
        """Those that are still possible."""
        self.surprises = 0
        """How often something was seen that no remaining hypothesis allows; what had been learnt is dropped then."""

    def observe(self, consistent: int) -> bool:
        """Learn that only these are possible; return whether that was news.

        An observation that none of the remaining hypotheses allows shows that the enumeration does not cover the case.
        Then only this observation is kept, or everything is possible again.
        """
        left = self.alive & consistent
        if left:
            news = left != self.alive
            self.alive = left
            return news
        self.surprises += 1
        self.alive = consistent & self.all or self.all
        return True

    def possible(self, those: int) -> bool:
        """Return whether one of these may still be true."""
        return bool(self.alive & those)

    def certain(self, those: int) -> bool:
        """Return whether one of these must be true."""
        return not self.alive & ~those

    def settled(self, those: int) -> bool:
        """Return whether it is known if one of these is true."""
        found = self.alive & those
        return not found or found == self.alive

    def probability(self, those: int) -> float:
        """Return the share of the remaining hypotheses that are among these, 0 to 1."""
        return (self.alive & those).bit_count() / self.alive.bit_count()

    @property
    def entropy(self) -> float:
        """Uncertainty in bits."""
        return log2(self.alive.bit_count())
