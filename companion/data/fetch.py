"""Download a data set: whole and checked, or not at all.

`requests` downloads and `pooch` compares digests. The code around them does what large files on
slow lines need and neither offers: several mirrors, and going on where a connection was cut, in
the same run or the next. Zip archives are unpacked into a folder beside their place and renamed,
so that a folder with its final name is always whole::

    root/NAME.part           what has arrived of a file; the next run goes on from there
    root/NAME                the file, once its size and sha256 are right
    root/.unpacking-*/       a zip archive being unpacked; never read
"""

import errno
import os
import re
import shutil
import stat
import tempfile
import time
import zipfile
import zlib
from pathlib import Path
from urllib.parse import urlsplit

from companion.data import gtsrb, mnist
from companion.data.registry import SOURCES, DataError, cache_folder, named_folder

TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of a file
ATTEMPTS = 3  # tries on one mirror that bring nothing new, before the next mirror
WAIT = 1.0  # seconds before the second try on a mirror, twice that before the third, and so on
PIECE = 1 << 20  # bytes written at a time
DAY = 86_400  # seconds

_READERS = {"gtsrb": gtsrb.read_archive, "mnist": mnist.read_archive}


class FetchError(DataError):
    """Say in one sentence why a data set could not be fetched, and what to do."""


class DownloadError(FetchError):
    """Say that no mirror delivered a file."""


class CorruptError(FetchError):
    """Say that a file is not the published one, or is damaged."""


class UnsafeZipError(FetchError):
    """Say that a zip archive would write outside its folder."""


class DiskFullError(FetchError):
    """Say that the disk is too full."""


class _FailedTry(Exception):
    """Carry why one try on one mirror failed, and whether another may help."""

    def __init__(self, reason, *, again, corrupt=False):
        super().__init__(reason)
        self.again = again
        self.corrupt = corrupt


def fetch(name, root=None, *, progress=True, keep_zips=False, sources=SOURCES):
    """Download a data set into a folder, or complete what is there.

    What is there already is not downloaded again: neither a finished data set, nor an unpacked
    part of one, nor a file with the right sha256 that somebody put into `root` by hand.

    Taught in the chapter *GTSRB 1: the data, and cooking it*.

    Parameters
    ----------
    name : str
        "gtsrb" (365 MB to download, 490 MB unpacked) or "mnist" (12 MB).
    root : str or path, optional
        Where to put it: by default the folder that `COMPANION_DATA` names, else the user's cache
        folder, which are where `open_dataset` looks.
    progress : bool
        Show progress bars.
    keep_zips : bool
        Keep the zip archives that were downloaded; they are deleted once unpacked otherwise.
    sources : dict
        What to download from where, by name.

    Returns
    -------
    pathlib.Path
        `root`, which `open_dataset(name, root)` opens.

    Raises
    ------
    ValueError
        If `name` is not the name of a data set.
    FetchError
        If the data set could not be had. `DownloadError`: no mirror delivered a file.
        `CorruptError`: a file is not the published one. `DiskFullError`: there is no room.
        `UnsafeZipError`: a zip archive would write outside its folder.

    Examples
    --------
    >>> from companion.data import fetch
    >>> fetch.fetch("cifar")
    Traceback (most recent call last):
    ...
    ValueError: name must be 'gtsrb' or 'mnist', got 'cifar'
    """
    if name not in sources:
        raise ValueError(f"name must be {' or '.join(map(repr, sources))}, got {name!r}")
    root = Path(root) if root is not None else named_folder() or cache_folder()
    try:
        return _fetch(name, root, sources[name], progress, keep_zips)
    except OSError as e:
        where = e.filename or root
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"the disk is full, at {where}: free some space and run `companion fetch {name}` "
                "again, which goes on from what was downloaded"
            ) from e
        raise FetchError(
            f"{where} cannot be used ({e.strerror or e}): "
            f"check it, or fetch {name} into another folder"
        ) from e


def _fetch(name, root, source, progress, keep_zips):
    if _origin(name, root) == "official":
        return root
    if name == "gtsrb" and (root / gtsrb.SYNTHETIC_FILE).exists():
        raise FetchError(f"{root} holds drawn signs: fetch gtsrb into another folder")
    root.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(root)
    missing = [file for file in source.files if not _is_there(file, root)]
    needed = sum(_still_to_come(file, root / file.folder / file.name) for file in missing)
    free = shutil.disk_usage(root).free
    if free < needed:
        raise DiskFullError(
            f"{root} has {_megabytes(free)} free, but fetching {name} takes {_megabytes(needed)}: "
            "free some space, or fetch it into another folder"
        )
    for file in missing:
        path = root / file.folder / file.name
        downloaded = needs_download(path, file.sha256)
        if downloaded:
            _download(name, file, path, progress)
        if file.unpacks_to:
            unpack(path, root, file.unpacks_to, progress=progress)
            if downloaded and not keep_zips:
                path.unlink()
    try:
        origin = _READERS[name](root).origin
    except DataError as e:
        raise FetchError(str(e)) from e
    if origin != source.origin:
        raise FetchError(
            f"{root} holds files that are not those of the published {name}: "
            f"fetch {name} into another folder"
        )
    return root


