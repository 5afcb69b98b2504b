"""Keep who learns, what they have solved, and gather it for a teacher."""

import hashlib
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from companion.exercises import bank

SCHEMA = 1
LONGEST_NAME = 60
LARGEST_FILE = 1_000_000  # bytes; a full record has a tenth of it

_chosen = None  # the name given in this session
_unkept = {}  # what could not be written, by learner: it lasts as long as this session
_said = set()  # what has been said once


def folder():
    """Return the folder of this user's progress: `COMPANION_PROGRESS`, or among the user's data."""
    if named := os.environ.get("COMPANION_PROGRESS"):
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("from-kernel-to-cluster", appauthor=False) / "exercises"


def learner(name=None):
    """Say who learns: the numbers of all questions depend on the name.

    It is kept in a file of the user's data folder (or of `COMPANION_PROGRESS`) for the next
    time. The environment variable `COMPANION_LEARNER` takes the place of the file; a name that
    is given here takes the place of both.

    Parameters
    ----------
    name : str, optional
        Any name or number that tells learners apart, up to 60 characters; capitals and spaces
        around it make no difference. Without it, nothing changes.

    Returns
    -------
    str
        The name in use, "" if there is none.

    Raises
    ------
    ValueError
        If `name` is not such a text.

    Notes
    -----
    Used in the exercises of every chapter.

    Examples
    --------
    >>> learner("  Ada ")
    'ada'
    """
    global _chosen
    if name is not None:
        _chosen = _normal(name)
        # Where it cannot be written it lasts as long as this session; `check` says so.
        with suppress(OSError):
            _write(folder() / "learner.json", {"schema": SCHEMA, "learner": _chosen})
    return current_learner()


