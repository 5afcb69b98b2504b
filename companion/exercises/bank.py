"""Find questions by name and by chapter."""

from difflib import get_close_matches
from functools import cache


@cache
def questions():
    """Return all questions by name, in the order of the book.

    They are loaded when the first is asked for: the import of this package stays quick.
    """
    from companion.exercises.questions import part_1, part_2, part_3, part_4

    parts = (part_1, part_2, part_3, part_4)
    return {q.name: q for part in parts for chapter in part.CHAPTERS for q in chapter.questions}


@cache
def chapters():
    """Return the questions of each chapter, in the order of the book."""
    by_chapter = {}
    for question in questions().values():
        by_chapter.setdefault(question.chapter, []).append(question)
    return by_chapter


@cache
def variant(name, learner):
    """Return a question as a learner gets it."""
    return questions()[name].variant(learner)


def find(name, more=()):
    """Return the question of a name, or raise a sentence with the nearest names."""
    known = questions()
    if isinstance(name, str) and name in known:
        return known[name]
    near = get_close_matches(str(name), [*known, *more], n=3, cutoff=0.4)
    hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
    raise ValueError(f"name must be the name of a question, got {name!r}{hint}")
