"""Draw the 43 signs of GTSRB as vector drawings: flat, clean and seen from the front.

`companion.data.synthetic` photographs them, so to speak: it gives them weather, light and a camera.
The drawings follow the shapes that the German road-traffic regulations prescribe, from memory of
any street corner; no picture of the data set went into them.

Coordinates run from -1 to 1 over the sign, x to the right and y downwards; angles are in degrees,
clockwise from the right, as in Pillow.
"""

import itertools
import math

from PIL import Image, ImageDraw

WHITE = (235, 235, 232)
BLACK = (22, 22, 24)
GREY = (125, 125, 125)
RED = (192, 22, 34)
BLUE = (10, 72, 158)
YELLOW = (248, 178, 12)
AMBER = (236, 160, 20)
GREEN = (24, 138, 82)

# How much larger than the drawing the canvas is: lines drawn at this scale and averaged down have
# smooth edges, which Pillow does not draw by itself.
_OVERSAMPLING = 3

CIRCLE, UP, DOWN, DIAMOND, OCTAGON = "circle", "up", "down", "diamond", "octagon"
_SHAPES = {11: UP, 12: DIAMOND, 13: DOWN, 14: OCTAGON, **dict.fromkeys(range(18, 32), UP)}


def shape(class_id):
    """Give the shape of a sign's plate.

    Taught in the chapter *GTSRB 1: the data, and cooking it*.

    Parameters
    ----------
    class_id : int
        Class, 0 to 42.

    Returns
    -------
    str
        "circle", "up" and "down" (triangles, by where they point), "diamond" or "octagon".

    Raises
    ------
    ValueError
        If there is no such class.

    Examples
    --------
    >>> shape(14)
    'octagon'
    """
    if class_id not in _PICTOGRAMS:
        raise ValueError(f"class_id must be a whole number from 0 to 42, got {class_id!r}")
    return _SHAPES.get(class_id, CIRCLE)


def outline(class_id):
    """Give points around a sign, whose bounding box is the sign's.

    Parameters
    ----------
    class_id : int
        Class, 0 to 42.

    Returns
    -------
    list of tuple of float
        Points (x, y), the drawing reaching from -1 to 1.

    Raises
    ------
    ValueError
        If there is no such class.

    Examples
    --------
    >>> outline(12)
    [(0, -1), (1, 0), (0, 1), (-1, 0)]
    """
    kind = shape(class_id)
    if kind in (UP, DOWN):
        side = -1 if kind == DOWN else 1
        return [(0, -0.9 * side), (0.97, 0.9 * side), (-0.97, 0.9 * side)]
    if kind == DIAMOND:
        return [(0, -1), (1, 0), (0, 1), (-1, 0)]
    return _arc(0, 0, 1, 1, 0, 351)


def draw(class_id, size=256, *, weight=1.0, zoom=1.0):
    """Draw one sign, from the front, without light or wear.

    Parameters
    ----------
    class_id : int
        Class, 0 to 42.
    size : int
        Width and height of the drawing in pixels.
    weight : float
        Thickness of the lines of the pictogram, 1 being the usual one: signs of different years
        and makers differ a little.
    zoom : float
        Size of the pictogram, 1 being the usual one.

    Returns
    -------
    PIL.Image.Image
        The drawing, "RGBA", transparent outside the sign.

    Raises
    ------
    ValueError
        If there is no such class.

    Examples
    --------
    >>> draw(14, 64).getpixel((32, 4))[:3] == RED
    True
    """
    kind = shape(class_id)
    pen = _Pen(size)
    _PLATES[kind](pen, class_id)
    pen.weight, pen.zoom = weight, zoom
    if kind == UP:
        # The middle of the free space, which is smaller than the plate.
        pen.zoom, pen.centre = zoom * 0.87, 0.05
    _PICTOGRAMS[class_id](pen)
    return pen.image.reduce(_OVERSAMPLING)


