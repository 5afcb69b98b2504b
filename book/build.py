"""Build the site: run the chapters that need it, two at a time, then let Sphinx write the pages.

``make book`` calls this file, and so do ``make pdf`` and ``make epub``. Sphinx alone
(``jupyter-book build .``) gives the same pages, one chapter after another: both read and fill the
same cache.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book" / "_ext")]

import book_files  # noqa: E402  (found through the line above)
import cache_key  # noqa: E402
import yaml  # noqa: E402

OUTPUT = ROOT / "_build"
PAGE_SOURCES = (
    "*.md",
    "_*.yml",
    "book/*.md",
    "book/*.bib",
    "book/*.yml",
    "book/live/*",
    "book/build.py",
    "book/_ext/*.py",
    "book/_templates/**/*",
    "book/_ext/*.css",
    "book/web/**/*",
    "book/images/**/*",
)
NAME = "from-kernel-to-cluster"  # of the PDF and of the epub
PACKAGES = (
    "latexmk texlive-xetex texlive-latex-extra texlive-fonts-recommended "
    "fonts-texgyre fonts-texgyre-math fonts-dejavu"
)
PRINTED = {"pdf": "latex", "epub": "epub"}  # and the folder in which each is made
SPILLED = 10  # points by which a line may stand out of the text: more is seen
WORKERS = 2  # a chapter at the quick budget takes under 1 GB; more would thrash two cores


class Log:
    """What myst-nb asks of a logger, said on the terminal."""

    def info(self, message, **_):
        """Say nothing: the caller says how each chapter went."""

    debug = info

    def warning(self, message, **_):
        """Show a failing cell's traceback."""
        print(message, file=sys.stderr, flush=True)


def chapters():
    """List the pages of the table of contents that hold code cells."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    names = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    paths = [ROOT / f"{name}.md" for name in names]
    if missing := [str(path.relative_to(ROOT)) for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"_toc.yml names {', '.join(missing)}, which does not exist")
    return [path for path in paths if "{code-cell}" in path.read_text()]


def run_chapter(path, cache):
    """Run one chapter into the cache, or find it there.

    Returns the seconds it took and the largest memory, in MB, of a chapter that this process ran.
    """
    from filelock import FileLock
    from jupyter_cache import get_cache
    from myst_nb.core.config import NbParserConfig
    from myst_nb.core.execute import create_client
    from myst_nb.core.read import create_nb_reader
    from myst_parser.config.main import MdParserConfig

    configuration = yaml.safe_load((ROOT / "_config.yml").read_text())
    settings = NbParserConfig(
        execution_mode="cache",
        execution_cache_path=str(cache),
        execution_timeout=configuration["execute"]["timeout"],
        execution_raise_on_error=True,
        execution_show_tb=True,
    )
    text = path.read_text()
    reader = create_nb_reader(str(path), MdParserConfig(), settings, text)
    notebook = reader.read(text)
    # The cache keeps one record for all chapters with the very same cells: the second waits.
    _, cells = get_cache(cache).create_hashed_notebook(notebook)
    with FileLock(cache / f"{cells}.lock"):
        start = time.perf_counter()
        with create_client(notebook, str(path), settings, Log(), reader.read_fmt):
            pass
        return time.perf_counter() - start, children_peak_mb()


def children_peak_mb():
    """Give the largest resident memory of a finished child, here a kernel, in MB (10⁶ bytes)."""
    if sys.platform == "win32":
        return 0.0  # Windows does not count it
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kibibytes
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6


def run_chapters(cache):
    """Run the chapters, two at a time; return those that failed and the largest memory, in MB."""
    from jupyter_cache import get_cache

    cache.mkdir(parents=True, exist_ok=True)
    # The last build's runs, weights and all, are of no use to this one.
    shutil.rmtree(OUTPUT / "runs", ignore_errors=True)
    os.environ["COMPANION_RUNS"] = str(OUTPUT / "runs")
    os.environ["COMPANION_LEARNER"] = ""  # the site asks everyone the same, whoever builds it
    cache_key.draw_for_print()
    assert get_cache(cache).db  # makes the tables now: two chapters that both do would collide
    failed, memory = [], 0.0
    # A fork would copy the threads' locks of whatever is loaded here; a fresh interpreter has none.
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run_chapter, path, cache): path for path in longest_first(cache)}
        for future in as_completed(running):
            name = running[future].relative_to(ROOT)
            if future.exception():
                failed.append(name)
                print(f"  {name}  failed: {future.exception()!r}", flush=True)
                continue
            seconds, peak = future.result()
            if seconds > 1:
                memory = max(memory, peak)
                print(f"  {name}  {seconds:.0f} s", flush=True)
    return failed, memory


def longest_first(cache):
    """Order the chapters so that a long one does not start last."""
    trains = [path for path in chapters() if ".fit(" in path.read_text()]
    return trains + [path for path in chapters() if path not in trains]


def run_sphinx(builder):
    """Write the pages, every warning an error; return the exit status."""
    # --all: warnings are raised only for pages that are read in this run.
    words = ["build", ".", "--all", "-W", "-n", "--keep-going", "--quiet", "--builder"]
    words += ["custom", "--custom-builder", "epub"] if builder == "epub" else [builder]
    # Sphinx leaves the page of a chapter that is no more.
    shutil.rmtree(OUTPUT / builder, ignore_errors=True)
    program = Path(sysconfig.get_path("scripts")) / "jupyter-book"
    return subprocess.run([program, *words], stdout=subprocess.DEVNULL).returncode


def require_latex():
    """Say how to get what makes a PDF, where it is missing.

    Raises
    ------
    FileNotFoundError
        If xelatex or latexmk is missing.
    """
    if missing := [name for name in ("xelatex", "latexmk") if not shutil.which(name)]:
        raise FileNotFoundError(
            f"{' and '.join(missing)} is missing, which makes the PDF: on Debian and Ubuntu, "
            f"apt-get install --no-install-recommends {PACKAGES}"
        )


def run_latex():
    """Set the pages that Sphinx wrote for LaTeX; return what is wrong with the result."""
    words = ["latexmk", "-xelatex", "-interaction=nonstopmode", "-halt-on-error", "-silent"]
    done = subprocess.run(
        [*words, f"{NAME}.tex"],
        cwd=OUTPUT / "latex",
        env=os.environ | {"max_print_line": "10000"},  # a warning is one line of the log
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = OUTPUT / "latex" / f"{NAME}.log"
    text = log.read_text(errors="replace") if log.exists() else "! LaTeX wrote no log"
    return latex_faults(text) or ([f"latexmk failed: see {log}"] if done.returncode else [])


def latex_faults(log):
    """List the lines of a LaTeX log that tell of an error, or else of what a reader would miss."""
    # What follows an error only follows from it; the line that begins with l. says where.
    if errors := re.findall(r"^!.*|^l\.\d+.*", log, re.MULTILINE):
        return errors
    faults = []
    for line in log.splitlines():
        spilled = re.match(r"Overfull \\hbox \(([\d.]+)pt too wide\)", line)
        lost = line.startswith("Missing character") or "undefined" in line
        if lost or (spilled and float(spilled[1]) > SPILLED):
            faults.append(line)
    return faults


def fingerprint(key, builder):
    """Give one digest for all that a book is made of: the outputs' key and the pages' sources."""
    sources = cache_key.digest_of(cache_key.files(PAGE_SOURCES))
    # Live code is in the site alone: npm, which brings it, may come after the PDF.
    live = builder not in PRINTED and (OUTPUT / "npm" / "node_modules" / "thebe-core").is_dir()
    return hashlib.sha256(f"{key} {sources} {live}".encode()).hexdigest()


def data_notes():
    """Say, a line each, on which data the chapters ran."""
    from companion.data import budgets, open_dataset

    drawn = budgets.get().gtsrb_drawn
    return [f"{name}: {open_dataset(name, scale=drawn).note}" for name in ("mnist", "gtsrb")]


def main():
    """Build, and say where the site is, how long it took and on which data it ran."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--builder", default="html", help="html (the default), pdf, epub, or a Sphinx builder"
    )
    parser.add_argument("--force", action="store_true", help="build even where nothing changed")
    arguments = parser.parse_args()

    if named := os.environ.get("COMPANION_DATA"):
        # Chapters run in book/, where a relative path would name another folder.
        os.environ["COMPANION_DATA"] = os.path.abspath(Path(named).expanduser())
    os.chdir(ROOT)
    try:
        build(arguments.builder, arguments.force)
    except (ValueError, OSError) as error:  # a misspelt budget, half an archive, a full disk
        raise SystemExit(f"The book was not built: {error}") from error


