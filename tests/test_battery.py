"""Verdicts about functions that are not npattn's: tests/battery lists them, half of them wrong."""

import battery
import pytest
from battery.judging import complaints


def require_due(shelf):
    found = complaints(battery.entries([shelf]))
    assert not found, "\n\n".join(found)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("shelf", battery.FIRST + battery.SECOND)
def test_each_function_gets_the_verdict_that_is_due(shelf):
    require_due(shelf)


@pytest.mark.peers
@pytest.mark.parametrize("shelf", battery.INSIDE)
def test_functions_with_another_library_inside_get_the_verdict_that_is_due(shelf):
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    pytest.importorskip("numba")
    require_due(shelf)


@pytest.mark.thorough
@pytest.mark.parametrize("shelves, least", [(battery.FIRST, 320), (battery.SECOND, 150)],
                         ids=["first", "second"])
def test_at_least_half_are_wrong_and_at_most_a_tenth_may_stay_undecided(shelves, least):
    entries = battery.entries(shelves)
    wrong = [entry for entry in entries if entry.fault]
    assert len(entries) >= least and len(wrong) >= len(entries) / 2
    assert sum("undecided" in entry.due for entry in entries) <= 0.1 * len(entries)


@pytest.mark.thorough
def test_no_entry_allows_the_false_verdict_and_titles_are_unique():
    false = {True: "right", False: "wrong"}
    entries = battery.entries(battery.FIRST + battery.SECOND)
    assert not [entry.title for entry in entries if false[bool(entry.fault)] in entry.due]
    assert len({entry.title for entry in entries}) == len(entries)
