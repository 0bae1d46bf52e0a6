"""Ask every library the same questions about its cross-entropy losses, and write the answers to the record ``libraries``.

    python -m measure.libraries [LIBRARY ...] [--quick] [--output FILE]

Each library, and each backend of Keras, answers in a process of its own. Its answers replace those that the file holds of
the same library and device, and all others stay: so the answers of a machine with a GPU join those of a CPU. A library that
cannot be imported is named on stderr. Beside the libraries the program needs NumPy and mpmath, which PyTorch brings.

The questions and their exact answers are those of questions.py, the libraries and functions those of functions.py. Each
question is asked of each function that has one of its forms, eagerly, and compiled where the framework can. An answer holds
the digits that its type tells apart; inf and nan are answers, and so is "error: " with the type of an exception, of which
the first words are kept, or with the signal that has ended the process.
"""

import argparse
import datetime
import functools
import importlib
import itertools
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from helpers import records
from helpers.information import kl_from_logits
from helpers.recipes import calls
from measure.functions import LIBRARIES, TOGETHER, Framework, Function
from measure.machine import machine, peak_bytes_alive
from measure.questions import (
    BATCHES,
    CLASSES,
    LEAD,
    PARTS,
    QUESTIONS,
    RATE,
    STEPS,
    Question,
    arrays,
    call_inputs,
    described,
    direction,
    problem,
    sequences,
    weighed,
)

ROOT = Path(__file__).parents[1]
EPS = 2.0**-23
CLASS_COUNTS = [round(10 ** (1 + k / 2)) for k in range(11)]
DISTANCES = 10 ** np.linspace(-6, 0, 13)
BINS = np.float32(10 ** np.sort(np.random.default_rng(0).uniform(-1, 2, (40, 64)).ravel())).reshape(40, 64)

os.environ |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "PYTHONWARNINGS": "ignore"}


# --- asking --------------------------------------------------------------------------------------


def takes(question: Question, function: Function, framework: Framework) -> bool:
    """Return whether a question can be asked of a function."""
    able = {
        "losses": function.losses or (function.mean and len(question.inputs) == 1),  # of one row the mean is the loss
        "mean": function.mean,
        "slope": function.slope or (framework.gradient and function.losses),
        "label's slope": function.slope or (framework.gradient and function.losses),
        "mean's slope": framework.gradient and function.mean,
        "as given": function.as_given or function.losses,
        "call": function.mean,
        "trained": function.loss and framework.gradient,
        "trained on sequences": function.loss or (framework.trained and function.losses),
        "trained in 16 bits": function.loss or (framework.trained and function.losses),
        "error over logit": function.losses,
        "error over classes": function.losses,
        "error over distance": function.losses,
        "chunked": function.mean,
        "speed": function.main and framework.gradient,
        "memory": function.main and framework.gradient,
    }
    return function.form in question.forms and bool(able[question.asks])


def ways(question: Question, function: Function, framework: Framework, part: str) -> list[str]:
    """Return how a question is asked, with NumPy in one way only.

    In a hurry JAX, which compiles each operation by itself, is asked about its main functions and calls, compiled if it can.
    """
    if not framework.gradient:
        return [""]
    compiled = framework.compiled and question.compiled and (function.main or question.asks == "call")
    if part == "quick" and framework.slow_eagerly:
        return ["jit"] if compiled else ["eager"] if function.main or question.asks == "call" else []
    return ["eager", "jit"] if compiled else ["eager"]


@functools.cache  # a compiled function serves all questions of one shape
def call(asks: str, function: Function, framework: Framework, how: str) -> Callable:
    """Return what is called with labels and inputs."""
    compiled = framework.compiled if how == "jit" else lambda function: function
    if asks in ("slope", "label's slope", "speed", "memory"):
        return function.slope or framework.gradient(function.losses, compiled)
    if asks == "mean's slope":
        return framework.gradient(function.mean, compiled)
    if asks == "as given":
        return compiled(function.as_given or function.losses)
    return compiled(function.mean if asks == "mean" else function.losses or function.mean)


