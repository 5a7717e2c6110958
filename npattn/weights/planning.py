"""What every family of models asks of a file: counts, activations, and parameters to be read.

Each tensor is checked to be there and to have its shape before one is read; `arena.fill` reads the
plan. A setting or a tensor that a family does not know must not pass in silence, since the results
would be those of another model.
"""

import re

import numpy as np

from npattn.kernels.layer_norm import LayerNormParams
from npattn.kernels.linear import LinearParams
from npattn.weights.arena import Planned
from npattn.weights.sources import WeightsError

# settings that would make another model of it, and the value with which they do not
PLAIN = {
    "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False, "is_decoder": False,
    "is_causal": True, "use_bidirectional_attention": False, "partial_rotary_factor": 1.0,
    "position_embedding_type": "absolute", "attn_logit_softcapping": 0.0,
    "final_logit_softcapping": 0.0,
}
BUFFERS = re.compile(r"(rotary_emb\.inv_freq|\.attn\.(masked_)?bias)$")  # hold no weights


def checked_plan(plan, source):
    """The configuration and planned parameters that `plan(source)` returns.

    Raises WeightsError for a setting of PLAIN with another value, and for a tensor of a block that
    `plan` did not ask for.
    """
    source = source._replace(shapes=_Asked(source.shapes))
    _require_plain(source)
    try:
        found = plan(source)
    except WeightsError:
        raise
    except ValueError as error:  # of the configuration
        raise WeightsError(f"{source.path}: {error}") from error
    _require_all_asked(source)
    return found


class _Asked(dict):
    """The shapes of all tensors, and the names that were looked up."""

    def __init__(self, shapes):
        super().__init__(shapes)
        self.asked = set()

    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)


def _require_plain(source):
    kinds = None, "full_attention", "sliding_attention"
    ropes = [rope_settings(source, layers) for layers in kinds]
    for name, value in (pair for told in (source.settings, *ropes) for pair in told.items()):
        if name in PLAIN and value not in (None, PLAIN[name]):
            raise WeightsError(f"{source.path} has {name}={value!r}, which is not known here: its "
                               "results would be others")


def _require_all_asked(source):
    for name in source.shapes:  # in the file's order, so that the same file gives the same words
        in_a_block = name.startswith(("layers.", "h.", "blk.", "encoder.layer."))
        if in_a_block and name not in source.shapes.asked and not BUFFERS.search(name):
            raise WeightsError(
                f"{source.path} has the tensor {name}, which a block of "
                f"{source.settings['model_type']} does not read here: its results would be others"
            )


# ---- settings ----


def rope_settings(source, layers=None, default=None):
    """What the file says about rotary positions: an object of its own in config.json.

    layers   the kind of layers, where it says something for each
    default  where it says nothing for these; None is what it says for all
    """
    new, old = (source.settings.get(f"rope_{name}") for name in ("parameters", "scaling"))
    if new and old:
        raise WeightsError(f"{source.path} has both rope_parameters and rope_scaling: delete the "
                           "one that is not meant")
    told = new or old or {}
    if layers is not None and isinstance(told, dict):
        told = told.get(layers, told if default is None else default)
        told = {} if told is None else told
    if not isinstance(told, dict):
        raise WeightsError(f"{source.path}: rope_parameters must be an object, got {told!r}")
    return told


def divisor(source, whole, words, *names, default=None):
    """A count that must divide `whole`, which the error calls by these words."""
    count = source.count(*names, default=default)
    if whole % count:
        raise WeightsError(f"{source.path}: {names[0]} must divide {words}, got {count}")
    return count


def activation(source, known, *names, default):
    """The activation's name here: `known` translates those of the file."""
    name = source.setting(*names, default=default)
    if not isinstance(name, str) or name not in known:
        names = ", ".join(known)
        raise WeightsError(f"{source.path} has the activation {name!r}; known are {names}")
    return known[name]


# ---- parameters ----


def vector(source, name, shape, *, rows=slice(None), offset=0.0):
    """One tensor as it stands in the file, with these of its rows and `offset` added."""
    source.require(name, shape)

    def read():
        X = source.read(name)[rows]
        return np.add(X, offset, dtype=np.result_type(X, np.float32)) if offset else X

    return Planned(shape, read)


def gain(source, name, D, *, rows=slice(None)):
    """The gain of an RMS norm, (D,)."""
    return vector(source, f"{name}.weight", (D,), rows=rows, offset=source.gain_offset)


def layer_norm(source, name, D):
    """Gain and bias of a layer norm, both (D,)."""
    return LayerNormParams(*(vector(source, f"{name}.{part}", (D,)) for part in ("weight", "bias")))


def linear(source, name, Din, Dout, *, bias=True, rows=slice(None)):
    """A map from Din to Dout columns, which the file has as (Dout, Din), with these of its rows."""
    W, b = f"{name}.weight", f"{name}.bias"
    source.require(W, (Dout, Din))
    if bias:
        source.require(b, (Dout,))
    return LinearParams(
        Planned((Dout, Din), lambda: source.read(W)[rows], turned=True),
        Planned((Dout,), lambda: source.read(b)[rows]) if bias else None,
    )


def output(source, config):
    """The map to the logits where the file has one of its own; None where it is the embedding.

    A file that says it is tied may hold one all the same: where it differs, it is meant.
    """
    if "lm_head.weight" not in source.shapes:
        if source.settings.get("tie_word_embeddings") is False:
            raise WeightsError(f"{source.path} has no tensor lm_head.weight, but says "
                               "tie_word_embeddings: false")
        return None
    if source.settings.get("tie_word_embeddings"):
        E = "wte.weight" if "wte.weight" in source.shapes else "embed_tokens.weight"
        if np.array_equal(source.read("lm_head.weight"), source.read(E)):
            return None
    return linear(source, "lm_head", config.width, config.vocabulary, bias=False)
