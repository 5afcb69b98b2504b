// Channels and filters: how the kernels of one filter and its bias make one map, and how many numbers that is.
import { convLayer, convParameters, crossCorrelate, outputSize } from "./arithmetic.js";
import { CellTable, Stepper, define, factor, format, h, numberField, plural, shades } from "./base.js";

// The small case that the chapter works out by hand; whatever lies beyond is made up.
const PIXELS = [
  [[1, 2, 0], [0, 1, 3], [2, 1, 0]],
  [[0, 1, 1], [1, 0, 2], [3, 1, 0]],
];
const KERNELS = [[[[1, 0], [0, 1]], [[0, 1], [-1, 0]]]];
const LIMIT = { size: 6, channels: 8, filters: 1024, rows: 3, columns: 3 };

function range(count) {
  return [...Array(count).keys()];
}

function pixel(c, i, j) {
  return PIXELS[c]?.[i]?.[j] ?? (3 * c + 2 * i + j * (c + 1)) % 4;
}

function weight(f, c, u, v) {
  return KERNELS[f]?.[c]?.[u]?.[v] ?? ((5 * f + 3 * c + 2 * u + 4 * v + u * v + f * c) % 5) - 2;
}

function biasOf(f) {
  return ((f + 1) % 3) || -1;
}

class Channels extends Stepper {
  static title = "Channels and filters";

  build() {
    const { size = 3, channels = 2, filters = 1, rows = 2, columns = 2 } = this.settings;
    Object.assign(this, { size, channels, filters, rows, columns, filter: 0 });
    this.pixels = new Map();
    this.weights = new Map();
    this.biases = new Map();
    const number = (name, label, min = 1) => numberField({
      label, value: this[name], min, max: LIMIT[name], change: (value) => { this[name] = value; this.restart(); },
    }).element;
    this.filterField = numberField({
      label: "filter shown", value: 1, min: 1, max: LIMIT.filters,
      change: (value) => { this.filter = Math.min(value, this.filters) - 1; this.render(); },
    });
    this.bias = new CellTable({ label: "bias", edit: (i, j, value) => { this.biases.set(this.filter, value); this.render(); } });
    this.output = new CellTable({ label: "map", choose: (i, j) => this.goTo(i, j) });
    this.makePlayer();
    this.reason = h("p", { class: "kc-reason" });
    this.stack = h("div");
    this.sum = h("p", { class: "kc-sum" });
    this.drawing = h("div", {}, this.stack,
      h("div", { class: "kc-row kc-top" }, this.bias.element, this.output.element),
      h("div", { class: "kc-row" }, this.player.element), this.sum);
    this.count = h("p", { class: "kc-sum" });
    this.shape = h("p", { class: "kc-note" });
    this.stage.append(
      h("div", { class: "kc-row" }, number("size", "image, pixels a side"), number("channels", "channels in, C"),
        number("rows", "kernel rows k₁"), number("columns", "kernel columns k₂"), number("filters", "filters, F"), this.filterField.element),
      this.reason, this.drawing, this.count, this.shape);
    this.restart();
  }

  restart() {
    this.rewind();
    this.positions = [];
    this.filter = Math.min(this.filter, this.filters - 1);
    this.filterField.input.max = this.filters;
    this.filterField.set(this.filter + 1);
    try {
      this.shown = [outputSize(this.size, this.rows), outputSize(this.size, this.columns)];
      this.reason.textContent = "";
    } catch (error) {
      this.shown = null;
      this.reason.textContent = error.message;
      this.say(`Impossible: ${error.message}`);
    }
    this.drawing.hidden = this.shape.hidden = this.shown === null;
    if (this.shown) {
      for (const i of range(this.shown[0])) for (const j of range(this.shown[1])) this.positions.push([i, j]);
      this.buildStack();
    }
    this.render();
  }

  // One row for each channel: the channel, its kernel, and what the two give.
  buildStack() {
    this.lines = range(this.channels).map((c) => ({
      input: new CellTable({
        label: `channel ${c}`, point: (i, j) => this.pointAt(i, j),
        edit: (i, j, value) => { this.pixels.set(String([c, i, j]), value); this.render(); },
      }),
      kernel: new CellTable({
        label: `kernel ${c}`, edit: (i, j, value) => { this.weights.set(String([this.filter, c, i, j]), value); this.render(); },
      }),
      sum: h("p", { class: "kc-sum" }),
    }));
    this.stack.replaceChildren(...this.lines.map(({ input, kernel, sum }) =>
      h("div", { class: "kc-channel" }, input.element, kernel.element, sum)));
  }

