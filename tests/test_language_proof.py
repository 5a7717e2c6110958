"""One complex step through all parameters of a language model."""

from dataclasses import replace

import numpy as np
import pytest

from npattn.models import language_proof
from npattn.models.head_extras import Rotary
from npattn.models.language_model import LanguageModelConfig, init_language_model
from npattn.models.language_proof import Proof, prove_gradient
from npattn.trees import tree_leaves, tree_map

CONFIG = LanguageModelConfig(
    vocabulary=23, width=6, num_blocks=3, num_heads=4, num_kv_heads=2, head_width=4, hidden=9,
    context=40,
)
KINDS = {
    "llama": CONFIG,
    "gemma": replace(
        CONFIG, windows=(3, None, 2), local_rotary=Rotary(base=50.0), embedding_scale=2.0,
        activation="gelu_tanh", qk_norm=True, norm="sandwich",
    ),
    "qwen": replace(CONFIG, bias=True),
    "gpt2": replace(
        CONFIG, num_kv_heads=4, rotary=None, activation="gelu_tanh", gated=False, bias=True,
        normalization="layer_norm",
    ),
}


def model(kind, rng):
    config = KINDS[kind]
    params = init_language_model(config, rng, tied=kind != "qwen")
    return config, tree_map(lambda p: p + 0.5 * rng.standard_normal(p.shape), params)


@pytest.mark.parametrize("kind", KINDS)
def test_the_two_slopes_agree(kind, rng, monkeypatch):
    monkeypatch.setattr(language_proof, "SLICE", 5)
    config, params = model(kind, rng)
    proof = prove_gradient(rng.integers(0, 23, 12), params, config=config, answer=4)
    assert proof.ok and proof.error < 1e-15 and abs(proof.by_step) > 1e-3
    assert proof.parameters == sum(leaf.size for leaf in tree_leaves(params))


def test_the_parameters_may_be_float32(rng):
    config, params = model("llama", rng)
    single = tree_map(lambda p: np.asfortranarray(p, np.float32), params)
    assert prove_gradient(rng.integers(0, 23, 12), single, config=config).ok


PARTS = {
    "encoder_block_backward": lambda dX, dparams: (
        dX, dparams._replace(feed_forward_norm=dparams.feed_forward_norm * 1.001)),
    "normalize_backward": lambda dX, dparams: (dX * 1.001, dparams),
    "project_backward": lambda dX, dparams: (dX, dparams._replace(W=dparams.W * 1.001)),
    "embedding_backward": lambda dE: dE * 1.001,
}


@pytest.mark.parametrize("part", PARTS)
def test_a_gradient_that_is_off_by_a_thousandth_is_found(part, rng, monkeypatch):
    config, params = model("llama", rng)
    right = getattr(language_proof, part)

    def wrong(*args):
        found = right(*args)
        return PARTS[part](*found) if isinstance(found, tuple) else PARTS[part](found)

    monkeypatch.setattr(language_proof, part, wrong)
    proof = prove_gradient(rng.integers(0, 23, 12), params, config=config, answer=4)
    assert not proof.ok and proof.error > 1e-10


def test_the_error_is_relative_to_what_the_slope_could_be():
    assert Proof(0.0, 3.0, 1.0, 4.0, 1).error == 0.5
    assert Proof(0.0, 3.0, 1.0, 0.0, 1).error == 2.0
    assert not Proof(0.0, 1e-14, 0.0, 1.0, 1).ok and Proof(0.0, 0.99e-14, 0.0, 1.0, 1).ok
    assert not Proof(0.0, 1.2e-14, 0.0, 1.0, 1).ok


def test_without_a_generator_the_seed_is_0_and_one_token_is_the_answer(rng):
    config, params = model("llama", rng)
    tokens = rng.integers(0, 23, 12)
    told = dict(answer=1, rng=np.random.default_rng(0))
    assert prove_gradient(tokens, params, config=config) == prove_gradient(
        tokens, params, config=config, **told)


def test_a_table_that_is_also_the_output_moves_as_one(rng):
    for kind, tied in (("llama", True), ("qwen", False)):
        config, params = model(kind, rng)
        run = language_proof._Run(np.arange(5), params, config, 1, rng)
        assert run.output.a.shape == (6,) and run.output.b.shape == (23,)
        assert (run.output.b is run.table.a) == (run.output.a is run.table.b) == tied


def test_an_answer_needs_a_question(rng):
    config, params = model("llama", rng)
    for answer in (0, 12):
        with pytest.raises(ValueError, match="answer must be 1 … 11 of the tokens"):
            prove_gradient(np.arange(12), params, config=config, answer=answer)


def test_every_sign_is_plus_or_minus_1_and_both_come(rng):
    signs = language_proof._signs(rng, 1000)
    assert set(signs.tolist()) == {-1.0, 1.0} and 400 < (signs > 0).sum() < 600
