// A kernel over a photograph: the numbers of arithmetic.js, in loops that are fast enough for a film.
// A map is { data, width, height }: one number for each pixel, row by row.

import { outputSize, paddingSides } from "./arithmetic.js";

const POSITIVE = [255, 150, 50];
const NEGATIVE = [90, 170, 255];

// Slides the kernel, square rows of numbers, over the map.
export function correlate(map, kernel, { stride = 1, padding = "valid" } = {}) {
  const size = kernel.length;
  const axis = (length) => ({
    count: outputSize(length, size, { stride, padding }),
    before: paddingSides(length, size, { stride, padding })[0],
  });
  const [down, across] = [axis(map.height), axis(map.width)];
  const data = new Float32Array(down.count * across.count);
  kernel.forEach((weights, u) => weights.forEach((weight, v) => {
    if (weight === 0) return;
    // The outputs whose window has this weight inside the picture.
    const first = Math.max(0, Math.ceil((across.before - v) / stride));
    const last = Math.min(across.count - 1, Math.floor((map.width - 1 + across.before - v) / stride));
    for (let i = 0; i < down.count; i++) {
      const row = i * stride + u - down.before;
      if (row < 0 || row >= map.height) continue;
      let from = row * map.width + first * stride + v - across.before;
      for (let to = i * across.count + first; to <= i * across.count + last; to++, from += stride) {
        data[to] += weight * map.data[from];
      }
    }
  }));
  return { data, width: across.count, height: down.count };
}

export function rectify(map) {
  return { ...map, data: map.data.map((value) => Math.max(value, 0)) };
}

// Grey levels, 0 to 255, of the red, green, blue and alpha that a canvas holds.
export function greyOf(rgba, width, height) {
  const data = new Float32Array(width * height);
  for (let i = 0; i < data.length; i++) {
    data[i] = 0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2];
  }
  return { data, width, height };
}

// The size of a number that gets the full colour: all but a hundredth of the map are smaller.
// A look at every seventh number is enough.
export function peakOf({ data }) {
  const sizes = Float32Array.from({ length: Math.ceil(data.length / 7) }, (_, i) => Math.abs(data[7 * i])).sort();
  return sizes[Math.floor(0.99 * (sizes.length - 1))] || 1;
}

// Colours a map for a canvas: orange above zero, blue below it, black at zero; grey where nothing is negative.
export function paint({ data }, rgba, { peak, signed }) {
  for (let i = 0; i < data.length; i++) {
    const share = Math.min(Math.abs(data[i]) / peak, 1);
    const colour = !signed ? [255, 255, 255] : data[i] < 0 ? NEGATIVE : POSITIVE;
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = share * colour[c];
    rgba[4 * i + 3] = 255;
  }
}

// Where the window of output (i, j) begins in the input, as [row, column]; outside of it in the padding.
export function cornerOf(map, size, [i, j], { stride = 1, padding = "valid" } = {}) {
  return [[i, map.height], [j, map.width]].map(
    ([at, length]) => at * stride - paddingSides(length, size, { stride, padding })[0],
  );
}

// The output whose window has the pixel (row, column) nearest to its middle.
export function outputAt(map, size, [row, column], { stride = 1, padding = "valid" } = {}) {
  return [[row, map.height], [column, map.width]].map(([at, length]) => {
    const count = outputSize(length, size, { stride, padding });
    const before = paddingSides(length, size, { stride, padding })[0];
    return Math.min(Math.max(Math.round((at + before - (size - 1) / 2) / stride), 0), count - 1);
  });
}