def without_folders(message: str) -> str:
    """Return a message with the names of files but not their folders, which differ from machine to machine."""
    return re.sub(r"(?<![^\s'\"(\[=])/(?:[^\s/'\"]+/)+", "", message)


def answer(question: Question, function: Function, framework: Framework, how: str) -> dict:
    """Return the result of a question, its type where that teaches, and the message of an error."""
    try:
        if question.asks in MEASUREMENTS:
            digits = ".9g" if question.asks == "call" else ".6g"
            numbers, dtype = [f"{n:{digits}}" for n in MEASUREMENTS[question.asks](function, framework, how)], "float32"
        else:
            given = (framework.tensor(array, question.dtype) for array in arrays(question, function.form, function.mark))
            values, dtype = framework.array(call(question.asks, function, framework, how)(*given))
            numbers = [str(value) for value in np.ravel(values)]
    except Exception as error:
        message = without_folders(" ".join(str(error).split()))
        return {"result": f"error: {type(error).__name__}", "message": message[:200]}
    numbers = numbers[:1] if question.asks == "label's slope" else numbers
    result = {"result": numbers[0] if len(numbers) == 1 else numbers}
    return result | ({"type": dtype} if question.dtype != "float32" else {})


# --- measuring -----------------------------------------------------------------------------------


def errors(losses: Any, exact: np.ndarray, framework: Framework) -> np.ndarray:
    """Return relative errors in units of float32's eps, at most 1 / eps, which stands for nan, too."""
    computed = framework.array(losses)[0].astype(float)
    return np.fmin(np.abs(computed - exact) / exact / EPS, 1 / EPS)


def error_over_logit(function: Function, framework: Framework, how: str) -> Iterator[float]:
    """Yield the worst of 64 errors in each of 40 bins of |x|, which divide 0.1 to 100 evenly on a logarithmic scale.

    The label is 1 first, then 0; for each the logit is on the right side first, then on the wrong one. The exact losses are
    those of float64, whose errors are far below the eps of float32.
    """
    rest = np.log1p(np.exp(-BINS.astype(float)))
    for z, right in itertools.product((1, 0), (True, False)):
        x = BINS if (z == 1) == right else -BINS
        given = (framework.tensor(array.ravel(), "float32") for array in (np.full_like(x, z), x))
        exact = rest if right else BINS + rest
        yield from (
            errors(call("losses", function, framework, how)(*given), exact.ravel(), framework).reshape(40, 64).max(axis=1)
        )


def error_over_classes(function: Function, framework: Framework, how: str) -> Iterator[float]:
    """Yield the error of a confident row, one logit LEAD above the others, for each number of classes."""
    for classes in CLASS_COUNTS:
        question = Question("", CLASSES, [0], [[LEAD] + [0] * (classes - 1)], "")
        given = (framework.tensor(array, "float32") for array in arrays(question, function.form))
        exact = np.log1p((classes - 1) * np.exp(-LEAD))
        yield from errors(call("losses", function, framework, how)(*given), exact, framework)


def error_over_distance(function: Function, framework: Framework, how: str) -> Iterator[float]:
    """Yield the median divergence of 200 pairs of rows at each distance, the median relative error, and the share below 0.

    The rows are float32 logits of 10 classes, 2 N(0, 1) for p and a distance times N(0, 1) more for q.
    """
    rng = np.random.default_rng(0)
    p, step = 2 * rng.normal(size=(200, 10)), rng.normal(size=(200, 10))
    for distance in DISTANCES:
        rows = [np.float32(p), np.float32(p + distance * step)]
        exact = kl_from_logits(*(row.astype(float) for row in rows))
        given = (framework.tensor(row, "float32") for row in rows)
        computed = framework.array(call("losses", function, framework, how)(*given))[0].astype(float)
        yield from (np.median(exact), np.median(abs(computed / exact - 1)), np.mean(computed < 0))


