// Padding, stride, dilation: which cells each output reads, which are never read, and the formula.
import { outputSize, paddingSides } from "./arithmetic.js";
import { CellTable, Stepper, define, h, list, numberField, plural, selectField } from "./base.js";

const PRESETS = {
  uneven: ["padded, and a zero left over: 4, 3, stride 2, padding 1", [4, 3, 2, 1, 1]],
  plain: ["no padding: 5, kernel 3", [5, 3, 1, "valid", 1]],
  same: ["same: 5, kernel 3", [5, 3, 1, "same", 1]],
  sameStride: ["same with stride 2: 6, kernel 3", [6, 3, 2, "same", 1]],
  even: ["same with an even kernel: 4, kernel 2", [4, 2, 1, "same", 1]],
  gaps: ["stride wider than the kernel: 9, kernel 2, stride 3", [9, 2, 3, "valid", 1]],
  dilated: ["dilation 2: 9, kernel 3", [9, 3, 1, "valid", 2]],
  holes: ["dilation 2 and stride 2: 10, kernel 3", [10, 3, 2, "valid", 2]],
  impossible: ["impossible: 3, kernel 5", [3, 5, 1, "valid", 1]],
};
const LIMIT = { size: 16, kernel: 7, stride: 5, dilation: 4, padding: 4 };

class Padding extends Stepper {
  static title = "Padding, stride and dilation";

  build() {
    const { size = 4, kernel = 3, stride = 2, padding = 1, dilation = 1, axes = 1 } = this.settings;
    Object.assign(this, { size, kernel, stride, padding, dilation, axes });
    this.amount = Number.isInteger(padding) ? padding : 1;
    const number = (name, label, min = 1) => numberField({
      label, value: this[name], min, max: LIMIT[name], change: (value) => { this[name] = value; this.restart(); },
    });
    this.fields = {
      size: number("size", "input size n"), kernel: number("kernel", "kernel k"),
      stride: number("stride", "stride s"), dilation: number("dilation", "dilation d"),
    };
    this.presetField = selectField({
      label: "Try", value: "own", options: [...Object.entries(PRESETS).map(([name, [text]]) => [name, text]), ["own", "your own"]],
      change: (name) => { if (name in PRESETS) this.take(PRESETS[name][1], name); },
    });
    this.axesField = selectField({
      label: "Show", value: String(axes), options: [["1", "one axis"], ["2", "a square image"]],
      change: (value) => { this.axes = Number(value); this.restart(this.presetField.select.value); },
    });
    this.paddingField = selectField({
      label: "padding", value: Number.isInteger(padding) ? "number" : padding,
      options: [["valid", "valid: none"], ["same", "same"], ["number", "a number p"]],
      change: (value) => { this.padding = value === "number" ? this.amount : value; this.restart(); },
    });
    this.amountField = numberField({
      label: "p on each side", value: this.amount, min: 0, max: LIMIT.padding,
      change: (value) => { this.amount = this.padding = value; this.restart(); },
    });
    this.input = new CellTable({ label: "input", point: (i, j) => this.pointAt(i, j) });
    this.output = new CellTable({ label: "output", choose: (i, j) => this.goTo(i, j) });
    this.reads = h("table", { class: "kc-reads" });
    this.makePlayer(() => this.restart(this.presetField.select.value));
    this.reason = h("p", { class: "kc-reason" });
    this.formula = h("p", { class: "kc-sum" });
    this.reading = h("p");
    this.lost = h("p");
    this.drawing = h("div", {},
      h("div", { class: "kc-row kc-top" }, this.input.element, this.output.element),
      h("div", { class: "kc-row" }, this.player.element), this.reading);
    // It scrolls where it is wide, so that keys must reach it.
    this.readsBox = h("div", { class: "kc-cells-box", tabindex: 0, role: "region", "aria-label": "which output reads which pixel" },
      h("p", { class: "kc-caption" }, "Which output (row) reads which pixel (column): ●. Columns p are padding."), this.reads);
    this.stage.append(
      h("div", { class: "kc-row" }, this.presetField.element, this.axesField.element),
      h("div", { class: "kc-row" }, Object.values(this.fields).map((field) => field.element), this.paddingField.element, this.amountField.element),
      this.reason, this.drawing, this.formula, this.lost, this.readsBox,
    );
    const settings = [size, kernel, stride, padding, dilation];
    const preset = Object.keys(PRESETS).find((name) => String(PRESETS[name][1]) === String(settings));
    this.restart(preset ?? "own");
  }

