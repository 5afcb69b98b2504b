"""What HTML and XHTML ask of a page's tree, and docutils and its extensions do not keep to."""

import itertools

from docutils import nodes

# Each exercise, solution and definition holds a section with one and the same of these ids.
REPEATED = ("exercise-content", "solution-content", "proof-content")


def is_block(node):
    """Say whether a node stands for itself, and not in a line."""
    return isinstance(node, nodes.Body) and not isinstance(node, nodes.Inline | nodes.Invisible)


def paragraphs(children):
    """Give the blocks of a paragraph that holds some, as napoleon writes them, and no HTML may."""
    for block, group in itertools.groupby(children, is_block):
        if block:
            yield from group
        else:
            words = nodes.paragraph("", "", *group)
            if words.astext().strip():
                yield words