def chunked(function: Function, framework: Framework, how: str) -> list[float]:
    """Return the mean loss of 1,024 tokens in bfloat16, and the relative errors of its gradients by h and by w.

    They are compared with those of float64, for the same numbers; the last result is the loss of float64.
    """
    torch = importlib.import_module("torch")
    torch.manual_seed(0)
    h = torch.randn(1024, 64, device="cpu").bfloat16()
    w = (0.3 * torch.randn(8192, 64, device="cpu")).bfloat16()
    y = torch.randint(8192, (1024,), device="cpu")
    h, w, y = (tensor.to(torch.get_default_device()) for tensor in (h, w, y))

    def gradients(mean: Callable, *leaves: Any) -> tuple:
        leaves = [leaf.requires_grad_() for leaf in leaves]
        loss = mean(y, *leaves)
        return loss.item(), torch.autograd.grad(loss, leaves)

    exact, references = gradients(lambda y, h, w: torch.nn.functional.cross_entropy(h @ w.T, y), h.double(), w.double())
    loss, computed = gradients(function.mean, h, w)
    return [loss, *(((c.double() - r).norm() / r.norm()).item() for c, r in zip(computed, references, strict=True)), exact]


def recommended_call(function: Function, framework: Framework, how: str) -> Iterator[float]:
    """Yield what `measure.questions.exact_call` tells for a call of calls.py."""
    task = calls.TASKS[function.form.removeprefix("call: ")]
    compiled = framework.compiled if how == "jit" else lambda function: function
    kinds = [(batch, dtype) for batch in BATCHES for dtype in ("float32", "bfloat16", "float16")]

    def tensors(batch: tuple[int, ...], dtype: str = "float32") -> dict:
        arrays = {name: array for name, array in call_inputs(task, batch).items() if not isinstance(array, float)}
        return {name: framework.tensor(a, dtype if name in task.half else "float32") for name, a in arrays.items()}

    def results(cases: list[dict]) -> list:
        losses = []
        for case, (_, dtype) in zip(cases, kinds, strict=True):
            with framework.autocast(dtype):
                losses.append(function.mean(**case))
        return losses

    losses = [framework.array(loss)[0] for loss in compiled(results)([tensors(*kind) for kind in kinds])]
    yield from map(weighed, losses)
    if framework.gradient and task.half and task.compiled:
        by, *_ = task.half
        for batch, loss in zip(BATCHES, losses[::3], strict=True):
            others, places = tensors(batch), framework.tensor(1.0 + np.arange(loss.size).reshape(loss.shape), "float32")
            of = lambda rest, tensor, places=places: places * function.mean(**rest, **{by: tensor})  # noqa: E731
            slope, _ = framework.array(framework.gradient(of, compiled)(others, others.pop(by)))
            yield (slope * direction(slope)).sum()


def trained(function: Function, framework: Framework, how: str) -> list[float]:
    """Return the loss before and after Keras's gradient descent."""
    outputs = 3 if "index" in function.form else 1
    return trained_by_keras(*problem(max(outputs, 2)), outputs, function, how)


def trained_on_sequences(function: Function, framework: Framework, how: str, policy: str = "float32") -> list[float]:
    """Return the loss before and after gradient descent on padded sequences, by Keras or by the framework's own loop.

    The last loss is that of the model after it was saved and loaded.
    """
    x, y = sequences(function.mark)
    if function.loss:
        return trained_by_keras(x, y, 3, function, how, policy)
    return framework.trained(function.losses, x, y, RATE, STEPS, how == "jit", policy)


def trained_by_keras(
    x: np.ndarray, y: np.ndarray, outputs: int, function: Function, how: str, policy: str = "float32"
) -> list[float]:
    """Return the loss of a linear model before and after gradient descent; it is saved and loaded for the last loss."""
    keras = importlib.import_module("keras")
    dense = keras.layers.Dense(outputs, use_bias=False, kernel_initializer="zeros", dtype=policy)
    model = keras.Sequential([keras.Input(x.shape[1:]), dense])
    model.compile(keras.optimizers.SGD(RATE), function.loss, run_eagerly=how == "eager", jit_compile=how == "jit")
    before = model.evaluate(x, y, batch_size=len(x), verbose=0)
    model.fit(x, y, batch_size=len(x), epochs=STEPS, shuffle=False, verbose=0)
    if function.form == "ignoring":
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            model = keras.saving.load_model(f"{folder}/model.keras")
    return [before, model.evaluate(x, y, batch_size=len(x), verbose=0)]