class _Pen:
    """Draw in coordinates from -1 to 1, moved and scaled by `place`."""

    def __init__(self, size):
        self.image = Image.new("RGBA", (size * _OVERSAMPLING,) * 2, (*WHITE, 0))
        self._draw = ImageDraw.Draw(self.image)
        # Two per cent are left free at the edge.
        self._unit = size * _OVERSAMPLING / 2 * 0.98
        self._middle = size * _OVERSAMPLING / 2
        self.weight = self.zoom = 1.0
        self.centre = 0.0
        self.place()

    def place(self, x=0.0, y=0.0, scale=1.0, flip=False):
        """Move the origin of what is drawn next."""
        self._x, self._y, self._scale, self._flip = x, y, scale, flip
        return self

    def _pixel(self, x, y):
        scale = self._scale * (-1 if self._flip else 1)
        return (
            self._middle + self._unit * self.zoom * (self._x + x * scale),
            self._middle + self._unit * (self.centre + self.zoom * (self._y + y * self._scale)),
        )

    def _length(self, length):
        return self._unit * self._scale * self.zoom * length

    def polygon(self, points, fill):
        self._draw.polygon([self._pixel(*p) for p in points], fill=fill)

    def box(self, x0, y0, x1, y1, fill):
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill)

    def ellipse(self, x, y, rx, ry, fill):
        (px, py), rx, ry = self._pixel(x, y), self._length(rx), self._length(ry)
        self._draw.ellipse([px - rx, py - ry, px + rx, py + ry], fill=fill)

    def disc(self, x, y, r, fill):
        self.ellipse(x, y, r, r, fill)

    def line(self, points, width, fill, *, round_ends=True):
        """Draw a line of a given width through the points; its corners are round."""
        width = width * self.weight
        pixels = [self._pixel(*p) for p in points]
        half = self._length(width) / 2
        for (x0, y0), (x1, y1) in itertools.pairwise(pixels):
            length = math.hypot(x1 - x0, y1 - y0) or 1.0
            dx, dy = (y1 - y0) / length * half, (x0 - x1) / length * half
            self._draw.polygon(
                [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)],
                fill=fill,
            )
        for x, y in pixels if round_ends else pixels[1:-1]:
            self._draw.ellipse([x - half, y - half, x + half, y + half], fill=fill)

    def ring(self, x, y, r, width, fill):
        self.line(_arc(x, y, r, r, 0, 360), width, fill)

    def arrow(self, points, width, head, fill):
        """Draw a line that ends in a triangular head, `head` long and wide."""
        (x0, y0), (x1, y1) = points[-2:]
        length = math.hypot(x1 - x0, y1 - y0)
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        bx, by = x1 - dx * head * 0.8, y1 - dy * head * 0.8
        self.line([*points[:-1], (bx, by)], width, fill, round_ends=False)
        half = head * 0.62
        self.polygon(
            [(x1, y1), (bx - dy * half, by + dx * half), (bx + dy * half, by - dx * half)], fill
        )


def _arc(x, y, rx, ry, start, end):
    """Give points along an ellipse, from one angle to another."""
    steps = max(2, round(abs(end - start) / 9))
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


# The plates


def _circle(pen, class_id):
    if class_id in (6, 32, 41, 42):
        pen.disc(0, 0, 1.0, WHITE)
        pen.disc(0, 0, 0.98, (70, 70, 70))
        pen.disc(0, 0, 0.92, WHITE)
    elif 33 <= class_id <= 40:
        pen.disc(0, 0, 1.0, WHITE)
        pen.disc(0, 0, 0.95, BLUE)
    elif class_id == 17:
        pen.disc(0, 0, 1.0, WHITE)
        pen.disc(0, 0, 0.96, RED)
    else:
        pen.disc(0, 0, 1.0, WHITE)
        pen.disc(0, 0, 0.97, RED)
        pen.disc(0, 0, 0.74 if class_id > 8 else 0.76, WHITE)


