"""Blocks and rounding: float64 inside, one rounding, the same bits for any block, processor and layout, little memory."""

import hashlib
import os
import subprocess
import sys
import tracemalloc
from functools import partial

import numpy as np
import pytest

from helpers import _rows, binary, categorical, information, streaming

INF, NAN = np.inf, np.nan
NARROW = [np.float16, np.float32]
CLASSES = [1, 2, 3, 10, 63, 64, 1000]  # on both sides of SHORT


def by_place(function, labels, logits, **options):
    """Call a function of class indices, made of the labels, with rows of logits."""
    return function((labels[..., 0] * (logits.shape[-1] - 1)).astype(int), logits, **options)


def streamed(labels, logits, width=7):
    """Return the streamed gradient in one piece."""
    y = (labels[..., 0] * (logits.shape[-1] - 1)).astype(int)
    blocks = [(start, logits[..., start : start + width]) for start in range(0, logits.shape[-1], width)]
    pieces = streaming.streaming_softmax_cross_entropy_gradient(y, lambda: blocks, logits.shape[-1])
    return np.concatenate([gradient for _, gradient in pieces], axis=-1)


# Functions of labels and logits of one shape
ELEMENTWISE = {
    "sigmoid": lambda z, x: binary.sigmoid(x),
    "sigmoid loss": binary.sigmoid_cross_entropy_with_logits,
    "sigmoid gradient": binary.sigmoid_cross_entropy_gradient,
    "weight 0.1": lambda z, x: binary.weighted_cross_entropy_with_logits(z, x, 0.1),
    "gamma 0.7": lambda z, x: binary.focal_cross_entropy_with_logits(z, x, 0.7),
    "gamma 2": binary.focal_cross_entropy_with_logits,
    "k3": lambda z, x: information.k3(x),
}
ROWS = {
    "log_sum_exp": lambda w, x: categorical.log_sum_exp(x),
    "softmax": lambda w, x: categorical.softmax(x),
    "log_softmax": lambda w, x: categorical.log_softmax(x),
    "index loss": partial(by_place, categorical.sparse_softmax_cross_entropy_with_logits),
    "index gradient": partial(by_place, categorical.sparse_softmax_cross_entropy_gradient),
    "ignored": partial(by_place, categorical.sparse_softmax_cross_entropy_gradient, ignore_label=0),
    "soft loss": categorical.softmax_cross_entropy_with_logits,
    "soft gradient": categorical.softmax_cross_entropy_gradient,
    "entropy_from_logits": lambda w, x: information.entropy_from_logits(x),
    "kl_from_logits": lambda w, x: information.kl_from_logits(x, x[..., ::-1]),
    "streamed gradient": streamed,
}
functions = pytest.mark.parametrize("name", [*ELEMENTWISE, *ROWS])
FUNCTION = ELEMENTWISE | ROWS


