"""Every pair of the package has a case, and every case is right to 1e-12."""

import numpy as np
import pytest

from npattn.verification import cases, model_cases
from npattn.verification.cases import CASES, check_pair
from npattn.verification.pairs import find_pairs


def test_every_pair_has_a_case_and_every_case_a_pair():
    assert find_pairs().keys() == {name.split()[0] for name in CASES}


PAIRS = find_pairs()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", [  # models take seconds
    name if PAIRS[name.split()[0]].module.startswith("npattn.kernels")
    else pytest.param(name, marks=pytest.mark.thorough) for name in CASES])
def test_every_gradient_is_right(name):
    report = check_pair(name, seed=1)
    assert report.ok, str(report)
    assert report.checked == report.total
    assert report.method == "complex step"
    assert report.worst.error < 1e-12


def test_a_pair_without_a_case_stops_the_table(monkeypatch):
    monkeypatch.delitem(cases.CASES, "relu")
    with pytest.raises(LookupError, match="npattn.kernels.activations.relu is a pair without"):
        check_pair("relu")


def test_no_case_changes_a_mask_that_others_share():
    for case in CASES.values():
        case(np.random.default_rng(0))
    assert model_cases.SOURCE_MASK[0].all()
