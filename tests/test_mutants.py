"""The command that plants faults: which ones it knows, and that it notices which are noticed."""

import pytest

from tests import mutants
from tests.mutants import descriptions, equivalents, mutants_of, one_line

PAGE = '''"""A page."""


def mean(X, *, axis=-1):
    """Its docstring has 1 number."""
    if X.ndim < 1 or not X.size:
        raise ValueError("no numbers: 0")
    return X.sum(axis=axis, keepdims=True) / X.shape[axis]
'''


def test_each_kind_of_edit_is_made_once_and_words_stay(tmp_path, monkeypatch):
    (tmp_path / "page.py").write_text(PAGE)
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    found = mutants_of("page.py")
    assert {(m.line, one_line(m.old), one_line(m.new)) for m in found} == {
        (4, "-1", "(1)"), (4, "1", "(2)"), (6, "1", "(2)"),
        (6, "X.ndim < 1", "(X.ndim <= 1)"), (6, "not X.size", "(X.size)"),
        (6, "X.ndim < 1 or not X.size", "(X.ndim < 1 and (not X.size))"),
        (6, "X.ndim < 1 or not X.size", "(not (X.ndim < 1 or not X.size))"),
        (8, "X.sum(axis=axis, keepdims=True) / X.shape[axis]",
         "(X.sum(axis=axis, keepdims=True) * X.shape[axis])"),
        (8, "X.sum(axis=axis, keepdims=True)", "(X.sum(keepdims=True))"),
        (8, "X.sum(axis=axis, keepdims=True)", "(X.sum(axis=axis))"), (8, "True", "(False)"),
    }
    assert {m.where for m in found} == {"mean"}
    for m in found:
        compile(m.text, "page.py", "exec")
        assert "no numbers: 0" in m.text and "has 1 number" in m.text


def test_each_equivalent_mutant_is_still_one_and_has_a_reason():
    listed = equivalents()
    for page in {page for page, _, _ in listed}:
        edits = {(page, *words) for m in mutants_of(page) for words in descriptions(m)}
        assert not {row for row in listed if row[0] == page} - edits
    assert all(len(reason) > 20 for reason in listed.values())


def test_defaults_are_edited_where_the_page_is_imported_and_the_rest_where_it_stands(
    tmp_path, monkeypatch
):
    (tmp_path / "page.py").write_text(PAGE)
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    entered = {"test": (0.1, ["page.py:mean"])}
    found = mutants_of("page.py")
    assert {m.line for m in found if mutants.acts_at_import(m, entered)} == {4}
    assert all(mutants.acts_at_import(m, {"test": (0.1, [])}) for m in found)


def test_a_hunt_that_breaks_off_kills_nothing(monkeypatch):
    monkeypatch.setattr(mutants.os, "environ", dict(mutants.os.environ))
    monkeypatch.setattr(pytest, "main", lambda *_, **__: pytest.ExitCode.INTERNAL_ERROR)
    with pytest.raises(SystemExit, match="the hunt has broken off"):
        mutants.survivors_of([], [], 1)
