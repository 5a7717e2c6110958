"""Where a measurement is made: the processor, the BLAS behind NumPy, and who else is installed."""

import os
import platform

import numpy as np


def machine(bridge=None):
    """What the numbers depend on, as a dict for JSON."""
    jax = import_jax()
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": blas_of_numpy(),
        "torch": bridge and str(bridge.torch.__version__),
        "jax": jax and jax.__version__,
    }


def blas_of_numpy():
    """What is known of the library behind np.matmul: a dict with name, version and kernels."""
    from threadpoolctl import threadpool_info

    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    found.sort(key=lambda library: "numpy" not in library["filepath"])  # scipy has its own
    if not found:
        name = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
        return {"name": name, "version": None, "kernels": None}
    first = found[0]
    return {
        "name": first["internal_api"],
        "version": first["version"],
        "kernels": first.get("architecture"),
    }


def has_avx512():
    """Whether NumPy has found AVX-512 on this processor."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return any(name.startswith("AVX512") or name == "X86_V4" for name in found)


def memory_bytes():
    """The memory of the machine; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return np.inf


def import_bridge():
    """npattn.torch_bridge, or None where torch is not installed."""
    try:
        from npattn import torch_bridge
    except ImportError:
        return None
    return torch_bridge


def import_jax():
    """JAX with float64 allowed, or None where it is not installed."""
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    return jax


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
