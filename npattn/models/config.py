"""The options of a block, in the one place where they are read, and what configs ask of sizes.

    encoder(X, params, mask, num_heads=4, norm="pre")     options as keywords, or
    encoder(X, params, mask, options=options)             a BlockOptions, or a config

Every config has the options of a block beside its sizes. What a block has beyond that is seen in
its parameters: a bias, an output projection or a last norm that is None is left out.
"""

from dataclasses import dataclass, field, fields, replace
from functools import partial

from npattn.kernels.heads import require_heads
from npattn.kernels.options import (
    require_cap, require_choice, require_counts, require_eps, require_flag, require_rate,
    require_real,
)
from npattn.models.feed_forward import ACTIVATIONS, init_feed_forward
from npattn.models.head_extras import Rotary, require_rotary
from npattn.models.kernel_choice import require_kernel, window_sides
from npattn.models.multihead import init_multihead, require_groups
from npattn.models.normalize import NORMALIZATIONS, BothNorms, init_normalize

ORDERS = "post", "pre", "sandwich"


class Options:
    """What BlockOptions and configs can do: check the options and deal them out."""

    def __post_init__(self):
        for name in ("num_heads", "num_kv_heads", "head_width"):
            if getattr(self, name) is not None:
                require_counts(1, **{name: getattr(self, name)})
        if self.num_heads is not None and self.num_kv_heads is not None:
            require_groups(self.num_heads, self.num_kv_heads)
        for name in ("qk_norm", "sink", "gated", "bias"):
            require_flag(name, getattr(self, name))
        require_rotary(self.rotary)
        require_choice("norm", self.norm, ORDERS)
        require_choice("normalization", self.normalization, NORMALIZATIONS)
        require_choice("activation", self.activation, ACTIVATIONS)
        require_kernel(self.kernel)
        require_rate(self.dropout)
        given = dict(window=window_sides, cap=require_cap, scale=lambda x: require_real(scale=x))
        for name, require in given.items():
            if getattr(self, name) is not None:
                require(getattr(self, name))
        require_eps(eps=self.eps)

    def require_blocks(self, width):
        """Heads must divide the width, and a hidden layer must have one. Raises ValueError."""
        require_sizes(self, "num_heads", "hidden")
        if self.head_width is None:
            require_heads(self.num_heads, width)

    def fix_shape(self, field, axes=None):
        """Makes a shape, which may come as a list, a tuple of as many positive integers as axes."""
        shape = tuple(getattr(self, field))
        if axes is not None and len(shape) != len(axes):
            raise ValueError(f"{field} must be ({', '.join(axes)}), got {shape}")
        require_counts(1, **{f"{field}[{i}]": n for i, n in enumerate(shape)})
        object.__setattr__(self, field, shape)

    @property
    def key_heads(self):
        """How many heads keys and values have."""
        return self.num_kv_heads or self.num_heads

    def width_of_head(self, D):
        """How many columns a head has in a model of width D."""
        return self.head_width or D // self.num_heads

    def block_options(self, rng):
        """All of them as keywords of a block, with the Generator of its dropout."""
        return {f.name: getattr(self, f.name) for f in fields(BlockOptions)} | {"rng": rng}

    def normalized(self):
        """What `normalize` is told."""
        return dict(normalization=self.normalization, eps=self.eps)

    def init_norm(self, D, dtype):
        """Parameters of one norm."""
        return init_normalize(
            D, normalization=self.normalization, bias=self.bias, dtype=dtype
        )

    def init_norms(self, D, dtype):
        """Parameters of the norms of one residual."""
        norm = self.init_norm(D, dtype)
        return BothNorms(norm, self.init_norm(D, dtype)) if self.norm == "sandwich" else norm

    def attended(self, rng, past=None):
        """What `multihead_attention` is told."""
        if self.num_heads is None:
            raise TypeError("num_heads is missing: into how many heads is the width to be split?")
        told = dict(num_heads=self.num_heads, kernel=self.kernel, dropout=self.dropout, rng=rng)
        if self.num_kv_heads is not None:
            told["num_kv_heads"] = self.num_kv_heads
        given = dict(cap=self.cap, scale=self.scale, past=past)
        if self.qk_norm:
            given["qk_eps"] = self.eps
        return told | {name: value for name, value in given.items() if value is not None}

    def self_attended(self, rng, past=None):
        """What `self_attention` is told: positions are its alone."""
        given = dict(turn=self.rotary, window=self.window)
        given = {name: value for name, value in given.items() if value is not None}
        return self.attended(rng, past) | given

    def init_attention(self, D, rng, dtype):
        """Parameters of one attention."""
        return init_multihead(
            D, rng, num_heads=self.num_heads, num_kv_heads=self.num_kv_heads,
            head_width=self.head_width, qk_norm=self.qk_norm, sink=self.sink, bias=self.bias,
            dtype=dtype,
        )

    def init_feed_forward(self, D, F, rng, dtype):
        """Parameters of one feed-forward network."""
        return init_feed_forward(D, F, rng, gated=self.gated, bias=self.bias, dtype=dtype)

    def fed(self):
        """What `feed_forward` is told."""
        return dict(activation=self.activation)


