"""Let a page ask for little: one stylesheet, one script, and the icons that it shows.

The theme and the extensions bring thirteen stylesheets, ten scripts and a script of 1.5 MB that
draws two thousand icons. A page over a slow line waits for each of them. Here they are joined, in
the order in which they would have been loaded; rules of Bootstrap that no page needs are left out;
the icons come from the theme's own fonts, cut down to the two dozen that the site shows; pictures
come when a reader is near them; and MathJax, the largest file, comes when the page is there.
"""

import gzip
import hashlib
import io
import json
import logging
import re
from functools import cache
from pathlib import Path

from docutils import nodes

# In this order; what is not here (widgets, the search page's index) a page loads by itself.
SCRIPTS = (
    "doctools.js",
    "sphinx_highlight.js",
    "togglebutton.js",
    "scripts/sphinx-book-theme.js",
    "scripts/pydata-sphinx-theme.js",
    "quiz.js",
    "reach.js",
)
# These change nothing that is read: they wait until the page is there.
LATE_SCRIPTS = ("scripts/bootstrap.js", "clipboard.min.js", "copybutton.js")
LATE = 30_000  # bytes zipped from which data of a widget waits too; it says what it waits for
# The theme loads these before all others, see its webpack-macros.html; theme.css imports basic.css.
FIRST_STYLES = ("basic.css", "styles/pydata-sphinx-theme.css")
# Sphinx Design's tabs: the book has none.
DROPPED = ("design-tabs.js",)
# Those that the theme's templates name; what its stylesheet draws by itself is found there.
ICONS = (
    *("angle-left", "angle-right", "arrow-up", "bars", "circle-half-stroke", "code", "download"),
    *("expand", "file", "file-pdf", "github", "lightbulb", "list", "magnifying-glass", "moon"),
    *("rocket", "sun", "terminal"),
)
# Bootstrap makes these names of parts.
MADE = ("bs-tooltip-", "tooltip", "dropdown")
# Of these its script speaks, and no page has one.
ABSENT = ("carousel", "modal", "offcanvas", "popover", "toast")
NAME = re.compile(r"[.#](-?[A-Za-z_][\w-]*)")
WORD = re.compile(r"-?[A-Za-z_][\w-]*")
VARIABLE = re.compile(r"(--[\w-]+)\s*:[^;{}]*;?")
SELECTORS = re.compile(r"(?:\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\]|[^,(\[])+")
FONTS = ("fa-solid-900", "fa-regular-400", "fa-brands-400")
ICON_RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"([^"]*)"\}')
ICON_CHARACTER = re.compile(r"\\([ef][0-9a-f]{3})|([\ue000-\uf8ff])")
FONT_SOURCE = re.compile(r"url\((\.\./vendor/fontawesome/webfonts/)([\w-]+)\.woff2\)[^;}]*")


def keep_used_icons(css):
    """Leave out the rules of icons that the site does not show.

    Raises
    ------
    ValueError
        If the stylesheet lacks one of `ICONS`.
    """
    seen = set()

    def keep(rule):
        used = {name for name in ICONS if f".fa-{name}:before" in rule[1].split(",")}
        seen.update(used)
        names = ",".join(f".fa-{name}:before" for name in sorted(used))
        # The empty text after the slash is what screen readers say: nothing.
        return f'{names}{{content:"{rule[2]}";content:"{rule[2]}"/""}}' if used else ""

    lean = ICON_RULE.sub(keep, css)
    if missing := set(ICONS) - seen:
        raise ValueError(f"the theme's stylesheet must have the icons {sorted(missing)}")
    return lean


