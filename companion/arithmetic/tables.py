"""What the layers of a Keras model cost, by formula, checked against Keras' own count."""

from dataclasses import dataclass
from math import prod

from .parameters import conv_parameters, dense_parameters

# Their weights scale what passes through and can be folded into the layer before.
SCALING_LAYERS = ("BatchNormalization", "GroupNormalization", "LayerNormalization", "PReLU")


def parameter_table(model):
    """Make a table of the model's layers and the formula of each count.

    Every formula is computed from the layer's settings and compared with what
    Keras counts; where a layer has parameters and no formula is known here, or
    the formula does not give Keras' count, the formula is shown as ``-`` and the
    count is Keras'. The layers of a model within the model have their own rows,
    named ``model/layer``, and a shared layer has one row.

    Parameters
    ----------
    model : keras.Model
        A built Sequential or functional model.

    Returns
    -------
    pandas.DataFrame
        One row for each of ``model.layers``, with the columns

        - ``name`` and ``layer``: the layer's name and type;
        - ``output_shape``: without the batch's axis, from the layer's first call;
        - ``formula`` and ``numbers``: the count in symbols and in numbers, where
          n neurons have m inputs, and F filters of size k₁·k₂ see C channels, in
          g groups or with D filters for each channel;
        - ``parameters``, and how many of them are ``trainable``;
        - ``multiply_adds`` for one example, as `multiply_adds` counts them;
          missing where that is not known.

        ``table.attrs["total"]`` is ``model.count_params()``.

    Raises
    ------
    ValueError
        If the model is neither Sequential nor functional, is not built, or
        holds weights that no layer accounts for.

    Notes
    -----
    Taught in the chapter *Counting parameters*.

    Examples
    --------
    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((28, 28, 1)),
    ...     keras.layers.Conv2D(8, 3, name="conv"),
    ...     keras.layers.MaxPooling2D(2, name="pool"),
    ...     keras.layers.Flatten(name="flatten"),
    ...     keras.layers.Dense(10, name="dense"),
    ... ])
    >>> table = parameter_table(model)
    >>> table[["name", "output_shape", "formula", "numbers", "parameters"]]
          name output_shape        formula       numbers  parameters
    0     conv  (26, 26, 8)  F·(C·k₁·k₂+1)   8·(1·3·3+1)          80
    1     pool  (13, 13, 8)              0             0           0
    2  flatten      (1352,)              0             0           0
    3    dense        (10,)        n·(m+1)   10·(1352+1)       13530
    >>> table.attrs["total"]
    13610
    """
    import pandas as pd

    rows = _rows(model)
    table = pd.DataFrame(
        {
            "name": [row.name for row in rows],
            "layer": [row.kind for row in rows],
            "output_shape": [row.output_shape for row in rows],
            "formula": [row.formula for row in rows],
            "numbers": [row.numbers for row in rows],
            "parameters": [row.parameters for row in rows],
            "trainable": [row.trainable for row in rows],
            "multiply_adds": pd.array([row.multiply_adds for row in rows], dtype="Int64"),
        }
    )
    table.attrs["total"] = int(model.count_params())
    return table


def multiply_adds(model):
    """Count the multiply-adds of the model for one example.

    One multiply-add for each weight at each output position it is used for, cells
    of the padding included. Biases, normalisation, pooling and activations are
    not counted, nor what a layer without weights does.

    Parameters
    ----------
    model : keras.Model
        A built Sequential or functional model whose input size is fixed.

    Returns
    -------
    int
        Multiply-adds; a floating-point operation count is about twice that.

    Raises
    ------
    ValueError
        If a layer's multiply-adds are not known, or as for `parameter_table`.

    Notes
    -----
    Taught in the chapter *Counting parameters*.

    Examples
    --------
    >>> import keras
    >>> multiply_adds(keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(8, 3)]))
    48672
    """
    rows = _rows(model)
    for row in rows:
        if row.multiply_adds is None:
            raise ValueError(
                f"multiply_adds cannot count layer {row.name!r} ({row.kind}): "
                "its type is unknown here or the size of its input is not fixed"
            )
    return sum(row.multiply_adds for row in rows)


@dataclass
class _Row:
    """A layer's line of the table; `multiply_adds` is None where not known."""

    name: str
    kind: str
    output_shape: tuple
    formula: str
    numbers: str
    parameters: int
    trainable: int
    multiply_adds: int | None


def _rows(model):
    """Make one row for each layer, adding the multiply-adds of all its calls."""
    if _graph(model) is None:
        raise ValueError(
            "model must be a built Sequential or functional Keras model "
            f"(give it an Input, or call model.build), got {type(model).__name__}"
        )
    rows = {}
    for name, layer, inputs, output in _calls(model):
        row = _row(name, layer, inputs, output)
        first = rows.setdefault(id(layer), row)
        if first is not row:
            known = first.multiply_adds is not None and row.multiply_adds is not None
            first.multiply_adds = first.multiply_adds + row.multiply_adds if known else None
    total = sum(row.parameters for row in rows.values())
    if total != model.count_params():
        raise ValueError(
            f"model must keep its parameters in its layers, each in one: they have {total} "
            f"in all, but model.count_params() is {model.count_params()}"
        )
    return list(rows.values())


def _graph(model):
    """Give the graph of layer calls below a model, None where there is none."""
    graph = getattr(model, "_functional", model)
    return graph if hasattr(graph, "_nodes_by_depth") else None


