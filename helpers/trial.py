"""Ask any cross-entropy loss what this book asks TensorFlow's, and learn where it is wrong and by how much.

    >>> from helpers import binary, trial
    >>> report = trial.ask(binary.max_abs_cross_entropy, "binary")
    >>> "soft-label" in report.failed  # max(x, 0) - xz cancels
    True

A loss is a function of labels and logits that returns one loss for each element or row. The questions, with exact answers
from 400 bits, are the record ``trial``, whose form is described in the appendix *The questions of the trial*.

From a shell, ``python -m helpers.trial package.module:function --kind index`` prints the report, and exits with 1 if
something failed.
"""

import argparse
import functools
import html
import importlib
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers import precision, records

KINDS = ("binary", "index", "rows")

RIGHT = "right"
LOST = "digits lost"
WRONG = "wrong"
REFUSED = "refused"
ACCEPTED = "returned a number where an error was due"
BY_DESIGN = "differs by design"
VERDICTS = (RIGHT, LOST, WRONG, REFUSED, ACCEPTED, BY_DESIGN)

ERROR = "error"  # what the record has in place of numbers: an exception
FINITE = "finite"  # or any finite numbers


@dataclass(frozen=True, eq=False)
class Choice:
    """An answer that differs from the exact one by design: numbers, ``"error"`` or ``"finite"``; None: no other."""

    because: str
    loss: NDArray[np.float64] | str | None
    gradient: NDArray[np.float64] | str | None


@dataclass(frozen=True, eq=False)
class Question:
    """Labels and logits, and the exact loss and gradient.

    Parameters
    ----------
    name, kind : str
        The kind is one of "binary", "index" and "rows".
    labels, logits : ndarray
        float64 stands for the type that is asked for, which holds these numbers exactly; any other type is part of the
        question.
    loss : ndarray of float64 or None
        The exact losses in nats, rounded once from 400 bits. None: the right answer is an error.
    gradient : ndarray of float64 or None
        The exact gradient of their sum by the logits. None: it is not asked.
    bound, gradient_bound : int
        What a good float32 implementation keeps, in eps. One that computes 16-bit types in float32 keeps 1 eps of theirs.
    absolute : bool
        Whether the errors of the gradient are absolute: that of soft labels passes through 0.
    types : tuple of str
        The types that the question can be asked in.
    by_design : tuple of Choice
        Other answers that are a choice, not a fault.
    tests, chapter : str
        What the question tests, and the chapter that explains it.
    """

    name: str
    kind: str
    labels: NDArray
    logits: NDArray
    loss: NDArray[np.float64] | None
    gradient: NDArray[np.float64] | None
    bound: int
    gradient_bound: int
    absolute: bool
    types: tuple[str, ...]
    by_design: tuple[Choice, ...]
    tests: str
    chapter: str

    def __str__(self) -> str:
        """Return the name, which pytest shows with ``ids=str``."""
        return self.name

    def inputs(self, dtype: str = "float32") -> tuple[NDArray, NDArray]:
        """Return fresh arrays of labels and logits, for a loss that may overwrite them."""
        return _of_type(self.labels, dtype), _of_type(self.logits, dtype)


@dataclass(frozen=True)
class Answer:
    """One row of a report: the exact number and the one that came, at the place of the largest error."""

    name: str
    exact: str
    got: str
    error: float  # in eps, NaN where it means nothing
    verdict: str
    detail: str
    question: Question


