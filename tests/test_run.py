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
    return module


@pytest.mark.parametrize("failing", [None, 0, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("status", [1, 5])
def test_a_group_that_fails_or_runs_nothing_fails_the_whole(run, monkeypatch, failing, status):
    groups = []

    def pytest_run(*words, output=None):
        groups.append(words)
        return status if len(groups) - 1 == failing else 0

    monkeypatch.setattr(run, "pytest", pytest_run)
    monkeypatch.setattr(run, "convert_chapters", lambda: None)
    with pytest.raises(SystemExit) as ended:
        run.main()
    assert len(groups) == 7
    assert ended.value.code == (0 if failing is None else 1)


def test_what_runs_beside_others_is_printed_at_the_end(run, monkeypatch, capfd):
    monkeypatch.setattr(run, "convert_chapters", lambda: None)
    asked = []

    def pytest_run(*words, output=None):
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
    assert len(asked) == 7


def test_chapters_are_converted_a_second_time(run, monkeypatch, tmp_path):
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
