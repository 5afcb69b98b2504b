"""Checkpoints that lose nothing: a training that was stopped ends in the same bits."""

import json
import math
import os
import sys
import time
import zipfile
from pathlib import Path

import keras
import numpy as np

BEST, LAST = "best.weights.h5", "last.npz"
# What Keras' own callbacks remember from epoch to epoch, and do not save.
REMEMBERED = ("best", "best_epoch", "wait", "stopped_epoch", "cooldown_counter")


class Checkpoints(keras.callbacks.Callback):
    """Save the best weights, weights now and then, and all that is needed to go on.

    Put it last in the list of callbacks, and begin at its epoch::

        checkpoints = Checkpoints(folder, seed=SEED)
        model.fit(x, y, epochs=20, initial_epoch=checkpoints.epoch, callbacks=[checkpoints])

    If ``fit`` is stopped, in whatever way and place, the same lines go on where the last
    checkpoint was made and end, on a CPU with as many cores, in the same bits: the order of the
    images, dropout and random augmentation of an epoch depend on the seed and the epoch's number
    alone, and all variables of weights, optimizer and metrics come back, with the history and the
    best value so far. The images must be arrays, which ``fit`` shuffles by itself. Taught in the
    chapter *GTSRB 3: monitoring and checkpoints*.

    Parameters
    ----------
    folder : path-like
        Where the files go: ``best.weights.h5``, ``epoch-005.weights.h5``, … and ``last.npz``,
        each written beside and renamed.
    seed : int
        Of the order of the images, dropout and augmentation.
    monitor : str
        Key of the history whose best value decides on the best weights: the highest value, or
        the lowest if the key ends in ``loss``. It should be of the validation images.
    every : int, optional
        Keep the weights of every so many epochs, too.
    minutes : float, optional
        Save ``last.npz`` within an epoch, too, whenever so many minutes have passed. By default
        it is saved after each epoch and on `stop`.
    also : sequence of keras.callbacks.Callback
        Callbacks of the list that remember something, such as ``ReduceLROnPlateau`` and
        ``EarlyStopping``: what they remember is saved and comes back.
    stop : companion.training.signals.Stop, optional
        Looked at after each batch: if a signal came, a checkpoint is made and `Interrupted`
        raised.

    Attributes
    ----------
    epoch, batch : int
        Epochs that are complete, and batches of the next one, when the callback was made; a number
        beyond all epochs if another callback had ended the training.
    history : dict of str to list of float
        Of all epochs so far.
    best : dict or None
        ``epoch`` (from 1) and ``value`` of the best weights so far.
    seconds : float
        Spent in ``fit``, in all lives of this training, up to the last checkpoint or the end.

    Raises
    ------
    ValueError
        If an argument is out of range, or the folder's ``last.npz`` is damaged or of another
        training: another seed, network, optimizer, number of batches.

    Examples
    --------
    >>> import tempfile
    >>> Checkpoints(tempfile.mkdtemp(), seed=0).epoch
    0
    """

    def __init__(
        self, folder, *, seed, monitor="val_accuracy", every=None, minutes=None, also=(), stop=None
    ):
        super().__init__()
        for name, value in (("every", every), ("minutes", minutes)):
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be > 0, got {value}")
        self.folder, self.seed, self.monitor = Path(folder), seed, monitor
        self.every, self.minutes, self.also, self.stop = every, minutes, list(also), stop
        self.epoch, self.batch, self.history, self.best, self.seconds = 0, 0, {}, None, 0.0
        self._saved = None  # arrays of the checkpoint that is to be restored
        if (self.folder / LAST).exists():
            self._read()

    # What fit calls

    def on_train_begin(self, logs=None):
        """Restore what the checkpoint holds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clock = self._last_save = time.monotonic()
        self._before = self.seconds
        self._train = None  # the model's, while batches are passed over
        if self._saved is None:
            return
        saved = self._saved
        if saved["steps"] != self.params["steps"]:
            raise ValueError(
                f"{self.folder / LAST} was made with {saved['steps']} batches an epoch, this "
                f"training has {self.params['steps']}: use the same data and batch size, or "
                "another folder"
            )
        self._assign(self._variables(), saved["variables"])
        for callback, values in zip(self.also, saved["also"], strict=True):
            for key, value in values.items():
                setattr(callback, key, value)
        for i, weights in saved["best_weights"].items():
            self.also[i].best_weights = weights

    def on_epoch_begin(self, epoch, logs=None):
        """Make the epoch's random draws depend on the seed and its number alone."""
        self._current = epoch
        resumed, self._saved = self._saved, None
        within = resumed is not None and resumed["batch"] > 0
        # fit takes the order of the images from NumPy's global generator.
        np.random.seed(  # noqa: NPY002
            np.random.SeedSequence([self.seed, epoch]).generate_state(4)
        )
        if resumed is not None:
            self._restore_history()
        if not within:
            for i, variable in enumerate(random_states(self._model)):
                drawn = np.random.SeedSequence([self.seed, epoch, i]).generate_state(2)
                variable.assign(drawn.astype(variable.dtype))
            return
        # Keras set the metrics to zero when the epoch began.
        self._assign(self._model.metrics_variables, resumed["metrics"])
        # The order of the images is as it was: the batches that were seen are passed over.
        self._train = self._model.train_function
        self._model.train_function = self._pass_over

    def on_train_batch_begin(self, batch, logs=None):
        """Train again, once the batches that were seen are passed over."""
        if self._train and batch >= self.batch:
            self._model.train_function, self._train = self._train, None

    def on_train_batch_end(self, batch, logs=None):
        """Save if the time has come, and stop if a signal said so."""
        done = batch + 1
        if self._train or done == self.params["steps"]:
            return  # an epoch's end saves, too
        now = time.monotonic()
        due = self.minutes is not None and now - self._last_save >= 60 * self.minutes
        if due or (self.stop and self.stop.name):
            self._save(self._current, done)
        if self.stop:
            self.stop.check()

    def on_epoch_end(self, epoch, logs=None):
        """Save what the epoch gave."""
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(float(value))
        value = (logs or {}).get(self.monitor)
        if value is not None and self._better(float(value)):
            self.best = {"epoch": epoch + 1, "value": float(value)}
            save_weights(self.model, self.folder / BEST)
        if self.every and (epoch + 1) % self.every == 0:
            save_weights(self.model, self.folder / f"epoch-{epoch + 1:03}.weights.h5")
        self._save(epoch + 1, 0)
        if self.stop and epoch + 1 < self.params["epochs"] and not self._model.stop_training:
            self.stop.check()

    def on_train_end(self, logs=None):
        """Give the whole history where no epoch was left to run."""
        self.seconds = self._before + time.monotonic() - self._clock
        if self._saved is not None:
            self._restore_history()
            self._saved = None

    # How it is done

    def _pass_over(self, state, batches):
        for _ in range(self._model.steps_per_execution):
            next(batches, None)
        return {}, state

    def _variables(self):
        model = self.model  # asking for it brings the variables up to date
        return [*model.variables, *model.optimizer.variables]

    def _better(self, value):
        if self.best is None or math.isnan(self.best["value"]):
            return True
        lower = self.monitor.endswith("loss")
        return value < self.best["value"] if lower else value > self.best["value"]

    def _restore_history(self):
        # fit's own History comes after this callback, and begins empty.
        own = self._model.history
        own.epoch = list(range(len(next(iter(self.history.values()), []))))
        own.history = {key: list(values) for key, values in self.history.items()}

    def _assign(self, variables, arrays):
        shapes = [tuple(v.shape) for v in variables]
        if shapes != [a.shape for a in arrays]:
            raise ValueError(
                f"{self.folder / LAST} is of another network or optimizer than this one: "
                "use another folder"
            )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    def _save(self, epoch, batch):
        arrays = {f"variable-{i:04}": np.asarray(v) for i, v in enumerate(self._variables())}
        for i, variable in enumerate(self._model.metrics_variables):
            arrays[f"metric-{i:04}"] = np.asarray(variable)
        also = []
        for i, callback in enumerate(self.also):
            also.append(
                {k: _plain(getattr(callback, k)) for k in REMEMBERED if _number(callback, k)}
            )
            for j, weights in enumerate(getattr(callback, "best_weights", None) or []):
                arrays[f"best-{i:02}-{j:04}"] = np.asarray(weights)
        now = time.monotonic()
        self.seconds = self._before + now - self._clock
        said = {
            "seed": self.seed,
            "epoch": epoch,
            "batch": batch,
            "steps": self.params["steps"],
            "history": self.history,
            "best": self.best,
            "also": also,
            "seconds": self.seconds,
            "stopped": bool(self._model.stop_training),
        }
        write_arrays(self.folder / LAST, arrays, said)
        self._last_save = now

    def _read(self):
        path = self.folder / LAST
        said, arrays = read_arrays(path)
        if said["seed"] != self.seed:
            raise ValueError(
                f"seed must be {said['seed']}, as in {path}, got {self.seed}: "
                "use the same seed, or another folder"
            )
        if len(said["also"]) != len(self.also):
            raise ValueError(
                f"also must name {len(said['also'])} callbacks, as in {path}, got {len(self.also)}"
            )
        best_weights = {}
        for key in sorted(k for k in arrays if k.startswith("best-")):
            best_weights.setdefault(int(key.split("-")[1]), []).append(arrays[key])
        self._saved = {
            "variables": [arrays[k] for k in sorted(arrays) if k.startswith("variable-")],
            "metrics": [arrays[k] for k in sorted(arrays) if k.startswith("metric-")],
            "best_weights": best_weights,
            **{key: said[key] for key in ("batch", "steps", "also")},
        }
        for key in ("epoch", "batch", "history", "best", "seconds"):
            setattr(self, key, said[key])
        if said["stopped"]:  # such as by EarlyStopping: fit shall find no epoch left to run
            self.epoch = sys.maxsize


