"""Heads that several heads of queries share: read without copies, and added to without collisions.

X is (M, T, D), the heads of keys, of values or of a bias; `owner` (N,) says which of them each of
the N heads of queries reads. None stands for M = N, each its own.
"""

import numpy as np


def owners(lead, whole):
    """Which head of arrays with the leading axes `lead` serves each of `whole`, (N,); or None.

    >>> owners((2, 1), (2, 3)).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    lead = (1,) * (len(whole) - len(lead)) + tuple(lead)
    if lead == tuple(whole):
        return None
    numbers = np.arange(int(np.prod(lead))).reshape(lead)
    return np.broadcast_to(numbers, whole).reshape(-1)


def taken(X, owner, heads, *part):
    """X of those heads, (n, …); or (1, …) where they share one. `part` are slices of its axes."""
    if owner is None:
        return X[(heads, *part)]
    first, *others = owner[heads]
    if all(other == first for other in others):
        return X[(slice(first, first + 1), *part)]
    return X[(owner[heads], *part)]


def add_to(dX, owner, heads, part, dY):
    """Adds dY (n, …) to that part of dX, a tuple of slices: several heads may add to one."""
    if owner is None:
        dX[(heads, *part)] += dY
        return
    for own, dY_head in zip(owner[heads], dY, strict=True):
        dX[(own, *part)] += dY_head


def places(name, owner, heads, *place):
    """What `run` calls the sums that those heads add to."""
    if owner is None:
        return [(name, heads.start, *place)]
    return [(name, int(own), *place) for own in dict.fromkeys(owner[heads])]


class Sum:
    """An array (M, T, D) of sums; patches add products to a place of it one after the other.

    free   whether everybody may attend to everything: then some product comes to each place, and
           the first is written there, not added
    owner  as above, where heads of queries add to the same
    """

    def __init__(self, shape, dtype, free, owner=None):
        self.owner, self.begun = owner, set() if free and owner is None else None
        self.array = (np.zeros if self.begun is None else np.empty)(shape, dtype)

    def add(self, heads, part, A, B, scratch):
        """Adds A B, (n, part, D); the parts of a head are always the same if all are free."""
        if self.begun is None or (place := (heads.start, part.start)) in self.begun:
            add_to(self.array, self.owner, heads, [part], scratch.product(2, A, B))
        else:
            self.begun.add(place)
            np.matmul(A, B, out=self.array[heads, part])

    def total(self):
        """The array; 0 where there was no query, or no key."""
        if self.begun == set():
            self.array[:] = 0.0
        return self.array
