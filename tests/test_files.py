"""Files are whole or absent, whatever happens while they are written."""

import numpy as np
import pytest

from companion import files


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "report.json"
    files.write_text(path, "old")

    def fill_the_disk():
        with files.whole(path) as part:
            part.write_text("half")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        fill_the_disk()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "deeper" / "weights.h5"
    with files.whole(path) as part:
        assert part.suffixes == path.suffixes  # Keras insists on the ending
        part.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_two_writers_do_not_share_what_lies_beside(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    with files.whole(path) as ours:
        monkeypatch.setattr("os.getpid", lambda: -1)
        with files.whole(path) as theirs:
            assert theirs != ours
            theirs.write_text("theirs")
        ours.write_text("ours")
    assert path.read_text() == "ours"


def test_line_ends_are_kept(tmp_path):
    files.write_text(tmp_path / "a.csv", "one\r\ntwo\n")
    assert (tmp_path / "a.csv").read_bytes() == b"one\r\ntwo\n"


def test_a_name_without_a_neighbour_gets_no_hint():
    with pytest.raises(ValueError, match=r"recipe must be one of 24x24-L, got 'zebra'$"):
        files.known("recipe", "zebra", ["24x24-L"])
    assert files.known("recipe", "24x24-L", ["24x24-L"]) == "24x24-L"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_damaged_byte_is_noticed_or_without_effect(tmp_path, save):
    path = tmp_path / "answers.npz"
    held = {"rows": np.arange(40), "said": np.array("seven words about what these numbers mean")}
    save(path, **held)
    content = path.read_bytes()
    kinds = set()
    for place in range(len(content)):
        for flip in (0x01, 0xFF):
            path.write_bytes(
                content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]
            )
            found, noticed = {}, None
            try:
                found = files.read_arrays(path)
            except ValueError as error:
                noticed = error
            if noticed:
                assert str(noticed).startswith(f"{path} is damaged (")
                assert "\n" not in str(noticed)
                kinds.add(type(noticed.__cause__))
            for name in found.keys() & held.keys():  # a date or a name, or the list is cut short
                np.testing.assert_array_equal(found[name], held[name])
    assert len(kinds) > 2  # ValueError alone would not do


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_is_damaged(tmp_path, content):
    path = tmp_path / "answers.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"answers\.npz is damaged"):
        files.read_arrays(path)


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        files.read_arrays(tmp_path / "none.npz")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files.Path, "read_bytes", refuse)
    with pytest.raises(PermissionError):
        files.read_arrays(tmp_path / "answers.npz")
