"""The report of a scored run for people: tables for the terminal and for a page, and the page itself."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from telegym.core.errors import ConfigurationError
from telegym.evaluation.plots import distributions_svg, lengths_svg, reliability_svg
from telegym.evaluation.reward_figures import Cost, Disagreement, RewardReport
from telegym.evaluation.statistics import Estimate
from telegym.ui.trajectory_page import template_environment, write_html

__all__ = ["ReportTable", "report_tables", "where_to_find", "write_reward_page"]


@dataclass(frozen=True, slots=True)
class ReportTable:
    """One table; the first cell of a row is its name."""

    title: str
    """What it is about."""
    note: str
    """How to read it."""
    columns: tuple[str, ...]
    """Heads of all columns."""
    rows: tuple[tuple[str, ...], ...]
    """Cells as text."""


def report_tables(report: RewardReport) -> list[ReportTable]:
    """Return the tables of a report; those without a row are left out."""
    return [table for make in _TABLES if (table := make(report)).rows]


def where_to_find(case: Disagreement) -> str:
    """Return the command that plays the run of a case again, or what is known of it."""
    if case.file is not None and case.line is not None:
        return f"telegym replay {case.file} --line {case.line}"
    return f"{case.environment} {case.task}, seed {case.seed}, key {case.key[:12]}"


def write_reward_page(report: RewardReport, path: str | Path) -> None:
    """Write the report as one HTML file without scripts or network; pictures need matplotlib, and are left out else."""
    pictures, missing = _pictures(report)
    template = template_environment().get_template("evaluation/reward_report.html.j2")
    page = template.render(
        report=report,
        tables=report_tables(report),
        pictures=pictures,
        cases=[(case, where_to_find(case)) for case in report.disagreements],
        missing=[*report.missing, *missing],
    )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_html(page, target)


def _pictures(report: RewardReport) -> tuple[dict[str, str], list[str]]:
    """Return pictures as addresses by the title of the table they belong to, and what is missing."""
    drawn: dict[str, Callable[[], str]] = {}
    if any(each.histogram is not None for each in report.components):
        drawn["Values"] = lambda: distributions_svg(report.components)
    if report.calibration:
        drawn["Calibration"] = lambda: reliability_svg(report.calibration)
    if report.buckets:
        drawn["Accepted by length"] = lambda: lengths_svg(report.buckets)
    try:
        return {title: _address(draw()) for title, draw in drawn.items()}, []
    except ConfigurationError as error:
        return {}, [str(error)]


def _address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


# --- tables -------------------------------------------------------------------------------------------------


def _components(report: RewardReport) -> ReportTable:
    rows = (
        (
            each.name,
            each.role or "",
            str(each.runs),
            each.failed.format(),
            str(each.substituted) if each.substituted else "",
            _plain(each.mean),
            *(_number(each.quantiles.get(name)) for name in ("0.05", "0.25", "0.5", "0.75", "0.95")),
        )
        for each in report.components
    )
    columns = ("component", "role", "runs", "failed", "stood in", "mean", "5%", "25%", "50%", "75%", "95%")
    return _table("Values", "Runs that failed have no value and are in no mean.", columns, rows)


def _failures(report: RewardReport) -> ReportTable:
    rows = (
        (each.component, each.party, str(each.count), each.share.format(), each.example) for each in report.failures
    )
    columns = ("component", "who has to act", "runs", "share", "for example")
    return _table("Failures", "", columns, rows)


def _agreement(report: RewardReport) -> ReportTable:
    rows = (
        (
            f"{each.first} with {each.second}",
            each.of,
            str(each.count),
            *(str(count) for count in (each.both, each.only_first, each.only_second, each.neither)),
            each.agreement.format(),
            _plain(each.kappa),
        )
        for each in report.agreement
    )
    above = ", ".join(f"{name} above {value:g}" for name, value in report.thresholds.items())
    note = f"Runs are accepted by: {above}; outcomes accept successes." if above else ""
    columns = ("pair", "of", "n", "both accept", "first only", "second only", "neither", "agreement", "kappa")
    return _table("Agreement", note, columns, rows)


def _codes(report: RewardReport) -> ReportTable:
    rows = (
        (
            f"{each.component} by {each.reference}",
            each.code,
            str(each.said),
            str(each.true),
            str(each.both),
            each.precision.format(),
            each.recall.format(),
        )
        for each in report.codes
    )
    note = "Calls that are not reasonable: what the first says of them, taking the second for right."
    return _table("Codes", note, ("pair", "code", "said", "true", "both", "precision", "recall"), rows)


def _views(report: RewardReport) -> ReportTable:
    rows = (
        (
            f"{each.oracle} less {each.observable}",
            _plain(each.gap),
            each.differing.format(),
            str(each.calls),
            str(each.right_by_truth_alone),
            str(each.right_by_sight_alone),
        )
        for each in report.views
    )
    columns = ("views", "gap", "runs that differ", "calls", "right by truth alone", "right by sight alone")
    return _table("Truth and sight", "What was so, less what could be known.", columns, rows)


def _length(report: RewardReport) -> ReportTable:
    rows = (
        (each.component, str(each.plain.n), _plain(each.plain), each.given or "–", _plain(each.partial))
        for each in report.length
    )
    note = "Correlation of the value with the logarithm of the length, and what is left of it given the outcome."
    return _table("Length", note, ("component", "runs", "correlation", "given", "partial"), rows)


def _buckets(report: RewardReport) -> ReportTable:
    names = list(report.buckets[0].accepted) if report.buckets else []
    rows = (
        (f"{each.shortest}–{each.longest}", str(each.runs), *(each.accepted[name].format() for name in names))
        for each in report.buckets
    )
    return _table("Accepted by length", "Characters in the agent's name.", ("length", "runs", *names), rows)


def _position(report: RewardReport) -> ReportTable:
    most = max((len(each.by_place) for each in report.position), default=0)
    rows = (
        (
            each.component,
            str(each.runs),
            str(each.judged_alone),
            each.flipped.format(),
            *(_plain(place) for place in each.by_place),
            *[""] * (most - len(each.by_place)),
        )
        for each in report.position
    )
    note = "Verdicts that change with the order, and how much better a run does at a place than on average."
    columns = ("judge", "runs", "judged alone", "flipped", *(f"place {place + 1}" for place in range(most)))
    return _table("Order", note, columns, rows)


def _guards(report: RewardReport) -> ReportTable:
    rows = (
        (
            each.guard,
            str(each.runs),
            each.share.format(),
            str(each.hits),
            ", ".join(f"{count} {name}" for name, count in each.severities.items()),
        )
        for each in report.guards
    )
    return _table("Guards", "", ("guard", "runs", "share", "hits", "consequences"), rows)


def _calibration(report: RewardReport) -> ReportTable:
    rows = (
        (f"{each.component} by {each.truth}", str(each.runs), _plain(each.error), _plain(each.brier))
        for each in report.calibration
    )
    note = "Expected calibration error over 15 bins of equal mass; Brier score."
    return _table("Calibration", note, ("judge", "runs", "calibration error", "Brier score"), rows)


def _cost(report: RewardReport) -> ReportTable:
    rows = (row for each in report.cost for row in _cost_rows(each))
    columns = ("component", "", "runs", *(name.replace("_", " ") for name in _COUNTED))
    note = "What verdicts took when they were asked for; what was really used, answers from stores apart."
    return _table("Cost", note, columns, rows)


_COUNTED = ("requests", "prompt_tokens", "completion_tokens", "cost", "unreadable", "unanswered", "cached", "kept")


def _cost_rows(cost: Cost) -> Iterator[tuple[str, ...]]:
    if cost.took:
        yield cost.component, "asked for", str(cost.runs), *(_count(cost.took.get(name)) for name in _COUNTED)
    if cost.used is not None:
        yield cost.component, "really used", "", *(_count(cost.used.get(name)) for name in _COUNTED)


_TABLES = (
    _components,
    _failures,
    _agreement,
    _codes,
    _views,
    _length,
    _buckets,
    _position,
    _guards,
    _calibration,
    _cost,
)


def _table(title: str, note: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> ReportTable:
    return ReportTable(title, note, columns, tuple(rows))


def _plain(estimate: Estimate) -> str:
    return estimate.format(scale=1.0, digits=3, unit="")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.10g}"
