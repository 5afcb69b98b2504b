"""Imports run one way, and cost little."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["files", "arithmetic", "data", "training", "experiments", "above"]


def room(module):
    """Name the room of ``companion.x.y``; what is in none stands above them all."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "above"


def imported(path):
    """List the modules of the companion that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_run_one_way():
    wrong = []
    for path in ROOT.glob("companion/**/*.py"):
        here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name in imported(path):
            if not name.startswith("companion.") or name == "companion.__version__":
                continue
            if ROOMS.index(room(name)) > ROOMS.index(here):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, wrong


def modules_after(statement):
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_arithmetic_and_data_need_no_deep_learning():
    loaded = modules_after("import companion.arithmetic, companion.data")
    assert not loaded & {"keras", "jax", "tensorflow", "torch"}


def test_help_loads_nothing_heavy():
    loaded = modules_after("import companion.__main__")
    assert not loaded & {"keras", "jax", "pandas", "scipy", "matplotlib", "numpy"}


def test_what_a_training_imports_is_without_statistics():
    loaded = modules_after("import companion.experiments.experiment, companion.training.scores")
    assert "companion.training.scores" in loaded
    assert "scipy.stats" not in loaded


def test_importing_the_companion_chooses_jax():
    statement = "import companion, keras; assert keras.backend.backend() == 'jax'"
    assert "jax" in modules_after(statement)
