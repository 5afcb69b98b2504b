"""Leave out the scripts of sphinx-thebe, which Jupyter Book always loads and no page uses.

They name a library on another site, and say so twice, which browsers report as an error on every
page.
"""


def without_thebe(app, pagename, templatename, context, doctree):
    for key in ("script_files", "css_files"):
        context[key] = [
            file
            for file in context.get(key, [])
            if "thebe" not in f"{file.filename} {file.attributes.get('body')}"
        ]


def setup(app):
    # After all that add files to a page.
    app.connect("html-page-context", without_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
