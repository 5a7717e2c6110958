"""What the battery is made of: a function, a backward of somebody's, and the verdicts that are due.

A family is a module with a `Shelf`. `shelf.add(name, f, backward, *inputs, wrong={fault: other})`
makes one entry with the right backward and one for each wrong one. A fault is a function, or one of
the spoilers below applied to the right backward.
"""

import functools
from dataclasses import dataclass, field

import numpy as np

RIGHT, WRONG = frozenset({"right"}), frozenset({"wrong"})
PERHAPS_RIGHT, PERHAPS_WRONG = RIGHT | {"undecided"}, WRONG | {"undecided"}
UNDECIDED = frozenset({"undecided"})


@dataclass(frozen=True)
class Entry:
    """One function with one backward.

    way     "pair": f and backward as in `gradcheck`; "loss": f returns (loss, gradients);
            "layer": f makes an object, the rest as in `gradcheck_layer`
    fault   what is wrong with the backward, or None
    due     the verdicts that a checker may give
    """

    family: str
    name: str
    f: object
    backward: object
    inputs: tuple
    fault: str | None
    due: frozenset
    way: str = "pair"
    options: dict = field(default_factory=dict)

    @property
    def title(self):
        return f"{self.family}: {self.name}, {self.fault or 'right'}"


class Shelf(list):
    """The entries of one family."""

    def __init__(self, family):
        self.family = family

    def add(self, name, f, backward, *inputs, wrong, due=RIGHT, wrong_due=WRONG, **options):
        """The right backward, and each of the wrong ones."""
        self._put("pair", name, f, backward, inputs, None, due, options)
        for fault, bad in wrong.items():
            self._put("pair", name, f, _spoil(bad, backward), inputs, fault, wrong_due, options)

    def loss(self, name, f, *inputs, wrong, due=RIGHT, wrong_due=WRONG, **options):
        """f returns (loss, gradients); so does each of the wrong ones."""
        self._put("loss", name, f, None, inputs, None, due, options)
        for fault, bad in wrong.items():
            self._put("loss", name, bad, None, inputs, fault, wrong_due, options)

    def layer(self, name, make, *inputs, wrong, due=RIGHT, wrong_due=WRONG, **options):
        """make() gives a layer; so does each of the wrong ones."""
        self._put("layer", name, make, None, inputs, None, due, options)
        for fault, bad in wrong.items():
            self._put("layer", name, bad, None, inputs, fault, wrong_due, options)

    def _put(self, way, name, f, backward, inputs, fault, due, options):
        self.append(Entry(self.family, name, f, backward, inputs, fault, due, way, options))


class Spoiler:
    """A change of gradients: a list of arrays becomes another."""

    def __init__(self, change):
        self.change = change


def _spoil(bad, backward):
    if not isinstance(bad, Spoiler):
        return bad

    @functools.wraps(backward)
    def spoilt(*args):
        gradients = backward(*args)
        several = isinstance(gradients, (tuple, list))
        arrays = gradients if several else [gradients]
        changed = bad.change([np.array(array, order="C") for array in arrays])
        return tuple(changed) if several else changed[0]

    return spoilt


def sign(which=0):
    return factor(-1.0, which)


def factor(number, which=0):
    return Spoiler(lambda gs: [g * g.dtype.type(number) if i == which else g
                               for i, g in enumerate(gs)])


def zero(which=0):
    return Spoiler(lambda gs: [np.zeros_like(g) if i == which else g for i, g in enumerate(gs)])


def entry_off(by, which=0):
    """The largest entry off by that part of itself; of two as large, always the same."""
    def largest(g):
        return np.argmax(np.abs(g).ravel() > (1 - 1e-6) * np.abs(g).max())

    return Spoiler(lambda gs: [_scaled(g, largest(g), 1 + by) if i == which else g
                               for i, g in enumerate(gs)])


def small_entry(number=2.0, which=0):
    """The smallest entry, and no other, times a number."""
    return Spoiler(lambda gs: [_scaled(g, np.argmin(np.abs(g)), number) if i == which else g
                               for i, g in enumerate(gs)])


def swapped(i=0, j=1):
    def change(gs):
        gs[i], gs[j] = gs[j], gs[i]
        return gs

    return Spoiler(change)


def two_entries_exchanged(which=0):
    def change(gs):
        flat = gs[which].reshape(-1)
        flat[[0, -1]] = flat[[-1, 0]]
        return gs

    return Spoiler(change)


def _scaled(g, place, by):
    g.reshape(-1)[place] *= by
    return g


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def positive(seed, *shape):
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)
