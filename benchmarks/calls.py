"""The call of each library for each task, on two rows of input, and the exact loss.

The table of the chapter which-loss-to-call is made from TASKS. Every call is made with its inputs, by libraries.py and by
tests/claims/test_calls.py, and has to give the exact loss: the mean over what counts. No framework is imported before its
calls are made.
"""

import importlib
from typing import Any, NamedTuple

import numpy as np

# What a call names besides its inputs: short names, as the documentation of each library has them.
MODULES = {
    "keras": {"keras": "keras", "tf": "tensorflow"},
    "torch": {"torch": "torch", "F": "torch.nn.functional"},
    "optax": {"jax": "jax", "jnp": "jax.numpy", "optax": "optax"},
}


class Task(NamedTuple):
    """A task, the chapter that explains it, its inputs by name, its call in each library, and its exact loss.

    ``exact`` is an expression too: the same inputs are NumPy arrays there, `sigmoid_loss` and `softmax_loss` are the exact
    losses of `helpers.precision`, by labels and logits, and by label and row of logits.
    """

    name: str
    chapter: str
    inputs: dict[str, Any]
    calls: dict[str, str]
    exact: str


_BINARY = {"labels": [0.0, 1.0], "logits": [-1.5, 0.5]}
_ROWS = {"logits": [[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]]}
_INDEX = {"labels": [1, 0]} | _ROWS
_KERAS = "keras.losses.SparseCategoricalCrossentropy(from_logits=True"
_OPTAX = "optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels"
_MEAN = "sum(map(softmax_loss, labels, logits)) / 2"
TASKS = [
    Task(
        "Binary: one yes or no",
        "deriving-the-stable-form",
        _BINARY,
        {
            "keras": "keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits)",
            "torch": "F.binary_cross_entropy_with_logits(logits, labels)",
            "optax": "optax.losses.sigmoid_binary_cross_entropy(logits, labels).mean()",
        },
        "sigmoid_loss(labels, logits).mean()",
    ),
    Task(
        "Multi-label: several may be right",
        "soft-labels",
        {"labels": [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]} | _ROWS,
        {
            "keras": "keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits)",
            "torch": "F.binary_cross_entropy_with_logits(logits, labels)",
            "optax": "optax.losses.sigmoid_binary_cross_entropy(logits, labels).mean()",
        },
        "sigmoid_loss(labels, logits).mean()",
    ),
    Task(
        "One of C classes, by index",
        "keras-losses-by-hand",
        _INDEX,
        {
            "keras": f"{_KERAS})(labels, logits)",
            "torch": "F.cross_entropy(logits, labels)",
            "optax": f"{_OPTAX}).mean()",
        },
        _MEAN,
    ),
    Task(
        "Soft labels: rows that sum to 1",
        "soft-labels",
        {"labels": [[0.75, 0.125, 0.125], [0.0, 0.25, 0.75]]} | _ROWS,
        {
            "keras": "keras.losses.CategoricalCrossentropy(from_logits=True)(labels, logits)",
            "torch": "F.cross_entropy(logits, labels)",
            "optax": "optax.losses.softmax_cross_entropy(logits, labels).mean()",
        },
        _MEAN,
    ),
    Task(
        "Distillation at the temperature T",
        "soft-labels",
        {"teacher": [[2.0, 1.0, 0.0], [-1.0, 0.0, 4.0]], "T": 2.0} | _ROWS,
        {
            "keras": "T**2 * keras.losses.CategoricalCrossentropy(from_logits=True)"
            "(keras.ops.softmax(teacher / T), logits / T)",
            "torch": "T**2 * F.cross_entropy(logits / T, F.softmax(teacher / T, dim=-1))",
            "optax": "T**2 * optax.losses.softmax_cross_entropy(logits / T, jax.nn.softmax(teacher / T)).mean()",
        },
        "T**2 * sum(map(softmax_loss, softmax(teacher / T), logits / T)) / 2",
    ),
    Task(
        "Class imbalance, binary: positives count q times",
        "weights-smoothing-and-focus",
        {"q": 3.0} | _BINARY,
        {
            "keras": "tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(labels, logits, pos_weight=q))",
            "torch": "F.binary_cross_entropy_with_logits(logits, labels, pos_weight=q)",
            "optax": "(jnp.where(labels == 1, q, 1) * optax.losses.sigmoid_binary_cross_entropy(logits, labels)).mean()",
        },
        "((1 + (q - 1) * labels) * sigmoid_loss(labels, logits)).mean()",
    ),
    Task(
        "Class imbalance: a weight for each class",
        "weights-smoothing-and-focus",
        {"weights": [1.0, 3.0, 2.0]} | _INDEX,
        {
            "keras": f'{_KERAS}, reduction="mean_with_sample_weight")'
            "(labels, logits, sample_weight=tf.gather(weights, labels))",
            "torch": "F.cross_entropy(logits, labels, weight=weights)",
            "optax": f"jnp.average({_OPTAX}), weights=weights[labels])",
        },
        "sum(weights[labels] * list(map(softmax_loss, labels, logits))) / sum(weights[labels])",
    ),
    Task(
        "Label smoothing",
        "weights-smoothing-and-focus",
        _INDEX,
        {
            "keras": "keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)"
            "(keras.ops.one_hot(labels, 3), logits)",
            "torch": "F.cross_entropy(logits, labels, label_smoothing=0.1)",
            "optax": "optax.losses.softmax_cross_entropy"
            "(logits, optax.smooth_labels(jax.nn.one_hot(labels, 3), 0.1)).mean()",
        },
        "sum(map(softmax_loss, 0.9 * one_hot(labels, 3) + 0.1 / 3, logits)) / 2",
    ),
    Task(
        "Padding: labels -1 do not count",
        "language-model-losses",
        {"labels": [1, -1]} | _ROWS,
        {
            "keras": f"{_KERAS}, ignore_class=-1)(labels, logits)",
            "torch": "F.cross_entropy(logits, labels, ignore_index=-1)",
            "optax": f"jnp.average({_OPTAX}), weights=labels != -1)",
        },
        "softmax_loss(labels[0], logits[0])",
    ),
    Task(
        "Masked classes: some cannot occur",
        "language-model-losses",
        {"allowed": [[True, True, False], [True, False, True]]} | _INDEX,
        {
            "keras": f'{_KERAS})(labels, keras.ops.where(allowed, logits, float("-inf")))',
            "torch": "F.cross_entropy(logits.masked_fill(~allowed, -torch.inf), labels)",
            "optax": f"{_OPTAX}, where=allowed).mean()",
        },
        "(softmax_loss(labels[0], logits[0, :2]) + softmax_loss(labels[1] // 2, logits[1, ::2])) / 2",
    ),
    Task(
        "100,000 classes: hidden states and an embedding",
        "large-vocabularies",
        {"labels": [1, 0], "hidden": [[1.0, -0.5], [0.25, 2.0]], "embedding": [[0.5, 1.0], [2.0, -1.0], [-1.0, 0.0]]},
        {
            "keras": f"{_KERAS})(labels, hidden @ tf.transpose(embedding))",
            "torch": "F.linear_cross_entropy(hidden, embedding, labels)",
            "optax": "optax.losses.softmax_cross_entropy_with_integer_labels(hidden @ embedding.T, labels).mean()",
        },
        "sum(map(softmax_loss, labels, hidden @ embedding.T)) / 2",
    ),
]


