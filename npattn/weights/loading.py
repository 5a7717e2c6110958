"""From a file of weights to a model that runs."""

from typing import Any, NamedTuple

import numpy as np

from npattn.weights.arena import fill
from npattn.weights.sources import Source, WeightsError, open_source


class LanguageWeights(NamedTuple):
    """A language model, or an encoder of texts, with its tokenizer."""

    config: Any          # LanguageModelConfig, or BertConfig
    params: Any          # LanguageModelParams, or BertParams
    tokenizer: Any       # tokenizers.Tokenizer
    source: Source

    def encode(self, text, special=True):
        """The ids of a text, (T,) integers. Special tokens in the text count as such.

        special  whether the tokenizer adds its own, such as one at the beginning; False for the
                 text of a chat template, which has them already
        """
        return np.array(self.tokenizer.encode(text, add_special_tokens=special).ids, np.int64)

    def decode(self, ids):
        """The text of ids."""
        return self.tokenizer.decode([int(i) for i in ids], skip_special_tokens=False)

    def pieces(self, ids):
        """The text of each id by itself, for labels."""
        return [self.decode([i]) for i in ids]


def load_language_model(path, *, dtype=np.float32):
    """The language model in a .gguf file or a Hugging Face folder: a LanguageWeights.

    dtype  of the parameters, np.float32 or np.float64

    Raises WeightsError, a ValueError, that says what is wrong with the file; FileNotFoundError.
    """
    source = open_source(path)
    config, plan = language_plan(source)
    return LanguageWeights(config, fill(plan, dtype), source.tokenizer(), source)


def language_plan(source):
    """LanguageModelConfig, and LanguageModelParams whose leaves are to be read: `arena.fill`.

    Raises WeightsError for an architecture that is not known, for what is missing or misshapen, and
    for settings and tensors of a block that would have no effect here.
    """
    from npattn.weights.gpt2 import gpt2_plan
    from npattn.weights.llama import LLAMAS, llama_plan
    from npattn.weights.planning import checked_plan

    kind = source.settings.get("model_type")
    if kind != "gpt2" and kind not in LLAMAS:
        raise WeightsError(
            f"{source.path} is of the architecture {kind!r}; known are gpt2, {', '.join(LLAMAS)}"
        )
    return checked_plan(gpt2_plan if kind == "gpt2" else llama_plan, source)


def load_encoder(path, *, dtype=np.float32):
    """The BERT in a Hugging Face folder: a LanguageWeights. Raises as `load_language_model`."""
    from npattn.weights.bert import bert_plan
    from npattn.weights.folders import pooling_of
    from npattn.weights.planning import checked_plan

    source = open_source(path)
    kind = source.settings.get("model_type")
    if kind != "bert":
        raise WeightsError(f"{source.path} is of the architecture {kind!r}; an encoder is bert")
    config, plan = checked_plan(bert_plan, source)
    folder = source.path if source.path.is_dir() else source.path.parent
    source.settings["pooling"] = pooling_of(folder)
    return LanguageWeights(config, fill(plan, dtype), source.tokenizer(), source)
