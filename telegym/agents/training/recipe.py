"""Recipes: everything that decides a training run, as YAML, checked before anything starts.

A recipe is a file of `recipes/` or of yours. Keys that do not exist are errors that name the nearest one, and every
value can be overridden by its dotted key: `--set grpo.learning_rate=1e-4`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
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
from telegym.agents.training.credit.schemes import AnyScheme, Branches, Trajectory, check, listed
from telegym.agents.training.curriculum import CurriculumSettings
from telegym.agents.training.hands import ToolOrder
from telegym.agents.training.run_settings import KeepSettings, SamplesSettings, TrackingSettings
from telegym.agents.training.selection import DeviationSettings, DynamicSamplingSettings, OverLongSettings
from telegym.agents.training.stages.plan import StagePlan, plan_stages
from telegym.agents.training.stages.settings import (
    AnySource,
    DaggerSettings,
    DistillationSettings,
    PreferenceSettings,
    RejectionSettings,
    WorthSettings,
)
from telegym.agents.training.watch import WatchSettings
from telegym.core import settings
from telegym.core.episode import Limits
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.settings import RecipeSettings, Settings, read_recipe

__all__ = [
    "AdapterSettings",
    "DemonstrationSettings",
    "EmphasisSettings",
    "EnvironmentSettings",
    "EvaluationSettings",
    "GrpoSettings",
    "LaunchSettings",
    "ModelSettings",
    "Recipe",
    "RolloutSettings",
    "SftSettings",
    "ShapeSettings",
    "load_recipe",
    "recipe_names",
]

Share = Annotated[float, Field(ge=0, le=1)]

_PACKAGE = "telegym.agents.training"


class ShapeSettings(Settings):
    """Size of a model that is built from nothing."""

    vocabulary: Annotated[int, Field(ge=1800)] = 3072
    """Tokens; a thousand of them are numbers of three digits."""
    digits: Literal[2, 4] = 2
    """The most digits in a token. With 4, all numbers of three or four digits are tokens, which tells ids apart at a
    glance and takes 11,000 tokens."""
    layers: PositiveInt = 4
    """Transformer blocks."""
    hidden: PositiveInt = 128
    """Width of the residual stream."""
    feed_forward: PositiveInt = 384
    """Width of the feed-forward layers."""
    heads: PositiveInt = 4
    """Query heads."""
    shared_heads: PositiveInt = 2
    """Key and value heads."""
    head_size: PositiveInt = 32
    """Width of a head."""
    context: PositiveInt = 4096
    """The most tokens of a conversation."""
    look_back: tuple[PositiveInt, ...] = (1,)
    """Distances at which arranged heads look back, one key head each: with 1, "what came after this token last time?";
    with 2, "what came two tokens after it?"; with 5, the second id of a list is found as easily as the first."""
    initializer_range: PositiveFloat = 0.06
    """Spread of the first weights. With the usual 0.02 a model this small does not learn to copy an id in time."""

    @model_validator(mode="after")
    def _room_for_numbers(self) -> Self:
        if self.digits == 4 and self.vocabulary < 11_300:
            raise ValueError(f"vocabulary: {self.vocabulary} tokens have no room for 11,000 numbers of four digits")
        return self

    @model_validator(mode="after")
    def _room_for_copying(self) -> Self:
        if not 0 < len(self.look_back) <= self.shared_heads:
            raise ValueError(f"look_back: {len(self.look_back)} distances; shared_heads allow 1 to {self.shared_heads}")
        if self.head_size * len(self.look_back) >= self.hidden:
            raise ValueError(f"look_back: heads of {self.head_size} do not fit into hidden: {self.hidden}")
        return self


class AdapterSettings(Settings):
    """Low-rank adapters (LoRA) instead of training all weights."""

    rank: PositiveInt = 32
    """Rank of the update."""
    alpha: PositiveFloat = 64.0
    """Scale of the update."""
    dropout: Share = 0.0
    """Dropout of the adapter's input."""
    target_modules: str | list[str] = "all-linear"
    """Which layers get one."""


class ModelSettings(Settings):
    """The policy."""

    name: str = "nano"
    """A policy shipped with TeleGym (`nano`, `nano-base-station`, `nano-tau2`), a folder, or a name on the model hub.
    For recipes of kind `sft`: `new` builds one."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision in which the weights are loaded."""
    shape: ShapeSettings = ShapeSettings()
    """Size of a new model."""
    adapter: AdapterSettings | None = None
    """Trains an adapter; null trains all weights."""
    frozen: list[str] = Field(default_factory=list)
    """Regular expressions: parameters whose names match one are not trained, for example `embed_tokens`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Passed to `from_pretrained` of transformers, for example `attn_implementation`."""


