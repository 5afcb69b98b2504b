"""The quiz directive: what a page holds, what other formats say, and its use in a browser."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = f"""
import sys
sys.path.insert(0, {str(ROOT / "book" / "_ext")!r})
project = "Quizzes"
extensions = ["myst_parser", "quiz"]
myst_enable_extensions = ["dollarmath"]
html_static_path = [{str(ROOT / "book" / "web")!r}]
html_css_files = ["book.css"]
copyright = "nobody"
version = "1"
"""
PAGE = """# Quizzes

~~~{quiz} How many places has a 3×3 window on $5 × 7$ `pixels`?
:name: quiz-places

- [ ] 24

  Off by one.

- [ ] 35

  It would hang over.

- [x] 15, or $3 · 5$

  There are *three* rows of places.

  And five in each.
~~~

```{quiz} Another?
:name: quiz-other

- [x] Yes

  It has its own choices.

- [ ] No

  It has.
```

"""


def build(folder, builder, page=PAGE):
    folder.mkdir(exist_ok=True)
    (folder / "conf.py").write_text(CONFIGURATION)
    (folder / "index.md").write_text(f"{page}\n```{{toctree}}\nplain\n```\n")
    (folder / "plain.md").write_text("# Plain\n\nNo quiz here.\n")
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", builder]
    out = folder / "_build" / builder
    words += ["-d", str(folder / "_build" / "doctrees")]  # the epub would warn of them
    done = subprocess.run([*words, str(folder), str(out)], capture_output=True, text=True)
    return done, out


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    done, out = build(tmp_path_factory.mktemp("quiz") / "book", "html")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def quizzes(site):
    return BeautifulSoup((site / "index.html").read_text(), "html.parser").select(".quiz")


def test_a_quiz_is_a_fieldset_of_radio_buttons_with_labels(quizzes):
    first, second = quizzes
    assert first["id"] == "quiz-places"
    legend = first.fieldset.legend
    assert legend.get_text().startswith("How many places")
    assert legend.find(class_="math")
    assert legend.code.get_text() == "pixels"
    radios = first.select("label > input[type=radio]")
    assert {radio["name"] for radio in radios} == {"quiz-places"}
    shown = ["false", "true", "false"]  # written last: the order follows from the name alone
    assert [radio["data-right"] for radio in radios] == shown
    assert {radio["name"] for radio in second.select("input")} == {"quiz-other"}
    assert "[x]" not in first.get_text()


def test_every_choice_has_its_reason_without_a_script(quizzes):
    reasons = [reason.get_text(" ", strip=True) for reason in quizzes[0].select("details")]
    assert "Not this one. Off by one." in reasons[0]
    assert "Right." in reasons[1]
    assert "And five in each." in reasons[1]
    assert quizzes[0].select_one("[aria-live=polite]").get_text() == ""


def test_script_and_style_are_on_pages_with_a_quiz_alone(site):
    page, plain = ((site / name).read_text() for name in ("index.html", "plain.html"))
    for name in ("quiz.js", "quiz.css"):
        assert name in page
        assert name not in plain
        assert (site / "_static" / name).is_file()
    script = re.search(r"<script[^>]*quiz\.js[^>]*>", page).group()
    assert "defer" in script
    assert "module" not in script, "browsers refuse modules to a page opened from a disk"


@pytest.mark.parametrize("builder", ["text", "latex", "epub"])
def test_where_nothing_can_be_chosen_the_answer_stands_at_the_end(tmp_path, builder):
    done, out = build(tmp_path / "book", builder)
    assert done.returncode == 0, done.stderr
    file = {"text": "index.txt", "latex": "quizzes.tex", "epub": "index.xhtml"}[builder]
    text = (out / file).read_text()
    if builder == "epub":
        text = BeautifulSoup(text, "html.parser").get_text(" ")
        assert "<input" not in (out / file).read_text()
    text = text[text.index("How many places") :]  # above it the date stands, which may be a 24th
    places = [text.find(words) for words in ("How many places", "24", "35", "Answer: b)")]
    assert -1 not in places, text
    assert places == sorted(places)
    assert text.find("It would hang over") > text.find("Answer: b)")


FAULTS = {
    "no name": ("```{quiz} Why?\n- [x] A\n\n  Yes.\n\n- [ ] B\n\n  No.\n```", "must have a :name:"),
    "no list": ("```{quiz} Why?\n:name: a\\n\nBecause.\n```", "must hold one list of choices"),
    "no reason": (
        "```{quiz} Why?\n:name: b\\n\n- [x] A\n\n  Yes.\n\n- [ ] B\n```",
        "have its reason in a paragraph below, got '[ ] B'",
    ),
    "no mark": (
        "```{quiz} Why?\n:name: c\\n\n- A\n\n  Yes.\n\n- [x] B\n\n  No.\n```",
        "must begin with [ ] or [x]",
    ),
    "two right": (
        "```{quiz} Why?\n:name: d\\n\n- [x] A\n\n  Yes.\n\n- [x] B\n\n  No.\n```",
        "one of them marked [x], got 2 with 2 marked",
    ),
    "none right": (
        "```{quiz} Why?\n:name: e\\n\n- [ ] A\n\n  Yes.\n\n- [ ] B\n\n  No.\n```",
        "got 2 with 0 marked",
    ),
}


def test_a_quiz_that_is_written_wrong_fails_the_build_in_one_sentence(tmp_path):
    page = "# Quizzes\n\n" + "\n\n".join(text for text, _ in FAULTS.values())
    done, _ = build(tmp_path / "book", "html", page)
    assert done.returncode != 0
    for name, (_, words) in FAULTS.items():
        assert words in done.stderr, f"{name}:\n{done.stderr}"


def chapters():
    return sorted((ROOT / "book").glob("*.md"))


QUIZ = re.compile(r"^([`~]{3})\{quiz\}[^\n]*\n:name: (\S+)\n.*?^\1$", re.M | re.S)


def test_the_book_has_quizzes_whose_names_differ():
    names = [quiz[2] for path in chapters() for quiz in QUIZ.finditer(path.read_text())]
    assert len(names) >= 34
    assert len(set(names)) == len(names)


def test_no_place_holds_more_than_half_of_the_right_answers(tmp_path):
    written = [quiz[0] for path in chapters() for quiz in QUIZ.finditer(path.read_text())]
    done, out = build(tmp_path / "book", "html", "# Quizzes\n\n" + "\n\n".join(written))
    assert done.returncode == 0, done.stderr
    page = BeautifulSoup((out / "index.html").read_text(), "html.parser")
    shown = [[i["data-right"] for i in quiz.select("input")] for quiz in page.select(".quiz")]
    places = Counter(marks.index("true") for marks in shown)
    assert places.total() == len(written)
    assert max(places.values()) <= len(written) / 2, places


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_question_with_code_stands_behind_tildes(path):
    """Behind backticks it would be no directive, and the page would show its source."""
    assert re.findall(r"^```\{quiz\}.*`.*$", path.read_text(), re.M) == []


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture
def opened(chromium, site):
    """Open the page from the disk, and fail on whatever the quiz complains about."""
    errors = []

    def go(**options):
        page = chromium.new_page(**options)
        page.set_default_timeout(10_000)  # ms
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((site / "index.html").as_uri())
        return page

    yield go
    assert errors == []


@pytest.mark.browser
def test_the_keyboard_alone_chooses_and_the_reason_is_said(opened):
    page = opened()
    page.locator("#quiz-places input").first.focus()
    said = page.locator("#quiz-places .quiz-said")
    assert said.inner_text() == ""
    page.keyboard.press("Space")
    assert "Not this one." in said.inner_text()
    assert "Off by one." in said.inner_text()
    page.keyboard.press("ArrowDown")
    assert "Right." in said.inner_text()
    assert "And five in each." in said.inner_text()
    assert "Off by one." not in said.inner_text()
    assert page.locator("#quiz-places .quiz-right").count() == 1
    assert page.locator("#quiz-places .quiz-wrong").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "quiz-other", "one stop for each quiz"
    assert page.locator("#quiz-other .quiz-said").inner_text() == ""


@pytest.mark.browser
def test_a_touch_on_the_words_chooses(opened):
    page = opened(has_touch=True, viewport={"width": 320, "height": 800})
    page.get_by_text("It would hang over").wait_for(state="hidden")
    page.locator("#quiz-places label").nth(2).tap()
    assert "It would hang over" in page.locator("#quiz-places .quiz-said").inner_text()
    box = page.locator("#quiz-places label").first.bounding_box()
    assert box["height"] >= 24
    quiz = page.locator("#quiz-places").bounding_box()
    assert quiz["x"] + quiz["width"] <= 320


@pytest.mark.browser
def test_a_screen_reader_hears_question_choices_and_state(opened):
    page = opened()
    group = page.get_by_role("group", name=re.compile("How many places"))
    assert group.get_by_role("radio").count() == 3
    group.get_by_role("radio", name="24").check()
    assert group.get_by_role("radio", name=re.compile("24"), checked=True).count() == 1


@pytest.mark.browser
def test_without_scripts_each_reason_is_folded_below_its_choice(opened):
    page = opened(java_script_enabled=False)
    details = page.locator("#quiz-places details")
    assert details.count() == 3
    assert not page.get_by_text("Off by one.").is_visible()
    details.first.locator("summary").click()
    assert page.get_by_text("Off by one.").is_visible()


@pytest.mark.browser
@pytest.mark.parametrize("scripts", [True, False])
def test_on_paper_all_reasons_can_be_read(opened, scripts):
    page = opened(java_script_enabled=scripts)
    page.emulate_media(media="print")
    for words in ("Off by one.", "And five in each.", "It would hang over.", "It has."):
        shown = page.locator(".quiz-reason").get_by_text(words, exact=True)
        assert shown.is_visible(), words
        assert shown.bounding_box()["height"] > 8
    assert not page.locator(".quiz summary").first.is_visible()
