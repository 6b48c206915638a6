"""The scripted user: what it does with its phone, what it says, and what it never does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.agents.users import make_user
from telegym.agents.users.readings import WRITE_TOOLS
from telegym.agents.users.scripted import ScriptedUser
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.user import OUT_OF_SCOPE, STOP, TRANSFER
from tests.agents.users.phones import BROKEN, Person, scenario

CORPUS = yaml.safe_load((Path(__file__).parent / "corpus.yaml").read_text(encoding="utf-8"))
HARMLESS = [said for group in CORPUS if not group["do"] for said in group["say"]]
FRAGMENTS = (
    *("I will", "the carrier", "your line", "airplane mode", "data roaming", "reboot", "the VPN", "was", "is", "and"),
    *("restarted", "a payment", "can be", "later", "the SIM card", "we", "not", "when", "resets", "the network"),
)
HELLO = "Hello! How can I help you today?"


def test_says_first_why_it_calls() -> None:
    assert "No Service" in Person().hear(HELLO).text
    first = Person(family="mms_issue").user.respond([])
    assert first.content is not None
    assert "MMS" in first.content


def test_answers_a_greeting_that_asks_something_else_too() -> None:
    turn = Person().hear("Hello, what is your phone number?")
    assert "No Service" in turn.text
    assert "555-000-1111" in turn.text


@pytest.mark.parametrize("persona", ["None", "Easy", "Hard"])
def test_does_what_a_first_message_asks(persona: str) -> None:
    person = Person(persona=persona)
    turn = person.hear("Please turn off airplane mode.")
    assert turn.calls == ["check_network_status", "toggle_airplane_mode"]
    assert person.phone["airplane_mode"] is False


@pytest.mark.parametrize(
    ("text", "switch", "faults"),
    [
        ("Please turn off airplane mode.", "airplane_mode", []),
        ("Turn on mobile data.", "data_enabled", []),
        ("Enable data roaming.", "roaming_enabled", []),
        ("Turn off Data Saver.", "data_saver_mode", []),
        ("Disable Wi-Fi calling", "wifi_calling_enabled", []),
        ("Turn on airplane mode.", "airplane_mode", BROKEN),
        ("Switch mobile data off", "data_enabled", BROKEN),
    ],
)
def test_leaves_a_switch_that_is_right_already(
    text: str, switch: str, faults: list[tuple[str, dict[str, object]]]
) -> None:
    person = Person(faults)
    before = person.phone[switch]
    turn = person.hear(text)
    assert not set(turn.calls) & set(WRITE_TOOLS)
    assert person.phone[switch] == before
    assert "already" in turn.text


def test_a_plain_toggle_flips_whatever_the_state() -> None:
    person = Person()
    assert person.hear("Please toggle airplane mode.").calls == ["toggle_airplane_mode"]
    assert person.phone["airplane_mode"] is False


def test_remembers_what_it_has_seen() -> None:
    person = Person()
    assert person.hear("Is airplane mode on?").calls == ["check_network_status"]
    assert person.hear("Please turn it off.").calls == ["toggle_airplane_mode"]


def test_reports_the_tool_result_and_nothing_else() -> None:
    turn = Person().hear("What does your status bar show?")
    assert turn.calls == ["check_status_bar"]
    assert turn.results[0].removeprefix("Status Bar:").strip() in turn.text


def test_answers_a_question_about_a_switch_from_the_tool() -> None:
    assert "airplane mode is on" in Person().hear("Is airplane mode on?").text.lower()
    assert "airplane mode is off" in Person([]).hear("Is airplane mode on?").text.lower()


def test_does_several_things_in_order_one_call_a_message() -> None:
    person = Person()
    turn = person.hear("Please turn off airplane mode, reseat the SIM card, and tell me what the status bar shows.")
    assert turn.calls == ["check_network_status", "toggle_airplane_mode", "reseat_sim_card", "check_status_bar"]
    assert all(len(message.tool_calls) == 1 for message in turn.messages[:-1])


def test_checks_a_condition_before_it_acts() -> None:
    person = Person(family="mms_issue")
    turn = person.hear("If your SIM card is missing, reseat it; otherwise restart the phone.")
    assert turn.calls == ["check_sim_status", "reseat_sim_card"]
    turn = person.hear("If your SIM card is missing, reseat it; otherwise restart the phone.")
    assert turn.calls == ["check_sim_status", "reboot_device"]


def test_judges_a_condition_once_for_everything_that_hangs_on_it() -> None:
    turn = Person(family="mobile_data_issue").hear("If data roaming is off, turn it on and run a speed test.")
    assert turn.calls == ["check_network_status", "toggle_roaming", "run_speed_test"]


def test_tells_why_it_did_not_act() -> None:
    turn = Person([]).hear("If airplane mode is on, turn it off.")
    assert turn.calls == ["check_network_status"]
    assert "airplane mode is off" in turn.text.lower()


@pytest.mark.parametrize("persona", ["None", "Easy", "Hard"])
@pytest.mark.parametrize("said", HARMLESS)
def test_changes_nothing_without_a_request(said: str, persona: str) -> None:
    person = Person(persona=persona)
    person.hear(HELLO)
    before = person.world.state_hash()
    turn = person.hear(said)
    assert not set(turn.calls) & set(WRITE_TOOLS)
    assert person.world.state_hash() == before


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(FRAGMENTS),
        min_size=1,
        max_size=12,
    ).map(lambda words: "I can see that " + " ".join(words) + ".")
)
def test_statements_never_change_the_phone(said: str) -> None:
    user = ScriptedUser(scenario(), 0)
    user.respond([Message(role="assistant", content=HELLO)])
    answer = user.respond([Message(role="assistant", content=said)])
    assert not {call.name for call in answer.tool_calls} & set(WRITE_TOOLS)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_gets_an_answer(text: str) -> None:
    user = ScriptedUser(scenario(), 0)
    answer = user.respond([Message(role="assistant", content=text)])
    assert bool(answer.tool_calls) != bool(answer.content)


def test_a_suggestion_is_asked_about_and_done_when_confirmed() -> None:
    person = Person([])
    person.hear(HELLO)
    turn = person.hear("We might need to restart your phone.")
    assert turn.calls == []
    assert "?" in turn.text
    assert person.hear("Yes, please.").calls == ["reboot_device"]


def test_a_suggestion_that_is_taken_back_is_forgotten() -> None:
    person = Person([])
    person.hear("We might need to restart your phone.")
    person.hear("No, not yet.")
    assert person.hear("Yes.").calls == []


def test_a_question_about_the_past_is_answered_from_what_was_done() -> None:
    person = Person([])
    assert "haven't" in person.hear("Have you tried restarting your phone?").text or "No" in person.hear("").text
    person.hear("Please restart your phone.")
    assert "already" in person.hear("Have you tried restarting your phone?").text


def test_what_is_presupposed_is_not_done_twice() -> None:
    person = Person(BROKEN)
    person.hear("Please restart your phone.")
    assert person.hear("After restarting the phone, check the status bar.").calls == ["check_status_bar"]


@pytest.mark.parametrize(
    ("family", "faults", "request_text"),
    [
        ("service_issue", [("turn_airplane_mode_on", {})], "Please turn off airplane mode."),
        ("mobile_data_issue", [("turn_data_off", {})], "Please turn on mobile data and run a speed test."),
        ("mms_issue", [("turn_data_off", {})], "Please turn on mobile data and try to send an MMS."),
    ],
)
def test_stops_when_a_tool_shows_the_goal(
    family: str, faults: list[tuple[str, dict[str, object]]], request_text: str
) -> None:
    person = Person(faults, family=family)
    assert STOP not in person.hear(HELLO).text
    assert STOP in person.hear(request_text).text


def test_does_not_stop_on_the_agents_word() -> None:
    person = Person(BROKEN, family="mms_issue")
    turn = person.hear("Your issue has been resolved. Have a great day!")
    assert turn.calls == ["can_send_mms"]
    assert STOP not in turn.text


def test_a_speed_below_excellent_is_not_enough() -> None:
    person = Person([("turn_data_saver_mode_on", {})], family="mobile_data_issue")
    turn = person.hear("Please run a speed test.")
    assert "Good" in turn.text
    assert STOP not in turn.text


def test_looks_again_when_something_changed_after_the_goal_was_seen() -> None:
    person = Person([], family="mms_issue")
    turn = person.hear("Please try to send an MMS, and then turn off mobile data.")
    assert turn.calls == ["can_send_mms", "check_network_status", "toggle_data", "can_send_mms"]
    assert STOP not in turn.text


def test_is_frustrated_once_after_a_change_that_did_not_help() -> None:
    person = Person(BROKEN)
    first, second = person.hear("Please restart the phone."), person.hear("Please restart the phone again.")
    words = ("frustrating", "annoying")
    assert any(word in first.text for word in words)
    assert not any(word in second.text for word in words)


def test_a_transfer_ends_the_conversation() -> None:
    assert TRANSFER in Person().hear("YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON.").text


@pytest.mark.parametrize(
    "said",
    [
        "Would you like me to transfer you to a human agent?",
        "If this does not work, I will transfer you to a human agent.",
        "I cannot transfer you yet.",
        "Before I transfer you to a specialist, let me check something.",
    ],
)
def test_talk_about_a_transfer_is_no_transfer(said: str) -> None:
    assert TRANSFER not in Person().hear(said).text


def test_gives_up_when_asked_again_for_what_it_does_not_know() -> None:
    person = Person()
    person.hear(HELLO)
    answers = [person.hear("What is your email address?").text for _ in range(3)]
    assert [OUT_OF_SCOPE in answer for answer in answers] == [False, False, True]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("What is your full name?", "Ann Bell"),
        ("Could you give me the phone number of your line?", "555-000-1111"),
        ("Are you at home or abroad?", "abroad in France"),
        ("When did this start?", "for the past few hours"),
        ("What is your date of birth?", "1980-02-03"),
    ],
)
def test_answers_about_itself_from_the_scenario(said: str, expected: str) -> None:
    person = Person(date_of_birth="1980-02-03")
    person.hear(HELLO)
    turn = person.hear(said)
    assert turn.calls == []
    assert expected in turn.text


@pytest.mark.parametrize("said", ["What is your date of birth?", "What is your customer ID?", "Where are you?"])
def test_does_not_know_what_the_scenario_does_not_say(said: str) -> None:
    person = Person(location=None, abroad=None)
    person.hear(HELLO)
    assert "know" in (answer := person.hear(said).text) or "don't have" in answer


@pytest.mark.parametrize(
    ("said", "agreed", "expected"),
    [
        ("Would you like to refuel 2 GB for $4?", 2.0, "2.0 GB"),
        ("How much data would you like to add?", 1.5, "1.5 GB"),
        ("Would you like to buy 5 GB of extra data?", 2.0, "more than"),
        ("Would you like to refuel 1 GB?", 2.0, "rather"),
        ("Would you like to refuel 2 GB?", None, "don't want"),
        ("Would you like to change your plan?", 2.0, "plan"),
        ("5 GB at $2.00 per GB comes to $10.00. Please confirm.", 2.0, "more than"),
        ("I'll add 2 GB for $4.00, okay?", 2.0, "2.0 GB"),
    ],
)
def test_agrees_to_what_the_scenario_allows(said: str, agreed: float | None, expected: str) -> None:
    person = Person(refuel_gb=agreed, family="mms_issue")
    person.hear(HELLO)
    turn = person.hear(said)
    assert turn.calls == []
    assert expected in turn.text


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Would you like to buy a new phone?", False),
        ("Do you agree to a new two-year contract?", False),
        ("May I suspend your line?", False),
        ("Would you like me to proceed?", True),
        ("May I enable roaming on your line?", True),
        ("Is it okay if I look into your account?", True),
    ],
)
def test_agrees_to_help_and_not_to_offers(said: str, expected: bool) -> None:
    person = Person()
    person.hear(HELLO)
    assert person.hear(said).text.startswith("Yes") is expected


def test_an_agreement_is_about_what_was_proposed_before() -> None:
    person = Person(family="mms_issue")
    person.hear("I can add 5 GB of data to your line for $10.")
    assert "more than" in person.hear("Is that okay with you?").text


def test_pays_only_if_the_scenario_says_so() -> None:
    assert Person(pays_bills=True).hear("Please make the payment.").calls == ["make_payment"]
    assert Person(pays_bills=False).hear("Please make the payment.").calls == []


def test_an_anxious_person_asks_once_what_a_term_means_and_then_does_it() -> None:
    person = Person(persona="Hard")
    turn = person.hear("Please disconnect your VPN.")
    assert turn.calls == []
    assert "VPN" in turn.text
    assert person.hear("It hides where you are. Please go on.").calls == ["disconnect_vpn"]
    assert person.hear("Please disconnect the VPN again.").calls == []
    assert Person(persona="Hard").hear("Please disconnect your VPN (a private tunnel to a network).").calls == [
        "disconnect_vpn"
    ]


def test_a_tool_error_is_told() -> None:
    user = ScriptedUser(scenario(), 0)
    call = user.respond([Message(role="assistant", content="Check your APN settings.")]).tool_calls[0]
    answer = user.respond(
        [Message(role="tool", content="Error: broken", tool_call_id=call.id, error=True, requestor="user")]
    )
    assert "Error: broken" in (answer.content or "")


def test_ids_of_calls_are_unique() -> None:
    person = Person()
    turns = [person.hear("Check the status bar and reboot, then run a speed test.") for _ in range(3)]
    ids = [call.id for turn in turns for message in turn.messages for call in message.tool_calls]
    assert len(ids) == len(set(ids)) > 8


def test_a_fork_goes_its_own_way() -> None:
    user = ScriptedUser(scenario(), 0)
    user.respond([Message(role="assistant", content=HELLO)])
    user.respond([Message(role="assistant", content="We might need to restart your phone.")])
    twin = user.fork()
    assert twin.respond([Message(role="assistant", content="No, don't.")]).tool_calls == ()
    assert user.respond([Message(role="assistant", content="Yes, please.")]).tool_calls[0].name == "reboot_device"


def test_seeds_vary_the_words_only() -> None:
    said = "Please turn off airplane mode and check the status bar."
    turns = [Person(seed=seed).hear(said) for seed in range(6)]
    assert len({tuple(turn.calls) for turn in turns}) == 1
    assert len({Person(seed=seed).hear(HELLO).text for seed in range(6)}) > 1


SCRIPT = """
from tests.agents.users.phones import Person
person = Person(family="mobile_data_issue", persona="Easy")
for said in ("Hello", "Check the status bar", "Turn off airplane mode, data saver and the VPN", "Did you reboot?"):
    print(person.hear(said))
"""


def test_the_same_in_every_process() -> None:
    root = Path(__file__).parents[3]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    ]
    assert outputs[0] == outputs[1] != ""


def test_make_user() -> None:
    assert isinstance(make_user("scripted", scenario()), ScriptedUser)
    with pytest.raises(ConfigurationError, match="scripted, openai:MODEL"):
        make_user("skripted", scenario())
    with pytest.raises(ConfigurationError, match="openai:MODEL"):
        make_user("openai:", scenario())


def test_conditions_of_two_messages_are_judged_apart() -> None:
    person = Person([], persona="Hard")
    person.hear("Are you on a VPN? If so, please disconnect it.")
    mode = "Please check your network mode preference. If it isn't 4G/5G preferred, change it to that."
    assert person.hear(mode).calls == ["check_vpn_status", "check_network_mode_preference"]


def test_a_condition_raised_before_is_not_taken_for_a_new_one() -> None:
    person = Person([("turn_airplane_mode_on", {})], family="mms_issue")
    person.hear("Is airplane mode on?")
    turn = person.hear("If so, turn it off. If the SIM card is missing, reseat it.")
    assert turn.calls[0] == "toggle_airplane_mode"
    assert "reseat_sim_card" not in turn.calls
