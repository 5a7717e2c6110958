"""Kernels composed: parameter tuples, and pairs that contain calls only, no new calculus."""

from npattn import _lazy


def __getattr__(page):
    return _lazy.submodule(__name__, page)
