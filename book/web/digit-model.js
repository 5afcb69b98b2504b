// The network that reads digits: from a drawing to 28×28 numbers, and from these to probabilities.
// No page is needed here; tests run it in node against Keras.

export const SIDE = 28; // pixels of a digit of MNIST
export const BOX = 20; // pixels: MNIST's digits were scaled to fit into a square of this size
export const FINE = 10; // cells of the drawing for each pixel of a digit
export const PAD = SIDE * FINE; // cells of the drawing

/** Give an empty drawing: PAD × PAD cells, 0 for paper and 1 for ink. */
export function blank() {
  return new Float32Array(PAD * PAD);
}

/** Draw a stroke with a round pen from one point to another, all in cells; changes `drawing`. */
export function stroke(drawing, [x0, y0], [x1, y1], radius) {
  const reach = Math.ceil(radius) + 1;
  const low = (a, b) => Math.max(0, Math.floor(Math.min(a, b)) - reach);
  const high = (a, b) => Math.min(PAD - 1, Math.ceil(Math.max(a, b)) + reach);
  const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  for (let y = low(y0, y1); y <= high(y0, y1); y += 1) {
    for (let x = low(x0, x1); x <= high(x0, x1); x += 1) {
      const along = length ? ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length : 0;
      const at = Math.min(1, Math.max(0, along));
      const distance = Math.hypot(x - x0 - at * (x1 - x0), y - y0 - at * (y1 - y0));
      // The border of the pen is soft over one cell, so that a line is not a staircase.
      const ink = Math.min(1, Math.max(0, radius + 0.5 - distance));
      const cell = y * PAD + x;
      drawing[cell] = Math.max(drawing[cell], ink);
    }
  }
}

/**
 * Centre and scale a drawing as the digits of MNIST were: its bounding box is scaled, as it is
 * wide or high, to fit into 20×20 pixels, each pixel the mean of the ink on it; then its centre of
 * mass is moved, by whole pixels, to the centre of 28×28. Gives null for an empty drawing.
 */
export function prepare(drawing) {
  const box = bounds(drawing);
  if (box === null) return null;
  const [left, top, right, bottom] = box;
  const scale = BOX / Math.max(right - left, bottom - top);
  const width = Math.max(1, Math.round((right - left) * scale));
  const height = Math.max(1, Math.round((bottom - top) * scale));
  const small = shrink(drawing, box, width, height);
  const total = small.reduce((sum, ink) => sum + ink, 0);
  const mean = (place) => small.reduce((sum, ink, i) => sum + ink * (place(i) + 0.5), 0) / total;
  const moved = (centre, side) =>
    Math.min(SIDE - side, Math.max(0, Math.round(SIDE / 2 - centre)));
  const x0 = moved(mean((i) => i % width), width);
  const y0 = moved(mean((i) => Math.floor(i / width)), height);
  const digit = new Float32Array(SIDE * SIDE);
  for (let y = 0; y < height; y += 1) {
    digit.set(small.subarray(y * width, (y + 1) * width), (y0 + y) * SIDE + x0);
  }
  return digit;
}

function bounds(drawing) {
  const inked = [...drawing.keys()].filter((cell) => drawing[cell] > 0);
  if (inked.length === 0) return null;
  const box = [PAD, PAD, 0, 0];
  for (const cell of inked) {
    const [x, y] = [cell % PAD, Math.floor(cell / PAD)];
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x + 1);
    box[3] = Math.max(box[3], y + 1);
  }
  return box;
}

// Each new pixel is the mean of the area that it covers, parts of cells included.
function shrink(drawing, [left, top, right, bottom], width, height) {
  const columns = shares(left, right, width);
  const rows = shares(top, bottom, height);
  const small = new Float32Array(width * height);
  rows.forEach((row, j) => columns.forEach((column, i) => {
    let sum = 0;
    for (const [y, partY] of row) {
      for (const [x, partX] of column) sum += drawing[y * PAD + x] * partX * partY;
    }
    small[j * width + i] = sum;
  }));
  return small;
}

