"""The loss over a vocabulary in pieces, beside TensorFlow, and on Dask: a tree of threads, then two processes."""

import functools
import logging
import os
import sys
import tracemalloc

import cloudpickle
import dask.array as da
import numpy as np
import pytest
import tensorflow as tf
from distributed import Client, LocalCluster, get_worker

from helpers.categorical import (
    largest_and_rest,
    merge_largest_and_rest,
    sparse_softmax_cross_entropy_with_logits,
    streaming_softmax_cross_entropy,
)

TOKENS, WIDTH, COUNT = 500, 1000, 24
CLASSES = WIDTH * COUNT
RECORD = np.dtype([("m", "f4"), ("r", "f4"), ("x_y", "f4")])
LABELS = np.random.default_rng(0).integers(0, CLASSES, TOKENS)

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker's process cannot import this file


def logits_of(block):
    return 5 * np.random.default_rng([1, block]).standard_normal((TOKENS, WIDTH), np.float32)


def watched_logits_of(block):
    get_worker().log_event("blocks", {"block": block})
    return logits_of(block)


def column(m, r, x_y):
    records = np.empty((len(m), 1), RECORD)
    for name, numbers in zip(RECORD.names, (m, r, x_y), strict=True):
        records[name][:, 0] = numbers
    return records


def record(logits, block_id):
    place = LABELS - block_id[1] * WIDTH
    here = (place >= 0) & (place < WIDTH)
    x_y = np.where(here, logits[np.arange(TOKENS), np.where(here, place, 0)], np.float32(-np.inf))
    return column(*largest_and_rest(logits), x_y)


def merge(records, axis, keepdims):
    m, r = functools.reduce(merge_largest_and_rest, [(each["m"], each["r"]) for each in records.T])
    return column(m, r, records["x_y"].max(axis=1))


def plan(logits_of):
    """Return the records of all blocks, one column for each, as a Dask array."""
    blocks = {"chunks": ((TOKENS,), (WIDTH,) * COUNT), "meta": np.empty((0, 0), np.float32)}
    columns = {"chunks": ((TOKENS,), (1,) * COUNT), "meta": np.empty((0, 0), RECORD)}
    logits = da.map_blocks(lambda block_id: logits_of(block_id[1]), dtype=np.float32, **blocks)
    return logits.map_blocks(record, dtype=RECORD, **columns)


def tree(records):
    return da.reduction(records, merge, merge, axis=1, keepdims=True, dtype=RECORD, split_every=4)


def loss(records):
    m, r, x_y = (records[name][:, 0] for name in RECORD.names)
    return (m - x_y) + np.log1p(r)


@pytest.fixture(scope="module")
def reference():
    """Return the loss in one piece, and how far a loss from merged blocks may be from it: each has its bound."""
    logits = np.concatenate([logits_of(block) for block in range(COUNT)], axis=-1)
    spread = (logits.max(axis=-1, keepdims=True) - logits).max(axis=-1)
    return sparse_softmax_cross_entropy_with_logits(LABELS, logits), (2 * (4 + spread) + 4 * COUNT) * np.finfo(
        np.float32
    ).eps


def assert_agrees(computed, reference):
    whole, tolerance = reference
    assert computed.dtype == np.float32
    assert np.all(np.abs(computed - whole) <= tolerance * whole)


def test_the_stream_agrees_with_the_loss_in_one_piece(reference):
    blocks = ((block * WIDTH, logits_of(block)) for block in range(COUNT))
    assert_agrees(streaming_softmax_cross_entropy(LABELS, blocks, CLASSES), reference)


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


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_a_tree_of_threads_agrees_with_the_loss_in_one_piece(scheduler, reference):
    assert_agrees(loss(tree(plan(logits_of)).compute(scheduler=scheduler, num_workers=2)), reference)


@pytest.fixture(scope="module")
def client():
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.ERROR,
    )
    with cluster, Client(cluster) as client:
        yield client


def test_a_tree_across_two_processes_agrees_with_the_loss_in_one_piece(client, reference):
    assert_agrees(loss(tree(plan(logits_of)).compute()), reference)


def test_two_processes_send_three_numbers_a_token_and_no_logit(client, reference):
    workers = sorted(client.scheduler_info()["workers"])
    assert len(set(client.run(os.getpid).values())) == 2
    client.run(tracemalloc.start)
    before = client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total)

    records = plan(watched_logits_of)
    halves = [records[:, : COUNT // 2], records[:, COUNT // 2 :]]
    futures = [client.compute(tree(half), workers=[worker]) for half, worker in zip(halves, workers, strict=True)]
    assert_agrees(loss(merge(np.concatenate(client.gather(futures), axis=1), 1, True)), reference)

    after = client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total)
    made = {worker: [] for worker in workers}
    for _, event in client.get_events("blocks"):
        made[event["worker"]].append(event["block"])
    assert [sorted(blocks) for blocks in made.values()] == [list(range(12)), list(range(12, 24))]
    assert {worker: after[worker] - before[worker] for worker in workers} == dict.fromkeys(workers, TOKENS * 3 * 4)
    for _, peak in client.run(tracemalloc.get_traced_memory).values():
        assert peak < TOKENS * CLASSES * 4 / 4  # two blocks of 24, their exponentials, and change
    client.run(tracemalloc.stop)
