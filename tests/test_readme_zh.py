"""Each Chinese page is the English one in Chinese: the same sections, commands, code and links."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAIRS = [
    (page.with_name(page.name.replace(".zh.md", ".md")), page)
    for page in [ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.zh.md"))]
]
TEXTS = [
    pytest.param(*(page.read_text(encoding="utf-8") for page in pair), id=pair[0].stem)
    for pair in PAIRS
]
both = pytest.mark.parametrize(("english", "chinese"), TEXTS)


def blocks(text):
    return re.findall(r"```(\w+)\n(.*?)```", text, re.S)


def prose(text):
    return re.sub(r"```.*?```", "", text, flags=re.S)


def links(text):
    return re.findall(r"\]\(([^)]+)\)", text)


def test_every_english_page_has_a_chinese_one():
    names = {page.name for page in ROOT.glob("docs/*.md")}
    assert {name for name in names if not name.endswith(".zh.md")} == {
        english.name for english, _ in PAIRS[1:]
    }


@both
def test_code_commands_and_outputs_are_the_same(english, chinese):
    assert blocks(chinese) == blocks(english)


@both
def test_headings_stand_in_step(english, chinese):
    levels = [re.findall(r"^(#+) ", prose(text), re.M) for text in (english, chinese)]
    assert levels[0] == levels[1]


@both
def test_the_same_commands_names_and_tables_are_spoken_of(english, chinese):
    spoken = [sorted(re.findall(r"`[^`\n]+`", prose(text))) for text in (english, chinese)]
    assert spoken[0] == spoken[1]
    rows = [len(re.findall(r"^\|", prose(text), re.M)) for text in (english, chinese)]
    assert rows[0] == rows[1]


@both
def test_the_links_are_the_same(english, chinese):
    """A Chinese page links to the Chinese sibling where there is one."""
    assert sorted(link.replace(".zh.md", ".md") for link in links(chinese)) == sorted(
        link.replace(".zh.md", ".md") for link in links(english)
    )


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].stem)
def test_links_lead_to_files(pair):
    for page in pair:
        for link in links(page.read_text(encoding="utf-8")):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].stem)
def test_each_points_to_the_other(pair):
    for page, other in (pair, pair[::-1]):
        assert f"]({other.name})" in page.read_text(encoding="utf-8")


@both
def test_the_chinese_one_is_in_chinese(english, chinese):
    lines = [line for line in prose(chinese).splitlines() if len(line) > 40 and "|" not in line]
    assert lines
    assert all(re.search(r"[一-鿿]", line) for line in lines)
