"""Each call of the page which-loss-to-call gives the exact loss in its library."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import calls

RECORD = Path(calls.__file__).with_name("libraries.json")
TENSOR = {"tensorflow": tf.constant, "keras": tf.constant, "optax": jnp.asarray}  # PyTorch's answers are recorded
# About 8 eps: the terms of a loss are up to ten times as large as the loss, and each is rounded to float32.
TOLERANCE = 1e-6
by_task = pytest.mark.parametrize("task", calls.TASKS.values(), ids=calls.TASKS)


def exact(task):
    return float(calls.run("exact", task.calls["exact"], **{name: np.array(value) for name, value in task.inputs.items()}))


@by_task
def test_a_call_gives_the_exact_loss(task):
    for library in TENSOR.keys() & task.calls.keys():
        tensors = {
            name: TENSOR[library](array if array.dtype.kind == "i" else array.astype("float32"))
            for name, array in ((name, np.array(value)) for name, value in task.inputs.items())
        }
        assert float(calls.run(library, task.calls[library], **tensors)) == pytest.approx(exact(task), rel=TOLERANCE)


@pytest.mark.parametrize("name", calls.TASKS)
def test_the_recorded_call_of_pytorch_gave_the_exact_loss(name):
    task = calls.TASKS[name]
    answers = json.loads(RECORD.read_text(encoding="utf8"))["answers"] if RECORD.exists() else []
    asked = {"question": f"call: {name}", "library": "torch", "function": task.calls["torch"], "device": "cpu"}
    results = [answer["result"] for answer in answers if asked.items() <= answer.items()]
    assert results, f"benchmarks/libraries.json has no answer of PyTorch to {task.calls['torch']!r}: run make libraries"
    assert [float(result) for result in results] == pytest.approx([exact(task)] * len(results), rel=TOLERANCE)


@by_task
def test_a_task_has_two_rows_and_a_call_for_each_reader(task):
    assert {"torch", "optax"} < set(task.calls)
    assert {"keras", "tensorflow"} & set(task.calls)
    assert {len(value) for name, value in task.inputs.items() if name in ("labels", "logits", "hidden")} == {2}
