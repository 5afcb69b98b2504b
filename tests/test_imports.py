"""Imports run one way, and cost little."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A room may import those before it. Exercises and plots stand on arithmetic, and nobody below the
# command line and the book stands on them.
ROOMS = ["files", "arithmetic", "data", "training", "experiments", "above"]
ASIDE = {"exercises", "plots"}
PACKAGE = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.glob("companion/**/*.py")
}


def room(module):
    """Name the room of ``companion.x.y``; what is in none stands above them all."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in {*ROOMS, *ASIDE} else "above"


def imported(module, source, *, lazily=True):
    """List the modules of the companion that a module imports, relative imports included.

    Without `lazily`, only what is imported when the module is.
    """
    tree = ast.parse(source)
    nodes = ast.walk(tree) if lazily else tree.body
    package = (
        module if PACKAGE.get(module, Path()).name == "__init__.py" else module.rpartition(".")[0]
    )
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            # A name that is no module is something of the module before it.
            known = name if name in PACKAGE else name.rpartition(".")[0]
            if known in PACKAGE and known != "companion":
                found.add(known)
    return found - {module}


def climbs(module, other):
    """Tell whether an import goes up, or into a room that stands aside."""
    here, there = room(module), room(other)
    if "above" in (here, there):
        return here != "above"
    if there in ASIDE:
        return here != there
    return ROOMS.index(there) > ROOMS.index("arithmetic" if here in ASIDE else here)


def test_imports_run_one_way():
    wrong = [
        f"{module} imports {other}"
        for module, path in PACKAGE.items()
        for other in imported(module, path.read_text())
        if climbs(module, other)
    ]
    assert wrong == []


def test_a_relative_import_and_a_lazy_one_are_seen():
    source = "from ..training import layers\ndef f():\n    from . import store\n"
    assert imported("companion.data.splits", source) == {
        "companion.training.layers",
        "companion.data.store",
    }
    assert climbs("companion.data.splits", "companion.training.layers")
    assert climbs("companion.arithmetic.shapes", "companion.exercises.engine")
    assert not climbs("companion.exercises.engine", "companion.arithmetic.shapes")


def test_no_module_imports_itself_through_others():
    imports = {module: imported(module, path.read_text()) for module, path in PACKAGE.items()}
    # An import of a package is one of its __init__, which names its modules.
    imports = {
        module: {o for o in others if not module.startswith(f"{o}.")}
        for module, others in imports.items()
    }
    circles = []

    def walk(module, path):
        if module in path:
            circles.append(" -> ".join([*path[path.index(module) :], module]))
            return
        if module in done:
            return
        for other in sorted(imports[module]):
            walk(other, [*path, module])
        done.add(module)

    done = set()
    for module in sorted(imports):
        walk(module, [])
    assert circles == []


def test_what_the_package_imports_is_what_it_declares():
    """``pip install .`` brings all that the companion imports, and no more."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[\w.-]+", each).group().lower() for each in declared}
    modules = {"PIL": "pillow", "skimage": "scikit-image"}
    used = set()
    for path in PACKAGE.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                used.add(node.module.split(".")[0])
    used -= {"companion", *sys.stdlib_module_names}
    assert {modules.get(name, name).lower() for name in used} == names


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