def _triangle(pen, fill, inset):
    """Fill the triangle `inset` within the plate; its corners are round."""
    corner = 0.075 * (1 - inset)
    # The circle in the triangle has radius 0.625 and its middle at (0, 0.28).
    shrink = 1 - (inset + corner) / 0.625
    points = [
        (x * shrink, 0.28 + y * shrink) for x, y in ((0, -1.25), (1.06, 0.625), (-1.06, 0.625))
    ]
    for x, y in points:
        pen.disc(x, y, corner, fill)
    pen.line([*points, points[0]], 2 * corner, fill)
    pen.polygon(points, fill)


def _up(pen, class_id):
    _triangle(pen, WHITE, 0.0)
    _triangle(pen, RED, 0.03)
    _triangle(pen, WHITE, 0.175)


def _down(pen, class_id):
    _up(pen, class_id)
    pen.image.paste(pen.image.transpose(Image.Transpose.FLIP_TOP_BOTTOM))


def _diamond(pen, class_id):
    for half, corner, fill in (
        (1.0, 0.10, WHITE),
        (0.965, 0.09, BLACK),
        (0.935, 0.08, WHITE),
        (0.64, 0.02, BLACK),
        (0.61, 0.02, YELLOW),
    ):
        r = half - corner
        points = [(0, -r), (r, 0), (0, r), (-r, 0)]
        pen.polygon(points, fill)
        pen.line([*points, points[0]], 2 * corner, fill)


def _octagon(pen, class_id):
    for half, fill in ((1.0, WHITE), (0.94, RED)):
        r = half / math.cos(math.radians(22.5))
        pen.polygon(_arc(0, 0, r, r, 22.5, 382.5)[::5], fill)


_PLATES = {CIRCLE: _circle, UP: _up, DOWN: _down, DIAMOND: _diamond, OCTAGON: _octagon}


# Digits and letters: centre lines in a box of height 1 and the width given first.

_GLYPHS = {
    "0": (0.48, [_arc(0.24, 0.24, 0.24, 0.24, 180, 360) + _arc(0.24, 0.76, 0.24, 0.24, 0, 180)]),
    "1": (0.26, [[(0.0, 0.24), (0.26, 0.0), (0.26, 1.0)]]),
    "2": (
        0.48,
        [[*_arc(0.24, 0.25, 0.24, 0.25, 185, 375), (0.43, 0.46), (0.0, 1.0), (0.5, 1.0)]],
    ),
    "3": (
        0.48,
        [
            _arc(0.23, 0.24, 0.22, 0.24, 195, 450),
            _arc(0.23, 0.735, 0.25, 0.265, 270, 525),
        ],
    ),
    "5": (
        0.48,
        [[(0.46, 0.0), (0.06, 0.0), (0.03, 0.46), *_arc(0.22, 0.68, 0.26, 0.31, 222, 525)]],
    ),
    "6": (
        0.48,
        [_arc(0.24, 0.7, 0.24, 0.3, 0, 360), [(0.38, 0.0), (0.1, 0.38), (0.005, 0.66)]],
    ),
    "7": (0.46, [[(0.0, 0.0), (0.48, 0.0), (0.18, 1.0)]]),
    "8": (
        0.48,
        [_arc(0.24, 0.24, 0.21, 0.24, 0, 360), _arc(0.24, 0.74, 0.25, 0.26, 0, 360)],
    ),
    "S": (
        0.46,
        [_arc(0.23, 0.25, 0.22, 0.25, 345, 90) + _arc(0.23, 0.75, 0.23, 0.25, -90, 165)],
    ),
    "T": (0.46, [[(0.0, 0.0), (0.46, 0.0)], [(0.23, 0.0), (0.23, 1.0)]]),
    "O": (0.48, [_arc(0.24, 0.26, 0.24, 0.26, 180, 360) + _arc(0.24, 0.74, 0.24, 0.26, 0, 180)]),
    "P": (
        0.46,
        [[(0.02, 1.0), (0.02, 0.0), *_arc(0.22, 0.27, 0.24, 0.27, 270, 450), (0.02, 0.54)]],
    ),
}


