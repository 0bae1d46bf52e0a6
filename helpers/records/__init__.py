"""What was measured, with versions and date: one JSON file a record, written by one command, shown by pages that cite it."""

import json
from pathlib import Path
from typing import Any

#: The command that writes each record, in a checkout of the book.
COMMANDS = {name: f"make {name}" for name in ("collapse", "exhaustive", "libraries", "speed", "trial", "vocabulary")}


def path(name: str) -> Path:
    """Return the file of a record.

    Raises
    ------
    ValueError
        If there is no record of that name.

    Examples
    --------
    >>> path("speed").name
    'speed.json'
    """
    if name not in COMMANDS:
        raise ValueError(f"name must be one of {', '.join(COMMANDS)}, got {name!r}")
    return Path(__file__).with_name(f"{name}.json")


def load(name: str) -> dict[str, Any]:
    """Return a record.

    Parameters
    ----------
    name : {"collapse", "exhaustive", "libraries", "speed", "trial", "vocabulary"}
        The name of the record.

    Returns
    -------
    dict
        What the file holds.

    Raises
    ------
    ValueError
        If there is no record of that name.
    FileNotFoundError
        If the record was not measured yet; the message names the command that does it.

    Examples
    --------
    >>> sorted(load("libraries"))
    ['answers', 'libraries', 'questions']
    """
    file = path(name)
    if not file.exists():
        raise FileNotFoundError(f"{file.name} is not there: measure it by `{COMMANDS[name]}`")
    return json.loads(file.read_text(encoding="utf8"))


def answer(question: str, library: str, function: str, how: str = "eager") -> dict[str, Any]:
    """Return what a library answered to a question on a CPU, from the record ``libraries``.

    Parameters
    ----------
    question, library, function : str
        The names that the record gives them.
    how : {"eager", "jit"}, optional
        How the function was called; NumPy's functions are called in one way only.

    Returns
    -------
    dict
        ``result`` is a string or a list of strings, numbers or "error: " with the type of an exception, whose words are in
        ``message``.

    Raises
    ------
    LookupError
        If the record has no such answer; the message names the command that asks the library.

    Examples
    --------
    >>> answer("confident", "torch", "torch.nn.functional.cross_entropy")["result"]
    '-0.0'
    """
    asked = {"question": question, "library": library, "function": function, "device": "cpu"}
    for found in load("libraries")["answers"]:
        if found["how"] in (how, "") and asked.items() <= found.items():
            return found
    raise LookupError(f"the record has no answer of {function} in {library} to {question!r}: run `make libraries`")


def version(library: str) -> str:
    """Return the version of a library in the record ``libraries``.

    Raises
    ------
    LookupError
        If the record lacks the library; the message names the command that asks it.

    Examples
    --------
    >>> version("torch").partition("+")[0]
    '2.13.0'
    """
    for entry in load("libraries")["libraries"]:
        if entry["library"] == library:
            return entry["version"]
    raise LookupError(f"the record lacks {library}: run `make libraries`")


def measured(name: str) -> str:
    """Return when and with which versions a record was measured, as pages show it.

    Parameters
    ----------
    name : {"collapse", "exhaustive", "libraries", "speed", "vocabulary"}
        The name of the record.

    Returns
    -------
    str
        The date, and each library with its version.

    Raises
    ------
    ValueError
        If there is no record of that name, or if it is computed and not measured.

    Examples
    --------
    >>> measured("collapse")  # doctest: +ELLIPSIS
    'measured on 20... with Python 3..., NumPy ..., JAX ..., optax ...'
    """
    record = load(name)
    if name == "libraries":  # in which each library has a date of its own, and one for each device
        asked = [entry for entry in record["libraries"] if entry["device"] == "cpu"]
        dates, versions = {entry["measured"] for entry in asked}, {entry["library"]: entry["version"] for entry in asked}
    elif "measured" in record:
        dates, versions = {record["measured"]}, record["versions"]
    else:
        raise ValueError(f"name must be that of a record that was measured, got {name!r}")
    return f"measured on {' and '.join(sorted(dates))} with " + ", ".join(map(" ".join, versions.items()))
