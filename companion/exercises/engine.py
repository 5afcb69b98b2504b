"""Ask a question, read an answer and say what it reveals."""

import html
import re
import textwrap
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from numbers import Real

from . import records


@cache
def questions():
    """Give all questions by name, in the order of the book.

    They are loaded when the first is asked for: the import of this package stays quick.

    Returns
    -------
    dict of str to Question
        The questions.
    """
    from . import beyond, convolution, mnist, signs

    parts = (convolution, mnist, signs, beyond)
    return {q.name: q for part in parts for chapter in part.CHAPTERS for q in chapter.questions}


@cache
def drawn(name, learner):
    """Give a question as a learner gets it."""
    return questions()[name].drawn_for(learner)


@dataclass(frozen=True)
class Verdict:
    """Say whether an answer is right, and what is wrong in the reasoning if it is not.

    It shows itself in a notebook and counts as true where the answer is right.

    Parameters
    ----------
    name : str
        The question.
    right : bool
        Whether the answer is right.
    slip : str
        What was done wrong, in a few words; "" where that is not known or nothing was.
    message : str
        The reasoning, or what is wrong about it.
    note : str
        What else has to be said: that progress cannot be kept.
    """

    name: str
    right: bool
    slip: str
    message: str
    note: str = ""

    def __bool__(self):
        return self.right

    @property
    def head(self):
        """Give the verdict in one or a few words."""
        if self.right:
            return "Right."
        return f"Not yet: {self.slip}." if self.slip else "Not yet."

    def __repr__(self):
        said = " ".join(part for part in (self.head, self.message, self.note) if part)
        return textwrap.fill(_plain(said), 88)

    def _repr_html_(self):
        note = f"<p>{_inline(self.note)}</p>" if self.note else ""
        said = f"<strong>{html.escape(self.head)}</strong> {_inline(self.message)}"
        return f'<div class="exercises"><p>{said}</p>{note}</div>'


@dataclass(frozen=True)
class Asked:
    """Show questions with the numbers drawn for a learner.

    Parameters
    ----------
    learner : str
        For whom they are drawn; "" for nobody in particular.
    items : tuple of (Question, Drawn)
        The questions.
    """

    learner: str
    items: tuple = field(repr=False)

    @property
    def whose(self):
        """Say whose numbers they are."""
        if self.learner:
            return f"Numbers drawn for {self.learner}."
        return (
            "No learner is set, so everyone gets these numbers; "
            '`exercises.learner("your name")` draws yours.'
        )

    def __repr__(self):
        parts = [_plain(self.whose)]
        for question, numbers in self.items:
            lines = [f"{question.name}  {'★' * question.grade}"]
            for line in _plain(numbers.text).split("\n"):
                shown = [line] if line.startswith("    ") else textwrap.wrap(line, 76)
                lines += [f"    {row}" for row in shown]
            for letter, text in _lettered(numbers):
                choice = textwrap.wrap(_plain(text), 73)
                lines.append(f"    {letter}) " + "\n       ".join(choice))
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def _repr_html_(self):
        rows = "".join(
            f"<dt><code>{question.name}</code> "
            f'<span role="img" aria-label="grade {question.grade} of 3">{"★" * question.grade}'
            f"</span></dt><dd>{_block(numbers.text)}{_list(numbers)}</dd>"
            for question, numbers in self.items
        )
        # A list, and no table: columns beside each other would not fit on a telephone.
        return f'<div class="exercises"><p>{_inline(self.whose)}</p><dl>{rows}</dl></div>'


def ask(*names):
    """Show questions with the numbers drawn for the learner.

    Parameters
    ----------
    *names : str
        Names of questions, or of chapters, which stand for all their questions; none for all
        the questions of the book.

    Returns
    -------
    Asked
        Shows itself, as text and in a notebook.

    Raises
    ------
    ValueError
        If a name is unknown.

    Notes
    -----
    Used in the exercises of every chapter.

    Examples
    --------
    >>> print(repr(ask("why-neurons")).splitlines()[2])
    why-neurons  ★
    """
    of_chapter = {}
    for question in questions().values():
        of_chapter.setdefault(question.chapter, []).append(question)
    wanted = []
    for name in names or of_chapter:
        if not isinstance(name, str):
            raise ValueError(f"name must be a text such as 'why-neurons', got {name!r}")
        wanted += of_chapter[name] if name in of_chapter else [_find(name, of_chapter)]
    who = records.current_learner()
    return Asked(who, tuple((question, drawn(question.name, who)) for question in wanted))


