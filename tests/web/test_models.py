"""The modules behind the network editor and the reader of digits, against Keras and companion."""

import base64
import json
import random
from pathlib import Path

import keras
import numpy as np
import pytest

from companion.arithmetic import multiply_adds, parameter_table, receptive_field
from companion.data import mnist
from companion.training import models

WEIGHTS = Path(__file__).resolve().parents[2] / "published/mnist-cnn/seed0.weights.h5"
BUILDERS = {
    "mnist-cnn": models.mnist_cnn,
    "gtsrb-v1-24": models.gtsrb_v1,
    "gtsrb-v1-48": lambda: models.gtsrb_v1((48, 48, 3)),
    "gtsrb-v2-24": models.gtsrb_v2,
    "gtsrb-v2-48": lambda: models.gtsrb_v2((48, 48, 3)),
    "gtsrb-v3-24": models.gtsrb_v3,
    "gtsrb-v3-48": lambda: models.gtsrb_v3((48, 48, 3)),
    "gtsrb-small": models.gtsrb_small,
}
IMPOSSIBLE = {
    "8x8x1,conv:4:9": "kernel_size must be <= 8 on an axis of 8 cells with padding='valid' and "
    "dilation=1, got 9",
    "8x8x1,maxpool:9": "pool_size must be <= 8 on an axis of 8 cells with padding='valid', got 9",
    "8x8x1,conv:4:0": "kernel_size must be >= 1, got 0",
    "8x8x1,conv:1.5:3": "filters must be an integer, got 1.5",
    "8x8x1,conv:4:3:s0": "strides must be >= 1, got 0",
    "8x8x1,conv:4:3:s2:d2": "dilation_rate must be 1 where strides is above 1, as Keras has it, "
    "got 2",
    "8x8x1,dense:0": "units must be >= 1, got 0",
    "8x8x1,dense:200000": "units must be <= 100000, got 200000",
    "8x8x1,dropout:1.5": "rate must be <= 1, got 1.5",
    "8x8x1,flatten,conv:4:3": "Conv2D needs maps of height × width × channels, got 64 numbers in "
    "a row: move it before the layer that flattened them",
    "8x8x1,gap,gap": "GlobalAveragePooling2D needs maps of height × width × channels, got 1 "
    "numbers in a row: move it before the layer that flattened them",
    "99999x99999x99,flatten,dense:99999": "the counts must stay below 2^53 to be exact: make the "
    "layer smaller",
}
UNREADABLE = {
    "": 'a network must begin with its input, such as 28x28x1, got ""',
    "28x28,flatten": 'a network must begin with its input, such as 28x28x1, got "28x28"',
    "28x28x1,lstm:8": "a layer must be one of conv, maxpool, avgpool, gap, flatten, dense, "
    'dropout, batchnorm, relu, got "lstm"',
    "28x28x1,toString": "a layer must be one of conv, maxpool, avgpool, gap, flatten, dense, "
    'dropout, batchnorm, relu, got "toString"',
    "28x28x1,conv:8:x": 'layer "conv:8:x" must have settings of its kind, got "x"',
    "28x28x1,flatten:8": 'layer "flatten:8" must have settings of its kind, got "8"',
}


def same_as_keras(answer, model):
    """Compare an answer with Keras' counts and the companion's table, layer by layer."""
    table = parameter_table(model)
    padded = table["layer"].eq("ZeroPadding2D")  # of the layer after it, in the page
    table = table[~padded].reset_index(drop=True)
    rows = answer["rows"]
    assert [tuple(row["shape"]) for row in rows] == table["output_shape"].tolist()
    for name, theirs in (
        ("formula", "formula"), ("numbers", "numbers"), ("parameters", "parameters"),
        ("trainable", "trainable"), ("multiplyAdds", "multiply_adds"),
    ):  # fmt: skip
        assert [row[name] for row in rows] == table[theirs].tolist(), name
    idle = table["layer"].isin(["Flatten", "Dropout"])
    activations = table["output_shape"].map(np.prod).where(~idle, 0)
    assert [row["activations"] for row in rows] == activations.tolist()
    total = answer["total"]
    assert total["parameters"] == model.count_params()
    assert total["trainable"] == sum(np.prod(w.shape) for w in model.trainable_weights)
    assert total["multiplyAdds"] == multiply_adds(model)
    assert tuple(total["shape"]) == model.output_shape[1:]
    assert total["bytes"] == 4 * model.count_params()
    assert total["activationBytes"] == 4 * activations.sum()


