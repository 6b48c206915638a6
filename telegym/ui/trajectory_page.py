"""A trajectory as a static HTML page: no script, no network, and whatever a model wrote is text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telegym.core.messages import Message, ToolCall
from telegym.core.trajectory import CallEntry, Trajectory

if TYPE_CHECKING:
    import jinja2

__all__ = ["template_environment", "trajectory_fragment", "trajectory_page", "write_html", "write_trajectory_page"]


@dataclass(frozen=True, slots=True)
class _CallView:
    name: str
    arguments: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class _MessageView:
    role: str
    speaker: str
    text: str
    calls: tuple[_CallView, ...]
    error: str | None
    notes: tuple[str, ...]


def trajectory_page(trajectory: Trajectory) -> str:
    """Return a whole HTML document that shows a trajectory."""
    template = template_environment().get_template("ui/trajectory.html.j2")
    return template.render(trajectory=trajectory, messages=_views(trajectory))


def trajectory_fragment(trajectory: Trajectory) -> str:
    """Return the part of the page that shows the trajectory, escaped, to be put into another page."""
    template = template_environment().get_template("ui/transcript.html.j2")
    return template.render(trajectory=trajectory, messages=_views(trajectory))


def write_trajectory_page(trajectory: Trajectory, path: str | Path) -> None:
    """Write the page to a file."""
    write_html(trajectory_page(trajectory), path)


def write_html(text: str, path: str | Path) -> None:
    """Write HTML as UTF-8, with a question mark for what is no character."""
    Path(path).write_bytes(text.encode("utf-8", errors="replace"))


def template_environment() -> jinja2.Environment:
    """Return the templates of the pages, with automatic escaping."""
    import jinja2

    loader = jinja2.PrefixLoader(
        {
            "ui": jinja2.PackageLoader("telegym.ui", "templates"),
            "evaluation": jinja2.PackageLoader("telegym.evaluation", "templates"),
        }
    )
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _views(trajectory: Trajectory) -> list[_MessageView]:
    return list(_walk(trajectory.messages, iter(trajectory.calls)))


def _walk(messages: Sequence[Message], entries: Iterator[CallEntry]) -> Iterator[_MessageView]:
    for message in messages:
        # Every tool message answers one call entry, in the same order.
        entry = next(entries, None) if message.role == "tool" else None
        yield _MessageView(
            role=message.role,
            speaker=_speaker(message),
            text=message.content or "",
            calls=tuple(_call_view(call) for call in message.tool_calls),
            error=_error(message, entry),
            notes=tuple(_notes(entry)) if entry is not None else (),
        )


def _speaker(message: Message) -> str:
    if message.role != "tool":
        return "agent" if message.role == "assistant" else message.role
    side = "" if message.requestor == "assistant" else " (user's)"
    return f"{message.name or 'tool'}{side}"


def _call_view(call: ToolCall) -> _CallView:
    if call.parse_error is not None:
        return _CallView(call.name or "(unreadable)", call.raw or "", call.parse_error)
    return _CallView(call.name, _pretty(call.arguments), None)


def _pretty(arguments: dict[str, Any]) -> str:
    text = json.dumps(arguments, ensure_ascii=False)
    return text if len(text) <= 100 else json.dumps(arguments, ensure_ascii=False, indent=2)


def _error(message: Message, entry: CallEntry | None) -> str | None:
    if not message.error:
        return None
    return str(entry.error) if entry is not None and entry.error is not None else "error"


def _notes(entry: CallEntry) -> Iterator[str]:
    if entry.state_before != entry.state_after:
        yield "state changed"
    if entry.minutes:
        yield f"{entry.minutes:g} min"
