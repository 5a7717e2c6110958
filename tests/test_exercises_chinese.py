"""Exercises and verdicts in Chinese: no text is missing, and formulas are those of the English."""

import re

import pytest
from wrong_answers_layers import wild as layers
from wrong_answers_sections import wild as sections

from npattn import cli
from npattn.exercises import check, hint, solution, statement
from npattn.exercises.grading import grade
from npattn.exercises.registry import headings, load, section_title
from npattn.exercises.texts import _sentences, spoken, texts, translated
from npattn.exercises.trials import cases_of, quiet

every_exercise = pytest.mark.parametrize("exercise", [load(name) for name in headings()],
                                         ids=list(headings()))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ROW = re.compile(r"^    \w+(?:, \w+)*  +\([^()]*\)", re.M)


def formulas(text):
    displayed = re.findall(r"\$\$.+?\$\$", text, re.S)
    return [re.sub(r"\\text\{[^}]*\}|\s", "", tex) for tex in displayed]


@every_exercise
def test_no_chinese_text_is_missing_and_formulas_and_shapes_are_the_same(exercise):
    english, chinese = texts(exercise, "en"), texts(exercise, "zh")
    assert set(exercise.mistakes) <= set(chinese.mistakes)
    told = [chinese.statement, *chinese.hints[:2], *map(chinese.mistakes.get, exercise.mistakes)]
    assert all(map(CHINESE.search, told)) and len(chinese.hints) == 3 and chinese.title
    assert formulas(chinese.statement) == formulas(english.statement)
    assert ROW.findall(chinese.statement) == ROW.findall(english.statement)


@every_exercise
def test_titles_and_cases_are_told_in_chinese(exercise):
    with quiet():
        cases = [case.words for case in cases_of(exercise, 0)]
    for words in [*cases, section_title(headings()[exercise.name])]:
        assert CHINESE.search(translated(words, "zh")), words


def test_names_in_braces_are_the_same_on_both_sides():
    plain, patterns = _sentences("zh")
    for pattern, chinese in patterns:
        assert set(re.findall(r"\{(\w+)\}", chinese)) <= set(pattern.groupindex), chinese
    assert all(plain.values())


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("exercise", "function", "true"), [*layers, *sections][::8])
def test_a_verdict_in_chinese_has_no_english_sentence(exercise, function, true):
    verdict = check(exercise, function, lang="zh")
    told = "\n".join([verdict.headline(), *verdict.paragraphs(), *verdict.help()])
    told = re.sub(r"`[^`]*`|npattn exercise.*|推导第 .*", "", told)
    assert not re.search(r"(?<![=(])\b[a-z]{3,} [a-z]{2,} [a-z]{2,}", told), told
    assert len(CHINESE.findall(told)) > 20
    assert verdict.likely == check(exercise, function).likely


def test_a_right_answer_and_a_stub_are_told_in_chinese():
    exercise = load("attention-backward")
    assert "正确" in str(grade(exercise, exercise.reference, lang="zh"))

    def attention_backward(dO, cache):
        raise NotImplementedError

    assert "还什么都没有写" in str(grade(exercise, attention_backward, lang="zh"))


def test_statement_hint_and_solution_speak_chinese():
    assert "求损失关于值的梯度" in statement("attention-dv", lang="zh")
    assert "矩阵乘积" in hint("attention-dv", 3, lang="zh")
    assert solution("attention-dv", lang="zh").startswith("1. ")
    with pytest.raises(ValueError, match="lang must be one of en, zh, got 'de'"):
        statement("attention-dv", lang="de")


@pytest.mark.parametrize(("variable", "name", "lang"), [
    ("LC_ALL", "zh_CN.UTF-8", "zh"), ("LANG", "zh_TW", "zh"), ("LC_ALL", "C", "en"),
    ("LANG", "de_DE.UTF-8", "en"),
])
def test_the_locale_chooses_the_language(variable, name, lang, monkeypatch):
    for key in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv(variable, name)
    assert spoken() == lang


def test_the_command_speaks_chinese(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["exercise", "list", "--lang", "zh"]) == 0
    assert "多头注意力" in capsys.readouterr().out
    assert cli.main(["exercise", "start", "softmax-backward", "--lang", "zh"]) == 0
    assert "损失依赖于权重" in (tmp_path / "softmax_backward.py").read_text(encoding="utf-8")
    assert cli.main(["exercise", "check", "softmax_backward.py", "--lang", "zh"]) == 1
    assert "还什么都没有写" in capsys.readouterr().out
