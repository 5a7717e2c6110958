"""Every public name of npattn and the page that defines it.

These are ordinary imports, for the reader, for editors and for type checkers. `import npattn` does
not carry them out: it only notes which page a name comes from. See npattn/__init__.py.
"""

# what a reader of the text types
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.softmax import softmax, softmax_backward, masked_softmax
from npattn.kernels.masks import valid_lens_mask, causal_mask
from npattn.models.multihead import (
    multihead_attention, multihead_attention_backward, init_multihead,
)
from npattn.kernels.additive import additive_attention, additive_attention_backward, init_additive
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.transformer import (
    transformer, transformer_backward, init_transformer, TransformerConfig,
)
from npattn.checking import gradcheck, assert_gradients

# attention: scores, masks, heads, positions
from npattn.kernels.additive import AdditiveParams
from npattn.kernels.alibi import alibi_bias, alibi_slopes
from npattn.kernels.attention import AttentionCache, attend, attend_backward
from npattn.kernels.attention_by_blocks import attention_by_blocks, attention_by_blocks_backward
from npattn.kernels.biases import biased_attention, biased_attention_backward
from npattn.kernels.co_attention import co_attention, co_attention_backward
from npattn.kernels.distances import (
    distance_scores, distance_scores_backward, key_norm_scores, key_norm_scores_backward,
)
from npattn.kernels.heads import (
    merge_heads, merge_heads_backward, split_heads, split_heads_backward,
)
from npattn.kernels.masks import combine_masks, mask_from_additive, mask_from_drop, pad_sequences
from npattn.kernels.online_softmax import Partial, merge_partials, merge_partials_backward
from npattn.kernels.packing import Packing, pack, packing_of, unpack, unpack_backward
from npattn.kernels.pooling import gaussian_pooling, gaussian_pooling_backward
from npattn.kernels.positional_masks import document_mask, prefix_mask, window_mask
from npattn.kernels.positions import learned_positions, learned_positions_backward
from npattn.kernels.relative import (
    relative_bias, relative_bias_backward, relative_scores, relative_scores_backward,
)
from npattn.kernels.rotary import rotary, rotary_backward
from npattn.kernels.rotary_pairings import pairing_order
from npattn.kernels.score_bias import add_bias, add_bias_backward
from npattn.kernels.scores import (
    bilinear_scores, bilinear_scores_backward, dot_scores, dot_scores_backward,
)
from npattn.kernels.sinks import attend_with_sink, attend_with_sink_backward
from npattn.kernels.soft_cap import soft_cap, soft_cap_backward
from npattn.kernels.softmax import log_softmax, log_softmax_backward
from npattn.kernels.tiling.tiled import TiledCache, tiled_attention, tiled_attention_backward

# layers, variants and what they are made of
from npattn.kernels.activations import (
    gelu, gelu_backward, gelu_tanh, gelu_tanh_backward, relu, relu_backward,
)
from npattn.kernels.channel_attention import (
    ChannelParams, channel_attention, channel_attention_backward, init_channel_attention,
)
from npattn.kernels.differential import (
    LambdaParams, differential_attention, differential_attention_backward, differential_lambda,
    differential_lambda_backward,
)
from npattn.kernels.dropout import dropout, dropout_backward
from npattn.kernels.embedding import embedding, embedding_backward
from npattn.kernels.gated import (
    geglu, geglu_backward, geglu_tanh, geglu_tanh_backward, silu, silu_backward, swiglu,
    swiglu_backward,
)
from npattn.kernels.gru_cell import GRUParams, gru_cell, gru_cell_backward, init_gru
from npattn.kernels.key_value_cache import (
    KeysValues, append_keys_values, append_keys_values_backward,
)
from npattn.kernels.latent_attention import (
    LatentParams, latent_attention, latent_attention_absorbed, latent_attention_absorbed_backward,
    latent_attention_backward,
)
from npattn.kernels.layer_norm import (
    LayerNormParams, init_layer_norm, layer_norm, layer_norm_backward,
)
from npattn.kernels.linear import LinearParams, init_linear, linear, linear_backward
from npattn.kernels.linear_attention import linear_attention, linear_attention_backward
from npattn.kernels.linear_chunks import (
    linear_attention_in_chunks, linear_attention_in_chunks_backward,
)
from npattn.kernels.linear_state import Gates, empty_state
from npattn.kernels.lora import LoRAParams, init_lora, lora, lora_backward, merge_lora
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.mixture_of_experts import (
    ExpertsParams, init_experts, mixture_of_experts, mixture_of_experts_backward,
)
from npattn.kernels.qk_norm import QKNormParams, init_qk_norm, qk_norm, qk_norm_backward
from npattn.kernels.recurrent import gru, gru_backward
from npattn.kernels.rms_norm import init_rms_norm, rms_norm, rms_norm_backward
from npattn.kernels.rotary_speeds import linear_scaling, llama3_scaling, ntk_scaling, rotary_speeds
from npattn.kernels.rotary_table import RotaryTable, rotary_table
from npattn.kernels.spatial_attention import (
    SpatialParams, init_spatial_attention, spatial_attention, spatial_attention_backward,
)
from npattn.kernels.token_losses import token_losses, token_losses_backward

# models
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
    self_attention, self_attention_backward,
)
from npattn.models.residual import add_norm, add_norm_backward, residual, residual_backward
from npattn.models.search import Answer, beam_search, greedy_decode
from npattn.models.stack import StackParams, init_stack, stack, stack_backward
from npattn.models.transformer import TransformerParams

# proofs
from npattn.checking import gradcheck_second_order, hessian_vector_product

# parameters as trees, memory
from npattn.memory import keep_freed_memory
from npattn.trees import tree_items, tree_leaves, tree_map
