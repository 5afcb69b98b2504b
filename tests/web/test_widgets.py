"""The first four widgets in Chromium, by mouse, keyboard and touch, from file://."""

import re
from fractions import Fraction

import numpy as np
import pytest

from companion import arithmetic

pytestmark = pytest.mark.browser
NAMES = ("convolution", "padding", "channels", "pooling")
SLIDE = [[5, 2, 1, 3, 5], [4, 3, 2, 3, 4], [0, 2, 1, 2, 2], [3, 3, 2, 3, 2], [2, 1, 3, 2, 2]]
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def grid(page, name, role="grid"):
    return page.get_by_role(role, name=name)


def numbers(page, name):
    """Read a table of cells; a cell that is not computed yet is None."""
    script = """table => [...table.rows].map(row => [...row.cells].map(
        cell => cell.querySelector('input')?.value ?? cell.textContent))"""
    rows = grid(page, name).evaluate(script)
    return [
        [None if text == "·" else float(text.replace("−", "-")) for text in row] for row in rows
    ]


def marked(page, name, kind="kc-window"):
    script = """(table, kind) => [...table.rows].flatMap((row, i) => [...row.cells].flatMap(
        (cell, j) => cell.classList.contains(kind) ? [[i, j]] : []))"""
    role = "grid" if grid(page, name).count() else "table"
    return [tuple(place) for place in grid(page, name, role).evaluate(script, kind)]


def window(i, j, rows=3, columns=3):
    return [(a, b) for a in range(i, i + rows) for b in range(j, j + columns)]


def sentence(page, selector=".kc-sum"):
    return page.locator(f".kc-stage {selector}").first.inner_text().replace("\n", " ")


def spoken(page, text):
    """Wait until the live region says `text`."""
    page.wait_for_function(
        "text => document.querySelector('.kc-voice').textContent.includes(text)", arg=text
    )
    return page.locator(".kc-voice").inner_text()


def choose(page, label, option):
    page.get_by_label(label, exact=True).select_option(option)


def fill(page, label, value):
    page.get_by_label(label, exact=True).fill(str(value))


WIDEST = {
    "convolution": {"Numbers": "digit", "Kernel": "corner"},
    "padding": {"input size n": "16", "p on each side": "4", "stride s": "1"},
    "channels": {"image, pixels a side": "6", "kernel columns k₂": "3", "filters, F": "1024"},
    "pooling": {"Input is": "1", "stride s": "1", "padding": "same"},
}


def outcome(function, *arguments, **options):
    """Give what a function returns and no reason, or nothing and why it cannot."""
    try:
        return function(*arguments, **options), ""
    except ValueError as error:
        return None, str(error)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_scrolls_sideways_and_targets_are_large_enough(visit, name):
    page = visit(name, viewport={"width": 320, "height": 800}, has_touch=True)
    for label, value in WIDEST[name].items():
        field = page.get_by_label(label, exact=True)
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    for label in ("Show all", "Step"):
        page.get_by_role("button", name=label).tap()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    small = page.locator(".kc-stage").evaluate(
        """stage => [...stage.querySelectorAll('button, input, select')]
            .filter(each => each.offsetParent && each.type !== 'checkbox')
            .map(each => each.closest('td') ?? each)
            .map(each => each.getBoundingClientRect())
            .filter(box => box.width < 24 || box.height < 24).length"""
    )
    assert small == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_control_has_a_name_and_the_stage_hides_the_fallback(visit, name):
    page = visit(name)
    assert not page.locator(".kc-fallback").is_visible()
    for control in page.locator(".kc-stage :is(input, select, button)").all():
        if control.is_visible():
            named = control.evaluate(
                "each => each.getAttribute('aria-label') || each.labels?.[0]?.textContent"
                " || each.textContent"
            )
            assert named.strip()
    page.emulate_media(media="print")
    assert page.locator(".kc-fallback").is_visible()
    assert not page.locator(".kc-stage").is_visible()


@pytest.mark.parametrize("name", NAMES)
def test_without_scripts_figure_and_text_are_shown(chromium, widget_site, name):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((widget_site / f"{name}.html").as_uri())
    assert page.locator(".kc-fallback").is_visible()
    context.close()


