"""Tables of models, against Keras' counts and the operations that JAX traces."""

import re
from math import prod

import jax
import keras
import numpy as np
import pytest
from keras import layers

from companion.arithmetic import multiply_adds, parameter_table


@pytest.fixture(autouse=True)
def _zeros(monkeypatch):
    """Start from zeros: the values do not matter, and compiling random ones takes most time."""
    zeros = keras.initializers.Zeros.__call__
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", zeros)


def mnist_network():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(100, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def gtsrb_v1(shape):
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(96, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Conv2D(192, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(1500, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(43, activation="softmax"),
        ]
    )


def gtsrb_v2(shape):
    blocks = [
        layer
        for filters in (64, 128, 256)
        for layer in (
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.Conv2D(filters, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
        )
    ]
    return keras.Sequential(
        [
            keras.Input(shape),
            *blocks,
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(43, activation="softmax"),
        ]
    )


def gtsrb_v3(shape):
    def conv(filters):
        return [
            layers.Conv2D(filters, 5, padding="same", activation="relu"),
            layers.BatchNormalization(),
        ]

    return keras.Sequential(
        [
            keras.Input(shape),
            *conv(32),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            *conv(64),
            *conv(128),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(43, activation="softmax"),
        ]
    )


def traced_multiply_adds(model):
    """Count from the products and convolutions of JAX's trace of the model."""

    def count(jaxpr):
        total = 0
        for equation in jaxpr.eqns:
            for inner in jax.tree.leaves(
                list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")
            ):
                if hasattr(inner, "eqns"):
                    total += count(inner)
            outputs = prod(equation.outvars[0].aval.shape) if equation.outvars else 0
            if equation.primitive.name == "dot_general":
                (contracted, _), _ = equation.params["dimension_numbers"]
                left = equation.invars[0].aval.shape
                total += outputs * prod(left[axis] for axis in contracted)
            elif equation.primitive.name == "conv_general_dilated":
                kernel = equation.invars[1].aval.shape
                out_axis = equation.params["dimension_numbers"].rhs_spec[0]
                total += outputs * prod(kernel) // kernel[out_axis]
        return total

    x = [np.zeros((1, *tensor.shape[1:]), "float32") for tensor in model.inputs]
    values = [[v.value for v in model.trainable_variables]]
    values.append([v.value for v in model.non_trainable_variables])
    trace = jax.make_jaxpr(lambda *a: model.stateless_call(*values, *a)[0])(
        x[0] if len(x) == 1 else x
    )
    return count(trace.jaxpr)


def check(model):
    """Hold a table against Keras: counts, shapes, and the formulas worked out."""
    table = parameter_table(model)
    assert table.attrs["total"] == model.count_params() == table["parameters"].sum()
    assert table["trainable"].sum() == sum(prod(w.shape) for w in model.trainable_weights)
    for row in table.itertuples():
        if row.numbers == "-":
            assert row.formula == "-"
            continue
        numbers = row.numbers.replace("·", "*").removesuffix(" not trained")
        assert re.fullmatch(r"[\d*/()+ ]+", numbers)
        assert eval(numbers) == row.parameters
    return table


FACTS = [
    (mnist_network, None, 42_358),
    (gtsrb_v1, (24, 24, 1), 4_841_083),
    (gtsrb_v2, (24, 24, 1), 1_297_899),
    (gtsrb_v3, (24, 24, 1), 2_641_835),
    (gtsrb_v1, (48, 48, 3), 29_034_811),
    (gtsrb_v2, (48, 48, 3), 3_265_131),
    (gtsrb_v3, (48, 48, 3), 9_721_323),
]


@pytest.mark.parametrize(("network", "shape", "total"), FACTS)
def test_networks_of_the_course(network, shape, total):
    model = network(shape) if shape else network()
    assert check(model).attrs["total"] == total
    assert multiply_adds(model) == traced_multiply_adds(model)


def test_mnist_network_line_by_line():
    table = parameter_table(mnist_network()).query("parameters > 0")
    assert table["formula"].tolist() == ["F·(C·k₁·k₂+1)"] * 2 + ["n·(m+1)"] * 2
    assert table["numbers"].tolist() == ["8·(1·3·3+1)", "16·(8·3·3+1)", "100·(400+1)", "10·(100+1)"]
    assert table["parameters"].tolist() == [80, 1_168, 40_100, 1_010]
    assert table["output_shape"].tolist() == [(26, 26, 8), (11, 11, 16), (100,), (10,)]
    by_hand = [26 * 26 * 8 * 9, 11 * 11 * 16 * 72, 40_000, 1_000]
    assert table["multiply_adds"].tolist() == by_hand
    assert multiply_adds(mnist_network()) == sum(by_hand) == 229_064


def one_layer(shape, layer):
    return keras.Sequential([keras.Input(shape), layer])


@pytest.mark.parametrize(
    ("shape", "layer", "formula", "numbers", "parameters"),
    [
        ((9,), layers.Dense(5, use_bias=False), "n·m", "5·9", 45),
        ((4, 6, 9), layers.Dense(5), "n·(m+1)", "5·(9+1)", 50),
        ((9, 2), layers.Conv1D(4, 3, strides=2), "F·(C·k+1)", "4·(2·3+1)", 28),
        ((9, 2), layers.Conv1D(4, 3, padding="causal"), "F·(C·k+1)", "4·(2·3+1)", 28),
        (
            (9, 8, 6),
            layers.Conv2D(4, (3, 2), groups=2, padding="same", strides=2),
            "F·(C/g·k₁·k₂+1)",
            "4·(6/2·3·2+1)",
            76,
        ),
        ((9, 8, 2), layers.Conv2D(4, 3, use_bias=False), "F·C·k₁·k₂", "4·2·3·3", 72),
        (
            (6, 5, 4, 2),
            layers.Conv3D(3, (1, 2, 3), dilation_rate=(1, 2, 1)),
            "F·(C·k₁·k₂·k₃+1)",
            "3·(2·1·2·3+1)",
            39,
        ),
        ((9, 4), layers.DepthwiseConv1D(3), "C·D·(k+1)", "4·1·(3+1)", 16),
        (
            (9, 8, 4),
            layers.DepthwiseConv2D((3, 2), depth_multiplier=2, strides=2),
            "C·D·(k₁·k₂+1)",
            "4·2·(3·2+1)",
            56,
        ),
        (
            (9, 8, 4),
            layers.DepthwiseConv2D(3, use_bias=False),
            "C·D·k₁·k₂",
            "4·1·3·3",
            36,
        ),
        ((9, 4), layers.SeparableConv1D(5, 3), "C·D·k + F·(C·D+1)", "4·1·3 + 5·(4·1+1)", 37),
        (
            (9, 8, 4),
            layers.SeparableConv2D(5, (3, 2), depth_multiplier=2, strides=2, padding="same"),
            "C·D·k₁·k₂ + F·(C·D+1)",
            "4·2·3·2 + 5·(4·2+1)",
            93,
        ),
        (
            (9, 8, 4),
            layers.SeparableConv2D(5, 3, use_bias=False),
            "C·D·k₁·k₂ + F·C·D",
            "4·1·3·3 + 5·4·1",
            56,
        ),
        ((9, 8, 4), layers.BatchNormalization(), "2·C + 2·C not trained", None, 16),
        ((9, 8, 4), layers.BatchNormalization(axis=1), "2·C + 2·C not trained", None, 36),
        ((9, 4), layers.BatchNormalization(scale=False), "1·C + 2·C not trained", None, 12),
        ((9, 8, 4), layers.Flatten(), "0", "0", 0),
        ((9, 8, 4), layers.MaxPooling2D(2), "0", "0", 0),
        ((9, 8, 4), layers.AveragePooling2D(2, padding="same"), "0", "0", 0),
        ((9, 8, 4), layers.GlobalAveragePooling2D(), "0", "0", 0),
        ((9, 8, 4), layers.Dropout(0.5, seed=1), "0", "0", 0),
        ((9, 8, 4), layers.Activation("relu"), "0", "0", 0),
        ((9, 8, 4), layers.Rescaling(1 / 255), "0", "0", 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
)
def test_each_layer(shape, layer, formula, numbers, parameters):
    model = one_layer(shape, layer)
    row = check(model).iloc[0]
    assert (row["name"], row["layer"]) == (layer.name, type(layer).__name__)
    assert row["formula"] == formula
    assert numbers is None or row["numbers"] == numbers
    assert row["parameters"] == parameters
    assert row["output_shape"] == layer.output.shape[1:]
    assert row["multiply_adds"] == multiply_adds(model)
    assert multiply_adds(model) == traced_multiply_adds(model)


def test_batch_normalization_says_what_is_trained():
    row = parameter_table(one_layer((6, 6, 3), layers.BatchNormalization())).iloc[0]
    assert row["numbers"] == "2·3 + 2·3 not trained"
    assert (row["parameters"], row["trainable"]) == (12, 6)


def test_a_frozen_layer_has_parameters_and_none_trainable():
    model = mnist_network()
    model.layers[0].trainable = False
    first = parameter_table(model).iloc[0]
    assert (first["parameters"], first["trainable"]) == (80, 0)


def test_channels_first():
    conv = layers.Conv2D(4, 3, data_format="channels_first")
    separable = layers.SeparableConv2D(5, 3, data_format="channels_first")
    model = keras.Sequential([keras.Input((2, 9, 8)), conv, separable])
    table = check(model)
    assert table["numbers"].tolist() == ["4·(2·3·3+1)", "4·1·3·3 + 5·(4·1+1)"]
    assert table["multiply_adds"].tolist() == [7 * 6 * 72, 5 * 4 * (36 + 20)]


def test_functional_model_with_branches_and_an_input_row():
    image = keras.Input((8, 8, 3), name="image")
    left = layers.Conv2D(4, 3, padding="same")(image)
    right = layers.Conv2D(4, 1)(image)
    both = layers.Concatenate()([left + right, right])
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(both)))
    table = check(model)
    assert table.iloc[0][["name", "layer", "output_shape"]].tolist() == [
        "image",
        "InputLayer",
        (8, 8, 3),
    ]
    assert multiply_adds(model) == traced_multiply_adds(model) > 0


def test_a_shared_layer_is_counted_once_and_used_twice():
    shared = layers.Dense(4, name="shared")
    one, two = keras.Input((6,)), keras.Input((5, 6))
    output = layers.Concatenate()([shared(one), layers.Flatten()(shared(two))])
    model = keras.Model([one, two], output)
    row = check(model).set_index("name").loc["shared"]
    assert row["parameters"] == 28
    assert row["multiply_adds"] == 24 + 5 * 24 == traced_multiply_adds(model)


def test_a_layer_is_measured_where_this_model_uses_it():
    conv = layers.Conv2D(4, 3)
    large = one_layer((20, 20, 1), conv)
    small = one_layer((5, 5, 1), conv)
    assert multiply_adds(large) == 18 * 18 * 36
    assert multiply_adds(small) == 3 * 3 * 36
    assert parameter_table(small).loc[0, "output_shape"] == (3, 3, 4)


def test_models_within_models_are_unfolded():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv")], name="in")
    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    model = keras.Model([one, two], layers.Dense(2)(layers.Flatten()(inner(one) + inner(two))))
    table = check(model)
    assert table["name"].tolist().count("in/conv") == 1
    conv = table.set_index("name").loc["in/conv"]
    assert (conv["parameters"], conv["multiply_adds"]) == (112, 2 * 6 * 6 * 108)
    assert multiply_adds(model) == traced_multiply_adds(model)


def test_a_model_within_a_model_at_another_size_is_refused():
    inner = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)], name="inner")
    model = keras.Sequential([keras.Input((8, 8, 3)), inner])
    for function in (parameter_table, multiply_adds):
        with pytest.raises(ValueError, match=r"^model must call 'inner' at the input size it "):
            function(model)