  take([size, kernel, stride, padding, dilation], preset) {
    Object.assign(this, { size, kernel, stride, padding, dilation });
    for (const [name, field] of Object.entries(this.fields)) field.set(this[name]);
    this.paddingField.set(Number.isInteger(padding) ? "number" : padding);
    if (Number.isInteger(padding)) this.amountField.set((this.amount = padding));
    this.restart(preset);
  }

  restart(preset = "own") {
    this.presetField.set(preset);
    this.amountField.element.hidden = !Number.isInteger(this.padding);
    this.rewind();
    const options = { stride: this.stride, padding: this.padding, dilation: this.dilation };
    this.positions = [];
    try {
      this.count = outputSize(this.size, this.kernel, options);
    } catch (error) {
      this.reason.textContent = error.message;
      this.drawing.hidden = this.readsBox.hidden = true;
      this.formula.textContent = this.reading.textContent = this.lost.textContent = "";
      this.say(`Impossible: ${error.message}`);
      return;
    }
    this.reason.textContent = "";
    this.drawing.hidden = false;
    this.readsBox.hidden = this.axes !== 1;
    [this.before, this.after] = paddingSides(this.size, this.kernel, options);
    const rows = this.axes === 1 ? 1 : this.count;
    for (let i = 0; i < rows; i++) for (let j = 0; j < this.count; j++) this.positions.push([i, j]);
    this.render();
  }

  // The cells of one axis that an output reads; negative or >= size in the padding.
  cells(output) {
    return Array.from({ length: this.kernel }, (_, u) => output * this.stride - this.before + u * this.dilation);
  }

  counts() {
    const counts = Array(this.size).fill(0);
    for (let i = 0; i < this.count; i++) for (const cell of this.cells(i)) if (cell in counts) counts[cell] += 1;
    return counts;
  }

  pointAt(i, j) {
    const nearest = (cell) => {
      const middle = (output) => output * this.stride - this.before + (this.dilation * (this.kernel - 1)) / 2;
      const distance = (output) => Math.abs(middle(output) - cell);
      return [...Array(this.count).keys()].reduce((best, output) => (distance(output) < distance(best) ? output : best), 0);
    };
    this.goTo(this.axes === 1 ? 0 : nearest(i - this.before), nearest(j - this.before));
  }

  render(quiet = false) {
    const [i0, j0] = this.at;
    const flat = this.axes === 1;
    const counts = this.counts();
    const along = Array.from({ length: this.before + this.size + this.after }, (_, c) => c - this.before);
    const inside = (cell) => cell >= 0 && cell < this.size;
    const [readRows, readColumns] = [this.cells(i0), this.cells(j0)];
    const read = new Set([...Array(this.count).keys()].flatMap((output) => this.cells(output)));
    const describe = (i, j) => {
      const real = inside(j) && (flat || inside(i));
      const reads = (flat ? 1 : counts[i]) * counts[j];
      const classes = [
        real ? "" : "kc-padding",
        (real ? reads === 0 : !read.has(j) || !(flat || read.has(i))) ? "kc-unread" : "",
        readColumns.includes(j) && (flat || readRows.includes(i)) ? "kc-window" : "",
      ].filter(Boolean).join(" ");
      return { text: real ? (flat ? String(j) : String(reads)) : "p", classes };
    };
    this.input.setLabel(flat ? "input: the numbers of the pixels; p is padding" : "input: how often each pixel is read; p is padding");
    this.input.show((flat ? [0] : along).map((i) => along.map((j) => describe(i, j))));
    const name = (i, j) => (flat ? `output ${j}` : `output ${i}, ${j}`);
    this.output.setLabel("output");
    this.output.show((flat ? [0] : [...Array(this.count).keys()]).map((i) => [...Array(this.count).keys()].map((j) => ({
      text: this.seen.has(`${i},${j}`) ? (flat ? String(j) : "✓") : "·",
      name: name(i, j), selected: i === i0 && j === j0,
    }))));
    this.output.setStop(i0, j0);
    this.write(counts, flat, name);
    if (flat) this.writeReads(along, inside, counts);
    if (!quiet) this.say(`${this.reading.textContent} ${this.formula.textContent} ${this.lost.textContent}`);
  }

