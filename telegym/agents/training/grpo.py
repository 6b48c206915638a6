"""Multi-turn GRPO: TRL's `GRPOTrainer`, with episodes as rollouts.

TRL gives the losses, the optimizer, logging, checkpoints, vLLM, adapters and distribution. What is added here:

- rollouts are played by episodes: an episode decides when it is over and answers malformed calls; its tools run for all
  samples in one pass; rollouts cut off by a limit are marked as such whatever their last token is;
- tokens are only appended, never sampled text tokenised again (`telegym.agents.prompting`);
- without vLLM and with whole weights on each process, generation keeps the cache across turns, and samples the same
  whatever the number of processes;
- on a single process, the loss is computed on the sampled tokens of the rollouts whose advantage is not zero: the same
  gradient for a fraction of the work;
- a rollout without a score (the infrastructure or a judge failed) is left out of its group, never scored as zero;
- by recipe, credit is given turn by turn (`telegym.agents.training.credit`): losses then get an advantage per token.

The methods overridden are pinned by a test to TRL 1.16.0.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from datasets import Dataset
from torch import Tensor
from trl import GRPOTrainer

from telegym.agents.generation import GenerationEngine, SampledTurn, Sampling
from telegym.agents.prompting import ChatCodec
from telegym.agents.references import References
from telegym.agents.training.credit import (
    Advantages,
    AnyScheme,
    Branches,
    LeaveOneOut,
    Need,
    Trajectory,
    combined,
    fork_point,
    rollouts_of,
    schemes_of,
    unseen_components,
)
from telegym.agents.training.curriculum import TaskSource
from telegym.agents.training.failures import require_scores
from telegym.agents.training.hands import Hands, Overlap
from telegym.agents.training.keeping import Stateful
from telegym.agents.training.ranks import decided, joint_means, together
from telegym.agents.training.rollouts import OnEnd, Player, Transcript, branch_of, play
from telegym.agents.training.rounds import Played, Rounds, Rows, Step
from telegym.agents.training.samples import Sampled
from telegym.agents.training.scoring import score_tokens
from telegym.agents.training.selection import OverLong, Selection
from telegym.agents.training.steps import cycle_of
from telegym.agents.training.timing import ClockWork, StepClock
from telegym.agents.training.vllm import GuardedClient, await_server, difference
from telegym.agents.training.watch import Watches
from telegym.agents.training.watching import Watching
from telegym.core.environment import Environment
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.score import Score
from telegym.core.task import Task
from telegym.rewards.base import Judgement, Run
from telegym.rewards.beside import Beside
from telegym.rewards.compose import GUARDS, Composite
from telegym.rewards.guards.base import Severity

__all__ = ["EpisodeGRPOTrainer", "Judged", "Outcome", "TaskRows", "task_dataset"]

logger = logging.getLogger(__name__)

_SUMMED_LOSSES = frozenset({"cispo", "dapo", "vespo"})
"""Losses of TRL that are a sum over tokens divided by how many the whole batch has, not a mean over rows."""

OnRollouts = Callable[[int, Sequence[Transcript], Sequence[Score]], None]


def task_dataset(rows: Sequence[tuple[int, int]]) -> Dataset:
    """Return the rows a trainer samples from.

    Args:
        rows: Position of the task and seed of the episode, which all rollouts of a group share.
    """
    return Dataset.from_list([{"prompt": f"task {task}", "task": task, "seed": seed} for task, seed in rows])


class Outcome:
    """The reward: the value of an episode's score, or a weighted sum of it and its components.

    Args:
        weights: Weight of `value` and of components by name. A component that a score does not have counts nothing;
            one that no score of a batch has is named in a warning.
    """

    __name__ = "outcome"

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = dict(weights or {"value": 1.0})
        self._unseen = set(self.weights) - {"value"}

    def __call__(self, score: Sequence[Score], **_: Any) -> list[float | None]:
        """Return the reward of each rollout; None, where there is a failure, leaves the rollout out."""
        seen = {name for item in score for name in item.components}
        for name in sorted(self._unseen - seen) if seen else ():
            logger.warning("no score has the component %r.%s", name, did_you_mean(name, seen))
        self._unseen = set() if seen else self._unseen
        return [self.of(item) for item in score]

    def of(self, score: Score) -> float | None:
        """Return the reward of one rollout."""
        if score.value is None:
            return None
        parts = {**score.components, "value": score.value}
        return sum(weight * parts.get(name, 0.0) for name, weight in self.weights.items())


class Judged:
    """The reward: what a composition made of a rollout; it is asked before, for a batch as a whole."""

    __name__ = "judged"

    def __call__(self, judged: Sequence[Score], **_: Any) -> list[float | None]:
        """Return the reward of each rollout; None, where there is a failure, leaves the rollout out."""
        return [self.of(score) for score in judged]

    def of(self, score: Score) -> float | None:
        """Return the reward of one rollout."""
        return score.value


class _Given:
    """Tells TRL the rewards that were computed when the rollouts were played."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, value: Sequence[float | None], **_: Any) -> list[float | None]:
        return list(value)


