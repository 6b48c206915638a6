"""Settings of supervised stages, as recipes hold them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from telegym.core.errors import ConfigurationError
from telegym.core.settings import Settings
from telegym.rewards.recipe import RewardRecipe, load_reward_recipe

__all__ = ["DaggerSettings", "RejectionSettings", "RoundSettings", "WorthSettings"]

Share = Annotated[float, Field(ge=0, le=1)]


class RoundSettings(Settings):
    """Rounds: the policy plays, then learns from what came of it."""

    rounds: PositiveInt = 4
    """How often it plays anew."""
    steps: PositiveInt = 20
    """Optimizer steps in a round."""
    batch_size: PositiveInt = 32
    """What is learnt from in a step, over all processes: trajectories, labels or pairs."""
    memory: PositiveInt | None = 1
    """Of how many rounds, the present one included, there is something to learn from; null for all."""
    learning_rate: PositiveFloat = 3e-4
    """Highest learning rate."""
    warmup_steps: NonNegativeInt = 0
    """Steps in which it rises."""
    schedule: str = "constant_with_warmup"
    """How it goes on, as transformers names it, over all rounds."""
    beta2: Share = 0.98
    """Decay of the optimizer's second moment."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay."""
    forward_tokens: PositiveInt = 8192
    """The most tokens, padding included, in one forward and backward pass of a process."""


class WorthSettings(Settings):
    """What a rollout is worth."""

    reward: dict[str, float] | None = Field(default_factory=lambda: {"value": 1.0})
    """Weights of the score's `value` and of its components. Null is the same as the value alone."""
    rewards: RewardRecipe | None = None
    """Instead of `reward`: a rewards recipe by name or file, or written out."""

    @field_validator("rewards", mode="before")
    @classmethod
    def _read_rewards(cls, rewards: object) -> object:
        """Read a recipe that is named, so that a run keeps what it was trained with."""
        try:
            return load_reward_recipe(rewards) if isinstance(rewards, str) else rewards
        except ConfigurationError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _one_reward(self) -> Self:
        if self.rewards is not None and self.reward not in (None, {"value": 1.0}):
            raise ValueError("`reward` and `rewards` exclude each other; for `rewards` set `reward: null`")
        return self


class RejectionSettings(RoundSettings, WorthSettings):
    """Rejection sampling: learning from the best of several rollouts (RFT, arXiv:2308.01825)."""

    tasks: PositiveInt = 32
    """Tasks played in a round, over all processes."""
    rollouts: PositiveInt = 8
    """Rollouts of each task."""
    keep: PositiveInt = 2
    """The most rollouts of a task that are learnt from: its best ones."""
    threshold: float = 1.0
    """The least reward of a rollout that is learnt from."""
    easiest: Share = 1.0
    """A task is left out if a larger share of its rollouts reaches the threshold: there is little left to learn."""
    distinct: bool = True
    """Whether of rollouts of a task with the same tokens only one is learnt from."""
    truncated: bool = False
    """Whether rollouts that a limit cut off may be learnt from."""


class DaggerSettings(RoundSettings):
    """Learning from an expert in the states the policy comes to (DAgger, arXiv:1011.0686)."""

    memory: PositiveInt | None = None
    """Of how many rounds, the present one included, there is something to learn from; null for all."""
    expert: Literal["expert", "tutor", "oracle"] = "expert"
    """Who is asked. `expert`: the environment's expert, who knows what the agent knows; `tutor`: who shows small models
    how to play, without mistakes; `oracle`: who knows the hidden cause."""
    episodes: PositiveInt = 128
    """Episodes played in a round, over all processes."""
    expert_share: Share = 0.0
    """Probability that a turn of the first round is played by the expert; otherwise the policy plays it."""
    expert_decay: Share = 0.5
    """By what that probability is multiplied from round to round."""
    winnable: bool = False
    """Whether only labels count from which on the expert would solve the task. Each label then takes an episode of the
    expert."""