class EnvironmentSettings(Settings):
    """Where episodes are played."""

    id: str = "tau2-telecom"
    """Name of the environment."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the environment, for learning and for evaluation."""
    train: dict[str, Any] = Field(default_factory=lambda: {"split": "train", "count": 100_000})
    """Options that make it the environment to learn in."""


class RolloutSettings(Settings):
    """How episodes are played."""

    temperature: PositiveFloat = 1.0
    """Temperature when learning."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus when learning."""
    turn_tokens: PositiveInt = 96
    """The most tokens in one turn of the model."""
    completion_tokens: PositiveInt = 3000
    """The most tokens after the prompt, tool results included."""
    context: PositiveInt = 4096
    """The most tokens of a conversation."""
    tool_threads: NonNegativeInt | None = None
    """In how many threads turns of different episodes are played at once, for tools and users that keep one waiting; 0:
    one after the other. Null: in as many as there are episodes, up to 32, where the environment says that it waits."""
    tool_order: ToolOrder = "fixed"
    """When an episode goes on whose turn was played in a thread: `fixed`, when all have been answered; `free`, when it
    has, which is faster, and rounds sampling in ways that depend on how long tools take."""
    limits: dict[str, int | float | None] = Field(default_factory=dict)
    """Limits of training episodes (fields of `telegym.core.episode.Limits`) that differ from the environment's: an
    episode that is lost early need not be played to the end. Evaluations keep the environment's limits."""
    rows: PositiveInt = 64
    """Episodes played at a time in evaluations."""
    keep: bool = True
    """Whether the trajectories of training are written too."""

    @field_validator("limits")
    @classmethod
    def _check_limits(cls, limits: dict[str, int | float | None]) -> dict[str, int | float | None]:
        for name in limits:
            if name not in Limits.model_fields:
                valid = ", ".join(Limits.model_fields)
                raise ValueError(f"no limit {name!r}; valid: {valid}.{did_you_mean(name, Limits.model_fields)}")
        Limits.model_validate(limits)
        return limits


