import json
import math
import re
import subprocess
import sys
import zipfile

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from companion.training import layers

RNG = np.random.default_rng(0)
PAIRS = list(layers.FAST.items())


def close(found, wanted, tolerance=1e-5):
    """Compare to within a share of the largest value, as rounding errors of sums are."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def values_and_gradients(layer, x, weight, **call):
    """Give the output, and the gradients by the input and by each variable."""
    variables = [v.value for v in layer.trainable_variables]

    def weighted(x, variables):
        states = [v.value for v in layer.non_trainable_variables]
        y, _ = layer.stateless_call(variables, states, x, **call)
        return (y * weight).sum(), y

    (_, y), (dx, dv) = jax.jit(jax.value_and_grad(weighted, argnums=(0, 1), has_aux=True))(
        x, variables
    )
    return [y, dx, *dv]


def compare(ours, stock, x):
    for layer in (ours, stock):
        layer.build(x.shape)
    ours.set_weights([RNG.normal(size=w.shape) for w in stock.get_weights()])
    stock.set_weights(ours.get_weights())
    weight = RNG.normal(size=stock.compute_output_shape(x.shape)).astype(x.dtype)
    found, wanted = (values_and_gradients(layer, x, weight) for layer in (ours, stock))
    for a, b in zip(found, wanted, strict=True):
        close(a, b)


CONVOLUTIONS = [
    # input channels, filters, size of the image, kernel, and what else
    (1, 8, (28, 28), 3, {}),
    (1, 5, (9, 7), 3, {"padding": "same"}),
    (3, 16, (11, 12), 3, {"padding": "same"}),
    (3, 4, (8, 8), (2, 4), {"padding": "same", "use_bias": False}),
    (2, 3, (5, 6), 1, {}),
    (8, 16, (13, 13), 3, {}),
    (24, 48, (12, 11), 3, {"padding": "same"}),
    (32, 16, (9, 9), 5, {"padding": "same", "activation": "relu"}),
    (64, 64, (24, 23), 3, {}),
    (64, 32, (7, 7), (3, 1), {}),
    (96, 40, (11, 11), 3, {}),
    (128, 64, (10, 10), 3, {"padding": "same"}),
    (128, 64, (4, 4), 3, {}),
    (40, 8, (3, 3), 3, {}),
    (40, 8, (6, 6), 4, {"padding": "same"}),
    (4, 5, (4, 4), 3, {"padding": "same"}),
    (6, 5, (4, 3), (2, 3), {"padding": "same"}),
    # left to Keras
    (8, 8, (9, 9), 3, {"strides": 2, "padding": "same"}),
    (8, 8, (9, 9), 3, {"dilation_rate": 2}),
    (8, 8, (9, 9), 3, {"groups": 4}),
]


@pytest.mark.parametrize(("channels", "filters", "size", "kernel", "more"), CONVOLUTIONS)
def test_a_convolution_and_its_gradients_are_those_of_keras(channels, filters, size, kernel, more):
    x = RNG.normal(size=(5, *size, channels)).astype("float32")
    ours, stock = (cls(filters, kernel, **more) for cls in (layers.Conv2D, keras.layers.Conv2D))
    compare(ours, stock, x)
    close(ours(x), stock(x))


def convolutions(function, *given):
    """Count the convolutions of XLA's in what a function computes."""
    return jax.jit(function).lower(*given).as_text().count("stablehlo.convolution")


@pytest.mark.parametrize(("channels", "library"), [(1, 0), (4, 0), (5, 1), (64, 1)])
def test_short_windows_are_a_product_and_long_ones_are_left_to_xla(channels, library):
    x, kernel = jnp.ones((2, 9, 9, channels)), jnp.ones((3, 3, channels, 8))
    layer = layers.Conv2D(8, 3)
    assert convolutions(layer.convolution_op, x, kernel) == library
    total = jax.grad(lambda kernel: layer.convolution_op(x, kernel).sum())
    # A sum's gradient asks for no outputs: that of the kernel is the only convolution.
    assert convolutions(total, kernel) == library


