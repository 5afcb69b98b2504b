"""The book's experiments, run from the command line as their chapters run them."""

import contextlib
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from companion.data import budgets
from companion.experiments import runs

# What `Settings.colour` multiplies; see `companion.training.augmentation.layers`.
COLOUR = {"saturation": 0.4, "tint": 0.13, "shade": 0.33}
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Settings:
    """What an experiment is run with.

    Parameters
    ----------
    experiment : str
        A name of `EXPERIMENTS`.
    epochs, batch_size : int
        At least 1.
    fraction : float
        Of the training images that are held out for validation, between 0 and 1.
    split : str
        ``"track"``: whole (class, track) groups are held out; ``"image"``: images at random,
        stratified by class.
    recipe : str or None
        How the traffic signs are cooked.
    augment : bool
        Change the training images at random, differently in each epoch; see
        `companion.training.augmentation`.
    strength : float
        Of `augment`: how many times its amounts are as large as they are by default; above 0.
    colour : float
        Of `augment`: how strongly colours and light are changed, too; 0 leaves them alone, and 1
        stands for the amounts of `COLOUR` times `strength`. Grey images have no saturation.
    flips : bool
        Add the images that legal flips make of training images; see `companion.data.flips`.
    learning_rate : float
        Of Adam, above 0.
    schedule : str
        ``"constant"``, or ``"cosine"``: the learning rate falls to 0 along half a cosine.
    weight_decay : float
        Share of each weight that Adam takes off in a step, times the learning rate; at least 0.
    budget : str
        How much of the data is used.
    scale : float or None
        Share of the training images that is used, above 0 up to 1, whatever the budget says.
    seed : int
        Of the data drawn, the split, the weights, the order, dropout and augmentation.
    """

    experiment: str
    epochs: int
    batch_size: int
    fraction: float
    split: str
    recipe: str | None = None
    augment: bool = False
    strength: float = 1.0
    colour: float = 0.0
    flips: bool = False
    learning_rate: float = 1e-3
    schedule: str = "constant"
    weight_decay: float = 0.0
    budget: str = "quick"
    scale: float | None = None
    seed: int = 0

    def __post_init__(self):
        budgets.get(self.budget)
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not 0 < self.fraction < 1:
            raise ValueError(f"fraction must lie between 0 and 1, got {self.fraction}")
        if self.split not in ("track", "image"):
            raise ValueError(f"split must be 'track' or 'image', got {self.split!r}")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {SCHEDULES}, got {self.schedule!r}")
        if self.strength <= 0:
            raise ValueError(f"strength must be > 0, got {self.strength}")
        if self.strength != 1 and not self.augment:
            raise ValueError(
                f"strength is that of augment: set augment too, or leave out {self.strength}"
            )
        if not self.colour >= 0:
            raise ValueError(f"colour must be >= 0, got {self.colour}")
        most = 1 / (self.strength * max(COLOUR["saturation"], COLOUR["tint"]))
        if self.colour > most:
            raise ValueError(
                f"colour must be <= {most:g} with strength {self.strength:g}, got {self.colour:g}"
            )
        if self.colour and not self.augment:
            raise ValueError(f"colour is of augment: set augment too, or leave out {self.colour}")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay must be >= 0, got {self.weight_decay}")
        if self.scale is not None and not 0 < self.scale <= 1:
            raise ValueError(f"scale must lie above 0 and up to 1, got {self.scale}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        if self.experiment.startswith("mnist"):
            if self.recipe is not None:
                raise ValueError(
                    f"recipe must be left out for {self.experiment}, got {self.recipe!r}"
                )
            if self.split == "track":
                raise ValueError("split must be 'image' for MNIST, whose digits have no tracks")
            if self.augment or self.flips:
                raise ValueError(
                    f"augment and flips are for traffic signs, leave them out for {self.experiment}"
                )


EXPERIMENTS = {
    "mnist-dense": Settings("mnist-dense", 12, 128, 0.1, "image"),
    "mnist-cnn": Settings("mnist-cnn", 12, 128, 0.1, "image"),
    "gtsrb-v1": Settings("gtsrb-v1", 5, 64, 0.2, "track", recipe="24x24-L"),
    "gtsrb-v2": Settings("gtsrb-v2", 5, 64, 0.2, "track", recipe="24x24-L"),
    "gtsrb-v3": Settings("gtsrb-v3", 5, 64, 0.2, "track", recipe="24x24-L"),
    "gtsrb-small": Settings("gtsrb-small", 10, 64, 0.2, "track", recipe="24x24-L"),
    **{  # with all filters, three quarters of them and half
        name: Settings(name, 10, 64, 0.2, "track", recipe="32x32-RGB")
        for name in ("gtsrb-compact", "gtsrb-compact-75", "gtsrb-compact-50")
    },
}


def _known(name, value, known):
    """Refuse a value that is not known, and name the nearest one."""
    if value not in known:
        near = get_close_matches(str(value), known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}{hint}")


def settings(experiment, **changes):
    """Give the settings of an experiment, with some changed.

    Parameters
    ----------
    experiment : str
        A name of `EXPERIMENTS`.
    **changes
        Fields of `Settings`; None leaves one as it is.

    Returns
    -------
    Settings

    Raises
    ------
    ValueError
        If the name is unknown or a value is out of range.

    Examples
    --------
    >>> settings("gtsrb-v1", epochs=2).epochs
    2
    >>> settings("mnist-cn")
    Traceback (most recent call last):
        ...
    ValueError: experiment must be one of mnist-dense, ..., got 'mnist-cn' (did you mean \
'mnist-cnn'?)
    """
    _known("experiment", experiment, EXPERIMENTS)
    if changes.get("recipe") is not None and not experiment.startswith("mnist"):
        from companion.data.cooking import RECIPES

        _known("recipe", changes["recipe"], RECIPES)
    return replace(
        EXPERIMENTS[experiment],
        **{name: value for name, value in changes.items() if value is not None},
    )


def train(
    settings,
    folder,
    *,
    root=None,
    test=False,
    resume=False,
    every=None,
    minutes=None,
    callbacks=(),
    stop=None,
):
    """Run an experiment: data, split, network, validation, and a report of it all.

    Parameters
    ----------
    settings : Settings
        What to run.
    folder : path-like
        Of the run; see `runs.start`.
    root : path-like, optional
        Where the data are; see `companion.data.open_dataset`.
    test : bool
        Open the test set at the end.
    resume : bool
        Go on with an unfinished run of the folder; leave a finished one as it is.
    every : int, optional
        Keep the weights of every so many epochs.
    minutes : float, optional
        Make a checkpoint within an epoch whenever so many minutes have passed.
    callbacks : sequence of keras.callbacks.Callback
        For ``fit``.
    stop : companion.training.signals.Stop, optional
        Signals to stop at, with a checkpoint.

    Returns
    -------
    companion.experiments.runs.Run
        Finished.

    Raises
    ------
    ValueError
        If the folder's run has other settings or data, or another process is at work in it.
    companion.training.signals.Interrupted
        If a signal came.
    """
    with alone(folder) if resume else contextlib.nullcontext():
        return _train(settings, Path(folder), root, test, resume, every, minutes, callbacks, stop)


def _train(settings, folder, root, test, resume, every, minutes, callbacks, stop):
    from companion.training.checkpoints import Checkpoints
    from companion.training.tensorboard import TensorBoard

    described = asdict(settings)
    seed = described.pop("seed")
    finished = _finished(folder, seed, described) if resume else None
    if finished and (finished.test or not test):
        return runs.Run(folder, None, finished)

    images = training_images(settings, root)
    if finished:
        run = runs.Run(folder, images[0], finished)
        model = network(settings, images[1].shape[1:])
        model.load_weights(folder / runs.WEIGHTS)
        _open_test(run, model)
        return run
    prepared = prepare(settings, images)
    run = runs.start(
        folder, data=prepared.data, seed=seed, name=settings.experiment, resume=resume, **described
    )
    try:
        if stop:
            stop.check()
        checkpoints = Checkpoints(run.folder, seed=seed, every=every, minutes=minutes, stop=stop)
        logs = TensorBoard(run.folder / runs.LOGS, histograms=False)
        history = prepared.model.fit(
            prepared.x[prepared.train_rows],
            prepared.class_ids[prepared.train_rows],
            epochs=settings.epochs,
            initial_epoch=checkpoints.epoch,
            batch_size=settings.batch_size,
            validation_data=(
                prepared.x[prepared.validation_rows],
                prepared.class_ids[prepared.validation_rows],
            ),
            callbacks=[*callbacks, logs, checkpoints],
            verbose=0,
        )
        conclude(run, prepared, history.history, checkpoints, test=test)
    except BaseException as error:
        # Where the disk is full, the report of it may find no place either.
        with contextlib.suppress(OSError):
            run.fail(error)
        raise
    return run


@dataclass(frozen=True)
class Prepared:
    """A training that can begin.

    Parameters
    ----------
    settings : Settings
    data : companion.data.Dataset or companion.data.store.Cooked
    x : array of float32, (N, H, W, C)
        In 0 … 1; all images, and after them those that flips made.
    class_ids, tracks : arrays of int, (N,)
        ``tracks`` is None for digits.
    train_rows, validation_rows : arrays of int
    model : keras.Model
        Compiled, with its first weights.
    """

    settings: Settings
    data: object
    x: object
    class_ids: object
    tracks: object
    train_rows: object
    validation_rows: object
    model: object


def prepare(settings, images):
    """Split the images and build the network, all that is random drawn from the seed.

    Parameters
    ----------
    settings : Settings
    images : tuple
        What `training_images` gives for them.

    Returns
    -------
    Prepared
    """
    import keras
    import numpy as np

    data, x, class_ids, tracks = images
    train_rows, validation_rows = split_rows(settings, class_ids, tracks)
    if settings.flips:
        from companion.data import flips

        more, their_classes, their_tracks = flips.extend(
            x[train_rows], class_ids[train_rows], tracks[train_rows]
        )
        train_rows = np.concatenate([train_rows, len(x) + np.arange(len(more))])
        x, class_ids = np.concatenate([x, more]), np.concatenate([class_ids, their_classes])
        tracks = np.concatenate([tracks, their_tracks])
    keras.utils.set_random_seed(settings.seed)
    model = network(settings, x.shape[1:])
    model.compile(
        optimizer(settings, steps=-(-len(train_rows) // settings.batch_size)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return Prepared(settings, data, x, class_ids, tracks, train_rows, validation_rows, model)


def conclude(run, prepared, history, checkpoints, *, test=False, seconds=None):
    """Validate a network that is trained, and write the report.

    Parameters
    ----------
    run : companion.experiments.runs.Run
    prepared : Prepared
    history : dict of str to list of float
    checkpoints : companion.training.checkpoints.Checkpoints
        Of the training; its last one is removed.
    test : bool
        Open the test set.
    seconds : float, optional
        By default what `checkpoints` counted.
    """
    import numpy as np

    from companion.training import scores
    from companion.training.checkpoints import LAST

    settings, held_out = prepared.settings, prepared.validation_rows
    true = prepared.class_ids[held_out]
    probabilities = prepared.model.predict(prepared.x[held_out], verbose=0)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    # Frames drawn at random share their tracks with the training images: no group is whole.
    groups = prepared.tracks[held_out] if settings.split == "track" else None
    validation = scores.score(
        predicted,
        true,
        classes=prepared.data.counts["classes"],
        tracks=groups,
        confidence=confidence,
    )
    predictions = {
        "rows": held_out.astype(np.int32),
        "class_ids": true.astype(np.uint8),
        "tracks": None if groups is None else groups.astype(np.int32),
        "predicted": predicted.astype(np.uint8),
        "confidence": confidence.astype(np.float16),
    }
    seconds = checkpoints.seconds if seconds is None else seconds
    run.finish(prepared.model, history, validation, predictions, seconds, checkpoints.best)
    if test:
        _open_test(run, prepared.model)
    (run.folder / LAST).unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder):
    """Keep other processes out of a run's folder; one that is about to end is waited for.

    Parameters
    ----------
    folder : path-like
        Made if it is not there.

    Raises
    ------
    ValueError
        If another process is at work in it for half a minute.
    """
    from filelock import FileLock, Timeout

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=30)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{folder} is being trained in by another process: wait for it, or choose another "
            "folder"
        ) from None
    except NotImplementedError:  # a file system without locks
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _finished(folder, seed, described):
    """Give the report of the folder's run if it is finished, and the one that is meant."""
    if not (folder / runs.REPORT).is_file():
        return None
    report = runs.read_report(folder)
    if report.status != "finished":
        return None
    runs.check_same(folder, report, seed=seed, **described)
    return report


def split_rows(settings, class_ids, tracks):
    """Hold out the validation images that the settings ask for.

    Parameters
    ----------
    settings : Settings
    class_ids : array of int, (N,)
    tracks : array of int, (N,), or None
        Of the images; needed where whole tracks are held out.

    Returns
    -------
    train_rows, validation_rows : arrays of int
        Sorted; see `companion.data.splits`.

    Examples
    --------
    >>> train_rows, validation_rows = split_rows(settings("mnist-cnn"), [0] * 20 + [1] * 20, None)
    >>> len(train_rows), len(validation_rows)
    (36, 4)
    """
    from companion.data import splits

    chosen = {"fraction": settings.fraction, "seed": settings.seed}
    if settings.split == "track":
        return splits.by_track(class_ids, tracks, **chosen)
    return splits.by_image(class_ids, **chosen)


def optimizer(settings, *, steps):
    """Make the optimizer that the settings ask for.

    Parameters
    ----------
    settings : Settings
    steps : int
        Of one epoch, at least 1; a schedule ends with the last one.

    Returns
    -------
    keras.optimizers.Adam

    Examples
    --------
    >>> round(float(optimizer(settings("mnist-cnn"), steps=1).learning_rate), 6)
    0.001
    """
    import keras

    rate = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps * settings.epochs)
    return keras.optimizers.Adam(rate, weight_decay=settings.weight_decay or None)


