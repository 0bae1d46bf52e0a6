"""Losses over a vocabulary in pieces: the merge's algebra, the stream's digits and refusals."""

import functools
import itertools
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.categorical import sparse_softmax_cross_entropy_with_logits
from helpers.precision import EXACT, error_in_eps, exact_softmax_cross_entropy
from helpers.streaming import largest_and_rest, merge_largest_and_rest, streaming_softmax_cross_entropy

DTYPES = [np.float16, np.float32, np.float64]
INF, NAN = np.inf, np.nan

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def cut(logits, *cuts):
    """Return the logits as blocks that end at the cuts."""
    cuts = [0, *cuts, logits.shape[-1]]
    return [(start, logits[..., start:stop]) for start, stop in itertools.pairwise(cuts)]


def blocks_of(width, logits):
    return cut(logits, *range(width, logits.shape[-1], width))


def in_one_piece(logits, labels=0):
    return sparse_softmax_cross_entropy_with_logits(np.broadcast_to(labels, logits.shape[:-1]), logits)


# The merge


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


# The stream's digits


def rows_and_labels(dtype, classes, rows=12, scale=10, seed=0):
    """Draw rows of logits, half of whose labels are the likeliest class, where a loss is small and has digits to lose."""
    rng = np.random.default_rng(seed)
    logits = (scale * rng.standard_normal((rows, classes))).astype(dtype)
    labels = rng.integers(0, classes, rows)
    labels[::2] = logits[::2].argmax(axis=-1)
    return logits, labels


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("order", ["as they come", "rising", "falling"])
@pytest.mark.parametrize("width", [1, 2, 7, 64, 100, 299, 300])
def test_the_stream_keeps_its_digits_for_any_width_of_the_blocks(ulps, dtype, order, width):
    logits, labels = rows_and_labels(dtype, 300)
    if order != "as they come":  # every block finds a new largest logit, or none does
        ranks = np.argsort(logits if order == "rising" else -logits, axis=-1)
        logits = np.take_along_axis(logits, ranks, axis=-1)
        labels = np.argsort(ranks, axis=-1)[np.arange(len(labels)), labels]
    blocks = blocks_of(width, logits)
    computed = streaming_softmax_cross_entropy(labels, blocks, 300)
    exact = [exact_softmax_cross_entropy(int(y), x) for y, x in zip(labels, logits, strict=True)]
    if dtype == np.float32:
        assert ulps(computed, exact).max() <= 0.5 + 1e-6
    else:  # less than the docstring promises for 300 blocks: roundings have both signs (largest seen: 9)
        assert error_in_eps(computed, exact, dtype).max() <= 20


@dtypes
@given(data=st.data())
def test_the_stream_agrees_with_the_loss_in_one_piece_for_any_cuts(dtype, data):
    classes = data.draw(st.integers(1, 20))
    row = st.lists(st.floats(-60, 60, width=16), min_size=classes, max_size=classes)
    logits = np.array(data.draw(st.lists(row, min_size=1, max_size=3)), dtype)
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=len(logits), max_size=len(logits))))
    cuts = sorted(data.draw(st.sets(st.integers(1, classes - 1)))) if classes > 1 else []
    streamed = streaming_softmax_cross_entropy(labels, cut(logits, *cuts), classes)
    whole = in_one_piece(logits, labels)
    assert streamed.dtype == whole.dtype == dtype
    # each of the two is that far from the exact loss, at most; float16 is computed in float32, and both are rounded once
    info = np.finfo(dtype)
    spread = np.ptp(logits.astype(float))
    of_each = (4 + spread + 4 * (len(cuts) + 1)) * np.finfo(np.result_type(dtype, np.float32)).eps + info.eps / 2
    np.testing.assert_allclose(streamed.astype(float), whole.astype(float), rtol=2 * of_each, atol=info.tiny)


@dtypes
def test_a_single_block_gives_the_very_loss_in_one_piece(dtype):
    logits, labels = rows_and_labels(dtype, 1000)
    streamed = streaming_softmax_cross_entropy(labels, [(0, logits)], 1000)
    np.testing.assert_array_equal(streamed, in_one_piece(logits, labels))


# Limits, types and shapes


def test_infinite_logits_and_nan_give_what_they_give_in_one_piece():
    values = [-INF, -1.0, 2.0, INF, NAN]
    logits = np.array(list(itertools.product(values, repeat=4)))
    logits, labels = np.repeat(logits, 4, axis=0), np.tile(np.arange(4), len(logits))
    whole = in_one_piece(logits, labels)
    for length in range(4):
        for cuts in itertools.combinations((1, 2, 3), length):
            streamed = streaming_softmax_cross_entropy(labels, cut(logits, *cuts), 4)
            np.testing.assert_allclose(streamed, whole, rtol=1e-14)  # NaN and inf must match; the rest is a few eps


