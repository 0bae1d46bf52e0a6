"""The call of each library for each task, on two rows of input, and the exact loss.

The table of the chapter which-loss-to-call is made from TASKS. Every call is made with its inputs, by libraries.py and by
tests/claims/test_calls.py, and has to give the exact loss, which is the mean over both rows.
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
    """A task, its inputs by name, its call in each library, and how the exact loss is computed.

    ``exact`` is an expression too: the same inputs are NumPy arrays there, and `sigmoid_loss` and `softmax_loss` are the
    exact losses of `helpers.precision`, by label and logit, and by label and row of logits.
    """

    name: str
    inputs: dict[str, list]
    calls: dict[str, str]
    exact: str


_BINARY = {"labels": [0.0, 1.0], "logits": [-1.5, 0.5]}
_ROWS = {"logits": [[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]]}
_INDEX = {"labels": [1, 0]} | _ROWS
_SOFT = {"labels": [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]} | _ROWS
_MEAN = "sum(map(softmax_loss, labels, logits)) / 2"
TASKS = [
    Task(
        "Yes or no",
        _BINARY,
        {
            "keras": "keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits)",
            "torch": "F.binary_cross_entropy_with_logits(logits, labels)",
            "optax": "optax.losses.sigmoid_binary_cross_entropy(logits, labels).mean()",
        },
        "sigmoid_loss(labels, logits).mean()",
    ),
    Task(
        "One of C classes",
        _INDEX,
        {
            "keras": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)",
            "torch": "F.cross_entropy(logits, labels)",
            "optax": "optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels).mean()",
        },
        _MEAN,
    ),
]


def names(task: Task, library: str) -> dict[str, Any]:
    """Return what the call of a task names: the library's modules, and the inputs as its tensors."""
    modules = {name: importlib.import_module(module) for name, module in MODULES[library].items()}
    tensor = {"keras": "tf.constant", "torch": "torch.tensor", "optax": "jnp.asarray"}[library]
    convert = eval(tensor, modules)
    return modules | {name: convert(np.array(value, _type(value))) for name, value in task.inputs.items()}


def loss(task: Task, library: str) -> float:
    """Return the loss that the call of a library gives for a task."""
    return float(eval(task.calls[library], names(task, library)))


def exact(task: Task) -> Any:
    """Return the exact loss of a task, by mpmath, from the very numbers that the libraries get."""
    from helpers.precision import exact_sigmoid_cross_entropy, exact_softmax_cross_entropy

    losses = {"sigmoid_loss": exact_sigmoid_cross_entropy, "softmax_loss": exact_softmax_cross_entropy}
    return eval(task.exact, losses | {name: np.array(value, _type(value)) for name, value in task.inputs.items()})


def _type(value: list) -> str | None:
    """Return float32 for numbers with a point; integers and booleans keep their type."""
    return "float32" if np.array(value).dtype == float else None
