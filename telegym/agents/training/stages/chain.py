"""Chains: stages one after the other, each with the model that the last one left.

A chain is a recipe with a list of stages. Each stage is the recipe with some settings of its own; it runs in a folder
of its own, like a run. The chain's own folder has the evaluations before and after all of them, what was logged in all
of them, and the last model, so that reports and comparisons read it like any other run.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from telegym.agents.local import load_model, load_tokenizer
from telegym.agents.prompting import ChatCodec
from telegym.agents.training.measure import Player, conclude, measure
from telegym.agents.training.ranks import decided
from telegym.agents.training.run import RunFolder, RunResult
from telegym.agents.training.stages.plan import StagePlan, resolved
from telegym.core.files import write_whole
from telegym.evaluation.learning import read_metrics

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext

__all__ = ["evaluate_only", "run_chain", "whole_model"]

_DONE = "stage.json"

Kinds = Mapping[str, Callable[["RunContext"], None]]


def evaluate_only(context: RunContext) -> None:
    """Run a recipe of kind `evaluation`: play, and learn nothing."""
    _measure(context, "after")
    conclude(context)


def run_chain(context: RunContext, kinds: Kinds) -> None:
    """Run a recipe of kind `stages`.

    Args:
        context: The run.
        kinds: What runs a recipe of each kind.
    """
    plans = context.recipe.plan()
    models: dict[str, str] = {}
    model = context.recipe.model.name
    if model != "new" and plans[0].recipe.model.name == model:
        _measure(context, "before")
    for number, plan in enumerate(plans):
        inner = _inner(context, resolved(plan, model if number else None, models), plan)
        if not _run_stage(inner, plan, kinds):
            context.result.interrupted = True
            return
        model = models[plan.name] = _model_of(inner)
        _gather_metrics(context, plans[: number + 1])
        if context.recipe.between and number + 1 < len(plans) and plan.recipe.kind != "evaluation":
            _measure(_with_model(inner, context, model), "after")
    if context.rank == 0 and model != str(context.folder.model) and Path(model).is_dir():
        shutil.rmtree(context.folder.model, ignore_errors=True)
        shutil.copytree(model, context.folder.model, copy_function=_link)
    _wait(context)
    _measure(_with_model(context, context, model), "after")
    conclude(context)


def _inner(context: RunContext, recipe: Any, plan: StagePlan) -> RunContext:
    """Return the run of a stage."""
    folder = RunFolder(context.folder.path / plan.folder)
    if context.rank == 0:
        folder.path.mkdir(parents=True, exist_ok=True)
        write_whole(folder.config, recipe.to_yaml())
    _wait(context)
    return _context(context, recipe, folder, RunResult(folder.path))


def _context(context: RunContext, recipe: Any, folder: RunFolder, result: RunResult) -> RunContext:
    return type(context)(recipe, folder, context.console, result)


def _run_stage(inner: RunContext, plan: StagePlan, kinds: Kinds) -> bool:
    """Run a stage, unless it was finished before; return False if it was interrupted."""
    mark = inner.folder.path / _DONE
    if decided(mark.is_file):
        return True
    inner.say(f"\nStage {plan.folder}")
    kinds[inner.recipe.kind](inner)
    if inner.result.interrupted:
        return False
    if inner.rank == 0:
        write_whole(mark, json.dumps({"stage": plan.name, "kind": inner.recipe.kind}))
    _wait(inner)
    return True


def _model_of(inner: RunContext) -> str:
    """Return the model that a stage leaves to the next: its own, or the one it got."""
    if not decided(inner.folder.model.is_dir):
        return inner.recipe.model.name
    return decided(lambda: whole_model(inner.folder.model, inner.folder.path / "whole"))


def whole_model(folder: Path, target: Path) -> str:
    """Return a folder with all weights of a model: its own, or one into which its adapter was merged.

    Args:
        folder: A model, or an adapter.
        target: Where the merged model is written if it is not there yet.
    """
    if not (folder / "adapter_config.json").is_file():
        return str(folder)
    if not (target / "config.json").is_file():
        from peft import PeftModel

        base = json.loads((folder / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"]
        dtype = torch.float32 if not torch.cuda.is_available() else "auto"
        merged = PeftModel.from_pretrained(load_model(base, dtype=dtype), str(folder)).merge_and_unload()
        for file in folder.iterdir():
            if file.is_file() and not file.name.startswith("adapter_"):
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target / file.name)
        merged.save_pretrained(str(target))
    return str(target)


def _gather_metrics(context: RunContext, plans: tuple[StagePlan, ...]) -> None:
    """Write what was logged in the stages so far one after the other, the steps counted through."""
    if context.rank:
        return
    rows: list[str] = []
    offset = 0
    for plan in plans:
        file = context.folder.path / plan.folder / "metrics.jsonl"
        found = read_metrics(file)[0] if file.is_file() else []
        for row in found:
            rows.append(json.dumps({**row, "step": offset + row["step"], "stage": plan.name}) + "\n")
        offset += found[-1]["step"] if found else 0
    write_whole(context.folder.metrics, "".join(rows))


class _Still:
    """A model that is only played with, in the place of a trainer."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.accelerator = self

    def unwrap_model(self, model: Any) -> Any:
        """Return the model, which is not wrapped."""
        return model


def _with_model(context: RunContext, outer: RunContext, model: str) -> RunContext:
    """Return a run with another model, and with the evaluations of the chain."""
    settings = context.recipe.model.model_copy(update={"name": model, "adapter": None, "frozen": []})
    recipe = context.recipe.model_copy(update={"model": settings, "evaluation": outer.recipe.evaluation})
    return _context(context, recipe, context.folder, context.result)


def _measure(context: RunContext, when: str) -> None:
    """Evaluate the model of a recipe as it is, unless that was done before."""
    sets = [name for name, options in context.recipe.evaluation.sets.items() if options.get("data", "") is not None]
    if not sets:
        return
    if all(decided(context.folder.evaluation(when, name).is_file) for name in sets):
        measure(context, when, Player(context.recipe, _Still(None), None))  # type: ignore[arg-type]  # only reads
        return
    tokenizer = load_tokenizer(context.recipe.model.name)
    model = load_model(context.recipe.model.name, dtype=context.dtype, **context.recipe.model.options)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    measure(context, when, Player(context.recipe, _Still(model), ChatCodec(tokenizer, context.recipe.prompt)))


def _wait(context: RunContext) -> None:
    if context.world > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def _link(source: str, target: str) -> str:
    """Give a file a second name, or copy it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