  write(counts, flat, name) {
    const axis = (output) => {
      const cells = this.cells(output);
      const real = cells.filter((cell) => cell >= 0 && cell < this.size);
      const zeros = cells.length - real.length;
      const word = real.length ? list(real.map(String)) : "no pixel";
      return word + (zeros ? ` and ${plural(zeros, "zero")} of the padding` : "");
    };
    const [i0, j0] = this.at;
    this.reading.textContent = flat
      ? `Output ${j0} reads ${axis(j0).replace(/^(?=\d)/, "pixels ")}.`
      : `${name(i0, j0).replace("o", "O")} reads rows ${axis(i0)}; columns ${axis(j0)}.`;
    const [n, k, s, d, total] = [this.size, this.kernel, this.stride, this.dilation, this.before + this.after];
    const top = n + total - (d * (k - 1) + 1);
    const exact = top % s === 0 ? `${top / s}` : `${top}/${s}`;
    const padding = this.padding === "same" ? ` “same” adds ${this.before} before and ${this.after} after: ⌈${n}/${s}⌉ = ${this.count}.` : "";
    this.formula.replaceChildren(
      "Output size = ⌊(n + padding − (d·(k − 1) + 1)) / s⌋ + 1", h("br"),
      ` = ⌊(${n} + ${total} − (${d}·(${k} − 1) + 1)) / ${s}⌋ + 1 = ⌊${exact}⌋ + 1 = `,
      h("strong", {}, String(this.count)), flat ? "" : ` on each axis, ${this.count * this.count} in all`, `.${padding}`);
    const unread = counts.flatMap((count, cell) => (count ? [] : [cell]));
    const never = flat ? `${unread.length === 1 ? "Pixel" : "Pixels"} ${list(unread.map(String))}` :
      `${unread.length === 1 ? "Row and column" : "Rows and columns"} ${list(unread.map(String))}`;
    const verb = flat && unread.length === 1 ? "is" : "are";
    // The last window ends this many cells before the end; were one of them a pixel, it would be unread.
    const wasted = top % s;
    const margin = wasted ? ` The floor leaves out the last ${wasted === 1 ? "zero" : `${wasted} zeros`} of the padding.` : "";
    this.lost.textContent = unread.length ? `${never} ${verb} never read.` : `Every pixel is read.${margin}`;
  }

  writeReads(along, inside, counts) {
    const head = (cell) => h("th", { scope: "col" }, inside(cell) ? String(cell) : "p");
    const rows = [...Array(this.count).keys()].map((output) => {
      const cells = this.cells(output);
      return h("tr", { class: output === this.at[1] ? "kc-current" : null }, h("th", { scope: "row" }, String(output)),
        along.map((cell) => h("td", { class: inside(cell) ? null : "kc-padding" }, cells.includes(cell) ? "●" : "")));
    });
    const total = h("tr", {}, h("th", { scope: "row" }, "read"),
      along.map((cell) => h("td", { class: inside(cell) && !counts[cell] ? "kc-unread" : inside(cell) ? null : "kc-padding" },
        inside(cell) ? `${counts[cell]}×` : "")));
    this.reads.replaceChildren(
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "y"), along.map(head))),
      h("tbody", {}, rows, total));
  }
}

define("kc-padding", Padding);