def _text(pen, text, *, height, stroke, gap, narrow=1.0, fill=BLACK):
    """Write text around the centre; widths are fractions of the height."""
    total = sum(_GLYPHS[c][0] * narrow for c in text) + gap * (len(text) - 1)
    left = -total / 2
    for character in text:
        width, strokes = _GLYPHS[character]
        for points in strokes:
            moved = [((left + x * narrow) * height, (y - 0.5) * height) for x, y in points]
            if moved[0] == moved[-1] or character in "0O":
                moved.append(moved[0])
            pen.line(moved, stroke * height, fill)
        left += width * narrow + gap


def _limit(text):
    def pictogram(pen):
        if len(text) == 3:
            _text(pen, text, height=0.64, stroke=0.17, gap=0.3, narrow=0.76)
        else:
            _text(pen, text, height=0.68, stroke=0.175, gap=0.34)

    return pictogram


def _stripes(pen):
    for i in range(-2, 3):
        d = i * 0.105
        reach = math.sqrt(0.92**2 - d**2) * math.sqrt(0.5)
        dx = d * math.sqrt(0.5)
        pen.line([(dx - reach, dx + reach), (dx + reach, dx - reach)], 0.055, (50, 50, 50))


def _end_of_limit(pen):
    _text(pen, "80", height=0.7, stroke=0.2, gap=0.36, fill=GREY)
    _stripes(pen)


# Vehicles


def _car(pen, fill, glass):
    """Draw a car from behind, 1 wide."""
    pen.polygon([(-0.36, -0.02), (-0.26, -0.3), (0.26, -0.3), (0.36, -0.02)], fill)
    pen.polygon([(-0.25, -0.04), (-0.19, -0.22), (0.19, -0.22), (0.25, -0.04)], glass)
    pen.box(-0.5, -0.04, 0.5, 0.18, fill)
    pen.box(-0.46, 0.16, -0.28, 0.32, fill)
    pen.box(0.28, 0.16, 0.46, 0.32, fill)
    pen.disc(-0.38, 0.07, 0.055, glass)
    pen.disc(0.38, 0.07, 0.055, glass)


def _lorry_from_behind(pen, fill, glass):
    pen.box(-0.42, -0.72, 0.42, 0.02, fill)
    pen.box(-0.42, 0.07, 0.42, 0.2, fill)
    pen.box(-0.4, 0.2, -0.22, 0.36, fill)
    pen.box(0.22, 0.2, 0.4, 0.36, fill)
    pen.disc(-0.33, 0.13, 0.045, glass)
    pen.disc(0.33, 0.13, 0.045, glass)


def _no_passing(pen, left=RED, right=BLACK):
    _car(pen.place(-0.34, 0.02, 0.63), left, WHITE)
    _car(pen.place(0.34, 0.02, 0.63), right, WHITE)
    pen.place()


def _no_passing_lorries(pen, left=RED, right=BLACK):
    _lorry_from_behind(pen.place(-0.27, 0.07, 0.68), left, WHITE)
    _car(pen.place(0.36, 0.14, 0.5), right, WHITE)
    pen.place()


def _end_of_no_passing(pen):
    _no_passing(pen, GREY, GREY)
    _stripes(pen)


def _end_of_no_passing_lorries(pen):
    _no_passing_lorries(pen, GREY, GREY)
    _stripes(pen)


def _lorry(pen):
    pen.place(0, 0, 0.9)
    pen.box(-0.2, -0.3, 0.56, 0.14, BLACK)
    pen.polygon(
        [(-0.25, 0.14), (-0.25, -0.16), (-0.42, -0.16), (-0.54, -0.02), (-0.54, 0.14)], BLACK
    )
    pen.polygon([(-0.3, -0.1), (-0.4, -0.1), (-0.47, 0.0), (-0.3, 0.0)], WHITE)
    pen.box(-0.54, 0.12, 0.56, 0.17, BLACK)
    for x in (-0.38, 0.22, 0.42):
        pen.disc(x, 0.21, 0.115, WHITE)
        pen.disc(x, 0.21, 0.09, BLACK)
    pen.place()


# Triangles: the free space lies around (0, 0.3).


