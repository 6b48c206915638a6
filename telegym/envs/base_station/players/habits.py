"""What players who do not diagnose have in common: they read off names, guess, and bring every episode to an end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from telegym.envs.base_station.cases import TICKET
from telegym.envs.base_station.noise import mix
from telegym.envs.base_station.players.desk import fields, rows
from telegym.envs.base_station.players.steps import Call, Reply, Steps

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["alarms", "cells_of", "finish", "key_of", "named_in", "offers", "tried"]

_NAMED = re.compile(
    r"\b(?:S\d{3}-[LN]\d+-\d|(?:ENB|GNB|DU|CU|RU|FH|ANT|RET|PWR|CLK|CAB|CSR|AGG)-[A-Z0-9-]*\d|TL-[A-Z0-9-]+|S\d{3})\b"
)
SOMEWHERE = "S001"
"""A site that every region has."""


def named_in(text: str) -> list[str]:
    """Return the elements that a text names, the most exact ones first; some site if there are none."""
    found = list(dict.fromkeys(_NAMED.findall(text)))
    return sorted(found, key=lambda name: name.startswith("S") and "-" not in name) or [SOMEWHERE]


def key_of(episode: Episode) -> int:
    """Return a number for what a player of an episode leaves to chance."""
    return mix(0, "player", episode.task.id)


def offers(episode: Episode, tool: str) -> bool:
    """Return whether an agent has a tool in an episode."""
    return episode.toolkit.get(tool) is not None


def tried(episode: Episode, tool: str, **arguments: Any) -> Steps[Reply]:
    """Make a call, if there is such a tool; else nothing was refused and nothing was said."""
    if not offers(episode, tool):
        return Reply("", False, 0.0)
    return (yield Call(tool, arguments))


def alarms(episode: Episode, state: str = "active") -> Steps[list[dict[str, str]]]:
    """List the alarms of the region, newest first."""
    listed = yield from tried(episode, "list_alarms", state=state, limit=50)
    return rows(listed.text, "alarm_id")


def cells_of(episode: Episode, site: str) -> Steps[list[str]]:
    """List the cells of a site."""
    listed = yield from tried(episode, "list_elements", element_type="cell", filter_text=site, limit=40)
    return [row["element_id"] for row in rows(listed.text, "element_id") if row["element_id"].startswith(f"{site}-")]


def finish(episode: Episode, code: str, element: str, resolution: str, summary: str = "Done.") -> Steps[None]:
    """Submit a diagnosis and close the ticket; answer a question, if there is one instead."""
    if episode.task.data["kind"] == "QNA":
        yield Call("submit_answer", {"answer": "0"})
        return
    for name in (element, SOMEWHERE):
        arguments = {"ticket_id": TICKET, "root_cause": code, "element_id": name}
        if not (yield Call("submit_diagnosis", arguments)).error:
            break
    yield Call("close_ticket", {"ticket_id": TICKET, "resolution": resolution, "summary": summary[:600]})


def id_in(reply: Reply, name: str) -> str:
    """Return an id that a reply gives under a name; empty if it gives none."""
    return "" if reply.error else fields(reply.text).get(name, "")
