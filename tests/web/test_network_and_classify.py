"""The network editor and the reader of digits in Chromium: mouse, keyboard, touch, 320 pixels."""

import re
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
import widget
import widget_data

from companion.arithmetic import conv_parameters, dense_parameters
from companion.data import mnist
from companion.training import models

pytestmark = pytest.mark.browser

WEIGHTS = Path(__file__).resolve().parents[2] / "published/mnist-cnn/seed0.weights.h5"
STYLES = ("book.css", "widgets.css", "network-and-classify.css")
DATA = {"network": (), "classify": ("digit_reader", "digit_reader_weights")}
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Write a page for each widget, as the directive would; give their addresses."""
    folder = tmp_path_factory.mktemp("pages")
    styles = "".join(f"<style>{(widget.WEB / name).read_text()}</style>" for name in STYLES)
    for name, data in DATA.items():
        scripts = [*(widget.data_script(each) for each in data), widget.bundle(name)]
        (folder / f"{name}.html").write_text(
            "<!doctype html><html lang=en><meta charset=utf-8><title>A page</title>"
            f"<meta name=viewport content='width=device-width, initial-scale=1'>{styles}"
            f"<body style='margin: 0'><kc-{name} class=kc-widget data-settings='{{}}'>"
            f"<div class=kc-fallback>On paper.</div></kc-{name}>"
            + "".join(f"<script>{script}</script>" for script in scripts)
        )
    return {name: (folder / f"{name}.html").as_uri() for name in DATA}


@pytest.fixture
def visit(chromium, pages):
    """Give a function that opens a widget's page, and check at the end that it was quiet."""
    contexts, noise = [], []

    def listen(page):
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda r: noise.append(r.url) if not r.url.startswith("file:") else None)

    def open_page(name, fragment="", theme="light", **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto(pages[name] + fragment)
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert noise == []


def total(page):
    """Read the parameters of the whole network, None where the network cannot be."""
    text = page.locator("tfoot td").nth(1).inner_text().strip()
    return int(text.replace(",", "")) if text != "–" else None


def layers(page):
    return [text.split("(")[0] for text in page.locator(".kc-layer").all_inner_texts()]


def answer(page):
    """Read the answer's sentence: the digit, None before there is one."""
    found = re.match(r"It answers (\d)", page.locator(".kc-answer").inner_text())
    return int(found[1]) if found else None


def test_the_fallback_gives_way_to_the_widget(visit):
    for name in DATA:
        page = visit(name)
        assert page.locator(".kc-fallback").is_hidden()
        assert page.locator(".kc-stage").is_visible()


# The network editor


def test_every_preset_shows_its_count(ask, visit):
    page = visit("network")
    choice = page.get_by_label("Start from")
    counts = {}
    for name in ask("presets"):
        choice.select_option(name)
        counts[name] = total(page)
    assert counts == {
        "mnist-cnn": 42_358,
        "gtsrb-v1-24": 4_841_083, "gtsrb-v1-48": 29_034_811,
        "gtsrb-v2-24": 1_297_899, "gtsrb-v2-48": 3_265_131,
        "gtsrb-v3-24": 2_641_835, "gtsrb-v3-48": 9_721_323,
        "gtsrb-small": 93_643,
    }  # fmt: skip


def test_with_a_mouse_layers_are_changed_added_moved_and_removed(visit):
    page = visit("network")
    page.locator(".kc-layer").first.click()
    page.get_by_label("filters").fill("9")
    conv = conv_parameters(3, 1, 9) + conv_parameters(3, 9, 16)
    assert total(page) == conv + 40_100 + 1_010
    page.get_by_label("biases").uncheck()
    assert total(page) == conv - 9 + 40_100 + 1_010
    page.get_by_label("New layer").select_option("batchnorm")
    page.get_by_role("button", name="Add below the open layer").click()
    assert layers(page)[:3] == ["Conv2D", "BatchNormalization", "MaxPooling2D"]
    assert total(page) == conv - 9 + 4 * 9 + 40_100 + 1_010
    page.get_by_role("button", name="Move down").click()
    assert layers(page)[:3] == ["Conv2D", "MaxPooling2D", "BatchNormalization"]
    page.get_by_role("button", name="Remove").click()
    assert "BatchNormalization" not in layers(page)
    assert page.get_by_label("Start from").input_value() == ""  # no preset any more


def test_a_link_brings_the_network_back(visit):
    page = visit("network")
    page.get_by_label("Start from").select_option("gtsrb-small")
    page.locator(".kc-layer").first.click()
    page.get_by_label("stride").fill("2")
    page.locator(".kc-layer").nth(-2).click()
    page.get_by_label("rate").fill("0.35")
    fragment = page.evaluate("location.hash")
    assert fragment.startswith("#network-24x24x1_conv-24-3-s2")
    assert "_dropout-0p35_" in fragment
    assert page.evaluate("document.querySelector(location.hash)") is None  # as themes do
    assert page.get_by_text("Link to this network").get_attribute("href") == fragment
    again = visit("network", fragment)
    for place in (".kc-code code", "tfoot"):
        assert again.locator(place).text_content() == page.locator(place).text_content()
    again.evaluate("location.hash = '#network-28x28x1_flatten_dense-10'")
    again.wait_for_function("document.querySelectorAll('.kc-layer').length === 2")
    assert total(again) == dense_parameters(28 * 28, 10)


def test_a_link_that_holds_no_network_says_so_and_leaves_one(visit):
    page = visit("network", "#network-28x28x1_lstm-8")
    assert 'got "lstm"' in page.locator(".kc-stage > .kc-reason").inner_text()
    assert total(page) == 42_358


def test_an_anchor_of_the_page_is_no_network(visit):
    page = visit("network", "#network-editor")
    assert page.locator(".kc-stage > .kc-reason").inner_text() == ""
    assert page.evaluate("location.hash") == "#network-editor"


def test_an_impossible_setting_says_why_in_its_row(visit):
    page = visit("network")
    page.locator(".kc-layer").nth(3).click()
    page.get_by_label("kernel").fill("14")
    reason = page.locator(".kc-impossible td").first.inner_text()
    assert reason == (
        "kernel_size must be <= 13 on an axis of 13 cells with padding='valid' and dilation=1, "
        "got 14"
    )
    assert total(page) is None
    assert page.locator(".kc-waiting").count() == 6
    assert "NaN" not in page.locator(".kc-stage").inner_text()
    page.get_by_label("kernel").fill("3")
    assert total(page) == 42_358


def test_what_is_no_number_is_said_beside_its_box_and_changes_nothing(visit):
    page = visit("network")
    page.locator(".kc-layer").nth(2).click()
    page.get_by_label("rate").fill("1.5")
    assert page.get_by_text("a number from 0 to 1").is_visible()
    page.locator(".kc-layer").first.click()
    page.get_by_label("filters").fill("")
    assert page.get_by_text("a whole number from 1").is_visible()
    assert total(page) == 42_358


def test_the_code_of_the_page_builds_the_network(visit):
    page = visit("network")
    page.get_by_text("The network as Keras code").click()
    page.locator(".kc-layer").first.click()
    page.get_by_label("padding").select_option("1")
    scope = {}
    exec(page.locator(".kc-code code").inner_text(), scope)
    assert scope["model"].count_params() == total(page)
    assert isinstance(scope["model"].layers[0], keras.layers.ZeroPadding2D)
    page.get_by_role("button", name="Copy Keras code").click()
    page.wait_for_function("document.querySelector('.kc-last [role=status]').textContent !== ''")


def test_the_keyboard_is_enough_for_the_editor(visit):
    page = visit("network")
    focused = "document.activeElement.textContent || document.activeElement.value"
    for _ in range(5):  # the preset, three sizes, the first layer
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("4")
    assert total(page) == 40 + conv_parameters(3, 4, 16) + 40_100 + 1_010
    page.wait_for_function("document.querySelector('.kc-voice').textContent.includes('41,742')")
    for _ in range(7):  # six settings more, then "Move down", for the first cannot move up
        page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Move down"
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert layers(page)[:3] == ["MaxPooling2D", "Dropout", "Conv2D"]
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Remove"
    page.keyboard.press("Enter")
    assert "Conv2D(4" not in "".join(page.locator(".kc-layer").all_inner_texts())
    assert page.evaluate("document.activeElement.className") == "kc-layer"


def test_the_editor_works_by_touch(visit):
    page = visit("network", has_touch=True, viewport={"width": 320, "height": 640})
    page.locator(".kc-layer").nth(7).tap()
    page.get_by_role("button", name="Remove").tap()
    assert total(page) == 80 + 1_168 + dense_parameters(400, 10)


# The reader of digits


@pytest.fixture(scope="module")
def reader():
    model = models.mnist_cnn()
    model.load_weights(WEIGHTS)
    return model


def shown_percentages(page):
    texts = page.locator(".kc-bars td:last-child").all_inner_texts()
    return [float(text.removesuffix("%").strip()) for text in texts]


def test_samples_get_the_answers_of_keras(visit, reader):
    page = visit("classify")
    images = mnist.read_images(mnist.SAMPLE_ROOT, "train")
    labels = mnist.read_labels(mnist.SAMPLE_ROOT, "train")
    first = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    expected = reader.predict(images[first][..., None].astype("float32") / 255, verbose=0)
    for digit, probabilities in enumerate(expected):
        page.get_by_role("button", name=f"a written {digit}").click()
        assert answer(page) == probabilities.argmax()
        np.testing.assert_allclose(shown_percentages(page), 100 * probabilities, atol=0.06)
    canvases = page.locator(".kc-map")
    assert canvases.count() == 8 + 16
    painted = canvases.evaluate_all(
        "all => all.map(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".filter((v, i) => i % 4 < 3).reduce((a, b) => Math.max(a, b), 0))"
    )
    assert max(painted[:8]) == max(painted[8:]) == 255


