"""Texts of tools and of the knowledge base, in both languages, and the search."""

from __future__ import annotations

import re

import pytest

from telegym.core.errors import ConfigurationError
from telegym.core.messages import ToolCall
from telegym.envs.base_station.kpi import kpi_names
from telegym.envs.base_station.process.field import catalogue
from telegym.tools.base_station import toolkit
from telegym.tools.base_station._definition import definition, definitions, schema
from telegym.tools.base_station._format import TERSE
from telegym.tools.base_station._knowledge import passages, search
from telegym.tools.base_station._texts import LANGUAGES, ToolText, tool_texts
from tests.tools.base_station.worlds import town

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LONGEST = {"en": (260, 300), "zh": (120, 260)}
"""Most characters of a tool's description and of a parameter's."""


def _sentences(texts: ToolText) -> list[str]:
    return [texts.description, *texts.parameters.values(), *texts.items.values()]


# --- tools ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_tool_and_parameter_is_described_in_order(language: str) -> None:
    texts = tool_texts(language)
    assert list(texts) == list(definitions())
    for name, fixed in definitions().items():
        assert list(texts[name].parameters) == list(fixed.parameters), name
        assert sorted(texts[name].items) == sorted(key for key, spec in fixed.parameters.items() if "items" in spec)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_neither_empty_nor_long(language: str) -> None:
    longest, longest_parameter = LONGEST[language]
    for name, texts in tool_texts(language).items():
        assert 15 <= len(texts.description) <= longest, name
        for parameter, text in texts.parameters.items():
            assert 2 <= len(text) <= longest_parameter, f"{name}.{parameter}"
        assert all(text == text.strip() for text in _sentences(texts)), name


def test_the_languages_differ() -> None:
    for name, chinese in tool_texts("zh").items():
        english = tool_texts("en")[name]
        assert not any(CHINESE.search(text) for text in _sentences(english)), name
        assert all(CHINESE.search(text) for text in _sentences(chinese)), name
        assert not re.search(r"[\u4e00-\u9fff][,;:]|[,;:][\u4e00-\u9fff]", "\n".join(_sentences(chinese))), name


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", list(definitions()))
def test_a_description_tells_the_time_of_the_definition(name: str, language: str) -> None:
    minutes, text = definition(name).minutes, tool_texts(language)[name].description
    pattern = r"Takes ([\d.]+) min\.$" if language == "en" else r"耗时([\d.]+)分钟。$"
    told = re.search(pattern, text)
    assert (told is None) == (minutes is None)
    assert told is None or float(told[1]) == minutes


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_in_sentences_exist(language: str) -> None:
    known = {*definitions(), *kpi_names(), *catalogue().parts}
    for fixed in definitions().values():
        known |= set(fixed.parameters)
        for spec in fixed.parameters.values():
            known |= set(map(str, spec.get("enum", ())))
    known |= {"last_known_good"}
    for name, texts in tool_texts(language).items():
        for text in _sentences(texts):
            for word in re.findall(r"(?<![A-Za-z0-9_-])[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+(?![A-Za-z0-9_-])", text):
                assert word in known, f"{name}: {word}"


def test_both_languages_tell_the_same_numbers_and_names() -> None:
    for name, english in tool_texts("en").items():
        chinese = tool_texts("zh")[name]
        for parameter, text in english.parameters.items():
            ids = set(re.findall(r"\b[A-Z]+-[A-Z0-9-]+\b", text))
            assert ids == set(re.findall(r"[A-Z]+-[A-Z0-9-]+", chinese.parameters[parameter])), f"{name}.{parameter}"
        assert _numbers(english.description) == _numbers(chinese.description), name


def _numbers(text: str) -> list[float]:
    return sorted(float(item) for item in re.findall(r"(?<![A-Za-z\d.])\d+(?:\.\d+)?(?![\d.]*\d)", text))


def test_schemas_differ_in_nothing_but_sentences() -> None:
    for name in definitions():
        english, chinese = schema(name, "en"), schema(name, "zh")
        assert _bare(english) == _bare(chinese)
        assert english != chinese


