"""What the build tells of chapters: minutes, needs, data, and how the map is laid out."""

import json
import re
import sys
from pathlib import Path

import pytest
from docutils import nodes
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import book_map  # noqa: E402  (found through the line above)
import chapter_facts  # noqa: E402


def container(kind, *children):
    return nodes.container("", *children, nb_element=kind)


def page():
    """Build 300 words of prose, 30 lines of code, and an output that nobody reads."""
    code = "\n\n".join(["x = 1"] * 30)
    return nodes.section(
        "",
        nodes.paragraph("", "word " * 297),
        nodes.paragraph("", "", nodes.strong("", "Before you start")),
        nodes.paragraph(
            "", "", addnodes.pending_xref("", reftarget="b/one", refdomain="doc", reftype="myst")
        ),
        container(
            "cell_code",
            container("cell_code_source", nodes.literal_block("", code)),
            container("cell_code_output", nodes.literal_block("", "printed\n" * 900)),
        ),
        nodes.paragraph(
            "", "", addnodes.pending_xref("", reftarget="b/two", refdomain="doc", reftype="myst")
        ),
    )


def test_prose_and_code_are_counted_and_outputs_are_not():
    assert chapter_facts.effort(page()) == (300, 30)
    assert chapter_facts.minutes(300, 30) == 4  # two of prose, two of code
    assert chapter_facts.minutes(0, 0) == 1
    assert chapter_facts.minutes(4500, 300) == 50


def test_needs_are_the_links_before_the_first_cell():
    assert chapter_facts.needs(page(), {"b/one", "b/two"}) == ["b/one"]
    assert chapter_facts.needs(page(), {"b/two"}) == []


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ('d = open_dataset("mnist")', ["mnist"]),
        ('c = experiment.cooked_data("24x24-L", limits)', ["gtsrb"]),
        ('open_dataset("gtsrb", scale=1.0); open_dataset("mnist")', ["mnist", "gtsrb"]),
        ('E = ["gtsrb-v1"]\nsweep.run(cells, folder)', ["gtsrb"]),
        ('sweep.run(cells, folder)\nexercises.ask("gtsrb-batch")', []),
        ('E = ["gtsrb-v1"]\nlen(sweep.grid(experiment=E))', []),
    ],
)
def test_a_page_s_data_are_those_that_its_cells_open(code, data):
    assert chapter_facts.data_of(code) == data


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("gtsrb-first-network", True),
        ("gtsrb-reports", True),
        ("how-far", True),
        ("keep-in-mind", True),
        ("how-fast", False),  # random pictures
        ("teaching", False),  # stand-ins
        ("gtsrb-batch", False),  # a scheduler's words
        ("convolution", False),
    ],
)
def test_only_what_was_measured_on_the_images_is_said_to_be(page, told):
    text = (ROOT / "book" / f"{page}.md").read_text()
    cells = re.findall(r"```\{code-cell\}.*?\n```", text, re.DOTALL)
    assert chapter_facts.reads_reports("\n".join(cells)) is told
    kept = {path.name for path in (ROOT / "published").iterdir()}
    assert kept >= chapter_facts.NOT_OF_IMAGES


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (chapter_facts.duration(0.2), "a second"),
        (chapter_facts.duration(12.4), "12 s"),
        (chapter_facts.duration(150), "2 min"),
        (chapter_facts.hours(85), "85 minutes"),
        (chapter_facts.hours(180), "3 hours"),
        (chapter_facts.hours(200), "3½ hours"),
    ],
)
def test_times_are_said_as_one_would(said, words):
    assert said == words


def test_the_map_draws_no_line_that_another_implies():
    wanted = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a"], "e": ["c", "d"]}
    assert book_map.direct(wanted) == {"a": [], "b": ["a"], "c": ["b"], "d": ["a"], "e": ["c", "d"]}


def test_lines_in_one_lane_do_not_overlap():
    spans = [(1, 2), (2, 3), (1, 4), (3, 9), (5, 6), (4, 7)]
    chosen = book_map.lanes(spans)
    assert chosen[1, 2] == chosen[2, 3] == 0, "short lines that only touch share the inner lane"
    for one in spans:
        for other in spans:
            if one < other and chosen[one] == chosen[other]:
                assert one[1] <= other[0] or other[1] <= one[0]


def test_npm_installs_the_prebuilt_library_alone():
    """`npm install` would write into the lock all that the library was built from: half a GB."""
    lock = json.loads((ROOT / "book" / "live" / "package-lock.json").read_text())
    assert set(lock["packages"]) == {"", "node_modules/thebe-core"}
    library = lock["packages"]["node_modules/thebe-core"]
    assert library["integrity"].startswith("sha512-")
    assert "resolved" not in library
    wanted = json.loads((ROOT / "book" / "live" / "package.json").read_text())["dependencies"]
    assert wanted == {"thebe-core": library["version"]}
