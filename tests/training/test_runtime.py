import os
import subprocess
import sys

import pytest


def said(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.strip()


SAY = "; from companion.training import runtime; print(runtime.keep_memory())"


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has these settings")
@pytest.mark.parametrize("first", ["import sys", "import keras"])
def test_freed_memory_is_kept_if_jax_has_not_begun(first):
    assert said(first + SAY, KERAS_BACKEND="jax") == "freed memory is kept for the next step"


def test_it_says_when_it_comes_too_late():
    assert "JAX was started before" in said("import jax; jax.devices()" + SAY)


def test_a_variable_turns_it_off():
    assert "COMPANION_ALLOCATOR=system" in said("import sys" + SAY, COMPANION_ALLOCATOR="system")


FAULTS = """
import ctypes, resource
from companion.training import runtime
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
for _ in range(50):
    piece = libc.malloc(40_000_000)
    ctypes.memset(piece, 1, 40_000_000)
    libc.free(piece)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has these settings")
def test_memory_that_is_asked_for_again_meets_no_new_page_faults():
    kept, given_back = (int(said(FAULTS, COMPANION_ALLOCATOR=how)) for how in ("keep", "system"))
    assert 10 * kept < given_back
