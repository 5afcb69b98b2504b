"""Draw a stand-in for GTSRB: an archive in the official layout, made of drawn signs.

Every image is a drawing of `companion.data.drawn_signs`, given what a camera on a moving car
gives a real sign: a background, poles and plates around it, age and dirt, sun, shadow or backlight,
an angle, a distance, blur and noise. What belongs to one sign and one drive past it is drawn once
per track; from frame to frame it changes slowly, so that frames of a track are near-duplicates, as
they are in GTSRB.

The distributions (sizes, brightness, contrast, sharpness, likeness of neighbouring frames) were
set by comparing them with those of the training images of GTSRB. No picture of GTSRB is used.
"""

import json
import math
import numbers
import os
import shutil
import uuid
from functools import cache
from pathlib import Path

import numpy as np

from companion.data import drawn_signs
from companion.data.gtsrb import CSV_COLUMNS, OFFICIAL_COUNTS, SYNTHETIC_FILE
from companion.data.registry import DataError

# Raised whenever the same arguments draw other bytes: archives are cached under it.
VERSION = 2

_CLASSES = 43
_FRAMES = 30
# The official test set holds whole tracks, too, but their order is hidden. A small stand-in gains
# by more signs with fewer frames of each.
_TEST_FRAMES = 3

# Pixels of a drawing, of the board that holds it with its surroundings, and of the scenery.
_SIGN, _BOARD, _SCENE = 192, 240, 160
_LEVELS = 4


def write_archive(root, *, scale=1.0, seed=0):
    """Draw 43 classes of signs into an archive in the official layout.

    The training set has 30 frames a track and the official numbers of tracks times `scale`; the
    test set has the official numbers of images times `scale`, of other signs, three frames a
    sign. Each class has at least 2 tracks and 2 test images. The same arguments give the same
    bytes; a larger scale holds the training tracks of a smaller one under the same names.

    Parameters
    ----------
    root : str or path
        Folder to write: absent, or empty. It appears when it is whole.
    scale : float
        Fraction of the official numbers, in (0, 1].
    seed : int
        Seed of everything that is random, >= 0.

    Returns
    -------
    pathlib.Path
        `root`. `companion.data.gtsrb.read_archive` reads it.

    Raises
    ------
    ValueError
        If `scale` or `seed` is out of its range.
    DataError
        If `root` exists and is not an empty folder.

    Examples
    --------
    >>> from companion.data import gtsrb, synthetic
    >>> root = synthetic.write_archive("signs", scale=0.1)                     # doctest: +SKIP
    >>> gtsrb.read_archive(root).note                                          # doctest: +SKIP
    '43 drawn signs (synthetic stand-in, scale 0.1, seed 0), not photographs'
    """
    scale, seed = _checked(scale, seed)
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"root must be a new or empty folder, got {root}: name another or empty it")

    # A name of its own, so that two processes that write the same archive do not meet.
    part = root.with_name(f"{root.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        for class_id in range(_CLASSES):
            _write_train(part, class_id, scale, seed)
        _write_test(part, scale, seed)
        made = {"origin": "synthetic", "scale": scale, "seed": seed, "version": VERSION}
        (part / SYNTHETIC_FILE).write_text(json.dumps(made) + "\n", encoding="utf-8")
        if root.exists():
            root.rmdir()
        os.replace(part, root)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return root


def _checked(scale, seed):
    if isinstance(scale, bool) or not isinstance(scale, numbers.Real) or not 0 < scale <= 1:
        raise ValueError(f"scale must be a number > 0 and <= 1, got {scale!r}")
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"seed must be a whole number >= 0, got {seed!r}")
    return float(scale), int(seed)


def _tracks(class_id, scale):
    """Give the number of training tracks of a class."""
    return max(2, round(scale * round(OFFICIAL_COUNTS["train"][class_id] / _FRAMES)))


def _test_images(class_id, scale):
    """Give the number of test images of a class."""
    return max(2, round(scale * OFFICIAL_COUNTS["test"][class_id]))


def _generator(seed, *what):
    """Give the random generator of one thing; it depends on nothing that was drawn before."""
    return np.random.default_rng(np.random.SeedSequence([seed, *what]))


_TRAIN, _TEST, _ORDER = 0, 1, 2