def changes(settings):
    """Make the layers that change training images at random, if the settings ask for them.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    list of keras.layers.Layer
        Empty without `Settings.augment`; see `companion.training.augmentation.layers`.

    Examples
    --------
    >>> changes(settings("gtsrb-small"))
    []
    >>> len(changes(settings("gtsrb-small", augment=True, colour=1)))
    5
    """
    if not settings.augment:
        return []
    from companion.training import augmentation

    colour = {name: settings.colour * amount for name, amount in COLOUR.items()}
    return augmentation.layers(seed=settings.seed, strength=settings.strength, **colour)


def network(settings, shape):
    """Build the network that the settings ask for.

    Parameters
    ----------
    settings : Settings
    shape : (int, int, int)
        Height, width and channels of an image; digits have one shape alone.

    Returns
    -------
    keras.Model
        Not compiled.

    Examples
    --------
    >>> network(settings("gtsrb-small"), (24, 24, 1)).count_params()
    93643
    """
    from companion.training import models

    if settings.experiment.startswith("mnist"):
        return {"mnist-dense": models.mnist_dense, "mnist-cnn": models.mnist_cnn}[
            settings.experiment
        ]()
    build = {
        "gtsrb-v1": models.gtsrb_v1,
        "gtsrb-v2": models.gtsrb_v2,
        "gtsrb-v3": models.gtsrb_v3,
        "gtsrb-small": models.gtsrb_small,
        "gtsrb-compact": models.gtsrb_compact,
        "gtsrb-compact-75": partial(models.gtsrb_compact, width=0.75),
        "gtsrb-compact-50": partial(models.gtsrb_compact, width=0.5),
    }[settings.experiment]
    model = build(shape, augmentation=changes(settings))
    # Its chapter comes after the one on these layers.
    if settings.experiment.startswith("gtsrb-compact"):
        from companion.training import layers

        model = layers.faster(model)
    return model


