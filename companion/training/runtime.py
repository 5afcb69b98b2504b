"""What the process is set to before JAX starts: memory, threads, libraries, compiled programs.

Each setting has a variable in the environment that leaves things as the system has them, and
`companion doctor` says what was done.
"""

import contextlib
import ctypes
import hashlib
import math
import os
import platform
import re
import sys
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path

VARIABLE = "COMPANION_ALLOCATOR"
THREADS_VARIABLE = "COMPANION_THREADS"
YNNPACK_VARIABLE = "COMPANION_YNNPACK"
COMPILED_VARIABLE = "COMPANION_COMPILED"
# The versions of jaxlib, from the first to before the second, that hand convolutions to YNNPACK and
# know the flag: an unknown flag ends the process. https://github.com/jax-ml/jax/issues/37465 tells
# of its slowness, https://github.com/jax-ml/jax/issues/39257 of crashes.
_WITH_YNNPACK = ((0, 10, 2), (0, 12))
_YNNPACK_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
_JAX_SETTINGS = {
    # With a limit JAX also locks the folder, so that processes that start together can share it.
    "jax_compilation_cache_max_size": 512 * 2**20,
    "jax_persistent_cache_min_compile_time_secs": 0.3,
}
# glibc's numbers for mallopt, from malloc.h
_ARENA_MAX, _MMAP_MAX, _TOP_PAD, _TRIM_THRESHOLD = -8, -4, -2, -1


@cache
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
    return _keep_memory()


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


@cache
def fit_threads():
    """Start as many threads as the process may use cores, where a container limits them.

    A container's limit (a control group's quota, as on Binder) does not show in the number of
    cores that a process sees, and XLA starts a thread for each of those; they then wait for each
    other. Called when `companion.training` is imported; ``COMPANION_THREADS=system`` in the
    environment turns it off, and a number there is the number of threads.

    Returns
    -------
    str
        What was done, or why nothing was.

    Raises
    ------
    ValueError
        Where ``COMPANION_THREADS`` is neither ``system`` nor a whole number of at least 1.

    Examples
    --------
    >>> fit_threads() == fit_threads()
    True
    """
    return _fit_threads()


def cores_of_quota(text):
    """Read how many cores a control group may use from its ``cpu.max``.

    Parameters
    ----------
    text : str
        Microseconds of computing, or "max", and the period they are for.

    Returns
    -------
    int or None
        Whole cores, rounded up and at least 1; None without a limit.

    Examples
    --------
    >>> cores_of_quota("150000 100000"), cores_of_quota("max 100000")
    (2, None)
    """
    quota, period = text.split()
    return None if quota == "max" else max(1, math.ceil(int(quota) / int(period)))


def _fit_threads():
    wanted = os.environ.get(THREADS_VARIABLE, "")
    if wanted == "system":
        return f"as the system has them ({THREADS_VARIABLE}=system)"
    if wanted and not (wanted.isdecimal() and int(wanted) > 0):
        raise ValueError(
            f'{THREADS_VARIABLE} must be "system" or a whole number >= 1, got {wanted!r}'
        )
    if "NPROC" in os.environ:
        return f"as NPROC={os.environ['NPROC']} has them"
    try:
        limit = cores_of_quota(Path("/sys/fs/cgroup/cpu.max").read_text())
    except (OSError, ValueError):  # another system, or an older kind of control group
        limit = None
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = int(wanted) if wanted else limit
    if threads is None or (not wanted and threads >= seen):
        return "one for each core"
    if _jax_runs():
        return "one for each core (JAX was started before companion.training was imported)"
    os.environ["NPROC"] = str(threads)  # XLA's own variable; it reads it when JAX starts
    return f"{threads} for {seen} cores"


@cache
def leave_out_ynnpack():
    """Have XLA compute on a CPU as it did before it handed work to YNNPACK.

    From jaxlib 0.10.2 on, XLA hands convolutions, products and sums on a CPU to a library,
    YNNPACK, which takes several times as long for most convolutions of the book's networks, and
    for the gradients of kernels above all; the chapter *How fast, and why* measures it. Without
    it, XLA's convolutions and products are those of another library, Eigen. Called when
    `companion.training` is imported, before JAX starts; ``COMPANION_YNNPACK=system`` in the
    environment turns it off, and a setting of YNNPACK in ``XLA_FLAGS`` is left as it is. Processes
    that this one starts inherit it, as ``XLA_FLAGS``.

    Returns
    -------
    str
        What was done, or why nothing was.

    Raises
    ------
    ValueError
        Where ``COMPANION_YNNPACK`` is set to anything but ``system``.

    Examples
    --------
    >>> leave_out_ynnpack() == leave_out_ynnpack()
    True
    """
    return _leave_out_ynnpack()