@dataclass(frozen=True, repr=False)
class Report:
    """The answers of one loss. It prints as a table, and a notebook shows it as one."""

    loss: str
    dtype: str
    answers: tuple[Answer, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the questions whose answers are neither right nor a choice."""
        return tuple(answer.name for answer in self.answers if answer.verdict not in (RIGHT, BY_DESIGN))

    def __str__(self) -> str:
        rows = [("question", "exact", "got", "eps", "verdict"), *(_cells(answer) for answer in self.answers)]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            f"{row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
            for row in rows
        ]
        notes = [f"{name}: {note}" for name, note in self._notes()]
        return "\n".join([*lines, "", *notes, *([""] if notes else []), self._summary()])

    __repr__ = __str__  # a prompt shows the table, too

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{cell}</th>" for cell in ("question", "exact", "got", "eps", "verdict"))
        bodies = []
        for answer in self.answers:
            cells = [html.escape(cell) for cell in _cells(answer)]
            if answer.verdict != RIGHT:
                cells[4] = f"<strong>{cells[4]}</strong>"
            bodies.append("".join(f"<td>{cell}</td>" for cell in cells))
        table = "\n".join(f"<tr>{body}</tr>" for body in bodies)
        notes = "".join(f"<li>{html.escape(name)}: {html.escape(note)}</li>" for name, note in self._notes())
        return (
            f'<table class="docutils">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{table}\n</tbody>\n</table>\n'
            f"<ul>{notes}</ul>\n<p>{html.escape(self._summary())}</p>"
        )

    def _notes(self) -> Iterable[tuple[str, str]]:
        for answer in self.answers:
            if answer.verdict != RIGHT:
                detail = f" {answer.detail[0].upper()}{answer.detail[1:]}." if answer.detail else ""
                question = answer.question
                yield answer.name, f"{question.tests}.{detail} See {question.chapter}."

    def _summary(self) -> str:
        counts = Counter(answer.verdict for answer in self.answers)
        verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        return f"{self.loss}, {self.dtype}, {len(self.answers)} answers: {verdicts or 'nothing was asked'}"


def questions(kind: str, dtype: str | None = None) -> tuple[Question, ...]:
    """Return the questions of a kind.

    Parameters
    ----------
    kind : {"binary", "index", "rows"}
        A label in [0, 1] for each logit, a class index for each row of logits, or a row of labels for each row of logits.
    dtype : str, optional
        Leave out the questions whose numbers this type does not hold: float16, bfloat16, float32 or float64.

    Returns
    -------
    tuple of Question
        Give them to ``pytest.mark.parametrize("question", questions("index"), ids=str)``, and each to :func:`ask`.

    Raises
    ------
    ValueError
        If the kind or the type is not known.

    Examples
    --------
    >>> [question] = [question for question in questions("binary") if question.name == "absorption"]
    >>> print(question.labels, question.logits, question.loss, question.bound)
    [1.] [23.] [1.02618796e-10] 5
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if dtype is not None:
        _known(dtype)
    return tuple(q for q in _all_questions() if q.kind == kind and (dtype is None or dtype in q.types))


def ask(
    loss: Callable[[Any, Any], Any],
    kind: str | Question,
    *,
    dtype: str = "float32",
    gradient: Callable[[Any, Any], Any] | None = None,
) -> Report:
    """Ask a loss, and its gradient, all questions of a kind, and judge the answers.

    A loss that raises, or returns another shape, complex numbers, a list or only NaN is reported question by question.

    Parameters
    ----------
    loss : callable
        ``loss(labels, logits)`` with NumPy arrays. It returns one loss for each element (``kind="binary"``) or row, in nats,
        as an array of NumPy, TensorFlow, PyTorch or JAX.
    kind : {"binary", "index", "rows"} or Question
        The questions, or one of them.
    dtype : {"float32", "float16", "bfloat16", "float64"}, optional
        The type of the logits and of labels that are no indices, and the unit of the errors. bfloat16 needs the package
        ml_dtypes, which TensorFlow and JAX bring.
    gradient : callable, optional
        ``gradient(labels, logits)``, the gradient of the sum of the losses by the logits, of their shape.

    Returns
    -------
    Report
        A row for each question, and one for its gradient. The verdict is "right" within the bound; "digits lost" for an
        error that rounding explains, at most eps times the sum of the number of classes and the largest logit; else "wrong".
        An exception is "refused", or right where an error is due. ``failed`` names what is neither right nor a choice, so
        ``assert not ask(loss, kind).failed`` is a test.

    Raises
    ------
    ValueError
        If the kind or the type is not known, or the type does not hold the numbers of the one question.
    TypeError
        If the loss or the gradient cannot be called.

    Examples
    --------
    >>> from helpers import binary
    >>> ask(binary.sigmoid_cross_entropy_with_logits, "binary").failed
    ()
    >>> def by_hand(labels, logits):
    ...     return np.maximum(logits, 0) - labels * logits + np.log(1 + np.exp(-np.abs(logits)))
    >>> ask(by_hand, "binary").failed[:2]
    ('absorption', 'confident-negative')
    """
    _known(dtype)
    for name, function in {"loss": loss, "gradient": gradient}.items():
        if not callable(function) and (name == "loss" or function is not None):
            raise TypeError(f"{name} must be a function of labels and logits, got {type(function).__name__}")
    asked = (kind,) if isinstance(kind, Question) else questions(kind, dtype)
    if isinstance(kind, Question) and dtype not in kind.types:
        raise ValueError(f"dtype must be one of {', '.join(kind.types)} for the question {kind}, got {dtype!r}")
    answers = []
    for question in asked:
        answers.append(_answer(question, "loss", loss, dtype))
        if gradient is not None and question.gradient is not None:
            denominator = _denominator(answers[-1])
            answers.append(_answer(question, "gradient", gradient, dtype, denominator))
    return Report(_name(loss), dtype, tuple(answers))


# --- judging an answer -----------------------------------------------------------------------------

MEAN, SUM = "the mean of the losses, not each", "the sum of the losses, not each"


def _answer(question: Question, what: str, function: Callable, dtype: str, denominator: int = 1) -> Answer:
    """Ask one function one question; a gradient may be that of the mean, if the loss was."""
    exact, is_loss = getattr(question, what), what == "loss"
    name = question.name if is_loss else f"{question.name} (gradient)"
    choices = [(choice.because, getattr(choice, what)) for choice in question.by_design]
    row = functools.partial(Answer, name, question=question)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            returned = function(*question.inputs(dtype))
    except Exception as error:
        raised = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}".removesuffix(": ").rstrip(".")
        because = next((because for because, numbers in choices if isinstance(numbers, str) and numbers == ERROR), None)
        verdict = RIGHT if exact is None else BY_DESIGN if because else REFUSED
        return row(ERROR if exact is None else _worst(exact), type(error).__name__, np.nan, verdict, because or raised)
    got = _as_floats(returned)
    if isinstance(got, str):
        return row(ERROR if exact is None else _worst(exact), "?", np.nan, WRONG, got)
    if exact is not None and is_loss and got.shape == () != exact.shape:
        choices += [(MEAN, np.asarray(exact.mean() if exact.size else np.nan)), (SUM, np.asarray(exact.sum()))]
    if denominator > 1:
        choices.append((MEAN, exact / denominator))
    for because, numbers in [("", exact), *choices]:
        if numbers is not None and _accepts(numbers, got, question, what, dtype, by_design=bool(because)):
            shown = exact if exact is not None and got.size == exact.size else numbers
            place, error = _largest_error(shown, got, question, what, dtype)
            verdict = BY_DESIGN if because else RIGHT
            return row(ERROR if exact is None else _worst(exact, place), _worst(got, place), error, verdict, because)
    if exact is None:
        if not np.isfinite(got).any():
            because = "compiled code cannot raise, and nan or inf is seen"
            return row(ERROR, _worst(got), np.nan, BY_DESIGN, because)
        return row(ERROR, _worst(got, int(np.isfinite(got).argmax())), np.nan, ACCEPTED, "")
    reduced = ""
    if is_loss and got.shape == () != exact.shape:  # digits may be lost in a mean as well
        (reduced, exact) = min(choices[-2:], key=lambda one: np.nan_to_num(np.abs(one[1] - got), nan=np.inf))
    if got.shape != exact.shape:
        return row(_worst(exact), _worst(got), np.nan, WRONG, f"the shape is {got.shape}, not {exact.shape}")
    place, error = _largest_error(exact, got, question, what, dtype)
    with np.errstate(all="ignore"):
        same = (got == exact) | (np.isnan(got) & np.isnan(exact))  # inf - inf is NaN, and so is NaN - NaN
        lost = np.where(same, 0, np.abs(got - exact)).max() <= _eps(question, dtype) * _what_rounds(question)
    return row(_worst(exact, place), _worst(got, place), error, LOST if lost else WRONG, reduced)


