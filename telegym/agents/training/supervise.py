"""Supervised learning: a recipe of kind `sft`, from demonstrations to the model."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainingArguments

from telegym.agents.prompting import ChatCodec, call_text
from telegym.agents.training import nano
from telegym.agents.training.measure import Player, conclude, measure
from telegym.agents.training.optimize import optimize
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.sft import (
    Demonstration,
    DemonstrationTrainer,
    batches,
    collate,
    demonstrations,
    demonstrator_of,
)
from telegym.agents.training.stages.sources import gather
from telegym.agents.training.stages.stage import keep_model, load_policy
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.envs.registry import make_environment

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext
    from telegym.agents.training.dashboard import Bar

__all__ = ["supervise"]


def supervise(context: RunContext) -> None:
    """Make demonstrations, learn from them, keep the model, evaluate it."""
    settings = context.recipe.sft
    environment = context.environment(context.recipe.environment.train)
    if context.recipe.model.name == "new":
        shape = context.recipe.model.shape
        tokenizer = nano.train_tokenizer(_texts(context, environment), shape.vocabulary, shape.digits)
        model = nano.new_model(tokenizer, shape, context.recipe.seed)
    else:
        tokenizer, model = load_policy(context)
    codec = ChatCodec(tokenizer, context.recipe.prompt)
    data = batches(_taught(context, codec, environment), settings.batch_tokens, settings.epochs, context.recipe.seed)
    steps = -(-len(data) // context.world)
    arguments = TrainingArguments(
        **context.training_arguments(steps),
        per_device_train_batch_size=1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_steps,
    )
    trainer = DemonstrationTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=collate,
        optimizers=(_optimizer(context, model, tokenizer), None),
    )
    player = Player(context.recipe, trainer, codec)
    if not optimize(context, trainer, steps, player):
        return
    if context.recipe.model.adapter is not None or context.recipe.model.dtype != "float32":
        keep_model(context, trainer, tokenizer)
    elif context.rank == 0:
        nano.save(model, tokenizer, context.folder.model)
        context.player_settings().write(context.folder.model)
    measure(context, "after", player)
    conclude(context)


def _optimizer(context: RunContext, model: Any, tokenizer: Any) -> torch.optim.Optimizer:
    settings = context.recipe.sft
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [{"params": learnt, "lr": settings.learning_rate}]
    if context.recipe.model.name == "new":
        groups = nano.parameter_groups(model, tokenizer, settings.learning_rate)
    return torch.optim.AdamW(groups, betas=(0.9, settings.beta2), weight_decay=settings.weight_decay, fused=True)


def _texts(context: RunContext, environment: Environment) -> Iterator[str]:
    """Yield the texts of played episodes, turn by turn, as they stand between control tokens."""
    for index in range(context.recipe.sft.demonstrations.tokenizer):
        episode = Episode(environment, environment.tasks[-1 - index % len(environment.tasks)], record=False)
        yield from ("user\n", "assistant\n", *(message.content or "" for message in episode.agent_messages()))
        demonstrator = demonstrator_of(context.recipe, environment, index)
        while not episode.done:
            message = demonstrator(episode)
            yield call_text(message)
            yield from (f"\n{answer.content}\n" for answer in episode.step(message))


def _taught(context: RunContext, codec: ChatCodec, environment: Environment) -> list[Demonstration]:
    """Return what is learnt from."""
    if not context.recipe.sft.sources:
        return _demonstrations(context, codec, environment)
    return gather(context, codec, environment, lambda: _demonstrations(context, codec, environment))


def _demonstrations(context: RunContext, codec: ChatCodec, environment: Environment) -> list[Demonstration]:
    settings = context.recipe.sft.demonstrations
    with context.progress("demonstrations", settings.count) as progress:
        if settings.processes == 1:
            return list(demonstrations(context.recipe, codec, environment, range(settings.count), progress.advance))
        return _demonstrations_apart(context, codec, progress)


def _demonstrations_apart(context: RunContext, codec: ChatCodec, progress: Bar) -> list[Demonstration]:
    """Make demonstrations in processes of their own; which process made one makes no difference."""
    settings = context.recipe.sft.demonstrations
    chunk = max(1, min(200, settings.count // settings.processes))
    parts = [range(start, min(start + chunk, settings.count)) for start in range(0, settings.count, chunk)]
    found: list[Demonstration] = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(settings.processes, mp_context=spawn) as pool:
        for part, made in zip(parts, pool.map(_part, [(context.recipe, codec, part) for part in parts]), strict=True):
            found += made
            progress.advance(by=len(part))
    return found


def _part(work: tuple[Recipe, ChatCodec, range]) -> list[Demonstration]:
    recipe, codec, indices = work
    environment = make_environment(recipe.environment.id, **{**recipe.environment.options, **recipe.environment.train})
    return list(demonstrations(recipe, codec, environment, indices))