SEVEN = [(0.25, 0.22), (0.75, 0.22), (0.46, 0.86)]  # corners, as shares of the pad


def test_a_mouse_draws_a_digit_and_the_button_clears_it(visit):
    page = visit("classify")
    assert answer(page) is None
    box = page.locator(".kc-pad").bounding_box()
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=8)
    page.mouse.up()
    assert answer(page) == 7
    page.wait_for_function("document.querySelector('.kc-voice').textContent.includes('answers 7')")
    page.get_by_role("button", name="Clear").click()
    assert answer(page) is None


def test_the_keyboard_draws_a_digit(visit):
    page = visit("classify")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "kc-pad"
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    assert answer(page) == 1
    page.keyboard.press("Space")
    said = "Row 23, column 14, pen up. It answers 1"
    page.wait_for_function(
        "said => document.querySelector('.kc-voice').textContent.startsWith(said)", arg=said
    )
    page.keyboard.press("Delete")
    assert answer(page) is None


def test_a_finger_draws_and_does_not_scroll(visit):
    page = visit("classify", has_touch=True, viewport={"width": 320, "height": 480})
    page.locator(".kc-pad").scroll_into_view_if_needed()
    box = page.locator(".kc-pad").bounding_box()
    session = page.context.new_cdp_session(page)
    before = page.evaluate("scrollY")

    def touch(kind, points):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def at(x, y):
        return [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}]

    touch("touchStart", at(*SEVEN[0]))
    for a, b in pairwise(SEVEN):
        for step in range(1, 9):
            touch("touchMove", at(*(p + (q - p) * step / 8 for p, q in zip(a, b, strict=True))))
    touch("touchEnd", [])
    page.wait_for_function("document.querySelector('.kc-answer').textContent.includes('answers 7')")
    assert page.evaluate("scrollY") == before


