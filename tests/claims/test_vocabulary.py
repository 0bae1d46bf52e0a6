"""The TensorFlow loss in blocks of classes equals the dense one, and the record of what both take is whole."""

import datetime
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from helpers import categorical, records
from helpers.precision import EXACT, error_in_eps
from helpers.streaming import streaming_softmax_cross_entropy
from measure import vocabulary
from measure.shards import bytes_by_hand, on_dask
from measure.vocabulary import blocked_loss, dense_loss

ROOT = Path(__file__).parents[2]
RECORD = records.load("vocabulary")
EPS = float(np.finfo(np.float32).eps)

eagerly_and_compiled = pytest.mark.parametrize("how", [lambda function: function, tf.function], ids=["eager", "compiled"])


def batch(tokens=50, size=16, classes=1000, seed=0):
    rng = np.random.default_rng(seed)
    hidden, embedding = rng.standard_normal((tokens, size), np.float32), rng.standard_normal((classes, size), np.float32)
    return tf.constant(hidden), tf.constant(embedding), tf.constant(rng.integers(0, classes, tokens))


def with_gradients(loss, hidden, embedding, labels, upstream=None):
    with tf.GradientTape() as tape:
        tape.watch([hidden, embedding])
        losses = loss(hidden, embedding, labels)
    return losses, *tape.gradient(losses, [hidden, embedding], upstream)


# --- the loss in blocks ---


@eagerly_and_compiled
@pytest.mark.parametrize("width", [1, 7, 64, 299, 300, 2048])
def test_blocks_of_any_width_give_the_dense_loss_and_gradients(how, width):
    hidden, embedding, labels = batch(classes=300)
    upstream = tf.constant(np.random.default_rng(1).random(50, np.float32))

    @how
    def both():
        blocked = with_gradients(lambda *args: blocked_loss(*args, width=width), hidden, embedding, labels, upstream)
        return blocked, with_gradients(dense_loss, hidden, embedding, labels, upstream)

    blocked, dense = both()
    # the dense op subtracts logits of up to 20 from each other, and each product is a sum of 16 or 300 rounded terms
    for ours, theirs in zip(blocked, dense, strict=True):
        scale = float(tf.reduce_max(tf.abs(theirs)))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=64 * EPS * scale)


@eagerly_and_compiled
def test_gradients_keep_the_digits_that_the_dense_op_loses(how):
    embedding = tf.constant(np.float32([[20, 1], [0, 3], [0, -1], [0, 2]]))  # the logits are its first column
    hidden, labels = tf.constant([[1.0, 0.0]]), tf.constant([0])
    loss, by_hidden, _ = how(lambda: with_gradients(lambda *args: blocked_loss(*args, width=2), hidden, embedding, labels))()
    assert error_in_eps(loss[0], EXACT.log1p(3 * EXACT.exp(-20)), "float32") < 4
    share = EXACT.exp(-20) / (1 + 3 * EXACT.exp(-20))
    for computed, exact in zip(by_hidden[0], (-60 * share, (-3 + 3 - 1 + 2) * share), strict=True):
        # a sum of four terms, of which the largest is 3 shares times 20 or 3
        assert abs(float(computed) - exact) <= 8 * EPS * 60 * share
    _, theirs, _ = with_gradients(dense_loss, hidden, embedding, labels)
    assert abs(float(theirs[0, 0]) / float(-60 * share)) < 0.01  # nothing of it is left


@eagerly_and_compiled
def test_ignored_labels_cost_nothing_and_move_nothing(how):
    hidden, embedding, labels = batch()
    padded = tf.where(tf.range(50) % 3 == 0, -1, tf.cast(labels, tf.int32))
    kept = np.flatnonzero(padded.numpy() >= 0)

    @how
    def gradients():
        return with_gradients(lambda *args: blocked_loss(*args, ignore_label=-1, width=300), hidden, embedding, padded)

    losses, by_hidden, by_embedding = gradients()
    of_kept = with_gradients(blocked_loss, tf.gather(hidden, kept), embedding, tf.gather(labels, kept))
    assert np.all(np.delete(losses.numpy(), kept) == 0)
    assert np.all(np.delete(by_hidden.numpy(), kept, axis=0) == 0)
    np.testing.assert_allclose(losses.numpy()[kept], of_kept[0], rtol=64 * EPS)
    np.testing.assert_allclose(by_hidden.numpy()[kept], of_kept[1], atol=64 * EPS, rtol=0)
    np.testing.assert_allclose(by_embedding, of_kept[2], atol=64 * EPS * 3, rtol=0)


def test_a_variable_is_trained_as_by_the_dense_loss():
    hidden, start, labels = batch()
    for loss in (blocked_loss, dense_loss):
        embedding = tf.Variable(start)
        with tf.GradientTape() as tape:
            mean = tf.reduce_mean(loss(hidden, embedding, labels))
        gradient = tape.gradient(mean, embedding)
        assert gradient.shape == embedding.shape
        if loss is blocked_loss:
            ours = gradient
    np.testing.assert_allclose(ours, gradient, atol=4 * EPS, rtol=0)


def test_the_loss_in_blocks_is_the_helpers_loss():
    hidden, embedding, labels = batch()
    logits = (hidden @ tf.transpose(embedding)).numpy()
    losses = categorical.sparse_softmax_cross_entropy_with_logits(labels.numpy(), logits)
    np.testing.assert_allclose(blocked_loss(hidden, embedding, labels), losses, rtol=(8 + 2 * np.ptp(logits)) * EPS)


