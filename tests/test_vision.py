"""The vision Transformer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.layer_norm import layer_norm
from npattn.kernels.linear import linear
from npattn.models.vision import (
    VisionConfig,
    init_vision,
    vision_transformer,
    vision_transformer_backward,
)
from npattn.trees import tree_items, tree_leaves

pools = pytest.mark.parametrize("pool", ["class", "mean"])


def small(**options):
    """Images (2, 4, 6) in patches of 2 × 2, so 6 patches; width 4, two heads, one block."""
    sizes = dict(image_shape=(2, 4, 6), patch=2, classes=5, width=4, num_heads=2, hidden=5)
    return VisionConfig(**{**sizes, "num_blocks": 1, **options})


@pytest.fixture
def make(rng, shake):
    """config and shaken parameters."""

    def build(**options):
        config = small(**options)
        return config, shake(init_vision(config, rng))

    return build


# ---- values ----


@pytest.mark.parametrize("pool, tokens", [("class", 7), ("mean", 6)])
def test_without_blocks_by_hand(make, draw, pool, tokens):
    config, params = make(num_blocks=0, pool=pool)
    X = draw(3, 2, 4, 6)
    logits, _ = vision_transformer(X, params, config=config)
    if pool == "class":  # nothing has told it of the image
        Z = (params.class_token + params.positions[0])[None]
        pooled = layer_norm(Z, params.encoder.norm)[0].repeat(3, axis=0)
    else:
        corners = [X[:, :, i : i + 2, j : j + 2] for i in (0, 2) for j in (0, 2, 4)]
        rows = np.stack([c.transpose(0, 2, 3, 1).reshape(3, -1) for c in corners], axis=1)
        Z = linear(rows, params.patches)[0] + params.positions
        pooled = layer_norm(Z, params.encoder.norm)[0].mean(axis=1)
    assert config.tokens == len(params.positions) == tokens
    assert_allclose(logits, linear(pooled, params.output)[0], rtol=1e-12)


def test_shapes_of_the_text(rng):
    config = VisionConfig((1, 96, 96), patch=16, width=16, num_heads=8, hidden=32)
    assert config.tokens == 37
    X, params = np.zeros((2, 1, 96, 96)), init_vision(config, rng)
    logits, cache = vision_transformer(X, params, config=config)
    assert logits.shape == (2, 10)
    for block in cache.encoder.blocks:
        assert block.attention.attention.P.shape == (2, 8, 37, 37)


@pools
def test_initial_parameters(rng, pool):
    params = init_vision(small(pool=pool), rng, dtype=np.float32)
    shapes = {path: X.shape for path, X in tree_items(params)}
    assert shapes["patches.W"] == (8, 4) and shapes["output.W"] == (4, 5)
    assert shapes["positions"] == (6 + (pool == "class"), 4)
    assert ("class_token" in shapes) == (pool == "class") and "encoder.norm.gain" in shapes
    assert {X.dtype for X in tree_leaves(params)} == {np.dtype(np.float32)}
    assert np.abs(params.positions).max() < 0.1


# ---- invariants ----


@pools
def test_images_of_a_batch_do_not_hear_each_other(make, draw, pool):
    config, params = make(pool=pool)
    X = draw(3, 2, 4, 6)
    logits, _ = vision_transformer(X, params, config=config)
    for one, image in zip(logits, X, strict=True):
        alone, _ = vision_transformer(image, params, config=config)
        assert_allclose(alone, one, rtol=0, atol=1e-13)


@pools
@pytest.mark.parametrize("leading", [(), (3, 1)])
def test_leading_axes_are_a_batch(make, draw, pool, leading):
    config, params = make(pool=pool)
    X, dY = draw(3, 2, 4, 6)[: 3 if leading else 1], draw(3, 5)[: 3 if leading else 1]
    logits, cache = vision_transformer(X, params, config=config)
    expected = logits, *vision_transformer_backward(dY, cache)
    other, cache = vision_transformer(X.reshape(*leading, 2, 4, 6), params, config=config)
    found = other, *vision_transformer_backward(dY.reshape(*leading, 5), cache)
    assert other.shape == (*leading, 5)
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        assert_allclose(a.reshape(b.shape), b, rtol=0, atol=1e-12)


@pools
def test_without_positions_the_order_of_patches_does_not_matter(make, draw, pool):
    config, params = make(pool=pool)
    X = draw(3, 2, 4, 6)
    swapped = np.concatenate([X[:, :, 2:], X[:, :, :2]], axis=2)  # the two rows of patches

    def logits(X, positions):
        return vision_transformer(X, params._replace(positions=positions), config=config)[0]

    flat = np.zeros_like(params.positions)
    assert_allclose(logits(swapped, flat), logits(X, flat), rtol=0, atol=1e-13)
    assert np.abs(logits(swapped, params.positions) - logits(X, params.positions)).max() > 1e-3


def test_dropout_needs_a_generator(make, draw):
    config, params = make(dropout=0.3)
    X = draw(3, 2, 4, 6)
    plain, _ = vision_transformer(X, params, config=config)
    assert_array_equal(vision_transformer(X, params, config=small())[0], plain)
    noisy, cache = vision_transformer(X, params, config=config, rng=np.random.default_rng(0))
    assert (noisy != plain).all() and (cache.dropped.keep == 0.0).any()


@pools
def test_convention(convention, make, draw, pool):
    config, params = make(pool=pool)
    X = draw(3, 2, 4, 6)
    convention(vision_transformer, vision_transformer_backward, X, params, config=config)


# ---- gradients ----


@pools
def test_gradients(assert_gradients, make, draw, pool, rng):
    config, params = make(pool=pool, dropout=0.2)
    args = draw(2, 2, 4, 6), params
    assert_gradients(vision_transformer, vision_transformer_backward, *args, config=config, rng=rng)


@pools
def test_against_torch(make, draw, pool):
    torch = pytest.importorskip("torch")
    bridge = pytest.importorskip("npattn.torch_bridge")
    config, params = make(num_blocks=2, pool=pool)
    X, dY = draw(3, 2, 4, 6), draw(3, 5)
    layer = torch.nn.TransformerEncoderLayer(
        4, 2, 5, dropout=0.0, activation="gelu", batch_first=True, norm_first=True,
        dtype=torch.float64,
    )
    norm = torch.nn.LayerNorm(4, dtype=torch.float64)
    stack = torch.nn.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False)
    bridge.export_module(params.encoder, stack)
    tX, (patches, token, positions, _, output) = bridge.to_torch((X, params._replace(encoder=None)),
                                                                 requires_grad=True)
    kernel = patches.W.reshape(2, 2, 2, 4).permute(3, 2, 0, 1)
    Z = torch.nn.functional.conv2d(tX, kernel, patches.b, stride=2).flatten(2).transpose(1, 2)
    if token is not None:
        Z = torch.cat([token.expand(3, 1, 4), Z], dim=1)
    E = stack(Z + positions)
    expected = (E.mean(dim=1) if token is None else E[:, 0]) @ output.W + output.b
    expected.backward(torch.tensor(dY))

    logits, cache = vision_transformer(X, params, config=config)
    assert_allclose(logits, expected.detach().numpy(), rtol=0, atol=1e-12)
    dX, dparams = vision_transformer_backward(dY, cache)
    assert_allclose(dX, tX.grad.numpy(), rtol=0, atol=1e-12)
    tensors = tree_leaves((patches, token, positions, output))
    there = [t.grad.numpy() for t in tensors] + tree_leaves(bridge.import_gradients(stack))
    here = tree_leaves(dparams._replace(encoder=None)) + tree_leaves(dparams.encoder)
    for d, want in zip(here, there, strict=True):
        assert_allclose(d, want, rtol=0, atol=1e-12)


@pools
def test_no_images(make, pool):
    config, params = make(pool=pool)
    X = np.zeros((0, 2, 4, 6))
    logits, cache = vision_transformer(X, params, config=config)
    dX, dparams = vision_transformer_backward(logits, cache)
    assert logits.shape == (0, 5) and dX.shape == X.shape
    assert not any(leaf.any() for leaf in tree_leaves(dparams))


# ---- errors ----


@pytest.mark.parametrize("options, message", [
    ({"patch": 4}, r"patch=4 does not divide the image \(2, 4, 6\)"),
    ({"image_shape": (2, 6, 4), "patch": 4}, "patch=4 does not divide"),
    ({"num_heads": 3}, "num_heads=3 for a width of 4"),
    ({"pool": "max"}, 'pool must be "class" or "mean", got \'max\''),
])
def test_configurations_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_images_that_do_not_fit(make):
    config, params = make()
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        vision_transformer(np.zeros((2, 4, 6)).tolist(), params, config=config)
    for shape in ((3, 2, 6, 4), (3, 1, 4, 6), (4, 6)):
        with pytest.raises(ValueError) as error:
            vision_transformer(np.zeros(shape), params, config=config)
        assert f"with (2, 4, 6), got {shape}" in str(error.value)
