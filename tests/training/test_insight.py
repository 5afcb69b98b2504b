from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from scipy import stats

from companion import arithmetic
from companion.data import open_dataset, splits
from companion.experiments import runs
from companion.training import insight, models, scores


def noisy(model, seed=0):
    """Give a new network weights that are all different, biases and variances too."""
    random = np.random.default_rng(seed)
    model.set_weights(
        [
            np.abs(random.normal(0.1, 0.3, w.shape))
            if w.ndim == 1
            else random.normal(0, 0.3, w.shape)
            for w in model.get_weights()
        ]
    )
    return model


def small(functional=False, added=False):
    """Build one small network in the three ways that there are."""
    parts = [
        layers.Conv2D(3, 3, activation="relu", name="first"),
        layers.MaxPooling2D(2, name="pool"),
        layers.Conv2D(4, 2, padding="same", activation="tanh", name="second"),
        layers.BatchNormalization(name="norm"),
        layers.Dropout(0.5),
        layers.Flatten(name="flat"),
        layers.Dense(5, activation="softmax", name="answer"),
    ]
    if functional:
        image = tensor = keras.Input((8, 7, 2))
        for part in parts:
            tensor = part(tensor)
        return noisy(keras.Model(image, tensor))
    if added:
        model = keras.Sequential()
        model.add(layers.Input((8, 7, 2)))
        for part in parts:
            model.add(part)
        return noisy(model)
    return noisy(keras.Sequential([layers.Input((8, 7, 2)), *parts]))


def after_input(model):
    return [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]


def applied(layer, x):
    if isinstance(layer, layers.BatchNormalization | layers.Dropout):
        return layer(x, training=False)
    return layer(x)


ways = pytest.mark.parametrize("how", [{}, {"functional": True}, {"added": True}], ids=str)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).normal(size=(6, 8, 7, 2)).astype("float32")


def watching(place, side=5):
    """Build a network whose class 1 has as its score what one pixel holds, by one 1×1 kernel."""
    model = keras.Sequential(
        [
            layers.Input((side, side, 1)),
            layers.Conv2D(1, 1),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    dense = np.zeros((side * side, 2))
    dense[place[0] * side + place[1], 1] = 1
    model.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1), dense, np.zeros(2)])
    return model


# Feature maps


@ways
def test_maps_of_the_first_layer_are_those_of_the_arithmetic(pictures, how):
    model = small(**how)
    kernels, bias = model.get_layer("first").get_weights()
    expected = [
        np.maximum(arithmetic.conv_layer(picture, kernels, bias), 0) for picture in pictures
    ]
    np.testing.assert_allclose(insight.feature_maps(model, pictures, "first"), expected, atol=1e-5)


@ways
@pytest.mark.parametrize("name", ["first", "pool", "second", "norm", "flat", "answer"])
def test_maps_are_the_output_of_the_layers_up_to_theirs(pictures, how, name):
    model = small(**how)
    expected = pictures
    for layer in after_input(model):
        expected = applied(layer, expected)
        if layer.name == name:
            break
    found = insight.feature_maps(model, pictures, name)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_layer_is_named_numbered_or_given(pictures):
    model = small()
    named = insight.feature_maps(model, pictures, "pool")
    for same in (1, -6, np.int64(1), model.layers[1]):
        np.testing.assert_array_equal(insight.feature_maps(model, pictures, same), named)


def test_an_unknown_layer_is_named_with_the_nearest(pictures):
    with pytest.raises(
        ValueError, match=r"layer must be one of first, pool, .* \(did you mean 'sec"
    ):
        insight.feature_maps(small(), pictures, "secnd")
    with pytest.raises(ValueError, match="a place among 7 layers, got 7"):
        insight.feature_maps(small(), pictures, 7)
    with pytest.raises(ValueError, match="layer must be a layer of"):
        insight.feature_maps(small(), pictures, layers.Flatten())


