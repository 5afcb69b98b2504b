// <kc-filter>: a kernel slides over a photograph, the reader's own or what the camera sees.

import { CellTable, Widget, button, dataOf, define, format, h, parse, selectField } from "./base.js";
import { cornerOf, correlate, greyOf, outputAt, paint, peakOf, rectify } from "./filter-model.js";

const [WIDEST, HIGHEST] = [320, 240];
const NINTH = Array(3).fill(Array(3).fill("1/9"));
const KERNELS = {
  3: {
    sobelX: ["Sobel x: edges that stand", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]],
    sobelY: ["Sobel y: edges that lie", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]],
    laplacian: ["Laplacian: all edges", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]],
    blur: ["blur: the mean of nine", NINTH],
    sharpen: ["sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]],
    emboss: ["emboss", [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]],
    identity: ["identity", [[0, 0, 0], [0, 1, 0], [0, 0, 0]]],
  },
  5: {
    blur: ["blur: the mean of 25", Array(5).fill(Array(5).fill("1/25"))],
    edges: ["a wide Laplacian", [[0, 0, 1, 0, 0], [0, 1, 2, 1, 0], [1, 2, -16, 2, 1], [0, 1, 2, 1, 0], [0, 0, 1, 0, 0]]],
    motion: ["blur along a diagonal", [0, 1, 2, 3, 4].map((u) => [0, 1, 2, 3, 4].map((v) => (u === v ? "1/5" : 0)))],
    identity: ["identity", [0, 1, 2, 3, 4].map((u) => [0, 1, 2, 3, 4].map((v) => Number(u === 2 && v === 2)))],
  },
};
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

const value = (cell) => parse(String(cell));
const short = (number) => format(Math.round(number * 10) / 10);

class Filter extends Widget {
  static title = "A kernel over a photograph";

  build() {
    this.options = { stride: 1, padding: "valid" };
    this.at = [60, 90];
    this.second = "none";
    this.canvas = h("canvas");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.makeFields();
    this.makePictures();
    this.makeCells();
    this.complaint = h("p", { class: "kc-reason", role: "alert" });
    this.note = h("p", { class: "kc-note" });
    this.sum = h("p", { class: "kc-sum" });
    this.stage.append(
      this.pictures,
      this.note,
      h("div", { class: "kc-row" }, this.kernelField.element, this.sizeField.element, this.strideField.element,
        this.paddingField.element, this.secondField.element),
      h("div", { class: "kc-row kc-top" }, this.pixels.element, this.kernel.element, this.products.element),
      this.sum,
      this.sourceRow,
      this.complaint);
    this.fillKernels(3, this.settings.kernel);
    const shipped = dataOf("photograph");
    if (shipped) this.takeShipped(shipped);
    else this.complaint.textContent = "The photograph is missing beside this page: open one of your own.";
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.closeCamera();
  }

  makeFields() {
    const options = (pairs) => pairs.map((each) => (Array.isArray(each) ? each : [each, each]));
    this.sizeField = selectField({
      label: "Kernel size", value: "3", options: [["3", "3 × 3"], ["5", "5 × 5"]],
      change: (size) => this.fillKernels(Number(size)),
    });
    this.kernelField = selectField({ label: "Kernel", options: [], change: (name) => this.takeKernel(name) });
    this.strideField = selectField({
      label: "Stride", value: "1", options: options(["1", "2", "3", "4"]),
      change: (stride) => this.choose({ stride: Number(stride) }),
    });
    this.paddingField = selectField({
      label: "Padding", value: "valid", options: options(["valid", "same"]),
      change: (padding) => this.choose({ padding }),
    });
    this.secondField = selectField({
      label: "Second layer", value: "none",
      options: [["none", "none"], ...Object.entries(KERNELS[3]).map(([name, [text]]) => [name, `ReLU, then ${text}`])],
      change: (name) => { this.second = name; this.compute(); },
    });
    const file = h("input", {
      type: "file", accept: "image/*", hidden: true,
      onchange: () => this.takeFile(file.files[0]),
    });
    this.cameraButton = button("Use the camera", () => (this.film ? this.closeCamera() : this.openCamera()));
    this.sourceRow = h("div", { class: "kc-row", role: "group", "aria-label": "Picture" },
      button("Open a picture", () => file.click()), file, this.cameraButton,
      h("span", { class: "kc-note" }, "It stays in this page: nothing is sent anywhere."));
  }

