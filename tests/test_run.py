import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("run", Path(__file__).with_name("run.py"))


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", "data")
    monkeypatch.setenv("COMPANION_RUNS", "runs")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "convert_chapters", lambda: None)
    monkeypatch.setattr(module, "find_python", lambda version: f"python{version}")
    monkeypatch.setattr(module, "install", lambda python, folder: python)
    return module


@pytest.mark.parametrize("failing", [None, *range(9)])
@pytest.mark.parametrize("status", [1, 5])
def test_a_group_that_fails_or_runs_nothing_fails_the_whole(run, monkeypatch, failing, status):
    groups = []

    def pytest_run(*words, output=None, python=None):
        groups.append(words)
        return status if len(groups) - 1 == failing else 0

    monkeypatch.setattr(run, "pytest", pytest_run)
    with pytest.raises(SystemExit) as ended:
        run.main()
    assert len(groups) == 9  # eight, one of them on two Pythons
    assert ended.value.code == (0 if failing is None else 1)


def test_what_runs_beside_others_is_printed_at_the_end(run, monkeypatch, capfd):
    asked = []

    def pytest_run(*words, output=None, python=None):
        asked.append(words)
        if output:
            output.write("what the clusters said\n")
            output.flush()
        return 0

    monkeypatch.setattr(run, "pytest", pytest_run)
    with pytest.raises(SystemExit):
        run.main()
    said = capfd.readouterr().out
    assert said.index("== clusters ==") < said.index("what the clusters said")
    assert len(asked) == 9


@pytest.fixture
def real(run):
    """Give the module as it is, with nothing replaced."""
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_another_python_is_found_past_a_shim_that_fails(real, monkeypatch, tmp_path):
    shim, kept = tmp_path / "shims" / "python3.12", tmp_path / "versions" / "3.12.9" / "bin"
    for path, program in ((shim, "exit 127"), (kept / "python3.12", "exit 0")):
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{program}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert real.find_python("3.12") == kept / "python3.12"
    assert real.find_python("3.99") is None


def test_a_python_that_is_not_here_is_said_and_fails_nothing(run, monkeypatch, capfd):
    monkeypatch.setattr(run, "find_python", lambda version: None)
    assert run.other_pythons() == 0
    assert "Python 3.13 is not found here" in capfd.readouterr().out


def test_chapters_are_converted_a_second_time(real, monkeypatch, tmp_path):
    run = real
    monkeypatch.setattr(run, "NOTEBOOKS", tmp_path / "nbval" / "book")
    run.convert_chapters()
    (run.NOTEBOOKS / "gone.ipynb").write_text("of a chapter that is no more")
    run.convert_chapters()
    names = {path.stem for path in run.NOTEBOOKS.iterdir()}
    assert "why" in names
    assert "gone" not in names
    assert {"gtsrb-combining", "gtsrb-monitoring", "insight", "mnist-cnn"} <= names
    assert "convolution" not in names
    for name in ("companion", "hpc", "published"):
        assert (tmp_path / "nbval" / name).is_dir()