def current_learner():
    """Return the name in use: of this session, of the environment, of the file, or ""."""
    if _chosen is not None:
        return _chosen
    if (named := os.environ.get("COMPANION_LEARNER")) is not None:
        return _normal(named) if named.strip() else ""
    try:
        return _normal(json.loads((folder() / "learner.json").read_text("utf-8"))["learner"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def keep(who, name, right, slip):
    """Add an attempt to a learner's progress; return what has to be said about it, or ""."""
    path = _path(who)
    note = ""
    try:
        from filelock import FileLock, Timeout

        path.parent.mkdir(parents=True, exist_ok=True)
        # Two notebooks of one learner may answer at the same moment.
        try:
            with FileLock(path.with_suffix(".lock"), timeout=5):
                progress_so_far, note = _read_own(path)
                _add(progress_so_far, name, right, slip)
                _write(path, _record(who, progress_so_far))
        except Timeout:
            raise OSError("another program holds the file") from None
    except OSError as error:
        _add(_unkept.setdefault(who, {}), name, right, slip)
        reason = error.strerror or str(error)
        note = f"Your progress is not kept after this session: {path.parent} ({reason})."
        note = "" if path.parent in _said else note
        _said.add(path.parent)
    return note


def progress():
    """Count what the learner has tried and solved, chapter by chapter.

    Returns
    -------
    pandas.DataFrame
        A row for each chapter with questions, in the order of the book: how many there are, how
        many are solved, how many of each grade, attempts up to the first right answer of each,
        and the first and the last time (UTC).

    Notes
    -----
    Used in the exercises of every chapter.

    Examples
    --------
    >>> progress().loc["why", "questions"]
    np.int64(4)
    """
    import pandas as pd

    tried, rows = _tried(current_learner()), {}
    for chapter, of_chapter in bank.chapters().items():
        done = {q.name: tried[q.name] for q in of_chapter if q.name in tried}
        solved = [q for q in of_chapter if q.name in done and done[q.name]["solved"]]
        rows[chapter] = {
            "questions": len(of_chapter),
            "solved": len(solved),
            **{"★" * grade: sum(q.grade == grade for q in solved) for grade in (1, 2, 3)},
            "attempts": sum(entry["attempts"] for entry in done.values()),
            "first": min((entry["first"] for entry in done.values()), default=""),
            "last": max((entry["last"] for entry in done.values()), default=""),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("chapter")


def hand_in(path):
    """Write a summary of the learner's progress into a file for a teacher.

    Parameters
    ----------
    path : str or path
        The file, whose name ends in ``.json`` and which is replaced if it exists, or a folder,
        which is made if it is missing and in which the file is named after the learner.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If no learner is set, or the file cannot be written.

    Notes
    -----
    The file is JSON that can be read with any editor: the learner's name and, for each question
    that was tried, attempts, times and the slips that were recognised. Nothing else is in it.

    Examples
    --------
    >>> import tempfile
    >>> name = learner("ada")
    >>> hand_in(tempfile.mkdtemp()).name
    'answers-ada.json'
    """
    who = current_learner()
    if not who:
        raise ValueError('learner must be set before handing in: exercises.learner("your name")')
    path = Path(path).expanduser()
    if path.is_dir() or path.suffix != ".json":
        path = path / f"answers-{_slug(who)}.json"
    try:
        _write(path, _record(who, _tried(who)) | {"handed_in": _now()})
    except OSError as error:
        raise ValueError(f"path must be writable, got {path} ({error.strerror})") from None
    return path


def collect(folder, *, by="learner"):
    """Gather the files that a class has handed in.

    A checksum in each file detects that it was changed after it was written: by an accident, an
    editor, half a copy. It does not detect cheating: who can read this program can make a file
    with any content and the right checksum, and who knows a classmate's name can see that one's
    questions. Grade what you have seen done.

    Parameters
    ----------
    folder : str or path
        The folder; every ``.json`` file in it and below it is read.
    by : {"learner", "question"}
        What a row is about.

    Returns
    -------
    pandas.DataFrame
        By learner, a row for each file: the learner, solved questions of each chapter and in
        all, attempts, first and last time (UTC), and a note where a file could not be read, was
        changed by hand, or is one of several of one learner. By question: learners who tried
        it, who solved it, attempts for each learner, and the commonest recognised slip. Files
        that could not be read do not count there.

    Raises
    ------
    ValueError
        If `folder` is no folder, or `by` is not as above.

    Examples
    --------
    >>> import tempfile
    >>> folder, name = tempfile.mkdtemp(), learner("ada")
    >>> file = hand_in(folder)
    >>> collect(folder)["learner"].tolist()
    ['ada']
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise ValueError(f"folder must be a folder of files that were handed in, got {folder}")
    if by not in ("learner", "question"):
        raise ValueError(f'by must be "learner" or "question", got {by!r}')
    records = {str(p.relative_to(folder)): _handed_in(p) for p in sorted(folder.rglob("*.json"))}
    return _by_learner(records) if by == "learner" else _by_question(records)


def _by_learner(records):
    import pandas as pd

    chapters = bank.chapters()
    names = [record["learner"] for record, _ in records.values() if record]
    rows = {}
    for file, (record, note) in records.items():
        row = {"learner": ""} | dict.fromkeys([*chapters, "solved", "attempts"], 0)
        row |= {"first": "", "last": ""}
        if record:
            tried = record["questions"]
            row["learner"] = record["learner"]
            for chapter, of_chapter in chapters.items():
                row[chapter] = sum(tried.get(q.name, {}).get("solved", False) for q in of_chapter)
            row["solved"] = sum(row[chapter] for chapter in chapters)
            row["attempts"] = sum(entry["attempts"] for entry in tried.values())
            row["first"] = min((entry["first"] for entry in tried.values()), default="")
            row["last"] = max((entry["last"] for entry in tried.values()), default="")
            if names.count(record["learner"]) > 1:
                note = "; ".join(filter(None, [note, "several files of this learner"]))
        rows[file] = row | {"note": note}
    columns = ["learner", *chapters, "solved", "attempts", "first", "last", "note"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("file")


def _by_question(records):
    from collections import Counter

    import pandas as pd

    rows = {}
    for chapter, of_chapter in bank.chapters().items():
        for question in of_chapter:
            entries = [r["questions"].get(question.name) for r, _ in records.values() if r]
            entries = [entry for entry in entries if entry]
            slips = Counter()
            for entry in entries:
                slips.update(entry["slips"])
            rows[question.name] = {
                "chapter": chapter,
                "grade": question.grade,
                "tried": len(entries),
                "solved": sum(entry["solved"] for entry in entries),
                "attempts": sum(entry["attempts"] for entry in entries) / max(len(entries), 1),
                "commonest slip": slips.most_common(1)[0][0] if slips else "",
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("question")


def _handed_in(path):
    """Return a record that was handed in, or None, and what has to be said about it."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            return None, "not read: larger than a record can be"
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "no JSON, or only half of it"
        return None, f"not read: {reason}"
    if not _sound(record):
        return None, "not read: not a file of exercises.hand_in, or of another version"
    return record, "" if record.get("checksum") == _checksum(record) else "changed by hand"


def _sound(record):
    """Say whether a record has what the tables are made of: it may come from anywhere."""
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        return False
    tried = record.get("questions")
    return (
        isinstance(record.get("learner"), str)
        and isinstance(tried, dict)
        and all(_sound_entry(entry) for entry in tried.values())
    )


def _sound_entry(entry):
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("attempts"), int)
        and isinstance(entry.get("solved"), bool)
        and isinstance(entry.get("first"), str)
        and isinstance(entry.get("last"), str)
        and isinstance(entry.get("slips"), dict)
        and all(isinstance(count, int) for count in entry["slips"].values())
    )


def _add(tried, name, right, slip):
    now = _now()
    entry = tried.setdefault(
        name, {"attempts": 0, "solved": False, "first": now, "last": now, "slips": {}}
    )
    entry["last"] = now
    if entry["solved"]:
        return  # what is tried after the right answer is play
    entry["attempts"] += 1
    entry["solved"] = right
    if slip:
        entry["slips"][slip] = entry["slips"].get(slip, 0) + 1


def _tried(who):
    """Return what a learner has tried, kept or not."""
    kept, _ = _read_own(_path(who), set_aside=False)
    return kept | _unkept.get(who, {})


def _read_own(path, set_aside=True):
    """Return the questions of a progress file; a damaged one is set aside, not overwritten."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except OSError:
        return {}, ""
    except ValueError:
        record = None
    if _sound(record):
        return record["questions"], ""
    if set_aside:
        os.replace(path, path.with_suffix(".damaged"))
    return {}, f"The file of your progress was damaged and is now {path.stem}.damaged."


def _record(who, tried):
    record = {"schema": SCHEMA, "learner": who, "questions": tried}
    return record | {"checksum": _checksum(record)}


def _checksum(record):
    """Digest what counts; when a file was handed in does not."""
    kept = {key: record[key] for key in ("schema", "learner", "questions")}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path, record):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _path(who):
    return folder() / (f"progress-{_slug(who)}.json" if who else "progress.json")


def _slug(who):
    """Return a name for files that no two learners share."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in who)
    return plain if plain == who else f"{plain}-{hashlib.sha256(who.encode()).hexdigest()[:8]}"


def _normal(name):
    if not isinstance(name, str) or not name.strip() or len(name.strip()) > LONGEST_NAME:
        raise ValueError(f"name must be a text of 1 to {LONGEST_NAME} characters, got {name!r}")
    if not name.strip().isprintable():
        raise ValueError(f"name must hold no line break and no control character, got {name!r}")
    return " ".join(name.split()).casefold()


def _now():
    return datetime.now(UTC).isoformat(timespec="seconds")