def random_network(rng):
    """Write a network that can be, of all kinds of layers and settings."""
    words = [f"{rng.randint(12, 40)}x{rng.randint(12, 40)}x{rng.randint(1, 4)}"]
    for _ in range(rng.randint(1, 3)):
        conv = ["conv", rng.randint(1, 9), rng.randint(1, 3)]
        conv.append(rng.choice(["s1", "s2", "d2"]))
        conv.append(rng.choice(["valid", "same", "p1", "p2"]))
        conv += rng.sample(["none", "nobias"], rng.randint(0, 2))
        words.append(":".join(map(str, conv)))
        words += rng.sample(["batchnorm", "relu", "dropout:0.1"], rng.randint(0, 2))
        pool = rng.choice(["maxpool:2", "avgpool:2:same", "maxpool:2:s1", "avgpool:3:s2:same"])
        words += rng.choice([[], [pool]])
    words += rng.choice([["flatten"], ["gap"], []])
    words += ["dense:7:nobias", "batchnorm:0.9", "dense:3:softmax"]
    return ",".join(words)


@pytest.fixture(scope="module")
def presets(ask):
    return ask("presets")


@pytest.fixture
def quick_weights(monkeypatch):
    def zeros(self, shape, dtype=None):
        return np.zeros(shape, dtype)

    # JAX compiles an initialisation for each shape anew, and only the number of weights matters.
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", zeros)


def test_every_preset_has_a_builder_to_be_compared_with(presets):
    assert set(presets) == set(BUILDERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_preset_is_the_network_of_its_chapter(ask, presets, quick_weights, name):
    (answer,) = ask("networks", [presets[name]])
    model = BUILDERS[name]()
    same_as_keras(answer, model)
    scope = {}
    exec(answer["code"], scope)  # asserts its own count
    ours, theirs = (
        [without_names(layer.get_config()) for layer in each.layers]
        for each in (scope["model"], model)
    )
    assert ours == theirs


def without_names(config):
    return {name: value for name, value in config.items() if name != "name"}


def test_networks_at_random_are_as_keras_counts_them(ask, quick_weights):
    rng = random.Random(0)
    texts = [random_network(rng) for _ in range(60)]
    answers = ask("networks", texts)
    possible = 0
    for text, answer in zip(texts, answers, strict=True):
        if answer["total"] is None:
            continue  # impossible ones have their own test
        possible += 1
        scope = {}
        exec(answer["code"], scope)
        same_as_keras(answer, scope["model"])
        (again,) = ask("networks", [answer["text"]]) if possible < 5 else (answer,)
        assert again == answer, text
    assert possible > 40


def test_what_a_layer_sees_is_the_companion_s_receptive_field(ask, presets):
    windows = {"conv:": (3, 1), "maxpool": (2, 2)}
    (answer,) = ask("networks", [presets["mnist-cnn"]])
    passed = []
    for word, row in zip(presets["mnist-cnn"].split(",")[1:], answer["rows"], strict=True):
        passed += [window for kind, window in windows.items() if word.startswith(kind)]
        if word.startswith("dense:100"):
            passed.append((5, 1))  # all of the 5 × 5 maps that were flattened
        assert row["field"] == [receptive_field(passed)] * 2
    assert answer["rows"][-1]["field"] == [26, 26]  # the pooling of 11 drops what is beyond


def test_averaging_brings_the_large_network_below_a_million_as_its_chapter_asks(ask, presets):
    (answer,) = ask("networks", [presets["gtsrb-v1-48"].replace("flatten", "gap")])
    assert answer["total"]["parameters"] < 1_000_000


def test_an_impossible_network_says_why_in_its_row_and_the_rest_waits(ask):
    answers = ask("networks", [f"{text},dropout:0.5" for text in IMPOSSIBLE])
    for reason, answer in zip(IMPOSSIBLE.values(), answers, strict=True):
        *_, bad, last = answer["rows"]
        assert bad["problem"] == reason
        assert last["waiting"]
        assert answer["total"] is None
        assert "NaN" not in json.dumps(answer)


def test_an_impossible_input_is_said_and_all_layers_wait(ask):
    (answer,) = ask("networks", ["0x8x1,flatten"])
    assert answer["problem"] == "height must be >= 1, got 0"
    assert answer["rows"][0]["waiting"]


def test_a_text_that_is_no_network_is_refused(ask):
    assert ask("reading", list(UNREADABLE)) == list(UNREADABLE.values())


@pytest.fixture(scope="module")
def reader():
    model = models.mnist_cnn()
    model.load_weights(WEIGHTS)
    return model


def test_the_page_s_network_answers_as_keras_does(ask, reader):
    digits = mnist.read_images(mnist.SAMPLE_ROOT, "train")[:100].astype("float32") / 255
    rng = np.random.default_rng(0)
    noise = rng.random((30, 28, 28)).astype("float32")
    flat = np.stack([np.zeros((28, 28)), np.ones((28, 28))]).astype("float32")
    images = np.concatenate([digits, noise, flat])
    weights = reader.get_weights()
    answers = ask(
        "digits",
        {
            "weights": base64.b64encode(
                b"".join(w.astype("<f4").tobytes() for w in weights)
            ).decode(),
            "shapes": [w.shape for w in weights],
            "images": images.reshape(len(images), -1).tolist(),
        },
    )
    convolutions = [layer for layer in reader.layers if isinstance(layer, keras.layers.Conv2D)]
    outputs = [layer.output for layer in (*convolutions, reader.layers[-1])]
    expected = keras.Model(reader.inputs, outputs).predict(images[..., None], verbose=0)
    for name, theirs in zip(("first", "second", "probabilities"), expected, strict=True):
        ours = np.array([answer[name] for answer in answers]).reshape(theirs.shape)
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4, err_msg=name)
    ours = np.array([answer["probabilities"] for answer in answers])
    np.testing.assert_allclose(ours, expected[-1], atol=1e-4, rtol=0)


