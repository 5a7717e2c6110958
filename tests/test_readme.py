"""The README is executed: each Python block runs and prints what the block after it shows."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.S)


def test_there_is_something_to_run():
    assert len(BLOCKS) == README.count("```python") > 0


@pytest.mark.parametrize(("code", "shown"), BLOCKS)
def test_a_block_prints_what_the_readme_shows(code, shown):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == shown
