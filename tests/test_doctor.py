"""The doctor: right code is right, mistakes are named, and what cannot be run is said so."""

import ast
import importlib.util
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from npattn.cli import main
from npattn.doctor import doctor, fit
from npattn.doctor.cases import Sizes, plain
from npattn.doctor.catalogue import ALL, MISTAKES, mistaken
from npattn.doctor.conventions import conventions
from npattn.doctor.differences import difference
from npattn.doctor.hints import HintError
from npattn.doctor.patient import Patient
from npattn.doctor.slips import harmless, slips

PATIENTS = Path(__file__).parent / "patients"
EXPECTED = json.loads((PATIENTS / "expected.json").read_text())
TORCH = importlib.util.find_spec("torch") is not None
QUICK = """right_keys_first right_scale_in_weights right_features_first right_rotary_cache
    right_causal_corner right_layer right_additive wrong_zeroed_scores wrong_width_of_model
    wrong_back_rowsum wrong_back_stale wrong_bias_unused wrong_rotary_restart wrong_one_maximum
    wrong_no_self wrong_float32 wrong_either_mask right_a01 right_a03 right_a17 wrong_a22 wrong_a25
    wrong_a38 wrong_a45 wrong_b05 wrong_b09 wrong_b10 errata_02 errata_05 errata_20
    wrong_f05 wrong_f19 wrong_f20 wrong_f32 wrong_f56 wrong_f61 right_f19 wrong_e49 wrong_e31
    wrong_d44 wrong_d16 wrong_d35 right_d21 right_d10 right_d12 undecided_keys
    right_i02 right_i03 wrong_i03 wrong_i07""".split()


def needs_torch(name):
    return "torch" in (PATIENTS / f"{name}.py").read_text()


def told(name):
    patient = EXPECTED[name]
    found = doctor(f"{PATIENTS / name}.py:{patient['name']}", limit=240.0)
    assert found.verdict == patient["verdict"], str(found)
    if patient["verdict"] == "right":
        assert found.code == 0 and not found.mistakes
        return
    says = patient.get("says") or "|".join(re.split(r"[| ]", patient["words"]))
    assert re.search(says, found.mistakes[0], re.IGNORECASE)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", [name for name in QUICK if name in EXPECTED])
def test_a_patient_gets_its_verdict_and_the_mistake_its_name(name):
    if needs_torch(name) and not TORCH:
        pytest.skip("torch is not installed")
    told(name)


def test_the_errata_that_are_attention_are_all_among_the_patients():
    numbers = {int(name[-2:]) for name in EXPECTED if name.startswith("errata_")}
    others = {14, 18, 21, 22, 23, 24, 25, 26}  # sizes that must raise, losses, kernels, BLEU
    assert numbers == {*range(1, 27)} - others


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in QUICK])
def test_every_other_patient_gets_its_verdict_and_the_mistake_its_name(name):
    if needs_torch(name) and not TORCH:
        pytest.skip("torch is not installed")
    told(name)


@pytest.mark.skipif(not TORCH, reason="torch is not installed")
@pytest.mark.parametrize(("name", "verdict", "words"), [
    ("SelfAttention", "wrong", "mask. fails"),
    ("DotProductAttention", "wrong", "still matters|set to 0"),
    ("MultiHeadAttention", "right", ""), ("TimeSeriesTransformer", "wrong", "batch"),
    ("CrossAttention", "wrong", "")])
def test_the_systems_of_the_five_articles_are_diagnosed(name, verdict, words):
    found = doctor(f"{PATIENTS / 'articles.py'}:{name}", limit=240.0)
    assert found.verdict == verdict and re.search(words, " ".join(found.mistakes))


def test_each_mistake_of_the_catalogue_changes_the_reference_and_compiles():
    assert len(MISTAKES) >= 60
    for name in ALL:
        space = mistaken(name)
        assert callable(space[ALL[name].where]) and ALL[name].words.endswith(".")


WRITTEN = """import numpy as np

def attend(q, k, v):
    s = q @ k.swapaxes(-1, -2) // np.sqrt(q.shape[-1])
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) @ k
"""


@pytest.mark.parametrize(("meant", "line"), [
    ("(q @ k.swapaxes(-1, -2)) / (np.sqrt(q.shape[-1]))", 4), ("e.sum(axis=-1, keepdims=True)", 6),
    ("keepdims=True) @ q", 6), ("np.exp((s))", 5), ("swapaxes(0, -2)", 4)])
def test_each_general_slip_is_undone_at_its_place(meant, line):
    assert meant not in WRITTEN
    found = slips(WRITTEN, ["attend"])
    assert any(meant in slip.applied(WRITTEN) and slip.sentence().startswith(f"Line {line}: ")
               for slip in found)
    for slip in found:
        compile(slip.applied(WRITTEN), "changed", "exec")


@pytest.mark.parametrize(("text", "fine"), [
    (WRITTEN, True), ("import os\n", False), ("open('x', 'w')\n", False),
    ("from torch import nn\n", True), ("from .mine import x\n", False)])