def random_states(model):
    """List the variables that hold the state of a model's random draws.

    Parameters
    ----------
    model : keras.Model
        Built.

    Returns
    -------
    list of keras.Variable
        Those of dropout and of random augmentation, in the order of the layers.

    Examples
    --------
    >>> from companion.training import models
    >>> len(random_states(models.mnist_cnn()))
    3
    """
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def save_weights(model, path):
    """Save a model's weights, beside, and rename.

    Keras would save the optimizer's variables with them, three times as much with Adam, and a
    file that a newly compiled network refuses to load.

    Parameters
    ----------
    model : keras.Model
        Built.
    path : path-like
        Ends in ``.weights.h5``.

    Examples
    --------
    >>> import tempfile
    >>> from companion.training import models
    >>> path = Path(tempfile.mkdtemp(), "first.weights.h5")
    >>> save_weights(models.mnist_cnn(), path)
    >>> path.exists()
    True
    """
    path = Path(path)
    part = path.with_name("part-" + path.name)  # Keras insists on the ending
    try:
        keras.Model(model.inputs, model.outputs).save_weights(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _plain(value):
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _number(callback, name):
    return isinstance(getattr(callback, name, None), int | float | np.number)


def write_arrays(path, arrays, said):
    """Write arrays and a word about them into one file, beside, and rename.

    Parameters
    ----------
    path : path-like
        Ends in ``.npz``.
    arrays : dict of str to array
        None of them called ``said``.
    said : dict
        What JSON can hold.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "last.npz")
    >>> write_arrays(path, {"weights": np.arange(3)}, {"epoch": 2})
    >>> read_arrays(path)
    ({'epoch': 2}, {'weights': array([0, 1, 2])})
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            np.savez(file, said=np.array(json.dumps(said)), **arrays)
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before the data does
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_arrays(path):
    """Read a file that `write_arrays` wrote; each array is checked by its checksum.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    said : dict
    arrays : dict of str to array

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(str(arrays.pop("said"))), arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is damaged ({error}): delete it to begin again, or copy back a whole one"
        ) from error