def drop_unused(css, words):
    """Leave out the selectors that name a class or an id of which no page and no script speaks.

    Bootstrap and Sphinx Design, which come whole, have thousands of those.
    """

    def used(selector):
        # What stands in brackets may be one choice among several.
        plain = re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\]", "", selector)
        return all(
            name.startswith(MADE) or (name in words and not name.startswith(ABSENT))
            for name in NAME.findall(plain)
        )

    def keep(rule):
        selectors = [each for each in SELECTORS.findall(rule[1]) if used(each)]
        return f"{','.join(selectors)}{{{rule[2]}}}" if selectors else ""

    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    css = re.sub(r"([^{}@;]+)\{([^{}]*)\}", keep, css)
    return re.sub(r"@media[^{}]*\{\s*\}", "", css)


def drop_unread(css, words):
    """Leave out the variables that no rule reads and of which no page and no script speaks."""
    read = set(re.findall(r"var\(\s*(--[\w-]+)", css))

    def keep(found):
        name = found[1]
        return found[0] if name in read or name.removeprefix("--") in words else ""

    return VARIABLE.sub(keep, css)


def icon_characters(css):
    """List the code points of the icons that a stylesheet writes, as letters or as escapes."""
    return sorted(
        {int(code, 16) if code else ord(sign) for code, sign in ICON_CHARACTER.findall(css)}
    )


def subset(font, characters):
    """Cut a font down to some characters; give it as WOFF, or nothing where it has none of them."""
    from fontTools import subset, ttLib

    logging.getLogger("fontTools").setLevel(logging.WARNING)  # a line for each table otherwise
    options = subset.Options(flavor="woff", layout_features=[], notdef_outline=True)
    with ttLib.TTFont(font) as face:
        if not set(characters) & set(face.getBestCmap()):
            return b""
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=characters)
        cutter.subset(face)
        face.flavor = "woff"
        file = io.BytesIO()
        face.save(file)
    return file.getvalue()


def write(folder, name, content):
    """Write a file with its digest in its name, lest a browser keeps an old one; give the name."""
    data = content.encode() if isinstance(content, str) else content
    stem, ending = name.rsplit(".", 1)
    path = f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}.{ending}"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
    return path


def digest_of(*texts):
    """Give eight letters for some texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]


def join_styles(folder, names, words):
    """Give one stylesheet for all of `names`, and write the fonts of its icons."""
    parts = {name: (folder / name).read_text(encoding="utf-8") for name in names}
    theme = FIRST_STYLES[-1]
    parts[theme] = keep_used_icons(parts[theme])
    css = re.sub(r'@charset "[^"]*";|/\*.*?\*/', "", "\n".join(parts.values()), flags=re.S)
    css = re.sub(r"\n\s*", "\n", drop_unread(drop_unused(css, words), words))
    characters = icon_characters(css)

    def lean(source):
        font = subset(folder / "vendor/fontawesome/webfonts" / f"{source[2]}.ttf", characters)
        if not font:
            return "local('')"
        return f'url(../{write(folder, f"icons/{source[2]}.woff", font)}) format("woff")'

    # The joined file lies in the folder of the theme's own, from which that names others.
    css = FONT_SOURCE.sub(lean, css).replace("url(file.png)", "url(../file.png)")
    return f'@charset "UTF-8";\n{css}'


@cache
def join_scripts(folder, names, name):
    """Write one script for all of `names`; give its path."""
    parts = [(folder / each).read_text(encoding="utf-8") for each in names]
    js = ";\n".join(re.sub(r"^//# sourceMappingURL=.*$", "", part, flags=re.M) for part in parts)
    # The semicolon: without it "use strict" of the first script would hold for all of them.
    return write(folder, f"scripts/{name}.js", f";{js}")


def name_of(file):
    """Give a file's path below _static, or nothing."""
    return str(file.filename).removeprefix("_static/") if file.filename else ""


