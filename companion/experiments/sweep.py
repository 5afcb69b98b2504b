"""Many experiments from one table of settings: each a run of its own, none of them run twice."""

import itertools
import os
import shlex
import time
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path

from companion.data import budgets
from companion.experiments import experiment as experiments
from companion.experiments import runs

EXECUTORS = ("here", "together", "local", "slurm")
_TYPES = {"epochs": int, "batch_size": int, "seed": int}
_TYPES |= dict.fromkeys(
    ("fraction", "strength", "colour", "learning_rate", "weight_decay", "scale"), float
)
_FLAGS = ("augment", "flips")


def grid(**choices):
    """Combine every choice of every setting with all others.

    Taught in the chapter *GTSRB 5: many models, many data sets*.

    Parameters
    ----------
    **choices
        Fields of `companion.experiments.experiment.Settings`, each one value or a list of
        values. ``experiment`` must be among them.

    Returns
    -------
    list of companion.experiments.experiment.Settings
        The last choice varies fastest.

    Raises
    ------
    ValueError
        If a setting is unknown, has no value, or a value is out of range.

    Examples
    --------
    >>> cells = grid(experiment=["gtsrb-v1", "gtsrb-small"], seed=[0, 1, 2], epochs=3)
    >>> len(cells), line(cells[-1])
    (6, 'gtsrb-small --epochs 3 --recipe 24x24-L --seed 2')
    """
    for name in choices:
        _field(name)
    if "experiment" not in choices:
        raise ValueError("experiment must be given: the names of one or more experiments")
    lists = {
        name: list(values) if isinstance(values, list | tuple | range) else [values]
        for name, values in choices.items()
    }
    for name, values in lists.items():
        if not values:
            raise ValueError(f"{name} must have one value at least, got {choices[name]!r}")
    combined = (
        dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())
    )
    return _distinct([_settings(**cell) for cell in combined])


def line(settings):
    """Write settings as one would type them after ``companion train``, without the folder.

    Parameters
    ----------
    settings : companion.experiments.experiment.Settings

    Returns
    -------
    str
        What differs from the experiment's chapter, and always the recipe and the seed.

    Examples
    --------
    >>> line(grid(experiment="gtsrb-v1", augment=True)[0])
    'gtsrb-v1 --recipe 24x24-L --augment --seed 0'
    """
    words = [settings.experiment]
    for name, value in _said(settings):
        flag = "--" + name.replace("_", "-")
        words += (
            [flag]
            if value is True
            else [flag.replace("--", "--no-")]
            if value is False
            else [
                flag,
                str(value),
            ]
        )
    return shlex.join(words)


def parse(text):
    """Read settings from a line as `line` writes it.

    Parameters
    ----------
    text : str

    Returns
    -------
    companion.experiments.experiment.Settings

    Raises
    ------
    ValueError
        If a flag is unknown or a value cannot be read; the sentence names the nearest flag.

    Examples
    --------
    >>> parse("gtsrb-v1 --epochs 3 --no-augment").epochs
    3
    >>> parse("gtsrb-v1 --epoch 3")
    Traceback (most recent call last):
        ...
    ValueError: setting must be a field of Settings, got 'epoch' (did you mean 'epochs'?)
    """
    words = shlex.split(text)
    if not words or words[0].startswith("-"):
        raise ValueError(f"a line must begin with the name of an experiment, got {text.strip()!r}")
    changes, rest = {}, words[1:]
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ValueError(f"a flag such as --epochs is expected, got {word!r}")
        flag, joined, value = word[2:].partition("=")
        name = flag.replace("-", "_")
        if name.removeprefix("no_") in _FLAGS:
            changes[name.removeprefix("no_")] = not name.startswith("no_")
            continue
        _field(name)
        if not joined:
            if not rest:
                raise ValueError(f"--{flag} needs a value")
            value = rest.pop(0)
        try:
            changes[name] = _TYPES.get(name, str)(value)
        except ValueError:
            kind = _TYPES[name].__name__
            raise ValueError(f"--{flag} needs a value of type {kind}, got {value!r}") from None
    return _settings(experiment=words[0], **changes)


