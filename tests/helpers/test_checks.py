"""Bad input to any helper is refused by an error that names the argument, what was received and what is allowed."""

import re

import ml_dtypes
import numpy as np
import pytest

from helpers import binary, categorical, explorer, information, precision, streaming

NAN, INF = np.nan, np.inf
HALVES = [0.5, 0.5]

# Functions of two arrays of one shape, with the names of both arguments: element by element, then all of them.
ELEMENTWISE = {
    "naive": (binary.naive_cross_entropy, "labels", "logits"),
    "max_abs": (binary.max_abs_cross_entropy, "labels", "logits"),
    "sigmoid loss": (binary.sigmoid_cross_entropy_with_logits, "labels", "logits"),
    "gradient": (binary.sigmoid_cross_entropy_gradient, "labels", "logits"),
    "focal": (binary.focal_cross_entropy_with_logits, "labels", "logits"),
    "weighted": (lambda z, x: binary.weighted_cross_entropy_with_logits(z, x, 3), "labels", "logits"),
    "binary": (binary.binary_crossentropy, "labels", "probabilities"),
}
PAIRS = ELEMENTWISE | {
    "softmax loss": (categorical.softmax_cross_entropy_with_logits, "labels", "logits"),
    "softmax gradient": (categorical.softmax_cross_entropy_gradient, "labels", "logits"),
    "categorical": (categorical.categorical_crossentropy, "labels", "probabilities"),
    "cross_entropy": (information.cross_entropy, "p", "q"),
    "kl_divergence": (information.kl_divergence, "p", "q"),
    "jensen_shannon": (information.jensen_shannon, "p", "q"),
    "kl_from_logits": (information.kl_from_logits, "logits_p", "logits_q"),
    "exact sigmoid": (precision.exact_sigmoid_cross_entropy, "labels", "logits"),
    "exact sigmoid gradient": (precision.exact_sigmoid_cross_entropy_gradient, "labels", "logits"),
    "exact softmax": (precision.exact_softmax_cross_entropy, "labels", "logits"),
    "exact softmax gradient": (precision.exact_softmax_cross_entropy_gradient, "labels", "logits"),
    "error_in_eps": (lambda computed, exact: precision.error_in_eps(computed, exact, "float32"), "computed", "exact"),
}
# Functions of rows of classes, with the name of the argument.
ROWS = {
    "log_sum_exp": (categorical.log_sum_exp, "logits"),
    "softmax": (categorical.softmax, "logits"),
    "log_softmax": (categorical.log_softmax, "logits"),
    "entropy_from_logits": (information.entropy_from_logits, "logits"),
    "sparse softmax loss": (lambda x: categorical.sparse_softmax_cross_entropy_with_logits(0, x), "logits"),
    "sparse softmax gradient": (lambda x: categorical.sparse_softmax_cross_entropy_gradient(0, x), "logits"),
    "sparse categorical": (lambda p: categorical.sparse_categorical_crossentropy(0, p), "probabilities"),
}


def blocks_for(labels):
    return [(0, np.zeros((*np.shape(labels), 2))), (2, np.zeros((*np.shape(labels), 1)))]


