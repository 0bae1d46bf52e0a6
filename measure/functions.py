"""The libraries that libraries.py asks, their functions, and the frameworks that compute for them.

A library is an entry of LIBRARIES, at the end: a function that imports it, and returns what it has as a table.
"""

import importlib
import io
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from helpers.recipes import calls
from measure.questions import SMOOTHING, WEIGHTS


class Framework(NamedTuple):
    """How a framework takes and gives numbers, differentiates and compiles; None where it does not."""

    device: str
    tensor: Callable[[np.ndarray, str], Any]  # of the type that is named; integers stay integers
    array: Callable[[Any], tuple[np.ndarray, str]]  # and the name of the type, since NumPy has no bfloat16
    gradient: Callable | None = None  # of the sum of a function's losses by its second argument; compiles as it is told
    compiled: Callable | None = None
    wait: Callable[[Any], Any] = lambda result: result  # until the result is there
    slow_eagerly: bool = False  # because each operation is compiled by itself
    trained: Callable | None = None  # the loss of a linear model before and after, where that is not Keras's to do
    autocast: Callable[[str], Any] = lambda dtype: nullcontext()  # what a library does for a model that computes in a type


class Function(NamedTuple):
    """A function of a library, called with labels and inputs; None where it has no such call."""

    name: str
    form: str
    losses: Callable | None = None  # one by one
    mean: Callable | None = None  # as the library forms it
    as_given: Callable | None = None  # the default call, where that is not one by one
    slope: Callable | None = None  # the gradient, where no framework differentiates
    mark: int | None = None  # the label that stands for padding
    loss: Any = None  # what Keras trains with
    main: bool = False  # compiled and timed, too


class Library(NamedTuple):
    """A library, the framework that computes for it, and its functions."""

    version: str
    framework: Framework
    functions: list[Function]


def is_index(array: np.ndarray) -> bool:
    """Return whether an array holds integers."""
    return np.issubdtype(array.dtype, np.integer)


