"""`telegym eval`: how good an agent is, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telegym.cli.common import (
    EnvironmentArgument,
    JsonFlag,
    LimitOption,
    OptionList,
    SplitOption,
    TaskList,
    console,
    make,
    parse_pairs,
    print_json,
    select_tasks,
    takes_split,
)
from telegym.cli.run import AgentOption, AgentOptionList, BatchSize, episode_bar

if TYPE_CHECKING:
    from telegym.evaluation.evaluate import EvaluationResult


def evaluate(
    environment: EnvironmentArgument = "tau2-telecom",
    agent: AgentOption = "nano",
    agent_options: AgentOptionList = None,
    options: OptionList = None,
    split: SplitOption = None,
    ids: TaskList = None,
    limit: LimitOption = None,
    trials: Annotated[int, typer.Option("--trials", "-k", min=1, help="Episodes per task, for pass^k.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Decides the seeds of the trials.")] = 0,
    group_by: Annotated[
        str, typer.Option("--group-by", help="The task label by which results are grouped.")
    ] = "family",
    batch_size: BatchSize = 32,
    output: Annotated[Path | None, typer.Option("--output", help="Write the result to this JSON file.")] = None,
    trajectories: Annotated[
        Path | None, typer.Option("--trajectories", help="Append the trajectories to this file.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="Compare with this earlier result, paired by task.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure an agent: success with confidence intervals, by group, pass^k, tool errors.

    Without --split, the test split is played where the environment has splits; tasks from a data folder of somebody
    else's (-o data=…) are played as the environment chooses.
    Episodes that a server or judge failed are counted apart, never as zero.
    """
    from telegym.agents.base import make_agent
    from telegym.evaluation.evaluate import EvaluationResult
    from telegym.evaluation.evaluate import evaluate as evaluate_agent

    earlier = EvaluationResult.read(against) if against is not None else None
    chosen = any(option.partition("=")[0] in ("split", "data") for option in options or ())
    if split is None and not chosen and takes_split(environment):
        split = "test"
    made = make(environment, options, split=split)
    tasks = select_tasks(made, split, ids, limit)
    player = make_agent(agent, **parse_pairs(agent_options))
    with episode_bar(len(tasks) * trials) as on_progress:
        result = evaluate_agent(
            made,
            player,
            tasks,
            trials=trials,
            seed=seed,
            batch_size=batch_size,
            group_by=group_by,
            write_to=trajectories,
            on_progress=on_progress,
        )
    if output is not None:
        result.write(output)
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result, earlier)


def _print(result: EvaluationResult, earlier: EvaluationResult | None) -> None:
    from telegym.evaluation.evaluate import comparison_table, result_table

    screen = console()
    screen.print(result_table(result))
    if result.trials > 1:
        screen.print("pass^k: " + ", ".join(f"{k}: {value:.3f}" for k, value in result.pass_hat.items()))
    if earlier is not None:
        screen.print(comparison_table(earlier, result))
