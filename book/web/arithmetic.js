// What a layer computes: the functions of companion/arithmetic, with the same defaults and the same
// sentences for what is impossible (values are written as Python writes them). Arrays are nested.

export function outputSize(size, kernelSize, { stride = 1, padding = "valid", dilation = 1 } = {}) {
  integer("size", size, 1);
  integer("kernel_size", kernelSize, 1);
  integer("stride", stride, 1);
  integer("dilation", dilation, 1);
  const [before, after] = paddingSides(size, kernelSize, { stride, padding, dilation });
  const span = dilation * (kernelSize - 1) + 1;
  const room = before + size + after;
  if (span > room) {
    throw new Error(
      `kernel_size must be <= ${Math.floor((room - 1) / dilation) + 1} on an axis of ${size} cells ` +
        `with padding=${show(padding)} and dilation=${dilation}, got ${kernelSize}`,
    );
  }
  return Math.floor((room - span) / stride) + 1;
}

export function samePadding(size, kernelSize, { stride = 1, dilation = 1 } = {}) {
  integer("size", size, 1);
  integer("kernel_size", kernelSize, 1);
  integer("stride", stride, 1);
  integer("dilation", dilation, 1);
  const positions = Math.ceil(size / stride);
  const span = dilation * (kernelSize - 1) + 1;
  const total = Math.max((positions - 1) * stride + span - size, 0);
  return [Math.floor(total / 2), total - Math.floor(total / 2)];
}

// The cells that `padding` adds [before, after] one axis.
export function paddingSides(size, kernelSize, { stride = 1, padding = "valid", dilation = 1 } = {}) {
  if (padding === "same") return samePadding(size, kernelSize, { stride, dilation });
  if (padding === "valid") return [0, 0];
  if (!Number.isInteger(padding) || padding < 0) {
    throw new Error(`padding must be "valid", "same" or an integer >= 0, got ${show(padding)}`);
  }
  return [padding, padding];
}

// layers: [kernelSize, stride] or [kernelSize, stride, dilation], from the input on.
export function receptiveField(layers) {
  let [field, step] = [1, 1];
  for (const layer of layers) {
    if (!Array.isArray(layer) || layer.length < 2 || layer.length > 3) {
      throw new Error(
        "layers must hold (kernel_size, stride) or (kernel_size, stride, dilation), " +
          `got ${show(layer)}`,
      );
    }
    const [kernelSize, stride, dilation = 1] = layer;
    integer("kernel_size", kernelSize, 1);
    integer("stride", stride, 1);
    integer("dilation", dilation, 1);
    field += dilation * (kernelSize - 1) * step;
    step *= stride;
  }
  return field;
}

export function crossCorrelate(x, kernel, options = {}) {
  const [input, weights] = [numeric("x", x), numeric("kernel", kernel)];
  if (weights.shape.length !== input.shape.length) {
    throw new Error(
      `kernel must have as many axes as x, ${input.shape.length}, got ${weights.shape.length}: ` +
        `shape ${show(weights.shape)} for x of shape ${show(input.shape)}`,
    );
  }
  const { shape, windows } = patches(input.shape, weights.shape, options);
  const values = windows.map((window) =>
    sum(window.map((cell, i) => (cell < 0 ? 0 : input.data[cell] * weights.data[i]))),
  );
  return nested(values, shape);
}

// Flips the kernel along every axis, as mathematics does.
export function convolve(x, kernel, options = {}) {
  return crossCorrelate(x, flip(kernel), options);
}

export function flip(kernel) {
  const { data, shape } = numeric("kernel", kernel);
  return nested(data.slice().reverse(), shape);
}

