// Convolution by hand: a window slides over numbers; each product and the sum are written out.
import { convolve, crossCorrelate, flip } from "./arithmetic.js";
import {
  CellTable, Stepper, checkField, dataOf, define, factor, format, h, selectField, shades,
} from "./base.js";

const THIRD = [["1/3", "1/3", "1/3"]];
const NINTH = Array(3).fill(Array(3).fill("1/9"));
const KERNELS = {
  2: {
    cross: ["the chapter’s ×", [[1, 0, 1], [0, 1, 0], [1, 0, 1]]],
    identity: ["identity", [[0, 0, 0], [0, 1, 0], [0, 0, 0]]],
    blur: ["blur", NINTH],
    sharpen: ["sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]],
    sobelX: ["Sobel x", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]],
    sobelY: ["Sobel y", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]],
    laplacian: ["Laplacian", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]],
    corner: ["corner", [[-4, -4, -4], [-4, 5, 5], [-4, 5, 5]]],
  },
  1: {
    difference: ["difference", [[-1, 0, 1]]],
    identity: ["identity", [[0, 1, 0]]],
    blur: ["mean of three", THIRD],
    sharpen: ["sharpen", [[-1, 3, -1]]],
    laplacian: ["second difference", [[1, -2, 1]]],
    echo: ["1, 2, 3", [[1, 2, 3]]],
  },
};
const INPUTS = {
  2: {
    slide: ["the chapter’s", [[5, 2, 1, 3, 5], [4, 3, 2, 3, 4], [0, 2, 1, 2, 2], [3, 3, 2, 3, 2], [2, 1, 3, 2, 2]]],
    edge: ["an edge", Array(6).fill([1, 1, 1, 8, 8, 8])],
    square: ["a square", [0, 0, 9, 9, 9, 0, 0].map((row) => [0, 0, 9, 9, 9, 0, 0].map((x) => (row && x ? 9 : 0)))],
    impulse: ["one bright pixel", [0, 0, 1, 0, 0].map((row) => [0, 0, row, 0, 0])],
  },
  1: {
    step: ["a step", [[1, 1, 1, 1, 5, 5, 5, 5]]],
    ramp: ["a slope", [[0, 1, 2, 3, 4, 5, 6, 7]]],
    impulse: ["one impulse", [[0, 0, 0, 1, 0, 0, 0]]],
    noisy: ["a noisy step", [[1, 0, 2, 1, 6, 5, 7, 5, 6]]],
  },
};

function turn(rows) {
  return rows.map((row) => [...row].reverse()).reverse();
}

class Convolution extends Stepper {
  static title = "Convolution, one window at a time";

  build() {
    const digit = dataOf("digit");
    this.inputs = { 1: { ...INPUTS[1] }, 2: { ...INPUTS[2] } };
    if (digit) this.inputs[2].digit = [`a handwritten ${digit.label}`, digit.pixels];
    this.axes = this.settings.axes ?? 2;
    this.flipped = this.settings.flip ?? false;

    this.axesField = selectField({
      label: "Input is", value: String(this.axes), options: [["2", "an image (2-D)"], ["1", "a signal (1-D)"]],
      change: (value) => { this.axes = Number(value); this.fillFields(); },
    });
    this.inputField = selectField({ label: "Numbers", options: [], change: (name) => this.takeInput(name) });
    this.kernelField = selectField({ label: "Kernel", options: [], change: (name) => this.takeKernel(name) });
    this.flipField = checkField({
      label: "flip the kernel (convolution)", value: this.flipped,
      change: (on) => { this.flipped = on; this.restart(); },
    });
    this.input = new CellTable({
      label: "input x", edit: (i, j, value) => { this.x[i][j] = value; this.inputField.set("own"); this.render(); },
      point: (i, j) => this.pointAt(i, j),
    });
    this.kernel = new CellTable({
      label: "kernel w",
      edit: (i, j, value, text) => {
        this.w[i][j] = value;
        this.texts[i][j] = text.includes("/") ? text : format(value);
        this.kernelField.set("own");
        this.render();
      },
    });
    this.turned = new CellTable({ label: "w, flipped" });
    this.output = new CellTable({ label: "output y", choose: (i, j) => this.goTo(i, j) });
    this.makePlayer();
    this.formula = h("p", { class: "kc-note" });
    this.sum = h("p", { class: "kc-sum" });
    this.size = h("p", { class: "kc-note" });
    this.stage.append(
      h("div", { class: "kc-row" }, this.axesField.element, this.inputField.element, this.kernelField.element, this.flipField.element),
      h("div", { class: "kc-row kc-top" }, this.input.element,
        h("div", {}, this.kernel.element, this.turned.element), this.output.element),
      h("div", { class: "kc-row" }, this.player.element),
      this.sum, this.formula, this.size,
      h("p", { class: "kc-note" }, "Change any number of x or w. Click a number of x, or choose one of y (arrow keys), to move the window."),
    );
    this.fillFields(this.settings.input, this.settings.kernel);
  }

