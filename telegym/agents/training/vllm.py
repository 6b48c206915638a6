"""What is added to TRL's use of vLLM.

A server that fails says so to every process, and what vLLM sampled is compared with what the trainer computes: if their
log-probabilities are far apart, the weights are not in step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any

from telegym.core.errors import InfrastructureError

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor

__all__ = ["GuardedClient", "await_server", "difference", "unavailable"]

_NOTHING: dict[str, Any] = {"prompt_ids": [], "completion_ids": [], "logprobs": [], "logprob_token_ids": None}


class GuardedClient:
    """The client of a vLLM server, in the process that has one: what fails is kept instead of raised.

    The other processes wait for the answer to be sent around; an exception in this one would leave them waiting. So the
    answer to a failed request is empty, and `check` raises in every process.

    Args:
        client: TRL's client; its other methods and fields are passed through.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.failure: Exception | None = None
        """The first failure; nothing is asked of the server after it."""
        self.generate = self._guarded(client.generate, _NOTHING)
        self._update = self._guarded(client.update_named_params, None)
        self.reset_prefix_cache = self._guarded(client.reset_prefix_cache, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def update_named_params(self, metadata: Any, parameters: Iterator[Any]) -> None:
        """Send weights; take all of them, even after a failure, since each is put together by all processes at once."""
        self._update(metadata, parameters)
        for _ in parameters:
            pass

    def check(self) -> None:
        """Raise if the server has failed.

        Raises:
            InfrastructureError: It names the address of the server and the reason.
        """
        if self.failure is not None:
            raise unavailable(getattr(self._client, "base_url", "?"), self.failure) from self.failure

    def _guarded(self, method: Callable[..., Any], otherwise: Any) -> Callable[..., Any]:
        @wraps(method)
        def guarded(*arguments: Any, **options: Any) -> Any:
            if self.failure is not None:
                return otherwise
            try:
                return method(*arguments, **options)
            except Exception as error:
                self.failure = error
                return otherwise

        return guarded


def unavailable(address: str, reason: Exception) -> InfrastructureError:
    """Return the error for a server that does not answer."""
    return InfrastructureError(
        f"the vLLM server at {address} does not answer: {type(reason).__name__}: {reason}. "
        "Start it again, then continue the run with --resume"
    )


def await_server(address: str, seconds: float) -> None:
    """Wait until a server is up.

    Args:
        address: Where it is, for example `http://10.0.0.7:8000`.
        seconds: The longest wait.

    Raises:
        InfrastructureError: If it is not up by then.
    """
    import httpx

    direct = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
    deadline = time.monotonic() + seconds
    with httpx.Client(mounts=direct, timeout=10.0) as client:
        while True:
            try:
                client.get(f"{address}/health").raise_for_status()
                return
            except httpx.HTTPError as error:
                if time.monotonic() >= deadline:
                    raise unavailable(address, error) from error
            time.sleep(min(2.0, max(seconds, 0.1)))


def difference(accelerator: Accelerator, sampled: Tensor, computed: Tensor, mask: Tensor) -> tuple[float, float]:
    """Return how far log-probabilities of the sampler and of the trainer are apart, over all processes.

    Args:
        accelerator: Joins the processes.
        sampled: Log-probability of each token as the sampler gave it; NaN where it gave none.
        computed: The trainer's, of the same shape.
        mask: Which tokens were sampled.

    Returns:
        Mean and maximum of the absolute difference, in nats; 0 if nothing was sampled.
    """
    import torch

    known = mask.bool() & ~torch.isnan(sampled)
    apart = (sampled - computed)[known].abs().double()
    summary = torch.stack([apart.sum(), apart.new_tensor(len(apart)), apart.max() if len(apart) else apart.sum()])
    total, count, most = accelerator.gather(summary[None]).unbind(1)
    return float(total.sum() / count.sum().clamp(min=1)), float(most.max())
