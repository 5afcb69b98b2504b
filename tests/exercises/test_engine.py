"""Questions that answer back: their numbers, their slips, the records, the teacher's table."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from companion import exercises
from companion.exercises import bank, diagnosis, engine, records
from companion.exercises.question import Random, Variant

ROOT = Path(__file__).resolve().parents[2]
LEARNERS = ["", *(f"learner {n}" for n in range(40))]
QUESTIONS = bank.questions()


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Keep progress away from the user's own, and forget what a session has chosen."""
    monkeypatch.setenv("COMPANION_PROGRESS", str(tmp_path / "progress"))
    monkeypatch.delenv("COMPANION_LEARNER", raising=False)
    monkeypatch.setattr(records, "_chosen", None)
    monkeypatch.setattr(records, "_unkept", {})
    monkeypatch.setattr(records, "_said", set())
    return tmp_path / "progress"


def right_answer(name):
    return bank.variant(name, records.current_learner()).right


# --- questions -----------------------------------------------------------------------------------


def chapters_with_exercises():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return {
        Path(file).name for file in files if "\n## Exercises" in (ROOT / f"{file}.md").read_text()
    }


def test_every_chapter_has_four_questions_in_three_grades():
    grades = {}
    for question in QUESTIONS.values():
        grades.setdefault(question.chapter, []).append(question.grade)
    assert set(grades) == chapters_with_exercises()
    for chapter, found in grades.items():
        assert len(found) >= 4, chapter
        assert set(found) == {1, 2, 3}, chapter


@pytest.mark.parametrize("chapter", sorted(chapters_with_exercises()))
def test_every_chapter_asks_its_questions(chapter):
    text = (ROOT / "book" / f"{chapter}.md").read_text()
    assert f'exercises.ask("{chapter}")' in text
    example = re.search(r'`exercises\.check\("([^"]+)", ', text).group(1)
    assert QUESTIONS[example].chapter == chapter


def in_every_question(faults_of):
    """List what a function finds in each question, so that one fault hides no other."""
    return [f"{name}: {fault}" for name in QUESTIONS for fault in faults_of(name)]


def test_the_right_answer_is_accepted_and_each_slip_is_named():
    """For many learners: a slip never leads to the right answer, nor to another slip's."""

    def faults_of(name):
        for learner in LEARNERS:
            numbers = QUESTIONS[name].variant(learner)
            if not numbers.unambiguous():
                yield f"ambiguous for {learner!r}"
            if engine._read(numbers.right, numbers) is None:
                yield f"the right answer of {learner!r} is not of its kind"
            if len(numbers.slips) < (2 if numbers.choices else 3):
                yield f"too few slips for {learner!r}"
            for slip, (answer, reason) in numbers.slips.items():
                given = engine._read(answer, numbers)
                if numbers.kind in ("integer", "shape") and given != answer:
                    yield f"{slip!r} leads {learner!r} to {answer}, no such answer"
                said = diagnosis.diagnose(given, numbers, "")
                if said != ("" if numbers.choices else slip, reason):
                    yield f"{slip!r} of {learner!r} is taken for {said}"

    assert in_every_question(faults_of) == []


def test_check_says_right_or_names_the_slip():
    exercises.learner("ada")

    def faults_of(name):
        numbers = bank.variant(name, "ada")
        for slip, (answer, reason) in numbers.slips.items():
            verdict = exercises.check(name, answer)
            named = "" if numbers.choices else slip
            if verdict or (verdict.slip, verdict.message) != (named, reason):
                yield f"{slip!r} is answered with {verdict!r}"
        verdict = exercises.check(name, numbers.right)
        if not verdict or verdict.message != numbers.why or "Right." not in repr(verdict):
            yield f"the right answer is answered with {verdict!r}"
        if "<strong>Right.</strong>" not in verdict._repr_html_():
            yield f"a page says {verdict._repr_html_()}"

    assert in_every_question(faults_of) == []


def test_learners_do_not_share_their_numbers():
    def faults_of(name):
        texts = {QUESTIONS[name].variant(f"learner {n}").text for n in range(30)}
        if len(texts) <= (1 if bank.variant(name, "").choices else 8):
            yield f"30 learners have {len(texts)} variants"

    assert in_every_question(faults_of) == []


