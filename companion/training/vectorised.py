"""Many copies of one network, trained together in one compiled program."""

import keras
import numpy as np

HOW = ("vmap", "map")


def fit(
    models,
    x,
    y,
    *,
    rows,
    epochs,
    batch_size,
    validation_rows=None,
    callbacks=None,
    initial_epoch=0,
    how=None,
):
    """Train several compiled models of one architecture together.

    The models are built and compiled as for ``model.fit``, and may differ in what a seed draws
    (first weights, order of the images, dropout, augmentation), in the learning rate and its
    schedule, in their part of the images and in the images themselves. One program holds them
    all: their variables are stacked, `jax.vmap` turns Keras' own ``train_step`` for one model
    into that for all, and `jax.lax.scan` runs over the batches of an epoch, with the images on
    the device. The result of each is that of ``model.fit`` alone, up to rounding. Taught in the
    chapter *How fast, and why*.

    It is meant for accelerators. On a CPU, XLA has no fast convolution for stacked kernels, nor
    within a loop: there, train convolutional networks one after another.

    Parameters
    ----------
    models : sequence of keras.Model
        Built and compiled, M of them; trained in place.
    x : array, (N, H, W, C), or sequence of M such arrays
        Images that all models share, or those of each; arrays that are the same object are kept
        once. All of one shape.
    y : array of int, (N,), or sequence of M such arrays
        Their classes.
    rows : sequence of M arrays of int, each (n,)
        Which images each model is trained on; as many for each.
    epochs : int
        At least 1.
    batch_size : int
        At least 1; a last, smaller batch is used as ``fit`` uses it.
    validation_rows : sequence of M arrays of int, optional
        Which images each model is validated on after each epoch.
    callbacks : sequence of M lists of keras.callbacks.Callback, optional
        Of each model. They are called when the training and each epoch begin and end, not for
        batches; one that sets ``model.stop_training`` is refused.
    initial_epoch : int
        As for ``fit``.
    how : {"vmap", "map"}, optional
        Whether the models take each step side by side or one after another; by default side by
        side where there is an accelerator.

    Returns
    -------
    list of dict of str to list of float
        The history of each model.

    Raises
    ------
    ValueError
        If the models differ in more than they may, or an argument does not fit the others.

    Examples
    --------
    >>> from keras import layers
    >>> def build(seed):
    ...     keras.utils.set_random_seed(seed)
    ...     model = keras.Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
    ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ...     model.compile("adam", loss=loss)
    ...     return model
    >>> x = np.random.default_rng(0).random((10, 4, 4, 1), dtype="float32")
    >>> y = np.arange(10) % 2
    >>> histories = fit(
    ...     [build(0), build(1)], x, y, rows=[np.arange(10)] * 2, epochs=3, batch_size=4
    ... )
    >>> [len(history["loss"]) for history in histories]
    [3, 3]
    """
    import jax

    models = list(models)
    count = len(models)
    if how is None:
        how = "map" if jax.default_backend() == "cpu" else "vmap"
    _check(models, rows, validation_rows, callbacks, epochs, batch_size, how)
    # Apart from what was compiled before: its optimizer's learning rate is a variable.
    worker = _worker(models[0])
    state = _stack([_state(model, worker) for model in models])
    images, image_of = _distinct(x, count, "x")
    classes, classes_of = _distinct(y, count, "y")
    program = _program(worker, images, classes, image_of, classes_of, how)

    size = len(rows[0])
    steps, rest = divmod(size, batch_size)
    per_epoch = steps + (rest > 0)
    lists = [
        keras.callbacks.CallbackList(
            [*(callbacks[i] if callbacks else ())],
            add_history=True,
            add_progbar=False,
            model=model,
            epochs=epochs,
            steps=per_epoch,
            verbose=0,
        )
        for i, model in enumerate(models)
    ]
    for model, one in zip(models, lists, strict=True):
        model.stop_training = False
        one.on_train_begin()
    # A callback may have brought back an earlier state.
    state = _stack([_state(model, worker) for model in models])
    for epoch in range(initial_epoch, epochs):
        orders = []
        for one, own in zip(lists, rows, strict=True):
            one.on_epoch_begin(epoch)
            # As fit does, from NumPy's global generator, which a callback may have seeded.
            orders.append(np.asarray(own)[np.random.permutation(len(own))])  # noqa: NPY002
        state = _renew_random_states(state, models, worker)
        order = np.stack(orders, axis=1).astype("int32")  # (n, M)
        rates = np.stack([_rates(model, epoch, per_epoch) for model in models], axis=1)
        state = _reset_metrics(state, worker, count)
        if steps:
            whole = order[: steps * batch_size].reshape(steps, batch_size, count)
            state = program(state, whole.transpose(0, 2, 1), rates[:steps])
        if rest:
            state = program(state, order[steps * batch_size :].T[None], rates[steps:])
        for i, (model, one) in enumerate(zip(models, lists, strict=True)):
            _give_back(state, i, model, worker)
            logs = {key: float(value) for key, value in worker.get_metrics_result().items()}
            if validation_rows is not None:
                held_out = np.asarray(validation_rows[i])
                validated = worker.evaluate(
                    images[image_of[i]][held_out],
                    classes[classes_of[i]][held_out],
                    batch_size=batch_size,
                    verbose=0,
                    return_dict=True,
                )
                logs |= {f"val_{key}": float(value) for key, value in validated.items()}
            one.on_epoch_end(epoch, logs)
            if model.stop_training:
                raise ValueError(
                    "callbacks must not stop a training that others share, and one of model "
                    f"{i} did after epoch {epoch + 1}: leave it out, or use model.fit"
                )
    for one in lists:
        one.on_train_end()
    return [model.history.history for model in models]


