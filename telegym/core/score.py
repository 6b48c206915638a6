"""Score: what a trajectory is worth, and why.

A score has either a value or a typed failure. A failure (a judge that did not answer, a server that died) is never
turned into a value of zero: trainers mask it, reports count it apart.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Failure", "Score"]


class Failure(BaseModel):
    """Why no value could be given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    party: Literal["judge", "infrastructure", "task"]
    """Who has to act."""
    message: str
    """What went wrong."""


class Score(BaseModel):
    """The value of a trajectory with its named parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None = None
    """The total, or None if there is a failure."""
    components: dict[str, float] = {}
    """Named parts of the value, for example `assertions` or `collateral`; 1.0 is good, 0.0 is bad."""
    reasons: tuple[str, ...] = ()
    """One sentence for each thing that cost something, in order of occurrence; empty for a perfect trajectory."""
    calls: tuple[float | None, ...] = ()
    """Optional value of each tool call (credit for single turns); None where a call has none."""
    failure: Failure | None = None
    """Set if and only if `value` is None."""

    @property
    def success(self) -> bool:
        """Whether the value is 1 up to rounding (the success rule of tau2-bench: |value - 1| <= 1e-6)."""
        return self.value is not None and abs(self.value - 1.0) <= 1e-6
