// A network as data: what each layer gives out and costs, as text for a link, and as Keras code.
// No page is needed here; tests run it in node against Keras and companion.arithmetic.

import { convParameters, denseParameters, outputSize, receptiveField } from "./arithmetic.js";

const LARGEST = 100000; // beyond it every count is a slip of the keyboard
const BYTES = 4; // of one number in float32

const whole = (keras, value, minimum = 1) => ({ keras, value, minimum, step: 1 });
const choice = (keras, value, values) => ({ keras, value, values });
const activation = (value) => choice("activation", value, ["none", "relu", "softmax"]);
const bias = { keras: "use_bias", value: true };

// The settings of each kind, in the order of Keras' arguments, with the value of a new layer.
export const KINDS = {
  conv: {
    keras: "Conv2D",
    name: "convolution",
    settings: {
      filters: whole("filters", 16),
      kernel: whole("kernel_size", 3),
      stride: whole("strides", 1),
      padding: { keras: "padding", value: "valid", values: ["valid", "same", "1", "2", "3"] },
      dilation: whole("dilation_rate", 1),
      activation: activation("relu"),
      bias,
    },
  },
  maxpool: {
    keras: "MaxPooling2D",
    name: "max pooling",
    settings: {
      window: whole("pool_size", 2),
      stride: whole("strides", 2),
      padding: choice("padding", "valid", ["valid", "same"]),
    },
  },
  avgpool: {
    keras: "AveragePooling2D",
    name: "average pooling",
    settings: {
      window: whole("pool_size", 2),
      stride: whole("strides", 2),
      padding: choice("padding", "valid", ["valid", "same"]),
    },
  },
  gap: { keras: "GlobalAveragePooling2D", name: "global average pooling", settings: {} },
  flatten: { keras: "Flatten", name: "flatten", settings: {} },
  dense: {
    keras: "Dense",
    name: "dense",
    settings: { units: whole("units", 10), activation: activation("relu"), bias },
  },
  dropout: {
    keras: "Dropout",
    name: "dropout",
    settings: { rate: { keras: "rate", value: 0.2, minimum: 0, maximum: 1, step: 0.05 } },
  },
  batchnorm: {
    keras: "BatchNormalization",
    name: "batch normalisation",
    settings: {
      momentum: { keras: "momentum", value: 0.99, minimum: 0, maximum: 1, step: 0.01 },
    },
  },
  relu: { keras: "ReLU", name: "ReLU", settings: {} },
};

const PAIR = (n) => `conv:${n}:3:same,conv:${n}:3,maxpool:2,dropout:0.2`;
const V1 = "conv:96:3,maxpool:2,dropout:0.2,conv:192:3,maxpool:2,dropout:0.2,flatten,dense:1500,"
  + "dropout:0.5,dense:43:softmax";
const V2 = `${[64, 128, 256].map(PAIR)},flatten,dense:512,dropout:0.5,dense:43:softmax`;
const V3 = "conv:32:5:same,batchnorm,maxpool:2,dropout:0.2,conv:64:5:same,batchnorm,"
  + "conv:128:5:same,batchnorm,maxpool:2,dropout:0.2,flatten,dense:512,batchnorm,dropout:0.5,"
  + "dense:43:softmax";
const LOOK = (n) => `conv:${n}:3:same:none:nobias,batchnorm:0.9,relu`;
const SMALL = `${[24, 48, 64, 88].map(LOOK).join(",maxpool:2,")},gap,dropout:0.2,dense:43:softmax`;

export const PRESETS = {
  "mnist-cnn": {
    name: "digits, 28×28×1",
    text: "28x28x1,conv:8:3,maxpool:2,dropout:0.2,conv:16:3,maxpool:2,dropout:0.2,flatten,"
      + "dense:100,dropout:0.5,dense:10:softmax",
  },
  "gtsrb-v1-24": { name: "signs v1, 24×24×1", text: `24x24x1,${V1}` },
  "gtsrb-v1-48": { name: "signs v1, 48×48×3", text: `48x48x3,${V1}` },
  "gtsrb-v2-24": { name: "signs v2, 24×24×1", text: `24x24x1,${V2}` },
  "gtsrb-v2-48": { name: "signs v2, 48×48×3", text: `48x48x3,${V2}` },
  "gtsrb-v3-24": { name: "signs v3, 24×24×1", text: `24x24x1,${V3}` },
  "gtsrb-v3-48": { name: "signs v3, 48×48×3", text: `48x48x3,${V3}` },
  "gtsrb-small": { name: "signs, under 100,000", text: `24x24x1,${SMALL}` },
};

