"""Losses and gradients over a vocabulary in pieces: the merge's algebra, digits, limits, memory and refusals."""

import functools
import itertools
import tracemalloc
import weakref

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.categorical import sparse_softmax_cross_entropy_gradient as dense_gradient
from helpers.categorical import sparse_softmax_cross_entropy_with_logits as dense_loss
from helpers.precision import EXACT, error_in_eps, exact_softmax_cross_entropy, exact_softmax_cross_entropy_gradient
from helpers.streaming import (
    largest_and_rest,
    merge_largest_and_rest,
    streaming_softmax_cross_entropy,
    streaming_softmax_cross_entropy_gradient,
)

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def cut(logits, *cuts):
    """Return the logits as blocks that end at the cuts."""
    return [(start, logits[..., start:stop]) for start, stop in itertools.pairwise([0, *cuts, logits.shape[-1]])]


def blocks_of(width, logits):
    return cut(logits, *range(width, logits.shape[-1], width))


def streamed(labels, blocks, classes=None, **options):
    """Return the losses, and the gradient in one piece, from a list of blocks."""
    classes = classes or sum(np.shape(logits)[-1] for _, logits in blocks)
    loss = streaming_softmax_cross_entropy(labels, iter(blocks), classes, **options)
    pieces = list(streaming_softmax_cross_entropy_gradient(labels, lambda: iter(blocks), classes, **options))
    assert [start for start, _ in pieces] == [start for start, _ in blocks]
    assert [piece.shape for _, piece in pieces] == [np.shape(logits) for _, logits in blocks]
    return loss, np.concatenate([piece for _, piece in pieces], axis=-1)


def in_one_piece(labels, logits, **options):
    return dense_loss(labels, logits, **options), dense_gradient(labels, logits, **options)