// x: (*space, C), kernels: (*k, C, F), bias: (F,); gives (*space', F).
export function convLayer(x, kernels, bias = null, options = {}) {
  const [input, weights] = [numeric("x", x), numeric("kernels", kernels)];
  if (weights.shape.length < 3 || input.shape.length !== weights.shape.length - 1) {
    throw new Error(
      "kernels must have shape (*k, C, F) where x has (*space, C), " +
        `got shape ${show(weights.shape)} for x of shape ${show(input.shape)}`,
    );
  }
  const [channels, filters] = weights.shape.slice(-2);
  const inputChannels = input.shape.at(-1);
  if (channels !== inputChannels) {
    throw new Error(
      `kernels must have as many input channels as x, ${inputChannels}, got ${channels}: ` +
        `shape ${show(weights.shape)} for x of shape ${show(input.shape)}`,
    );
  }
  const biases = bias === null ? { data: Array(filters).fill(0), shape: [filters] } : numeric("bias", bias);
  if (biases.shape.length !== 1 || biases.shape[0] !== filters) {
    throw new Error(
      `bias must have shape (${filters},), one number for each filter, got ${show(biases.shape)}`,
    );
  }
  const { shape, windows } = patches(input.shape.slice(0, -1), weights.shape.slice(0, -2), options);
  const values = [];
  for (const window of windows) {
    for (let f = 0; f < filters; f++) {
      let total = biases.data[f];
      window.forEach((cell, i) => {
        if (cell < 0) return;
        for (let c = 0; c < channels; c++) {
          total += input.data[cell * channels + c] * weights.data[(i * channels + c) * filters + f];
        }
      });
      values.push(total);
    }
  }
  return nested(values, [...shape, filters]);
}

export function maxPool(x, window, options = {}) {
  return pool((cells) => cells.reduce((a, b) => Math.max(a, b)), x, window, options);
}

// Cells of the padding do not count.
export function averagePool(x, window, options = {}) {
  return pool((cells) => sum(cells) / cells.length, x, window, options);
}

export function denseParameters(inputs, units, { bias = true } = {}) {
  integer("inputs", inputs, 1);
  integer("units", units, 1);
  return units * (inputs + flag("bias", bias));
}

// kernelSize: an integer means a square; [k] a signal, [k, k, k] a volume.
export function convParameters(kernelSize, channels, filters, { bias = true } = {}) {
  if (Array.isArray(kernelSize) && kernelSize.length === 0) {
    throw new Error("kernel_size must be an integer or a tuple of some, got ()");
  }
  const sizes = perAxis("kernel_size", kernelSize, Array.isArray(kernelSize) ? kernelSize.length : 2);
  integer("channels", channels, 1);
  integer("filters", filters, 1);
  return filters * (channels * product(sizes) + flag("bias", bias));
}

// One multiply-add for each weight at each output position; layers without weights are not listed.
// layers: { kernelSize, channels, filters, outputSize: [..] } or { inputs, units }.
export function multiplyAdds(layers) {
  return sum(
    layers.map((layer) =>
      "units" in layer
        ? denseParameters(layer.inputs, layer.units, { bias: false })
        : convParameters(layer.kernelSize, layer.channels, layer.filters, { bias: false }) *
          product(layer.outputSize),
    ),
  );
}

// For every output position, the input cells below the kernel: flat indices, -1 in the padding.
export function patches(sizes, kernelSizes, { stride = 1, padding = "valid", dilation = 1 } = {}) {
  const axes = kernelSizes.length;
  const strides = perAxis("stride", stride, axes);
  const dilations = perAxis("dilation", dilation, axes);
  const perAxisOptions = strides.map((s, a) => ({ stride: s, padding, dilation: dilations[a] }));
  const shape = sizes.map((n, a) => outputSize(n, kernelSizes[a], perAxisOptions[a]));
  const before = sizes.map((n, a) => paddingSides(n, kernelSizes[a], perAxisOptions[a])[0]);
  const offsets = [...indices(kernelSizes)];
  const windows = [...indices(shape)].map((position) =>
    offsets.map((offset) => {
      let cell = 0;
      for (let a = 0; a < axes; a++) {
        const at = position[a] * strides[a] - before[a] + offset[a] * dilations[a];
        if (at < 0 || at >= sizes[a]) return -1;
        cell = cell * sizes[a] + at;
      }
      return cell;
    }),
  );
  return { shape, windows };
}

export function shapeOf(x) {
  return Array.isArray(x) ? [x.length, ...(x.length ? shapeOf(x[0]) : [])] : [];
}

