"""Each call of the page which-loss-to-call gives the exact loss in its library."""

import json
from pathlib import Path

import pytest

from benchmarks import calls

RECORD = Path(calls.__file__).with_name("libraries.json")
INSTALLED = ["keras", "optax"]  # PyTorch's answers are recorded
# About 8 eps: the terms of a loss are up to ten times as large as the loss, and each is rounded to float32.
TOLERANCE = 1e-6
by_task = pytest.mark.parametrize("task", calls.TASKS, ids=lambda task: task.name)


@by_task
@pytest.mark.parametrize("library", INSTALLED)
def test_a_call_gives_the_exact_loss(task, library):
    assert calls.loss(task, library) == pytest.approx(float(calls.exact(task)), rel=TOLERANCE)


@by_task
def test_the_recorded_call_of_pytorch_gave_the_exact_loss(task):
    answers = json.loads(RECORD.read_text(encoding="utf8"))["answers"] if RECORD.exists() else []
    asked = {"library": "torch", "function": task.calls["torch"], "question": f"call: {task.name}", "device": "cpu"}
    results = [answer["result"] for answer in answers if asked.items() <= answer.items()]
    assert results, f"{task.calls['torch']} has no answer in benchmarks/libraries.json: run make libraries"
    assert [float(result) for result in results] == pytest.approx([float(calls.exact(task))] * len(results), rel=TOLERANCE)


def test_every_task_has_two_rows_and_a_call_in_each_library():
    for task in calls.TASKS:
        assert set(task.calls) == set(calls.MODULES)
        assert {len(calls.inputs(task)[name]) for name in task.inputs if name in ("labels", "logits", "hidden")} == {2}
