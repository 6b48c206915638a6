"""Where the time of a step goes: the parts sum to the whole, whatever is within what."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from telegym.agents.training.timing import PHASES, StepClock, time_table

from .toy import ToyEnvironment
from .toy_trainer import Policy, make_trainer


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_time_counts_for_the_innermost_phase() -> None:
    hand = Hand()
    clock = StepClock(hand)
    hand.at += 1
    clock.begin_step()
    hand.at += 2
    with clock.phase("generation"):
        hand.at += 4
        with clock.phase("environment"):
            hand.at += 8
        clock.count(30)
    with clock.phase("reward"):
        hand.at += 16
    clock.end_update()
    hand.at += 32
    figures = clock.lap()
    assert figures == {
        "time/generation": 4, "time/environment": 8, "time/reward": 16, "time/optimisation": 2, "time/other": 33,
        "time/step": 63, "tokens/second": 30 / 63,
    }  # fmt: skip
    assert clock.lap()["time/step"] == 0


def test_a_lap_of_several_steps_gives_means() -> None:
    hand = Hand()
    clock = StepClock(hand)
    for _ in range(4):
        clock.begin_step()
        hand.at += 3
        clock.count(6)
        clock.end_update()
    figures = clock.lap()
    assert (figures["time/optimisation"], figures["time/step"], figures["tokens/second"]) == (3, 3, 2)


def test_a_phase_that_is_left_by_an_exception_ends() -> None:
    hand = Hand()
    clock = StepClock(hand)
    with pytest.raises(KeyError), clock.phase("generation"):
        raise KeyError
    hand.at += 5
    assert clock.lap()["time/other"] == 5


def test_the_parts_of_steps_sum_to_the_time_of_the_training(
    policy: Policy, environment: ToyEnvironment, tmp_path: Path
) -> None:
    trainer = make_trainer(policy, environment, tmp_path, max_steps=3)
    start = time.perf_counter()
    trainer.train()
    whole = time.perf_counter() - start
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert len(rows) == 3
    for row in rows:
        assert sum(row[f"time/{phase}"] for phase in PHASES) == pytest.approx(row["time/step"], rel=0.01)
        assert all(row[f"time/{phase}"] > 0 for phase in PHASES)
        assert row["time/step"] >= row["step_time"]
        assert row["tokens/second"] * row["time/step"] == pytest.approx(row["episode/tokens"] * 16)
    assert sum(row["time/step"] for row in rows) <= whole


def test_a_table_has_shares_of_the_whole() -> None:
    row = {f"time/{phase}": 1.0 for phase in PHASES} | {"time/step": 5.0, "tokens/second": 7.0}
    table = time_table([{"step": 1}, row, row])
    assert table is not None
    assert list(table.columns[2].cells) == ["20.0%"] * 5 + ["100.0%", ""]
    assert list(table.columns[1].cells)[-1] == "7"
    assert time_table([{"step": 1}]) is None
