"""Gradients from blocks of classes: equal to the dense ones, within their bound, in the memory of two blocks."""

import itertools
import tracemalloc
import weakref

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.categorical import sparse_softmax_cross_entropy_gradient as dense
from helpers.categorical import sparse_softmax_cross_entropy_with_logits as dense_loss
from helpers.precision import EXACT, error_in_eps
from helpers.streaming import largest_and_rest, streaming_softmax_cross_entropy, streaming_softmax_cross_entropy_gradient

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def cut(logits, *cuts):
    """Return the logits as blocks that end at the cuts."""
    return [(start, logits[..., start:stop]) for start, stop in itertools.pairwise([0, *cuts, logits.shape[-1]])]


def blocks_of(width, logits):
    return cut(logits, *range(width, logits.shape[-1], width))


def streamed(labels, blocks, classes=None, **options):
    """Return the gradient in one piece, from a list of blocks."""
    classes = classes or sum(np.shape(logits)[-1] for _, logits in blocks)
    pieces = list(streaming_softmax_cross_entropy_gradient(labels, lambda: iter(blocks), classes, **options))
    assert [start for start, _ in pieces] == [start for start, _ in blocks]
    assert [piece.shape for _, piece in pieces] == [np.shape(logits) for _, logits in blocks]
    return np.concatenate([piece for _, piece in pieces], axis=-1)


def rows_and_labels(dtype, classes, rows=12, scale=10, seed=0):
    """Draw rows of logits; half of their labels are the likeliest class, whose slope is what p - 1 would lose."""
    rng = np.random.default_rng(seed)
    logits = (scale * rng.standard_normal((rows, classes))).astype(dtype)
    labels = rng.integers(0, classes, rows)
    labels[::2] = logits[::2].argmax(axis=-1)
    return logits, labels


def spread(logits):
    return np.ptp(np.asarray(logits, float), axis=-1)


# --- digits ---


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("order", ["as they come", "rising", "falling"])
def test_each_entry_is_within_the_bound_for_any_width_of_the_blocks(ulps, dtype, order):
    logits, labels = rows_and_labels(dtype, 200)
    if order != "as they come":  # every block finds a new largest logit, or none does
        ranks = np.argsort(logits if order == "rising" else -logits, axis=-1)
        logits = np.take_along_axis(logits, ranks, axis=-1)
        labels = np.argsort(ranks, axis=-1)[np.arange(len(labels)), labels]
    in_blocks = {width: blocks_of(width, logits) for width in (1, 7, 64, 200)}
    gradients = {width: streamed(labels, blocks) for width, blocks in in_blocks.items()}
    for n, (y, row) in enumerate(zip(labels, logits, strict=True)):
        x = [EXACT.mpf(float(logit)) for logit in row]
        exact = [EXACT.exp(logit - max(x)) for logit in x]
        total = EXACT.fsum(exact)
        exact[y] = -EXACT.fsum(exact[:y] + exact[y + 1 :])
        exact = np.array([number / total for number in exact])
        normal = np.abs(exact) >= float(np.finfo(dtype).smallest_normal)
        for width, blocks in in_blocks.items():
            if dtype == np.float32:
                assert ulps(gradients[width][n], exact).max() <= 0.5 + 1e-6
                continue
            error = error_in_eps(gradients[width][n], exact, dtype)[normal]
            assert np.all(error <= 4 + spread(row) + 4 * len(blocks))
            assert error.max() <= 30  # what it comes to: roundings have both signs (largest seen: 21)


@dtypes
@given(data=st.data())
def test_blocks_agree_with_the_dense_gradient_for_any_cuts(dtype, data):
    classes = data.draw(st.integers(1, 20))
    row = st.lists(st.just(-INF) | st.floats(-60, 60, width=16), min_size=classes, max_size=classes)
    logits = np.array(data.draw(st.lists(row, min_size=1, max_size=3)), dtype)
    labels = np.array(data.draw(st.lists(st.integers(-1, classes - 1), min_size=len(logits), max_size=len(logits))))
    cuts = sorted(data.draw(st.sets(st.integers(1, classes - 1)))) if classes > 1 else []
    in_blocks = streamed(labels, cut(logits, *cuts), ignore_label=-1)
    in_one_piece = dense(labels, logits, ignore_label=-1)
    assert in_blocks.dtype == in_one_piece.dtype == dtype
    # each of the two is that far from the exact gradient, at most; float16 is computed in float32, and both are rounded once
    info = np.finfo(dtype)
    widest = np.ptp(logits[np.isfinite(logits)].astype(float)) if np.isfinite(logits).any() else 0
    of_both = (2 * (4 + widest) + 4 * (len(cuts) + 1)) * np.finfo(np.result_type(dtype, np.float32)).eps + info.eps
    np.testing.assert_allclose(in_blocks.astype(float), in_one_piece.astype(float), rtol=of_both, atol=info.tiny)