def thousand_rows(function: Function, framework: Framework, columns: int) -> list:
    """Return labels and logits of a thousand rows."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 10, (1000, columns)).astype(np.float32), rng.integers(columns, size=1000)
    if function.form == "sigmoid":
        logits, labels = logits.ravel(), rng.random(logits.size, np.float32)
    elif function.form == "one-hot":
        labels = np.eye(columns, dtype=np.float32)[labels]
    return [framework.tensor(array, "float32") for array in (labels, logits)]


def speed(function: Function, framework: Framework, how: str) -> list[float]:
    """Return the shortest time of loss and gradient in 25 calls with 10^6 logits, in ns per logit.

    What else runs on the machine makes a call slower, never faster.
    """
    given = thousand_rows(function, framework, 1000)
    gradient, times = call("speed", function, framework, how), []
    for _ in range(2 + 25):  # the first calls compile
        start = time.perf_counter()
        framework.wait(gradient(*given))
        times.append(time.perf_counter() - start)
    return [min(times[2:]) * 1e9 / 10**6]


def memory(function: Function, framework: Framework, how: str) -> list[float]:
    """Return how far the memory rises for loss and gradient of 10^7 logits, in multiples of what the logits take.

    The gradient is one of them. Without glibc the answer is nan.
    """
    given = thousand_rows(function, framework, 10_000)
    gradient = call("memory", function, framework, how)
    peak = peak_bytes_alive(lambda: framework.wait(gradient(*given)))
    return [np.nan if peak is None else round(peak / (4 * 10**7), 2)]


MEASUREMENTS = {
    "call": recommended_call,
    "trained": trained,
    "trained on sequences": trained_on_sequences,
    "trained in 16 bits": partial(trained_on_sequences, policy="mixed_bfloat16"),
    "error over logit": error_over_logit,
    "error over classes": error_over_classes,
    "error over distance": error_over_distance,
    "chunked": chunked,
    "speed": speed,
    "memory": memory,
}


# --- the processes -------------------------------------------------------------------------------


def key(line: dict) -> tuple:
    """Return what makes a question to a function unique."""
    return tuple(line.get(name) for name in ("question", "library", "function", "how"))


def read(path: Path) -> list[dict]:
    """Return the lines that a process has written."""
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def work(names: list[str], part: str, path: Path) -> None:
    """Ask libraries what a file does not answer yet, and append each question and then its answer to the file."""
    warnings.simplefilter("ignore")
    answered = {key(line) for line in read(path)}
    with path.open("a", buffering=1, encoding="utf8") as file:

        def write(**line: Any) -> None:
            file.write(json.dumps(line) + "\n")

        for name in names:
            write(library=name, importing=True)
            try:
                version, framework, functions = LIBRARIES[name]()
            except Exception as error:
                write(library=name, missing=f"{type(error).__name__}: {error}")
                continue
            forms = {function.name: function.form for function in functions}
            write(library=name, version=version, device=framework.device, functions=forms)
            for question, function in itertools.product(QUESTIONS, functions):
                if question.asks not in PARTS[part] or not takes(question, function, framework):
                    continue
                for how in ways(question, function, framework, part):
                    asked = {"question": question.name, "library": name, "function": function.name, "how": how}
                    if key(asked) not in answered:
                        write(**asked)
                        write(**asked, **answer(question, function, framework, how))
                        framework.wait(None)  # a GPU that stumbled over a label says so here, and ends this process


def interview(names: list[str], part: str) -> tuple[dict, dict]:
    """Return what each of the libraries is, and its answers, from one process; one that is missing is named on stderr.

    A process that a question ends, by a signal or because a GPU accepts nothing more, is followed by another for the rest.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers"
        path.touch()
        ended, known = True, 0
        while ended:
            command = [sys.executable, "-m", "measure.libraries", "--worker", str(path), "--part", part, *names]
            run = subprocess.run(command, capture_output=True, encoding="utf8", check=False, cwd=ROOT)
            ended = run.returncode and (
                f"exit {run.returncode}" if run.returncode > 0 else signal.Signals(-run.returncode).name
            )
            lines = read(path)
            if ended and lines and not {"result", "version", "missing"} & set(lines[-1]):  # in the middle of something
                lines.append(lines[-1] | ({"missing": ended} if "importing" in lines[-1] else {"result": f"error: {ended}"}))
                path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")
            if ended and len(lines) == known:
                raise RuntimeError(f"{', '.join(names)}: the process ends with {ended} and answers nothing: {run.stderr}")
            known = len(lines)
    for line in lines:
        if "missing" in line:
            print(f"{line['library']} is left out: {line['missing']}", file=sys.stderr)
    about = {line["library"]: line for line in lines if "version" in line}
    return about, {name: [line for line in lines if "result" in line and line["library"] == name] for name in about}


