"""The plan of a run: what it will do and take, and what is amiss, before anything is loaded."""

from __future__ import annotations

import importlib.resources
import importlib.util
import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from telegym.agents.training.planning.architecture import Architecture, architecture_of
from telegym.agents.training.planning.lengths import Lengths, measure_lengths
from telegym.agents.training.planning.memory import (
    GIB,
    Load,
    MemoryEstimate,
    estimate_memory,
    room_of_vllm,
    trainable_parameters,
)
from telegym.agents.training.recipe import Recipe
from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError
from telegym.envs.registry import make_environment

__all__ = ["Memory", "Plan", "Work", "make_plan"]

_CONFIGURATIONS = {"zero3": "zero3.yaml", "fsdp": "fsdp2.yaml"}


class Work(BaseModel):
    """What a run does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int
    """Steps of the optimizer; for supervised learning as reckoned from the lengths of demonstrations."""
    groups: int
    """Tasks in a step; 0 where rollouts are not compared in groups."""
    group_size: int
    """Rollouts of each task."""
    tasks: int
    """Different tasks that are drawn, at most."""
    available: int
    """Tasks there are to draw from."""
    episodes: int
    """Episodes played or demonstrated for training."""
    evaluated: int
    """Episodes of all evaluations."""
    tokens_per_step: float
    """Tokens of a step, prompts included, if rollouts are as long as the expert's."""
    most_tokens_per_step: float
    """Tokens of a step if all rollouts are as long as the limits allow."""

    @property
    def tokens(self) -> float:
        """Tokens of all steps, if rollouts are as long as the expert's."""
        return self.steps * self.tokens_per_step


class Memory(BaseModel):
    """What a process needs, and has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected: MemoryEstimate
    """If rollouts are as long as the expert's."""
    most: MemoryEstimate
    """If all rollouts are as long as the limits allow."""
    given: float | None
    """Bytes of the GPU; None on a CPU or if it is not known."""


