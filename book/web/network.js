// <kc-network>: build a network layer by layer, and see what each layer gives out and costs.

import { Widget, button, checkField, define, h, numberField, plural, selectField } from "./base.js";
import { KINDS, PRESETS, analyse, call, kerasCode, layer, read, write } from "./network-model.js";

// Themes look up what follows "#" as the name of an element: letters, digits, "-" and "_" alone.
const HASH = "#network-";
const toHash = (text) => HASH + text.replaceAll(",", "_").replaceAll(":", "-").replaceAll(".", "p");
const fromHash = (hash) => hash.slice(HASH.length)
  .replace(/(\d)p(\d)/g, "$1.$2").replaceAll("-", ":").replaceAll("_", ",");
const LABELS = { window: "window", momentum: "momentum", bias: "biases" };
const COLUMNS = ["Layer", "Output", "Parameters", "Multiply-adds", "Activations", "Sees"];
const NOTHING = "–";

const grouped = (number) => number.toLocaleString("en-US");
const shape = (sizes) => sizes.join("×");

function amount(bytes) {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

let editors = 0;

class Network extends Widget {
  static title = "Network editor";

  build() {
    this.open = null;
    this.ids = `kc-network-${++editors}`;
    this.preset = selectField({
      label: "Start from",
      options: [["", "a network of your own"], ...Object.entries(PRESETS).map(([id, { name }]) => [id, name])],
      change: (id) => id && this.load(PRESETS[id].text),
    });
    this.sizes = Object.fromEntries(["height", "width", "channels"].map((name) => [name, numberField({
      label: name, value: 1, min: 1, max: 10000,
      change: (value) => { this.network.input[name] = value; this.changed(); },
    })]));
    const input = h("div", { class: "kc-row", role: "group", "aria-label": "Input" },
      this.preset.element, Object.values(this.sizes).map((field) => field.element));
    this.reason = h("p", { class: "kc-reason", role: "alert" });
    this.body = h("tbody", { role: "rowgroup" });
    this.foot = h("tfoot", { role: "rowgroup" });
    this.table = h("table", { class: "kc-network", role: "table", "aria-label": "Layers of the network" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
        COLUMNS.map((name) => h("th", { scope: "col", role: "columnheader" }, name)))),
      this.body, this.foot);
    const kinds = Object.entries(KINDS).map(([kind, { name }]) => [kind, name]);
    this.kind = selectField({ label: "New layer", options: kinds, value: "conv", change: () => {} });
    this.addButton = button("Add", () => this.add());
    this.summary = h("p", { class: "kc-sum" });
    this.code = h("code");
    this.link = h("a", { href: "#" }, "Link to this network");
    this.told = h("span", { class: "kc-note", role: "status" });
    this.stage.append(
      input, this.reason, this.table,
      h("div", { class: "kc-row kc-add" }, this.kind.element, this.addButton),
      this.summary,
      h("p", { class: "kc-note" },
        "Open a layer to change, move or remove it. Activations: the numbers that a layer gives out for one image. ",
        "Sees: how many pixels of the input, padding included, one of these numbers depends on."),
      h("details", { class: "kc-code" }, h("summary", {}, "The network as Keras code"), h("pre", { tabindex: 0 }, this.code)),
      h("div", { class: "kc-row kc-last" },
        button("Copy Keras code", () => this.copy(this.code.textContent, "code")),
        button("Copy link", () => this.copy(this.link.href, "link")), this.link, this.told));
    this.start();
    this.follow = () => this.fromHash();
    addEventListener("hashchange", this.follow);
  }

  disconnectedCallback() {
    removeEventListener("hashchange", this.follow);
  }

  start() {
    this.load(this.settings.network ?? PRESETS["mnist-cnn"].text, false);
    if (!this.fromHash()) return;
    const here = () => this.scrollIntoView({ behavior: "instant" });
    here();
    // Pictures and formulas above it come later, and move it.
    addEventListener("load", () => {
      here();
      globalThis.MathJax?.startup?.promise?.then(here);
    }, { once: true });
  }

  fromHash() {
    if (!/^#network-\d/.test(location.hash)) return false;
    try {
      this.load(fromHash(location.hash), false);
    } catch (error) {
      this.reason.textContent = `The link holds no network: ${error.message}.`;
    }
    return true;
  }

  load(text, byReader = true) {
    this.network = read(text);
    this.open = null;
    for (const [name, field] of Object.entries(this.sizes)) field.set(this.network.input[name]);
    this.rebuild();
    this.changed(byReader);
  }

  // After layers came, went or moved: new rows. `focus` is a function that gives what is to be focused.
  rebuild(focus = () => null) {
    this.rows = this.network.layers.map((each, index) => this.row(each, index));
    this.body.replaceChildren(...this.rows.flatMap((row) => [row.element, row.below]));
    focus()?.focus();
  }

  row(each, index) {
    const opened = this.open === index;
    const id = `${this.ids}-layer-${index}`;
    const toggle = h("button", {
      type: "button", class: "kc-layer", "aria-expanded": String(opened), "aria-controls": id,
      onclick: () => {
        this.open = opened ? null : index;
        this.rebuild(() => this.rows[index].toggle);
        this.show();
      },
    });
    const cells = COLUMNS.slice(1).map((name) => h("td", { role: "cell", "data-label": name }));
    const element = h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader" }, toggle), cells);
    const details = h("div", { class: "kc-details" });
    const below = h("tr", { role: "row", class: "kc-below", id, hidden: !opened },
      h("td", { role: "cell", colspan: COLUMNS.length }, opened ? this.settingsOf(each, index) : null, details));
    return { element, below, toggle, cells, details };
  }

  settingsOf(each, index) {
    const fields = Object.entries(KINDS[each.kind].settings).map(([name, setting]) => {
      const label = LABELS[name] ?? name;
      const change = (value) => { each[name] = value; this.changed(); };
      if (setting.step === 1) return numberField({ label, value: each[name], min: 1, max: 100000, change });
      if (setting.values) {
        const values = [...new Set([...setting.values, each[name]])];
        const options = values.map((value) => [value, /^\d/.test(value) ? `${value} on each side` : value]);
        return selectField({ label, options, value: each[name], change });
      }
      return typeof setting.value === "boolean"
        ? checkField({ label, value: each[name], change })
        : shareField({ label, value: each[name], change });
    });
    const last = this.network.layers.length - 1;
    const move = (to) => button(to < index ? "Move up" : "Move down", () => this.move(index, to),
      { disabled: to < 0 || to > last });
    return [
      h("div", { class: "kc-row" }, fields.map((field) => field.element)),
      h("div", { class: "kc-row" }, move(index - 1), move(index + 1),
        button("Remove", () => this.remove(index))),
    ];
  }

  add() {
    const index = this.open === null ? this.network.layers.length : this.open + 1;
    this.network.layers.splice(index, 0, layer(this.kind.select.value));
    this.open = index;
    this.rebuild(() => this.rows[index].toggle);
    this.changed();
  }

  move(from, to) {
    const [moved] = this.network.layers.splice(from, 1);
    this.network.layers.splice(to, 0, moved);
    this.open = to;
    // The same button again, so that a press more moves on; at an end, the layer itself.
    this.rebuild(() => {
      const again = [...this.rows[to].below.querySelectorAll("button")][to < from ? 0 : 1];
      return again.disabled ? this.rows[to].toggle : again;
    });
    this.changed();
  }

  remove(index) {
    this.network.layers.splice(index, 1);
    this.open = null;
    this.rebuild(() => (this.rows[index] ?? this.rows.at(-1))?.toggle ?? this.addButton);
    this.changed();
  }

  changed(byReader = true) {
    const text = write(this.network);
    this.reason.textContent = "";
    this.told.textContent = "";
    this.preset.set(Object.keys(PRESETS).find((id) => PRESETS[id].text === text) ?? "");
    this.link.href = toHash(text);
    if (byReader) history.replaceState(history.state, "", toHash(text));
    this.show();
    if (byReader) this.say(this.summary.textContent);
  }

  // Writes the numbers into the rows that are there: what is being typed in stays untouched.
  show() {
    const { rows, total, problem } = analyse(this.network);
    if (problem) this.reason.textContent = `Input: ${problem}`;
    const most = Math.max(1, ...rows.map((row) => row.parameters ?? 0));
    rows.forEach((row, index) => this.showRow(this.rows[index], row, most));
    const bad = rows.findIndex((row) => row.problem);
    this.showTotal(total);
    this.addButton.textContent = this.open === null ? "Add at the end" : "Add below the open layer";
    this.code.textContent = total ? kerasCode(this.network) : "# The network is not possible yet.";
    if (total) {
      this.summary.textContent = `${plural(rows.length, "layer")}, output ${shape(total.shape)}: `
        + `${grouped(total.parameters)} parameters (${amount(total.bytes)} as float32`
        + `${total.trainable < total.parameters ? `; ${grouped(total.parameters - total.trainable)} not trained` : ""}), `
        + `${grouped(total.multiplyAdds)} multiply-adds and ${grouped(total.activations)} activations `
        + `(${amount(total.activationBytes)}) for one image.`;
    } else {
      this.summary.textContent = bad < 0 ? `The input is not possible: ${problem}.`
        : `Layer ${bad + 1}, ${call(rows[bad].layer)}, is not possible: ${rows[bad].problem}.`;
    }
  }

  showRow({ element, toggle, cells, details }, row, most) {
    toggle.textContent = call(row.layer);
    element.className = row.problem ? "kc-impossible" : row.waiting ? "kc-waiting" : "";
    cells.forEach((cell) => cell.replaceChildren(NOTHING));
    cells[1].style.setProperty("--kc-share", row.parameters ? row.parameters / most : 0);
    details.replaceChildren();
    cells[0].classList.toggle("kc-reason", Boolean(row.problem));
    cells[0].colSpan = row.problem ? cells.length : 1;
    cells.slice(1).forEach((cell) => { cell.hidden = Boolean(row.problem); });
    if (row.problem) cells[0].replaceChildren(row.problem);
    if (row.problem || row.waiting) return;
    const small = (text) => h("small", {}, text);
    cells[0].replaceChildren(breakable(shape(row.shape)), ...(row.note ? [small(row.note)] : []));
    cells[1].replaceChildren(grouped(row.parameters), ...(row.parameters ? [small(breakable(row.numbers))] : []));
    cells[2].replaceChildren(grouped(row.multiplyAdds));
    cells[3].replaceChildren(grouped(row.activations));
    cells[4].replaceChildren(shape(row.field));
    const sentences = [
      ...row.steps.map((step) => `Output: ${step}${"stride" in row.layer ? " along the height" : " numbers in a row"}.`),
      `Parameters: ${row.parameters ? `${row.formula} = ${row.numbers} = ${grouped(row.parameters)}` : "none, it learns nothing"}.`,
    ];
    details.replaceChildren(...sentences.map((sentence) => h("p", { class: "kc-sum" }, sentence)));
  }

  showTotal(total) {
    const values = total
      ? [shape(total.shape), grouped(total.parameters), grouped(total.multiplyAdds), grouped(total.activations), ""]
      : COLUMNS.slice(1).map(() => NOTHING);
    this.foot.replaceChildren(h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader" }, "Total"),
      values.map((value, i) => h("td", { role: "cell", "data-label": COLUMNS[i + 1] }, value))));
  }

  async copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      this.told.textContent = `The ${what} is copied.`;
    } catch {
      // No clipboard without leave: show the text, selected, for the reader to copy.
      const details = this.querySelector("details");
      details.open = true;
      getSelection().selectAllChildren(what === "code" ? this.code : this.link);
      this.told.textContent = `The browser keeps its clipboard closed: the ${what} is selected, copy it from there.`;
    }
  }
}

// Lets a long product break after its signs.
function breakable(text) {
  return text.replace(/([·×+(])/g, "$1\u200b");
}

let shareFields = 0;

// A number from 0 to 1, decimals allowed.
function shareField({ label, value, change }) {
  const id = `kc-share-${++shareFields}`;
  const complaint = h("span", { class: "kc-complaint", id: `${id}-complaint`, role: "alert" });
  const input = h("input", {
    id, type: "number", inputmode: "decimal", min: 0, max: 1, step: "any", value, "aria-describedby": complaint.id,
    oninput: () => {
      const number = input.value.trim() === "" ? NaN : Number(input.value);
      const fits = number >= 0 && number <= 1;
      complaint.textContent = fits ? "" : "a number from 0 to 1";
      input.setAttribute("aria-invalid", String(!fits));
      if (fits) change(number);
    },
  });
  return { element: h("div", { class: "kc-field" }, h("label", { for: id }, label), input, complaint) };
}

define("kc-network", Network);
