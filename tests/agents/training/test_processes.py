"""Several processes train what one would have trained, nobody waits in vain, and one failure ends all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from telegym.agents.training.run import RunFolder
from telegym.core.trajectory import read_trajectories

from .processes import launch
from .test_run import recipe

PROGRAM = Path(__file__).with_name("ranked.py")
SAME = ("reward", "loss", "grad_norm", "episode/", "components/", "completions/", "learning_rate", "num_tokens")
"""What is logged over all rollouts. The entropy is not: one process leaves out rollouts that teach nothing."""


def _metrics(processes: int, model: str, folder: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    folder.mkdir()
    done = launch(processes, PROGRAM, "metrics", model, str(folder))
    assert done.returncode == 0, done.stderr[-4000:]
    rows = [row for row in json.loads((folder / "log.json").read_text()) if "loss" in row]
    return rows, torch.load(folder / "weights.pt")


def test_two_processes_do_what_one_does(taught_folder: str, tmp_path: Path) -> None:
    """With the same seed and the same batch over all processes: the same episodes, the same step of the optimizer."""
    alone, weights = _metrics(1, taught_folder, tmp_path / "one")
    both, others = _metrics(2, taught_folder, tmp_path / "two")
    assert len(alone) == len(both) == 2
    for one, two in zip(alone, both, strict=True):
        names = [name for name in one if name.startswith(SAME) and isinstance(one[name], float | int)]
        assert len(names) > 12
        assert {name: two[name] for name in names} == pytest.approx({name: one[name] for name in names}, abs=2e-4)
    assert any(row["reward_std"] > 0 for row in alone)
    for name, value in weights.items():
        # Adam moves a weight by up to the learning rate however small its gradient, so rounding may change a sign.
        assert torch.allclose(value, others[name], atol=5e-3), name
        assert (value - others[name]).abs().mean() < 1e-5, name


def test_nobody_waits_in_vain(taught_folder: str, tmp_path: Path) -> None:
    """Uneven episodes through a server, through the model itself, a server that dies: in one start, to save time."""
    done = launch(2, PROGRAM, "helpers,aligned,dying,lock_step", taught_folder, str(tmp_path))
    assert done.returncode == 0, done.stderr[-4000:]
    for rank in range(2):
        assert (tmp_path / f"helpers-{rank}.txt").exists()
        assert (tmp_path / f"lock-step-{rank}.txt").exists()
    # Rank 0 plays 3, 3, 0 and 1 episodes, rank 1 plays 5, 2, 2 and 2: each turn asks for as many as the longer list has
    # on both, as long as anyone plays.
    widths = [5, 4, 3, 2, 2, 1, 1, 3, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1]
    assert json.loads((tmp_path / "aligned-0.json").read_text()) == [2 * width for width in widths]
    assert json.loads((tmp_path / "aligned-1.json").read_text()) == []
    reason = "the vLLM server at http://echo:8000 does not answer: ConnectionError: connection refused. Start it again"
    assert (tmp_path / "dying-0.txt").read_text().startswith(reason)
    told = (tmp_path / "dying-1.txt").read_text()
    assert told.startswith(f"process 0 of 2 failed while waiting for the vLLM server: InfrastructureError: {reason}")


def test_one_that_fails_ends_all_and_says_why(taught_folder: str, tmp_path: Path) -> None:
    done = launch(2, PROGRAM, "raising", taught_folder, str(tmp_path))
    assert done.returncode != 0
    assert "InfrastructureError: the simulator is gone" in done.stderr
    told = "process 1 of 2 failed while playing episodes: InfrastructureError: the simulator is gone"
    assert told in done.stderr
    assert "Connection closed by peer" not in done.stderr


SHARDING = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "Qwen3DecoderLayer",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}


@pytest.mark.slow
def test_weights_can_be_shared_out(taught_folder: str, tmp_path: Path) -> None:
    """FSDP2: generation, in which every token needs both processes, then the loss, then a whole model on the disk."""
    done = launch(2, PROGRAM, "sharded", taught_folder, str(tmp_path), variables=SHARDING)
    assert done.returncode == 0, done.stderr[-4000:]
    rows = [row for row in json.loads((tmp_path / "log.json").read_text()) if "loss" in row]
    assert len(rows) == 2
    assert all(0 < row["episode/tokens"] <= 200 for row in rows)
    before, after = (load_file(Path(folder) / "model.safetensors") for folder in (taught_folder, tmp_path / "model"))
    # The head is the embedding; sharded, both are written.
    assert torch.equal(after.pop("lm_head.weight"), after["model.embed_tokens.weight"])
    assert {name: value.shape for name, value in before.items()} == {name: v.shape for name, v in after.items()}
    assert any(row["grad_norm"] > 0 for row in rows) == any(
        not torch.equal(before[name], after[name]) for name in before
    )


@pytest.mark.slow
def test_a_run_of_two_processes_is_evaluated_kept_and_continued(taught_folder: str, tmp_path: Path) -> None:
    made = recipe(taught_folder, steps=2)
    (tmp_path / "toy.yaml").write_text(made.to_yaml(), "utf-8")
    done = launch(2, PROGRAM, "run", taught_folder, str(tmp_path))
    assert done.returncode == 0, done.stderr[-4000:]
    folder = RunFolder(tmp_path / "run")
    checkpoint = folder.last_checkpoint()
    assert checkpoint is not None
    assert {path.name for path in checkpoint.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
    for when in ("before", "after"):
        assert len(list(read_trajectories(folder.trajectories(f"evaluation-{when}-held-out")))) == 6
    assert (folder.path / "report.html").is_file()
    for name in ("evaluation-after-held-out.json", "model/config.json"):
        (folder.path / name).replace(tmp_path / Path(name).name)
    (tmp_path / "resume").touch()
    again = launch(2, PROGRAM, "run", taught_folder, str(tmp_path))
    assert again.returncode == 0, again.stderr[-4000:]
    first, second = ((path / "evaluation-after-held-out.json").read_text() for path in (tmp_path, folder.path))
    assert first == second