def test_an_input_of_open_size_has_parameters_but_no_multiply_adds():
    model = one_layer((None, None, 3), layers.Conv2D(4, 3, name="conv"))
    table = check(model)
    assert table["parameters"].tolist() == [112]
    assert table["multiply_adds"].isna().all()
    with pytest.raises(ValueError, match=r"^multiply_adds cannot count layer 'conv' \(Conv2D\): "):
        multiply_adds(model)


class Dense(keras.layers.Layer):
    """One's own layer that bears the name of one of Keras'."""

    units, use_bias = 3, True

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3))
        self.twin = self.add_weight(shape=(3,))

    def call(self, x):
        return x @ self.kernel * self.twin


@pytest.mark.parametrize(
    ("shape", "layer", "parameters"),
    [
        ((4,), Dense(name="odd"), 15),
        ((4, 6), layers.LSTM(5, name="odd"), 240),
        ((4, 4, 2), layers.Conv2DTranspose(3, 2, name="odd"), 27),
        ((4, 6), layers.TimeDistributed(layers.Dense(2), name="odd"), 14),
    ],
)
def test_unknown_layers_keep_keras_count_and_are_not_guessed(shape, layer, parameters):
    model = one_layer(shape, layer)
    table = check(model)
    assert table["formula"].tolist() == ["-"]
    assert table["parameters"].tolist() == [parameters]
    assert table["multiply_adds"].isna().all()
    with pytest.raises(ValueError, match=r"^multiply_adds cannot count layer 'odd'"):
        multiply_adds(model)