@dtypes
def test_a_block_of_classes_that_cannot_occur_changes_nothing(dtype):
    logits, labels = rows_and_labels(dtype, 50)
    masked = np.full((len(logits), 30), -INF, dtype)
    blocks = [(0, logits), (50, masked)]
    np.testing.assert_array_equal(streaming_softmax_cross_entropy(labels, blocks, 80), in_one_piece(logits, labels))
    np.testing.assert_array_equal(
        streaming_softmax_cross_entropy(labels + 30, [(0, masked), (30, logits)], 80), in_one_piece(logits, labels)
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_blocks_of_several_types_are_computed_in_float64_from_the_start(dtype):
    logits, labels = rows_and_labels(dtype, 100, scale=3)
    wide = streaming_softmax_cross_entropy(labels, blocks_of(7, logits.astype(float)), 100)
    mixed = [(start, x if start < 50 else x.astype(float)) for start, x in blocks_of(7, logits)]
    np.testing.assert_array_equal(streaming_softmax_cross_entropy(labels, mixed, 100), wide, strict=True)
    narrow = streaming_softmax_cross_entropy(labels, blocks_of(7, logits), 100)
    np.testing.assert_array_equal(narrow, wide.astype(dtype), strict=True)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_the_loss_has_the_shape_of_the_labels(shape):
    logits = np.random.default_rng(0).standard_normal((*shape, 5))
    labels = np.full(shape, 4)
    loss = streaming_softmax_cross_entropy(labels, blocks_of(2, logits), 5)
    assert loss.shape == shape
    np.testing.assert_allclose(loss, in_one_piece(logits, labels), rtol=1e-14)


@pytest.mark.parametrize("ignored", [-1, 2, 99])
def test_ignored_labels_cost_nothing_whatever_the_logits_are(ignored):
    logits = np.array([[1.0, 2, 3, 4], [INF, INF, NAN, 0], [1, 2, 3, 4]])
    loss = streaming_softmax_cross_entropy([3, ignored, 0], blocks_of(3, logits), 4, ignore_label=ignored)
    np.testing.assert_allclose(loss, [*in_one_piece(logits[:1], 3), 0, *in_one_piece(logits[2:], 0)], rtol=1e-14)


def test_blocks_and_labels_stay_as_they_were():
    logits, labels = rows_and_labels(np.float32, 20)
    before = logits.copy(), labels.copy()
    streaming_softmax_cross_entropy(labels, blocks_of(6, logits), 20)
    np.testing.assert_array_equal(logits, before[0])
    np.testing.assert_array_equal(labels, before[1])


# Blocks and refusals


def test_a_block_is_let_go_before_the_next_one_is_made():
    made = []

    def block():
        assert not made or made[-1]() is None
        logits = np.ones((2, 3))
        made.append(weakref.ref(logits))
        return logits

    streaming_softmax_cross_entropy([0, 8], ((start, block()) for start in (0, 3, 6)), 9)
    assert len(made) == 3


ONES = np.ones((2, 3))


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
def test_a_lost_or_repeated_block_is_refused_by_its_classes(starts, classes, fault):
    with pytest.raises(ValueError, match="blocks must hold each class in") as refusal:
        streaming_softmax_cross_entropy([0, 1], [(start, ONES) for start in starts], classes)
    assert str(refusal.value) == f"blocks must hold each class in [0, {classes}) once, in order: {fault}"


def test_an_endless_stream_is_left_at_the_first_block_too_many():
    blocks = ((start, ONES) for start in itertools.count(0, 3))
    with pytest.raises(ValueError, match=r"got a block of the classes \[9, 12\)"):
        streaming_softmax_cross_entropy([0, 1], blocks, 9)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 6], {}, r"labels must lie in \[0, 6\), got 6 at index \(1,\)"),
        ([-1, 0], {}, r"labels must lie in \[0, 6\), got -1 at index \(0,\)"),
        ([7, -1], {"ignore_label": -1}, r"labels must lie in \[0, 6\), got 7 at index \(0,\)"),
        ([0, 1, 2], {}, r"labels must have the shape of logits without its last axis, \(2,\), got \(3,\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        streaming_softmax_cross_entropy(labels, [(0, ONES), (3, ONES)], 6, **options)


@pytest.mark.parametrize("classes", [0, -1, 6.0, None, True])
def test_a_number_of_classes_that_is_none_is_refused(classes):
    with pytest.raises(ValueError, match="classes must be a positive integer, got "):
        streaming_softmax_cross_entropy([0, 1], [(0, ONES)], classes)


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
    ],
)
def test_what_is_no_block_of_logits_is_refused(labels, blocks, message):
    with pytest.raises(TypeError, match=message):
        streaming_softmax_cross_entropy(labels, blocks, 3)


def test_a_block_without_classes_is_refused():
    with pytest.raises(ValueError, match="logits must have at least one class on its last axis"):
        streaming_softmax_cross_entropy([0, 1], [(0, ONES), (3, np.ones((2, 0)))], 3)