def called(name: str, options: dict) -> str:
    """Return how a call reads."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})" if options else name


def copied(module: str, trains: bool = False) -> list[Function]:
    """Return the losses of a file of helpers/recipes, for Keras to train with if that is meant."""
    losses = importlib.import_module(f"helpers.recipes.{module}")
    forms = {"sigmoid": "sigmoid_cross_entropy", "index": "sparse_softmax_cross_entropy", "one-hot": "softmax_cross_entropy"}
    named = {form: (f"{module}.{name}", getattr(losses, name)) for form, name in forms.items()}
    kept = (lambda loss: loss) if trains else lambda loss: None
    functions = [Function(name, form, loss, loss=kept(loss), main=True) for form, (name, loss) in named.items()]
    (_, sparse), (name, of_rows) = named["index"], named["one-hot"]
    ignoring = f"{module}.sparse_softmax_cross_entropy(ignore=-100)"
    divergence = module.replace("losses", "divergence")
    kl = importlib.import_module(f"helpers.recipes.{divergence}").kl_from_logits
    return [
        *functions,
        Function(f"{divergence}.kl_from_logits", "divergence of logits", kl, main=True),
        Function(ignoring, "ignoring", sparse, loss=kept(sparse), mark=-100, main=True),
        Function(f"{name}, integer rows", "integer rows", of_rows, main=True),
    ]


def by_hand(maximum: Callable, absolute: Callable, exp: Callable, log1p: Callable, relu: str = "max(x, 0)") -> Function:
    """Return the max/abs form as a reader would type it."""

    def losses(labels: Any, logits: Any) -> Any:
        return maximum(logits, 0.0) - labels * logits + log1p(exp(-absolute(logits)))

    return Function(f"{relu} - x z + log1p(exp(-abs(x)))", "sigmoid by hand", losses)


def recommended(library: str) -> list[Function]:
    """Return the calls of calls.py for a library, as functions of their inputs that are arrays."""

    def as_function(name: str, task: calls.Task, text: str) -> Function:
        numbers = {key: value for key, value in task.inputs.items() if isinstance(value, float)}
        names = [key for key in task.inputs if key not in numbers]
        return Function(text, f"call: {name}", mean=calls.function(library, text, names, task.before, **numbers))

    return [
        as_function(name, task, task.calls[library])
        for name, task in calls.TASKS.items()
        if library in task.calls and "exact" in task.calls
    ]


def divergence(name: str, given: Callable, of_logits: Callable) -> list[Function]:
    """Return a divergence of probabilities, the same to be differentiated by p, and the one that takes logits."""
    return [
        Function(name, "divergence", given),
        Function(f"{name}, by p", "divergence by p", lambda q, p: given(p, q)),
        Function(f"{name} of softmaxes", "divergence of logits", of_logits),
        Function(f"mean of {name}", "mean divergence", mean=lambda x, y: of_logits(x, y).mean()),
    ]


def typed(softmax: Callable, log_softmax: Callable) -> list[Function]:
    """Return what readers type: a divergence and an entropy from the softmax and its logarithm."""

    def divergence(x: Any, y: Any) -> Any:
        return (softmax(x) * (log_softmax(x) - log_softmax(y))).sum(-1)

    return [
        Function("sum of p (log p - log q)", "divergence of logits", divergence),
        Function("-sum of p log p", "entropy of logits", lambda _, x: -(softmax(x) * log_softmax(x)).sum(-1)),
    ]


# --- frameworks ----------------------------------------------------------------------------------


def numpy_framework() -> Framework:
    """Return NumPy, whose functions are differentiated by none and compiled by none."""

    def tensor(array: np.ndarray, dtype: str) -> np.ndarray:
        if dtype == "bfloat16":
            dtype = importlib.import_module("ml_dtypes").bfloat16
        return array if is_index(array) else array.astype(dtype)

    np.seterr(all="ignore")
    return Framework("cpu", tensor, lambda array: (np.asarray(array), np.asarray(array).dtype.name))


def tensorflow_framework() -> Framework:
    """Return TensorFlow, compiled by XLA."""
    import tensorflow as tf

    def gradient(losses: Callable, compiled: Callable) -> Callable:
        def by_inputs(labels: Any, inputs: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                loss = losses(labels, inputs)
            return tape.gradient(loss, inputs)

        return compiled(by_inputs)

    def array(tensor: Any) -> tuple[np.ndarray, str]:
        wide = tf.cast(tensor, "float32") if tensor.dtype == "bfloat16" else tensor
        return wide.numpy(), tensor.dtype.name

    tf.get_logger().setLevel("ERROR")  # it warns of compiling anew for each shape, which is meant
    gpus = tf.config.list_physical_devices("GPU")
    return Framework(
        tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "cpu",
        lambda array, dtype: tf.constant(array) if is_index(array) else tf.cast(array, dtype),
        array,
        gradient,
        partial(tf.function, jit_compile=True),
    )


def jax_framework() -> Framework:
    """Return JAX, compiled by XLA."""
    import jax
    import jax.numpy as jnp

    def tensor(array: np.ndarray, dtype: str) -> Any:
        jax.config.update("jax_enable_x64", dtype == "float64")  # off for all else, as it is by default
        return jnp.asarray(array, None if is_index(array) else dtype)

    device = jax.devices()[0]
    return Framework(
        "cpu" if device.platform == "cpu" else device.device_kind,
        tensor,
        lambda result: (np.asarray(result), result.dtype.name),
        lambda losses, compiled: compiled(jax.grad(lambda labels, inputs: losses(labels, inputs).sum(), argnums=1)),
        jax.jit,
        jax.block_until_ready,
        slow_eagerly=True,
    )


def torch_framework() -> Framework:
    """Return PyTorch, compiled by its Inductor where that finds a compiler."""
    import torch

    def gradient(losses: Callable, compiled: Callable) -> Callable:
        losses = compiled(losses)

        def by_inputs(labels: Any, inputs: Any) -> Any:
            inputs.requires_grad_()
            return torch.autograd.grad(losses(labels, inputs).sum(), inputs)[0]

        return by_inputs

    def array(tensor: Any) -> tuple[np.ndarray, str]:
        wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        return wide.detach().cpu().numpy(), str(tensor.dtype).removeprefix("torch.")

    def trained(losses: Callable, x: Any, y: Any, rate: float, steps: int, compiles: bool, policy: str) -> list[float]:
        class Mean(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(2, 3, bias=False)
                torch.nn.init.zeros_(self.linear.weight)

            def forward(self, x: Any, y: Any) -> Any:
                with torch.autocast(x.device.type, torch.bfloat16, enabled=policy == "mixed_bfloat16"):
                    return losses(y, self.linear(x)).mean()

        x, y, mean = torch.tensor(x), torch.tensor(y), Mean()
        optimizer = torch.optim.SGD(mean.parameters(), rate)
        called = compiled(mean) if compiles else mean
        before = called(x, y).item()
        for _ in range(steps):
            optimizer.zero_grad()
            called(x, y).backward()
            optimizer.step()
        file = io.BytesIO()
        torch.export.save(torch.export.export(mean, (x, y)), file)
        file.seek(0)
        return [before, torch.export.load(file).module()(x, y).item()]

    gpu = torch.cuda.is_available()
    torch.set_default_device("cuda" if gpu else "cpu")
    # After eight shapes of one function it would go on without compiling, and say nothing.
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 10_000
    compiled = partial(torch.compile, dynamic=False)
    try:
        compiled(torch.exp)(torch.zeros(1))
    except Exception as error:
        print(f"torch.compile does not work here and is left out: {error}", file=sys.stderr)
        compiled = None
    return Framework(
        torch.cuda.get_device_name(0) if gpu else "cpu",
        lambda array, dtype: torch.tensor(array, dtype=None if is_index(array) else getattr(torch, dtype)),
        array,
        gradient,
        compiled,
        lambda result: torch.cuda.synchronize() if gpu else result,
        trained=trained,
        # float16 stands for models that are cast as a whole
        autocast=lambda dtype: torch.autocast("cuda" if gpu else "cpu", torch.bfloat16, enabled=dtype == "bfloat16"),
    )


# --- libraries -----------------------------------------------------------------------------------


def tensorflow_library() -> Library:
    """Return TensorFlow's operations."""
    import tensorflow as tf

    def operation(name: str, form: str, main: bool = True, **options: Any) -> Function:
        return Function(called(f"tf.nn.{name}", options), form, partial(getattr(tf.nn, name), **options), main=main)

    def version_1(name: str, form: str, **options: Any) -> Function:
        mean = partial(getattr(tf.compat.v1.losses, name), **options)
        return Function(called(f"tf.compat.v1.losses.{name}", options), form, partial(mean, reduction="none"), mean, mean)

    functions = [
        operation("sigmoid_cross_entropy_with_logits", "sigmoid"),
        operation("weighted_cross_entropy_with_logits", "sigmoid", main=False, pos_weight=1),
        operation("sparse_softmax_cross_entropy_with_logits", "index"),
        operation("softmax_cross_entropy_with_logits", "one-hot"),
        version_1("sigmoid_cross_entropy", "sigmoid"),
        version_1("log_loss", "probability"),
        version_1("sparse_softmax_cross_entropy", "index"),
        version_1("softmax_cross_entropy", "one-hot"),
        version_1("sparse_softmax_cross_entropy", "weighted", weights=WEIGHTS),
        by_hand(tf.maximum, tf.abs, tf.exp, tf.math.log1p),
        Function(
            "sum of p (log p - log q)",
            "divergence of logits",
            lambda x, y: tf.reduce_sum(tf.nn.softmax(x) * (tf.nn.log_softmax(x) - tf.nn.log_softmax(y)), -1),
        ),
        Function(
            "-sum of p log p",
            "entropy of logits",
            lambda _, x: -tf.reduce_sum(tf.nn.softmax(x) * tf.nn.log_softmax(x), -1),
        ),
        *copied("tensorflow_losses"),
        *recommended("tensorflow"),
    ]
    return Library(tf.__version__, tensorflow_framework(), functions)


