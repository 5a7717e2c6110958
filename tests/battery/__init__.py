"""Functions with backwards of other people's kind, half of them wrong; no code of npattn's.

`entries(peers)` lists them, family by family; those with torch, JAX or numba inside only where
peers is true. The package is laid beside the tests, for what is checked here is a checker.
"""


def entries(peers=False):
    from battery import algebra, arithmetic, kinks, plain, styles

    shelves = [
        plain.shelf, algebra.linalg, algebra.special, arithmetic.precision, arithmetic.scales,
        arithmetic.offsets, kinks.kinks, kinks.branches, kinks.scans, styles.layers,
        styles.losses, styles.trees,
    ]
    if peers:
        from battery import inside

        shelves += [inside.torch_inside, inside.jax_inside, inside.numba_inside]
    return [entry for shelf in shelves for entry in shelf]


def second_entries():
    """Those that were written afterwards, without a look at what those before showed."""
    from battery import second, third

    shelves = (second.geometry, second.signals, second.chance, second.attention, second.numbers,
               second.corners, second.objects, third.close, third.lost, third.small)
    return [entry for shelf in shelves for entry in shelf]