def _origin(name, root):
    try:
        return _READERS[name](root).origin
    except DataError:
        return None


def _is_there(file, root):
    if file.unpacks_to:
        return all((root / path).exists() for path in file.unpacks_to)
    return not needs_download(root / file.folder / file.name, file.sha256)


def _remove_leftovers(root):
    # A run that was killed while unpacking leaves its folder; a younger one may be in use.
    for folder in root.glob(".unpacking-*"):
        if time.time() - folder.stat().st_mtime > DAY:
            shutil.rmtree(folder, ignore_errors=True)


def _still_to_come(file, path):
    arrived = max(_size(path), _size(_part(path)))
    return max(0, file.size - arrived) + file.unpacked_size


def _part(path):
    return path.with_name(path.name + ".part")


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _megabytes(size):
    return f"{size / 1e6:,.1f} MB"


# What to do next: decisions without a network ---------------------------------------------------


def needs_download(path, sha256):
    """Decide whether a file must be downloaded.

    Parameters
    ----------
    path : str or path
        Where the file belongs.
    sha256 : str
        Its digest, hexadecimal.

    Returns
    -------
    bool
        False if the file is there and has this digest.

    Examples
    --------
    >>> needs_download("no/such/file", "0" * 64)
    True
    """
    import pooch

    return not Path(path).is_file() or not pooch.hashes.hash_matches(str(path), sha256)


def resume_from(arrived, size):
    """Decide at which byte a download goes on.

    Parameters
    ----------
    arrived : int
        Bytes that lie in the `.part` file.
    size : int
        Bytes of the whole file.

    Returns
    -------
    int
        `arrived`, or 0 if more has arrived than the file has, which cannot be a piece of it.

    Examples
    --------
    >>> resume_from(40, 100), resume_from(100, 100), resume_from(101, 100)
    (40, 100, 0)
    """
    return arrived if arrived <= size else 0


def starts_at(status, content_range, asked):
    """Decide at which byte the body of a server's answer starts.

    Parameters
    ----------
    status : int
        HTTP status, 200 (the whole file) or 206 (a part of it).
    content_range : str or None
        The header `Content-Range`, such as "bytes 40-99/100".
    asked : int
        The byte that was asked for.

    Returns
    -------
    int or None
        `asked` or 0; None if the server sends another part than the one that was asked for.

    Examples
    --------
    >>> starts_at(206, "bytes 40-99/100", 40), starts_at(200, None, 40)
    (40, 0)
    >>> starts_at(206, "bytes 0-99/100", 40) is None
    True
    """
    if status == 200:
        return 0
    match = re.match(r"bytes (\d+)-", content_range or "")
    return asked if match and int(match[1]) == asked else None


def may_help_to_retry(status):
    """Decide whether the same mirror is asked again after an HTTP error.

    Parameters
    ----------
    status : int
        HTTP status.

    Returns
    -------
    bool
        True for troubles that pass: the server's own (5xx), a time-out, too many requests.

    Examples
    --------
    >>> may_help_to_retry(503), may_help_to_retry(404)
    (True, False)
    """
    return status >= 500 or status in (408, 429)


def danger_of(entry):
    """Say what is wrong with an entry of a zip archive, if anything.

    Parameters
    ----------
    entry : zipfile.ZipInfo
        The entry.

    Returns
    -------
    str or None
        The end of a sentence that starts with the entry's name, or None if it is harmless.

    Examples
    --------
    >>> from zipfile import ZipInfo
    >>> danger_of(ZipInfo("../x"))
    'climbs out of its folder'
    >>> danger_of(ZipInfo("GTSRB/x")) is None
    True
    """
    name = entry.filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "is an absolute path"
    if ".." in name.split("/"):
        return "climbs out of its folder"
    # The upper half holds the Unix mode, 0 in archives from systems that have none.
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    return None


# Doing it ---------------------------------------------------------------------------------------


def _download(name, file, path, progress):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    _fill(name, file, part, path, progress)
    os.replace(part, path)


def _fill(name, file, part, path, progress):
    """Complete `part` from the first mirror that can, and check it."""
    reasons, corrupt = [], []
    for url in file.urls:
        failure = _try_mirror(url, file, part, progress)
        if failure is None:
            return
        reasons.append(f"{urlsplit(url).netloc} {failure}")
        corrupt.append(failure.corrupt)
    why = ", and ".join(reasons)
    by_hand = f"or put the file at {path} yourself"
    if all(corrupt):
        raise CorruptError(
            f"{file.name} was downloaded but is not the published file ({why}): "
            f"it was deleted, run `companion fetch {name}` again later, {by_hand}"
        )
    kept = ", which goes on from what has arrived" if _size(part) else ""
    raise DownloadError(
        f"{file.name} could not be downloaded ({why}): check your connection and "
        f"run `companion fetch {name}` again{kept}, {by_hand}"
    )


