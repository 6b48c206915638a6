"""Learning in rounds: a transformers `Trainer` that plays at the beginning of each round and learns for some steps.

What a round is learnt from is kept in a file, so that a run that is interrupted in the middle of a round goes on with
the same. A step takes some items, shares them out among the processes, and works through them in passes of bounded
size; the loss is the mean over all of them, however they were cut.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

import torch
from accelerate.utils import gather_object
from torch import Tensor
from transformers import Trainer

from telegym.agents.training.keeping import Stateful
from telegym.agents.training.ranks import together
from telegym.agents.training.scoring import buckets
from telegym.agents.training.stages.items import Item, read_items, write_items
from telegym.agents.training.stages.settings import RoundSettings

__all__ = ["Collection", "Collector", "Loss", "Objective", "RoundTrainer"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Collection:
    """What playing gave on one process."""

    items: list[tuple[int, Item]] = field(default_factory=list)
    """What may be learnt from, each with a number that puts the items of all processes in order."""
    figures: dict[str, list[float]] = field(default_factory=dict)
    """Values to be averaged over all processes and logged."""


class Collector(Protocol):
    """Plays."""

    def collect(self, model: Any, number: int, rank: int, world: int) -> Collection:
        """Play the part of a process.

        Args:
            model: The policy as it is now.
            number: The round, from 0.
            rank: The process.
            world: How many processes there are.
        """
        ...


@dataclass(slots=True)
class Loss:
    """What an objective found for some items."""

    total: Tensor
    """Their loss, summed."""
    figures: dict[str, float] = field(default_factory=dict)
    """Sums to be divided by the weight of the items and logged."""


class Objective(Protocol):
    """What is minimised."""

    def weight(self, item: Item) -> float:
        """Return what an item counts in the mean."""
        ...

    def length(self, item: Item) -> int:
        """Return how many tokens an item takes in a pass."""
        ...

    def loss(self, model: Any, items: Sequence[Item]) -> Loss:
        """Return the loss of some items.

        Args:
            model: The model as the trainer wraps it.
            items: A pass of them, at least one.
        """
        ...


class RoundTrainer(Trainer):
    """Plays and learns in turns.

    Args:
        collector: Plays.
        objective: What is minimised.
        settings: How many rounds and steps.
        rounds: The folder for what is learnt from.
        **trainer: Passed to transformers; `args.max_steps` is the number of all steps.
    """

    def __init__(
        self, *, collector: Collector, objective: Objective, settings: RoundSettings, rounds: Path, **trainer: Any
    ) -> None:
        args = trainer["args"]
        rows = [{"row": row} for row in range(args.max_steps * max(1, args.world_size))]
        super().__init__(train_dataset=rows, data_collator=_nothing, **trainer)
        self._collector = collector
        self._objective = objective
        self._settings = settings
        self._folder = rounds
        self._pools: dict[int, list[Item]] = {}
        self._begun = False
        self._figures: dict[str, list[float]] = {}

    @property
    def stateful(self) -> dict[str, Stateful]:
        """Parts that remember something from step to step, by name; checkpoints keep it."""
        found: dict[str, Stateful] = getattr(self._collector, "stateful", {})
        return found

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Learn from the items of the present step; play first if a round begins."""
        number, step = divmod(self.state.global_step, self._settings.steps)
        self._enter(number, step)
        model.train()
        items = self._batch(number, step)
        if not items:
            return torch.zeros((), device=self.args.device)
        return self._learn(model, items)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log what was noted since the last time, too."""
        means = {name: sum(values) / len(values) for name, values in self._figures.items() if values}
        self._figures.clear()
        super().log({**logs, **means}, start_time)

    # --- rounds -----------------------------------------------------------------------------------------

    def _enter(self, number: int, step: int) -> None:
        """Have ready what the present round is learnt from."""
        if not self._begun:
            self._begun = True
            self._forget_from(number + (step > 0))
        if number not in self._pools and step > 0:
            self._pools[number] = read_items(self._file(number))
        elif number not in self._pools:
            self._pools[number] = self._collect(number)
        memory = self._settings.memory
        first = 0 if memory is None else max(0, number + 1 - memory)
        for earlier in range(first, number):
            if earlier not in self._pools:
                self._pools[earlier] = read_items(self._file(earlier))
        for earlier in [each for each in self._pools if each < first]:
            del self._pools[earlier]

    def _forget_from(self, number: int) -> None:
        """Remove what was played after the checkpoint that is continued: it is played again."""
        if self.accelerator.is_main_process and self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name >= self._file(number).name:
                    path.unlink()
        self.accelerator.wait_for_everyone()

    def _file(self, number: int) -> Path:
        return self._folder / f"round-{number + 1:05d}.jsonl.gz"

    def _collect(self, number: int) -> list[Item]:
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        model = self.accelerator.unwrap_model(self.model)
        with together(f"playing round {number + 1}"):
            found = self._collector.collect(model, number, rank, world)
        parts = gather_object([found]) if world > 1 else [found]
        for part in parts:
            for name, values in part.figures.items():
                self._figures.setdefault(name, []).extend(values)
        ordered = sorted((pair for part in parts for pair in part.items), key=lambda pair: pair[0])
        items = [item for _, item in ordered]
        if not items:
            logger.warning("round %d gave nothing to learn from", number + 1)
        if self.accelerator.is_main_process:
            write_items(self._file(number), items)
        self.accelerator.wait_for_everyone()
        return items

    def _batch(self, number: int, step: int) -> list[Item]:
        """Return the items of a step: all of the pool are taken before any is taken again."""
        pool = [item for each in sorted(self._pools) for item in self._pools[each]]
        size = min(self._settings.batch_size, len(pool))
        places = range(step * size, (step + 1) * size)
        passes = {place // len(pool) for place in places}
        orders = {each: _order(f"{self.args.seed}/{number}/{each}", len(pool)) for each in passes}
        return [pool[orders[place // len(pool)][place % len(pool)]] for place in places]

    # --- passes -----------------------------------------------------------------------------------------

    def _learn(self, model: Any, items: Sequence[Item]) -> Tensor:
        """Work through a step's items; return the loss, of which the mean over processes is the mean over items."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        total = sum(map(self._objective.weight, items))
        own = items[rank::world]
        counts = float(bool(own))  # who has nothing to do takes part all the same, for the others wait
        passes = self._passes(own) or [[items[0]]]
        loss = torch.zeros((), device=self.args.device)
        figures: dict[str, float] = {}
        for place, part in enumerate(passes):
            with self._quiet(model, place + 1 < len(passes)), self.compute_loss_context_manager():
                found = self._objective.loss(model, part)
                share = found.total * (counts * world / total)
                self.accelerator.backward(share)
            loss += share.detach()
            for name, value in found.figures.items():
                figures[name] = figures.get(name, 0.0) + value * counts
        self._note(figures, total)
        return loss

    def _passes(self, items: Sequence[Item]) -> list[list[Item]]:
        lengths = [self._objective.length(item) for item in items]
        return [[items[place] for place in part] for part in buckets(lengths, self._settings.forward_tokens)]

    @contextlib.contextmanager
    def _quiet(self, model: Any, quiet: bool) -> Iterator[None]:
        """Leave gradients on this process for all passes but the last."""
        with self.accelerator.no_sync(model) if quiet else contextlib.nullcontext():
            yield

    def _note(self, sums: dict[str, float], total: float) -> None:
        if self.accelerator.num_processes > 1:
            parts = gather_object([sums])
            sums = {name: sum(part.get(name, 0.0) for part in parts) for name in {n for part in parts for n in part}}
        for name in sorted(sums):
            self._figures.setdefault(name, []).append(sums[name] / total)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


def _order(seed: str, size: int) -> list[int]:
    order = list(range(size))
    Random(seed).shuffle(order)
    return order


def _nothing(rows: Sequence[dict[str, int]]) -> dict[str, Any]:
    return {"rows": torch.tensor([row["row"] for row in rows])}
