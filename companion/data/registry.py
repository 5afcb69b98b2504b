"""Know the files of each data set: where they come from and what they must hold.

Sizes and digests of the archives are facts about files that others publish; everything that
downloads or recognises a data set looks them up here, and tests pass a registry of their own.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


class DataError(ValueError):
    """Say in one sentence what is wrong with the files of a data set."""


@dataclass(frozen=True)
class RemoteFile:
    """Describe one file of a data set as its publishers offer it.

    Parameters
    ----------
    name : str
        File name, the last part of every address.
    size : int
        Size in bytes.
    sha256 : str
        Digest of the file, hexadecimal.
    mirrors : tuple of str
        Addresses of folders that hold the file, in the order in which they are tried.
    md5 : str, optional
        The digest that the publishers print, for whoever checks a file by hand.
    folder : str
        Where the file is kept, relative to the data folder; for a zip archive, where it lies
        while it is unpacked.
    unpacks_to : tuple of str
        Files and folders that a zip archive leaves, relative to the data folder; empty for a
        file that stays as it is.
    unpacked_size : int
        Bytes of what a zip archive leaves; 0 for a file that stays as it is.

    Examples
    --------
    >>> file = SOURCES["mnist"].files[1]
    >>> file.urls[0]
    'https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz'
    """

    name: str
    size: int
    sha256: str
    mirrors: tuple[str, ...]
    md5: str = ""
    folder: str = ""
    unpacks_to: tuple[str, ...] = ()
    unpacked_size: int = 0

    @property
    def urls(self):
        """Give the full address on each mirror."""
        return tuple(mirror + self.name for mirror in self.mirrors)

    @property
    def leaves(self):
        """Give the paths, relative to the data folder, that a fetch ends with."""
        return self.unpacks_to or (f"{self.folder}/{self.name}",)


@dataclass(frozen=True)
class Source:
    """List the files of one data set, and what they amount to when all are there.

    Parameters
    ----------
    files : tuple of RemoteFile
        Every file, in the order in which they are fetched.
    origin : str
        The origin that the finished data set must turn out to have.
    """

    files: tuple[RemoteFile, ...]
    origin: str = "official"


_GTSRB = ("https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/",)
_MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

SOURCES = {
    # The archive "GTSRB-Training_fixed.zip" at the same address is left out on purpose: it holds
    # only the 26,640 training images of the online competition of 2011.
    "gtsrb": Source(
        files=(
            RemoteFile(
                "GTSRB_Final_Training_Images.zip",
                276_294_756,
                "d32ac4b5fa9a1cbd1994768413902e8193599d9434cf0a8eb9cfd00a6d3a290c",
                _GTSRB,
                md5="f33fd80ac59bff73c82d25ab499e03a3",
                unpacks_to=("GTSRB/Final_Training",),
                unpacked_size=368_000_000,
            ),
            RemoteFile(
                "GTSRB_Final_Test_Images.zip",
                88_978_620,
                "48ba6fab7e877eb64eaf8de99035b0aaecfbc279bee23e35deca4ac1d0a837fa",
                _GTSRB,
                md5="c7e4e6327067d32654124b0fe9e82185",
                unpacks_to=("GTSRB/Final_Test",),
                unpacked_size=119_000_000,
            ),
            RemoteFile(
                "GTSRB_Final_Test_GT.zip",
                99_620,
                "f94e5a7614d75845c74c04ddb26b8796b9e483f43541dd95dd5b726504e16d6d",
                _GTSRB,
                md5="fe31e9c9270bbcd7b84b7f21a9d9d9e5",
                unpacks_to=("GT-final_test.csv",),
                unpacked_size=377_382,
            ),
        )
    ),
    "mnist": Source(
        files=(
            RemoteFile(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                _MNIST,
                md5="f68b3c2dcbeaaa9fbdd348bbdeb94873",
                folder="mnist",
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                _MNIST,
                md5="d53e105ee54ea40749a09fcbcd1e9432",
                folder="mnist",
            ),
            RemoteFile(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                _MNIST,
                md5="9fb629c4189551a2d022fa330f9573f3",
                folder="mnist",
            ),
            RemoteFile(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                _MNIST,
                md5="ec29112dd5afa0611ce80d1b7f02629c",
                folder="mnist",
            ),
        )
    ),
}


def cache_folder():
    """Give the folder of this user's cache where data sets may lie.

    Returns
    -------
    pathlib.Path
        The folder; it need not exist.

    Examples
    --------
    >>> cache_folder().name
    'from-kernel-to-cluster'
    """
    from platformdirs import user_cache_path

    return user_cache_path("from-kernel-to-cluster", appauthor=False)


def temporary_folder():
    """Give the folder that stands in for the user's cache where that cannot be written.

    Returns
    -------
    pathlib.Path
        The folder; it need not exist.

    Examples
    --------
    >>> temporary_folder().name.startswith("from-kernel-to-cluster-")
    True
    """
    # One folder per user: on Unix, the system's temporary folder belongs to all.
    user = os.getuid() if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir()) / f"from-kernel-to-cluster-{user}"


def named_folder():
    """Give the folder that `COMPANION_DATA` names, or None when it names none.

    An empty variable counts as unset, so that `COMPANION_DATA= make book` works as it reads.

    Returns
    -------
    pathlib.Path or None
        The folder, `~` resolved; it need not exist.

    Examples
    --------
    >>> folder = named_folder()
    >>> folder is None or isinstance(folder, Path)
    True
    """
    value = os.environ.get("COMPANION_DATA", "")
    return Path(value).expanduser() if value else None