  // Each picture with a frame for the window, or for the one number that the window gives.
  makePictures() {
    const picture = (text, over) => {
      const canvas = h("canvas", { class: "kc-photo" });
      const frame = h("div", { class: "kc-frame" });
      const box = h("div", { class: "kc-photo-box", ...over }, canvas, frame);
      const caption = h("figcaption", { class: "kc-note" }, text);
      return { canvas, frame, box, caption, element: h("figure", { class: "kc-figure" }, box, caption) };
    };
    const over = (place) => ({ onpointermove: (event) => this.point(event, place), onpointerdown: (event) => this.point(event, place) });
    this.input = picture("input", {
      ...over("input"), tabindex: 0, role: "application", "aria-roledescription": "picture with a window",
      "aria-label": "Photograph: arrow keys move the window, with Shift ten times as far",
      onkeydown: (event) => this.key(event),
    });
    this.output = picture("output", over("output"));
    this.last = picture("second layer", over("last"));
    this.reach = h("div", { class: "kc-frame kc-reach" });
    this.input.box.append(this.reach);
    this.pictures = h("div", { class: "kc-row kc-top kc-pictures" }, this.input.element, this.output.element, this.last.element);
  }

  makeCells() {
    this.pixels = new CellTable({ label: "pixels in the window" });
    this.kernel = new CellTable({
      label: "kernel (change it)",
      edit: (i, j, number, text) => {
        this.texts[i][j] = text.includes("/") ? text : format(number);
        this.kernelField.set("own");
        this.compute();
      },
    });
    this.products = new CellTable({ label: "products" });
  }

  fillKernels(size, wanted) {
    const names = Object.entries(KERNELS[size]);
    this.kernelField.select.replaceChildren(
      ...names.map(([name, [text]]) => h("option", { value: name }, text)),
      h("option", { value: "own", disabled: true }, "your own"));
    this.kernelField.set(wanted in KERNELS[size] ? wanted : names[0][0]);
    this.takeKernel(this.kernelField.select.value);
  }

  // The window stays where it is in the picture, whatever its output is called now.
  choose(change) {
    const size = this.texts.length;
    const middle = this.map && cornerOf(this.map, size, this.at, this.options).map((each) => each + (size - 1) / 2);
    this.options = { ...this.options, ...change };
    if (middle) this.at = outputAt(this.map, size, middle, this.options);
    this.compute();
  }

  takeKernel(name) {
    const rows = KERNELS[this.sizeField.select.value][name][1];
    this.texts = rows.map((row) => row.map((cell) => (typeof cell === "string" ? cell : format(cell))));
    this.compute();
  }

  async takeShipped({ jpeg, label }) {
    const image = new Image();
    image.src = `data:image/jpeg;base64,${jpeg}`;
    await image.decode();
    this.takeImage(image, label);
  }

  async takeFile(file) {
    if (!file) return;
    this.closeCamera();
    try {
      this.takeImage(await createImageBitmap(file), file.name);
      this.complaint.textContent = "";
      this.say(`${file.name} is open.`);
    } catch {
      this.complaint.textContent = `${file.name} is no picture that this browser can read: choose a JPEG, PNG or WebP file.`;
    }
  }

