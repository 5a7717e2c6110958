"""Benchmarks: this package and others side by side, in one process, as medians and ratios."""
