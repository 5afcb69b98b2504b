"""One network trained by several processes together, each on its own part of every batch.

``srun python -m companion.experiments.distributed mnist-cnn runs/two`` in a Slurm job; the
processes find each other. A job file of ``hpc/slurm`` does this.
"""

import csv
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

import click

LAST, STEPS = "last.npz", "steps.csv"
AGREE_EVERY = 20  # batches between two questions whether a signal came to one of the processes


def join(address=None, processes=None, rank=None):
    """Join the other processes of this training; to be called before Keras is imported.

    Parameters
    ----------
    address : str, optional
        ``host:port`` of the first process. By default Slurm says where it is, in a job step of
        more than one task; elsewhere this process is alone.
    processes, rank : int, optional
        How many there are, and which one this is, from 0; with `address`.

    Returns
    -------
    (int, int)
        This process' number, from 0, and how many there are.

    Examples
    --------
    >>> join()
    (0, 1)
    """
    import jax

    if address is not None:
        jax.distributed.initialize(address, processes, rank)
    elif int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        jax.distributed.initialize()
    return jax.process_index(), jax.process_count()


def rows_of_batch(order, batch, batch_size, rank, processes):
    """Give the rows of one batch that one process trains on.

    Parameters
    ----------
    order : numpy.ndarray of int, (N,)
        All rows, in this epoch's order.
    batch : int
        From 0.
    batch_size : int
        Of all processes together, a multiple of `processes`.
    rank, processes : int
        This one's number, from 0, and how many there are.

    Returns
    -------
    numpy.ndarray of int, (batch_size / processes,)

    Examples
    --------
    >>> import numpy as np
    >>> [rows_of_batch(np.arange(10), 1, 4, rank, 2).tolist() for rank in (0, 1)]
    [[4, 5], [6, 7]]
    """
    share = batch_size // processes
    first = batch * batch_size + rank * share
    return order[first : first + share]


def train(settings, folder, *, root=None):
    """Train one network in all processes, and let the first write the report.

    The batches are the same, whatever the number of processes: the images of an epoch in an
    order that depends on the seed and the epoch alone, in batches of `settings.batch_size` over
    all processes; a last, smaller batch is left out. A folder with an unfinished run goes on after
    its last whole epoch.

    Parameters
    ----------
    settings : companion.experiments.experiment.Settings
        What to run. The batch size must be a multiple of the number of devices.
    folder : path-like
        Of the run, which all processes see.
    root : path-like, optional
        Where the data are; see `companion.data.open_dataset`.

    Returns
    -------
    companion.experiments.runs.Report or None
        In the first process. ``steps.csv`` in the folder holds the loss after each step: the mean
        over its epoch so far, as Keras gives it.

    Raises
    ------
    ValueError
        If the batches cannot be shared out, or the folder holds another training.
    Interrupted
        After a signal, with exit code 99.
    """
    import jax
    import keras
    import numpy as np

    from companion.experiments import experiment, runs
    from companion.training import checkpoints, scores, signals

    rank, processes = jax.process_index(), jax.process_count()
    if settings.batch_size % jax.device_count():
        raise ValueError(
            f"batch_size must be a multiple of the {jax.device_count()} devices, "
            f"got {settings.batch_size}"
        )
    if settings.augment or settings.flips:
        raise ValueError("augment and flips must be left out: one process trains with them")
    folder = Path(folder)
    described = asdict(settings) | {"processes": processes}
    seed = described.pop("seed")
    if (folder / runs.REPORT).is_file():
        there = runs.read_report(folder)
        if there.status == "finished":
            runs.check_same(folder, there, seed=seed, **described)
            return there if rank == 0 else None
    data, x, class_ids, tracks = experiment.training_images(settings, root)
    train_rows, validation_rows = experiment.split_rows(settings, class_ids, tracks)
    x_train, y_train = x[train_rows], class_ids[train_rows]
    steps = len(x_train) // settings.batch_size
    if not steps:
        raise ValueError(
            f"batch_size must be <= {len(x_train)}, the training images, got {settings.batch_size}"
        )

    class Epoch(keras.utils.PyDataset):
        """One epoch: of each batch, the rows of this process."""

        def __init__(self, epoch):
            super().__init__()
            drawn = np.random.default_rng([settings.seed, epoch])
            self.order = drawn.permutation(len(x_train))

        def __len__(self):
            return steps

        def __getitem__(self, batch):
            rows = rows_of_batch(self.order, batch, settings.batch_size, rank, processes)
            return x_train[rows], y_train[rows]

    # Every process holds the whole network; the gradients of all rows are averaged over them.
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    keras.utils.set_random_seed(seed)
    model = experiment.network(settings, x.shape[1:])
    model.compile(
        experiment.optimizer(settings, steps=steps),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)

    run, done, history, losses = None, 0, {}, []
    if (folder / LAST).exists():
        done, history, losses = _restore(folder / LAST, model, {"seed": seed, **described})
    if rank == 0:
        run = runs.start(
            folder, data=data, seed=seed, name=settings.experiment, resume=True, **described
        )
    _meet("begin")

    with signals.Stop() as stop:
        try:
            for epoch in range(done, settings.epochs):
                for i, variable in enumerate(checkpoints.random_states(model)):
                    state = np.random.SeedSequence([seed, epoch, i]).generate_state(2)
                    variable.assign(state.astype(variable.dtype))
                logs = model.fit(
                    Epoch(epoch),
                    initial_epoch=epoch,
                    epochs=epoch + 1,
                    shuffle=False,  # the rows are in order already, the same in each process
                    callbacks=[_watch(losses, epoch, stop)],
                    verbose=0,
                ).history
                for key, values in logs.items():
                    history.setdefault(key, []).append(float(values[0]))
                if rank == 0:
                    said = {"seed": seed, **described}
                    _save(folder / LAST, model, said, epoch + 1, history, losses)
                    numbers = "  ".join(f"{key} {v[-1]:.4f}" for key, v in history.items())
                    click.echo(f"epoch {epoch + 1}/{settings.epochs}  {numbers}")
                _meet(f"epoch {epoch}")
        except BaseException as error:
            if rank == 0:
                run.fail(error)
            raise

    report = None
    if rank == 0:
        # A copy of its own, in which no other process has a part.
        weights = [np.asarray(weight) for weight in model.weights]
        keras.distribution.set_distribution(None)
        copy = experiment.network(settings, x.shape[1:])
        copy.set_weights(weights)
        predicted = copy.predict(x[validation_rows], verbose=0).argmax(axis=1)
        groups = tracks[validation_rows] if settings.split == "track" else None
        score = scores.score(
            predicted, class_ids[validation_rows], classes=data.counts["classes"], tracks=groups
        )
        runs.write_text(folder / STEPS, _csv(losses))
        run.finish(copy, history, score)
        (folder / LAST).unlink(missing_ok=True)
        report = run.report
    _meet("end")
    return report