  async openCamera() {
    this.complaint.textContent = "";
    try {
      if (!navigator.mediaDevices) throw new Error("this browser gives none to this page");
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: WIDEST, height: HIGHEST, facingMode: "environment" } });
      const film = h("video", { muted: true, playsinline: true });
      film.srcObject = stream;
      await film.play();
      this.film = film;
      this.cameraButton.textContent = "Stop the camera";
      this.roll();
    } catch (error) {
      this.complaint.textContent = `There is no picture from a camera (${error.message || error.name}): open a file instead.`;
    }
  }

  closeCamera() {
    this.film?.srcObject.getTracks().forEach((track) => track.stop());
    this.film = null;
    if (this.cameraButton) this.cameraButton.textContent = "Use the camera";
  }

  roll() {
    if (!this.film) return;
    this.takeImage(this.film, "what the camera sees");
    requestAnimationFrame(() => this.roll());
  }

  // Takes a picture in at most 320 × 240 pixels, in its own proportions.
  takeImage(image, label) {
    const [width, height] = [image.videoWidth || image.naturalWidth || image.width, image.videoHeight || image.naturalHeight || image.height];
    const scale = Math.min(WIDEST / width, HIGHEST / height, 1);
    this.canvas.width = Math.max(Math.round(width * scale), 5);
    this.canvas.height = Math.max(Math.round(height * scale), 5);
    this.pen.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    const { data } = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    this.map = greyOf(data, this.canvas.width, this.canvas.height);
    this.label = label;
    this.compute();
  }

  get weights() {
    return this.texts.map((row) => row.map(value));
  }

  compute() {
    if (!this.map) return;
    this.first = correlate(this.map, this.weights, this.options);
    const then = KERNELS[3][this.second]?.[1].map((row) => row.map(value));
    const fits = then && Math.min(this.first.width, this.first.height) >= 3;
    this.after = fits ? correlate(rectify(this.first), then, { padding: this.options.padding }) : null;
    this.draw(this.input, this.map, { peak: 255, signed: false }, this.label);
    this.draw(this.output, this.first, null, "output");
    this.last.element.hidden = this.reach.hidden = !this.after;
    if (this.after) this.draw(this.last, this.after, null, "second layer");
    this.show();
  }

  // Colours are scaled when a map is new, and never while the window moves.
  draw({ canvas, caption }, map, range, text) {
    if (canvas.width !== map.width || canvas.height !== map.height) Object.assign(canvas, { width: map.width, height: map.height });
    const signed = range === null && map.data.some((each) => each < 0);
    range ??= { peak: signed ? peakOf(map) : Math.max(255, peakOf(map)), signed };
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(map.width, map.height);
    paint(map, image.data, range);
    pen.putImageData(image, 0, 0);
    const colours = range.signed ? `; orange above zero, blue below, full from ±${short(range.peak)} on` : "";
    caption.textContent = `${text}, ${map.width} × ${map.height}${colours}`;
  }

  point(event, place) {
    if (!this.map) return;
    const box = event.currentTarget.getBoundingClientRect();
    const map = { input: this.map, output: this.first, last: this.after }[place];
    const pixel = [
      Math.floor(((event.clientY - box.top) / box.height) * map.height),
      Math.floor(((event.clientX - box.left) / box.width) * map.width),
    ];
    if (place === "input") this.at = outputAt(this.map, this.texts.length, pixel, this.options);
    else this.at = place === "output" ? pixel : outputFrom(this.after, this.first, pixel);
    this.show();
    if (event.type === "pointerdown") this.tell();
  }

  key(event) {
    const step = STEPS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey || !this.map) return;
    event.preventDefault();
    this.at = this.at.map((at, axis) => at + step[axis] * (event.shiftKey ? 10 : 1));
    this.show();
    this.tell();
  }

  show() {
    const { map, first, options } = this;
    const size = this.texts.length;
    const limits = [first.height - 1, first.width - 1];
    this.at = this.at.map((at, axis) => Math.min(Math.max(at, 0), limits[axis]));
    const [top, left] = cornerOf(map, size, this.at, options);
    const inside = (i, j) => i >= 0 && j >= 0 && i < map.height && j < map.width;
    const window = this.texts.map((row, u) => row.map((_, v) => (inside(top + u, left + v) ? Math.round(map.data[(top + u) * map.width + left + v]) : null)));
    frame(this.input.frame, map, [top, left], size);
    frame(this.output.frame, first, this.at, 1);
    this.pixels.show(window.map((row) => row.map((grey) => ({
      text: grey === null ? "0" : format(grey), shade: grey, classes: grey === null ? "kc-padding" : "kc-window",
    }))));
    this.kernel.show(this.texts.map((row, u) => row.map((text, v) => ({ text, name: `weight ${u}, ${v}` }))));
    const products = window.map((row, u) => row.map((grey, v) => (grey ?? 0) * value(this.texts[u][v])));
    this.products.show(products.map((row) => row.map((each) => ({ text: short(each) }))));
    this.total = products.flat().reduce((a, b) => a + b, 0);
    this.sum.replaceChildren(`The ${size * size} products add up to `, h("strong", {}, short(this.total)), `, the number at row ${this.at[0]}, column ${this.at[1]} of the output.`);
    if (this.after) {
      const pixel = outputFrom(first, this.after, this.at);
      const [a, b] = cornerOf(first, 3, pixel, { padding: options.padding });
      frame(this.last.frame, this.after, pixel, 1);
      frame(this.reach, map, cornerOf(map, size, [a, b], options), size + 2 * options.stride);
      this.note.textContent = `The dashed frame is what one number of the second layer sees: ${size + 2 * options.stride} × ${size + 2 * options.stride} pixels.`;
    } else this.note.textContent = "Move over a picture: the orange frame is the window, and its one number is marked in the output.";
  }

  tell() {
    this.say(`Row ${this.at[0]}, column ${this.at[1]}: the products add up to ${short(this.total)}.`);
  }
}

// Carries a place over from one map to another of nearly the same size, by its distance from the middle.
function outputFrom(from, to, [i, j]) {
  return [[i, from.height, to.height], [j, from.width, to.width]].map(
    ([at, before, after]) => Math.min(Math.max(at + Math.round((after - before) / 2), 0), after - 1),
  );
}

// Lays a frame over `size` pixels of a map, in shares of its width and height.
function frame(element, map, [row, column], size) {
  Object.assign(element.style, {
    top: `${(100 * row) / map.height}%`, left: `${(100 * column) / map.width}%`,
    width: `${(100 * size) / map.width}%`, height: `${(100 * size) / map.height}%`,
  });
}

define("kc-filter", Filter);
