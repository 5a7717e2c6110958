"""Every kernel and every system twice: in NumPy with gradients by hand, in torch with autograd.

    npattn   float64, gradients from the backward that is written beside each forward
    torch    on any device, an independent formulation, gradients from autograd

Both start from the same random numbers, rounded to torch's precision, and from the same random
upstream gradient; outputs and all gradients are compared entry by entry. torch is imported, by
`npattn.torch_bridge` alone, when a check begins.
"""

from functools import partial

from npattn.verification.cases import CASES
from npattn.verification.comparison import PRECISIONS, missed
from npattn.verification.devices import require_device, without_tf32
from npattn.verification.option_systems import OPTION_SYSTEMS
from npattn.verification.pairs import find_pairs
from npattn.verification.systems import SYSTEMS
from npattn.verification.witness import check_kernel, check_system

DTYPES = ("float64", "float32")


def crosscheck(device="cpu", dtype="float64", only=None, seed=0):
    """A `Row` for each kernel and system, or for those with `only` in their name.

    device  where torch computes, "cpu" or "cuda"
    dtype   torch's precision, "float64" or "float32"; NumPy's is float64 in any case
    seed    of arguments and upstream gradients

    A kernel without a torch formulation is a row that is not ok.
    Raises Unavailable if there is no such device, ImportError if there is no torch.
    """
    from npattn.torch_bridge import torch

    require_device(torch, device)
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    options = dict(seed=seed, device=device, precision=PRECISIONS[dtype])
    with without_tf32(torch):
        return [
            _row(name, check, options)
            for name, check in _checks()
            if only is None or only in name
        ]


def _checks():
    """(name, function) for everything there is to check."""
    pairs = find_pairs()
    for name in dict.fromkeys([*pairs, *CASES]):
        pair = pairs[name.split()[0]]
        if pair.module.startswith("npattn.kernels."):
            yield name, partial(check_kernel, pair._replace(name=name))
    for system in (*SYSTEMS, *OPTION_SYSTEMS):
        yield system.name, partial(check_system, system)


def _row(name, check, options):
    """What cannot be computed or compared is a miss, and no reason to leave out the rest."""
    try:
        return check(**options)
    except (RuntimeError, ValueError) as error:
        return missed(name, options["precision"], f"{type(error).__name__}: {error}")