def test_numbers_are_the_same_on_every_machine():
    """Python promises this of random() alone: a value that was written down once."""
    draw = Random("ada", "padding-output-size", 0)
    assert [draw.integer(1, 1000) for _ in range(5)] == [93, 472, 756, 239, 172]
    assert QUESTIONS["why-neurons"].variant("ada").right == 206_206


# --- answers -------------------------------------------------------------------------------------


def verdict(right, given, **options):
    numbers = Variant("?", right, "So it is.", options.pop("slips", {}), **options)
    return diagnosis.diagnose(engine._read(given, numbers), numbers, "Begin so.")


@pytest.mark.parametrize(
    ("right", "given", "slip"),
    [
        (26, 27, "off by one"),
        (26, 25, "off by one"),
        (26, -26, "sign"),
        (2_000, 2, "unit"),
        (0.25, 25, "percent against share"),
        (25.0, 0.25, "share against percent"),
        (0.2, 0.8, "the other part"),
        (0.2, -0.2, "sign"),
        ((26, 20, 8), (20, 26, 8), "order of the axes"),
        ((26, 20, 8), (26, 20), "number of axes"),
        (np.array([[1, 2], [3, 4]]), [[1, 3], [2, 4]], "rows and columns"),
        (np.array([[1, 2], [3, 4]]), [[4, 3], [2, 1]], "turned"),
        (np.array([1, 2, 4]), [-1, -2, -4], "sign"),
        (np.array([1, 2, 4]), [3, 4, 6], "a constant"),
        (np.array([1, 2, 4]), [1, 2], "shape"),
    ],
)
def test_common_slips_are_recognised_in_every_question(right, given, slip):
    assert verdict(right, given)[0] == slip


@pytest.mark.parametrize(
    ("right", "given", "words"),
    [
        (26, 40, "too large. Begin so."),
        (0.25, 0.1, "too small. Begin so."),
        ((26, 20, 8), (26, 20, 9), "2 of the 3 numbers are right; number 3 is not. Begin so."),
        (np.array([1, 2, 4]), [1, 3, 9], "the first that is not stands at index 1. Begin so."),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 9]], "stands at index (1, 1). Begin so."),
    ],
)
def test_an_unknown_slip_says_where_and_how_to_begin(right, given, words):
    slip, message = verdict(right, given)
    assert slip == ""
    assert words in message


@pytest.mark.parametrize(
    ("right", "given"),
    [
        (26, np.int64(26)),
        (26, 26.0),
        (26, np.array(26)),
        (0.25, np.float32(0.2501)),
        ((26, 8), [26, 8]),
        ((26, 8), np.array([26, 8])),
        (np.array([1, 2]), [1.0, 2.0]),
        (np.array([1, 2]), (1, 2)),
    ],
)
def test_answers_may_come_in_any_type_of_their_kind(right, given):
    numbers = Variant("?", right, "", {})
    assert numbers.same(engine._read(given, numbers), right)


def test_a_choice_is_its_letter_or_its_text():
    numbers = bank.variant("gtsrb-batch-exit-code", "")
    letter = "abcd"[numbers.choices.index(numbers.right)]
    for given in (letter, letter.upper(), f"{letter})", numbers.right, f" {numbers.right} "):
        assert exercises.check("gtsrb-batch-exit-code", given)


@pytest.mark.parametrize("given", ["26", True, None, float("nan"), 26.5, (26,), [[26]], 1j])
def test_a_wrong_type_is_one_sentence_and_no_attempt(given, own_folder):
    with pytest.raises(ValueError, match=r"^answer must be an integer such as 26, got ") as caught:
        exercises.check("why-neurons", given)
    assert "\n" not in str(caught.value)
    assert exercises.progress()["attempts"].sum() == 0


def test_an_unknown_name_is_one_sentence_with_the_nearest():
    with pytest.raises(ValueError, match=r"got 'why-neuron' \(did you mean 'why-neurons'"):
        exercises.check("why-neuron", 26)
    with pytest.raises(ValueError, match=r"got 'pooling-maxx' \(did you mean 'pooling-max'"):
        exercises.ask("pooling-maxx")
    with pytest.raises(ValueError, match="name must be"):
        exercises.ask(3)