def assert_equal(computed, expected):
    for ours, theirs in zip(computed, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def assert_close(computed, expected, rtol=1e-14):
    """Compare: NaN and inf must match, and the rest be a few eps apart."""
    for ours, theirs in zip(computed, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol)


# --- the merge ---


@st.composite
def typed_pairs(draw, count):
    """Draw a type, and pairs (m, r) of it; the rest of at most a million classes is at most a million."""
    dtype = draw(st.sampled_from(DTYPES[1:]))
    width = np.dtype(dtype).itemsize * 8
    largest = st.one_of(st.just(-INF), st.floats(-80, 80, width=width))
    rest = st.floats(0, 2.0**20, width=width)
    pairs = [(draw(largest), draw(rest)) for _ in range(count)]
    return dtype, [(dtype(m), dtype(0 if m == -INF else r)) for m, r in pairs]


def exact_rest(pairs):
    """Return the rest of several pairs' union, to 400 bits: the largest logit is taken out of the sum before it is added."""
    m = max(float(m) for m, _ in pairs)
    if m == -INF:
        return EXACT.zero
    scales = [EXACT.exp(EXACT.mpf(float(other)) - m) for other, _ in pairs]
    terms = [scale * EXACT.mpf(float(r)) for scale, (_, r) in zip(scales, pairs, strict=True)]
    scales.remove(1)  # e^0, of the first that is the largest
    return EXACT.fsum(terms + scales)


def merge_allowance(dtype, merges, spread):
    """Return how far the rest may be from exact after some merges, relatively.

    Each has a product and two sums, an eps and a half together, and an exp, to which NumPy gives as much again in float32;
    the fourth eps is for the exp of other machines. Its argument, a difference of logits, is rounded too: half an eps for
    each unit, and the differences on the way add up to no more than the spread of the logits.
    """
    return (4 * merges + spread / 2 + 1) * np.finfo(dtype).eps


@given(typed=typed_pairs(2))
def test_the_merge_is_commutative_to_the_last_bit(typed):
    _, [a, b] = typed
    assert merge_largest_and_rest(a, b) == merge_largest_and_rest(b, a)


@given(typed=typed_pairs(1))
def test_the_pair_of_no_class_is_the_identity_to_the_last_bit(typed):
    dtype, [a] = typed
    nothing = (dtype(-INF), dtype(0))
    assert merge_largest_and_rest(a, nothing) == merge_largest_and_rest(nothing, a) == a


@given(typed=typed_pairs(3))
def test_the_merge_is_associative_and_exact_up_to_its_rounding(typed):
    dtype, [a, b, c] = typed
    exact = exact_rest([a, b, c])
    finite = [float(m) for m, _ in (a, b, c) if m > -INF]
    spread = max(finite) - min(finite) if finite else 0
    for m, r in (
        merge_largest_and_rest(merge_largest_and_rest(a, b), c),
        merge_largest_and_rest(a, merge_largest_and_rest(b, c)),
    ):
        assert m == max(finite, default=-INF)
        assert m.dtype == r.dtype == dtype
        slack = float(exact) * merge_allowance(dtype, 2, spread) + np.finfo(dtype).smallest_normal
        assert abs(EXACT.mpf(float(r)) - exact) <= slack


@dtypes
@given(data=st.data())
def test_pieces_merge_into_the_pair_of_the_whole_in_any_order(dtype, data):
    logits = np.array(data.draw(st.lists(st.floats(-80, 80, width=16), min_size=1, max_size=12)), dtype)
    cuts = data.draw(st.sets(st.integers(1, len(logits) - 1))) if len(logits) > 1 else ()
    pieces = data.draw(st.permutations([largest_and_rest(x) for _, x in cut(logits, *sorted(cuts))]))
    m, r = functools.reduce(merge_largest_and_rest, pieces)
    whole_m, whole_r = largest_and_rest(logits)
    assert m == whole_m == logits.max()
    assert m.dtype == r.dtype == whole_r.dtype == np.result_type(dtype, np.float32)
    info = np.finfo(r.dtype)
    np.testing.assert_allclose(r, whole_r, rtol=2 * merge_allowance(r.dtype, len(pieces), np.ptp(logits)), atol=info.tiny)


def test_of_equal_largest_logits_all_but_one_are_rest():
    pair = largest_and_rest(np.float64([5, 5]))
    assert pair == (5, 1)
    assert merge_largest_and_rest(pair, pair) == (5, 3)


def test_the_rest_keeps_the_digits_that_a_1_would_absorb():
    m, r = merge_largest_and_rest(largest_and_rest(np.float32([0, 20])), largest_and_rest(np.float32([0])))
    assert m == 20
    assert error_in_eps(r, 2 * EXACT.exp(-20), "float32") < 4  # two exponentials and two sums
    assert np.float32(1) + r == 1


def test_pairs_of_different_types_give_the_wider_one():
    m, r = merge_largest_and_rest((np.float16(1), np.float16(0)), (np.float64(2), np.float64(0)))
    assert m.dtype == r.dtype == np.float64


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (([1.0], [0.0]), ([1.0, 2.0], [0.0, 0.0]), r"m and other_m must have the same shape, got \(1,\) and \(2,\)"),
        (([1.0], [0.0]), ([1.0], 0.0), r"m and other_r must have the same shape, got \(1,\) and \(\)"),
        (([1.0, 2.0], [0.0, -0.5]), ([1.0, 2.0], [0.0, 0.0]), r"^r must be non-negative, got -0.5 at index \(1,\)"),
        ((1.0, 0.0), (1.0, -2.0), "other_r must be non-negative, got -2.0"),
    ],
)
def test_what_is_no_pair_is_refused(left, right, message):
    with pytest.raises(ValueError, match=message):
        merge_largest_and_rest(left, right)


@pytest.mark.parametrize("pair", [7, None, (1.0, 0.0, 2.0)], ids=repr)
def test_what_is_not_two_arrays_is_refused(pair):
    with pytest.raises(TypeError, match=rf"^left must be a pair \(m, r\), got {type(pair).__name__}$"):
        merge_largest_and_rest(pair, (1.0, 0.0))
    with pytest.raises(TypeError, match=rf"^right must be a pair \(m, r\), got {type(pair).__name__}$"):
        merge_largest_and_rest((1.0, 0.0), pair)


