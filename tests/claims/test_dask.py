"""Loss and gradients on Dask: equal to one process, the bytes counted by hand, and a worker that dies in the middle."""

import os

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster, wait

from helpers.categorical import sparse_softmax_cross_entropy_gradient, sparse_softmax_cross_entropy_with_logits
from measure import shards
from measure.shards import (
    DASK,
    LOCAL,
    backward_plan,
    bytes_by_hand,
    bytes_moved,
    forward_plan,
    rows_of_shard,
    shard_gradients,
)

TOKENS, SIZE, CLASSES, IGNORED = 300, 32, 6000, -1
EPS = float(np.finfo(np.float32).eps)

rng = np.random.default_rng(0)
HIDDEN, LABELS = rng.standard_normal((TOKENS, SIZE), np.float32), rng.integers(0, CLASSES, TOKENS)
LABELS[::10] = IGNORED
WEIGHTS = np.where(LABELS == IGNORED, 0, 1 / np.count_nonzero(LABELS != IGNORED)).astype(np.float32)
BATCH = HIDDEN, LABELS, WEIGHTS


@pytest.fixture(scope="module")  # pytest runs together what takes the same number of processes
def client(request):
    with (
        dask.config.set(DASK),
        LocalCluster(n_workers=request.param, threads_per_worker=1, **LOCAL) as cluster,
        Client(cluster) as client,
    ):
        assert len(set(client.run(os.getpid).values())) == request.param
        assert "8787" not in cluster.dashboard_link  # Dask's port for its pages may be another cluster's: a warning
        yield client


def embedding_on(shards):
    rows = CLASSES // shards
    chunks = ((rows,) * shards, (SIZE,))
    return da.map_blocks(rows_of_shard, rows, SIZE, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))


def in_one_process(embedding):
    """Return loss, gradients and how far each entry may be off."""
    logits = HIDDEN @ embedding.T
    losses = sparse_softmax_cross_entropy_with_logits(LABELS, logits, ignore_label=IGNORED)
    gradient = sparse_softmax_cross_entropy_gradient(LABELS, logits, ignore_label=IGNORED) * WEIGHTS[:, np.newaxis]
    # logits of other blocks are rounded sums of 32 products: their errors shift exponents, and so does the merge's bound
    shift = EPS * (4 + 2 * np.abs(HIDDEN).sum(axis=-1).max() * np.abs(embedding).max() + np.ptp(logits) + 4 * 8)
    size = np.abs(gradient)
    tolerances = (
        shift,
        (shift + TOKENS * EPS) * (size @ np.abs(embedding)),
        (shift + TOKENS * EPS) * (size.T @ np.abs(HIDDEN)),
    )
    return (losses, gradient @ embedding, gradient.T @ HIDDEN), tolerances


def assert_equal(record, by_hidden, by_embedding, embedding):
    (losses, *gradients), (shift, *tolerances) = in_one_process(embedding)
    computed = np.where(LABELS == IGNORED, 0, (record["m"] - record["x_y"]) + np.log1p(record["r"]))
    np.testing.assert_allclose(computed, losses, rtol=0, atol=shift * max(1, losses.max()))
    for ours, theirs, tolerance in zip((by_hidden, by_embedding), gradients, tolerances, strict=True):
        assert np.any(theirs)
        assert np.all(np.abs(ours - theirs) <= tolerance)


@pytest.mark.parametrize("client", [2, 4], indirect=True)
def test_processes_give_the_loss_and_gradients_of_one_and_move_the_bytes_counted(client):
    workers = len(client.scheduler_info()["workers"])
    embedding = embedding_on(workers).persist()
    batch = client.scatter(BATCH, broadcast=True)
    wait(embedding)
    assert len(set(client.who_has(embedding).values())) == workers  # a shard for each
    before = bytes_moved(client)

    total = forward_plan(embedding, batch, TOKENS).persist()
    wait(total)
    after_forward = bytes_moved(client)
    by_hidden, by_embedding = dask.persist(*backward_plan(embedding, batch, total))
    wait([by_hidden, by_embedding])
    moved = {"forward": after_forward - before, "backward": bytes_moved(client) - after_forward}

    assert moved == bytes_by_hand(workers, SIZE, TOKENS)
    gathered = TOKENS * CLASSES * 4 * (workers - 1) // workers
    assert moved["forward"] * 100 < gathered
    homes = [sorted(client.who_has(array).values()) for array in (embedding, by_embedding)]
    assert homes[0] == homes[1]  # the embedding's gradient is where its rows are
    assert_equal(total.compute()[0], by_hidden.compute(), by_embedding.compute(), embedding.compute())


@pytest.mark.parametrize("client", [2], indirect=True)
def test_dask_counts_what_goes_over_the_wire(client):
    array = client.submit(np.ones, 100_000, workers=[min(client.scheduler_info()["workers"])])
    wait(array)
    before = bytes_moved(client)
    wait(client.submit(np.sum, array, workers=[max(client.scheduler_info()["workers"])]))
    assert bytes_moved(client) - before == 800_000
    logs = client.run(lambda dask_worker: list(dask_worker.transfer_outgoing_log)).values()
    [sent] = [entry for log in logs for entry in log if array.key in entry["keys"] and entry["total"] == 800_000]
    assert 800_000 < sent["compressed"] < 801_000  # what was written to the socket: the array, and a header


@pytest.mark.parametrize("client", [2], indirect=True)
def test_a_worker_that_dies_in_the_backward_pass_changes_nothing(client, tmp_path, monkeypatch):
    mark = tmp_path / "died"

    def dies_once(shard, first, batch, total):
        if first:  # the second shard's task; it finds the mark when it is run again
            try:
                mark.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os._exit(1)
        return shard_gradients(shard, first, batch, total)

    embedding = embedding_on(2).persist()
    batch = client.scatter(BATCH, broadcast=True)
    before = set(client.run(os.getpid).values())
    total = forward_plan(embedding, batch, TOKENS).persist()
    wait(total)
    monkeypatch.setattr(shards, "shard_gradients", dies_once)
    plans = backward_plan(embedding, batch, total)
    by_hidden, by_embedding = client.gather(client.compute(plans))

    assert mark.exists()
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != before  # another process has taken the place of the dead one
    assert_equal(total.compute()[0], by_hidden, by_embedding, embedding.compute())
