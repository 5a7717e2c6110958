"""What the families of models call their settings and tensors, as configurations of one model.

    GPT-2              learned positions, layer norm, GELU, one matrix for query, key and value
    Llama, Qwen 2, 3   rotary positions, RMS norm, SwiGLU, grouped heads; Qwen 2 with biases,
                       Qwen 3 with norms of queries and keys
    Gemma 1, 3         GEGLU, embeddings times √width, gains stored less 1; Gemma 3 with norms
                       behind the sublayers too, and windows in most blocks
    BERT               an encoder in post-norm, with learned positions

Files with rotary pairs (i, i + D/2) have their query and key columns reordered to (2i, 2i + 1), so
that one pairing serves all.
"""

import math
import re

import numpy as np

from npattn.kernels.layer_norm import LayerNormParams
from npattn.kernels.linear import LinearParams
from npattn.kernels.qk_norm import QKNormParams
from npattn.kernels.rotary_pairings import pairing_order
from npattn.kernels.rotary_speeds import linear_scaling, llama3_scaling, rotary_speeds
from npattn.models.bert import BertConfig, BertParams
from npattn.models.block import EncoderBlockParams
from npattn.models.encoder import EncoderParams
from npattn.models.feed_forward import FeedForwardParams, GatedFeedForwardParams
from npattn.models.head_extras import HeadExtras, Rotary
from npattn.models.language_model import LanguageModelConfig, LanguageModelParams
from npattn.models.multihead import ExtendedMultiHeadParams, MultiHeadParams
from npattn.models.normalize import BothNorms
from npattn.weights.arena import Planned
from npattn.weights.sources import WeightsError

LLAMAS = "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma3_text", "gemma3"
BEHIND = "post_feedforward_layernorm"  # Gemma 3 has norms on both sides
# settings that would make another model of it, and the value with which they do not
PLAIN = {
    "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False, "is_decoder": False,
    "use_bidirectional_attention": False, "partial_rotary_factor": 1.0,
    "position_embedding_type": "absolute", "attn_logit_softcapping": 0.0,
    "final_logit_softcapping": 0.0,
}
BUFFERS = re.compile(r"(rotary_emb\.inv_freq|\.attn\.(masked_)?bias)$")  # hold no weights


def language_plan(source):
    """LanguageModelConfig, and LanguageModelParams whose leaves are to be read (`arena.fill`).

    Every tensor is checked to be there and to have its shape before one is read.
    Raises WeightsError for an architecture that is not known, for what is missing or misshapen, and
    for settings and tensors of a block that would have no effect here.
    """
    kind, source = source.settings.get("model_type"), _watched(source)
    if kind != "gpt2" and kind not in LLAMAS:
        raise WeightsError(
            f"{source.path} is of the architecture {kind!r}; known are gpt2, {', '.join(LLAMAS)}"
        )
    _require_plain(source)
    found = _gpt2(source) if kind == "gpt2" else _llama(source, kind)
    _require_all_read(source)
    return found


def _watched(source):
    """The source, which keeps in mind what is asked for."""
    return source._replace(shapes=_Asked(source.shapes))


class _Asked(dict):
    """The shapes of all tensors, and the names that were looked up."""

    def __init__(self, shapes):
        super().__init__(shapes)
        self.asked = set()

    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)


def _require_all_read(source):
    """Raises WeightsError for a tensor of a block that nobody asked for."""
    for name in source.shapes:  # in the file's order, so that the same file gives the same words
        in_a_block = name.startswith(("layers.", "h.", "blk.", "encoder.layer."))
        if in_a_block and name not in source.shapes.asked and not BUFFERS.search(name):
            raise WeightsError(
                f"{source.path} has the tensor {name}, which a block of "
                f"{source.settings['model_type']} does not read here: its results would be others"
            )


def _told(source):
    """The source with what it says about rotary positions for its settings."""
    told = source.settings.get("rope_parameters") or source.settings.get("rope_scaling") or {}
    if not isinstance(told, dict):
        raise WeightsError(f"{source.path}: rope_parameters must be an object, got {told!r}")
    return source._replace(settings=told)


def _require_plain(source):
    """Raises WeightsError for a setting of PLAIN with another value."""
    for name, value in (source.settings | _told(source).settings).items():
        if name in PLAIN and value not in (None, PLAIN[name]):
            raise WeightsError(f"{source.path} has {name}={value!r}, which is not known here: its "
                               "results would be others")


