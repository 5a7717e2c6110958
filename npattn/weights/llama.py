"""Llama and its relatives in a file: rotary positions, RMS norm, gated networks, grouped heads.

    Llama, Mistral     SwiGLU; Mistral with windows
    Qwen 2, 3          Qwen 2 with biases, Qwen 3 with norms of queries and keys
    Gemma 1, 3         GEGLU, embeddings times √width, gains stored less 1; Gemma 3 with norms
                       behind the sublayers too, and windows in most blocks

Files with rotary pairs (i, i + D/2) have their query and key columns reordered to (2i, 2i + 1), so
that one pairing serves all.
Source: the configurations of Hugging Face's transformers, by these names.
"""

import math

import numpy as np

from npattn.kernels.qk_norm import QKNormParams
from npattn.kernels.rotary_pairings import pairing_order
from npattn.kernels.rotary_speeds import linear_scaling, llama3_scaling, rotary_speeds
from npattn.models.block import EncoderBlockParams
from npattn.models.feed_forward import GatedFeedForwardParams
from npattn.models.head_extras import HeadExtras, Rotary
from npattn.models.language_model import LanguageModelConfig, LanguageModelParams
from npattn.models.multihead import ExtendedMultiHeadParams, MultiHeadParams
from npattn.models.normalize import BothNorms
from npattn.weights.planning import (
    activation, divisor, gain, linear, output, rope_settings, vector,
)
from npattn.weights.sources import WeightsError

