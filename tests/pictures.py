"""Compare pictures of pages with accepted ones, on any machine.

A picture is accepted at half its size and in sixteen levels of each colour, which keeps the files
small and leaves enough to be looked at. Two things make it the same elsewhere: pages are set in the
fonts that matplotlib brings (`steady`), and a pixel counts as another only if nothing like it is
near (`differing`). ``ACCEPT_PICTURES=1`` writes what is seen as accepted.
"""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

ROOT = Path(__file__).resolve().parents[1]
ACCEPTED = ROOT / "tests" / "accepted"
SEEN = ROOT / "_build" / "pictures"
FONTS = Path(find_spec("matplotlib").submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
LEVEL = 17  # between two of the sixteen levels of a colour
NEAR = 3  # pixels of the half size: so wide is the neighbourhood in which a pixel may have moved
ALIKE = 2 * LEVEL  # what a colour may differ by
SHARE = 0.0012  # of all pixels may be others: the edges of letters, as another machine draws them
GROWTH = 4  # pixels by which a picture may be larger or smaller


def faces():
    """Write the rules that name matplotlib's fonts."""
    rules = [
        f'@font-face {{ font-family: "Steady {family}"; font-weight: {weight};'
        f' src: url("{(FONTS / f"DejaVuSans{ending}.ttf").as_uri()}"); }}'
        for family, weight, ending in (
            ("Text", "400", ""),
            ("Text", "700", "-Bold"),
            ("Code", "400", "Mono"),
            ("Code", "700", "Mono-Bold"),
        )
    ]
    return "\n".join(rules)


# Icons keep the fonts that the site brings.
STEADY = """
:root { --pst-font-family-base: "Steady Text"; --pst-font-family-heading: "Steady Text";
  --pst-font-family-monospace: "Steady Code"; --bs-font-sans-serif: "Steady Text"; }
body, h1, h2, h3, button, input, select { font-family: "Steady Text"; }
code, kbd, pre, samp { font-family: "Steady Code"; }
/* Letters as wide as their font has them: a machine's own hinting would move every word. */
* { caret-color: transparent !important; text-rendering: geometricPrecision !important; }
"""


DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def steady(page):
    """Set a page in fonts that are the same everywhere, and wait until it is drawn in them."""
    page.add_style_tag(content=faces() + STEADY)
    page.evaluate("Promise.all([...document.fonts].map((face) => face.load())).then(() => 0)")
    page.evaluate(DRAWN)


def reduced(path):
    """Read a picture at half its size, in sixteen levels of each colour."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").reduce(2)
    return np.rint(np.asarray(small, dtype=float) / LEVEL).astype(np.uint8) * LEVEL


def differing(seen, accepted):
    """Mark the pixels of either picture that are like none near them in the other."""
    marks = np.zeros(seen.shape[:2], dtype=bool)
    for one, other in ((seen, accepted), (accepted, seen)):
        size = (NEAR, NEAR, 1)
        low = minimum_filter(other, size).astype(int) - ALIKE
        high = maximum_filter(other, size).astype(int) + ALIKE
        marks |= ((one < low) | (one > high)).any(axis=2)
    return marks


def save(path, pixels):
    """Write a picture with a palette, which a few colours make small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    colours = len(picture.getcolors(1 << 24))
    if colours <= 256:
        picture = picture.quantize(colours, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


def compare(shot, name):
    """Compare a picture in PNG with the accepted one called `name`; say what is wrong, or nothing.

    What is wrong is written below ``_build/pictures``: the picture, and one that marks in red where
    it differs.
    """
    SEEN.mkdir(parents=True, exist_ok=True)
    path, accepted_path = SEEN / f"{name}.png", ACCEPTED / f"{name}.png"
    path.write_bytes(shot)
    seen = reduced(path)
    if os.environ.get("ACCEPT_PICTURES", "0") not in ("", "0"):
        save(accepted_path, seen)
        return ""
    if not accepted_path.exists():
        return f"{name}: no picture is accepted yet, see {path}"
    with Image.open(accepted_path) as picture:
        accepted = np.asarray(picture.convert("RGB"))
    if max(abs(a - b) for a, b in zip(seen.shape[:2], accepted.shape[:2], strict=True)) > GROWTH:
        sizes = [" × ".join(map(str, each.shape[1::-1])) for each in (seen, accepted)]
        return f"{name}: {sizes[0]} at half size, accepted are {sizes[1]}: see {path}"
    height, width = np.minimum(seen.shape[:2], accepted.shape[:2])
    seen, accepted = seen[:height, :width], accepted[:height, :width]
    marks = differing(seen, accepted)
    if marks.mean() <= SHARE:
        path.unlink()
        return ""
    shown = seen // 3 + 170
    shown[marks] = (220, 0, 0)
    difference = SEEN / f"{name}-difference.png"
    Image.fromarray(shown.astype(np.uint8)).save(difference)
    return f"{name}: {marks.mean():.2%} of the picture differ: see {path} and {difference}"
