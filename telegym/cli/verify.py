"""`telegym verify`: parity with recorded behaviour, and honesty of the rewards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, cast

import typer

from telegym.cli.common import EXIT_FOUND, JsonFlag, OptionList, console, make, print_json, watched_progress

if TYPE_CHECKING:
    from telegym.envs.base_station.health import HealthReport
    from telegym.envs.base_station.tasks import Split
    from telegym.envs.base_station.verification import BaseStationReport
    from telegym.envs.tau2_telecom.verification import NativeReport
    from telegym.envs.tau2_telecom.verify import VerificationReport
    from telegym.rewards.reasonableness.verification import RewardsReport
    from telegym.rewards.verdict import View

app = typer.Typer(no_args_is_help=True, help="Prove parity with recorded traces, and that no cheater is rewarded.")
_SHOWN = 10


class _Report(Protocol):
    @property
    def passed(self) -> bool: ...

    def to_dict(self) -> dict[str, Any]: ...


R = TypeVar("R", bound=_Report)


@contextmanager
def _counted(title: str, count: int) -> Iterator[Callable[[int, int], None]]:
    """Show how many of many are done."""
    with watched_progress() as bar:
        job = bar.add_task(title, total=count)
        yield lambda done, total: bar.update(job, completed=done, total=total)


def _conclude(report: R, as_json: bool, show: Callable[[R], None]) -> None:
    """Print a report; the exit code says whether something was found."""
    if as_json:
        print_json(report.to_dict())
    else:
        show(report)
    if not report.passed:
        raise typer.Exit(EXIT_FOUND)


@app.command("tau2")
def tau2(
    data: Annotated[Path, typer.Option("--data", help="A tau2-bench data folder.")],
    traces: Annotated[
        list[Path], typer.Option("--traces", help="Recorded traces: JSON Lines, plain or .gz; more may follow.")
    ],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="More recorded traces.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Replay recorded traces; compare errors, states and results after every call, and the assertions at the end.

    Prints counts and the first mismatches; the exit code is 1 if there are any.
    """
    from telegym.envs.tau2_telecom.verify import verify_traces

    report = verify_traces(data, [*traces, *(more or ())])
    _conclude(report, as_json, _print_traces)


def _print_traces(report: VerificationReport) -> None:
    screen = console()
    screen.print(f"{report.traces} traces, {report.calls} calls, {report.comparisons} comparisons:")
    for kind, count in report.by_kind.most_common():
        screen.print(f"  {count:8} {kind}", markup=False)
    if report.rebuilt:
        screen.print(f"{report.rebuilt} recordings of tasks that the data folder lacks, made from their ids")
    for reason, count in report.skipped.most_common():
        screen.print(f"not compared, {count} times: {reason}", markup=False)
    for found in report.mismatches[:_SHOWN]:
        screen.print(
            f"{found.file}, trace {found.trace}, step {found.step}, {found.what}: "
            f"expected {found.expected!r:.200}, got {found.got!r:.200}   ({found.task_id})",
            markup=False,
        )
    colour = "green" if report.passed else "red"
    screen.print(f"{report.mismatch_count} mismatches", style=colour)


@app.command("native")
def native(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many native tasks.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the tasks.")] = 0,
    split: Annotated[str, typer.Option("--split", help="Split of the tasks.")] = "train",
    as_json: JsonFlag = False,
) -> None:
    """Generate native tasks: the oracle must solve each in strict mode, every cheater must score 0 in each."""
    from telegym.envs.tau2_telecom.verification import verify_native

    with _counted("tasks", count) as told:
        report = verify_native(count, seed, split, told)
    _conclude(report, as_json, _print_native)


def _print_native(report: NativeReport) -> None:
    screen = console()
    screen.print(f"{report.tasks} tasks of {report.compositions} compositions")
    screen.print(f"  {report.faulted} begin faulty, or are to be handed over")
    screen.print(f"  {report.oracle_solved} solved by the oracle, in {report.oracle_calls / report.tasks:.2f} calls")
    screen.print(f"  {report.expert_solved} solved by the expert, in {report.expert_calls / report.tasks:.2f} calls")
    screen.print(f"  {report.cheaters_failed} lost by every cheater")
    for problem in report.problems[:_SHOWN]:
        screen.print(f"  {problem}", style="red", markup=False)


