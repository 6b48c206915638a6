"""Compositions: which faults may occur together, and the task records they make.

A task of a family breaks a selection of faults, at most one from each of the family's sets. `compositions` enumerates
them in a fixed order; `situation`, `solution` and `goal` give what a task record of a composition holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from telegym.core.task import Assertion, FunctionCall, ReferenceAction
from telegym.envs.tau2_telecom.faults import Repair, Subject, fault
from telegym.envs.tau2_telecom.scenario import Family, Persona

__all__ = [
    "FAMILIES",
    "PERSONAS",
    "UNSHIPPED_FAULT",
    "Composition",
    "benchmark_order",
    "compositions",
    "goal",
    "held_out",
    "situation",
    "solution",
]

FAMILIES: tuple[Family, ...] = ("mobile_data_issue", "service_issue", "mms_issue")
"""What can fail for the user, in the order of the published task file."""
PERSONAS: tuple[Persona, ...] = ("None", "Easy", "Hard")
"""How the user talks, in the order in which the published tasks take turns."""
UNSHIPPED_FAULT = "data_usage_exceeded_no_refuel"
"""The fault whose tasks the published task file leaves out."""

_AIRPLANE = ("airplane_mode_on",)
_UNSEAT = ("unseat_sim_card",)
_DATA_OFF = ("data_mode_off",)
_NETWORK = ("bad_network_preference",)
_USAGE = ("data_usage_exceeded", "data_usage_exceeded_no_refuel")
_ROAMING = ("user_abroad_roaming_enabled_off", "user_abroad_roaming_disabled_on", "user_abroad_roaming_disabled_off")
_SUSPENSION = ("overdue_bill_suspension", "contract_end_suspension")
_PERMISSIONS = ("break_app_sms_permission", "break_app_storage_permission", "break_app_both_permissions")

_SETS: dict[Family, tuple[tuple[str, ...], ...]] = {
    "service_issue": (_AIRPLANE, _UNSEAT, ("lock_sim_card_pin",), ("break_apn_settings",), _SUSPENSION),
    "mobile_data_issue": (
        *(_AIRPLANE, _ROAMING, _DATA_OFF, ("data_saver_mode_on",)),
        *(_NETWORK, ("bad_vpn",), _USAGE),
    ),
    "mms_issue": (
        *(_AIRPLANE, _UNSEAT, _DATA_OFF, _USAGE, _ROAMING),
        *(_NETWORK, ("bad_wifi_calling",), ("break_apn_mms_setting",), _PERMISSIONS),
    ),
}
_REQUIRED: dict[Family, slice] = {
    "service_issue": slice(0, None),
    "mobile_data_issue": slice(1, None),
    "mms_issue": slice(-4, None),
}
"""The sets at least one fault must come from: a task shows the symptom its family is named after."""


class Composition(NamedTuple):
    """A family and the faults that occur together."""

    family: Family
    """What fails for the user."""
    faults: tuple[str, ...]
    """Names of the faults, sorted: the order in which they are brought about."""

    @property
    def name(self) -> str:
        """The part of a task id before the persona."""
        return f"[{self.family}]{'|'.join(self.faults)}"

    @property
    def expected_failure(self) -> bool:
        """Whether a fault is among them that only a human can repair."""
        return not all(fault(name).fixable for name in self.faults)

    @property
    def abroad(self) -> bool:
        """Whether a fault takes the user abroad."""
        return any(name in _ROAMING for name in self.faults)

    def fits(self, max_faults: int, faults: Collection[str] | None = None, without: Collection[str] = ()) -> bool:
        """Return whether it has at most so many faults, at least one of the given ones and none of the unwanted."""
        wanted = faults is None or not set(faults).isdisjoint(self.faults)
        return len(self.faults) <= max_faults and wanted and set(without).isdisjoint(self.faults)


@lru_cache(maxsize=len(FAMILIES))
def compositions(family: Family) -> tuple[Composition, ...]:
    """Return every composition of a family: fewer faults first, otherwise in the order of the family's sets."""
    sets = _SETS[family]
    choices = product(*((*options, None) for options in sets))
    valid = [choice for choice in choices if any(choice[_REQUIRED[family]])]
    found = [Composition(family, tuple(sorted(filter(None, choice)))) for choice in valid]
    return tuple(sorted(found, key=lambda composition: len(composition.faults)))


