import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from companion.training import runtime


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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has these settings")
@pytest.mark.parametrize("first", ["import sys", "import keras"])
def test_freed_memory_is_kept_if_jax_has_not_begun(first):
    assert said(first + SAY, KERAS_BACKEND="jax") == "freed memory is kept for the next step"


@pytest.mark.slow
def test_it_says_when_it_comes_too_late():
    assert "JAX was started before" in said("import jax; jax.devices()" + SAY)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has these settings")
def test_memory_that_is_asked_for_again_meets_no_new_page_faults():
    kept, given_back = (int(said(FAULTS, COMPANION_ALLOCATOR=how)) for how in ("keep", "system"))
    assert 10 * kept < given_back


COMPILED = "; from companion.training import runtime; print(runtime.keep_compiled())"
COMPILE = """
import companion.training, jax, jax.numpy as jnp, logging
hits = []
class Listen(logging.Handler):
    def emit(self, record):
        hits.append("cache hit" in record.getMessage().lower())
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
logging.getLogger("jax._src.compiler").addHandler(Listen())
logging.getLogger("jax._src.compiler").setLevel("DEBUG")
logging.getLogger("jax._src.compiler").propagate = False
value = jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x).T)(jnp.linspace(0, 1, 64).reshape(8, 8))
print(any(hits), value.sum().item().hex())
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import sys", "import jax"])
def test_compiled_programs_are_kept_where_the_variable_says(tmp_path, first):
    answer = said(
        first + COMPILED + "; import jax; print(jax.config.jax_compilation_cache_dir)",
        COMPANION_COMPILED=str(tmp_path),
    )
    words, folder = answer.splitlines()
    assert words == f"kept in {folder}"
    assert Path(folder).parent == tmp_path


@pytest.mark.slow
def test_a_second_process_finds_the_same_program_and_the_same_bits(tmp_path):
    first, second = (said(COMPILE, COMPANION_COMPILED=str(tmp_path)).split() for _ in range(2))
    assert (first[0], second[0]) == ("False", "True")
    assert first[1] == second[1]


def test_what_a_stopped_process_left_is_cleared_away(tmp_path):
    for name in ("old-cache", "new-cache", "whole-cache", "whole-atime"):
        (tmp_path / name).write_bytes(b"")
    for name in ("old-cache", "whole-cache"):
        os.utime(tmp_path / name, (0, 0))
    runtime._clear_halves(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"new-cache", "whole-cache", "whole-atime"}


@pytest.mark.slow
def test_a_cache_that_jax_was_told_stays(tmp_path):
    environment = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "mine")}
    assert (
        said("import sys" + COMPILED, **environment) == f"kept in {tmp_path}/mine, as JAX was told"
    )


@pytest.mark.slow
def test_a_variable_turns_the_cache_off():
    answer = said(
        "import sys" + COMPILED + "; import jax; print(jax.config.jax_compilation_cache_dir)",
        COMPANION_COMPILED="off",
    )
    assert answer.splitlines() == ["not kept (COMPANION_COMPILED=off)", "None"]


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    answer = said("import sys" + COMPILED, COMPANION_COMPILED=str(tmp_path / "file"))
    assert answer.startswith(f"not kept ({tmp_path}/file")


THREADS = "from companion.training import runtime; print(runtime.fit_threads())"


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", None), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1)],
)
def test_the_limit_of_a_container_is_read(text, cores):
    assert runtime.cores_of_quota(text) == cores


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc lists the threads of a process")
def test_fewer_threads_are_started_where_asked():
    count = "; import jax, os; jax.devices(); print(len(os.listdir('/proc/self/task')))"
    one, many = (
        said(THREADS + count, COMPANION_THREADS=number).splitlines() for number in ("1", "9")
    )
    assert one[0].startswith("1 for ")
    assert int(many[1]) > int(one[1])


@pytest.mark.slow
def test_threads_stay_where_the_variable_says_so():
    assert "COMPANION_THREADS=system" in said(THREADS, COMPANION_THREADS="system")


def test_a_number_of_threads_that_is_none_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", THREADS],
        capture_output=True,
        text=True,
        env={**os.environ, "COMPANION_THREADS": "0"},
    )
    assert done.returncode == 1
    assert "COMPANION_THREADS must be \"system\" or a whole number >= 1, got '0'" in done.stderr


YNNPACK = "; from companion.training import runtime; print(runtime.leave_out_ynnpack())"
# Whether XLA hands a convolution, and the gradient of its kernel, to YNNPACK.
HANDED = """
import jax, jax.numpy as jnp
convolve = lambda x, k: jax.lax.conv(x, k, (1, 1), "VALID")
x, k = jnp.ones((8, 64, 24, 24)), jnp.ones((64, 64, 3, 3))
gradient = jax.grad(lambda k: (convolve(x, k) ** 2).sum())
for run, given in ((convolve, (x, k)), (gradient, (k,))):
    print("__ynn_fusion" in jax.jit(run).lower(*given).compile().as_text())