def _accepts(numbers: Any, got: NDArray, question: Question, what: str, dtype: str, *, by_design: bool) -> bool:
    """Return whether what came is within the bound of these numbers, or is as finite as a choice says."""
    if isinstance(numbers, str):
        return numbers == FINITE and bool(np.isfinite(got).all())
    if by_design and got.size == numbers.size:
        got = got.reshape(numbers.shape)  # labels that are lined up may come back as a column
    return got.shape == numbers.shape and _largest_error(numbers, got, question, what, dtype)[1] <= _bound(
        question, what, dtype
    )


def _largest_error(numbers: Any, got: NDArray, question: Question, what: str, dtype: str) -> tuple[int, float]:
    """Return the place and the size of the largest error in eps, which is 0 for NaN in the place of NaN."""
    if isinstance(numbers, str) or not got.size:
        return 0, 0.0
    numbers, got = np.ravel(numbers), np.ravel(got)
    _, emin, _ = precision.FORMATS[_type(question, dtype)]
    tiny = 2.0**emin
    with np.errstate(all="ignore"):
        distance = np.abs(got - numbers)
        size = np.ones_like(numbers) if question.absolute and what == "gradient" else np.maximum(np.abs(numbers), tiny)
        error = distance / size / _eps(question, dtype)
    # Hardware may flush what is smaller than the smallest normal number to 0.
    error = np.where((np.abs(numbers) < tiny) & (distance <= tiny), 0, error)
    error = np.where((got == numbers) | (np.isnan(got) & np.isnan(numbers)), 0, error)
    error = np.where(np.isnan(error), np.inf, error)
    place = int(error.argmax())
    return place, float(error[place])


