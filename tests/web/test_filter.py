"""The kernel over a photograph: the companion's numbers, by pointer, keys, file and film."""

import io
from itertools import product

import numpy as np
import pytest
from PIL import Image

from companion import arithmetic

SOBEL = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
THROTTLED = 4  # times slower than this machine: a phone
FRAME_MS = 1000 / 30


def test_its_numbers_are_those_of_the_companion(ask):
    rng = np.random.default_rng(0)
    questions = []
    for (height, width), size, stride, padding in product(
        ((5, 5), (9, 12), (17, 6)), (3, 5), (1, 2, 3, 4), ("valid", "same")
    ):
        picture = rng.integers(0, 256, (height, width)).tolist()
        kernel = rng.integers(-4, 5, (size, size)).tolist()
        options = {"stride": stride, "padding": padding}
        questions.append({"picture": picture, "kernel": kernel, "options": options})
    for question, answer in zip(questions, ask("filters", questions), strict=True):
        picture, kernel = np.array(question["picture"], float), np.array(question["kernel"], float)
        expected = arithmetic.cross_correlate(picture, kernel, **question["options"])
        found = np.reshape(answer["data"], (answer["height"], answer["width"]))
        np.testing.assert_array_equal(found, expected, err_msg=str(question["options"]))
        np.testing.assert_array_equal(answer["rectified"], np.maximum(expected, 0).ravel())
        assert answer["back"] == answer["places"], question["options"]
        # The window of the first and the last output, read from a padded picture.
        padded = np.pad(picture, 9)
        for (i, j), (row, column) in zip(answer["places"], answer["corners"], strict=True):
            window = padded[row + 9 :, column + 9 :][: len(kernel), : len(kernel)]
            assert (window * kernel).sum() == expected[i, j]


@pytest.fixture
def page(visit):
    """Open the widget, and wait for its photograph."""
    opened = visit("filter")
    opened.wait_for_selector(".kc-figure figcaption:has-text('320 × 240')")
    return opened


def pixels(page):
    """Read the grey levels of the picture that the widget shows."""
    rows = page.evaluate(
        """() => { const c = document.querySelector('.kc-photo');
            const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
            return [c.height, c.width, [...data].filter((_, i) => i % 4 === 0)]; }"""
    )
    return np.reshape(rows[2], rows[:2])


def total(page):
    return page.locator(".kc-sum strong").inner_text().replace("−", "-")


def place(page):
    words = page.locator(".kc-sum").inner_text().replace(",", "").split()
    return int(words[words.index("row") + 1]), int(words[words.index("column") + 1])


@pytest.mark.browser
def test_the_sum_is_the_number_of_the_output(page):
    expected = arithmetic.cross_correlate(pixels(page).astype(float), np.array(SOBEL))
    box = page.locator(".kc-photo-box").first
    seen = set()
    for _ in range(3):
        box.press("Shift+ArrowRight")
        box.press("ArrowDown")
        seen.add(place(page))
        assert float(total(page)) == pytest.approx(expected[place(page)], abs=0.1)
    assert len(seen) == 3
    page.wait_for_function(
        "() => document.querySelector('.kc-voice').textContent.includes('add up to')"
    )


@pytest.mark.browser
def test_the_window_follows_the_pointer_over_each_picture_and_stays_inside(page):
    page.get_by_label("Second layer").select_option("blur")
    for index, box in enumerate(page.locator(".kc-photo-box").all()):
        size = box.bounding_box()
        for share in (0.25, 0.75):
            box.hover(position={"x": share * size["width"], "y": share * size["height"]})
            row, column = place(page)
            assert row == pytest.approx(share * 240, abs=4), index
            assert column == pytest.approx(share * 320, abs=4), index
    box = page.locator(".kc-photo-box").first
    box.focus()
    for _ in range(40):
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Shift+ArrowUp")
    assert place(page) == (0, 0)


