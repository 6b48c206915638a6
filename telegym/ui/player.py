"""Player: a person plays an episode in a plain terminal.

Lines are read one by one, from a keyboard or a script. A line is a command that begins with `/`, a tool call
(`name key=value …`, `name(key=value)` or JSON), or text for the user where there is one; where there is none, commands
need no `/`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from telegym.core.episode import Episode
from telegym.core.errors import did_you_mean
from telegym.core.messages import Message, ToolCall
from telegym.core.parsing import parse_assistant_text
from telegym.core.tool import Tool
from telegym.core.world import diff_states

__all__ = ["Player", "describe_tool", "format_call"]

_MAX_CHANGES = 40
_MAX_VALUE = 200
_MAX_WIDTH = 100


class Player:
    """Plays one episode.

    Args:
        episode: The episode; it must record, so that turns can be taken back.
        read: Shows a prompt and returns the next line, or None at the end of the input.
        screen: Where to print.
    """

    def __init__(self, episode: Episode, read: Callable[[str], str | None], screen: Console) -> None:
        self.episode = episode
        self._read = read
        self._screen = screen
        self._left = False
        self._commands: dict[str, tuple[Callable[[str], None], str]] = {
            "/tools": (self._show_tools, "list the tools, or show one: /tools NAME"),
            "/state": (self._show_state, "show the state, or a part of it: /state PATH"),
            "/policy": (self._show_policy, "show the policy to follow"),
            "/ticket": (self._show_ticket, "show the request again"),
            "/messages": (self._show_messages, "show the conversation so far"),
            "/hint": (self._show_hint, "show what the oracle would do next"),
            "/do": (self._do_hint, "do what the oracle would do next"),
            "/say": (self._say, "say something: /say TEXT"),
            "/undo": (self._undo, "take back the last turn"),
            "/score": (self._show_score, "show the score as it stands"),
            "/help": (self._show_help, "show this list"),
            "/quit": (self._quit, "leave"),
        }

    def play(self) -> Episode:
        """Play until the episode has ended and no turn is taken back, or the person leaves."""
        self._show_ticket("")
        tools = ", ".join(_signature(tool) for tool in self.episode.toolkit.tools("assistant"))
        self._screen.print(Text(tools, "cyan"), width=min(self._screen.width, _MAX_WIDTH))
        self._print("\nCall a tool:  name key=value …     What the tools do: /tools     All else: /help\n", "dim")
        if self.episode.done:
            self._show_score("")
        while not self._left:
            line = self._read("ended> " if self.episode.done else "> ")
            if line is None or (self.episode.done and not line.strip()):
                break
            if line.strip():
                self._obey(line.strip())
        return self.episode

    def _obey(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word.startswith("/"):
            if word in self._commands:
                self._commands[word][0](rest.strip())
            else:
                self._print(f"No command {word}.{did_you_mean(word, self._commands)} See /help.", "red")
        elif self.episode.done:
            self._print("The episode has ended. /undo takes the last turn back; an empty line leaves.", "red")
        else:
            self._act(line)

    def _act(self, line: str) -> None:
        """Do what a line that is no command says."""
        message = self._short_call(line) or parse_assistant_text(line, len(self.episode.calls))
        if message.tool_calls or not self.episode.environment.text_ends_episode:
            self._step(message)
            return
        word, _, rest = line.partition(" ")
        if f"/{word}" in self._commands:
            self._commands[f"/{word}"][0](rest.strip())
            return
        names = self.episode.toolkit.names
        hint = did_you_mean(line.split("(")[0].split()[0], names)
        self._print(
            f"Not a tool call, and nobody listens here.{hint} /tools lists the tools; /say says it anyway.", "red"
        )

    def _short_call(self, line: str) -> Message | None:
        """Read `name` or `name key=value …`."""
        name, _, rest = line.partition(" ")
        if name not in self.episode.toolkit:
            return None
        try:
            pairs = [word.partition("=") for word in shlex.split(rest)]
        except ValueError:
            return None
        if not all(equals for _, equals, _ in pairs):
            return None
        arguments = {key: self._value(name, key, text) for key, _, text in pairs}
        call = ToolCall(id=f"call_{len(self.episode.calls)}", name=name, arguments=arguments)
        return Message(role="assistant", tool_calls=(call,))

    def _value(self, name: str, key: str, text: str) -> Any:
        """Return text where the parameter is text, and otherwise what it says as JSON."""
        tool = self.episode.toolkit.get(name)
        schema = tool.parameters.get("properties", {}).get(key, {}) if tool is not None else {}
        if schema.get("type") == "string":
            return text
        try:
            return json.loads(text)
        except ValueError:
            return text

    def _step(self, message: Message) -> None:
        before = self.episode.world.dump()
        for call in message.tool_calls:
            self._print(f"→ {format_call(call)}", "cyan")
        for answer in self.episode.step(message):
            self._show_message(answer)
        self._show_changes(before)
        if self.episode.done:
            self._show_score("")

    def _show_changes(self, before: dict[str, Any]) -> None:
        changes = list(diff_states(before, self.episode.world.dump()))
        if not changes:
            self._print("  the state is as before", "dim")
        for change in changes[:_MAX_CHANGES]:
            self._print(f"  {change.path}: {_short(change.before)} → {_short(change.after)}", "yellow")
        if len(changes) > _MAX_CHANGES:
            self._print(f"  … and {len(changes) - _MAX_CHANGES} more changes", "yellow")

    def _show_message(self, message: Message) -> None:
        if message.role == "tool":
            self._print(f"{message.content}", "red" if message.error else "green")
        else:
            self._print(f"{message.role}: {message.content}", "bold")

    def _show_tools(self, name: str) -> None:
        toolkit = self.episode.toolkit
        tool = toolkit.get(name)
        if tool is not None:
            self._screen.print(describe_tool(tool))
        elif name:
            self._print(f"No tool {name!r}.{did_you_mean(name, toolkit.names)}", "red")
        else:
            for item in toolkit.tools("assistant"):
                self._screen.print(Text.assemble((_signature(item), "cyan"), "\n    ", _summary(item)))

    def _show_state(self, path: str) -> None:
        value: Any = self.episode.world.dump()
        for part in filter(None, path.split(".")):
            if isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            elif isinstance(value, dict) and part in value:
                value = value[part]
            else:
                valid = [str(key) for key in value] if isinstance(value, dict) else []
                self._print(f"The state has no {path!r}.{did_you_mean(part, valid)}", "red")
                return
        self._print(json.dumps(value, indent=2, ensure_ascii=False))

    def _show_policy(self, rest: str) -> None:
        self._print(self.episode.system)

    def _show_ticket(self, rest: str) -> None:
        task = self.episode.task
        width = min(self._screen.width, _MAX_WIDTH)
        self._screen.print(Panel(Text(task.ticket), title=Text(task.id), title_align="left", width=width))
        for message in self.episode.agent_messages()[:1]:
            if message.content and task.ticket not in message.content and not rest:
                self._show_message(message)

    def _show_messages(self, rest: str) -> None:
        for message in self.episode.agent_messages():
            if message.content is not None:
                self._show_message(message)
            for call in message.tool_calls:
                self._print(f"→ {format_call(call)}", "cyan")

    def _hint(self) -> Message | None:
        hint = None if self.episode.done else self.episode.environment.hint(self.episode)
        if hint is None:
            self._print("There is no hint from here.", "red")
        return hint

    def _show_hint(self, rest: str) -> None:
        hint = self._hint()
        if hint is not None:
            shown = [format_call(call) for call in hint.tool_calls] or [hint.content or ""]
            self._print("The oracle would: " + "; ".join(shown), "magenta")

    def _do_hint(self, rest: str) -> None:
        hint = self._hint()
        if hint is not None:
            self._step(hint)

    def _say(self, text: str) -> None:
        if self.episode.done or not text:
            self._print("The episode has ended." if self.episode.done else "Say what? /say TEXT", "red")
        else:
            self._step(Message(role="assistant", content=text))

    def _undo(self, rest: str) -> None:
        if self.episode.turn == 0:
            self._print("There is no turn to take back.", "red")
            return
        before = self.episode.world.dump()
        self.episode.undo()
        self._print(f"Back to turn {self.episode.turn}.", "magenta")
        self._show_changes(before)

    def _show_score(self, rest: str) -> None:
        score = self.episode.score()
        state = f"ended: {self.episode.end}" if self.episode.done else "as it stands"
        value = f"failed ({score.failure.message})" if score.failure else f"{score.value:g}"
        lines = [f"Score {value}   ({state}, {self.episode.turn} turns, {len(self.episode.calls)} calls)"]
        lines += [f"  {name}: {part:g}" for name, part in score.components.items()]
        lines += [f"  - {reason}" for reason in score.reasons]
        self._print("\n".join(lines), "bold green" if score.success else "bold red")

    def _show_help(self, rest: str) -> None:
        for name, (_, text) in self._commands.items():
            self._print(f"  {name:10} {text}")
        self._print("  name key=value …   call a tool; also name(key=value), or JSON")
        if not self.episode.environment.text_ends_episode:
            self._print("  any other text is said to the user")

    def _quit(self, rest: str) -> None:
        self._left = True

    def _print(self, text: str, style: str = "") -> None:
        self._screen.print(Text(text, style=style))


def format_call(call: ToolCall) -> str:
    """Return a call as `name(key=value)`; a malformed one as it was written."""
    if call.parse_error is not None:
        return f"{call.name or '?'}: {call.raw or ''}"
    arguments = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in call.arguments.items())
    return f"{call.name}({arguments})"


def describe_tool(tool: Tool) -> Text:
    """Return a tool with its parameters, for a terminal."""
    text = Text.assemble((_signature(tool), "bold cyan"), f"\n{tool.description.strip()}\n")
    text.append(f"{tool.kind}, called by the {tool.requestor}; {tool.minutes:g} simulated minutes\n", "dim")
    required = tool.parameters.get("required", [])
    for name, schema in tool.parameters.get("properties", {}).items():
        text.append(f"  {name}", "cyan")
        text.append(f" ({_type(schema)}{', required' if name in required else ''}): {schema.get('description', '')}\n")
    text.rstrip()
    return text


def _signature(tool: Tool) -> str:
    required = tool.parameters.get("required", [])
    names = tool.parameters.get("properties", {})
    return f"{tool.name}({', '.join(name if name in required else f'[{name}]' for name in names)})"


def _summary(tool: Tool) -> str:
    return tool.description.strip().split("\n", 1)[0]


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    kind = schema.get("type", "any")
    limits = [f"{key} {schema[key]}" for key in ("minimum", "maximum", "default") if key in schema]
    return ", ".join([" | ".join(kind) if isinstance(kind, list) else str(kind), *limits])


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"