@dtypes
def test_a_single_block_gives_the_very_gradient_in_one_piece(dtype):
    logits, labels = rows_and_labels(dtype, 1000)
    np.testing.assert_array_equal(streamed(labels, [(0, logits)]), dense(labels, logits), strict=True)


@pytest.mark.parametrize("place", [0, 1, 5])
def test_the_slope_at_the_label_keeps_its_digits_in_any_block(place):
    x = np.zeros(6, np.float32)
    x[place] = 20
    exact = -5 * EXACT.exp(-20) / (1 + 5 * EXACT.exp(-20))
    assert error_in_eps(streamed(place, blocks_of(2, x))[place], exact, "float32") < 4


# --- limits ---


def test_infinite_logits_and_nan_give_the_dense_gradient_for_all_cuts():
    values = [-INF, -1.0, 2.0, INF, NAN]
    for classes in (1, 2, 4):
        logits = np.array(list(itertools.product(values, repeat=classes)))
        logits, labels = np.repeat(logits, classes, axis=0), np.tile(np.arange(classes), len(logits))
        for length in range(classes):
            for cuts in itertools.combinations(range(1, classes), length):
                in_blocks = streamed(labels, cut(logits, *cuts))
                np.testing.assert_allclose(in_blocks, dense(labels, logits), rtol=1e-14)


@pytest.mark.parametrize("logit", [-INF, -1.0, INF, NAN])
def test_the_loss_of_a_single_class_is_the_dense_one(logit):
    row = np.array([logit])
    np.testing.assert_array_equal(streaming_softmax_cross_entropy(0, [(0, row)], 1), dense_loss(0, row))


@dtypes
def test_classes_that_cannot_occur_have_the_slope_zero_and_change_no_other(dtype):
    logits, labels = rows_and_labels(dtype, 50)
    masked = np.full((len(logits), 30), -INF, dtype)
    gradient = streamed(labels + 30, [(0, masked), (30, logits), (80, masked)])
    np.testing.assert_array_equal(gradient[:, 30:80], dense(labels, logits))
    np.testing.assert_array_equal(gradient[:, :30], 0)
    np.testing.assert_array_equal(gradient[:, 80:], 0)


@pytest.mark.parametrize("ignored", [-1, 2, 99])
def test_ignored_rows_are_zero_whatever_the_logits_are(ignored):
    logits = np.array([[1.0, 2, 3, 4], [INF, INF, NAN, 0], [1, 2, 3, 4], [-INF, -INF, -INF, -INF]])
    gradient = streamed([3, ignored, 0, ignored], blocks_of(3, logits), ignore_label=ignored)
    np.testing.assert_array_equal(gradient[[1, 3]], 0)
    np.testing.assert_allclose(gradient[[0, 2]], dense([3, 0], logits[[0, 2]]), rtol=1e-14)


def test_nothing_warns():
    largest, tiny = np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal
    numbers = np.array([0, tiny, 12, 1000, largest, -largest, INF, -INF, NAN], np.float32)
    rows = np.stack([a.ravel() for a in np.meshgrid(numbers, numbers, numbers)], axis=-1)
    with np.errstate(all="raise"):
        streamed(np.zeros(len(rows), int), blocks_of(2, rows))


# --- types and shapes ---


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ([np.float16, np.float16], np.float16),
        ([np.float16, np.float32], np.float32),
        ([np.float32, np.float32], np.float32),
        ([np.float64, np.float16], np.float64),
        ([ml_dtypes.bfloat16, ml_dtypes.bfloat16], np.float32),
        ([np.float16, ml_dtypes.bfloat16], np.float32),
        ([ml_dtypes.bfloat16, np.float64], np.float64),
        ([np.int64, np.int32], np.float64),
    ],
)
def test_loss_and_gradient_have_the_widest_type_of_the_blocks(types, expected):
    blocks = [(3 * i, np.ones((2, 3), dtype)) for i, dtype in enumerate(types)]
    loss = streaming_softmax_cross_entropy([0, 5], blocks, 6)
    assert loss.dtype == expected
    np.testing.assert_allclose(loss, np.log(6), rtol=2 * np.finfo(expected).eps)
    gradient = streamed([0, 5], blocks)
    assert gradient.dtype == expected
    np.testing.assert_allclose(gradient, 1 / 6 - np.eye(6)[[0, 5]], rtol=2 * np.finfo(expected).eps)


