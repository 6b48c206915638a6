"""Settings of supervised stages, as recipes hold them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from telegym.agents.prompting import PromptProfile
from telegym.core.errors import ConfigurationError
from telegym.core.settings import Settings
from telegym.rewards.recipe import RewardRecipe, load_reward_recipe

__all__ = [
    "AdvisedSource",
    "AnySource",
    "DaggerSettings",
    "DemonstrationSource",
    "DistillationSettings",
    "GroupSettings",
    "PreferenceSettings",
    "RejectionSettings",
    "RoundSettings",
    "TrajectoryFilter",
    "TrajectorySource",
    "WorthSettings",
]

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
    trainer: dict[str, Any] = Field(default_factory=dict)
    """Any other field of transformers' `TrainingArguments`, for example `bf16`, `gradient_checkpointing`."""


class WorthSettings(Settings):
    """What a rollout is worth."""

    reward: dict[str, float] | None = Field(default_factory=lambda: {"value": 1.0})
    """Weights of the score's `value` and of its components. Parts of a success give a signal where none succeeds; what
    is evaluated is the value alone. Null is the same as the value alone."""
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
            raise ValueError("`reward` and `rewards` exclude each other; for `rewards` set `reward` to null")
        return self


class GroupSettings(RoundSettings, WorthSettings):
    """Rounds in which each task is played several times."""

    tasks: PositiveInt = 32
    """Tasks played in a round, over all processes."""
    rollouts: PositiveInt = 8
    """Rollouts of each task."""


class RejectionSettings(GroupSettings):
    """Rejection sampling: learning from the best of several rollouts (RFT, arXiv:2308.01825)."""

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
    labels: Literal["whole", "until_difference"] = "whole"
    """How much of a label is learnt that is not what the policy wrote. `whole`: all of it, which takes a pass over the
    conversation before it; `until_difference`: up to the first token in which they differ, which takes none: enough to
    choose another tool, and several times as fast."""
    winnable: bool = False
    """Whether only labels count from which on the expert would solve the task. Each label then takes an episode of the
    expert."""


class DistillationSettings(RoundSettings):
    """Learning from a teacher at the tokens the policy sampled itself (GKD, arXiv:2306.13649; arXiv:2306.08543)."""

    teacher: str = ""
    """The teacher: a model shipped with TeleGym, a folder, or a name on a model hub. Its tokenizer has to be the
    policy's own. In a chain, `stage:NAME` is the model of an earlier stage."""
    teacher_options: dict[str, Any] = Field(default_factory=dict)
    """Passed to `from_pretrained` of transformers for the teacher."""
    teacher_prompt: PromptProfile | None = None
    """What the teacher is told, if that is not what the model is told: for example all tools and the whole policy."""
    episodes: PositiveInt = 64
    """Episodes played in a round, over all processes."""
    estimator: Literal["full", "sampled"] = "full"
    """`full`: the divergence over the whole vocabulary at each token; `sampled`: the reverse one, estimated from the
    sampled token alone, as a policy gradient."""
    divergence: Literal["reverse", "forward", "jensen_shannon"] = "reverse"
    """From where to where, for `full`: `reverse` is KL(policy || teacher), `forward` KL(teacher || policy)."""
    mixture: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """For `jensen_shannon`: the teacher's share of the mixture, the beta of GKD."""
    chunk: PositiveInt = 1024
    """At how many tokens distributions over the vocabulary are kept at a time."""