def test_complex_pairs_are_refused():
    with pytest.raises(TypeError, match="other_m must hold booleans, integers or float16, float32, float64, got complex128"):
        merge_largest_and_rest((1.0, 0.0), (1j, 0.0))


# --- the stream's digits ---


def rows_and_labels(dtype, classes, rows=12, scale=10, seed=0):
    """Draw rows of logits; half of their labels are the likeliest class, where a loss and a slope have digits to lose."""
    rng = np.random.default_rng(seed)
    logits = (scale * rng.standard_normal((rows, classes))).astype(dtype)
    labels = rng.integers(0, classes, rows)
    labels[::2] = logits[::2].argmax(axis=-1)
    return logits, labels


@functools.cache
def ordered(dtype, order):
    """Return rows in which every block finds a new largest logit, or none does, with labels and exact answers."""
    logits, labels = rows_and_labels(dtype, 300)
    if order != "as they come":
        ranks = np.argsort(logits if order == "rising" else -logits, axis=-1)
        logits = np.take_along_axis(logits, ranks, axis=-1)
        labels = np.argsort(ranks, axis=-1)[np.arange(len(labels)), labels]
    pairs = list(zip(labels.tolist(), logits, strict=True))
    exact = [exact_softmax_cross_entropy(*pair) for pair in pairs], [exact_softmax_cross_entropy_gradient(*p) for p in pairs]
    return logits, labels, *map(np.array, exact)


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("order", ["as they come", "rising", "falling"])
@pytest.mark.parametrize("width", [1, 2, 7, 64, 299, 300])
def test_the_stream_keeps_its_digits_for_any_width_of_the_blocks(ulps, dtype, order, width):
    logits, labels, losses, slopes = ordered(dtype, order)
    blocks = blocks_of(width, logits)
    loss, gradient = streamed(labels, blocks)
    if dtype == np.float32:
        assert max(ulps(loss, losses).max(), ulps(gradient, slopes).max()) <= 0.5 + 1e-6
        return
    # less than the docstring promises for 300 blocks: roundings have both signs (largest seen: 9, and 21 of a slope)
    assert error_in_eps(loss, losses, dtype).max() <= 20
    error = error_in_eps(gradient, slopes, dtype) * (np.abs(slopes) >= float(np.finfo(dtype).smallest_normal))
    assert np.all(error.max(axis=-1) <= 4 + np.ptp(logits, axis=-1) + 4 * len(blocks))
    assert error.max() <= 30


@dtypes
@given(data=st.data())
def test_blocks_agree_with_one_piece_for_any_cuts(dtype, data):
    classes = data.draw(st.integers(1, 20))
    row = st.lists(st.just(-INF) | st.floats(-60, 60, width=16), min_size=classes, max_size=classes)
    logits = np.array(data.draw(st.lists(row, min_size=1, max_size=3)), dtype)
    labels = np.array(data.draw(st.lists(st.integers(-1, classes - 1), min_size=len(logits), max_size=len(logits))))
    cuts = sorted(data.draw(st.sets(st.integers(1, classes - 1)))) if classes > 1 else []
    # each of the two is that far from the exact answer, at most; float16 is computed in float32, and both are rounded once
    info = np.finfo(dtype)
    widest = np.ptp(logits[np.isfinite(logits)].astype(float)) if np.isfinite(logits).any() else 0
    of_both = (2 * (4 + widest) + 4 * (len(cuts) + 1)) * np.finfo(np.result_type(dtype, np.float32)).eps + info.eps
    pairs = zip(
        streamed(labels, cut(logits, *cuts), ignore_label=-1), in_one_piece(labels, logits, ignore_label=-1), strict=True
    )
    for ours, whole in pairs:
        assert ours.dtype == whole.dtype == dtype
        np.testing.assert_allclose(ours.astype(float), whole.astype(float), rtol=of_both, atol=info.tiny)