def _bare(part: object) -> object:
    if not isinstance(part, dict):
        return part
    return {key: _bare(value) for key, value in part.items() if key != "description" or isinstance(value, dict)}


def test_a_language_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no language 'ch'"):
        tool_texts("ch")
    with pytest.raises(ConfigurationError, match="Valid: en, zh"):
        toolkit("core", language="de")


# --- knowledge base ---------------------------------------------------------------------------------------


def test_both_languages_have_the_same_passages() -> None:
    english, chinese = passages("en"), passages("zh")
    assert [item.id for item in english] == [item.id for item in chinese]
    assert len({item.id for item in english}) == len(english) > 130
    for item in english:
        assert item.title
        assert item.text
        assert not CHINESE.search(item.title + item.text)
    for item in chinese:
        assert CHINESE.search(item.title), item.id
        assert CHINESE.search(item.text), item.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_passage_fits_into_the_shortest_result(language: str) -> None:
    for item in passages(language):
        line = f"[{item.id}] {item.title}: {item.text}"
        assert len(line) < TERSE.limit - len("passages: 3\n") - 16, item.id


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("mains supply lost on battery", "ALARM-PWR_MAINS_FAIL"),
        ("26486 Standing wave ratio is too high", "ALARM-ANT_VSWR_HIGH"),
        ("AntennaLine_VswrOverLimit", "ALARM-ANT_VSWR_HIGH"),
        ("FLT-4695 CLK HOLDOVER", "ALARM-CLK_HOLDOVER"),
        ("erab_drop_pct", "KPI-erab_drop_pct"),
        ("downlink throughput of a user", "KPI-dl_user_throughput_mbps"),
        ("too late handover", "KPI-ho_too_late_pct"),
        ("noise floor calculator", "CALC-noise_floor"),
        ("CALC-battery_autonomy", "CALC-battery_autonomy"),
        ("驻波比过高", "ALARM-ANT_VSWR_HIGH"),
        ("市电中断 蓄电池供电", "ALARM-PWR_MAINS_FAIL"),
        ("光模块不发光怎么处理", "ALARM-TRN_SFP_FAULT"),
        ("小区退服", "ALARM-CELL_UNAVAILABLE"),
        ("基带板光口无光", "ALARM-FH_LINK_LOS"),
        ("电调天线故障", "ALARM-ANT_RET_FAULT"),
        ("掉线率是什么意思？", "KPI-erab_drop_pct"),
        ("上行干扰的指标", "KPI-ul_rssi_prb_dbm"),
        ("回传利用率", "KPI-backhaul_util_pct"),
        ("怎么计算自由空间损耗", "CALC-free_space_loss"),
        ("蓄电池续航时间", "CALC-battery_autonomy"),
        ("ＰＣＩ冲突", "ALARM-CFG_PCI_CONFLICT"),
    ],
)
def test_a_question_in_either_language_finds_its_passage(query: str, wanted: str, language: str) -> None:
    found = search(query, language, 1)
    assert [item.id for item in found] == [wanted]
    assert found[0] in passages(language)


def test_what_is_found_does_not_depend_on_the_language_of_the_answer() -> None:
    for item in (*passages("en"), *passages("zh")):
        ids = [[found.id for found in search(item.title, language, 3)] for language in LANGUAGES]
        assert ids[0] == ids[1]
        assert item.id in ids[0], item.title


def test_a_single_character_finds_something_and_nonsense_does_not() -> None:
    assert search("烟", "zh", 1)[0].id == "ALARM-ENV_SMOKE"
    assert search("饕餮", "zh", 3) == []
    assert search("qqqq", "en", 3) == []


def test_the_tool_answers_in_the_language_of_its_toolkit() -> None:
    call = ToolCall(id="1", name="search_knowledge_base", arguments={"query": "驻波比", "limit": 1})
    chinese = toolkit("full", language="zh", results="terse").execute(town(), call)
    assert chinese.error is None
    assert "[ALARM-ANT_VSWR_HIGH] 天馈驻波比过高" in chinese.content
    english = toolkit("full", results="terse").execute(town(), call)
    assert "[ALARM-ANT_VSWR_HIGH] 26486 Standing wave ratio is too high" in english.content
