"""npattn: attention in plain NumPy, every gradient written by hand.

    O, cache = attention(Q, K, V, mask)            forward
    dQ, dK, dV = attention_backward(dO, cache)     backward, below it in the same file

Pairs whose backward needs nothing but the output, or its shape, return Y alone: softmax,
masked_softmax, log_softmax, relu, split_heads, merge_heads, unpack and their like.

Each page of `npattn.kernels` is one idea with its gradient, `npattn.models` composes them, and
`gradcheck` proves them. All kernels and the Transformer are here; other models are imported from
their pages, such as `npattn.models.vision`. `npattn.training`, `npattn.plots`, `npattn.datasets`,
`npattn.nn` and `npattn.d2l` are imported by name.
"""

from npattn.checking import (
    assert_gradients,
    gradcheck,
    gradcheck_second_order,
    hessian_vector_product,
)
from npattn.kernels.activations import (
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    relu,
    relu_backward,
)
from npattn.kernels.additive import (
    AdditiveParams,
    additive_attention,
    additive_attention_backward,
    init_additive,
)
from npattn.kernels.alibi import alibi_bias, alibi_slopes
from npattn.kernels.attention import (
    AttentionCache,
    attend,
    attend_backward,
    attention,
    attention_backward,
)
from npattn.kernels.attention_by_blocks import (
    attention_by_blocks,
    attention_by_blocks_backward,
)
from npattn.kernels.biases import biased_attention, biased_attention_backward
from npattn.kernels.channel_attention import (
    ChannelParams,
    channel_attention,
    channel_attention_backward,
    init_channel_attention,
)
from npattn.kernels.co_attention import co_attention, co_attention_backward
from npattn.kernels.differential import (
    LambdaParams,
    differential_attention,
    differential_attention_backward,
    differential_lambda,
    differential_lambda_backward,
)
from npattn.kernels.distances import (
    distance_scores,
    distance_scores_backward,
    key_norm_scores,
    key_norm_scores_backward,
)
from npattn.kernels.dropout import dropout, dropout_backward
from npattn.kernels.embedding import embedding, embedding_backward
from npattn.kernels.gated import (
    geglu,
    geglu_backward,
    geglu_tanh,
    geglu_tanh_backward,
    silu,
    silu_backward,
    swiglu,
    swiglu_backward,
)
from npattn.kernels.gru_cell import GRUParams, gru_cell, gru_cell_backward, init_gru
from npattn.kernels.heads import (
    merge_heads,
    merge_heads_backward,
    split_heads,
    split_heads_backward,
)
from npattn.kernels.key_value_cache import (
    KeysValues,
    append_keys_values,
    append_keys_values_backward,
)
from npattn.kernels.latent_attention import (
    LatentParams,
    latent_attention,
    latent_attention_absorbed,
    latent_attention_absorbed_backward,
    latent_attention_backward,
)
from npattn.kernels.layer_norm import (
    LayerNormParams,
    init_layer_norm,
    layer_norm,
    layer_norm_backward,
)
from npattn.kernels.positions import (
    learned_positions,
    learned_positions_backward,
)
from npattn.kernels.linear import LinearParams, init_linear, linear, linear_backward
from npattn.kernels.linear_attention import linear_attention, linear_attention_backward
from npattn.kernels.linear_chunks import (
    linear_attention_in_chunks,
    linear_attention_in_chunks_backward,
)
from npattn.kernels.linear_state import Gates, empty_state
from npattn.kernels.lora import LoRAParams, init_lora, lora, lora_backward, merge_lora
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.masks import (
    causal_mask,
    combine_masks,
    mask_from_additive,
    mask_from_drop,
    pad_sequences,
    valid_lens_mask,
)
from npattn.kernels.mixture_of_experts import (
    ExpertsParams,
    init_experts,
    mixture_of_experts,
    mixture_of_experts_backward,
)
from npattn.kernels.online_softmax import (
    Partial,
    merge_partials,
    merge_partials_backward,
)
from npattn.kernels.packing import Packing, pack, packing_of, unpack, unpack_backward
from npattn.kernels.pooling import gaussian_pooling, gaussian_pooling_backward
from npattn.kernels.positional_masks import document_mask, prefix_mask, window_mask
from npattn.kernels.positions import sinusoidal_positions
from npattn.kernels.qk_norm import (
    QKNormParams,
    init_qk_norm,
    qk_norm,
    qk_norm_backward,
)
from npattn.kernels.recurrent import gru, gru_backward
from npattn.kernels.relative import (
    relative_bias,
    relative_bias_backward,
    relative_scores,
    relative_scores_backward,
)
from npattn.kernels.rms_norm import init_rms_norm, rms_norm, rms_norm_backward
from npattn.kernels.rotary import rotary, rotary_backward
from npattn.kernels.rotary_pairings import pairing_order
from npattn.kernels.rotary_speeds import (
    linear_scaling,
    llama3_scaling,
    ntk_scaling,
    rotary_speeds,
)
from npattn.kernels.rotary_table import RotaryTable, rotary_table
from npattn.kernels.score_bias import add_bias, add_bias_backward
from npattn.kernels.scores import (
    bilinear_scores,
    bilinear_scores_backward,
    dot_scores,
    dot_scores_backward,
)
from npattn.kernels.sinks import attend_with_sink, attend_with_sink_backward
from npattn.kernels.soft_cap import soft_cap, soft_cap_backward
from npattn.kernels.softmax import (
    log_softmax,
    log_softmax_backward,
    masked_softmax,
    softmax,
    softmax_backward,
)
from npattn.kernels.tiling.tiled import (
    TiledCache,
    tiled_attention,
    tiled_attention_backward,
)
from npattn.kernels.spatial_attention import (
    SpatialParams,
    init_spatial_attention,
    spatial_attention,
    spatial_attention_backward,
)
from npattn.kernels.token_losses import token_losses, token_losses_backward
from npattn.memory import keep_freed_memory
from npattn.models.block import (
    DecoderBlockParams, EncoderBlockParams, attention_weights, decoder_block,
    decoder_block_backward, encoder_block, encoder_block_backward, init_decoder_block,
    init_encoder_block,
)
from npattn.models.co_attention import (
    BidirectionalParams, bidirectional_attention, bidirectional_attention_backward,
    init_bidirectional,
)
from npattn.models.config import BlockOptions
from npattn.models.decoder import DecoderParams, decoder, decoder_backward, init_decoder
from npattn.models.decoding import DecodeState, decode_step, start_decoding
from npattn.models.encoder import EncoderParams, encoder, encoder_backward, init_encoder
from npattn.models.feed_forward import (
    FeedForwardParams, feed_forward, feed_forward_backward, init_feed_forward,
)
from npattn.models.head_extras import Rotary
from npattn.models.multihead import (
    ExtendedMultiHeadParams, MultiHeadParams, cross_attention, cross_attention_backward,
    init_multihead,
    multihead_attention, multihead_attention_backward, self_attention, self_attention_backward,
)
from npattn.models.residual import add_norm, add_norm_backward, residual, residual_backward
from npattn.models.search import Answer, beam_search, greedy_decode
from npattn.models.stack import StackParams, init_stack, stack, stack_backward
from npattn.models.transformer import (
    TransformerConfig, TransformerParams, init_transformer, transformer, transformer_backward,
)
from npattn.trees import tree_items, tree_leaves, tree_map


