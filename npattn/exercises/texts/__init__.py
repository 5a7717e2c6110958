"""What an exercise and a verdict say, in another language than English.

A language is a folder: for each exercise a file `NAME.md` with its title, its statement, its three
hints and the words of its mistakes (those that many exercises share are in common.md), and
verdicts.txt, pairs of lines of which the first is a sentence of the grader with names in braces:

    {name} is what {key} should be.
    = {name} 等于 {key} 应有的值。

Formulas are the same in all languages, so a derivation is shown as its formulas.
"""

import locale
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "zh")
PARTS = "提示", "错误"  # headings of hints and mistakes in a file


class Texts(NamedTuple):
    """The words of one exercise."""

    title: str
    statement: str
    hints: tuple
    mistakes: dict  # {id: what was probably done, and why it is wrong}


def spoken():
    """The language of the locale, if it is one of LANGUAGES; else English."""
    names = [os.environ.get(key) for key in ("LC_ALL", "LC_MESSAGES", "LANG")]
    name = next(filter(None, names), None) or locale.getlocale()[0] or ""
    return next((lang for lang in LANGUAGES if name.lower().startswith(lang)), "en")


def texts(exercise, lang):
    """The `Texts` of an exercise."""
    if lang == "en":
        words = {key: mistake.words for key, mistake in exercise.mistakes.items()}
        return Texts(exercise.title, exercise.statement, exercise.hints, words)
    return _read(exercise.name, lang)


@lru_cache
def _read(name, lang):
    text = (FOLDER / lang / f"{name}.md").read_text(encoding="utf-8")
    head, hints, mistakes = re.split("|".join(f"^## {part}$" for part in PARTS), text, flags=re.M)
    title, statement = head.split("\n", 1)
    hints = tuple(re.findall(r"^\d\. (.+)$", hints, flags=re.M))
    return Texts(title.removeprefix("# "), statement.strip(), hints,
                 {**_items((FOLDER / lang / "common.md").read_text(encoding="utf-8")),
                  **_items(mistakes)})


def _items(text):
    return dict(re.findall(r"^- ([^:]+): (.+)$", text, flags=re.M))


def translated(text, lang):
    """A sentence of the grader in that language; what is not known stays as it is."""
    if lang == "en":
        return text
    plain, patterns = _sentences(lang)
    if text in plain:
        return plain[text]
    for pattern, other in patterns:
        match = pattern.fullmatch(text)
        if match:
            return other.format(**{
                key: _part(key, value, lang) for key, value in match.groupdict().items()})
    return text


def _part(key, value, lang):
    if key == "place":
        return "，".join(translated(part, lang) for part in value.split(", "))
    return value if key.endswith("code") else translated(value, lang)


@lru_cache
def _sentences(lang):
    """({sentence: its translation}, [(pattern, translation with names in braces), ...])."""
    lines = (FOLDER / lang / "verdicts.txt").read_text(encoding="utf-8").split("\n")
    pairs = [(en, other.removeprefix("= ")) for en, other in zip(lines[::2], lines[1::2],
                                                                 strict=False)]
    named = [pair for pair in pairs if "{" in pair[0]]
    named.sort(key=lambda pair: -len(re.sub(r"\{\w+\}", "", pair[0])))  # what says more comes first
    plain = {en: other for en, other in pairs if "{" not in en}
    return plain, [(_pattern(en), other) for en, other in named]


def _pattern(sentence):
    """{name} matches some text, the second time the same one; {n} a number."""
    parts, known = [], set()
    for part in re.split(r"(\{\w+\})", sentence):
        name = part[1:-1]
        if not re.fullmatch(r"\{\w+\}", part):
            parts.append(re.escape(part))
        elif name in known:
            parts.append(f"(?P={name})")
        else:
            known.add(name)
            parts.append(f"(?P<{name}>{KINDS.get(name, '.+?')})")
    return re.compile("".join(parts), flags=re.S)


KINDS = {"n": r"\d+", "number": r"\d+", "total": r"\d+", "name": r"[^\s`:]+", "line": ".*?",
         "where": r"(?:\[[\d, ]+\])?", "error": r"[^`]+?", "place": r"[^\]]+", "axis": r"[^;)]+?"}
