import keras
import numpy as np
import pytest

from companion.training import models

SIGNS = [getattr(models, f"gtsrb_{name}") for name in ("v1", "v2", "v3", "small", "compact")]


@pytest.mark.parametrize(
    ("build", "parameters", "shape"),
    [
        (models.mnist_dense, 784 * 100 + 100 + 100 * 100 + 100 + 100 * 10 + 10, (None, 10)),
        (models.mnist_cnn, 80 + 1_168 + 40_100 + 1_010, (None, 10)),
        (models.gtsrb_v1, 4_841_083, (None, 43)),
        (lambda: models.gtsrb_v1((48, 48, 3)), 29_034_811, (None, 43)),
        (models.gtsrb_v2, 1_297_899, (None, 43)),
        (lambda: models.gtsrb_v2((48, 48, 3)), 3_265_131, (None, 43)),
        (models.gtsrb_v3, 2_641_835, (None, 43)),
        (lambda: models.gtsrb_v3((48, 48, 3)), 9_721_323, (None, 43)),
    ],
)
def test_the_networks_have_their_published_sizes(build, parameters, shape):
    model = build()
    assert model.count_params() == parameters
    assert model.output_shape == shape


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 24, 32, 48])
def test_the_small_network_is_small_at_any_size(size, channels):
    model = models.gtsrb_small((size, size, channels))
    convolutions = 9 * (channels * 24 + 24 * 48 + 48 * 64 + 64 * 88)
    normalisation = 4 * (24 + 48 + 64 + 88)
    assert model.count_params() == convolutions + normalisation + 88 * 43 + 43 < 100_000
    assert model.output_shape == (None, 43)


def test_the_compact_network_is_the_same_in_any_light():
    model = models.gtsrb_compact()
    kernels = 25 * 3 * 16 + 9 * (16 * 32 + 32 * 40 + 40 * 56 + 56 * 80) + 80 * 128
    normalisation = 4 * (16 + 32 + 40 + 56 + 80 + 128)
    assert model.count_params() == kernels + normalisation + 17 * 128 + 129 * 43 < 100_000
    x = np.random.default_rng(0).random((3, 32, 32, 3), dtype="float32")
    darker = 0.3 * x + 0.1
    np.testing.assert_allclose(model(darker), model(x), atol=1e-4)


@pytest.mark.parametrize(
    ("width", "name", "filters"),
    [
        (1, "gtsrb_compact", [16, 32, 40, 56, 80, 128]),
        (0.75, "gtsrb_compact_75", [12, 24, 30, 42, 60, 96]),
        (0.5, "gtsrb_compact_50", [8, 16, 20, 28, 40, 64]),
        (0.3, "gtsrb_compact_30", [5, 10, 12, 17, 24, 38]),
        (0.001, "gtsrb_compact_0.1", [1] * 6),
    ],
)
def test_a_width_multiplies_the_filters_of_every_layer(width, name, filters):
    model = models.gtsrb_compact(width=width)
    assert [q.filters for q in model.layers if type(q) is keras.layers.Conv2D] == filters
    # Runs of one name are seeds of one cell in a ranking.
    assert model.name == name


@pytest.mark.parametrize("width", [0, -0.5, float("nan"), float("inf")])
def test_a_width_must_be_above_0(width):
    with pytest.raises(ValueError, match=rf"^width must be a finite number > 0, got {width}$"):
        models.gtsrb_compact(width=width)


@pytest.mark.parametrize("build", SIGNS)
def test_augmentation_stands_right_after_the_input(build):
    noise = keras.layers.GaussianNoise(0.1, seed=0)
    model = build(augmentation=[noise])
    assert model.layers[0] is noise
    assert model.count_params() == build().count_params()
    assert build((48, 48, 3), augmentation=[keras.layers.GaussianNoise(0.1)]).output_shape == (
        None,
        43,
    )


def test_the_small_network_learns():
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 24, 24, 1)).astype("float32") / 2, np.repeat([3, 40], 32)
    x[:32, :12] += 0.5
    x[32:, 12:] += 0.5
    keras.utils.set_random_seed(0)
    model = models.gtsrb_small()
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(x, y, epochs=8, batch_size=16, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9
