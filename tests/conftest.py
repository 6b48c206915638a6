"""What tests share: the toy environment by name, and where recorded benchmark data lies, if it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from telegym.envs.registry import register_environment

# The models of the tests are so small that a second thread only waits for the first.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
_SIBLING = ROOT.parent / "shared" / "tau2"

register_environment("toy", "tests.toy:Toy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


def _place(variable: str, conventional: Path, marker: str) -> Path:
    place = Path(os.environ.get(variable, conventional))
    if not (place / marker).exists():
        pytest.skip(f"no {marker} in {place}; set {variable} to the folder that holds it")
    return place


@pytest.fixture(scope="session")
def tau2_data() -> Path:
    """A tau2-bench data folder."""
    return _place("TELEGYM_TAU2_DATA", _SIBLING / "tau2-bench-data", "data/tau2/domains/telecom/tasks.json")


@pytest.fixture(scope="session")
def teleqna_data() -> Path:
    """The folder that holds TeleQnA.txt."""
    return _place("TELEGYM_TELEQNA_DATA", ROOT.parent / "shared" / "teleqna", "TeleQnA.txt")


@pytest.fixture(scope="session")
def tau2_traces() -> Path:
    """A folder with recorded traces."""
    return _place("TELEGYM_TAU2_TRACES", _SIBLING, "traces.jsonl.gz")
