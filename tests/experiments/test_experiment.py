import tempfile

import h5py
import pytest

import companion
from companion.data import budgets, store, synthetic
from companion.data.registry import DataError, temporary_folder
from companion.experiments import experiment
from companion.training import layers, models


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return synthetic.write_archive(tmp_path_factory.mktemp("signs"), scale=0.01)


@pytest.fixture
def cooked(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: experiment.cooked_data("24x24-L", budgets.get("quick"), root=archive)


def test_it_is_cooked_once_and_kept_in_the_cache(cooked, tmp_path):
    first = cooked()
    written = first.path.stat().st_mtime_ns
    assert first.path.is_relative_to(tmp_path / "cache")
    assert (cooked().x == first.x).all()
    assert first.path.stat().st_mtime_ns == written


def test_a_file_of_another_version_is_cooked_again(cooked, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(companion, "__version__", "0.0.1")
        assert cooked().version == "0.0.1"
    assert cooked().version == companion.__version__


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def foreign(path):
    path.write_text("a letter")


def scratched(path):
    """Spoil a chunk of images, which `read_header` does not read."""
    with h5py.File(path, "r") as file:
        chunk = file["train/images"].id.get_chunk_info(0)
    damaged = bytearray(path.read_bytes())
    damaged[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(damaged)


@pytest.mark.parametrize("damage", [empty, cut, foreign, scratched])
def test_a_damaged_file_of_the_cache_is_cooked_again(cooked, damage):
    first = cooked()
    damage(first.path)
    with pytest.raises(DataError):
        store.load(first.path)
    again = cooked()
    assert again.path == first.path
    assert (again.x == first.x).all()


def test_signs_are_cooked_in_the_temporary_folder_where_the_cache_cannot_be_written(
    cooked, tmp_path
):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert cooked().path.is_relative_to(temporary_folder())


def test_where_nothing_can_be_written_a_sentence_says_so(cooked, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"cooked neither into .* nor into .*: free some space"):
        cooked()


@pytest.mark.parametrize("name", ["mnist-dense", "mnist-cnn"])
def test_digits_have_no_recipe(name):
    with pytest.raises(ValueError, match=f"recipe must be left out for {name}, got '24x24-L'"):
        experiment.settings(name, recipe="24x24-L")


@pytest.mark.parametrize(("name", "width"), [("", 1), ("-75", 0.75), ("-50", 0.5)])
def test_a_narrower_network_is_built_of_the_fast_layers_too(name, width):
    model = experiment.network(experiment.settings(f"gtsrb-compact{name}"), (32, 32, 3))
    assert model.count_params() == models.gtsrb_compact(width=width).count_params()
    assert any(type(layer) is layers.Conv2D for layer in model.layers)


def test_colour_adds_its_changes_to_those_that_were_there():
    plain, colour = (
        experiment.network(
            experiment.settings("gtsrb-small", augment=True, strength=2.0, colour=amount),
            (24, 24, 3),
        )
        for amount in (0, 0.5)
    )
    kinds = [[type(layer).__name__ for layer in model.layers[:5]] for model in (plain, colour)]
    assert kinds[1] == ["RandomColour", "RandomShade", *kinds[0][:3]]
    amounts = {**colour.layers[0].get_config(), **colour.layers[1].get_config()}
    for name, amount in experiment.COLOUR.items():
        assert amounts[name] == pytest.approx(amount)


@pytest.mark.slow
def test_flips_and_augmentation_change_the_training_alone(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    reports = {}
    for name in ("plain", "flips", "augment"):
        changes = {} if name == "plain" else {name: True}
        settings = experiment.settings("gtsrb-small", epochs=1, scale=1.0, **changes)
        reports[name] = experiment.train(settings, tmp_path / name, root=archive).report
    totals = {report.validation["total"] for report in reports.values()}
    assert len(totals) == 1
    losses = [report.history["loss"] for report in reports.values()]
    assert losses[0] != losses[1] != losses[2] != losses[0]
    assert reports["flips"].settings["flips"] is True
    assert reports["augment"].model["parameters"] == reports["plain"].model["parameters"]
