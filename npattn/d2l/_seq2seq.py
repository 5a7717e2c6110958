"""Bahdanau's encoder and decoder with the text's names and shapes, the same in both editions.

The GRUs are torch's, with two biases and the reset gate behind the product, since those are what
the text trains. The parameters have the types of npattn.models.seq2seq, so that its `seq2seq` and
`translate` with reset="after" run on them.
Source: d2l 10.7, 11.4; in the Chinese edition 9.7, 10.4.
"""

import numpy as np

from npattn.d2l._attention import prefix_mask
from npattn.d2l._layers import Layer, Module
from npattn.kernels.gru_cell import GRUParams, gru_cell
from npattn.models.recurrent_decoder import (
    init_recurrent_decoder, recurrent_decoder, recurrent_decoder_backward,
)
from npattn.models.recurrent_encoder import (
    init_recurrent_encoder, recurrent_encoder, recurrent_encoder_backward,
)


class Seq2SeqEncoder(Layer):
    """GRUs that read. Call it with ids X (B, n) and valid_lens, None or (B,).

    Returns outputs (n, B, num_hiddens), steps first, and the last state of every layer,
    (num_layers, B, num_hiddens); backward takes the gradients of both, as a tuple, and returns
    None, since ids have no gradient. Given valid_lens, a state does not change behind the end of
    its sequence, where the text's encoder reads the padding.
    """

    def __init__(
        self, vocab_size, embed_size, num_hiddens, num_layers, dropout=0, *,
        rng=None, dtype=np.float64,
    ):
        rng = np.random.default_rng(rng)
        params = init_recurrent_encoder(
            vocab_size, embed_size, num_hiddens, num_layers, rng, hidden_bias=True, dtype=dtype
        )
        super().__init__(
            recurrent_encoder, recurrent_encoder_backward, params,
            rng=rng, reset="after", dropout_rate=dropout,
        )

    def _forward(self, X, valid_lens=None, *args):
        if X.ndim != 2:
            raise ValueError(f"X must be ids (B, n), got shape {X.shape}")
        mask = None if valid_lens is None else prefix_mask(X, "X", valid_lens, "valid_lens")
        (M, states), cache = super()._forward(X, mask=mask)
        return (M.swapaxes(0, 1), np.stack(states)), cache

    def _backward(self, dY, cache):
        d_outputs, d_state = dY
        return super()._backward((d_outputs.swapaxes(0, 1), tuple(d_state)), cache)


class AttentionDecoder(Module):
    """What the decoders with attention have in common; it decodes nothing by itself.

    `init_state(enc_outputs, …)` makes the first state; a call with (X, state) returns the output
    and the new state, and leaves `attention_weights`. The output alone has a gradient.
    """

    @property
    def attention_weights(self):
        """Those of the latest call: a subclass has to say what they are."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its weights are")

    def init_state(self, enc_outputs, *args):
        """The state before the first token: a subclass has to say what it is."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its state is")

    def _output(self, Y):
        return Y[0]


class Seq2SeqAttentionDecoder(AttentionDecoder, Layer):
    """GRUs that write, and before every token ask with their top state where in the source to look.

    Call it with ids X (B, n) and a state; it returns logits (B, n, vocab_size) and the new state.
    A state holds what the encoder made, (B, steps, num_hiddens), the hidden states
    (num_layers, B, num_hiddens), and enc_valid_lens, None or (B,). As in the text, `init_state`
    makes a tuple and a call a list, which continues the sequence when it is given to the next one.
    `attention_weights` is a list with (B, 1, steps) for each token. backward(dlogits) returns the
    gradients of the encoder's outputs and state, which is what its backward takes.
    """

    attention_weights = None

    def __init__(
        self, vocab_size, embed_size, num_hiddens, num_layers, dropout=0, *,
        rng=None, dtype=np.float64,
    ):
        rng = np.random.default_rng(rng)
        params = init_recurrent_decoder(
            vocab_size, embed_size, num_hiddens, num_layers, rng, hidden_bias=True, dtype=dtype
        )
        super().__init__(
            recurrent_decoder, recurrent_decoder_backward, params,
            rng=rng, reset="after", dropout_rate=dropout,
        )

    def init_state(self, enc_outputs, enc_valid_lens=None, *args):
        """The state before the first token, from what the encoder returned."""
        outputs, hidden_state = enc_outputs
        return outputs.swapaxes(0, 1), hidden_state, enc_valid_lens

    def _forward(self, X, state):
        M, hidden_state, lens = state
        if X.ndim != 2 or len(X) != len(M):
            raise ValueError(
                f"X {X.shape} must be ids (B, n), and B that of the state's enc_outputs {M.shape}"
            )
        mask = None if lens is None else prefix_mask(M, "enc_outputs", lens, "enc_valid_lens")
        logits, cache = super()._forward(X, tuple(hidden_state), M, mask=mask)
        hidden_state = np.stack(_states_after(cache.steps[-1]))
        return (logits, [M, hidden_state, lens]), (cache, isinstance(state, list))

    def _backward(self, dlogits, cache):
        cache, continues = cache
        if continues:
            raise RuntimeError(
                "this call continued an earlier one, to which no gradient would go back; "
                "for a backward pass the whole sequence in one call, from init_state"
            )
        dstates, dM = super()._backward(dlogits, cache)
        return dM.swapaxes(0, 1), np.stack(dstates)

    def _weights(self, cache):
        return [step.attention.P for step in cache.steps]


def _states_after(step):
    """The states that a step of the decoder ended in, each layer's cell run again on its cache."""
    cells = [cell for _, cell in step.layers]
    return [
        gru_cell(c.input.X, c.steps.H, GRUParams(c.input.params, c.hidden), reset=c.reset)[0]
        for c in cells
    ]
