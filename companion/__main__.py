"""The command line: ``companion`` or ``python -m companion``."""

import sys
from pathlib import Path

import click

import companion


class OneSentence(click.Group):
    """A group whose commands end a mistake with one sentence, not with a traceback."""

    def invoke(self, ctx):
        """Run the command; what bad input raises becomes the program's last line."""
        from companion.training.signals import Interrupted

        try:
            return super().invoke(ctx)
        except Interrupted as stopped:
            said = "give the same command again to go on (train: with --resume)"
            click.echo(f"{stopped}, with a checkpoint: {said}", err=True)
            raise
        except (ValueError, OSError, MemoryError) as error:
            raise click.ClickException(str(error)) from error

    def resolve_command(self, ctx, args):
        """Find the command, or name the nearest one."""
        from difflib import get_close_matches

        if args and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            raise click.UsageError(f"no command is called '{args[0]}'{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=OneSentence, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(companion.__version__)
def main():
    r"""Fetch, cook, train and report: the book From Kernel to Cluster at a prompt.

    \b
    companion fetch gtsrb                    download the real traffic signs, once
    companion cook --recipe 24x24-L a.h5     make a data set of them
    companion train gtsrb-v1 runs/first      train a network, write its report
    companion sweep grid.txt runs            train many, each with its report
    companion report runs                    compare all runs below a folder
    companion doctor                         what is installed and found here

    Without the real images, the traffic signs are drawn ones, and every report says so.
    """


@main.command()
@click.argument("name", type=click.Choice(["mnist", "gtsrb"]))
@click.option("--root", type=click.Path(path_type=Path), help="Folder to write to.")
def fetch(name, root):
    """Download a data set and check it.

    Nothing else downloads. An interrupted download goes on where it stopped. By default the
    files go where chapters look: $COMPANION_DATA, else the user's cache folder.
    """
    from companion.data import fetch as downloads

    click.echo(f"{name} is in {downloads.fetch(name, root)}")


@main.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--recipe", default="24x24-L", show_default=True, help="Size, colour, enhancement.")
@click.option("--scale", default=1.0, show_default=True, help="Share of the frames, in 0 … 1.")
@click.option("--seed", default=0, show_default=True, help="Of the frames drawn.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the archive.")
@click.option("--overwrite", is_flag=True, help="Replace a file that holds something else.")
def cook(path, recipe, scale, seed, root, overwrite):
    """Cook the traffic signs into the HDF5 file PATH."""
    from companion.data import cooking, open_dataset, store

    dataset = open_dataset("gtsrb", root)
    cooking.cook(
        dataset.archive, path, recipe, scale=scale, seed=seed, overwrite=overwrite, progress=True
    )
    cooked = store.load(path)
    click.echo(f"{path}: {len(cooked.x):,} training images {cooked.x.shape[1:]}, {cooked.note}")


@main.command()
@click.argument("experiment")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--budget", help="quick, laptop or full; else $COMPANION_BUDGET, else quick.")
@click.option("--epochs", type=int, help="Passes over the training images.")
@click.option("--batch-size", type=int, help="Images a step.")
@click.option("--recipe", help="How the traffic signs are cooked, such as 24x24-L-CLAHE.")
@click.option("--split", help="track: whole tracks are held out; image: images at random.")
@click.option("--fraction", type=float, help="Share held out for validation.")
@click.option("--augment/--no-augment", default=None, help="Change the images at random.")
@click.option("--strength", type=float, help="Of --augment: 2 makes all changes twice as large.")
@click.option("--colour", type=float, help="Of --augment: 1 changes colours and light, too.")
@click.option("--flips/--no-flips", default=None, help="Add images that a flip makes of others.")
@click.option("--learning-rate", type=float, help="Of Adam.")
@click.option("--schedule", help="constant, or cosine: the learning rate falls to 0.")
@click.option("--weight-decay", type=float, help="Share of the weights that Adam takes off.")
@click.option("--scale", type=float, help="Share of the images used, whatever the budget says.")
@click.option("--seed", type=int, help="Of everything drawn at random.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the data.")
@click.option("--test", is_flag=True, help="Open the test set at the end; the report says so.")
@click.option("--resume", is_flag=True, help="Go on with FOLDER's run; leave a finished one.")
@click.option("--checkpoint-every", type=int, help="Keep the weights of every so many epochs.")
@click.option("--checkpoint-minutes", type=float, help="Also make checkpoints within an epoch.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, nothing else.")
def train(
    experiment,
    folder,
    root,
    test,
    resume,
    checkpoint_every,
    checkpoint_minutes,
    as_json,
    **changes,
):
    r"""Train EXPERIMENT and write its report into FOLDER.

    EXPERIMENT is mnist-dense, mnist-cnn, gtsrb-v1, gtsrb-v2, gtsrb-v3, gtsrb-small,
    gtsrb-compact, or gtsrb-compact-75 and gtsrb-compact-50, which have three quarters and half of
    the filters of gtsrb-compact. What is not given is as in its chapter.

    After every epoch a checkpoint is written. SIGTERM, SIGINT (Ctrl-C), SIGUSR1 and SIGUSR2 stop
    the training at the end of the batch, with a checkpoint; the same command with --resume goes
    on, and ends in the same bits as if nothing had happened.

    \b
    Exit codes: 0 finished; 1 failed, in one sentence; 2 wrong usage;
                99 stopped by a signal, with a checkpoint.

    \b
    companion train gtsrb-small runs/small --epochs 10 --augment
    companion train gtsrb-small runs/small --epochs 10 --augment --resume
    """
    from companion.training.signals import Stop

    with Stop() as stop:  # before Keras is loaded, which takes seconds
        from companion.data import budgets
        from companion.experiments import experiment as experiments

        changes["budget"] = budgets.get(changes["budget"]).name
        settings = experiments.settings(experiment, **changes)
        show = [] if as_json else [_progress(settings.epochs)]
        run = experiments.train(
            settings,
            folder,
            root=root,
            test=test,
            resume=resume,
            every=checkpoint_every,
            minutes=checkpoint_minutes,
            callbacks=show,
            stop=stop,
        )
    if as_json:
        click.echo((run.folder / "report.json").read_text(), nl=False)
        return
    report = run.report
    click.echo(f"data        {report.data['note']}")
    for name in ("validation", "test"):
        if score := getattr(report, name):
            low, high = score["interval"]
            click.echo(
                f"{name:<11} {score['accuracy']:.2%} [{low:.2%}, {high:.2%}]"
                f" of {score['total']:,} images, 95 % interval: {score['interval_method']}"
            )
    click.echo(f"report      {run.folder / 'report.json'}")


def _progress(epochs, label=""):
    """Make the callback that shows a training: a bar in a terminal, a line an epoch in a file."""
    import time

    import keras
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    class Show(keras.callbacks.Callback):
        bar = None

        def on_epoch_begin(self, epoch, logs=None):
            self.clock = time.perf_counter()
            if sys.stdout.isatty():
                self.bar = Progress(
                    "[progress.description]{task.description}",
                    BarColumn(),
                    MofNCompleteColumn(),
                    "batches",
                    TimeRemainingColumn(),
                    transient=True,
                )
                self.bar.start()
                said = f"{label}epoch {epoch + 1}/{epochs}"
                self.task = self.bar.add_task(said, total=self.params["steps"])

        def on_train_batch_end(self, batch, logs=None):
            if self.bar:
                self.bar.update(self.task, completed=batch + 1)

        def end(self):
            if self.bar:
                self.bar.stop()
                self.bar = None

        def on_epoch_end(self, epoch, logs=None):
            self.end()
            numbers = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
            seconds = time.perf_counter() - self.clock
            click.echo(f"{label}epoch {epoch + 1}/{epochs}  {seconds:.1f} s  {numbers}")
            sys.stdout.flush()  # a log file is followed while it grows

        def __del__(self):
            self.end()  # an interrupted epoch leaves the terminal as it was

    return Show()


@main.command()
@click.argument("grid", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--cell", type=int, help="Run this line of GRID alone, from 1: an array's task.")
@click.option("--list", "list_only", is_flag=True, help="Say how far each cell is, run nothing.")
@click.option(
    "--executor",
    default="here",
    show_default=True,
    help="here: in this process, one by one; together: in one program, for a GPU; "
    "local: in processes of their own; slurm: as an array of jobs.",
)
@click.option("--workers", default=1, show_default=True, help="Cells at a time (local, slurm).")
@click.option("--slurm", multiple=True, metavar="KEY=VALUE", help="Option of sbatch; repeatable.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the data.")
@click.option("--test", is_flag=True, help="Open the test set at the end of each cell.")
@click.option("--checkpoint-minutes", type=float, help="Also make checkpoints within an epoch.")
@click.option("--json", "as_json", is_flag=True, help="Print the state as JSON, nothing else.")
def sweep(
    grid,
    folder,
    cell,
    list_only,
    executor,
    workers,
    slurm,
    root,
    test,
    checkpoint_minutes,
    as_json,
):
    r"""Run every training of the file GRID, each into its own folder below FOLDER.

    A line of GRID is what one would type after companion train, without the folder:

    \b
    # networks, recipes and seeds
    gtsrb-v1 --recipe 24x24-L --seed 0
    gtsrb-small --recipe 24x24-RGB --seed 0 --augment

    A finished cell is not run again, an unfinished one goes on from its checkpoint, and one that
    fails does not stop the others. The same file serves arrays of jobs, with --cell; see hpc/.

    \b
    Exit codes: 0 all cells are finished; 1 some failed; 2 wrong usage;
                99 stopped by a signal, with a checkpoint.
    """
    from companion.training.signals import Stop

    with Stop() as stop:
        from companion.experiments import sweep as sweeps

        cells = sweeps.read(grid)
        if cell is not None:
            if not 1 <= cell <= len(cells):
                raise ValueError(f"cell must lie between 1 and {len(cells)}, got {cell}")
            cells = [cells[cell - 1]]

        def say(cell):
            """Begin the line of an epoch; side by side, it says whose."""
            if executor != "together":
                return "  "
            return " ".join(
                filter(None, ["  " + cell.experiment, cell.recipe, f"seed {cell.seed} "])
            )

        if list_only:
            table = sweeps.state(cells, folder)
        else:
            options = dict(_pair(option) for option in slurm)
            table = sweeps.run(
                cells,
                folder,
                executor=executor,
                root=root,
                test=test,
                minutes=checkpoint_minutes,
                workers=workers,
                slurm=options,
                progress=None if as_json else _say_cell,
                callbacks=None if as_json else lambda cell: [_progress(cell.epochs, say(cell))],
                stop=stop,
            )
    if as_json:
        click.echo(table.to_json(orient="records", indent=1))
    else:
        counts = table["status"].value_counts().to_dict()
        for row in table.to_dict("records"):
            said = f"{row['validation']:.2%}" if row["status"] == "finished" else row["error"]
            click.echo(f"{row['cell']:>4} {row['status']:<11} {row['name']}  {said or ''}")
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items()))
    if not list_only and (table["status"] != "finished").any():
        raise SystemExit(1)


