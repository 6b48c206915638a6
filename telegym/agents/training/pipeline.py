"""What a run does, step by step: this is where torch comes in."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from accelerate import PartialState
from accelerate.utils import gather_object
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from telegym.agents.generation import GenerationEngine, Sampling
from telegym.agents.local import PlayerSettings, load_model, load_tokenizer
from telegym.agents.prompting import ChatCodec, call_text
from telegym.agents.training import nano
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.rollouts import Transcript, play
from telegym.agents.training.run import RunFolder, RunResult
from telegym.agents.training.sft import (
    Demonstration,
    DemonstrationTrainer,
    batches,
    collate,
    demonstrations,
    demonstrator_of,
)
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.score import Score
from telegym.core.trajectory import Trajectory, TrajectoryWriter
from telegym.envs.registry import make_environment
from telegym.evaluation.evaluate import EvaluationResult, Outcome, comparison_table, result_table, trial_seeds
from telegym.evaluation.report import write_report

if TYPE_CHECKING:
    from rich.console import Console

    from telegym.agents.training.grpo import EpisodeGRPOTrainer
    from telegym.rewards.compose import Composite

__all__ = ["Pipeline"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Pipeline:
    """One run.

    Args:
        recipe: What to do.
        folder: Where to keep it.
        console: Where to show it.
    """

    def __init__(self, recipe: Recipe, folder: RunFolder, console: Console) -> None:
        self.recipe = recipe
        self.folder = folder
        self.console = console
        self.result = RunResult(folder.path)
        self.rank = int(os.environ.get("RANK", "0"))
        self.world = int(os.environ.get("WORLD_SIZE", "1"))

    def run(self) -> RunResult:
        """Run, and say how to continue if interrupted."""
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        torch.set_num_threads(self.recipe.threads or os.cpu_count() or 1)
        try:
            self._supervise() if self.recipe.kind == "sft" else self._reinforce()
        except KeyboardInterrupt:
            self.result.interrupted = True
        if self.result.interrupted:
            self._say(f"Interrupted. Continue with: telegym train --name {self.folder.path.name} --resume")
        return self.result

    # --- reinforcement learning -------------------------------------------------------------------------

    def _reinforce(self) -> None:
        settings = self.recipe.model
        tokenizer = load_tokenizer(settings.name)
        model = load_model(settings.name, dtype=_DTYPES[settings.dtype], **settings.options)
        self._freeze(model)
        codec = ChatCodec(tokenizer, self.recipe.prompt)
        trainer = self._grpo_trainer(model, tokenizer, codec)
        player = _Player(self.recipe, trainer, codec)
        self._evaluate("before", player)
        if not self._optimize(trainer, self.recipe.grpo.steps):
            return
        trainer.save_model(str(self.folder.model))
        if self.rank == 0:
            tokenizer.save_pretrained(str(self.folder.model))
            self._settings().write(self.folder.model)
        self._evaluate("after", player)
        self._conclude()

    def _freeze(self, model: Any) -> None:
        names = [name for name, _ in model.named_parameters()]
        for pattern in self.recipe.model.frozen:
            if not any(re.search(pattern, name) for name in names):
                raise ConfigurationError(f"model.frozen: {pattern!r} matches no parameter; the first is {names[0]!r}")
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not any(re.search(pattern, name) for pattern in self.recipe.model.frozen))

    def _grpo_trainer(self, model: Any, tokenizer: Any, codec: ChatCodec) -> EpisodeGRPOTrainer:
        from telegym.agents.training.grpo import EpisodeGRPOTrainer, TaskRows, task_dataset

        settings = self.recipe
        environment = self._environment(settings.environment.train)
        count = settings.grpo.steps * settings.grpo.groups
        rng = Random(f"{settings.seed}/tasks")
        chosen = rng.sample(range(len(environment.tasks)), min(count, len(environment.tasks)))
        rows = [(chosen[index % len(chosen)], rng.getrandbits(31)) for index in range(count)]
        needs = frozenset[str]().union(*(scheme.needs for scheme in settings.grpo.credit))
        replayed = bool(needs & {"counterfactuals", "branches"})
        keep = settings.rollout.keep or settings.grpo.rewards is not None or replayed
        return EpisodeGRPOTrainer(
            rows=TaskRows(environment, environment.tasks, keep, settings.rollout.limits),
            codec=codec,
            turn_tokens=settings.rollout.turn_tokens,
            context=settings.rollout.context,
            forward_tokens=settings.grpo.forward_tokens,
            credit=settings.grpo.credit,
            reward=settings.grpo.reward,
            rewards=settings.grpo.rewards.build() if settings.grpo.rewards is not None else None,
            on_rollouts=self._keep_rollouts if settings.rollout.keep else None,
            model=model,
            args=self._grpo_arguments(),
            processing_class=tokenizer,
            train_dataset=task_dataset(rows),
            peft_config=self._adapter(),
        )

    def _grpo_arguments(self) -> Any:
        from trl import GRPOConfig

        settings, rollout = self.recipe.grpo, self.recipe.rollout
        names = [item.name for item in dataclasses.fields(GRPOConfig)]
        for name in settings.trl:
            if name not in names:
                raise ConfigurationError(f"TRL's GRPOConfig has no field {name!r}.{did_you_mean(name, names)}")
        world = self.world
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
            **self._common_arguments(settings.steps),
            "per_device_train_batch_size": batch,
            "gradient_accumulation_steps": local // batch,
            "num_generations": settings.group_size,
            "max_completion_length": rollout.completion_tokens,
            "temperature": rollout.temperature,
            "top_p": rollout.top_p,
            "learning_rate": settings.learning_rate,
            "lr_scheduler_type": settings.schedule,
            "warmup_steps": settings.warmup_steps,
            "gradient_checkpointing": False,
            "shuffle_dataset": False,
            "bf16": False,
            **settings.trl,
        }
        return GRPOConfig(**options)

    def _common_arguments(self, steps: int) -> dict[str, Any]:
        return {
            "output_dir": str(self.folder.checkpoints),
            "max_steps": steps,
            "seed": self.recipe.seed,
            "use_cpu": not torch.cuda.is_available(),
            "logging_steps": 1,
            "save_steps": self.recipe.save_steps,
            "save_total_limit": 2,
            "report_to": "none",
            "disable_tqdm": True,
            "remove_unused_columns": False,
        }

    def _adapter(self) -> Any:
        settings = self.recipe.model.adapter
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

    def _keep_rollouts(self, step: int, transcripts: Sequence[Transcript], scores: Sequence[Score]) -> None:
        name = f"train/step-{step + 1:05d}" + (f"-rank-{self.rank}" if self.rank else "")
        played = (item.episode.trajectory(f"step {step + 1}") for item in transcripts)
        _write_trajectories(self.folder.trajectories(name), played)

    # --- supervised learning ----------------------------------------------------------------------------

    def _supervise(self) -> None:
        settings = self.recipe.sft
        environment = self._environment(self.recipe.environment.train)
        if self.recipe.model.name == "new":
            tokenizer = nano.train_tokenizer(self._texts(environment), self.recipe.model.shape.vocabulary)
            model = nano.new_model(tokenizer, self.recipe.model.shape, self.recipe.seed)
        else:
            tokenizer = load_tokenizer(self.recipe.model.name)
            model = load_model(self.recipe.model.name, dtype=_DTYPES[self.recipe.model.dtype])
        codec = ChatCodec(tokenizer, self.recipe.prompt)
        data = batches(
            self._demonstrations(codec, environment), settings.batch_tokens, settings.epochs, self.recipe.seed
        )
        arguments = TrainingArguments(
            **self._common_arguments(len(data)),
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
            optimizers=(self._optimizer(model, tokenizer), None),
        )
        if not self._optimize(trainer, len(data)):
            return
        nano.save(model, tokenizer, self.folder.model)
        self._settings().write(self.folder.model)
        self._evaluate("after", _Player(self.recipe, trainer, codec))
        self._conclude()

    def _optimizer(self, model: Any, tokenizer: Any) -> torch.optim.Optimizer:
        settings = self.recipe.sft
        groups = [{"params": list(model.parameters()), "lr": settings.learning_rate}]
        if self.recipe.model.name == "new":
            groups = nano.parameter_groups(model, tokenizer, settings.learning_rate)
        return torch.optim.AdamW(groups, betas=(0.9, settings.beta2), weight_decay=settings.weight_decay, fused=True)

    def _texts(self, environment: Environment) -> Iterator[str]:
        """Yield the texts of played episodes, turn by turn, as they stand between control tokens."""
        for index in range(self.recipe.sft.demonstrations.tokenizer):
            episode = Episode(environment, environment.tasks[-1 - index % len(environment.tasks)], record=False)
            yield from ("user\n", "assistant\n", *(message.content or "" for message in episode.agent_messages()))
            demonstrator = demonstrator_of(self.recipe, environment, index)
            while not episode.done:
                message = demonstrator(episode)
                yield call_text(message)
                yield from (f"\n{answer.content}\n" for answer in episode.step(message))

    def _demonstrations(self, codec: ChatCodec, environment: Environment) -> list[Demonstration]:
        settings = self.recipe.sft.demonstrations
        with self._progress("demonstrations", settings.count) as progress:
            if settings.processes == 1:
                return list(demonstrations(self.recipe, codec, environment, range(settings.count), progress.advance))
            return self._demonstrations_apart(codec, progress)

    def _demonstrations_apart(self, codec: ChatCodec, progress: _Bar) -> list[Demonstration]:
        """Make demonstrations in processes of their own; which process made one makes no difference."""
        settings = self.recipe.sft.demonstrations
        chunk = max(1, min(200, settings.count // settings.processes))
        parts = [range(start, min(start + chunk, settings.count)) for start in range(0, settings.count, chunk)]
        found: list[Demonstration] = []
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(settings.processes, mp_context=context) as pool:
            for part, made in zip(parts, pool.map(_part, [(self.recipe, codec, part) for part in parts]), strict=True):
                found += made
                progress.advance(by=len(part))
        return found

    # --- what both share --------------------------------------------------------------------------------

    def _settings(self) -> PlayerSettings:
        rollout = self.recipe.rollout
        return PlayerSettings(
            prompt=self.recipe.prompt,
            temperature=self.recipe.evaluation.temperature,
            turn_tokens=rollout.turn_tokens,
            context=rollout.context,
        )

    def _environment(self, options: dict[str, Any]) -> Environment:
        settings = self.recipe.environment
        return make_environment(settings.id, **{**settings.options, **options})

    def _optimize(self, trainer: Any, steps: int) -> bool:
        """Train up to the last step; return False if interrupted."""
        checkpoint = self.folder.last_checkpoint()
        done = int(checkpoint.name.rpartition("-")[2]) if checkpoint is not None else 0
        self.folder.forget_after(done)
        trainer.remove_callback(transformers.PrinterCallback)
        with self._progress("training", steps, done) as progress:
            watcher = _Watcher(self.folder if self.rank == 0 else None, progress)
            trainer.add_callback(watcher)
            rewards = getattr(trainer, "rewards", None)
            if rewards is not None:
                trainer.add_callback(_RewardKeeper(rewards, f"rewards-{self.rank}.json", checkpoint))
            with watcher.listening():
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
        self.result.interrupted = watcher.interrupted and trainer.state.global_step < steps
        return not self.result.interrupted

    def _evaluate(self, when: str, player: _Player) -> None:
        """Play every set of tasks, unless that was done before the run was interrupted."""
        results = self.result.before if when == "before" else self.result.after
        for name, options in self.recipe.evaluation.sets.items():
            if "data" in options and options["data"] is None:
                continue
            file = self.folder.evaluation(when, name)
            if not file.is_file():
                self._play_set(when, name, self._environment(options), player)
            results[name] = EvaluationResult.read(file)

    def _play_set(self, when: str, name: str, environment: Environment, player: _Player) -> None:
        settings = self.recipe.evaluation
        pairs = [(task, seed) for task in environment.tasks for seed in trial_seeds(settings.seed, settings.trials)]
        own = range(self.rank, len(pairs), self.world)
        episodes = [Episode(environment, pairs[index][0], seed=pairs[index][1]) for index in own]
        seeds = [f"{settings.seed}/{episode.task.id}/{episode.seed}" for episode in episodes]
        with self._progress(f"{name}, {when}", len(episodes)) as progress:
            player.play(episodes, seeds, progress.advance)
        agent = f"{self.recipe.model.name} {when}"
        played = [(index, Outcome.of(each), each.trajectory(agent)) for index, each in zip(own, episodes, strict=True)]
        everything = sorted(gather_object(played) if self.world > 1 else played, key=lambda item: item[0])
        if self.rank == 0:
            _write_trajectories(self.folder.trajectories(f"evaluation-{when}-{name}"), [item[2] for item in everything])
            EvaluationResult(
                environment=environment.id,
                options=environment.options,
                agent=agent,
                trials=settings.trials,
                seed=settings.seed,
                outcomes=tuple(item[1] for item in everything),
            ).write(self.folder.evaluation(when, name))
        if self.world > 1:
            PartialState().wait_for_everyone()

    def _conclude(self) -> None:
        """Show the tables and write the report."""
        if self.rank:
            return
        for name, after in self.result.after.items():
            before = self.result.before.get(name)
            self.console.print(f"\n{name}", style="bold", markup=False)
            self.console.print(comparison_table(before, after) if before is not None else result_table(after))
        self.result.report = write_report(self.folder.path)
        self._say(f"Model: {self.folder.model}\nReport: {self.result.report}")

    def _say(self, text: str) -> None:
        if self.rank == 0:
            self.console.print(text, markup=False)

    @contextlib.contextmanager
    def _progress(self, title: str, total: int, done: int = 0) -> Iterator[_Bar]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.console, disable=self.rank > 0) as progress:
            task = progress.add_task(title, total=total, completed=done, note="")
            yield _Bar(progress, task)


def _part(work: tuple[Recipe, ChatCodec, range]) -> list[Demonstration]:
    recipe, codec, indices = work
    environment = make_environment(recipe.environment.id, **{**recipe.environment.options, **recipe.environment.train})
    return list(demonstrations(recipe, codec, environment, indices))


class _Bar:
    """One progress bar."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, note: Any = None, by: int = 1) -> None:
        """Count some more; a text is shown beside the bar."""
        self._progress.update(self._task, advance=by)
        if isinstance(note, str):
            self._progress.update(self._task, note=note)