def lean_page(app, pagename, templatename, context, doctree):
    """Put the joined files in the place of those that they hold."""
    if app.builder.name != "html":
        return
    folder = Path(app.outdir) / "_static"
    styles = sorted(context["css_files"], key=lambda file: file.priority)
    remote = [file for file in styles if "://" in str(file.filename)]
    styles = [file for file in styles if file not in remote]
    make_style = type(styles[0])
    # A page that asks again for what all have shares their file.
    names = (*FIRST_STYLES, *reversed(dict.fromkeys(map(name_of, reversed(styles)))))
    if names not in app.builder.joined_styles:
        # Written at the end, when it is known what the pages need, and when the extensions have
        # brought all their files; named for what it is made of.
        sources = [folder / name for name in names]
        sources += [Path(app.env.doc2path(page)) for page in sorted(app.env.found_docs)]
        texts = [path.read_text(encoding="utf-8") for path in sources if path.exists()]
        app.builder.joined_styles[names] = f"styles/site-{digest_of(*names, *texts)}.css"
    joined = make_style(f"_static/{app.builder.joined_styles[names]}")
    context["css_files"] = [joined, *remote]

    scripts = sorted(context["script_files"], key=lambda file: file.priority)
    make_script = type(scripts[0])
    kept, late = [], [f"_static/{join_scripts(folder, LATE_SCRIPTS, 'late')}"]
    for script in scripts:
        name = name_of(script)
        if name == "documentation_options.js":
            # Three hundred bytes that the page's own lines below build on.
            body = (folder / name).read_text(encoding="utf-8")
            kept.append(make_script("", body=body, priority=script.priority))
        elif name.startswith("mathjax/") or name == "live.js":
            late.append(str(script.filename))
        elif is_heavy(folder / name):
            late.insert(0, str(script.filename))
        elif name not in (*SCRIPTS, *LATE_SCRIPTS, *DROPPED):
            kept.append(script)
    # The search page's own scripts do not wait, and need what is defined here.
    attributes = {} if pagename == "search" else {"defer": "defer", "fetchpriority": "high"}
    # Behind the lines in the page, by which they are set.
    site = join_scripts(folder, SCRIPTS, "site")
    kept.append(make_script(f"_static/{site}", priority=900, **attributes))
    addresses = [context["pathto"](address, 1) for address in late]
    kept.append(make_script("", body=later(addresses), priority=900))
    context["script_files"] = kept


def wait_with_pictures(app, doctree, docname):
    """Let a browser load a picture when a reader comes near it."""
    if app.builder.name == "html":
        for image in doctree.findall(nodes.image):
            image["loading"] = "lazy"


def is_heavy(path):
    """Tell whether a script holds data of a widget that a page should not wait for."""
    return path.name.startswith("data-") and len(gzip.compress(path.read_bytes(), 6)) > LATE


def later(addresses):
    """Give a line that loads scripts, in their order, once the page can be read and used."""
    return (
        'addEventListener("DOMContentLoaded", () => document.head.append('
        f"...{json.dumps(addresses)}.map((src) => "
        'Object.assign(document.createElement("script"), {src, async: false}))));'
    )


def write_styles(app, exception):
    """Write the joined stylesheets, without what no page and no script speaks of."""
    if exception is not None or not getattr(app.builder, "joined_styles", None):
        return
    out = Path(app.outdir)
    scripts = (path for path in (out / "_static").rglob("*.js") if path.stat().st_size < 1e6)
    words = set()
    for path in (*out.rglob("*.html"), *scripts):
        found = WORD.findall(path.read_text(encoding="utf-8"))
        words.update(found)
        words.update(word.removeprefix("-") for word in found)
    for names, path in app.builder.joined_styles.items():
        (out / "_static" / path).write_text(join_styles(out / "_static", names, words))


def begin(app):
    """Let each build join the files anew."""
    app.builder.joined_styles = {}
    join_scripts.cache_clear()


def setup(app):
    app.connect("builder-inited", begin)
    app.connect("doctree-resolved", wait_with_pictures)
    # After the theme has written Pygments' colours for both modes.
    app.connect("build-finished", write_styles, priority=900)
    # After all that add files to a page or take some out.
    app.connect("html-page-context", lean_page, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
