"""Measure this package beside torch and JAX: in turn, the same threads for all, medians, ratios.

    npattn bench --quick
    npattn bench --json FILE
    npattn bench --only growth --json FILE

A ratio to torch or JAX below 1 means that npattn is faster. Without them the other times stand
alone. A full measurement takes about half an hour on two cores; --quick, under a minute, gives
a rough idea. NPATTN_THREADS says how many threads to use, else as many as BLAS does. FILE is
written after each row, so that nothing is lost if you stop.
"""

from importlib import import_module
from pathlib import Path

from npattn.commands import require_file

HELP = "measure the speed beside torch and JAX"
TABLES = ("blas", "attention", "multihead", "training", "threads", "limits", "options", "growth",
          "llm")
QUICKLY = {"quick": True, "rounds": 3, "pause": 0.1}


def configure(parser):
    parser.add_argument(
        "--quick", action="store_true", help="fewer sizes, fewer rounds, shorter pauses"
    )
    parser.add_argument("--only", choices=TABLES, metavar="NAME", help=", ".join(TABLES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every timing there")


def run(options):
    from npattn.benchmarks import results

    require_file("--json", options.json, ".json")
    setting = _setting(options.quick)
    tables = {}
    for name in [options.only] if options.only else TABLES:
        table = import_module(f"npattn.benchmarks.{name}")
        print(f"\n{table.TITLE}", *filter(None, [table.HEADER]), sep="\n")
        tables[name] = []
        for row in table.measure(setting):
            tables[name].append(row)
            print(table.line(row), flush=True)
            if options.json:
                results.save(options.json, setting, tables)
        for text in table.summary(tables[name]):
            print(text)
    if options.json:
        print(f"\nwrote {options.json}")
    return 0


def _setting(quick):
    """What all tables have in common, and a line about each that is missing."""
    from npattn.benchmarks.machine import import_bridge, machine
    from npattn.benchmarks.timing import Setting
    from npattn.kernels.tiling.threads import thread_count

    setting = Setting(thread_count(), import_bridge(), **(QUICKLY if quick else {}))
    about = machine(setting.bridge)
    names = [name for name in ("python", "numpy", "torch", "jax") if about[name]]
    versions = ", ".join(f"{name} {about[name]}" for name in names)
    print(f"{setting.threads} of {about['cores']} cores, {about['processor']}; {versions}")
    if setting.bridge is None:
        print('torch is not installed, nothing is compared with it: pip install "npattn[torch]"')
    if about["jax"] is None:
        print("jax is not installed, nothing is compared with it: pip install jax")
    elif setting.threads < about["cores"]:
        print("jax uses all cores, whatever the number of threads")
    return setting
