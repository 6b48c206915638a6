"""Meaning: what an agent's message asks of the person with the phone.

`understand` turns a message into an `Understanding`: things to do, in order and with their conditions; things only
suggested or asked about; questions about the person; and moves of the conversation. It changes nothing and knows
nothing about the phone. What is negated, hypothetical, past or the agent's own business asks for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from telegym.agents.users.acts import Act, Condition, Context
from telegym.agents.users.concepts import find_concepts
from telegym.agents.users.conditions import state_of
from telegym.agents.users.language import Clause, Sentence, normalise, sentences, strip_fillers
from telegym.agents.users.lexicon import grammar, grammar_table, lexicon
from telegym.agents.users.operations import GOAL_TOOLS, Operations
from telegym.agents.users.readings import TESTS

__all__ = ["Consent", "Understanding", "understand"]

_LONGEST = 8000
_CONTRACT = ("refuel", "plan", "pay", "transfer", "suspend")
_HARD_TOPICS = ("name", "phone_number", "date_of_birth", "customer_id")
_AMOUNT_WORDS = {"one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "ten": 10.0, "half a": 0.5, "a": 1.0}


@dataclass(frozen=True)
class Consent:
    """A question for the customer's agreement."""

    topic: str
    """`refuel`, `plan`, `pay`, `transfer`, `suspend`, `carrier`, `unclear` (whatever was proposed) or `unknown`."""
    amount: float | None = None
    """Gigabytes offered, or None if none, or more than one, were named."""


@dataclass
class Understanding:
    """What a message asks."""

    acts: list[Act] = field(default_factory=list)
    """Requests, in order."""
    suggestions: list[Act] = field(default_factory=list)
    """Things that were only hinted at: worth asking back."""
    past: list[Act] = field(default_factory=list)
    """Things the agent asks whether they have been tried."""
    declined: bool = False
    """Whether something was said not to be done."""
    topics: list[str] = field(default_factory=list)
    """Questions about the person that a scenario may answer."""
    unknown: list[str] = field(default_factory=list)
    """Questions no scenario answers."""
    consents: list[Consent] = field(default_factory=list)
    """Questions for agreement."""
    mentioned: list[str] = field(default_factory=list)
    """Matters of the contract that were mentioned, for a later "do you agree?"."""
    amount: float | None = None
    """Gigabytes mentioned in an offer."""
    unsupported: list[str] = field(default_factory=list)
    """Requests that no tool of the phone meets."""
    missing: list[str] = field(default_factory=list)
    """What a request left open: `object`, `mode`, `app`, `permission` or `apn`."""
    unclear_question: bool = False
    """Whether a question was not understood."""
    claim: bool = False
    """Whether the agent says that the problem is solved."""
    farewell: bool = False
    """Whether the agent says goodbye, or asks whether there is anything else."""
    transfer: bool = False
    """Whether the agent announces a transfer to a human."""
    affirm: bool = False
    """Whether the message agrees with something the user asked."""
    deny: bool = False
    """Whether the message rejects something the user asked."""
    explains: bool = False
    """Whether it explains a technical term."""
    reassures: bool = False
    """Whether it says that nothing will be lost."""
    context: Context = field(default_factory=Context)
    """What the next message may refer to."""


def understand(text: str, context: Context) -> Understanding:
    """Return what a message asks, given what was talked about before; nobody listens to more than a few pages."""
    return _Reader(text[:_LONGEST], context).read()


