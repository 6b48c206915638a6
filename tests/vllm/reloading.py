"""What vLLM on a CPU needs so that its weights can be replaced while it runs; no part of the product.

Its linear layers keep a packed copy of their weights and drop the original, which nothing can then be loaded into. With
`--worker-extension-cls tests.vllm.reloading.Extension` a server's workers import this module, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from torch.nn.functional import linear
from vllm.model_executor.layers import utils


def _unpacked(layer: Any, remove_weight: bool) -> None:
    layer.cpu_linear = linear


utils.dispatch_cpu_unquantized_gemm = _unpacked


class Extension:
    """Nothing but a reason for workers to import this module."""


def prepare_colocation() -> None:
    """Let TRL start vLLM in its own process with the precision of the trainer, and without compilation."""
    from trl.generation import vllm_generation

    vllm_generation.LLM = partial(vllm_generation.LLM, enforce_eager=True, dtype="float32")


def prepare_server() -> None:
    """Let TRL hand weights to a server through a file, in the place of NCCL, which needs GPUs."""
    from safetensors.torch import save_file
    from trl.generation import vllm_client, vllm_generation

    class Client(vllm_client.VLLMClient):  # type: ignore[misc, unused-ignore]
        def init_communicator(self, device: Any = None) -> None:
            self.folder = Path(tempfile.mkdtemp(prefix="weights-"))
            self.session.mount("http://", vllm_client.HTTPAdapter())  # a dead server shall be noticed at once

        def update_named_params(self, metadata: Any, named_params: Iterator[tuple[str, Any]]) -> None:
            # A model whose head is its embedding has only one of them in its files.
            weights = {name: value.detach().contiguous() for name, value in named_params if name != "lm_head.weight"}
            save_file(weights, self.folder / "model.safetensors")
            self._post(f"{self.base_url}/pause", params={"mode": "wait"})
            reload = {"method": "reload_weights", "kwargs": {"weights_path": str(self.folder)}}
            self._post(f"{self.base_url}/collective_rpc", json=reload)
            self._post(f"{self.base_url}/resume")

        def close_communicator(self) -> None:
            pass

    vllm_generation.VLLMClient = Client