@app.command("base-station")
def base_station(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many tasks.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the tasks.")] = 0,
    split: Annotated[str, typer.Option("--split", help="Split of the tasks.")] = "train",
    every: Annotated[int, typer.Option("--every", min=1, help="Baselines and cheats play every K-th task.")] = 5,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that work at once.")] = 1,
    language: Annotated[
        str, typer.Option("--language", help="Language of tickets, policy and tools: en or zh.")
    ] = "en",
    log: Annotated[
        Path | None, typer.Option("--log", help="Write every result to a file; begun again, go on where it ends.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Generate maintenance tasks: oracle and expert must master them, no cheat may be paid, nothing may leak.

    Prints counts, what every player got, and the first problems; the exit code is 1 if a goal is missed.
    """
    from telegym.envs.base_station.verification import verify_base_station

    with _counted("tasks", count) as told:
        report = verify_base_station(
            count,
            seed,
            cast("Split", split),
            every=every,
            jobs=jobs,
            language=language,
            log=log,
            on_progress=told,
        )
    _conclude(report, as_json, _print_base_station)


def _print_base_station(report: BaseStationReport) -> None:
    screen = console()
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(report.kinds.items()))
    levels = ", ".join(f"{level}: {count}" for level, count in sorted(report.levels.items()))
    screen.print(f"{report.tasks} tasks: {kinds}")
    screen.print(f"  of level {levels}")
    screen.print(f"{'player':<22} {'tasks':>6} {'solved':>7} {'reward':>7} {'calls':>6} {'broke rules':>12}")
    for name, got in report.players.items():
        share = got.successes / got.plays
        screen.print(
            f"{name:<22} {got.plays:>6} {share:>7.1%} {got.reward:>7.3f} {got.calls:>6.1f} {got.violations:>12}"
        )
    named = ", ".join(f"{level}: {item.named} of {item.cases}" for level, item in sorted(report.naming.items()))
    screen.print(f"causes named by the expert, by level: {named}")
    drawn, accepted = (sum(getattr(x, what) for x in report.acceptance.values()) for what in ("drawn", "accepted"))
    screen.print(f"{accepted} of {drawn} drawn tasks passed the gates; least often {_rarest(report)}")
    screen.print(f"{report.leaks} leaks, {report.different} of {report.replays} replays differ")
    for problem in report.problems[:_SHOWN]:
        screen.print(f"  {problem}", markup=False)
    for goal in report.missed:
        screen.print(f"missed: {goal}", style="red", markup=False)


def _rarest(report: BaseStationReport) -> str:
    """Return the causes whose tasks are refused most often."""
    shares = {name: item.accepted / item.drawn for name, item in report.acceptance.items()}
    worst = sorted(shares, key=lambda name: (shares[name], name))[:3]
    return ", ".join(f"{name} {shares[name]:.0%}" for name in worst)


@app.command("rewards")
def rewards(
    environment: Annotated[str, typer.Option("--environment", "-e", help="Whose calls are judged.")] = "tau2-telecom",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many corrupted trajectories.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Decides ways, turns and faults.")] = 0,
    options: OptionList = None,
    view: Annotated[str, typer.Option("--view", help="oracle, observable or both.")] = "both",
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", metavar="NAME", help="Only this corruption; may be repeated.")
    ] = None,
    rules_alone: Annotated[bool, typer.Option("--rules-alone", help="Without trials on forks.")] = False,
    each: Annotated[int, typer.Option("--each", min=1, help="Trajectories of a task made one after the other.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Put known faults into trajectories: the auditor must find each in the right call, and blame no other.

    Prints recall, precision and how often the code is right, by corruption; the exit code is 1 if a goal is missed.
    """
    from telegym.rewards.reasonableness.verification import verify_rewards

    made = make(environment, options)
    with _counted("trajectories", count) as told:
        report = verify_rewards(
            made,
            count,
            seed=seed,
            views=_views(view),
            kinds=kinds or (),
            counterfactual=not rules_alone,
            each=each,
            on_progress=told,
        )
    _conclude(report, as_json, _print_rewards)


def _views(name: str) -> tuple[View, ...]:
    from telegym.core.errors import ConfigurationError, did_you_mean
    from telegym.rewards.verdict import View

    if name == "both":
        return tuple(View)
    try:
        return (View(name),)
    except ValueError:
        valid = [*(each.value for each in View), "both"]
        raise ConfigurationError(f"view is {name!r}; valid: {', '.join(valid)}.{did_you_mean(name, valid)}") from None


def _print_rewards(report: RewardsReport) -> None:
    screen = console()
    screen.print(f"{'corruption':<28} {'view':<11} {'runs':>6} {'wrong':>6} {'recall':>7} {'precision':>9} {'code':>6}")
    rows = [(kind, view, tally) for (kind, view), tally in sorted(report.kinds.items())]
    rows += [("all corrupted", view, report.total(view)) for view in report.views]
    for kind, view, tally in rows:
        shares = f"{tally.recall:>7.4f} {tally.precision:>9.4f} {tally.naming:>6.3f}"
        screen.print(f"{kind:<28} {view:<11} {tally.trajectories:>6} {tally.wrong:>6} {shares}")
    for view, codes in report.codes.items():
        listed = ", ".join(f"{code} {count}" for code, count in codes.most_common() if count)
        screen.print(f"codes given to wrong calls, view {view}: {listed}")
    for view in report.views:
        clean = report.total(view, corrupted=False)
        screen.print(
            f"{clean.trajectories} runs without a fault, view {view}: {clean.alarms} of {clean.calls} calls blamed"
        )
    for problem in report.problems[:_SHOWN]:
        screen.print(f"  {problem}", markup=False)
    for goal in report.missed:
        screen.print(f"missed: {goal}", style="red", markup=False)


@app.command("regions")
def regions(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many regions, of all archetypes.")] = 50,
    seed: Annotated[int, typer.Option("--seed", help="Number of the first region of each archetype.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Look at base-station regions without faults: 95% of cells must be healthy, no alarm may tell of a cause.

    Prints the share of healthy cells by archetype, and what is out of its band; the exit code is 1 if a goal is missed.
    """
    from telegym.envs.base_station.health import check_health

    with _counted("regions", count) as told:
        report = check_health(count, seed, told)
    _conclude(report, as_json, _print_health)


def _print_health(report: HealthReport) -> None:
    screen = console()
    screen.print(f"{report.regions} regions, {report.cells} cells, {report.share:.1%} of them inside all healthy bands")
    for name, share in report.shares.items():
        screen.print(f"  {name}: {share:.1%}")
    outside = ", ".join(f"{name} {count}" for name, count in report.outside.items())
    screen.print(f"cells outside a band: {outside or 'none'}", markup=False)
    screen.print(f"{len(report.root_alarms)} alarms tell of a cause")
    for goal in report.missed:
        screen.print(f"missed: {goal}", style="red", markup=False)