def _bound(question: Question, what: str, dtype: str) -> float:
    """Return the allowed error in eps: float64 has half an eps more, since its exact numbers are rounded."""
    if _type(question, dtype) in ("float16", "bfloat16"):
        return 1
    bound = question.bound if what == "loss" else question.gradient_bound
    return bound + (0.5 if dtype == "float64" else 0)


def _what_rounds(question: Question) -> float:
    """Return the size of what a textbook formula rounds: its logits, and a sum of as many terms as classes."""
    sizes = np.abs(question.logits[np.isfinite(question.logits)], dtype=np.float64)
    return sizes.max(initial=0) + (2 if question.kind == "binary" else question.logits.shape[-1])


def _type(question: Question, dtype: str) -> str:
    return "float16" if question.logits.dtype == np.float16 else dtype


def _eps(question: Question, dtype: str) -> float:
    return 2.0 ** (1 - precision.FORMATS[_type(question, dtype)].significand_bits)


def _denominator(answer: Answer) -> int:
    return answer.question.loss.size if answer.detail == MEAN else 1


# --- arrays ----------------------------------------------------------------------------------------


def _of_type(array: NDArray, dtype: str) -> NDArray:
    if array.dtype != np.float64:
        return array.copy()
    return array.astype(importlib.import_module("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)


def _as_floats(returned: Any) -> NDArray[np.float64] | str:
    """Return an array of any framework as float64, or what is wrong with it."""
    if isinstance(returned, list | tuple | dict | set | str | bytes) or returned is None:
        return f"a {type(returned).__name__} came, not an array"
    try:
        if hasattr(returned, "detach"):  # of PyTorch, where NumPy cannot read 16 bits
            returned = returned.detach().cpu()
            returned = returned if returned.is_complex() else returned.double()
        array = np.asarray(returned)
        if array.dtype.kind == "c" or array.dtype == object:
            return f"an array of {array.dtype} came, not of real numbers"
        return array.astype(np.float64)
    except Exception as error:
        return f"a {type(returned).__name__} came, which is no array: {type(error).__name__}"


def _worst(numbers: Any, place: int = 0) -> str:
    """Return the number at a place, short."""
    flat = np.ravel(numbers)
    return "" if isinstance(numbers, str) or not flat.size else f"{flat[min(place, flat.size - 1)]:.7g}"


def _cells(answer: Answer) -> tuple[str, ...]:
    error = "" if np.isnan(answer.error) else f"{answer.error:.2g}"
    return answer.name, answer.exact, answer.got, error, answer.verdict


def _name(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _known(dtype: str) -> None:
    if not isinstance(dtype, str) or dtype not in precision.FORMATS:
        raise ValueError(f"dtype must be one of {', '.join(precision.FORMATS)}, got {dtype!r}")


@functools.cache
def _all_questions() -> tuple[Question, ...]:
    return tuple(map(_question, records.load("trial")["questions"]))


def _question(entry: dict[str, Any]) -> Question:
    arrays = {name: _decoded(entry[name]) for name in ("labels", "logits", "loss", "gradient")}
    bound = entry["bound"]
    return Question(
        name=entry["name"],
        kind=entry["kind"],
        **arrays,
        bound=bound["loss"],
        gradient_bound=bound["gradient"],
        absolute=bound["gradient_error"] == "absolute",
        types=tuple(entry["types"]),
        by_design=tuple(Choice(c["because"], _decoded(c["loss"]), _decoded(c["gradient"])) for c in entry["by_design"]),
        tests=entry["tests"],
        chapter=entry["chapter"],
    )


def _decoded(stored: Any) -> Any:
    """Return the array that is stored by its shape, type and runs; a word and None stay as they are."""
    if not isinstance(stored, dict):
        return stored
    counts = [count for count, _ in stored["runs"]]
    numbers = [float.fromhex(number) for _, number in stored["runs"]]
    array = np.repeat(np.array(numbers, np.float64), np.array(counts, int)).reshape(stored["shape"])
    array = array.astype(np.float64 if stored["type"] == "float" else stored["type"])
    array.flags.writeable = False
    return array


# --- from a shell ----------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Ask the loss that is named on the command line, print the report, and return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m helpers.trial", description="Ask a loss what this book asks.")
    parser.add_argument("loss", metavar="package.module:function", type=_imported)
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--dtype", default="float32", choices=precision.FORMATS)
    parser.add_argument("--gradient", metavar="package.module:function", type=_imported)
    options = parser.parse_args(arguments)
    report = ask(options.loss, options.kind, dtype=options.dtype, gradient=options.gradient)
    print(report)
    return 1 if report.failed else 0


def _imported(name: str) -> Callable:
    """Return the function of a module, which may stand in the current folder."""
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise argparse.ArgumentTypeError(f"must be package.module:function, got {name!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return functools.reduce(getattr, function.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise argparse.ArgumentTypeError(f"{name!r} cannot be imported: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