/** Give a new layer of a kind, with the usual settings and those of `changes`. */
export function layer(kind, changes = {}) {
  const settings = Object.entries(KINDS[kind].settings).map(([name, { value }]) => [name, value]);
  return { kind, ...Object.fromEntries(settings), ...changes };
}

/**
 * Read a network from its text, such as `28x28x1,conv:8:3,maxpool:2,flatten,dense:10:softmax`.
 * After the kind stand its numbers in the order of KINDS; a pooling's stride is its window, and
 * `s2`, `d2`, `same`, `p1`, `none`, `softmax` and `nobias` change what they name.
 */
export function read(text) {
  const [size, ...words] = text.split(",");
  if (!/^\d+x\d+x\d+$/.test(size)) {
    throw new Error(`a network must begin with its input, such as 28x28x1, got "${size}"`);
  }
  const [height, width, channels] = size.split("x").map(Number);
  return { input: { height, width, channels }, layers: words.filter(Boolean).map(readLayer) };
}

function readLayer(word) {
  const [kind, ...parts] = word.split(":");
  if (!Object.hasOwn(KINDS, kind)) {
    throw new Error(`a layer must be one of ${Object.keys(KINDS).join(", ")}, got "${kind}"`);
  }
  const made = layer(kind);
  const numbers = Object.keys(made).filter((name) => POSITIONAL.includes(name));
  for (const part of parts) {
    const marked = /^([sdp])(\d+)$/.exec(part);
    const name = marked ? { s: "stride", d: "dilation", p: "padding" }[marked[1]] : null;
    if (/^\d*\.?\d+$/.test(part) && numbers.length) {
      made[numbers.shift()] = Number(part);
    } else if (name !== null && name in made) {
      made[name] = name === "padding" ? String(Number(marked[2])) : Number(marked[2]);
      if (made.padding === "0") made.padding = "valid";
    } else if (["same", "valid"].includes(part) && "padding" in made) {
      made.padding = part;
    } else if (["none", "relu", "softmax"].includes(part) && "activation" in made) {
      made.activation = part;
    } else if (part === "nobias" && "bias" in made) {
      made.bias = false;
    } else {
      throw new Error(`layer "${word}" must have settings of its kind, got "${part}"`);
    }
  }
  const strided = parts.some((part) => /^s\d+$/.test(part));
  if ("window" in made && !strided) made.stride = made.window;
  return made;
}

const POSITIONAL = ["filters", "kernel", "window", "units", "rate", "momentum"];

/** Write a network as the text that `read` reads. */
export function write({ input, layers }) {
  const words = layers.map((each) => {
    const usual = layer(each.kind);
    if ("window" in each) usual.stride = each.window;
    const parts = [each.kind];
    for (const name of Object.keys(usual)) {
      const value = each[name];
      // Momentum alone has a usual value that Keras' users never write.
      if (POSITIONAL.includes(name) && !(name === "momentum" && value === usual[name])) {
        parts.push(value);
      } else if (name !== "kind" && value !== usual[name]) {
        parts.push({
          stride: `s${value}`,
          dilation: `d${value}`,
          padding: /^\d+$/.test(value) ? `p${value}` : value,
          activation: value,
          bias: "nobias",
        }[name]);
      }
    }
    return parts.join(":");
  });
  return [`${input.height}x${input.width}x${input.channels}`, ...words].join(",");
}

/**
 * Compute what every layer gives out and costs.
 *
 * One row a layer: `shape` without the batch's axis, `formula` and `numbers` of its parameters,
 * `parameters` and how many of them are `trainable`, `multiplyAdds` and `activations` for one
 * example, `field` (how many input cells one output depends on, along height and width; null
 * where it depends on none in particular), `steps` (sentences that compute the shape) and `note`.
 * A layer that cannot be has a `problem` instead, and those after it `waiting`.
 */
export function analyse({ input, layers }) {
  const rows = [];
  let state = null;
  let broken = null;
  try {
    state = start(input);
  } catch (problem) {
    broken = problem.message;
  }
  const problem = broken;
  for (const each of layers) {
    if (broken !== null) {
      rows.push({ layer: each, waiting: true });
      continue;
    }
    try {
      const row = pass(each, state);
      for (const name of ["parameters", "multiplyAdds", "activations"]) {
        if (!Number.isSafeInteger(row[name])) throw new Error(`the counts must stay below 2^53 to be exact: make the layer smaller`);
      }
      rows.push({ layer: each, ...row });
      state = Object.fromEntries(Object.keys(state).map((name) => [name, row[name]]));
    } catch (error) {
      broken = error.message;
      rows.push({ layer: each, problem: broken });
    }
  }
  const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
  const counts = ["parameters", "trainable", "multiplyAdds", "activations"];
  const total = broken === null ? Object.fromEntries(counts.map((n) => [n, sum(n)])) : null;
  if (total) {
    total.shape = state.shape;
    total.bytes = BYTES * total.parameters;
    total.activationBytes = BYTES * total.activations;
  }
  return { rows, total, problem };
}

