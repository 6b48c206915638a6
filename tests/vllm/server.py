"""A real vLLM server on this machine's CPU, with a small model made on the spot."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).resolve().parent
_START_SECONDS = 900


def vllm_python() -> Path:
    """Return the Python of the environment that `setup.sh` makes; skip the test where there is none."""
    key = hashlib.sha256((HERE / "setup" / "lock.txt").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = Path(os.environ.get("TELEGYM_VLLM_ENV", cache / "telegym" / f"vllm-{key}"))
    if not (folder / ".ready").exists():
        pytest.skip(f"no vLLM environment in {folder}; make it with tests/vllm/setup.sh")
    return folder / "bin" / "python"


@contextmanager
def vllm_server(
    model: Path, log: Path, *, context: int, options: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Serve a model under the name `tiny` and yield the address of its API."""
    port = _free_port()
    command = [
        *(str(vllm_python()), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port)),
        *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
        *("--max-model-len", str(context), "--dtype", "float32", "--enforce-eager", *options),
        # A prompt read in chunks sets the generator of a seeded request back, which generators on a CPU cannot do: the
        # whole engine dies of it.
        *("--no-enable-chunked-prefill", "--max-num-batched-tokens", str(context)),
        # A model that has learnt nothing would fill the calls it is made to write with spaces.
        *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
    ]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=_environment(variables), start_new_session=True
        )
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
            # A server that is stopped before it is ready leaves its engine behind.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    offline = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    return {**os.environ, **offline, "VLLM_CPU_KVCACHE_SPACE": "1", **(variables or {})}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
    raise RuntimeError(f"the vLLM server did not start (exit status {process.poll()}):\n{tail}")
