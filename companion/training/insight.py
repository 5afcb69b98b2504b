"""What a trained network looks at, and how to doubt the pictures that say so.

Taught in the chapter *What the network looks at*.
"""

import math
from difflib import get_close_matches

import numpy as np

# Images in memory at once, with all that a network makes of them.
_OCCLUDED_TOGETHER = 128


def feature_maps(model, x, layer):
    """Give what a layer makes of some images.

    Taught in the chapter *What the network looks at*.

    Parameters
    ----------
    model : keras.Model
        Built, Sequential or functional.
    x : array-like, (N, H, W, C)
        Images as the network takes them.
    layer : str, int or keras.layers.Layer
        Its name, its place in ``model.layers`` or itself.

    Returns
    -------
    ndarray of float32, (N, …)
        The layer's output, (N, H', W', F) of a convolution with F filters.

    Raises
    ------
    ValueError
        If the model has no such layer, or `x` is not a batch of its images.

    Examples
    --------
    >>> import keras
    >>> half = keras.layers.MaxPooling2D(2, name="half")
    >>> model = keras.Sequential([keras.Input((4, 4, 1)), half])
    >>> feature_maps(model, np.arange(16.0).reshape(1, 4, 4, 1), "half")[0, ..., 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    image, outputs = _graph(model)
    x = np.asarray(x, dtype="float32")
    if x.shape[1:] != image.shape[1:]:
        raise ValueError(f"x must be images of shape (N, {_sizes(image)}), got {x.shape}")
    found = _find(model, layer)
    return _submodel(image, outputs[found]).predict(x, batch_size=256, verbose=0)


def grad_cam(model, x, class_id=None, layer=None):
    """Map the places of a convolution that speak for a class (Grad-CAM).

    The gradient of the class's score with respect to every map of the convolution is averaged over
    each map's places; this is the map's weight. The weighted sum of the maps, its negative part
    cut off, is stretched over the image and divided by its largest value.

    The score is the one *before* the softmax (the logit), computed from the last layer's kernel and
    bias. The gradient of a probability vanishes in float32 where the softmax is saturated, and
    that of its logarithm would mix in the scores of all other classes.

    Taught in the chapter *What the network looks at*.

    Parameters
    ----------
    model : keras.Model
        A classifier whose last layer is a Dense one, with a softmax or without activation.
    x : array-like, (H, W, C) or (N, H, W, C)
        An image as the network takes it, or several.
    class_id : int or array-like of int, (N,), optional
        For which class; by default the network's answer to each image.
    layer : str, int or keras.layers.Layer, optional
        A layer that gives maps; by default the last convolution. Where a convolution is followed by
        a normalisation or an activation that are layers of their own, name the last of these.

    Returns
    -------
    ndarray of float32, (H, W) or (N, H, W)
        In 0 … 1. The largest value of a map is 1, however little the network cared, unless
        nothing speaks for the class: then all are 0.

    Raises
    ------
    ValueError
        If the model, the class or the layer are not of these kinds.

    References
    ----------
    R. R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra, "Grad-CAM: Visual
    explanations from deep networks via gradient-based localization", ICCV (2017).

    Examples
    --------
    The class 1 of this network is the value of one pixel:

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((2, 2, 1)), keras.layers.Conv2D(1, 1), keras.layers.Flatten(),
    ...     keras.layers.Dense(2, activation="softmax")])
    >>> dense = np.zeros((4, 2)); dense[1, 1] = 1
    >>> model.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1), dense, np.zeros(2)])
    >>> grad_cam(model, np.array([[0, 4], [0, 1]])[..., None], class_id=1)
    array([[0.  , 1.  ],
           [0.  , 0.25]], dtype=float32)
    """
    import jax
    import keras

    image, outputs = _graph(model)
    x = np.asarray(x, dtype="float32")
    one = x.shape == image.shape[1:]
    if one:
        x = x[None]
    elif x.shape[1:] != image.shape[1:] or not len(x):
        raise ValueError(
            f"x must be an image of shape ({_sizes(image)}), or several, got {x.shape}"
        )
    last = model.layers[-1]
    if (
        not isinstance(last, keras.layers.Dense)
        or len(last.output.shape) != 2
        or last.activation not in (keras.activations.softmax, keras.activations.linear)
    ):
        raise ValueError(
            f"model must end in a Dense layer with a softmax, got {last.name!r} at its end"
        )
    chosen = _last_convolution(model) if layer is None else _find(model, layer)
    if len(outputs[chosen].shape) != 4:
        raise ValueError(
            f"layer must give maps (N, H, W, F), but {model.layers[chosen].name!r} gives "
            f"{outputs[chosen].shape}"
        )
    maps = _submodel(image, outputs[chosen])(x, training=False)
    rest = _submodel(outputs[chosen], outputs["features"])
    state = [
        [variable.value for variable in variables]
        for variables in (rest.trainable_variables, rest.non_trainable_variables)
    ]
    kernel, bias = last.get_weights() if last.use_bias else (*last.get_weights(), 0.0)

    def logits(maps):
        features, _ = rest.stateless_call(*state, maps, training=False)
        return features @ kernel + bias

    wanted = _classes(class_id, np.asarray(logits(maps)))
    # Images do not meet in a network that is not training: one gradient serves them all.
    gradient = jax.grad(lambda maps: logits(maps)[np.arange(len(x)), wanted].sum())(maps)
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    heat = np.maximum((weights * maps).sum(axis=-1, keepdims=True), 0)
    heat = keras.ops.image.resize(heat, x.shape[1:3], interpolation="bilinear")
    heat = np.asarray(heat)[..., 0]
    top = heat.max(axis=(1, 2), keepdims=True)
    heat = np.divide(heat, top, out=np.zeros_like(heat), where=top > 0)
    return heat[0] if one else heat


def occlusion(model, x, class_id=None, *, window, stride=1, value=0.0):
    """Measure how far a class's probability drops when a part is hidden.

    A square window of one value slides over the image. Taught in the chapter
    *What the network looks at*.

    Parameters
    ----------
    model : keras.Model
        Of images to (N, classes) probabilities.
    x : array-like, (H, W, C)
        An image as the network takes it.
    class_id : int, optional
        For which class; by default the network's answer to the whole image.
    window : int
        Side of the window in pixels, from 1 to the image's shorter side.
    stride : int
        Step of the window in pixels, at least 1.
    value : float or array-like of float, (C,)
        What is put into the window, in the image's units.

    Returns
    -------
    ndarray of float32, ((H - window) // stride + 1, (W - window) // stride + 1)
        The probability of the whole image less that of the image with the window at
        (row · stride, column · stride), its upper left corner: positive where what was hidden spoke
        for the class, negative where it spoke against.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    Zeiler, M. D., and Fergus, R., "Visualizing and understanding convolutional networks",
    ECCV (2014).

    Examples
    --------
    The class 1 of this network has the value of the upper right pixel as its score:

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((2, 2, 1)), keras.layers.Flatten(),
    ...     keras.layers.Dense(2, activation="softmax")])
    >>> dense = np.zeros((4, 2)); dense[1, 1] = 1
    >>> model.set_weights([dense, np.zeros(2)])
    >>> drop = occlusion(model, np.full((2, 2, 1), 4.0), class_id=1, window=1)
    >>> drop.round(2) + 0.0
    array([[0.  , 0.48],
           [0.  , 0.  ]], dtype=float32)
    """
    _check(model)
    x = np.asarray(x, dtype="float32")
    if x.shape != tuple(model.input_shape[1:]):
        raise ValueError(f"x must be one image of shape {model.input_shape[1:]}, got {x.shape}")
    height, width = x.shape[:2]
    if not 1 <= window <= min(height, width):
        raise ValueError(f"window must be from 1 to {min(height, width)}, got {window}")
    if stride < 1:
        raise ValueError(f"stride must be >= 1, got {stride}")
    tops, lefts = range(0, height - window + 1, stride), range(0, width - window + 1, stride)
    places = len(tops) * len(lefts)
    # The whole image comes last, as often as it takes to fill batches of one size: each size of a
    # batch is compiled anew, which takes longer than the predictions.
    batches = math.ceil((places + 1) / _OCCLUDED_TOGETHER)
    batch_size = math.ceil((places + 1) / batches)
    pictures = np.repeat(x[None], batches * batch_size, axis=0)
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            pictures[i * len(lefts) + j, top : top + window, left : left + window] = value
    answers = model.predict(pictures, batch_size=batch_size, verbose=0)
    wanted = _classes(class_id, answers[-1:])[0]
    drop = answers[-1, wanted] - answers[:places, wanted]
    return drop.reshape(len(tops), len(lefts))


def randomised(model, seed, layers=None):
    """Copy a network with weights drawn anew: the same shape, nothing learned.

    A picture that claims to show what a network has learned must change when the weights do; one
    that stays shows the image, or the method. Each array is drawn from a normal distribution with
    the mean and the spread of the trained one, so that what is lost is how the numbers are
    arranged; one without negative numbers, such as the variances of a batch normalisation, gets
    none. An array of one value alone, such as the biases of a new network, stays as it is.

    Taught in the chapter *What the network looks at*.

    Parameters
    ----------
    model : keras.Model
        Built. It is not changed.
    seed : int
        Of the drawing, >= 0.
    layers : sequence of str, int or keras.layers.Layer, optional
        Which layers are drawn anew; by default all.

    Returns
    -------
    keras.Model
        The copy.

    Raises
    ------
    ValueError
        If the model has no such layer.

    References
    ----------
    J. Adebayo, J. Gilmer, M. Muelly, I. Goodfellow, M. Hardt, B. Kim, "Sanity checks for saliency
    maps", NeurIPS (2018). They draw from the distribution of the first weights instead.

    Examples
    --------
    >>> from companion.training import models
    >>> trained = models.mnist_cnn()
    >>> drawn = randomised(trained, seed=0)
    >>> drawn.count_params(), np.allclose(drawn.get_weights()[0], trained.get_weights()[0])
    (42358, False)
    """
    import keras

    if isinstance(layers, str):
        raise ValueError(f"layers must be a list of layers, got the name {layers!r} alone")
    chosen = range(len(model.layers)) if layers is None else [_find(model, one) for one in layers]
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for i in chosen:
        # A generator for each layer: what one layer gets does not depend on which others are drawn.
        random = np.random.default_rng([seed, i])
        copy.layers[i].set_weights([_drawn_like(a, random) for a in copy.layers[i].get_weights()])
    return copy


def similarity(a, b):
    """Give the rank correlation of two maps (Spearman's).

    It asks whether the two maps rank the places alike, whatever their scales. Taught in the chapter
    *What the network looks at*.

    Parameters
    ----------
    a, b : array-like of float
        Of one shape.

    Returns
    -------
    float
        From -1 (opposite order) over 0 (nothing in common) to 1 (same order). 0 where one of them
        has a single value everywhere, which ranks nothing.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> round(similarity([[1, 2], [3, 4]], [[1, 4], [9, 16]]), 6)
    1.0
    >>> similarity([[1, 2], [3, 4]], [[5, 5], [5, 5]])
    0.0
    """
    from scipy import stats

    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise ValueError(f"a and b must have one shape, got {a.shape} and {b.shape}")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(stats.spearmanr(a.ravel(), b.ravel()).statistic)


def _graph(model):
    """Give the model's input, and the output of each layer by place, and the last one's input."""
    import keras

    _check(model)
    if isinstance(model, keras.Sequential):
        # A Sequential that was built by `add` keeps many graphs, and `layer.output` is of any.
        image = keras.Input(model.input_shape[1:])
        outputs, tensor = {}, image
        for i, layer in enumerate(model.layers):
            outputs["features"] = tensor
            tensor = outputs[i] = layer(tensor)
    else:
        image = model.inputs[0]
        outputs = {i: layer.output for i, layer in enumerate(model.layers)}
        outputs["features"] = model.layers[-1].input
    return image, outputs


def _check(model):
    if not getattr(model, "inputs", None):  # a Sequential that is not built lacks it
        raise ValueError(
            "model must be a built Sequential or functional one: give it an Input layer, "
            "or call it on an image once"
        )


def _submodel(start, end):
    import keras

    return keras.Model(start, end)


def _find(model, layer):
    """Give the place of a layer in ``model.layers``."""
    names = [one.name for one in model.layers]
    if isinstance(layer, str):
        if layer not in names:
            near = get_close_matches(layer, names, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"layer must be one of {', '.join(names)}, got {layer!r}{hint}")
        return names.index(layer)
    if isinstance(layer, int | np.integer):
        if not -len(names) <= layer < len(names):
            raise ValueError(f"layer must be a place among {len(names)} layers, got {layer}")
        return int(layer) % len(names)
    places = [i for i, one in enumerate(model.layers) if one is layer]
    if not places:
        raise ValueError(f"layer must be a layer of {model.name}, got {layer!r}")
    return places[0]


def _last_convolution(model):
    import keras

    kinds = keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D
    places = [i for i, layer in enumerate(model.layers) if isinstance(layer, kinds)]
    if not places:
        raise ValueError(f"layer must be named, for {model.name} has no convolution of images")
    return places[-1]


def _classes(class_id, scores):
    """Give the class asked for of each image, or the one with the largest score."""
    if class_id is None:
        return scores.argmax(axis=1)
    images, classes = scores.shape
    wanted = np.asarray(class_id)
    if wanted.dtype.kind not in "iu" or wanted.shape not in ((), (images,)):
        raise ValueError(f"class_id must be a class, or one for each of {images} images")
    if wanted.min() < 0 or wanted.max() >= classes:
        raise ValueError(f"class_id must lie between 0 and {classes - 1}, got {class_id}")
    return np.broadcast_to(wanted, images)


def _drawn_like(array, random):
    drawn = random.normal(array.mean(), array.std(), array.shape)
    return np.abs(drawn) if (array >= 0).all() else drawn


def _sizes(tensor):
    return ", ".join(map(str, tensor.shape[1:]))
