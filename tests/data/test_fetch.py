"""Downloading against servers of this machine that misbehave in every way one can.

Each failure must end in one sentence that says what to do, and leave nothing that a later run
would take for whole.
"""

import gzip
import hashlib
import http.server
import io
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from companion.data import fetch, gtsrb, mnist, registry
from companion.data.registry import RemoteFile, Source

BIG = "train-images-idx3-ubyte.gz"  # the file that the tests of downloading disturb


# A server whose mirrors "a" and "b" behave as told -----------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, mirror, name = self.path.split("/")
        self.server.log.append((mirror, name, self.headers.get("Range")))
        self.server.encodings.add(self.headers.get("Accept-Encoding"))
        behave = self.server.behaviour.get((mirror, name), whole)
        behave(self, self.server.files[name])

    def asked(self):
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def answer(self, status, body, *, length=None, content_range=None):
        self.send_response(status)
        self.send_header("Content-Length", len(body) if length is None else length)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def whole(handler, data):
    """Answer as a server should, ranges included."""
    start = handler.asked()
    if start >= len(data):
        handler.send_error(416)
    elif start:
        span = f"bytes {start}-{len(data) - 1}/{len(data)}"
        handler.answer(206, data[start:], content_range=span)
    else:
        handler.answer(200, data)


def without_ranges(handler, data):
    handler.answer(200, data)


def status(code):
    return lambda handler, data: handler.send_error(code)