def test_a_drawing_is_scaled_and_centred_as_mnist_was(ask):
    radius = 12
    lines = {
        "bar": [[[20, 30], [20, 200]]],
        "far": [[[250, 60], [250, 230]]],
        "seven": [[[60, 60], [200, 60]], [[200, 60], [120, 240]]],
        "dot": [[[140, 140], [140, 140]]],
    }
    answers = ask("drawings", [{"radius": radius, "lines": each} for each in lines.values()])
    digits = {n: np.array(a["digit"]).reshape(28, 28) for n, a in zip(lines, answers, strict=True)}
    drawings = {
        n: np.array(a["drawing"]).reshape(280, 280) for n, a in zip(lines, answers, strict=True)
    }
    for name, digit in digits.items():
        rows, columns = np.nonzero(digit)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20, name
        centre = [np.average(np.arange(28) + 0.5, weights=digit.sum(axis=axis)) for axis in (1, 0)]
        np.testing.assert_allclose(centre, 14, atol=0.5, err_msg=name)
        assert digit.min() >= 0
        assert 0.9 < digit.max() <= 1 + 1e-6
        # The mean of areas keeps the ink: as much as in the drawing, at the digit's scale.
        box = [np.ptp(axis) + 1 for axis in np.nonzero(drawings[name])]
        small = [np.ptp(axis) + 1 for axis in (rows, columns)]
        share = drawings[name].sum() / np.prod(box)
        assert digit.sum() / np.prod(small) == pytest.approx(share, rel=1e-4), name
    np.testing.assert_allclose(digits["bar"], digits["far"], atol=1e-6)  # wherever it was drawn


def test_an_empty_drawing_has_no_digit(ask):
    (answer,) = ask("drawings", [{"radius": 12, "lines": []}])
    assert answer["digit"] is None


def test_a_drawn_seven_and_a_drawn_one_are_read(ask, reader):
    drawn = {
        7: [[[70, 60], [210, 60]], [[210, 60], [130, 240]]],
        1: [[[140, 40], [140, 240]]],
    }
    answers = ask("drawings", [{"radius": 12, "lines": each} for each in drawn.values()])
    images = np.array([answer["digit"] for answer in answers]).reshape(-1, 28, 28, 1)
    assert reader.predict(images, verbose=0).argmax(axis=1).tolist() == list(drawn)