// For each of `count` equal parts of start … end: the cells in it, and their shares of its mean.
function shares(start, end, count) {
  const each = (end - start) / count;
  return Array.from({ length: count }, (_, i) => {
    const [from, to] = [start + i * each, start + (i + 1) * each];
    const cells = [];
    for (let cell = Math.floor(from); cell < Math.min(end, Math.ceil(to)); cell += 1) {
      const part = Math.min(to, cell + 1) - Math.max(from, cell);
      if (part > 0) cells.push([cell, part / each]);
    }
    return cells;
  });
}

/** Take the bytes of a base64 text. */
export function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Cut the weights, one after another as little-endian float32, into arrays of these shapes. */
export function unpack(base64, shapes) {
  const view = new DataView(bytes(base64).buffer);
  let at = 0;
  return shapes.map((shape) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const array = Float32Array.from({ length: count }, (_, i) => view.getFloat32(at + 4 * i, true));
    at += 4 * count;
    return array;
  });
}

/**
 * Compute the network's answer to 28×28 numbers from 0 to 1.
 *
 * `weights` are the kernels and biases of two convolutions and two dense layers, in Keras' order
 * of axes. The feature maps are given as they leave the ReLU, [row][column][filter] in one array.
 */
export function classify(digit, weights) {
  const [kernels1, biases1, kernels2, biases2, dense1, dense1Biases, dense2, dense2Biases] = weights;
  const first = convolve({ values: digit, side: SIDE, channels: 1 }, kernels1, biases1);
  const second = convolve(halve(first), kernels2, biases2);
  const hidden = dense(halve(second).values, dense1, dense1Biases).map((sum) => Math.max(0, sum));
  return { first, second, probabilities: softmax(dense(hidden, dense2, dense2Biases)) };
}

// Cross-correlates with kernels of 3×3, no padding, then ReLU.
function convolve({ values, side, channels }, kernels, biases) {
  const [filters, out, size] = [biases.length, side - 2, 3];
  const maps = new Float32Array(out * out * filters);
  for (let y = 0; y < out; y += 1) {
    for (let x = 0; x < out; x += 1) {
      const sums = Float64Array.from(biases);
      for (let j = 0; j < size; j += 1) {
        for (let i = 0; i < size; i += 1) {
          for (let c = 0; c < channels; c += 1) {
            const value = values[((y + j) * side + x + i) * channels + c];
            const weight = ((j * size + i) * channels + c) * filters;
            for (let f = 0; f < filters; f += 1) sums[f] += value * kernels[weight + f];
          }
        }
      }
      maps.set(sums.map((sum) => Math.max(0, sum)), (y * out + x) * filters);
    }
  }
  return { values: maps, side: out, channels: filters };
}

// Keeps the largest of each 2×2 block; the last row and column of an odd size are dropped.
function halve({ values, side, channels }) {
  const out = Math.floor(side / 2);
  const pooled = Float32Array.from({ length: out * out * channels }, (_, k) => {
    const c = k % channels;
    const x = 2 * (Math.floor(k / channels) % out);
    const y = 2 * Math.floor(k / channels / out);
    const at = (row, column) => values[(row * side + column) * channels + c];
    return Math.max(at(y, x), at(y, x + 1), at(y + 1, x), at(y + 1, x + 1));
  });
  return { values: pooled, side: out, channels };
}

function dense(inputs, weights, biases) {
  const sums = Float64Array.from(biases);
  inputs.forEach((input, i) => {
    for (let n = 0; n < sums.length; n += 1) sums[n] += input * weights[i * sums.length + n];
  });
  return sums;
}

function softmax(sums) {
  const largest = Math.max(...sums);
  const powers = sums.map((sum) => Math.exp(sum - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return [...powers.map((power) => power / total)];
}
