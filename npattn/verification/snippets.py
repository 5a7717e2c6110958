"""Where the code that readers bring has its counterpart here: what it is, function, page.

`systems` says which of `npattn.verification.systems` hold the counterpart against torch.
"""

from importlib import import_module
from typing import NamedTuple

from npattn.checking.report import align


class Snippet(NamedTuple):
    """One kind of snippet."""

    what: str      # as its author calls it
    write: str     # the call, with the arguments that matter
    name: str      # the function, found in the page
    page: str      # the module
    systems: tuple = ()  # beginnings of their names

    @property
    def path(self):
        """The page as a file of the repository."""
        return self.page.replace(".", "/") + ".py"


SNIPPETS = (
    Snippet("SelfAttention: q, k, v from one x", "self_attention(X, params, mask, num_heads=1)",
            "self_attention", "npattn.models.multihead",
            ("self-attention with", "queries, keys and values of")),
    Snippet("multi-head without an output layer", "init_multihead(D, rng, output=False)",
            "init_multihead", "npattn.models.multihead",
            ("multi-head self-attention without output",)),
    Snippet("MultiHeadAttention: w_q, w_k, w_v, w_o",
            "multihead_attention(Xq, Xk, Xv, params, mask, num_heads=h)",
            "multihead_attention", "npattn.models.multihead",
            ("multi-head attention with a padding", "multi-head attention with a look")),
    Snippet("scaled dot-product attention", "attention(Q, K, V, mask)",
            "attention", "npattn.kernels.attention", ("dot-product attention",)),
    Snippet("masked_fill(mask == 0, -inf), softmax", "masked_softmax(S, mask != 0)",
            "masked_softmax", "npattn.kernels.softmax", ("softmax under",)),
    Snippet("masked_softmax(X, valid_lens)", "valid_lens_mask(valid_lens, Tk)",
            "valid_lens_mask", "npattn.kernels.masks", ("softmax under",)),
    Snippet("pad_sequences, padded and mask", "pad_sequences(sequences)",
            "pad_sequences", "npattn.kernels.masks", ("self-attention with",)),
    Snippet("look-ahead mask, torch.tril", "causal_mask(T)",
            "causal_mask", "npattn.kernels.masks", ("multi-head attention with a look",)),
    Snippet("transpose_qkv, view and transpose(1, 2)", "split_heads(X, num_heads)",
            "split_heads", "npattn.kernels.heads", ("heads moved",)),
    Snippet("d2l's MultiHeadAttention", "from npattn.d2l import en as d2l",
            "MultiHeadAttention", "npattn.d2l.en", ("multi-head attention without biases",)),
    Snippet("positional encoding, sin and cos", "sinusoidal_positions(T, D)",
            "sinusoidal_positions", "npattn.kernels.positions", ("positions of odd",)),
    Snippet("Transformer on a time series", "time_series_transformer(X, params, config=…)",
            "time_series_transformer", "npattn.models.time_series", ("time series",)),
    Snippet("CrossAttention: queries of a decoder",
            "cross_attention(X, memory, params, mask, num_heads=h)",
            "cross_attention", "npattn.models.multihead", ("encoder-decoder",)),
    Snippet("attention without 1/√d", "attention(Q, K, V, scale=1.0)",
            "attention", "npattn.kernels.attention", ("cross-attention, unscaled",)),
    Snippet("bidirectional cross-attention", "bidirectional_attention(Xa, Xb, params)",
            "bidirectional_attention", "npattn.models.co_attention",
            ("bidirectional cross-attention",)),
    Snippet("CAT: inner- and cross-patch attention", "cat(X, params, patch=P, num_heads=h)",
            "cat", "npattn.models.cat", ("inner-patch", "cross-patch", "inner, cross")),
    Snippet("channel attention, squeeze and excite", "channel_attention(X, params)",
            "channel_attention", "npattn.kernels.channel_attention"),
    Snippet("spatial attention of CBAM", "spatial_attention(X, params)",
            "spatial_attention", "npattn.kernels.spatial_attention"),
    Snippet("Bahdanau's additive attention", "additive_attention(Q, K, V, params, mask)",
            "additive_attention", "npattn.kernels.additive"),
    Snippet("encoder block, nn.TransformerEncoderLayer", "encoder_block(X, params, mask, …)",
            "encoder_block", "npattn.models.block"),
    Snippet("nn.Transformer, encoder and decoder", "transformer(source, target, params, …)",
            "transformer", "npattn.models.transformer"),
)


def function_of(snippet):
    """The function itself."""
    return getattr(import_module(snippet.page), snippet.name)


def snippet_of(system):
    """The Snippet whose counterpart the system of this name is."""
    return next(s for s in SNIPPETS if system.startswith(s.systems or ("\0",)))


def format_snippets(systems=()):
    """Lines of a table: for each system its function and page; then every snippet."""
    own = [(name, snippet_of(name).write, snippet_of(name).path) for name in systems]
    head = [("system", "in npattn", "page"), *own] if own else []
    return [
        *(align(head) + [""] if own else []),
        *align([("snippet", "in npattn", "page"), *((s.what, s.write, s.path) for s in SNIPPETS)]),
    ]


def markdown():
    """The same as a table of a README."""
    rows = [f"| {s.what} | `{s.write}` | [{s.page.split('.', 1)[1]}]({s.path}) |" for s in SNIPPETS]
    return "\n".join(["| snippet | in npattn | page |", "|---|---|---|", *rows])
