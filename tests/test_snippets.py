"""Where readers find their snippets: every row names what exists, and every system has a row."""

from pathlib import Path

import pytest

from npattn.verification.snippets import (
    SNIPPETS, format_snippets, function_of, markdown, snippet_of,
)
from npattn.verification.systems import SYSTEMS

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.what)
def test_a_snippet_names_a_function_on_its_page(snippet):
    assert callable(function_of(snippet))
    assert (ROOT / snippet.path).exists()
    if not snippet.page.startswith("npattn.d2l"):
        assert function_of(snippet).__module__ == snippet.page
        assert snippet.write.startswith(snippet.name + "(")


def test_every_system_has_its_function_and_page():
    lines = format_snippets([system.name for system in SYSTEMS])
    own = lines[: lines.index("")]
    for system in SYSTEMS:
        (line,) = [line for line in own if line.startswith(system.name + "  ")]
        assert snippet_of(system.name).write in line and snippet_of(system.name).path in line
    for snippet in SNIPPETS:
        assert any(line.startswith(snippet.what) for line in lines)


def test_the_readme_shows_the_table():
    assert markdown() in (ROOT / "README.md").read_text(encoding="utf-8")