# --- the record ----------------------------------------------------------------------------------


def joined(old: dict, interviews: list[tuple[dict, dict]]) -> dict:
    """Return the record with the answers of the interviews in place of those of the same libraries and devices."""

    def which(entry: dict) -> tuple:
        return list(LIBRARIES).index(entry["library"]), entry["device"] != "cpu", entry["device"]

    today = {"measured": f"{datetime.date.today()}", "python": platform.python_version()}
    asked = [about | today | machine() for abouts, _ in interviews for about in abouts.values()]
    answers = [
        {"question": line["question"], "library": name, "version": abouts[name]["version"]}
        | {"function": line["function"], "how": line["how"], "device": abouts[name]["device"]}
        | line
        for abouts, lines in interviews
        for name in abouts
        for line in lines[name]
    ]
    kept = {
        name: [entry for entry in old[name] if which(entry) not in map(which, asked)] for name in ("libraries", "answers")
    }
    return {
        "libraries": sorted(kept["libraries"] + asked, key=which),
        "questions": [described(question) for question in QUESTIONS],
        "answers": sorted(kept["answers"] + answers, key=which),  # and otherwise in the order of the questions
    }


def one_entry_a_line(record: dict) -> str:
    """Return lists by name as JSON whose changes are easy to read."""
    lists = {name: ",\n".join(json.dumps(entry) for entry in entries) for name, entries in record.items()}
    return "{\n" + ",\n".join(f'"{name}": [\n{entries}\n]' for name, entries in lists.items()) + "\n}\n"


def main() -> None:
    """Ask the libraries, two at a time, then measure their speed, one at a time, and write the record."""
    parser = argparse.ArgumentParser(description="Ask libraries the same questions about their cross-entropy losses.")
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"some of {', '.join(LIBRARIES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="leave out what is slow or differs from run to run")
    parser.add_argument("--output", type=Path, default=records.path("libraries"))
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.libraries) - set(LIBRARIES):
        parser.error(f"no such library: {', '.join(unknown)}; there are {', '.join(LIBRARIES)}")
    if options.worker:
        return work(options.libraries, options.part, options.worker)

    names = options.libraries or list(LIBRARIES)
    groups = TOGETHER if options.quick else [(name,) for name in names]
    groups = [chosen for group in groups if (chosen := [name for name in group if name in names])]
    with ThreadPoolExecutor(2) as pool:
        interviews = list(pool.map(partial(interview, part="quick" if options.quick else "full"), groups))
    if not options.quick:
        for abouts, lines in interviews:
            for name in abouts:
                lines[name] += interview([name], "speed")[1][name]
    old = (
        json.loads(options.output.read_text(encoding="utf8"))
        if options.output.exists()
        else {"libraries": [], "answers": []}
    )
    options.output.write_text(one_entry_a_line(joined(old, interviews)), encoding="utf8")


if __name__ == "__main__":
    main()
