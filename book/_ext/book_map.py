"""Draw the map of the book: every page, what it needs first, and ways through.

``{book-map}`` in a page becomes a list of all pages; in HTML, lines beside it lead from a page to
those that need it. They are drawn with borders in a grid, so that they follow the text at any
width, on paper and without JavaScript; whoever does not see them reads *after 2 and 3*.
``{book-ways}`` becomes the ways of ``book/map.yml``, with the time that each takes to read.
"""

from html import escape
from typing import ClassVar

import chapter_facts
from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class book_map(nodes.General, nodes.Element):
    """Stand where the map goes, until all pages are read."""


class book_ways(nodes.General, nodes.Element):
    """Stand where the ways go."""


class Place(SphinxDirective):
    """Leave a place for what is known only when all pages are read."""

    kinds: ClassVar = {"book-map": book_map, "book-ways": book_ways}

    def run(self):
        """Give the place."""
        return [self.kinds[self.name]()]


def direct(wanted):
    """Drop from each page's needs those that another of its needs has led through already.

    Parameters
    ----------
    wanted : dict of str to list of str
        What each page needs, every page after those that it needs.
    """
    led = {}
    kept = {}
    for page, needs in wanted.items():
        inner = set().union(*(led.get(need, set()) for need in needs))
        kept[page] = [need for need in needs if need not in inner]
        led[page] = set(needs) | inner
    return kept


def lanes(spans):
    """Give each line a lane such that no two in one lane overlap, short ones innermost (0)."""
    taken = []
    chosen = {}
    for start, end in sorted(spans, key=lambda span: (span[1] - span[0], span)):
        lane = 0
        while any(lane == at and start < b and a < end for at, a, b in taken):
            lane += 1
        taken.append((lane, start, end))
        chosen[start, end] = lane
    return chosen


def after(facts):
    """Say which pages a page comes after: ``after 2 and 3``."""
    names = facts["after"]
    if not names:
        return ""
    *first, last = names
    return "after " + (f"{', '.join(first)} and {last}" if first else last)


def all_facts(env):
    """Give the facts of every page of the parts, in the book's order.

    Raises
    ------
    ValueError
        If ``book/map.yml`` lacks a page, or has one that the book lacks.
    """
    pages = [page for _, each in chapter_facts.parts() for page in each]
    known = {page: chapter_facts.of(env, page) for page in pages}
    listed = set(chapter_facts.table()["pages"])
    if listed != set(known):
        raise ValueError(
            f"book/map.yml must list the pages of _toc.yml, missing: "
            f"{sorted(set(known) - listed)}, too many: {sorted(listed - set(known))}"
        )
    for facts in known.values():
        found = [need for need in known if need in facts["needs"]]
        facts["after"] = [known[need]["number"] or known[need]["title"] for need in found]
    return known


def small_words(facts):
    """Say what is known of a page, without its title."""
    said = []
    if facts["cells"]:
        said.append(f"{facts['minutes']} min")
    if facts["level"]:
        said.append(f"level {facts['level']}")
    if words := after(facts):
        said.append(words)
    return " · ".join(said)


def as_html(app, page, known):
    """Draw the map as HTML: a list, and the lines beside it."""
    rows, items = 1, []
    row_of = {}
    for part, pages in chapter_facts.parts():
        items.append(f'<li class="part" style="grid-row: {rows}">{escape(part)}</li>')
        rows += 1
        for name in pages:
            facts = known[name]
            number = f"{facts['number']}. " if facts["number"] else ""
            where = app.builder.get_relative_uri(page, name)
            title = f'<a href="{where}">{number}{escape(facts["title"])}</a>'
            does = f": {escape(facts['does'])}" if facts["does"] else ""
            details = small_words(facts)
            small = f" <small>({escape(details)})</small>" if details else ""
            items.append(f'<li class="page" style="grid-row: {rows}">{title}{does}{small}</li>')
            row_of[name] = rows
            rows += 1
    numbered = {
        name: [need for need in facts["needs"] if known.get(need, {}).get("number")]
        for name, facts in known.items()
        if facts["number"]
    }
    spans = [
        (row_of[need], row_of[name]) for name, found in direct(numbered).items() for need in found
    ]
    chosen = lanes(spans)
    count = max(chosen.values(), default=-1) + 1
    lines = "".join(
        f'<div class="line" aria-hidden="true" '
        f'style="grid-area: {start} / {count - lane} / {end} / {count + 2}"></div>'
        for (start, end), lane in chosen.items()
    )
    style = f"--rows: {rows - 1}; --lanes: {count}"
    return f'<div class="book-map" style="{style}">{lines}<ul>{"".join(items)}</ul></div>'


def as_list(app, page, known):
    """Give the map as a list of lists, for paper and e-books."""
    outer = nodes.bullet_list()
    for part, pages in chapter_facts.parts():
        inner = nodes.bullet_list()
        for name in pages:
            facts = known[name]
            words = nodes.paragraph()
            if facts["number"]:
                words += nodes.Text(f"{facts['number']}. ")
            words += link(app, page, name, facts["title"])
            if facts["does"]:
                words += nodes.Text(f": {facts['does']}")
            if details := small_words(facts):
                words += nodes.Text(f" ({details})")
            inner += nodes.list_item("", words)
        outer += nodes.list_item("", nodes.paragraph("", part), inner)
    return outer


def ways(app, page, known):
    """List the ways of ``book/map.yml``."""
    found = nodes.bullet_list()
    for way in chapter_facts.table()["ways"]:
        total = sum(known[name]["minutes"] for name in way["pages"])
        words = nodes.paragraph("", "", nodes.strong("", way["who"]))
        words += nodes.Text(f" {way['says']} About {chapter_facts.hours(total)}: ")
        for index, name in enumerate(way["pages"]):
            if index:
                words += nodes.Text(" → ")
            words += link(app, page, name, known[name]["title"])
        words += nodes.Text(".")
        found += nodes.list_item("", words)
    return found


def link(app, page, name, title):
    """Give a link to another page."""
    where = app.builder.get_relative_uri(page, name)
    return nodes.reference("", title, refuri=where, internal=True)


def fill(app, doctree, page):
    """Put the map and the ways where they belong."""
    places = [*doctree.findall(book_map), *doctree.findall(book_ways)]
    if not places:
        return
    known = all_facts(app.env)
    drawn = app.builder.format == "html" and app.builder.name != "epub"
    for place in places:
        if isinstance(place, book_ways):
            place.replace_self(ways(app, page, known))
        elif drawn:
            place.replace_self(nodes.raw("", as_html(app, page, known), format="html"))
        else:
            place.replace_self(as_list(app, page, known))


def setup(app):
    app.setup_extension("chapter_facts")
    app.add_css_file("page-head.css")
    for name in Place.kinds:
        app.add_directive(name, Place)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
