"""The calls that the book recommends, one for each task and library, as text that readers can paste.

``TASKS`` names each task. ``inputs`` are the arrays that its calls work on, by the names that they have there: whole numbers
stay integers, others become float32. A call is Python text that ends with an assignment to ``loss``; it may have several
lines, and it finds what ``IMPORTS`` has for its library. A call of "keras" is run on every backend. The call "exact" is
NumPy in float64, where the same inputs lose no digit that float32 has. libraries.py runs each call, eagerly, and records
its answer under the question "call: TASK", with the text of the call as the function.
"""

from typing import NamedTuple

IMPORTS = {
    "exact": "import numpy as np",
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


TASKS = {
    "yes or no, from logits": Task(
        {"labels": [1.0, 0.0], "logits": [-1.0, 2.0]},
        {
            "exact": "loss = np.mean(np.logaddexp(0, logits) - labels * logits)",
            "tensorflow": "loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))",
            "keras": "loss = keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits)",
            "torch": "loss = F.binary_cross_entropy_with_logits(logits, labels)",
            "optax": "loss = optax.losses.sigmoid_binary_cross_entropy(logits, labels).mean()",
        },
    ),
    "one class of many, by its index": Task(
        {"labels": [0, 2], "logits": [[1.0, 2.0, 3.0], [2.0, 1.0, 4.0]]},
        {
            "exact": "loss = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1], labels])",
            "tensorflow": (
                "loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))"
            ),
            "keras": "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)",
            "torch": "loss = F.cross_entropy(logits, labels)",
            "optax": "loss = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels).mean()",
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
