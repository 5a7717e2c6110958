"""What `d2l.` offers beside the chapters' classes: torch's names as the text abbreviates them.

Both editions answer with these when they are asked; a star import brings none of them.
"""

import numpy as np

from npattn.d2l import torch
from npattn.d2l._layers import Module
from npattn.d2l._tensors import NO_AUTOGRAD


def add_to_class(Class):
    """A decorator that makes a function a method of the class, unless the class has it."""

    def add(function):
        if not hasattr(Class, function.__name__):
            setattr(Class, function.__name__, function)
        return function

    return add


NAMES = {name: getattr(torch, name) for name in (
    "abs arange cos exp eye float32 int32 matmul normal ones rand randn reshape sin tanh tensor "
    "zeros"
).split()} | {
    "concat": torch.cat,
    "expand_dims": torch.unsqueeze,
    "numpy": np.asarray,
    "astype": lambda X, dtype: X.astype(dtype),
    "argmax": np.argmax,
    "reduce_sum": np.sum,
    "reduce_mean": np.mean,
    "transpose": np.transpose,
    "to": lambda X, device: X,
    "try_gpu": lambda i=0: "cpu",
    "add_to_class": add_to_class,
    "Module": Module, "Encoder": Module, "Decoder": Module, "Classifier": Module,
}
IMAGES = (
    "the images of the text are not here. `npattn train digits` trains a vision Transformer on "
    "handwritten digits; for images of your own write logits = model(X), "
    "loss, cache = cross_entropy(logits, labels), model.backward(cross_entropy_backward(1.0, "
    "cache)), and a step of npattn.training.sgd"
)
SENTENCES = {
    "FashionMNIST": IMAGES, "load_data_fashion_mnist": IMAGES, "Animator": NO_AUTOGRAD,
    "Accumulator": NO_AUTOGRAD, "grad_clipping": "write npattn.training.clip_by_global_norm",
}


def names_on_demand(name):
    """The `__getattr__` of both editions; pyplot, as `plt`, is imported when it is asked for."""
    if name == "plt":
        from matplotlib import pyplot

        return pyplot
    if name in NAMES:
        return NAMES[name]
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(f"npattn.d2l has no {name!r}: " + SENTENCES.get(
        name, "it holds the names of the attention chapters, which dir(d2l) lists, and those of "
        "torch that they use; write the NumPy function, or npattn.nn's layer"
    ))
