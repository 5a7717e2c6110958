"""Other people's weights, read into this package's models.

    from npattn.weights import find_weights, load_language_model
    weights = load_language_model(find_weights("smollm2"))
    logits, cache = language_model(weights.encode("Hello"), weights.params, config=weights.config)

Files are read by the libraries gguf, safetensors, tokenizers and jinja2: pip install "npattn[llm]".
"""

from npattn.weights.chat import chat_text
from npattn.weights.installed import find_weights
from npattn.weights.loading import LanguageWeights, load_encoder, load_language_model
from npattn.weights.sources import WeightsError, open_source

__all__ = [
    "LanguageWeights", "WeightsError", "chat_text", "find_weights", "load_encoder",
    "load_language_model", "open_source",
]