def loss_class(losses: Any, shown: str, none: str | None, name: str, form: str, **options: Any) -> Function:
    """Return a loss class of Keras 2 or 3, where none is the reduction that leaves the losses one by one."""
    mean = getattr(losses, name)(**options)
    losses_of = one_by_one = getattr(losses, name)(**options, reduction=none)
    if name.startswith("Binary"):  # it takes the mean of the last axis, so the losses come one by one from a column
        losses_of = lambda labels, inputs: one_by_one(labels[:, None], inputs[:, None])  # noqa: E731
    return Function(called(f"{shown}.{name}", options), form, losses_of, mean, mean)


def keras_divergences(shown: str, losses: Any, softmax: Callable) -> list[Function]:
    """Return the divergence of Keras 2 or 3, whose class has the mean."""
    each, mean = losses.kl_divergence, losses.KLDivergence()
    functions = divergence(f"{shown}.kl_divergence", each, lambda x, y: each(softmax(x), softmax(y)))
    of_class = Function(f"{shown}.KLDivergence", "mean divergence", mean=lambda x, y: mean(softmax(x), softmax(y)))
    return [*functions[:3], of_class]


def tf_keras_library() -> Library:
    """Return Keras 2, which is kept for programs of its time and changes no more."""
    import tf_keras

    of_class = partial(loss_class, tf_keras.losses, "tf_keras.losses", "none")
    functions = [
        of_class("BinaryCrossentropy", "sigmoid", from_logits=True),
        of_class("BinaryCrossentropy", "probability"),
        of_class("SparseCategoricalCrossentropy", "index", from_logits=True),
        of_class("SparseCategoricalCrossentropy", "index, probabilities"),
        of_class("CategoricalCrossentropy", "one-hot", from_logits=True),
        of_class("CategoricalCrossentropy", "one-hot, probabilities"),
        of_class("SparseCategoricalCrossentropy", "ignoring", from_logits=True, ignore_class=-1)._replace(mark=-1),
        of_class("BinaryFocalCrossentropy", "focal", from_logits=True),
        *keras_divergences("tf_keras.losses", tf_keras.losses, importlib.import_module("tensorflow").nn.softmax),
    ]
    return Library(tf_keras.__version__, tensorflow_framework(), functions)


