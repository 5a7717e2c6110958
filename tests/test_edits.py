"""Edits of a source: found where they are said to be, made together, shown in a sentence."""

import numpy as np
import pytest

from npattn.edits import Edit, EditError, Overlap, apply, edited, edited_module, source_of, wrote

WIDTH = 2


def double(dP, P):
    """A softmax's backward, twice."""
    row = (dP * P).sum(axis=-1, keepdims=True)
    dS = P * (dP - row)
    return WIDTH * dS


SOURCE = source_of(double)
PLUS = Edit("dP - row", "dP + row", "The row sum is added.", 2)
NO_P = Edit("P * (dP -", "(dP -", "The factor P is missing.")
DP, P = np.array([[1.0, 2.0, 4.0]]), np.array([[0.25, 0.5, 0.25]])


def test_an_edited_function_does_what_its_text_says_and_sees_the_same_globals():
    row = (DP * P).sum(-1, keepdims=True)
    np.testing.assert_array_equal(edited(double)(DP, P), 2 * P * (DP - row))
    np.testing.assert_array_equal(edited(double, PLUS)(DP, P), 2 * P * (DP + row))
    np.testing.assert_array_equal(edited(double, PLUS, NO_P)(DP, P), 2 * (DP + row))
    np.testing.assert_array_equal(double(DP, P), 2 * P * (DP - row))


def test_the_order_of_the_edits_does_not_matter():
    assert apply(SOURCE, PLUS, NO_P) == apply(SOURCE, NO_P, PLUS)


def test_quoted_surroundings_may_overlap_but_not_what_is_changed():
    with pytest.raises(Overlap, match=r"the same words, line 4: `dS = P \* \(dP - row\)`"):
        apply(SOURCE, PLUS, Edit("dP - row", "dP"))
    with pytest.raises(Overlap):
        apply(SOURCE, Edit("return", "2 * return"), Edit("return", "3 * return"))


def test_one_edit_may_replace_several_texts():
    both = Edit(("dP - row", "WIDTH *"), ("dP + row", "3 *"))
    np.testing.assert_array_equal(edited(double, both)(DP, P), 1.5 * edited(double, PLUS)(DP, P))


def test_a_text_must_stand_there_once_or_the_edit_says_where():
    with pytest.raises(EditError, match="'dQ' is not in the source"):
        apply(SOURCE, Edit("dQ", ""))
    with pytest.raises(EditError, match=r"'dP' stands in lines 1, 3, 4: quote more"):
        apply(SOURCE, Edit("dP", ""))
    assert "P * (dX - row)" in apply(SOURCE, Edit("dP", "dX", after="dS ="))
    with pytest.raises(EditError, match="behind that place"):
        apply(SOURCE, Edit("axis", "", after="dS ="))


def test_a_whole_file_is_edited_as_well():
    text = f"WIDTH = 3\n\n\n{SOURCE}"
    module = edited_module(text, PLUS, name="learner", path="learner.py")
    np.testing.assert_array_equal(module.double(DP, P), 1.5 * edited(double, PLUS)(DP, P))
    assert (module.__name__, module.__file__) == ("learner", "learner.py")


@pytest.mark.parametrize(("edit", "text"), [
    (PLUS, "dP + row"),
    (NO_P, "dS = (dP - row)"),
    (Edit(", keepdims=True", ""), "(dP * P).sum(axis=-1)"),
    (Edit("P * (dP - row)", "P"), "dS = P"),
    (Edit("    return", "    dS = -dS\n    return"), "dS = -dS"),
    (Edit("WIDTH * dS", " + ".join(["dS"] * 30)), "dS" + " + dS" * 11 + " …"),
])
def test_an_edit_is_shown_in_a_few_words(edit, text):
    found = wrote(SOURCE, edit)
    assert found == text and len(found) <= 62
