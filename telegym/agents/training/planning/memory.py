"""How much memory a process needs, by formula. Bytes, per process, in the two phases of a step.

Sources: ZeRO (arXiv:1910.02054, section 3: 16 bytes a parameter for mixed precision with Adam, and what sharding
divides); activations counted as in arXiv:2205.05198, for RMSNorm, grouped queries, a gated feed-forward layer and
attention that keeps no matrix of scores (arXiv:2205.14135); checkpointing keeps the input of each block
(arXiv:1604.06174); adapters as in arXiv:2106.09685, which peft keeps in single precision; a key and a value for each
token and layer (arXiv:2305.13245 for shared heads). What libraries take is a round figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from telegym.agents.training.planning.architecture import Architecture
from telegym.agents.training.recipe import Recipe

__all__ = ["GIB", "Load", "MemoryEstimate", "MemoryItem", "estimate_memory", "room_of_vllm", "trainable_parameters"]

GIB = 2**30
"""Bytes of a GiB."""
CPU_BASE = 0.58 * GIB
"""What Python, torch, transformers and TRL take on a CPU: the peak of a training of the smallest policy with two
rollouts, measured."""
GPU_BASE = 1.5 * GIB
"""The CUDA context, libraries and their workspaces: assumed."""
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_SINGLE = 4
_WORKSPACE = GIB
"""What vLLM takes beside weights and cache: assumed."""
_TILE = 4096 * 32768
"""Elements of the output layer that TRL computes at a time."""
_CACHE_GROWTH = 1.25
"""The cache grows by half when it is full: on average an eighth of what was written last is not in use, and while it
grows there are two of a layer."""


class Load(NamedTuple):
    """What a process has to hold at a time."""

    rows: int
    """Conversations played at once."""
    batch: int
    """Conversations in one backward pass."""
    tokens: float
    """Tokens of a conversation."""
    sampled: float
    """Those of them that the model samples."""


class MemoryItem(BaseModel):
    """One thing that takes memory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What it is."""
    generation: float = 0.0
    """Bytes while the model samples."""
    optimisation: float = 0.0
    """Bytes at the peak of the loss and its gradient."""
    formula: str = ""
    """How it was reckoned."""


class MemoryEstimate(BaseModel):
    """What a process needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[MemoryItem, ...]
    """What takes memory."""

    @property
    def generation(self) -> float:
        """Bytes while the model samples."""
        return sum(item.generation for item in self.items)

    @property
    def optimisation(self) -> float:
        """Bytes at the peak of the loss and its gradient."""
        return sum(item.optimisation for item in self.items)

    @property
    def peak(self) -> float:
        """The larger of both."""
        return max(self.generation, self.optimisation)


def trainable_parameters(recipe: Recipe, shape: Architecture) -> int:
    """Return how many parameters are trained; `model.frozen` is not looked at."""
    adapter = recipe.model.adapter
    return shape.parameters if adapter is None else shape.adapter_parameters(adapter.rank, adapter.target_modules)


def estimate_memory(recipe: Recipe, shape: Architecture, load: Load, memory: float | None) -> MemoryEstimate:
    """Return what a process of a recipe needs.

    Args:
        recipe: The recipe; its `launch` says how many processes there are and what they share.
        shape: The model.
        load: What a process holds.
        memory: Bytes of the GPU, which vLLM takes a share of; None on a CPU.
    """
    items = [
        *_states(recipe, shape),
        _activations(recipe, shape, load),
        _output_layer(recipe, shape, load),
        _generation(recipe, shape, load, memory),
        _base(memory),
    ]
    return MemoryEstimate(items=tuple(item for item in items if item.generation or item.optimisation))


def room_of_vllm(recipe: Recipe, shape: Architecture, memory: float) -> int | None:
    """Return for how many tokens vLLM has room beside the weights, or None if it does not share the GPU.

    Args:
        recipe: The recipe.
        shape: The model.
        memory: Bytes of the GPU.
    """
    trl = recipe.grpo.trl
    if not trl.get("use_vllm") or trl.get("vllm_mode", "colocate") == "server":
        return None
    share = float(trl.get("vllm_gpu_memory_utilization", 0.3)) * memory
    return int((share - shape.parameters * 2 - _WORKSPACE) / (shape.layers * 2 * shape.keys * 2))


