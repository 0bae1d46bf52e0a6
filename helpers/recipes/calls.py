"""The calls that the book recommends, one for each task and library, as text that readers can paste.

``TASKS`` names each task. ``inputs`` are the arrays that its calls work on, by the names that they have there: whole numbers
stay integers, others become float32. A call is Python text that ends with an assignment to ``loss``; it may have several
lines, and it finds what ``IMPORTS`` has for its library. A call of "keras" is run on every backend. The call "exact" is
the exact loss by `helpers.precision`: of labels and logits, or of one label and one row of logits. libraries.py runs each
call, eagerly, and records its answer under the question "call: TASK", with the text of the call as the function. The
chapter which-loss-to-call shows the calls as a table.
"""

from typing import NamedTuple

IMPORTS = {
    "exact": (
        "import numpy as np\n"
        "from helpers.categorical import one_hot, softmax\n"
        "from helpers.precision import exact_sigmoid_cross_entropy as sigmoid_loss\n"
        "from helpers.precision import exact_softmax_cross_entropy as softmax_loss"
    ),
    "tensorflow": "import tensorflow as tf",
    "keras": "import keras",
    "torch": "import torch\nimport torch.nn.functional as F",
    "jax": "import jax\nimport jax.numpy as jnp",
    "optax": "import jax\nimport jax.numpy as jnp\nimport optax",
    "scipy": "import numpy as np\nfrom scipy import special",
    "scikit-learn": "from sklearn.metrics import log_loss",
}


class Task(NamedTuple):
    """What a reader wants to compute, from which arrays, and the call for each library."""

    inputs: dict[str, list]
    calls: dict[str, str]


