"""A model of which a part learns: gradients, merging, and files that peft reads."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import assert_gradients
from npattn.experiments import lora
from npattn.kernels.losses import cross_entropy
from npattn.models.adapting import adapted, frozen, init_updates, merged
from npattn.models.language_model import LanguageModelConfig, init_language_model, language_model
from npattn.models.projection import FrozenParams, project, project_backward
from npattn.trees import tree_leaves, tree_map

CONFIG = LanguageModelConfig(
    vocabulary=11, width=6, num_blocks=2, num_heads=4, num_kv_heads=2, head_width=4, hidden=9,
    context=40,
)


@pytest.fixture
def params(rng):
    start = init_language_model(CONFIG, rng)
    return tree_map(lambda p: p + 0.5 * rng.standard_normal(p.shape), start)


@pytest.fixture
def updates(params, rng):
    return tree_map(lambda p: p + 0.3 * rng.standard_normal(p.shape), init_updates(params, 2, rng))


def test_updates_start_by_changing_nothing_and_merge_into_one_matrix(params, updates, rng):
    tokens = rng.integers(0, 11, 7)
    plain, _ = language_model(tokens, params, config=CONFIG)
    start = adapted(frozen(params), init_updates(params, 2, rng))
    assert_array_equal(language_model(tokens, start, config=CONFIG, frozen=True)[0], plain)
    added, _ = language_model(tokens, adapted(frozen(params), updates), config=CONFIG)
    one = merged(params, updates)
    assert_allclose(language_model(tokens, one, config=CONFIG)[0], added, rtol=1e-9)
    assert np.abs(added - plain).max() > 1e-2
    back = merged(one, updates, scale=-1.0)
    assert_allclose(language_model(tokens, back, config=CONFIG)[0], plain, rtol=1e-9)


def test_the_gradient_of_the_updates_is_right(params, updates, rng):
    pairs = [(rng.integers(0, 11, n), rng.integers(0, 11, 3)) for n in (2, 4)]
    batch, model = lora.batch_of(pairs), frozen(params)

    def loss(updates):
        logits, _ = language_model(
            batch.tokens, adapted(model, updates), config=CONFIG, where=batch.where, frozen=True)
        return cross_entropy(logits, batch.answers)[0], updates

    def backward(dloss, updates):
        _, grads, _ = lora.loss_and_grads(updates, batch, model=model, config=CONFIG)
        return tree_map(lambda g: g * dloss, grads)

    assert_gradients(loss, backward, updates)


def test_a_batch_asks_for_the_answers_alone():
    tokens, where, answers = lora.batch_of([
        (np.array([1, 2]), np.array([3, 4])), (np.array([5]), np.array([6, 7]))
    ])
    assert tokens.tolist() == [[1, 2, 3], [5, 6, 0]]
    assert where.astype(int).tolist() == [[0, 1, 1], [1, 1, 0]]
    assert answers.tolist() == [3, 4, 6, 7]


def test_files_are_those_of_peft_and_come_back(updates, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs the extra llm")
    from npattn.weights.adapters import load_updates, save_updates

    path = tmp_path / "adapter_model.safetensors"
    save_updates(path, updates, CONFIG)
    tensors = safetensors.load_file(path)
    name = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"
    assert tensors[name].shape == (16, 2) and len(tensors) == 8
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["r"] == settings["lora_alpha"] == 2 and settings["peft_type"] == "LORA"
    for here, there in zip(tree_leaves(load_updates(path, CONFIG)), tree_leaves(updates),
                           strict=True):
        assert_allclose(here, there)
    first = path.read_bytes()
    save_updates(path, updates, CONFIG)
    assert path.read_bytes() == first
    del tensors[name]
    safetensors.save_file(tensors, path)
    with pytest.raises(ValueError, match="layers.1.self_attn.q_proj.lora_B.weight is missing"):
        load_updates(path, CONFIG)


def test_updates_are_scaled_as_peft_scales_them(updates, tmp_path):
    pytest.importorskip("safetensors.numpy", reason="needs the extra llm")
    from npattn.weights.adapters import load_updates, save_updates

    path, beside = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    save_updates(path, updates, CONFIG)
    settings = json.loads(beside.read_text())
    for changes, factor in ((dict(lora_alpha=6), 3.0), (dict(r=5, lora_alpha=6), 3.0),
                            (dict(lora_alpha=6, use_rslora=True), 6 / 2**0.5)):
        beside.write_text(json.dumps(settings | changes))
        for got, sent in zip(load_updates(path, CONFIG), updates, strict=True):
            assert_allclose(got.query.B, sent.query.B * factor, rtol=1e-6)
            assert_allclose(got.value.A, sent.value.A, rtol=1e-6)
    for changes in (dict(use_dora=True), dict(alpha_pattern={"q_proj": 9})):
        beside.write_text(json.dumps(settings | changes))
        with pytest.raises(ValueError, match=f"{[*changes][0]} in its adapter_config.json is not"):
            load_updates(path, CONFIG)


def test_maps_of_unlike_rank_are_told_so_that_peft_makes_them_as_large(updates, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs the extra llm")
    from npattn.weights.adapters import load_updates, save_updates

    wider = tuple(block._replace(value=type(block.value)(
        np.concatenate([block.value.A] * 2, axis=1), np.concatenate([block.value.B] * 2)
    )) for block in updates)
    path = tmp_path / "adapter_model.safetensors"
    save_updates(path, wider, CONFIG)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["rank_pattern"] == {"v_proj": 4} and settings["r"] == 2
    name = "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight"
    factor = settings["lora_alpha"] / 4  # which peft multiplies with
    assert_allclose(factor * safetensors.load_file(path)[name].T, wider[0].value.B, rtol=1e-6)
    for here, there in zip(tree_leaves(load_updates(path, CONFIG)), tree_leaves(wider),
                           strict=True):
        assert_allclose(here, there, rtol=1e-6)


@pytest.mark.parametrize("part, shape", [
    ("A", (2, 17)), ("A", (3, 16)), ("A", (0, 16)), ("A", (16,)), ("A", (2, 16, 1)),
    ("B", (17, 2)), ("B", (8, 2)), ("B", (16, 3)), ("B", ()),
])
def test_updates_of_another_model_are_named(updates, tmp_path, part, shape):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs the extra llm")
    from npattn.weights.adapters import load_updates, save_updates
    from npattn.weights.sources import WeightsError

    path = tmp_path / "adapter_model.safetensors"
    save_updates(path, updates, CONFIG)
    tensors = safetensors.load_file(path)
    name = f"base_model.model.model.layers.1.self_attn.q_proj.lora_{part}.weight"
    safetensors.save_file(tensors | {name: np.ones(shape, np.float32)}, path)
    with pytest.raises(WeightsError, match="of the query must be .*: it was made for another mod"):
        load_updates(path, CONFIG)


@pytest.mark.parametrize("changes, words", [
    (dict(lora_alpha="x"), "lora_alpha must be a number, got 'x'"),
    (dict(lora_alpha=True), "lora_alpha must be a number, got True"),
    (dict(peft_type="IA3"), "is of the kind 'IA3'; known is LORA"),
])
def test_settings_of_updates_that_do_not_fit_are_named(updates, tmp_path, changes, words):
    pytest.importorskip("safetensors.numpy", reason="needs the extra llm")
    from npattn.weights.adapters import load_updates, save_updates

    path, beside = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    save_updates(path, updates, CONFIG)
    beside.write_text(json.dumps(json.loads(beside.read_text()) | changes))
    with pytest.raises(ValueError, match=words):
        load_updates(path, CONFIG)


def test_updates_have_the_precision_of_their_layer(params, rng):
    single = tree_map(lambda p: p.astype(np.float32), params)
    for updates in (init_updates(single, 2, rng), init_updates(single, 2, rng, gain=3.0)):
        assert {leaf.dtype for leaf in tree_leaves(updates)} == {np.dtype(np.float32)}


def test_a_gain_is_a_factor_of_what_is_drawn(params):
    one, three = (init_updates(params, 2, np.random.default_rng(0), **told)
                  for told in ({}, dict(gain=3.0)))
    for a, b in zip(one, three, strict=True):
        for name in ("query", "value"):
            assert_array_equal(getattr(b, name).A, 3.0 * getattr(a, name).A)


def test_an_upstream_that_does_not_fit_a_frozen_layer_is_named(draw):
    _, cache = project(draw(3, 4), FrozenParams(draw(4, 5), None))
    for shape in ((2, 5), (3, 6)):
        with pytest.raises(ValueError, match=r"dY must have the shape \(3, 5\)"):
            project_backward(draw(*shape), cache)


def test_frozen_parameters_are_the_same_numbers(params):
    for got, want in zip(tree_leaves(frozen(params)), tree_leaves(params), strict=True):
        assert got is want
