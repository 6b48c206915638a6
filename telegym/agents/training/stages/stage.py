"""One supervised stage as a run: evaluate, play and learn in rounds, keep the model, evaluate again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainingArguments

from telegym.agents.local import freeze, load_model, load_tokenizer
from telegym.agents.prompting import ChatCodec
from telegym.agents.training.measure import Player, conclude, measure
from telegym.agents.training.optimize import optimize
from telegym.agents.training.stages.dagger import DaggerCollector
from telegym.agents.training.stages.distillation import Distillation, DistillationCollector, check_vocabulary
from telegym.agents.training.stages.imitation import Imitation
from telegym.agents.training.stages.playing import Scene
from telegym.agents.training.stages.preferences import Preference, PreferenceCollector, RecordedPairs, recorded_pairs
from telegym.agents.training.stages.rejection import RejectionCollector
from telegym.agents.training.stages.settings import RoundSettings
from telegym.agents.training.stages.trainer import Collector, Objective, RoundTrainer
from telegym.core.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext

__all__ = ["run_stage"]


def run_stage(context: RunContext) -> None:
    """Run a recipe of kind `rejection`, `dagger`, `distillation` or `preferences`."""
    tokenizer, model = load_policy(context)
    codec = ChatCodec(tokenizer, context.recipe.prompt)
    trainer = _trainer(context, model, tokenizer, codec)
    player = Player(context.recipe, trainer, codec)
    measure(context, "before", player)
    if not optimize(context, trainer, trainer.args.max_steps, player):
        return
    keep_model(context, trainer, tokenizer)
    measure(context, "after", player)
    conclude(context)


def load_policy(context: RunContext) -> tuple[Any, Any]:
    """Return the tokenizer and the model of a recipe, with its adapter and with what is frozen frozen."""
    settings = context.recipe.model
    if settings.name == "new":
        raise ConfigurationError(f"a stage of kind {context.recipe.kind!r} needs a model that plays; `new` does not")
    tokenizer = load_tokenizer(settings.name)
    model = load_model(settings.name, dtype=context.dtype, **settings.options)
    freeze(model, settings.frozen)
    return tokenizer, _adapted(context, model)


def _adapted(context: RunContext, model: Any) -> Any:
    settings = context.recipe.model.adapter
    if settings is None:
        return model
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.target_modules,
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(context.recipe.seed)  # decides how the adapter begins
    return get_peft_model(model, config)


def keep_model(context: RunContext, trainer: Any, tokenizer: Any) -> None:
    """Write the trained model, its tokenizer, and how it plays."""
    trainer.save_model(str(context.folder.model))
    if context.rank == 0:
        tokenizer.save_pretrained(str(context.folder.model))
        context.player_settings().write(context.folder.model)


def _parts(context: RunContext, tokenizer: Any, codec: ChatCodec) -> tuple[RoundSettings, Collector, Objective]:
    """Return what makes up the stage."""
    recipe = context.recipe
    if recipe.kind == "rejection":
        rejection = recipe.rejection
        return rejection, RejectionCollector(_scene(context, codec, rejection, rejection.tasks), rejection), Imitation()
    if recipe.kind == "dagger":
        dagger = recipe.dagger
        return dagger, DaggerCollector(_scene(context, codec, dagger, dagger.episodes), dagger), Imitation()
    if recipe.kind == "distillation":
        return _distillation(context, tokenizer, codec)
    preferences = recipe.preferences
    return preferences, _pairs(context, codec), Preference(preferences)


def _distillation(context: RunContext, tokenizer: Any, codec: ChatCodec) -> tuple[RoundSettings, Collector, Objective]:
    settings = context.recipe.distillation
    if not settings.teacher:
        raise ConfigurationError("distillation.teacher names no model to learn from")
    check_vocabulary(tokenizer, load_tokenizer(settings.teacher), settings.teacher)
    teacher = load_model(settings.teacher, **settings.teacher_options)
    told = ChatCodec(tokenizer, settings.teacher_prompt) if settings.teacher_prompt is not None else None
    collector = DistillationCollector(_scene(context, codec, settings, settings.episodes), settings, told)
    return settings, collector, Distillation(teacher, settings, context.recipe.rollout.temperature)


def _pairs(context: RunContext, codec: ChatCodec) -> Collector:
    settings = context.recipe.preferences
    if not settings.files:
        return PreferenceCollector(_scene(context, codec, settings, settings.tasks), settings)
    return RecordedPairs(recorded_pairs(codec, settings, context.recipe.rollout.context), settings)


def _scene(context: RunContext, codec: ChatCodec, settings: RoundSettings, tasks: int) -> Scene:
    return Scene(context, codec, settings.rounds, tasks)


def _trainer(context: RunContext, model: Any, tokenizer: Any, codec: ChatCodec) -> RoundTrainer:
    settings, collector, objective = _parts(context, tokenizer, codec)
    names = [item.name for item in dataclasses.fields(TrainingArguments)]
    for name in settings.trainer:
        if name not in names:
            raise ConfigurationError(f"TrainingArguments has no field {name!r}.{did_you_mean(name, names)}")
    options: dict[str, Any] = {
        **context.training_arguments(settings.rounds * settings.steps),
        "per_device_train_batch_size": 1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup_steps,
        **settings.trainer,
    }
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        learnt, settings.learning_rate, (0.9, settings.beta2), weight_decay=settings.weight_decay
    )
    return RoundTrainer(
        collector=collector,
        objective=objective,
        settings=settings,
        rounds=context.folder.path / "rounds",
        model=model,
        args=TrainingArguments(**options),
        optimizers=(optimizer, None),
    )
