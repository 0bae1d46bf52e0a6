"""The libraries that are installed still answer as the record says, and the losses to copy are right in all of them."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import recipes, records
from measure import libraries
from measure.machine import machine

RECORD = records.load("libraries")
QUESTIONS = {question["question"]: question for question in RECORD["questions"]}
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
ON_A_CPU = [answer for answer in RECORD["answers"] if answer["device"] == "cpu"]
VERSIONS = {entry["library"]: entry["version"] for entry in RECORD["libraries"] if entry["device"] == "cpu"}
COPIED = [answer for answer in ON_A_CPU if "_losses." in answer["function"]]


def named(answers):
    return {tuple(answer[name] for name in ("question", "library", "function", "how")): answer for answer in answers}


def of_type(answer):
    """Return the type that an answer has, or that its question has where the record does not say more."""
    return answer.get("type", QUESTIONS[answer["question"]]["type"])


def numbers(result):
    return np.array(result if isinstance(result, list) else [result], float)


def agree(one, other, tolerance):
    """Return whether two results are the same error, or the same numbers to a relative tolerance; nan equals nan."""
    if "error" in str(one) or "error" in str(other):
        return one == other
    one, other = numbers(one), numbers(other)
    return one.shape == other.shape and np.allclose(one, other, rtol=tolerance, atol=0, equal_nan=True)


@pytest.fixture(scope="module")
def today(tmp_path_factory):
    path = tmp_path_factory.mktemp("libraries") / "libraries.json"
    command = [sys.executable, "-m", "measure.libraries", "--quick", "--output", path]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=libraries.ROOT)
    assert run.returncode == 0, run.stderr
    return json.loads(path.read_text(encoding="utf8"))


@pytest.mark.parametrize("library", VERSIONS)
def test_a_library_answers_as_recorded(today, library):
    versions = {entry["library"]: entry["version"] for entry in today["libraries"] if entry["device"] == "cpu"}
    if library not in versions:
        pytest.skip(f"{library} is not installed")
    # In a sum of 50,257 terms that are absorbed one by one, another processor adds more of them at a time.
    here = machine()["processor"]
    anywhere = {"confident-large", "confident-large-slope"} if here != RECORD["libraries"][0]["processor"] else set()
    recorded = named(ON_A_CPU)

    def tolerance(answer):
        if answer["question"].startswith(
            "call: "
        ):  # its slopes are sums that cancel; test_calls.py compares them with exact ones
            return 1e-4
        return 0.1 if answer["question"] in anywhere else 8 * EPS[of_type(answer)]

    changed = {
        key: (recorded.get(key, {"result": "not asked"})["result"], answer["result"])
        for key, answer in named(today["answers"]).items()
        if library in key
        and not agree(
            recorded.get(key, {"result": "error: not asked"})["result"],
            answer["result"],
            tolerance(answer),
        )
    }
    assert not changed, (
        f"{library} is version {versions[library]} here and {VERSIONS[library]} in the record. If what it answers has "
        f"changed, ask it again by `make libraries LIBRARY={library}`, and look at the chapter."
    )


def test_questions_and_exact_answers_are_as_recorded(today):
    for question, recorded in zip(today["questions"], RECORD["questions"], strict=True):
        assert question | {"exact": None} == recorded | {"exact": None}
        # what is trained in float64 may differ in its last digits from one processor to the next
        assert agree(question["exact"] or [], recorded["exact"] or [], 1e-13), question["question"]


def test_the_record_holds_every_library_and_backend():
    assert set(VERSIONS) == set(libraries.LIBRARIES), "Ask the missing ones by `make libraries`."
    assert len(VERSIONS) >= 11
    assert len(RECORD["answers"]) >= 300


def test_the_messages_in_the_record_name_no_folder_of_a_machine():
    messages = [answer["message"] for answer in RECORD["answers"] if "message" in answer]
    assert messages
    assert not [message for message in messages if libraries.without_folders(message) != message]


@pytest.mark.parametrize("before", ["", "line 3, ", "in '", 'File "', "("])
def test_the_folders_of_a_message_are_left_out(before):
    assert libraries.without_folders(f"{before}/home/reader/lib64/loss.py:7: 1/2 of https://book.org/a/b") == (
        f"{before}loss.py:7: 1/2 of https://book.org/a/b"
    )


@pytest.mark.parametrize("path", sorted(Path(recipes.__file__).parent.glob("*_losses.py")), ids=lambda path: path.stem)
def test_losses_to_copy_have_at_most_six_lines(path):
    functions = [node for node in ast.parse(path.read_text(encoding="utf8")).body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == [
        "sigmoid_cross_entropy",
        "sparse_softmax_cross_entropy",
        "softmax_cross_entropy",
    ]
    for function in functions:
        _, first, *_ = function.body  # after the docstring
        assert function.end_lineno - first.lineno < 6 + 1, function.name


def allowed_error(answer):
    """Return the relative error that a loss to copy may have.

    8 eps are for the exponentials, logarithms and products. A sum of C exponentials, in an order that is the library's,
    loses up to C - 1 roundings of eps / 2.
    """
    [row, *_] = QUESTIONS[answer["question"]]["inputs"]
    classes = 1 if isinstance(row, str) else sum(int(entry.split(" × ")[0]) if " × " in entry else 1 for entry in row)
    return (8 + (classes - 1) / 2) * EPS[of_type(answer)]


@pytest.mark.parametrize("how", ["eager", "jit", ""])
def test_losses_to_copy_and_their_gradients_are_exact(how):
    asked = [
        answer
        for answer in COPIED
        if answer["how"] == how
        and QUESTIONS[answer["question"]]["exact"]
        and QUESTIONS[answer["question"]]["asks"] in ("losses", "slope", "label's slope")
        and QUESTIONS[answer["question"]]["type"] in ("float32", "float64")  # others are to be cast first
    ]
    assert len(asked) >= (100 if how else 10)
    wrong = [
        answer
        for answer in asked
        if not agree(QUESTIONS[answer["question"]]["exact"], answer["result"], allowed_error(answer))
    ]
    assert not wrong


def test_losses_to_copy_are_asked_eagerly_and_compiled_in_each_library():
    ways = {(answer["function"].partition(".")[0], answer["how"]) for answer in COPIED}
    assert ways >= {(f"{name}_losses", how) for name in ("tensorflow", "torch", "jax", "keras") for how in ("eager", "jit")}


def test_losses_to_copy_train_on_three_backends_as_exact_ones_do():
    trained = [answer for answer in COPIED if answer["question"].startswith("trained")]
    for backend in ("tensorflow", "jax", "torch"):
        asked = {answer["function"] for answer in trained if answer["library"] == f"keras/{backend}"}
        assert len(asked) == 4  # two losses for Keras, and two for its backend
    for answer in trained:
        assert agree(QUESTIONS[answer["question"]]["exact"], answer["result"], 1e-5), answer