def relus_within_transpositions(kind, size):
    """Count them in the compiled gradient of a convolution that a ReLU comes before."""
    layer = kind(8, 3)

    def loss(x, kernel):
        return (layer.convolution_op(jnp.maximum(x + 1, 0), kernel) ** 2).sum()

    run = jax.jit(jax.grad(loss, argnums=(0, 1)))
    program = run.lower(jnp.ones((16, *size, 16)), jnp.ones((3, 3, 16, 8))).compile().as_text()
    loops = [part for part in program.split("\n\n") if not part.lstrip().startswith("ENTRY")]
    return sum(" transpose(" in loop and " maximum(" in loop for loop in loops)


@pytest.mark.parametrize(("size", "kept"), [((10, 10), False), ((10, 11), True)])
def test_the_inputs_of_large_images_are_not_computed_again_to_be_transposed(size, kept):
    # Where Keras' program has none either, a new XLA has made `_once` needless.
    assert relus_within_transpositions(keras.layers.Conv2D, size) == 1
    assert relus_within_transpositions(layers.Conv2D, size) == (0 if kept else 1)


def test_what_is_computed_once_is_given_back_bit_for_bit():
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -3e38, 1.5]
    x = np.array(special, "float32").reshape(1, 2, 2, 2)
    # XLA takes numbers below the smallest normal one for 0 on a CPU, in any maximum.
    wanted = np.where(np.abs(x) < np.finfo("float32").tiny, np.copysign(0, x), x)
    found = np.asarray(layers._once(jnp.asarray(x)))
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def loops_of_a_gradient(channels, *, pooled):
    """Count the loops that compute the gradient which reaches a convolution with a ReLU."""
    layer = layers.Conv2D(8, 3, activation="relu")
    x = jnp.ones((16, 14, 14, channels))
    layer.build(x.shape)
    weights = [variable.value for variable in layer.trainable_variables]

    def loss(weights, x):
        outputs = layer.stateless_call(weights, [], x)[0]
        return ((layers.MaxPooling2D(2)(outputs) if pooled else outputs) ** 2).sum()

    program = jax.jit(jax.grad(loss)).lower(weights, x).compile().as_text()
    loops = re.findall(r"^%fused[^\n]*-> f32\[([\d,]+)\] \{\n(.*?)^\}", program, re.M | re.S)
    sizes = [math.prod(map(int, size.split(","))) for size, loop in loops if " select(" in loop]
    return sizes.count(16 * 12 * 12 * 8)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("channels", [1, 8])
def test_a_gradient_is_computed_once_for_kernel_and_bias(channels, pooled, monkeypatch):
    assert loops_of_a_gradient(channels, pooled=pooled) == 1
    monkeypatch.setattr(layers, "_once", lambda x: x)
    # Where this is no longer 2, a new XLA computes it otherwise: `_once` may be needless.
    assert loops_of_a_gradient(channels, pooled=pooled) == 2


@pytest.mark.parametrize("draw", [RNG.random, RNG.standard_normal])
def test_the_gradient_of_a_bias_adds_up_many_numbers_closely(draw):
    g = draw((64, 48, 48, 3)).astype("float32")
    exact = g.astype("float64").sum((0, 1, 2))
    ours = jax.vjp(lambda b: layers._add_bias(jnp.zeros_like(g), b), jnp.zeros(3))[1](g)[0]
    np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-6 * np.abs(g).sum((0, 1, 2)).max())


DEPTHWISE = [
    # channels, size of the map, kernel, and what else
    (8, (4, 4), 4, {}),
    (5, (3, 2), (3, 2), {"use_bias": False, "activation": "relu"}),
    (4, (3, 3), 3, {"depth_multiplier": 3}),
    (3, (1, 1), 1, {}),
    # left to Keras
    (4, (5, 4), 4, {}),
    (4, (4, 4), 4, {"padding": "same"}),
    (4, (5, 5), 3, {"dilation_rate": 2}),
]


