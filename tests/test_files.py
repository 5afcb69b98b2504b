"""Files are whole or absent, whatever happens while they are written."""

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
