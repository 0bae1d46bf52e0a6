"""TensorFlow's sigmoid losses: where they agree with the book's, and where they lose digits, as the chapters tell it.

Failures of the library are asserted as failures: a version that corrects one makes its test fail, and then the
chapter must change.
"""

import os
import platform
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from helpers.binary import (
    max_abs_cross_entropy,
    sigmoid_cross_entropy_gradient,
    sigmoid_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
from helpers.precision import EXACT, error_in_eps, exact_sigmoid_cross_entropy

DTYPES = ["float32", "float64"]
INF, NAN = np.inf, np.nan
CHANGED = f"TensorFlow {tf.__version__} no longer does what the book shows: the chapters on it need a new word"


def tf_loss(z, x):
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x).numpy()


# --- where they agree ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "limit"), [("float16", 9), ("float32", 85), ("float64", 700)])
def test_hard_labels_match_tensorflow(dtype, limit):
    z, x = np.meshgrid(np.array([0, 1], dtype), np.linspace(-limit, limit, 301, dtype=dtype))
    # 4 eps for either side: nothing cancels for hard labels. float16 is rounded by TensorFlow after each operation, so its
    # exponential alone carries half an eps into log1p.
    rtol = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(sigmoid_cross_entropy_with_logits(z, x), tf_loss(z, x), rtol=rtol, strict=True)


@pytest.mark.parametrize("loss", [max_abs_cross_entropy, sigmoid_cross_entropy_with_logits])
@pytest.mark.parametrize("dtype", ["float16", *DTYPES])
def test_soft_labels_match_tensorflow_up_to_its_cancellation(loss, dtype):
    z, x = np.meshgrid(np.linspace(0, 1, 21, dtype=dtype), np.linspace(-1000, 1000, 301, dtype=dtype))
    # either side is rounded, a few times each, in numbers no larger than |x| + 1
    allowed = 8 * float(np.finfo(dtype).eps) * (np.abs(x.astype(float)) + 1)
    assert np.all(np.abs(loss(z, x).astype(float) - tf_loss(z, x)) <= allowed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_hard_labels_match_tensorflow(dtype):
    smallest = float(np.finfo(dtype).smallest_normal)
    size = np.concatenate([[0], np.geomspace(1e-12, 1, 200), np.linspace(0, -np.log(smallest), 1000)[:-1]])
    z, x = (array.ravel() for array in np.meshgrid(np.array([0, 1], dtype), np.concatenate([-size, size]).astype(dtype)))
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=tensor)
    theirs = tape.gradient(loss, tensor).numpy()  # of normal numbers alone: TensorFlow makes subnormals 0
    # 4 eps for each side
    np.testing.assert_allclose(sigmoid_cross_entropy_gradient(z, x), theirs, rtol=8 * np.finfo(dtype).eps, atol=0)


# --- where TensorFlow's digits are lost ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensorflow_gives_nan_for_infinite_logits(dtype):
    z, x = np.array([0, 0, 1, 1, 0.5, 0.5], dtype), np.array([INF, -INF] * 3, dtype)
    np.testing.assert_array_equal(tf_loss(z, x), [NAN, NAN, NAN, INF, NAN, INF], err_msg=CHANGED)
    np.testing.assert_array_equal(sigmoid_cross_entropy_with_logits(z, x), [INF, 0, 0, INF, INF, INF])


def test_tensorflow_is_2_percent_off_for_a_soft_label():
    z, x = np.float32(0.999999), np.float32(1000)
    exact = exact_sigmoid_cross_entropy(z, x)
    assert float(exact) == pytest.approx(0.00101328, rel=5e-6)  # to the six digits shown
    assert tf_loss(z, x) == pytest.approx(0.0010376, rel=5e-6), CHANGED  # likewise
    assert error_in_eps(sigmoid_cross_entropy_with_logits(z, x), exact, "float32") <= 4


