"""The stylesheets touch nothing but what is the book's own."""

import re

import pytest
from pygments.token import STANDARD_TYPES
from widget import WEB


@pytest.mark.parametrize("name", ["widgets.css", "network-and-classify.css"])
def test_no_class_is_one_that_colours_code(name):
    classes = set(re.findall(r"\.([a-zA-Z][\w-]*)", (WEB / name).read_text()))
    assert "kc-widget" in classes
    assert not classes & set(STANDARD_TYPES.values())  # Pygments calls None and True "kc"
