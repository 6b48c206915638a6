"""Training with a real vLLM, in the trainer's process and as a server: `make vllm`.

A model made here learns a toy task for a few steps. In each step the log-probabilities by which vLLM sampled are
compared with those the trainer computes: they differ by rounding as long as the weights are in step, and by a lot when
they are not. In float32, which is what makes this a sharp test.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.server import HERE, vllm_python, vllm_server

pytestmark = pytest.mark.vllm
logger = logging.getLogger(__name__)

ROOT = HERE.parent.parent
CONTEXT = 1024
MOST = 1e-3
"""The most that log-probabilities of the same weights differ, in nats."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows the form of calls and errs, with heads of a size for which vLLM has kernels on a CPU."""
    vllm_python()  # skips where there is none, before anything is made
    from telegym.agents.training import nano
    from telegym.agents.training.recipe import ShapeSettings
    from tests.agents.training.conftest import teach
    from tests.agents.training.toy import ToyEnvironment

    shape = ShapeSettings(
        vocabulary=1900, layers=2, hidden=64, feed_forward=128, heads=4, head_size=32, context=CONTEXT
    )
    policy = teach(ToyEnvironment(400), shape)
    folder = tmp_path_factory.mktemp("taught-for-vllm")
    nano.save(policy.model, policy.tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def address(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that can be given new weights."""
    with served(model, tmp_path_factory.mktemp("server")) as url:
        yield url


def served(model: Path, folder: Path) -> Any:
    options = ["--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1"]
    options += ["--worker-extension-cls", "tests.vllm.reloading.Extension"]
    variables = {"VLLM_SERVER_DEV_MODE": "1", "PYTHONPATH": str(ROOT)}
    return vllm_server(model, folder / "server.log", context=CONTEXT, options=options, variables=variables)


def base_of(url: str) -> str:
    return url.removesuffix("/v1")


def command(case: str, model: Path, folder: Path, *arguments: str, processes: int = 1) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--"]
    program = [str(HERE / "trained.py"), case, str(model), str(folder), *arguments]
    return [str(vllm_python()), *(launcher if processes > 1 else []), *program]


def environment() -> dict[str, str]:
    more = {"PYTHONPATH": str(ROOT), "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **more}


def trained(case: str, model: Path, folder: Path, *arguments: str, processes: int = 1) -> dict[str, Any]:
    """Run a case in the environment of vLLM and return what it found."""
    asked = command(case, model, folder, *arguments, processes=processes)
    done = subprocess.run(asked, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    (file,) = folder.glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def assert_in_step(rows: list[dict[str, Any]]) -> None:
    assert len(rows) == 4
    assert any(row["grad_norm"] > 0 for row in rows[:-1])
    for row in rows:
        assert 0 < row["vllm/logprob_difference/mean"] <= row["vllm/logprob_difference/max"] < MOST, row
    most = max(row["vllm/logprob_difference/max"] for row in rows)
    seconds = [round(row["time/step"], 2) for row in rows]
    logger.info("largest difference of log-probabilities: %.1e; seconds a step: %s", most, seconds)


def test_colocated_vllm_samples_with_the_trainers_weights(model: Path, tmp_path: Path) -> None:
    found = trained("colocate", model, tmp_path)
    assert_in_step(found["rows"])
    assert found["prefix_caching"] is True
    assert found["cached"] >= 128
    assert found["stale"]["vllm/logprob_difference/max"] > 100 * MOST


def test_two_processes_have_a_vllm_each(model: Path, tmp_path: Path) -> None:
    assert_in_step(trained("colocate", model, tmp_path, processes=2)["rows"])


def test_a_server_gets_the_trainers_weights(model: Path, address: str, tmp_path: Path) -> None:
    assert_in_step(trained("server", model, tmp_path, base_of(address))["rows"])


def test_two_processes_share_a_server(model: Path, address: str, tmp_path: Path) -> None:
    assert_in_step(trained("server", model, tmp_path, base_of(address), processes=2)["rows"])


def test_a_dead_server_is_named(model: Path, tmp_path: Path) -> None:
    with served(model, tmp_path) as url:
        running = subprocess.Popen(command("dead", model, tmp_path, base_of(url)), cwd=ROOT, env=environment())
        while running.poll() is None and not (tmp_path / "ready").exists():
            time.sleep(0.2)
    (tmp_path / "ended").touch()
    assert running.wait(600) == 0
    absent, ended = json.loads((tmp_path / "dead.json").read_text())["said"]
    assert absent.startswith("the vLLM server at http://127.0.0.1:9 does not answer: ConnectError")
    assert ended.startswith(f"the vLLM server at {base_of(url)} does not answer: ConnectionError")
    assert ended.endswith("Start it again, then continue the run with --resume")


def test_what_it_takes_without_vllm(model: Path, tmp_path: Path) -> None:
    """The same steps without vLLM learn, too; how long they take is logged beside."""
    found = trained("transformers", model, tmp_path)
    for name, rows in found.items():
        assert len(rows) == 4
        assert not any("vllm" in key for key in rows[0])
        logger.info("%s: seconds a step: %s", name, [round(row["time/step"], 2) for row in rows])
