"""Binder and hubs read `binder/` as we mean it; tests/hub starts a real one."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import jupytext
import pytest
import yaml
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
TURNS = ("first", "again")  # how often each chapter was measured


@pytest.mark.slow
def test_repo2docker_understands_the_repository():
    done = subprocess.run(
        [SCRIPTS / "jupyter-repo2docker", "--no-build", "--debug", ROOT],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    dockerfile = done.stdout + done.stderr
    assert "Building conda environment for python=3.11" in dockerfile
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in dockerfile
    assert "RUN ./binder/postBuild" in dockerfile
    copied = dockerfile.index("COPY --chown=0:0 src/ ${REPO_DIR}/")
    installed = dockerfile.index('-r "binder/requirements.txt"')
    assert copied < installed, "binder/requirements.txt points at ../requirements.txt"


def test_binder_installs_the_pinned_tree():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    assert "-r ../requirements.txt" in lines
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)
    assert "set-default-viewer markdown" in (ROOT / "binder" / "postBuild").read_text()


def book_hub():
    """Read what the book asks of a hub, as JupyterHub does."""
    settings = Config()
    code = (ROOT / "binder" / "jupyterhub_config.example.py").read_text()
    exec(code, {"get_config": lambda: settings})
    return settings


def test_a_server_of_the_hub_holds_every_chapter_that_was_measured():
    measured = json.loads((ROOT / "published" / "chapters.json").read_text())
    chapters = measured["chapters"]
    there = {path.stem for path in ROOT.glob("book/*.md") if "{code-cell}" in path.read_text()}
    assert set(chapters) <= there, "of chapters that are gone"
    missing = sorted(there - set(chapters))
    # A new chapter may wait for an idle machine; a page for teachers without most of them may not.
    assert len(missing) <= 3, f"python benchmarks/chapters.py {' '.join(missing)}"
    most = max(chapter[turn]["peak_mb"] for chapter in chapters.values() for turn in TURNS)
    spawner = book_hub().Spawner
    assert spawner.mem_limit == "2G"
    assert most + measured["server_mb"] < 2000, "MB; JupyterHub's 2G are 2,147"


def test_servers_of_the_hub_are_told_what_chapters_ask_for():
    asked = book_hub().Spawner.environment
    spawner = SimpleNamespace(user=SimpleNamespace(name="anna"), cpu_limit=1.5)
    said = {name: value(spawner) if callable(value) else value for name, value in asked.items()}
    assert said["COMPANION_LEARNER"] == "anna"
    assert said["COMPANION_THREADS"] == "2"
    assert asked["COMPANION_THREADS"](SimpleNamespace(cpu_limit=None)) == ""
    sources = "".join(path.read_text() for path in ROOT.glob("companion/**/*.py"))
    assert [name for name in asked if f'"{name}"' not in sources] == []


def test_the_launch_buttons_have_one_address():
    configuration = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert configuration["launch_buttons"]["notebook_interface"] == "jupyterlab"
    address = configuration["repository"]["url"]
    for path in [*ROOT.glob("book/**/*.md"), ROOT / "index.md", *ROOT.glob("binder/*")]:
        assert address not in path.read_text(), f"{path} repeats the repository's address"


@pytest.mark.parametrize("path", sorted(ROOT.glob("book/*.md")), ids=lambda p: p.stem)
def test_a_chapter_is_a_notebook_to_jupytext(path):
    text = path.read_text()
    if "{code-cell}" in text:
        notebook = jupytext.reads(text, fmt="md")
        kinds = {cell.cell_type for cell in notebook.cells}
        assert kinds == {"markdown", "code"}
        assert jupytext.read(path).metadata["kernelspec"]["name"] == "python3"
