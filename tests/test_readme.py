"""The README and the pages in docs/ are executed: a Python block prints what is shown below it."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*[!h].md"))]
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.S)
BLOCKS = [
    pytest.param(code, shown, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (code, shown) in enumerate(EXAMPLE.findall(page.read_text(encoding="utf-8")))
]


def test_every_python_block_is_followed_by_its_output():
    assert len(BLOCKS) == sum(page.read_text(encoding="utf-8").count("```python") for page in PAGES)


@pytest.mark.parametrize(("code", "shown"), BLOCKS)
def test_a_block_prints_what_the_page_shows(code, shown):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "page", "exec"), {})
    assert printed.getvalue() == shown


def test_the_readme_is_short():
    """About 600 words beside its tables and its code."""
    prose = re.sub(r"```.*?```", "", PAGES[0].read_text(encoding="utf-8"), flags=re.S)
    words = " ".join(line for line in prose.splitlines() if not line.startswith("|")).split()
    assert len(words) <= 700


def test_counts_in_the_readme_are_those_of_the_package():
    from npattn import gpt
    from npattn.breaking.catalogue import EDITS

    text = PAGES[0].read_text(encoding="utf-8")
    assert int(re.search(r"how far (\d+) ", text)[1]) == len(EDITS)
    code = [line for line in Path(gpt.__file__).read_text(encoding="utf-8").splitlines()
            if line.split("#")[0].strip()]
    assert abs(int(re.search(r"in (\d+) lines of NumPy", text)[1]) - len(code)) <= 10