def write(cells, path):
    """Write settings into a grid file: a line each, which array jobs read by its number.

    Parameters
    ----------
    cells : sequence of companion.experiments.experiment.Settings
    path : path-like
        Written beside and renamed.

    Returns
    -------
    pathlib.Path
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text("".join(f"{line(cell)}\n" for cell in cells))
    os.replace(part, path)
    return path


def read(path):
    """Read a grid file.

    Parameters
    ----------
    path : path-like
        A cell a line, see `line`; empty lines and those that begin with ``#`` do not count.

    Returns
    -------
    list of companion.experiments.experiment.Settings

    Raises
    ------
    ValueError
        If a line cannot be read, two are the same, or there is none; the sentence says which.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile
    >>> path = write(grid(experiment="mnist-cnn", seed=range(3)), tempfile.mkdtemp() + "/grid.txt")
    >>> len(read(path))
    3
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"grid must be a file with a cell a line, got {path}")
    cells = []
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        if text.strip() and not text.lstrip().startswith("#"):
            try:
                cells.append(parse(text))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    if not cells:
        raise ValueError(f"{path} holds no cell: write one line a training")
    return _distinct(cells)


def name(settings):
    """Name the folder of a cell: what its line says, in short.

    Parameters
    ----------
    settings : companion.experiments.experiment.Settings

    Returns
    -------
    str
        The same for the same settings, and different for different ones.

    Examples
    --------
    >>> name(grid(experiment="gtsrb-v1", epochs=3, seed=1)[0])
    'gtsrb-v1_epochs-3_recipe-24x24-L_seed-1'
    """
    words = [settings.experiment]
    for key, value in _said(settings):
        key = key.replace("_", "-")
        words.append(key if value is True else f"no-{key}" if value is False else f"{key}-{value}")
    return "_".join(words)


def state(cells, folder):
    """Say how far each cell is.

    Parameters
    ----------
    cells : sequence of companion.experiments.experiment.Settings
    folder : path-like
        That holds, or is to hold, the run of each.

    Returns
    -------
    pandas.DataFrame
        A row a cell: ``cell`` (from 1), ``name``, ``status`` (of its report; ``"to do"`` where
        there is none, ``"damaged"`` where it cannot be read), ``epochs`` done, ``validation``
        accuracy, ``seconds``, ``error``, ``folder``.
    """
    import pandas as pd

    rows = []
    for number, cell in enumerate(cells, start=1):
        place = Path(folder) / name(cell)
        row = {"cell": number, "name": name(cell), "status": "to do", "epochs": 0}
        row |= dict.fromkeys(("validation", "seconds", "error"))
        if (place / runs.REPORT).is_file():
            try:
                report = runs.read_report(place)
            except ValueError as error:
                row |= {"status": "damaged", "error": str(error)}
            else:
                row |= {
                    "status": report.status,
                    "epochs": len(report.history.get("loss", [])),
                    "validation": (report.validation or {}).get("accuracy"),
                    "seconds": report.seconds,
                    "error": report.error,
                }
        rows.append({**row, "folder": str(place)})
    table = pd.DataFrame(rows)
    return table.astype({"validation": float, "seconds": float})


