"""Verification of tasks: the report counts what holds and names what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from telegym.core.episode import Episode
from telegym.core.messages import Message
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.verification import NativeReport, verify_native, verify_tasks


@pytest.mark.parametrize("split", ["train", "test-compositions"])
def test_native_tasks_hold(split: str) -> None:
    told: list[tuple[int, int]] = []
    report = verify_native(40, seed=5, split=split, on_progress=lambda done, total: told.append((done, total)))
    assert report.passed, report.problems
    assert (report.tasks, report.oracle_solved, report.expert_solved, report.cheaters_failed) == (40,) * 4
    assert report.compositions > 25 and report.oracle_calls < report.expert_calls
    assert told[0] == (1, 40) and told[-1] == (40, 40)


def test_benchmark_tasks_hold(tau2_data: Path) -> None:
    report = verify_tasks(Tau2Telecom(source="benchmark", data=str(tau2_data), split="small"))
    assert report.tasks == 20 and report.passed, report.problems


class _Broken(Tau2Telecom):
    def hint(self, episode: Episode) -> Message | None:
        return None

    def expert(self, episode: Episode) -> Message:
        return Message(role="assistant", content="###STOP###")


def test_failures_are_counted_and_named() -> None:
    report = verify_tasks(_Broken(count=15))
    assert not report.passed
    assert (report.oracle_solved, report.expert_solved, report.cheaters_failed) == (0, 0, 15)
    assert len(report.problems) == 20 and "the oracle fails" in report.problems[0]


def test_an_empty_report_passes() -> None:
    assert NativeReport().passed