@pytest.mark.parametrize(("channels", "size", "kernel", "more"), DEPTHWISE)
def test_a_depthwise_convolution_and_its_gradients_are_those_of_keras(channels, size, kernel, more):
    x = RNG.normal(size=(5, *size, channels)).astype("float32")
    ours, stock = (
        cls(kernel, **more) for cls in (layers.DepthwiseConv2D, keras.layers.DepthwiseConv2D)
    )
    compare(ours, stock, x)
    close(ours(x), stock(x))


@pytest.mark.parametrize(("size", "library"), [(4, 0), (5, 1)])
def test_a_kernel_as_large_as_the_map_needs_no_convolution(size, library):
    layer = layers.DepthwiseConv2D(4)
    layer.build((None, size, size, 3))
    assert convolutions(layer.call, jnp.ones((2, size, size, 3))) == library


NORMALISATIONS = [
    ((16, 6, 5, 8), {}),
    ((64, 9), {"momentum": 0.9}),
    ((7, 4, 3), {"scale": False}),
    ((6, 5, 5, 4), {"center": False, "epsilon": 1e-2}),
    ((6, 5, 5, 4), {"center": False, "scale": False}),
    # left to Keras
    ((6, 5, 4, 3), {"axis": 1}),
    ((6, 5, 5, 4), {"renorm": True}),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("shape", "more"), NORMALISATIONS)
def test_batch_normalisation_its_gradients_and_its_means_are_those_of_keras(shape, more, training):
    x = (3 + 2 * RNG.normal(size=shape)).astype("float32")
    ours, stock = (
        cls(**more) for cls in (layers.BatchNormalization, keras.layers.BatchNormalization)
    )
    for layer in (ours, stock):
        layer.build(x.shape)
    stock.set_weights([RNG.uniform(0.5, 2, size=w.shape) for w in stock.get_weights()])
    ours.set_weights(stock.get_weights())
    weight = RNG.normal(size=shape).astype("float32")
    pairs = [values_and_gradients(layer, x, weight, training=training) for layer in (ours, stock)]
    for a, b in zip(*pairs, strict=True):
        close(a, b)
    for layer in (ours, stock):
        layer(x, training=training)
    for a, b in zip(ours.get_weights(), stock.get_weights(), strict=True):
        close(a, b)


def test_the_gradient_of_batch_normalisation_far_from_zero_is_as_exact_as_keras():
    near = RNG.normal(size=(64, 12, 12, 4)).astype("float32")
    x, weight = near + np.float32(1000), RNG.normal(size=near.shape).astype("float32")
    x64, g = x.astype("float64"), weight.astype("float64")
    normalised = (x64 - x64.mean((0, 1, 2))) / x64.std((0, 1, 2))
    exact = g - g.mean((0, 1, 2)) - normalised * (g * normalised).mean((0, 1, 2))
    exact = exact / x64.std((0, 1, 2))
    off = {}
    for name, cls in (
        ("ours", layers.BatchNormalization),
        ("Keras", keras.layers.BatchNormalization),
    ):
        layer = cls(epsilon=1e-12)
        layer.build(x.shape)
        found = values_and_gradients(layer, x, weight, training=True)[1]
        off[name] = np.abs(np.asarray(found) - exact).max()
    assert off["ours"] < 2 * off["Keras"]


@pytest.mark.parametrize(
    "make",
    [lambda: layers.Conv2D(3, 3), layers.BatchNormalization, lambda: layers.DepthwiseConv2D(6)],
)
def test_a_batch_without_images_has_gradients_of_nothing(make):
    layer, x = make(), np.zeros((0, 6, 6, 2), "float32")
    layer.build(x.shape)
    weight = np.zeros(layer.compute_output_shape(x.shape), "float32")
    more = {"training": True} if isinstance(layer, layers.BatchNormalization) else {}
    found = values_and_gradients(layer, x, weight, **more)
    assert np.asarray(found[1]).shape == x.shape


def test_batch_normalisation_far_from_zero_is_as_exact_as_keras():
    x = (1000 + RNG.normal(size=(64, 24, 24, 4))).astype("float32")
    exact = (x - x.mean((0, 1, 2), dtype="float64")) / x.std((0, 1, 2), dtype="float64")
    off = {}
    for name, cls in (
        ("ours", layers.BatchNormalization),
        ("Keras", keras.layers.BatchNormalization),
    ):
        layer = cls(epsilon=1e-7)
        off[name] = np.abs(np.asarray(layer(x, training=True)) - exact).max()
    assert off["ours"] < 2 * off["Keras"]