class TaskRows:
    """Builds the episodes of dataset rows.

    Args:
        environment: The domain.
        tasks: The tasks that rows refer to by position.
        record: Whether episodes keep what trajectories need.
        limits: Fields of `Limits` that override the environment's.
        threads: In how many threads episodes begin; up to 1 means one after the other.
    """

    def __init__(
        self,
        environment: Environment,
        tasks: Sequence[Task],
        record: bool = False,
        limits: Mapping[str, float | None] | None = None,
        threads: int = 0,
    ) -> None:
        self.environment = environment
        self._threads = threads
        self._tasks = tasks
        self._record = record
        self._limits = Limits.model_validate({**environment.limits.model_dump(), **(limits or {})})

    def episodes(self, rows: Sequence[dict[str, Any]]) -> list[Episode]:
        """Return a fresh episode for each row."""
        with Hands(self._threads) as hands:
            return hands.all(partial(self._episode, row) for row in rows)

    def _episode(self, row: dict[str, Any]) -> Episode:
        return Episode(self.environment, self._tasks[row["task"]], row["seed"], self._limits, record=self._record)


class EpisodeGRPOTrainer(GRPOTrainer):
    """GRPO on episodes.

    Args:
        rows: Builds the episodes of dataset rows.
        codec: Turns episodes into tokens.
        turn_tokens: The most tokens in one turn of the model.
        context: The most tokens of a conversation.
        forward_tokens: The most tokens in one forward pass of the loss, on a single process.
        credit: How advantages are shared out among turns: schemes of `telegym.agents.training.credit`, or what
            `schemes_of` reads as such; by default all turns of a rollout share its advantage.
        reward: Weights of the score's value and components; the value alone by default.
        rewards: A composition that takes the place of `reward`: it is asked about all rollouts of a batch at once.
        on_rollouts: Hears of every batch of rollouts: optimizer step, transcripts, scores.
        on_credit: Hears what became of the rollouts that a step learns from, and which turns get the credit.
        overlap: What of a step is done at once; by default judges are asked while episodes are being played.
        source: Gives the tasks of each step in the place of those of the rows.
        selection: Decides which groups are learnt from; with a source, others can be replaced.
        over_long: Decides about rollouts that are too long.
        watches: Figures that have to stay in a range.
        **trainer: Passed to TRL's trainer; `args.max_completion_length` is the limit of the whole trajectory.

    Raises:
        ConfigurationError: If credit needs whole groups and a process does not get them.
    """

    def __init__(
        self,
        *,
        rows: TaskRows,
        codec: ChatCodec,
        turn_tokens: int,
        context: int,
        forward_tokens: int = 8192,
        credit: Any = "trajectory",
        reward: Mapping[str, float] | None = None,
        rewards: Composite | None = None,
        on_rollouts: OnRollouts | None = None,
        on_credit: Callable[[int, Sequence[Sampled]], None] | None = None,
        overlap: Overlap | None = None,
        source: TaskSource | None = None,
        selection: Selection | None = None,
        over_long: OverLong | None = None,
        watches: Watches | None = None,
        **trainer: Any,
    ) -> None:
        self._reward: Outcome | Judged = Outcome(reward) if rewards is None else Judged()
        _await_server(trainer.get("args"))
        super().__init__(reward_funcs=[_Given(self._reward.__name__)], rollout_func=_rollout, **trainer)
        self.rewards = rewards
        self._rows = rows
        self._codec = codec
        self._turn_tokens = turn_tokens
        self._context = context
        self._forward_tokens = forward_tokens
        self._on_rollouts = on_rollouts
        self._on_credit = on_credit
        self._overlap = overlap or Overlap()
        self._rounds = Rounds(source, selection)
        self._over_long = over_long or OverLong()
        self._share_by(credit, reward)
        self._begin_batch()
        self._time_steps()
        self._watch(watches or Watches(()))
        if self.use_vllm:
            self.vllm_generation.max_completion_length = turn_tokens
            self._guard_client()
        self._references = self._asking_references(rows.environment) if rewards and rewards.needs_references else None
        self._check_credit()

    def _share_by(self, credit: Any, reward: Mapping[str, float] | None) -> None:
        """Take the schemes by which credit is shared out, and what they say a turn is worth."""
        self._schemes: tuple[AnyScheme, ...] = schemes_of(credit)
        self._needs: frozenset[Need] = frozenset().union(*(scheme.needs for scheme in self._schemes))
        self._worth = Outcome(reward)
        self._said_unseen = False

    def _begin_batch(self) -> None:
        """Begin without anything played or judged."""
        self._inputs: list[dict[str, Any]] = []
        self._batch = Rows([], [])
        self._transcripts: list[Transcript] = []
        self._values: list[float | None] = []
        self._scores: list[Score] = []
        self._dropped: list[bool] = []
        self._beside: Beside | None = None
        self._rows_of: dict[int, int] = {}
        self._asked: Tensor | None = None

    def _time_steps(self) -> None:
        """Measure where the time of steps goes."""
        self.clock = StepClock()
        self.add_callback(ClockWork(self.clock))

    def _watch(self, watches: Watches) -> None:
        """Show watches every step, and have what they need logged."""
        self._watches = watches
        self._watching = Watching(watches, cycle_of(self.args))
        self.add_callback(self._watching)
        self._logprobs = "episode/surprisal" in watches.figures or any(
            isinstance(scheme, Branches) and scheme.choose == "entropy" for scheme in self._schemes
        )

    @property
    def stateful(self) -> dict[str, Stateful]:
        """Parts that remember something from step to step, by name; checkpoints keep it."""
        parts: dict[str, Stateful | None] = {
            "rewards": self.rewards,
            "source": self._rounds.source,
            "selection": self._rounds.selection,
            "watches": self._watches if self._watches.figures else None,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def stopped(self) -> str | None:
        """Why a watch ended the training, if one did."""
        return self._watching.stopped

    # --- rollouts ---------------------------------------------------------------------------------------

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Remember which tasks are to be played; afterwards, leave out rollouts that teach nothing."""
        self._inputs = inputs
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.use_vllm:
            self._compare_logprobs(output)
        output["advantages"][torch.tensor(self._dropped, device=output["advantages"].device)] = 0.0
        each = output["advantages"].tolist()
        credit: Advantages = [[value] * len(item.turns) for value, item in zip(each, self._transcripts, strict=True)]
        if self._schemes != (Trajectory(),):
            with self.clock.phase("reward"):
                credit = self._credit(each)
            output["advantages"] = self._charge(credit, output["completion_ids"])
        self._tell_credit(credit)
        return self._informative(output) if self._may_select else output

    def _tell_credit(self, credit: Advantages) -> None:
        """Say what the rollouts of a step were worth, and which turns get the credit."""
        if self._on_credit is None or not self.model.training:
            return
        rows = zip(self._transcripts, self._scores, self._values, credit, strict=True)
        with self.clock.phase("other"):
            self._on_credit(self.state.global_step, [Sampled(*row[:3], tuple(row[3])) for row in rows])

    def play_batch(self) -> dict[str, Any]:
        """Play the present batch and return it in the form of TRL's rollout functions."""
        first = int(self.accelerator.process_index) * len(self._inputs)
        rows = Rows(list(self._inputs), list(range(first, first + len(self._inputs))))
        groups = len(self._inputs) * self.accelerator.num_processes // self.num_generations
        step = self._rounds.play(rows, self.num_generations, groups, self._play_round, bool(self.model.training))
        with self.clock.phase("other"):
            self._report_step(step)
        self._transcripts = [each.transcript for each in step.rows]
        self._scores = [each.judged or each.score for each in step.rows]
        with together("collecting rewards"):
            require_scores(self._scores)
        self._dropped = step.dropped
        # What is left out has no part in credit by turns, whatever its turns were worth.
        pairs = zip(step.rows, step.dropped, strict=True)
        self._values = [None if dropped else each.value for each, dropped in pairs]
        masks = [
            [0] * len(item.mask) if dropped or self._left_out(item) else item.mask
            for item, dropped in zip(self._transcripts, step.dropped, strict=True)
        ]
        return {
            "prompt_ids": [item.prompt for item in self._transcripts],
            "completion_ids": [item.completion for item in self._transcripts],
            "logprobs": [item.logprobs for item in self._transcripts] if self.use_vllm else None,
            "env_mask": masks,
            "value": [each.value for each in step.rows],
        }

    def _left_out(self, item: Transcript) -> bool:
        """Return whether a rollout is left out of the loss because a limit cut it off."""
        truncated = item.episode.truncated
        return self._over_long.masks(truncated) or (self.mask_truncated_completions and truncated)

    def _play_round(self, rows: Rows) -> list[Played]:
        """Play rows of this process, and say what they are worth."""
        self._batch = rows
        with self.clock.phase("environment"):
            episodes = self._rows.episodes(rows.inputs)
        with self._asking(episodes):
            transcripts = self._play_and_branch(episodes)
            with together("scoring episodes"), self.clock.phase("reward"):
                scores = [transcript.episode.score() for transcript in transcripts]
            with self.clock.phase("reward"):
                judged = self._judge(transcripts)
        values = self._reward(score=scores, judged=judged or [])
        verdicts: Sequence[Score | None] = judged or [None] * len(transcripts)
        return [
            Played(number, item, score, verdict, self._after_length(value, item))
            for number, item, score, verdict, value in zip(
                rows.numbers, transcripts, scores, verdicts, values, strict=True
            )
        ]

    def _after_length(self, value: float | None, item: Transcript) -> float | None:
        cut = item.episode.end is EndReason.TOKEN_LIMIT
        return None if value is None else value + self._over_long.punishment(len(item.completion), cut)

    def _judge(self, transcripts: Sequence[Transcript]) -> list[Score] | None:
        """Return what the rewards make of the episodes of a batch."""
        if self.rewards is None:
            return None
        runs = [self._run_of(row, transcript) for row, transcript in enumerate(transcripts)]
        if self.rewards.needs_own_tokens:
            self._fill_signals(runs, transcripts)
        if self._references is not None:
            self._references.fill(self.accelerator.unwrap_model(self.model), runs, transcripts)
        with together("judging episodes"):
            return self.rewards.score(runs) if self._beside is None else self._beside.score()

    @contextmanager
    def _asking(self, episodes: Sequence[Episode]) -> Iterator[None]:
        """Ask rewards about the episodes of a round as they end, if that is wanted."""
        self._rows_of = {}
        if self.rewards is None or not self.rewards.waits or not self._overlap.judge:
            yield
            return
        groups = [Run.of(episode).group for episode in episodes]
        with Beside(self.rewards, groups, self._overlap.judge_seconds) as self._beside:
            try:
                yield
            finally:
                self._beside = None

    def _on_end(self, transcript: Transcript) -> None:
        if self._beside is not None:
            self._beside.add(self._rows_of[id(transcript.episode)], Run.of(transcript.episode))

    def _run_of(self, row: int, transcript: Transcript) -> Run:
        run = Run.of(transcript.episode)
        return run if self._beside is None else self._beside.run(row, run)

    def _report_step(self, step: Step) -> None:
        """Log what was played in a step, groups that were replaced included."""
        everything = step.everything
        self._report([each.transcript for each in everything], [each.score for each in everything])
        if self.rewards is not None:
            self._report_judged([each.judged for each in everything if each.judged is not None])
        if self._over_long.action == "punish":
            places = [(len(each.transcript.completion), each.transcript.episode.end) for each in everything]
            taken = [self._over_long.punishment(size, end is EndReason.TOKEN_LIMIT) for size, end in places]
            self._log_means({"over_long/punishment": taken})
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, value in step.figures.items():
            metrics[name].append(value)

    def _report_judged(self, judged: Sequence[Score]) -> None:
        """Log the parts of what the rewards made of the episodes."""
        names = sorted({name for score in judged for name in score.components})
        figures = {f"rewards/{name}": [s.components[name] for s in judged if name in s.components] for name in names}
        figures["rewards/failures"] = [float(score.value is None) for score in judged]
        if self.rewards is not None and self.rewards.guards is not None:
            counted = [score.counters if isinstance(score, Judgement) else {} for score in judged]
            for severity in (each.lower() for each in Severity if each is not Severity.NOTE):
                figures[f"guards/{severity}"] = [each.get(f"{GUARDS}.{severity}", 0.0) for each in counted]
        self._log_means(figures)
        failed = [score.failure.message for score in judged if score.failure is not None]
        if failed:
            logger.warning("%d of %d rollouts have no reward; the first: %s", len(failed), len(judged), failed[0])

    def _fill_signals(self, runs: Sequence[Run], transcripts: Sequence[Transcript]) -> None:
        """Tell rewards what the policy knows of its own tokens."""
        from telegym.agents.signals import signals_of_transcripts

        model = self.accelerator.unwrap_model(self.model)
        found = signals_of_transcripts(model, transcripts, temperature=self.temperature, tokens=self._forward_tokens)
        for run, signals in zip(runs, found, strict=True):
            run.signals = signals

    def _asking_references(self, environment: Environment) -> References:
        """Return what tells rewards how likely reference answers are; the first policy is kept for it."""
        assert self.rewards is not None
        model = self.accelerator.unwrap_model(self.model)
        if not self.rewards.needs_baseline:
            return References(self._codec, environment, tokens=self._forward_tokens)
        if hasattr(model, "disable_adapter"):
            return References(self._codec, environment, model, model.disable_adapter, self._forward_tokens)
        first = copy.deepcopy(model).eval().requires_grad_(False)
        return References(self._codec, environment, first, tokens=self._forward_tokens)

    @property
    def in_lock_step(self) -> bool:
        """Whether TRL generates: with vLLM, or when no process has all weights and they have to generate together."""
        return bool(self.use_vllm or self._dist.is_fsdp or self._dist.is_zero3)

    def _play_and_branch(self, episodes: list[Episode]) -> list[Transcript]:
        """Play episodes, those of the rows that are to branch off only after the others of their groups."""
        scheme = next((scheme for scheme in self._schemes if isinstance(scheme, Branches)), None)
        later = self._branch_rows(scheme.branches) if scheme is not None and self.model.training else {}
        first = [row for row in range(len(episodes)) if row not in later]
        played = dict(zip(first, self._play_rows(episodes, first), strict=True))
        if scheme is None or not (later or self.in_lock_step):
            return [played[row] for row in first]
        begun: dict[int, Episode | Transcript] = {}
        for group in dict.fromkeys(later.values()):
            roots = [played[row] for row in group]
            place = fork_point(roots, scheme.choose, Random(f"{self._seed}/branches/{self._batch.numbers[group[0]]}"))
            for row in [row for row, other in later.items() if other == group]:
                begun[row] = episodes[row] if place is None else branch_of(roots[place.rollout], place.turn)
        rows = sorted(begun)
        played |= zip(
            rows, self._play_rows([begun.get(row, each) for row, each in enumerate(episodes)], rows), strict=True
        )
        return [played[row] for row in range(len(episodes))]

    def _branch_rows(self, branches: int) -> dict[int, tuple[int, ...]]:
        """Return the rows that are branches, each with the rows of its group that are played from the start."""
        groups: dict[tuple[int, int], list[int]] = {}
        for row, inputs in enumerate(self._batch.inputs):
            groups.setdefault((inputs["task"], inputs["seed"]), []).append(row)
        return {
            row: tuple(rows[:-branches])
            for rows in groups.values()
            if len(rows) >= branches + 2
            for row in rows[-branches:]
        }

    @property
    def _seed(self) -> str:
        again = f"/round {self._batch.round}" if self._batch.round else ""
        return f"{self.args.seed}/{self.state.global_step}{again}"

    def _play_rows(self, items: Sequence[Episode | Transcript], rows: Sequence[int]) -> list[Transcript]:
        chosen = [items[row] for row in rows]
        self._rows_of |= {id(_episode_of(items[row])): row for row in rows}
        if self.in_lock_step:
            return self.play_in_lock_step(chosen, self._on_end)
        with together("playing episodes"):
            return self._play(chosen, rows)

    def _play(self, items: Sequence[Episode | Transcript], rows: Sequence[int] | None = None) -> list[Transcript]:
        sampling = Sampling(self.temperature, self.top_p, self._turn_tokens, self._context, self._logprobs)
        model = self.accelerator.unwrap_model(self.model)
        engine = GenerationEngine(model, self.eos_token_ids, sampling, rows=len(items))
        numbers = self._batch.numbers if rows is not None else range(len(items))
        seeds = [f"{self._seed}/{numbers[row]}" for row in (range(len(items)) if rows is None else rows)]
        watch, situations = "components" in self._needs, "situations" in self._needs
        limit = self.max_completion_length
        return play(
            engine, self._codec, items, seeds, limit, self._on_end, watch, situations, clock=self.clock,
            threads=self._overlap.threads, order=self._overlap.order,
        )  # fmt: skip

    def play_in_lock_step(
        self, episodes: Sequence[Episode | Transcript], on_end: OnEnd | None = None
    ) -> list[Transcript]:
        """Play episodes turn by turn through TRL; every process takes part in every turn until all have finished.

        Args:
            episodes: What is played; a process may have none.
            on_end: Hears of each episode that has ended.

        Raises:
            ConfigurationError: If a prompt leaves no room in the context.
            InfrastructureError: If another process failed, or the vLLM server did.
        """
        with self.clock.phase("generation"), Hands(self._overlap.threads) as hands:
            return self._turn_by_turn(episodes, on_end, hands)

    def _turn_by_turn(
        self, episodes: Sequence[Episode | Transcript], on_end: OnEnd | None, hands: Hands
    ) -> list[Transcript]:
        with together("beginning episodes"):
            player = self._player(episodes, on_end, hands)
        active = list(range(len(episodes)))
        if self._dist.is_fsdp:
            # Else generation would not know that each token needs all processes, and end when its own turns have ended.
            self.accelerator.unwrap_model(self.model)._is_fsdp_managed_module = True
        while widest := self._widest(len(active)):
            histories = [player.transcripts[index].prompt + player.transcripts[index].completion for index in active]
            # TRL shares out what a server answers in equal parts, and weights are gathered by all processes at once.
            filler = [[self._codec.stop_ids[0]]] * (widest - len(active))
            ids, logprobs = self._generate_single_turn(histories + filler, None, {}, num_generations=1)
            self._check_server()
            turns = [
                self._turn(index, ids[place], logprobs[place] if logprobs is not None else None)
                for place, index in enumerate(active)
            ]
            with together("playing episodes"):
                answers = player.advance(turns)
            active = [index for index, answer in zip(active, answers, strict=True) if answer is not None]
        return player.transcripts

    def _player(self, episodes: Sequence[Episode | Transcript], on_end: OnEnd | None, hands: Hands) -> Player:
        watch, situations = "components" in self._needs, "situations" in self._needs
        limits = self.max_completion_length, on_end, watch, situations, self._context
        player = Player(self._codec, episodes, *limits, hands, self.clock)
        for transcript in player.transcripts:
            if len(transcript.prompt) + 1 >= self._context:
                raise ConfigurationError(
                    f"the prompt of task {transcript.episode.task.id!r} has {len(transcript.prompt)} tokens, which "
                    f"leaves no room in a context of {self._context}; raise rollout.context"
                )
        return player

    def _widest(self, active: int) -> int:
        """Return the most conversations at the model's turn that any process has."""
        return int(self.accelerator.gather(torch.tensor([active], device=self.accelerator.device)).max())

    @contextmanager
    def sampling_as(self, temperature: float, top_p: float = 1.0) -> Iterator[None]:
        """Let TRL sample otherwise for a while, in evaluations.

        Args:
            temperature: Temperature; 0 takes the most likely token.
            top_p: Nucleus.
        """
        places = [self.vllm_generation] if self.use_vllm else [self.generation_config]
        before = {name: getattr(places[0], name) for name in ("temperature", "top_p")}
        sample = getattr(places[0], "do_sample", None)
        try:
            _set(places[0], temperature if self.use_vllm else temperature or 1.0, top_p, sample and temperature > 0)
            yield
        finally:
            _set(places[0], before["temperature"], before["top_p"], sample)

    def _turn(self, index: int, ids: Sequence[int], logprobs: Sequence[float] | None) -> SampledTurn:
        """Cut a turn that TRL sampled up to the limit of the trajectory to the limit of a turn."""
        drawn = list(ids[: self._turn_tokens])
        complete = bool(drawn) and drawn[-1] in self.eos_token_ids
        return SampledTurn(index, drawn, complete, list(logprobs[: len(drawn)]) if logprobs is not None else None)

    def _report(self, transcripts: Sequence[Transcript], scores: Sequence[Score]) -> None:
        """Log what the episodes say."""
        whole = [place for place, item in enumerate(transcripts) if item.parent is None]
        valid = [scores[place] for place in whole if scores[place].value is not None]
        figures = {
            "episode/success": [float(score.success) for score in valid],
            "episode/failures": [float(score.value is None) for score in scores],
            "episode/truncated": [float(item.episode.truncated) for item in transcripts],
            "episode/turns": [float(item.episode.turn) for item in transcripts],
            "episode/call_errors": [
                float(sum(call.error is not None for call in item.episode.calls)) for item in transcripts
            ],
            "episode/tokens": [float(item.sampled) for item in transcripts],
        }
        if self._logprobs or self.use_vllm:
            figures["episode/surprisal"] = [-logprob for item in transcripts for logprob in item.sampled_logprobs()]
        for name in sorted({name for score in valid for name in score.components}):
            figures[f"components/{name}"] = [s.components[name] for s in valid if name in s.components]
        self._log_means(figures)
        if self._on_rollouts is not None and self.model.training:
            self._on_rollouts(self.state.global_step, transcripts, scores)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log a step, and where its time went."""
        if "loss" in logs:
            logs.update(self.clock.lap())
        super().log(logs, start_time)

    def _log_means(self, figures: Mapping[str, Sequence[float]]) -> None:
        """Log means over all processes."""
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, mean in joint_means(figures).items():
            metrics[name].append(mean)

    # --- vLLM -------------------------------------------------------------------------------------------

    def _guard_client(self) -> None:
        if hasattr(self.vllm_generation, "vllm_client"):
            self.vllm_generation.vllm_client = GuardedClient(self.vllm_generation.vllm_client)

    def _check_server(self) -> None:
        """Raise in every process if the server failed, which only the first one knows."""
        if self.use_vllm and self.vllm_mode == "server":
            client = getattr(self.vllm_generation, "vllm_client", None)
            with together("waiting for the vLLM server"):
                if client is not None:
                    client.check()

    def _compare_logprobs(self, output: Mapping[str, Any]) -> None:
        """Log how far the sampler's log-probabilities are from the trainer's: if it is far, weights are not in step."""
        computed = output.get("old_per_token_logps")
        if computed is None:
            computed = self._logprobs_of(output)
        mask = output["completion_mask"] * output["tool_mask"]
        mean, most = difference(self.accelerator, output["sampling_per_token_logps"], computed, mask)
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["vllm/logprob_difference/mean"].append(mean)
        metrics["vllm/logprob_difference/max"].append(most)

    def _logprobs_of(self, output: Mapping[str, Any]) -> Tensor:
        ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
        mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
        with torch.no_grad():
            logprobs, _, _ = self._get_per_token_logps_and_entropies(
                self.model, ids, mask, output["completion_ids"].size(1), self.args.per_device_train_batch_size
            )
        return logprobs

    # --- loss -------------------------------------------------------------------------------------------

    @property
    def _may_select(self) -> bool:
        """Whether a rollout with advantage zero has no influence on the gradient, and rows may be left out."""
        args = self.args
        whole = args.steps_per_generation == 1 and self.accelerator.num_processes == 1
        summed = self.loss_type in _SUMMED_LOSSES and self.top_entropy_quantile == 1.0
        return bool(self.model.training and whole and summed and self.beta == 0.0 and not self._entropy_bonus_enabled)

    def _check_credit(self) -> None:
        """Refuse schemes that this run cannot serve."""
        local = self.args.generation_batch_size // self.accelerator.num_processes
        if "groups" in self._needs and local % self.num_generations:
            kinds = ", ".join(scheme.kind for scheme in self._schemes if "groups" in scheme.needs)
            raise ConfigurationError(
                f"credit by {kinds} needs whole groups on each process: {local} rollouts of a process are no multiple "
                f"of {self.num_generations}; take as many groups as processes or a multiple, or credit by trajectory"
            )
        for scheme in self._schemes:
            if isinstance(scheme, Branches) and scheme.branches > self.num_generations - 2:
                raise ConfigurationError(
                    f"credit by branches: of {self.num_generations} rollouts in a group at most "
                    f"{self.num_generations - 2} can be branches, not {scheme.branches}"
                )
            if isinstance(scheme, Branches) and scheme.choose == "entropy" and self.in_lock_step and not self.use_vllm:
                raise ConfigurationError(
                    "credit by branches: `choose: entropy` needs log-probabilities of what was sampled, which sharded "
                    "weights without vLLM do not give; choose `divergence` or `random`"
                )

    def _credit(self, advantages: Sequence[float]) -> Advantages:
        """Return the advantage of each turn of the batch just played."""
        budget = max((scheme.calls for scheme in self._schemes if isinstance(scheme, LeaveOneOut)), default=0)
        rollouts = rollouts_of(
            self._transcripts, self._values, advantages, self._scores, self._needs, self._worth_of, budget
        )
        unseen = {} if self._said_unseen else unseen_components(self._schemes, rollouts)
        for name, seen in unseen.items():
            logger.warning("credit: no score has the component %r.%s", name, did_you_mean(name, seen))
        self._said_unseen = self._said_unseen or any(rollout.components for rollout in rollouts)
        return combined(self._schemes, rollouts)

    def _worth_of(self, episode: Episode) -> float | None:
        """Return what an episode played without a call is worth: by the environment's score, never by a judge's."""
        return self._worth.of(episode.score())

    def _charge(self, credit: Advantages, completions: Tensor) -> Tensor:
        """Spread the advantages of turns over the tokens sampled in them; other tokens get none."""
        spread = torch.zeros(completions.shape, dtype=torch.float32, device=completions.device)
        for row, (transcript, advantages) in enumerate(zip(self._transcripts, credit, strict=True)):
            for (start, end), advantage in zip(transcript.turns, advantages, strict=True):
                spread[row, start:end] = advantage
        return spread

    @staticmethod
    def _informative(output: dict[str, Any]) -> dict[str, Any]:
        # TRL divides rounding errors of float32 by 1e-4; credit by turns is computed in double precision.
        least = 1e-3 if output["advantages"].ndim == 1 else 1e-6
        chosen = (output["advantages"].abs() > least).reshape(len(output["advantages"]), -1).any(1)
        if not bool(chosen.any()):
            chosen[0] = True
        size = len(chosen)
        return {
            name: value[chosen] if isinstance(value, Tensor) and value.ndim and len(value) == size else value
            for name, value in output.items()
        }

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """Remember which tokens count, so that only these are computed."""
        mask = inputs["completion_mask"]
        self._asked = mask * inputs["tool_mask"] if "tool_mask" in inputs else mask
        try:
            loss: Tensor = super()._compute_loss(model, inputs)
        finally:
            self._asked = None
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **inputs: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if self._asked is None or compute_aux_loss or not self._plain(model):
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size=batch_size,
                compute_entropy=compute_entropy,
                compute_aux_loss=compute_aux_loss,
                **inputs,
            )
        asked = torch.cat([torch.zeros_like(input_ids[:, :-logits_to_keep]), self._asked], dim=1).bool()
        present = attention_mask.bool()
        with self.accelerator.autocast():
            scored = score_tokens(
                model,
                [row[keep] for row, keep in zip(input_ids, present, strict=True)],
                [row[keep] for row, keep in zip(asked, present, strict=True)],
                temperature=self.temperature,
                entropies="learnt" if compute_entropy and self._entropy_bonus_enabled else compute_entropy,
                tokens=self._forward_tokens,
            )
        places = asked[:, -logits_to_keep:]
        entropies = None if scored.entropies is None else _spread(scored.entropies, places)
        return _spread(scored.logprobs, places), entropies, None

    def _plain(self, model: Any) -> bool:
        """Whether the model is a bare causal language model on one process: no adapter, no wrapper."""
        return (
            self.accelerator.num_processes == 1
            and model is self.accelerator.unwrap_model(model)
            and not hasattr(model, "peft_config")
        )


def _rollout(prompts: Sequence[str], trainer: EpisodeGRPOTrainer) -> dict[str, Any]:
    return trainer.play_batch()


def _episode_of(item: Episode | Transcript) -> Episode:
    return item.episode if isinstance(item, Transcript) else item


def _spread(values: Tensor, places: Tensor) -> Tensor:
    """Put values at their places in a matrix of zeros."""
    return values.new_zeros(places.shape).masked_scatter(places, values)


def _set(target: Any, temperature: float, top_p: float, do_sample: bool | None) -> None:
    target.temperature, target.top_p = temperature, top_p
    if do_sample is not None:
        target.do_sample = do_sample


def _await_server(args: Any) -> None:
    """Wait for the vLLM server that a trainer will need; if it does not answer, all processes end."""
    if args is not None and args.use_vllm and args.vllm_mode == "server":
        address = args.vllm_server_base_url or f"http://{args.vllm_server_host}:{args.vllm_server_port}"
        decided(lambda: await_server(address, args.vllm_server_timeout))