def groups(models, rows):
    """Say which models can be trained together.

    Parameters
    ----------
    models : sequence of keras.Model
        Built and compiled.
    rows : sequence of arrays of int
        Which images each is trained on.

    Returns
    -------
    list of list of int
        Numbers of models, from 0: of one group are those of the same architecture, optimizer,
        loss and number of images.

    Examples
    --------
    >>> from companion.training import models
    >>> pair = [models.mnist_cnn(), models.mnist_cnn()]
    >>> for model in pair:
    ...     model.compile("adam", loss="sparse_categorical_crossentropy")
    >>> groups(pair, [np.arange(9), np.arange(8)])
    [[0], [1]]
    """
    found = {}
    for i, (model, own) in enumerate(zip(models, rows, strict=True)):
        found.setdefault((_kind(model), len(own)), []).append(i)
    return list(found.values())


def _check(models, rows, validation_rows, callbacks, epochs, batch_size, how):
    if not models:
        raise ValueError("models must hold one model at least, got none")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")
    if how not in HOW:
        raise ValueError(f"how must be one of {', '.join(HOW)}, got {how!r}")
    for name, values in (
        ("rows", rows),
        ("validation_rows", validation_rows),
        ("callbacks", callbacks),
    ):
        if values is not None and len(values) != len(models):
            raise ValueError(f"{name} must have an entry a model, {len(models)}, got {len(values)}")
    for i, model in enumerate(models):
        if getattr(model, "optimizer", None) is None:
            raise ValueError(f"models must be compiled, and model {i} is not")
        if _kind(model) != _kind(models[0]):
            raise ValueError(
                f"models must be of one architecture, optimizer and loss, and model {i} differs "
                "from model 0: see groups"
            )
        if len(rows[i]) != len(rows[0]):
            raise ValueError(
                f"rows must be as many for each model, {len(rows[0])} as for model 0, got "
                f"{len(rows[i])} for model {i}: see groups"
            )
    if not len(rows[0]):
        raise ValueError("rows must hold one image a model at least, got none")


def _kind(model):
    """Give a text that two models share if one program can train both."""
    import json

    layers = []
    for layer in model.layers:
        config = {k: v for k, v in layer.get_config().items() if k not in ("name", "seed")}
        layers.append([type(layer).__name__, config])
    compiled = model.get_compile_config() or {}
    optimizer = dict(compiled.get("optimizer") or {})
    optimizer["config"] = {
        k: v for k, v in optimizer.get("config", {}).items() if k not in ("learning_rate", "name")
    }
    said = [model.input_shape, layers, optimizer, compiled.get("loss"), compiled.get("metrics")]
    return json.dumps(said, sort_keys=True, default=repr)


def _worker(model):
    """Make the model whose ``train_step`` is compiled: its learning rate is a variable."""
    config = model.get_compile_config()
    config["optimizer"]["config"]["learning_rate"] = 1.0
    worker = keras.models.clone_model(model)
    worker.compile_from_config(config)
    worker.optimizer.build(worker.trainable_variables)
    # The metrics make their variables when they first see a batch.
    shape = (1, *model.input_shape[1:])
    worker.evaluate(np.zeros(shape, "float32"), np.zeros(1, "int32"), verbose=0)
    return worker


