"""The Chinese README is the English one in Chinese: the same sections, commands, code and links."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")


def blocks(text):
    return re.findall(r"```(\w+)\n(.*?)```", text, re.S)


def prose(text):
    return re.sub(r"```.*?```", "", text, flags=re.S)


def test_code_commands_and_outputs_are_the_same():
    assert blocks(CHINESE) == blocks(ENGLISH)


def test_headings_stand_in_step():
    levels = [re.findall(r"^(#+) ", prose(text), re.M) for text in (ENGLISH, CHINESE)]
    assert levels[0] == levels[1]


def test_the_same_commands_names_and_tables_are_spoken_of():
    spoken = [sorted(re.findall(r"`[^`\n]+`", prose(text))) for text in (ENGLISH, CHINESE)]
    assert spoken[0] == spoken[1]
    rows = [len(re.findall(r"^\|", prose(text), re.M)) for text in (ENGLISH, CHINESE)]
    assert rows[0] == rows[1]


def test_links_lead_to_files_and_are_the_same():
    links = [re.findall(r"\]\(([^)]+)\)", text) for text in (ENGLISH, CHINESE)]
    assert [link for link in links[1] if link != "README.md"] == [
        link for link in links[0] if link != "README.zh.md"
    ]
    assert [link for link in links[0] if not (ROOT / link).exists()] == []


def test_each_points_to_the_other():
    assert "](README.zh.md)" in ENGLISH
    assert "](README.md)" in CHINESE


def test_the_chinese_one_is_in_chinese():
    lines = [line for line in prose(CHINESE).splitlines() if len(line) > 60 and "|" not in line]
    assert lines
    assert all(re.search(r"[一-鿿]", line) for line in lines)