class Plan(BaseModel):
    """What a run will do and take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """Kind of the recipe."""
    model: str
    """The policy."""
    work: Work
    """What is done."""
    lengths: Lengths
    """How long episodes are."""
    parameters: int | None
    """Parameters of the policy, or None if its shape is not known."""
    trained: int | None
    """Those that are trained."""
    shape_from: str
    """Where the shape of the policy is known from."""
    memory: Memory | None
    """What a process needs, or None if the shape of the policy is not known."""
    processes: int
    """Processes that train."""
    launch: tuple[str, ...]
    """Commands that start the run, servers first."""
    disk: float | None
    """Bytes of checkpoints and the trained model; trajectories come on top."""
    seconds: float | None
    """How long the training will take, or None if no rate was measured."""
    seconds_from: str
    """Where the rate was measured."""
    warnings: tuple[str, ...]
    """What is amiss."""


def make_plan(recipe: Recipe, label: str = "", overrides: Sequence[str] = (), memory: float | None = None) -> Plan:
    """Return the plan of a recipe. Nothing is loaded but the tokenizer, and nothing is fetched.

    Args:
        recipe: The recipe.
        label: How the recipe is named on the command line.
        overrides: What was overridden there.
        memory: GiB of a GPU; by default what the recipe's `launch` says.

    Raises:
        ConfigurationError: If the recipe is a chain, whose stages have plans of their own (`Recipe.plan`).
    """
    if recipe.kind == "stages":
        raise ConfigurationError("a chain of stages has a plan for each of them: ask for those of `recipe.plan()`")
    settings = recipe.environment
    environment = make_environment(settings.id, **{**settings.options, **settings.train})
    lengths = measure_lengths(recipe, environment)
    shape, source = architecture_of(recipe.model)
    size = memory if memory is not None else recipe.launch.memory
    needed = None if shape is None else _memory(recipe, shape, lengths, None if size is None else size * GIB)
    work = _work(recipe, environment, lengths)
    seconds, rate = _seconds(recipe, work, size)
    return Plan(
        kind=recipe.kind,
        model=recipe.model.name,
        work=work,
        lengths=lengths,
        parameters=None if shape is None else shape.parameters,
        trained=None if shape is None else trainable_parameters(recipe, shape),
        shape_from=source,
        memory=needed,
        processes=recipe.launch.processes,
        launch=tuple(_launch(recipe, label, overrides)),
        disk=None if shape is None else _disk(recipe, shape),
        seconds=seconds,
        seconds_from=rate,
        warnings=tuple(_warnings(recipe, shape, lengths, needed)),
    )


# --- work ---------------------------------------------------------------------------------------------------


def _work(recipe: Recipe, environment: Environment, lengths: Lengths) -> Work:
    available = len(environment.tasks)
    row = lengths.prompt + lengths.completion
    most = _most(recipe, lengths)
    evaluated = _evaluated(recipe)
    if recipe.kind == "grpo":
        settings = recipe.grpo
        rollouts = settings.groups * settings.group_size
        return Work(
            steps=settings.steps,
            groups=settings.groups,
            group_size=settings.group_size,
            tasks=min(settings.steps * settings.groups, available),
            available=available,
            episodes=settings.steps * rollouts,
            evaluated=2 * evaluated,
            tokens_per_step=rollouts * row,
            most_tokens_per_step=rollouts * most,
        )
    steps, episodes, tokens = _supervised(recipe, row)
    return Work(
        steps=steps,
        groups=0,
        group_size=1,
        tasks=min(episodes, available),
        available=available,
        episodes=episodes,
        evaluated=evaluated if recipe.kind == "sft" else 2 * evaluated,
        tokens_per_step=tokens,
        most_tokens_per_step=tokens,
    )


def _most(recipe: Recipe, lengths: Lengths) -> float:
    """Return the most tokens of a conversation; a recipe that is too tight for the expert counts as if it were not."""
    limit = min(recipe.rollout.context, lengths.longest_prompt + recipe.rollout.completion_tokens)
    return max(limit, lengths.prompt + lengths.completion)


def _supervised(recipe: Recipe, row: float) -> tuple[int, int, float]:
    """Return steps, episodes and tokens a step of the kinds that learn from demonstrations or chosen rollouts."""
    if recipe.kind == "sft":
        episodes, tokens = recipe.sft.demonstrations.count, recipe.sft.batch_tokens
        return math.ceil(recipe.sft.epochs * episodes * row / tokens), episodes, float(tokens)
    if recipe.kind == "rejection":
        chosen = recipe.rejection
        played = chosen.rounds * chosen.tasks * chosen.rollouts
        return chosen.rounds * chosen.steps, played, chosen.batch_size * row
    if recipe.kind == "preferences":
        pairs = recipe.preferences
        played = 0 if pairs.files else pairs.rounds * pairs.tasks * pairs.rollouts
        return pairs.rounds * pairs.steps, played, 2 * pairs.batch_size * row
    if recipe.kind == "evaluation":
        return 0, 0, 0.0
    asked = recipe.dagger if recipe.kind == "dagger" else recipe.distillation
    return asked.rounds * asked.steps, asked.rounds * asked.episodes, asked.batch_size * row


def _evaluated(recipe: Recipe) -> int:
    """Return the episodes of one evaluation."""
    settings = recipe.evaluation
    sets = [options for options in settings.sets.values() if options.get("data", "") is not None]
    made = (make_environment(recipe.environment.id, **{**recipe.environment.options, **each}) for each in sets)
    return settings.trials * sum(len(each.tasks) for each in made)


def _seconds(recipe: Recipe, work: Work, memory: float | None) -> tuple[float | None, str]:
    text = importlib.resources.files(__package__).joinpath("rates.yaml").read_text("utf-8")
    rate = yaml.safe_load(text).get(recipe.model.name)
    if rate is None or memory is not None or recipe.kind != "grpo":
        return None, "no rate was measured"
    return rate["seconds"] * work.episodes, f"measured on {rate['where']}"


# --- memory and disk ----------------------------------------------------------------------------------------


def _memory(recipe: Recipe, shape: Architecture, lengths: Lengths, given: float | None) -> Memory:
    settings, processes = recipe.grpo, recipe.launch.processes
    row = lengths.prompt + lengths.completion
    most = _most(recipe, lengths)
    rows = -(-settings.groups * settings.group_size // processes)
    batch = settings.batch_size or rows
    sampled = lengths.sampled
    if recipe.kind != "grpo":
        tokens = recipe.sft.batch_tokens if recipe.kind == "sft" else settings.forward_tokens
        rows, batch = recipe.rollout.rows, max(1, round(tokens / row))
    expected = Load(rows, batch, row, sampled)
    worst = Load(rows, batch, most, max(sampled, sampled / max(1.0, row) * most))
    return Memory(
        expected=estimate_memory(recipe, shape, expected, given),
        most=estimate_memory(recipe, shape, worst if recipe.kind == "grpo" else expected, given),
        given=given,
    )


def _disk(recipe: Recipe, shape: Architecture) -> float:
    """Return what checkpoints take: two are kept, a third is being written; then there is the trained model."""
    width = 4 if recipe.launch.sharding != "none" or recipe.model.dtype == "float32" else 2
    trained = trainable_parameters(recipe, shape)
    if recipe.model.adapter is not None:
        return 3 * trained * (4 + 2 * 4) + trained * 4
    return 3 * trained * 3 * width + trained * width


# --- processes ----------------------------------------------------------------------------------------------


def _launch(recipe: Recipe, label: str, overrides: Sequence[str]) -> Iterator[str]:
    """Yield the commands that start a run."""
    trl, launch = recipe.grpo.trl, recipe.launch
    if trl.get("use_vllm") and trl.get("vllm_mode", "colocate") == "server":
        yield _server(recipe)
    options = [f"--recipe {shlex.quote(label)}"] if label else []
    train = " ".join(["telegym train", *options, *(f"--set {shlex.quote(each)}" for each in overrides)])
    if launch.processes == 1:
        yield train
        return
    configuration = _configuration(_CONFIGURATIONS.get(launch.sharding, "multi_gpu.yaml"))
    yield f"accelerate launch --config_file {configuration} --num_processes {launch.processes} -m {train}"


def _server(recipe: Recipe) -> str:
    """Return how vLLM serves the policy in the way that TRL's trainers expect."""
    count = recipe.launch.servers
    parts = [
        f"VLLM_SERVER_DEV_MODE=1 vllm serve {shlex.quote(recipe.model.name)}",
        f"--max-model-len {recipe.rollout.context}",
        *([f"--data-parallel-size {count}"] if count > 1 else []),
        '--weight-transfer-config \'{"backend": "nccl"}\' --logprobs-mode processed_logprobs --max-logprobs -1',
    ]
    return " ".join(parts)