class _Reader:
    """Reads one message, sentence by sentence."""

    def __init__(self, text: str, context: Context) -> None:
        self._lexicon = lexicon()
        self._patterns = self._lexicon.patterns
        self._text = normalise(text)
        self._sentences = sentences(text)
        self._operations = Operations(context, self._text)
        self._result = Understanding()
        self._header: str | None = None
        self._conditions: tuple[Condition, ...] = ()
        self._condition_text: tuple[str, str] | None = None
        self._mood = ""
        self._mood_text = ""
        self._last_text = ""
        self._looked = False
        self._sentence_start = 0

    def read(self) -> Understanding:
        """Read everything."""
        result = self._result
        for number, sentence in enumerate(self._sentences):
            self._moves(sentence, number)
            self._sentence(self._inherit_header(sentence))
        result.explains = self._patterns["explains"].search(self._text) is not None
        result.reassures = self._patterns["reassures"].search(self._text) is not None
        if result.affirm and result.suggestions and not result.acts:
            result.acts, result.suggestions = result.suggestions, []
        result.acts = _tidy(result.acts, GOAL_TOOLS[self._operations.context.family])
        result.missing = list(dict.fromkeys(self._operations.missing))
        result.context = self._operations.context
        self._close_consents()
        return result

    # --- the conversation ---------------------------------------------------------------------------

    def _moves(self, sentence: Sentence, number: int) -> None:
        result, patterns = self._result, self._patterns
        result.transfer |= self._announces_transfer(sentence)
        bare = sentence.text.strip()
        if number < 2 and patterns["deny"].search(bare):
            result.deny = True
        elif number < 2 and (patterns["affirm"].search(bare) or patterns["insist"].search(bare)):
            result.affirm = True
            self._insists(sentence)
        if grammar("asks_to_confirm").search(bare) and re.search(r"\$ ?\d|\d ?gb\b", self._text):
            result.consents.append(Consent("unclear", self._offer(self._text)))
        result.farewell |= patterns["farewell"].search(bare) is not None
        result.claim |= (not sentence.question or sentence.tagged) and self._is_claim(bare)

    def _insists(self, sentence: Sentence) -> None:
        """Read "have you tried restarting? Please do so now"."""
        result = self._result
        if result.past and not result.acts and not sentence.question:
            result.acts, result.past = [act for act in result.past if act.writes], []

    def _announces_transfer(self, sentence: Sentence) -> bool:
        patterns = self._patterns
        if sentence.question or patterns["transfer_condition"].search(sentence.text):
            return False
        pieces = re.split(r"[,;] |\b(?:so|but|therefore)\b", sentence.text)
        for each in pieces:
            found = patterns["transfer"].search(each)
            if found and not patterns["transfer_guard"].search(each[: found.end()]):
                return True
        return False

    def _is_claim(self, text: str) -> bool:
        if grammar("no_claim").search(text):
            return False
        found = self._patterns["claims"].search(text)
        return found is not None and not re.match(r"\W*(?:please|can|could|would|may)\b", text)

    # --- sentences and clauses ----------------------------------------------------------------------

    def _inherit_header(self, sentence: Sentence) -> Sentence:
        """Give an item without a verb the verb of the line that announces the list."""
        if not sentence.bullet:
            if not sentence.header and sentence.text:
                self._header = None
            return sentence
        words = strip_fillers(sentence.text)
        starts = self._lexicon.bases["any"].match(words) or any(
            pattern.match(words) for mood, pattern in self._lexicon.frames if mood != "keep"
        )
        verbless = not any(self._lexicon.bases["any"].match(strip_fillers(c.text)) for c in sentence.clauses)
        if self._header and not starts and verbless and not self._patterns["has_verb"].search(words):
            again = sentences(f"{self._header} {words}")
            return replace(again[0], question=sentence.question) if again else sentence
        return sentence

    def _sentence(self, sentence: Sentence) -> None:
        self._conditions = ()
        self._condition_text = None
        self._mood, self._mood_text, self._looked = "", "", False
        self._topics_of_contract(sentence)
        self._operations.new_sentence()
        self._sentence_start = len(self._result.acts)
        if acts := self._same_as_before(sentence):
            self._add(acts)
            return
        clauses = list(sentence.clauses)
        for index, clause in enumerate(clauses):
            self._clause(sentence, clauses, index, clause)
        if sentence.header:
            self._header = _header_verb(sentence.text)

    def _same_as_before(self, sentence: Sentence) -> list[Act]:
        """Read a sentence that says little by itself: "and roaming too", "off again", "and now?"."""
        text = sentence.text.strip(" .!?;,")
        last = self._operations.context.last
        if sentence.question and grammar("and_now").match(text) and self._operations.context.last_read:
            return [Act("repeat")]
        if not (sentence.question or sentence.bullet):
            if acts := self._operations.terse(text, alone=len(self._sentences) == 1):
                return acts
            again = grammar("again_on_off").match(text)
            if again and last is not None and last.do == "set":
                return [replace(last, state=again["state"] == "on", conditions=())]
        same = grammar("same_for").match(text)
        rest = text[same.end() :] if same else text
        if not (same or grammar("more_of_it").search(rest)) or not _only_names(rest):
            return []
        return self._operations.same_for(rest, sentence.question and not same)

    def _clause(self, sentence: Sentence, clauses: list[Clause], index: int, clause: Clause) -> None:
        if clause.kind == "reason" and self._mood == "request" and self._names_mode(clause.text):
            del self._operations.missing[:]
            self._add(self._operations.actions(f"set the network mode to {clause.text}"))
        elif clause.kind in ("reason", "before"):
            self._operations.note(clause.text, topic=index == 0)
            self._outcome(clause)
            if clause.kind == "before" and index == 0 and clause.marker.startswith(("until", "till")):
                self._mood = "negative"
        elif clause.kind == "condition" and index and grammar("what_if").match(clauses[0].text + " " + clause.text):
            self._add(self._operations.readings(clause.text))
        elif clause.kind == "condition":
            self._condition(clauses, index, clause)
        elif clause.kind == "otherwise":
            self._otherwise(sentence, clause)
        elif clause.kind == "after":
            self._after(sentence, clauses, index, clause)
        elif index and clauses[index - 1].kind == "before" and clause.link == "and":
            self._operations.note(clause.text)
        else:
            self._main(sentence, clause)

    def _names_mode(self, text: str) -> bool:
        named = any(found.concept == "mode_value" for found in find_concepts(text))
        return named and grammar("prefers").match(text) is not None

    def _outcome(self, clause: Clause) -> None:
        """Read "toggle it so that it is off"."""
        acts, state = self._result.acts, state_of(clause.text)
        if clause.marker == "so that" and state is not None and acts and acts[-1].do == "toggle":
            acts[-1] = replace(acts[-1], do="set", state=state)

    def _condition(self, clauses: list[Clause], index: int, clause: Clause) -> None:
        condition = self._operations.condition(clause.text, clause.marker)
        self._condition_text = (clause.text, clause.marker)
        self._operations.note(clause.text)
        follows = any(
            later.kind == "main"
            and strip_fillers(later.text)
            and (later.link != "and" or index == 0 or self._asks(later))
            for later in clauses[index + 1 :]
        )
        before = clauses[index - 1] if index else None
        if before is not None and not clause.link and before.kind == "main" and self._asks(before):
            follows = False  # "turn it off if it is on, and …": only what goes before depends on it
        if follows or index == 0:
            self._conditions = (condition,)
        elif self._result.acts and condition.fact == "?":
            last = self._result.acts.pop()
            self._result.suggestions += [last] if last.writes else []
        elif self._result.acts:
            self._result.acts[-1] = replace(
                self._result.acts[-1], conditions=(*self._result.acts[-1].conditions, condition)
            )
        self._operations.remember(condition)

    def _asks(self, clause: Clause) -> bool:
        mood, rest, _ = self._mood_of(clause.text, False)
        return mood == "check" or (mood in ("request", "ensure") and bool(rest))

    def _otherwise(self, sentence: Sentence, clause: Clause) -> None:
        last = self._operations.context.condition
        if last is not None:
            self._conditions = (replace(last, negated=not last.negated),)
        if clause.text:
            self._main(sentence, Clause("main", clause.text, ","))

    def _after(self, sentence: Sentence, clauses: list[Clause], index: int, clause: Clause) -> None:
        """Read "once you have restarted, …": the action is presupposed if what follows is a request."""
        if index and sentence.question and grammar("asks_when").search(clauses[index - 1].text):
            self._operations.note(clause.text)
            return
        if clause.marker.startswith("when") and grammar("later_on").search(clause.text):
            self._conditions = (Condition("?"),)
            self._puts_off(index)
            return
        text = grammar("you_have").sub("", clause.text)
        done = (
            text != clause.text or self._lexicon.bases["gerund"].match(text) or self._lexicon.bases["past"].match(text)
        )
        if self._awaits_request(clauses, clause):
            self._add([Act("read", "check_payment_request")])
            return
        if (notices := grammar("notices_that").match(clause.text)) and len(clauses) > 1:
            self._condition(clauses, index, replace(clause, text=clause.text[notices.end() :]))
            return
        if grammar("when_you_look").match(clause.text):
            self._add(self._operations.readings(clause.text))
            return
        others = [other for other in clauses if other is not clause and other.kind == "main"]
        if done and any(self._asks(other) for other in others):
            acts = [act for act in self._operations.actions(text) if act.writes]
            position = len(self._result.acts) if index == 0 else max(0, len(self._result.acts) - 1)
            self._result.acts[position:position] = [replace(act, presupposed=True) for act in acts]
            return
        if grammar("others_do").search(clause.text):
            self._conditions = (Condition("?"),)
        elif self._operations.condition(clause.text, clause.marker).fact not in ("?", "goal"):
            self._condition(clauses, index, clause)
        else:
            self._operations.note(clause.text)

    def _puts_off(self, index: int) -> None:
        """Take back what the sentence asked before it said that this is for later."""
        if index:
            later = self._result.acts[self._sentence_start :]
            self._result.suggestions += [act for act in later if act.writes]
            del self._result.acts[self._sentence_start :]

    def _awaits_request(self, clauses: list[Clause], clause: Clause) -> bool:
        """Whether it is "let me know once you have received it", of a payment request."""
        if "payment" not in self._operations.context.focus or not grammar("received").search(clause.text):
            return False
        return not any(self._writes(other) for other in clauses if other is not clause)

    # --- one clause ---------------------------------------------------------------------------------

    def _mood_of(self, text: str, question: bool) -> tuple[str, str, str]:
        """Return the mood of a clause, what is left of it, and the words that gave the mood."""
        rest, mood, framing = strip_fillers(text), "", ""
        for _ in range(6):
            found = next(((m, p.match(rest)) for m, p in self._lexicon.frames if p.match(rest)), None)
            if found is None or found[1] is None:
                break
            mood = _stronger(mood, found[0])
            framing += f" {found[1][0]}"
            rest = strip_fillers(rest[found[1].end() :])
            if found[0] in ("statement", "nothing", "keep"):
                break
        mood = mood or self._plain_mood(rest, text, question)
        if mood in ("request", "check", "ensure") and grammar("not_now").search(text):
            mood = "maybe"
        return mood, rest, framing

    def _plain_mood(self, rest: str, text: str, question: bool) -> str:
        known = self._lexicon
        if re.match(known.patterns["question_start"].pattern, rest) and (
            question or not known.bases["any"].match(rest)
        ):
            return "question"
        if known.bases["any"].match(rest):
            return "statement" if grammar("verb_as_noun").match(rest) else "request"
        if self._patterns["passive_need"].search(rest):
            return "suggestion"
        if question:
            return "question"
        if re.search(r"\bplease\b", text) and not self._patterns["has_verb"].search(rest):
            return "fragment"
        return "" if rest else "empty"

    def _main(self, sentence: Sentence, clause: Clause) -> None:
        if clause.marker == "to" and self._mood in ("consent", "maybe", "past", "suggestion", "negative"):
            self._operations.note(clause.text)
            return
        if re.match(r"(?:please )?only\b", clause.text) and any(each.kind == "after" for each in sentence.clauses):
            self._keep(sentence, clause, clause.text)
            return
        mood, rest, framing = self._mood_of(clause.text, sentence.question)
        if clause.marker == "to" and mood in ("request", "question"):
            mood = "check"
        if mood == "negative" and sentence.question and re.match(r"\W*you haven't", framing):
            mood = "past"
        relative = mood == "question" and rest.startswith("which") and clause.link == "," and not sentence.question
        if relative and self._mood not in ("check", "request"):
            mood = "statement"
        mood = self._inherited(mood, framing, clause)
        self._mood, self._mood_text = mood or "statement", framing or clause.text[:40]
        self._last_text = clause.text
        if grammar("go_ahead_with").search(framing):
            rest = f"proceed with {rest}"
        self._operations.has_acts = bool(self._result.acts)
        before, open_questions = len(self._result.acts), len(self._operations.missing)
        getattr(self, f"_{mood or 'statement'}")(sentence, clause, rest)
        if mood not in ("request", "fragment", "ensure", "check"):
            del self._operations.missing[open_questions:]
        if clause.marker == "to" and self._sentence_start < before and self._result.acts[before - 1].tool in TESTS:
            known = [act for act in self._result.acts[before:] if act.do == "read" and act.tool not in TESTS]
            self._result.acts[before:] = known
        new = self._result.acts[before:]
        if clause.link == "but" and re.match(r"first\b", clause.text) and new:
            self._result.acts[self._sentence_start :] = [*new, *self._result.acts[self._sentence_start : before]]
        self._looked = bool(new) and mood in ("request", "question") and all(act.do == "read" for act in new)

    def _inherited(self, mood: str, framing: str, clause: Clause) -> str:
        """Let a bare verb after "and" or "or" share the mood of the clause before."""
        if (
            mood == ""
            and clause.link in ("and", "or", ",", "but")
            and (self._mood in ("ensure", "check") or self._looked)
        ):
            return "ensure" if self._mood == "ensure" else "check"
        if mood == "check" and clause.link in ("and", "then") and self._mood == "statement":
            first = grammar("first_person").match(self._mood_text.strip()) is not None
            if first and re.match(r"we\b", strip_fillers(clause.text)):
                return "statement"  # "I'll add it, and then we'll test again"
        explicit = framing.strip() or re.search(r"\bplease\b", clause.text)
        if mood != "request" or explicit or not clause.link or not self._mood:
            return mood
        if self._mood in ("negative", "keep"):
            shares = clause.link in ("or", "nor") or (clause.link == "and" and self._writes(clause))
        elif self._mood in ("maybe", "past", "consent", "suggestion"):
            shares = clause.link in ("and", "or", ",", "then")
        elif self._mood == "question":
            shares = clause.link == "or"
            if clause.link == "and" and self._writes(clause):
                return "maybe"
        elif self._mood == "statement" and self._goes_on_in_past(clause):
            shares = True
        elif self._mood == "statement":
            first = grammar("first_person").match(self._mood_text.strip()) is not None
            takes_base = grammar("takes_base_verb").search(self._mood_text) is not None
            shares = takes_base and (clause.link in ("and", "or", ",") or (first and clause.link == "then"))
            if not shares and clause.link in ("and", "or") and self._writes(clause):
                return "maybe"  # "the line is fine and reboot": too odd to act upon
        else:
            shares = False
        return self._mood if shares else mood

    def _goes_on_in_past(self, clause: Clause) -> bool:
        """Whether it goes on telling, as in "we turned it off, reset the APN settings and …"."""
        ambiguous = grammar("same_in_past").match(strip_fillers(clause.text)) is not None
        return ambiguous and self._lexicon.bases["past"].search(self._last_text) is not None

    def _writes(self, clause: Clause) -> bool:
        return any(act.writes for act in Operations(self._operations.context, self._text).actions(clause.text))

    # --- one method for each mood -------------------------------------------------------------------

    def _request(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        if self._personal(sentence, rest, request=True) or self._is_offer(rest) or self._is_hint(rest):
            return
        acts = self._operations.actions(rest)
        if not acts and not self._lexicon.bases["any"].match(rest) and not self._lexicon.bases["gerund"].match(rest):
            acts = self._operations.named(rest, clause.text)
        self._add(acts)
        unsure = any(condition.fact == "?" for condition in self._conditions)
        if (
            not acts
            and not sentence.header
            and not unsure
            and not self._operations.missing
            and self._operations.is_strange(rest)
        ):
            self._result.unsupported.append(rest)

    def _is_offer(self, rest: str) -> bool:
        """Whether a request is about the contract, as in "you can refuel data or change your plan"."""
        return bool({"refuel", "plan"} & set(self._contract_topics(rest, strict=True)))

    def _is_hint(self, rest: str) -> bool:
        """Whether it says what to look for in something that is going to be looked at."""
        return bool(self._result.acts) and re.match(r"(?:look|watch|search) (?:out )?for\b", rest) is not None

    def _fragment(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        if not self._personal(sentence, rest, request=True):
            acts = self._operations.actions(rest, fragment=True)
            self._add(acts or self._operations.readings(rest))

    def _ensure(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        way = grammar("by_doing").search(rest)
        if way:
            self._operations.note(rest[: way.start()])
        acts = self._operations.actions(rest[way.end() :]) if way else []
        self._add(acts or self._operations.ensured(rest))

    def _check(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        if grammar("that_you_have").match(rest):
            found = self._operations.actions(grammar("until_you_have").sub("", rest))
            if any(act.writes for act in found):
                self._result.past += found
                return
        if grammar("offers_help").match(rest):
            return
        if self._personal(sentence, rest, request=True):
            return
        acts = self._operations.readings(rest, f"{clause.text}")
        if not acts and self._conditions:
            self._result.acts += self._operations.looks_at(self._conditions)
        self._add(acts)

    def _question(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        if grammar("definition").match(rest):
            self._operations.note(rest)
            return
        if self._personal(sentence, rest, request=False):
            return
        acts = self._operations.readings(rest, clause.text)
        self._add(acts)
        if (
            not acts
            and sentence.question
            and not _is_rhetorical(rest)
            and not (self._result.claim or self._result.farewell)
        ):
            unknown = [name for name, pattern in self._lexicon.unknown_topics.items() if pattern.search(rest)]
            self._result.unknown += unknown
            self._result.unclear_question |= not unknown and len(sentence.clauses) == 1

    def _consent(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        if grammar("may_i_have").match(rest) and self._personal(sentence, rest, request=True):
            return
        if self._offer(sentence.text) is not None and not self._lexicon.person["plan"].search(sentence.text):
            self._result.consents.append(Consent("refuel", self._offer(sentence.text)))
            return
        if re.match(r"with\b", rest) and self._patterns["goal_talk"].search(clause.text):
            self._add([Act("goal")])
            return
        acts = self._operations.actions(rest)
        if acts and not self._contract_topics(rest, strict=True):
            self._result.suggestions += [act for act in acts if act.writes]
            self._add([act for act in acts if not act.writes])
            return
        plain = not rest or grammar("harmless_consent").match(rest) or re.search(r"\b(?:this|that|it|these)\b", rest)
        found = self._contract_topics(clause.text, strict=False) or ["unclear" if plain else "unknown"]
        if found == ["unknown"] and "plan" in self._result.mentioned and grammar("switch_plan").match(rest):
            found = ["plan"]
        buys = grammar("buy_some").match(rest) and "refuel" in self._result.mentioned
        if found[0] in ("unclear", "unknown") and (grammar("how_much").search(clause.text) or buys):
            found = ["refuel"]
        self._result.consents += [Consent(topic, self._offer(sentence.text)) for topic in found]

    def _maybe(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        offered = self._offer(sentence.text) is not None
        if (offered or self._contract_topics(rest, strict=True)) and sentence.question:
            self._consent(sentence, clause, rest)
            return
        self._result.suggestions += self._operations.actions(rest)

    def _suggestion(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        acts = [act for act in self._operations.actions(rest, fragment=True) if act.writes]
        self._result.suggestions += acts
        if acts:
            self._operations.remember(self._operations.condition(rest, "if"))

    def _past(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        acts = self._operations.actions(rest)
        reads = self._operations.readings(rest, clause.text)
        if any(act.writes for act in acts) or not reads or re.match(r"(?:try|tried|check|run|look|test)", rest):
            self._result.past += acts or reads
            if not acts and not reads and sentence.question:
                self._question(sentence, clause, clause.text)
        else:
            self._question(sentence, clause, rest)

    def _negative(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        self._result.declined |= bool(self._operations.actions(rest))

    def _keep(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        self._operations.note(clause.text)
        self._result.declined = True

    def _nothing(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        return

    def _empty(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        return

    def _statement(self, sentence: Sentence, clause: Clause, rest: str) -> None:
        whole = strip_fillers(clause.text)
        if grammar("agent_needs").match(whole) or sentence.question:
            self._personal(sentence, whole, request=True)
        if sentence.question and not self._result.topics and clause is sentence.clauses[-1]:
            self._add(self._operations.readings(rest, clause.text))
        follows = clause.link == "then" and grammar("consequence").search(clause.text) is not None
        self._operations.note(clause.text, topic=not follows)

    # --- helpers ------------------------------------------------------------------------------------

    def _add(self, acts: list[Act]) -> None:
        conditions = tuple(self._resolved(condition, acts) for condition in self._conditions)
        if any(condition.fact == "?" for condition in conditions):
            self._result.suggestions += acts
        else:
            self._operations.asked(acts)
            self._result.acts += [replace(act, conditions=(*conditions, *act.conditions)) for act in acts]

    def _resolved(self, condition: Condition, acts: list[Act]) -> Condition:
        """Let "if it's on, …" refer to what follows, where nothing went before."""
        if condition.fact != "?" or not acts or not self._condition_text:
            return condition
        concept = acts[0].concept or {"disconnect_vpn": "vpn", "connect_vpn": "vpn"}.get(acts[0].tool, "")
        context = replace(self._operations.context, focus=(concept,))
        return Operations(context, self._text).condition(*self._condition_text) if concept else condition

    def _personal(self, sentence: Sentence, text: str, request: bool) -> bool:
        """Collect questions about the person; return whether the clause is about nothing else."""
        if (
            request
            and not grammar("give").search(text)
            and not grammar("give").search(sentence.text)
            and not sentence.text.rstrip(" .!").endswith("please")
            and not sentence.question
        ):
            return False
        concepts = {found.concept for found in find_concepts(text)}
        topics = _person_topics(text, concepts)
        unknown = []
        if not concepts - {"phone", "agent_data", "payment", "app", "sim"} or "email" in text:
            unknown = [n for n, p in self._lexicon.unknown_topics.items() if n not in ("history",) and p.search(text)]
        secret = re.search(r"\b(?:pin|puk)\b", text) and not grammar("about_the_lock").search(text)
        if secret:
            self._result.unknown.append("pin")
            return True
        if topics == ["name"] and unknown:
            topics = []
        self._result.topics += [topic for topic in topics if topic not in self._result.topics]
        self._result.unknown += [name for name in unknown if name not in self._result.unknown and "sim" not in concepts]
        if not topics and not unknown and (sentence.question or request) and self._contract_question(sentence, text):
            return True
        return bool(topics or (unknown and "sim" not in concepts))

    def _contract_question(self, sentence: Sentence, text: str) -> bool:
        found = [t for t in ("refuel", "plan") if self._lexicon.person[t].search(text)]
        asked = grammar("asks_for_choice").search(sentence.text)
        priced = "$" in sentence.text or grammar("amount_asked").match(sentence.text) is not None
        offered = priced and self._offer(sentence.text) is not None
        if not found and sentence.question and offered:
            found = ["refuel"]
        agrees = bool(found) and (asked is not None or offered)
        if agrees:
            self._result.consents += [Consent(topic, self._offer(sentence.text)) for topic in found]
        return agrees

    def _contract_topics(self, text: str, strict: bool) -> list[str]:
        names = _CONTRACT + (() if strict else ("carrier",))
        found = [name for name in names if self._lexicon.person[name].search(text)]
        return found if found[:1] == ["carrier"] else [name for name in found if name != "carrier"]

    def _topics_of_contract(self, sentence: Sentence) -> None:
        found = self._contract_topics(sentence.text, strict=True)
        self._result.mentioned += [topic for topic in found if topic not in self._result.mentioned]
        if ("refuel" in found or "$" in sentence.text) and self._offer(sentence.text) is not None:
            self._result.amount = self._offer(sentence.text)

    def _offer(self, text: str) -> float | None:
        amounts = []
        for found in grammar("amount").finditer(text):
            if not grammar("no_offer").search(text[: found.start()]) and not re.match(
                r" (?:limit|plan|cap|allowance|maximum)", text[found.end() :]
            ):
                amounts.append(
                    _AMOUNT_WORDS.get(found[1]) or float(found[1]) if found[1] in _AMOUNT_WORDS else float(found[1])
                )
        return amounts[0] if len(set(amounts)) == 1 else None

    def _close_consents(self) -> None:
        """Give questions for agreement without a topic the topic of the message."""
        result = self._result
        for index, consent in enumerate(result.consents):
            if consent.topic in ("unclear", "carrier") and result.mentioned and consent.topic == "unclear":
                topic = next(
                    (t for t in ("refuel", "plan", "pay", "transfer", "suspend") if t in result.mentioned), "unclear"
                )
                result.consents[index] = Consent(topic, result.amount)
            elif consent.topic == "refuel" and consent.amount is None and result.amount is not None:
                result.consents[index] = Consent("refuel", result.amount)
        result.consents = list(dict.fromkeys(result.consents))


def _stronger(before: str, new: str) -> str:
    """Combine moods of nested frames: what weakens a request wins over the request itself."""
    order = ("", "request", "check", "ensure", "consent", "maybe", "past", "statement", "keep", "negative", "nothing")
    if before == "request" and new == "ensure":
        return "ensure"
    return max(before, new, key=order.index)


def _only_names(text: str) -> bool:
    """Whether a text consists of things and permissions, and of words without a meaning of their own."""
    for found in reversed(find_concepts(text)):
        text = f"{text[: found.start]} {text[found.end :]}"
    for _, pattern in grammar_table("permission_names"):
        text = pattern.sub(" ", text)
    return grammar("nothing_more").match(text) is not None


def _person_topics(text: str, concepts: set[str]) -> list[str]:
    """Return what a text asks about the person, where it does not mean the phone."""
    person = lexicon().person
    names = (*_HARD_TOPICS, "location", "since", "which_app", "wifi_access")
    topics = [name for name in names if person[name].search(text)]
    if person["reason"].search(text) and not topics:
        return ["reason"]
    phone = concepts & {"status_bar", "network_status", "airplane", "apn", "sim"} and "you" not in text
    named = concepts & {"apn", "vpn", "wifi", "network_status", "network_mode", "app", "installed_apps"}
    beside = {"location": phone, "name": named, "which_app": "permission" in text}
    return [topic for topic in topics if not beside.get(topic)]


def _header_verb(text: str) -> str | None:
    """Return the words of a heading that its items share, for example `turn off`."""
    words = strip_fillers(text)
    if grammar("findings").search(words) and not re.search(r"\b(?:please|you)\b", words):
        return None
    for mood, pattern in lexicon().frames:
        if mood in ("request", "check") and (found := pattern.match(words)):
            words = strip_fillers(words[found.end() :]) or "check"
    verb = grammar("header_verb").match(words)
    if verb is None:
        return "check" if grammar("header_noun").search(text) else None
    head = {"do": "check", "provide": "check"}.get(verb[0], verb[0])
    state = re.search(r"\b(on|off)\b", words[verb.end() :])
    return f"{head} {state[1]}" if head in ("turn", "switch") and state else head


def _is_rhetorical(text: str) -> bool:
    return (
        grammar("rhetorical").match(
            text,
        )
        is not None
        or len(text) < 4
    )


def _tidy(acts: list[Act], goal_tool: str) -> list[Act]:
    """Drop what a message says twice, and join the halves of switching the phone off and on again."""
    result: list[Act] = []
    acts = _said_once(acts)
    wanted = {act.concept for act in acts if act.do == "set"}
    asks_goal = any(act.do == "goal" for act in acts)
    for act in acts:
        if act.do == "toggle" and act.concept in wanted:
            continue  # "use toggle_data to turn it on"
        if act.do == "repeat" and "test" in act.facts and asks_goal:
            continue
        if act.do == "goal" and result and result[-1].tool == goal_tool and not act.conditions:
            continue
        if act.tool == "seen" and len(acts) > 1:
            continue  # "… and tell me what you see": everything done is told anyway
        if act.do == "power":
            if act.state and result and result[-1].do == "power":
                result[-1] = Act("call", "reboot_device", conditions=result[-1].conditions)
            elif not act.state:
                result.append(act)
            continue
        same = [i for i, other in enumerate(result) if other.same_as(act)]
        if same and (act.presupposed or not _changed_since(result, same[-1], act)):
            last = same[-1]
            facts = tuple(dict.fromkeys((*result[last].facts, *act.facts))) if result[last].facts and act.facts else ()
            conditions = result[last].conditions if result[last].conditions == act.conditions else ()
            result[last] = replace(result[last], facts=facts, conditions=conditions, presupposed=False)
        else:
            result.append(act)
    return result


def _said_once(acts: list[Act]) -> list[Act]:
    """Return acts without the details of "toggle it on and off: turn it on, wait, turn it off"."""
    half = len(acts) // 2
    cycle = len(acts) == 4 and all(act.do == "set" for act in acts)
    return acts[:half] if cycle and all(a.same_as(b) for a, b in zip(acts[:2], acts[2:], strict=True)) else acts


def _changed_since(acts: list[Act], position: int, act: Act) -> bool:
    """Whether something changes between two mentions of an act, so that the second is not a repetition."""
    if act.do == "set" and any(
        other.do in ("set", "toggle") and other.concept == act.concept for other in acts[position + 1 :]
    ):
        return True
    return not act.writes and any(other.writes for other in acts[position + 1 :])
