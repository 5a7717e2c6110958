"""GPT-2 in a file: learned positions, layer norm, GELU, one matrix for query, key and value.

    wte, wpe                      embeddings of tokens and positions
    h.0.ln_1, h.0.attn.c_attn     a block's norm, and its map to query, key and value, (D, 3 D)
    h.0.attn.c_proj               the map behind its heads
    h.0.ln_2, h.0.mlp.c_fc, …     norm and maps of its network
    ln_f                          the last norm

Its matrices are stored (in, out), as those of no other family here.
Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
"""

from npattn.kernels.linear import LinearParams
from npattn.models.block import EncoderBlockParams
from npattn.models.feed_forward import FeedForwardParams
from npattn.models.language_model import LanguageModelConfig, LanguageModelParams
from npattn.models.multihead import MultiHeadParams
from npattn.weights.arena import Planned
from npattn.weights.planning import activation, divisor, layer_norm, output, vector

ACTIVATIONS = {  # of the file -> of this package
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu",
}


def gpt2_plan(source):
    """LanguageModelConfig, and LanguageModelParams whose leaves are to be read."""
    width = source.count("n_embd", "hidden_size")
    heads = divisor(source, width, f"the width {width}", "n_head", "num_attention_heads")
    config = LanguageModelConfig(
        vocabulary=source.count("vocab_size"), width=width,
        num_blocks=source.count("n_layer", "num_hidden_layers"),
        num_heads=heads, num_kv_heads=heads, head_width=width // heads,
        hidden=source.count("n_inner", "intermediate_size", default=4 * width),
        context=source.count("n_positions", "max_position_embeddings"),
        activation=activation(source, ACTIVATIONS, "activation_function", default="gelu_new"),
        eps=source.number("layer_norm_epsilon", default=1e-5),
        normalization="layer_norm", gated=False, bias=True, rotary=None,
        scale=None if source.setting("scale_attn_weights", default=True) else 1.0,
    )
    blocks = tuple(_block(source, f"h.{i}.", config) for i in range(config.num_blocks))
    E = vector(source, "wte.weight", (config.vocabulary, width))
    positions = vector(source, "wpe.weight", (config.context, width))
    return config, LanguageModelParams(
        E, positions, blocks, layer_norm(source, "ln_f", width), output(source, config)
    )


def _block(source, at, config):
    D, F = config.width, config.hidden

    def conv1d(name, Din, Dout, part=0, parts=1):  # some stand beside each other in one matrix
        W, b = f"{at}{name}.weight", f"{at}{name}.bias"
        columns = slice(part * Dout, (part + 1) * Dout)
        source.require(W, (Din, parts * Dout))
        source.require(b, (parts * Dout,))
        return LinearParams(
            Planned((Dout, Din), lambda: source.read(W)[:, columns].T, turned=True),
            Planned((Dout,), lambda: source.read(b)[columns]),
        )

    query, key, value = (conv1d("attn.c_attn", D, D, i, 3) for i in range(3))
    attention = MultiHeadParams(query, key, value, conv1d("attn.c_proj", D, D))
    network = FeedForwardParams(conv1d("mlp.c_fc", D, F), conv1d("mlp.c_proj", F, D))
    return EncoderBlockParams(
        attention, layer_norm(source, f"{at}ln_1", D),
        network, layer_norm(source, f"{at}ln_2", D),
    )