def _calls(model, prefix=""):
    """Yield every call of a layer: name, layer, shapes of its inputs, shape of its output."""
    # Keras has no public list of calls, and `layer.output` knows the first alone, which
    # would count a shared layer once, or take its size from another model.
    depths = _graph(model)._nodes_by_depth
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth]]
    for layer in model.layers:
        for node in (node for node in nodes if node.operation is layer):
            inputs = [tensor.shape[1:] for tensor in node.input_tensors]
            if _graph(layer) is None:
                yield prefix + layer.name, layer, inputs, node.outputs[0].shape[1:]
                continue
            if inputs != [tensor.shape[1:] for tensor in layer.inputs]:
                raise ValueError(
                    f"model must call {layer.name!r} at the input size it was built for, "
                    f"{[tensor.shape[1:] for tensor in layer.inputs]}, got {inputs}"
                )
            yield from _calls(layer, f"{prefix}{layer.name}/")


def _row(name, layer, inputs, output):
    """Make the row of one call of a layer."""
    kind = type(layer).__name__
    parameters = int(layer.count_params())
    trainable = sum(prod(weight.shape) for weight in layer.trainable_weights)
    row = _Row(name, kind, output, "0", "0", parameters, trainable, 0)
    if parameters == 0:
        return row
    # A class of one's own may bear the name of one of Keras' and count otherwise, unless it is that
    # one computed in another way, as in companion.training.layers.
    is_keras = any(
        base.__name__ == kind and base.__module__.startswith("keras.")
        for base in type(layer).__mro__
    )
    formula = FORMULAS[kind](layer, inputs[0]) if is_keras and kind in FORMULAS else None
    if formula is None or formula.weights + formula.others != parameters:
        row.formula = row.numbers = "-"
        row.multiply_adds = 0 if is_keras and kind in SCALING_LAYERS else None
        return row
    row.formula, row.numbers = formula.symbols, formula.numbers
    if kind not in SCALING_LAYERS:
        row.multiply_adds = _times(formula.weights, _positions(layer, output))
    return row


def _positions(layer, output):
    """Give the sizes of the axes along which a layer uses its weights again."""
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    return output[1:] if channels_first else output[:-1]


def _times(weights, positions):
    """Multiply, unless a size is not fixed."""
    return None if None in positions else weights * prod(positions)


@dataclass
class _Formula:
    """A layer's count in symbols, what they stand for, and its two parts."""

    symbols: str
    values: dict
    weights: int
    others: int

    @property
    def numbers(self):
        numbers = self.symbols
        for symbol, value in self.values.items():
            numbers = numbers.replace(symbol, str(value))
        return numbers


def _dense(layer, shape):
    n, m = layer.units, shape[-1]
    return _Formula(
        f"n·{_seen('m', layer)}",
        {"n": n, "m": m},
        weights=dense_parameters(m, n, bias=False),
        others=n * layer.use_bias,
    )


def _conv(layer, shape):
    filters, channels, groups = layer.filters, _channels(layer, shape), layer.groups
    channels_seen = "C" if groups == 1 else "C/g"
    return _Formula(
        f"F·{_seen(f'{channels_seen}·{_kernel(layer)}', layer)}",
        {"F": filters, "C": channels, "g": groups, **_kernel_sizes(layer)},
        weights=conv_parameters(layer.kernel_size, channels // groups, filters, bias=False),
        others=filters * layer.use_bias,
    )


def _depthwise(layer, shape):
    channels, multiplier = _channels(layer, shape), layer.depth_multiplier
    return _Formula(
        f"C·D·{_seen(_kernel(layer), layer)}",
        {"C": channels, "D": multiplier, **_kernel_sizes(layer)},
        weights=conv_parameters(layer.kernel_size, 1, channels * multiplier, bias=False),
        others=channels * multiplier * layer.use_bias,
    )


def _separable(layer, shape):
    filters, channels, multiplier = layer.filters, _channels(layer, shape), layer.depth_multiplier
    depthwise = conv_parameters(layer.kernel_size, 1, channels * multiplier, bias=False)
    pointwise = dense_parameters(channels * multiplier, filters, bias=False)
    return _Formula(
        f"C·D·{_kernel(layer)} + F·{_seen('C·D', layer)}",
        {"F": filters, "C": channels, "D": multiplier, **_kernel_sizes(layer)},
        weights=depthwise + pointwise,
        others=filters * layer.use_bias,
    )


def _batch_normalization(layer, shape):
    channels = (None, *shape)[layer.axis]
    learned = layer.scale + layer.center
    return _Formula(
        f"{learned}·C + 2·C not trained",
        {"C": channels},
        weights=learned * channels,
        others=2 * channels,
    )


FORMULAS = {
    "Dense": _dense,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "Conv3D": _conv,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "BatchNormalization": _batch_normalization,
}


def _channels(layer, shape):
    """Give the number of channels that come into a convolution."""
    return shape[0] if layer.data_format == "channels_first" else shape[-1]


def _kernel_sizes(layer):
    """Give the kernel's size on each axis by its symbol: k, or k₁, k₂, ..."""
    sizes = layer.kernel_size
    symbols = ("k",) if len(sizes) == 1 else ("k₁", "k₂", "k₃")
    return dict(zip(symbols, sizes, strict=False))


def _kernel(layer):
    """Write the number of cells of the kernel: k₁·k₂."""
    return "·".join(_kernel_sizes(layer))


def _seen(weights, layer):
    """Write what one unit has: its weights, and its bias where the layer has biases."""
    return f"({weights}+1)" if layer.use_bias else weights