# --- the record ---


def test_the_measurement_writes_what_the_book_reads(tmp_path, monkeypatch):
    rows = {"vocabulary": RECORD["memory"][0], "shards": RECORD["dask"][0]}
    monkeypatch.setattr(vocabulary, "in_its_own_process", lambda module, *arguments: rows[module])
    output = tmp_path / "vocabulary.json"
    monkeypatch.setattr(sys, "argv", ["vocabulary", "--quick", "--output", str(output)])
    vocabulary.main()
    results = json.loads(output.read_text())
    assert set(results) == set(RECORD)
    for table in ("memory", "sums", "dask"):
        assert results[table]
        assert {tuple(row) for row in results[table]} == {tuple(row) for row in RECORD[table]}


def test_a_process_measures_a_row_of_the_memory():
    row = vocabulary.in_its_own_process("vocabulary", "--quick", "--one", "blocked", "compiled", 8192)
    [recorded] = [each for each in RECORD["memory"] if tuple(each.values())[:3] == ("blocked", "compiled", 8192)]
    assert list(row) == list(recorded)
    np.testing.assert_allclose(row["loss"], recorded["loss"], rtol=8 * EPS)
    # the peak is the same in every run but for a few pages: nothing that was freed is counted
    assert abs(row["peak_bytes"] / recorded["peak_bytes"] - 1) < 0.25


def test_a_cluster_is_measured_like_a_row_of_dask():
    row, recorded = on_dask(2, 8192, repeats=1), RECORD["dask"][0]
    assert list(row) == list(recorded)
    assert row["bytes_moved"] == recorded["bytes_moved"]
    np.testing.assert_allclose(row["loss"], recorded["loss"], rtol=8 * EPS)


def test_the_record_says_when_and_on_what_it_was_measured():
    assert datetime.date.fromisoformat(RECORD["measured"])
    assert set(RECORD["versions"]) == {"Python", "NumPy", "ml_dtypes", "TensorFlow", "Dask", "distributed"}
    assert RECORD["machine"]["processor"]


def test_recorded_memory_of_the_blocks_does_not_hold_the_logits():
    rows = {(row["form"], row["how"], row["classes"]): row for row in RECORD["memory"]}
    cases = [("compiled", 2**k) for k in (13, 15, 17, 18)] + [("eager", 2**15)]
    assert set(rows) == {(form, *case) for form in vocabulary.LOSSES for case in cases}
    for how, classes in cases:
        logits, by_embedding = 4 * vocabulary.TOKENS * classes, 4 * 256 * classes
        block = 4 * vocabulary.TOKENS * 2048
        dense, blocked = rows["dense", how, classes], rows["blocked", how, classes]
        assert dense["peak_bytes"] > (2 if how == "eager" else 1) * logits + by_embedding
        # the gradient by the embedding while its pieces are joined, or earlier, with what is alive of a block at once
        assert blocked["peak_bytes"] < 2 * by_embedding + 4 * block
        np.testing.assert_allclose(blocked["loss"], dense["loss"], rtol=8 * EPS)


def test_recorded_sums_lose_the_loss_in_bfloat16_and_nowhere_else():
    rows = {(row["sum"], row["chunks"]): row for row in RECORD["sums"]}
    assert set(rows) == {(name, 2**k) for name in vocabulary.SUMS for k in range(11)}
    assert rows["bfloat16", 256]["loss_error"] > 0.1
    assert rows["bfloat16", 256]["gradient_error"] > 4 * rows["bfloat16", 1]["gradient_error"]
    for chunks in (2**k for k in range(11)):
        assert rows["float32", chunks]["loss_error"] < 1e-6
        assert rows["float32", chunks]["gradient_error"] < 1e-6
        assert rows["bfloat16, compensated", chunks]["loss_error"] < 1e-4
        assert rows["bfloat16, compensated", chunks]["gradient_error"] < 1e-4


def test_recorded_bytes_on_dask_are_those_counted_by_hand():
    for row in RECORD["dask"]:
        assert row["bytes_moved"] == row["bytes_by_hand"] == bytes_by_hand(row["workers"], 256)
        assert row["workers"] == 1 or sum(row["bytes_moved"].values()) < row["bytes_of_gathered_logits"]


def test_the_count_by_hand_is_twelve_bytes_a_token_and_the_hidden_gradient():
    assert bytes_by_hand(1, 64) == {"forward": 0, "backward": 0}
    assert bytes_by_hand(4, 64, tokens=10) == {"forward": 3 * 120, "backward": 3 * (120 + 2560)}


def test_the_stream_agrees_with_tensorflow():
    rng = np.random.default_rng(0)
    logits, labels = 3 * rng.standard_normal((12, 1000), np.float32), rng.integers(0, 1000, 12)
    labels[::2] = logits[::2].argmax(axis=-1)
    theirs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits).numpy()
    blocks = ((start, logits[:, start : start + 64]) for start in range(0, 1000, 64))
    ours = streaming_softmax_cross_entropy(labels, blocks, 1000)
    # theirs subtracts numbers up to |x - m|, each with a rounding or two, and adds up a thousand terms
    atol = 8 * np.finfo(np.float32).eps * (np.ptp(logits) + np.log(1000))
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=atol)