@dtypes
def test_a_single_block_gives_the_very_numbers_of_one_piece(dtype):
    logits, labels = rows_and_labels(dtype, 1000)
    assert_equal(streamed(labels, [(0, logits)]), in_one_piece(labels, logits))


@pytest.mark.parametrize("place", [0, 1, 5])
def test_the_slope_at_the_label_keeps_its_digits_in_any_block(place):
    x = np.zeros(6, np.float32)
    x[place] = 20
    exact = exact_softmax_cross_entropy_gradient(place, x)[place]
    assert error_in_eps(streamed(place, blocks_of(2, x))[1][place], exact, "float32") < 4


# --- limits, types and shapes ---


def test_infinite_logits_and_nan_give_what_they_give_in_one_piece_for_all_cuts():
    for classes in (1, 2, 4):
        logits = np.array(list(itertools.product([-INF, -1.0, 2.0, INF, NAN], repeat=classes)))
        logits, labels = np.repeat(logits, classes, axis=0), np.tile(np.arange(classes), len(logits))
        for length in range(classes):
            for cuts in itertools.combinations(range(1, classes), length):
                assert_close(streamed(labels, cut(logits, *cuts)), in_one_piece(labels, logits))


@dtypes
def test_classes_that_cannot_occur_change_nothing(dtype):
    logits, labels = rows_and_labels(dtype, 50)
    masked = np.full((len(logits), 30), -INF, dtype)
    loss, gradient = streamed(labels + 30, [(0, masked), (30, logits), (80, masked)])
    assert_equal((loss, gradient[:, 30:80]), in_one_piece(labels, logits))
    np.testing.assert_array_equal(np.delete(gradient, np.s_[30:80], axis=1), 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_blocks_of_several_types_are_computed_in_float64_from_the_start(dtype):
    logits, labels = rows_and_labels(dtype, 100, scale=3)
    wide = streamed(labels, blocks_of(7, logits.astype(float)))
    mixed = [(start, x if start < 50 else x.astype(float)) for start, x in blocks_of(7, logits)]
    assert_equal(streamed(labels, mixed), wide)
    assert_equal(streamed(labels, blocks_of(7, logits)), [array.astype(dtype) for array in wide])


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
    loss, gradient = streamed([0, 5], blocks)
    assert loss.dtype == gradient.dtype == expected
    assert_close((loss, gradient), (np.log([6, 6]), 1 / 6 - np.eye(6)[[0, 5]]), 2 * np.finfo(expected).eps)


@pytest.mark.parametrize("width", [3, 64, 100])
def test_bfloat16_gives_the_float32_result(width):
    logits, labels = rows_and_labels(ml_dtypes.bfloat16, 100)
    narrow, wide = blocks_of(width, logits), blocks_of(width, logits.astype(np.float32))
    assert_equal(streamed(labels, narrow), streamed(labels, wide))
    assert_equal(largest_and_rest(narrow[0][1]), largest_and_rest(wide[0][1]))


def test_bfloat16_has_nan_and_infinities_too():
    rows = np.array([[NAN, 1, 2], [INF, 1, 2], [-INF, 1, 2]], ml_dtypes.bfloat16)
    assert_close(streamed([1, 1, 1], blocks_of(2, rows)), in_one_piece([1, 1, 1], rows.astype(np.float32)), 4 * 2.0**-23)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_losses_have_the_shape_of_the_labels_and_blocks_their_own(shape):
    logits = np.random.default_rng(0).standard_normal((*shape, 5))
    labels = np.full(shape, 4)
    loss, gradient = streamed(labels, blocks_of(2, logits))
    assert loss.shape == shape
    assert_close((loss, gradient), in_one_piece(labels, logits))


@pytest.mark.parametrize("ignored", [-1, 2, 99])
def test_ignored_labels_cost_nothing_and_have_no_slope_whatever_the_logits_are(ignored):
    logits = np.array([[1.0, 2, 3, 4], [INF, INF, NAN, 0], [1, 2, 3, 4], [-INF, -INF, -INF, -INF]])
    loss, gradient = streamed([3, ignored, 0, ignored], blocks_of(3, logits), ignore_label=ignored)
    assert not loss[[1, 3]].any()
    assert not gradient[[1, 3]].any()
    assert_close((loss[[0, 2]], gradient[[0, 2]]), in_one_piece([3, 0], logits[[0, 2]]))


def test_blocks_and_labels_stay_as_they_were():
    logits, labels = rows_and_labels(np.float32, 20)
    before = logits.copy(), labels.copy()
    _, gradient = streamed(labels, blocks_of(6, logits))
    assert not np.shares_memory(gradient, logits)
    assert_equal((logits, labels), before)


def test_the_gradient_is_what_a_dense_product_gives_for_hidden_states_and_embedding():
    rng = np.random.default_rng(0)
    hidden, embedding, labels = rng.standard_normal((9, 4)), rng.standard_normal((50, 4)), rng.integers(0, 50, 9)

    def blocks():
        return ((start, hidden @ embedding[start : start + 7].T) for start in range(0, 50, 7))

    by_hidden, by_embedding = np.zeros_like(hidden), np.zeros_like(embedding)
    for start, gradient in streaming_softmax_cross_entropy_gradient(labels, blocks, 50):
        by_hidden += gradient @ embedding[start : start + 7]
        by_embedding[start : start + 7] = gradient.T @ hidden
    whole = dense_gradient(labels, hidden @ embedding.T)
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


def test_a_block_is_let_go_before_the_caller_gets_its_gradient_or_the_next_is_made():
    made = []

    def blocks():
        for start in (0, 3, 6):
            assert not any(reference() is not None for reference in made)
            made.append(weakref.ref(logits := np.ones((2, 3))))
            yield start, logits
            del logits

    streaming_softmax_cross_entropy([0, 8], map(tuple, blocks()), 9)
    made.clear()
    for _ in streaming_softmax_cross_entropy_gradient([0, 8], lambda: map(tuple, blocks()), 9):
        assert sum(reference() is not None for reference in made) <= 1  # the generator's own name for it
    assert len(made) == 6  # two passes


# --- refusals ---

ONES = np.ones((2, 3))
BOTH = {
    "loss": streaming_softmax_cross_entropy,
    "gradient": lambda y, blocks, *rest, **options: list(
        streaming_softmax_cross_entropy_gradient(y, lambda: blocks, *rest, **options)
    ),
}
each = pytest.mark.parametrize("function", BOTH.values(), ids=BOTH)


@each
@pytest.mark.parametrize(
    ("starts", "classes", "fault"),
    [
        ([0, 6], 9, "the classes [3, 6) are missing"),
        ([3, 6], 9, "the classes [0, 3) are missing"),
        ([0, 3], 9, "the classes [6, 9) are missing"),
        ([], 9, "the classes [0, 9) are missing"),
        ([0, 3, 3, 6], 9, "the classes [3, 6) come twice"),
        ([0, 2, 5], 9, "the classes [2, 3) come twice"),
        ([0, 3, 6, 0], 9, "the classes [0, 3) come twice"),
        ([0, 3, 6], 8, "got a block of the classes [6, 9)"),
        ([0, 3, 6, 9], 9, "got a block of the classes [9, 12)"),
        ([-3, 0, 3, 6], 9, "got a block of the classes [-3, 0)"),
    ],
)
def test_a_lost_or_repeated_block_is_refused_by_its_classes(function, starts, classes, fault):
    with pytest.raises(ValueError, match="blocks must hold each class in") as refusal:
        function([0, 1], [(start, ONES) for start in starts], classes)
    assert str(refusal.value) == f"blocks must hold each class in [0, {classes}) once, in order: {fault}"


def test_an_endless_stream_is_left_at_the_first_block_too_many():
    blocks = ((start, ONES) for start in itertools.count(0, 3))
    with pytest.raises(ValueError, match=r"got a block of the classes \[9, 12\)"):
        streaming_softmax_cross_entropy([0, 1], blocks, 9)


@each
@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 6], {}, r"labels must lie in \[0, 6\), got 6 at index \(1,\)"),
        ([-1, 0], {}, r"labels must lie in \[0, 6\), got -1 at index \(0,\)"),
        ([7, -1], {"ignore_label": -1}, r"labels must lie in \[0, 6\), got 7 at index \(0,\)"),
        ([0, 1, 2], {}, r"labels must have the shape of logits without its last axis, \(2,\), got \(3,\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(function, labels, options, message):
    with pytest.raises(ValueError, match=message):
        function(labels, [(0, ONES), (3, ONES)], 6, **options)


@each
@pytest.mark.parametrize("classes", [0, -1, 6.0, None, True])
def test_a_number_of_classes_that_is_none_is_refused(function, classes):
    with pytest.raises(ValueError, match="classes must be a positive integer, got "):
        function([0, 1], [(0, ONES)], classes)


@each
@pytest.mark.parametrize(
    ("labels", "blocks", "message"),
    [
        ([0.0, 1.0], [(0, ONES)], "labels must hold integers, got float64"),
        ([0, 1], 7, "blocks must be an iterable of pairs, got int"),
        ([0, 1], [(False, ONES)], "blocks must name their first class by an integer, got bool"),
        ([0, 1], [np.ones((3, 2))], "blocks must hold pairs of a first class and logits, got ndarray"),
        ([0, 1], [7], "blocks must hold pairs of a first class and logits, got int"),
        ([0, 1], [(0.0, ONES)], "blocks must name their first class by an integer, got float"),
        ([0, 1], [np.ones((2, 3))], "blocks must name their first class by an integer, got ndarray"),
        ([0, 1], [(0, 1j * ONES)], "logits must hold booleans, integers or float16, float32, float64, got complex128"),
        ([0, 1], [(0, np.ones((2, 3), ml_dtypes.float8_e5m2))], "logits must hold .*, got float8_e5m2"),
    ],
)
def test_what_is_no_block_of_logits_is_refused(function, labels, blocks, message):
    with pytest.raises(TypeError, match=message):
        function(labels, blocks, 3)


@each
@pytest.mark.parametrize(
    ("logits", "message"),
    [(np.ones((2, 0)), "at least one class on its last axis"), ([[1, 2], [3]], "be a rectangular array of numbers")],
)
def test_a_block_without_classes_or_of_ragged_rows_is_refused(function, logits, message):
    with pytest.raises(ValueError, match=f"logits must .*{message}"):
        function([0, 1], [(0, ONES), (3, logits)], 3)


def test_blocks_that_are_no_function_are_refused():
    generator = ((start, ONES) for start in (0, 3))
    with pytest.raises(TypeError, match="blocks must be a function that returns a fresh iterator, got generator"):
        streaming_softmax_cross_entropy_gradient([0, 1], generator, 6)


def test_a_function_that_returns_the_same_iterator_twice_is_refused():
    generator = ((start, ONES) for start in (0, 3))
    gradient = streaming_softmax_cross_entropy_gradient([0, 1], lambda: generator, 6)
    with pytest.raises(ValueError, match=r"blocks must hold each class in \[0, 6\) once, .* \[0, 6\) are missing"):
        list(gradient)


def test_what_the_first_pass_refuses_is_refused_before_any_gradient():
    with pytest.raises(ValueError, match=r"the classes \[6, 9\) are missing"):
        streaming_softmax_cross_entropy_gradient([0, 1], lambda: [(0, ONES), (3, ONES)], 9)


def test_a_block_that_is_lost_in_the_second_pass_only_is_refused():
    passes = iter([[(0, ONES), (3, ONES)], [(0, ONES)]])
    gradient = streaming_softmax_cross_entropy_gradient([0, 1], lambda: next(passes), 6)
    with pytest.raises(ValueError, match=r"the classes \[3, 6\) are missing"):
        list(gradient)