def check(name, answer):
    """Check an answer and say what is right, or wrong in its reasoning.

    The attempt is kept in the learner's progress.

    Parameters
    ----------
    name : str
        The question, as `ask` names it.
    answer : int, float, tuple, array_like or str
        An integer; a number, right within a tolerance (1 % unless the question says more); a
        shape as a tuple; an array; or, for choices, the letter or the text of one.

    Returns
    -------
    Verdict
        True where the answer is right.

    Raises
    ------
    ValueError
        If the name is unknown, or the answer is not of the kind that is asked for.

    Notes
    -----
    Used in the exercises of every chapter.

    Examples
    --------
    >>> verdict = check("why-neurons", 12)
    >>> verdict.right
    False
    """
    question = _find(name)
    who = records.current_learner()
    numbers = drawn(question.name, who)
    given = _read(answer, numbers)
    right = numbers.same(given, numbers.right)
    slip, message = ("", numbers.why) if right else _diagnose(given, numbers, question.hint)
    note = records.keep(who, question.name, right, slip)
    return Verdict(question.name, right, slip, message, note)


def _find(name, chapters=()):
    known = questions()
    if isinstance(name, str) and name in known:
        return known[name]
    near = get_close_matches(str(name), [*known, *chapters], n=3, cutoff=0.4)
    hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
    raise ValueError(f"name must be the name of a question, got {name!r}{hint}")


WANTED = {
    "integer": "an integer such as 26",
    "number": "a number such as 0.25",
    "shape": "a tuple of integers such as (26, 26, 8)",
    "array": "an array of numbers such as [[1, 2], [3, 4]]",
    "choice": "the letter of a choice such as 'a'",
}


def _read(answer, numbers):
    """Give the answer in the type of the right one, or say in one sentence what is asked for."""
    import numpy as np

    value = answer.item() if isinstance(answer, np.ndarray) and answer.ndim == 0 else answer
    if hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic):
        value = np.asarray(value)  # a tensor of Keras, an array of JAX
        value = value.item() if value.ndim == 0 else value
    read = {"integer": _integer, "number": _number, "shape": _shape, "array": _array}
    given = read.get(numbers.kind, _choice(numbers))(value)
    if given is None:
        advice = ""
        if isinstance(answer, str) and numbers.kind != "choice":
            advice = ": leave out the quotation marks, the signs and the units"
        shown = repr(answer) if len(repr(answer)) < 60 else f"{repr(answer)[:57]}..."
        raise ValueError(f"answer must be {WANTED[numbers.kind]}, got {shown}{advice}")
    return given


def _integer(value):
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value):
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return float(value) if abs(value) < float("inf") else None  # NaN is not below it either


def _shape(value):
    if not isinstance(value, str) and hasattr(value, "__len__"):
        numbers = tuple(_integer(v) for v in value)
        return numbers if None not in numbers and numbers else None
    return None


def _array(value):
    import numpy as np

    try:
        array = np.asarray(value)
    except ValueError:  # rows of unequal lengths
        return None
    fits = array.dtype.kind in "iuf" and array.ndim > 0 and array.size > 0
    return array if fits and np.isfinite(array).all() else None


def _choice(numbers):
    def read(value):
        if not isinstance(value, str):
            return None
        said = value.strip()
        by_letter = dict(_lettered(numbers))
        return by_letter.get(said.lower().rstrip(").")) or (
            said if said in numbers.choices else None
        )

    return read


def _lettered(numbers):
    return list(zip("abcdefgh", numbers.choices, strict=False))


def _diagnose(given, numbers, hint):
    """Say which slip an answer comes from, in a few words and in a sentence."""
    for slip, (answer, reason) in numbers.slips.items():
        if numbers.same(given, answer):
            return ("" if numbers.kind == "choice" else slip), reason
    slip, reason = GENERAL[numbers.kind](given, numbers.right, numbers)
    return slip, f"{reason} {hint}".strip()