def benchmark_order(family: Family) -> tuple[tuple[Composition, Persona], ...]:
    """Return the compositions of a family that the published task file holds, with the persona of each."""
    numbered = enumerate(compositions(family))
    return tuple((each, PERSONAS[index % 3]) for index, each in numbered if UNSHIPPED_FAULT not in each.faults)


@lru_cache(maxsize=4096)
def held_out(composition: Composition) -> bool:
    """Whether a composition is kept for testing generalisation: no training task has exactly these faults.

    About one in five compositions of two or more faults is held out, decided by the SHA-256 digest of its name with a
    prefix. The prefix was chosen such that every family has held-out compositions with and without a hand-over.
    """
    if len(composition.faults) < 2:
        return False
    return hashlib.sha256(f"held out 9: {composition.name}".encode()).digest()[0] % 5 == 0


def situation(composition: Composition, subject: Subject) -> tuple[FunctionCall, ...]:
    """Return the calls that bring a composition about."""
    who = {"name": subject.name, "phone_number": subject.phone_number}
    calls = [FunctionCall(target="user", name="set_user_info", arguments=who)]
    for name in composition.faults:
        calls += fault(name).initialize(subject)
    return tuple(calls)


def solution(composition: Composition, subject: Subject, summary: str) -> tuple[ReferenceAction, ...]:
    """Return the reference actions: every repair, or the hand-over where a fault cannot be repaired.

    Args:
        composition: The faults.
        subject: Whom they befall.
        summary: What the hand-over says.
    """
    if composition.expected_failure:
        name = "transfer_to_human_agents"
        handover = {"summary": summary}
        return (ReferenceAction(id=name, requestor="assistant", name=name, arguments=handover, compare_arguments=()),)
    return tuple(_reference(index, repair) for index, repair in enumerate(_repairs(composition, subject)))


def _repairs(composition: Composition, subject: Subject) -> tuple[Repair, ...]:
    return tuple(repair for name in composition.faults for repair in fault(name).repair(subject))


def _reference(index: int, repair: Repair) -> ReferenceAction:
    name = repair.name
    return ReferenceAction(
        id=f"{name}_{index}", requestor=repair.requestor, name=name, arguments=repair.arguments, compare_arguments=None
    )


def goal(composition: Composition, subject: Subject) -> tuple[Assertion, ...]:
    """Return the assertions about the final state."""
    if composition.expected_failure:
        return _FAILURE[composition.family]
    settled = _assert("assistant", "assert_no_overdue_bill", {"overdue_bill_id": subject.bill_id})
    extra = (settled,) if composition.family == "service_issue" else ()
    leaves = (each for name in composition.faults for each in fault(name).leaves(subject))
    return (*_SUCCESS[composition.family], *extra, *leaves)


def _assert(target: str, name: str, arguments: dict[str, object]) -> Assertion:
    return Assertion(target=target, name=name, arguments=arguments)


_SUCCESS: dict[Family, tuple[Assertion, ...]] = {
    "service_issue": (_assert("user", "assert_service_status", {"expected_status": "connected"}),),
    "mobile_data_issue": (
        _assert("user", "assert_mobile_data_status", {"expected_status": True}),
        _assert("user", "assert_internet_speed", {"expected_speed": 200, "expected_desc": "excellent"}),
    ),
    "mms_issue": (_assert("user", "assert_can_send_mms", {"expected_status": True}),),
}
_FAILURE: dict[Family, tuple[Assertion, ...]] = {
    "service_issue": (_assert("user", "assert_service_status", {"expected_status": "no_service"}),),
    "mobile_data_issue": (
        _assert("user", "assert_mobile_data_status", {"expected_status": False}),
        _assert("user", "assert_internet_speed", {"expected_speed": 0, "expected_desc": None}),
    ),
    "mms_issue": (_assert("user", "assert_can_send_mms", {"expected_status": False}),),
}
