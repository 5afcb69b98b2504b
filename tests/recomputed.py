"""A table of questions whose answers, right and wrong, are computed by another way.

A row reads the numbers out of the question's text, as a learner does, and returns the right answer
and the answer that each known slip leads to. Nothing of the question's own code is used.
"""

import inspect
import re
from functools import cache

import numpy as np

from companion.exercises import bank

NUMBER = r"-?\d+(?:,\d{3})*(?:\.\d+)?"
LEARNERS = ["", *(f"learner {n}" for n in range(24))]


def number(text):
    text = text.replace(",", "")
    return float(text) if "." in text else int(text)


def blocks(text):
    """List the arrays that stand in a text as indented lines."""
    found = re.findall(r"(?:^ {4}.*\n?)+", text, re.M)
    arrays = [
        [[number(n) for n in re.findall(NUMBER, line)] for line in block.splitlines()]
        for block in found
    ]
    return [np.array(lines[0] if len(lines) == 1 else lines) for lines in arrays]


def compiled(pattern):
    """Make a regular expression: {n} is a number called n, … is whatever stands between."""
    parts, seen = [], set()
    for part in re.split(r"(\{\w+\}|…)", pattern):
        if part == "…":
            parts.append(".*?")
        elif part.startswith("{"):
            name = part[1:-1]
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{NUMBER})")
            seen.add(name)
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts))


class Table:
    """Hold a row for each question of some chapters.

    Parameters
    ----------
    chapters : iterable of companion.exercises.question.Chapter
        Whose questions must have a row.
    """

    def __init__(self, chapters):
        self.questions = [q.name for chapter in chapters for q in chapter.questions]
        self.rows = {}

    def row(self, name, pattern="", *, learners=LEARNERS):
        """Add a row: its function takes the numbers of the text that the pattern names.

        It may also ask for `text`, and for `blocks`, the arrays in the text. It returns the right
        answer and a dict of slips. Of a choice, it returns a piece of the right text, and pieces
        of the wrong ones with a piece of what is said about each.
        """

        def add(compute):
            assert name not in self.rows, name
            self.rows[name] = compiled(pattern), compute, learners
            return compute

        return add

    def faults(self):
        """List in a sentence each whatever differs, and questions without a row."""
        found = [f"{name}: no row" for name in self.questions if name not in self.rows]
        for name, (pattern, compute, learners) in self.rows.items():
            for learner in learners:
                variant = bank.questions()[name].variant(learner)
                for fault in differences(variant, *_computed(variant.text, pattern, compute)):
                    found.append(f"{name} for {learner!r}: {fault}; the text was: {variant.text}")
        return found


def _computed(text, pattern, compute):
    match = pattern.search(" ".join(text.split()))
    assert match, f"{pattern.pattern} is not in {text}"
    given = {name: number(value) for name, value in match.groupdict().items()}
    extra = {"text": text, "blocks": blocks(text)}
    wanted = inspect.signature(compute).parameters
    return compute(**given, **{name: extra[name] for name in extra if name in wanted})


def differences(variant, right, slips):
    if variant.kind == "choice":
        yield from _different_choices(variant, right, slips)
        return
    if not equal(variant.right, right):
        yield f"the key is {variant.right}, computed {right}"
    if set(variant.slips) != set(slips):
        yield f"the slips are {sorted(variant.slips)}, computed {sorted(slips)}"
    for slip in set(variant.slips) & set(slips):
        if not equal(variant.slips[slip][0], slips[slip]):
            yield f"{slip!r} leads to {variant.slips[slip][0]}, computed {slips[slip]}"


def equal(ours, computed):
    """Integers must be the same, and floats but for their rounding."""
    if isinstance(ours, tuple) != isinstance(computed, tuple):
        return False
    ours, computed = np.asarray(ours), np.asarray(computed)
    if ours.shape != computed.shape:
        return False
    if ours.dtype.kind in "iu":
        return bool((ours == computed).all())
    return np.allclose(ours, computed, rtol=1e-6, atol=1e-12)


def _different_choices(variant, right, slips):
    if right not in variant.right:
        yield f"the key is {variant.right!r}, without {right!r}"
    if len(variant.slips) != len(slips):
        yield f"there are {len(variant.slips)} wrong choices, computed {len(slips)}"
    for piece, about in slips.items():
        found = [(text, reason) for text, reason in variant.slips.values() if piece in text]
        if len(found) != 1 or about not in found[0][1]:
            yield f"no wrong choice has {piece!r} and the reason {about!r}"


# --- what is counted in several parts ------------------------------------------------------------


def batches(examples, size):
    return len(range(0, examples, size))


def megabytes(dtype, *shape):
    return np.broadcast_to(np.zeros((), dtype), shape).nbytes / 10**6


# --- what Keras says of layers -------------------------------------------------------------------


def zeros(shape, dtype=None):
    """Make weights without JAX, which would compile a program for each shape."""
    return np.zeros(shape, dtype)


def count(layer, *shape):
    """Let Keras build a layer for inputs of a shape and count its parameters."""
    for name in vars(layer):
        if name.endswith("_initializer"):
            setattr(layer, name, zeros)
    layer.build((None, *shape))
    return layer.count_params()


def through(shape, *layers):
    """Let Keras say which shape comes out of layers, without the batch."""
    for layer in layers:
        shape = layer.compute_output_shape((None, *shape))[1:]
    return shape


@cache
def moments():
    """Let Keras say how many numbers Adam keeps of each weight."""
    import keras

    weight, adam = keras.Variable([0.0]), keras.optimizers.Adam()
    adam.build([weight])
    return sum(variable.shape == weight.shape for variable in adam.variables)