def test_ask_shows_a_chapter_in_text_and_in_html():
    asked = exercises.ask("gtsrb-batch")
    assert [question.chapter for question, _ in asked.items] == ["gtsrb-batch"] * 5
    text, html = repr(asked), asked._repr_html_()
    for question, numbers in asked.items:
        assert question.name in text
        assert f"<code>{question.name}</code>" in html
        assert f'aria-label="grade {question.grade} of 3"' in html
        assert html.count("<li>") >= len(numbers.choices)
    assert max(map(len, text.splitlines())) <= 100
    assert len(exercises.ask().items) == len(QUESTIONS)
    assert "No learner is set" in text
    exercises.learner("<b>Ada</b>")
    assert "&lt;b&gt;ada" in exercises.ask("why-neurons")._repr_html_()


# --- records -------------------------------------------------------------------------------------


def test_the_learner_is_kept_in_a_file_and_the_environment_goes_before(monkeypatch):
    assert exercises.learner() == ""
    assert exercises.learner(" Ada  Lovelace ") == "ada lovelace"
    monkeypatch.setattr(records, "_chosen", None)  # another session
    assert exercises.learner() == "ada lovelace"
    monkeypatch.setenv("COMPANION_LEARNER", "Grace")
    assert exercises.learner() == "grace"
    monkeypatch.setenv("COMPANION_LEARNER", "")
    assert exercises.learner() == "", "a build asks for nobody's numbers"
    assert exercises.learner("Emmy") == "emmy"


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, 7, "a\nb\x00"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="name must"):
        exercises.learner(name)


def test_progress_counts_until_the_first_right_answer():
    exercises.learner("ada")
    right = right_answer("why-neurons")
    for answer in (right + 1, right, right + 1, right):
        exercises.check("why-neurons", answer)
    row = exercises.progress().loc["why"]
    assert (row["questions"], row["solved"], row["attempts"]) == (4, 1, 2)
    assert (row["★"], row["★★"], row["★★★"]) == (1, 0, 0)
    assert row["first"] <= row["last"]
    exercises.learner("grace")
    assert exercises.progress()["attempts"].sum() == 0


def test_two_programs_may_answer_at_once(own_folder):
    program = "from companion import exercises as e; [e.check('why-neurons', 1) for _ in range(10)]"
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert exercises.progress().loc["why", "attempts"] == 20