# ---- GPT-2 ----


def _gpt2(source):
    width = source.count("n_embd", "hidden_size")
    heads = _divisor(source, width, f"the width {width}", "n_head", "num_attention_heads")
    config = LanguageModelConfig(
        vocabulary=source.count("vocab_size"), width=width,
        num_blocks=source.count("n_layer", "num_hidden_layers"),
        num_heads=heads, num_kv_heads=heads, head_width=width // heads,
        hidden=source.count("n_inner", "intermediate_size", default=4 * width),
        context=source.count("n_positions", "max_position_embeddings"),
        activation=_activation(source, {"gelu_new": "gelu_tanh", "gelu": "gelu", "relu": "relu",
                                        "gelu_pytorch_tanh": "gelu_tanh"}, "activation_function",
                               default="gelu_new"),
        eps=source.number("layer_norm_epsilon", default=1e-5),
        normalization="layer_norm", gated=False, bias=True, rotary=None,
        scale=None if source.setting("scale_attn_weights", default=True) else 1.0,
    )
    blocks = tuple(_gpt2_block(source, f"h.{i}.", config) for i in range(config.num_blocks))
    E = _vector(source, "wte.weight", (config.vocabulary, width))
    positions = _vector(source, "wpe.weight", (config.context, width))
    return config, LanguageModelParams(
        E, positions, blocks, _layer_norm(source, "ln_f", width), _output(source, config)
    )


def _gpt2_block(source, at, config):
    D, F = config.width, config.hidden

    def conv1d(name, Din, Dout, columns=slice(None)):  # GPT-2 stores (in, out)
        W, b, all_columns = f"{at}{name}.weight", f"{at}{name}.bias", Dout
        if columns != slice(None):
            all_columns = 3 * Dout
        source.require(W, (Din, all_columns))
        source.require(b, (all_columns,))
        return LinearParams(
            Planned((Dout, Din), lambda: source.read(W)[:, columns].T, turned=True),
            Planned((Dout,), lambda: source.read(b)[columns]),
        )

    query, key, value = (conv1d("attn.c_attn", D, D, slice(i * D, (i + 1) * D)) for i in range(3))
    attention = MultiHeadParams(query, key, value, conv1d("attn.c_proj", D, D))
    network = FeedForwardParams(conv1d("mlp.c_fc", D, F), conv1d("mlp.c_proj", F, D))
    return EncoderBlockParams(
        attention, _layer_norm(source, f"{at}ln_1", D),
        network, _layer_norm(source, f"{at}ln_2", D),
    )


# ---- Llama and its relatives ----