class _Watcher(TrainerCallback):
    """Writes metrics, moves the bar, and turns Ctrl-C into a checkpoint."""

    def __init__(self, folder: RunFolder | None, bar: _Bar) -> None:
        self.interrupted = False
        self._folder = folder
        self._bar = bar

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the first Ctrl-C; the second one ends the program at once."""

        def stop(*_: Any) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        try:
            previous = signal.signal(signal.SIGINT, stop)
        except ValueError:  # not in the main thread, where signals do not arrive anyway
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Stop with a checkpoint if asked to."""
        if self.interrupted:
            control.should_save = control.should_training_stop = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep what was logged for a step."""
        if logs is None or "loss" not in logs:
            return
        row = {"step": state.global_step, **{name: value for name, value in logs.items() if value is not None}}
        if self._folder is not None:
            self._folder.log(row)
        success = row.get("episode/success")
        self._bar.advance(f"success {success:.0%}" if success is not None else f"loss {float(row['loss']):.3f}")


class _RewardKeeper(TrainerCallback):
    """Keeps in checkpoints what rewards remember from batch to batch."""

    def __init__(self, rewards: Composite, file: str, checkpoint: Path | None) -> None:
        self._rewards = rewards
        self._file = file
        if checkpoint is not None and (checkpoint / file).is_file():
            rewards.restore(json.loads((checkpoint / file).read_text("utf-8")))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write it beside the checkpoint's other files."""
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        (folder / self._file).write_text(json.dumps(self._rewards.state()), "utf-8")


class _Player:
    """Plays episodes with the model being trained, in evaluations."""

    def __init__(self, recipe: Recipe, trainer: Any, codec: ChatCodec) -> None:
        self._recipe = recipe
        self._trainer = trainer
        self._codec = codec

    def play(self, episodes: Sequence[Episode], seeds: Sequence[str], on_end: Any) -> None:
        """Play episodes to their ends."""
        rollout = self._recipe.rollout
        if getattr(self._trainer, "in_lock_step", False):
            self._trainer.play_in_lock_step(episodes, on_end)
            return
        sampling = Sampling(self._recipe.evaluation.temperature, 1.0, rollout.turn_tokens, rollout.context)
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        engine = GenerationEngine(model, self._codec.stop_ids, sampling, rollout.rows)
        play(engine, self._codec, episodes, seeds, rollout.completion_tokens, on_end)


def _write_trajectories(path: Path, trajectories: Iterable[Trajectory]) -> None:
    path.unlink(missing_ok=True)
    with TrajectoryWriter(path) as writer:
        for trajectory in trajectories:
            writer.write(trajectory)