def test_the_page_says_whose_weights_these_are(visit):
    data = widget_data.digit_reader()
    text = visit("classify").locator(".kc-stage").inner_text()
    for score in (data["validation"], data["test"]):
        assert f"{score['correct']:,} of {score['total']:,}" in text
        assert f"({score['correct'] / score['total']:.2%})" in text.replace("\u00a0%", "%")
    assert f"seed {data['seed']}" in text


def test_without_its_weights_the_widget_says_so(visit):
    page = visit("classify")
    page.evaluate("kcData = {}; document.body.append(document.createElement('kc-classify'))")
    assert "missing" in page.locator("kc-classify").last.inner_text()


def test_digits_can_be_drawn_before_the_weights_come(visit):
    page = visit("classify")
    page.evaluate(
        """() => {
            globalThis.kept = kcData.digit_reader_weights;
            delete kcData.digit_reader_weights;
            Object.defineProperty(document, "readyState", {value: "interactive", writable: true});
            document.querySelector("kc-classify").replaceWith(document.createElement("kc-classify"));
        }"""
    )
    page.get_by_role("button", name="a written 5").click()
    assert "on their way" in page.locator(".kc-answer").inner_text()
    page.evaluate("kcData.digit_reader_weights = kept; dispatchEvent(new Event('kc-data'))")
    assert answer(page) == 5


def test_weights_that_never_come_are_said_to_be_missing(visit):
    page = visit("classify")
    page.evaluate(
        """() => {
            delete kcData.digit_reader_weights;
            document.querySelector("kc-classify").replaceWith(document.createElement("kc-classify"));
        }"""
    )
    page.get_by_role("button", name="a written 5").click()
    assert "missing" in page.locator(".kc-answer").inner_text()


# Both


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", DATA)
def test_nothing_scrolls_sideways_or_is_too_small_to_touch(visit, name, theme):
    page = visit(name, theme=theme, viewport={"width": 320, "height": 640})
    if name == "network":
        page.get_by_label("Start from").select_option("gtsrb-v3-48")
        page.locator(".kc-layer").first.click()
        page.get_by_text("The network as Keras code").click()
    else:
        page.locator(".kc-samples button").nth(5).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for target in page.locator("button:visible, select:visible, input:visible, summary").all():
        box = target.bounding_box()
        least = 20 if target.get_attribute("type") == "checkbox" else 44
        assert min(box["width"], box["height"]) >= least, target


@pytest.mark.parametrize("name", DATA)
def test_nothing_moves_by_itself(visit, name):
    page = visit(name, reduced_motion="reduce")
    page.locator(".kc-layer, .kc-samples button").first.click()
    assert page.evaluate("document.getAnimations().length") == 0
