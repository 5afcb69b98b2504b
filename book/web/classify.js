// <kc-classify>: draw a digit; the network of the chapter answers, in this page.

import { Widget, button, dataOf, define, h, whenData } from "./base.js";
import { FINE, PAD, SIDE, blank, bytes, classify, prepare, stroke, unpack } from "./digit-model.js";

const PEN = 12; // cells: its radius, so that a large digit has strokes as wide as MNIST's
const STEPS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};

const COMING = "The weights of the network are on their way.";
const MISSING = "The weights of the network are missing beside this page.";

const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;

let pads = 0;

class Classify extends Widget {
  static title = "Reader of digits";

  build() {
    const data = dataOf("digit_reader");
    if (data === null) {
      this.stage.append(h("p", { class: "kc-reason" }, MISSING));
      return;
    }
    this.weights = null;
    this.waiting = COMING;
    this.drawing = blank();
    this.digit = null;
    this.pen = { at: [PAD / 2, PAD / 2], down: false, shown: false };
    this.stage.append(
      h("div", { class: "kc-row kc-top" }, this.makePad(), this.makeSeen(), this.makeBars()),
      this.makeSamples(data.samples),
      this.makeMaps(data.shapes),
      h("p", { class: "kc-note" }, about(data)));
    this.show();
    whenData("digit_reader_weights", (weights) => {
      if (weights === null) this.waiting = MISSING;
      else this.weights = unpack(weights, data.shapes);
      this.show();
    });
  }

  makePad() {
    const help = `kc-pad-help-${++pads}`;
    this.pad = h("canvas", {
      class: "kc-pad", width: PAD, height: PAD, tabindex: 0, role: "application",
      "aria-roledescription": "drawing pad", "aria-label": "Draw a digit", "aria-describedby": help,
      onpointerdown: (event) => this.press(event),
      onpointermove: (event) => this.drag(event),
      onpointerup: () => this.lift(),
      onpointercancel: () => this.lift(),
      onkeydown: (event) => this.key(event),
      onblur: () => { this.pen.shown = false; this.pen.down = false; this.paint(); },
    });
    return h("div", {}, h("p", { class: "kc-label" }, "Draw a digit"), this.pad,
      h("p", { class: "kc-note", id: help }, "Keys: arrows move the pen, space puts it down and lifts it, Delete clears."),
      button("Clear", () => this.clear()));
  }

  makeSeen() {
    this.seen = picture(SIDE, "kc-seen");
    return h("div", {}, h("p", { class: "kc-label" }, "What the network reads"), this.seen,
      h("p", { class: "kc-note" }, "28×28 numbers: as in MNIST, the digit is scaled to fit into 20×20 pixels, and its centre of mass lies in the middle."));
  }

  makeBars() {
    this.answer = h("p", { class: "kc-answer" });
    this.bars = Array.from({ length: 10 }, () => ({ bar: h("span", { class: "kc-bar" }), text: h("td") }));
    return h("div", { class: "kc-bars" }, h("p", { class: "kc-label" }, "What it answers"), this.answer,
      h("table", { "aria-label": "Probability of each digit" }, h("tbody", {}, this.bars.map(({ bar, text }, digit) =>
        h("tr", {}, h("th", { scope: "row" }, `${digit}`), h("td", { "aria-hidden": "true" }, bar), text)))));
  }

  makeSamples(samples) {
    const buttons = samples.map(({ label, pixels }) => {
      const digit = Float32Array.from(bytes(pixels), (level) => level / 255);
      const canvas = picture(SIDE, "kc-sample");
      paintGrey(canvas, digit, 1);
      return h("button", {
        type: "button", class: "kc-button", "aria-label": `a written ${label}`,
        onclick: () => this.take(digit),
      }, canvas);
    });
    return h("div", { class: "kc-samples", role: "group", "aria-label": "Digits of MNIST to try" },
      h("p", { class: "kc-label" }, "Or take one of MNIST's training images, which the network may have learned from:"), buttons);
  }

  makeMaps([first, , second]) {
    const layerMaps = (name, filters, side) => {
      const canvases = Array.from({ length: filters }, () => picture(side, "kc-map"));
      const text = h("p", { class: "kc-note" });
      return {
        canvases, text, filters,
        element: h("div", {}, h("p", { class: "kc-label" }, `${name}: ${filters} feature maps of ${side}×${side}`),
          h("div", { class: `kc-maps kc-maps-${filters}`, "aria-hidden": "true" }, canvases), text),
      };
    };
    this.first = layerMaps("First convolution", first[3], SIDE - 2);
    this.second = layerMaps("Second convolution", second[3], Math.floor((SIDE - 2) / 2) - 2);
    return h("div", {}, this.first.element, this.second.element);
  }