# Functions of class indices below 3.
SPARSE = {
    "one_hot": lambda y: categorical.one_hot(y, 3),
    "sparse softmax loss": lambda y: categorical.sparse_softmax_cross_entropy_with_logits(y, np.zeros((*np.shape(y), 3))),
    "sparse softmax gradient": lambda y: categorical.sparse_softmax_cross_entropy_gradient(y, np.zeros((*np.shape(y), 3))),
    "streamed loss": lambda y: streaming.streaming_softmax_cross_entropy(y, blocks_for(y), 3),
    "streamed gradient": lambda y: streaming.streaming_softmax_cross_entropy_gradient(y, lambda: blocks_for(y), 3),
    "sparse categorical": lambda y: categorical.sparse_categorical_crossentropy(y, np.full((*np.shape(y), 3), 1 / 3)),
}
SPARSE_SCALARS = SPARSE | {
    "exact softmax": lambda y: precision.exact_softmax_cross_entropy(y, [0, 0, 0]),
    "exact softmax gradient": lambda y: precision.exact_softmax_cross_entropy_gradient(y, [0, 0, 0]),
}
EPSILONS = {
    "binary": lambda epsilon, p=HALVES: binary.binary_crossentropy([1, 0], p, epsilon=epsilon),
    "categorical": lambda epsilon, p=HALVES: categorical.categorical_crossentropy([1, 0], p, epsilon=epsilon),
    "sparse categorical": lambda epsilon, p=HALVES: categorical.sparse_categorical_crossentropy(1, p, epsilon=epsilon),
}
# Every argument that is an array of numbers, and every argument that is one number.
ARRAYS = {f"{key}, {first}": (lambda array, f=f: f(array, HALVES), first) for key, (f, first, _) in PAIRS.items()}
ARRAYS |= {f"{key}, {second}": (lambda array, f=f: f(HALVES, array), second) for key, (f, _, second) in PAIRS.items()}
ARRAYS |= ROWS
ARRAYS |= {
    "sigmoid": (binary.sigmoid, "logits"),
    "pos_weight": (lambda q: binary.weighted_cross_entropy_with_logits(1, 1, q), "pos_weight"),
    "entropy": (information.entropy, "p"),
    "k3": (information.k3, "log_ratio"),
}
NUMBERS = {f"{key}, epsilon": (function, "epsilon") for key, function in EPSILONS.items()}
NUMBERS |= {
    "gamma": (lambda gamma: binary.focal_cross_entropy_with_logits(1, 1, gamma), "gamma"),
    "logit": (lambda logit: explorer.show(logit=logit), "logit"),
    "label": (lambda label: explorer.show(label=label), "label"),
    "p": (lambda p: explorer.show_divergence(p=p), "p"),
    "q": (lambda q: explorer.show_divergence(q=q), "q"),
}
DTYPES = {
    "overflow": precision.overflow_threshold,
    "underflow": precision.underflow_threshold,
    "saturation": precision.saturation_threshold,
    "error_in_eps": lambda dtype: precision.error_in_eps(1.0, 1.0, dtype),
    "explorer": lambda dtype: explorer.show(dtype=dtype),
}


def each(names, table):
    return pytest.mark.parametrize(names, list(table.values()), ids=list(table))


def refused(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


# --- arrays -------------------------------------------------------------------------------------------------------------

NO_NUMBERS = ["cat", ["0.5", 0.5], 1j, None, [[0.5], [0.5, 0.5]], np.array([], "U1"), np.zeros(2, ml_dtypes.float8_e4m3fn)]


@each(("function", "name"), ARRAYS)
@pytest.mark.parametrize("array", NO_NUMBERS, ids=repr)
def test_what_is_no_array_of_numbers_is_refused(function, name, array):
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must (hold .*, got|be a rectangular array of numbers)"):
        function(array)


@each(("function", "first", "second"), {key: value for key, value in PAIRS.items() if "exact softmax" not in key})
def test_arrays_of_different_shapes_are_refused(function, first, second):
    with refused(ValueError, f"{first} and {second} must have the same shape, got (4,) and (4, 1)"):
        function(np.full(4, 1 / 4), np.ones((4, 1)))


@each(("function", "first", "second"), ELEMENTWISE)
def test_one_label_for_an_array_is_refused(function, first, second):
    with refused(ValueError, f"{first} and {second} must have the same shape, got () and (1,)"):
        function(0.0, [1.0])


@each(
    ("function", "name"), {key: value[:2] for key, value in PAIRS.items() if key not in ("error_in_eps", "kl_from_logits")}
)
@pytest.mark.parametrize(
    ("values", "got"), [([0, 1.5], "1.5 at index (1,)"), ([-2, 1], "-2.0 at index (0,)"), ([NAN, INF], "inf at index (1,)")]
)
def test_labels_outside_the_unit_interval_are_refused(function, name, values, got):
    with refused(ValueError, f"{name} must lie in [0, 1], got {got}"):
        function(values, HALVES)


@pytest.mark.parametrize(
    ("labels", "got"), [(1 + 2**-52, "1.0000000000000002"), ([[0, 1], [-2, 1]], "-2.0 at index (1, 0)")]
)
def test_a_label_outside_is_named_with_all_its_digits_and_its_place(labels, got):
    with refused(ValueError, f"labels must lie in [0, 1], got {got}"):
        binary.naive_cross_entropy(labels, np.ones(np.shape(labels)))


HINT = "; pass logits to the function whose name ends in with_logits"


@pytest.mark.parametrize(
    ("function", "name", "hint"),
    [
        (lambda p: binary.binary_crossentropy([1, 0], p, check_labels=False), "probabilities", ""),
        (lambda p: categorical.categorical_crossentropy([1, 0], p), "probabilities", HINT),
        (lambda p: categorical.sparse_categorical_crossentropy(1, p), "probabilities", HINT),
        (lambda q: information.cross_entropy(HALVES, q), "q", ""),
        (lambda q: information.kl_divergence(HALVES, q), "q", ""),
        (lambda q: information.jensen_shannon(HALVES, q), "q", ""),
        (information.entropy, "p", ""),
    ],
    ids=["binary", "categorical", "sparse categorical", "cross_entropy", "kl_divergence", "jensen_shannon", "entropy"],
)
@pytest.mark.parametrize(("values", "got"), [([0.5, 3.0], "3.0 at index (1,)"), ([-1.0, 1.0], "-1.0 at index (0,)")])
def test_probabilities_outside_the_unit_interval_are_refused(function, name, hint, values, got):
    with refused(ValueError, f"{name} must lie in [0, 1], got {got}{hint}"):
        function(values)


@each(
    ("function", "name"),
    ROWS
    | {
        "softmax loss": (lambda x: categorical.softmax_cross_entropy_with_logits(x, x), "logits"),
        "softmax gradient": (lambda x: categorical.softmax_cross_entropy_gradient(x, x), "logits"),
        "categorical": (lambda p: categorical.categorical_crossentropy(p, p), "probabilities"),
        "kl_from_logits": (lambda x: information.kl_from_logits(x, x), "logits_p"),
    },
)
@pytest.mark.parametrize("row", [1.0, [], np.zeros((1, 0))], ids=repr)
def test_rows_without_a_class_are_refused(function, name, row):
    with refused(ValueError, f"{name} must have at least one class on its last axis, got the shape {np.shape(row)}"):
        function(row)


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        (0, 1.0, "logits must be one row of at least one class, got the shape ()"),
        (0, [], "logits must be one row of at least one class, got the shape (0,)"),
        (0, [[1.0, 2.0]], "logits must be one row of at least one class, got the shape (1, 2)"),
        ([1, 0], [1, 2, 3], "labels and logits must have the same shape, got (2,) and (3,)"),
        ([1, 0, 0, 0], [1, 2, 3], "labels and logits must have the same shape, got (4,) and (3,)"),
    ],
)
def test_the_exact_softmax_loss_takes_one_row_and_all_its_weights(labels, logits, message):
    with refused(ValueError, message):
        precision.exact_softmax_cross_entropy(labels, logits)