__version__ = "0.2.0.dev0"

__all__ = [
    # what a reader of the text types
    "attention", "attention_backward", "softmax", "softmax_backward", "masked_softmax",
    "valid_lens_mask", "causal_mask", "multihead_attention", "multihead_attention_backward",
    "init_multihead", "additive_attention", "additive_attention_backward", "init_additive",
    "sinusoidal_positions", "transformer", "transformer_backward", "init_transformer",
    "TransformerConfig", "gradcheck", "assert_gradients",
    # attention: scores, masks, heads, positions
    "AdditiveParams", "AttentionCache", "attend", "attend_backward", "attention_by_blocks",
    "attention_by_blocks_backward", "biased_attention", "biased_attention_backward", "co_attention",
    "co_attention_backward", "distance_scores", "distance_scores_backward", "key_norm_scores",
    "key_norm_scores_backward", "merge_heads", "merge_heads_backward", "split_heads",
    "split_heads_backward", "learned_positions", "learned_positions_backward", "combine_masks",
    "mask_from_additive", "mask_from_drop", "pad_sequences", "Partial", "merge_partials",
    "merge_partials_backward", "Packing", "pack", "packing_of", "unpack", "unpack_backward",
    "gaussian_pooling", "gaussian_pooling_backward", "document_mask", "prefix_mask", "window_mask",
    "alibi_bias", "alibi_slopes", "relative_bias", "relative_bias_backward", "relative_scores",
    "relative_scores_backward", "pairing_order", "rotary", "rotary_backward", "add_bias",
    "add_bias_backward", "bilinear_scores", "bilinear_scores_backward", "dot_scores",
    "dot_scores_backward", "attend_with_sink", "attend_with_sink_backward", "soft_cap",
    "soft_cap_backward", "log_softmax", "log_softmax_backward", "TiledCache", "tiled_attention",
    "tiled_attention_backward",
    # layers, variants and what they are made of
    "gelu", "gelu_backward", "gelu_tanh", "gelu_tanh_backward", "relu", "relu_backward",
    "ChannelParams", "channel_attention", "channel_attention_backward", "init_channel_attention",
    "LambdaParams", "differential_attention", "differential_attention_backward",
    "differential_lambda", "differential_lambda_backward", "dropout", "dropout_backward",
    "embedding", "embedding_backward", "geglu", "geglu_backward", "geglu_tanh",
    "geglu_tanh_backward", "silu", "silu_backward", "swiglu", "swiglu_backward", "GRUParams",
    "gru_cell", "gru_cell_backward", "init_gru", "KeysValues", "append_keys_values",
    "append_keys_values_backward", "LatentParams", "latent_attention", "latent_attention_absorbed",
    "latent_attention_absorbed_backward", "latent_attention_backward", "LayerNormParams",
    "init_layer_norm", "layer_norm", "layer_norm_backward", "LinearParams", "init_linear", "linear",
    "linear_backward", "linear_attention", "linear_attention_backward",
    "linear_attention_in_chunks", "linear_attention_in_chunks_backward", "Gates", "empty_state",
    "LoRAParams", "init_lora", "lora", "lora_backward", "merge_lora", "cross_entropy",
    "cross_entropy_backward", "ExpertsParams", "init_experts", "mixture_of_experts",
    "mixture_of_experts_backward", "QKNormParams", "init_qk_norm", "qk_norm", "qk_norm_backward",
    "gru", "gru_backward", "init_rms_norm", "rms_norm", "rms_norm_backward", "linear_scaling",
    "llama3_scaling", "ntk_scaling", "rotary_speeds", "RotaryTable", "rotary_table",
    "SpatialParams", "init_spatial_attention", "spatial_attention", "spatial_attention_backward",
    "token_losses", "token_losses_backward",
    # models
    "DecoderBlockParams", "EncoderBlockParams", "attention_weights", "decoder_block",
    "decoder_block_backward", "encoder_block", "encoder_block_backward", "init_decoder_block",
    "init_encoder_block", "BidirectionalParams", "bidirectional_attention",
    "bidirectional_attention_backward", "init_bidirectional", "BlockOptions", "DecoderParams",
    "decoder", "decoder_backward", "init_decoder", "DecodeState", "decode_step", "start_decoding",
    "EncoderParams", "encoder", "encoder_backward", "init_encoder", "FeedForwardParams",
    "feed_forward", "feed_forward_backward", "init_feed_forward", "Rotary",
    "ExtendedMultiHeadParams", "MultiHeadParams", "cross_attention", "cross_attention_backward",
    "self_attention", "self_attention_backward", "add_norm", "add_norm_backward", "residual",
    "residual_backward", "Answer", "beam_search", "greedy_decode", "StackParams", "init_stack",
    "stack", "stack_backward", "TransformerParams",
    # proofs
    "gradcheck_second_order", "hessian_vector_product",
    # parameters as trees, memory
    "keep_freed_memory", "tree_items", "tree_leaves", "tree_map",
]