def _general_integer(given, right, numbers):
    if given == -right:
        return "sign", "The size is right and the sign is not."
    if abs(given - right) == 1:
        more = "many" if given > right else "few"
        return "off by one", f"You counted one too {more}: look at both ends again."
    return _general_number(given, right, numbers)


def _general_number(given, right, numbers):
    close = numbers.tolerance / 2  # an integer has no tolerance of its own, but a scale is one
    for factor, slip, reason in SCALES:
        if right and abs(given / right / factor - 1) <= close:
            return slip, reason
    if given * right < 0:
        return "sign", "The sign is not right."
    if 0 < right < 1 and abs(given - (1 - right)) <= close:
        return "the other part", "That is what is left when your answer is taken from 1."
    return "", f"Your answer is too {'large' if given > right else 'small'}."


SCALES = [
    (100, "percent against share", "You gave a percentage where a share in 0 … 1 is asked for."),
    (0.01, "share against percent", "You gave a share where a percentage is asked for."),
    (1000, "unit", "Your answer is a thousand times too large: look at the unit."),
    (0.001, "unit", "Your answer is a thousand times too small: look at the unit."),
    (1e6, "unit", "Your answer is a million times too large: look at the unit."),
    (1e-6, "unit", "Your answer is a million times too small: look at the unit."),
]


def _general_shape(given, right, _):
    if len(given) != len(right):
        return (
            "number of axes",
            f"Your shape has {len(given)} numbers, the right one {len(right)}.",
        )
    if sorted(given) == sorted(right):
        return "order of the axes", "The numbers are right, their order is not."
    place = next(i for i, (a, b) in enumerate(zip(given, right, strict=True)) if a != b)
    good = sum(a == b for a, b in zip(given, right, strict=True))
    return "", f"{good} of the {len(right)} numbers are right; number {place + 1} is not."


def _general_array(given, right, numbers):
    import numpy as np

    if given.shape != right.shape:
        if given.T.shape == right.shape and numbers.same(given.T, right):
            return "rows and columns", "Rows and columns have changed places."
        return "shape", f"Your array has the shape {given.shape}; another one is asked for."
    turned = {
        "rows and columns": (right.T, "Rows and columns have changed places."),
        "turned": (np.flip(right), "The numbers are right, but the array is turned round."),
        "sign": (-right, "Every sign is wrong."),
    }
    for slip, (wrong, reason) in turned.items():
        if numbers.same(given, wrong):
            return slip, reason
    difference = given - right
    if np.allclose(difference, difference.flat[0]):
        return "a constant", (
            f"Every number is off by {difference.flat[0]:g}: a constant, such as a bias, is "
            "missing or too much."
        )
    wrong = np.argwhere(np.abs(difference) > 1e-3)
    place = tuple(wrong[0].tolist())
    shown = place if len(place) > 1 else place[0]
    return "", (
        f"{right.size - len(wrong)} of the {right.size} numbers are right; the first that is "
        f"not stands at index {shown}."
    )


def _general_choice(*_):
    raise AssertionError("every choice has its reason")


GENERAL = {
    "integer": _general_integer,
    "number": _general_number,
    "shape": _general_shape,
    "array": _general_array,
    "choice": _general_choice,
}


def _inline(text):
    text = re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return re.sub(r"\*(\w[^*]*)\*", r"<em>\1</em>", text)


def _plain(text):
    """Drop the marks of code and emphasis, for a terminal."""
    return re.sub(r"\*(\w[^*]*)\*", r"\1", text.replace("`", ""))


def _block(text):
    """Make paragraphs of a question's lines; those that are indented stay as they are."""
    parts = []
    for indented, lines in _runs(text.split("\n")):
        if indented:
            rows = textwrap.dedent("\n".join(lines))
            parts.append(f"<pre>{html.escape(rows)}</pre>")
        else:
            parts.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "".join(parts)


def _runs(lines):
    runs = []
    for line in lines:
        indented = line.startswith("    ")
        if not runs or runs[-1][0] != indented:
            runs.append((indented, []))
        runs[-1][1].append(line)
    return runs


def _list(numbers):
    items = "".join(f"<li>{_inline(text)}</li>" for text in numbers.choices)
    return f'<ol type="a">{items}</ol>' if items else ""