@pytest.mark.parametrize("width", [3, 64, 100])
def test_bfloat16_gives_the_float32_result(width):
    logits, labels = rows_and_labels(ml_dtypes.bfloat16, 100)
    narrow, wide = blocks_of(width, logits), blocks_of(width, logits.astype(np.float32))
    losses = [streaming_softmax_cross_entropy(labels, blocks, 100) for blocks in (narrow, wide)]
    np.testing.assert_array_equal(*losses, strict=True)
    np.testing.assert_array_equal(streamed(labels, narrow), streamed(labels, wide), strict=True)
    for narrow_pair, wide_pair in zip(largest_and_rest(narrow[0][1]), largest_and_rest(wide[0][1]), strict=True):
        np.testing.assert_array_equal(narrow_pair, wide_pair, strict=True)


def test_bfloat16_has_nan_and_infinities_too():
    rows = np.array([[NAN, 1, 2], [INF, 1, 2], [-INF, 1, 2]], ml_dtypes.bfloat16)
    expected = dense([1, 1, 1], rows.astype(np.float32))
    np.testing.assert_allclose(streamed([1, 1, 1], blocks_of(2, rows)), expected, rtol=4 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_gradient_blocks_have_the_shape_of_their_logits(shape):
    logits = np.random.default_rng(0).standard_normal((*shape, 5))
    labels = np.full(shape, 4)
    np.testing.assert_allclose(streamed(labels, blocks_of(2, logits)), dense(labels, logits), rtol=1e-14)


def test_blocks_and_labels_stay_as_they_were():
    logits, labels = rows_and_labels(np.float32, 20)
    before = logits.copy(), labels.copy()
    gradient = streamed(labels, blocks_of(6, logits))
    assert not np.shares_memory(gradient, logits)
    np.testing.assert_array_equal(logits, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_the_gradient_is_what_a_dense_product_gives_for_hidden_states_and_embedding():
    rng = np.random.default_rng(0)
    hidden, embedding, labels = rng.standard_normal((9, 4)), rng.standard_normal((50, 4)), rng.integers(0, 50, 9)

    def blocks():
        return ((start, hidden @ embedding[start : start + 7].T) for start in range(0, 50, 7))

    by_hidden, by_embedding = np.zeros_like(hidden), np.zeros_like(embedding)
    for start, gradient in streaming_softmax_cross_entropy_gradient(labels, blocks, 50):
        by_hidden += gradient @ embedding[start : start + 7]
        by_embedding[start : start + 7] = gradient.T @ hidden
    whole = dense(labels, hidden @ embedding.T)
    np.testing.assert_allclose(by_hidden, whole @ embedding, rtol=1e-12, atol=1e-14)  # sums of 50 products, in two orders
    np.testing.assert_allclose(by_embedding, whole.T @ hidden, rtol=1e-12, atol=1e-14)


# --- memory ---

TOKENS, WIDTH = 1024, 1024


def peak_in_blocks(function, dtype):
    """Return the highest point of the memory during a call, in blocks of the type, and what it returns."""
    tracemalloc.start()
    result = function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / (TOKENS * WIDTH * np.dtype(dtype).itemsize), result


def made_as_needed(count, dtype=np.float32):
    """Return a function that makes a generator of blocks; what it takes to make a block is not counted as its memory."""
    source = np.random.default_rng(0).standard_normal((TOKENS, WIDTH), np.float32).astype(dtype)
    return lambda: ((block * WIDTH, source.copy()) for block in range(count))


def passes(count, dtype=np.float32, keep_while_waiting=False):
    """Return the first pass and both, as functions without arguments."""
    blocks, labels, classes = made_as_needed(count, dtype), np.arange(TOKENS), count * WIDTH

    def gradient():
        for _, block in streaming_softmax_cross_entropy_gradient(labels, blocks, classes):
            if not keep_while_waiting:
                del block

    return lambda: streaming_softmax_cross_entropy(labels, blocks(), classes), gradient


# Beside the blocks: some rows in float64 at a time (12 arrays of 16,384 numbers, 0.4 of a float32 block here), a few numbers
# for each row, and Python's own
EACH = [np.float32, np.float64, ml_dtypes.bfloat16, np.float16]
ROOM = 1.6e6 / (TOKENS * WIDTH)


@pytest.mark.parametrize("dtype", EACH)
@pytest.mark.parametrize("which", [0, 1], ids=["loss", "gradient"])
def test_memory_is_that_of_a_block_and_its_gradient_for_any_number_of_classes(dtype, which):
    for count in (2, 2, 16):  # the first call sets aside what Python and NumPy keep
        peak, _ = peak_in_blocks(passes(count, dtype)[which], dtype)
    width = np.dtype(dtype).itemsize
    blocks = 1 + which * max(1, 4 / width if dtype == ml_dtypes.bfloat16 else 1)  # bfloat16 has gradients of 32 bits
    assert blocks - 0.01 <= peak <= blocks + ROOM / width


def test_a_caller_that_keeps_its_gradient_block_takes_a_third():
    for count in (2, 2, 16):
        peak, _ = peak_in_blocks(passes(count, keep_while_waiting=True)[1], np.float32)
    assert 3 <= peak <= 3 + ROOM / 4


def test_a_block_is_let_go_before_the_caller_gets_its_gradient():
    made = []

    def blocks():
        for start in (0, 3, 6):
            made.append(weakref.ref(logits := np.ones((2, 3))))
            yield start, logits
            del logits

    for _ in streaming_softmax_cross_entropy_gradient([0, 8], lambda: map(tuple, blocks()), 9):
        assert sum(reference() is not None for reference in made) <= 1  # the generator's own name for it
    assert len(made) == 6  # two passes


# --- refusals ---

ONES = np.ones((2, 3))


def test_blocks_that_are_no_function_are_refused():
    generator = ((start, ONES) for start in (0, 3))
    with pytest.raises(TypeError, match="blocks must be a function that returns a fresh iterator, got generator"):
        streaming_softmax_cross_entropy_gradient([0, 1], generator, 6)


def test_a_function_that_returns_the_same_iterator_twice_is_refused():
    generator = ((start, ONES) for start in (0, 3))
    gradient = streaming_softmax_cross_entropy_gradient([0, 1], lambda: generator, 6)
    with pytest.raises(ValueError, match=r"blocks must hold each class in \[0, 6\) once, .* \[0, 6\) are missing"):
        list(gradient)


@pytest.mark.parametrize(
    ("starts", "fault"),
    [([0, 6], "the classes [3, 6) are missing"), ([0, 3], "the classes [6, 9) are missing"), ([0, 0], "[0, 3) come twice")],
)
def test_a_lost_or_repeated_block_is_refused_before_any_gradient(starts, fault):
    with pytest.raises(ValueError, match="blocks must hold each class in") as refusal:
        streaming_softmax_cross_entropy_gradient([0, 1], lambda: [(start, ONES) for start in starts], 9)
    assert fault in str(refusal.value)


def test_a_block_that_is_lost_in_the_second_pass_only_is_refused():
    passes = iter([[(0, ONES), (3, ONES)], [(0, ONES)]])
    gradient = streaming_softmax_cross_entropy_gradient([0, 1], lambda: next(passes), 6)
    with pytest.raises(ValueError, match=r"the classes \[3, 6\) are missing"):
        list(gradient)


@pytest.mark.parametrize(
    ("labels", "blocks", "classes", "error", "message"),
    [
        ([0, 6], [(0, ONES), (3, ONES)], 6, ValueError, r"labels must lie in \[0, 6\), got 6 at index \(1,\)"),
        ([0.0, 1.0], [(0, ONES)], 3, TypeError, "labels must hold integers, got float64"),
        ([0, 1, 2], [(0, ONES)], 3, ValueError, "labels must have the shape of logits without its last axis"),
        ([0, 1], [(0, ONES)], 0, ValueError, "classes must be a positive integer, got 0"),
        ([0, 1], None, 3, TypeError, "blocks must be an iterable of pairs, got NoneType"),
        ([0, 1], [7], 3, TypeError, "blocks must hold pairs of a first class and logits, got int"),
        ([0, 1], [(False, ONES)], 3, TypeError, "blocks must name their first class by an integer, got bool"),
        ([0, 1], [(0.0, ONES)], 3, TypeError, "blocks must name their first class by an integer, got float"),
        ([0, 1], [(0, [[1, 2], [3]])], 3, ValueError, "logits must be a rectangular array of numbers"),
        ([0, 1], [(0, 1j * ONES)], 3, TypeError, "logits must hold .*, got complex128"),
        ([0, 1], [(0, np.ones((2, 3), ml_dtypes.float8_e5m2))], 3, TypeError, "logits must hold .*, got float8_e5m2"),
    ],
)
def test_bad_input_is_refused_by_name(labels, blocks, classes, error, message):
    with pytest.raises(error, match=message):
        streaming_softmax_cross_entropy_gradient(labels, lambda: blocks, classes)