def corrupted(handler, data):
    middle = len(data) // 2
    whole(handler, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


def truncated(handler, data):
    whole(handler, data[: len(data) // 2])


def lengthened(handler, data):
    whole(handler, data + b"more")


def from_elsewhere(handler, data):
    """Send the start of the file whatever part is asked for, and say so."""
    if handler.asked():
        handler.answer(206, data, content_range=f"bytes 0-{len(data) - 1}/{len(data)}")
    else:
        handler.answer(200, data[: len(data) // 2], length=len(data))


def cut(handler, data):
    """Break off half-way through what is asked for."""
    start = handler.asked()
    rest = data[start:]
    span = f"bytes {start}-{len(data) - 1}/{len(data)}" if start else None
    half = rest[: len(rest) // 2]
    handler.answer(206 if start else 200, half, length=len(rest), content_range=span)


def cut_without_ranges(handler, data):
    handler.answer(200, data[: len(data) // 2], length=len(data))


def cut_without_length(handler, data):
    """Break off in a way that looks like the end of the file."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])


def in_turn(*behaviours):
    """Behave differently at each request, and like the last for ever after."""
    left = list(behaviours)
    return lambda handler, data: (left.pop(0) if len(left) > 1 else left[0])(handler, data)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetch, "WAIT", 0)
    monkeypatch.setattr(fetch, "PIECE", 1000)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.files, server.behaviour, server.log, server.encodings = {}, {}, [], set()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def remote_file(server, name, content, mirrors="ab", **rest):
    server.files[name] = content
    return RemoteFile(
        name,
        len(content),
        hashlib.sha256(content).hexdigest(),
        tuple(f"http://127.0.0.1:{server.server_port}/{mirror}/" for mirror in mirrors),
        **rest,
    )


def refused(server):
    """Give the address of a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


# MNIST of 60 + 5 digits -------------------------------------------------------------------------


@pytest.fixture
def digits(server):
    rng = np.random.default_rng(0)
    files = []
    for prefix, count in (("train", 60), ("t10k", 5)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 256, (count, 28, 28), np.uint8)),
            ("labels-idx1", rng.integers(0, 10, count, np.uint8)),
        ):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            content = gzip.compress(header + array.tobytes(), mtime=0)
            name = f"{prefix}-{kind}-ubyte.gz"
            files.append(remote_file(server, name, content, folder="mnist"))
    return {"mnist": Source(tuple(files), origin="sample")}


@pytest.fixture
def get(digits, tmp_path):
    """Fetch the digits into `tmp_path`, and check that all of them arrived."""

    def get(**options):
        root = fetch.fetch("mnist", tmp_path, progress=False, sources=digits, **options)
        assert root == tmp_path
        for file in digits["mnist"].files:
            content = (tmp_path / "mnist" / file.name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256
        assert len(names(tmp_path / "mnist")) == 4
        return mnist.read_archive(root)

    get.part = tmp_path / "mnist" / f"{BIG}.part"
    get.file = tmp_path / "mnist" / BIG
    return get


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def requests_for(server, name=BIG):
    return [(mirror, span) for mirror, asked, span in server.log if asked == name]


def one_sentence(error):
    text = str(error.value)
    assert "\n" not in text
    assert ". " not in text
    return text


def test_every_file_arrives(server, get):
    assert get().counts == {"train": 60, "test": 5, "classes": 10}
    assert requests_for(server) == [("a", None)]
    assert server.encodings == {"identity"}
    assert stat.S_IMODE(get.file.stat().st_mode) & 0o044, "others must be able to read the data"


def test_nothing_is_asked_for_twice(server, get):
    get()
    server.log.clear()
    get()
    assert server.log == []


def test_the_published_digits_are_recognised_however_they_are_compressed(
    server, get, digits, monkeypatch, tmp_path
):
    get()
    for name in mnist.OFFICIAL_SHA256:
        data = gzip.decompress((tmp_path / "mnist" / f"{name}.gz").read_bytes())
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress(data, 1))
        monkeypatch.setitem(mnist.OFFICIAL_SHA256, name, hashlib.sha256(data).hexdigest())
    server.log.clear()
    fetch.fetch("mnist", tmp_path, progress=False, sources=digits)
    assert server.log == []


def test_a_file_put_there_by_hand_is_not_downloaded(server, get):
    get.file.parent.mkdir()
    get.file.write_bytes(server.files[BIG])
    get()
    assert requests_for(server) == []


def test_a_wrong_file_is_replaced(server, get):
    get.file.parent.mkdir()
    get.file.write_bytes(b"half of it")
    get()


def test_progress_is_shown_when_asked_for(digits, tmp_path, capsys):
    fetch.fetch("mnist", tmp_path, sources=digits)
    assert f"{BIG}: 100%" in capsys.readouterr().err
    fetch.fetch("mnist", tmp_path / "other", progress=False, sources=digits)
    assert capsys.readouterr().err == ""


def test_a_cut_connection_is_resumed(server, get):
    server.behaviour["a", BIG] = in_turn(cut, whole)
    get()
    (first, nothing), (second, span) = requests_for(server)
    assert (first, nothing, second) == ("a", None, "a")
    middle = len(server.files[BIG]) // 2
    # What is lost is less than a piece.
    assert middle - fetch.PIECE < int(span.removeprefix("bytes=").removesuffix("-")) <= middle


def test_a_line_that_is_cut_again_and_again_still_brings_the_file(server, get):
    server.behaviour["a", BIG] = in_turn(*[cut] * (fetch.ATTEMPTS + 2), whole)
    get()
    asked = [span for _, span in requests_for(server)]
    assert len(set(asked)) == fetch.ATTEMPTS + 3
    assert {mirror for mirror, _ in requests_for(server)} == {"a"}


def test_a_server_without_ranges_is_read_from_the_start(server, get):
    server.behaviour["a", BIG] = in_turn(cut, without_ranges)
    get()
    assert requests_for(server)[1][1] is not None


def test_a_cut_that_looks_like_the_end_is_resumed(server, get):
    server.behaviour["a", BIG] = in_turn(cut_without_length, whole)
    get()
    half = len(server.files[BIG]) // 2
    assert requests_for(server) == [("a", None), ("a", f"bytes={half}-")]


def test_a_cut_at_the_same_place_for_ever_leads_to_the_other_mirror(server, get):
    server.behaviour["a", BIG] = cut_without_ranges
    get()
    asked = requests_for(server)
    assert [mirror for mirror, _ in asked] == ["a"] * (fetch.ATTEMPTS + 1) + ["b"]
    assert asked[-1][1] is not None, "what the first mirror sent is not thrown away"


def test_what_has_arrived_is_kept_for_the_next_run(server, get):
    server.behaviour["a", BIG] = server.behaviour["b", BIG] = cut_without_ranges
    with pytest.raises(fetch.DownloadError, match="which goes on from what has arrived") as e:
        get()
    assert "run `companion fetch mnist` again" in one_sentence(e)
    assert not get.file.exists()
    assert 0 < get.part.stat().st_size < len(server.files[BIG])
    server.behaviour.clear()
    server.log.clear()
    get()
    assert requests_for(server)[0][1] is not None


@pytest.mark.parametrize("behaviour", [corrupted, truncated, lengthened, status(404), status(500)])
def test_the_second_mirror_is_asked_when_the_first_fails(server, get, behaviour):
    server.behaviour["a", BIG] = behaviour
    get()
    assert requests_for(server)[-1][0] == "b"


def test_a_first_mirror_that_nobody_serves_is_passed_over(server, get, digits):
    for file in digits["mnist"].files:
        object.__setattr__(file, "mirrors", (refused(server), file.mirrors[1]))
    get()
    assert {mirror for mirror, _ in requests_for(server)} == {"b"}


@pytest.mark.parametrize("behaviour", [corrupted, truncated, lengthened])
def test_a_file_that_is_wrong_everywhere_is_deleted(server, get, behaviour):
    server.behaviour["a", BIG] = server.behaviour["b", BIG] = behaviour
    with pytest.raises(fetch.CorruptError, match="is not the published file") as e:
        get()
    text = one_sentence(e)
    assert text.startswith(BIG)
    assert f"or put the file at {get.file} yourself" in text
    assert names(get.file.parent) == []


@pytest.mark.parametrize(("code", "tries"), [(404, 1), (403, 1), (500, 3), (503, 3), (429, 3)])
def test_an_http_error_is_named_and_retried_only_if_it_may_pass(server, get, code, tries):
    server.behaviour["a", BIG] = server.behaviour["b", BIG] = status(code)
    with pytest.raises(fetch.DownloadError, match=f"127.0.0.1:.* answered {code} ") as e:
        get()
    assert "check your connection" in one_sentence(e)
    assert [mirror for mirror, _ in requests_for(server)] == ["a"] * tries + ["b"] * tries
    assert names(get.file.parent) == []


def test_an_error_that_passes_is_waited_for(server, get, monkeypatch):
    monkeypatch.setattr(fetch, "WAIT", 0.01)
    server.behaviour["a", BIG] = in_turn(status(503), whole)
    get()
    assert [mirror for mirror, _ in requests_for(server)] == ["a", "a"]


def test_both_mirrors_dead(server, get, digits):
    addresses = (refused(server), refused(server))
    for file in digits["mnist"].files:
        object.__setattr__(file, "mirrors", addresses)
    with pytest.raises(fetch.DownloadError, match="could not be downloaded") as e:
        get()
    text = one_sentence(e)
    for address in addresses:
        assert address.removeprefix("http://").removesuffix("/") in text
    assert "ConnectionError" in text
    assert names(get.file.parent) == []


def test_a_server_that_falls_silent_is_given_up(server, get, digits, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (0.2, 0.2))
    silence = threading.Event()
    server.behaviour["a", BIG] = lambda handler, data: silence.wait(5)
    get()
    silence.set()
    assert requests_for(server)[-1][0] == "b"


def test_another_part_than_asked_is_refused(server, get):
    server.behaviour["a", BIG] = from_elsewhere
    get()
    assert requests_for(server)[-1] == ("b", None)


@pytest.mark.parametrize(
    ("arrived", "expected"),
    [
        (lambda data: data, []),
        (lambda data: data[:777], [("a", "bytes=777-")]),
        (lambda data: b"", [("a", None)]),
        (lambda data: b"x" * 777, [("a", "bytes=777-"), ("a", None)]),
        (lambda data: b"x" * len(data), [("a", None)]),
        (lambda data: data + b"x", [("a", None)]),
    ],
    ids=["whole", "begun", "empty", "garbage", "garbage of the right length", "too long"],
)
def test_what_an_earlier_run_left_is_used_if_it_is_good(server, get, arrived, expected):
    get.part.parent.mkdir()
    get.part.write_bytes(arrived(server.files[BIG]))
    get()
    assert requests_for(server) == expected


def test_a_run_that_is_killed_leaves_nothing_that_looks_whole(server, get, tmp_path):
    reached, forever = threading.Event(), threading.Event()

    def stall(handler, data):
        half = data[: len(data) // 2]
        handler.answer(200, half, length=len(data))
        handler.wfile.flush()
        reached.set()
        forever.wait(30)

    server.behaviour["a", BIG] = stall
    size, digest = len(server.files[BIG]), hashlib.sha256(server.files[BIG]).hexdigest()
    code = f"""
        from companion.data import fetch
        from companion.data.registry import RemoteFile, Source
        fetch.PIECE = 1000
        mirrors = ("http://127.0.0.1:{server.server_port}/a/",)
        file = RemoteFile("{BIG}", {size}, "{digest}", mirrors, folder="mnist")
        sources = {{"mnist": Source((file,))}}
        fetch.fetch("mnist", {str(tmp_path)!r}, progress=False, sources=sources)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) as child:
        assert reached.wait(30)
        wait_until(lambda: get.part.exists() and get.part.stat().st_size > 0)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    forever.set()
    assert not get.file.exists()
    server.behaviour.clear()
    get()


def wait_until(condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited in vain")


# Disk full --------------------------------------------------------------------------------------


def test_too_little_room_is_said_beforehand(server, digits, tmp_path):
    file = digits["mnist"].files[0]
    object.__setattr__(file, "unpacked_size", 10**18)
    with pytest.raises(fetch.DiskFullError, match="free, but fetching mnist takes") as e:
        fetch.fetch("mnist", tmp_path, progress=False, sources=digits)
    assert "free some space" in one_sentence(e)
    assert server.log == []
    assert names(tmp_path) == []


def test_a_disk_that_fills_while_downloading(server, get):
    # Writing to /dev/full fails as on a full disk.
    get.part.parent.mkdir()
    get.part.symlink_to("/dev/full")
    with pytest.raises(fetch.DiskFullError, match="the disk is full") as e:
        get()
    assert "run `companion fetch mnist` again" in one_sentence(e)
    assert names(get.file.parent) == [get.part.name]
    get.part.unlink()
    get()


def test_a_disk_that_fills_while_unpacking(server, signs, tmp_path, monkeypatch):
    make = fetch.tempfile.mkdtemp

    def with_a_full_file(**options):
        folder = make(**options)
        image = os.path.join(folder, "GTSRB/Final_Test/Images/00001.ppm")
        os.makedirs(os.path.dirname(image))
        os.symlink("/dev/full", image)
        return folder

    monkeypatch.setattr(fetch.tempfile, "mkdtemp", with_a_full_file)
    with pytest.raises(fetch.DiskFullError, match="the disk is full") as e:
        fetch.fetch("gtsrb", tmp_path, progress=False, sources=signs)
    one_sentence(e)
    # The first archive was unpacked before; of the second, only the zip is there.
    assert names(tmp_path) == ["GTSRB", "test.zip"]
    assert names(tmp_path / "GTSRB") == ["Final_Training"]
    monkeypatch.undo()
    server.log.clear()
    assert len(gtsrb.read_archive(fetch.fetch("gtsrb", tmp_path, sources=signs))) == 45
    assert [name for _, name, _ in server.log] == ["labels.zip"]


# Zip archives -----------------------------------------------------------------------------------

HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
PPM = b"P6\n2 2\n255\n" + bytes(12)


def zipped(contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def signs(server):
    """Serve an archive of 43 training images and two test images, in three zips."""
    training = {"GTSRB/Readme-Images.txt": "how the archive is laid out"}
    for class_id in range(43):
        folder = f"GTSRB/Final_Training/Images/{class_id:05d}"
        training[f"{folder}/00000_00000.ppm"] = PPM
        row = f"00000_00000.ppm;2;2;0;0;1;1;{class_id}\n"
        training[f"{folder}/GT-{class_id:05d}.csv"] = HEADER + row
    test = {f"GTSRB/Final_Test/Images/{i:05d}.ppm": PPM for i in range(2)}
    rows = "00000.ppm;2;2;0;0;1;1;5\n00001.ppm;2;2;0;0;1;1;6\n"
    labels = {"GT-final_test.csv": HEADER + rows}
    parts = {
        "train.zip": (training, "GTSRB/Final_Training"),
        "test.zip": (test, "GTSRB/Final_Test"),
        "labels.zip": (labels, "GT-final_test.csv"),
    }
    files = [
        remote_file(server, name, zipped(contents), "a", unpacks_to=(leaf,), unpacked_size=9000)
        for name, (contents, leaf) in parts.items()
    ]
    return {"gtsrb": Source(tuple(files), origin="sample")}


def test_the_archive_is_left_as_read_archive_reads_it(server, signs, tmp_path):
    root = fetch.fetch("gtsrb", tmp_path / "new" / "folder", progress=False, sources=signs)
    assert names(root) == ["GT-final_test.csv", "GTSRB"]
    assert names(root / "GTSRB") == ["Final_Test", "Final_Training"]
    assert gtsrb.read_archive(root).counts == {"train": 43, "test": 2, "classes": 43}
    server.log.clear()
    fetch.fetch("gtsrb", root, progress=False, sources=signs)
    assert server.log == []


def test_zips_are_kept_when_asked_for_or_put_there_by_hand(server, signs, tmp_path):
    fetch.fetch("gtsrb", tmp_path / "kept", progress=False, keep_zips=True, sources=signs)
    assert names(tmp_path / "kept") == [
        *("GT-final_test.csv", "GTSRB", "labels.zip", "test.zip", "train.zip"),
    ]
    (tmp_path / "by hand").mkdir()
    (tmp_path / "by hand" / "test.zip").write_bytes(server.files["test.zip"])
    fetch.fetch("gtsrb", tmp_path / "by hand", progress=False, sources=signs)
    assert names(tmp_path / "by hand") == ["GT-final_test.csv", "GTSRB", "test.zip"]


def test_what_is_unpacked_already_is_not_downloaded(server, signs, tmp_path):
    fetch.fetch("gtsrb", tmp_path, progress=False, sources=signs)
    (tmp_path / "GT-final_test.csv").unlink()
    server.log.clear()
    fetch.fetch("gtsrb", tmp_path, progress=False, sources=signs)
    assert [name for _, name, _ in server.log] == ["labels.zip"]


def test_foreign_files_in_the_folder_are_reported(server, signs, tmp_path):
    fetch.fetch("gtsrb", tmp_path, progress=False, sources=signs)
    image = tmp_path / "GTSRB/Final_Test/Images/00001.ppm"
    image.write_bytes(b"")
    with pytest.raises(fetch.FetchError, match=r"00001\.ppm holds 0 bytes") as e:
        fetch.fetch("gtsrb", tmp_path, progress=False, sources=signs)
    one_sentence(e)
    image.write_bytes(PPM)
    official = {"gtsrb": Source(signs["gtsrb"].files, origin="official")}
    with pytest.raises(fetch.FetchError, match="are not those of the published gtsrb") as e:
        fetch.fetch("gtsrb", tmp_path, progress=False, sources=official)
    assert "into another folder" in one_sentence(e)


def test_real_signs_are_not_mixed_with_drawn_ones(server, signs, tmp_path):
    (tmp_path / "synthetic.json").write_text("{}")
    with pytest.raises(fetch.FetchError, match="holds drawn signs: fetch gtsrb into another"):
        fetch.fetch("gtsrb", tmp_path, progress=False, sources=signs)
    assert server.log == []


def link(name, target="/etc/passwd", kind=stat.S_IFLNK):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o777) << 16
    return entry, target


EVIL = {
    "climbs": (("../evil.txt", "x"), "climbs out of its folder"),
    "climbs later": (("GTSRB/../../evil.txt", "x"), "climbs out of its folder"),
    "climbs with backslashes": (("GTSRB\\..\\..\\evil.txt", "x"), "climbs out of its folder"),
    "parent alone": (("..", "x"), "climbs out of its folder"),
    "absolute": (("/tmp/evil.txt", "x"), "is an absolute path"),
    "drive": (("C:/evil.txt", "x"), "is an absolute path"),
    "drive with backslash": (("c:\\evil.txt", "x"), "is an absolute path"),
    "network share": (("\\\\host\\evil.txt", "x"), "is an absolute path"),
    "link": (link("GTSRB/Final_Test"), "is a link"),
    "link inside": (link("GTSRB/Final_Test/Images/x.ppm", "00000.ppm"), "is a link"),
    "device": (link("GTSRB/null", "", stat.S_IFCHR), "is neither a file nor a folder"),
    "pipe": (link("GTSRB/pipe", "", stat.S_IFIFO), "is neither a file nor a folder"),
}


@pytest.mark.parametrize(("evil", "reason"), EVIL.values(), ids=EVIL.keys())
def test_an_entry_that_leaves_its_folder_is_refused_before_anything_is_written(
    server, signs, tmp_path, evil, reason
):
    good = {f"GTSRB/Final_Test/Images/{i:05d}.ppm": PPM for i in range(2)}
    # The bad entry comes last, so that unpacking in order would write the good ones first.
    content = zipped({**good, evil[0]: evil[1]})
    train, test, labels = signs["gtsrb"].files
    test = remote_file(server, test.name, content, "a", unpacks_to=test.unpacks_to)
    sources = {"gtsrb": Source((test, train, labels), origin="sample")}
    root = tmp_path / "inside" / "root"
    with pytest.raises(fetch.UnsafeZipError, match=reason) as e:
        fetch.fetch("gtsrb", root, progress=False, sources=sources)
    assert "delete the file and fetch it again" in one_sentence(e)
    assert names(root) == ["test.zip"]
    assert names(tmp_path) == ["inside"]
    assert names(tmp_path / "inside") == ["root"]


def test_folders_and_plain_files_are_harmless():
    for name in ("GTSRB/", "GTSRB/a..b/..c/d..", "GTSRB/x y", "ä/ö", "a:b"[1:] + "x"):
        assert fetch.danger_of(zipfile.ZipInfo(name)) is None, name
    for kind in (0, stat.S_IFREG, stat.S_IFDIR):
        assert fetch.danger_of(link("GTSRB/x", kind=kind)[0]) is None


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: b"no zip at all", "is damaged"),
        (lambda data: data[: len(data) // 2], "is damaged"),
        (lambda data: data[:70] + bytes([data[70] ^ 255]) + data[71:], "is damaged"),
        (lambda data: zipped({"GTSRB/Final_Training/x": ""}), "lacks GTSRB/Final_Test"),
    ],
    ids=["no zip", "cut", "changed", "other contents"],
)
def test_a_damaged_zip_leaves_nothing_unpacked(server, tmp_path, damage, sentence):
    content = zipped({f"GTSRB/Final_Test/Images/{i:05d}.ppm": PPM * 50 for i in range(9)})
    (tmp_path / "test.zip").write_bytes(damage(content))
    with pytest.raises(fetch.CorruptError, match=sentence) as e:
        fetch.unpack(tmp_path / "test.zip", tmp_path, ["GTSRB/Final_Test"])
    assert "delete the file and fetch it again" in one_sentence(e)
    assert names(tmp_path) == ["test.zip"]


def test_what_another_run_has_unpacked_stays(tmp_path):
    (tmp_path / "test.zip").write_bytes(zipped({"folder/file": "new"}))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("old")
    fetch.unpack(tmp_path / "test.zip", tmp_path, ["folder"])
    assert (tmp_path / "folder" / "file").read_text() == "old"
    assert names(tmp_path) == ["folder", "test.zip"]


def test_a_zip_that_needs_more_room_than_there_is(tmp_path, monkeypatch):
    (tmp_path / "test.zip").write_bytes(zipped({"folder/file": "x" * 1000}))
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: SimpleNamespace(free=999))
    with pytest.raises(fetch.DiskFullError, match=r"unpacking test\.zip takes") as e:
        fetch.unpack(tmp_path / "test.zip", tmp_path, ["folder"])
    assert "free some space" in one_sentence(e)
    assert names(tmp_path) == ["test.zip"]


def test_what_a_killed_run_was_unpacking_is_removed_after_a_day(server, signs, tmp_path):
    for name, age in ((".unpacking-old", 2 * fetch.DAY), (".unpacking-young", 60)):
        (tmp_path / name / "GTSRB").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    fetch.fetch("gtsrb", tmp_path, progress=False, sources=signs)
    assert names(tmp_path) == [".unpacking-young", "GT-final_test.csv", "GTSRB"]


# Names, folders and the registry ----------------------------------------------------------------


def test_name_must_be_known(tmp_path):
    with pytest.raises(ValueError, match="name must be 'gtsrb' or 'mnist', got 'MNIST'"):
        fetch.fetch("MNIST", tmp_path)


def test_a_folder_that_cannot_be_made_is_named(digits, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        fetch.FetchError, match=r"file/data cannot be used \(Not a directory\)"
    ) as e:
        fetch.fetch("mnist", tmp_path / "file" / "data", progress=False, sources=digits)
    assert "into another folder" in one_sentence(e)


def test_the_default_folder_is_where_open_dataset_looks(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "named"))
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path / "cache")
    assert fetch.fetch("mnist", progress=False, sources=digits) == tmp_path / "named"
    monkeypatch.setenv("COMPANION_DATA", "")
    assert fetch.fetch("mnist", progress=False, sources=digits) == tmp_path / "cache"


@pytest.mark.parametrize("source", registry.SOURCES.values(), ids=registry.SOURCES.keys())
def test_the_registry_is_complete(source):
    for file in source.files:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert len(bytes.fromhex(file.md5)) == 16
        assert file.size > 4000
        assert all(url.startswith("https://") and url.endswith(file.name) for url in file.urls)
        assert bool(file.unpacks_to) == file.name.endswith(".zip") == bool(file.unpacked_size)
    leaves = [leaf for file in source.files for leaf in file.leaves]
    assert len(set(leaves)) == len(leaves)


@pytest.mark.parametrize(
    ("status", "content_range", "asked", "start"),
    [
        (200, None, 0, 0),
        (200, None, 40, 0),
        (200, "bytes 40-99/100", 40, 0),
        (206, "bytes 40-99/100", 40, 40),
        (206, "bytes 40-99/*", 40, 40),
        (206, "bytes 41-99/100", 40, None),
        (206, "bytes */100", 40, None),
        (206, "", 40, None),
        (206, None, 40, None),
    ],
)
def test_where_an_answer_starts(status, content_range, asked, start):
    assert fetch.starts_at(status, content_range, asked) == start


def test_needs_download_compares_the_digest(tmp_path):
    path = tmp_path / "file"
    digest = hashlib.sha256(b"text").hexdigest()
    assert fetch.needs_download(path, digest)
    path.write_bytes(b"text")
    assert not fetch.needs_download(path, digest)
    path.write_bytes(b"tex")
    assert fetch.needs_download(path, digest)
    assert fetch.needs_download(tmp_path, digest)
