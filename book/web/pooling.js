// Pooling: one number for each window, and the rows and columns that no window reads.
import { averagePool, maxPool, paddingSides } from "./arithmetic.js";
import { CellTable, Stepper, define, factor, format, h, list, numberField, selectField, shades } from "./base.js";

const INPUTS = {
  2: {
    small: ["the chapter’s 4×4", [[1, 3, 2, 0], [0, 2, 7, 1], [4, 4, 1, 1], [0, 0, 3, 3]]],
    odd: ["an odd size, 5×5", [[1, 3, 2, 0, 5], [0, 2, 7, 1, 0], [4, 4, 1, 1, 2], [0, 0, 3, 3, 8], [9, 0, 6, 0, 9]]],
    negative: ["negative numbers", [[-1, -3, -2, -5, -4], [-6, -2, -7, -1, -3], [-4, -4, -1, -1, -2], [-8, -5, -3, -3, -9], [-2, -7, -6, -4, -5]]],
    spot: ["one bright cell", [0, 0, 0, 0, 0, 0].map((_, i) => [0, 0, 0, 0, 0, 0].map((_, j) => (i === 2 && j === 2 ? 9 : 0)))],
  },
  1: {
    signal: ["a signal of 9", [[2, 5, 3, 1, 0, 4, 8, 8, 6]]],
    even: ["a signal of 8", [[2, 5, 3, 1, 0, 4, 8, 6]]],
  },
};

class Pooling extends Stepper {
  static title = "Pooling";

  build() {
    const { axes = 2, kind = "max", window = 2, stride = window, padding = "valid", input } = this.settings;
    Object.assign(this, { axes, kind, window, stride, padding });
    this.kindField = selectField({
      label: "Keep", value: kind, options: [["max", "the maximum"], ["average", "the mean"]],
      change: (value) => { this.kind = value; this.render(); },
    });
    this.axesField = selectField({
      label: "Input is", value: String(axes), options: [["2", "a map (2-D)"], ["1", "a signal (1-D)"]],
      change: (value) => { this.axes = Number(value); this.fillInputs(); },
    });
    this.inputField = selectField({ label: "Numbers", options: [], change: (name) => this.takeInput(name) });
    this.windowField = numberField({
      label: "window k", value: window, min: 1, max: 8,
      change: (value) => {
        if (this.stride === this.window) this.strideField.set((this.stride = value));
        this.window = value;
        this.restart();
      },
    });
    this.strideField = numberField({ label: "stride s", value: stride, min: 1, max: 8, change: (value) => { this.stride = value; this.restart(); } });
    this.paddingField = selectField({
      label: "padding", value: padding, options: [["valid", "valid: none"], ["same", "same"]],
      change: (value) => { this.padding = value; this.restart(); },
    });
    this.input = new CellTable({
      label: "input x", point: (i, j) => this.pointAt(i - this.before[0], j - this.before[1]),
      edit: (i, j, value) => { this.x[i - this.before[0]][j - this.before[1]] = value; this.inputField.set("own"); this.render(); },
    });
    this.output = new CellTable({ label: "output y", choose: (i, j) => this.goTo(i, j) });
    this.makePlayer();
    this.reason = h("p", { class: "kc-reason" });
    this.sum = h("p", { class: "kc-sum" });
    this.formula = h("p", { class: "kc-sum" });
    this.lost = h("p");
    this.drawing = h("div", {}, h("div", { class: "kc-row kc-top" }, this.input.element, this.output.element),
      h("div", { class: "kc-row" }, this.player.element), this.sum, this.formula, this.lost);
    this.stage.append(
      h("div", { class: "kc-row" }, this.kindField.element, this.axesField.element, this.inputField.element),
      h("div", { class: "kc-row" }, this.windowField.element, this.strideField.element, this.paddingField.element),
      this.reason, this.drawing);
    this.fillInputs(input);
  }

  fillInputs(wanted) {
    const choices = INPUTS[this.axes];
    this.inputField.select.replaceChildren(
      ...Object.entries(choices).map(([name, [text]]) => h("option", { value: name }, text)),
      h("option", { value: "own", disabled: true }, "your own"));
    const name = wanted in choices ? wanted : Object.keys(choices)[0];
    this.inputField.set(name);
    this.takeInput(name);
  }

  takeInput(name) {
    this.x = INPUTS[this.axes][name][1].map((row) => [...row]);
    this.restart();
  }

  // The input cells of one axis that an output's window covers, those over the border left out.
  cells(axis, output) {
    const start = output * this.strides[axis] - this.before[axis];
    return Array.from({ length: this.windows[axis] }, (_, u) => start + u).filter((cell) => cell >= 0 && cell < this.sizes[axis]);
  }

  pointAt(i, j) {
    const place = (axis, cell) => Math.min(Math.max(Math.floor((cell + this.before[axis]) / this.strides[axis]), 0), this.shape[axis] - 1);
    this.goTo(place(0, i), place(1, j));
  }

