"""Files that are whole or absent, and unknown names refused: what all rooms stand on."""

import contextlib
import io
import os
from difflib import get_close_matches
from pathlib import Path


@contextlib.contextmanager
def whole(path):
    """Write a file beside its place, and rename it once it is complete and on the disk.

    A reader, or a process that is killed, finds the old file or the new one. The folder is made
    where it is missing.

    Parameters
    ----------
    path : path-like
        Where the file is to be.

    Yields
    ------
    pathlib.Path
        What to write instead: in the same folder, with the same suffixes. An error inside the
        block removes it and leaves `path` as it was.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "table.csv")
    >>> with whole(path) as part:
    ...     _ = part.write_text("epoch,loss")
    >>> path.read_text(), len(list(path.parent.iterdir()))
    ('epoch,loss', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that write one file must not share what lies beside it.
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # a rename may reach the disk before the data does
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path, text):
    r"""Write a text file as UTF-8, whole or not at all.

    Parameters
    ----------
    path : path-like
    text : str
        Its line ends are kept as they are.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "notes.txt")
    >>> write_text(path, "one\ntwo\n")
    >>> path.read_bytes()
    b'one\ntwo\n'
    """
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def read_arrays(path):
    """Read all arrays of an ``.npz`` file, each checked by its checksum.

    Parameters
    ----------
    path : path-like
        As `numpy.savez` writes it.

    Returns
    -------
    dict of str to numpy.ndarray
        In the file's order.

    Raises
    ------
    OSError
        If the file cannot be opened or read now.
    ValueError
        If it is damaged.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> path = Path(tempfile.mkdtemp(), "counts.npz")
    >>> with whole(path) as part:
    ...     np.savez(part, frames=np.arange(3))
    >>> read_arrays(path)
    {'frames': array([0, 1, 2])}
    """
    import numpy as np

    # Whatever goes wrong once the bytes are here is damage, and not a disk or a permission.
    content = io.BytesIO(Path(path).read_bytes())
    try:
        with np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
        if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{strange[0]} is no array")
    except Exception as error:  # NumPy, zipfile and zlib raise a dozen kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{path} is damaged ({reason}): copy back a whole one, or delete it to do without"
        ) from error
    return arrays


def known(argument, value, names):
    """Refuse a value that is none of the known names, and suggest the nearest one.

    Parameters
    ----------
    argument : str
        What the value was passed as.
    value : object
    names : iterable of str

    Returns
    -------
    object
        The value.

    Raises
    ------
    ValueError
        If it is not among the names.

    Examples
    --------
    >>> known("budget", "quik", ["quick", "full"])
    Traceback (most recent call last):
        ...
    ValueError: budget must be one of quick, full, got 'quik' (did you mean 'quick'?)
    """
    names = list(names)
    if value in names:
        return value
    near = get_close_matches(str(value), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"{argument} must be one of {', '.join(names)}, got {value!r}{hint}")