def _try_mirror(url, file, part, progress):
    """Complete and check `part` from one address; give None, or the last failure."""
    fruitless = 0
    while True:
        arrived = _size(part)
        try:
            _go_on(url, file, part, progress)
            _check(file, part, resumed=arrived > 0)
            return None
        except _FailedTry as e:
            failure = e
        if _size(part) <= arrived:
            fruitless += 1
        if not failure.again or fruitless == ATTEMPTS:
            return failure
        time.sleep(WAIT * fruitless)


def _check(file, part, *, resumed):
    from pooch.hashes import hash_matches

    if not hash_matches(str(part), file.sha256):
        part.unlink()
        # Bytes that an earlier try left may be to blame: once more, from the start.
        raise _FailedTry("sent a file with another sha256", again=resumed, corrupt=True)


def _go_on(url, file, part, progress):
    """Try once to complete `part` from one address."""
    import requests
    from tqdm import tqdm

    asked = resume_from(_size(part), file.size)
    if asked == file.size:
        return
    # "identity", or the server might send .gz files decompressed.
    headers = {"Accept-Encoding": "identity"}
    if asked:
        headers["Range"] = f"bytes={asked}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:
                part.unlink()
                raise _FailedTry(f"has no more than {asked} bytes", again=False, corrupt=True)
            if answer.status_code not in (200, 206):
                raise _FailedTry(
                    f"answered {answer.status_code} {answer.reason}",
                    again=may_help_to_retry(answer.status_code),
                )
            at = starts_at(answer.status_code, answer.headers.get("Content-Range"), asked)
            if at is None:
                part.unlink()
                raise _FailedTry("sent another part of the file than asked", again=True)
            with (
                open(part, "r+b" if at else "wb") as out,
                tqdm(
                    total=file.size,
                    initial=at,
                    unit="B",
                    unit_scale=True,
                    desc=file.name,
                    disable=not progress,
                ) as bar,
            ):
                out.seek(at)
                for piece in answer.iter_content(PIECE):
                    at += len(piece)
                    if at > file.size:
                        break
                    out.write(piece)
                    bar.update(len(piece))
    except requests.RequestException as e:
        # Only the kind: the text of these errors is long and full of addresses of objects.
        raise _FailedTry(f"broke off ({type(e).__name__})", again=True) from e
    if at > file.size:
        part.unlink()
        raise _FailedTry(f"sent more than {file.size} bytes", again=False, corrupt=True)
    if at < file.size:
        raise _FailedTry(f"sent {at} of {file.size} bytes", again=True)


def unpack(path, root, leaves, *, progress=False):
    """Unpack a zip archive so that each result appears whole or not at all.

    Parameters
    ----------
    path : str or path
        The zip archive.
    root : str or path
        The folder under which the results appear.
    leaves : sequence of str
        Files and folders of the archive to keep, relative to `root`; what is there already
        stays as it is, and the rest of the archive is dropped.
    progress : bool
        Show a progress bar.

    Raises
    ------
    UnsafeZipError
        If an entry is an absolute path, climbs out of its folder, or is a link; nothing has been
        written then.
    CorruptError
        If the archive is damaged, or lacks one of `leaves`.
    DiskFullError
        If the disk has no room for the contents; nothing has been written then.

    Examples
    --------
    >>> import tempfile, zipfile
    >>> root = Path(tempfile.mkdtemp())
    >>> with zipfile.ZipFile(root / "a.zip", "w") as archive:
    ...     archive.writestr("folder/file.txt", "text")
    >>> unpack(root / "a.zip", root, ["folder"])
    >>> (root / "folder" / "file.txt").read_text()
    'text'
    """
    from tqdm import tqdm

    path, root = Path(path), Path(root)
    place = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=root))
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for entry in entries:
                if danger := danger_of(entry):
                    raise UnsafeZipError(
                        f"{path} has an entry {entry.filename!r} that {danger}: "
                        "nothing was unpacked, delete the file and fetch it again"
                    )
            needed, free = sum(entry.file_size for entry in entries), shutil.disk_usage(root).free
            if free < needed:
                raise DiskFullError(
                    f"{root} has {_megabytes(free)} free, but unpacking {path.name} takes "
                    f"{_megabytes(needed)}: free some space and fetch again, "
                    "the file is kept until then"
                )
            for entry in tqdm(entries, desc=f"unpack {path.name}", disable=not progress):
                archive.extract(entry, place)
        for leaf in leaves:
            if not (place / leaf).exists():
                raise CorruptError(f"{path} lacks {leaf}: delete the file and fetch it again")
        for leaf in leaves:
            (root / leaf).parent.mkdir(parents=True, exist_ok=True)
            if not (root / leaf).exists():
                os.replace(place / leaf, root / leaf)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as e:
        raise CorruptError(f"{path} is damaged ({e}): delete the file and fetch it again") from e
    finally:
        shutil.rmtree(place, ignore_errors=True)
