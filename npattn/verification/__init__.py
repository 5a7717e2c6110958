"""Every pair and every system of the package against witnesses that know nothing of it.

    pairs, cases        all forward/backward pairs, found by name, and arguments for each
    systems             attention as readers meet it, in NumPy and in torch
    kernels_in_torch    the kernels' mathematics in torch, where autograd finds the gradients
    witness, backends   one of these on both sides; torch's own attention against NumPy
    comparison, tables  how near is near enough; the result in rows
    crosscheck          all of it: what `npattn crosscheck` runs
"""
