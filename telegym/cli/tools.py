"""`telegym tools`: list, show, check and export tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telegym.cli.common import (
    EXIT_FOUND,
    EnvironmentArgument,
    JsonFlag,
    OptionList,
    ToolFiles,
    console,
    make,
    print_json,
)

if TYPE_CHECKING:
    from telegym.core.tool import Toolkit

app = typer.Typer(no_args_is_help=True, help="List, show, check and export tools.")
ENVIRONMENT = "tau2-telecom"
EnvironmentOption = Annotated[str, typer.Option("--env", "-e", help="Name of the environment.")]


def _toolkit(environment: str, options: list[str] | None, tools: list[Path] | None = None) -> Toolkit:
    made = make(environment, options, tools)
    return made.toolkit(made.tasks[0])


@app.command("list")
def list_tools(
    environment: EnvironmentArgument = ENVIRONMENT,
    options: OptionList = None,
    tools: ToolFiles = None,
    as_json: JsonFlag = False,
) -> None:
    """List the tools of an environment."""
    toolkit = _toolkit(environment, options, tools)
    rows = [
        {"name": tool.name, "requestor": tool.requestor, "kind": tool.kind, "summary": _summary(tool.description)}
        for tool in toolkit
    ]
    if as_json:
        print_json(rows)
        return
    from rich.table import Table

    table = Table(title=f"{environment}: {len(rows)} tools", title_justify="left")
    for column in ("name", "requestor", "kind", "summary"):
        table.add_column(column, no_wrap=column == "name")
    for row in rows:
        table.add_row(*row.values())
    console().print(table)


def _summary(description: str) -> str:
    return description.strip().split("\n", 1)[0]


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Name of the tool.")],
    environment: EnvironmentOption = ENVIRONMENT,
    options: OptionList = None,
    tools: ToolFiles = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one tool: what it does and what it takes."""
    from telegym.core.errors import ConfigurationError, did_you_mean

    toolkit = _toolkit(environment, options, tools)
    tool = toolkit.get(name)
    if tool is None:
        hint = did_you_mean(name, toolkit.names)
        raise ConfigurationError(f"{environment} has no tool {name!r}; valid: {', '.join(toolkit.names)}.{hint}")
    if as_json:
        print_json(tool.schema())
        return
    from telegym.ui.player import describe_tool

    console().print(describe_tool(tool))


@app.command("export")
def export(
    environment: EnvironmentArgument = ENVIRONMENT,
    options: OptionList = None,
    tools: ToolFiles = None,
    requestor: Annotated[str | None, typer.Option(help="Only the tools of this side: assistant or user.")] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file.")] = None,
) -> None:
    """Print the tools as JSON schemas in the OpenAI format."""
    import json

    from telegym.core.errors import ConfigurationError

    if requestor not in (None, "assistant", "user"):
        raise ConfigurationError(f"no side {requestor!r}; valid: assistant, user")
    schemas: list[dict[str, Any]] = _toolkit(environment, options, tools).schemas(requestor)  # type: ignore[arg-type]
    if output is None:
        print_json(schemas)
    else:
        output.write_text(json.dumps(schemas, indent=2) + "\n", encoding="utf-8")


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="A Python file with tools.")],
    environment: EnvironmentOption = ENVIRONMENT,
    options: OptionList = None,
    as_json: JsonFlag = False,
) -> None:
    """Check tools of your own: schema, docstring, determinism and error behaviour."""
    from telegym.cli.toolfile import check_tools, load_tools

    tools = load_tools(file)
    findings = check_tools(tools, make(environment, options))
    if as_json:
        print_json({"tools": [tool.name for tool in tools], "findings": [row._asdict() for row in findings]})
    else:
        screen = console()
        for tool in tools:
            wrong = [row for row in findings if row.tool == tool.name]
            screen.print(f"[red]✗[/] {tool.name}" if wrong else f"[green]✓[/] {tool.name}")
            for row in wrong:
                screen.print(f"    {row.check}: {row.message}", markup=False)
    if findings:
        raise typer.Exit(EXIT_FOUND)