  // Where the pointer is, in cells of the drawing.
  place(event) {
    const box = this.pad.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * PAD, ((event.clientY - box.top) / box.height) * PAD];
  }

  press(event) {
    if (!event.isPrimary || event.button !== 0) return;
    event.preventDefault();
    this.pad.focus({ preventScroll: true });
    this.pad.setPointerCapture(event.pointerId);
    Object.assign(this.pen, { shown: false, down: false });
    this.last = this.place(event);
    this.draw(this.last, this.last);
  }

  drag(event) {
    if (!this.last || !event.isPrimary) return;
    // Fast strokes report several points at once; without them a curve has corners.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      const to = this.place(each);
      this.draw(this.last, to);
      this.last = to;
    }
  }

  lift() {
    if (!this.last) return;
    this.last = null;
    this.show();
    this.say(this.answer.textContent);
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.clear();
      return;
    }
    const step = STEPS[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    const from = this.pen.at;
    this.pen.shown = true;
    if (step) this.pen.at = from.map((at, axis) => Math.min(PAD - FINE, Math.max(FINE, at + step[axis] * FINE)));
    else this.pen.down = !this.pen.down;
    if (this.pen.down) this.draw(from, this.pen.at);
    else this.paint();
    this.show();
    const [column, row] = this.pen.at.map((at) => at / FINE);
    const position = `Row ${row}, column ${column}, pen ${this.pen.down ? "down" : "up"}.`;
    this.say(`${position} ${this.digit ? this.answer.textContent : ""}`);
  }

  draw(from, to) {
    if (this.taken) this.empty();
    stroke(this.drawing, from, to, PEN);
    // At most one answer for each frame of the screen, however fast the pen moves.
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.show(); });
  }

  // A digit of MNIST is as the network reads it: nothing is left to be scaled.
  take(digit) {
    this.empty();
    this.taken = digit;
    this.show();
    this.say(this.answer.textContent);
  }

  empty() {
    this.drawing.fill(0);
    this.taken = null;
  }

  clear() {
    this.empty();
    this.show();
    this.say("The pad is empty.");
  }

  show() {
    this.digit = this.taken ?? prepare(this.drawing);
    this.paint();
    const nothing = new Float32Array(SIDE * SIDE);
    paintGrey(this.seen, this.digit ?? nothing, 1);
    if (this.weights === null) {
      this.answer.textContent = this.waiting;
      return;
    }
    const { first, second, probabilities } = classify(this.digit ?? nothing, this.weights);
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
    this.answer.textContent = this.digit
      ? sentence(order, probabilities)
      : "Nothing is drawn yet.";
    this.bars.forEach(({ bar, text }, digit) => {
      const share = this.digit ? probabilities[digit] : 0;
      bar.style.width = `${100 * share}%`;
      bar.classList.toggle("kc-best", this.digit !== null && digit === order[0]);
      text.textContent = this.digit ? percent(share) : "";
    });
    this.showMaps(this.first, first);
    this.showMaps(this.second, second);
  }

  // One scale for all maps of a layer, so that a strong one looks strong.
  showMaps({ canvases, text, filters }, { values, channels }) {
    // Where nothing is drawn a filter with a positive bias would be white, as if it were missing.
    const largest = this.digit ? values.reduce((a, b) => Math.max(a, b), 0) : 0;
    const peaks = canvases.map((canvas, filter) => {
      const map = values.filter((_, i) => i % channels === filter);
      paintGrey(canvas, map, largest);
      return map.reduce((a, b) => Math.max(a, b), 0);
    });
    const silent = peaks.filter((peak) => peak === 0).length;
    text.textContent = this.digit
      ? `Strongest: filter ${peaks.indexOf(largest) + 1} of ${filters}, up to ${largest.toFixed(2)}; ${silent || "none"} of them ${silent > 1 ? "are" : "is"} 0 everywhere.`
      : "White is the largest number of the layer, black is 0.";
  }

  paint() {
    if (this.taken) {
      paintGrey(this.pad, this.taken, 1, FINE);
    } else {
      paintGrey(this.pad, this.drawing, 1);
    }
    if (!this.pen.shown) return;
    const context = this.pad.getContext("2d");
    context.strokeStyle = "#ff9d5c";
    context.lineWidth = this.pen.down ? 6 : 3;
    context.beginPath();
    context.arc(...this.pen.at, PEN + 2, 0, 2 * Math.PI);
    context.stroke();
  }
}

function sentence([best, next], probabilities) {
  const rest = probabilities[next] < 0.001 ? "no other digit reaches 0.1\u00a0%"
    : `then ${next}, with ${percent(probabilities[next])}`;
  return `It answers ${best}, with ${percent(probabilities[best])}; ${rest}.`;
}

function picture(side, name) {
  return h("canvas", { class: name, width: side, height: side, "aria-hidden": "true" });
}

// Paints numbers from 0, black, to `largest`, white; each as a square of `zoom` pixels.
function paintGrey(canvas, values, largest, zoom = 1) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const pixels = context.createImageData(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const value = values[Math.floor(y / zoom) * (width / zoom) + Math.floor(x / zoom)];
      const grey = largest ? Math.round((255 * value) / largest) : 0;
      pixels.data.set([grey, grey, grey, 255], 4 * (y * width + x));
    }
  }
  context.putImageData(pixels, 0, 0);
}

function about({ name, seed, parameters, epochs, note, validation, test, openings }) {
  const score = ({ correct, total }) =>
    `${correct.toLocaleString("en-US")} of ${total.toLocaleString("en-US")} (${((100 * correct) / total).toFixed(2)}\u00a0%)`;
  return `The weights are those of the run ${name}, seed ${seed}, in published/: ${parameters.toLocaleString("en-US")} parameters, `
    + `trained for ${epochs} epochs (data: ${note}); right on ${score(validation)} validation images and on ${score(test)} test images, `
    + `a set that was opened ${openings === 1 ? "once" : `${openings} times`}.`;
}

define("kc-classify", Classify);