function start({ height, width, channels }) {
  const shape = Object.entries({ height, width, channels }).map(([name, value]) =>
    checked(name, value, { minimum: 1, step: 1 }));
  return { shape, passed: [[], []], field: [1, 1], flattened: null };
}

function checked(name, value, { minimum, maximum = LARGEST, step }) {
  if (step === 1 && !Number.isInteger(value)) {
    throw new Error(`${name} must be an integer, got ${Number.isNaN(value) ? "nothing" : value}`);
  }
  if (!(value >= minimum)) {
    throw new Error(`${name} must be >= ${minimum}, got ${Number.isNaN(value) ? "nothing" : value}`);
  }
  if (value > maximum) throw new Error(`${name} must be <= ${maximum}, got ${value}`);
  return value;
}

function pass(each, state) {
  for (const [name, setting] of Object.entries(KINDS[each.kind].settings)) {
    if ("minimum" in setting) checked(setting.keras, each[name], setting);
  }
  return { ...FREE, ...state, ...PASSES[each.kind](each, state) };
}

// What a layer has that learns nothing, computes nothing and gives out nothing new.
const FREE = {
  formula: "0",
  numbers: "0",
  parameters: 0,
  trainable: 0,
  multiplyAdds: 0,
  activations: 0,
  steps: [],
  note: "",
};
const size = (shape) => shape.reduce((product, each) => product * each, 1);
const written = (shape) => shape.join("×");

function maps(kind, { shape }) {
  if (shape.length === 3) return shape;
  throw new Error(
    `${KINDS[kind].keras} needs maps of height × width × channels, got ${shape[0]} numbers in a `
    + "row: move it before the layer that flattened them",
  );
}

// Moves a window over both axes of the maps, for a convolution or a pooling.
function slide(each, state, windowSize, name) {
  const [height, width] = maps(each.kind, state);
  const { stride, dilation = 1 } = each;
  const padding = /^\d+$/.test(each.padding)
    ? checked("padding", Number(each.padding), { minimum: 0, step: 1 })
    : each.padding;
  if (stride > 1 && dilation > 1) {
    throw new Error(`dilation_rate must be 1 where strides is above 1, as Keras has it, got ${dilation}`);
  }
  let out;
  try {
    out = [height, width].map((n) => outputSize(n, windowSize, { stride, padding, dilation }));
  } catch (problem) {
    throw new Error(problem.message.replace("kernel_size", name).replace(DILATION[name] ?? "", ""));
  }
  const passed = state.passed.map((axis) => [...axis, [windowSize, stride, dilation]]);
  const step = sizeStep(each, height, out[0], windowSize);
  return { out, passed, field: passed.map((axis) => receptiveField(axis)), steps: [step] };
}

const DILATION = { pool_size: " and dilation=1" }; // which a pooling does not have

// The chapter's formula of the output's size, with the numbers of the height.
function sizeStep({ stride, padding, dilation = 1 }, n, out, windowSize) {
  if (padding === "same") return `⌈n / s⌉ = ⌈${n} / ${stride}⌉ = ${out}`;
  const span = dilation * (windowSize - 1) + 1;
  const symbols = dilation > 1 ? "d (k − 1) + 1" : "k";
  const p = /^\d+$/.test(padding) ? Number(padding) : 0;
  const around = p ? [" + 2p", ` + 2·${p}`] : ["", ""];
  const subtracted = dilation > 1 ? [`(${symbols})`, `${span}`] : [symbols, `${span}`];
  return `⌊(n${around[0]} − ${subtracted[0]}) / s⌋ + 1 = `
    + `⌊(${n}${around[1]} − ${subtracted[1]}) / ${stride}⌋ + 1 = ${out}`;
}

function pool(each, state) {
  const { out, ...rest } = slide(each, state, each.window, "pool_size");
  const shape = [...out, state.shape[2]];
  const dropped = each.padding === "valid" && state.shape.slice(0, 2).some((n, axis) =>
    (out[axis] - 1) * each.stride + each.window < n);
  const note = dropped ? "cells at the end fill no window and are dropped" : "";
  return { ...rest, shape, activations: size(shape), note };
}

const seen = (weights, withBias) => (withBias ? `(${weights}+1)` : weights);

