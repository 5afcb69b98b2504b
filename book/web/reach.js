// Lets the keyboard reach what scrolls inside itself, and paper show what is folded.
"use strict";

// The theme does so for code and outputs, but not for formulas and wide tables, and not again when
// something is unfolded.
{
  const SCROLLING = ".bd-article :is(mjx-container, div.cell_output, div.exercises, table)";

  const reach = () => {
    for (const each of document.querySelectorAll(SCROLLING)) {
      const style = getComputedStyle(each);
      const scrolls = style.overflowX !== "visible" && each.scrollWidth > each.clientWidth + 1;
      if (scrolls) each.tabIndex = 0;
      else each.removeAttribute("tabindex");
    }
  };
  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(reach, 200);
  };

  addEventListener("load", () => {
    reach();
    // Formulas get their width later than the page.
    globalThis.MathJax?.startup?.promise?.then(reach);
  });
  addEventListener("resize", soon);
  // The theme looks again where the window changes.
  const again = () => dispatchEvent(new Event("resize"));
  document.addEventListener("toggle", again, true);
  document.addEventListener("click", (event) => event.target.closest?.(".admonition-title") && again());
}

// Once the page is there, the pictures that waited come too: paper shows those that nobody has met.
addEventListener("load", () => setTimeout(() => {
  for (const each of document.querySelectorAll("img[loading=lazy]")) each.loading = "eager";
}));

// Paper is white, and opens all: where a style cannot (book.css does in newer browsers), this does.
{
  const root = document.documentElement;
  let opened = [];
  let theme = null;
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("article details:not([open])")];
    for (const each of opened) each.open = true;
    theme = root.dataset.theme;
    root.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
    if (theme !== null) root.dataset.theme = theme;
  });
}