def _open_test(run, model):
    from companion.training import scores

    x, true = runs.open_test_set(run)
    probabilities = model.predict(_scaled(x), verbose=0)
    run.record_test(
        scores.score(
            probabilities.argmax(axis=1),
            true,
            classes=run.data.counts["classes"],
            confidence=probabilities.max(axis=1),
        )
    )


def cooked_data(recipe, budget, *, root=None):
    """Open the traffic signs, cook them unless that was done before, and load them.

    Each step is taught in the chapter *GTSRB 1: the data, and cooking it*; later chapters begin
    here.

    Parameters
    ----------
    recipe : str
        A name of `companion.data.cooking.RECIPES`.
    budget : companion.data.budgets.Budget
        How much of the data is used.
    root : path-like, optional
        Where the archive is; see `companion.data.open_dataset`.

    Returns
    -------
    companion.data.store.Cooked
        The file is kept in the user's cache folder (below the system's temporary folder if that
        cannot be written), one for each archive, recipe and scale. One that is damaged, or of
        another version of the companion, is cooked again.

    Raises
    ------
    DataError
        If the signs cannot be opened, or the file can be kept in neither folder.
    """
    from companion.data import open_dataset
    from companion.data.registry import DataError, cache_folder, temporary_folder

    dataset = open_dataset("gtsrb", root, scale=budget.gtsrb_drawn)
    scale = budget.share_to_cook(dataset)
    name = f"gtsrb-{dataset.digest[:12]}-{recipe}-{scale:g}.h5"
    paths = [place / "cooked" / name for place in (cache_folder(), temporary_folder())]
    for path in paths:
        try:
            return _cooked(dataset.archive, path, recipe, scale)
        except OSError as error:
            reason = error
    raise DataError(
        f"signs can be cooked neither into {paths[0]} nor into {paths[1]} ({reason}): "
        "free some space, or set XDG_CACHE_HOME to a folder that can be written"
    )