def inputs(task: Task) -> dict[str, np.ndarray]:
    """Return the inputs of a task as arrays, of which those with a point are in float32."""
    arrays = {name: np.array(value) for name, value in task.inputs.items()}
    return {name: array.astype("float32") if array.dtype == float else array for name, array in arrays.items()}


def loss(task: Task, library: str) -> float:
    """Return the loss that the call of a library gives for a task."""
    modules = {name: importlib.import_module(module) for name, module in MODULES[library].items()}
    tensor = {"keras": "tf.constant", "torch": "torch.tensor", "optax": "jnp.asarray"}[library]
    convert = eval(tensor, modules)
    return float(eval(task.calls[library], modules | {name: convert(array) for name, array in inputs(task).items()}))


def exact(task: Task) -> Any:
    """Return the exact loss of a task, by mpmath, from the very numbers that the libraries get."""
    from helpers.categorical import one_hot, softmax
    from helpers.precision import exact_sigmoid_cross_entropy, exact_softmax_cross_entropy

    names = {"one_hot": one_hot, "softmax": softmax}
    names |= {"sigmoid_loss": exact_sigmoid_cross_entropy, "softmax_loss": exact_softmax_cross_entropy}
    wide = {name: array.astype(float) if array.dtype == "float32" else array for name, array in inputs(task).items()}
    return eval(task.exact, names | wide)