def _right_of_way(pen):
    pen.polygon([(0, -0.4), (0.24, -0.06), (-0.24, -0.06)], BLACK)
    pen.polygon([(-0.14, -0.08), (0.14, -0.08), (0.17, 0.64), (0, 0.54), (-0.17, 0.64)], BLACK)
    pen.box(-0.4, 0.14, 0.4, 0.29, BLACK)


def _caution(pen):
    pen.polygon([(-0.105, -0.36), (0.105, -0.36), (0.06, 0.36), (-0.06, 0.36)], BLACK)
    pen.disc(0, -0.36, 0.105, BLACK)
    pen.disc(0, 0.54, 0.1, BLACK)


def _curve(flip):
    def pictogram(pen):
        pen.place(0.02 if flip else -0.02, 0.0, 1.0, flip)
        pen.line(
            [(-0.2, 0.62), (-0.2, 0.28), *_arc(0.02, 0.28, 0.22, 0.22, 180, 262), (0.12, 0.06)],
            0.19,
            BLACK,
            round_ends=False,
        )
        pen.polygon([(0.1, -0.12), (0.38, 0.07), (0.1, 0.24)], BLACK)
        pen.place()

    return pictogram


def _double_curve(pen):
    left = [(-0.24, 0.22), (-0.24, 0.0), (-0.3, 0.0), (-0.12, -0.4), (0.08, 0.0), (0.02, 0.0)]
    right = [(0.02, 0.1), (0.25, 0.24), (0.25, 0.44), (0.17, 0.68), (0.06, 0.68), (0.03, 0.38)]
    pen.polygon([*left, *right], BLACK)


def _bumps(pen):
    pen.box(-0.5, 0.52, 0.5, 0.62, BLACK)
    for x in (-0.23, 0.23):
        pen.polygon(
            [(x - 0.24, 0.54), *_arc(x, 0.44, 0.17, 0.15, 200, 340), (x + 0.24, 0.54)], BLACK
        )


def _slippery(pen):
    pen.polygon([(-0.26, 0.02), (-0.12, -0.3), (0.26, -0.18), (0.28, 0.16)], BLACK)
    pen.polygon([(-0.17, -0.03), (-0.08, -0.22), (0.18, -0.13), (0.2, 0.07)], WHITE)
    pen.polygon([(-0.36, -0.06), (0.32, 0.13), (0.28, 0.34), (-0.4, 0.15)], BLACK)
    pen.polygon([(-0.36, 0.12), (-0.23, 0.16), (-0.26, 0.29), (-0.39, 0.25)], BLACK)
    pen.polygon([(0.14, 0.26), (0.27, 0.3), (0.24, 0.43), (0.11, 0.39)], BLACK)
    for x, y in ((-0.24, 0.36), (0.12, 0.46)):
        pen.line(
            [(x, y), (x + 0.14, y + 0.06), (x - 0.16, y + 0.14), (x + 0.12, y + 0.2)],
            0.06,
            BLACK,
        )


def _narrows(pen):
    pen.box(-0.23, -0.2, -0.11, 0.6, BLACK)
    pen.line([(0.27, 0.6), (0.27, 0.38), (0.1, 0.14), (0.1, -0.2)], 0.12, BLACK, round_ends=False)


def _road_work(pen):
    pen.disc(-0.04, -0.29, 0.1, BLACK)
    pen.line([(-0.07, -0.13), (-0.16, 0.16)], 0.2, BLACK)
    pen.line([(-0.16, 0.18), (-0.06, 0.38), (-0.12, 0.6)], 0.1, BLACK)
    pen.line([(-0.18, 0.18), (-0.28, 0.4), (-0.38, 0.6)], 0.1, BLACK)
    pen.line([(-0.04, -0.1), (0.12, 0.06), (0.0, 0.16)], 0.075, BLACK)
    pen.line([(-0.24, -0.02), (0.3, 0.44)], 0.06, BLACK)
    pen.polygon([(0.04, 0.64), (0.3, 0.3), (0.4, 0.36), (0.56, 0.64)], BLACK)