def _pair(option):
    key, equals, value = option.partition("=")
    if not (key and equals):
        raise ValueError(f"--slurm needs KEY=VALUE, such as partition=gpu, got {option!r}")
    return key.lstrip("-"), value


def _say_cell(number, total, settings, status):
    from companion.experiments import sweep as sweeps

    click.echo(f"cell {number}/{total} {status}: {sweeps.line(settings)}")
    sys.stdout.flush()


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for another program.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for another program.")
@click.option("--run", "name", help="Look closely at the run of this name or folder.")
def report(folder, as_csv, as_json, name):
    r"""Compare the runs below FOLDER, unfinished, failed and damaged ones too.

    \b
    companion report runs
    companion report runs --csv > runs.csv
    companion report runs --run gtsrb-small     settings, curves, mistakes of one
    """
    from companion.experiments import reports

    table = reports.table(folder)
    if name is not None:
        _one_run(table, name, as_json)
        return
    if as_csv:
        click.echo(table.to_csv(index=False), nl=False)
        return
    if as_json:
        click.echo(table.to_json(orient="records", indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table()
    for column in ("run", "status", "data", "seed", "parameters", "validation", "test", "opened"):
        # No name is cut short.
        shown.add_column(column, no_wrap=column == "run", overflow="fold")
    for row in table.to_dict("records"):
        shown.add_row(
            row["run"],
            row["status"],
            f"{row['data']} ({row['origin']})" if row["origin"] else "",
            _number(row["seed"]),
            _number(row["parameters"]),
            _interval(row, "validation"),
            _interval(row, "test"),
            _number(row["openings"]),
        )
    # A file or a pipe has no width to fit into.
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(shown if len(table) else f"{folder} holds no report yet.")
    for row in table.to_dict("records"):
        if row.get("error"):
            click.echo(f"{row['path']}: {row['error']}")


def _one_run(table, name, as_json):
    """Print one report: what it was, what came of it, and what it got wrong."""
    import difflib
    import json
    from dataclasses import asdict

    from companion.data.gtsrb import CLASS_NAMES
    from companion.experiments import reports, runs

    wanted = str(Path(name))
    paths = [
        row["path"]
        for row in table.to_dict("records")
        if wanted in (row["run"], row["path"], str(Path(row["path"]).parent))
        or Path(row["path"]).parent.name == wanted
    ]
    if len(paths) != 1:
        names = sorted({Path(path).parent.name for path in table["path"]})
        near = difflib.get_close_matches(wanted, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names) or 'none'}"
        many = "no run is" if not paths else f"{len(paths)} runs are"
        raise ValueError(f"{many} called {name!r} here: {hint}")
    report = runs.read_report(paths[0])
    if as_json:
        click.echo(json.dumps(asdict(report), indent=1))
        return
    click.echo(f"run         {report.name}, {report.status}  {report.error or ''}".rstrip())
    click.echo(f"data        {report.data.get('note', 'none')}")
    said = ", ".join(f"{k} {v}" for k, v in report.settings.items() if v is not None)
    click.echo(f"settings    {said}, seed {report.seed}")
    if report.model:
        count, work = report.model["parameters"], report.model["multiply_adds"]
        click.echo(f"network     {report.model['name']}, {count:,} parameters, {work:,} mult-adds")
    keys = list(report.history)
    if keys:
        click.echo("epoch       " + "  ".join(f"{key:>12}" for key in keys))
    for epoch, values in enumerate(zip(*report.history.values(), strict=True), start=1):
        click.echo(f"{epoch:>5}       " + "  ".join(f"{value:>12.4f}" for value in values))
    if not report.validation:
        return
    low, high = report.validation["interval"]
    click.echo(
        f"validation  {report.validation['accuracy']:.2%} [{low:.2%}, {high:.2%}], "
        f"95 % interval: {report.validation['interval_method']}"
    )
    signs = report.data["name"] == "gtsrb"
    pairs = reports.most_confused(report, 5).to_dict("records")
    for pair in pairs:
        true, taken = (
            CLASS_NAMES[pair[key]] if signs else pair[key] for key in ("true", "predicted")
        )
        click.echo(f"            {pair['images']:>4} of {true} taken for {taken}")


def _number(value):
    # pandas writes a missing number as None or as NaN
    return "" if value is None or value != value else f"{value:,.0f}"


def _interval(row, name):
    if not _number(row[name]):
        return ""
    return f"{row[name]:.2%} [{row[f'{name}_low']:.2%}, {row[f'{name}_high']:.2%}]"


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for another program.")
@click.option(
    "--need",
    multiple=True,
    type=click.Choice(["gpu", "official-gtsrb", "official-mnist"]),
    help="Fail if this is missing; repeatable.",
)
@click.option(
    "--space", type=(str, float), metavar="FOLDER GB", help="Fail if FOLDER has less room."
)
def doctor(as_json, need, space):
    r"""Say what is installed, which data are found, and what is missing.

    Exit code 1, and a sentence for each, if something that --need or --space name is missing.

    \b
    companion doctor --need gpu --need official-gtsrb --space runs 5
    """
    import json

    found = _findings()
    missing = _missing(found, need, space)
    if as_json:
        click.echo(json.dumps({**found, "missing": missing}, indent=1))
    else:
        click.echo(f"system    {found['system']}, {found['cores']} cores, {found['python']}")
        click.echo(
            f"memory    {found['memory_gb']:.1f} GB, {found['memory_free_gb']:.1f} GB available"
        )
        for device in found["devices"]:
            click.echo(f"device    {device}")
        for name, version in found["versions"].items():
            click.echo(f"{name:<9} {version}")
        click.echo(f"allocator {found['allocator']}")
        click.echo(f"threads   {found['threads']}")
        click.echo(f"YNNPACK   {found['ynnpack']}")
        click.echo(f"compiled  {found['compiled']}")
        click.echo(f"data in   {found['data_folder']}")
        for name, data in found["data"].items():
            if data["error"]:
                click.echo(f"{name:<9} unusable: {data['error']}")
                continue
            click.echo(f"{name:<9} {data['note']}, sha256 {data['digest'][:12]}…")
            if data["origin"] != "official":
                click.echo(f"          the real images: companion fetch {name}")
    for sentence in missing:
        click.echo(f"Error: {sentence}", err=True)
    if missing:
        raise SystemExit(1)


def _findings():
    import jax
    import psutil

    from companion.data import open_dataset
    from companion.data.registry import cache_folder, named_folder
    from companion.experiments import runs
    from companion.training import runtime

    machine, memory = runs.machine(), psutil.virtual_memory()
    data = {}
    for name in ("mnist", "gtsrb"):
        try:
            dataset = open_dataset(name)
        except (ValueError, OSError) as error:
            data[name] = {"error": str(error), "origin": None}
            continue
        data[name] = {key: getattr(dataset, key) for key in ("note", "origin", "digest", "counts")}
        data[name]["error"] = None
    return {
        "system": machine["system"],
        "cores": machine["cores"],
        "python": sys.prefix,
        "memory_gb": round(memory.total / 1e9, 1),
        "memory_free_gb": round(memory.available / 1e9, 1),
        "devices": [f"{d.platform}: {d.device_kind}" for d in jax.devices()],
        "platforms": sorted({d.platform for d in jax.devices()}),
        "versions": machine["versions"],
        "allocator": runtime.keep_memory(),
        "threads": runtime.fit_threads(),
        "ynnpack": runtime.leave_out_ynnpack(),
        "compiled": runtime.keep_compiled(),
        "data_folder": str(named_folder() or cache_folder()),
        "data": data,
    }


def _missing(found, need, space):
    import shutil

    missing = []
    if "gpu" in need and not {"gpu", "cuda", "rocm"} & set(found["platforms"]):
        missing.append(
            f"a GPU is asked for and JAX sees {', '.join(found['devices'])}: ask the scheduler "
            'for one, and install the JAX of its kind (pip install "jax[cuda12]")'
        )
    for name in ("mnist", "gtsrb"):
        if f"official-{name}" in need and found["data"][name]["origin"] != "official":
            missing.append(
                f"the real images of {name} are asked for and not found in "
                f"{found['data_folder']}: companion fetch {name}, where there is a network"
            )
    if space:
        folder, wanted = Path(space[0]), space[1]
        there = next(p for p in (folder.resolve(), *folder.resolve().parents) if p.exists())
        free = shutil.disk_usage(there).free / 1e9
        if free < wanted:
            missing.append(
                f"{wanted:g} GB are asked for and {folder} has {free:.2f} GB left: "
                "free some, or choose another folder"
            )
    return missing


if __name__ == "__main__":
    main(prog_name="companion")
