"""Time a training step of five networks: stock Keras on JAX, ours, TensorFlow and PyTorch.

    make bench                                           # all, on a machine that does nothing else
    python benchmarks/speed.py --models mnist --rounds 3 --output /tmp/speed.json

``stock`` is Keras on JAX as it is installed: the system's allocator, no compiled programs kept.
``ours`` is what `import companion.training` sets, with `companion.training.layers`. ``tensorflow``
is the same Keras code, ``pytorch`` the same network in PyTorch's own layers.

Each variant has a process of its own, which keeps its state between rounds; in a round each in turn
takes steps for a while, so that all meet the same machine. Before that, all take three steps
without dropout from the same weights, and their losses must agree. The first step, from the built
network to the first result, is timed in new processes: with an empty folder of compiled programs,
and with the one that this left.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from companion.experiments.runs import machine, write_text

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "published" / "speed.json"
# name: builder in companion.training.models, shape of an image, batch
MODELS = {
    "mnist": ("mnist_cnn", (28, 28, 1), 512),
    "v1": ("gtsrb_v1", (24, 24, 1), 64),
    "v2": ("gtsrb_v2", (24, 24, 1), 64),
    "v2-48": ("gtsrb_v2", (48, 48, 3), 64),
    "own": ("gtsrb_small", (24, 24, 1), 64),
}
SYSTEM = {f"COMPANION_{name}": "system" for name in ("ALLOCATOR", "THREADS", "YNNPACK")}
# What else would make a variant something other than its name says.
NOT_INHERITED = ("XLA_FLAGS", "NPROC", "JAX_COMPILATION_CACHE_DIR", *SYSTEM)
VARIANTS = {
    "stock": {**SYSTEM, "KERAS_BACKEND": "jax", "COMPANION_COMPILED": "off"},
    "ours": {"KERAS_BACKEND": "jax"},
    "tensorflow": {**SYSTEM, "KERAS_BACKEND": "tensorflow", "COMPANION_COMPILED": "off"},
    "pytorch": {},
}
LIBRARIES = {"stock": "jax", "ours": "jax", "tensorflow": "tensorflow-cpu", "pytorch": "torch"}
LOSS = "sparse_categorical_crossentropy"
LEARNING_RATE = 0.001
# Float32 sums in another order: the three losses of a network agree this well.
TOLERANCE = 1e-3


# --- in a process of its own ----------------------------------------------------------------


def environment(variant, **more):
    """Give the environment of a process for a variant."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return kept | VARIANTS[variant] | more


def build(name):
    """Build a network of `MODELS` with Keras' own layers."""
    from companion.training import models

    builder, shape, _ = MODELS[name]
    return getattr(models, builder)(*(() if name == "mnist" else (shape,)))


def without_dropout(model):
    """Copy a network, weights included, with nothing dropped."""
    import keras

    def clone(layer):
        kept = {"rate": 0.0} if isinstance(layer, keras.layers.Dropout) else {}
        return type(layer).from_config({**layer.get_config(), **kept})

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


class InKeras:
    """A network in Keras, whatever its backend."""

    def __init__(self, name, folder, *, ours):
        import keras

        weights = np.load(folder / "weights.npz")
        self.model = build(name)
        self.model.set_weights([weights[str(i)] for i in range(len(weights.files))])
        if ours:
            from companion.training import layers

            self.model = layers.faster(self.model)
        self.checked = without_dropout(self.model)
        self.checked.compile(keras.optimizers.SGD(0.01), LOSS)
        self.model.compile(keras.optimizers.Adam(LEARNING_RATE), LOSS)

    def check(self, x, y):
        """Take a step without dropout; give the loss before it."""
        return float(self.checked.train_on_batch(x, y))

    def step(self, x, y):
        """Take a training step; give the loss before it."""
        return float(self.model.train_on_batch(x, y))

    def infer(self, x):
        """Give the probabilities of a batch."""
        return self.model.predict_on_batch(x)