def test_a_layer_that_keras_counts_otherwise_gets_no_formula():
    model = one_layer((8,), layers.Dense(4))
    model.layers[0].enable_lora(2)
    row = check(model).iloc[0]
    assert (row["formula"], row["parameters"]) == ("-", 8 * 4 + 4 + 2 * (8 + 4))


def test_what_a_layer_without_weights_does_is_not_counted():
    model = one_layer((9, 8, 4), layers.RandomTranslation(0.1, 0.1))
    assert check(model)["numbers"].tolist() == ["0"]
    assert multiply_adds(model) == 0


def test_scaling_layers_cost_no_multiply_adds():
    model = one_layer((6, 3), layers.LayerNormalization())
    assert check(model)["formula"].tolist() == ["-"]
    assert multiply_adds(model) == 0


class Bare(keras.Model):
    def call(self, x):
        return x


class Extra(keras.Model):
    """A functional model that holds a weight beside its layers."""

    def __init__(self):
        x = keras.Input((3,))
        super().__init__(x, layers.Dense(2)(x))
        self.temperature = self.add_weight(shape=())


@pytest.mark.parametrize("function", [parameter_table, multiply_adds])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: keras.Sequential([layers.Dense(3)]), "^model must be a built .*, got Sequential$"),
        (Bare, "^model must be a built Sequential or functional Keras model .*, got Bare$"),
        (lambda: layers.Dense(3), "^model must be a built .*, got Dense$"),
        (lambda: 42, "^model must be a built .*, got int$"),
        (Extra, r"^model must keep its parameters in its layers, .* 8 in all, but .* is 9$"),
    ],
)
def test_bad_models(function, model, message):
    with pytest.raises(ValueError, match=message):
        function(model())


def test_a_model_built_later_is_accepted():
    model = keras.Sequential([layers.Dense(3)])
    model.build((None, 4))
    assert check(model).attrs["total"] == 15
