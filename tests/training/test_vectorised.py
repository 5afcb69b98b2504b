"""Networks that are trained together end where each would end alone."""

import keras
import numpy as np
import pytest
from keras import layers

from companion.training import augmentation, vectorised
from companion.training.checkpoints import Checkpoints

IMAGES, CLASSES = 90, 5


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    x = random.random((IMAGES, 8, 8, 1), dtype="float32")
    y = random.integers(0, CLASSES, IMAGES)
    x[np.arange(IMAGES), y, y] += 1  # something to learn
    return x, y


def build(seed, rate=1e-3, optimizer=keras.optimizers.Adam, filters=4):
    """A small network with all that carries a state: dropout, augmentation, normalisation."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            *augmentation.layers(seed=seed),
            # A bias before a normalisation has no gradient but rounding, which Adam magnifies.
            layers.Conv2D(filters, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(optimizer(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def rows_of(seed, count):
    return np.random.default_rng(seed).permutation(IMAGES)[:count]


def compare(model, history, alone):
    for there, here in zip(alone.weights, model.weights, strict=True):
        np.testing.assert_allclose(np.asarray(here), np.asarray(there), rtol=0, atol=2e-5)
    assert history.keys() == alone.history.history.keys()
    for key, values in alone.history.history.items():
        np.testing.assert_allclose(history[key], values, rtol=0, atol=1e-5, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("how", vectorised.HOW)
def test_each_ends_as_it_would_alone(images, tmp_path, how):
    x, y = images
    count = 50  # 3 batches of 16, and a fourth of 2
    seeds, rates = [0, 1, 2], [1e-3, 3e-3, 1e-2]
    trained = [build(seed, rate) for seed, rate in zip(seeds, rates, strict=True)]
    rows = [rows_of(seed, count) for seed in seeds]
    held_out = [rows_of(10 + seed, 20 + seed) for seed in seeds]
    histories = vectorised.fit(
        trained,
        x,
        y,
        rows=rows,
        validation_rows=held_out,
        epochs=2,
        batch_size=16,
        callbacks=[[Checkpoints(tmp_path / f"{seed}", seed=seed)] for seed in seeds],
        how=how,
    )
    for i, seed in enumerate(seeds):
        alone = build(seed, rates[i])
        alone.fit(
            x[rows[i]],
            y[rows[i]],
            validation_data=(x[held_out[i]], y[held_out[i]]),
            epochs=2,
            batch_size=16,
            callbacks=[Checkpoints(tmp_path / f"{seed}-alone", seed=seed)],
            verbose=0,
        )
        compare(trained[i], histories[i], alone)
    # The test would pass, too, if all were the same.
    first, second = (np.asarray(model.weights[0]) for model in trained[:2])
    assert np.abs(first - second).max() > 1e-2


@pytest.mark.slow
def test_schedules_momentum_and_images_of_their_own(images, tmp_path):
    x, y = images
    own = [x, x[::-1].copy()]

    def model(i):
        schedule = keras.optimizers.schedules.CosineDecay((i + 1) * 1e-2, 8)
        return build(0, schedule, lambda rate: keras.optimizers.SGD(rate, momentum=0.9))

    def order(name, i):
        return [Checkpoints(tmp_path / f"{name}-{i}", seed=i, monitor="loss")]

    trained = [model(0), model(1)]
    histories = vectorised.fit(
        trained,
        own,
        y,
        rows=[np.arange(IMAGES)] * 2,
        epochs=2,
        batch_size=30,
        callbacks=[order("together", i) for i in (0, 1)],
    )
    for i in (0, 1):
        alone = model(i)
        alone.fit(own[i], y, epochs=2, batch_size=30, verbose=0, callbacks=order("alone", i))
        compare(trained[i], histories[i], alone)


@pytest.mark.slow
def test_a_training_goes_on_from_its_checkpoints(images, tmp_path):
    x, y = images
    rows = [np.arange(40), np.arange(40, 80)]

    def train(epochs, folder):
        callbacks = [[Checkpoints(tmp_path / folder / str(i), seed=i)] for i in (0, 1)]
        trained = [build(0), build(1)]
        histories = vectorised.fit(
            trained,
            x,
            y,
            rows=rows,
            epochs=epochs,
            batch_size=20,
            callbacks=callbacks,
            initial_epoch=callbacks[0][0].epoch,
        )
        return trained, histories

    whole, expected = train(3, "whole")
    train(1, "parts")
    parts, found = train(3, "parts")
    assert found == expected
    for one, other in zip(whole, parts, strict=True):
        for there, here in zip(one.weights, other.weights, strict=True):
            np.testing.assert_array_equal(np.asarray(here), np.asarray(there))


def test_models_that_differ_are_told_apart():
    rows = [np.arange(8)] * 6
    trained = [build(0), build(1, 1e-2), build(0, filters=5), build(0), build(2), build(3)]
    trained[4].compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    rows[3] = np.arange(9)
    assert vectorised.groups(trained, rows) == [[0, 1, 5], [2], [3], [4]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"how": "pmap"}, "how must be one of vmap, map, got 'pmap'"),
        ({"rows": [np.arange(8)]}, "rows must have an entry a model, 2, got 1"),
        ({"rows": [np.arange(8), np.arange(7)]}, "got 7 for model 1"),
        ({"rows": [[], []]}, "rows must hold one image"),
        ({"models": []}, "models must hold one model at least"),
        ({"models": lambda: [build(0), build(0, filters=5)]}, "model 1 differs from model 0"),
        ({"models": lambda: [build(0), keras.Sequential([layers.Input((8, 8, 1))])]}, "compiled"),
        ({"x": [np.zeros((9, 8, 8, 1)), np.zeros((8, 8, 8, 1))]}, "x must be arrays of one shape"),
        ({"x": [np.zeros((9, 8, 8, 1))]}, "x must have an array a model, 2, got 1"),
    ],
)
def test_bad_input_is_one_sentence(images, change, said):
    x, y = images
    given = {"models": lambda: [build(0), build(1)], "x": x, "rows": [np.arange(8)] * 2}
    given |= {"epochs": 1, "batch_size": 4, **change}
    models = given.pop("models")
    with pytest.raises(ValueError, match=said) as raised:
        vectorised.fit(models() if callable(models) else models, given.pop("x"), y, **given)
    assert "\n" not in str(raised.value)


def test_a_callback_that_stops_is_refused(images):
    x, y = images

    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    with pytest.raises(ValueError, match="one of model 1 did after epoch 1"):
        vectorised.fit(
            [build(0), build(1)],
            x,
            y,
            rows=[np.arange(8)] * 2,
            epochs=2,
            batch_size=4,
            callbacks=[[], [Stops()]],
        )
