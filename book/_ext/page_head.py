"""Put one small line under a chapter's title: part, level, minutes, and the data that it ran on.

It goes into the page after Sphinx has made it, so that neither the search nor the description that
other sites show speaks of minutes.
"""

from html import escape

import chapter_facts

MEASURED = "as measured when the outputs of this page were computed"


def line(app, page, facts):
    """Give the words of the line as pairs of a class and HTML."""
    pieces = [("part", escape(facts["part"]))]
    if facts["level"]:
        words = f"Level {facts['level']}: {chapter_facts.LEVELS[facts['level']]}"
        pieces.append(("level", escape(words)))
    pieces.append(
        (
            "minutes",
            f'<span title="{escape(chapter_facts.SPEED)}">{facts["minutes"]} min to read</span>',
        )
    )
    if facts["seconds"] is not None:
        took = f"{chapter_facts.duration(facts['seconds'])} to run"
        pieces.append(("seconds", f'<span title="{MEASURED}">{took}</span>'))
    if data := chapter_facts.data_words(facts):
        status = "book/build-status"
        if status in app.env.found_docs:
            where = app.builder.get_relative_uri(page, status)
            data = f'<a href="{where}">data</a>: {escape(data)}'
        else:
            data = f"data: {escape(data)}"
        pieces.append(("data", data))
    return pieces


def add_line(app, pagename, templatename, context, doctree):
    """Write the line below the title of a page with cells."""
    if doctree is None or "facts" not in app.env.metadata.get(pagename, {}):
        return
    facts = chapter_facts.of(app.env, pagename)
    if not facts["part"] or not facts["cells"]:
        return
    pieces = line(app, pagename, facts)
    spans = "".join(f'<span class="{name}">{html}</span> ' for name, html in pieces)
    body = context["body"]
    head, mark, rest = body.partition("</h1>")
    if mark:
        context["body"] = f'{head}{mark}\n<p class="page-head">{spans}</p>{rest}'


def setup(app):
    app.setup_extension("chapter_facts")
    app.add_css_file("page-head.css")
    app.connect("html-page-context", add_line)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