def _cooked(archive, path, recipe, scale):
    """Load a file of the cache, which is ours to replace where it is stale or damaged."""
    from companion.data import cooking, store
    from companion.data.registry import DataError

    cooking.cook(archive, path, recipe, scale=scale, overwrite=True)
    try:
        return store.load(path)
    except DataError:  # its header is whole, what follows is not
        path.unlink(missing_ok=True)
        return store.load(cooking.cook(archive, path, recipe, scale=scale))


def training_images(settings, root=None):
    """Give the training images that the settings ask for.

    Parameters
    ----------
    settings : Settings
    root : path-like, optional
        Where the data are; see `companion.data.open_dataset`.

    Returns
    -------
    data : companion.data.Dataset or companion.data.store.Cooked
        What they are from.
    x : array of float32, (N, H, W, C)
        In 0 … 1.
    class_ids : array of int, (N,)
    tracks : array of int, (N,), or None
        None for digits.
    """
    import numpy as np

    from companion.data import open_dataset, splits

    budget = budgets.get(settings.budget)
    if settings.scale is not None and settings.recipe is not None:
        drawn = max(budget.gtsrb_drawn, settings.scale)
        budget = replace(budget, gtsrb_scale=settings.scale, gtsrb_drawn=drawn)
    if settings.recipe is None:
        data = open_dataset("mnist", root)
        x, class_ids = data.load_train()
        class_ids = class_ids.astype(np.int64)
        wanted = budget.mnist_images
        if settings.scale is not None:
            wanted = round(settings.scale * len(x))
        if wanted is not None and wanted < len(x):
            _, kept = splits.by_image(class_ids, fraction=wanted / len(x), seed=settings.seed)
            x, class_ids = x[kept], class_ids[kept]
        return data, _scaled(x), class_ids, None
    data = cooked_data(settings.recipe, budget, root=root)
    return data, _scaled(data.x), data.class_ids, data.tracks


def _scaled(images):
    """Give images in 0 … 1, (N, H, W, C), of bytes (N, H, W) or (N, H, W, C)."""
    x = images.astype("float32") / 255
    return x if x.ndim == 4 else x[..., None]
