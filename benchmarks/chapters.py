"""Run each chapter as a hub's user would, and measure its time and its largest memory.

    python benchmarks/chapters.py                        # all chapters, about ten minutes
    python benchmarks/chapters.py why pooling            # these; the others' measurements are kept

writes ``published/chapters.json``, from which the teacher's page computes sizes. Every chapter has
a kernel and an empty cache folder of its own and runs twice at the quick budget, on stand-ins that
were drawn before: *first*, and *again* with the data that it cooked and the programs that it
compiled. Memory and computing time (seconds of one core, which other programs hardly change) are
those of the kernel and of all the processes that it starts; JupyterLab's own server is measured
beside. Linux only, since both are read from ``/proc``.
"""

import argparse
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import jupytext
import psutil
import requests
from nbclient import NotebookClient

from companion.experiments.runs import machine, write_text

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "published" / "chapters.json"
OURS = "from-kernel-to-cluster"  # the companion's folder in a user's cache
PAUSE = 0.2  # seconds between two looks at the memory
MB = 1e6


def chapters():
    """List the chapters that have cells, in alphabetical order."""
    paths = sorted((ROOT / "book").glob("*.md"))
    return [path.stem for path in paths if "{code-cell}" in path.read_text()]


def from_proc(pid, file, name):
    """Read a size of a process, in bytes."""
    text = Path(f"/proc/{pid}/{file}").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.M).group(1)) * 1024


class Memory(threading.Thread):
    """Look at the memory of a process and of those that it starts, until told to stop.

    The kernel's own peak is counted by the system (VmHWM). For several processes at once no such
    count exists: their shares (Pss, where a page that several hold counts once) are added up at
    each look.
    """

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.done = pid, 0, threading.Event()

    def run(self):
        """Look until told to stop."""
        while not self.done.wait(PAUSE):
            self.look()

    def look(self):
        """Look once."""
        total = 0
        with suppress(OSError, psutil.NoSuchProcess, AttributeError):
            process = psutil.Process(self.pid)
            self.peak = max(self.peak, from_proc(self.pid, "status", "VmHWM"))
            children = process.children(recursive=True)
            for each in [process, *children] if children else []:
                with suppress(OSError, AttributeError):  # it has just ended
                    total += from_proc(each.pid, "smaps_rollup", "Pss")
        self.peak = max(self.peak, total)


def computed(pid):
    """Give the core seconds of a process and of those that it has started and that have ended."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def run(name, cache, folder):
    """Run a chapter once; give its seconds, from the kernel's start, and its peak in MB."""
    text = (ROOT / "book" / f"{name}.md").read_text()
    client = NotebookClient(
        jupytext.reads(text, fmt="md:myst"),
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(ROOT / "book")}},
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COMPANION_")}
    environment |= {
        "XDG_CACHE_HOME": str(cache),
        "COMPANION_BUDGET": "quick",
        "COMPANION_LEARNER": "",
        "COMPANION_PROGRESS": str(folder / "progress"),
        "COMPANION_RUNS": str(folder / "runs"),
        # Where matplotlib keeps the fonts that it found: not what a chapter takes.
        "MPLCONFIGDIR": str(cache.parent / "matplotlib"),
        "PYTHONPATH": str(ROOT),
    }
    load = os.getloadavg()[0]
    start = time.perf_counter()
    with client.setup_kernel(env=environment):
        memory = Memory(client.km.provisioner.process.pid)
        memory.start()
        for index, cell in enumerate(client.nb.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - start
        core_seconds = computed(memory.pid)
        memory.look()
        memory.done.set()
        memory.join()
    return {
        "seconds": round(seconds, 1),
        "core_seconds": round(core_seconds, 1),
        "peak_mb": round(memory.peak / MB),
        "load_before": round(load, 1),
    }


def size_of_chapter(name):
    """Count what there is to read and to do."""
    notebook = jupytext.read(ROOT / "book" / f"{name}.md", fmt="md:myst")
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return {
        "title": re.search(r"^# (.+)$", "\n".join(prose), re.M).group(1),
        "words": sum(len(text.split()) for text in prose),
        "cells": len(code),
        "exercises": sum(text.count("{exercise-start}") for text in prose),
    }


def megabytes(folder):
    """Add up the files below a folder."""
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MB)


def draw(cache):
    """Draw the stand-ins into a cache folder, as the first chapter that needs them does."""
    code = (
        "from companion.data import open_dataset; from companion.experiments import budget; "
        "print(open_dataset('gtsrb', scale=budgets.get('quick').gtsrb_drawn).note)"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "COMPANION_DATA": ""}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True)
    return {"seconds": round(time.perf_counter() - start, 1), "disk_mb": megabytes(cache)}


def measure(name, drawn, folder):
    """Run a chapter twice in a cache that has the drawn signs and nothing else."""
    cache = folder / name / "cache"
    (cache / OURS).mkdir(parents=True)
    for each in (drawn / OURS).iterdir():
        (cache / OURS / each.name).symlink_to(each)
    result = size_of_chapter(name)
    for turn in ("first", "again"):
        result[turn] = run(name, cache, folder / name)
    own = [path for path in (cache / OURS).iterdir() if not path.is_symlink()]
    result["disk_mb"] = {path.name: megabytes(path) for path in sorted(own)}
    result["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    return result


def server_mb():
    """Start JupyterLab, open a chapter in it, and give the server's largest memory in MB."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    program = Path(sysconfig.get_path("scripts")) / "jupyter-lab"
    words = [program, "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    words += [f"--ServerApp.root_dir={ROOT}", f"--IdentityProvider.token={token}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(words, **quiet)
    headers, address = {"Authorization": f"token {token}"}, f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with suppress(requests.ConnectionError):
                requests.get(f"{address}/lab", headers=headers, timeout=60).raise_for_status()
                break
            time.sleep(0.2)
        asked = {"type": "notebook", "content": "1"}
        for name in ("book/convolution.md", "book/gtsrb-monitoring.md"):
            url = f"{address}/api/contents/{name}"
            requests.get(url, params=asked, headers=headers, timeout=60).raise_for_status()
        return round(from_proc(server.pid, "status", "VmHWM") / MB)
    finally:
        server.terminate()
        server.wait(30)


def processor():
    """Name the processor."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found.group(1) if found else "unknown"


def main():
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("chapters", nargs="*", help="default: all")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    known = chapters()
    if unknown := set(arguments.chapters) - set(known):
        raise SystemExit(f"chapters must be of {', '.join(known)}, got {', '.join(unknown)}")
    kept = json.loads(arguments.output.read_text())["chapters"] if arguments.output.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        result = {
            "budget": "quick",
            "processor": processor(),
            **machine(),
            "server_mb": server_mb(),
            "drawing": draw(folder / "drawn"),
            "chapters": {name: kept[name] for name in known if name in kept},
        }
        for name in arguments.chapters or known:
            found = measure(name, folder / "drawn", folder)
            result["chapters"][name] = found
            print(name, found["first"], found["again"], found["disk_mb"], flush=True)
            # Written after each: a run that is cut short has not been for nothing.
            write_text(arguments.output, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