@pytest.mark.browser
def test_kernel_stride_padding_and_second_layer_can_be_chosen(page):
    page.get_by_label("Stride").select_option("2")
    before = place(page)
    page.get_by_label("Kernel size").select_option("5")
    page.get_by_label("Padding").select_option("same")
    caption = page.locator("figcaption").nth(1)
    assert "160 × 120" in caption.inner_text()
    assert place(page) == pytest.approx(before, abs=2)
    page.get_by_label("Second layer").select_option("laplacian")
    assert "9 × 9 pixels" in page.locator(".kc-note").all_inner_texts()[3]
    first = page.get_by_label("weight 0, 0", exact=True)
    first.fill("2")
    first.press("Enter")
    assert page.get_by_label("Kernel", exact=True).input_value() == "own"
    assert "The 25 products" in page.locator(".kc-sum").inner_text()


@pytest.mark.browser
def test_a_file_of_ones_own_is_opened_and_another_is_refused_in_a_sentence(page, tmp_path):
    held = io.BytesIO()
    Image.fromarray(np.full((50, 1000, 3), (200, 10, 30), np.uint8)).save(held, "PNG")
    field = page.locator(".kc-stage input[type=file]")
    field.set_input_files({"name": "wide.png", "mimeType": "image/png", "buffer": held.getvalue()})
    page.wait_for_selector("figcaption:has-text('wide.png, 320 × 16')")
    assert set(pixels(page).ravel()) == {69}  # 0.299·200 + 0.587·10 + 0.114·30
    field.set_input_files({"name": "note.txt", "mimeType": "text/plain", "buffer": b"words"})
    page.wait_for_selector(".kc-reason:has-text('note.txt is no picture')")
    assert "wide.png" in page.locator("figcaption").first.inner_text()


@pytest.mark.browser
def test_a_camera_is_asked_for_on_a_press_alone_and_can_be_stopped(page):
    page.evaluate(
        """() => { globalThis.asked = 0;
            const canvas = document.createElement('canvas');
            Object.assign(canvas, { width: 320, height: 240 });
            const pen = canvas.getContext('2d'); let grey = 0;
            setInterval(() => { grey = (grey + 9) % 256;
                pen.fillStyle = `rgb(${grey},0,0)`; pen.fillRect(0, 0, 320, 240); }, 20);
            const getUserMedia = async () => { globalThis.asked++;
                return globalThis.stream = canvas.captureStream(30); };
            Object.defineProperty(navigator, 'mediaDevices', { value: { getUserMedia } }); }"""
    )
    assert page.evaluate("asked") == 0
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("figcaption:has-text('what the camera sees')")
    page.wait_for_function("() => new Set(document.querySelector('kc-filter').map.data).size < 3")
    page.get_by_role("button", name="Stop the camera").click()
    assert page.evaluate("stream.getTracks().every((track) => track.readyState === 'ended')")
    assert page.evaluate("asked") == 1


@pytest.mark.browser
def test_a_camera_that_is_refused_is_said(page):
    page.evaluate(
        """() => Object.defineProperty(navigator, 'mediaDevices', { value: { getUserMedia:
            async () => { throw new DOMException('Permission denied', 'NotAllowedError'); } } })"""
    )
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector(".kc-reason:has-text('Permission denied')")


@pytest.mark.browser
def test_a_phone_shows_thirty_frames_a_second(page):
    client = page.context.new_cdp_session(page)
    client.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLED})
    median = page.evaluate(
        """() => { const widget = document.querySelector('kc-filter'), times = [];
            for (let i = 0; i < 25; i++) { const began = performance.now();
                widget.takeImage(document.querySelector('.kc-photo'), 'film');
                times.push(performance.now() - began); }
            return times.sort((a, b) => a - b)[12]; }"""
    )
    assert median < FRAME_MS


@pytest.mark.browser
def test_it_fits_a_narrow_screen_and_prints_its_figure(visit):
    narrow = visit("filter", viewport={"width": 320, "height": 800}, has_touch=True)
    narrow.wait_for_selector("figcaption:has-text('320 × 240')")
    narrow.get_by_label("Kernel size").select_option("5")
    narrow.get_by_label("Second layer").select_option("sobelX")
    narrow.locator(".kc-photo-box").first.tap(position={"x": 50, "y": 50})
    assert narrow.evaluate("document.documentElement.scrollWidth") == 320
    narrow.emulate_media(media="print")
    assert narrow.locator(".kc-fallback").is_visible()
    assert not narrow.locator(".kc-stage").is_visible()