def keras_library(backend: str) -> Library:
    """Return Keras's loss classes, which cast to float32, and its operations, which do not."""
    os.environ["KERAS_BACKEND"] = backend
    import keras
    from keras import losses, ops

    of_class = partial(loss_class, losses, "keras.losses", None)

    def weighted(name: str, form: str, **options: Any) -> Function:
        loss = partial(getattr(losses, name)(from_logits=True, **options), sample_weight=np.float32(WEIGHTS))
        return Function(called(f"keras.losses.{name}", options | {"sample_weight": WEIGHTS}), form, mean=loss)

    functions = []
    for name, operation, form in (
        ("BinaryCrossentropy", ops.binary_crossentropy, "sigmoid"),
        ("SparseCategoricalCrossentropy", ops.sparse_categorical_crossentropy, "index"),
        ("CategoricalCrossentropy", ops.categorical_crossentropy, "one-hot"),
    ):
        loss = of_class(name, form, from_logits=True)
        from_probabilities = "probability" if form == "sigmoid" else f"{form}, probabilities"
        functions += [
            loss._replace(loss=loss.mean, main=True),
            Function(f"keras.ops.{operation.__name__}(from_logits=True)", form, partial(operation, from_logits=True)),
            of_class(name, from_probabilities)._replace(main=form == "sigmoid"),
            Function(f"keras.ops.{operation.__name__}", from_probabilities, operation),
        ]
    ignoring = of_class("SparseCategoricalCrossentropy", "ignoring", from_logits=True, ignore_class=-1)
    smoothed = of_class("CategoricalCrossentropy", "smoothed", from_logits=True, label_smoothing=SMOOTHING)
    of_rows = smoothed.losses
    functions += [
        ignoring._replace(mark=-1),
        weighted("SparseCategoricalCrossentropy", "weighted"),
        weighted("SparseCategoricalCrossentropy", "weighted", reduction="mean_with_sample_weight"),
        weighted("BinaryCrossentropy", "weighted sigmoid"),
        smoothed._replace(losses=lambda labels, x: of_rows(ops.one_hot(labels, x.shape[-1]), x), mean=None),
        of_class("BinaryFocalCrossentropy", "focal", from_logits=True),
        *keras_divergences("keras.losses", losses, ops.softmax),
        *copied("keras_losses", trains=True),
        *recommended("keras"),
    ]
    if backend == "numpy":
        functions = [function._replace(loss=None) for function in functions]  # it does not train
    else:  # what is written for the backend trains as well
        functions += [function._replace(form=f"trained {function.form}") for function in copied(f"{backend}_losses", True)]
    version = importlib.import_module(backend).__version__.partition("+")[0]
    return Library(f"{keras.__version__} on {version}", FRAMEWORKS[backend]()._replace(trained=None), functions)


