"""Place a widget in a page, with a figure and a text for readers who cannot run it.

A chapter writes::

    ```{widget} convolution
    :settings: {"image": "slide"}
    :figure: convolution
    :alt: What the figure shows.
    :data: digit

    The text for print, PDF and readers without JavaScript.
    ```

In HTML this becomes the custom element ``<kc-convolution>`` around the figure and the text, and
the page asks for ``_static/widgets/convolution.js``; elsewhere the figure and the text stay.
``settings`` is JSON for the widget, ``figure`` a function of `widget_figures` (or the path of a
picture), ``data`` functions of `widget_data` whose results travel in scripts beside the page.

Browsers load no ES module from ``file://``, so the modules of ``book/web`` are joined into one
classic script for each widget. `bundle` knows the two forms that these modules use and refuses
any other: ``import { a, b } from "./name.js";`` and ``export`` before a function, class or const.
"""

import json
import re
from html import escape
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

WEB = Path(__file__).resolve().parents[1] / "web"
FIGURES = "_build/widget-figures"
IMPORT = re.compile(r'^import \{([\w\s,$]+)\} from "\./([\w-]+)\.js";$', re.MULTILINE)
EXPORT = re.compile(
    r"^export (?=(?:async function|function\*?|class|const) ([\w$]+))", re.MULTILINE
)
OTHER = re.compile(r"^\s*(?:import|export)\b.*|.*\bimport(?:\(|\.meta).*", re.MULTILINE)


def bundle(name, folder=WEB):
    """Join the module ``name.js`` and what it imports into one classic script.

    Raises
    ------
    ValueError
        If a module is missing, has an import or export of another form, imports a name that is not
        exported, or imports itself through others.
    """
    modules = {}
    _collect(name, Path(folder), modules, ())
    parts = [
        f"modules[{json.dumps(each)}] = (() => {{\n{code}\n}})();" for each, code in modules.items()
    ]
    return '(() => {\n"use strict";\nconst modules = {};\n' + "\n".join(parts) + "\n})();\n"


def exported(name, folder=WEB):
    """List the names that the module ``name.js`` exports."""
    return EXPORT.findall((Path(folder) / f"{name}.js").read_text(encoding="utf-8"))


def _collect(name, folder, modules, above):
    """Put the wrapped code of a module into `modules`, after that of all it imports."""
    if name in above:
        raise ValueError(f"{' -> '.join((*above, name))}: a module must not import itself")
    if name in modules:
        return
    path = folder / f"{name}.js"
    if not path.is_file():
        asker = f", which {above[-1]}.js imports" if above else ""
        raise ValueError(f"{path.name}{asker}, must exist in {folder.name}/, and does not")
    source = path.read_text(encoding="utf-8")
    for names, other in IMPORT.findall(source):
        _collect(other, folder, modules, (*above, name))
        wanted = {each.strip() for each in names.split(",")} - {""}
        if missing := wanted - set(exported(other, folder)):
            raise ValueError(f"{name}.js imports {sorted(missing)}, which {other}.js lacks")
    code = IMPORT.sub(r'const {\1} = modules["\2"];', source)
    code = EXPORT.sub("", code)
    if found := OTHER.search(code):
        raise ValueError(
            f'{name}.js must import as in `import {{ a }} from "./b.js";` and export functions, '
            f"classes and constants where they are defined, got `{found.group().strip()}`"
        )
    modules[name] = f"{code}\nreturn {{ {', '.join(exported(name, folder))} }};"


def data_script(name):
    """Give the script that hands the widget what ``widget_data.<name>()`` returns, and says so."""
    import widget_data

    value = json.dumps(getattr(widget_data, name)(), separators=(",", ":"))
    # Large data comes when the page is there already, see lean.py.
    said = 'dispatchEvent(new Event("kc-data"));'
    return f"(globalThis.kcData ??= {{}})[{json.dumps(name)}] = {value};\n{said}\n"


class widget_node(nodes.Element):
    """Hold the figure and the text; in HTML, become the widget around them."""


class Widget(SphinxDirective):
    """Read the directive, and draw its figure."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = dict.fromkeys(
        ("settings", "figure", "alt", "data"), directives.unchanged_required
    )

    def run(self):
        """Give the node, or say what the directive lacks."""
        name = self.arguments[0]
        try:
            settings = json.loads(self.options.get("settings", "{}"))
            bundle(name)
        except ValueError as error:
            raise self.error(f"widget {name}: {error}") from error
        data = [each.strip() for each in self.options.get("data", "").split(",") if each.strip()]
        node = widget_node(widget=name, settings=settings, data=data)
        if "figure" in self.options:
            if "alt" not in self.options:
                raise self.error(f"widget {name}: a figure must have an alt text")
            node += nodes.image(uri=self.figure(), alt=self.options["alt"])
        if not "".join(self.content).strip():
            raise self.error(f"widget {name}: must say something to readers without JavaScript")
        self.state.nested_parse(self.content, self.content_offset, node)
        self.env.note_dependency(__file__)
        return [node]

    def figure(self):
        """Draw the figure for screen and for paper; give the path, with a star for its ending."""
        name = self.options["figure"]
        if "." in name:
            return name
        import widget_figures

        folder = Path(self.env.srcdir) / FIGURES
        folder.mkdir(parents=True, exist_ok=True)
        if not hasattr(widget_figures, name):
            raise self.error(f"widget_figures must have a function {name}")
        widget_figures.save(getattr(widget_figures, name), folder / name)
        return f"/{FIGURES}/{name}.*"


def runs_scripts(builder):
    return builder.format == "html" and builder.name != "epub"


def visit_html(self, node):
    if runs_scripts(self.builder):
        settings = escape(json.dumps(node["settings"]), quote=True)
        self.body.append(f'<kc-{node["widget"]} class="kc-widget" data-settings="{settings}">')
        self.body.append('<div class="kc-fallback">')


def depart_html(self, node):
    if runs_scripts(self.builder):
        self.body.append(f"</div></kc-{node['widget']}>\n")


def keep_children(self, node):
    """Show the figure and the text as they are."""


def add_scripts(app, pagename, templatename, context, doctree):
    """Let a page ask for the scripts of its own widgets alone."""
    if doctree is None or not runs_scripts(app.builder):
        return
    scripts = {}
    for node in doctree.findall(widget_node):
        for name in node["data"]:
            scripts[f"widgets/data-{name}.js"] = lambda name=name: data_script(name)
        scripts[f"widgets/{node['widget']}.js"] = lambda name=node["widget"]: bundle(name)
    for path, make in scripts.items():
        target = Path(app.outdir) / "_static" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(make(), encoding="utf-8")
        # Without the word a browser asks for one or two deferred scripts at a time.
        app.add_js_file(path, loading_method="defer", fetchpriority="high")


def setup(app):
    app.add_directive("widget", Widget)
    others = dict.fromkeys(("latex", "text", "man", "texinfo"), (keep_children, keep_children))
    app.add_node(widget_node, html=(visit_html, depart_html), **others)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
