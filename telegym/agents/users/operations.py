"""Operations: which tool of the phone a clause is about, and which conditions it sets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from telegym.agents.users.language import strip_fillers
from telegym.agents.users.lexicon import lexicon
from telegym.agents.users.readings import FACT_TOOLS, SWITCH_TOOLS, WRITE_TOOLS

__all__ = ["Act", "Condition", "Context", "Found", "Operations", "find_concepts", "find_condition"]

SWITCHES = (*SWITCH_TOOLS, "vpn")
"""What can be on or off."""
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
_NETWORK_SHOWS = ("airplane", "data", "roaming", "wifi", "sim", "mode_value", "status_bar", "network_status", "wifi_access")
_LIST_GAP = re.compile(r"^[\s,]*(?:and|or|also|then|plus|&|your|the|my|its|their|both|current|as well as|status|settings?|/|\s|,)*$")
_ON_VERBS = r"\b(?:(?:re)?enabl|(?:re)?activat|engag)(?:e|es|ed|ing)\b|\b(?:allow|permit|unblock)(?:s|ed|ing)?\b"
_OFF_VERBS = (
    r"\b(?:disabl|deactivat|disengag)(?:e|es|ed|ing)\b|\bstop(?:ped|ping|s)?\b|\b(?:kill|exit|end|quit|cancel|terminat|drop|disconnect|leav|clos|unselect|uncheck)(?:e|es|ed|ing|s|ped|ping)?\b"
    r"|\b(?:take|get|come|bring|switch|move|remov|taking|getting|coming|go|shift)(?:e|ing)?\b[\w ']{0,25}\b(?:out of|off of|from)\b"
)
_ON_PARTICLE = (
    r"\b(?:turn|switch|toggl|flip|put|set|power|flick|slid|click|tap|bring|have|press|get|swip|hit)(?:e|es|ed|ing|s|t?ting|ned|ped|ping)?(?: back| it back| it| them| that| this| those| both|everything)*(?: to)? on\b"
    r"|(?<!from )\bon\b(?!\s+(?:your|the|my|our|this|that|a|an|its|which|it|how|top|whether|what|screen|line|account|phone|device|settings|iphone|android|samsung|to the|right|left|/)(?!\w))(?!\s*/\s*off)"
)
_OFF_PARTICLE = r"(?<!from )(?<!on/)(?<!on / )\boff\b(?!\s+(?:the|your) (?:chance|top))"
_MARKER = re.compile(f"(?P<on>{_ON_VERBS}|{_ON_PARTICLE})|(?P<off>{_OFF_VERBS}|{_OFF_PARTICLE})")
_TOGGLE = re.compile(r"\b(?:toggl|flip|flick|chang|press|invert|revers)(?:e|es|ed|ing|s|ped|ping)?\b")
_CYCLE = re.compile(r"\b(?:cycl|bounc)(?:e|es|ed|ing)\b")
_INTO = re.compile(r"\b(?:in|into|on to|onto|enter|entering|entered|(?:switch|set|change|go|move|put)\w*(?: \w+){0,3} to)\s+(?:the\s+)?$")
_REBOOT = re.compile(r"\b(?:reboot|restart)(?:s|ed|ing)?\b|\bpower[ -]?cycl(?:e|es|ed|ing)\b|\bsoft reset\b|\bboot (?:it|the phone|your phone|the device|your device) (?:up )?again\b")
_REBOOT_OTHER = re.compile(
    r"(?:reboot|restart|cycl)\w*\s+(?:of )?(?:your |the |our |this |that |any |all |its |mobile |cellular |running |background )*(?:messaging |browser |vpn |wifi |network |data |text |home )?"
    r"(?:line|router|modem|network|services?|apps?|application|connection|vpn|wifi|data|roaming|internet|tower|account|system on|conversation|test|process|computer|laptop|troubleshooting)\b"
)
_PHONE_RESET = re.compile(r"\breset(?:ting)?\b[\w ]{0,12}\b(?:phone|device|handset)\b(?!'s| settings)")
_RESEAT_OUT = re.compile(
    r"\b(?:remov|eject|tak|took|pull|pop|extract|unplug|slid|detach|reseat|reinsert|insert|replac|put|push|plac|reattach|refit|seat|swap|unseat|slot|re seat)(?:e|es|ed|ing|s|ped|ping|ting|en|t?ed)?\b"
)
_DEFAULTS = re.compile(r"\b(?:reset|default|restor|revert|factory apn|carrier settings)\w*\b")
_CHANGE = re.compile(
    r"\b(?:chang|set|switch|adjust|updat|select|choos|pick|modif|mov|configur|put|prefer|go|revert|turn|upgrad|forc|lock|tap|us|enabl|activat|fix|correct|toggl|allow|flip|get|bring)(?:e|es|ed|ing|s|ting|y|ied|ying|ned)?\b"
)
_GRANT = re.compile(r"\b(?:grant|giv|allow|enabl|permit|authoris|authoriz|add|provid|approv|turn|switch|activat|let|toggl|tick|accept|set|restor|reenabl|fix|check the box)(?:e|es|ed|ing|s|ting|ning|d)?\b")
_PAY = re.compile(r"\b(?:pay|settl|accept|approv|complet|mak|authoriz|authoris|submit|process|finaliz|finalis|proceed with|go ahead with|finish|clear)(?:e|es|ed|ing|s|ting)?\b")
_PERMISSION_NAMES = (
    ("sms", r"\bsms\b|\btext messages?\b(?! app)|\btexts?\b(?= (?:permission|access|and storage))|\bmessages? permission"),
    ("storage", r"\bstorage\b|\bfiles?\b|\bmedia\b|\bphotos?(?: and \w+)? (?:permission|access)"),
    ("phone", r"\bphone (?:permission|access)\b|(?:sms|storage|network)(?: permissions?)?(?:,| and|,? or| ?/) (?:the )?phone\b(?! app)|(?:\bphone)(?:,| and|,? or| ?/) (?:sms|storage|network)\b|\btelephone\b|'?phone'? permission|permission(?:s)?(?: for| to)? (?:phone|calls)\b"),
    ("network", r"\bnetwork (?:permission|access)\b|(?:sms|storage|phone)(?: permissions?)?(?:,| and|,? or| ?/) (?:the )?network\b|\bnetwork(?:,| and|,? or| ?/) (?:sms|storage|phone)\b|permissions?(?: for| to)? (?:the )?network\b"),
)  # fmt: skip
_OTHER_PERMISSIONS = re.compile(r"\b(camera|location|microphone|contacts?|calendar|notifications?|bluetooth)\b")
_NEUTRAL_HEADS = (
    "wait|hold|stay|keep|stand|continue|follow|proceed|let|begin|start|try|do|be|note|make|go|open|navigate|head|tap|scroll|swipe|press|click|select|choose|find|locate|look|"
    "pull|access|enter|check|verify|confirm|tell|let|report|see|share|provide|give|describe|know|show|help|answer|remember|ensure|relax|respond|reply|say|state|ask|allow|have|come|"
    "take|get|bear|forget|leave|finish|complete|repeat|ignore|disregard|contact|call|visit|read|watch|inform|mention|specify|indicate|list|move on|use|drag|expand|launch|hit|set|"
    "view|review|monitor|investigate|test|retry|notice|stop|skip|avoid|fix|correct|send|write|sign|log|charge|update|feel|rest|figure"
)


class Found(NamedTuple):
    """A mention of something in a text."""

    concept: str
    """What."""
    start: int
    """Where it begins."""
    end: int
    """Where it ends."""
    text: str
    """The words."""


@dataclass(frozen=True)
class Condition:
    """A question about the phone or the person on which an act depends."""

    fact: str
    """Name of the fact; `goal`, `abroad`, or `?` for one that was not understood."""
    values: tuple[Any, ...] = (True,)
    """Values that meet the condition."""
    negated: bool = False
    """Whether it is met by all other values instead."""
    key: int = 0
    """Conditions with one key are judged once, before the acts that depend on them change anything."""


@dataclass(frozen=True)
class Act:
    """One thing to do."""

    do: str
    """`read`, `set` (a switch), `toggle`, `call` (any other change), `goal`, `repeat` or `power`."""
    tool: str = ""
    """The tool, if it is known already."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """Arguments of the tool."""
    concept: str = ""
    """The switch, for `set` and `toggle`."""
    state: bool | None = None
    """The state wanted, for `set`."""
    facts: tuple[str, ...] = ()
    """What a reading is meant to find out; empty for all of it."""
    conditions: tuple[Condition, ...] = ()
    """All must be met, in order."""
    presupposed: bool = False
    """Whether it was only presupposed ("once you have restarted"), so that it is not done twice."""

    @property
    def writes(self) -> bool:
        """Whether it changes the phone or pays a bill."""
        return self.do in ("set", "toggle", "power") or self.tool in WRITE_TOOLS

    def same_as(self, other: Act) -> bool:
        """Whether two acts are the same but for conditions and what they are meant to find out."""
        return self.do != "toggle" and (self.do, self.tool, self.arguments, self.concept, self.state) == (
            (other.do, other.tool, other.arguments, other.concept, other.state)
        )


@dataclass(frozen=True)
class Context:
    """What "it", "again" or "the app" may refer to."""

    family: str = "service_issue"
    """What the call is about."""
    focus: tuple[str, ...] = ()
    """What was mentioned last."""
    app: str | None = None
    """The app mentioned last."""
    permissions: tuple[str, ...] = ()
    """Permissions mentioned last."""
    condition: Condition | None = None
    """The yes-or-no question raised last."""
    last_read: str | None = None
    """The tool that was used last to look at something."""


def find_concepts(text: str) -> list[Found]:
    """Return everything a text mentions, in order."""
    found: list[Found] = []
    for concept, pattern in lexicon().concepts:
        for match in pattern.finditer(text):
            if not any(match.start() < other.end and other.start < match.end() for other in found):
                found.append(Found(concept, match.start(), match.end(), match[0]))
    return sorted(found, key=lambda each: each.start)


class Operations:
    """Finds the operations of the clauses of one message, and keeps track of what is talked about."""

    def __init__(self, context: Context, text: str) -> None:
        self.context = context
        self.missing: list[str] = []
        self.has_acts = False
        self._text = text
        self._keys = 0
        self._together: tuple[str, ...] = ()

    # --- what is talked about -----------------------------------------------------------------------

    def new_sentence(self) -> None:
        """Begin a new group of things that "them" may refer to."""
        self._together = ()

    def note(self, text: str) -> None:
        """Take notice of what a clause mentions, without any request."""
        self._mention(text, find_concepts(text))

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
        focus = tuple(dict.fromkeys(each.concept for each in found if each.concept in (*_READS, "phone", "permissions", "app")))
        focus = tuple(dict.fromkeys((*self._together, *focus))) if focus else ()
        self._together = focus or self._together
        if focus and not set(focus) & set(SWITCHES):
            focus = (*(each for each in self.context.focus if each in SWITCHES), *focus)
        permissions = permission_names(text)
        app = app_name(text)
        self.context = replace(
            self.context,
            focus=focus or self.context.focus,
            permissions=permissions or self.context.permissions,
            app=app or self.context.app,
        )

    def is_strange(self, text: str) -> bool:
        """Whether a request asks for something that no tool does, as opposed to waiting or looking around."""
        words = strip_fillers(text)
        return bool(words) and re.match(rf"(?:{_NEUTRAL_HEADS})\b", words) is None or self._is_impossible(words)

    def _is_impossible(self, text: str) -> bool:
        return re.search(
            r"\b(?:unlock|pin code|puk|factory reset|reset network settings|reset (?:all )?(?:your |the )?network settings|another (?:phone|device|sim)|different (?:phone|sim|device)|revoke|deny|uninstall|reinstall|clear (?:the )?cache|connect to (?:a|another|your|the|any) wifi|software update)\b",
            text,
        ) is not None

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
        if found.concept in ("roaming", "data", "payment") and re.search(r"\b(?:your|the|this) (?:line|account)\b(?! on your phone)", text):
            return re.search(r"\b(?:phone|device|you see|received?|request)\b", text) is None
        return False

    def _read_each(self, text: str, found: list[Found]) -> Iterator[Act | None]:
        concepts = [each.concept for each in found]
        kept: list[Found] = []
        for each in found:
            if each.concept == "mms" and "permissions" in concepts and "send" not in text:
                continue
            if each.concept in ("mms", "data", "internet") and "apn" in concepts and not re.search(r"\b(?:send|try|test)\b", text):
                continue
            if each.concept in ("data", "internet", "wifi") and "speed" in concepts:
                continue
            if each.concept == "app" and ("permissions" in concepts or "mms" in concepts or "installed_apps" in concepts):
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
            if each.concept in shown and not _LIST_GAP.match(text[other.end : each.start]):
                return True
        return False

    def _is_shown_later(self, each: Found, found: list[Found], text: str) -> bool:
        """Whether something mentioned later shows this: "whether airplane mode shows in the status bar"."""
        for other in found:
            if other.start > each.start and other.concept in ("status_bar", "network_status"):
                shown = _BAR_SHOWS if other.concept == "status_bar" else _NETWORK_SHOWS
                between = text[each.end : other.start]
                if each.concept in shown and re.search(r"\b(?:in|on|from|at|icon)\b", between) and "and" not in between.split():
                    return True
        return False

    def _read(self, each: Found, text: str) -> Act | None:
        if each.concept == "permissions" or (each.concept == "app" and (permission_names(text) or " access" in text)):
            return self._read_app("check_app_permissions", text)
        if each.concept == "app":
            return self._read_app("check_app_status", text) if re.search(r"status|detail|info|check|look|show|settings", text) else None
        if each.concept == "data" and re.search(r"\b(?:work\w*|function\w*|connect(?:ed|ing)?|slow|fast\w*|usable|back|restored|loading|faster)\b", text):
            return Act("read", "run_speed_test")
        if each.concept == "mode_value" and re.search(r"\b(?:set|prefer\w*|mode|preference|select\w*|configured)\b", text):
            return Act("read", "check_network_mode_preference")
        if each.concept not in _READS:
            return None
        tool, facts = _READS[each.concept]
        if each.concept in _DETAILED and _state_of(text) is None and not re.match(r"(?:is|are|do|does|any|if|whether)\b", text):
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
        pronoun = re.search(r"\b(?:it|it's|that|that's|this|they|them|those)\b", text)
        switch = next((each for each in reversed(context.focus) if each in SWITCHES or each in ("sim", "apn")), None)
        if state and pronoun and switch:
            self.remember(self.condition(text, "if"))
            tool, facts = _READS[switch]
            return [Act("read", tool, facts=facts)]
        if patterns["repeat_talk"].search(whole):
            return [Act("repeat")]
        readable = next((each for each in reversed(context.focus) if each in _READS), None)
        if readable and re.match(r"(?:\w+ )?(?:check|look|verify|view|see|read|inspect|confirm|show)\w*(?: at| on)? (?:it|them|that|this|those)(?: \w+){0,2}$", strip_fillers(text)):
            return [Act("read", *_plain(_READS[readable]))]
        if patterns["goal_talk"].search(whole):
            return [Act("goal")]
        if patterns["what_seen"].search(whole):
            if self.has_acts:
                return [Act("repeat", "seen")]
            return [Act("read", *_plain(_READS[readable]))] if readable else [Act("repeat", "seen")]
        return []

    # --- acting -------------------------------------------------------------------------------------

    def actions(self, text: str, fragment: bool = False) -> list[Act]:
        """Return what a request asks to do."""
        found = find_concepts(text)
        context = self.context
        acts = self._impossible(text) or self._special(text, found) or self._switches(text, found, fragment)
        if acts is None:
            self._mention(text, found)
            return []
        if acts:
            self._mention(text, found)
            return [*acts, *self._rest(text, found, acts)]
        if self._only_navigates(text) or fragment:
            self._mention(text, found)
            return []
        pronoun = self._pronoun(text, found, context)
        if pronoun is not None:
            return pronoun
        if patterns_repeat(text) and not found:
            return [Act("repeat")]
        return self.readings(text) if _looks(text) else []

    def _impossible(self, text: str) -> list[Act] | None:
        return None if self._is_impossible(text) else []

    def _special(self, text: str, found: list[Found]) -> list[Act]:
        """Return everything that is not a switch: reboot, SIM, APN, network mode, permissions, payment."""
        if re.match(r"confirm (?:and \w+ )?(?:the|your|this) payment(?: request)?(?: (?:now|please|on your phone))?\W*$", text):
            return [Act("call", "make_payment")]
        if _head_looks(text):
            return []
        concepts = {each.concept for each in found}
        acts: list[tuple[int, Act]] = []
        if re.match(r"(?:open|go to|head)\b", text) and not _MARKER.search(text):
            return []
        acts += self._reboot(text, found)
        if "sim" in concepts and (hit := _RESEAT_OUT.search(text)) and not re.search(r"\b(?:check|unlock|toggle|swap)", text):
            acts.append((hit.start(), Act("call", "reseat_sim_card")))
        elif "sim" in self.context.focus and not concepts and re.search(r"\b(?:back in|reinsert|reseat|insert it|put it back|pop it|push it)", text):
            acts.append((0, Act("call", "reseat_sim_card")))
        acts += self._apn(text, found)
        acts += self._mode(text, found)
        acts += self._grant(text, found)
        if self._pays(text, concepts):
            acts.append((0, Act("call", "make_payment")))
        return [act for _, act in sorted(acts, key=lambda each: each[0])]

    def _reboot(self, text: str, found: list[Found]) -> list[tuple[int, Act]]:
        hit = _REBOOT.search(text)
        if hit and not _REBOOT_OTHER.search(text):
            return [(hit.start(), Act("call", "reboot_device"))]
        phone = next((each for each in found if each.concept == "phone"), None)
        others = [each for each in found if each.concept in SWITCHES or each.concept in ("saver",)]
        if phone is None or others:
            return []
        if _PHONE_RESET.search(text):
            return [] if "factory" in text or "network" in text else [(phone.start, Act("power", state=False))]
        states = _power_states(text)
        if states[:2] == [False, True]:
            return [(phone.start, Act("call", "reboot_device"))]
        turned = re.search(r"\b(?:turn|switch|power|shut|bring)", text)
        return [(phone.start, Act("power", state=states[0]))] if states and turned else []

    def _apn(self, text: str, found: list[Found]) -> list[tuple[int, Act]]:
        apn = next((each for each in found if each.concept == "apn"), None)
        focused = apn is None and self.context.focus[-1:] == ("apn",) and not [f for f in found if f.concept != "phone"]
        if apn is None and not focused:
            return []
        hit = _DEFAULTS.search(text)
        if hit:
            return [(hit.start(), Act("call", "reset_apn_settings"))]
        if apn is None or not re.search(r"\b(?:set|chang|configur|updat|enter|add|edit|modif|fill|type|put|sav|correct|fix)", text):
            return []
        settings = apn_settings(self._text)
        if not settings:
            self.missing.append("apn")
            return []
        return [(apn.start, Act("call", "set_apn_settings", (("apn_settings", settings),)))]

    def _mode(self, text: str, found: list[Found]) -> list[tuple[int, Act]]:
        values = [each for each in found if each.concept == "mode_value"]
        setting = next((each for each in found if each.concept == "network_mode"), None)
        if not (values or setting) or not _CHANGE.search(text):
            return []
        if any(each.concept in ("network_status", "status_bar", "speed", "mms", "apn", "sim") for each in found) and not setting:
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
        names = permission_names(text)
        them = not concepts - {"phone", "mms"} and re.search(r"\b(?:them|both|those|these|it|that)\b", text)
        about = "permissions" in concepts or (them and "permissions" in self.context.focus) or ("app" in concepts and names) or (
            names and "permissions" in self.context.focus and not concepts - {"phone", "mms", "permissions", "app"}
        )
        hit = _GRANT.search(text)
        if not about or hit is None or re.search(r"\b(?:disabl|revok|deny|denied|remov|off)\w*\b", text):
            return []
        app = app_name(text) or self.context.app or ("messaging" if self.context.family == "mms_issue" else None)
        other = _OTHER_PERMISSIONS.search(text)
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
        return about and _PAY.search(text) is not None and re.search(r"\b(?:it|this|that|payment|bill|request|invoice|balance|amount)\b", text) is not None

    def _switches(self, text: str, found: list[Found], fragment: bool = False) -> list[Act]:
        if _head_looks(text):
            return []
        switches = [each for each in found if each.concept in SWITCHES]
        if re.match(r"(?:run|try|test|use|send|go to|open|navigate)\b", text) and not _MARKER.search(text):
            return []
        acts: list[Act] = []
        states: list[bool] = []
        for number, each in enumerate(switches):
            if each.concept == "wifi" and re.search(r"\bconnect(?:ing)? to\b", text):
                continue
            following = switches[number + 1].start if number + 1 < len(switches) else len(text)
            previous = switches[number - 1].end if number else 0
            states = self._states(text, each, previous, following) or states
            acts += self._switch(text, each, states)
        return acts

    def _states(self, text: str, each: Found, previous: int, following: int) -> list[bool]:
        if each.concept == "airplane" and _INTO.search(text[: each.start]) and not re.search(r"out|check|while", text[: each.start]):
            return [True]
        if each.concept == "vpn" and (linked := re.search(r"\b(?:re)?(dis)?connect(?:ing)?\b|\b(?:start|launch|establish)\b", text)):
            return [linked[1] is None]
        after = [m["on"] is not None for m in _MARKER.finditer(text, each.end, following) if re.search(r"\b(?:on|off)\b", m[0])]
        before = [m["on"] is not None for m in _MARKER.finditer(text, previous, each.start)]
        states = after or before
        return [state for i, state in enumerate(states) if i == 0 or states[i - 1] != state]

    def _switch(self, text: str, each: Found, states: list[bool]) -> list[Act]:
        if each.concept == "vpn":
            return [Act("call", "connect_vpn" if state else "disconnect_vpn") for state in states]
        if states:
            return [Act("set", concept=each.concept, state=state) for state in states]
        if _CYCLE.search(text):
            return [Act("toggle", concept=each.concept)] * 2
        return [Act("toggle", concept=each.concept)] if _TOGGLE.search(text) else []

    def _rest(self, text: str, found: list[Found], acts: list[Act]) -> list[Act]:
        """Return readings asked for in the same breath as an action, for example "… and the status bar"."""
        return []

    def _pronoun(self, text: str, found: list[Found], context: Context) -> list[Act] | None:
        """Return what "turn it off" means; None if the text is no such thing."""
        if [each for each in found if each.concept not in ("phone", "mode_value")] or _head_looks(text):
            return None
        states = [m["on"] is not None for m in _MARKER.finditer(text)]
        if "phone" in context.focus[-1:] and not states and re.match(r"(?:power|turn|start|boot|switch)\b", strip_fillers(text)):
            states = _power_states(text)
        states = [state for i, state in enumerate(states) if i == 0 or states[i - 1] != state]
        toggles = _TOGGLE.search(text) is not None
        short = re.search(r"\b(?:it|them|that|this|these|those|both|setting|switch|feature|one|option|mode)\b|^\W*(?:\w+ )?(?:back |again )*(?:on|off)\b", text)
        brief = len(re.findall(r"\w+", text)) <= 3 and not re.match(r"(?:stop|leave|cancel|end|quit|close|drop)\b", strip_fillers(text))
        if not (states or toggles) or not (short or brief):
            return None
        several = re.search(r"\b(?:them|both|these|those)\b", text) is not None
        targets = [each for each in context.focus if each in SWITCHES]
        if not targets and "phone" in context.focus and states:
            return self._power(states)
        if not targets:
            self.missing.append("object")
            return []
        acts: list[Act] = []
        for target in targets if several else targets[-1:]:
            acts += self._switch(text, Found(target, 0, 0, target), states)
        return acts

    def _power(self, states: list[bool]) -> list[Act]:
        return [Act("call", "reboot_device")] if states[:2] == [False, True] else [Act("power", state=states[0])]

    def _only_navigates(self, text: str) -> bool:
        words = strip_fillers(text)
        if re.match(r"(?:open|load|visit|launch|access|brows)", words) and any(each.concept == "internet" for each in find_concepts(text)):
            return False
        return re.match(
            r"(?:go(?:ing)?|open(?:ing)?|navigat(?:e|ing)|head|scroll|swipe|tap|press|click|select|choose|find|locate|enter|access|expand|drag|launch|wait|hold|pull (?:down|up)|keep|leave|stay)\b",
            words,
        ) is not None

    # --- ensuring -----------------------------------------------------------------------------------

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
        if "permissions" in concepts or ("app" in concepts and permission_names(text)):
            return self._ensured_permissions(text)
        if concepts & {"network_mode", "mode_value"} and (mode := self._mode_wanted(text)):
            condition = Condition("mode", (mode,), negated=True)
            self._mention(text, found)
            return [Act("call", "set_network_mode_preference", (("mode", mode),), conditions=(condition,))]
        return self.readings(text)

    def _mode_wanted(self, text: str) -> str | None:
        text = re.sub(r"\b(?:is|are|be) (?:set|configured|switched) to\b", "to", text)
        return network_mode(text, [each for each in find_concepts(text) if each.concept == "mode_value"])

    def _ensured_switches(self, text: str, found: list[Found]) -> list[Act]:
        acts = []
        switches = [each for each in found if each.concept in SWITCHES]
        if not switches and re.search(r"\b(?:it|it's|that|that's|they|they're|this)\b", text):
            switches = [Found(each, 0, 0, each) for each in self.context.focus if each in SWITCHES][-1:]
        state: bool | None = None
        for number, each in enumerate(switches):
            following = switches[number + 1].start if number + 1 < len(switches) else len(text)
            window = text[each.end : following] if _state_of(text[each.end : following]) is not None else text
            state = _state_of(window) if _state_of(window) is not None else state
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


def _plain(reading: tuple[str, tuple[str, ...]]) -> tuple[str]:
    return (reading[0],)


def _power_states(text: str) -> list[bool]:
    """Return whether a text turns the phone on or off, in order."""
    words = re.finditer(r"\b(?:on|up)\b(?! your| the)|\b(?:off|down)\b|\b(?:turn|power|switch|start|boot)\w* (?:\w+ )?(?P<on>on|up)\b", text)
    return [found["on"] is not None or found[0] in ("on", "up") for found in words]


def patterns_repeat(text: str) -> bool:
    """Whether a text asks to do the last thing again."""
    return lexicon().patterns["repeat_talk"].search(text) is not None


def _head_looks(text: str) -> bool:
    """Whether the verb of a request is one of looking."""
    words = strip_fillers(text)
    if re.match(r"(?:show|check the box|give|provide|let|pull|access|state|report)\b", words) and _MARKER.search(words):
        return False
    head = lexicon().bases["check"].match(words)
    return head is not None and not re.match(r"(?:give|provide|take a moment|access)\b", words)


def _looks(text: str) -> bool:
    words = strip_fillers(text)
    known = lexicon().bases
    return any(known[family].match(words) for family in ("check", "run", "send")) or (
        re.match(r"(?:open(?:ing)?|load(?:ing)?|brows(?:e|ing)|go(?:ing)? online|visit(?:ing)?|surf(?:ing)?|plac(?:e|ing)|mak(?:e|ing)|call|get me|us(?:e|ing)|access(?:ing)?)\b", words) is not None
    )


def permission_names(text: str) -> tuple[str, ...]:
    """Return the permissions that a text names, in the order in which it names them."""
    hits = [(found.start(), name) for name, pattern in _PERMISSION_NAMES if (found := re.search(pattern, text))]
    if not re.search(r"permission|access|grant|allow|\bapp\b|both", text) and not re.match(r"\W*(?:sms|storage)", text):
        return ()
    return tuple(name for _, name in sorted(hits))


def app_name(text: str) -> str | None:
    """Return the app that a text names."""
    if re.search(r"\b(?:messaging|messages?|texting|text|sms|mms) app|\bmessaging\b(?! app)|\bmessages\b(?= (?:app|has|have|permission))|app_name\W+messaging", text):
        return "messaging"
    if re.search(r"\b(?:web |internet )?browser\b|\binternet app\b", text):
        return "browser"
    named = re.search(r"\b(camera|gallery|photos?|chrome|whatsapp|facebook|instagram|youtube|maps?|mail|email|spotify|twitter|tiktok|phone|dialer) app\b", text)
    return named[1] if named else None


def apn_settings(text: str) -> dict[str, Any]:
    """Return the APN settings that a text spells out."""
    settings: dict[str, Any] = {}
    joint = r"(?: name| url| address| field| value| setting)?(?: should be| must be| is| to| as)?\W{0,4}"
    if found := re.search(rf"\bapn(?: settings)?{joint}\b(internet|broken)\b", text):
        settings["apn_name"] = found[1]
    if found := re.search(r"(https?://[^\s,;\"')]+)", text):
        settings["mmsc_url"] = found[1].rstrip(".")
    if found := re.search(r"\bport\b\D{0,12}(\d{2,5})\b", text):
        settings["mms_port"] = int(found[1])
    if found := re.search(r"\bproxy\b(?: address| url)?(?: should be| is| to| as)?\W{0,4}(\d[\d.]+\d|[a-z][\w-]*\.[\w.-]*\w)", text):
        settings["mms_proxy"] = found[1]
    if found := re.search(r"\bmms apn(?: name)?(?: should be| is| to| as)?\W{0,4}(\w+)", text):
        settings["mms_apn"] = found[1]
    return settings


def network_mode(text: str, values: list[Found]) -> str | None:
    """Return the network mode a text asks for."""
    wanted = [v for v in values if not re.search(r"\b(?:from|instead of|not|rather than|than|of|currently|is on|is set to)\s*(?:only )?$", text[: v.start])]
    if len(wanted) > 1 and (target := [v for v in wanted if re.search(r"\b(?:to|on|onto|choose|select|use|prefer)\s*(?:the )?$", text[: v.start])]):
        wanted = target if len(target) == 1 and not re.search(r"\b(?:or|and|/)\s*$", text[: target[0].start]) else wanted
    names = {_mode_name(each.text, text[each.end :]) for each in wanted}
    if len(names) == 1:
        return next(iter(names))
    if "4g_5g_preferred" in names:
        return "4g_5g_preferred"
    if names:
        best = [each for each in ("4g_only", "3g_only", "2g_only") if each in names]
        return "4g_5g_preferred" if re.search(r"\b(?:at least|or (?:higher|better|above)|higher|minimum)\b", text) else best[0]
    if re.search(r"\b(?:fast\w*|highest|best|automatic\w*|auto|newe\w+|latest|optimal|higher|recommended|default|modern)\b", text):
        return "4g_5g_preferred"
    return None


def _mode_name(value: str, after: str) -> str:
    if "5g" in value or "auto" in value or ("preferred" in value and "4g" not in value):
        return "4g_5g_preferred"
    if re.match(r"\W*(?:or (?:higher|better|above)|\+|and (?:above|higher))", after):
        return "4g_5g_preferred"
    return {"2": "2g_only", "3": "3g_only"}.get(value[0], "4g_only")


def _state_of(text: str) -> bool | None:
    """Return whether a text says on or off, with negation."""
    patterns = lexicon().patterns
    off, on = patterns["state_off"].search(text), patterns["state_on"].search(text)
    negated = patterns["negated_state"].search(text) is not None
    if off and not (on and on.start() < off.start() and not negated):
        plain = re.search(r"\b(?:off|disabled|inactive|deactivated|disconnected|missing|absent)\b", text)
        return negated if plain and negated and re.search(r"(?:not|n't|no longer) (?:\w+ )?(?:off|disabled|inactive|disconnected)", text) else False
    if on:
        return not negated
    return None


_SIM_STATES = (("missing", r"\b(?:missing|not detected|isn't detected|undetected|none|no sim|absent|not inserted|not (?:properly |correctly )?(?:seated|inserted|found|recognized|recognised)|isn't (?:inserted|found|there)|not there|unseated|loose|n't detected|not present)\b"),
               ("locked", r"\b(?:locked|pin|puk)\b"), ("active", r"\b(?:active|working|fine|ok|okay|good|detected|present|inserted|ready|unlocked|properly)\b"))  # fmt: skip


def find_condition(text: str, marker: str, context: Context, found: list[Found] | None = None) -> Condition:
    """Return the condition that a clause states; its fact is `?` if it was not understood."""
    condition = _condition(text.strip(" ,.?!"), context, find_concepts(text) if found is None else found)
    return replace(condition, negated=not condition.negated) if marker.startswith("unless") else condition


def _condition(text: str, context: Context, found: list[Found]) -> Condition:
    last = context.condition
    if last and re.match(r"(?:so|yes|it's|it is|it does|they are|they're|it has|that's (?:the case|true|so|right)|that is (?:the case|so)|true|you do|you are|you have|there's|you can|this is the case)$", text):
        return last
    if last and re.match(r"(?:not|no|it isn't|it's not|it doesn't|it hasn't|they aren't|false|you don't|you can't|you aren't|you're not|that's not(?: the case)?|there isn't|none|it can't|you haven't)$", text):
        return replace(last, negated=not last.negated)
    if re.search(r"\bexcellent\b", text) and (condition := _speed_condition(text)):
        return condition
    if re.search(r"\b(?:abroad|overseas|travel|traveling|outside)\b", text) and "you" in text:
        return Condition("abroad", negated=re.search(r"\bnot\b|n't\b", text) is not None)
    for each in found:
        if condition := _condition_on(each, text):
            return condition
    if found and found[0].concept not in ("phone", "agent_data", "line_roaming", "internet", "app"):
        return Condition("?")
    return _condition_without_object(text, context)


def _condition_without_object(text: str, context: Context) -> Condition:
    focus = [each for each in reversed(context.focus) if each in (*SWITCHES, "sim", "network_mode", "apn", "permissions")]
    pronoun = re.match(r"(?:it|it's|that|that's|this|they|they're|the \w+|you see (?:it|that)|you (?:find|notice|see|have) (?:it|that|one)|one|one's|there's one|there's|any)\b|(?:on|off|enabled|disabled|missing|locked|active|connected|already)\b", text)
    for each in focus if pronoun else ():
        if condition := _condition_on(Found(each, 0, 0, each), text):
            return condition
    works = re.search(r"\b(?:work\w*|help\w*|fix\w*|resolv\w*|solv\w*|success\w*|do(?:es)? the trick|improv\w*|restor\w*|fine|good|better)\b", text)
    fails = re.search(r"\b(?:fail\w*|persist\w*|continu\w*|remain\w*|nothing|same|no luck|unsuccessful|still (?:have|see|experience|happen|there|having|seeing)|issue|problem|error)\b", text)
    negated = re.search(r"\bnot\b|n't\b|\bno\b", text) is not None
    if works:
        return Condition("goal", negated=negated)
    return Condition("goal", negated=not negated) if fails else Condition("?")


def _condition_on(each: Found, text: str) -> Condition | None:
    concept = each.concept
    if concept in SWITCHES and (concept != "data" or not re.search(r"\bwork", text)):
        state = _state_of(text)
        if state is None and concept in ("vpn", "airplane", "saver", "wifi_calling") and re.search(r"\b(?:see|using|use|in|have|there's|is there|shows?|running|a vpn|any)\b", text):
            state = re.search(r"\bnot\b|n't\b|\bno\b", text) is None
        return None if state is None else Condition(concept, (state,))
    reader = _CONDITIONS.get(concept)
    return reader(text) if reader else None


def _sim_condition(text: str) -> Condition | None:
    state = next((name for name, pattern in _SIM_STATES if re.search(pattern, text)), None)
    if state == "active" and re.search(r"\bnot\b|n't\b|\bno\b", text):
        return Condition("sim", ("active",), negated=True)
    negated = state != "active" and re.search(r"\b(?:isn't|not|wasn't) (?:missing|locked)\b", text) is not None
    return Condition("sim", (state,), negated=negated) if state else None


def _signal_condition(text: str) -> Condition | None:
    none = re.search(r"\b(?:no|not|without|still no|zero|lost)\b|n't\b", text) is not None
    if re.search(r"airplane", text):
        return Condition("airplane", (not none,))
    return Condition("signal", ("none",), negated=not none)


def _speed_condition(text: str) -> Condition | None:
    negated = re.search(r"\b(?:not|isn't|below|less|under|anything other|other than|lower|slower|worse)\b|n't\b", text) is not None
    if "excellent" in text or re.search(r"\bfast\b|\bfine\b", text):
        return Condition("speed", ("excellent",), negated=negated)
    if re.search(r"\b(?:no connection|fails?|failed|n't work|no internet|nothing)\b", text):
        return Condition("speed", ("no connection",))
    if re.search(r"\b(?:slow|poor|bad|low|fair|good|improv|same|still)\b", text):
        good = re.search(r"\b(?:improv\w*|good)\b", text) is not None and not negated
        return Condition("speed", ("excellent",), negated=not good)
    return Condition("speed", ("excellent",), negated=True) if negated else None


def _mms_condition(text: str) -> Condition | None:
    fails = re.search(r"\bnot\b|n't\b|\b(?:fail\w*|unable|still no|cannot|problem|issue)\b", text) is not None
    return Condition("mms", (not fails,))


def _mode_condition(text: str) -> Condition | None:
    negated = re.search(r"\b(?:not|isn't|anything other|other than)\b|n't\b|doesn't include", text) is not None
    values = tuple(dict.fromkeys(_mode_name(e.text, text[e.end :]) for e in find_concepts(text) if e.concept == "mode_value"))
    if values:
        return Condition("mode", values, negated=negated)
    if re.search(r"\b(?:old\w*|slow\w*|low\w*)\b", text):
        return Condition("mode", ("2g_only", "3g_only"))
    return None


def _technology_condition(text: str) -> Condition | None:
    if re.search(r"\bprefer|\bset\b|\bmode\b|\binclud", text):
        return _mode_condition(text)
    values = tuple(dict.fromkeys(v.upper().replace("LTE", "4G") for v in re.findall(r"\b(?:[2-5]g|lte)\b", text)))
    return Condition("technology", values, negated=re.search(r"\bnot\b|n't\b", text) is not None) if values else None


def _apn_condition(text: str) -> Condition | None:
    bad = re.search(r"\b(?:not|missing|blank|empty|no|none|broken|wrong|incorrect|unset|absent|n't|lacks?|without|differ\w*)\b|n't\b", text) is not None
    if "mmsc" in text or re.search(r"\b(?:missing|blank|empty|not set|unset)\b", text):
        return Condition("mmsc", (not bad,))
    if re.search(r"\binternet\b", text):
        return Condition("apn", ("internet",), negated=bad)
    return Condition("apn", ("internet",), negated=True) if bad else None


def _permission_condition(text: str) -> Condition | None:
    app = app_name(text) or "messaging"
    names = permission_names(f"{text} permission") or ("sms", "storage")
    lacking = re.search(r"\bnot\b|n't\b|\b(?:missing|lacks?|lacking|without|denied|off|disabled|no|absent)\b", text) is not None
    return Condition(f"permissions/{app}", names, negated=lacking)


def _payment_condition(text: str) -> Condition | None:
    return Condition("payment", (re.search(r"\bnot\b|n't\b|\bno\b", text) is None,))


_CONDITIONS: dict[str, Any] = {
    "sim": _sim_condition,
    "status_bar": _signal_condition,
    "network_status": lambda text: _technology_condition(text) or _signal_condition(text),
    "speed": _speed_condition,
    "internet": lambda text: Condition("speed", ("no connection",), negated=re.search(r"\bnot\b|n't\b|\bno\b", text) is None),
    "data": lambda text: Condition("speed", ("no connection",), negated=re.search(r"\bnot\b|n't\b|\bno\b", text) is None),
    "mms": _mms_condition,
    "network_mode": _mode_condition,
    "mode_value": _technology_condition,
    "apn": _apn_condition,
    "permissions": _permission_condition,
    "payment": _payment_condition,
}

assert FACT_TOOLS.keys() >= {"airplane", "signal"}