def torch_library() -> Library:
    """Return PyTorch's functional losses."""
    import torch
    from torch.nn import LinearCrossEntropyOptions
    from torch.nn import functional as F

    def functional(name: str, form: str, loss: Callable, mark: int | None = None) -> Function:
        one_by_one = lambda labels, inputs: loss(inputs, labels, reduction="none")  # noqa: E731
        mean = lambda labels, inputs: loss(inputs, labels)  # noqa: E731
        return Function(f"torch.nn.functional.{name}", form, one_by_one, mean, mean, mark=mark)

    def linear(x: Any, labels: Any, **options: Any) -> Any:  # the product with hidden states 1, 0, 0, … is exactly x
        return F.linear_cross_entropy(torch.eye(len(x), dtype=x.dtype), x.T, labels, **options)

    def autocast(x: Any, labels: Any, **options: Any) -> Any:
        with torch.autocast(x.device.type, torch.bfloat16):
            return F.cross_entropy(x, labels, **options)

    def of_log_softmax(x: Any, labels: Any, **options: Any) -> Any:
        return F.nll_loss(F.log_softmax(x, dim=-1), labels, **options)

    def of_log(p: Any, labels: Any, **options: Any) -> Any:
        return F.nll_loss(p.log(), labels, **options)

    def masked_by(number: float) -> Callable:
        return lambda labels, x: F.cross_entropy(x.masked_fill(torch.arange(3) == 2, number), labels, reduction="none")

    sigmoid, cross_entropy = F.binary_cross_entropy_with_logits, F.cross_entropy
    by_class = torch.tensor([WEIGHTS[0], 1, WEIGHTS[1]], dtype=torch.float32)  # the two rows are of the classes 0 and 2
    pos_weight, weights = torch.ones(1), torch.tensor(WEIGHTS, dtype=torch.float32)
    chunks = LinearCrossEntropyOptions(batch_chunk_size=1)
    framework = torch_framework()
    functions = [
        functional("binary_cross_entropy_with_logits", "sigmoid", sigmoid)._replace(main=True),
        functional("binary_cross_entropy_with_logits(pos_weight=1)", "sigmoid", partial(sigmoid, pos_weight=pos_weight)),
        functional("binary_cross_entropy_with_logits(weight=…)", "weighted sigmoid", partial(sigmoid, weight=weights)),
        functional("binary_cross_entropy", "probability", F.binary_cross_entropy)._replace(main=True),
        functional("cross_entropy", "index", cross_entropy)._replace(main=True),
        functional("cross_entropy, rows of labels", "one-hot", cross_entropy)._replace(main=True),
        functional("cross_entropy under autocast to bfloat16", "index", autocast),
        functional("cross_entropy(ignore_index=-100)", "ignoring", cross_entropy, mark=-100),
        functional("cross_entropy(weight=…)", "weighted", partial(cross_entropy, weight=by_class)),
        functional("cross_entropy(label_smoothing=0.1)", "smoothed", partial(cross_entropy, label_smoothing=SMOOTHING)),
        functional(
            "cross_entropy(label_smoothing=0.1, weight=…)",
            "smoothed and weighted",
            partial(cross_entropy, label_smoothing=SMOOTHING, weight=torch.tensor([1.0, 100.0])),
        ),
        functional("nll_loss of log_softmax", "index", of_log_softmax),
        functional("nll_loss of log", "index, probabilities", of_log),
        functional("linear_cross_entropy", "index", linear),
        functional("linear_cross_entropy(options=…)", "index", partial(linear, options=chunks)),
        functional("linear_cross_entropy(ignore_index=-100)", "ignoring", linear, mark=-100),
        by_hand(lambda x, zero: torch.maximum(x, torch.tensor(zero)), torch.abs, torch.exp, torch.log1p),
        by_hand(lambda x, zero: x.clamp(min=zero), torch.abs, torch.exp, torch.log1p, "x.clamp(min=0)"),
        functional("cross_entropy(ignore_index=-1)", "all ignored", partial(cross_entropy, ignore_index=-1), mark=-1),
        Function("cross_entropy of masked_fill(mask, -1e9)", "half a mask", masked_by(-1e9)),
        Function("cross_entropy of masked_fill(mask, -1e4)", "half a mask", masked_by(-1e4)),
        Function("x.exp().clamp(max=10)", "clamped", lambda labels, x: x.exp().clamp(max=10)),
        Function("the guide's hooks", "hooks", mean=guides_hooks),
        *torch_divergences(),
        *copied("torch_losses"),
        *recommended("torch"),
        *fused_losses(),
    ]
    return Library(torch.__version__.partition("+")[0], framework, functions)


def guides_hooks(labels: Any, inputs: Any) -> Any:
    """Run the field guide's lines for PyTorch with modules that return tuples, and return 1 for each whose nan they name."""
    import torch

    cells = json.loads((Path(__file__).parents[1] / "chapters" / "why-is-my-loss-nan.ipynb").read_text(encoding="utf8"))[
        "cells"
    ]
    [lines] = re.findall(
        r"```python\n(torch\.autograd.+?)```", "\n".join("".join(cell["source"]) for cell in cells), re.DOTALL
    )
    found = []
    for bad in ("lstm", "attention", "last"):
        model = torch.nn.ModuleDict(
            {"lstm": torch.nn.LSTM(2, 2), "attention": torch.nn.MultiheadAttention(2, 1), "last": torch.nn.Linear(2, 2)}
        )
        with torch.no_grad():
            next(model[bad].parameters()).fill_(torch.nan)
        exec(lines, {"torch": torch, "model": model})
        try:
            states, _ = model["lstm"](torch.ones(3, 1, 2))
            model["last"](model["attention"](states, states, states)[0])
        except FloatingPointError as error:
            found.append(float(str(error).startswith(bad)))
        finally:
            torch.autograd.set_detect_anomaly(False)
    return torch.tensor(found)


