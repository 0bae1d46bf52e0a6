"""The losses of a corpus on Dask: equal to one process, for any chunks and shards, and in spite of a worker that dies."""

import os
import signal

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster, wait
from distributed.client import FutureCancelledError

from helpers.categorical import sparse_softmax_cross_entropy_with_logits
from measure.shards import LOCAL, losses_on_dask, normal_matrix, normal_rows, shard_record

pytestmark = pytest.mark.slow

TOKENS, SIZE, CLASSES, IGNORED = 300, 32, 6000, -100
EPS = float(np.finfo(np.float32).eps)
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has the second alone, and ends a process by it as hard
LABELS = np.random.default_rng(0).integers(0, CLASSES, TOKENS)
LABELS[::10] = IGNORED


def plan(chunks=(100, 200), shards=(2000, 17, 3983), labels=LABELS):
    hidden, embedding = normal_matrix(chunks, SIZE, 1, 0), normal_matrix(shards, SIZE, 1, 1)
    return hidden, embedding, losses_on_dask(hidden, embedding, da.from_array(labels, chunks=len(labels)))


def assert_right(losses, hidden, embedding):
    logits = hidden.astype(float) @ embedding.T.astype(float)
    expected = sparse_softmax_cross_entropy_with_logits(LABELS, logits, ignore_label=IGNORED)
    # a logit is a rounded sum of 32 products; its error shifts m - x_y, and each merge adds at most half of its shift
    sizes = (np.abs(hidden) @ np.abs(embedding).T).max()
    atol = EPS * (SIZE * sizes + 4 * 8 + np.ptp(logits))
    np.testing.assert_allclose(losses, expected, rtol=0, atol=atol)
    assert losses.dtype == np.float32
    assert np.all(losses[::10] == 0)


@pytest.mark.parametrize("chunks", [(300,), (100, 200), (1, 299), (7, 93, 200)])
@pytest.mark.parametrize(
    "shards", [(6000,), (3000, 3000), (2000, 17, 3983), (1, 5999), (1999, 1999, 1999, 3), (857,) * 7 + (1,)]
)
def test_any_number_and_size_of_chunks_and_shards_is_right(chunks, shards):
    hidden, embedding, losses = plan(chunks, shards)
    with dask.config.set(scheduler="synchronous"):
        losses, by_row = dask.compute(losses, [hidden, embedding])
    assert_right(losses, *by_row)


def test_vocabulary_of_gpt2_in_three_shards_keeps_its_last_classes():
    hidden, embedding = normal_matrix((4,), SIZE, 1, 0), normal_matrix((16_753, 16_752, 16_752), SIZE, 1, 1)
    labels = np.array([0, 16_752, 16_753, 50_256])  # either side of a border, and the last one
    plans = losses_on_dask(hidden, embedding, da.from_array(labels, chunks=4)), hidden, embedding
    with dask.config.set(scheduler="synchronous"):
        losses, hidden, embedding = dask.compute(*plans)
    expected = sparse_softmax_cross_entropy_with_logits(labels, hidden.astype(float) @ embedding.T.astype(float))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)  # float32 logits of up to 30, summed in another order


@pytest.mark.parametrize("label", [CLASSES, -1, -99])
def test_label_that_is_no_class_is_an_error(label):
    labels = LABELS.copy()
    labels[7] = label
    _, _, losses = plan(labels=labels)
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match=rf"in \[0, 6000\) or -100, got {label}"):
        losses.compute()


def test_no_process_holds_all_logits_of_its_shard(monkeypatch):
    widths = []

    def watched(x):
        widths.append(x.shape[-1])
        return np.zeros(x.shape[:-1], "f4"), np.zeros(x.shape[:-1], "f4")

    monkeypatch.setattr("measure.shards.largest_and_rest", watched)
    shard_record(np.zeros((3, 2), "f4"), np.zeros((5000, 2), "f4"), np.zeros(3, int), np.arange(5000))
    assert widths == [2048, 2048, 904]


@pytest.fixture(scope="module")
def client():
    with LocalCluster(n_workers=2, **LOCAL) as cluster, Client(cluster) as client:
        assert len(set(client.run(os.getpid).values())) == 2
        assert "8787" not in cluster.dashboard_link  # Dask's port for its pages may be another cluster's: a warning
        yield client


def test_result_comes_although_a_worker_dies_in_the_middle(client, tmp_path, monkeypatch):
    mark = tmp_path / "died"

    def dies_once(*arguments, block_info):
        if block_info[None]["chunk-location"] == (1, 0):  # the task finds the mark when it is run again
            try:
                mark.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), KILL)
        return normal_rows(*arguments, block_info=block_info)

    monkeypatch.setattr("measure.shards.normal_rows", dies_once)
    before = set(client.run(os.getpid).values())
    hidden, embedding, losses = plan((100, 100, 100))
    computed = client.gather(client.compute([losses, hidden, embedding]))
    assert mark.exists()
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != before  # another process has taken the place of the dead one
    assert_right(*computed)


def test_embedding_that_no_task_can_make_again_is_lost_with_its_worker(client):
    worker = min(client.scheduler_info()["workers"])
    trained = client.scatter(np.ones((10, SIZE), "f4"), workers=[worker], hash=False)
    wait(trained)
    pid = client.run(os.getpid)[worker]
    os.kill(pid, KILL)
    with pytest.raises(FutureCancelledError):
        trained.result(timeout=60)
    client.wait_for_workers(2, timeout=60)
