"""Logs for TensorBoard, without TensorFlow."""

from pathlib import Path

import keras
import numpy as np


class TensorBoard(keras.callbacks.Callback):
    """Write curves, histograms of the weights and a few mistakes for TensorBoard to show.

    Keras' callback of this name needs TensorFlow; this one needs tensorboardX alone. Taught in
    the chapter *GTSRB 3: monitoring and checkpoints*.

    Parameters
    ----------
    folder : path-like
        Of the logs. A training that goes on writes into the same one.
    images : (array, array), optional
        Validation images in 0 … 1, (N, H, W, C), and their classes (N,): after each epoch up to
        `mistakes` that are misclassified, the surest first, are shown.
    mistakes : int
        At least 1.
    histograms : bool
        Of each layer's weights, after each epoch.

    Examples
    --------
    >>> import tempfile
    >>> logs = TensorBoard(tempfile.mkdtemp())
    """

    def __init__(self, folder, *, images=None, mistakes=8, histograms=True):
        super().__init__()
        if mistakes < 1:
            raise ValueError(f"mistakes must be >= 1, got {mistakes}")
        self.folder, self.images = Path(folder), images
        self.mistakes, self.histograms = mistakes, histograms
        self._writer = None

    def on_epoch_begin(self, epoch, logs=None):
        """Open the log; TensorBoard drops what an interrupted life wrote beyond this epoch."""
        if self._writer is None:
            from tensorboardX import SummaryWriter

            # tensorboardX names files by the second: a life that ends within one would be lost.
            self._writer = SummaryWriter(
                str(self.folder), purge_step=epoch + 1, filename_suffix=f".epoch-{epoch + 1:03}"
            )

    def on_epoch_end(self, epoch, logs=None):
        """Write the epoch."""
        step, model = epoch + 1, self.model
        for key, value in (logs or {}).items():
            held_out = key.startswith("val_")
            name = f"{key.removeprefix('val_')}/{'validation' if held_out else 'training'}"
            self._writer.add_scalar(name, float(value), step)
        rate = model.optimizer.learning_rate
        self._writer.add_scalar("learning rate", float(np.asarray(rate)), step)
        if self.histograms:
            for layer in model.layers:
                for weight in layer.weights:
                    name = f"{layer.name}/{weight.name}"
                    self._writer.add_histogram(name, np.asarray(weight), step)
        if self.images is not None:
            self._write_mistakes(model, step)
        self._writer.flush()

    def on_train_end(self, logs=None):
        """Close the log."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write_mistakes(self, model, step):
        x, true = self.images
        probabilities = model.predict(x, verbose=0)
        answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
        wrong = np.flatnonzero(answers != true)
        wrong = wrong[np.argsort(-sure[wrong])][: self.mistakes]
        if not len(wrong):
            self._writer.add_text("mistakes", "none", step)
            return
        shown = np.asarray(x)[wrong]
        if shown.shape[-1] == 1:
            shown = np.repeat(shown, 3, axis=-1)
        self._writer.add_images("mistakes", shown, step, dataformats="NHWC")
        said = "; ".join(f"{true[i]} taken for {answers[i]} ({sure[i]:.0%})" for i in wrong)
        self._writer.add_text("mistakes", said, step)