def torch_divergences() -> list[Function]:
    """Return PyTorch's divergences and entropy, with each reduction of the mean, and two mistakes."""
    from torch.distributions import Categorical, kl_divergence
    from torch.nn.functional import kl_div, log_softmax, softmax

    softmax, log_softmax = partial(softmax, dim=-1), partial(log_softmax, dim=-1)

    def kl(p: Any, log_q: Any) -> Any:
        return kl_div(log_q, p, reduction="none").sum(-1)

    def mean(shown: str, of_rows: Callable) -> Function:
        return Function(f"torch.nn.functional.kl_div({shown})", "mean divergence", mean=of_rows)

    def of_logs(x: Any, y: Any) -> Any:
        return kl_div(log_softmax(y), log_softmax(x), reduction="none", log_target=True).sum(-1)

    functions = divergence(
        "torch.nn.functional.kl_div", lambda p, q: kl(p, q.log()), lambda x, y: kl(softmax(x), log_softmax(y))
    )
    return [
        *functions[:3],
        mean("reduction='mean'", lambda x, y: kl_div(log_softmax(y), softmax(x))),
        mean("reduction='batchmean'", lambda x, y: kl_div(log_softmax(y), softmax(x), reduction="batchmean")),
        mean("arguments exchanged", lambda x, y: kl(softmax(y), log_softmax(x)).mean()),
        mean("q in place of log q", lambda x, y: kl(softmax(x), softmax(y)).mean()),
        Function("torch.nn.functional.kl_div(log_target=True)", "divergence of logits", of_logs),
        Function(
            "torch.distributions.kl_divergence",
            "divergence of logits",
            lambda x, y: kl_divergence(Categorical(logits=x), Categorical(logits=y)),
        ),
        Function(
            "torch.distributions.Categorical.entropy", "entropy of logits", lambda _, x: Categorical(logits=x).entropy()
        ),
        *typed(softmax, log_softmax),
    ]


def fused_losses() -> list[Function]:
    """Return PyTorch's ways from labels, hidden states and an embedding to a mean loss."""
    import torch
    from torch.nn import LinearCrossEntropyOptions
    from torch.nn.functional import cross_entropy, linear_cross_entropy

    def fused(shown: str, prepare: Callable = lambda h, w: (h, w), **options: Any) -> Function:
        options = LinearCrossEntropyOptions(**options) if shown else None
        name = f"linear_cross_entropy, {shown}" if shown else "linear_cross_entropy"
        return Function(name, "hidden", mean=lambda y, h, w: linear_cross_entropy(*prepare(h, w), y, options=options))

    def added_in_float32(size: int) -> Function:
        options = LinearCrossEntropyOptions(batch_chunk_size=size)
        name = f"linear_cross_entropy, batch_chunk_size={size}, reduction='none', mean in float32"
        one_by_one = partial(linear_cross_entropy, options=options, reduction="none")
        return Function(name, "hidden", mean=lambda y, h, w: one_by_one(h, w, y).float().mean())

    def under_autocast(y: Any, h: Any, w: Any) -> Any:
        with torch.autocast(h.device.type, torch.bfloat16):
            return linear_cross_entropy(h, w.float(), y, options=LinearCrossEntropyOptions())

    return [
        Function("cross_entropy(h @ w.T)", "hidden", mean=lambda y, h, w: cross_entropy(h @ w.T, y)),
        Function("cross_entropy((h @ w.T).float())", "hidden", mean=lambda y, h, w: cross_entropy((h @ w.T).float(), y)),
        fused(""),
        fused("chunks as PyTorch chooses"),
        Function("linear_cross_entropy, chunks as PyTorch chooses, under autocast", "hidden", mean=under_autocast),
        *(fused(f"batch_chunk_size={size}", batch_chunk_size=size) for size in (1024, 256, 64, 16, 4)),
        *(added_in_float32(size) for size in (1024, 4)),
        fused("batch_chunk_size=4, acc_policy='accurate'", batch_chunk_size=4, acc_policy="accurate"),
        fused("batch_chunk_size=4, float32 copies", lambda h, w: (h.float(), w.float()), batch_chunk_size=4),
    ]


