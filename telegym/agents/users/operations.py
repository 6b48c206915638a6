"""Operations: which tools of the phone a clause is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from telegym.agents.users.acts import Act, Condition, Context
from telegym.agents.users.concepts import (
    SWITCHES,
    Found,
    apn_settings,
    app_name,
    find_concepts,
    network_mode,
    permission_names,
    states,
    without_repeats,
)
from telegym.agents.users.conditions import find_condition, state_of
from telegym.agents.users.language import strip_fillers
from telegym.agents.users.lexicon import grammar, lexicon
from telegym.agents.users.readings import FACT_TOOLS

__all__ = ["GOAL_TOOLS", "Operations"]

GOAL_TOOLS = {"service_issue": "check_status_bar", "mobile_data_issue": "run_speed_test", "mms_issue": "can_send_mms"}
"""The tool that shows whether the problem is solved."""
_READS: dict[str, tuple[str, tuple[str, ...]]] = {
    "status_bar": ("check_status_bar", ()),
    "network_status": ("check_network_status", ()),
    "network_mode": ("check_network_mode_preference", ()),
    "speed": ("run_speed_test", ()),
    "internet": ("run_speed_test", ()),
    "sim": ("check_sim_status", ()),
    "apn": ("check_apn_settings", ()),
    "mms": ("can_send_mms", ()),
    "installed_apps": ("check_installed_apps", ()),
    "payment": ("check_payment_request", ()),
    "saver": ("check_data_restriction_status", ("saver",)),
    "wifi": ("check_wifi_status", ("wifi",)),
    "wifi_calling": ("check_wifi_calling_status", ("wifi_calling",)),
    "vpn": ("check_vpn_status", ("vpn",)),
    "airplane": ("check_network_status", ("airplane",)),
    "data": ("check_network_status", ("data",)),
    "roaming": ("check_network_status", ("roaming",)),
    "mode_value": ("check_network_status", ("technology",)),
}
_DETAILED = ("vpn", "wifi", "wifi_calling", "saver")
"""What can be asked for as a whole ("your VPN status") and not only as on or off."""
_BAR_SHOWS = ("airplane", "data", "vpn", "saver", "wifi", "mode_value", "network_status", "status_bar", "internet")
_NETWORK_SHOWS = (
    "airplane",
    "data",
    "roaming",
    "wifi",
    "sim",
    "mode_value",
    "status_bar",
    "network_status",
    "wifi_access",
)


class Operations:
    """Finds the operations of the clauses of one message, and keeps track of what is talked about."""

    def __init__(self, context: Context, text: str) -> None:
        self.context = context
        self.missing: list[str] = []
        self.has_acts = False
        self._text = text
        self._keys = context.condition.key if context.condition else 0
        self._together: tuple[str, ...] = ()

    # --- what is talked about -----------------------------------------------------------------------

    def new_sentence(self) -> None:
        """Begin a new group of things that "them" may refer to."""
        self._together = ()

    def note(self, text: str, topic: bool = True) -> None:
        """Take notice of what a clause mentions, without any request; what something is good for is not its subject.

        Args:
            text: The clause.
            topic: Whether it may change what "it" refers to; a mere consequence does not.
        """
        text = _without_purpose(text)
        found = [each for each in find_concepts(text) if each.text != "data" or state_of(text) is not None]
        subject = self.context.subject
        self._mention(text, found)
        if not topic and subject:
            self.context = replace(self.context, subject=subject)
        switches = [each.concept for each in found if each.concept in SWITCHES]
        if len(switches) == 1 and (state := state_of(text)) is not None:
            self._state(switches[0], state)

    def _state(self, switch: str, state: bool) -> None:
        known = {**dict(self.context.stated), switch: state}
        self.context = replace(self.context, stated=tuple(known.items()))

    def condition(self, text: str, marker: str) -> Condition:
        """Return the condition that a clause states, with a key of its own unless it refers to an earlier one."""
        condition = find_condition(text, marker, self.context)
        return condition if condition.key else replace(condition, key=self._next_key())

    def _next_key(self) -> int:
        self._keys += 1
        return self._keys

    def remember(self, condition: Condition) -> None:
        """Keep the condition for a later "otherwise" or "if so"."""
        if condition.fact != "?":
            self.context = replace(self.context, condition=condition)

    def _mention(self, text: str, found: list[Found]) -> None:
        focus = tuple(
            dict.fromkeys(each.concept for each in found if each.concept in (*_READS, "phone", "permissions", "app"))
        )
        focus = tuple(dict.fromkeys((*self._together, *focus))) if focus else ()
        self._together = focus or self._together
        if focus and not set(focus) & set(SWITCHES):
            focus = (*(each for each in self.context.focus if each in SWITCHES), *focus)
        app = app_name(text)
        permissions = permission_names(text, loose=app is not None)
        if permissions and app and "permissions" not in focus:
            focus = (*focus, "permissions")
        self.context = replace(
            self.context,
            focus=focus or self.context.focus,
            subject=next((each.concept for each in found if each.concept in SWITCHES), self.context.subject),
            permissions=permissions or self.context.permissions,
            app=app or self.context.app,
        )

    def asked(self, acts: list[Act]) -> None:
        """Keep what was asked for last."""
        if acts:
            self.context = replace(self.context, last=acts[-1])
        for act in acts:
            if act.do == "set" and act.state is not None:
                self._state(act.concept, act.state)
            elif act.tool in ("connect_vpn", "disconnect_vpn"):
                self._state("vpn", act.tool == "connect_vpn")

    def is_strange(self, text: str) -> bool:
        """Whether a request asks for something that no tool does, as opposed to waiting or looking around."""
        words = strip_fillers(text)
        return (bool(words) and grammar("neutral_heads").match(words) is None) or self._is_impossible(words)

    def _is_impossible(self, text: str) -> bool:
        return (
            grammar("impossible").search(
                text,
            )
            is not None
        )

    # --- reading ------------------------------------------------------------------------------------

    def readings(self, text: str, whole: str = "") -> list[Act]:
        """Return what to look at to answer a question or a "check …"."""
        whole = whole or text
        found = [each for each in find_concepts(text) if not self._is_beside_the_point(each, text)]
        acts = [act for act in self._read_each(text, found) if act is not None]
        previous = self.context
        self._mention(text, found)
        if acts:
            self._raise_question(text, found)
            return acts
        return self._reading_without_object(text, whole, previous)

    def _is_beside_the_point(self, found: Found, text: str) -> bool:
        if found.concept in ("line_roaming", "agent_data", "mms_over_wifi", "network_reset"):
            return True
        if found.concept in ("roaming", "data", "payment") and grammar("on_the_line").search(text):
            return grammar("on_the_phone").search(text) is None
        return False

    def _read_each(self, text: str, found: list[Found]) -> Iterator[Act | None]:
        concepts = [each.concept for each in found]
        kept: list[Found] = []
        for each in found:
            if each.concept == "mms" and "permissions" in concepts and "send" not in text:
                continue
            if (
                each.concept in ("mms", "data", "internet")
                and "apn" in concepts
                and not re.search(r"\b(?:send|try|test)\b", text)
            ):
                continue
            if each.concept in ("data", "internet", "wifi") and "speed" in concepts:
                continue
            if each.concept == "app" and (
                "permissions" in concepts or "mms" in concepts or "installed_apps" in concepts
            ):
                continue
            if each.concept == "mode_value" and "network_mode" in concepts:
                continue
            if kept and self._is_shown_by(kept, each, text):
                continue
            if each.concept == "phone" or self._is_shown_later(each, found, text):
                continue
            kept.append(each)
            yield self._read(each, text)

    def _is_shown_by(self, kept: list[Found], each: Found, text: str) -> bool:
        """Whether something mentioned before shows this too: "check the status bar for signal"."""
        for other in kept:
            shown = {"status_bar": _BAR_SHOWS, "network_status": _NETWORK_SHOWS}.get(other.concept, ())
            if other.concept == "speed" and each.concept in ("internet", "data", "network_status"):
                return True
            if each.concept in shown and not grammar("list_gap").match(text[other.end : each.start]):
                return True
        return False

    def _is_shown_later(self, each: Found, found: list[Found], text: str) -> bool:
        """Whether something mentioned later shows this: "whether airplane mode shows in the status bar"."""
        for other in found:
            if other.start > each.start and other.concept in ("status_bar", "network_status"):
                shown = _BAR_SHOWS if other.concept == "status_bar" else _NETWORK_SHOWS
                between = text[each.end : other.start]
                if (
                    each.concept in shown
                    and re.search(r"\b(?:in|on|from|at|icon)\b", between)
                    and "and" not in between.split()
                ):
                    return True
        return False

    def _read(self, each: Found, text: str) -> Act | None:
        if each.concept == "permissions" or (
            each.concept == "app" and (permission_names(text) or re.search(r" access|\ballowed\b", text))
        ):
            return self._read_app("check_app_permissions", text)
        if each.concept == "app":
            return (
                self._read_app("check_app_status", text)
                if re.search(r"status|detail|info|check|look|show|settings", text)
                else None
            )
        if each.concept == "data" and grammar("data_flows").search(text):
            return Act("read", "run_speed_test")
        if each.concept == "mode_value" and grammar("is_preference").search(text):
            return Act("read", "check_network_mode_preference")
        if each.concept not in _READS:
            return None
        tool, facts = _READS[each.concept]
        if (
            each.concept in _DETAILED
            and state_of(text) is None
            and not re.match(r"(?:is|are|do|does|any|if|whether)\b", text)
        ):
            facts = ()
        if each.concept == "sim" and re.search(r"\b(?:reseated|reinserted|back in|put back)\b", text):
            return Act("read", tool)
        return Act("read", tool, facts=facts)

    def _read_app(self, tool: str, text: str) -> Act | None:
        app = app_name(text) or self.context.app or ("messaging" if self.context.family == "mms_issue" else None)
        if app is None:
            self.missing.append("app")
            return None
        return Act("read", tool, (("app_name", app),))

    def looks_at(self, conditions: tuple[Condition, ...]) -> list[Act]:
        """Return the readings for "if it is off, let me know"."""
        acts = []
        for condition in conditions:
            name, _, app = condition.fact.partition("/")
            if name == "goal":
                acts.append(Act("goal"))
            elif name in FACT_TOOLS:
                arguments = (("app_name", app),) if app else ()
                acts.append(Act("read", FACT_TOOLS[name], arguments, facts=() if app else (name,)))
        return acts

    def _raise_question(self, text: str, found: list[Found]) -> None:
        condition = find_condition(text, "if", self.context, found)
        if condition.fact not in ("?",):
            self.context = replace(self.context, condition=replace(condition, key=self._next_key()))

    def _reading_without_object(self, text: str, whole: str, context: Context) -> list[Act]:
        patterns = lexicon().patterns
        state = re.search(patterns["state_on"].pattern, text) or re.search(patterns["state_off"].pattern, text)
        pronoun = grammar("pronoun").search(text)
        switch = next((each for each in reversed(context.focus) if each in SWITCHES or each in ("sim", "apn")), None)
        if state and pronoun and switch:
            self.remember(self.condition(text, "if"))
            tool, facts = _READS[switch]
            return [Act("read", tool, facts=facts)]
        if patterns["repeat_talk"].search(whole):
            return [_again(whole)]
        seen = self._look_at_focus(context, grammar("all_of_them").search(text) is not None)
        if grammar("focus_test").match(strip_fillers(text)) and context.focus[-1:] in (("speed",), ("mms",)):
            return seen
        if seen and (grammar("check_pronoun").match(words := strip_fillers(text)) or grammar("bare_look").match(words)):
            return seen
        if "payment" in context.focus and grammar("received").search(text):
            return [Act("read", "check_payment_request")]
        if patterns["goal_talk"].search(whole):
            return [Act("goal")]
        if patterns["what_seen"].search(whole):
            if self.has_acts:
                return [Act("repeat", "seen")]
            return seen or [Act("repeat", "seen")]
        return []

    def _look_at_focus(self, context: Context, several: bool) -> list[Act]:
        """Return how to look at what is talked about, or at the several things that are."""
        if several and len(readable := [each for each in context.focus if each in _READS]) > 1:
            return [Act("read", *_plain(_READS[each])) for each in readable]
        for each in reversed(context.focus):
            if each in ("permissions", "app") and (context.app or context.family == "mms_issue"):
                return [Act("read", "check_app_permissions", (("app_name", context.app or "messaging"),))]
            if each in _READS:
                return [Act("read", *_plain(_READS[each]))]
        return []

    # --- acting -------------------------------------------------------------------------------------

    def actions(self, text: str, fragment: bool = False) -> list[Act]:
        """Return what a request asks to do."""
        text = _without_purpose(text)
        found = find_concepts(text)
        context = self.context
        acts = self._impossible(text) or self._special(text, found) or self._switches(text, found, fragment)
        if acts is None:
            self._mention(text, found)
            return []
        if acts:
            self._mention(text, found)
            return acts
        if self._only_navigates(text) or fragment:
            self._mention(text, found)
            return []
        pronoun = self._pronoun(text, found, context)
        if pronoun is not None:
            return pronoun
        if patterns_repeat(text) and not found:
            last = self.context.last
            redone = last is not None and last.writes and grammar("redo").search(text) is not None
            return [replace(last, conditions=())] if last is not None and redone else [_again(text)]
        if _looks(text):
            return self.readings(text)
        self._mention(text, found)
        return []

    def _impossible(self, text: str) -> list[Act] | None:
        return None if self._is_impossible(text) else []

    def _special(self, text: str, found: list[Found]) -> list[Act]:
        """Return everything that is not a switch: reboot, SIM, APN, network mode, permissions, payment."""
        if grammar("confirm_payment").match(text):
            return [Act("call", "make_payment")]
        if _head_looks(text):
            return []
        concepts = {each.concept for each in found}
        acts: list[tuple[int, Act]] = []
        if re.match(r"(?:open|go to|head)\b", text) and not states(text):
            return []
        acts += self._reboot(text, found)
        if (
            "sim" in concepts
            and (hit := grammar("reseat").search(text))
            and not re.search(r"\b(?:check|unlock|toggle|swap)", text)
        ):
            acts.append((hit.start(), Act("call", "reseat_sim_card")))
        elif "sim" in self.context.focus and not concepts and grammar("reseat_pronoun").search(text):
            acts.append((0, Act("call", "reseat_sim_card")))
        acts += self._apn(text, found)
        acts += self._mode(text, found)
        acts += self._grant(text, found)
        if self._pays(text, concepts):
            acts.append((0, Act("call", "make_payment")))
        return [act for _, act in sorted(acts, key=lambda each: each[0])]

    def _reboot(self, text: str, found: list[Found]) -> list[tuple[int, Act]]:
        hit = grammar("reboot").search(text)
        if hit and not grammar("reboot_of_something_else").search(text):
            return [(hit.start(), Act("call", "reboot_device"))]
        phone = next((each for each in found if each.concept == "phone"), None)
        others = [each for each in found if each.concept in SWITCHES or each.concept in ("saver",)]
        if phone is None or others:
            return []
        if grammar("phone_reset").search(text):
            return [] if "factory" in text or "network" in text else [(phone.start, Act("power", state=False))]
        states = _power_states(text)
        if states[:2] == [False, True]:
            return [(phone.start, Act("call", "reboot_device"))]
        turned = re.search(r"\b(?:turn|switch|power|shut|bring)", text)
        if _is_place(text, phone):
            return []
        return [(phone.start, Act("power", state=states[0]))] if states and turned else []

    def _apn(self, text: str, found: list[Found]) -> list[tuple[int, Act]]:
        apn = next((each for each in found if each.concept == "apn"), None)
        latest = [each for each in self.context.focus if each not in ("phone", "network_status")][-1:]
        focused = apn is None and latest == ["apn"] and not [each for each in found if each.concept != "phone"]
        if apn is None and not focused:
            return []
        hit = grammar("defaults").search(text)
        if hit:
            return [(hit.start(), Act("call", "reset_apn_settings"))]
        if apn is None or not grammar("enter_apn").search(text):
            return []
        settings = apn_settings(self._text)
        if not settings:
            self.missing.append("apn")
            return []
        return [(apn.start, Act("call", "set_apn_settings", (("apn_settings", settings),)))]

    def _mode(self, text: str, found: list[Found]) -> list[tuple[int, Act]]:
        values = [each for each in found if each.concept == "mode_value"]
        setting = next((each for each in found if each.concept == "network_mode"), None)
        last = self.context.condition
        if not found and last and last.fact == "mode" and last.negated and re.search(r"\bto (?:that|this|it)\b", text):
            return [(0, Act("call", "set_network_mode_preference", (("mode", last.values[0]),)))]
        if not (values or setting) or not grammar("change_verb").search(text):
            return []
        if (
            any(each.concept in ("network_status", "status_bar", "speed", "mms", "apn", "sim") for each in found)
            and not setting
        ):
            return []
        if re.search(r"\b(?:disabl|deactivat)\w*|\boff\b", text):
            self.missing.append("mode")
            return []
        mode = network_mode(text, values)
        if mode is None:
            self.missing.append("mode")
            return []
        return [((setting or values[0]).start, Act("call", "set_network_mode_preference", (("mode", mode),)))]

    def _grant(self, text: str, found: list[Found]) -> list[tuple[int, Act]]:
        concepts = {each.concept for each in found}
        names = permission_names(text, loose=re.search(r"\b(?:let|letting|give|giving)\b", text) is not None)
        if "permissions" in self.context.focus and not names:
            names = permission_names(text, loose=not concepts - {"phone", "mms", "app"})
        them = not concepts - {"phone", "mms", "app"} and re.search(r"\b(?:them|both|those|these|it|that)\b", text)
        about = (
            "permissions" in concepts
            or (them and "permissions" in self.context.focus)
            or ("app" in concepts and names)
            or (names and "permissions" in self.context.focus and not concepts - {"phone", "mms", "permissions", "app"})
        )
        hit = grammar("grant_verb").search(text)
        if not about or hit is None or re.search(r"\b(?:disabl|revok|deny|denied|remov|off)\w*\b", text):
            return []
        app = app_name(text) or self.context.app or ("messaging" if self.context.family == "mms_issue" else None)
        other = grammar("other_permission").search(text)
        names = names or ((other[1],) if other else ()) or self._permissions_meant(text)
        if app is None or not names:
            self.missing.append("app" if app is None else "permission")
            return []
        call = "grant_app_permission"
        return [(hit.start(), Act("call", call, (("app_name", app), ("permission", name)))) for name in names]

    def _permissions_meant(self, text: str) -> tuple[str, ...]:
        return permission_names(self._text) or self.context.permissions

    def _pays(self, text: str, concepts: set[str]) -> bool:
        if re.search(r"\bpay(?:ing|s)?\b", text) and not re.search(r"\bpay(?:ment)? (?:attention|close)", text):
            return True
        about = "payment" in concepts or ("payment" in self.context.focus and not concepts - {"phone"})
        return (
            about
            and grammar("pay_verb").search(text) is not None
            and grammar("payment_object").search(text) is not None
        )

    def _switches(self, text: str, found: list[Found], fragment: bool = False) -> list[Act]:
        if _head_looks(text):
            return []
        switches = [each for each in found if each.concept in SWITCHES]
        if grammar("other_use").match(text) and not states(text):
            return []
        acts: list[Act] = []
        wanted: list[bool] = []
        for number, each in enumerate(switches):
            if each.concept == "wifi" and re.search(r"\bconnect(?:ing)? to\b", text):
                continue
            following = switches[number + 1].start if number + 1 < len(switches) else len(text)
            previous = switches[number - 1].end if number else 0
            wanted = self._states(text, each, previous, following) or wanted
            acts += self._switch(text, each, wanted)
        return acts

    def _states(self, text: str, each: Found, previous: int, following: int) -> list[bool]:
        if (
            each.concept == "airplane"
            and grammar("into_mode").search(text[: each.start])
            and not re.search(r"out|check|while", text[: each.start])
        ):
            return [True]
        if each.concept == "vpn" and (linked := grammar("vpn_link").search(text)):
            return [linked[1] is None]
        after = states(text, each.end, following, particles=True)
        if not after and (purpose := grammar("purpose_of_toggle").search(text, each.end)):
            after = states(text, purpose.end(), following)
        before = states(text, previous, each.start)
        return without_repeats(after or before)

    def _switch(self, text: str, each: Found, wanted: list[bool]) -> list[Act]:
        if each.concept == "vpn":
            return [Act("call", "connect_vpn" if state else "disconnect_vpn") for state in wanted]
        if wanted:
            return [Act("set", concept=each.concept, state=state) for state in wanted]
        if re.search(r"\b(?:cycl|bounc)(?:e|es|ed|ing)\b", text):
            return [Act("toggle", concept=each.concept)] * 2
        return [Act("toggle", concept=each.concept)] if grammar("toggle_verb").search(text) else []

    def _pronoun(self, text: str, found: list[Found], context: Context) -> list[Act] | None:
        """Return what "turn it off" means; None if the text is no such thing."""
        if [each for each in found if each.concept not in ("phone", "mode_value")] or _head_looks(text):
            return None
        words = strip_fillers(text)
        wanted = without_repeats(states(text))
        if "phone" in context.focus[-1:] and not wanted and re.match(r"(?:power|turn|start|boot|switch)\b", words):
            wanted = without_repeats(_power_states(text))
        toggles = grammar("toggle_verb").search(text) is not None
        short = grammar("switch_pronoun").search(text)
        brief = len(text.split()) <= 3 and not re.match(r"(?:stop|leave|cancel|end|quit|close|drop)\b", words)
        if not (wanted or toggles) or not (short or brief):
            return None
        several = re.search(r"\b(?:them|both|these|those)\b", text) is not None
        targets = [each for each in context.focus if each in SWITCHES]
        if not targets and "phone" in context.focus and wanted:
            return self._power(wanted)
        if not targets:
            self.missing.append("object")
            return []
        if len(targets) > 1 and (ordered := list(grammar("ordinal").finditer(text))):
            places = {"first": 0, "former": 0, "second": 1, "latter": 1}
            each = [(targets[places[hit["a"] or hit["d"]]], (hit["b"] or hit["c"]) == "on") for hit in ordered]
            return [act for name, on in each for act in self._switch(text, Found(name, 0, 0, name), [on])]
        acts: list[Act] = []
        for target in targets if several else [_meant(targets, wanted, context)]:
            acts += self._switch(text, Found(target, 0, 0, target), wanted)
        return acts

    def _power(self, wanted: list[bool]) -> list[Act]:
        return [Act("call", "reboot_device")] if wanted[:2] == [False, True] else [Act("power", state=wanted[0])]

    def _only_navigates(self, text: str) -> bool:
        words = strip_fillers(text)
        if re.match(r"(?:open|load|visit|launch|access|brows)", words) and any(
            each.concept == "internet" for each in find_concepts(text)
        ):
            return False
        return (
            grammar("navigation").match(
                words,
            )
            is not None
        )

    # --- ensuring -----------------------------------------------------------------------------------

    def named(self, text: str, whole: str) -> list[Act]:
        """Return what a request without a verb asks: to look, unless it only names a switch, as in "next is X: …"."""
        found = find_concepts(text)
        only_names = all(each.concept in (*SWITCHES, "phone") for each in found)
        if found and only_names and not grammar("whole_status").search(text):
            self._mention(text, found)
            return []
        return self.readings(text, whole)

    def _undone(self, last: Act) -> list[Act]:
        if last.do == "set":
            return [replace(last, state=not last.state, conditions=())]
        opposite = {"connect_vpn": "disconnect_vpn", "disconnect_vpn": "connect_vpn"}.get(last.tool)
        return [replace(last, tool=opposite, conditions=())] if opposite else [last] if last.do == "toggle" else []

    def terse(self, text: str, alone: bool) -> list[Act]:
        """Return what "once more, please", "undo that" and "then mobile data on" ask.

        Args:
            text: A sentence.
            alone: Whether the message is nothing else.
        """
        last = self.context.last
        if grammar("undo").match(strip_fillers(text)) and last is not None:
            return self._undone(last)
        if grammar("only_again").match(text) and last is not None:
            return [replace(last, conditions=())] if last.writes else [_again(text)]
        found = find_concepts(text)
        about_mode = {"network_mode", "mode_value"} & {*self.context.focus}
        asks = alone or "please" in text or "instead" in text
        if [each.concept for each in found] == ["mode_value"] and about_mode and asks:
            rest = f"{text[: found[0].start]} {text[found[0].end :]}"
            return self.actions(f"use {found[0].text}") if grammar("nothing_more").match(rest) else []
        if not found or any(each.concept not in SWITCHES for each in found):
            return []
        head = text[: found[0].start]
        begins = grammar("terse_set").match(head) or (alone and last is not None and not head.strip())
        ends = grammar("terse_end").match(text[found[-1].end :].strip())
        between = [text[one.end : two.start] for one, two in pairwise(found)]
        if not begins or not ends or not all(grammar("list_gap").match(gap) for gap in between):
            return []
        self._mention(text, found)
        state = ends["state"] == "on"
        return [act for each in found for act in self._switch(text, each, [state])]

    def same_for(self, text: str, question: bool) -> list[Act]:
        """Return what "the same for X" or "X too" asks, after what was asked before."""
        found, last = find_concepts(text), self.context.last
        names = permission_names(text, loose=True)
        if last is None or not (found or names):
            return []
        if question or not last.writes:
            return self.readings(f"{text} permission" if names and not found else text)
        acts: list[Act] = []
        if last.tool == "grant_app_permission":
            acts = self._same_grants(last, app_name(text), names)
        state = last.state if last.do == "set" else {"connect_vpn": True, "disconnect_vpn": False}.get(last.tool)
        if last.do == "toggle" or state is not None:
            wanted = [] if state is None else [state]
            acts = [act for each in found if each.concept in SWITCHES for act in self._same_switch(each, wanted)]
        self._mention(text, found)
        return acts

    def _same_switch(self, each: Found, wanted: list[bool]) -> list[Act]:
        return self._switch("" if wanted else "toggle", each, wanted)

    def _same_grants(self, last: Act, app: str | None, names: tuple[str, ...]) -> list[Act]:
        before = dict(last.arguments)
        return [
            replace(last, conditions=(), arguments=(("app_name", app or before["app_name"]), ("permission", name)))
            for name in names or ((before["permission"],) if app else ())
        ]

    def ensured(self, text: str) -> list[Act]:
        """Return what "make sure that …" asks: a state to establish where there is a switch, else a look."""
        found = find_concepts(text)
        stripped = strip_fillers(text)
        if lexicon().bases["any"].match(stripped) and (acts := self.actions(stripped)):
            return acts
        acts = self._ensured_switches(text, found)
        if acts:
            self._mention(text, found)
            return acts
        concepts = {each.concept for each in found}
        about = {"permissions", "app"} & ({*self.context.focus} | concepts)
        if "permissions" in concepts or (about and permission_names(text)):
            return self._ensured_permissions(text)
        negated = re.search(r"n't\b|\bnot\b|\bno longer\b", text) is not None
        if concepts & {"network_mode", "mode_value"} and not negated and (mode := self._mode_wanted(text)):
            condition = Condition("mode", (mode,), negated=True)
            self._mention(text, found)
            return [Act("call", "set_network_mode_preference", (("mode", mode),), conditions=(condition,))]
        return self.readings(text)

    def _mode_wanted(self, text: str) -> str | None:
        text = grammar("is_set_to").sub("to", text)
        return network_mode(text, [each for each in find_concepts(text) if each.concept == "mode_value"])

    def _ensured_switches(self, text: str, found: list[Found]) -> list[Act]:
        acts = []
        switches = [each for each in found if each.concept in SWITCHES]
        referred = r"\b(?:it|it's|that|that's|they|they're|this|the (?:switch|toggle|slider|option|setting|feature))\b"
        if not switches and re.search(referred, text):
            switches = [Found(each, 0, 0, each) for each in self.context.focus if each in SWITCHES][-1:]
        state: bool | None = None
        for number, each in enumerate(switches):
            following = switches[number + 1].start if number + 1 < len(switches) else len(text)
            window = text[each.end : following] if state_of(text[each.end : following]) is not None else text
            state = state_of(window) if state_of(window) is not None else state
            if state is None:
                continue
            if each.concept == "vpn":
                acts.append(Act("call", "connect_vpn" if state else "disconnect_vpn"))
            else:
                acts.append(Act("set", concept=each.concept, state=state))
        return acts

    def _ensured_permissions(self, text: str) -> list[Act]:
        names = self._permissions_meant(text) if not permission_names(text) else permission_names(text)
        app = app_name(text) or self.context.app or ("messaging" if self.context.family == "mms_issue" else None)
        look = self.readings(text)
        if app is None or not names:
            return look
        missing = [(name, Condition(f"permissions/{app}", (name,), negated=True)) for name in names]
        grants = [
            Act("call", "grant_app_permission", (("app_name", app), ("permission", name)), conditions=(condition,))
            for name, condition in missing
        ]
        return [*look, *grants]


def _meant(targets: list[str], wanted: list[bool], context: Context) -> str:
    """Return what "it" means: what is talked about, unless that is as wanted already and another thing is not."""
    stated = dict(context.stated)
    single = context.subject if context.subject in targets else targets[-1]
    assert single is not None
    if wanted and stated.get(single) is wanted[0]:
        return next((each for each in reversed(targets) if stated.get(each) is (not wanted[0])), single)
    return single


def _is_place(text: str, phone: Found) -> bool:
    """Whether the phone is where something is switched, not what: "switch it on in your phone's settings"."""
    before = text[: phone.start]
    if re.match(r"(?:'s)? (?:\w+ )?settings", text[phone.end :]):
        return True
    inside = re.search(r"\b(?:in|under|from|via|through|within) (?:your |the |this )?$", before)
    pronoun = re.search(r"\b(?:it|that|them|this|these|both)\b.*\bon (?:your |the )?$", before)
    return inside is not None or pronoun is not None


def _again(text: str) -> Act:
    return Act("repeat", facts=("test",) if grammar("testing").search(text) else ())


def _plain(reading: tuple[str, tuple[str, ...]]) -> tuple[str]:
    return (reading[0],)


def _without_purpose(text: str) -> str:
    """Return a text without "for mobile data to work": that is what something is good for, not what it is."""
    return re.sub(r"\bfor (?:\w+ ){1,4}to (?:work|function|connect)\b.*", "", text)


def _power_states(text: str) -> list[bool]:
    """Return whether a text turns the phone on or off, in order."""
    words = grammar("power_state").finditer(text)
    return [found["on"] is not None or found[0] in ("on", "up") for found in words]


def patterns_repeat(text: str) -> bool:
    """Whether a text asks to do the last thing again."""
    return lexicon().patterns["repeat_talk"].search(text) is not None


def _head_looks(text: str) -> bool:
    """Whether the verb of a request is one of looking."""
    words = strip_fillers(text)
    if grammar("shows_switch").match(words) and states(words):
        return False
    head = lexicon().bases["check"].match(words)
    return head is not None and not re.match(r"(?:give|provide|take a moment|access)\b", words)


def _looks(text: str) -> bool:
    words = strip_fillers(text)
    known = lexicon().bases
    return any(known[family].match(words) for family in ("check", "run", "send")) or (
        grammar("looking_verb").match(words) is not None
    )