class EvaluationSettings(Settings):
    """What is measured before, during and after."""

    sets: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: {name: {"split": name, "count": 150} for name in ("test", "test-compositions")}
    )
    """Sets of tasks by name: options of the environment. A set with `data: null` is left out."""
    trials: PositiveInt = 1
    """Episodes per task."""
    temperature: NonNegativeFloat = 1.0
    """Temperature; 0 takes the most likely token."""
    seed: NonNegativeInt = 1
    """Decides the episodes; not the seed of the training, so that runs are compared on the same episodes."""
    before: bool = True
    """Whether the sets are played before the training too; not where several runs begin with one model."""
    every: NonNegativeInt = 0
    """Steps between evaluations during the training, on `during`; 0 makes none. Each leaves a checkpoint."""
    during: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Sets of tasks played during the training, like `sets`, and better small. Choosing the best checkpoint by the
    tasks it is then judged by would reward luck: `final: best` refuses a set that is also in `sets`."""

    @model_validator(mode="after")
    def _something_to_play(self) -> Self:
        if self.every and not self.during:
            raise ValueError("`every` needs sets of tasks in `during`, for example {dev: {split: dev, count: 40}}")
        return self


class GrpoSettings(WorthSettings):
    """Reinforcement learning. A rollout whose reward failed is left out of its group."""

    steps: PositiveInt = 60
    """Optimizer steps."""
    groups: PositiveInt = 4
    """Tasks in a step, over all processes."""
    group_size: Annotated[int, Field(ge=2)] = 8
    """Rollouts of each task."""
    batch_size: PositiveInt | None = None
    """Rollouts in one backward pass of a process; null takes all of a step."""
    learning_rate: PositiveFloat = 2e-4
    """Learning rate."""
    warmup_steps: NonNegativeInt = 0
    """Steps in which the learning rate rises."""
    schedule: str = "constant_with_warmup"
    """How the learning rate goes on, as transformers names it."""
    credit: tuple[AnyScheme, ...] = (Trajectory(),)
    """How advantages are shared out among turns: a name, a mapping `{kind: ..., ...}` or a list of these, which are
    added up with their weights: `trajectory`, `turn`, `grpo`, `dr_grpo`, `rloo`, `turns`, `calls`, `group_in_group`,
    `leave_one_out`, `branches` (`telegym.agents.training.credit.schemes`)."""
    judge_beside: bool = True
    """Whether rewards that wait for others, as judges do, are asked about an episode (or a group, if they compare) as
    soon as it has ended, while others are played; the scores are the same."""
    judge_seconds: PositiveFloat | None = None
    """Seconds for which judges are waited for after the last episode of a step has ended; what is missing then fails,
    and is left out. Null waits as long as the judges' own time limits."""
    dynamic_sampling: DynamicSamplingSettings | None = None
    """Replaces groups without a difference by groups of other tasks (DAPO); null keeps all groups as they are."""
    deviation_filter: DeviationSettings | None = None
    """Leaves out groups whose rewards deviate by less than groups did of late (RLPR); null keeps all."""
    curriculum: CurriculumSettings | None = None
    """Draws tasks by measured success in buckets of tasks; null draws them evenly."""
    over_long: OverLongSettings = OverLongSettings()
    """What becomes of rollouts that are cut off or nearly so."""
    watches: tuple[WatchSettings, ...] = ()
    """Figures that have to stay in a range, such as `entropy`; see `telegym.agents.training.watch`."""
    forward_tokens: PositiveInt = 8192
    """The most tokens in one forward pass of the loss, on a single process."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """Any other field of TRL's `GRPOConfig`, for example `loss_type`, `beta`, `use_vllm`."""

    @field_validator("credit", mode="before")
    @classmethod
    def _list_credit(cls, credit: Any) -> Any:
        return listed(credit)

    @model_validator(mode="after")
    def _fit_credit(self) -> Self:
        check(self.credit)
        for scheme in self.credit:
            if isinstance(scheme, Branches) and scheme.branches > self.group_size - 2:
                raise ValueError(f"credit: of {self.group_size} rollouts at most {self.group_size - 2} can be branches")
        return self

    @model_validator(mode="after")
    def _something_to_watch(self) -> Self:
        if any(watch.figure == "kl" for watch in self.watches) and not self.trl.get("beta"):
            raise ValueError("watches: `kl` is the distance from the reference policy; it needs `trl.beta` above 0")
        return self


class EmphasisSettings(Settings):
    """Leaves out demonstrations that lack what is rare."""

    tool: str
    """Name of a tool."""
    calls: PositiveInt = 1
    """How many calls of it make a demonstration worth keeping."""
    others: Share
    """Share that is kept of demonstrations with fewer."""


class DemonstrationSettings(Settings):
    """What a model is taught."""

    count: PositiveInt = 12_000
    """Episodes demonstrated."""
    mistaken: Share = 0.5
    """Share of the episodes in which the demonstrator errs."""
    mistakes: dict[str, Share] = Field(default_factory=dict)
    """How it errs: rates of the environment's `SlipRates` (`telegym.envs.tau2_telecom.expert`,
    `telegym.envs.base_station.players.demonstrator`)."""
    emphasis: EmphasisSettings | None = None
    """What is to be seen more often, because it is rare and hard."""
    processes: PositiveInt = 1
    """Processes that make them; the result is the same."""
    tokenizer: PositiveInt = 1500
    """Episodes whose texts the tokenizer of a new model is trained on."""


class SftSettings(Settings):
    """Supervised learning."""

    epochs: PositiveInt = 1
    """Passes over the demonstrations."""
    batch_tokens: PositiveInt = 4096
    """Tokens in a step."""
    learning_rate: PositiveFloat = 2e-3
    """Highest learning rate; it falls with a cosine."""
    warmup_steps: NonNegativeInt = 40
    """Steps in which it rises."""
    beta2: Share = 0.98
    """Decay of the optimizer's second moment."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay."""
    demonstrations: DemonstrationSettings = DemonstrationSettings()
    """What is taught."""
    sources: tuple[AnySource, ...] = ()
    """What is learnt from, mixed; the demonstrations alone by default."""


