"""Runs survive: killed, out of disk, without a judge, in a broken world, they go on as if nothing had happened."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telegym.agents.training.checkpoints import best_steps, clear_after, complete_checkpoints, mark_complete, prune
from telegym.agents.training.failures import explain, require_scores
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.run import RunFolder
from telegym.core.errors import ConfigurationError, InfrastructureError
from telegym.core.files import write_whole
from telegym.core.score import Failure, Score
from telegym.evaluation.evaluate import EvaluationResult

ROOT = Path(__file__).resolve().parents[3]
OF_CLOCKS = ("time", "second")
STEPS = 4


class Runner:
    """Does trainings in processes that can be killed."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.agents.training.runner"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def begin(self, recipe: Path, runs: Path, fault: str = "") -> int:
        """Begin or continue a run; return its process."""
        folder = runs / "run"
        job = {"recipe": str(recipe), "name": "run", "runs": str(runs), "fault": fault}
        self._tell({**job, "resume": (folder / "config.yaml").is_file()})
        return int(self._heard())

    def end(self) -> int:
        """Wait for the end of the run; return its exit code."""
        return int(self._heard())

    def do(self, recipe: Path, runs: Path, fault: str = "") -> int:
        """Begin or continue a run, and wait for its end."""
        self.begin(recipe, runs, fault)
        return self.end()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _tell(self, job: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(job)}\n")
        self._process.stdin.flush()

    def _heard(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    made = Runner()
    yield made
    made.close()


@pytest.fixture(scope="module")
def toy(taught_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe with rewards that remember, evaluations on the way, and the best checkpoint at the end."""
    rewards = {"outcome": {"kind": "outcome"}, "format": {"kind": "format"}}
    combine = {"kind": "gate_product", "costs": {"format": 0.5}, "rescue": {"below": 1.0}}
    recipe = Recipe.model_validate(
        {
            "threads": 1,
            "save_steps": 2,
            "final": "best",
            "model": {"name": taught_folder},
            "environment": {"id": "toy-units", "train": {"tasks": 200}},
            "rollout": {"turn_tokens": 40, "completion_tokens": 300, "context": 1024},
            "evaluation": {"sets": {"test": {"tasks": 4}}, "every": 3, "during": {"dev": {"tasks": 5}}},
            "grpo": {
                "steps": STEPS,
                "groups": 2,
                "group_size": 4,
                "learning_rate": 1e-3,
                "reward": None,
                "rewards": {"rewards": rewards, "combine": combine},
            },
        }
    )
    file = tmp_path_factory.mktemp("recipes") / "toy.yaml"
    file.write_text(recipe.to_yaml(), "utf-8")
    return file


@pytest.fixture(scope="module")
def whole(runner: Runner, toy: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing disturbed."""
    runs = tmp_path_factory.mktemp("whole")
    assert runner.do(toy, runs) == 0, error_of(runs)
    return RunFolder(runs / "run")


def error_of(runs: Path) -> str:
    file = runs / "error.txt"
    return file.read_text("utf-8") if file.is_file() else ""


def facts(folder: RunFolder) -> dict[str, Any]:
    """Return everything that a run has to show for itself, but for what a clock says."""
    outcomes = {path.name: EvaluationResult.read(path).outcomes for path in folder.path.glob("held-out/*.json")}
    return {
        "rows": [
            {name: value for name, value in row.items() if not any(word in name for word in OF_CLOCKS)}
            for row in folder.rows()
        ],
        "weights": (folder.model / "model.safetensors").read_bytes(),
        "checkpoints": list(complete_checkpoints(folder.checkpoints)),
        "during": outcomes,
        "after": EvaluationResult.read(folder.evaluation("after", "test")).outcomes,
    }


def test_checkpoints_are_kept_by_score_and_the_best_is_the_model(whole: RunFolder) -> None:
    scores = whole.scores()
    assert list(scores) == [3, 4]
    best = max(scores, key=lambda step: (scores[step], step))
    assert set(complete_checkpoints(whole.checkpoints)) == {3, 4} | {best}
    weights = (whole.checkpoints / f"checkpoint-{best}" / "model.safetensors").read_bytes()
    assert (whole.model / "model.safetensors").read_bytes() == weights
    row = next(row for row in whole.rows() if row["step"] == 3)
    outcomes = EvaluationResult.read(whole.held_out(3, "dev"))
    assert row["held-out"] == row["held-out/dev"] == outcomes.success.value
    assert (row["held-out/low"], row["held-out/high"]) == (outcomes.success.low, outcomes.success.high)


@pytest.mark.slow
def test_evaluations_on_the_way_leave_no_trace(runner: Runner, toy: Path, whole: RunFolder, tmp_path: Path) -> None:
    plain = Recipe.model_validate({**_data(toy), "final": "last"})
    evaluation = plain.evaluation.model_copy(update={"every": 0})
    file = tmp_path / "toy.yaml"
    file.write_text(plain.model_copy(update={"evaluation": evaluation}).to_yaml(), "utf-8")
    assert runner.do(file, tmp_path) == 0
    rows = facts(RunFolder(tmp_path / "run"))["rows"]
    assert rows == [
        {key: value for key, value in row.items() if not key.startswith("held-out")} for row in facts(whole)["rows"]
    ]


def _data(file: Path) -> dict[str, Any]:
    import yaml

    data: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return data


def test_a_run_killed_while_it_wrote_goes_on_as_if_nothing_had_happened(
    runner: Runner, toy: Path, whole: RunFolder, tmp_path: Path
) -> None:
    """Killed when the first checkpoint was all but complete, and when a later file was half there."""
    folder = RunFolder(tmp_path / "run")
    assert runner.do(toy, tmp_path, "killed-before-the-mark:1") == -signal.SIGKILL
    assert (folder.checkpoints / "checkpoint-2" / "trainer_state.json").is_file()
    assert folder.last_checkpoint() is None
    assert runner.do(toy, tmp_path, "killed-while-flushing:20") == -signal.SIGKILL
    assert folder.last_checkpoint() is not None
    assert runner.do(toy, tmp_path) == 0, error_of(tmp_path)
    assert facts(folder) == facts(whole)


@pytest.mark.slow
def test_a_run_killed_ten_times_goes_on_as_if_nothing_had_happened(
    runner: Runner, toy: Path, whole: RunFolder, tmp_path: Path
) -> None:
    rng = Random(7)
    began = time.monotonic()
    other = tmp_path / "timed"
    other.mkdir()
    assert runner.do(toy, other) == 0
    whole_time = time.monotonic() - began
    folder, kept, kills = RunFolder(tmp_path / "run"), 0, 0
    while kills < 10:
        fork = runner.begin(toy, tmp_path)
        time.sleep(rng.uniform(0.05, 0.7) * whole_time)
        os.kill(fork, signal.SIGKILL)
        code = runner.end()
        kills += code == -signal.SIGKILL
        last = folder.last_checkpoint()
        step = int(last.name.rpartition("-")[2]) if last is not None else 0
        assert step >= kept, "a checkpoint was lost"
        kept = step
        if code == 0:
            break
    assert runner.do(toy, tmp_path) == 0, error_of(tmp_path)
    assert facts(folder) == facts(whole)


FULL = r"InfrastructureError: cannot write .*{}.*: the disk is full \(.* left\). Make room; it goes on from step 2 with"
SILENT = (
    r"no rollout of a step has a reward, for the judge failed 8 times: outcome: http://judge:8000 does not answer; "
)


@pytest.mark.parametrize(
    ("fault", "said", "step"),
    [
        ("silent-judge:1", SILENT, 1),
        pytest.param("full-metrics:3", FULL.format("run"), 2, marks=pytest.mark.slow),
        pytest.param("full-while-flushing:20", FULL.format("checkpoint-3"), 2, marks=pytest.mark.slow),
        pytest.param(
            "largest-file:1200000", r"InfrastructureError: cannot write .*ulimit -f", 0, marks=pytest.mark.slow
        ),
        pytest.param(
            "broken-world:1", "simulator fell over\nThe run .* ended in step 2; it", 1, marks=pytest.mark.slow
        ),
    ],
)
def test_a_failed_run_says_why_and_goes_on_from_the_last_whole_step(
    runner: Runner, toy: Path, whole: RunFolder, tmp_path: Path, fault: str, said: str, step: int
) -> None:
    folder = RunFolder(tmp_path / "run")
    assert runner.do(toy, tmp_path, fault) == 3
    text = error_of(tmp_path)
    assert re.search(said, text), text
    last = folder.last_checkpoint()
    assert (0 if last is None else int(last.name.rpartition("-")[2])) == step
    assert f"goes on from {f'step {step}' if step else 'the start'} with: telegym train --name run --resume" in text
    assert runner.do(toy, tmp_path) == 0, error_of(tmp_path)
    assert facts(folder) == facts(whole)


@pytest.mark.slow
def test_the_system_may_end_a_run(runner: Runner, toy: Path, whole: RunFolder, tmp_path: Path) -> None:
    """What ends jobs of a cluster is heard as Ctrl-C is."""
    folder = RunFolder(tmp_path / "run")
    fork = runner.begin(toy, tmp_path)
    wait_for(lambda: bool(folder.rows()))
    os.kill(fork, signal.SIGTERM)
    assert runner.end() == 130
    assert folder.last_checkpoint() is not None
    assert runner.do(toy, tmp_path) == 0
    assert facts(folder) == facts(whole)


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- parts ----------------------------------------------------------------------------------------------


def checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    (path / "inner").mkdir(parents=True)
    (path / "weights").write_bytes(b"1234")
    (path / "inner" / "state.json").write_text("{}")
    mark_complete(path)
    return path


def test_a_checkpoint_is_complete_or_none(tmp_path: Path) -> None:
    whole, cut, lost, unmarked = (checkpoint(tmp_path, step) for step in (1, 2, 3, 4))
    (cut / "weights").write_bytes(b"12")
    (lost / "inner" / "state.json").unlink()
    (unmarked / "complete.json").unlink()
    (tmp_path / "checkpoint-5").write_text("a file")
    (tmp_path / "checkpoint-x").mkdir()
    assert complete_checkpoints(tmp_path) == {1: whole}
    clear_after(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["checkpoint-1", "checkpoint-x"]
    clear_after(tmp_path, 0)
    assert complete_checkpoints(tmp_path) == {}


@given(
    steps=st.lists(st.integers(1, 40), unique=True, min_size=1, max_size=12),
    scored=st.dictionaries(st.integers(1, 40), st.tuples(st.sampled_from([0.0, 0.5, 1.0])), max_size=12),
    last=st.integers(1, 3),
    best=st.integers(0, 3),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_last_and_the_best_stay(
    tmp_path: Path, steps: list[int], scored: dict[int, tuple[float, ...]], last: int, best: int
) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    for step in steps:
        checkpoint(folder, step)
    prune(folder, last, best, scored)
    kept = set(complete_checkpoints(folder))
    assert set(sorted(steps)[-last:]) <= kept
    here = {step: scored[step] for step in steps if step in scored}
    champions = best_steps(here, best)
    assert kept == set(sorted(steps)[-last:]) | set(champions)
    others = here.keys() - set(champions)
    assert not champions or all(here[step] <= min(here[one] for one in champions) for step in others)


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file.json"
    write_whole(file, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"file\.json"):
        write_whole(file, "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file.json", "old")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/disk/x"),
            r"cannot write /disk/x: the disk is full \(.*left\)",
        ),
        (ValueError("I/O error: No space left on device (os error 28)"), r"cannot write .*: the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "/disk/x"), "cannot read or write /disk/x: .*Give the run its"),
        (BrokenProcessPool("abruptly"), r"a process that plays episodes ended by itself \(abruptly\).*fewer processes"),
        (
            ConnectionRefusedError(111, "refused"),
            r"a server does not answer: ConnectionRefusedError: .* Start it again",
        ),
        (MemoryError(), "out of memory: no more memory. Free memory"),
    ],
)
def test_failures_are_told_with_what_to_do(error: Exception, said: str, tmp_path: Path) -> None:
    outer = RuntimeError("something")
    outer.__cause__ = error
    for each in (error, outer):
        found = explain(each, tmp_path)
        assert found is not None and re.search(said, str(found)), found
    assert explain(KeyError("x"), tmp_path) is None


def test_a_process_that_plays_episodes_may_die(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=fork) as pool, pytest.raises(BrokenProcessPool) as caught:
        pool.submit(os._exit, 9).result()
    assert "fewer processes or more memory" in str(explain(caught.value, tmp_path))


def test_only_a_step_without_any_reward_is_refused() -> None:
    judge, task = (Score(failure=Failure(party=party, message="why")) for party in ("judge", "task"))
    require_scores([judge, judge, Score(value=0.0)])
    require_scores([task, task])
    require_scores([])
    with pytest.raises(InfrastructureError, match="for the judge failed 2 times: why"):
        require_scores([judge, judge])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"evaluation": {"every": 5}}, "`every` needs sets of tasks in `during`"),
        ({"final": "best"}, "`final: best` needs `evaluation.every`"),
        (
            {"final": "best", "evaluation": {"sets": {"a": {"n": 1}}, "every": 5, "during": {"b": {"n": 1}}}},
            "would choose by tasks it is judged by: `evaluation.during.b`",
        ),
    ],
)
def test_impossible_choices_of_the_best_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Recipe.parse(values, "it")
