"""Measure this package beside torch: one forward and backward, in turn, medians and ratios.

    npattn bench --quick

A ratio below 1 means that npattn is faster. Both use as many threads as BLAS does. Without torch
the times stand alone.
"""

HELP = "measure the speed beside torch"


def configure(parser):
    parser.add_argument("--quick", action="store_true", help="three rounds instead of fifteen")


def run(options):
    from npattn.benchmarks import multihead
    from npattn.kernels.threads import thread_count

    threads = thread_count()
    bridge = _bridge(threads)
    print(f"multi-head attention, forward and backward, float32, {threads} threads")
    print(f"{'batch × queries × keys × width, heads':40}  {'npattn':>10}  {'torch':>10}  ratio")
    rounds = 3 if options.quick else 15
    for size, timings in multihead.measure(bridge, rounds=rounds):
        name = f"{size.batch} × {size.queries} × {size.keys} × {size.width}, {size.heads}"
        ours = timings["npattn"]
        row = f"{name:40}  {ours.median * 1e3:7.3f} ms"
        if bridge:
            row += f"  {timings['torch'].median * 1e3:7.3f} ms  {ours.ratio:5.2f}"
        print(row, flush=True)
    return 0


def _bridge(threads):
    """torch_bridge with torch held to as many threads, or None where torch is not installed."""
    try:
        from npattn import torch_bridge
    except ImportError as error:
        print(f"no comparison: {error}")
        return None
    torch_bridge.torch.set_num_threads(threads)
    return torch_bridge
