"""A plan in words."""

from __future__ import annotations

from collections.abc import Iterator

from telegym.agents.training.planning.memory import GIB, MemoryEstimate
from telegym.agents.training.planning.plan import Memory, Plan

__all__ = ["plan_lines"]

_WIDTH = 12


def plan_lines(plan: Plan) -> list[str]:
    """Return a plan as lines of text; what is amiss comes last."""
    return [*_work(plan), *_tokens(plan), *_model(plan), *_memory(plan.memory), *_start(plan), *_amiss(plan)]


def _row(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"


def _work(plan: Plan) -> Iterator[str]:
    work = plan.work
    each = f" of {work.groups} groups of {work.group_size} rollouts" if work.groups else ""
    yield _row("steps", f"{work.steps:,}{each}; {work.episodes:,} episodes in all")
    yield _row("tasks", f"{work.tasks:,} of {work.available:,}")
    yield _row("evaluation", f"{work.evaluated:,} episodes")


def _tokens(plan: Plan) -> Iterator[str]:
    lengths, work = plan.lengths, plan.work
    how = "counted" if lengths.source == "tokenizer" else "estimated from characters: no tokenizer here"
    yield _row(
        "prompt", f"{lengths.prompt:,.0f} tokens, at most {lengths.longest_prompt:,} in {lengths.tasks} tasks ({how})"
    )
    run = f"{lengths.sampled:,.0f} tokens sampled and {lengths.answered:,.0f} answered in {lengths.turns:.0f} turns"
    yield _row("run", f"{run}, if as the expert's")
    limits = f"at most {_count(work.most_tokens_per_step)}"
    yield _row("tokens", f"{_count(work.tokens_per_step)} a step ({limits}), {_count(work.tokens)} in all")


def _model(plan: Plan) -> Iterator[str]:
    if plan.parameters is None or plan.trained is None:
        yield _row("model", f"{plan.model}, of unknown shape")
        return
    trained = "all trained" if plan.trained == plan.parameters else f"{_count(plan.trained)} trained"
    yield _row("model", f"{plan.model}: {_count(plan.parameters)} parameters ({plan.shape_from}), {trained}")


def _memory(memory: Memory | None) -> Iterator[str]:
    if memory is None:
        yield _row("memory", "unknown")
        return
    yield _row(
        "memory", "of a process in GiB, by formula: if runs are as the expert's, and if as long as the limits allow"
    )
    yield f"{'':<20}" + "".join(f"{name:>10}" for name in ("sampling", "updating") * 2)
    most = {item.name: item for item in memory.most.items}
    for item in memory.expected.items:
        limit = most.get(item.name, item)
        figures = [item.generation, item.optimisation, limit.generation, limit.optimisation]
        yield _figures(item.name, figures, item.formula)
    given = "" if memory.given is None else f"of {memory.given / GIB:.0f}"
    yield _figures("sum", [*_sums(memory.expected), *_sums(memory.most)], given)


def _sums(estimate: MemoryEstimate) -> tuple[float, float]:
    return estimate.generation, estimate.optimisation


def _figures(name: str, figures: list[float], formula: str) -> str:
    columns = "".join(f"{figure / GIB:>10.2f}" for figure in figures)
    return f"  {name:<18}{columns}   {formula}".rstrip()


def _start(plan: Plan) -> Iterator[str]:
    yield _row(
        "disk", "unknown" if plan.disk is None else f"{plan.disk / GIB:.2f} GiB of checkpoints; trajectories on top"
    )
    known = plan.seconds is not None
    yield _row(
        "time", f"{_duration(plan.seconds or 0.0)}, {plan.seconds_from}" if known else f"unknown: {plan.seconds_from}"
    )
    yield _row("processes", str(plan.processes))
    yield from (_row("start" if not place else "", command) for place, command in enumerate(plan.launch))


def _amiss(plan: Plan) -> Iterator[str]:
    yield from (f"WARNING: {warning}" for warning in plan.warnings)


def _count(number: float) -> str:
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return f"{number:,.0f}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
