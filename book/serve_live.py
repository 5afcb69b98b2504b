"""Serve the built site together with a Jupyter server, so that its pages run their cells here.

``make live`` calls this file. Both servers listen on loopback alone. The token is drawn anew each
time; it stands in the address that is printed, behind the ``#`` that browsers send to nobody, and
in a file that only the user can read: neither in the site nor in the list of processes.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
HOST = "127.0.0.1"
PATIENCE = 60  # seconds for the Jupyter server to answer; it takes two on an idle machine
IDLE = 30 * 60  # seconds after which a kernel that nobody uses ends


class Pages(SimpleHTTPRequestHandler):
    """Serve the site's files, as they are now, without a line for each."""

    def end_headers(self):
        """Let the browser ask again: the site may have been built anew."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_):
        """Say nothing."""


def free_port():
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def settings(port, token, origin):
    """Give the Jupyter server's settings: this user's kernels, for pages from `origin` alone."""
    return {
        "ServerApp": {
            "ip": HOST,
            "port": port,
            "port_retries": 0,
            "root_dir": str(ROOT),
            "allow_origin": origin,
            "allow_root": True,  # as in a container
            "open_browser": False,
            "terminals_enabled": False,
        },
        "IdentityProvider": {"token": token},
        # Not a python3 of the user's or the system's, which has no companion.
        "KernelSpecManager": {"kernel_dirs": []},
        "MappingKernelManager": {"cull_idle_timeout": IDLE},
    }


def start_jupyter(folder, port, token, origin):
    """Start the Jupyter server with a configuration of its own, and wait until it answers.

    Raises
    ------
    RuntimeError
        If it ends, or does not answer in time.
    """
    folder.mkdir(mode=0o700)
    written = folder / "jupyter_server_config.json"
    written.touch(mode=0o600)
    written.write_text(json.dumps(settings(port, token, origin)))
    log = folder / "log.txt"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", "--no-browser", "--log-level=WARN"],
        env=environment | {"JUPYTER_CONFIG_DIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for this program, which ends the server properly
    )
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        try:
            with urlopen(f"http://{HOST}:{port}/api", timeout=5):
                return server
        except (URLError, HTTPError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    server.terminate()
    raise RuntimeError(f"The Jupyter server did not start:\n{log.read_text()[-2000:]}")


def main():
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the site (0: any free one)")
    parser.add_argument("--site", type=Path, default=SITE, help="folder of the built site")
    arguments = parser.parse_args()
    if not (arguments.site / "index.html").is_file():
        raise SystemExit(f"{arguments.site} holds no site: run make book first")
    if not (arguments.site / "_static" / "thebe").is_dir():
        raise SystemExit(
            "This site was built without live code, for want of npm (on Debian and Ubuntu: "
            "apt-get install npm): install it, then run make live again"
        )
    try:
        pages = ThreadingHTTPServer(
            (HOST, arguments.port), partial(Pages, directory=str(arguments.site))
        )
    except OSError as error:
        raise SystemExit(
            f"Port {arguments.port} cannot be used ({error.strerror}): choose another, "
            "as in PORT=8001 make live"
        ) from error
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # ends the Jupyter server too
    origin = f"http://{HOST}:{pages.server_port}"
    port, token = free_port(), secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory() as folder:
        try:
            jupyter = start_jupyter(Path(folder) / "jupyter", port, token, origin)
        except RuntimeError as error:
            raise SystemExit(str(error)) from error
        print(f"The book, with cells that run here: {origin}/#live={port}:{token}")
        print("Keep that address to yourself: who has it can run code as you. Ctrl-C ends.")
        print(
            f"From another computer: ssh -L {pages.server_port}:{HOST}:{pages.server_port} "
            f"-L {port}:{HOST}:{port} this-computer",
            flush=True,
        )
        Thread(target=pages.serve_forever, daemon=True).start()
        try:
            status = jupyter.wait()
            raise SystemExit(f"The Jupyter server ended by itself, with status {status}")
        except KeyboardInterrupt:
            print()
        finally:
            pages.shutdown()
            jupyter.terminate()
            jupyter.wait(20)


if __name__ == "__main__":
    main()
