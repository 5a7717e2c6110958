"""An option that is given is handed on: with another value, another result comes out.

Gradients do not miss an option that was left out, since forward and backward leave it out together.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from npattn.kernels.attention import attention
from npattn.kernels.attention_by_blocks import attention_by_blocks
from npattn.kernels.differential import differential_attention
from npattn.models.config import BlockOptions
from npattn.models.decoder import decoder, init_decoder
from npattn.models.encoder import encoder, init_encoder
from npattn.models.head_extras import Rotary
from npattn.models.multihead import cross_attention, init_multihead, self_attention
from npattn.models.normalize import NORMALIZATIONS, init_normalize
from npattn.trees import tree_leaves

GIVEN = dict(num_heads=2, qk_norm=True)
OTHERS = {
    "cap": 0.5, "scale": 0.1, "eps": 0.3, "norm": "pre", "normalization": "rms_norm",
    "activation": "gelu", "window": 2, "rotary": "halves",
}


def results(options):
    """What an encoder and a decoder of two blocks return with these options."""
    rng = np.random.default_rng(0)
    start = BlockOptions(num_heads=2, head_width=4, qk_norm=True, norm=options.norm,
                         normalization=options.normalization)
    X, M = rng.standard_normal((2, 5, 8)), rng.standard_normal((2, 6, 8))
    E = encoder(X, init_encoder(8, 9, 2, np.random.default_rng(1), options=start), options=options)
    D = decoder(X, M, init_decoder(8, 9, 2, np.random.default_rng(1), options=start),
                options=options)
    return E[0], D[0]


@pytest.mark.parametrize("option", OTHERS)
def test_encoder_and_decoder_hear_every_option(option):
    other = BlockOptions(**GIVEN, **{option: OTHERS[option]})
    for one, changed in zip(results(BlockOptions(**GIVEN)), results(other), strict=True):
        assert np.abs(one - changed).max() > 1e-3


@pytest.mark.parametrize("told", [
    dict(cap=0.5), dict(scale=0.1), dict(qk_eps=0.5), dict(kernel="tiled", scale=0.1),
], ids=str)
def test_self_attention_and_cross_attention_hear_every_option(rng, told):
    params = init_multihead(8, rng, num_heads=2, qk_norm=True)
    X, M = rng.standard_normal((2, 5, 8)), rng.standard_normal((2, 6, 8))
    for attend in (lambda **o: self_attention(X, params, num_heads=2, **o)[0],
                   lambda **o: cross_attention(X, M, params, num_heads=2, **o)[0]):
        assert np.abs(attend(**told) - attend()).max() > 1e-3


def test_self_attention_hears_how_positions_turn(rng):
    params, X = init_multihead(16, rng, num_heads=2), rng.standard_normal((2, 5, 16))
    outputs = [self_attention(X, params, num_heads=2, turn=turn)[0] for turn in (
        None, "halves", "interleaved", Rotary(base=9.0), Rotary(width=2), Rotary(speeds=(1.0,)))]
    for i, one in enumerate(outputs):
        for j, other in enumerate(outputs[:i]):
            same = {i, j} == {4, 5}  # two columns turn at one radian for a position
            assert (np.abs(one - other).max() > 1e-5) != same


def test_both_halves_of_differential_attention_have_the_scale(draw):
    Q1, Q2, K1, K2, V = draw(2, 3, 4), draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 4), draw(2, 5, 6)
    lam = np.array([0.3, 0.8])
    O, cache = differential_attention(Q1, Q2, K1, K2, V, lam, scale=2.0)
    first, second = (attention(Q, K, V, scale=2.0)[1].P for Q, K in ((Q1, K1), (Q2, K2)))
    assert_allclose(cache.P, first - lam[:, None, None] * second, rtol=1e-13, atol=1e-15)
    assert_allclose(O, cache.P @ V, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", ["2", 1j, None])
def test_a_scale_is_a_real_number(draw, scale):
    Q, K, V = draw(3, 4), draw(5, 4), draw(5, 2)
    for attend in (attention, attention_by_blocks):
        if scale is None:
            assert_allclose(attend(Q, K, V, scale=None)[0], attend(Q, K, V, scale=0.5)[0])
        else:
            with pytest.raises(TypeError, match="scale"):
                attend(Q, K, V, scale=scale)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norms_begin_in_the_precision_that_is_asked_for(normalization, dtype):
    for bias in (True, False):
        params = init_normalize(3, normalization=normalization, bias=bias, dtype=dtype)
        assert {leaf.dtype for leaf in tree_leaves(params)} == {np.dtype(dtype)}
