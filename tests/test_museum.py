"""The museum: who notices ten bugs that well-known projects really had."""

import numpy as np
import pytest
from battery import museum
from battery.peers import CHECKERS, ask, missing

visible = pytest.mark.parametrize("exhibit", museum.EXHIBITS[:-1], ids=lambda e: str(e.number))


@visible
def test_npattn_notices_and_names_the_entry_or_the_shape(exhibit):
    verdict, message = ask("npattn", exhibit.wrong)
    assert verdict == "wrong" and "should be" in message


@pytest.mark.parametrize("exhibit", museum.EXHIBITS, ids=lambda e: str(e.number))
def test_npattn_calls_the_mended_backward_right(exhibit):
    assert ask("npattn", exhibit.right)[0] == "right"


def test_no_gradient_check_sees_a_wrong_pairing_but_the_values_do():
    wrong = museum.EXHIBITS[-1].wrong
    assert ask("npattn", wrong)[0] == "right"
    (X,) = wrong.inputs
    got, wanted = wrong.f(X)[0], museum.rotary_halves(X)[0]
    np.testing.assert_array_equal(got[0], wanted[0])
    assert np.abs(got[1:] - wanted[1:]).max(1).min() > 0.1


@pytest.mark.peers
@pytest.mark.parametrize("checker", [name for name in CHECKERS if name != "npattn"])
def test_peers_call_mended_backwards_right_and_none_sees_the_pairing(checker):
    if missing(checker):
        pytest.skip(missing(checker))
    answers = museum.who_notices(checker)
    assert {on_right for on_right, _, _ in answers} == {"right"}
    assert answers[-1][1] == "right"
    assert sum(on_wrong == "wrong" for _, on_wrong, _ in answers) >= 7