def _states(recipe: Recipe, shape: Architecture) -> Iterator[MemoryItem]:
    """Yield weights, gradients and what Adam keeps."""
    launch, own = recipe.launch, _BYTES[recipe.model.dtype]
    parts, total = (launch.processes if launch.sharding != "none" else 1), shape.parameters
    trained, adapter = trainable_parameters(recipe, shape), recipe.model.adapter is not None
    width = _SINGLE if parts > 1 or adapter else own
    base = own if adapter or parts == 1 else _SINGLE
    shared = f" / {parts} processes" if parts > 1 else ""
    weights = total * base / parts
    yield MemoryItem(
        name="weights", generation=weights, optimisation=weights, formula=f"{base} B x {_n(total)}{shared}"
    )
    if adapter:
        held = trained * width / parts
        formula = f"{width} B x {_n(trained)}{shared}"
        yield MemoryItem(name="adapter", generation=held, optimisation=held, formula=formula)
    if parts > 1:
        gathered = _whole(shape)
        formula = "2 B x (2 blocks, embedding, output layer)"
        yield MemoryItem(name="gathered weights", generation=gathered, optimisation=gathered, formula=formula)
    copies = 2 if launch.processes > 1 and parts == 1 else 1
    gradients = copies * trained * width / parts
    formula = f"{copies * width} B x {_n(trained)}{shared}"
    yield MemoryItem(name="gradients", optimisation=gradients, formula=formula)
    adam = 2 * trained * width / parts
    formula = f"2 x {width} B x {_n(trained)}{shared}"
    yield MemoryItem(name="Adam", generation=adam, optimisation=adam, formula=formula)


def _whole(shape: Architecture) -> float:
    """Return what is put together from all processes at a time: this block, the next, and the outer layers."""
    return 2.0 * (2 * shape.block_parameters + shape.outer_parameters)


def _activations(recipe: Recipe, shape: Architecture, load: Load) -> MemoryItem:
    width = _width(recipe)
    tokens = load.batch * load.tokens
    block = _block_elements(shape, width) * width
    if recipe.grpo.trl.get("gradient_checkpointing", False):
        kept = shape.layers * shape.hidden * width + block
        formula = f"{_n(tokens)} tokens x ({shape.layers} layers x {shape.hidden} x {width} B + one block)"
    else:
        kept = shape.layers * block
        formula = f"{_n(tokens)} tokens x {shape.layers} layers x {_n(block)} B"
    return MemoryItem(name="activations", optimisation=tokens * kept, formula=formula)


def _block_elements(shape: Architecture, width: int) -> int:
    """Return how many numbers a block keeps of a token for its gradient.

    Norms keep what goes in, what is normalised and what comes out, the first two in single precision; attention its
    queries, keys, values and output, and what the output layer reads; the feed-forward layer both branches, the
    activation and the product.
    """
    normed = 2 * shape.hidden
    elements = 3 * normed + 3 * shape.queries + 2 * shape.keys + 4 * shape.feed_forward
    if shape.query_norms:
        normed += shape.queries + shape.keys
        elements += 2 * (shape.queries + shape.keys)
    return elements + (normed if width < _SINGLE else 0)


def _output_layer(recipe: Recipe, shape: Architecture, load: Load) -> MemoryItem:
    if recipe.model.adapter is None and recipe.launch.processes == 1:
        tokens = load.batch * load.sampled
        formula = f"{_n(tokens)} sampled tokens x {_n(shape.vocabulary)} x 3 x 4 B"
        return MemoryItem(name="output layer", optimisation=3 * _SINGLE * tokens * shape.vocabulary, formula=formula)
    head = shape.vocabulary * shape.hidden * _SINGLE if recipe.model.adapter is None else 0
    held = 2 * _TILE * _width(recipe) + head + load.batch * load.tokens * shape.hidden * _SINGLE
    return MemoryItem(name="output layer", optimisation=held, formula="tiles, and sums in single precision")


def _generation(recipe: Recipe, shape: Architecture, load: Load, memory: float | None) -> MemoryItem:
    trl = recipe.grpo.trl
    if not trl.get("use_vllm"):
        token = shape.layers * 2 * shape.keys * _BYTES[recipe.model.dtype]
        held = load.rows * load.tokens * token * _CACHE_GROWTH
        formula = f"{load.rows} rows x {_n(load.tokens)} tokens x {_n(token)} B x {_CACHE_GROWTH}"
        return MemoryItem(name="keys and values", generation=held, formula=formula)
    if trl.get("vllm_mode", "colocate") == "server":
        return MemoryItem(name="vLLM", formula="on GPUs of its own")
    share = float(trl.get("vllm_gpu_memory_utilization", 0.3))
    held = share * (memory or 0.0)
    asleep = bool(trl.get("vllm_enable_sleep_mode", False))
    formula = f"{share:g} of the GPU" + (", given back while optimising" if asleep else "")
    return MemoryItem(name="vLLM", generation=held, optimisation=0.0 if asleep else held, formula=formula)


def _base(memory: float | None) -> MemoryItem:
    held = CPU_BASE if memory is None else GPU_BASE
    formula = "measured" if memory is None else "CUDA and its libraries, assumed"
    return MemoryItem(name="libraries", generation=held, optimisation=held, formula=formula)


def _width(recipe: Recipe) -> int:
    """Return the bytes of a number in activations."""
    trl = recipe.grpo.trl
    return 2 if trl.get("bf16") or trl.get("fp16") else _BYTES[recipe.model.dtype]


def _n(count: float) -> str:
    """Return a number that can be read at a glance."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= size:
            return f"{count / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{count:.0f}"