def result(builder):
    """Give the path of what a builder makes."""
    if builder == "html":
        return OUTPUT / "html" / "index.html"
    return OUTPUT / (f"{NAME}.{builder}" if builder in PRINTED else builder)


def printed(key):
    """Give the PDF and the epub, where they are of the same sources as a build of now."""
    for kind in PRINTED:
        stamp = OUTPUT / f".{kind}-fingerprint"
        if stamp.exists() and stamp.read_text() == fingerprint(key, kind):
            yield result(kind)


def build(builder, force):
    """Build where something changed, and say what came of it."""
    start = time.perf_counter()
    cache = cache_key.cache_path()
    stamp = OUTPUT / f".{builder}-fingerprint"
    made = result(builder)
    now = fingerprint(cache.name, builder)
    if builder == "pdf":
        require_latex()
    if not force and made.exists() and stamp.exists() and stamp.read_text() == now:
        done = "Nothing changed since the last build"
    else:
        stamp.unlink(missing_ok=True)
        failed, memory = run_chapters(cache)
        if memory:
            print(f"  the chapters that ran took at most {memory:.0f} MB each")
        if failed:
            names = ", ".join(map(str, failed))
            raise SystemExit(f"The book was not built: {names} raised (tracebacks above).")
        if run_sphinx(PRINTED.get(builder, builder)):
            raise SystemExit("The book was not built: every warning above is an error to mend.")
        if builder == "pdf" and (faults := run_latex()):
            raise SystemExit("\n".join([*faults, "The PDF was not built: see above."]))
        if builder in ("pdf", "epub"):
            shutil.copy(OUTPUT / PRINTED[builder] / f"{NAME}.{builder}", made)
        stamp.write_text(now)
        done = "The book is built"
    book_files.offer(OUTPUT / "html", [path for path in printed(cache.name) if path.exists()])
    print(f"{done} ({time.perf_counter() - start:.0f} s).")
    if builder == "html":
        print(f"  open   {made.relative_to(ROOT)}   or: make serve")
    else:
        print(f"  open   {made.relative_to(ROOT)}")
    print(f"  budget {os.environ.get('COMPANION_BUDGET') or 'quick'}")
    for note in data_notes():
        print(f"  data   {note}")


if __name__ == "__main__":
    main()
