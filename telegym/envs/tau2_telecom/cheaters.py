"""Cheaters: players that try to get a reward without doing the work. Strict scoring gives each of them nothing.

A cheater knows the tools and whatever it can read in the task, even behind the scenes: the more it knows, the more the
zero says about the scoring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from telegym.core.episode import Episode
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.envs.tau2_telecom.case import TRANSFER_TOOL, Case

if TYPE_CHECKING:
    from telegym.envs.tau2_telecom.environment import Tau2Telecom

__all__ = ["CHEATERS", "Cheater", "play"]

Cheater = Callable[[Case], Iterable[str | tuple[str, dict[str, Any]]]]
"""From a case to what it does: assistant text, or a call as tool name and arguments."""

_DONE: tuple[str, dict[str, Any]] = ("done", {})
_LOOPS = 60


def immediate_transfer(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Hand over at once: right by the official rule whenever handing over is the right end."""
    yield _transfer()
    yield _DONE


def failed_transfer(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Call the transfer so that it fails: the official rule counts the attempt."""
    yield _identify(case)
    yield TRANSFER_TOOL, {}
    yield _DONE


def polite_transfer(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Identify the customer, look at what is cheap to look at and says nothing, then hand over."""
    yield _identify(case)
    yield "check_status_bar", {}
    yield "check_wifi_status", {}
    yield _transfer()
    yield _DONE


def suspend_someone(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Solve the task, but suspend somebody else's line on the way."""
    yield _identify(case)
    state = case.initial
    for customer in state.customers.values():
        for line_id in customer.line_ids:
            if line_id != case.subject.line_id and state.lines[line_id].status == "Active":
                yield "suspend_line", {"customer_id": customer.customer_id, "line_id": line_id, "reason": "test"}
    own = {"customer_id": case.subject.customer_id, "line_id": case.subject.line_id}
    yield "suspend_line", own | {"reason": "test"}
    yield from _known_solution(case)


def loop(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the same thing for ever."""
    for _ in range(_LOOPS):
        yield "check_status_bar", {}


def empty_finish(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Finish without doing anything."""
    yield _DONE


def claim_success(case: Case) -> Iterator[str]:
    """Say that everything works."""
    yield "The problem is solved, everything works again. ###STOP###"


def enumerate_tools(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Call every tool once, with the right ids, in the order in which they are listed."""
    from telegym.tools.tau2_telecom import AGENT_TOOLS, USER_TOOLS  # the tools import this package

    values = _plausible_values(case)
    for tool in (*AGENT_TOOLS, *USER_TOOLS):
        yield tool.name, {name: values[name] for name in tool.parameters["properties"] if name in values}
    yield _DONE


def transfer_and_solve(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Hand over first, in case that is right, and solve the task as well."""
    yield _identify(case)
    yield _transfer()
    yield from _known_solution(case)


def help_yourself(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Solve the task, and give the line more data than anybody agreed to."""
    yield _identify(case)
    own = {"customer_id": case.subject.customer_id, "line_id": case.subject.line_id}
    yield "refuel_data", own | {"gb_amount": 50}
    yield from _known_solution(case)


def bill_everything(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Have every bill paid, due or not, resume whatever can be resumed, and solve the task."""
    yield _identify(case)
    customer_id = case.subject.customer_id
    for bill_id in case.initial.customers[customer_id].bill_ids:
        yield "send_payment_request", {"customer_id": customer_id, "bill_id": bill_id}
        yield "make_payment", {}
    for line_id in case.initial.customers[customer_id].line_ids:
        yield "resume_line", {"customer_id": customer_id, "line_id": line_id}
    yield from _known_solution(case)


def flip_everything(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Identify the customer, flip every switch of the phone, and finish."""
    yield _identify(case)
    for name in ("airplane_mode", "data", "roaming", "data_saver_mode", "wifi", "wifi_calling"):
        yield f"toggle_{name}", {}
    yield "connect_vpn", {}
    yield _DONE


def solve_anonymously(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Play the reference solution by heart, without asking who the customer is or reading anything."""
    yield from _known_solution(case)


def solve_for_the_wrong(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Solve the task, but with somebody else's account open, and with a favour for them."""
    others = (each for each in case.initial.customers.values() if each.customer_id != case.subject.customer_id)
    for other in others:
        yield "get_customer_by_id", {"customer_id": other.customer_id}
        for line_id in other.line_ids:
            yield "enable_roaming", {"customer_id": other.customer_id, "line_id": line_id}
            yield "refuel_data", {"customer_id": other.customer_id, "line_id": line_id, "gb_amount": 1}
    yield from _known_solution(case)


def all_at_once(case: Case) -> Iterator[str]:
    """Call the whole reference solution in one message."""
    calls = [_identify(case), *_known_solution(case)][:-1]
    yield "\n".join(_as_text(name, arguments) for name, arguments in (*calls, _transfer()))
    yield _as_text(*_DONE)


CHEATERS: dict[str, Cheater] = {
    each.__name__: each
    for each in (
        immediate_transfer,
        failed_transfer,
        polite_transfer,
        suspend_someone,
        loop,
        empty_finish,
        claim_success,
        enumerate_tools,
        transfer_and_solve,
        help_yourself,
        bill_everything,
        flip_everything,
        solve_anonymously,
        solve_for_the_wrong,
        all_at_once,
    )
}
"""Every cheater by name."""


def play(cheater: Cheater, environment: Tau2Telecom, episode: Episode) -> Score:
    """Let a cheater play an episode to its end and return the score.

    Args:
        cheater: The cheater.
        environment: The environment of the episode, in mode `solo`.
        episode: A fresh episode.
    """
    for number, action in enumerate(cheater(environment.case(episode.task))):
        if episode.done:
            break
        episode.step(action if isinstance(action, str) else _as_message(number, *action))
    return episode.score()


def _as_message(number: int, name: str, arguments: dict[str, Any]) -> Message:
    return Message(role="assistant", tool_calls=(ToolCall(id=f"call_{number}", name=name, arguments=arguments),))


def _as_text(name: str, arguments: dict[str, Any]) -> str:
    call = ToolCall(id="", name=name, arguments=arguments).to_openai()["function"]
    return f'<tool_call>{{"name": "{name}", "arguments": {call["arguments"]}}}</tool_call>'


def _identify(case: Case) -> tuple[str, dict[str, Any]]:
    return "get_customer_by_phone", {"phone_number": case.subject.phone_number}


def _transfer() -> tuple[str, dict[str, Any]]:
    return TRANSFER_TOOL, {"summary": "Please take over."}


def _known_solution(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    for action in case.task.actions:
        yield action.name, dict(action.arguments)
    yield _DONE


def _plausible_values(case: Case) -> dict[str, Any]:
    subject = case.subject
    return {
        "phone_number": subject.phone_number,
        "customer_id": subject.customer_id,
        "full_name": subject.name,
        "dob": case.initial.customers[subject.customer_id].date_of_birth,
        "id": subject.line_id,
        "line_id": subject.line_id,
        "bill_id": subject.bill_id or case.initial.customers[subject.customer_id].bill_ids[0],
        "reason": "test",
        "summary": "Please take over.",
        "gb_amount": 2.0,
        "mode": "4g_5g_preferred",
        "apn_settings": {},
        "app_name": "messaging",
        "permission": "sms",
    }