def test_images_of_another_shape_are_refused(pictures):
    with pytest.raises(ValueError, match=r"images of shape \(N, 8, 7, 2\), got \(8, 7, 2\)"):
        insight.feature_maps(small(), pictures[0], "pool")
    unbuilt = keras.Sequential([layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="model must be a built"):
        insight.feature_maps(unbuilt, pictures, 0)
    with pytest.raises(ValueError, match="model must be a built"):
        insight.occlusion(unbuilt, pictures[0], window=1)


# Grad-CAM


def by_hand(model, picture, class_id, name, step=1e-2):
    """Compute Grad-CAM by the definition, with the gradient from differences of the scores."""
    place = [layer.name for layer in after_input(model)].index(name)
    last = model.layers[-1]
    kernel, bias = last.get_weights()

    def score(maps):
        maps = maps.astype("float32")
        for layer in after_input(model)[place + 1 : -1]:
            maps = applied(layer, maps)
        return (np.asarray(maps).astype(float) @ kernel + bias)[:, class_id]

    maps = insight.feature_maps(model, picture[None], name)[0]
    moved = np.eye(maps.size).reshape(maps.size, *maps.shape) * step
    difference = score(maps + moved) - score(maps - moved)
    weights = (difference / (2 * step)).reshape(maps.shape).mean(axis=(0, 1))
    heat = np.maximum(maps @ weights, 0).astype("float32")
    stretched = keras.ops.image.resize(heat[..., None], picture.shape[:2], interpolation="bilinear")
    stretched = np.asarray(stretched)[..., 0]
    return stretched / stretched.max() if stretched.max() > 0 else stretched


@pytest.mark.slow
@ways
@pytest.mark.parametrize("name", ["second", "norm"])
def test_grad_cam_is_what_its_definition_gives_with_finite_differences(pictures, how, name):
    model = small(**how)
    compared = 0
    for picture in pictures[:3]:
        for class_id in range(5):
            expected = by_hand(model, picture, class_id, name)
            found = insight.grad_cam(model, picture, class_id, name)
            np.testing.assert_allclose(found, expected, atol=2e-3)
            compared += expected.max() > 0
    assert compared > 5


def test_grad_cam_takes_the_last_convolution_and_the_answer_by_default(pictures):
    model = small()
    answer = int(model.predict(pictures[:1], verbose=0).argmax())
    np.testing.assert_array_equal(
        insight.grad_cam(model, pictures[0]),
        insight.grad_cam(model, pictures[0], answer, "second"),
    )


@ways
def test_grad_cam_of_many_images_is_that_of_each(pictures, how):
    model = small(**how)
    class_ids = [0, 1, 2, 3, 4, 0]
    together = insight.grad_cam(model, pictures, class_ids)
    assert together.shape == (6, 8, 7)
    for picture, class_id, heat in zip(pictures, class_ids, together, strict=True):
        np.testing.assert_allclose(insight.grad_cam(model, picture, class_id), heat, atol=1e-5)


def test_grad_cam_lies_between_0_and_1(pictures):
    heat = insight.grad_cam(small(), pictures)
    assert heat.min() >= 0
    assert set(heat.max(axis=(1, 2)).round(6).tolist()) <= {0.0, 1.0}
    assert heat.max() == 1


@pytest.mark.parametrize("place", [(0, 0), (1, 3), (4, 4)])
def test_grad_cam_finds_the_one_bright_pixel_that_decides(place):
    picture = np.zeros((5, 5, 1))
    picture[place] = 2
    heat = insight.grad_cam(watching(place), picture, class_id=1)
    expected = np.zeros((5, 5))
    expected[place] = 1
    np.testing.assert_allclose(heat, expected, atol=1e-6)
    assert not insight.grad_cam(watching(place), picture, class_id=0).any()


def test_grad_cam_takes_the_score_before_the_softmax():
    model = watching((1, 3))
    picture = np.zeros((5, 5, 1))
    picture[1, 3] = 1e3  # so sure that the gradient of the probability is 0 in float32
    assert model.predict(picture[None], verbose=0)[0, 1] == 1
    assert insight.grad_cam(model, picture, class_id=1)[1, 3] == 1


def test_grad_cam_spreads_over_a_map_what_is_known_of_one_place():
    # The chapter's warning: the mean gradient of a map cannot say where on the map it is wanted.
    model = watching((0, 0), side=3)
    kernel, bias, dense, answer = model.get_weights()
    dense[8, 1] = -0.5
    model.set_weights([kernel, bias, dense, answer])
    picture = np.zeros((3, 3, 1))
    picture[0, 0] = picture[2, 2] = 1
    heat = insight.grad_cam(model, picture, class_id=1)
    assert heat[2, 2] == heat[0, 0] == 1
    drop = insight.occlusion(model, picture, 1, window=1)
    assert drop[0, 0] > 0 > drop[2, 2]


def test_grad_cam_refuses_what_it_cannot_explain(pictures):
    model = small()
    with pytest.raises(ValueError, match=r"layer must give maps .* 'flat' gives \(None, 24\)"):
        insight.grad_cam(model, pictures[0], layer="flat")
    with pytest.raises(ValueError, match="class_id must lie between 0 and 4, got 5"):
        insight.grad_cam(model, pictures[0], 5)
    with pytest.raises(ValueError, match="class_id must be a class, or one for each of 1 images"):
        insight.grad_cam(model, pictures[0], [1, 2])
    with pytest.raises(ValueError, match=r"an image of shape \(8, 7, 2\), or several"):
        insight.grad_cam(model, pictures[0, :5])
    with pytest.raises(ValueError, match="model must end in a Dense layer with a softmax, got 'c"):
        insight.grad_cam(
            keras.Sequential([layers.Input((8, 7, 2)), layers.Conv2D(1, 1, name="c")]), pictures[0]
        )
    with pytest.raises(ValueError, match="layer must be named, for"):
        insight.grad_cam(models.mnist_dense(), np.zeros((28, 28, 1)))


# Occlusion


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 1), (3, 2), (5, 1)])
@pytest.mark.parametrize("place", [(0, 0), (1, 3), (4, 4)])
def test_occlusion_finds_the_place_that_decides(place, window, stride):
    model, picture = watching(place), np.full((5, 5, 1), 2.0)
    drop = insight.occlusion(model, picture, 1, window=window, stride=stride)
    corners = range(0, 5 - window + 1, stride)
    covered = [
        [r <= place[0] < r + window and c <= place[1] < c + window for c in corners]
        for r in corners
    ]
    probability = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(drop, np.where(covered, probability - 0.5, 0), atol=1e-6)


