"""Questions that check an answer and say what is wrong in the reasoning, offline.

Each chapter asks some under *Questions that answer back*. Their numbers depend on the
learner's name, so that a class does not share answers; what a wrong answer reveals is computed
from the same numbers. Nothing leaves the machine but the file that a learner hands in.
"""

from companion.exercises.engine import Asked, Verdict, ask, check
from companion.exercises.records import collect, hand_in, learner, progress

__all__ = ["Asked", "Verdict", "ask", "check", "collect", "hand_in", "learner", "progress"]