@pytest.mark.parametrize("exact", ["1", None, precision.EXACT.mpc(1, 2)], ids=repr)
def test_exact_numbers_that_are_not_real_are_refused(exact):
    with refused(TypeError, f"exact must hold mpf or other real numbers, got {exact!r}"):
        precision.error_in_eps(1.0, [precision.EXACT.mpf(1), exact], "float32")


@pytest.mark.parametrize(
    ("dtype", "weight", "message"),
    [
        ("float64", -1, "pos_weight must be non-negative, and finite in float64, got -1.0"),
        ("float64", [[1, 1], [NAN, 1]], "pos_weight must be non-negative, and finite in float64, got nan at index (1, 0)"),
        ("float32", 1e300, "pos_weight must be non-negative, and finite in float32, got 1e+300"),
        ("float64", [1, 2], "pos_weight and logits must have the same shape, got (2,) and (2, 2)"),
    ],
)
def test_negative_infinite_or_misshapen_weights_are_refused(dtype, weight, message):
    with refused(ValueError, message):
        binary.weighted_cross_entropy_with_logits(np.zeros((2, 2), dtype), np.zeros((2, 2), dtype), weight)


# --- class indices ------------------------------------------------------------------------------------------------------


@each("function", SPARSE_SCALARS)
@pytest.mark.parametrize("label", [3, -1, np.int8(-128), np.uint64(2**64 - 1)])
def test_classes_out_of_range_are_refused(function, label):
    with refused(ValueError, f"labels must lie in [0, 3), got {label}"):
        function(label)


@each("function", SPARSE)
def test_a_class_out_of_range_is_named_with_its_place(function):
    with refused(ValueError, "labels must lie in [0, 3), got 11 at index (0, 1)"):
        function([[0, 11]])


@each("function", SPARSE_SCALARS)
@pytest.mark.parametrize(("label", "kind"), [(1.0, "float64"), (True, "bool"), (None, "object"), ("1", "<U1")])
def test_classes_that_are_not_integers_are_refused(function, label, kind):
    with refused(TypeError, f"labels must hold integers, got {kind}"):
        function(label)


def test_an_empty_array_of_strings_holds_no_classes():
    with refused(TypeError, "labels must hold integers, got <U1"):
        categorical.one_hot(np.array([], "U1"), 3)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (categorical.sparse_softmax_cross_entropy_with_logits, "logits"),
        (categorical.sparse_categorical_crossentropy, "probabilities"),
    ],
)
def test_labels_that_are_not_one_for_each_row_are_refused(function, name):
    message = f"labels must have the shape of {name} without its last axis, (1,), got (1, 1): one class index for each row"
    with refused(ValueError, message):
        function([[0]], np.full((1, 3), 1 / 3))
    with pytest.raises(ValueError, match=r"^labels must be a rectangular array of numbers: "):
        function([[0], [1, 2]], np.full((2, 3), 1 / 3))