  compute() {
    const pool = this.kind === "max" ? maxPool : averagePool;
    const flat = this.axes === 1;
    const options = { stride: flat ? [this.stride] : this.stride, padding: this.padding };
    this.sizes = [this.x.length, this.x[0].length];
    this.windows = [flat ? 1 : this.window, this.window];
    this.strides = [flat ? 1 : this.stride, this.stride];
    this.positions = [];
    this.y = flat ? [pool(this.x[0], [this.window], options)] : pool(this.x, this.window, options);
    this.shape = [this.y.length, this.y[0].length];
    this.positions = this.y.flatMap((row, i) => row.map((_, j) => [i, j]));
    const sides = this.sizes.map((n, axis) => paddingSides(n, this.windows[axis], { stride: this.strides[axis], padding: this.padding }));
    this.before = sides.map(([before]) => before);
    this.after = sides.map(([, after]) => after);
  }

  render(quiet = false) {
    try {
      this.compute();
    } catch (error) {
      this.reason.textContent = error.message;
      this.drawing.hidden = true;
      this.say(`Impossible: ${error.message}`);
      return;
    }
    this.reason.textContent = "";
    this.drawing.hidden = false;
    const [i0, j0] = this.at;
    const place = (i, j) => (this.axes === 1 ? `${j}` : `${i}, ${j}`);
    const covered = [0, 1].map((axis) => new Set([...Array(this.shape[axis]).keys()].flatMap((output) => this.cells(axis, output))));
    const [rows, columns] = [this.cells(0, i0), this.cells(1, j0)];
    const inWindow = (i, j) => rows.includes(i) && columns.includes(j);
    const winner = (i, j) => this.kind === "max" && inWindow(i, j) && this.x[i][j] === this.y[i0][j0];
    const grey = shades(this.x);
    const along = (axis) => Array.from({ length: this.before[axis] + this.sizes[axis] + this.after[axis] }, (_, c) => c - this.before[axis]);
    const over = (axis, cell, output) => {
      const start = output * this.strides[axis] - this.before[axis];
      return cell >= start && cell < start + this.windows[axis];
    };
    this.input.show(along(0).map((i) => along(1).map((j) => {
      if (this.x[i]?.[j] === undefined) {
        return { text: "", disabled: true, name: "outside, does not count", classes: `kc-padding${over(0, i, i0) && over(1, j, j0) ? " kc-window" : ""}` };
      }
      const dropped = !covered[0].has(i) || !covered[1].has(j);
      const states = [inWindow(i, j) && "in the window", winner(i, j) && "its maximum", dropped && "in no window"].filter(Boolean);
      return {
        text: format(this.x[i][j]), shade: dropped ? null : grey[i][j], name: [`x[${place(i, j)}]`, ...states].join(", "),
        classes: [inWindow(i, j) && "kc-window", winner(i, j) && "kc-winner", dropped && "kc-unread"].filter(Boolean).join(" "),
      };
    })));
    const shown = this.y.map((row, i) => row.map((value, j) => (this.seen.has(`${i},${j}`) ? value : null)));
    const answer = shades(shown);
    this.output.show(shown.map((row, i) => row.map((value, j) => ({
      text: value === null ? "·" : format(value), shade: answer[i][j], selected: i === i0 && j === j0,
      name: value === null ? `y[${place(i, j)}], not computed yet` : `y[${place(i, j)}] = ${format(value)}`,
    }))));
    this.output.setStop(i0, j0);
    this.write(covered, place, rows.flatMap((i) => columns.map((j) => this.x[i][j])));
    if (!quiet) this.say(`${this.sum.textContent}. ${this.formula.textContent} ${this.lost.textContent}`);
  }

  write(covered, place, values) {
    const [i0, j0] = this.at;
    const result = h("strong", {}, format(this.y[i0][j0]));
    if (this.kind === "max") this.sum.replaceChildren(`y[${place(i0, j0)}] = max(${values.map(format).join(", ")}) = `, result);
    else this.sum.replaceChildren(`y[${place(i0, j0)}] = (${values.map(factor).join(" + ")}) / ${values.length} = `, result);
    const axes = this.sizes[0] === this.sizes[1] || this.axes === 1 ? [1] : [0, 1];
    this.formula.textContent = axes.map((axis) => {
      const [n, k, s, total] = [this.sizes[axis], this.windows[axis], this.strides[axis], this.before[axis] + this.after[axis]];
      return `Output size = ⌊(n + padding − k) / s⌋ + 1 = ⌊(${n} + ${total} − ${k}) / ${s}⌋ + 1 = ${this.shape[axis]}`;
    }).join("; ") + (this.axes === 1 ? "." : ` on each axis.`);
    const lost = [0, 1].map((axis) => [...Array(this.sizes[axis]).keys()].filter((cell) => !covered[axis].has(cell)));
    const name = (word, cells) => (cells.length ? [`${word}${cells.length > 1 ? "s" : ""} ${list(cells.map(String))}`] : []);
    const parts = this.axes === 1 ? name("cell", lost[1]) : [...name("row", lost[0]), ...name("column", lost[1])];
    const outside = this.before[1] + this.after[1] > 0 ? " Cells outside the border do not count." : "";
    const several = parts.length > 1 || lost[1].length > 1;
    this.lost.textContent = (parts.length ? `Dropped: ${list(parts)} ${several ? "are" : "is"} in no window.` : "Every cell is in a window.") + outside;
  }
}

define("kc-pooling", Pooling);