@ways
def test_occlusion_is_the_difference_of_two_answers(pictures, how):
    model, picture = small(**how), pictures[0]
    drop = insight.occlusion(model, picture, 3, window=3, stride=2, value=[0.5, -1])
    assert drop.shape == (3, 3)
    hidden = picture.copy()
    hidden[2:5, 4:7] = [0.5, -1]
    both = model.predict(np.stack([picture, hidden]), verbose=0)[:, 3]
    np.testing.assert_allclose(drop[1, 2], both[0] - both[1], atol=1e-6)


def test_occlusion_asks_about_the_answer_by_default(pictures):
    model = small()
    answer = int(model.predict(pictures[:1], verbose=0).argmax())
    np.testing.assert_array_equal(
        insight.occlusion(model, pictures[0], window=2),
        insight.occlusion(model, pictures[0], answer, window=2),
    )


def test_occlusion_refuses_what_does_not_fit(pictures):
    for settings, message in [
        ({"window": 8}, "window must be from 1 to 7, got 8"),
        ({"window": 0}, "window must be from 1 to 7, got 0"),
        ({"window": 2, "stride": 0}, "stride must be >= 1, got 0"),
        ({"window": 2, "class_id": -1}, "class_id must lie between 0 and 4"),
    ]:
        with pytest.raises(ValueError, match=message):
            insight.occlusion(small(), pictures[0], **settings)
    with pytest.raises(ValueError, match="x must be one image"):
        insight.occlusion(small(), pictures, window=2)


