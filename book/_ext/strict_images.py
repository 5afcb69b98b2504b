"""Fail the build where a picture has no text for those who cannot see it."""

from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)


def require_alternative_texts(app, doctree, docname):
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            logger.warning("picture without an alt text: %s", image["uri"], location=docname)


def setup(app):
    app.connect("doctree-resolved", require_alternative_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
