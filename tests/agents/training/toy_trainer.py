"""Trainers of a small policy in the toy domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from trl import GRPOConfig

from telegym.agents.prompting import ChatCodec
from telegym.agents.training.grpo import EpisodeGRPOTrainer, TaskRows, task_dataset
from telegym.rewards.compose import Composite

from .toy import ToyEnvironment

ROWS = [(index, 100 + index) for index in range(64)]


class Policy(NamedTuple):
    model: Any
    tokenizer: Any
    codec: ChatCodec


def make_trainer(
    policy: Policy,
    environment: ToyEnvironment,
    folder: Path,
    kind: type[EpisodeGRPOTrainer] = EpisodeGRPOTrainer,
    on_rollouts: Any = None,
    rewards: Composite | None = None,
    credit: Any = "trajectory",
    **config: Any,
) -> EpisodeGRPOTrainer:
    """Return a trainer of two steps of 16 rollouts, unless `config` says otherwise.

    Args:
        policy: What learns.
        environment: What is played.
        folder: Where it writes.
        kind: Class of the trainer.
        on_rollouts: Hears of rollouts.
        rewards: What rollouts are worth.
        credit: How advantages are shared out among turns.
        **config: Fields of TRL's `GRPOConfig`.
    """
    options: dict[str, Any] = {
        "per_device_train_batch_size": 16,
        "num_generations": 4,
        "max_completion_length": 400,
        "max_steps": 2,
        "learning_rate": 1e-3,
        "shuffle_dataset": False,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        **config,
    }
    return kind(
        rows=TaskRows(environment, environment.tasks),
        codec=policy.codec,
        turn_tokens=40,
        context=1024,
        on_rollouts=on_rollouts,
        rewards=rewards,
        credit=credit,
        model=policy.model,
        args=GRPOConfig(output_dir=str(folder), **options),
        processing_class=policy.tokenizer,
        train_dataset=task_dataset(ROWS),
    )
