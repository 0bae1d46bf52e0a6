"""The libraries that are installed still answer as the record says, and the recommended calls are right in all of them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from filelock import FileLock

from helpers import records
from measure import libraries
from measure.machine import machine

pytestmark = pytest.mark.slow

RECORD = records.load("libraries")
QUESTIONS = {question["question"]: question for question in RECORD["questions"]}
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
ON_A_CPU = [answer for answer in RECORD["answers"] if answer["device"] == "cpu"]
VERSIONS = {entry["library"]: entry["version"] for entry in RECORD["libraries"] if entry["device"] == "cpu"}


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
    """Ask the libraries once, even if several processes of pytest share the tests of this file."""
    folder = tmp_path_factory.getbasetemp()
    path = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "libraries.json"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            command = [sys.executable, "-m", "measure.libraries", "--quick", "--output", path]
            run = subprocess.run(command, capture_output=True, encoding="utf8", check=False, cwd=libraries.ROOT)
            assert run.returncode == 0, run.stderr
    return json.loads(path.read_text(encoding="utf8"))


@pytest.mark.parametrize("library", VERSIONS)
def test_a_library_answers_as_recorded(today, library):
    versions = {entry["library"]: entry["version"] for entry in today["libraries"] if entry["device"] == "cpu"}
    if library not in versions:
        pytest.skip(f"{library} is not installed")
    # In a sum of 50,257 terms that are absorbed one by one, another processor adds more of them at a time.
    here = machine()["processor"]
    elsewhere = here != RECORD["libraries"][0]["processor"]
    anywhere = {"confident-large", "confident-large-slope"} if elsewhere else set()
    # What is left of a cancellation is nothing but rounding, so it has another size and sign there.
    rounding = {"kl-near", "kl-near-slope", "kl-near-float64", "jensen-shannon-near"}
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
        and not (elsewhere and answer["question"] in rounding)
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
