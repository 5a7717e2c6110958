"""Verdicts about functions that are not npattn's: tests/battery lists them, half of them wrong."""

import battery
import pytest
from battery.judging import complaints

FIRST, SECOND = battery.entries(), battery.second_entries()
ENTRIES = FIRST + SECOND
FAMILIES = sorted({entry.family for entry in ENTRIES})


def require_due(entries):
    found = complaints(entries)
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_function_gets_the_verdict_that_is_due(family):
    require_due(entry for entry in ENTRIES if entry.family == family)


@pytest.mark.peers
@pytest.mark.parametrize("name", ["torch", "jax", "numba"])
def test_functions_with_another_library_inside_get_the_verdict_that_is_due(name):
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    pytest.importorskip("numba")
    inside = [entry for entry in battery.entries(peers=True) if entry not in ENTRIES]
    require_due(entry for entry in inside if entry.family.lower().startswith(name))


@pytest.mark.parametrize("entries, least", [(FIRST, 320), (SECOND, 150)], ids=["first", "second"])
def test_at_least_half_are_wrong_and_at_most_a_tenth_may_stay_undecided(entries, least):
    wrong = [entry for entry in entries if entry.fault]
    assert len(entries) >= least and len(wrong) >= len(entries) / 2
    assert sum("undecided" in entry.due for entry in entries) <= 0.1 * len(entries)


def test_no_entry_allows_the_false_verdict():
    false = {True: "right", False: "wrong"}
    assert not [entry.title for entry in ENTRIES if false[bool(entry.fault)] in entry.due]


def test_titles_are_unique():
    assert len({entry.title for entry in ENTRIES}) == len(ENTRIES)