def _write_train(root, class_id, scale, seed):
    folder = root / "GTSRB/Final_Training/Images" / f"{class_id:05d}"
    folder.mkdir(parents=True)
    rows = []
    for track in range(_tracks(class_id, scale)):
        drive = _Drive(class_id, _generator(seed, _TRAIN, class_id, track))
        for frame in range(_FRAMES):
            image, roi = drive.photograph(frame)
            name = f"{track:05d}_{frame:05d}.ppm"
            _write_ppm(folder / name, image)
            rows.append(_row(name, image, roi, class_id))
    _write_csv(folder / f"GT-{class_id:05d}.csv", CSV_COLUMNS, rows)


def _write_test(root, scale, seed):
    folder = root / "GTSRB/Final_Test/Images"
    folder.mkdir(parents=True)
    counts = [_test_images(class_id, scale) for class_id in range(_CLASSES)]
    names = iter(_generator(seed, _ORDER).permutation(sum(counts)))
    rows = []
    for class_id, count in enumerate(counts):
        for first in range(0, count, _TEST_FRAMES):
            drive = _Drive(class_id, _generator(seed, _TEST, class_id, first // _TEST_FRAMES))
            for frame in drive.test_frames[: count - first]:
                image, roi = drive.photograph(frame)
                name = f"{next(names):05d}.ppm"
                _write_ppm(folder / name, image)
                rows.append(_row(name, image, roi, class_id))
    rows.sort()
    _write_csv(root / "GT-final_test.csv", CSV_COLUMNS, rows)
    _write_csv(folder / "GT-final_test.test.csv", CSV_COLUMNS[:-1], [row[:-1] for row in rows])


def _row(name, image, roi, class_id):
    return (name, image.shape[1], image.shape[0], *roi, class_id)


def _write_csv(path, columns, rows):
    lines = (";".join(map(str, row)) + "\n" for row in [columns, *rows])
    path.write_text("".join(lines), encoding="utf-8", newline="")


def _write_ppm(path, image):
    height, width, _ = image.shape
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + image.tobytes())


class _Drive:
    """One sign, its surroundings, and the path of the car towards it.

    The order of the calls of the generator is part of what makes an archive reproducible.
    """

    def __init__(self, class_id, rng):
        self.class_id = class_id
        self.test_frames = sorted(rng.choice(_FRAMES, _TEST_FRAMES, replace=False).tolist())
        self._frame_seeds = rng.integers(0, 2**63, _FRAMES)
        self._light(rng)
        self._path(rng)
        self._camera(rng)
        board = _board(class_id, rng)
        self._boards = [board] + [board.reduce(2**level) for level in range(1, _LEVELS)]
        self._scene = _scene(rng)

    def _light(self, rng):
        """Set how bright the sign and the scenery are in each frame."""
        sign = rng.normal(math.log(0.6), 0.6)
        # A sign in the sun before shade, or in its own shade before the sky.
        contrast = rng.normal(-0.2, 0.5)
        sign_drift = _drift(rng, 0.38)
        scene = sign + contrast + 0.6 * sign_drift + _drift(rng, 0.45)
        self.sign_gain = np.exp(np.minimum(sign + sign_drift, 0.7))
        self.scene_gain = np.exp(np.minimum(scene, 0.7))
        self.cast = np.exp(rng.normal((0.02, 0.0, 0.02), (0.05, 0.03, 0.08))).astype(np.float32)
        self.veil = rng.gamma(1.2, 7.0)

    def _path(self, rng):
        """Set where the sign is in each frame, how large, and how it is turned."""
        first = 15.0 + rng.exponential(6.5)
        growth = np.clip(np.exp(rng.normal(1.35, 0.45)), 1.1, 200.0 / first)
        # The size goes with one over the distance, and the car drives at a steady speed.
        position = np.linspace(0.0, 1.0, _FRAMES) ** rng.uniform(0.9, 1.25)
        distance = growth + (1.0 - growth) * position
        self.size = first * growth / distance
        self.size = self.size * np.exp(rng.normal(0.0, 0.008, _FRAMES))
        side = rng.choice([1.0, 1.0, 1.0, -1.0])
        turn = rng.normal(0.0, 7.0)
        self.yaw = turn + side * rng.uniform(0.0, 16.0) / distance + rng.normal(0, 0.8, _FRAMES)
        self.pitch = rng.normal(-3.0, 5.0) - 5.0 / distance + rng.normal(0, 0.8, _FRAMES)
        self.roll = rng.normal(0.0, 2.8) + np.cumsum(rng.normal(0, 0.3, _FRAMES))
        self.offset = rng.normal(0.0, 0.5, (_FRAMES, 2))
        # What lies far behind the sign moves and shrinks against it.
        depth = np.exp(rng.normal(0.8, 0.9))
        window = (distance + depth) / distance
        self.window = np.clip(rng.uniform(30, 120) * window / window[-1], 8, 130)
        # The sign rises out of the hedges into the sky and drifts aside as the car passes it.
        nearness = (1 / distance - 1 / growth) / (1 - 1 / growth)
        start, end = rng.uniform((0.2, 0.5), (0.8, 0.9)), rng.uniform((0.1, 0.1), (0.9, 0.6))
        self.centre = start + (end - start) * nearness[:, None]

    def _camera(self, rng):
        """Set blur and noise in each frame."""
        self.focus = np.exp(
            rng.normal(math.log(0.33), 0.4) + _drift(rng, 0.15) + rng.normal(0, 0.1, _FRAMES)
        )
        shake = np.exp(rng.normal(-1.1, 0.9) + rng.normal(0, 0.5, _FRAMES))
        nearer = self.size / self.size[0]
        self.smear = np.minimum(shake * nearer**0.8, 0.15 * self.size)
        self.direction = rng.uniform(0, math.pi) + rng.normal(0, 0.3, _FRAMES)
        self.read_noise = rng.gamma(2.0, 0.45)
        self.shot_noise = rng.uniform(0.0, 0.25)

    def photograph(self, frame):
        """Give one frame, uint8 (height, width, 3), and its region of interest."""
        from PIL import Image

        rng = np.random.default_rng(self._frame_seeds[frame])
        to_frame, (half_width, half_height) = self._projection(frame)
        margins = np.maximum(5, np.rint(0.2 * half_width)) + rng.integers(0, 2, 4)
        left, top, right, bottom = margins.astype(int).tolist()
        width = left + right + round(2 * half_width)
        height = top + bottom + round(2 * half_height)
        roi = (left, top, width - right, height - bottom)

        # Blurring and filling in colours use up the pixels at the edge: draw some more.
        blur = _gaussian(self.focus[frame])
        smear = _line(self.smear[frame], self.direction[frame])
        extra = len(blur) // 2 + int(np.abs(smear).max()) + _FILLED
        size = (width + 2 * extra, height + 2 * extra)

        middle = np.array([left + width - right, top + height - bottom]) / 2 + extra
        middle = middle + self.offset[frame]
        shift = np.array([[1, 0, middle[0]], [0, 1, middle[1]], [0, 0, 1]])
        level = int(np.clip(np.log2(_SIGN / 2 / half_width), 0, _LEVELS - 1))
        to_board = np.array([[1, 0, _BOARD / 2], [0, 1, _BOARD / 2], [0, 0, 2**level]])
        coefficients = to_board @ np.linalg.inv(shift @ to_frame)
        sign = self._boards[level].transform(
            size,
            Image.Transform.PERSPECTIVE,
            (coefficients / coefficients[2, 2]).ravel()[:8].tolist(),
            Image.Resampling.BILINEAR,
        )
        scene = self._scene.resize(
            size, Image.Resampling.BILINEAR, box=self._view(frame, size[1] / size[0])
        )
        light = _blend(sign, scene, self.sign_gain[frame], self.scene_gain[frame])
        light = _blurred(light * self.cast, blur, smear)
        return _measured(light + self.veil, self.read_noise, self.shot_noise, rng), roi

    def _projection(self, frame):
        """Give the matrix from board to frame, the sign at the origin, and half its extent."""
        yaw, pitch, roll = np.radians([self.yaw[frame], self.pitch[frame], self.roll[frame]])
        cos, sin = math.cos, math.sin
        turn = (
            np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
            @ np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
            @ np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
        )
        # The plane of the sign, seen from five half widths away.
        plane = np.array([turn[:, 0], turn[:, 1], [0, 0, 5.0]]).T
        x, y, depth = plane @ np.array([(x, y, 1) for x, y in drawn_signs.outline(self.class_id)]).T
        x, y = x / depth, y / depth
        scale = self.size[frame] / (x.max() - x.min())
        low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
        middle = (low + high) / 2 * scale
        to_pixels = np.array([[scale, 0, -middle[0]], [0, scale, -middle[1]], [0, 0, 1]])
        to_units = np.diag([2 / _SIGN, 2 / _SIGN, 1])
        return to_pixels @ plane @ to_units, (high - low) / 2 * scale

    def _view(self, frame, aspect):
        """Give the box of the scenery that lies behind the frame."""
        half = self.window[frame] / 2 * np.array([1.0, aspect])
        half = np.minimum(half, _SCENE / 2)
        middle = np.clip(self.centre[frame] * _SCENE, half, _SCENE - half)
        return tuple(np.clip([*(middle - half), *(middle + half)], 0, _SCENE).tolist())


def _drift(rng, size):
    """Give a smooth change over the frames, 0 on average over many drives."""
    t = np.linspace(-1.0, 1.0, _FRAMES)
    slope, bend, phase = rng.normal(0, size, 3)
    return slope * t + bend * np.sin(2.5 * t + 4 * phase) + rng.normal(0, size * 0.05, _FRAMES)


# What the camera does


# Pixels at each edge that filling in colours uses up; even, so that the filter keeps its phase.
_FILLED = 2


def _blend(sign, scene, sign_gain, scene_gain):
    sign, scene = np.asarray(sign, np.float32), np.asarray(scene, np.float32)
    alpha = sign[..., 3:] / 255.0
    return scene * (scene_gain * (1 - alpha)) + sign[..., :3] * (sign_gain * alpha)


def _gaussian(sigma):
    """Give the weights of a blur, an odd number of them."""
    reach = math.ceil(2.5 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def _line(length, direction):
    """Give the pixels (y, x) of a line through 0: how a point smears as the camera moves."""
    along = np.linspace(-length / 2, length / 2, 2 * math.ceil(length / 2) + 1)
    return np.rint(np.outer(along, [math.sin(direction), math.cos(direction)])).astype(int)


def _blurred(image, blur, smear):
    """Blur out of focus, then along a line; the image loses what this uses up at its edges."""
    rows = len(image) - len(blur) + 1
    image = sum(w * image[i : i + rows] for i, w in enumerate(blur.astype(np.float32)))
    columns = image.shape[1] - len(blur) + 1
    image = sum(w * image[:, i : i + columns] for i, w in enumerate(blur.astype(np.float32)))
    reach = int(np.abs(smear).max())
    rows, columns = rows - 2 * reach, columns - 2 * reach
    shifted = (image[y : y + rows, x : x + columns] for y, x in (smear + reach).tolist())
    return sum(shifted) / np.float32(len(smear))


def _measured(light, read_noise, shot_noise, rng):
    """Measure one colour a pixel, as under a Bayer filter, and fill in the others.

    Red and blue come from a quarter of the pixels each, green from half of them: this is what
    gives small signs their coloured fringes.
    """
    from PIL import Image

    raw = light[..., 1].copy()
    raw[::2, ::2] = light[::2, ::2, 0]
    raw[1::2, 1::2] = light[1::2, 1::2, 2]
    raw = np.minimum(raw, 255.0)
    noise = rng.standard_normal(raw.shape, np.float32)
    raw += noise * np.sqrt(read_noise**2 + shot_noise * raw)
    raw = np.clip(raw + 0.5, 0, 255).astype(np.uint8)

    height, width = (n - 2 * _FILLED for n in raw.shape)
    image = np.empty((height, width, 3), np.uint8)
    for colour, first in ((0, 0), (2, 1)):
        samples = Image.fromarray(raw[first::2, first::2])
        # Sample i was taken at the pixel 2 i + first, whose middle is there plus one half.
        low = (_FILLED - first) / 2 + 0.25
        box = (low, low, low + width / 2, low + height / 2)
        image[..., colour] = samples.resize((width, height), Image.Resampling.BILINEAR, box)
    green = raw[1:-1, 1:-1]
    sums = raw.astype(np.uint16)
    around = sums[:-2, 1:-1] + sums[2:, 1:-1] + sums[1:-1, :-2] + sums[1:-1, 2:]
    filled = ((around + 2) // 4).astype(np.uint8)
    filled[::2, 1::2] = green[::2, 1::2]
    filled[1::2, ::2] = green[1::2, ::2]
    image[..., 1] = filled[1:-1, 1:-1]
    return image


# The sign and what stands around it

_VARIANTS = 3


@cache
def _drawing(class_id, variant):
    """Give one of the few drawings of a class: makers differ a little."""
    rng = np.random.default_rng(variant)
    weight, zoom = (1.0, 1.0) if variant == 0 else (rng.uniform(0.8, 1.2), rng.uniform(0.9, 1.1))
    return np.asarray(drawn_signs.draw(class_id, _SIGN, weight=weight, zoom=zoom))


def _board(class_id, rng):
    """Give the sign with its pole and neighbours, in its light, on a transparent board."""
    from PIL import Image

    surroundings = _surroundings(class_id, rng)
    drawing = _drawing(class_id, int(rng.integers(_VARIANTS))).astype(np.float32)
    colours = _age(drawing[..., :3], rng)
    board = np.asarray(surroundings, np.float32).copy()
    edge = (_BOARD - _SIGN) // 2
    part = board[edge : edge + _SIGN, edge : edge + _SIGN]
    alpha = drawing[..., 3:] / 255.0
    part[..., :3] += alpha * (colours - part[..., :3])
    part[..., 3:] = np.maximum(part[..., 3:], drawing[..., 3:])
    board[..., :3] *= _shade(rng)[..., None]
    board = Image.fromarray(np.clip(board, 0, 255).astype(np.uint8))
    _cover(board, rng)
    return board


def _surroundings(class_id, rng):
    from PIL import Image, ImageDraw

    board = Image.new("RGBA", (_BOARD, _BOARD), (90, 90, 90, 0))
    pen = ImageDraw.Draw(board)
    middle = _BOARD / 2 + rng.normal(0, 3)
    bottom = _BOARD / 2 + _SIGN / 2 * max(y for _, y in drawn_signs.outline(class_id))
    top = _BOARD - bottom
    if rng.random() < 0.75:
        half = rng.uniform(4, 10)
        grey = int(rng.uniform(60, 190))
        above = 0 if rng.random() < 0.35 else top + 15
        pen.rectangle([middle - half, above, middle + half, _BOARD], fill=(grey, grey, grey, 255))
    if rng.random() < 0.35:
        grey = int(rng.uniform(190, 240))
        wide, y = rng.uniform(52, 94), bottom + rng.uniform(1, 9)
        pen.rectangle(
            [middle - wide, y, middle + wide, _BOARD], fill=(grey, grey, grey, 255), outline="black"
        )
    for y in (bottom + rng.uniform(0, 10), top - rng.uniform(0, 10)):
        if rng.random() < 0.12:
            colour = (drawn_signs.RED, drawn_signs.BLUE, drawn_signs.WHITE)[rng.integers(3)]
            y = y + _SIGN / 2 if y > middle else y - _SIGN / 2
            r = _SIGN / 2
            pen.ellipse([middle - r, y - r, middle + r, y + r], fill=(*colour, 255))
            r *= 0.75
            pen.ellipse([middle - r, y - r, middle + r, y + r], fill=(*drawn_signs.WHITE, 255))
    return board


def _age(colours, rng):
    """Fade and tint a drawing: reds turn orange or brown, white turns yellowish or grey."""
    fading = rng.beta(1.2, 7.0)
    saturation = rng.normal(0.95, 0.15)
    grey = colours.mean(axis=2, keepdims=True)
    colours = grey + (colours - grey) * max(0.3, saturation - fading)
    colours = colours + fading * (rng.uniform(90, 170) - colours)
    return colours * np.exp(rng.normal(0.0, 0.03, 3)).astype(np.float32)


def _shade(rng):
    """Give the light on each point of the board, 1 being full."""
    y, x = np.mgrid[-1 : 1 : _BOARD * 1j, -1 : 1 : _BOARD * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    light = 0.95 + rng.normal(0, 0.1) * along
    light += rng.gamma(1.0, 0.04) * _noise(rng, _BOARD, 7)
    what = rng.random()
    if what < 0.1:
        # The edge of a shadow.
        edge = np.clip((along - rng.uniform(-0.7, 0.7)) / rng.uniform(0.02, 0.3), 0, 1)
        light *= 1 - rng.uniform(0.3, 0.7) * edge
    elif what < 0.18:
        # The shadow of leaves.
        leaves = np.clip(_noise(rng, _BOARD, int(rng.integers(4, 12))) * 3 + 0.5, 0, 1)
        light *= 1 - rng.uniform(0.25, 0.65) * leaves
    elif what < 0.23:
        # The sun mirrored in the plate, or dirt.
        spot = (x - rng.uniform(-0.8, 0.8)) ** 2 + (y - rng.uniform(-0.8, 0.8)) ** 2
        light *= 1 + rng.uniform(-0.6, 0.8) * np.exp(-spot / rng.uniform(0.05, 0.5))
    return light


def _cover(board, rng):
    """Lay twigs, stickers and dirt over the board."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(board)
    if rng.random() < 0.08:
        for _ in range(rng.integers(1, 7)):
            points = np.cumsum(rng.normal(0, 34, (5, 2)), axis=0) + rng.uniform(0, _BOARD, 2)
            tone = int(rng.uniform(10, 90))
            pen.line(
                [tuple(p) for p in points.tolist()],
                fill=(tone, tone + 8, tone // 2, 255),
                width=int(rng.integers(2, 9)),
            )
    if rng.random() < 0.04:
        for _ in range(rng.integers(1, 4)):
            x, y = rng.uniform(0.2, 0.8, 2) * _BOARD
            w, h = rng.uniform(4, 18, 2)
            tone = int(rng.integers(10, 240))
            pen.rectangle([x - w, y - h, x + w, y + h], fill=(tone, tone, tone, 255))


# The scenery


def _noise(rng, size, cells):
    """Give smooth noise of about `cells` bumps across, mean 0, deviation about 0.5."""
    from PIL import Image

    coarse = Image.fromarray(rng.standard_normal((cells, cells), np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) * 0.8


def _scene(rng):
    """Draw what lies behind a sign: foliage, walls, houses, poles, sky."""
    from PIL import Image, ImageDraw

    texture = sum(
        strength * _noise(rng, _SCENE, cells)
        for strength, cells in zip(
            rng.dirichlet((2, 2, 1.5, 0.7)) * 2.2, (3, 9, 28, 90), strict=True
        )
    )
    hue = _HUES[rng.integers(len(_HUES))] * rng.uniform(0.4, 1.2)
    scene = hue * np.exp(rng.uniform(0.4, 1.6) * texture)[..., None]
    scene = scene * (1 + 0.12 * _noise(rng, _SCENE, 12)[..., None] * rng.normal(0, 1, 3))
    image = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.45:
        for _ in range(rng.integers(1, 5)):
            _house(pen, rng)
    if rng.random() < 0.55:
        _sky(image, rng, texture)
        pen = ImageDraw.Draw(image)
    for _ in range(rng.poisson(1.5)):
        x, w, tone = rng.uniform(0, _SCENE), rng.uniform(1, 7), int(rng.uniform(10, 220))
        lean = rng.normal(0, 6)
        pen.line([(x, 0), (x + lean, _SCENE)], fill=(tone, tone, tone), width=int(w))
    if rng.random() < 0.5:
        tone = int(rng.uniform(5, 60))
        for _ in range(rng.integers(5, 40)):
            points = np.cumsum(rng.normal(0, 16, (6, 2)), axis=0) + rng.uniform(0, _SCENE, 2)
            pen.line(
                [tuple(p) for p in points.tolist()],
                fill=(tone, int(tone * 0.9), int(tone * 0.8)),
                width=int(rng.integers(1, 4)),
            )
    return image


_HUES = np.array(
    [(60, 70, 38), (72, 66, 48), (48, 52, 52), (96, 84, 70), (110, 108, 104), (90, 62, 50)],
    np.float32,
)


def _house(pen, rng):
    x, y = rng.uniform(-30, _SCENE, 2)
    w, h = rng.uniform(30, 140, 2)
    tone = rng.uniform(30, 210) * np.exp(rng.normal(0, 0.12, 3))
    wall = tuple(np.clip(tone, 0, 255).astype(int).tolist())
    pen.rectangle([x, y, x + w, y + h], fill=wall)
    dark = tuple(int(c * rng.uniform(0.3, 0.8)) for c in wall)
    step = rng.uniform(8, 30)
    for i in range(int(w // step)):
        for j in range(int(h // step)):
            left, top = x + (i + 0.25) * step, y + (j + 0.25) * step
            pen.rectangle([left, top, left + step * 0.5, top + step * 0.6], fill=dark)


def _sky(image, rng, texture):
    from PIL import Image

    y, x = np.mgrid[0 : 1 : _SCENE * 1j, 0 : 1 : _SCENE * 1j]
    horizon = rng.uniform(0.1, 1.1) + rng.normal(0, 0.4) * (x - 0.5)
    mask = np.clip((horizon - y + 0.15 * texture) * 12, 0, 1) * 255
    bright = rng.uniform(170, 255)
    sky = Image.new(
        "RGB", image.size, (int(bright * rng.uniform(0.75, 1)), int(bright * 0.96), int(bright))
    )
    image.paste(sky, mask=Image.fromarray(mask.astype(np.uint8)))
