"""Keep outputs of executed chapters apart by everything that they depend on.

jupyter-cache looks chapters up by their code cells alone: a changed companion, data file, package
or environment variable would publish stale outputs. This extension puts the cache in a folder named
by a digest of those, so that a stale page cannot be found. What kernels are set to draw is said
here for the same reason: this file is part of the digest.
"""

import hashlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPENDENCIES = (
    "companion/**/*",
    "hpc/**/*",
    "published/**/*",
    "requirements.txt",
    "book/_ext/cache_key.py",
)


def files(patterns):
    """Give the files under the repository that match, sorted, without what Python leaves behind."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(path for path in found if "__pycache__" not in path.parts)


def digest_of(paths):
    """Give one sha256 for the names and contents of `paths`."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def data_identity():
    """Name the data that chapters will find, opening it as they do."""
    from companion.data import budgets, open_dataset

    drawn = budgets.get().gtsrb_drawn
    datasets = [open_dataset(name, scale=drawn) for name in ("mnist", "gtsrb")]
    return [(dataset.name, dataset.origin, dataset.digest) for dataset in datasets]


def digest():
    """Give 16 hexadecimal digits for all that the outputs of a chapter depend on."""
    parts = [
        digest_of(files(DEPENDENCIES)),
        sys.version,
        os.environ.get("COMPANION_BUDGET", "quick"),
        *map(str, data_identity()),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def draw_for_print():
    """Have kernels keep each figure as a PDF too: lines and letters, not the dots of a screen."""
    place = ROOT / "_build" / "ipython"
    profile = place / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    settings = 'get_config().InlineBackend.figure_formats = {"png", "pdf"}\n'
    (profile / "ipython_kernel_config.py").write_text(settings)
    os.environ["IPYTHONDIR"] = str(place)


def set_cache_path(app, config):
    draw_for_print()
    config.nb_execution_cache_path = str(cache_path())


def cache_path():
    """Give the folder of this state's cache, ``_build/.jupyter_cache/<digest>``."""
    return ROOT / "_build" / ".jupyter_cache" / digest()


def setup(app):
    app.connect("config-inited", set_cache_path, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
