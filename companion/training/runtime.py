"""What the process is set to before JAX starts: how it keeps its memory."""

import ctypes
import os
import platform
import sys

VARIABLE = "COMPANION_ALLOCATOR"
# glibc's numbers for mallopt, from malloc.h
_ARENA_MAX, _MMAP_MAX, _TOP_PAD, _TRIM_THRESHOLD = -8, -4, -2, -1
_state = None


def keep_memory():
    """Make glibc keep freed memory for the next training step, instead of giving it back.

    On a CPU, XLA asks for its intermediate results anew in each step. By default glibc returns
    such large pieces to the system when they are freed, so that the next step meets millions of
    page faults. Called when `companion.training` is imported, before JAX starts its threads;
    ``COMPANION_ALLOCATOR=system`` in the environment turns it off. The process holds on to more
    memory in exchange.

    Returns
    -------
    str
        What was done, or why nothing was.

    Examples
    --------
    >>> keep_memory() == keep_memory()
    True
    """
    global _state
    if _state is None:
        _state = _keep_memory()
    return _state


def _jax_runs():
    """Say whether JAX has started its threads, which it does when it first looks for devices."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bridge.backends_are_initialized()


def _keep_memory():
    if os.environ.get(VARIABLE, "keep") == "system":
        return f"as the system has it ({VARIABLE}=system)"
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return "as the system has it (freed memory is kept with glibc alone)"
    if _jax_runs():
        return "as the system has it (JAX was started before companion.training was imported)"
    mallopt = ctypes.CDLL(None).mallopt
    wanted = {_ARENA_MAX: 1, _MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * 2**20}
    if all(mallopt(key, value) == 1 for key, value in wanted.items()):
        return "freed memory is kept for the next step"
    return "as the system has it (glibc refused to change)"