def arguments(name, dtype, seed=0, rows=60):
    """Yield labels and logits of every kind: hard and soft, near and far, tied, masked, subnormal, infinite and NaN."""
    rng, info = np.random.default_rng(seed), np.finfo(dtype)
    special = np.array([0, -0.0, info.smallest_subnormal, info.smallest_normal, info.max, -info.max, INF, -INF, NAN], dtype)
    for width in [100] if name in ELEMENTWISE else CLASSES:
        scale = 10 ** rng.uniform(-2, 2, (rows, 1))
        x = (rng.normal(0, 1, (rows, width)) * scale).astype(dtype)
        x[3] = np.round(x[3])
        x[4, : width // 2], x[5, : width // 2], x[6, : width // 2] = -INF, -1e4, -87
        x[7:40] = np.where(rng.random((33, width)) < 0.1, rng.choice(special, (33, width)), x[7:40])
        w = np.clip(rng.choice([0, 1, 0.1, 1e-7, 1 - 1e-7], x.shape) * rng.choice([1, rng.random()], x.shape), 0, 1)
        w = w.astype(dtype)
        w[rng.random(x.shape) < 0.01] = info.smallest_subnormal
        yield w, x


@functions
@pytest.mark.parametrize("dtype", NARROW)
def test_narrow_results_are_those_of_float64_rounded_once(name, dtype):
    for labels, logits in arguments(name, dtype):
        wide = FUNCTION[name](labels.astype(float), logits.astype(float))
        with np.errstate(over="ignore"):
            rounded = wide.astype(dtype)
        np.testing.assert_array_equal(FUNCTION[name](labels, logits), rounded, strict=True)


@functions
@pytest.mark.parametrize("dtype", [*NARROW, np.float64])
@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_the_size_of_the_blocks_changes_no_bit(monkeypatch, name, dtype, block):
    pairs = list(arguments(name, dtype))
    before = [FUNCTION[name](*pair) for pair in pairs]
    monkeypatch.setattr(_rows, "BLOCK", block)
    for pair, result in zip(pairs, before, strict=True):
        np.testing.assert_array_equal(FUNCTION[name](*pair), result)


@functions
def test_a_row_alone_or_in_another_layout_has_the_same_bits(name):
    for labels, logits in arguments(name, np.float64, rows=45):
        result = FUNCTION[name](labels, logits)
        np.testing.assert_array_equal(FUNCTION[name](np.asfortranarray(labels), np.asfortranarray(logits)), result)
        np.testing.assert_array_equal(FUNCTION[name](labels[::-2], logits[::-2]), result[::-2])
        np.testing.assert_array_equal(FUNCTION[name](labels[9], logits[9]), result[9])
        stacked = FUNCTION[name](labels.reshape(5, 9, -1), logits.reshape(5, 9, -1))
        np.testing.assert_array_equal(stacked.reshape(result.shape), result)


def digest():
    """Return a digest of all results in float32 and float16."""
    found = hashlib.sha256()
    for name, function in FUNCTION.items():
        for dtype in NARROW:
            for pair in arguments(name, dtype):
                result = function(*pair)
                found.update(np.where(np.isnan(result), np.array(0, dtype), result).tobytes())  # a NaN may have any sign
    return found.hexdigest()


def test_the_digits_do_not_depend_on_the_vector_instructions():
    features = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(features)}
    run = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, encoding="utf8", check=True)
    assert run.stdout.split() == [digest()]


def test_short_rows_take_no_more_additions_than_numpy():
    def depth(terms):
        counts = np.zeros(terms, int)  # additions that went into each partial sum
        while counts.size > 1:
            half, odd = divmod(counts.size, 2)
            counts, last = np.maximum(counts[:half], counts[half : 2 * half]) + 1, counts[-1]
            if odd:
                counts[-1] = max(counts[-1], last) + 1
        return counts[0]

    assert [depth(n) for n in (1, 2, 3, 10)] == [0, 1, 2, 4]
    assert all(depth(n) <= n - 1 if n < 8 else depth(n) <= n // 8 + 2 + n % 8 for n in range(1, _rows.SHORT))


@pytest.mark.parametrize("classes", [1, 2, 9, 63])
def test_short_rows_are_added_exactly_where_no_rounding_is_needed(classes):
    terms = np.random.default_rng(0).integers(0, 1000, (20, classes)).astype(float)
    np.testing.assert_array_equal(_rows.row_sums(terms), terms.sum(axis=-1))
    np.testing.assert_array_equal(_rows.row_sums(np.asfortranarray(terms)), terms.sum(axis=-1))


@pytest.mark.parametrize("name", [name for name in FUNCTION if name != "streamed gradient"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_is_the_result_and_a_few_blocks(name, dtype):
    x = np.random.default_rng(0).random((2000, 1000)).astype(dtype)
    result = FUNCTION[name](x, x)
    tracemalloc.start()
    FUNCTION[name](x, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    arrays = 15 if name == "kl_from_logits" else 12  # of a block: this one has two rows, and what subtractions have lost
    assert peak <= result.nbytes + arrays * 8 * _rows.BLOCK  # 1.6 megabytes beside an argument of 8 or 16


if __name__ == "__main__":
    print(digest())
