"""Records load by name, and each error names the command that measures what is missing."""

import json
import re

import pytest

from helpers import records


@pytest.mark.parametrize("name", records.COMMANDS)
def test_a_record_loads_and_is_ascii(name):
    assert records.path(name).read_bytes().isascii()
    assert records.load(name) == json.loads(records.path(name).read_bytes())


@pytest.mark.parametrize("name", records.COMMANDS)
def test_a_missing_record_names_its_command(name, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(FileNotFoundError, match=f"{name}.json is not there: measure it by `make {name}`"):
        records.load(name)


@pytest.mark.parametrize("name", ["nonsense", "", None])
def test_an_unknown_record_is_refused_with_those_that_there_are(name):
    with pytest.raises(ValueError, match=f"name must be one of collapse, .*, got {name!r}"):
        records.load(name)


def test_a_recorded_answer_is_found_by_question_library_and_function():
    answer = records.answer("label-too-large", "torch", "torch.nn.functional.cross_entropy")
    assert answer["result"] == "error: IndexError"
    assert answer["how"] == "eager"
    compiled = records.answer("label-outside-certain", "torch", "torch.nn.functional.binary_cross_entropy", "jit")
    assert compiled["result"] == "-50.0"  # eagerly it is an error


@pytest.mark.parametrize("ask", [lambda: records.answer("masked", "mxnet", "loss"), lambda: records.version("mxnet")])
def test_a_library_that_is_not_in_the_record_names_make_libraries(ask):
    with pytest.raises(LookupError, match=r"mxnet.*run `make libraries`"):
        ask()


@pytest.mark.parametrize("name", ["collapse", "exhaustive", "libraries", "speed", "vocabulary"])
def test_a_measured_record_says_when_and_with_which_versions(name):
    assert re.fullmatch(
        r"measured on \d{4}-\d\d-\d\d( and \d{4}-\d\d-\d\d)* with (\S.* \d[\w.+]*(, |$))+", records.measured(name)
    )
    assert "NumPy 2." in records.measured(name)


def test_a_record_that_is_computed_has_no_date():
    with pytest.raises(ValueError, match="name must be that of a record that was measured, got 'trial'"):
        records.measured("trial")