function pool(reduce, x, window, { stride = null, padding = "valid" } = {}) {
  const input = numeric("x", x);
  const axes = Array.isArray(window) ? window.length : 2;
  const extra = input.shape.length - axes;
  if (axes === 0 || extra < 0 || extra > 1) {
    throw new Error(
      "x must have the axes of the window, with or without channels, " +
        `got shape ${show(input.shape)} for window=${show(window)}`,
    );
  }
  const sizes = input.shape.slice(0, axes);
  const windowSizes = perAxis("window", window, axes);
  const strides = stride === null ? windowSizes : perAxis("stride", stride, axes);
  if (padding !== "valid" && padding !== "same") {
    throw new Error(`padding must be "valid" or "same" for pooling, got ${show(padding)}`);
  }
  if (padding === "valid" && windowSizes.some((k, a) => k > sizes[a])) {
    throw new Error(`window must be <= ${show(sizes)}, the size of x, got ${show(windowSizes)}`);
  }
  const channels = extra ? input.shape.at(-1) : 1;
  const { shape, windows } = patches(sizes, windowSizes, { stride: strides, padding });
  const values = [];
  for (const cells of windows) {
    const inside = cells.filter((cell) => cell >= 0);
    for (let c = 0; c < channels; c++) {
      values.push(reduce(inside.map((cell) => input.data[cell * channels + c])));
    }
  }
  return nested(values, [...shape, ...input.shape.slice(axes)]);
}

function integer(name, value, minimum) {
  if (!Number.isInteger(value)) throw new Error(`${name} must be an integer, got ${show(value)}`);
  if (value < minimum) throw new Error(`${name} must be >= ${minimum}, got ${value}`);
  return value;
}

function perAxis(name, value, axes) {
  const values = Array.isArray(value) ? value : Array(axes).fill(value);
  if (values.length !== axes) {
    throw new Error(
      `${name} must be an integer or a tuple of ${axes}, one for each spatial axis, ` +
        `got ${show(value)}`,
    );
  }
  values.forEach((each) => integer(name, each, 1));
  return values;
}

function flag(name, value) {
  if (typeof value !== "boolean") throw new Error(`${name} must be True or False, got ${show(value)}`);
  return Number(value);
}

function numeric(name, value) {
  const shape = shapeOf(value);
  const data = shape.length ? value.flat(Infinity) : [];
  if (shape.length && !hasShape(value, shape)) {
    throw new Error(`${name} must be an array, got rows of unequal lengths`);
  }
  if (data.length === 0) {
    throw new Error(
      `${name} must have at least one axis and none of size 0, got shape ${show(shape)}`,
    );
  }
  const stranger = data.find((each) => !Number.isFinite(each));
  if (stranger !== undefined) throw new Error(`${name} must hold numbers, got ${show(stranger)}`);
  return { data, shape };
}

function hasShape(value, shape) {
  if (shape.length === 0) return !Array.isArray(value);
  return (
    Array.isArray(value) &&
    value.length === shape[0] &&
    value.every((each) => hasShape(each, shape.slice(1)))
  );
}

function nested(values, shape) {
  let arrays = values;
  for (const size of shape.slice(1).reverse()) {
    arrays = Array.from({ length: arrays.length / size }, (_, i) =>
      arrays.slice(i * size, (i + 1) * size),
    );
  }
  return arrays;
}

function* indices(shape) {
  if (shape.length === 0) {
    yield [];
    return;
  }
  for (let i = 0; i < shape[0]; i++) {
    for (const rest of indices(shape.slice(1))) yield [i, ...rest];
  }
}

function sum(values) {
  return values.reduce((a, b) => a + b, 0);
}

function product(values) {
  return values.reduce((a, b) => a * b, 1);
}

function show(value) {
  if (Array.isArray(value)) return `(${value.map(show).join(", ")}${value.length === 1 ? "," : ""})`;
  if (typeof value === "string") return `'${value}'`;
  if (typeof value === "boolean") return value ? "True" : "False";
  return value === null || value === undefined ? "None" : String(value);
}
