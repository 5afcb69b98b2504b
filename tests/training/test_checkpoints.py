import itertools
import signal
import time

import keras
import numpy as np
import pytest
from keras import layers

from companion.training import checkpoints
from companion.training.checkpoints import Checkpoints
from companion.training.signals import Interrupted, Stop
from companion.training.tensorboard import TensorBoard

SEED, EPOCHS, BATCH, IMAGES = 3, 4, 16, 90
STEPS = -(-IMAGES // BATCH)


@pytest.fixture(scope="module")
def data():
    draw = np.random.default_rng(0)
    x = draw.random((IMAGES, 8, 8, 1), dtype=np.float32)
    y = (x[:, :, :4].sum((1, 2, 3)) > x[:, :, 4:].sum((1, 2, 3))).astype(np.int64)
    return x, y


def build(learning_rate=1e-2):
    """Give a network with all that is random or remembered: augmentation, dropout, BatchNorm."""
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.RandomTranslation(0.2, 0.2),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class At(keras.callbacks.Callback):
    """Raise a signal during a batch, as a scheduler would; or end like a killed process."""

    def __init__(self, epoch, batch, how):
        super().__init__()
        self.place, self.how = (epoch, batch), how

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == self.place:
            self.how()


class Killed(Exception):
    """Stands for an end without any warning: nothing is written after it."""


def kill():
    raise Killed


def train(data, folder, *extra, stop=None, model=None, epochs=EPOCHS, also=(), **options):
    model = model or build()
    checkpoints = Checkpoints(folder, seed=SEED, also=also, stop=stop, **options)
    x, y = data
    history = model.fit(
        x[:70],
        y[:70],
        batch_size=BATCH,
        epochs=epochs,
        initial_epoch=checkpoints.epoch,
        validation_data=(x[70:], y[70:]),
        callbacks=[*extra, *also, checkpoints],
        verbose=0,
    )
    return model, history, checkpoints


def everything(model):
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def best_weights(folder):
    model = build()
    model = keras.Model(model.inputs, model.outputs)  # without an optimizer, as they were saved
    model.load_weights(folder / checkpoints.BEST)
    return model.get_weights()


def assert_same(one, other):
    for a, b in zip(everything(one[0]), everything(other[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[1].history == other[1].history
    assert one[1].epoch == other[1].epoch
    assert one[2].best == other[2].best


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return *train(data, folder), folder


PLACES = [*itertools.product(range(EPOCHS), (0, 2, 4))]


@pytest.mark.parametrize(("epoch", "batch"), PLACES)
def test_stopped_by_a_signal_anywhere_it_goes_on_to_the_same_bits(
    data, whole, tmp_path, epoch, batch
):
    def usr1():
        signal.raise_signal(signal.SIGUSR1)

    with Stop() as stop:
        if (epoch, batch) == (EPOCHS - 1, 4):  # the last batch of all: there is nothing to stop
            train(data, tmp_path, At(epoch, batch, usr1), stop=stop)
        else:
            with pytest.raises(Interrupted) as raised:
                train(data, tmp_path, At(epoch, batch, usr1), stop=stop)
            assert raised.value.code == 99
            assert raised.value.name == "SIGUSR1"
    assert_same(train(data, tmp_path), whole)
    for a, b in zip(best_weights(tmp_path), best_weights(whole[3]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("epoch", "batch"), [(0, 1), (1, 0), (2, 3), (3, 4)])
def test_killed_without_warning_it_loses_an_epoch_at_most(data, whole, tmp_path, epoch, batch):
    with pytest.raises(Killed):
        train(data, tmp_path, At(epoch, batch, kill))
    again = Checkpoints(tmp_path, seed=SEED)
    assert (again.epoch, again.batch) == (epoch, 0)
    assert_same(train(data, tmp_path), whole)


def test_with_minutes_it_loses_less(data, whole, tmp_path):
    with pytest.raises(Killed):
        train(data, tmp_path, At(2, 3, kill), minutes=1e-9)
    again = Checkpoints(tmp_path, seed=SEED)
    assert (again.epoch, again.batch) == (2, 3)
    assert_same(train(data, tmp_path, minutes=1e-9), whole)


def test_killed_at_every_second_batch_it_still_ends_in_the_same_bits(data, whole, tmp_path):
    for number in range(40):
        count = itertools.count()

        class Flaky(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None, count=count):
                if logs and next(count) == 1:  # a batch that is passed over has no logs
                    raise Killed

        try:
            result = train(data, tmp_path, Flaky(), minutes=1e-9)
            break
        except Killed:
            assert number < 39
    assert number > 3
    assert_same(result, whole)


@pytest.mark.parametrize("minutes", [None, 1e-9])
def test_it_changes_nothing_that_it_saves_more_often(data, whole, tmp_path, minutes):
    assert_same(train(data, tmp_path, minutes=minutes, every=1), whole)


def test_schedules_and_other_callbacks_go_on_where_they_were(data, tmp_path):
    def plan():
        return build(keras.optimizers.schedules.CosineDecay(1e-2, EPOCHS * STEPS))

    first = train(data, tmp_path / "whole", model=plan())
    with pytest.raises(Killed):
        train(data, tmp_path / "cut", At(2, 1, kill), model=plan())
    assert_same(train(data, tmp_path / "cut", model=plan()), first)

    def watchers():
        plateau = keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=1.0, cooldown=1)
        return [plateau, keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)]

    first = train(data, tmp_path / "watched", also=watchers(), epochs=9)
    rates = first[1].history["learning_rate"]
    assert len(set(rates)) > 1  # the rate did change, so there was something to forget
    with pytest.raises(Killed):
        train(data, tmp_path / "watched-cut", At(3, 1, kill), also=watchers(), epochs=9)
    assert_same(train(data, tmp_path / "watched-cut", also=watchers(), epochs=9), first)


def test_a_training_that_was_ended_by_another_callback_stays_ended(data, tmp_path):
    def watcher():
        return [keras.callbacks.EarlyStopping(patience=1, min_delta=9, restore_best_weights=True)]

    first = train(data, tmp_path, also=watcher(), epochs=9)
    assert len(first[1].epoch) < 9
    again = train(data, tmp_path, also=watcher(), epochs=9)
    assert again[2].epoch > 9
    assert_same(again, first)


def test_the_seconds_of_all_lives_are_added(data, tmp_path):
    class Slow(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            time.sleep(0.2)

    with pytest.raises(Killed):
        train(data, tmp_path, Slow(), At(2, 1, kill))
    first = Checkpoints(tmp_path, seed=SEED).seconds
    assert first >= 0.4
    assert train(data, tmp_path, Slow())[2].seconds >= first + 0.4


def test_a_finished_training_gives_its_history_again(data, whole):
    assert_same(train(data, whole[3]), whole)


def test_weights_are_kept_now_and_then(data, tmp_path):
    train(data, tmp_path, every=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "best.weights.h5",
        "epoch-002.weights.h5",
        "epoch-004.weights.h5",
        "last.npz",
    ]


def test_the_best_is_the_best_of_the_key_that_is_monitored(data, tmp_path):
    _, history, checkpoints = train(data, tmp_path, monitor="val_loss")
    losses = history.history["val_loss"]
    assert checkpoints.best == {"epoch": 1 + int(np.argmin(losses)), "value": min(losses)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 4}, "seed must be 3, as in .*last.npz, got 4"),
        ({"every": 0}, "every must be > 0, got 0"),
        ({"minutes": -1}, "minutes must be > 0, got -1"),
        ({"also": [keras.callbacks.EarlyStopping()]}, "also must name 0 callbacks"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(data, whole, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        Checkpoints(whole[3], **{"seed": SEED, **change})


def test_another_network_or_other_data_are_refused(data, whole):
    other = keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    other.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with pytest.raises(ValueError, match="of another network or optimizer"):
        train(data, whole[3], model=other, epochs=9)
    x, y = data
    checkpoints = [Checkpoints(whole[3], seed=SEED)]
    with pytest.raises(ValueError, match="was made with 5 batches an epoch, this training has 1"):
        build().fit(x[:9], y[:9], verbose=0, callbacks=checkpoints)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_checkpoint_is_named(data, whole, tmp_path, share):
    content = (whole[3] / checkpoints.LAST).read_bytes()
    (tmp_path / checkpoints.LAST).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"last\.npz is damaged"):
        Checkpoints(tmp_path, seed=SEED)


def test_a_scratched_checkpoint_is_named(whole, tmp_path):
    content = bytearray((whole[3] / checkpoints.LAST).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / checkpoints.LAST).write_bytes(content)
    with pytest.raises(ValueError, match=r"last\.npz is damaged"):
        Checkpoints(tmp_path, seed=SEED)


def test_where_the_disk_is_full_the_last_checkpoint_stays(data, tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    with pytest.raises(Killed):
        train(data, tmp_path, At(1, 0, kill))
    before = (tmp_path / checkpoints.LAST).read_bytes()
    with monkeypatch.context() as small:
        small.setattr(checkpoints.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            train(data, tmp_path)
    assert (tmp_path / checkpoints.LAST).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.weights.h5", "last.npz"]


def test_a_second_interrupt_from_the_keyboard_stops_at_once(request):
    # A shell starts programs in its background with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.name == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):  # as before
        signal.raise_signal(signal.SIGINT)


def test_tensorboard_logs_hold_curves_histograms_and_mistakes(data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    x, y = data
    model, history, _ = train(
        data, tmp_path / "run", TensorBoard(tmp_path / "logs", images=(x[70:], y[70:]))
    )
    found = EventAccumulator(str(tmp_path / "logs"), size_guidance={"images": 0})
    found.Reload()
    tags = found.Tags()
    for key, name in (("accuracy", "accuracy/training"), ("val_loss", "loss/validation")):
        events = found.Scalars(name)
        assert [event.step for event in events] == [1, 2, 3, 4]
        np.testing.assert_allclose([e.value for e in events], history.history[key], rtol=1e-6)
    assert any(name.endswith("kernel") for name in tags["histograms"])
    answers = model.predict(x[70:], verbose=0).argmax(axis=1)
    assert ("mistakes" in tags["images"]) or (answers == y[70:]).all()


def test_tensorboard_shows_a_resumed_training_once(data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(Killed):
        train(data, tmp_path / "run", TensorBoard(tmp_path / "logs"), At(2, 1, kill))
    _, history, _ = train(data, tmp_path / "run", TensorBoard(tmp_path / "logs"))
    found = EventAccumulator(str(tmp_path / "logs"))
    found.Reload()
    events = found.Scalars("loss/training")
    assert [event.step for event in events] == [1, 2, 3, 4]
    np.testing.assert_allclose([e.value for e in events], history.history["loss"], rtol=1e-6)