class PreferenceSettings(GroupSettings):
    """Preferring the better of two rollouts of a task and seed (DPO, arXiv:2305.18290)."""

    rounds: PositiveInt = 1
    """How often it plays anew. The reference is the policy as it was at the beginning of a round."""
    batch_size: PositiveInt = 16
    """Pairs in a step, over all processes."""
    learning_rate: PositiveFloat = 5e-5
    """Highest learning rate."""
    rollouts: Annotated[int, Field(ge=2)] = 8
    """Rollouts of each task."""
    pairs: PositiveInt = 2
    """The most pairs of a task: its best with its worst rollout, the second best with the second worst, and so on."""
    margin: PositiveFloat = 0.5
    """By how much the reward of the better one is higher at least."""
    files: list[str] = Field(default_factory=list)
    """Files of trajectories to be paired instead of fresh rollouts, or patterns: `runs/*/trajectories/*.jsonl.gz`.
    Their pairs are shared out among the rounds."""
    raw: bool = False
    """Whether turns of files are learnt as the text that was written, not in the form in which calls are shown."""
    beta: PositiveFloat = 0.1
    """How strongly the policy is held to the reference."""
    loss: Literal["sigmoid", "ipo"] = "sigmoid"
    """`sigmoid`: that of DPO; `ipo`: that of IPO (arXiv:2310.12036), which does not drive a pair apart for ever."""
    smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """For `sigmoid`: probability that a pair is the wrong way round."""
    imitation: NonNegativeFloat = 0.0
    """Weight of the mean negative log-likelihood of the better one's tokens, added to the loss (arXiv:2404.19733)."""


class TrajectoryFilter(WorthSettings):
    """Which recorded trajectories are learnt from."""

    files: Annotated[list[str], Field(min_length=1)]
    """Files of trajectories; patterns such as `runs/*/trajectories/*.jsonl.gz` too."""
    success: bool = True
    """Whether only successful ones count."""
    least_value: float | None = None
    """The least value of the score."""
    least_reward: float | None = None
    """The least reward, as `reward` or `rewards` say."""
    components: dict[str, float] = Field(default_factory=dict)
    """The least value of components of the score; one that has no such component is left out."""
    most_errors: NonNegativeInt | None = None
    """The most calls of the agent that failed."""
    most_turns: PositiveInt | None = None
    """The most turns."""
    without_reasons: list[str] = Field(default_factory=list)
    """Regular expressions: a trajectory is left out if one of the score's reasons matches one of them. Base-station
    maintenance names broken rules there (`^R\\d+:`)."""
    distinct: bool = True
    """Whether of trajectories with the same tokens only one counts."""
    per_task: PositiveInt | None = None
    """The most trajectories of a task, best first."""
    failed_turns: bool = False
    """Whether turns are learnt in which a call failed; they stay in the conversation in any case."""
    raw: bool = False
    """Whether turns are learnt as the text that was written, rather than in the form in which calls are shown."""

    @field_validator("without_reasons")
    @classmethod
    def _check_patterns(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return patterns


class _Mixed(Settings):
    share: PositiveFloat | None = None
    """Its part of the whole, in relation to the others; as many episodes are taken as can be without taking one twice.
    Null for all sources takes everything."""
    repeat: PositiveInt = 1
    """How often each of its episodes counts."""


class DemonstrationSource(_Mixed):
    """The demonstrations that `sft.demonstrations` describes."""

    kind: Literal["demonstrations"] = "demonstrations"
    """Which source it is."""


class AdvisedSource(_Mixed):
    """Episodes of somebody who makes no mistakes on purpose."""

    kind: Literal["expert", "tutor", "oracle"]
    """`expert`: the environment's expert; `tutor`: who shows small models how to play; `oracle`: who knows all."""
    count: PositiveInt = 1000
    """Episodes played."""
    success: bool = True
    """Whether only successful ones count."""
    environment: dict[str, Any] | None = None
    """Options that make it another environment than the recipe's, for example `{source: native, split: train}`; null
    plays in the recipe's."""
    over: Literal["options", "train"] = "options"
    """What these options are added to: the recipe's `environment.options` alone, or `environment.train` too."""


class TrajectorySource(_Mixed, TrajectoryFilter):
    """Recorded trajectories."""

    kind: Literal["trajectories"] = "trajectories"
    """Which source it is."""


AnySource = Annotated[DemonstrationSource | AdvisedSource | TrajectorySource, Field(discriminator="kind")]
"""Something to learn from."""