@pytest.mark.parametrize("ignored", [True, 1.0, "1", [1], np.array(1), NAN], ids=repr)
def test_an_ignored_label_that_is_not_an_integer_is_refused(ignored):
    with refused(TypeError, f"ignore_label must be an integer or None, got {ignored!r}"):
        categorical.sparse_softmax_cross_entropy_with_logits([0, 1], np.zeros((2, 2)), ignore_label=ignored)


@pytest.mark.parametrize(
    ("labels", "ignored"),
    [([-100, -1], -100), (np.array([1, 2**64 - 1], np.uint64), 2**64 - 1)],  # the last would become the class -1
    ids=["negative", "uint64"],
)
def test_labels_beside_an_ignored_one_are_checked(labels, ignored):
    with refused(ValueError, f"labels must lie in [0, 3), got {labels[1]} at index (1,)"):
        categorical.sparse_softmax_cross_entropy_with_logits(labels, np.zeros((2, 3)), ignore_label=ignored)


@pytest.mark.parametrize("depth", [0, -1, 2.0, True, np.True_, None, "3", [3]], ids=repr)
def test_a_depth_that_is_not_a_positive_integer_is_refused(depth):
    with refused(ValueError, f"depth must be a positive integer, got {depth!r}"):
        categorical.one_hot([0], depth)


# --- single numbers and types -------------------------------------------------------------------------------------------


@each(("function", "name"), NUMBERS)
@pytest.mark.parametrize("number", [True, np.True_, None, "0", 0j, [0], np.array(0), np.zeros(2)], ids=repr)
def test_what_is_not_one_number_is_refused(function, name, number):
    with refused(TypeError, f"{name} must be a number, got {number!r}"):
        function(number)


@each("function", EPSILONS)
@pytest.mark.parametrize("epsilon", [-1e-7, 0.5, 2, NAN])
def test_an_epsilon_outside_its_interval_is_refused(function, epsilon):
    with refused(ValueError, f"epsilon must lie in [0, 0.5), got {epsilon}"):
        function(epsilon)


@each("function", EPSILONS)
def test_a_numpy_epsilon_does_not_widen_the_type(function):
    assert function(np.float64(1e-3), np.float16(HALVES)).dtype == np.float16


@pytest.mark.parametrize(("dtype", "gamma", "got"), [("float64", -1, -1.0), ("float64", NAN, NAN), ("float32", 1e39, 1e39)])
def test_a_gamma_that_is_negative_or_not_finite_is_refused(dtype, gamma, got):
    with refused(ValueError, f"gamma must be non-negative, and finite in {dtype}, got {got}"):
        binary.focal_cross_entropy_with_logits(np.ones((), dtype), np.ones((), dtype), gamma)


@each("function", DTYPES)
@pytest.mark.parametrize("dtype", ["int32", "float8", np.complex64, None, 7, True, ["float32"], np.float32(1)], ids=repr)
def test_a_dtype_that_the_book_does_not_use_is_refused(function, dtype):
    with pytest.raises(ValueError, match=r"^dtype must be one of float16, (bfloat16, )?float32, float64, got "):
        function(dtype)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (explorer.show, {"logit": NAN}, "logit must lie in [-inf, inf], got nan"),
        (explorer.show, {"label": 1.5}, "label must lie in [0, 1], got 1.5"),
        (explorer.show_divergence, {"p": 0.5, "q": -0.1}, "q must lie in [0, 1], got -0.1"),
        (explorer.show_sums, {"lead": 81}, "lead must lie in [0, 80], got 81"),
        (explorer.show_sums, {"place": 50_257}, "place must lie in [0, 50256], got 50257"),
        (explorer.show_bits, {"x": -1.0}, "x must lie in [0, 700], got -1.0"),
        (explorer.show_clip, {"epsilon": 1}, "epsilon must lie in [0, 0.5], got 1"),
        (explorer.show_kink, {"sabs": 2}, "sabs must lie in [-1, 1], got 2"),
        (explorer.show_merge, {"row": "1, 2", "cut": 2}, "cut must lie in [1, 1], got 2"),
        (explorer.show_row, {"label": -1}, "label must lie in [0, inf], got -1"),
    ],
)
def test_an_explorer_outside_its_ranges_is_refused(function, arguments, message):
    with refused(ValueError, message):
        function(**arguments)
