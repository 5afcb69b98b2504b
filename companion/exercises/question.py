"""What a question is made of: numbers for a learner, the answer, and the known slips."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from numbers import Integral, Real

ATTEMPTS = 500  # before a question is given up; a test shows that none comes near it


class Random:
    """Sample numbers that are the same on every machine for one learner, question and attempt.

    Only `random.Random.random` is promised to stay the same in later versions of Python, so
    that everything is made of it.

    Parameters
    ----------
    *key
        What the numbers depend on.

    Examples
    --------
    >>> Random("ada", "why-photo").integer(1, 6) == Random("ada", "why-photo").integer(1, 6)
    True
    """

    def __init__(self, *key):
        text = "\0".join(map(str, key))
        self._random = random.Random(int(hashlib.sha256(text.encode()).hexdigest(), 16)).random

    def integer(self, low, high):
        """Sample an integer, both ends included."""
        return low + int(self._random() * (high - low + 1))

    def one_of(self, values):
        """Sample one element of a sequence."""
        return values[self.integer(0, len(values) - 1)]

    def shuffled(self, values):
        """Return a list of the values in a random order."""
        return sorted(values, key=lambda _: self._random())

    def several(self, values, count):
        """Sample `count` different elements of a sequence, in the order of the sequence."""
        kept = set(self.shuffled(range(len(values)))[:count])
        return [value for place, value in enumerate(values) if place in kept]

    def array(self, shape, low, high):
        """Sample an array of integers, both ends included."""
        import numpy as np

        cells = [self.integer(low, high) for _ in range(int(np.prod(shape)))]
        return np.array(cells).reshape(shape)


def rows(array):
    """Write an array of one or two axes as indented lines, for the text of a question."""
    lines = array.tolist() if array.ndim == 2 else [array.tolist()]
    width = max(len(str(value)) for line in lines for value in line)
    return "\n".join("    " + "  ".join(f"{v:>{width}}" for v in line) for line in lines)


@dataclass(frozen=True)
class Variant:
    """Hold a question as one learner gets it.

    Parameters
    ----------
    text : str
        The question. Words in backquotes are code, lines that begin with four spaces stay as
        they are.
    right : int, float, tuple of int, ndarray or str
        The answer; its type says what kind of answer is asked for. A text is one of `choices`.
    why : str
        The reasoning that leads to the answer, with its numbers.
    slips : dict of str to tuple
        What is often done wrong, in a few words: the answer that it leads to, and what is wrong
        about it. Where choices are given, the wrong choices and what is wrong about each.
    tolerance : float
        Largest relative error that is accepted where `right` is a float.
    choices : tuple of str
        The choices in the order in which they are shown, or nothing.
    """

    text: str
    right: object
    why: str
    slips: dict
    tolerance: float = 0.01
    choices: tuple = ()

    @property
    def kind(self):
        """Name the kind of answer: choice, shape, integer, number or array."""
        if isinstance(self.right, str):
            return "choice"
        if isinstance(self.right, tuple):
            return "shape"
        if isinstance(self.right, Integral):
            return "integer"
        return "number" if isinstance(self.right, Real) else "array"

    def same(self, a, b, slack=1):
        """Say whether two answers of this kind count as equal."""
        import numpy as np

        if self.kind == "array":
            a, b = np.asarray(a), np.asarray(b)
            return a.shape == b.shape and np.allclose(a, b, rtol=1e-3 * slack, atol=1e-3 * slack)
        if self.kind == "number":
            return bool(abs(a - b) <= slack * self.tolerance * (abs(b) or 1))
        return a == b

    def unambiguous(self):
        """Say whether no slip leads to the right answer, nor two of them to the same one."""
        answers = [self.right, *(answer for answer, _ in self.slips.values())]
        return not any(
            self.same(a, b, slack=3) for place, a in enumerate(answers) for b in answers[:place]
        )


@dataclass(frozen=True)
class Question:
    """Name a question, and generate it for a learner.

    Parameters
    ----------
    name : str
        What `check` calls it.
    chapter : str
        The chapter's file without its ending, as in ``book/why.md``.
    grade : int
        1 to 3 stars.
    hint : str
        Where to begin, for an answer that no known slip explains.
    generate : callable
        Takes a `Random` and returns a `Variant`, or None where the numbers do not show what is
        asked.
    """

    name: str
    chapter: str
    grade: int
    hint: str
    generate: Callable = field(repr=False)

    def variant(self, learner):
        """Generate until the known slips can be told from the answer and from each other."""
        for attempt in range(ATTEMPTS):
            rng = Random(learner, self.name, attempt)
            variant = self.generate(rng)
            if variant is None:
                continue
            if variant.kind == "choice":
                slips = {text: (text, reason) for text, reason in variant.slips.items()}
                order = tuple(rng.shuffled([variant.right, *slips]))
                variant = replace(variant, slips=slips, choices=order)
            if variant.unambiguous():
                return variant
        raise RuntimeError(f"{self.name}: no unambiguous numbers in {ATTEMPTS} attempts")


class Chapter:
    """Gather the questions of a chapter.

    Parameters
    ----------
    name : str
        The chapter's file without its ending.
    prefix : str, optional
        What the names of its questions begin with, if not with the chapter's name.

    Examples
    --------
    >>> sums = Chapter("sums")
    >>> @sums.question("of-two", 1, hint="Add them.")
    ... def _(rng):
    ...     a, b = rng.integer(3, 9), rng.integer(3, 9)
    ...     slips = {"product": (a * b, "You multiplied.")}
    ...     return Variant(f"What is {a} + {b}?", a + b, f"{a} + {b} = {a + b}.", slips)
    >>> sums.questions[0].name
    'sums-of-two'
    """

    def __init__(self, name, prefix=None):
        self.name, self.prefix, self.questions = name, prefix or name, []

    def question(self, name, grade, *, hint):
        """Make a question of the function below."""

        def add(generate):
            full = f"{self.prefix}-{name}"
            self.questions.append(Question(full, self.name, grade, hint, generate))
            return generate

        return add