  // Offers what fits the number of axes, and takes what is asked for, or the first.
  fillFields(input, kernel) {
    const fill = (field, choices, wanted) => {
      const options = Object.entries(choices).map(([name, [text]]) => h("option", { value: name }, text));
      field.select.replaceChildren(...options, h("option", { value: "own", disabled: true }, "your own"));
      field.set(wanted in choices ? wanted : Object.keys(choices)[0]);
      return field.select.value;
    };
    this.takeKernel(fill(this.kernelField, KERNELS[this.axes], kernel), true);
    this.takeInput(fill(this.inputField, this.inputs[this.axes], input));
  }

  takeInput(name) {
    this.x = this.inputs[this.axes][name][1].map((row) => [...row]);
    this.restart();
  }

  takeKernel(name, quiet = false) {
    const rows = KERNELS[this.axes][name][1];
    const value = (cell) => (typeof cell === "string" ? Number(cell.split("/")[0]) / Number(cell.split("/")[1]) : cell);
    this.w = rows.map((row) => row.map(value));
    this.texts = rows.map((row) => row.map((cell) => (typeof cell === "string" ? cell : format(cell))));
    if (!quiet) this.restart();
  }

  // Lays the window so that the cell that was pointed at is in it, near its middle.
  pointAt(i, j) {
    const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);
    this.goTo(
      clamp(i - Math.floor(this.w.length / 2), this.y.length),
      clamp(j - Math.floor(this.w[0].length / 2), this.y[0].length),
    );
  }

  render(quiet = false) {
    const compute = this.flipped ? convolve : crossCorrelate;
    this.y = this.axes === 1 ? [compute(this.x[0], this.w[0])] : compute(this.x, this.w);
    this.positions = this.y.flatMap((row, i) => row.map((_, j) => [i, j]));
    const [i0, j0] = this.at;
    const inWindow = (i, j) => i >= i0 && i < i0 + this.w.length && j >= j0 && j < j0 + this.w[0].length;
    const place = (i, j) => (this.axes === 1 ? `${j}` : `${i}, ${j}`);
    const grey = shades(this.x);
    this.input.show(this.x.map((row, i) => row.map((value, j) => ({
      text: format(value), shade: grey[i][j], classes: inWindow(i, j) ? "kc-window" : "",
      name: `x[${place(i, j)}]${inWindow(i, j) ? ", in the window" : ""}`,
    }))));
    this.kernel.show(this.texts.map((row, i) => row.map((text, j) => ({ text, name: `w[${place(i, j)}]` }))));
    this.turned.element.hidden = !this.flipped;
    this.turned.show(turn(this.texts).map((row) => row.map((text) => ({ text }))));
    const shown = this.y.map((row, i) => row.map((value, j) => (this.seen.has(`${i},${j}`) ? value : null)));
    const answer = shades(shown);
    this.output.show(shown.map((row, i) => row.map((value, j) => ({
      text: value === null ? "·" : format(value), shade: answer[i][j], selected: i === i0 && j === j0,
      name: value === null ? `y[${place(i, j)}], not computed yet` : `y[${place(i, j)}] = ${format(value)}`,
    }))));
    this.output.setStop(i0, j0);
    this.write(place, quiet);
  }

  write(place, quiet) {
    const [i0, j0] = this.at;
    const weights = this.flipped ? flip(this.w) : this.w;
    const texts = this.flipped ? turn(this.texts) : this.texts;
    const terms = weights.flatMap((row, u) => row.map((weight, v) => ({
      pixel: this.x[i0 + u][j0 + v], weight, text: texts[u][v].includes("/") ? texts[u][v] : factor(weight),
    })));
    const result = format(this.y[i0][j0]);
    const products = terms.map(({ pixel, text }) => `${factor(pixel)}·${text}`).join(" + ");
    const values = terms.map(({ pixel, weight }) => factor(pixel * weight)).join(" + ");
    this.sum.replaceChildren(
      `y[${place(i0, j0)}] = ${products}`, h("br"), ` = ${values}`, h("br"), " = ", h("strong", {}, result));
    const [ku, kv] = [this.w.length - 1, this.w[0].length - 1];
    const x = this.axes === 1 ? `x[${j0} + v]` : `x[${i0} + u, ${j0} + v]`;
    const index = this.flipped ? [`${ku} − u`, `${kv} − v`] : ["u", "v"];
    const name = this.flipped ? "Convolution" : "Cross-correlation, what deep learning calls convolution";
    this.formula.textContent = `${name}: y[${place(i0, j0)}] = sum of ${x} · w[${index.slice(2 - this.axes).join(", ")}].`;
    const sizes = this.axes === 1 ? [this.x[0].length] : [this.x.length, this.x[0].length];
    const kernel = this.axes === 1 ? [this.w[0].length] : [this.w.length, this.w[0].length];
    this.size.textContent = `Size of the output: ${sizes.map((n, a) => `${n} − ${kernel[a]} + 1 = ${n - kernel[a] + 1}`).join(", ")}.`;
    if (!quiet) {
      const spoken = terms.map(({ pixel, text }) => `${format(pixel)} times ${text.replace(/[()]/g, "")}`).join(" plus ");
      this.say(`y[${place(i0, j0)}]: ${spoken} equals ${result}.`);
    }
  }
}

define("kc-convolution", Convolution);
