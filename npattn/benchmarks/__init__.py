"""Benchmarks: this package and others side by side, as medians and ratios.

Each page is one table of `npattn bench`: TITLE, HEADER, measure(setting), which yields rows,
line(row) and summary(rows). The pages timing, contenders, machine, memory, results and tables
serve them all.
"""