def test_a_file_that_may_touch_files_is_not_run_with_changes(text, fine):
    assert harmless(text, ast.parse(text)) is fine


def test_a_search_ends_after_its_candidates_however_slow_the_machine_is(monkeypatch):
    clock = iter(range(100))  # a second between any two looks
    monkeypatch.setattr(fit.time, "process_time", lambda: float(next(clock)))
    model = fit.Model("core", conventions(), None)
    case = plain("", "", Sizes())
    got = fit.predict(model, case)[0] + 1.0  # that of no mistake
    budget = fit.Budget(5)
    assert fit.explain([model] * 9, [(case, got)], ["no scale", "scale by d"], budget=budget) == []
    assert budget.spent == 6  # whole models


PLACES = """class Layer:
    def __init__(self):
        self.mask = np.triu(np.ones((4, 4)), 2)
        self.drop = Dropout(0.1)

    def forward(self, q, k, v, mask=None):
        if mask is not None:
            s = np.where(mask, s, 0.0)
        return drop(s) @ v

def layer_backward(dY, cache):
    return dS @ v
"""


@pytest.mark.parametrize(("pattern", "within", "line"), [
    ("drop", "$^", 9), ("mask|triu", "$^", 8), ("triu|mask", "$^", 3), (r"dS|[@|]", "$^", 12),
    ("[@|]", "$^", 9), ("@", "backward", 12), ("nothing", "$^", 0)])
def test_a_mistake_is_placed_in_a_line_that_does_something(pattern, within, line, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLACES)
    patient = Patient(path, "Layer", 5.0)
    patient.facts = SimpleNamespace(first=1, last=9)
    assert patient.line(pattern, within)[0] == line
    patient.close()


ON_THE_CPU = """import torch

def attend(q, k, v, causal=False):
    s = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    if causal:
        s = s.masked_fill(torch.ones(s.shape[-2:]DEVICE).triu(1) > 0, float("-inf"))
    return s.softmax(-1) @ v
"""


@pytest.mark.skipif(not TORCH, reason="torch is not installed")
@pytest.mark.parametrize(("device", "kept"), [("", False), (", device=q.device", True)])
def test_a_tensor_that_is_made_on_the_cpu_is_seen_without_another_device(device, kept, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(ON_THE_CPU.replace("DEVICE", device))
    found = doctor(f"{path}:attend", limit=240.0)
    assert found.verdict == "right"
    said = " ".join(found.conventions)
    assert ("works on the CPU alone" in said and "in line 6" in said) is not kept
    assert any(p.probe == "the device is kept" and p.holds for p in found.properties) is kept


def test_a_difference_is_told_by_its_place_or_factor():
    want = np.arange(1.0, 25.0).reshape(2, 3, 4)
    last, twice = want.copy(), 2.0 * want
    last[:, -1] = 0.0
    assert difference(last, want) == "only the last query differs"
    assert difference(twice, want) == "it is 2 times what it should be"
    assert "NaN" in difference(np.full_like(want, np.nan), want)


@pytest.mark.parametrize(("text", "name", "words"), [
    ("x = = 1\n", "f", "no Python in line 1"), ("import nothing_of_that_name\n", "f", "line 1"),
    ("def g(): pass\n", "f", "there is no f"), ("def f(a): return 1 / 0\n", "f", "line 1"),
    ("f = 3\n", "f", "type int"), ("while True: pass\n", "f", "still running"),
    ("def f(Q, K, V): return Q[:1, :1]\n", "f", "no output of attention"),
    ("import os\nos._exit(3)\n", "f", "ended with code 3"),
])
def test_what_cannot_be_run_is_said_in_one_sentence_and_json_is_printed(text, name, words, tmp_path,
                                                                        capsys):
    path = tmp_path / "mine.py"
    path.write_text(text)
    assert main(["doctor", f"{path}:{name}", "--json", "--limit", "2"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "undecided" and words in found["trouble"]
    assert "\n" not in found["trouble"]


def test_a_function_of_a_session_is_examined_by_its_source():
    found = doctor(unscaled)
    assert found.verdict == "wrong" and "not scaled" in found.mistakes[0]
    assert "wrong" in found._repr_html_() and "not scaled" in str(found)
    assert set(json.loads(found.to_json())) >= {"verdict", "mistakes", "properties", "conventions",
                                                "guessed"}


def unscaled(Q, K, V):
    S = Q @ K.swapaxes(-1, -2)
    P = np.exp(S - S.max(-1, keepdims=True))
    return P / P.sum(-1, keepdims=True) @ V


def test_a_hint_that_cannot_be_meant_is_refused_by_name(capsys):
    with pytest.raises(HintError, match="layout=xy"):
        doctor("mine.py:f", layout="xy")
    assert main(["doctor", "mine.py:f", "--mask", "maybe"]) == 2
    assert "mask=maybe" in capsys.readouterr().err
    assert main(["doctor", "nowhere.py:f"]) == 2