def test_batch_normalisation_leaves_a_mask_and_a_frozen_layer_to_keras():
    x = RNG.normal(size=(6, 5, 3)).astype("float32")
    mask = RNG.random((6, 5)) < 0.5
    ours, stock = layers.BatchNormalization(), keras.layers.BatchNormalization()
    np.testing.assert_array_equal(
        ours(x, training=True, mask=mask), stock(x, training=True, mask=mask)
    )
    ours.trainable = stock.trainable = False
    np.testing.assert_array_equal(ours(x, training=True), stock(x, training=True))


@pytest.mark.parametrize(("size", "library"), [(6, 0), (7, 1)])
def test_the_gradient_of_inputs_is_a_product_where_outputs_are_few(size, library):
    x, kernel = jnp.ones((2, size, size, 8)), jnp.ones((3, 3, 8, 8))
    layer = layers.Conv2D(8, 3)
    total = jax.grad(lambda x: layer.convolution_op(x, kernel).sum())
    assert convolutions(total, x) == library


@pytest.mark.parametrize(
    ("stock", "arguments"),
    [
        (keras.layers.Conv2D, (8, 3)),
        (keras.layers.DepthwiseConv2D, (10,)),
        (keras.layers.BatchNormalization, ()),
    ],
)
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "float16"])
def test_other_numbers_are_left_to_keras(dtype, stock, arguments):
    x = RNG.normal(size=(4, 10, 10, 8)).astype("float32")
    theirs, ours = (cls(*arguments, dtype=dtype) for cls in (stock, layers.FAST[stock]))
    for layer in (ours, theirs):
        layer.build(x.shape)
    ours.set_weights(theirs.get_weights())
    a, b = (layer(x, training=True) if not arguments else layer(x) for layer in (ours, theirs))
    np.testing.assert_array_equal(np.asarray(a, "float32"), np.asarray(b, "float32"))
    assert a.dtype == b.dtype


SIZES = [(8, 12), (9, 7), (6, 5)]
POOLS = [
    *((window, {}, SIZES) for window in (1, 2, 3, (2, 3), (1, 2))),
    # left to Keras
    (2, {"padding": "same"}, SIZES[:1]),
    (3, {"strides": 2}, SIZES[:1]),
    (3, {"strides": 1, "padding": "same"}, SIZES[:1]),
    (5, {}, SIZES[2:]),
]


@pytest.mark.parametrize(("window", "more", "sizes"), POOLS)
def test_pooling_and_its_gradient_are_bit_for_bit_those_of_keras(window, more, sizes):
    for size in sizes:
        x = RNG.normal(size=(6, *size, 5)).astype("float32")
        x[:3] = np.maximum(np.round(x[:3]), 0)  # with ties
        kinds = layers.MaxPooling2D, keras.layers.MaxPooling2D
        ours, stock = (cls(window, **more) for cls in kinds)
        weight = RNG.normal(size=stock.compute_output_shape(x.shape)).astype("float32")
        found, wanted = (values_and_gradients(each, x, weight) for each in (ours, stock))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{window}, {more}, {size}")
        np.testing.assert_array_equal(ours(x), stock(x))


def test_the_largest_of_nothing_but_infinities_is_one():
    x = np.full((1, 4, 4, 1), -np.inf, "float32")
    np.testing.assert_array_equal(layers.MaxPooling2D()(x), keras.layers.MaxPooling2D()(x))


def dropped(rate, *, seed=1, steps=1, shape=(512, 40, 40)):
    layer = layers.Dropout(rate, seed=seed)
    x = jnp.ones(shape)
    return [np.asarray(layer(x, training=True)) for _ in range(steps)]


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
def test_dropout_drops_its_share_and_scales_the_rest(rate):
    (y,) = dropped(rate)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(1 - rate)}
    off = np.sqrt(rate * (1 - rate) / y.size)
    assert abs((y == 0).mean() - rate) < 4 * off