class InTorch:
    """The same network in PyTorch's own layers, from the list of layers that Keras gave."""

    def __init__(self, name, folder):
        import torch

        self.torch = torch
        torch.manual_seed(0)
        self.model = self._build(folder, dropout=True)
        self.checked = self._build(folder, dropout=False)
        self.loss = torch.nn.CrossEntropyLoss()
        self.descent = torch.optim.SGD(self.checked.parameters(), lr=0.01)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, eps=1e-7)

    def _build(self, folder, *, dropout):
        torch, nn = self.torch, self.torch.nn
        stored = np.load(folder / "weights.npz")
        weights = iter([torch.from_numpy(stored[str(i)]) for i in range(len(stored.files))])
        parts, flattened = [], None
        for kind, config, (*space, channels) in json.loads((folder / "layers.json").read_text()):
            if kind == "Conv2D":
                kernel = next(weights)
                layer = nn.Conv2d(
                    channels,
                    config["filters"],
                    config["kernel_size"],
                    padding=config["padding"],
                    bias=config["use_bias"],
                )
                layer.weight.data = kernel.permute(3, 2, 0, 1).contiguous()
                if config["use_bias"]:
                    layer.bias.data = next(weights)
            elif kind == "Dense":
                kernel = next(weights)
                if flattened:  # PyTorch flattens channels first
                    kernel = kernel.reshape(*flattened, -1).permute(2, 0, 1, 3).flatten(0, 2)
                    flattened = None
                layer = nn.Linear(*kernel.shape)
                layer.weight.data, layer.bias.data = kernel.T.contiguous(), next(weights)
            elif kind == "BatchNormalization":
                layer = nn.BatchNorm2d(
                    channels, eps=config["epsilon"], momentum=1 - config["momentum"]
                )
                layer.weight.data, layer.bias.data = next(weights), next(weights)
                layer.running_mean, layer.running_var = next(weights), next(weights)
            elif kind == "MaxPooling2D":
                layer = nn.MaxPool2d(config["pool_size"])
            elif kind == "GlobalAveragePooling2D":
                layer = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            elif kind == "Flatten":
                layer, flattened = nn.Flatten(), (*space, channels)
            elif kind == "ReLU":
                layer = nn.ReLU()
            elif kind == "Dropout":
                layer = nn.Dropout(config["rate"] if dropout else 0.0)
            else:
                raise ValueError(f"a layer of kind {kind} has no counterpart here: add one")
            parts.append(layer)
            if config.get("activation") == "relu":
                parts.append(nn.ReLU())
        # The loss takes the softmax of the last layer itself.
        return nn.Sequential(*parts)

    def _step(self, model, optimizer, x, y):
        torch = self.torch
        model.train()
        x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
        optimizer.zero_grad()
        loss = self.loss(model(x), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        return loss.item()

    def check(self, x, y):
        """Take a step without dropout; give the loss before it."""
        return self._step(self.checked, self.descent, x, y)

    def step(self, x, y):
        """Take a training step; give the loss before it."""
        return self._step(self.model, self.adam, x, y)

    def infer(self, x):
        """Give the probabilities of a batch."""
        torch = self.torch
        self.model.eval()
        with torch.no_grad():
            logits = self.model(torch.from_numpy(x).permute(0, 3, 1, 2).contiguous())
            return torch.softmax(logits, 1).numpy()


def timed(call, seconds):
    """Call until the seconds are over, at least three times; give each time in ms."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return times


def work(name, variant, folder):
    """Answer a word a line on standard input with a line of JSON on standard output."""
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    batch = np.load(folder / "batch.npz")
    x, y = batch["x"], batch["y"]
    if variant == "pytorch":
        network = InTorch(name, folder)
    else:
        network = InKeras(name, folder, ours=variant == "ours")
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "check":
            answer = [network.check(x, y) for _ in range(3)]
        elif word == "first":
            start = time.perf_counter()
            network.step(x, y)
            answer = 1000 * (time.perf_counter() - start)
        elif word == "step":
            answer = timed(lambda: network.step(x, y), float(rest[0]))
        elif word == "infer":
            answer = timed(lambda: network.infer(x), float(rest[0]))
        elif word == "settings":
            answer = settings(variant)
        else:  # memory
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            answer = peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
        print(json.dumps(answer), file=answers)


def settings(variant):
    """Say what the process was set to, as `companion.training.runtime` has it."""
    if "jax" not in VARIANTS[variant].values():
        return None
    from companion.training import runtime

    return {"allocator": runtime.keep_memory(), "ynnpack": runtime.leave_out_ynnpack()}


def prepare(name, folder):
    """Write a network's weights, its list of layers and one batch, for all variants."""
    import keras

    keras.utils.set_random_seed(0)
    model = build(name)
    _, shape, size = MODELS[name]
    rng = np.random.default_rng(0)
    np.savez(folder / "weights.npz", **{str(i): w for i, w in enumerate(model.get_weights())})
    classes = model.output_shape[-1]
    np.savez(
        folder / "batch.npz",
        x=rng.random((size, *shape), dtype=np.float32),
        y=rng.integers(0, classes, size),
    )
    layers = [
        (type(layer).__name__, layer.get_config(), layer.input.shape[1:]) for layer in model.layers
    ]
    (folder / "layers.json").write_text(json.dumps(layers, default=str))


# --- the process that measures --------------------------------------------------------------


class Worker:
    """A variant of a network in a process of its own."""

    def __init__(self, name, variant, folder, **more):
        self.said = folder / f"{variant}.txt"  # TensorFlow says much; shown where it fails
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--work", name, variant, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=environment(variant, **more),
            )

    def ask(self, *words):
        """Send a line of words; wait for the answer."""
        print(*words, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            said = self.said.read_text()
            raise RuntimeError(f"{self.process.args[2:]} ended with {status}:\n{said}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def first_step(name, variant, folder, **more):
    """Time the first step in a new process, in ms."""
    with Worker(name, variant, folder, **more) as worker:
        return worker.ask("first")


def spread(values):
    """Give the smallest and the largest of a row's rounds."""
    return [round(min(values), 2), round(max(values), 2)]


def measure(name, variants, *, rounds, starts, seconds):
    """Measure one network in all variants; give a row of the result for each."""
    size = MODELS[name][2]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run(
            [sys.executable, __file__, "--prepare", name, place],
            check=True,
            env=environment("stock"),
        )
        firsts, again = ({v: [] for v in variants} for _ in range(2))
        for n in range(starts):
            for v in variants:
                # Ours keeps what it compiled: an empty folder, then the one that this left.
                kept = {"COMPANION_COMPILED": str(folder / f"compiled-{n}")} if v == "ours" else {}
                firsts[v].append(first_step(name, v, folder, **kept))
                if kept:
                    again[v].append(first_step(name, v, folder, **kept))
        compiled = {v: {} for v in variants}
        if "ours" in variants:
            compiled["ours"] = {"COMPANION_COMPILED": str(folder / "compiled-0")}
        workers = {v: Worker(name, v, folder, **compiled[v]) for v in variants}
        try:
            losses = {v: worker.ask("check") for v, worker in workers.items()}
            for v, found in losses.items():
                np.testing.assert_allclose(
                    found, losses[variants[0]], rtol=TOLERANCE, err_msg=f"{name}: loss of {v}"
                )
            for worker in workers.values():
                worker.ask("step", 1)
                worker.ask("infer", 0)
            steps, inferences = ({v: [] for v in variants} for _ in range(2))
            for _ in range(rounds):
                for v, worker in workers.items():
                    steps[v].append(statistics.median(worker.ask("step", seconds)))
            for _ in range(rounds):
                for v, worker in workers.items():
                    median = statistics.median(worker.ask("infer", seconds / 4))
                    inferences[v].append(1000 * size / median)
            memory = {v: worker.ask("memory") for v, worker in workers.items()}
            said = {v: worker.ask("settings") for v, worker in workers.items()}
        finally:
            for worker in workers.values():
                worker.__exit__()
    return [
        {
            "model": name,
            "variant": v,
            "batch": size,
            "step_ms": round(statistics.median(steps[v]), 2),
            "step_ms_spread": spread(steps[v]),
            "first_step_ms": round(statistics.median(firsts[v])),
            "first_step_ms_spread": spread(firsts[v]),
            "first_step_cached_ms": round(statistics.median(again[v])) if again[v] else None,
            "first_step_cached_ms_spread": spread(again[v]) if again[v] else None,
            "inference_per_s": round(statistics.median(inferences[v])),
            "inference_per_s_spread": spread(inferences[v]),
            "peak_mb": round(memory[v]),
            "losses": [round(loss, 6) for loss in losses[v]],
            "settings": said[v],
        }
        for v in variants
    ]


def processor():
    """Name the processor as the system does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def table(rows):
    """Write the rows as lines for a terminal."""
    heads = zip(
        ("step ms", "of TF", "first", "cached", "img/s", "MB"), (9, 7, 8, 8, 9, 7), strict=True
    )
    yield f"{'model':7}{'variant':12}" + "".join(f"{head:>{width}}" for head, width in heads)
    steps = {(r["model"], r["variant"]): r["step_ms"] for r in rows}
    for r in rows:
        other = steps.get((r["model"], "tensorflow"))
        ratio = f"{r['step_ms'] / other:7.2f}" if other else " " * 7
        cached = r["first_step_cached_ms"]
        yield (
            f"{r['model']:7}{r['variant']:12}{r['step_ms']:9.1f}{ratio}{r['first_step_ms']:8d}"
            f"{'' if cached is None else cached:>8}{r['inference_per_s']:9d}{r['peak_mb']:7d}"
        )


def main():
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--starts", type=int, default=7, help="new processes, for the first step")
    parser.add_argument("--seconds", type=float, default=2, help="of steps in a round")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--prepare", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, variant, folder = arguments.work
        work(name, variant, Path(folder))
        return
    if arguments.prepare:
        name, folder = arguments.prepare
        prepare(name, Path(folder))
        return
    where = machine()
    result = {
        "processor": processor(),
        "cores": where["cores"],
        "system": where["system"],
        "versions": {
            "python": platform.python_version(),
            **{
                library: version(library)
                for library in sorted({"keras", *(LIBRARIES[v] for v in arguments.variants)})
            },
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        # Of the minute before, at the start and after each network.
        "load": [round(os.getloadavg()[0], 2)],
        "rounds": arguments.rounds,
        "starts": arguments.starts,
        "rows": [],
    }
    for name in arguments.models:
        found = measure(
            name,
            arguments.variants,
            rounds=arguments.rounds,
            starts=arguments.starts,
            seconds=arguments.seconds,
        )
        print(*table(found), sep="\n", flush=True)
        result["rows"] += found
        result["load"].append(round(os.getloadavg()[0], 2))
        # After each network: a run that is interrupted keeps what it has.
        write_text(arguments.output, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
