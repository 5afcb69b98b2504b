"""How the six widgets look, at three widths, against pictures that somebody has looked at.

CONTRIBUTING.md says how to accept new ones.
"""

import pictures
import pytest

pytestmark = pytest.mark.browser
WIDTHS = (320, 768, 1440)


def convolution(page):
    page.get_by_label("Numbers", exact=True).select_option("digit")
    page.get_by_label("Kernel", exact=True).select_option("corner")
    page.get_by_label("flip the kernel (convolution)").check()
    for name in ("Show all", "Step", "Step"):
        page.get_by_role("button", name=name).click()


def padding(page):
    page.get_by_label("Try", exact=True).select_option("even")
    page.get_by_label("Show", exact=True).select_option("2")
    page.get_by_role("button", name="Step").click()


def channels(page):
    for label, value in (("channels in, C", "3"), ("filters, F", "64"), ("filter shown", "7")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Step").click()


def pooling(page):
    page.get_by_label("Numbers", exact=True).select_option("odd")
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Step").click()
    page.get_by_label("window k", exact=True).fill("99")  # the box says what it takes


def network(page):
    page.get_by_label("Start from").select_option("gtsrb-small")
    page.locator(".kc-layer").first.click()
    page.get_by_label("kernel").fill("25")  # too large: the row says why


def classify(page):
    page.get_by_role("button", name="a written 5").click()


STEPS = {
    each.__name__: each for each in (convolution, padding, channels, pooling, network, classify)
}


# What is cut off, hidden below something else, or outside of the widget, in any font.
FAULTS = """stage => {
    const faults = [], around = stage.getBoundingClientRect(), boxes = [];
    const said = (each) => `${each.className || each.tagName}: ${each.textContent.trim().slice(0, 40)}`;
    const shown = (each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest(".kc-voice");
    for (const each of stage.querySelectorAll("*")) {
        if (!shown(each)) continue;
        const box = each.getBoundingClientRect();
        const scrolls = each.parentElement.closest(".kc-cells-box, pre");
        const hidden = getComputedStyle(each).position === "absolute";
        if (!scrolls && !hidden && (box.left < around.left - 1 || box.right > around.right + 1))
            faults.push(`outside: ${said(each)}`);
        if (each.matches("button, td, th, label, span") && each.scrollWidth > each.clientWidth + 2
            && each.clientWidth && getComputedStyle(each).display !== "inline")
            faults.push(`cut off: ${said(each)}`);
    }
    const walker = document.createTreeWalker(stage, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, parent = node.parentElement;
        if (!node.data.trim() || !shown(parent) || parent.closest("select, thead")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const box of range.getClientRects()) if (box.width > 1) boxes.push([box, node.data]);
    }
    for (const [i, [a, one]] of boxes.entries()) for (const [b, other] of boxes.slice(i + 1)) {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 2 && high > 0.4 * Math.min(a.height, b.height))
            faults.push(`over each other: ${one.trim().slice(0, 30)} | ${other.trim().slice(0, 30)}`);
    }
    return faults;
}"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", STEPS)
def test_a_widget_looks_as_accepted(chromium, widget_site, name, width):
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto((widget_site / f"{name}.html").as_uri(), wait_until="load")
    stage = page.locator(f"kc-{name} > .kc-stage")
    faults = []

    def look(state):
        page.evaluate("document.activeElement.blur()")
        page.mouse.move(0, 0)
        page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        faults.append(pictures.compare(stage.screenshot(), f"{name}-{width}-{state}"))
        faults.extend(f"{state}: {fault}" for fault in stage.evaluate(FAULTS))

    faults.extend(f"in this machine's font: {fault}" for fault in stage.evaluate(FAULTS))
    pictures.steady(page)
    look("begin")
    STEPS[name](page)
    look("used")
    if width == 768:
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        look("dark")
    context.close()
    assert [fault for fault in faults if fault] == []
