"""Train one small network with two formulas of the same slope, and write what becomes of it to the record ``collapse``.

    python -m measure.collapse [--output FILE]

The task is a + b mod 47 (or 31), from 80 % of the pairs; the network has two hidden layers and no biases, as that of Prieto
et al. (arXiv 2501.04697), but is smaller. All runs of a seed start with the same weights and see the same pairs, all of them
at every step. A run that has ended is kept in _build/collapse until the record is whole, so that an interrupted measurement
goes on.

The formulas are written out here in the type that is under test. The helpers compute float32 in float64, so they would hide
the effect.
"""

import argparse
import datetime
import json
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from helpers import records
from measure.machine import machine

WIDTH, TRAINED = 128, 0.8
RATE, BETA_1, BETA_2 = 0.002, 0.9, 0.99  # of Adam
SCALE = 2.0**64  # of the loss, exact, so that no product of the backward pass is subnormal, which would be slow
POINTS = 20  # of each curve, beside the first
PARTS = Path(__file__).parents[1] / "_build" / "collapse"
THREE, FIVE = (0, 1, 2), (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Run:
    """What distinguishes a training from the others."""

    slope: str  # "p - 1" or "minus the others" in NumPy; "optax" or "to copy" in JAX
    seeds: tuple[int, ...] = (0,)
    classes: int = 47
    optimizer: str = "Adam"  # or "normalized": steps of gradient descent that have the same length
    length: float = 0.03  # of a normalized step
    steps: int = 8000
    loss_type: str = ""  # the slopes are computed in it, and then rounded to the network's type; "" is that type
    network_type: str = "float32"
    eps: float = 1e-30  # Adam's, for the gradient of the mean loss; the authors' code has 1e-30 or 1e-25
    decay: float = 0.0  # of the weights, times the learning rate, as in AdamW

    @property
    def every(self) -> int:
        """Return after how many steps the network is looked at."""
        return self.steps // POINTS


NORMALIZED = {"optimizer": "normalized", "steps": 4000}
SMALL = {"optimizer": "normalized", "classes": 31, "length": 0.04, "steps": 2500}
RUNS = {
    "small: p - 1": Run("p - 1", FIVE, **SMALL),
    "small: minus the others": Run("minus the others", FIVE, **SMALL),
    "normalized: p - 1": Run("p - 1", FIVE, **NORMALIZED),
    "normalized: minus the others": Run("minus the others", FIVE, **NORMALIZED),
    "normalized: p - 1, loss in float64": Run("p - 1", FIVE, **NORMALIZED, loss_type="float64"),
    "normalized: optax": Run("optax", FIVE, **NORMALIZED),
    "normalized: to copy": Run("to copy", FIVE, **NORMALIZED),
    "normalized: minus the others, all in float64": Run("minus the others", **NORMALIZED, network_type="float64"),
    "Adam: minus the others": Run("minus the others", THREE),
    "Adam: p - 1": Run("p - 1", THREE),
    "Adam, eps 1e-8: p - 1": Run("p - 1", eps=1e-8),
    "Adam, eps 1e-8: minus the others": Run("minus the others", eps=1e-8),
    "Adam, decay: p - 1": Run("p - 1", steps=4000, decay=1.0),
    "Adam, decay: minus the others": Run("minus the others", steps=4000, decay=1.0),
}


def pairs(classes: int, seed: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return inputs and labels to train with, and to test with: one-hot rows of a and of b, and the remainder of a + b."""
    a, b = np.divmod(np.arange(classes**2), classes)
    inputs = np.hstack([np.eye(classes)[a], np.eye(classes)[b]])
    labels = (a + b) % classes
    order = np.random.default_rng(seed).permutation(classes**2)
    train, test = np.split(order, [int(TRAINED * classes**2)])
    return inputs[train], labels[train], inputs[test], labels[test]


def first_weights(classes: int, seed: int, dtype: str) -> list[NDArray]:
    """Return weights as PyTorch would draw them: uniform within one over the root of a layer's inputs."""
    rng = np.random.default_rng(1000 + seed)
    sizes = (2 * classes, WIDTH, WIDTH, classes)
    return [rng.uniform(-(m**-0.5), m**-0.5, (m, n)).astype(dtype) for m, n in pairwise(sizes)]


def forward(weights: list[NDArray], inputs: NDArray) -> list[NDArray]:
    """Return what each layer gets, and the logits."""
    layers = [inputs]
    for matrix in weights[:-1]:
        layers.append(np.maximum(layers[-1] @ matrix, 0))
    return [*layers, layers[-1] @ weights[-1]]


def slopes(logits: NDArray, labels: NDArray, form: str) -> NDArray:
    """Return the derivatives of the losses by the logits, in the logits' own type. The forms differ in one line."""
    right = np.arange(len(labels)), labels
    terms = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = terms / terms.sum(axis=1, keepdims=True)
    if form == "p - 1":
        p[right] -= 1
    else:
        p[right] = 0
        p[right] = -p.sum(axis=1)
    return p


def gradient(weights: list[NDArray], inputs: NDArray, labels: NDArray, run: Run) -> list[NDArray]:
    """Return the derivatives of SCALE times the mean loss by the weights."""
    *layers, logits = forward(weights, inputs)
    by_logits = slopes(logits.astype(run.loss_type or logits.dtype), labels, run.slope)
    flow = (by_logits * by_logits.dtype.type(SCALE / len(labels))).astype(logits.dtype)
    found = []
    for matrix, layer in zip(reversed(weights), reversed(layers), strict=True):
        found.append(layer.T @ flow)
        if layer is not inputs:
            flow = (flow @ matrix.T) * (layer > 0)
    return found[::-1]


def adam(run: Run, weights: list, means: list, roots: list, gradients: list, step: int, hypot: Callable = np.hypot) -> tuple:
    """Return weights and moments after a step. The root of the second moment is kept, whose square would underflow."""
    means = [BETA_1 * mean + (1 - BETA_1) * g for mean, g in zip(means, gradients, strict=True)]
    roots = [hypot(BETA_2**0.5 * root, (1 - BETA_2) ** 0.5 * g) for root, g in zip(roots, gradients, strict=True)]
    unbias_mean, unbias_root = 1 / (1 - BETA_1 ** (step + 1)), (1 - BETA_2 ** (step + 1)) ** -0.5
    weights = [
        w - RATE * (mean * unbias_mean / (root * unbias_root + run.eps * SCALE) + run.decay * w)
        for w, mean, root in zip(weights, means, roots, strict=True)
    ]
    return weights, means, roots


def normalized(run: Run, weights: list, means: list, roots: list, gradients: list, *_) -> tuple:
    """Return weights after a step of gradient descent that has the same length as all others."""
    top = sum(abs(g).max() for g in gradients)
    top += top == 0  # where the whole gradient has underflowed, nothing moves
    units = [g / top for g in gradients]  # whose squares cannot underflow
    length = sum((u * u).sum() for u in units) ** 0.5
    length += length == 0
    return [w - run.length / length * u for w, u in zip(weights, units, strict=True)], means, roots


UPDATES = {"Adam": adam, "normalized": normalized}


def in_numpy(run: Run, seed: int, until: int) -> Iterator[tuple[list[NDArray], NDArray]]:
    """Train, and yield the weights and the slopes of the right classes now and then."""
    inputs, labels, _, _ = pairs(run.classes, seed)
    inputs = inputs.astype(run.network_type)
    weights = first_weights(run.classes, seed, run.network_type)
    means = [np.zeros_like(w) for w in weights]
    roots = [np.zeros_like(w) for w in weights]
    for step in range(until + 1):
        if step % run.every == 0:
            logits = forward(weights, inputs)[-1]
            by_logits = slopes(logits.astype(run.loss_type or logits.dtype), labels, run.slope)
            yield weights, by_logits[np.arange(len(labels)), labels]
        gradients = gradient(weights, inputs, labels, run)
        weights, means, roots = UPDATES[run.optimizer](run, weights, means, roots, gradients, step)


def in_jax(run: Run, seed: int, until: int) -> Iterator[tuple[list[NDArray], NDArray]]:
    """Train as in_numpy does, with JAX's derivative of a library's loss or of the loss to copy, compiled."""
    import jax
    import jax.numpy as jnp
    import optax

    from helpers.recipes import jax_losses

    inputs, labels, _, _ = pairs(run.classes, seed)
    inputs, right = jnp.asarray(inputs, "float32"), (np.arange(len(labels)), labels)
    losses = {
        "optax": lambda z: optax.softmax_cross_entropy_with_integer_labels(z, labels),
        "to copy": lambda z: jax_losses.sparse_softmax_cross_entropy(labels, z),
    }[run.slope]

    def logits(weights):
        return jax.nn.relu(jax.nn.relu(inputs @ weights[0]) @ weights[1]) @ weights[2]

    def step(i, state):
        gradients = jax.grad(lambda weights: SCALE * losses(logits(weights)).mean())(state[0])
        return UPDATES[run.optimizer](run, *state, gradients, i, jnp.hypot)

    some_steps = jax.jit(lambda first, state: jax.lax.fori_loop(first, first + run.every, step, state))
    weights = [jnp.asarray(w) for w in first_weights(run.classes, seed, "float32")]
    state = weights, [jnp.zeros_like(w) for w in weights], [jnp.zeros_like(w) for w in weights]
    for first in range(0, until + 1, run.every):
        by_logits = jax.jit(jax.grad(lambda z: losses(z).sum()))(logits(state[0]))
        yield [np.asarray(w) for w in state[0]], np.asarray(by_logits)[right]
        state = some_steps(first, state)


def seen(weights: list[NDArray], slopes_there: NDArray, seed: int) -> dict[str, float]:
    """Return what is recorded of a network. Leads and losses are computed in float64 from its logits."""
    inputs, labels, test_inputs, test_labels = pairs(weights[-1].shape[1], seed)
    right = np.arange(len(labels)), labels
    logits = forward(weights, inputs.astype(weights[0].dtype))[-1].astype(float)
    behind = logits - logits[right][:, None]
    behind[right] = -np.inf
    leads = -behind.max(axis=1)
    test_logits = forward(weights, test_inputs.astype(weights[0].dtype))[-1]
    return {
        "train": np.mean(leads > 0),
        "test": np.mean(test_logits.argmax(axis=1) == test_labels),
        "zero": np.mean(slopes_there == 0),
        "lead": np.median(leads),
        "smallest lead": leads.min(),
        "loss": np.mean(np.log1p(np.exp(behind).sum(axis=1))),
        "mean logit": logits.mean(),
    }


def curves(name: str, seed: int, until: int | None = None) -> dict[str, list[float]]:
    """Train, for fewer steps if asked to, and return what was seen, by name."""
    run = RUNS[name]
    until = run.steps if until is None else until
    train = in_jax if run.slope in ("optax", "to copy") else in_numpy
    with threadpool_limits(1):  # threads of these small products would wait for each other, and longest on a busy machine
        rows = [seen(*state, seed) for state in train(run, seed, until)]
    seen_at = list(range(0, until + 1, run.every))
    return {"step": seen_at, **{key: [float(f"{row[key]:.5g}") for row in rows] for key in rows[0]}}


def main() -> None:
    """Run what was not run yet, and write the record when all is there."""
    parser = argparse.ArgumentParser(description="Train with two formulas of one slope.")
    parser.add_argument("--output", type=Path, default=records.path("collapse"))
    output = parser.parse_args().output
    PARTS.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, run in RUNS.items():
        for seed in run.seeds:
            part = PARTS / f"{name.replace(': ', '; ')}, {seed}.json"
            if not part.exists():
                part.write_text(json.dumps(curves(name, seed)), encoding="utf8")
            rows.append({"run": name, "seed": seed, **json.loads(part.read_text(encoding="utf8"))})
            print(name, seed, {key: values[-1] for key, values in rows[-1].items() if type(values) is list}, flush=True)

    import jax
    import optax

    modules = {"NumPy": np, "JAX": jax, "optax": optax}
    result = {
        "measured": f"{datetime.date.today()}",
        "versions": {"Python": platform.python_version(), **{name: module.__version__ for name, module in modules.items()}},
        "machine": {**machine(), "cores_used": 1},
        "rows": rows,
    }
    output.write_text(json.dumps(result) + "\n", encoding="utf8")
    shutil.rmtree(PARTS)


if __name__ == "__main__":
    main()