def test_what_is_dropped_hangs_together_with_nothing():
    a, b = (y == 0 for y in dropped(0.5, steps=2))
    (other,) = (y == 0 for y in dropped(0.5, seed=2))
    limit = 4.5 / np.sqrt(a.size)
    for shift in (1, 2, 3, 7, 16, 40, 64, 1600, 65536):
        flat = a.ravel()
        assert abs(np.corrcoef(flat[shift:], flat[:-shift])[0, 1]) < limit
    for mask in (b, other):
        assert abs(np.corrcoef(a.ravel(), mask.ravel())[0, 1]) < limit
    # Shares by column, row and image scatter as those of independent coins.
    for axis in ((0, 1), (0, 2), (1, 2)):
        share = a.mean(axis)
        chi = ((share - 0.5) ** 2).sum() / (0.25 / (a.size / share.size))
        assert abs(chi - share.size) < 4.5 * np.sqrt(2 * share.size)


def test_dropout_draws_anew_in_each_step_and_the_same_from_one_seed():
    first, again = dropped(0.5, steps=2), dropped(0.5, steps=2)
    assert (first[0] != first[1]).mean() > 0.4
    np.testing.assert_array_equal(first, again)


def test_dropout_moves_the_state_of_its_seed_as_keras_does():
    states = []
    for cls in (layers.Dropout, keras.layers.Dropout):
        layer = cls(0.3, seed=5)
        layer(jnp.ones((4, 4)), training=True)
        states.append(np.asarray(layer.seed_generator.state))
    np.testing.assert_array_equal(*states)


@pytest.mark.parametrize("more", [{}, {"noise_shape": (None, 1, 8)}])
@pytest.mark.parametrize("rate", [0, 0.4, 1])
def test_dropout_leaves_alone_what_is_not_trained(rate, more):
    x = jnp.ones((4, 6, 8))
    layer = layers.Dropout(rate, seed=1, **more)
    np.testing.assert_array_equal(layer(x), x)
    y = np.asarray(layer(x, training=True))
    assert np.isin(y, [0, np.float32(1) / np.float32(1 - min(rate, 0.9))]).all()


@pytest.mark.parametrize(("stock", "ours"), PAIRS)
def test_a_layer_is_written_and_named_as_keras_own(stock, ours):
    arguments = {"Conv2D": (4, 3), "DepthwiseConv2D": (3,), "Dropout": (0.5,)}.get(
        stock.__name__, ()
    )
    keras.backend.clear_session()
    written = keras.saving.serialize_keras_object(ours(*arguments))
    keras.backend.clear_session()
    assert written == keras.saving.serialize_keras_object(stock(*arguments))
    assert issubclass(ours, stock)