def of_elements(name: str, terms: Callable, softmax: Callable) -> list[Function]:
    """Return the sum of a function of SciPy's that gives the terms of a divergence."""

    def total(p: Any, q: Any) -> Any:
        return terms(p, q).sum(-1)

    return divergence(f"{name}, summed", total, lambda x, y: total(softmax(x, -1), softmax(y, -1)))


def jax_library() -> Library:
    """Return what JAX itself has, with the signs that make a loss of it."""
    import jax
    from jax import numpy as jnp
    from jax.nn import log_sigmoid, log_softmax, logsumexp

    def pick(values: Any, labels: Any) -> Any:
        return jnp.take_along_axis(values, labels[:, None], axis=-1)[:, 0]

    def of_log_sigmoid(labels: Any, logits: Any) -> Any:
        return -labels * log_sigmoid(logits) - (1 - labels) * log_sigmoid(-logits)

    functions = [
        Function("-jax.nn.log_sigmoid", "sigmoid", of_log_sigmoid, main=True),
        Function("-jax.nn.log_softmax", "index", lambda y, x: -pick(log_softmax(x), y), main=True),
        Function("jax.nn.logsumexp - logit", "index", lambda y, x: logsumexp(x, axis=-1) - pick(x, y)),
        Function("-jax.nn.log_softmax, rows of labels", "one-hot", lambda z, x: -(z * log_softmax(x)).sum(axis=-1)),
        by_hand(jnp.maximum, jnp.abs, jnp.exp, jnp.log1p),
        *of_elements("jax.scipy.special.rel_entr", jax.scipy.special.rel_entr, jax.nn.softmax),
        *of_elements("jax.scipy.special.kl_div", jax.scipy.special.kl_div, jax.nn.softmax),
        *typed(jax.nn.softmax, log_softmax),
        *copied("jax_losses"),
        *recommended("jax"),
    ]
    return Library(jax.__version__, jax_framework(), functions)


def optax_library() -> Library:
    """Return Optax's losses."""
    import jax
    from optax import __version__, losses, smooth_labels

    def swapped(name: str, form: str, main: bool = False, **options: Any) -> Function:
        loss = partial(getattr(losses, name), **options)
        return Function(
            called(f"optax.losses.{name}", options), form, lambda labels, inputs: loss(inputs, labels), main=main
        )

    def ignoring(labels: Any, logits: Any) -> Any:
        return losses.softmax_cross_entropy_with_integer_labels(logits, labels, where=(labels >= 0)[:, None])

    def smoothed(labels: Any, logits: Any) -> Any:
        return losses.softmax_cross_entropy(logits, smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), SMOOTHING))

    functions = [
        swapped("sigmoid_binary_cross_entropy", "sigmoid", main=True),
        swapped("sigmoid_focal_loss", "sigmoid", gamma=0),
        swapped("sigmoid_focal_loss", "focal"),
        swapped("softmax_cross_entropy_with_integer_labels", "index", main=True),
        swapped("softmax_cross_entropy", "one-hot", main=True),
        swapped("safe_softmax_cross_entropy", "one-hot"),
        swapped("poly_loss_cross_entropy", "one-hot", epsilon=0),
        Function("optax.losses.softmax_cross_entropy_with_integer_labels(where=labels >= 0)", "ignoring", ignoring, mark=-1),
        Function("optax.losses.softmax_cross_entropy of optax.smooth_labels", "smoothed", smoothed),
        *divergence(
            "optax.losses.kl_divergence",
            lambda p, q: losses.kl_divergence(jax.numpy.log(q), p),
            lambda x, y: losses.kl_divergence(jax.nn.log_softmax(y), jax.nn.softmax(x)),
        ),
        Function(
            "optax.losses.kl_divergence_with_log_targets",
            "divergence of logits",
            lambda x, y: losses.kl_divergence_with_log_targets(jax.nn.log_softmax(y), jax.nn.log_softmax(x)),
        ),
        *recommended("optax"),
    ]
    return Library(f"{__version__} on {jax.__version__}", jax_framework(), functions)


