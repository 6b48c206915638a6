"""Credit by turns: who is to blame for a failed episode."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from telegym.agents.training.credit import blamed_turns
from telegym.agents.training.rollouts import Transcript


def transcript(components: list[dict[str, float]], failed: tuple[int, ...] = ()) -> Transcript:
    calls: list[Any] = [SimpleNamespace(turn=turn, error="refused") for turn in failed]
    calls += [SimpleNamespace(turn=turn, error=None) for turn in range(1, len(components))]
    turns = [(turn, turn + 1) for turn in range(len(components) - 1)]
    return cast(Transcript, SimpleNamespace(components=components, turns=turns, episode=SimpleNamespace(calls=calls)))


GOOD, DAMAGED = {"ended": 0.0, "collateral": 1.0}, {"ended": 0.0, "collateral": 0.0}


@pytest.mark.parametrize(
    ("components", "failed", "blamed"),
    [
        ([GOOD, GOOD, DAMAGED, DAMAGED], (), [False, True, False]),
        ([GOOD, DAMAGED, GOOD, DAMAGED], (), [True, False, True]),
        ([GOOD, GOOD, GOOD, GOOD], (2,), [False, True, False]),
        ([GOOD, GOOD, {"ended": 1.0, "assertions": 0.0, "collateral": 1.0}], (), [False, True]),
        ([GOOD, GOOD, GOOD], (), [True, True]),
    ],
)
def test_turns_answer_for_what_fell(
    components: list[dict[str, float]], failed: tuple[int, ...], blamed: list[bool]
) -> None:
    assert blamed_turns(transcript(components, failed)) == blamed