@dataclass(frozen=True, kw_only=True)
class BlockOptions(Options):
    """Everything about a block that is no array and no size.

    Raises ValueError or TypeError that names the option.
    """

    num_heads: int | None = None       # must be given where something is computed
    num_kv_heads: int | None = None    # heads of keys and values; None means num_heads
    head_width: int | None = None      # of `init_…`; None means D / num_heads
    rotary: str | Rotary | None = None   # how positions turn queries and keys of self-attention
    window: int | tuple | None = None  # which keys self-attention may reach, as in `prepare_heads`
    qk_norm: bool = False              # whether `init_…` gives queries and keys a norm
    sink: bool = False                 # whether `init_…` gives each head a sink
    cap: float | None = None           # soft cap on the scores
    scale: float | None = None         # factor on the scores; None means 1/√head_width
    norm: str = "post"                 # "post", "pre" or "sandwich": where norms stand
    normalization: str = "layer_norm"  # what normalizes, as in `normalize`
    eps: float = 1e-5                  # of every norm
    activation: str = "relu"           # of the feed-forward network
    gated: bool = False                # whether `init_…` gives that network a gate
    bias: bool = True                  # whether `init_…` gives layers and norms a bias
    kernel: str = "attention"          # as in `chosen_attention`
    dropout: float = 0.0               # share dropped of weights and of what sublayers return


# What the blocks of a model are, unless its config is told otherwise.
TRANSFORMER = dict(num_heads=4, norm="pre")  # "post" in Vaswani et al. and d2l
TIME_SERIES = dict(num_heads=3, dropout=0.1)
VISION = dict(num_heads=4, norm="pre", activation="gelu")
BERT = dict(activation="gelu", eps=1e-12)
LLAMA = dict(norm="pre", normalization="rms_norm", eps=1e-6, activation="silu", gated=True,
             bias=False, rotary="interleaved")


def model_config(cls=None, **defaults):
    """Makes a class of Options a frozen dataclass of its own fields, then all of BlockOptions.

    A field that the class names itself has the default and the place that it has there. The heads
    stand behind a width that has a default, by place or by keyword. The other options are given by
    keyword. Their defaults stand here, or in BlockOptions.
    """
    if cls is None:
        return partial(model_config, **defaults)
    kinds = dict(cls.__annotations__)
    names = [*kinds]
    for option in fields(BlockOptions):
        if option.name not in kinds:
            placed = option.name == "num_heads" and hasattr(cls, "width")
            default = defaults.get(option.name, option.default)
            setattr(cls, option.name, field(default=default, kw_only=not placed))
            kinds[option.name] = option.type
            names.insert(names.index("width") + 1 if placed else len(names), option.name)
    cls.__annotations__ = {name: kinds[name] for name in names}
    return dataclass(frozen=True)(cls)


CAT = BlockOptions(num_heads=1, norm="pre", activation="gelu")


def options_of(options, changes):
    """The BlockOptions of a call: `options`, if they are given, with the changes made.

    options  BlockOptions, a config, or None for the defaults
    changes  a dict of keywords of BlockOptions
    """
    if options is None:
        return BlockOptions(**changes)
    if not isinstance(options, Options):
        raise TypeError(f"options must be BlockOptions or a config, got {options!r}")
    return replace(options, **changes) if changes else options


def require_sizes(config, *fields, least=1):
    """Integers that are `least` or more. Raises TypeError or ValueError that names the field."""
    require_counts(least, **{field: getattr(config, field) for field in fields})