def hands_to_ynnpack(jaxlib):
    """Say whether a version of jaxlib is known to hand convolutions on a CPU to YNNPACK.

    Parameters
    ----------
    jaxlib : str

    Returns
    -------
    bool

    Examples
    --------
    >>> [hands_to_ynnpack(v) for v in ("0.9.1", "0.10.1", "0.10.2", "0.11.2", "0.12.0")]
    [False, False, True, True, False]
    """
    first, end = _WITH_YNNPACK
    return first <= tuple(int(part) for part in re.findall(r"\d+", jaxlib)[:3]) < end


def _leave_out_ynnpack():
    wanted = os.environ.get(YNNPACK_VARIABLE, "")
    if wanted not in ("", "system"):
        raise ValueError(f'{YNNPACK_VARIABLE} must be "system" or not set, got {wanted!r}')
    flags, ours = os.environ.get("XLA_FLAGS", "").split(), f"{_YNNPACK_FLAG}="
    started = _jax_runs()
    if wanted:
        if ours in flags and not started:  # inherited from a process that had set it
            os.environ["XLA_FLAGS"] = " ".join(flag for flag in flags if flag != ours)
        return f"as XLA has it ({YNNPACK_VARIABLE}=system)"
    if ours in flags:
        return "left out"
    if any(flag.startswith(_YNNPACK_FLAG) for flag in flags):
        return "as XLA_FLAGS has it"
    if flags and not flags[0].startswith("-"):
        return "as the file has it that XLA_FLAGS names"
    found = version("jaxlib")
    if not hands_to_ynnpack(found):
        return f"as XLA has it (jaxlib {found} is not known to use it for convolutions)"
    if started:
        return "as XLA has it (JAX was started before companion.training was imported)"
    os.environ["XLA_FLAGS"] = " ".join([*flags, ours])  # read when JAX starts
    return "left out"


@cache
def keep_compiled():
    """Keep compiled programs in the user's cache folder, for the next process.

    XLA compiles a training step in seconds; a program that was compiled before, by the same
    version for the same processor, is read instead. Called when `companion.training` is imported;
    ``COMPANION_COMPILED=off`` in the environment turns it off, a path there is the folder, and
    a cache of JAX that was set up already is left as it is.

    Returns
    -------
    str
        What was done, or why nothing was.

    Examples
    --------
    >>> keep_compiled() == keep_compiled()
    True
    """
    return _keep_compiled()


def _processor():
    """Name the kind of processor: a program compiled for one may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        named = sorted({line for line in lines if line.startswith(("model name", "flags"))})
    except OSError:
        named = [platform.machine(), platform.processor()]
    return hashlib.sha256("\n".join(named).encode()).hexdigest()[:12]


def _clear_halves(folder):
    """Remove programs of processes that were stopped while they wrote: JAX never would.

    JAX writes a program and then, in a file beside it, when it was used. The minute is for those
    that are being written now.
    """
    for program in folder.glob("*-cache"):
        used = program.with_name(program.name.removesuffix("-cache") + "-atime")
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if not used.exists() and time.time() - program.stat().st_mtime > 60:
                program.unlink()


def _keep_compiled():
    wanted = os.environ.get(COMPILED_VARIABLE, "")
    if wanted == "off":
        return f"not kept ({COMPILED_VARIABLE}=off)"
    import jax  # does not start it

    from companion.data.registry import cache_folder

    there = jax.config.jax_compilation_cache_dir
    folder = Path(wanted or cache_folder() / "compiled") / _processor()
    if there and Path(there) != folder:
        return f"kept in {there}, as JAX was told"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"not kept ({folder} cannot be made: {error.strerror})"
    if not os.access(folder, os.W_OK):
        return f"not kept ({folder} cannot be written)"
    _clear_halves(folder)
    for name, value in {"jax_compilation_cache_dir": str(folder), **_JAX_SETTINGS}.items():
        jax.config.update(name, value)
    return f"kept in {folder}"
