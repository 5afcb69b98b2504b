"""Binder reads `binder/` as we mean it, and a chapter opens as a notebook."""

import os
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

import jupytext
import pytest
import requests
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


@pytest.fixture
def jupyterlab(tmp_path):
    """Start JupyterLab in the repository, on loopback; give its address and token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = "a-token-of-this-test"
    home = {"HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "jupyter")}
    server = subprocess.Popen(
        [
            SCRIPTS / "jupyter-lab",
            *("--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
            f"--ServerApp.port={port}",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={ROOT}",
        ],
        env=os.environ | home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                requests.get(f"{address}/api", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.2)
        yield address, {"Authorization": f"token {token}"}
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.slow
def test_jupyterlab_opens_a_chapter_as_a_notebook(jupyterlab):
    address, headers = jupyterlab
    answer = requests.get(
        f"{address}/api/contents/book/convolution.md",
        params={"type": "notebook", "content": "1"},
        headers=headers,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    cells = answer.json()["content"]["cells"]
    assert {cell["cell_type"] for cell in cells} == {"markdown", "code"}
    assert any("cross_correlate" in cell["source"] for cell in cells)