@pytest.mark.parametrize("name", NAMES)
def test_where_motion_is_unwanted_play_is_one_step(visit, name):
    page = visit(name, reduced_motion="reduce")
    before = page.locator("td[aria-selected=true] button").get_attribute("aria-label")
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(1600)
    assert page.get_by_role("button", name="Play").is_visible()
    assert page.locator("td[aria-selected=true] button").get_attribute("aria-label") != before
    assert page.locator("td:has(button)", has_text=re.compile("^·$")).count() >= (
        0 if name == "padding" else 1
    )


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said_unasked_and_play_speaks_once(visit, name):
    page = visit(name)
    page.wait_for_timeout(400)
    assert page.locator(".kc-voice").inner_text() == ""
    page.clock.install()
    page.evaluate(
        """() => { globalThis.heard = 0; new MutationObserver(() => heard++).observe(
            document.querySelector('.kc-voice'), {childList: true, characterData: true}); }"""
    )
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(30_000)
    assert page.get_by_role("button", name="Play").is_visible()
    assert page.locator("td:has(button)", has_text=re.compile("^·$")).count() == 0
    assert page.evaluate("heard") == 1


def test_convolution_by_buttons(visit):
    page = visit("convolution")
    expected = arithmetic.cross_correlate(SLIDE, CROSS)
    assert numbers(page, "output y")[0] == [10, None, None]
    assert marked(page, "input x") == window(0, 0)
    page.get_by_role("button", name="Step").click()
    assert numbers(page, "output y")[0] == [10, 11, None]
    assert marked(page, "input x") == window(0, 1)
    said = "y[0, 1] = 2·1 + 1·0 + 3·1 + 3·0 + 2·1 + 3·0 + 2·1 + 1·0 + 2·1"
    assert sentence(page).startswith(said)
    assert sentence(page).endswith("= 2 + 0 + 3 + 0 + 2 + 0 + 2 + 0 + 2 = 11")
    assert "equals 11" in spoken(page, "y[0, 1]")
    page.get_by_role("button", name="Show all").click()
    np.testing.assert_array_equal(np.array(numbers(page, "output y")), expected)
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Back").click()
    assert numbers(page, "output y")[2][2] == expected[2, 2]


def test_convolution_by_pointer(visit):
    page = visit("convolution")
    grid(page, "output y").locator("td").nth(5).click()
    assert marked(page, "input x") == window(1, 2)
    grid(page, "input x").locator("td").nth(24).click()
    assert marked(page, "input x") == window(2, 2)
    grid(page, "input x").locator("input").nth(24).fill("-7.5")
    page.keyboard.press("Enter")
    changed = np.array(SLIDE, dtype=float)
    changed[4, 4] = -7.5
    assert numbers(page, "output y")[2][2] == arithmetic.cross_correlate(changed, CROSS)[2, 2]
    assert page.get_by_label("Numbers", exact=True).input_value() == "own"


def test_convolution_by_touch(visit):
    page = visit("convolution", has_touch=True, viewport={"width": 320, "height": 800})
    grid(page, "output y").locator("td").nth(8).tap()
    assert marked(page, "input x") == window(2, 2)
    grid(page, "input x").locator("td").nth(6).tap()
    assert marked(page, "input x") == window(0, 0)
    page.get_by_label("flip the kernel (convolution)").tap()
    assert page.get_by_role("table", name="w, flipped").is_visible()