def _llama(source, kind):
    width, heads = source.count("hidden_size"), source.count("num_attention_heads")
    gemma, blocks = kind.startswith("gemma"), source.count("num_hidden_layers")
    head_width = source.count("head_dim", default=width // heads)
    groups = _divisor(source, heads, f"{heads} heads", "num_key_value_heads", default=heads)
    source.require("layers.0.self_attn.q_proj.weight", (heads * head_width, width))
    config = LanguageModelConfig(
        vocabulary=source.count("vocab_size"), width=width, num_blocks=blocks, num_heads=heads,
        num_kv_heads=groups, head_width=head_width,
        hidden=source.count("intermediate_size"),
        context=source.count("max_position_embeddings"),
        activation=_activation(source, {"silu": "silu", "gelu_pytorch_tanh": "gelu_tanh",
                                        "gelu": "gelu_tanh" if gemma else "gelu"},
                               "hidden_activation", "hidden_act",
                               default="gelu_pytorch_tanh" if gemma else "silu"),
        eps=source.number("rms_norm_eps", default=1e-6),
        norm="sandwich" if f"layers.0.{BEHIND}.weight" in source.shapes else "pre",
        qk_norm="layers.0.self_attn.q_norm.weight" in source.shapes,
        bias="layers.0.self_attn.q_proj.bias" in source.shapes,
        windows=_windows(source, kind, blocks), **_rotaries(source, kind, head_width),
        scale=source.number("query_pre_attn_scalar", default=head_width) ** -0.5
        if kind.startswith("gemma3") else None,
        embedding_scale=math.sqrt(width) if gemma else 1.0,
    )
    E = _vector(source, "embed_tokens.weight", (config.vocabulary, width))
    parts = tuple(_llama_block(source, f"layers.{i}.", config) for i in range(blocks))
    return config, LanguageModelParams(
        E, None, parts, _gain(source, "norm.weight", width), _output(source, config)
    )


def _llama_block(source, at, config):
    D, F, H, G = config.width, config.hidden, config.num_heads, config.num_kv_heads
    Dh = config.head_width
    order = None if source.pairing == "interleaved" else pairing_order(Dh, "interleaved")

    def linear(name, Din, Dout, heads=None):
        rows = slice(None)
        if heads and order is not None:
            rows = pairing_order(Dh, "interleaved", num_heads=heads)
        W, b = f"{at}{name}.weight", f"{at}{name}.bias"
        source.require(W, (Dout, Din))
        bias = None
        if b in source.shapes:
            source.require(b, (Dout,))
            bias = Planned((Dout,), lambda: source.read(b)[rows])
        return LinearParams(Planned((Dout, Din), lambda: source.read(W)[rows], turned=True), bias)

    def gain(name, width=D, order=None):
        return _gain(source, f"{at}{name}.weight", width, order)

    attention = MultiHeadParams(
        linear("self_attn.q_proj", D, H * Dh, H), linear("self_attn.k_proj", D, G * Dh, G),
        linear("self_attn.v_proj", D, G * Dh), linear("self_attn.o_proj", H * Dh, D),
    )
    if config.qk_norm:
        gains = QKNormParams(*(gain(f"self_attn.{name}_norm", Dh, order) for name in "qk"))
        attention = ExtendedMultiHeadParams(*attention, None, HeadExtras(gains, None, None))
    network = GatedFeedForwardParams(
        gate=linear("mlp.gate_proj", D, F), hidden=linear("mlp.up_proj", D, F),
        output=linear("mlp.down_proj", F, D),
    )
    norms = gain("input_layernorm"), gain("post_attention_layernorm")
    if config.norm == "sandwich":
        norms = BothNorms(*norms), BothNorms(gain("pre_feedforward_layernorm"), gain(BEHIND))
    return EncoderBlockParams(attention, norms[0], network, norms[1])


def _rotaries(source, kind, head_width):
    """How positions turn, in blocks without a window and with one."""
    told, rotary_dim = _told(source), source.settings.get("rotary_dim", head_width)
    if rotary_dim != head_width:
        raise WeightsError(f"{source.path} turns {rotary_dim} of {head_width} columns of a head; "
                           "only rotary positions of all columns are known here")
    local, told = (told._replace(settings=told.settings.get(name, other)) for name, other in (
        ("sliding_attention", {}), ("full_attention", told.settings)))
    base = told.number("rope_theta", default=source.number("rope_theta", default=1e4))
    speeds = _scaled(source, told, rotary_speeds(head_width, base=base))
    found = dict(rotary=Rotary(base=base, speeds=None if speeds is None else tuple(speeds)))
    if kind.startswith("gemma3"):
        own = source.number("rope_local_base_freq", default=1e4)
        found["local_rotary"] = Rotary(base=local.number("rope_theta", default=own))
    return found


def _scaled(source, told, speeds):
    """The speeds as the file scales them; None where it does not."""
    if "rope_freqs.weight" in source.shapes:
        return speeds / np.asarray(source.read("rope_freqs.weight", speeds.shape), float)
    kind = told.setting("rope_type", "type", default="default")
    if kind in ("default", "none"):
        return None
    if kind == "linear":
        return linear_scaling(speeds, told.number("factor"))
    if kind == "llama3":
        return llama3_scaling(
            speeds, told.number("factor"), low=told.number("low_freq_factor"),
            high=told.number("high_freq_factor"),
            length=told.count("original_max_position_embeddings"),
        )
    raise WeightsError(
        f"{source.path} scales its rotary positions by {kind!r}; known are linear and llama3"
    )


def _windows(source, kind, blocks):
    """How many keys each block sees; None for all in all blocks."""
    if not source.settings.get("sliding_window") or \
            source.settings.get("use_sliding_window") is False:
        return None
    window, types = source.count("sliding_window"), source.settings.get("layer_types")
    if types is None:
        every = source.count("sliding_window_pattern", default=6)
        local = [kind == "mistral" or kind.startswith("gemma3") and (i + 1) % every != 0
                 for i in range(blocks)]
    else:
        known = "sliding_attention", "full_attention"
        if not isinstance(types, list) or len(types) != blocks or any(
            name not in known for name in types
        ):
            raise WeightsError(f"{source.path}: layer_types must hold sliding_attention or "
                               f"full_attention for each of {blocks} blocks, got {types!r}")
        local = [name == "sliding_attention" for name in types]
    return tuple(window if is_local else None for is_local in local) if any(local) else None


# ---- shared ----


def _divisor(source, whole, words, *names, default=None):
    """A count that must divide `whole`, which the error calls by these words."""
    count = source.count(*names, default=default)
    if whole % count:
        raise WeightsError(f"{source.path}: {names[0]} must divide {words}, got {count}")
    return count


def _activation(source, known, *names, default):
    name = source.setting(*names, default=default)
    if not isinstance(name, str) or name not in known:
        names = ", ".join(known)
        raise WeightsError(f"{source.path} has the activation {name!r}; known are {names}")
    return known[name]


def _output(source, config):
    """The map to the logits where the file has one of its own; None where it is the embedding."""
    shape = config.vocabulary, config.width
    if "lm_head.weight" not in source.shapes or source.settings.get("tie_word_embeddings"):
        return None
    source.require("lm_head.weight", shape)
    return LinearParams(Planned(shape, lambda: source.read("lm_head.weight"), turned=True), None)


def _vector(source, name, shape, order=None, offset=0.0):
    source.require(name, shape)

    def read():
        X = np.asarray(source.read(name), np.float32)
        X = X if order is None else X[order]
        return X + np.float32(offset) if offset else X

    return Planned(shape, read)


def _gain(source, name, D, order=None):
    return _vector(source, name, (D,), order, source.gain_offset)


def _layer_norm(source, name, D):
    gain, bias = (_vector(source, f"{name}.{part}", (D,)) for part in ("weight", "bias"))
    return LayerNormParams(gain, bias)


# ---- BERT ----


def bert_plan(source):
    """BertConfig, and BertParams whose leaves are still to be read. Raises as `language_plan`."""
    if source.settings.get("model_type") != "bert":
        kind = source.settings.get("model_type")
        raise WeightsError(f"{source.path} is of the architecture {kind!r}; an encoder is bert")
    source = _watched(source)
    _require_plain(source)
    names = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu"}
    D, F = source.count("hidden_size"), source.count("intermediate_size")
    config = BertConfig(
        num_heads=_divisor(source, D, f"hidden_size {D}", "num_attention_heads"),
        activation=_activation(source, names, "hidden_act", default="gelu"),
        eps=source.number("layer_norm_eps", default=1e-12),
    )

    def linear(name, Din, Dout):
        W, b = f"{name}.weight", f"{name}.bias"
        source.require(W, (Dout, Din))
        return LinearParams(
            Planned((Dout, Din), lambda: source.read(W), turned=True), _vector(source, b, (Dout,))
        )

    def block(i):
        at = f"encoder.layer.{i}."
        attention = MultiHeadParams(
            *(linear(f"{at}attention.self.{name}", D, D) for name in ("query", "key", "value")),
            linear(f"{at}attention.output.dense", D, D),
        )
        network = FeedForwardParams(
            linear(f"{at}intermediate.dense", D, F), linear(f"{at}output.dense", F, D)
        )
        return EncoderBlockParams(
            attention, _layer_norm(source, f"{at}attention.output.LayerNorm", D), network,
            _layer_norm(source, f"{at}output.LayerNorm", D),
        )

    def segment():
        return source.read("embeddings.token_type_embeddings.weight")[0]

    source.require("embeddings.token_type_embeddings.weight")
    at, context = "embeddings.", source.count("max_position_embeddings")
    params = BertParams(
        _vector(source, f"{at}word_embeddings.weight", (source.count("vocab_size"), D)),
        _vector(source, f"{at}position_embeddings.weight", (context, D)),
        Planned((D,), segment), _layer_norm(source, f"{at}LayerNorm", D),
        EncoderParams(tuple(block(i) for i in range(source.count("num_hidden_layers"))), None),
    )
    _require_all_read(source)
    return config, params
