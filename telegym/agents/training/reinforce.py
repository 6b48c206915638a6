"""Reinforcement learning: the trainer of a recipe of kind `grpo`, and the steps of such a run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from telegym.agents.local import freeze, load_model, load_tokenizer
from telegym.agents.prompting import ChatCodec
from telegym.agents.training.curriculum import make_source
from telegym.agents.training.hands import MOST_THREADS, Overlap
from telegym.agents.training.measure import Player, conclude, measure, write_trajectories
from telegym.agents.training.optimize import optimize
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.rollouts import Transcript
from telegym.agents.training.samples import Sampled, samples_page
from telegym.agents.training.selection import Selection
from telegym.agents.training.watch import Watches
from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.files import write_whole
from telegym.core.score import Score

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext
    from telegym.agents.training.grpo import EpisodeGRPOTrainer

__all__ = ["reinforce"]


def reinforce(context: RunContext) -> None:
    """Evaluate, train, keep the model, evaluate again."""
    settings = context.recipe.model
    tokenizer = load_tokenizer(settings.name)
    model = load_model(settings.name, dtype=context.dtype, **settings.options)
    freeze(model, context.recipe.model.frozen)
    codec = ChatCodec(tokenizer, context.recipe.prompt)
    trainer = _grpo_trainer(context, model, tokenizer, codec)
    player = Player(context.recipe, trainer, codec)
    measure(context, "before", player)
    if not optimize(context, trainer, context.recipe.grpo.steps, player):
        return
    trainer.save_model(str(context.folder.model))
    if context.rank == 0:
        tokenizer.save_pretrained(str(context.folder.model))
        context.player_settings().write(context.folder.model)
    measure(context, "after", player)
    conclude(context)


def _grpo_trainer(context: RunContext, model: Any, tokenizer: Any, codec: ChatCodec) -> EpisodeGRPOTrainer:
    from telegym.agents.training.grpo import EpisodeGRPOTrainer, TaskRows, task_dataset

    settings = context.recipe
    environment = context.environment(settings.environment.train)
    count = settings.grpo.steps * settings.grpo.groups
    rng = Random(f"{settings.seed}/tasks")
    chosen = rng.sample(range(len(environment.tasks)), min(count, len(environment.tasks)))
    rows = [(chosen[index % len(chosen)], rng.getrandbits(31)) for index in range(count)]
    needs = frozenset[str]().union(*(scheme.needs for scheme in settings.grpo.credit))
    replayed = bool(needs & {"counterfactuals", "branches"})
    keep = settings.rollout.keep or settings.grpo.rewards is not None or replayed
    overlap = _overlap(settings, environment)
    return EpisodeGRPOTrainer(
        rows=TaskRows(environment, environment.tasks, keep, settings.rollout.limits, overlap.threads),
        overlap=overlap,
        codec=codec,
        turn_tokens=settings.rollout.turn_tokens,
        context=settings.rollout.context,
        forward_tokens=settings.grpo.forward_tokens,
        credit=settings.grpo.credit,
        reward=settings.grpo.reward,
        rewards=settings.grpo.rewards.build() if settings.grpo.rewards is not None else None,
        on_rollouts=functools.partial(_keep_rollouts, context) if settings.rollout.keep else None,
        on_credit=functools.partial(_keep_samples, context) if settings.samples.every and not context.rank else None,
        **_selection(settings, environment),
        model=model,
        args=_grpo_arguments(context),
        processing_class=tokenizer,
        train_dataset=task_dataset(rows),
        peft_config=_adapter(context),
    )


def _overlap(settings: Recipe, environment: Environment) -> Overlap:
    rollout, grpo = settings.rollout, settings.grpo
    threads = rollout.tool_threads
    if threads is None:
        threads = min(MOST_THREADS, grpo.groups * grpo.group_size) if environment.waits else 0
    return Overlap(threads, rollout.tool_order, grpo.judge_beside, grpo.judge_seconds)


def _selection(settings: Recipe, environment: Environment) -> dict[str, Any]:
    """Return what decides which rollouts are learnt from."""
    grpo = settings.grpo
    deviation = grpo.deviation_filter.build() if grpo.deviation_filter is not None else None
    selects, draws = (grpo.dynamic_sampling or deviation), (grpo.dynamic_sampling or grpo.curriculum)
    return {
        "source": make_source(environment, settings.seed, grpo.curriculum) if draws is not None else None,
        "selection": Selection(grpo.dynamic_sampling, deviation) if selects is not None else None,
        "over_long": grpo.over_long.build(settings.rollout.completion_tokens),
        "watches": Watches(grpo.watches),
    }


def _grpo_arguments(context: RunContext) -> Any:
    from trl import GRPOConfig

    settings, rollout = context.recipe.grpo, context.recipe.rollout
    names = [item.name for item in dataclasses.fields(GRPOConfig)]
    for name in settings.trl:
        if name not in names:
            raise ConfigurationError(f"TRL's GRPOConfig has no field {name!r}.{did_you_mean(name, names)}")
    world = context.world
    local = settings.groups * settings.group_size // world
    batch = settings.batch_size or local
    if local * world != settings.groups * settings.group_size or local % batch:
        raise ConfigurationError(
            f"{settings.groups} groups of {settings.group_size} rollouts cannot be split into batches of {batch} "
            f"on each of {world} processes"
        )
    if settings.rewards is not None and local % settings.group_size:
        raise ConfigurationError(
            f"grpo.rewards needs whole groups: {settings.groups} cannot be shared out among {world} processes"
        )
    options: dict[str, Any] = {
        **context.training_arguments(settings.steps),
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": local // batch,
        "num_generations": settings.group_size,
        "max_completion_length": rollout.completion_tokens,
        "temperature": rollout.temperature,
        "top_p": rollout.top_p,
        "vllm_max_model_length": rollout.context,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup_steps,
        "gradient_checkpointing": False,
        "shuffle_dataset": False,
        "bf16": False,
        **settings.trl,
    }
    return GRPOConfig(**options)


def _adapter(context: RunContext) -> Any:
    settings = context.recipe.model.adapter
    if settings is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.target_modules,
        task_type="CAUSAL_LM",
    )


def _keep_rollouts(context: RunContext, step: int, transcripts: Sequence[Transcript], scores: Sequence[Score]) -> None:
    name = f"train/step-{step + 1:05d}" + (f"-rank-{context.rank}" if context.rank else "")
    played = (item.episode.trajectory(f"step {step + 1}") for item in transcripts)
    write_trajectories(context.folder.trajectories(name), played)


def _keep_samples(context: RunContext, step: int, sampled: Sequence[Sampled]) -> None:
    """Write some episodes of a step to read, if it is time."""
    settings, number = context.recipe.samples, step + 1
    if number != 1 and number % settings.every:
        return
    page = samples_page(number, sampled, settings)
    file = context.folder.samples(number)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, page, flush=False)
    context.display.sample(page)