@dataclass(frozen=True)
class Cell:
    """Run one cell: what a worker of `run` is given.

    Parameters
    ----------
    folder : path-like
        That holds the runs.
    root : path-like or None
        Where the data are.
    test : bool
        Open the test set at the end.
    minutes : float or None
        Between checkpoints within an epoch.
    """

    folder: Path
    root: Path | None = None
    test: bool = False
    minutes: float | None = None

    def __call__(self, settings, callbacks=(), stop=None):
        """Train, or go on, or find that there is nothing to do."""
        experiments.train(
            settings,
            Path(self.folder) / name(settings),
            root=self.root,
            test=self.test,
            resume=True,
            minutes=self.minutes,
            callbacks=callbacks,
            stop=stop,
        )

    def checkpoint(self, settings):
        """Give submitit, whose job is about to end, what it shall submit anew."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, settings)


def run(
    cells,
    folder,
    *,
    executor="here",
    root=None,
    test=False,
    minutes=None,
    workers=1,
    slurm=None,
    progress=None,
    callbacks=None,
    stop=None,
):
    """Run the cells that are not finished; one that fails does not stop the others.

    Taught in the chapter *GTSRB 5: many models, many data sets*.

    Parameters
    ----------
    cells : sequence of companion.experiments.experiment.Settings
    folder : path-like
        Each cell becomes a run below it. A finished one is not run again; an unfinished one goes
        on from its last checkpoint; a failed one is tried again.
    executor : {"here", "together", "local", "slurm"}
        In this process, one after another; in this process, those that one compiled program can
        train side by side (`companion.training.vectorised`), whose ``seconds`` are then an equal
        share of the time of all (for accelerators: on a CPU this is slow for convolutions); in
        processes of their own on this computer, through submitit; as
        one array of jobs that submitit submits to Slurm.
    root : path-like, optional
        Where the data are; see `companion.data.open_dataset`.
    test : bool
        Open the test set at the end of each cell.
    minutes : float, optional
        Make a checkpoint within an epoch whenever so many minutes have passed; ``"together"``
        makes one after each epoch alone.
    workers : int
        Cells at a time, for ``"local"`` and ``"slurm"``; at least 1.
    slurm : dict of str to str, optional
        Options of ``sbatch`` without their dashes, such as ``{"partition": "gpu"}``.
    progress : callable, optional
        Called with a cell's number, the number of cells, its settings and its status, when it
        begins (``"begins"``) and ends. Not called for cells that were finished before.
    callbacks : callable, optional
        Given the settings of a cell, gives callbacks for its ``fit``; for ``"here"`` and, as far
        as they care for epochs, ``"together"``.
    stop : companion.training.signals.Stop, optional
        Signals to stop at, with a checkpoint; for ``"here"`` and ``"together"``.

    Returns
    -------
    pandas.DataFrame
        `state` of the cells.

    Raises
    ------
    ValueError
        If an argument is out of range.
    companion.training.signals.Interrupted
        If a signal came.
    """
    cells = _distinct(cells)
    if executor not in EXECUTORS:
        near = get_close_matches(str(executor), EXECUTORS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, got {executor!r}{hint}")
    if workers < 1:
        raise ValueError(f"workers must be >= 1, got {workers}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    work = Cell(folder.resolve(), root and Path(root).resolve(), test, minutes)
    todo = [
        (number, cell)
        for number, (cell, status) in enumerate(
            zip(cells, state(cells, folder)["status"], strict=True), start=1
        )
        if status != "finished" or test
    ]
    if executor == "here":
        _run_here(work, todo, len(cells), progress, callbacks, stop)
    elif executor == "together":
        _run_together(work, todo, len(cells), progress, callbacks, stop)
    else:
        _run_submitit(work, todo, len(cells), executor, workers, slurm or {}, progress)
    return state(cells, folder)


def _run_here(work, todo, total, progress, callbacks, stop):
    import keras

    for number, cell in todo:
        if progress:
            progress(number, total, cell, "begins")
        try:
            work(cell, callbacks(cell) if callbacks else (), stop)
        except Exception as error:
            _note(work.folder / name(cell), cell, error)
        if progress:
            progress(number, total, cell, _status(work.folder, cell))
        keras.utils.clear_session(free_memory=True)  # compiled programs of a network that is done


def _run_together(work, todo, total, progress, callbacks, stop):
    """Run side by side what one program can; the rest one after another."""
    import keras

    from companion.training import vectorised

    alone, loaded, prepared, epochs_done = [], {}, {}, {}
    for number, cell in todo:
        place = work.folder / name(cell)
        # Finished, and only the test set is to be opened.
        if (place / runs.REPORT).is_file() and _status(work.folder, cell) == "finished":
            alone.append((number, cell))
            continue
        done = _checkpoint(place / "last.npz")
        if done is None or done[1] or cell.flips:
            # Within an epoch only fit itself can go on; flipped images are each cell's own.
            alone.append((number, cell))
            continue
        epochs_done[number] = done[0]
        try:
            kind = replace(cell, seed=cell.seed if cell.recipe is None else 0)
            key = (kind.recipe, kind.budget, kind.scale, kind.seed)
            if key not in loaded:
                loaded[key] = experiments.training_images(kind, work.root)
            prepared[number] = experiments.prepare(cell, loaded[key])
        except Exception as error:
            _note(place, cell, error)
            if progress:
                progress(number, total, cell, _status(work.folder, cell))
    groups = {}
    for number, one in prepared.items():
        settings = one.settings
        own = (settings.epochs, settings.batch_size, epochs_done[number], one.x.shape)
        groups.setdefault(own, []).append(number)
    for (*_, epoch, _), numbers in groups.items():
        members = [prepared[number] for number in numbers]
        models, rows = [one.model for one in members], [one.train_rows for one in members]
        for group in vectorised.groups(models, rows):
            chosen = {numbers[i]: members[i] for i in group}
            _train_together(work, chosen, epoch, total, progress, callbacks, stop)
            keras.utils.clear_session(free_memory=True)
    _run_here(work, sorted(alone, key=lambda pair: pair[0]), total, progress, callbacks, stop)


def _checkpoint(path):
    """Give epochs and batches of a checkpoint; (0, 0) without one, None if it is damaged."""
    from companion.training.checkpoints import read_arrays

    if not path.exists():
        return 0, 0
    try:
        said, _ = read_arrays(path)
    except ValueError:
        return None
    return said["epoch"], said["batch"]


def _train_together(work, members, epoch, total, progress, callbacks, stop):
    from contextlib import ExitStack, suppress

    from companion.training import vectorised
    from companion.training.tensorboard import TensorBoard

    started = {}
    with ExitStack() as locks:
        try:
            for number, one in list(members.items()):
                if progress:
                    progress(number, total, one.settings, "begins")
                try:
                    started[number] = _start(work, one, locks)
                except Exception as error:  # the others go on
                    _note(work.folder / name(one.settings), one.settings, error)
                    if progress:
                        progress(number, total, one.settings, _status(work.folder, one.settings))
                    del members[number]
            if not members:
                return
            # The last one is asked when all others have their checkpoint.
            list(started.values())[-1][1].stop = stop
            chosen = list(members.values())
            histories = vectorised.fit(
                [one.model for one in chosen],
                [one.x for one in chosen],
                [one.class_ids for one in chosen],
                rows=[one.train_rows for one in chosen],
                validation_rows=[one.validation_rows for one in chosen],
                epochs=chosen[0].settings.epochs,
                batch_size=chosen[0].settings.batch_size,
                initial_epoch=epoch,
                callbacks=[
                    [
                        *(callbacks(one.settings) if callbacks else ()),
                        TensorBoard(run.folder / runs.LOGS, histograms=False),
                        checkpoints,
                    ]
                    for one, (run, checkpoints) in zip(chosen, started.values(), strict=True)
                ],
            )
            for (number, one), history in zip(members.items(), histories, strict=True):
                run, checkpoints = started[number]
                share = checkpoints.seconds / len(members)
                experiments.conclude(run, one, history, checkpoints, test=work.test, seconds=share)
        except BaseException as error:
            for run, _ in started.values():
                if run.report.status != "finished":
                    with suppress(OSError):
                        run.fail(error)
            if not isinstance(error, Exception):
                raise
    if progress:
        for number, one in members.items():
            progress(number, total, one.settings, _status(work.folder, one.settings))


def _start(work, prepared, locks):
    """Begin a run, or go on with it, and keep others out of it."""
    from companion.training.checkpoints import Checkpoints

    settings = prepared.settings
    place = work.folder / name(settings)
    locks.enter_context(experiments.alone(place))
    described = asdict(settings)
    seed = described.pop("seed")
    run = runs.start(
        place, data=prepared.data, seed=seed, name=settings.experiment, resume=True, **described
    )
    return run, Checkpoints(place, seed=seed)


def _run_submitit(work, todo, total, executor, workers, slurm, progress):
    import submitit

    engine = submitit.AutoExecutor(
        folder=work.folder / "submitit", cluster="local" if executor == "local" else "slurm"
    )
    if executor == "slurm":
        options = dict(slurm)
        if "time" in options:
            engine.update_parameters(slurm_time=options.pop("time"))
        engine.update_parameters(
            slurm_array_parallelism=workers,
            slurm_job_name="sweep",
            slurm_additional_parameters={k.replace("_", "-"): v for k, v in options.items()},
        )
        jobs = engine.map_array(work, [cell for _, cell in todo]) if todo else []
        waiting = list(zip(todo, jobs, strict=True))
    else:
        waiting = []
    rest = list(todo) if executor == "local" else []
    while waiting or rest:
        while rest and len(waiting) < workers:
            waiting.append((rest[0], engine.submit(work, rest[0][1])))
            if progress:
                progress(rest[0][0], total, rest[0][1], "begins")
            rest.pop(0)
        for pair in [pair for pair in waiting if pair[1].done()]:
            waiting.remove(pair)
            (number, cell), job = pair
            if error := job.exception():
                _note(work.folder / name(cell), cell, error)
            if progress:
                progress(number, total, cell, _status(work.folder, cell))
        time.sleep(0.2)


def _note(place, cell, error):
    """Leave a report of a cell that failed before, or without, writing one."""
    report = place / runs.REPORT
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        found = runs.read_report(place)
    except ValueError:
        return  # damaged, and shown as such
    except FileNotFoundError:
        pass
    else:
        if found.status not in ("failed", "interrupted"):
            found.status, found.error = "failed", said
            runs.write_report(report, found)
        return
    place.mkdir(parents=True, exist_ok=True)
    described = asdict(cell)
    failed = runs.Report(
        name=cell.experiment,
        status="failed",
        started=runs.now(),
        seed=described.pop("seed"),
        settings=described,
        data={"name": cell.experiment.split("-")[0], "origin": None},
        error=said,
    )
    runs.write_report(report, failed)


def _status(folder, cell):
    return state([cell], folder)["status"][0]


def _said(settings):
    """List what a line says: all that differs from the chapter, the recipe and the seed."""
    default = experiments.EXPERIMENTS[settings.experiment]
    for field in fields(settings):
        value = getattr(settings, field.name)
        always = field.name == "seed" or (field.name == "recipe" and value is not None)
        if field.name != "experiment" and (always or value != getattr(default, field.name)):
            yield field.name, value


def _settings(experiment, **changes):
    changes["budget"] = budgets.get(changes.get("budget")).name
    return experiments.settings(experiment, **changes)


def _field(name):
    known = [field.name for field in fields(experiments.Settings)]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else f": {', '.join(known)}"
        raise ValueError(f"setting must be a field of Settings, got {name!r}{hint}")


def _distinct(cells):
    cells = list(cells)
    seen = {}
    for number, cell in enumerate(cells, start=1):
        first = seen.setdefault(name(cell), number)
        if first != number:
            raise ValueError(
                f"cells must differ, but cell {number} is cell {first} again: {line(cell)}"
            )
    return cells