def test_convolution_by_keys_alone(visit):
    page = visit("convolution")
    page.get_by_label("Kernel", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.get_by_label("flip the kernel (convolution)").is_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    focus = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focus) == "x[1, 1], in the window"
    page.keyboard.type("9")
    page.keyboard.press("Tab")  # one stop a table: the kernel is next
    page.keyboard.press("End")
    page.keyboard.type("1/4")
    page.keyboard.press("Tab")
    assert page.evaluate(focus).startswith("y[0, 0]")
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    changed, kernel = np.array(SLIDE), np.array(CROSS, dtype=float)
    changed[1, 1], kernel[0, 2] = 9, 1 / 4
    expected = arithmetic.convolve(changed, kernel)
    assert page.evaluate(focus) == f"y[2, 1] = {expected[2, 1]:g}"
    assert marked(page, "input x") == window(2, 1)
    assert "·1/4" in sentence(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Step
    assert f"equals {expected[2, 2]:g}" in spoken(page, "y[2, 2]")


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("axes", ["1", "2"])
def test_every_preset_of_the_convolution(visit, axes, flip):
    page = visit("convolution")
    choose(page, "Input is", axes)
    page.get_by_label("flip the kernel (convolution)").set_checked(flip)
    compute = arithmetic.convolve if flip else arithmetic.cross_correlate
    options = "select => [...select.options].filter(o => !o.disabled).map(o => o.value)"
    seen = set()
    for image in page.get_by_label("Numbers", exact=True).evaluate(options):
        for kernel in page.get_by_label("Kernel", exact=True).evaluate(options):
            choose(page, "Numbers", image)
            choose(page, "Kernel", kernel)
            page.get_by_role("button", name="Show all").click()
            texts = (
                grid(page, "kernel w")
                .locator("input")
                .evaluate_all("all => all.map(each => each.value.replace('−', '-'))")
            )
            weights = [float(Fraction(text)) for text in texts]
            x = np.array(numbers(page, "input x"))
            w = np.array(weights).reshape((1, -1) if axes == "1" else (3, 3))
            shown = np.array(numbers(page, "output y"))
            np.testing.assert_allclose(shown, compute(x, w), atol=6e-4)
            seen.add((image, kernel))
    assert len(seen) == (24 if axes == "1" else 40)
    assert ("digit", "sobelX") in seen or axes == "1"


def test_what_is_no_number_is_marked_and_not_taken(visit):
    page = visit("convolution")
    first = grid(page, "input x").locator("input").first
    first.fill("five")
    first.press("Enter")
    assert first.get_attribute("aria-invalid") == "true"
    assert numbers(page, "output y")[0][0] == 10
    assert "NaN" not in page.locator(".kc-stage").inner_text()


GEOMETRIES = [
    (4, 3, 2, 1, 1),
    (5, 3, 1, "same", 1),
    (6, 3, 2, "same", 1),
    (11, 2, 2, "valid", 1),
    (9, 2, 3, "valid", 1),
    (10, 3, 2, "valid", 2),
    (3, 5, 1, "valid", 1),
    (4, 3, 1, 0, 4),
    (1, 1, 5, 4, 1),
    (16, 7, 1, 4, 4),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_padding_reads_what_the_formula_says(visit, geometry):
    size, kernel, stride, padding, dilation = geometry
    page = visit("padding")
    for label, value in (
        ("input size n", size),
        ("kernel k", kernel),
        ("stride s", stride),
        ("dilation d", dilation),
    ):
        fill(page, label, value)
    choose(page, "padding", "number" if isinstance(padding, int) else padding)
    if isinstance(padding, int):
        fill(page, "p on each side", padding)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    count, reason = outcome(arithmetic.output_size, size, kernel, **options)
    assert page.locator(".kc-reason").inner_text() == reason
    if reason:
        assert not grid(page, "output").is_visible()
        assert reason in spoken(page, "Impossible")
        return
    assert re.search(rf"= {count}\.", sentence(page))
    # An impulse at each pixel says which outputs read it: those where the answer is not zero.
    reads = [
        np.flatnonzero(arithmetic.cross_correlate(np.eye(size)[cell], np.ones(kernel), **options))
        for cell in range(size)
    ]
    dots = page.locator("table.kc-reads tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
    )
    heads = page.locator("table.kc-reads thead th").all_inner_texts()[1:]
    columns = {int(head): i for i, head in enumerate(heads) if head != "p"}
    assert len(dots) == count + 1
    for cell in range(size):
        shown = [output for output in range(count) if dots[output][columns[cell]] == "●"]
        assert shown == reads[cell].tolist()
        assert dots[-1][columns[cell]] == f"{len(reads[cell])}×"
    unread = [cell for cell in range(size) if not len(reads[cell])]
    words = page.locator(".kc-stage").inner_text()
    assert ("Every pixel is read" in words) == (not unread)
    role = "grid" if grid(page, re.compile("^input")).count() else "table"
    crossed = grid(page, re.compile("^input"), role).locator("td.kc-unread:not(.kc-padding)")
    assert [int(text) for text in crossed.all_inner_texts()] == unread


def test_the_case_that_loses_a_zero_of_the_padding(visit):
    page = visit("padding")
    assert "⌊(4 + 2 − (1·(3 − 1) + 1)) / 2⌋ + 1 = ⌊3/2⌋ + 1 = 2." in sentence(page)
    assert "Every pixel is read. The floor leaves out the last zero of the padding." in (
        page.locator(".kc-stage").inner_text()
    )
    page.get_by_role("button", name="Step").click()
    assert "Output 1 reads pixels 1, 2 and 3." in spoken(page, "Output 1")


def test_padding_of_a_square_image_by_keys_and_touch(visit):
    page = visit("padding", has_touch=True)
    choose(page, "Try", "even")
    choose(page, "Show", "2")
    page.locator("td[aria-selected=true] button").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert "Output 1, 3 reads rows 1 and 2; columns 3 and 1 zero" in spoken(page, "Output 1, 3")
    name = re.compile("^input")
    assert marked(page, name) == [(1, 3), (1, 4), (2, 3), (2, 4)]
    grid(page, name, "table").locator("td").first.tap()
    assert "Output 0, 0" in spoken(page, "Output 0, 0")


def test_a_table_wider_than_the_screen_follows_the_window_and_can_be_reached(visit):
    page = visit("padding", viewport={"width": 320, "height": 800})
    box = page.locator(".kc-cells-box").first
    assert box.get_attribute("tabindex") is None
    fill(page, "input size n", 16)
    fill(page, "p on each side", 4)
    page.wait_for_function("document.querySelector('.kc-cells-box').tabIndex === 0")
    page.get_by_role("button", name="Back").click()  # from the first output to the last
    page.wait_for_function("document.querySelector('.kc-cells-box').scrollLeft > 0")
    marks = box.locator("td.kc-window").first.bounding_box()
    around = box.bounding_box()
    assert around["x"] <= marks["x"] <= around["x"] + around["width"] - marks["width"]


@pytest.mark.parametrize("value", ["0", "99", "2.5", ""])
def test_a_field_says_what_it_takes(visit, value):
    page = visit("padding")
    before = sentence(page)
    fill(page, "stride s", value)
    assert page.get_by_role("alert").filter(has_text="from 1 to 5").is_visible()
    assert page.get_by_label("stride s", exact=True).get_attribute("aria-invalid") == "true"
    assert sentence(page) == before
    fill(page, "stride s", 1)
    assert not page.get_by_role("alert").filter(has_text="from").is_visible()


def test_channels_of_the_chapter(visit):
    page = visit("channels")
    page.get_by_role("button", name="Show all").click()
    assert numbers(page, "the filter’s map") == [[3, 7], [-1, 3]]
    assert "2·2·2 + 1 = 9 numbers" in page.locator(".kc-stage").inner_text()


@pytest.mark.parametrize(
    ("size", "channels", "rows", "columns", "filters", "shown"),
    [(3, 2, 2, 2, 1, 1), (4, 3, 3, 3, 64, 64), (5, 1, 1, 3, 8, 5), (6, 8, 3, 2, 1024, 700)],
)
def test_channels_give_one_map_a_filter(visit, size, channels, rows, columns, filters, shown):
    page = visit("channels", has_touch=True)
    for label, value in (
        ("image, pixels a side", size),
        ("channels in, C", channels),
        ("kernel rows k₁", rows),
        ("kernel columns k₂", columns),
        ("filters, F", filters),
        ("filter shown", shown),
    ):
        fill(page, label, value)
    page.get_by_role("button", name="Show all").tap()
    x = np.stack([numbers(page, f"channel {c}") for c in range(channels)], axis=-1)
    names = [re.compile(rf"^kernel {c}( of filter {shown})?$") for c in range(channels)]
    w = np.stack([numbers(page, name) for name in names], axis=-1)
    bias = numbers(page, "bias")[0]
    expected = arithmetic.conv_layer(x, w[..., None], bias)[..., 0]
    np.testing.assert_allclose(numbers(page, re.compile("map")), expected)
    total = arithmetic.conv_parameters((rows, columns), channels, filters)
    text = page.locator(".kc-stage").inner_text()
    assert f"{total:,} parameters." in text
    assert f"→ {expected.shape[0]}×{expected.shape[1]}×{filters}." in text


def test_channels_by_keys_and_pointer(visit):
    page = visit("channels")
    page.get_by_label("filter shown", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    assert "5·1 + 2·0 + 0·0 + 1·1 = 6" in page.locator(".kc-channel").first.inner_text()
    assert "y[0, 0] = 6 + 0 + bias 1 = 7" in spoken(page, "= 7")
    grid(page, "the filter’s map").locator("td").nth(3).click()
    assert marked(page, "channel 1") == window(1, 1, 2, 2)
    fill(page, "image, pixels a side", 1)
    reason = "kernel_size must be <= 1 on an axis of 1 cells with padding='valid' and dilation=1"
    assert page.locator(".kc-reason").inner_text() == f"{reason}, got 2"


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("window_size", "stride"), [(2, 2), (3, 1), (2, 3), (3, 2), (6, 6)])
@pytest.mark.parametrize("kind", ["max", "average"])
def test_pooling(visit, kind, window_size, stride, padding):
    page = visit("pooling")
    choose(page, "Keep", kind)
    fill(page, "window k", window_size)
    fill(page, "stride s", stride)
    choose(page, "padding", padding)
    pool = arithmetic.max_pool if kind == "max" else arithmetic.average_pool
    for axes, image in (("2", "odd"), ("2", "negative"), ("1", "signal")):
        choose(page, "Input is", axes)
        choose(page, "Numbers", image)
        x = np.array(INPUTS[image])
        size = window_size if axes == "2" else (window_size,)
        step = stride if axes == "2" else (stride,)
        expected, reason = outcome(pool, x, size, stride=step, padding=padding)
        assert page.locator(".kc-reason").inner_text() == reason
        if reason:
            continue
        page.get_by_role("button", name="Show all").click()
        shown = np.array(numbers(page, "output y"))
        np.testing.assert_allclose(shown, np.atleast_2d(expected), atol=6e-4)
        crossed = grid(page, "input x").locator("td.kc-unread").count()
        assert crossed == unread_cells(x.shape, window_size, stride, padding)


INPUTS = {
    "odd": [[1, 3, 2, 0, 5], [0, 2, 7, 1, 0], [4, 4, 1, 1, 2], [0, 0, 3, 3, 8], [9, 0, 6, 0, 9]],
    "negative": [
        [-1, -3, -2, -5, -4],
        [-6, -2, -7, -1, -3],
        [-4, -4, -1, -1, -2],
        [-8, -5, -3, -3, -9],
        [-2, -7, -6, -4, -5],
    ],
    "signal": [2, 5, 3, 1, 0, 4, 8, 8, 6],
}


def unread_cells(shape, window_size, stride, padding):
    """Count the cells without which the pooled numbers stay as they are."""
    size, step = (window_size,) * len(shape), (stride,) * len(shape)
    zeros = np.zeros(shape)
    count = 0
    for place in np.ndindex(*shape):
        zeros[place] = 1
        count += not arithmetic.max_pool(zeros, size, stride=step, padding=padding).any()
        zeros[place] = 0
    return count


def test_pooling_by_keys_pointer_and_touch(visit):
    page = visit("pooling", has_touch=True, viewport={"width": 320, "height": 800})
    choose(page, "Numbers", "odd")
    assert "Dropped: row 4 and column 4 are in no window." in page.locator(".kc-stage").inner_text()
    assert sentence(page) == "y[0, 0] = max(1, 3, 0, 2) = 3"
    page.locator("td[aria-selected=true] button").focus()
    page.keyboard.press("ArrowRight")
    assert "max(2, 0, 7, 1) = 7" in spoken(page, "y[0, 1]")
    assert marked(page, "input x", "kc-winner") == [(1, 2)]
    grid(page, "input x").locator("td").nth(10).tap()
    assert marked(page, "input x") == window(2, 0, 2, 2)
    choose(page, "Keep", "average")
    assert sentence(page) == "y[1, 0] = (4 + 4 + 0 + 0) / 4 = 2"
    choose(page, "padding", "same")
    grid(page, "output y").locator("td").nth(8).click()
    assert sentence(page) == "y[2, 2] = (9) / 1 = 9"
