"""The book's experiments, run from the command line as their chapters run them."""

from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches

from companion.experiments import budget as budgets
from companion.experiments import runs


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
    budget : str
        How much of the data is used.
    seed : int
        Of the data drawn, the split, the weights, the order and dropout.
    """

    experiment: str
    epochs: int
    batch_size: int
    fraction: float
    split: str
    recipe: str | None = None
    budget: str = "quick"
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
        if self.recipe is not None and self.experiment.startswith("mnist"):
            raise ValueError(f"recipe must be left out for {self.experiment}, got {self.recipe!r}")
        if self.split == "track" and self.recipe is None:
            raise ValueError("split must be 'image' for MNIST, whose digits have no tracks")


EXPERIMENTS = {
    "mnist-dense": Settings("mnist-dense", 12, 128, 0.1, "image"),
    "mnist-cnn": Settings("mnist-cnn", 12, 128, 0.1, "image"),
    "gtsrb-v1": Settings("gtsrb-v1", 5, 64, 0.2, "track", recipe="24x24-L"),
}


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
    >>> settings("gtsrb-v2")
    Traceback (most recent call last):
        ...
    ValueError: experiment must be one of mnist-dense, mnist-cnn, gtsrb-v1, got 'gtsrb-v2' \
(did you mean 'gtsrb-v1'?)
    """
    if experiment not in EXPERIMENTS:
        near = get_close_matches(str(experiment), EXPERIMENTS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        names = ", ".join(EXPERIMENTS)
        raise ValueError(f"experiment must be one of {names}, got {experiment!r}{hint}")
    return replace(
        EXPERIMENTS[experiment],
        **{name: value for name, value in changes.items() if value is not None},
    )


def train(settings, folder, *, root=None, test=False, callbacks=()):
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
    callbacks : sequence of keras.callbacks.Callback
        For ``fit``.

    Returns
    -------
    companion.experiments.runs.Run
        Finished.
    """
    import keras

    from companion.data import splits
    from companion.training import evaluation, metrics, models

    data, x, class_ids, tracks = _training_images(settings, root)
    classes = data.counts["classes"]
    if settings.split == "track":
        train_rows, validation_rows = splits.by_track(
            class_ids, tracks, fraction=settings.fraction, seed=settings.seed
        )
    else:
        train_rows, validation_rows = splits.by_image(
            class_ids, fraction=settings.fraction, seed=settings.seed
        )
    keras.utils.set_random_seed(settings.seed)
    model = {
        "mnist-dense": models.mnist_dense,
        "mnist-cnn": models.mnist_cnn,
        "gtsrb-v1": lambda: models.gtsrb_v1(x.shape[1:]),
    }[settings.experiment]()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    described = asdict(settings)
    seed = described.pop("seed")
    run = runs.start(folder, data=data, seed=seed, name=settings.experiment, **described)
    try:
        history = model.fit(
            x[train_rows],
            class_ids[train_rows],
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            validation_data=(x[validation_rows], class_ids[validation_rows]),
            callbacks=list(callbacks),
            verbose=0,
        )
        predicted = model.predict(x[validation_rows], verbose=0).argmax(axis=1)
        # Frames drawn at random share their tracks with the training images: no group is whole.
        groups = tracks[validation_rows] if settings.split == "track" else None
        validation = metrics.score(
            predicted, class_ids[validation_rows], classes=classes, tracks=groups
        )
        run.finish(model, history.history, validation)
        if test:
            x_test, true = evaluation.open_test_set(run)
            predicted = model.predict(_scaled(x_test), verbose=0).argmax(axis=1)
            run.record_test(metrics.score(predicted, true, classes=classes))
    except BaseException as error:
        run.fail(error)
        raise
    return run


def cooked_data(recipe, budget, *, root=None):
    """Open the traffic signs, cook them unless that was done before, and load them.

    Each step is taught in the chapter *GTSRB 1: the data, and cooking it*; later chapters begin
    here.

    Parameters
    ----------
    recipe : str
        A name of `companion.data.cooking.RECIPES`.
    budget : companion.experiments.budget.Budget
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


def _training_images(settings, root):
    """Give the data, and its training images, classes and tracks (None for MNIST)."""
    import numpy as np

    from companion.data import open_dataset, splits

    budget = budgets.get(settings.budget)
    if settings.recipe is None:
        data = open_dataset("mnist", root)
        x, class_ids = data.load_train()
        class_ids = class_ids.astype(np.int64)
        wanted = budget.mnist_images
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
