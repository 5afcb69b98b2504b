"""The command line: ``companion`` or ``python -m companion``."""

import sys
from pathlib import Path

import click

import companion


class OneSentence(click.Group):
    """A group whose commands end a mistake with one sentence, not with a traceback."""

    def invoke(self, ctx):
        """Run the command; what bad input raises becomes the program's last line."""
        try:
            return super().invoke(ctx)
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
@click.option("--recipe", help="How the traffic signs are cooked.")
@click.option("--split", help="track: whole tracks are held out; image: images at random.")
@click.option("--fraction", type=float, help="Share held out for validation.")
@click.option("--seed", type=int, help="Of everything drawn at random.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the data.")
@click.option("--test", is_flag=True, help="Open the test set at the end; the report says so.")
def train(experiment, folder, root, test, **changes):
    """Train EXPERIMENT and write its report into FOLDER.

    EXPERIMENT is mnist-dense, mnist-cnn or gtsrb-v1. What is not given is as in its chapter.
    """
    import keras

    from companion.experiments import budget
    from companion.experiments import experiment as experiments

    changes["budget"] = budget.get(changes["budget"]).name
    settings = experiments.settings(experiment, **changes)

    def say(epoch, logs):
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        click.echo(f"epoch {epoch + 1}/{settings.epochs}  {numbers}")

    lines = keras.callbacks.LambdaCallback(on_epoch_end=say)
    run = experiments.train(settings, folder, root=root, test=test, callbacks=[lines])
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


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for another program.")
def report(folder, as_csv):
    """Compare the runs below FOLDER."""
    from companion.experiments import reports

    table = reports.table(folder)
    if as_csv:
        click.echo(table.to_csv(index=False), nl=False)
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
            f"{row['data']} ({row['origin']})",
            str(row["seed"]),
            _number(row["parameters"]),
            _interval(row, "validation"),
            _interval(row, "test"),
            str(row["openings"]),
        )
    # A file or a pipe has no width to fit into.
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(shown if len(table) else f"{folder} holds no report yet.")


def _number(value):
    # pandas writes a missing number as None or as NaN
    return "" if value is None or value != value else f"{value:,.0f}"


def _interval(row, name):
    if not _number(row[name]):
        return ""
    return f"{row[name]:.2%} [{row[f'{name}_low']:.2%}, {row[f'{name}_high']:.2%}]"


@main.command()
def doctor():
    """Say what is installed, which data are found, and what is missing."""
    import psutil

    from companion.data import open_dataset
    from companion.data.registry import cache_folder, named_folder
    from companion.experiments import runs

    found = runs.machine()
    click.echo(f"system    {found['system']}, {found['cores']} cores, {sys.prefix}")
    click.echo(f"memory    {psutil.virtual_memory().total / 1e9:.1f} GB")
    click.echo(f"device    {found['device']}")
    for name, version in found["versions"].items():
        click.echo(f"{name:<9} {version}")
    click.echo(f"data in   {named_folder() or cache_folder()}")
    for name in ("mnist", "gtsrb"):
        try:
            dataset = open_dataset(name)
        except (ValueError, OSError) as error:
            click.echo(f"{name:<9} unusable: {error}")
            continue
        click.echo(f"{name:<9} {dataset.note}, sha256 {dataset.digest[:12]}…")
        if dataset.origin != "official":
            click.echo(f"          the real images: companion fetch {name}")


if __name__ == "__main__":
    main(prog_name="companion")