def small():
    return keras.Sequential(
        [
            keras.layers.Input((12, 12, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Dropout(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def functional():
    inputs = keras.Input((12, 12, 1))
    a = keras.layers.Conv2D(8, 3, activation="relu", padding="same")(inputs)
    b = keras.layers.Conv2D(8, 3, padding="same")(a)
    c = keras.layers.MaxPooling2D(3)(keras.layers.Add()([a, b]))
    return keras.Model(
        inputs, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(c))
    )


@pytest.mark.parametrize("build", [small, functional])
def test_files_go_both_ways(tmp_path, build):
    x = RNG.random((4, 12, 12, 1), dtype="float32")
    stock = build()
    ours = layers.faster(stock)
    assert type(ours) is type(stock)
    assert any(type(layer) is layers.Conv2D for layer in ours.layers)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in stock.layers]
    close(ours(x), stock(x))
    ours.save(tmp_path / "ours.keras")
    assert "companion" not in zipfile.ZipFile(tmp_path / "ours.keras").read("config.json").decode()
    close(keras.models.load_model(tmp_path / "ours.keras")(x), ours(x))
    stock.save(tmp_path / "stock.keras")
    close(layers.faster(keras.models.load_model(tmp_path / "stock.keras"))(x), ours(x))
    for source, target in ((ours, build()), (stock, layers.faster(build()))):
        source.save_weights(tmp_path / "some.weights.h5")
        target.load_weights(tmp_path / "some.weights.h5")
        close(target(x), source(x))


@pytest.mark.slow
def test_a_file_opens_where_there_is_no_companion(tmp_path):
    layers.faster(small()).save(tmp_path / "ours.keras")
    program = (
        "import sys; sys.modules['companion'] = None; import keras; "
        "print(*[type(l).__module__ for l in keras.models.load_model(sys.argv[1]).layers])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "ours.keras"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "companion" not in done.stdout


def test_a_copy_keeps_what_is_not_ours():
    stock = small()
    ours = layers.faster(stock)
    assert type(ours.layers[-1]) is keras.layers.Dense
    np.testing.assert_array_equal(stock.layers[-1].kernel, ours.layers[-1].kernel)


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"], indirect=True)
def test_fit_works(compiled, policy):
    keras.utils.set_random_seed(0)
    model = layers.faster(small())
    x = RNG.random((32, 12, 12, 1), dtype="float32")
    y = np.repeat([0, 2], 16)
    x[:16] += 1
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=compiled
    )
    history = model.fit(x, y, epochs=6 if compiled else 2, batch_size=16, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


WHOLE = """
import json, sys
import jax
jax.config.update("jax_enable_x64", True)
import keras, numpy as np
keras.config.set_floatx("float64")
from companion.training import layers, models

build, shape = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
stock = getattr(models, build)(*shape)
# Dropout is random: without it the two compute the same.
def undropped(layer):
    kept = {"rate": 0.0} if isinstance(layer, keras.layers.Dropout) else {}
    return type(layer).from_config({**layer.get_config(), **kept})
plain = keras.models.clone_model(stock, clone_function=undropped)
x, y = rng.random((8, *plain.input_shape[1:])), rng.integers(0, 10, 8)
loss = keras.losses.SparseCategoricalCrossentropy()

# Keras' own computes in float32 also between layers of float64.
class InFloat64(keras.layers.BatchNormalization):
    def call(self, x, training=None):
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axes)
        deviation = (((x - mean) ** 2).mean(axes) + self.epsilon) ** 0.5
        return (x - mean) / deviation * self.gamma.value + self.beta.value

def exact(layer):
    kind = type(layer)
    kind = InFloat64 if kind is keras.layers.BatchNormalization else kind
    return kind.from_config(layer.get_config())
reference = keras.models.clone_model(plain, clone_function=exact)
reference.set_weights(plain.get_weights())

def gradients(model):
    def total(trained):
        answer, _ = model.stateless_call(
            trained, [v.value for v in model.non_trainable_variables], x, training=True
        )
        return loss(y, answer)
    return jax.jit(jax.value_and_grad(total))([v.value for v in model.trainable_variables])

(a, da), (b, db) = gradients(layers.faster(plain)), gradients(reference)
assert a.dtype == "float64", a.dtype
# A bias before batch normalisation has no gradient but rounding errors: no smaller scale than this.
least = 1e-3 * max(float(abs(q).max()) for q in db)
off = (float(abs(p - q).max()) / max(float(abs(q).max()), least) for p, q in zip(da, db))
print(max(abs(float(a - b)), *off))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "shape"),
    [
        ("mnist_cnn", ()),
        ("gtsrb_v1", ((24, 24, 1),)),
        ("gtsrb_v2", ((24, 24, 1),)),
        ("gtsrb_v2", ((48, 48, 3),)),
        ("gtsrb_v3", ((24, 24, 3),)),
        ("gtsrb_small", ((24, 24, 1),)),
        ("gtsrb_compact", ()),
    ],
)
def test_whole_networks_have_the_gradients_of_keras_in_float64(build, shape):
    done = subprocess.run(
        [sys.executable, "-c", WHOLE, json.dumps([build, shape])], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-10


def test_a_fast_network_is_counted_as_the_stock_one():
    from companion.arithmetic import multiply_adds, parameter_table
    from companion.training import models

    stock = models.gtsrb_compact()
    ours = layers.faster(stock)
    assert multiply_adds(ours) == multiply_adds(stock) > 0
    assert parameter_table(ours).equals(parameter_table(stock))