"""
FLAG = "--xla_cpu_experimental_ynn_fusion_type="
KNOWN = runtime.hands_to_ynnpack(version("jaxlib"))
known = pytest.mark.skipif(not KNOWN, reason="another jaxlib is left as it is")


def flags(**environment):
    """Begin with nothing that this process, or whoever runs it, has set."""
    nothing = {"XLA_FLAGS": "", "COMPANION_COMPILED": "off", "COMPANION_YNNPACK": ""}
    return {**nothing, "JAX_PLATFORMS": "cpu", **environment}


@pytest.mark.slow
@known
@pytest.mark.parametrize("first", ["import sys", "import jax", "import keras"])
def test_convolutions_are_not_handed_to_ynnpack(first):
    answer = said(first + YNNPACK + HANDED, **flags(KERAS_BACKEND="jax"))
    assert answer.splitlines() == ["left out", "False", "False"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="YNNPACK is not in every system's jaxlib")
def test_the_versions_that_hand_convolutions_to_ynnpack_are_those_that_are_known():
    """Else the setting could go, or is needed for one more."""
    answer = said("import sys" + YNNPACK + HANDED, **flags(COMPANION_YNNPACK="system"))
    assert answer.splitlines() == ["as XLA has it (COMPANION_YNNPACK=system)", *[str(KNOWN)] * 2]


@pytest.mark.slow
@known
@pytest.mark.parametrize(
    ("before", "words", "after"),
    [
        (
            "--xla_cpu_enable_fast_math=false",
            "left out",
            f"--xla_cpu_enable_fast_math=false {FLAG}",
        ),
        (FLAG, "left out", FLAG),
        (f"{FLAG}LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT", "as XLA_FLAGS has it", None),
        ("/home/me/flags", "as the file has it that XLA_FLAGS names", None),
    ],
)
def test_flags_of_others_stay(before, words, after):
    program = "import os" + YNNPACK + "; print(os.environ['XLA_FLAGS'])"
    answer = said(program, **flags(XLA_FLAGS=before))
    assert answer.splitlines() == [words, after or before]


@pytest.mark.slow
def test_the_variable_takes_back_what_was_inherited():
    program = "import os" + YNNPACK + "; print(os.environ['XLA_FLAGS'])"
    inherited = flags(XLA_FLAGS=f"--xla_cpu_enable_fast_math=false {FLAG}")
    answer = said(program, **{**inherited, "COMPANION_YNNPACK": "system"})
    assert answer.splitlines()[1] == "--xla_cpu_enable_fast_math=false"


@pytest.mark.slow
@known
def test_it_says_when_it_comes_too_late_for_flags():
    assert "JAX was started before" in said("import jax; jax.devices()" + YNNPACK, **flags())


def test_a_jaxlib_that_is_not_known_is_left_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("COMPANION_YNNPACK", "")
    monkeypatch.setattr(runtime, "version", lambda name: "9.9.9")
    assert "9.9.9" in runtime._leave_out_ynnpack()
    assert os.environ["XLA_FLAGS"] == ""


def test_a_word_that_the_variable_does_not_know_is_refused(monkeypatch):
    monkeypatch.setenv("COMPANION_YNNPACK", "on")
    with pytest.raises(ValueError, match="must be \"system\" or not set, got 'on'"):
        runtime._leave_out_ynnpack()
