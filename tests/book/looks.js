// What test_site_pages.py asks a page, as functions in it.
"use strict";

globalThis.looks = {
  // Is it on the screen?
  shown(each) {
    const box = each.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight && box.width > 0
      && each.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  },

  // How it looks: where focus can be seen, something of this differs.
  of(each) {
    const told = (style) => [
      style.outline, style.boxShadow, style.border, style.textDecoration, style.backgroundColor,
    ].join(" ");
    return told(getComputedStyle(each)) + told(getComputedStyle(each.closest("td") ?? each, "::after"));
  },

  // The element in focus, and whether one can see that it is; null at the end of the page.
  focus() {
    const each = document.activeElement;
    if (each === document.body) return null;
    const focused = looks.of(each);
    const seen = looks.shown(each);
    each.blur();
    const differs = looks.of(each) !== focused;
    each.focus({ focusVisible: true, preventScroll: true });
    return { element: each.outerHTML.slice(0, 160), seen: seen && differs };
  },

  // Where the Tab key should stop.
  stops(stage) {
    return [...stage.querySelectorAll("a[href], button, input, select, summary, [tabindex]")].filter(
      (each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility({ visibilityProperty: true }));
  },

  // What stands folded must be seen on paper, and nothing that only a click can use.
  onPaper() {
    const seen = (each) => each.checkVisibility({
      contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true,
    }) && each.getBoundingClientRect().height > 0;
    const inside = [...document.querySelectorAll("article details, article .toggle-hidden")]
      .filter((each) => !each.closest(".live-bar")) // the choice of a server: only a click can use it
      .filter((each) => !each.closest(".kc-stage"))
      .flatMap((each) => [...each.children])
      .filter((each) => !each.matches("summary, .admonition-title, .kc-widget, script"));
    const idle = "article button, .bd-sidebar, .bd-header-article, .prev-next-footer, #pst-back-to-top";
    const short = (all) => [...all].map((each) => each.outerHTML.slice(0, 100));
    return {
      folded: inside.length,
      hidden: short(inside.filter((each) => !seen(each))),
      idle: short([...document.querySelectorAll(idle)].filter(seen)),
      "no figure": short([...document.querySelectorAll(".kc-fallback")].filter((each) => !seen(each))),
    };
  },

  // Opens all that is folded and answers each quiz: what is hidden, axe does not look at.
  unfold() {
    for (const each of document.querySelectorAll("article details")) each.open = true;
    for (const each of document.querySelectorAll("article .toggle-button-hidden")) each.click();
    for (const each of document.querySelectorAll(".quiz")) each.querySelector("input").click();
    return document.querySelectorAll("article :is(details, .toggle) pre").length;
  },

  // A picture drawn on nothing would stand on the dark page: it needs a light ground of its own.
  bare() {
    return [...document.querySelectorAll("article img")].filter((each) => {
      const [r, g, b, a = 1] = getComputedStyle(each).backgroundColor.match(/[\d.]+/g).map(Number);
      return a < 1 || Math.min(r, g, b) < 200;
    }).map((each) => each.src);
  },

  // Pictures that did not come.
  missing() {
    return [...document.images].filter((each) => !each.naturalWidth).map((each) => each.src);
  },

  // Icons of which book/_ext/lean.py does not know.
  blank() {
    return [...document.querySelectorAll("[class*='fa-']")].filter(
      (each) => getComputedStyle(each, "::before").content === "none").map((each) => each.className);
  },
};

// When the first widget can be used, in milliseconds.
{
  const note = () => {
    if (document.querySelector(".kc-ready")) looks.ready = performance.now();
    else setTimeout(note, 20);
  };
  note();
}
