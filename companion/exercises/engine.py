"""Ask a question, read an answer and say what it reveals."""

import html
import re
import textwrap
from dataclasses import dataclass, field
from numbers import Real

from companion.exercises import bank, records
from companion.exercises.diagnosis import diagnose


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
        """Return the verdict in one or a few words."""
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
    """Show questions with the numbers of a learner.

    Parameters
    ----------
    learner : str
        Whose numbers they are; "" for nobody in particular.
    items : tuple of (Question, Variant)
        The questions.
    """

    learner: str
    items: tuple = field(repr=False)

    @property
    def whose(self):
        """Say whose numbers they are."""
        if self.learner:
            return f"The numbers are those of {self.learner}."
        return (
            "No learner is set, so everyone gets these numbers; "
            '`exercises.learner("your name")` gives you yours.'
        )

    def __repr__(self):
        parts = [_plain(self.whose)]
        for question, variant in self.items:
            lines = [f"{question.name}  {'★' * question.grade}"]
            for line in _plain(variant.text).split("\n"):
                shown = [line] if line.startswith("    ") else textwrap.wrap(line, 76)
                lines += [f"    {row}" for row in shown]
            for letter, text in _lettered(variant):
                choice = textwrap.wrap(_plain(text), 73)
                lines.append(f"    {letter}) " + "\n       ".join(choice))
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def _repr_html_(self):
        rows = "".join(
            f"<dt><code>{question.name}</code> "
            f'<span role="img" aria-label="grade {question.grade} of 3">{"★" * question.grade}'
            f"</span></dt><dd>{_block(variant.text)}{_list(variant)}</dd>"
            for question, variant in self.items
        )
        # A list, and no table: columns beside each other would not fit on a telephone.
        return f'<div class="exercises"><p>{_inline(self.whose)}</p><dl>{rows}</dl></div>'


def ask(*names):
    """Show questions with the numbers of the learner.

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
    of_chapter, wanted = bank.chapters(), []
    for name in names or of_chapter:
        if not isinstance(name, str):
            raise ValueError(f"name must be a text such as 'why-neurons', got {name!r}")
        wanted += of_chapter[name] if name in of_chapter else [bank.find(name, of_chapter)]
    who = records.current_learner()
    return Asked(who, tuple((question, bank.variant(question.name, who)) for question in wanted))


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
    question = bank.find(name)
    who = records.current_learner()
    variant = bank.variant(question.name, who)
    given = _read(answer, variant)
    right = variant.same(given, variant.right)
    slip, message = ("", variant.why) if right else diagnose(given, variant, question.hint)
    note = records.keep(who, question.name, right, slip)
    return Verdict(question.name, right, slip, message, note)


WANTED = {
    "integer": "an integer such as 26",
    "number": "a number such as 0.25",
    "shape": "a tuple of integers such as (26, 26, 8)",
    "array": "an array of numbers such as [[1, 2], [3, 4]]",
    "choice": "the letter of a choice such as 'a'",
}


def _read(answer, variant):
    """Return the answer in the type of the right one, or say in one sentence what is asked for."""
    import numpy as np

    value = answer.item() if isinstance(answer, np.ndarray) and answer.ndim == 0 else answer
    if hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic):
        value = np.asarray(value)  # a tensor of Keras, an array of JAX
        value = value.item() if value.ndim == 0 else value
    read = {"integer": _integer, "number": _number, "shape": _shape, "array": _array}
    given = read.get(variant.kind, _choice(variant))(value)
    if given is None:
        advice = ""
        if isinstance(answer, str) and variant.kind != "choice":
            advice = ": leave out the quotation marks, the signs and the units"
        shown = repr(answer) if len(repr(answer)) < 60 else f"{repr(answer)[:57]}..."
        raise ValueError(f"answer must be {WANTED[variant.kind]}, got {shown}{advice}")
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


def _choice(variant):
    def read(value):
        if not isinstance(value, str):
            return None
        said = value.strip()
        by_letter = dict(_lettered(variant))
        return by_letter.get(said.lower().rstrip(").")) or (
            said if said in variant.choices else None
        )

    return read


def _lettered(variant):
    return list(zip("abcdefgh", variant.choices, strict=False))


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


def _list(variant):
    items = "".join(f"<li>{_inline(text)}</li>" for text in variant.choices)
    return f'<ol type="a">{items}</ol>' if items else ""