_BINARY = {"labels": [0.0, 1.0], "logits": [-1.5, 0.5]}
_ROWS = {"logits": [[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]]}
_INDEX = {"labels": [1, 0], **_ROWS}
_SIGMOID = {
    "exact": "loss = sigmoid_loss(labels, logits).mean()",
    "keras": "loss = keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits)",
    "torch": "loss = F.binary_cross_entropy_with_logits(logits, labels)",
    "optax": "loss = optax.losses.sigmoid_binary_cross_entropy(logits, labels).mean()",
}
_SPARSE = "keras.losses.SparseCategoricalCrossentropy(from_logits=True"
_BY_INDEX = "optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels"
_MEAN = "loss = sum(map(softmax_loss, labels, logits)) / 2"
TASKS = {
    "Binary: one yes or no": Task(_BINARY, _SIGMOID),
    "Multi-label: several may be right": Task({"labels": [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], **_ROWS}, _SIGMOID),
    "One of C classes, by its index": Task(
        _INDEX,
        {
            "exact": _MEAN,
            "keras": f"loss = {_SPARSE})(labels, logits)",
            "torch": "loss = F.cross_entropy(logits, labels)",
            "optax": f"loss = {_BY_INDEX}).mean()",
        },
    ),
    "Soft labels: rows that sum to 1": Task(
        {"labels": [[0.75, 0.125, 0.125], [0.0, 0.25, 0.75]], **_ROWS},
        {
            "exact": _MEAN,
            "keras": "loss = keras.losses.CategoricalCrossentropy(from_logits=True)(labels, logits)",
            "torch": "loss = F.cross_entropy(logits, labels)",
            "optax": "loss = optax.losses.softmax_cross_entropy(logits, labels).mean()",
        },
    ),
    "Distillation at the temperature T": Task(
        {"teacher": [[2.0, 1.0, 0.0], [-1.0, 0.0, 4.0]], "T": 2.0, **_ROWS},
        {
            "exact": "loss = T**2 * sum(map(softmax_loss, softmax(teacher / T), logits / T)) / 2",
            "keras": (
                "soft = keras.ops.softmax(teacher / T)\n"
                "loss = T**2 * keras.losses.CategoricalCrossentropy(from_logits=True)(soft, logits / T)"
            ),
            "torch": "soft = F.softmax(teacher / T, dim=-1)\nloss = T**2 * F.cross_entropy(logits / T, soft)",
            "optax": (
                "soft = jax.nn.softmax(teacher / T)\n"
                "loss = T**2 * optax.losses.softmax_cross_entropy(logits / T, soft).mean()"
            ),
        },
    ),
    "Class imbalance, binary: positives count q times": Task(
        {**_BINARY, "q": 3.0},
        {
            "exact": "loss = (np.where(labels == 1, q, 1) * sigmoid_loss(labels, logits)).mean()",
            "tensorflow": "loss = tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(labels, logits, pos_weight=q))",
            "torch": "loss = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=q)",
            "optax": (
                "each = optax.losses.sigmoid_binary_cross_entropy(logits, labels)\n"
                "loss = (jnp.where(labels == 1, q, 1) * each).mean()"
            ),
        },
    ),
    "Class imbalance: a weight for each class": Task(
        {**_INDEX, "weights": [1.0, 3.0, 2.0]},
        {
            "exact": "loss = sum(weights[labels] * list(map(softmax_loss, labels, logits))) / sum(weights[labels])",
            "keras": (
                f'mean = {_SPARSE}, reduction="mean_with_sample_weight")\n'
                "loss = mean(labels, logits, sample_weight=keras.ops.take(weights, labels))"
            ),
            "torch": "loss = F.cross_entropy(logits, labels, weight=weights)",
            "optax": f"each = {_BY_INDEX})\nloss = jnp.average(each, weights=weights[labels])",
        },
    ),
    "Label smoothing": Task(
        _INDEX,
        {
            "exact": "loss = sum(map(softmax_loss, 0.9 * one_hot(labels, 3) + 0.1 / 3, logits)) / 2",
            "keras": (
                "smooth = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)\n"
                "loss = smooth(keras.ops.one_hot(labels, 3), logits)"
            ),
            "torch": "loss = F.cross_entropy(logits, labels, label_smoothing=0.1)",
            "optax": (
                "smooth = optax.smooth_labels(jax.nn.one_hot(labels, 3), 0.1)\n"
                "loss = optax.losses.softmax_cross_entropy(logits, smooth).mean()"
            ),
        },
    ),
    "Padded sequences: labels -1 do not count": Task(
        {"labels": [[1, 0], [2, -1]], "logits": [[[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]], [[0.0, 1.5, 0.5], [2.0, 0.0, 1.0]]]},
        {
            "exact": "counts = labels != -1\nloss = sum(map(softmax_loss, labels[counts], logits[counts])) / counts.sum()",
            "keras": f"loss = {_SPARSE}, ignore_class=-1)(labels, logits)",
            # The classes belong on PyTorch's second axis, where a sequence has its positions.
            "torch": "loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-1)",
            "optax": f"each = {_BY_INDEX})\nloss = jnp.average(each, weights=labels != -1)",
        },
    ),
    "Masked classes: only those with allowed = 1 can occur": Task(
        {**_INDEX, "allowed": [[1, 1, 0], [1, 0, 1]]},
        {
            "exact": "loss = sum(map(softmax_loss, labels, np.where(allowed, logits, -np.inf))) / 2",
            "keras": (f"masked = keras.ops.where(allowed == 1, logits, -1e9)\nloss = {_SPARSE})(labels, masked)"),
            "torch": "masked = logits.masked_fill(allowed == 0, -torch.inf)\nloss = F.cross_entropy(masked, labels)",
            "optax": f"loss = {_BY_INDEX}, where=allowed == 1).mean()",
        },
    ),
    "100,000 classes: hidden states and an embedding": Task(
        {"labels": [1, 0], "hidden": [[1.0, -0.5], [0.25, 2.0]], "embedding": [[0.5, 1.0], [2.0, -1.0], [-1.0, 0.0]]},
        {
            "exact": "loss = sum(map(softmax_loss, labels, hidden @ embedding.T)) / 2",
            "keras": (f"logits = hidden @ keras.ops.transpose(embedding)\nloss = {_SPARSE})(labels, logits)"),
            "torch": "loss = F.linear_cross_entropy(hidden, embedding, labels)",
            "optax": f"logits = hidden @ embedding.T\nloss = {_BY_INDEX}).mean()",
        },
    ),
}


def run(library: str, call: str, **inputs: object) -> object:
    """Return the loss of a call's text.

    >>> import numpy as np
    >>> run("exact", "loss = np.log1p(np.exp(-logits))", logits=np.array([0.0, 100.0]))
    array([6.93147181e-01, 3.72007598e-44])
    """
    names = dict(inputs)
    exec(f"{IMPORTS[library]}\n{call}", names)
    return names["loss"]