# Sanity checks


@ways
def test_randomised_draws_all_weights_and_keeps_all_shapes(how):
    model = small(**how)
    before = model.get_weights()
    drawn = insight.randomised(model, seed=0).get_weights()
    assert [a.shape for a in drawn] == [a.shape for a in before]
    assert all((a != b).all() for a, b in zip(drawn, before, strict=True))
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_randomised_draws_the_same_from_one_seed_and_others_from_another():
    model = small()
    first, again, other = (insight.randomised(model, seed).get_weights() for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).all()


def test_randomised_keeps_mean_spread_and_positive_numbers():
    model = noisy(models.mnist_cnn())
    kernel = model.layers[-3].get_weights()[0]
    drawn = insight.randomised(model, 0).layers[-3].get_weights()[0]
    assert drawn.mean() == pytest.approx(kernel.mean(), abs=0.01)
    assert drawn.std() == pytest.approx(kernel.std(), rel=0.02)
    trained = small()
    for seed in range(20):
        variances = insight.randomised(trained, seed).get_layer("norm").get_weights()[3]
        assert (variances > 0).all()


def test_randomised_draws_two_layers_of_one_shape_differently():
    twins = noisy(
        keras.Sequential([layers.Input((9, 9, 1)), layers.Conv2D(1, 3), layers.Conv2D(1, 3)])
    )
    first, second = (one.get_weights()[0].ravel() for one in insight.randomised(twins, 0).layers)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.9


def test_randomised_leaves_the_other_layers_and_draws_each_alike():
    model = small()
    everything = insight.randomised(model, 3)
    some = insight.randomised(model, 3, layers=["second", -1])
    for layer, drawn, before in zip(some.layers, everything.layers, model.layers, strict=True):
        expected = drawn if layer.name in ("second", "answer") else before
        for a, b in zip(layer.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="layers must be a list"):
        insight.randomised(model, 0, layers="second")


@pytest.mark.parametrize("how", ["grad_cam", "occlusion"])
def test_randomised_weights_change_the_picture(pictures, how):
    model = small()

    def look(model):
        if how == "grad_cam":
            return [insight.grad_cam(model, picture, 2) for picture in pictures]
        return [insight.occlusion(model, picture, 2, window=3) for picture in pictures]

    found = [
        insight.similarity(a, b)
        for seed in range(3)
        for a, b in zip(look(model), look(insight.randomised(model, seed)), strict=True)
    ]
    assert np.mean(found) < 0.5
    same = [insight.similarity(a, b) for a, b in zip(look(model), look(model), strict=True)]
    assert min(same) > 0.99


def test_similarity_is_the_correlation_of_ranks():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 4, 5))
    expected = stats.pearsonr(stats.rankdata(a), stats.rankdata(b)).statistic
    assert insight.similarity(a, b) == pytest.approx(expected)
    assert insight.similarity(a, -a) == pytest.approx(-1)
    assert insight.similarity(a, np.exp(a)) == pytest.approx(1)
    assert insight.similarity(a, np.zeros((4, 5))) == 0
    with pytest.raises(ValueError, match="one shape, got"):
        insight.similarity(a, b.T)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_published_weights_are_those_of_the_published_report(real_data, seed):
    folder = Path(__file__).resolve().parents[2] / "published" / "mnist-cnn"
    report = runs.read_report(folder / f"seed{seed}.json")
    pictures, labels = open_dataset("mnist", real_data).load_train()
    _, held_out = splits.by_image(labels.astype(np.int64), fraction=0.1, seed=seed)
    model = models.mnist_cnn()
    model.load_weights(folder / f"seed{seed}.weights.h5")
    answers = model.predict(pictures[held_out][..., None] / np.float32(255), verbose=0)
    confusion = scores.confusion_matrix(labels[held_out], answers.argmax(axis=1), 10)
    assert confusion.tolist() == report.validation["confusion"]