def scipy_library() -> Library:
    """Return SciPy's logarithms, with the signs that make a loss of them."""
    import scipy
    from scipy.spatial.distance import jensenshannon
    from scipy.special import kl_div, log_expit, log_softmax, logsumexp, rel_entr, softmax
    from scipy.stats import entropy

    def pick(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, labels[:, np.newaxis], axis=-1)[:, 0]

    functions = [
        Function("-scipy.special.log_expit", "sigmoid", lambda z, x: -z * log_expit(x) - (1 - z) * log_expit(-x)),
        Function("-scipy.special.log_softmax", "index", lambda y, x: -pick(log_softmax(x, axis=-1), y)),
        Function("scipy.special.logsumexp - logit", "index", lambda y, x: logsumexp(x, axis=-1) - pick(x, y)),
        Function("-scipy.special.log_softmax, rows of labels", "one-hot", lambda z, x: -(z * log_softmax(x, -1)).sum(-1)),
        *of_elements("scipy.special.rel_entr", rel_entr, softmax),
        *of_elements("scipy.special.kl_div", kl_div, softmax),
        *divergence(
            "scipy.stats.entropy",
            lambda p, q: entropy(p, q, axis=-1),
            lambda x, y: entropy(softmax(x, -1), softmax(y, -1), axis=-1),
        ),
        Function("scipy.spatial.distance.jensenshannon", "jensen-shannon distance", partial(jensenshannon, axis=-1)),
        Function("scipy.stats.entropy of the softmax", "entropy of logits", lambda _, x: entropy(softmax(x, -1), axis=-1)),
        *recommended("scipy"),
    ]
    return Library(scipy.__version__, numpy_framework(), functions)


def sklearn_library() -> Library:
    """Return scikit-learn's metric, which has the mean only."""
    import sklearn
    from sklearn.metrics import log_loss

    def weighted(labels: np.ndarray, logits: np.ndarray) -> float:
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        return log_loss(labels, p, sample_weight=WEIGHTS, labels=[0, 1, 2])

    functions = [
        Function("sklearn.metrics.log_loss", "probability", mean=lambda z, p: log_loss(z, p, labels=[0, 1])),
        Function(
            "sklearn.metrics.log_loss, rows of probabilities",
            "index, probabilities",
            mean=lambda y, p: log_loss(y, p, labels=np.arange(p.shape[-1])),
        ),
        Function("sklearn.metrics.log_loss(sample_weight=…)", "weighted", mean=weighted),
        *recommended("scikit-learn"),
    ]
    return Library(sklearn.__version__, numpy_framework(), functions)


def helpers_library() -> Library:
    """Return the book's own losses."""
    from helpers import binary, categorical, information

    def helper(module: Any, name: str, form: str, **options: Any) -> Function:
        return Function(called(f"{module.__name__}.{name}", options), form, partial(getattr(module, name), **options))

    sigmoid = helper(binary, "sigmoid_cross_entropy_with_logits", "sigmoid")
    functions = [
        sigmoid._replace(slope=binary.sigmoid_cross_entropy_gradient),
        helper(binary, "weighted_cross_entropy_with_logits", "sigmoid", pos_weight=1),
        helper(binary, "binary_crossentropy", "probability"),
        helper(binary, "focal_cross_entropy_with_logits", "focal", gamma=2),
        helper(categorical, "sparse_softmax_cross_entropy_with_logits", "index"),
        helper(categorical, "softmax_cross_entropy_with_logits", "one-hot"),
        helper(categorical, "sparse_categorical_crossentropy", "index, probabilities"),
        helper(categorical, "categorical_crossentropy", "one-hot, probabilities"),
        helper(information, "kl_from_logits", "divergence of logits"),
        *divergence(
            "helpers.information.kl_divergence",
            information.kl_divergence,
            lambda x, y: information.kl_divergence(categorical.softmax(x), categorical.softmax(y)),
        )[::2],
        Function(
            "sqrt of helpers.information.jensen_shannon",
            "jensen-shannon distance",
            lambda p, q: np.sqrt(information.jensen_shannon(p, q)),
        ),
        Function(
            "helpers.information.entropy_from_logits", "entropy of logits", lambda _, x: information.entropy_from_logits(x)
        ),
    ]
    return Library(f"on NumPy {np.__version__}", numpy_framework(), functions)


FRAMEWORKS = {
    "tensorflow": tensorflow_framework,
    "jax": jax_framework,
    "torch": torch_framework,
    "numpy": numpy_framework,
}
LIBRARIES: dict[str, Callable[[], Library]] = {
    "tensorflow": tensorflow_library,
    **{f"keras/{backend}": partial(keras_library, backend) for backend in FRAMEWORKS},
    "tf_keras": tf_keras_library,
    "torch": torch_library,
    "jax": jax_library,
    "optax": optax_library,
    "scipy": scipy_library,
    "scikit-learn": sklearn_library,
    "helpers": helpers_library,
}
# In a hurry, those that import the same share a process.
TOGETHER = (
    ("tensorflow", "keras/tensorflow", "tf_keras"),
    ("jax", "optax", "keras/jax"),
    ("torch", "keras/torch"),
    ("keras/numpy", "scipy", "scikit-learn", "helpers"),
)