class LaunchSettings(Settings):
    """What a run is meant to be started on. The plan (`--dry-run`) reckons with it; the run takes what is there."""

    processes: PositiveInt = 1
    """Processes that train, each on a GPU of its own."""
    sharding: Literal["none", "zero3", "fsdp"] = "none"
    """What they share: nothing, or weights, gradients and optimizer by ZeRO-3 (DeepSpeed) or FSDP2."""
    memory: PositiveFloat | None = None
    """GiB of a GPU; null for a CPU."""
    servers: NonNegativeInt = 0
    """Further GPUs for vLLM, where it runs apart (`grpo.trl.vllm_mode: server`)."""


class Recipe(RecipeSettings):
    """A training run."""

    kind: Literal["grpo", "sft", "rejection", "dagger", "distillation", "preferences", "evaluation", "stages"] = "grpo"
    """`grpo`: reinforcement learning; `sft`: supervised learning on demonstrations and recorded trajectories;
    `rejection`: learning from the best of several rollouts; `dagger`: learning from an expert in the states the policy
    comes to; `distillation`: learning from a teacher at the tokens the policy sampled; `preferences`: preferring the
    better of two rollouts (DPO); `evaluation`: playing only; `stages`: several of these one after the other."""
    seed: NonNegativeInt = 0
    """Decides everything random."""
    threads: NonNegativeInt = 0
    """Threads of torch; 0 takes as many as there are cores."""
    save_steps: PositiveInt = 10
    """Steps between checkpoints."""
    keep: KeepSettings = KeepSettings()
    """Which checkpoints stay."""
    final: Literal["last", "best"] = "last"
    """Whether the trained model is that of the last step or of the best checkpoint on `evaluation.during`."""
    samples: SamplesSettings = SamplesSettings()
    """Episodes of the training to read."""
    tracking: TrackingSettings = TrackingSettings()
    """Trackers that get every figure too."""
    launch: LaunchSettings = LaunchSettings()
    """What it is meant to be started on."""
    model: ModelSettings = ModelSettings()
    """The policy."""
    prompt: PromptProfile = PromptProfile(tools="none", policy="none")
    """What the policy is told."""
    environment: EnvironmentSettings = EnvironmentSettings()
    """Where it plays."""
    rollout: RolloutSettings = RolloutSettings()
    """How it plays."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """What is measured."""
    grpo: GrpoSettings = GrpoSettings()
    """Settings of kind `grpo`."""
    sft: SftSettings = SftSettings()
    """Settings of kind `sft`."""
    rejection: RejectionSettings = RejectionSettings()
    """Settings of kind `rejection`."""
    dagger: DaggerSettings = DaggerSettings()
    """Settings of kind `dagger`."""
    distillation: DistillationSettings = DistillationSettings()
    """Settings of kind `distillation`."""
    preferences: PreferenceSettings = PreferenceSettings()
    """Settings of kind `preferences`."""
    stages: tuple[dict[str, Any], ...] = ()
    """For kind `stages`: what each stage has otherwise than this recipe; its `kind`, and its `name` if two are of the
    same kind. Groups of settings are merged, anything else takes the place of what is here."""
    between: bool = False
    """For kind `stages`: whether to evaluate between the stages too."""

    @model_validator(mode="after")
    def _best_of_something(self) -> Self:
        if self.final == "best" and not (self.evaluation.every and self.keep.best):
            raise ValueError("`final: best` needs `evaluation.every` and `keep.best` of at least 1")
        judged = list(self.evaluation.sets.values()) if self.final == "best" else []
        for name, options in self.evaluation.during.items():
            if options in judged:
                raise ValueError(f"`final: best` would choose by tasks it is judged by: `evaluation.during.{name}`")
        return self

    @model_validator(mode="after")
    def _plan_stages(self) -> Self:
        if (self.kind == "stages") != bool(self.stages):
            raise ValueError("`kind: stages` and a list of `stages` belong together")
        try:
            self.plan()
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return self

    def plan(self) -> tuple[StagePlan, ...]:
        """Return the stages of a chain as whole recipes; none for other kinds."""
        return plan_stages(self)

    def to_yaml(self) -> str:
        """Return the recipe, defaults included, as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes shipped with TeleGym."""
    return settings.recipe_names(_PACKAGE)


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        recipe: A name of `recipe_names()`, or a YAML file.
        overrides: `KEY=VALUE` with a dotted key and a YAML value, for example `grpo.learning_rate=1e-4`.

    Raises:
        ConfigurationError: If there is no such recipe, or a key or value is wrong.
    """
    return Recipe.parse(read_recipe(recipe, _PACKAGE, overrides), f"recipe {str(recipe)!r}")
