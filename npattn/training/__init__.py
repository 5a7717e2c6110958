"""Training: optimizers as tree maps, learning-rate schedules, the loop, saving and loading."""

from npattn.training.checkpoints import (
    CheckpointError,
    load_metadata,
    load_tree,
    save_tree,
)
from npattn.training.loop import FitResult, fit
from npattn.training.optimizers import (
    AdamState,
    SGDState,
    adam,
    clip_by_global_norm,
    global_norm,
    init_adam,
    init_sgd,
    merge,
    select,
    sgd,
)
from npattn.training.schedules import constant, linear_warmup_linear_decay, noam
from npattn.training.threads import one_blas_thread

__all__ = [
    "AdamState",
    "CheckpointError",
    "FitResult",
    "SGDState",
    "adam",
    "clip_by_global_norm",
    "constant",
    "fit",
    "global_norm",
    "init_adam",
    "init_sgd",
    "linear_warmup_linear_decay",
    "load_metadata",
    "load_tree",
    "merge",
    "noam",
    "one_blas_thread",
    "save_tree",
    "select",
    "sgd",
]