  pointAt(i, j) {
    this.goTo(Math.min(i, this.shown[0] - 1), Math.min(j, this.shown[1] - 1));
  }

  render(quiet = false) {
    this.filterField.set(this.filter + 1);
    const weights = this.channels * this.rows * this.columns;
    this.count.replaceChildren(
      `One filter: C·k₁·k₂ + 1 = ${this.channels}·${this.rows}·${this.columns} + 1 = ${weights + 1} numbers. ` +
        `The layer: F·(C·k₁·k₂ + 1) = ${this.filters}·${weights + 1} = `,
      h("strong", {}, convParameters([this.rows, this.columns], this.channels, this.filters).toLocaleString("en")), " parameters.");
    if (!this.shown) return;
    const [i0, j0] = this.at;
    const f = this.filter;
    const x = range(this.channels).map((c) => range(this.size).map((i) => range(this.size).map((j) => this.pixels.get(String([c, i, j])) ?? pixel(c, i, j))));
    const w = range(this.channels).map((c) => range(this.rows).map((u) => range(this.columns).map((v) => this.weights.get(String([f, c, u, v])) ?? weight(f, c, u, v))));
    const bias = this.biases.get(f) ?? biasOf(f);
    const parts = x.map((image, c) => crossCorrelate(image, w[c]));
    this.y = convLayer(
      range(this.size).map((i) => range(this.size).map((j) => x.map((image) => image[i][j]))),
      range(this.rows).map((u) => range(this.columns).map((v) => w.map((kernel) => [kernel[u][v]]))),
      [bias]).map((row) => row.map(([value]) => value));
    const inWindow = (i, j) => i >= i0 && i < i0 + this.rows && j >= j0 && j < j0 + this.columns;
    this.lines.forEach(({ input, kernel, sum }, c) => {
      const grey = shades(x[c]);
      input.show(x[c].map((row, i) => row.map((value, j) => ({
        text: format(value), shade: grey[i][j], classes: inWindow(i, j) ? "kc-window" : "",
        name: `channel ${c}, pixel ${i}, ${j}${inWindow(i, j) ? ", in the window" : ""}`,
      }))));
      kernel.setLabel(`kernel ${c}${this.filters > 1 ? ` of filter ${f + 1}` : ""}`);
      kernel.show(w[c].map((row, u) => row.map((value, v) => ({ text: format(value), name: `weight ${u}, ${v} for channel ${c}` }))));
      const terms = w[c].flatMap((row, u) => row.map((value, v) => `${factor(x[c][i0 + u][j0 + v])}·${factor(value)}`));
      sum.replaceChildren(`channel ${c}: ${terms.join(" + ")} = `, h("strong", {}, format(parts[c][i0][j0])));
    });
    this.bias.show([[{ text: format(bias), name: `bias of filter ${f + 1}` }]]);
    const shown = this.y.map((row, i) => row.map((value, j) => (this.seen.has(`${i},${j}`) ? value : null)));
    const answer = shades(shown);
    this.output.setLabel(this.filters > 1 ? `map of filter ${f + 1}` : "the filter’s map");
    this.output.show(shown.map((row, i) => row.map((value, j) => ({
      text: value === null ? "·" : format(value), shade: answer[i][j], selected: i === i0 && j === j0,
      name: value === null ? `y[${i}, ${j}], not computed yet` : `y[${i}, ${j}] = ${format(value)}`,
    }))));
    this.output.setStop(i0, j0);
    const sums = parts.map((part) => factor(part[i0][j0])).join(" + ");
    this.sum.replaceChildren(`y[${i0}, ${j0}] = ${sums} + bias ${factor(bias)} = `, h("strong", {}, format(this.y[i0][j0])));
    this.shape.textContent = `${plural(this.channels, "channel")} in, ${plural(this.filters, "filter")}, ${plural(this.filters, "map")} out: ` +
      `${this.size}×${this.size}×${this.channels} → ${this.shown[0]}×${this.shown[1]}×${this.filters}.`;
    if (!quiet) this.say(`${this.sum.textContent}. ${this.count.textContent}`);
  }
}

define("kc-channels", Channels);