def _watch(losses, epoch, stop):
    """Make a callback that notes the losses and stops all processes after the same batch."""
    import keras
    import numpy as np
    from jax.experimental import multihost_utils

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append((epoch + 1, batch + 1, float(logs["loss"])))
            if (batch + 1) % AGREE_EVERY:
                return
            # A signal reaches the processes at different batches. One that stopped by itself
            # would leave the others waiting for its part of the next.
            came = multihost_utils.process_allgather(np.array(bool(stop.name)))
            if np.any(came):
                stop.name = stop.name or "a signal to another process"
                stop.check()

    return Watch()


def _meet(place):
    """Wait until every process is here."""
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(place)


def _variables(model):
    return [*model.variables, *model.optimizer.variables]


def _save(path, model, settings, epoch, history, losses):
    """Write all that is needed to go on; one process does."""
    import numpy as np

    from companion.training.checkpoints import write_arrays

    # Every process holds all values, so that reading them asks nothing of the others, which
    # Keras' save_weights would.
    arrays = {f"variable-{i:04}": np.asarray(v) for i, v in enumerate(_variables(model))}
    said = {
        "settings": settings,
        "epoch": epoch,
        "batch": 0,
        "history": history,
        "losses": losses,
    }
    write_arrays(path, arrays, said)


def _restore(path, model, settings):
    """Give the epochs that are done, the history and the losses; set the variables."""
    from companion.training.checkpoints import read_arrays

    said, arrays = read_arrays(path)
    there = said.get("settings", {})
    for key, value in json.loads(json.dumps(settings)).items():
        # More or fewer processes train in the same batches.
        if key != "processes" and there.get(key) != value:
            raise ValueError(
                f"{path} is of a training with {key} {there.get(key)!r}, not {value!r}: go on "
                "with the same settings, or choose another folder"
            )
    for variable, key in zip(_variables(model), sorted(arrays), strict=True):
        variable.assign(arrays[key])
    return said["epoch"], said["history"], [tuple(entry) for entry in said["losses"]]


def _csv(losses):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "step", "loss"])
    writer.writerows(losses)
    return text.getvalue()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("experiment")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--budget", help="quick, laptop or full; else $COMPANION_BUDGET, else quick.")
@click.option("--epochs", type=int, help="Passes over the training images.")
@click.option("--batch-size", type=int, help="Images a step, over all processes.")
@click.option("--recipe", help="How the traffic signs are cooked.")
@click.option("--split", help="track or image.")
@click.option("--fraction", type=float, help="Share held out for validation.")
@click.option("--learning-rate", type=float, help="Of Adam.")
@click.option("--schedule", help="constant or cosine.")
@click.option("--weight-decay", type=float, help="Share of the weights that Adam takes off.")
@click.option("--seed", type=int, help="Of everything drawn at random.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the data.")
@click.option("--address", help="host:port of the first process, where Slurm does not say it.")
@click.option("--processes", type=int, help="How many there are, with --address.")
@click.option("--rank", type=int, help="Which one this is, from 0, with --address.")
def main(experiment, folder, root, address, processes, rank, **changes):
    """Train EXPERIMENT in all processes of this job step; the first writes into FOLDER.

    An unfinished run in FOLDER goes on after its last whole epoch. Exit code 99: stopped by a
    signal.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    # Before anything asks for a device, which would be this process' alone.
    number, count = join(address, processes, rank)
    import jax

    from companion.data import budgets
    from companion.experiments import experiment as experiments

    click.echo(
        f"process {number + 1} of {count}: {jax.local_device_count()} of "
        f"{jax.device_count()} devices, {jax.devices()[0].device_kind}"
    )
    try:
        changes["budget"] = budgets.get(changes["budget"]).name
        settings = experiments.settings(experiment, **changes)
        report = train(settings, folder, root=root)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if report is not None:
        click.echo(f"report      {folder / 'report.json'}")


if __name__ == "__main__":
    main(prog_name="python -m companion.experiments.distributed")