def _slots(optimizer):
    """Give an optimizer's variables without the learning rate, which a schedule has none of."""
    rate = getattr(optimizer, "_learning_rate", None)
    return [variable for variable in optimizer.variables if variable is not rate]


def _state(model, worker):
    model.optimizer.build(model.trainable_variables)
    return {
        "trainable": [v.value for v in model.trainable_variables],
        "other": [v.value for v in model.non_trainable_variables],
        "slots": [v.value for v in _slots(model.optimizer)],
        "metrics": [v.value for v in worker.metrics_variables],
    }


def _stack(states):
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda *values: jnp.stack(values), *states)


def _reset_metrics(state, worker, count):
    import jax.numpy as jnp

    zeros = [jnp.zeros((count, *v.shape), v.dtype) for v in worker.metrics_variables]
    return {**state, "metrics": zeros}


def _renew_random_states(state, models, worker):
    """Take over what a callback made of the states of random draws."""
    import jax.numpy as jnp

    from companion.training.checkpoints import random_states

    drawn = {id(variable) for variable in random_states(models[0])}
    other = list(state["other"])
    for k, variable in enumerate(models[0].non_trainable_variables):
        if id(variable) in drawn:
            other[k] = jnp.stack([model.non_trainable_variables[k].value for model in models])
    return {**state, "other": other}


def _rates(model, epoch, steps):
    """Give the learning rate of each step of an epoch."""
    rate = model.optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        done = int(model.optimizer.iterations.value)
        return np.array([float(rate(done + step)) for step in range(steps)], "float32")
    return np.full(steps, float(rate.value), "float32")


def _program(worker, images, classes, image_of, classes_of, how):
    import jax
    import jax.numpy as jnp

    slots = {id(variable) for variable in _slots(worker.optimizer)}
    is_slot = [id(variable) in slots for variable in worker.optimizer.variables]
    image_of, classes_of = jnp.asarray(image_of), jnp.asarray(classes_of)
    images, classes = jnp.stack(images), jnp.stack(classes)

    def one_step(state, rate, own, own_image, own_classes, images, classes):
        """Train one model on one batch, as ``fit`` would."""
        left = iter(state["slots"])
        optimizer = [next(left) if slot else rate for slot in is_slot]
        batch = images[own_image, own], classes[own_classes, own]
        _, after = worker.train_step(
            (state["trainable"], state["other"], optimizer, state["metrics"]), batch
        )
        trainable, other, optimizer, metrics = after
        kept = [value for value, slot in zip(optimizer, is_slot, strict=True) if slot]
        return {"trainable": trainable, "other": other, "slots": kept, "metrics": metrics}

    @jax.jit
    def program(state, rows, rates, images, classes):
        def step(state, given):
            rows, rates = given

            def one(args):
                return one_step(*args, images, classes)

            args = (state, rates, rows, image_of, classes_of)
            after = jax.vmap(one)(args) if how == "vmap" else jax.lax.map(one, args)
            return after, None

        return jax.lax.scan(step, state, (rows, rates))[0]

    return lambda state, rows, rates: program(state, rows, rates, images, classes)


def _give_back(state, i, model, worker):
    """Put the state of one model into it, and into the worker that evaluates it."""
    for target in (model, worker):
        pairs = (
            (target.trainable_variables, "trainable"),
            (target.non_trainable_variables, "other"),
            (_slots(target.optimizer), "slots"),
        )
        for variables, key in pairs:
            for variable, values in zip(variables, state[key], strict=True):
                variable.assign(values[i])
    for variable, values in zip(worker.metrics_variables, state["metrics"], strict=True):
        variable.assign(values[i])


def _distinct(arrays, count, name):
    """Give the arrays that differ, and which of them each model takes."""
    if not isinstance(arrays, list | tuple):
        return [np.asarray(arrays)], np.zeros(count, int)
    if len(arrays) != count:
        raise ValueError(f"{name} must have an array a model, {count}, got {len(arrays)}")
    kept, number = [], {}
    for array in arrays:
        if id(array) not in number:
            number[id(array)] = len(kept)
            kept.append(np.asarray(array))
    if len({array.shape for array in kept}) > 1:
        shapes = sorted({array.shape for array in kept})
        raise ValueError(f"{name} must be arrays of one shape, got {shapes}")
    return kept, np.array([number[id(array)] for array in arrays])
