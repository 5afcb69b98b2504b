"""Binder reads `binder/` as we mean it, and a chapter opens as a notebook."""

import os
import subprocess
import sysconfig
from pathlib import Path

import jupytext
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))


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
    assert "jupytext-config set-default-viewer" in (ROOT / "binder" / "postBuild").read_text()


@pytest.mark.slow
def test_postbuild_makes_markdown_open_as_notebooks(tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "cfg")}
    subprocess.run(
        [SCRIPTS / "jupytext-config", "set-default-viewer", "markdown"],
        env=environment,
        check=True,
        capture_output=True,
    )
    settings = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert "Jupytext Notebook" in settings


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
