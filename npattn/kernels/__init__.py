"""The reading core: one page, one idea, each forward directly above its backward.

Read in this order; every line stands on those above it.

    softmax, attention, masks             the heart: weights, their average, who may attend
    linear, heads                         what multi-head attention is made of (models.multihead)
    positions, relative, alibi, rotary    where a token stands
    rotary_speeds, rotary_table           how fast what turns; rotary_pairings: which columns
    layer_norm, activations, dropout      the rest of a block; rms_norm, gated are today's
    embedding, losses, token_losses       ids in, a loss out
    scores, distances, additive           other scores; pooling, and biases added to them
    recurrent, gru_cell                   the encoder of Bahdanau's attention
    positional_masks, packing             windows, prefixes, documents; short texts in one row
    soft_cap, sinks, score_bias, qk_norm  what today's models do to scores; differential
    key_value_cache, latent_attention     what is kept for the next token
    online_softmax, attention_by_blocks   attention without its matrix; the fast engine is tiling
    linear_attention, linear_chunks       a past of one size; linear_state
    mixture_of_experts, lora              some experts for each token; two narrow matrices
    channel_attention, spatial_attention  images; co_attention for two texts

What all pages share: arrays, shapes, shape_spec, options, foreign (arguments that do not fit);
floats, sums, products (numbers as they are on a machine).
"""

from npattn import _lazy


def __getattr__(page):
    return _lazy.submodule(__name__, page)
