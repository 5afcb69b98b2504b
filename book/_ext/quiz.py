"""Self-check questions in a page: choose, and the reason for that choice is shown.

A quiz is written as a list, the right choice marked ``[x]``, the reason below each choice::

    ```{quiz} Which layer has no parameters?
    :name: quiz-none

    - [ ] A dense layer.

      It has a weight for each pair of input and neuron.

    - [x] A pooling.

      A maximum learns nothing.
    ```

A question with code in backquotes stands between tildes, ``~~~{quiz}``: Markdown allows no
backquote behind three of them.

The choices are shown in an order that depends on the quiz's name alone, whichever of them is right:
writers tend to put the right one second. No reason may therefore speak of a choice's place.

Without JavaScript, on paper and in the sources of PDF and epub, question, choices and reasons are
all there: the script only moves the reason to where the choice is.
"""

import hashlib
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

MARK = re.compile(r"\[([ x])\]\s+")
LETTERS = "abcdefgh"


def order(name, count):
    """Return in which order a quiz shows its choices: the same on every machine."""
    return sorted(range(count), key=lambda i: hashlib.sha256(f"{name} {i}".encode()).hexdigest())


class quiz(nodes.General, nodes.Element):
    """Hold a question and its choices."""


class quiz_question(nodes.General, nodes.TextElement):
    """Hold the question's words."""


class quiz_choice(nodes.General, nodes.Element):
    """Hold one choice and, after it, its reason."""


class quiz_text(nodes.General, nodes.TextElement):
    """Hold a choice's words."""


class quiz_reason(nodes.General, nodes.Element):
    """Hold what is to be said about a choice."""


class QuizDirective(SphinxDirective):
    """Read a quiz; say in one sentence what is wrong with how it is written."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"name": directives.unchanged_required}  # noqa: RUF012  (docutils' own way)

    def run(self):
        """Give the quiz as nodes."""
        if "name" not in self.options:
            raise self.error("a quiz must have a :name:, which tells its choices from others")
        body = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, body)
        lists = [child for child in body if isinstance(child, nodes.bullet_list)]
        if len(lists) != 1 or len(body) != 1:
            raise self.error("a quiz must hold one list of choices and nothing else")
        node = quiz()
        node["names"].append(nodes.fully_normalize_name(self.options["name"]))
        self.state.document.note_explicit_target(node)
        self.set_source_info(node)
        words, messages = self.state.inline_text(self.arguments[0], self.lineno)
        node += quiz_question("", "", *words)
        choices = [self.choice(item) for item in lists[0]]
        node += [choices[place] for place in order(self.options["name"], len(choices))]
        right = [choice["right"] for choice in node[1:]]
        if not 2 <= len(right) <= len(LETTERS) or sum(right) != 1:
            raise self.error(
                "a quiz must have 2 to 8 choices, one of them marked [x], "
                f"got {len(right)} with {sum(right)} marked"
            )
        return [node, *messages]

    def choice(self, item):
        """Make a choice of an item: a paragraph that begins with its mark, then the reason."""
        first, *rest = item.children or [None]
        text = next(first.findall(nodes.Text), "") if isinstance(first, nodes.paragraph) else ""
        mark = MARK.match(text)
        if not mark or not rest:
            raise self.error(
                "each choice of a quiz must begin with [ ] or [x] and have its reason in a "
                f"paragraph below, got {item.astext()!r}"
            )
        text.parent.replace(text, nodes.Text(text[mark.end() :]))
        choice = quiz_choice(right=mark.group(1) == "x")
        choice += quiz_text("", "", *first.children)
        choice += quiz_reason("", *rest)
        return choice


class SpellOut(SphinxPostTransform):
    """Where nothing can be chosen, write the question, the choices, and the answer at the end."""

    default_priority = 50

    def run(self):
        """Replace each quiz, unless the pages are HTML of the site."""
        builder = self.app.builder
        if builder.format == "html" and builder.name != "epub":
            return
        for node in list(self.document.findall(quiz)):
            question, *choices = node.children
            heading = nodes.paragraph("", "", nodes.strong("", "", *question.children))
            heading["ids"] = node["ids"]
            listed = nodes.enumerated_list(enumtype="loweralpha", prefix="", suffix=")")
            reasons = nodes.enumerated_list(enumtype="loweralpha", prefix="", suffix=")")
            for choice in choices:
                text, reason = choice.children
                listed += nodes.list_item("", nodes.paragraph("", "", *text.children))
                reasons += nodes.list_item("", *reason.children)
            letter = LETTERS[[choice["right"] for choice in choices].index(True)]
            answer = nodes.paragraph("", "", nodes.strong("", f"Answer: {letter})."))
            # A question at the foot of a page would have its choices overleaf.
            together = nodes.raw("", r"\needspace{7\baselineskip}", format="latex")
            last = nodes.raw("", r"\needspace{4\baselineskip}", format="latex")
            node.replace_self([together, heading, listed, last, answer, reasons])


def visit_quiz(self, node):
    self.body.append(self.starttag(node, "div", CLASS="quiz") + "<fieldset>")


def depart_quiz(self, node):
    self.body.append('</fieldset><div class="quiz-said" aria-live="polite"></div></div>\n')


def visit_question(self, node):
    self.body.append("<legend>")


def depart_question(self, node):
    self.body.append("</legend>")


def visit_choice(self, node):
    self.body.append('<div class="quiz-choice">')


def depart_choice(self, node):
    self.body.append("</div>")


def visit_text(self, node):
    name = node.parent.parent["ids"][0]
    number = node.parent.parent.index(node.parent)
    right = "true" if node.parent["right"] else "false"
    self.body.append(
        f'<label><input type="radio" name="{name}" value="{number}" data-right="{right}"> '
        '<span class="quiz-text">'
    )


def depart_text(self, node):
    self.body.append("</span></label>")


def visit_reason(self, node):
    word = "Right." if node.parent["right"] else "Not this one."
    self.body.append(
        '<details class="quiz-reason"><summary>Why, or why not</summary>'
        f'<div class="quiz-why"><p class="quiz-verdict">{word}</p>'
    )


def depart_reason(self, node):
    self.body.append("</div></details>")


def add_files(app, page, template, context, doctree):
    """Give the script and the style to the pages that have a quiz, and to no other."""
    if doctree is not None and next(doctree.findall(quiz), None) is not None:
        app.add_css_file("quiz.css")
        # No module: browsers refuse those to a page that is opened from a disk.
        app.add_js_file("quiz.js", loading_method="defer")


def add_folder(app, config):
    """Find quiz.css and quiz.js beside this file, wherever the configuration lies."""
    folder = str(Path(__file__).resolve().parents[1] / "web")
    paths = [str((Path(app.confdir) / path).resolve()) for path in config.html_static_path]
    if folder not in paths:
        config.html_static_path.append(folder)


def setup(app):
    app.add_node(quiz, html=(visit_quiz, depart_quiz))
    app.add_node(quiz_question, html=(visit_question, depart_question))
    app.add_node(quiz_choice, html=(visit_choice, depart_choice))
    app.add_node(quiz_text, html=(visit_text, depart_text))
    app.add_node(quiz_reason, html=(visit_reason, depart_reason))
    app.add_directive("quiz", QuizDirective)
    app.add_post_transform(SpellOut)
    app.connect("config-inited", add_folder)
    app.connect("html-page-context", add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
