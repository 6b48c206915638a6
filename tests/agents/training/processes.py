"""Runs a program in several processes that train together, as `torchrun` starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def launch(
    processes: int,
    program: Path,
    *arguments: str,
    seconds: float = 600,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program in each of several processes, or, for one, without a launcher.

    Raises:
        subprocess.TimeoutExpired: If it has not ended in time, which is to say that it hangs.
    """
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "TOKENIZERS_PARALLELISM": "false",
    } | dict(variables or {})
    return subprocess.run(
        [*command, str(program), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
