"""Say what a wrong answer reveals: a known slip of the question, or one of any question."""


def diagnose(given, variant, hint):
    """Say which slip an answer comes from, in a few words and in a sentence."""
    for slip, (answer, reason) in variant.slips.items():
        if variant.same(given, answer):
            return ("" if variant.kind == "choice" else slip), reason
    slip, reason = GENERAL[variant.kind](given, variant.right, variant)
    return slip, f"{reason} {hint}".strip()


def _general_integer(given, right, variant):
    if given == -right:
        return "sign", "The size is right and the sign is not."
    if abs(given - right) == 1:
        more = "many" if given > right else "few"
        return "off by one", f"You counted one too {more}: look at both ends again."
    return _general_number(given, right, variant)


def _general_number(given, right, variant):
    close = variant.tolerance / 2  # an integer has no tolerance of its own, but a scale is one
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


def _general_array(given, right, variant):
    import numpy as np

    if given.shape != right.shape:
        if given.T.shape == right.shape and variant.same(given.T, right):
            return "rows and columns", "Rows and columns have changed places."
        return "shape", f"Your array has the shape {given.shape}; another one is asked for."
    turned = {
        "rows and columns": (right.T, "Rows and columns have changed places."),
        "turned": (np.flip(right), "The numbers are right, but the array is turned round."),
        "sign": (-right, "Every sign is wrong."),
    }
    for slip, (wrong, reason) in turned.items():
        if variant.same(given, wrong):
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