def test_compiled_tensorflow_keeps_the_digits_by_a_fused_multiply_add():
    rng = np.random.default_rng(0)
    x = (10 ** rng.uniform(2.1, 6, 1000)).astype(np.float32)  # e^-x is 0 in float32
    z = (1 - 10 ** rng.uniform(-7, -0.3, 1000)).astype(np.float32)
    # float64 holds the product of two float32 exactly: x - x z is rounded once, as a fused multiply-add does
    rounded_once = (x.astype(np.float64) - x.astype(np.float64) * z).astype(np.float32)
    compiled = tf.function(tf.nn.sigmoid_cross_entropy_with_logits, jit_compile=True)
    np.testing.assert_array_equal(compiled(labels=z, logits=x).numpy(), rounded_once)
    np.testing.assert_array_equal(tf_loss(z, x), x - x * z, err_msg=CHANGED)


def test_tensorflows_weighted_loss_of_weight_one_is_not_its_loss():
    x = np.array([-10, -17, -20], np.float32)
    z = np.zeros_like(x)
    exact = exact_sigmoid_cross_entropy(z, x)
    np.testing.assert_allclose(exact.astype(float), [4.53989e-5, 4.14e-8, 2.06e-9], rtol=2e-3)  # to the digits shown
    theirs = tf.nn.weighted_cross_entropy_with_logits(labels=z, logits=x, pos_weight=1.0).numpy()
    np.testing.assert_allclose(theirs, [4.5776e-5, 0, 0], rtol=1e-5, atol=0, err_msg=CHANGED)
    assert error_in_eps(weighted_cross_entropy_with_logits(z, x, 1.0), exact, "float32").max() <= 4


def test_sigmoid_minus_label_cancels_where_the_gradient_does_not():
    z, x = np.float32(1), np.float32(40)
    assert tf.sigmoid(x).numpy() - z == 0, CHANGED
    assert sigmoid_cross_entropy_gradient(z, x) == pytest.approx(-4.248e-18, rel=1e-4)
    assert -1 / (1 + EXACT.exp(40)) == pytest.approx(-4.248e-18, rel=1e-4)


# --- the table of lost digits: the worst error in eps over 4,000 random points with x in [-100, 100] ----------------------


def log_of_one_plus(z, x):
    return np.maximum(x, 0) - x * z + np.log(1 + np.exp(-np.abs(x)))


def log_add_exp(z, x):
    return np.logaddexp(x.dtype.type(0), x) - x * z


@cache
def sample(dtype, kind):
    rng = np.random.default_rng(0)
    x = rng.uniform(-100, 100, 4000).astype(dtype)
    hard = rng.integers(0, 2, 4000)
    z = np.abs(hard - (10 ** rng.uniform(-7, -1, 4000) if kind == "soft" else 0)).astype(dtype)
    exact = exact_sigmoid_cross_entropy(z, x)
    normal = exact >= float(np.finfo(dtype).smallest_normal)
    return z[normal], x[normal], exact[normal]


LOST = {"float32": 2.0**23, "float64": 2.0**52}  # 1 / eps: no digit is right


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("form", "hard", "soft"),
    [
        # Between these bounds. 1 + e^-|x| absorbs the exponential, whatever the type
        (log_of_one_plus, (LOST, LOST), (1e6, 1e7)),
        (log_add_exp, (LOST, LOST), (1e6, 1e7)),
        # x z is rounded to the eps of x, which may be 1e7 times the loss
        (tf_loss, (0, 4), (1e6, 1e7)),
        (max_abs_cross_entropy, (0, 4), (1e6, 1e7)),
        (sigmoid_cross_entropy_with_logits, (0, 4), (0, 4)),
    ],
)
def test_table_of_lost_digits(form, hard, soft, dtype):
    for kind, (low, high) in {"hard": hard, "soft": soft}.items():
        z, x, exact = sample(dtype, kind)
        worst = error_in_eps(form(z, x), exact, dtype).max()
        low, high = (bound[dtype] if bound is LOST else bound for bound in (low, high))
        assert low <= worst <= high


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the flag names instructions of x86 processors")
def test_without_a_fused_multiply_add_the_compiled_loss_cancels_as_well():
    code = (
        "import numpy as np, tensorflow as tf\n"
        "loss = tf.function(tf.nn.sigmoid_cross_entropy_with_logits, jit_compile=True)\n"
        "print(loss(labels=np.float32([0.999999]), logits=np.float32([1000])).numpy()[0])"
    )
    environment = os.environ | {"XLA_FLAGS": "--xla_cpu_max_isa=AVX"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf8", check=True)
    assert float(run.stdout) == pytest.approx(0.0010376, rel=5e-5), CHANGED  # the exact loss is 0.00101328
