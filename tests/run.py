"""Run everything that ``make test`` promises, and say what was skipped and how to get it.

Eight groups, each a pytest run of its own:

1. unit tests, doctests and chapter checks, on both cores; those of the widgets' arithmetic need
   node (Debian's nodejs);
2. the widgets, used in Chromium (Debian's chromium);
3. the build of the site, which takes both cores, and what a reader finds in it;
4. what else is made, a file of tests to a core: small books, the PDF, the epub, live code, a hub;
5. the site's pages, opened in Chromium: axe-core, keyboard, print, weight; and html-validate (npm);
6. every cell of the chapters that open data, through nbval, on the real images where they are:
   the site ran all chapters on the stand-ins;
7. the quick unit tests once more on Python 3.12 and 3.13, where these are found, each in an
   environment of its own below ``_build``;
8. the job files, on a Slurm and an OAR that the tests start (as root, after
   ``bash tests/hpc/install.sh`` on Debian). They wait more than they compute, and so begin with
   the fourth group; what they print comes at the end.

``REQUIRE_ALL=1`` makes a skip a failure.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SITE = "tests/book/test_site.py"  # builds it: the files below look at what this one made
PAGES = "tests/book/test_site_pages.py"
# How a chapter comes to data; what opens none would run here as it did for the site.
OPENS = re.compile(r"open_dataset|cooked_data|training_images|sweep\.|companion train")
NOTEBOOKS = ROOT / "_build" / "nbval" / "book"


QUICK = "not slow and not book and not browser and not cluster"
OTHER_PYTHONS = ("3.12", "3.13")


def pytest(*words, output=None, python=sys.executable):
    """Run pytest from the repository's root; return its exit status.

    What it prints goes into the file `output`, if one is given.
    """
    command = [python, "-m", "pytest", *words]
    errors = None if output is None else subprocess.STDOUT
    return subprocess.run(command, cwd=ROOT, stdout=output, stderr=errors).returncode


def find_python(version):
    """Find an interpreter of a version on the path, or among pyenv's; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    name = f"python{version}"
    # A shim of pyenv's on the path may stand for a version that is not chosen here.
    for each in (shutil.which(name), *sorted(pyenv.glob(f"{version}.*/bin/{name}"))):
        if each and subprocess.run([each, "-c", ""], capture_output=True).returncode == 0:
            return each
    return None


def install(python, folder):
    """Install the pinned tree and the companion into an environment of another Python."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", python, folder], check=True)
    pip = [uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "-r", ROOT / "requirements.txt"], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", ROOT], check=True)
    return folder / "bin" / "python"


def other_pythons():
    """Run the quick unit tests on each other Python that is found; return the worst status."""
    worst = 0
    for version in OTHER_PYTHONS:
        found = find_python(version)
        if found is None:
            print(f"Python {version} is not found here", flush=True)
            continue
        print(f"Python {version}: {found}", flush=True)
        python = install(found, ROOT / "_build" / f"python-{version}")
        worst = max(worst, pytest("-q", "-n", "2", "-m", QUICK, python=python))
    return worst


def convert_chapters():
    """Write each chapter that opens data as a notebook without outputs, for nbval to run."""
    import jupytext

    shutil.rmtree(NOTEBOOKS.parent, ignore_errors=True)
    NOTEBOOKS.mkdir(parents=True)
    for chapter in sorted((ROOT / "book").glob("*.md")):
        text = chapter.read_text()
        if "{code-cell}" in text and OPENS.search(text):
            jupytext.write(jupytext.read(chapter), NOTEBOOKS / f"{chapter.stem}.ipynb")
    # A chapter finds what lies in the repository from its own folder, as in the build.
    for name in ("companion", "hpc", "published"):
        (NOTEBOOKS.parent / name).symlink_to(ROOT / name)


def run(groups, failed):
    """Run the groups one after the other, note which failed, and give the seconds of each."""
    times = {}
    for name, group in groups.items():
        print(f"\n== {name} ==", flush=True)
        began = time.perf_counter()
        if group():
            failed.append(name)
        times[name] = time.perf_counter() - began
    return times


def main():
    """Run the groups; exit with 1 if one failed."""
    start = time.perf_counter()
    if named := os.environ.get("COMPANION_DATA"):
        # Cells run in another folder, where a relative path would name another.
        os.environ["COMPANION_DATA"] = os.path.abspath(Path(named).expanduser())
    os.environ.setdefault("COMPANION_RUNS", str(ROOT / "_build" / "runs"))
    failed = []
    quick = "not book and not browser and not cluster"
    beside = ("-q", "-n", "2", "--dist", "loadfile", "--durations", "5")
    with tempfile.TemporaryFile("w+") as said, ThreadPoolExecutor(1) as thread:
        clusters = ("-q", "-m", "cluster", "--durations", "5", "tests/hpc")
        later = []

        def what_else():
            later.append(thread.submit(pytest, *clusters, output=said))
            return pytest(*beside, "-m", "book", "--ignore", SITE, "--ignore", PAGES)

        def what_clusters_said():
            status = later[0].result()
            said.seek(0)
            print(said.read(), end="")
            return status

        times = run(
            {
                "unit tests": lambda: pytest("-q", "-n", "2", "--durations", "20", "-m", quick),
                "in Chromium": lambda: pytest(
                    "-q", "-n", "2", "-m", "browser", "tests/web", "tests/book"
                ),
                "the site": lambda: pytest("-q", "-m", "book", SITE),
                "what else": what_else,
                "its pages": lambda: pytest("-q", "-n", "2", "-m", "book", PAGES),
                "every cell": lambda: (convert_chapters(), pytest_cells())[1],
                "other Pythons": other_pythons,
                "clusters": what_clusters_said,
            },
            failed,
        )
    print("\n== summary ==")
    for name, seconds in times.items():
        print(f"  {name:<12} {seconds:5.0f} s  {'FAILED' if name in failed else 'passed'}")
    if not os.environ.get("COMPANION_DATA"):
        print("  Tests of the real images were skipped: companion fetch gtsrb; companion fetch")
        print(
            "  mnist; then COMPANION_DATA=<their folder> make test. REQUIRE_ALL=1 fails on skips."
        )
    print(f"  total        {time.perf_counter() - start:5.0f} s")
    raise SystemExit(1 if failed else 0)


def pytest_cells():
    """Run every chapter's cells, two chapters at a time; a cell that raises names itself."""
    return pytest(
        "-q",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout",
        "600",
        str(NOTEBOOKS),
    )


if __name__ == "__main__":
    main()