def _traffic_lights(pen):
    for y, fill in ((-0.18, RED), (0.14, AMBER), (0.46, GREEN)):
        pen.disc(0, y, 0.145, fill)


def _walker(pen):
    """Draw somebody who walks to the left, from y = -1 to 1."""
    pen.disc(0.0, -0.82, 0.17, BLACK)
    pen.line([(0.02, -0.5), (0.04, 0.05)], 0.36, BLACK)
    pen.line([(0.0, 0.1), (-0.12, 0.5), (-0.36, 0.95)], 0.2, BLACK)
    pen.line([(0.08, 0.1), (0.2, 0.48), (0.36, 0.92)], 0.2, BLACK)
    pen.line([(-0.04, -0.5), (-0.34, -0.2), (-0.4, 0.04)], 0.14, BLACK)
    pen.line([(0.1, -0.5), (0.32, -0.16), (0.3, 0.1)], 0.14, BLACK)


def _pedestrians(pen):
    for x in (-0.44, -0.22, 0.0, 0.22, 0.44):
        pen.polygon(
            [(x - 0.06, 0.68), (x + 0.06, 0.68), (x * 0.85 + 0.05, 0.5), (x * 0.85 - 0.05, 0.5)],
            GREY,
        )
    _walker(pen.place(0, 0.14, 0.5))
    pen.place()


def _runner(pen):
    """Draw a child that runs to the left, from y = -1 to 1."""
    pen.disc(-0.12, -0.8, 0.2, BLACK)
    pen.line([(-0.06, -0.45), (0.06, 0.08)], 0.34, BLACK)
    pen.line([(0.02, 0.12), (-0.34, 0.36), (-0.4, 0.9)], 0.2, BLACK)
    pen.line([(0.1, 0.12), (0.3, 0.52), (0.72, 0.62)], 0.2, BLACK)
    pen.line([(-0.1, -0.5), (-0.46, -0.18), (-0.7, -0.32)], 0.15, BLACK)
    pen.line([(0.0, -0.5), (0.4, -0.3), (0.56, -0.02)], 0.15, BLACK)


def _children(pen):
    _runner(pen.place(0.14, 0.2, 0.46))
    _runner(pen.place(-0.29, 0.35, 0.33))
    pen.place()


def _bicycle(pen):
    for x in (-0.27, 0.27):
        pen.ring(x, 0.4, 0.2, 0.06, BLACK)
    pen.line([(-0.27, 0.4), (-0.14, 0.08), (0.16, 0.08), (-0.02, 0.4), (-0.27, 0.4)], 0.06, BLACK)
    pen.line([(-0.02, 0.4), (-0.12, 0.04)], 0.06, BLACK)
    pen.line([(-0.2, 0.0), (-0.04, 0.0)], 0.07, BLACK)
    pen.line([(0.27, 0.4), (0.15, 0.0), (0.24, -0.06)], 0.06, BLACK)
    pen.line([(0.06, -0.06), (0.17, -0.03)], 0.06, BLACK)


def _snowflake(pen):
    for angle in range(0, 360, 60):
        a = math.radians(angle + 30)
        x, y = math.cos(a), math.sin(a)
        pen.line([(0, 0.24), (0.42 * x, 0.24 + 0.42 * y)], 0.11, BLACK)
        for side in (-42, 42):
            b = math.radians(angle + 30 + side)
            pen.line(
                [
                    (0.22 * x, 0.24 + 0.22 * y),
                    (0.22 * x + 0.16 * math.cos(b), 0.24 + 0.22 * y + 0.16 * math.sin(b)),
                ],
                0.095,
                BLACK,
            )