LLAMAS = "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma3_text", "gemma3"
ACTIVATIONS = {"silu": "silu", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu"}  # of files -> here
BEHIND = "post_feedforward_layernorm"  # Gemma 3 has norms on both sides


def llama_plan(source):
    """LanguageModelConfig, and LanguageModelParams whose leaves are to be read."""
    kind = source.settings["model_type"]
    width, heads = source.count("hidden_size"), source.count("num_attention_heads")
    gemma, blocks = kind.startswith("gemma"), source.count("num_hidden_layers")
    head_width = source.count("head_dim", default=width // heads)
    groups = divisor(source, heads, f"{heads} heads", "num_key_value_heads", default=heads)
    for i in (0, blocks - 1):
        source.require(f"layers.{i}.self_attn.q_proj.weight", (heads * head_width, width))
    biases = _biases(source, kind)
    config = LanguageModelConfig(
        vocabulary=source.count("vocab_size"), width=width, num_blocks=blocks, num_heads=heads,
        num_kv_heads=groups, head_width=head_width,
        hidden=source.count("intermediate_size"),
        context=source.count("max_position_embeddings"),
        activation=_activation(source, kind),
        eps=source.number("rms_norm_eps", default=1e-6),
        norm="sandwich" if kind.startswith("gemma3") else "pre",
        qk_norm=kind.startswith(("gemma3", "qwen3")),
        bias=_has_bias(source, "layers.0.", "self_attn.q_proj", biases),
        windows=_windows(source, kind, blocks), **_rotaries(source, kind, head_width),
        scale=source.number("query_pre_attn_scalar", default=head_width) ** -0.5
        if kind.startswith("gemma3") else None,
        embedding_scale=math.sqrt(width) if gemma else 1.0,
    )
    E = vector(source, "embed_tokens.weight", (config.vocabulary, width))
    params = LanguageModelParams(
        E, None, tuple(_block(source, f"layers.{i}.", config, biases) for i in range(blocks)),
        gain(source, "norm", width), output(source, config),
    )
    return config, params


def _biases(source, kind):
    """How the names of those maps begin whose biases count."""
    if source.path.suffix == ".gguf":  # has no settings for them
        return "self_attn", "mlp"
    if kind == "qwen2":
        return "self_attn.q", "self_attn.k", "self_attn.v"
    switches = dict(self_attn="attention_bias", mlp="mlp_bias" if kind == "llama" else None)
    return tuple(name for name, switch in switches.items()
                 if kind != "mistral" and source.settings.get(switch))


def _has_bias(source, at, name, biases):
    return name.startswith(biases) and f"{at}{name}.bias" in source.shapes


def _block(source, at, config, biases):
    D, F, H, G = config.width, config.hidden, config.num_heads, config.num_kv_heads
    Dh = config.head_width

    def projection(name, Din, Dout, heads=None):
        bias = _has_bias(source, at, name, biases)
        return linear(source, f"{at}{name}", Din, Dout, bias=bias, rows=pairs(heads))

    def norm(name):
        return gain(source, f"{at}{name}", D)

    def pairs(heads):  # the rows of this many heads, with rotary pairs side by side
        if heads is None or source.pairing == "interleaved":
            return slice(None)
        return pairing_order(Dh, "interleaved", num_heads=heads)

    attention = MultiHeadParams(
        query=projection("self_attn.q_proj", D, H * Dh, H),
        key=projection("self_attn.k_proj", D, G * Dh, G),
        value=projection("self_attn.v_proj", D, G * Dh),
        output=projection("self_attn.o_proj", H * Dh, D),
    )
    if config.qk_norm:
        gains = (gain(source, f"{at}self_attn.{name}_norm", Dh, rows=pairs(1)) for name in "qk")
        extras = HeadExtras(QKNormParams(*gains), None, None)
        attention = ExtendedMultiHeadParams(*attention, None, extras)
    network = GatedFeedForwardParams(
        gate=projection("mlp.gate_proj", D, F), hidden=projection("mlp.up_proj", D, F),
        output=projection("mlp.down_proj", F, D),
    )
    norms = norm("input_layernorm"), norm("post_attention_layernorm")
    if config.norm == "sandwich":
        norms = BothNorms(*norms), BothNorms(norm("pre_feedforward_layernorm"), norm(BEHIND))
    return EncoderBlockParams(attention, norms[0], network, norms[1])


def _activation(source, kind):
    """Gemma 1 says gelu and means its tanh form; Gemma 3 has a name of its own for it."""
    if not kind.startswith("gemma"):
        return activation(source, ACTIVATIONS, "hidden_act", default="silu")
    if kind == "gemma":
        known = ACTIVATIONS | {"gelu": "gelu_tanh"}
        return activation(source, known, "hidden_act", default="gelu_pytorch_tanh")
    return activation(source, ACTIVATIONS, "hidden_activation", default="gelu_pytorch_tanh")


def _rotaries(source, kind, head_width):
    """How positions turn, in blocks without a window and with one."""
    rotary_dim = source.settings.get("rotary_dim", head_width)
    if rotary_dim != head_width:
        raise WeightsError(f"{source.path} turns {rotary_dim} of {head_width} columns of a head; "
                           "only rotary positions of all columns are known here")

    _require_rope_of(source, kind)

    def rotary(told, base):
        told = source._replace(settings=told)
        base = told.number("rope_theta", default=base)
        speeds = _scaled(source, told, rotary_speeds(head_width, base=base))
        return Rotary(base=base, speeds=None if speeds is None else tuple(speeds))

    base = source.number("rope_theta", default=1e6 if kind.startswith("gemma3") else 1e4)
    found = dict(rotary=rotary(rope_settings(source, "full_attention"), base))
    if kind.startswith("gemma3"):
        base = source.number("rope_local_base_freq", default=1e4)
        local = rope_settings(source, "sliding_attention", default={})
        found["local_rotary"] = rotary(local, base)
    return found


def _require_rope_of(source, kind):
    """Gemma 3 has an object for each kind of layers in rope_parameters, and nobody else."""
    each = {"full_attention", "sliding_attention"} & rope_settings(source).keys()
    if each and (not kind.startswith("gemma3") or source.settings.get("rope_scaling")):
        raise WeightsError(f"{source.path} turns positions in another way in each kind of layers, "
                           f"which is not known here of {kind}: its results would be others")
    if kind.startswith("gemma3") and source.settings.get("rope_parameters") and not each:
        raise WeightsError(f"{source.path}: rope_parameters of {kind} must have full_attention or "
                           "sliding_attention, and what is said of each")


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
    qwen, gemma3 = kind.startswith("qwen"), kind.startswith("gemma3")
    types, known = source.settings.get("layer_types"), ("sliding_attention", "full_attention")
    off = source.settings.get("sliding_window") is None or \
        qwen and not source.settings.get("use_sliding_window")
    if off and qwen and isinstance(types, list) and known[0] in types:
        raise WeightsError(f"{source.path}: layer_types has sliding_attention, but no window is "
                           "used: use_sliding_window and sliding_window must say so")
    if not (gemma3 or qwen or kind == "mistral") or off and not gemma3:
        return None
    window = source.count("sliding_window")
    if types is None:
        every = source.count("sliding_window_pattern", default=6)
        first = source.count("max_window_layers", default=28) if qwen else 0
        local = [kind == "mistral" or qwen and i >= first or gemma3 and (i + 1) % every != 0
                 for i in range(blocks)]
    elif (isinstance(types, list) and len(types) == blocks
          and all(name in known for name in types)):
        local = [name == "sliding_attention" for name in types]
    else:
        raise WeightsError(f"{source.path}: layer_types must hold sliding_attention or "
                           f"full_attention for each of {blocks} blocks, got {types!r}")
    return tuple(window if is_local else None for is_local in local) if any(local) else None