const PASSES = {
  conv(each, state) {
    const { out, ...rest } = slide(each, state, each.kernel, "kernel_size");
    const { filters, kernel } = each;
    const channels = state.shape[2];
    const shape = [...out, filters];
    const parameters = convParameters(kernel, channels, filters, { bias: each.bias });
    const weights = convParameters(kernel, channels, filters, { bias: false });
    return {
      ...rest,
      shape,
      formula: `F·${seen("C·k₁·k₂", each.bias)}`,
      numbers: `${filters}·${seen(`${channels}·${kernel}·${kernel}`, each.bias)}`,
      parameters,
      trainable: parameters,
      multiplyAdds: weights * size(out),
      activations: size(shape),
    };
  },
  maxpool: pool,
  avgpool: pool,
  gap(each, state) {
    const [height, width, channels] = maps(each.kind, state);
    return { ...gather(state, height, width), shape: [channels], activations: channels };
  },
  flatten(each, state) {
    if (state.shape.length === 1) return {};
    const shape = [size(state.shape)];
    // How much a dense layer behind it sees depends on how large the maps were.
    return { shape, flattened: state.shape.slice(0, 2), steps: [`${state.shape.join("·")} = ${shape}`] };
  },
  dense(each, state) {
    const inputs = state.shape.at(-1);
    const places = size(state.shape.slice(0, -1));
    const shape = [...state.shape.slice(0, -1), each.units];
    const parameters = denseParameters(inputs, each.units, { bias: each.bias });
    const { flattened } = state;
    const note = state.shape.length > 1
      ? `used at each of the ${written(state.shape.slice(0, 2))} positions: is a Flatten missing?`
      : "";
    return {
      ...(flattened ? gather(state, ...flattened) : {}),
      shape,
      formula: `n·${seen("m", each.bias)}`,
      numbers: `${each.units}·${seen(inputs, each.bias)}`,
      parameters,
      trainable: parameters,
      multiplyAdds: denseParameters(inputs, each.units, { bias: false }) * places,
      activations: size(shape),
      note,
    };
  },
  dropout: () => ({}),
  batchnorm(each, state) {
    const channels = state.shape.at(-1);
    return {
      formula: "2·C + 2·C not trained",
      numbers: `2·${channels} + 2·${channels} not trained`,
      parameters: 4 * channels,
      trainable: 2 * channels,
      activations: size(state.shape),
    };
  },
  relu: (each, state) => ({ activations: size(state.shape) }),
};

// A layer that reads all positions of the maps is a window as large as they are.
function gather({ passed }, height, width) {
  const all = [[...passed[0], [height, 1]], [...passed[1], [width, 1]]];
  return { passed: all, field: all.map((axis) => receptiveField(axis)), flattened: null };
}

/** Give the name of a layer as one would write it in Keras: `Conv2D(8, 3)`. */
export function call(each) {
  const { keras, settings } = KINDS[each.kind];
  const usual = layer(each.kind);
  const named = [];
  if ("padding" in each && each.padding === "same") named.push('padding="same"');
  if (each.kind === "conv" && each.stride !== 1) named.push(`strides=${each.stride}`);
  if ("window" in each && each.stride !== each.window) named.push(`strides=${each.stride}`);
  if ("dilation" in each && each.dilation !== 1) named.push(`dilation_rate=${each.dilation}`);
  if ("momentum" in each && each.momentum !== usual.momentum) named.push(`momentum=${each.momentum}`);
  if ("activation" in each && each.activation !== "none") {
    named.push(`activation="${each.activation}"`);
  }
  if ("bias" in each && !each.bias) named.push("use_bias=False");
  const numbers = Object.keys(settings).filter((n) => POSITIONAL.includes(n) && n !== "momentum");
  return `${keras}(${[...numbers.map((name) => each[name]), ...named].join(", ")})`;
}

/** Write the network as Keras code that builds it and says what it counts. */
export function kerasCode(network) {
  const { input } = network;
  const { total } = analyse(network);
  if (total === null) throw new Error("the network must be possible before it can be written in Keras");
  const lines = network.layers.flatMap((each) => [
    // Keras' convolutions know no padding by a number: the zeros are a layer of their own.
    ...(/^[1-9]\d*$/.test(each.padding) ? [`layers.ZeroPadding2D(${each.padding})`] : []),
    `layers.${call(each)}`,
  ]);
  return [
    "import os",
    "",
    'os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported',
    "",
    "import keras",
    "from keras import layers",
    "",
    "model = keras.Sequential(",
    "    [",
    `        layers.Input((${input.height}, ${input.width}, ${input.channels})),`,
    ...lines.map((line) => `        ${line},`),
    "    ]",
    ")",
    `assert model.count_params() == ${String(total.parameters).replace(/\B(?=(\d{3})+$)/g, "_")}`,
    "",
  ].join("\n");
}
