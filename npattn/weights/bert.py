"""BERT in a folder: an encoder in post-norm, with learned positions and no map to logits.

Of the two embeddings of segments the first serves: here there is one text.
Source: Devlin et al. 2018, "BERT", section 3; the names are those of Hugging Face.
"""

from npattn.models.bert import BertConfig, BertParams
from npattn.models.block import EncoderBlockParams
from npattn.models.encoder import EncoderParams
from npattn.models.feed_forward import FeedForwardParams
from npattn.models.multihead import MultiHeadParams
from npattn.weights.arena import Planned
from npattn.weights.planning import activation, divisor, layer_norm, linear, vector

ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu"}  # of the file -> here


def bert_plan(source):
    """BertConfig, and BertParams whose leaves are to be read."""
    D, F = source.count("hidden_size"), source.count("intermediate_size")
    config = BertConfig(
        num_heads=divisor(source, D, f"hidden_size {D}", "num_attention_heads"),
        activation=activation(source, ACTIVATIONS, "hidden_act", default="gelu"),
        eps=source.number("layer_norm_eps", default=1e-12),
    )
    at, segments = "embeddings.", "embeddings.token_type_embeddings.weight"
    source.require(segments)
    context, blocks = source.count("max_position_embeddings"), source.count("num_hidden_layers")
    blocks = tuple(_block(source, f"encoder.layer.{i}.", D, F) for i in range(blocks))
    return config, BertParams(
        vector(source, f"{at}word_embeddings.weight", (source.count("vocab_size"), D)),
        vector(source, f"{at}position_embeddings.weight", (context, D)),
        Planned((D,), lambda: source.read(segments)[0]), layer_norm(source, f"{at}LayerNorm", D),
        EncoderParams(blocks, None),
    )


def _block(source, at, D, F):
    attention = MultiHeadParams(
        *(linear(source, f"{at}attention.self.{name}", D, D) for name in ("query", "key", "value")),
        linear(source, f"{at}attention.output.dense", D, D),
    )
    network = FeedForwardParams(
        linear(source, f"{at}intermediate.dense", D, F), linear(source, f"{at}output.dense", F, D)
    )
    return EncoderBlockParams(
        attention, layer_norm(source, f"{at}attention.output.LayerNorm", D),
        network, layer_norm(source, f"{at}output.LayerNorm", D),
    )
