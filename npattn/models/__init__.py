"""Kernels composed: parameter tuples, and pairs that contain calls only, no new calculus."""
