"""What a file of weights holds, in one form for all formats: settings, tensors, vocabulary.

    source = open_source(path)       a .gguf file, a .safetensors file, or a folder of Hugging Face
    source.settings                  as in config.json, whatever the format calls them
    source.read("layers.0.mlp.up_proj.weight")

Tensors have the names of Hugging Face, without the prefix that says which class saved them. Files
are mapped and nothing is read before it is asked for; nothing is unpickled.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PREFIX = re.compile(r"^(transformer|bert|model\.language_model|language_model\.model|model)\.")


class WeightsError(ValueError):
    """A file of weights that is damaged, unknown or incomplete; it says which and what is wrong."""


class Source(NamedTuple):
    """An open file of weights. Shapes are the file's, (out, in) for most matrices."""

    path: Path
    settings: dict                        # of config.json; "model_type" names the architecture
    shapes: dict[str, tuple[int, ...]]    # of every tensor
    fetch: Callable                       # name -> array of floats
    pairing: str                          # of the rotary columns: "interleaved" or "halves"
    tokenizer: Callable                   # () -> tokenizers.Tokenizer
    chat: dict[str, Any]                  # "template", and the special tokens that it may use
    gain_offset: float = 0.0              # what is to be added to every gain: 1 in Gemma's folders

    def setting(self, *names, default=None):
        """The first of these settings that is there, else the default, else WeightsError."""
        for name in names:
            if self.settings.get(name) is not None:
                return self.settings[name]
        if default is not None:
            return default
        raise WeightsError(f"{self.path} does not say {' or '.join(names)}")

    def count(self, *names, default=None):
        """The same, which must be a positive integer."""
        value = self.setting(*names, default=default)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise WeightsError(
                f"{self.path}: {' or '.join(names)} must be a positive integer, got {value!r}"
            )
        return int(value)

    def number(self, *names, default=None):
        """The same, which must be a number above 0."""
        value = self.setting(*names, default=default)
        if not isinstance(value, int | float | np.number) or not 0 < value < math.inf:
            raise WeightsError(
                f"{self.path}: {' or '.join(names)} must be a number above 0, got {value!r}"
            )
        return float(value)

    def read(self, name, shape=None):
        """One tensor, as the file has it. WeightsError if it is missing or of another shape."""
        self.require(name, shape)
        try:
            return self.fetch(name)
        except WeightsError:
            raise
        except Exception as error:  # libraries have a dozen ways to say that a file is damaged
            raise WeightsError(f"{self.path}: tensor {name} cannot be read: {error}") from error

    def require(self, name, shape=None):
        """Raises WeightsError unless there is a tensor of that name and shape."""
        if name not in self.shapes:
            near = [other for other in self.shapes if other.split(".")[-2:] == name.split(".")[-2:]]
            hint = f"; it has {near[0]}" if near else ""
            raise WeightsError(f"{self.path} has no tensor {name}{hint}")
        if shape is not None and self.shapes[name] != tuple(shape):
            raise WeightsError(
                f"{self.path}: tensor {name} is {self.shapes[name]}, "
                f"the settings ask for {tuple(shape)}"
            )


def open_source(path):
    """The Source at `path`: a .gguf file, a .safetensors file with config.json beside it, a folder.

    Raises WeightsError that says what is wrong, FileNotFoundError if nothing is there, ImportError
    that says what to install.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(2, "no such file or folder", str(path))
    if path.suffix == ".gguf":
        from npattn.weights.gguf_files import open_gguf

        return open_gguf(path)
    if path.is_dir() or path.suffix == ".safetensors":
        from npattn.weights.folders import open_folder

        return open_folder(path)
    raise WeightsError(
        f"{path} must be a .gguf file, a .safetensors file or a folder with config.json; "
        "pickled files (.bin, .pt) are not read, since they may run code"
    )


def need(module, use):
    """The imported library. Raises ImportError with the command that installs it."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'{use} needs {module}: pip install "npattn[llm]"') from error


def bare(name):
    """A tensor's name without the prefix of the class that saved it."""
    return PREFIX.sub("", name)
