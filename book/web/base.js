// What all widgets share: elements, fields, numbers as text, a polite voice, a table of cells, a player.

// Makes an element: h("p", { class: "note", onclick: f }, "text", otherElement).
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

// Writes a number: at most three decimals, a true minus sign, no minus zero.
export function format(number) {
  const rounded = Math.round(number * 1000) / 1000;
  return rounded < 0 ? `−${-rounded}` : `${Math.abs(rounded)}`;
}

// A factor of a product: negative numbers in brackets.
export function factor(number) {
  return number < 0 ? `(${format(number)})` : format(number);
}

// Reads "2", "-0.5", "−3" or "1/9"; NaN where it is no number.
export function parse(text) {
  const found = /^([-−+]?\d*[.,]?\d+)(?:\/(\d*[.,]?\d+))?$/.exec(text.trim().replaceAll(" ", ""));
  if (!found) return NaN;
  const [top, bottom] = found.slice(1).map((part) => part && Number(part.replace("−", "-").replace(",", ".")));
  const value = bottom === undefined ? top : top / bottom;
  return Number.isFinite(value) ? value : NaN;
}

export function list(items, and = "and") {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} ${and} ${items.at(-1)}`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

export function prefersReducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// What the build handed over beside the page, see book/_ext/widget_data.py; null where there is none.
export function dataOf(name) {
  return globalThis.kcData?.[name] ?? null;
}

// Calls `use` with that data now, or when it comes behind the page; with null where it never does.
export function whenData(name, use) {
  const found = dataOf(name);
  if (found !== null || document.readyState === "complete") {
    use(found);
    return;
  }
  const look = ({ type }) => {
    const came = dataOf(name);
    if (came === null && type !== "load") return;
    removeEventListener("kc-data", look);
    removeEventListener("load", look);
    use(came);
  };
  addEventListener("kc-data", look);
  addEventListener("load", look);
}

let fields = 0;

// A number in a labelled box. `change` is called with whole numbers inside min…max alone;
// anything else is said beside the box.
export function numberField({ label, value, min, max, change }) {
  const id = `kc-field-${++fields}`;
  const complaint = h("span", { class: "kc-complaint", id: `${id}-complaint`, role: "alert" });
  const input = h("input", {
    id, type: "number", inputmode: "numeric", min, max, step: 1, value,
    "aria-describedby": complaint.id,
    oninput: () => {
      const number = Number(input.value);
      const fits = input.value.trim() !== "" && Number.isInteger(number) && number >= min && number <= max;
      complaint.textContent = fits ? "" : `a whole number from ${min} to ${max}`;
      input.setAttribute("aria-invalid", String(!fits));
      if (fits) change(number);
    },
  });
  const element = h("div", { class: "kc-field" }, h("label", { for: id }, label), input, complaint);
  const set = (number) => {
    input.value = number;
    complaint.textContent = "";
    input.removeAttribute("aria-invalid");
  };
  return { element, input, set };
}

// A choice: options are [value, text] pairs.
export function selectField({ label, options, value, change }) {
  const id = `kc-field-${++fields}`;
  const select = h("select", { id, onchange: () => change(select.value) },
    options.map(([each, text]) => h("option", { value: each, selected: each === value }, text)));
  const element = h("div", { class: "kc-field" }, h("label", { for: id }, label), select);
  return { element, select, set: (each) => { select.value = each; } };
}

// A box to tick.
export function checkField({ label, value, change }) {
  const input = h("input", { type: "checkbox", checked: value, onchange: () => change(input.checked) });
  return { element: h("label", { class: "kc-check" }, input, " ", label), input, set: (on) => { input.checked = on; } };
}

export function button(text, click, properties = {}) {
  return h("button", { type: "button", class: "kc-button", onclick: click, ...properties }, text);
}

// A table of cells in which arrow keys walk, from one stop of the Tab key. Either each cell holds a
// number to edit (`edit(row, column, value)`), or each can be chosen (`choose(row, column)`), or neither.
export class CellTable {
  constructor({ label, edit = null, choose = null, point = null }) {
    Object.assign(this, { label, edit, choose, point });
    this.at = [0, 0];
    // No <caption>: a long one would widen the cells.
    this.caption = h("p", { class: "kc-caption", id: `kc-cells-${++fields}` }, label);
    this.body = h("tbody");
    const walks = edit || choose;
    this.table = h("table", { class: "kc-cells", role: walks ? "grid" : null, "aria-labelledby": this.caption.id }, this.body);
    this.element = h("div", { class: "kc-cells-box" }, this.caption, this.table);
    if (walks) this.table.addEventListener("keydown", (event) => this.walk(event));
    this.cells = [];
  }

  setLabel(label) {
    if (this.caption.textContent !== label) this.caption.textContent = label;
  }

  // cells: rows of { text, name, shade, classes, disabled }. Cells stay in place while the shape does,
  // so that the one in focus keeps it.
  show(cells) {
    const [rows, columns] = [cells.length, cells[0]?.length ?? 0];
    if (rows !== this.cells.length || columns !== (this.cells[0]?.length ?? 0)) this.build(rows, columns);
    cells.forEach((row, i) => row.forEach((cell, j) => this.draw(i, j, cell)));
    this.setStop(Math.min(this.at[0], rows - 1), Math.min(this.at[1], columns - 1));
    requestAnimationFrame(() => this.reveal());
  }

  // On a narrow screen a wide table scrolls inside its box: keep the window in view, and let keys
  // reach a box that holds nothing else to reach.
  reveal() {
    const box = this.element;
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    if (!this.edit && !this.choose) {
      const reach = { tabindex: 0, role: "region", "aria-labelledby": this.caption.id };
      for (const [name, value] of Object.entries(reach)) {
        if (scrolls) box.setAttribute(name, value);
        else box.removeAttribute(name);
      }
    }
    const marked = scrolls && this.table.querySelector(".kc-window, [aria-selected=true]");
    if (!marked) return;
    const [left, right] = [marked.offsetLeft, marked.offsetLeft + 3 * marked.offsetWidth];
    if (left < box.scrollLeft || right > box.scrollLeft + box.clientWidth) box.scrollLeft = left - marked.offsetWidth;
  }

  build(rows, columns) {
    this.element.style.setProperty("--kc-columns", columns);
    this.cells = Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => this.cell(i, j)));
    this.body.replaceChildren(...this.cells.map((row) => h("tr", {}, row.map((cell) => cell.td))));
  }

  cell(i, j) {
    const point = this.point && (() => this.point(i, j));
    if (this.edit) {
      const input = h("input", {
        type: "text", inputmode: "text", tabindex: -1, autocomplete: "off", spellcheck: "false",
        onchange: () => this.read(i, j),
        onfocus: () => { this.setStop(i, j); input.select(); },
        ...(point && { onpointerdown: point }),
      });
      return { td: h("td", {}, input), inner: input };
    }
    if (this.choose) {
      const inner = h("button", { type: "button", tabindex: -1, onclick: () => { this.setStop(i, j); this.choose(i, j); } });
      return { td: h("td", {}, inner), inner };
    }
    const inner = h("span");
    return { td: h("td", point ? { onpointerdown: point } : {}, inner), inner };
  }

  draw(i, j, { text, name = null, shade = null, classes = "", selected = false, disabled = false }) {
    const { td, inner } = this.cells[i][j];
    if (this.edit) {
      if (document.activeElement !== inner || parse(inner.value) !== parse(text)) inner.value = text;
      inner.readOnly = disabled;
    } else if (inner.textContent !== text) inner.textContent = text;
    if (name) inner.setAttribute("aria-label", name);
    else inner.removeAttribute("aria-label");
    td.className = classes + (text.length > 3 ? " kc-long" : text.length > 2 ? " kc-wide" : "");
    if (this.choose) td.setAttribute("aria-selected", String(selected));
    td.style.background = shade === null ? "" : `rgb(${shade}, ${shade}, ${shade})`;
    td.style.color = shade === null ? "" : shade > 117 ? "#000" : "#fff";
  }

  read(i, j) {
    const input = this.cells[i][j].inner;
    if (input.readOnly) return;
    const value = parse(input.value);
    const fits = Number.isFinite(value) && Math.abs(value) <= 9999;
    input.setAttribute("aria-invalid", String(!fits));
    if (fits) this.edit(i, j, value, input.value.trim());
  }

  setStop(i, j) {
    const before = this.cells[this.at[0]]?.[this.at[1]];
    if (before) before.inner.tabIndex = -1;
    this.at = [Math.max(i, 0), Math.max(j, 0)];
    const now = this.cells[this.at[0]]?.[this.at[1]];
    if (now && (this.edit || this.choose)) now.inner.tabIndex = 0;
  }

  walk(event) {
    const step = {
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
      Home: [0, -Infinity], End: [0, Infinity],
    }[event.key];
    if (event.key === "Enter" && this.edit) this.read(...this.at);
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    // While a number is being typed, left and right move inside it until they reach its end.
    if (this.edit && step[0] === 0) {
      const { selectionStart: start, selectionEnd: end, value } = event.target;
      const whole = start === 0 && end === value.length;
      if (!whole && !(step[1] < 0 ? end === 0 : start === value.length)) return;
    }
    event.preventDefault();
    const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);
    const [i, j] = [clamp(this.at[0] + step[0], this.cells.length), clamp(this.at[1] + step[1], this.cells[0].length)];
    this.setStop(i, j);
    this.cells[i][j].inner.focus();
    this.choose?.(i, j);
  }
}

// Grey level 0…255 for each of the values, from the least to the largest, or around 0 where some are negative.
export function shades(values) {
  const flat = values.flat().filter((value) => value !== null);
  const peak = Math.max(...flat.map(Math.abs), 0);
  const [low, high] = Math.min(...flat) < 0 ? [-peak, peak] : [Math.min(0, ...flat), peak || 1];
  return values.map((row) => row.map((value) => (value === null ? null : Math.round((255 * (value - low)) / (high - low)))));
}

// Step, back, play, all: over `count()` positions, of which `go(index, { quiet })` shows one.
export class Player {
  constructor({ count, go, all, clear, wait = 700 }) {
    Object.assign(this, { count, go, index: 0, timer: null, wait });
    this.playButton = button("Play", () => (this.timer ? this.stop() : this.play()));
    this.element = h("div", { class: "kc-player", role: "group", "aria-label": "Move the window" },
      button("Back", () => this.move(-1)),
      button("Step", () => this.move(1)),
      this.playButton,
      button("Show all", () => { this.stop(true); all(); }),
      button("Clear", () => { this.stop(true); this.index = 0; clear(); }));
  }

  move(by) {
    this.stop(true);
    const count = this.count();
    if (count) this.go((this.index = (this.index + by + count) % count), { quiet: false });
  }

  play() {
    if (!this.count()) return;
    if (this.index >= this.count() - 1) this.index = -1;
    // Nothing moves by itself where the reader asked for that: each press is a step.
    if (prefersReducedMotion()) return this.move(1);
    this.playButton.textContent = "Pause";
    const tick = () => {
      if (!this.count()) return this.stop(true);
      this.index += 1;
      const last = this.index >= this.count() - 1;
      this.go(Math.min(this.index, this.count() - 1), { quiet: !last });
      if (last) this.stop(true);
      else this.timer = setTimeout(tick, this.wait);
    };
    tick();
  }

  stop(quiet = false) {
    const played = this.timer !== null;
    clearTimeout(this.timer);
    this.timer = null;
    this.playButton.textContent = "Play";
    if (played && !quiet && this.count()) this.go(this.index, { quiet: false });
  }
}

// The element around a widget: hides the static fallback, reads the settings, offers `say`.
export class Widget extends (globalThis.HTMLElement ?? Object) {
  connectedCallback() {
    if (this.stage) return;
    this.settings = JSON.parse(this.dataset.settings ?? "{}");
    this.voice = h("p", { class: "kc-voice", role: "status", "aria-live": "polite" });
    this.stage = h("div", { class: "kc-stage", role: "group", "aria-label": this.constructor.title });
    this.append(this.stage);
    this.classList.add("kc-widget", "kc-ready");
    this.build();
    this.append(this.voice);
    this.ready = true;
  }

  disconnectedCallback() {
    this.player?.stop(true);
  }

  // Tells a screen reader what is seen now; call it when something has settled, not at every frame.
  // Silent until the widget has been built: nobody has asked yet.
  say(text) {
    if (!this.ready) return;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => { this.voice.textContent = text; }, 150);
  }
}

// A widget with a window that stands at one of `positions`; `seen` are those whose output is shown.
export class Stepper extends Widget {
  makePlayer(clear = () => this.restart()) {
    this.player = new Player({
      count: () => this.positions.length,
      go: (index, { quiet }) => this.goTo(...this.positions[index], quiet),
      all: () => this.showAll(),
      clear,
    });
  }

  showAll() {
    this.positions.forEach((position) => this.seen.add(String(position)));
    this.render();
    this.say(`All ${this.positions.length} numbers of the output are shown.`);
  }

  rewind() {
    this.player.stop(true);
    this.player.index = 0;
    this.at = [0, 0];
    this.seen = new Set(["0,0"]);
  }

  restart() {
    this.rewind();
    this.render();
  }

  goTo(i, j, quiet = false) {
    if (!quiet) this.player.stop(true);
    this.at = [i, j];
    this.seen.add(`${i},${j}`);
    this.player.index = this.positions.findIndex(([a, b]) => a === i && b === j);
    this.render(quiet);
  }
}

export function define(name, widget) {
  if (!customElements.get(name)) customElements.define(name, widget);
}