def _configuration(name: str) -> str:
    """Return the path of a configuration of accelerate that comes with TRL."""
    found = importlib.util.find_spec("trl")
    if found is None or found.origin is None:
        return f"TRL/accelerate_configs/{name}"
    return str(Path(found.origin).parent / "accelerate_configs" / name)


# --- warnings -----------------------------------------------------------------------------------------------


def _warnings(recipe: Recipe, shape: Architecture | None, lengths: Lengths, memory: Memory | None) -> Iterator[str]:
    yield from _room(recipe, shape, lengths)
    yield from _shares(recipe)
    if shape is None:
        yield f"the shape of model {recipe.model.name!r} is not known here, so nothing can be said of its memory"
    if shape is not None and memory is not None and memory.given is not None:
        yield from _fit(recipe, memory, memory.given)
        yield from _cache(recipe, shape, memory.given)


def _room(recipe: Recipe, shape: Architecture | None, lengths: Lengths) -> Iterator[str]:
    """Yield what does not fit into contexts and limits."""
    rollout, prompt = recipe.rollout, lengths.longest_prompt
    served = recipe.grpo.trl.get("vllm_max_model_length") if recipe.grpo.trl.get("use_vllm") else None
    if prompt + rollout.turn_tokens > rollout.context:
        yield f"rollout.context: {rollout.context} is too short for a prompt of {prompt} and a turn"
    elif prompt + lengths.longest_completion > rollout.context:
        needed = prompt + lengths.longest_completion
        yield f"rollout.context: {rollout.context} cuts off runs such as the expert's, which need up to {needed}"
    if lengths.longest_completion > rollout.completion_tokens:
        most = lengths.longest_completion
        yield f"rollout.completion_tokens: {rollout.completion_tokens} cuts off runs such as the expert's of {most}"
    if lengths.longest_turn > rollout.turn_tokens:
        yield f"rollout.turn_tokens: {rollout.turn_tokens} cuts turns such as the expert's of {lengths.longest_turn}"
    if shape is not None and rollout.context > shape.context:
        yield f"rollout.context: {rollout.context} is more than the {shape.context} the model was made for"
    if served is not None and served < rollout.context:
        yield f"grpo.trl.vllm_max_model_length: {served} is less than rollout.context, {rollout.context}"


def _shares(recipe: Recipe) -> Iterator[str]:
    """Yield what cannot be shared out among the processes."""
    settings, processes = recipe.grpo, recipe.launch.processes
    rollouts = settings.groups * settings.group_size
    if recipe.kind != "grpo":
        return
    if rollouts % processes or (rollouts // processes) % (settings.batch_size or 1):
        batch = settings.batch_size or "all"
        yield f"{rollouts} rollouts of a step cannot be split into batches of {batch} on {processes} processes"
    elif settings.rewards is not None and settings.groups % processes:
        yield f"grpo.rewards needs whole groups: {settings.groups} cannot be shared out among {processes} processes"


def _cache(recipe: Recipe, shape: Architecture, given: float) -> Iterator[str]:
    """Yield whether vLLM's share holds weights and a conversation."""
    held = room_of_vllm(recipe, shape, given)
    if held is not None and held < recipe.rollout.context:
        yield (
            f"grpo.trl.vllm_gpu_memory_utilization: beside the weights there is room for {max(0, held):,} tokens, "
            f"less than rollout.context, {recipe.rollout.context}; raise it"
        )


def _fit(recipe: Recipe, memory: Memory, given: float) -> Iterator[str]:
    hints = []
    if memory.most.optimisation > given and not recipe.grpo.trl.get("gradient_checkpointing"):
        hints.append("grpo.trl.gradient_checkpointing=true")
    if memory.most.optimisation > given and recipe.grpo.batch_size != 1:
        hints.append("grpo.batch_size=1")
    if memory.most.peak > given and recipe.model.adapter is None:
        hints.append("model.adapter={rank: 32}")
    advice = f"; try {', '.join(hints)}" if hints else ""
    have = f"{given / GIB:.0f} GiB"
    if memory.expected.peak > given:
        yield f"a process needs about {memory.expected.peak / GIB:.1f} GiB and does not fit into {have}{advice}"
    elif memory.most.peak > given:
        yield f"rollouts as long as the limits allow need {memory.most.peak / GIB:.1f} GiB, more than {have}{advice}"