def unwritable(monkeypatch, tmp_path):
    """Name a folder below a file: nobody can make it, not even root."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COMPANION_PROGRESS", str(tmp_path / "file" / "progress"))


def test_where_nothing_can_be_written_it_answers_and_says_so_once(monkeypatch, tmp_path):
    unwritable(monkeypatch, tmp_path)
    assert exercises.learner("ada") == "ada"
    first = exercises.check("why-neurons", 1)
    second = exercises.check("why-neurons", right_answer("why-neurons"))
    assert "progress is not kept" in first.note
    assert "progress is not kept" in repr(first)
    assert not first.right
    assert second.right
    assert second.note == ""
    assert exercises.progress().loc["why", "attempts"] == 2, "this session is remembered"
    assert exercises.collect(exercises.hand_in(tmp_path).parent)["solved"].tolist() == [1]


def test_a_damaged_file_is_set_aside(own_folder):
    exercises.learner("ada")
    exercises.check("why-neurons", 1)
    path = own_folder / "progress-ada.json"
    path.write_text(path.read_text()[:50])
    verdict = exercises.check("why-neurons", 1)
    assert "damaged" in verdict.note
    assert (own_folder / "progress-ada.damaged").exists()
    assert exercises.progress().loc["why", "attempts"] == 1


def hand_in_as(name, folder, solve=("why-neurons",), wrong=()):
    exercises.learner(name)
    for question in wrong:
        slip, _ = next(iter(bank.variant(question, name).slips.values()))
        exercises.check(question, slip)
    for question in solve:
        exercises.check(question, right_answer(question))
    return exercises.hand_in(folder)


def test_a_class_hands_in_and_a_teacher_collects(tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    hand_in_as("ada", folder, solve=["why-neurons", "pooling-max"], wrong=["why-neurons"])
    hand_in_as("Grace Hopper", folder, solve=[], wrong=["why-neurons"])
    table = exercises.collect(folder).set_index("learner")
    assert table.loc["ada", ["why", "pooling", "solved", "attempts"]].tolist() == [1, 1, 2, 3]
    assert table.loc["grace hopper", ["solved", "attempts"]].tolist() == [0, 1]
    assert table["note"].tolist() == ["", ""]
    by_question = exercises.collect(folder, by="question")
    row = by_question.loc["why-neurons"]
    assert (row["tried"], row["solved"], row["attempts"]) == (2, 1, 1.5)
    assert row["commonest slip"] == "bias forgotten"
    assert len(by_question) == len(QUESTIONS)


def test_handing_in_leaves_one_whole_file_and_replaces_the_last(tmp_path):
    path = hand_in_as("ada", tmp_path / "ada.json", solve=[])
    assert hand_in_as("ada", path) == path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ada.json", "progress"]
    assert exercises.collect(tmp_path).loc["ada.json", "solved"] == 1


def test_handing_in_to_a_folder_that_is_missing_makes_it(tmp_path):
    path = hand_in_as("ada", tmp_path / "inbox")
    assert path == tmp_path / "inbox" / "answers-ada.json"
    assert exercises.collect(tmp_path / "inbox")["learner"].tolist() == ["ada"]
    (tmp_path / "note").write_text("mine")
    with pytest.raises(ValueError, match="path must be writable"):
        exercises.hand_in(tmp_path / "note")
    assert (tmp_path / "note").read_text() == "mine"


def test_collect_says_what_it_could_not_read_and_what_was_changed(tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    good = hand_in_as("ada", folder)
    record = json.loads(good.read_text())
    record["questions"]["why-sharing"] = record["questions"]["why-neurons"]
    (folder / "edited.json").write_text(json.dumps(record))
    (folder / "half.json").write_text(good.read_text()[:80])
    (folder / "other.json").write_text('{"some": "thing"}')
    (folder / "list.json").write_text("[1, 2]")
    (folder / "latin.json").write_bytes('{"learner": "Zoé"}'.encode("latin-1"))
    (folder / "huge.json").write_text(" " * (records.LARGEST_FILE + 1))
    (folder / "folder.json").mkdir()
    wrong = record | {"questions": {"why-neurons": {"attempts": "many"}}}
    (folder / "wrong.json").write_text(json.dumps(wrong))
    notes = exercises.collect(folder)["note"]
    assert notes[good.name] == "several files of this learner"
    assert notes["edited.json"] == "changed by hand; several files of this learner"
    assert "half" in notes["half.json"]
    for name in ("half", "other", "list", "latin", "huge", "folder", "wrong"):
        assert notes[f"{name}.json"].startswith("not read: "), name
    assert exercises.collect(folder)["solved"].sum() == 3


def test_the_checksum_does_not_depend_on_how_the_file_is_laid_out(tmp_path):
    path = hand_in_as("zoé", tmp_path / "class" / "zoe.json")
    path.write_text(json.dumps(json.loads(path.read_text("utf-8"))))
    assert exercises.collect(path.parent).loc["zoe.json", "note"] == ""


def test_handing_in_needs_a_learner_and_a_place(tmp_path):
    with pytest.raises(ValueError, match="learner must be set"):
        exercises.hand_in(tmp_path)
    exercises.learner("ada")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="path must be writable"):
        exercises.hand_in(tmp_path / "file" / "ada.json")
    with pytest.raises(ValueError, match="folder must be"):
        exercises.collect(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="by must be"):
        exercises.collect(tmp_path, by="class")


def test_names_of_files_are_safe_and_differ(own_folder):
    slugs = {records._slug(name) for name in ("../a", "..-a", "a", "é", "ü", "a b", "a-b")}
    assert len(slugs) == 7
    assert all(re.fullmatch(r"[A-Za-z0-9-]+", slug) for slug in slugs)


def test_the_import_is_quick_and_light():
    program = (
        "import time, companion; t = time.perf_counter(); import companion.exercises\n"
        "import sys; print(time.perf_counter() - t, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    seconds, *loaded = done.stdout.split()
    assert not {"keras", "jax", "pandas", "numpy", "matplotlib"} & set(loaded)
    assert float(seconds) < 0.3


def test_asking_and_checking_need_no_network_and_no_deep_learning():
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a network was asked')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from companion import exercises as e\n"
        "repr(e.ask()); e.check('why-neurons', 1)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"keras", "jax", "pandas"} & set(done.stdout.split())