def _deer(pen):
    pen.line([(-0.12, 0.12), (0.2, 0.34)], 0.17, BLACK)
    pen.line([(-0.16, 0.14), (-0.24, -0.1)], 0.1, BLACK)
    pen.polygon([(-0.2, -0.18), (-0.42, -0.06), (-0.4, 0.01), (-0.18, -0.03)], BLACK)
    pen.line([(-0.22, -0.13), (-0.15, -0.34)], 0.05, BLACK)
    pen.line([(-0.14, 0.2), (-0.34, 0.26), (-0.42, 0.36)], 0.06, BLACK)
    pen.line([(-0.1, 0.24), (-0.28, 0.36), (-0.26, 0.46)], 0.06, BLACK)
    pen.line([(0.22, 0.36), (0.36, 0.5), (0.54, 0.6)], 0.075, BLACK)
    pen.line([(0.16, 0.38), (0.22, 0.52), (0.4, 0.64)], 0.07, BLACK)
    pen.line([(0.24, 0.28), (0.31, 0.24)], 0.06, BLACK)


# Blue discs


def _ahead(pen):
    pen.arrow([(0, 0.7), (0, -0.72)], 0.25, 0.62, WHITE)


def _turn(flip):
    def pictogram(pen):
        pen.place(0, 0, 1.0, flip)
        pen.arrow(
            [(-0.24, 0.62), (-0.24, 0.1), *_arc(0.02, 0.1, 0.26, 0.26, 180, 270), (0.6, -0.16)],
            0.25,
            0.58,
            WHITE,
        )
        pen.place()

    return pictogram


def _straight_or(flip):
    def pictogram(pen):
        pen.place(0, 0, 1.0, flip)
        pen.arrow([(-0.18, 0.72), (-0.18, -0.72)], 0.23, 0.58, WHITE)
        pen.arrow([(-0.18, 0.56), (-0.18, 0.2), (-0.08, 0.12), (0.68, 0.12)], 0.23, 0.56, WHITE)
        pen.place()

    return pictogram


def _keep(flip):
    def pictogram(pen):
        pen.place(0, 0, 1.0, flip)
        pen.arrow([(-0.48, -0.44), (0.54, 0.48)], 0.27, 0.66, WHITE)
        pen.place()

    return pictogram


def _roundabout(pen):
    for start in (20, 140, 260):
        pen.line(_arc(0, 0, 0.6, 0.6, start, start - 68), 0.15, WHITE, round_ends=False)
        neck, tip = math.radians(start - 64), math.radians(start - 104)
        pen.polygon(
            [
                (0.4 * math.cos(neck), 0.4 * math.sin(neck)),
                (0.8 * math.cos(neck), 0.8 * math.sin(neck)),
                (0.6 * math.cos(tip), 0.6 * math.sin(tip)),
            ],
            WHITE,
        )


def _nothing(pen):
    """Leave the plate as it is."""


def _no_entry(pen):
    pen.box(-0.7, -0.165, 0.7, 0.165, WHITE)


def _stop(pen):
    _text(pen, "STOP", height=0.6, stroke=0.23, gap=0.34, narrow=0.92, fill=WHITE)


_PICTOGRAMS = {
    0: _limit("20"),
    1: _limit("30"),
    2: _limit("50"),
    3: _limit("60"),
    4: _limit("70"),
    5: _limit("80"),
    6: _end_of_limit,
    7: _limit("100"),
    8: _limit("120"),
    9: _no_passing,
    10: _no_passing_lorries,
    11: _right_of_way,
    12: _nothing,
    13: _nothing,
    14: _stop,
    15: _nothing,
    16: _lorry,
    17: _no_entry,
    18: _caution,
    19: _curve(flip=True),
    20: _curve(flip=False),
    21: _double_curve,
    22: _bumps,
    23: _slippery,
    24: _narrows,
    25: _road_work,
    26: _traffic_lights,
    27: _pedestrians,
    28: _children,
    29: _bicycle,
    30: _snowflake,
    31: _deer,
    32: _stripes,
    33: _turn(flip=False),
    34: _turn(flip=True),
    35: _ahead,
    36: _straight_or(flip=False),
    37: _straight_or(flip=True),
    38: _keep(flip=False),
    39: _keep(flip=True),
    40: _roundabout,
    41: _end_of_no_passing,
    42: _end_of_no_passing_lorries,
}
