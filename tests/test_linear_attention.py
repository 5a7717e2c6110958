"""Linear, gated, delta and gated delta attention, token by token and in chunks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels.linear_attention import linear_attention, linear_attention_backward
from npattn.kernels.linear_chunks import (
    linear_attention_in_chunks,
    linear_attention_in_chunks_backward,
)
from npattn.kernels.linear_state import (
    Gates, decayed_products, decays, empty_state, products_gradients,
)
from npattn.trees import tree_leaves, tree_map

T, DK, DV = 7, 4, 6
STEPS = linear_attention, linear_attention_backward
CHUNKS = linear_attention_in_chunks, linear_attention_in_chunks_backward
KINDS = {
    "linear": (0, False), "gated": (1, False), "gated by column": (DK, False),
    "delta": (0, True), "gated delta": (1, True), "gated delta by column": (DK, True),
}
LEADING = {"none": ((), ()), "heads": ((2,), (2,)), "grouped": ((3, 2), (3, 1))}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_leading = pytest.mark.parametrize("leading", LEADING)


@pytest.fixture
def arguments(draw, rng):
    """arguments(kind, leading): Q, K, V, gates, state."""

    def build(kind, leading="heads"):
        (decay, beta), (heads, shared) = KINDS[kind], LEADING[leading]
        gates = Gates(
            -rng.random((*shared, T, decay)) if decay else None,
            rng.random((*shared, T, 1)) if beta else None,
        )
        K = 0.5 * draw(*shared, T, DK)
        return draw(*heads, T, DK), K, draw(*shared, T, DV), gates, draw(*shared, DK, DV)

    return build


def assert_near(found, expected, tolerance=1e-12):
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        if a is not None:
            assert_allclose(a, b, rtol=0, atol=tolerance)


# ---- values ----


@pytest.mark.parametrize("f", [STEPS[0], CHUNKS[0]])
def test_two_tokens_by_hand(f):
    K, Q = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 2.0]])
    V, state = np.array([[3.0], [5.0]]), np.array([[1.0], [1.0]])
    (O, S), _ = f(Q, K, V, Gates(), state, scale=1.0)
    assert_allclose(O, [[4.0], [12.0]])
    assert_allclose(S, [[9.0], [6.0]])
    # half is forgotten first: S₁ = (0.5 + 3, 0.5), S₂ = (1.75 + 5, 0.25 + 5)
    (_, S), _ = f(Q, K, V, Gates(np.log([[0.5], [0.5]])), state, scale=1.0)
    assert_allclose(S, [[6.75], [5.25]])
    # β = 1: u₁ = 3 − 1, S₁ = (3, 1); u₂ = 5 − 4, S₂ = (4, 2)
    (_, S), _ = f(Q, K, V, Gates(beta=np.ones((2, 1))), state, scale=1.0)
    assert_allclose(S, [[4.0], [2.0]])


def test_without_gates_it_is_attention_without_the_softmax(draw):
    Q, K, V = draw(2, T, DK), draw(2, T, DK), draw(2, T, DV)
    (O, S), _ = linear_attention(Q, K, V, Gates(), empty_state(K, V))
    assert_allclose(O, np.tril(Q @ K.swapaxes(-1, -2) / 2) @ V, atol=1e-13)
    assert_allclose(S, K.swapaxes(-1, -2) @ V, atol=1e-13)


@pytest.mark.parametrize("f", [STEPS[0], CHUNKS[0]])
def test_a_key_of_length_1_finds_what_the_delta_rule_stored_last(draw, f):
    K, V = draw(T, DK), draw(T, DV)
    K /= np.linalg.norm(K, axis=-1, keepdims=True)
    gates = Gates(beta=np.ones((T, 1)))
    (O, _), _ = f(K, K, V, gates, empty_state(K, V), scale=1.0)
    assert_allclose(O, V, atol=1e-12)


# ---- invariants ----


@every_kind
@every_leading
@pytest.mark.parametrize("chunk", [1, 2, 3, T, 64])
def test_chunks_give_what_steps_give(arguments, draw, kind, leading, chunk):
    args = arguments(kind, leading)
    Y, cache = linear_attention(*args)
    chunked, chunked_cache = linear_attention_in_chunks(*args, chunk=chunk)
    assert_near(chunked, Y)
    dY = tuple(draw(*X.shape) for X in Y)
    assert_near(CHUNKS[1](dY, chunked_cache), STEPS[1](dY, cache))


@every_kind
def test_a_text_read_in_portions_gives_what_it_gives_at_once(arguments, kind):
    Q, K, V, gates, state = arguments(kind)
    (O, last), _ = linear_attention(Q, K, V, gates, state)

    def portion(rows, state):
        q, k, v, *g = (X if X is None else X[..., rows, :] for X in (Q, K, V, *gates))
        return linear_attention(q, k, v, Gates(*g), state)[0]

    first, state = portion(slice(0, 3), state)
    second, state = portion(slice(3, None), state)
    assert_near((np.concatenate([first, second], axis=-2), state), (O, last))


@every_kind
def test_no_token_reads_a_later_one(arguments, kind):
    Q, K, V, gates, state = arguments(kind)
    (O, _), _ = linear_attention_in_chunks(Q, K, V, gates, state, chunk=3)
    for X in (K, V):
        X[..., 4:, :] += 1.0
    (changed, _), _ = linear_attention_in_chunks(Q, K, V, gates, state, chunk=3)
    assert_array_equal(changed[..., :3, :], O[..., :3, :])
    assert_allclose(changed[..., 3, :], O[..., 3, :], rtol=1e-13)
    assert np.abs(changed[..., 4:, :] - O[..., 4:, :]).min() > 1e-9


def test_strong_decay_over_a_long_chunk_stays_finite(draw):
    Q, K, V = draw(200, DK), draw(200, DK), draw(200, DV)
    gates = Gates(np.full((200, DK), -30.0), np.full((200, 1), 0.5))
    Y, cache = linear_attention_in_chunks(Q, K, V, gates, empty_state(K, V), chunk=200)
    assert_near(Y, linear_attention(Q, K, V, gates, empty_state(K, V))[0])
    gradients = CHUNKS[1](Y, cache)
    assert all(np.isfinite(leaf).all() for leaf in tree_leaves(gradients))


@pytest.mark.parametrize("pair", [STEPS, CHUNKS], ids=["steps", "chunks"])
@every_kind
def test_single_precision_stays_and_nothing_is_written_to(arguments, pair, kind):
    args = arguments(kind)
    single = tree_map(lambda X: X if X is None else X.astype(np.float32), args)
    for X in tree_leaves(single):
        if X is not None:
            X.setflags(write=False)
    (Y, cache), (Y64, cache64) = pair[0](*single), pair[0](*args)
    found, expected = (Y, pair[1](Y, cache)), (Y64, pair[1](Y64, cache64))
    assert {X.dtype for X in tree_leaves(found) if X is not None} == {np.dtype(np.float32)}
    assert_near(found, expected, 1e-3)


@pytest.mark.parametrize("pair", [STEPS, CHUNKS], ids=["steps", "chunks"])
def test_half_precision_is_computed_in_single_and_returned_as_it_came(arguments, pair):
    args = tree_map(lambda X: X.astype(np.float16), arguments("gated delta"))
    single = tree_map(lambda X: X.astype(np.float32), args)
    (Y, cache), (Y32, cache32) = pair[0](*args), pair[0](*single)
    found, expected = (Y, pair[1](Y, cache)), (Y32, pair[1](Y32, cache32))
    assert {X.dtype for X in tree_leaves(found)} == {np.dtype(np.float16)}
    assert_array_equal(Y[0], Y32[0].astype(np.float16))
    assert_near(found, expected, 0.05)


# ---- gradients ----


@pytest.mark.sampled(5)
@pytest.mark.parametrize("pair", [STEPS, CHUNKS], ids=["steps", "chunks"])
@every_kind
@every_leading
def test_gradients(assert_gradients, arguments, pair, kind, leading):
    args, (f, f_backward) = arguments(kind, leading), pair
    options = {"chunk": 3} if pair is CHUNKS else {}
    if kind == "linear":  # no gates, so none of their gradients
        f_backward = _without_gates(f_backward)
    assert_gradients(f, f_backward, *args, max_entries=12, **options)
    if leading == "grouped":
        report = gradcheck_second_order(f, f_backward, *args, **options)
        assert report.ok, str(report)


def _without_gates(backward):
    def without(dY, cache):
        *dQKV, dgates, dstate = backward(dY, cache)
        assert dgates == Gates(None, None)
        return *dQKV, dstate

    return without


@pytest.mark.parametrize("Dk", [1, 2, 3])
@pytest.mark.parametrize("Dg", [1, "Dk"])
def test_products_decay_column_by_column(draw, Dk, Dg):
    X, K, g, dP = draw(5, Dk), draw(5, Dk), -draw(5, Dk if Dg == "Dk" else Dg) ** 2, draw(5, 5)
    factor = np.tril(np.ones((5, 5)))[..., None] * np.exp(g[:, None] - g[None])
    terms = X[:, None] * K * factor
    assert_allclose(decayed_products(X, K, decays(g, 0)), terms.sum(axis=-1), rtol=1e-12)
    dX, dK = products_gradients(dP, X, K, decays(g, 0))
    assert_allclose(dX, (dP[..., None] * factor * K).sum(axis=1), rtol=1e-12)
    assert_allclose(dK, (dP[..., None] * factor * X[:, None]).sum(axis=0), rtol=1e-12)


def test_an_empty_state_has_the_leading_axes_of_keys_and_values(draw):
    assert empty_state(draw(2, 1, T, 4), draw(1, 3, T, 6)).shape == (2, 3, 4, 6)
    assert empty_state(draw(1, 3, T, 4), draw(2, 1, T, 6)).shape == (2, 3, 4, 6)


# ---- errors ----


@pytest.mark.parametrize("f", [STEPS[0], CHUNKS[0]])
def test_shapes_that_do_not_fit(arguments, draw, f):
    Q, K, V, gates, state = arguments("gated delta")
    for args, message in [
        ((Q[..., :3], K, V, gates, state), "Dk is 3 in Q, 4 in K"),
        ((Q, K, V[..., :5, :], gates, state), "T is 7 in Q, 5 in V"),
        ((Q, K, V, gates._replace(log_decay=-draw(2, T, 2) ** 2), state),
         r"log_decay \(2, 7, 2\) must be \(..., T, 1\) or \(..., T, 4\)"),
        ((Q, K, V, gates._replace(beta=draw(2, T, 4)), state), r"beta .* must be \(..., T, 1\)"),
        ((Q, K, V, gates, state[0]), r"state \(4, 6\) must have the leading axes"),
        ((Q[..., :0, :], K[..., :0, :], V[..., :0, :], Gates(), state), "there must be a token"),
    ]:
        with pytest.raises(ValueError, match=message):
            f(*args)
    with pytest.raises(TypeError, match="state must be float32 or float64, got int64"):
        f(Q, K, V, gates, state.astype(int))


@pytest.mark.parametrize("chunk", [0, -1])
def test_chunks_of_no_tokens(arguments, chunk):
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        linear_attention_in_chunks(*arguments("linear"), chunk=chunk)
