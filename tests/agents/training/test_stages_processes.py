"""Several processes learn what one would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from telegym.agents.training.run import RunFolder
from telegym.agents.training.stages.items import read_items

from .processes import launch

PROGRAM = Path(__file__).with_name("staged.py")


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in RunFolder(folder).metrics.read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_two_processes_learn_in_rounds_what_one_would(taught_folder: str, tmp_path: Path) -> None:
    """They share out episodes and examples; an odd example, and passes of different numbers, change nothing."""
    for processes in (1, 2):
        done = launch(processes, PROGRAM, "dagger", taught_folder, str(tmp_path / str(processes)))
        assert done.returncode == 0, done.stderr
    one, two = (tmp_path / name / "dagger" for name in ("1", "2"))
    first, second = logged(one), logged(two)
    assert len(first) == len(second) == 4
    file = Path("rounds", "round-00001.jsonl.gz")
    assert read_items(one / file) == read_items(two / file)
    for row, other in zip(first, second, strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=1e-3)
        assert other["grad_norm"] == pytest.approx(row["grad_norm"], rel=1e-2)
    assert second[0]["dagger/agreement"] == pytest.approx(first[0]["dagger/agreement"])


@pytest.mark.slow
def test_two_processes_learn_from_sources(taught_folder: str, tmp_path: Path) -> None:
    done = launch(2, PROGRAM, "sft", taught_folder, str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = logged(tmp_path / "sft")
    assert rows[-1]["loss"] > 0
    assert (tmp_path / "sft" / "model" / "model.safetensors").is_file()
