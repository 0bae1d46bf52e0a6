"""Loss and gradients of a large vocabulary on Dask, with the embedding spread over single-threaded processes.

    python -m measure.shards WORKERS CLASSES

The forward pass reduces each shard's logits to three numbers for each token, and Dask merges them as a tree. The backward
pass makes the logits again; the shares of the gradient by the hidden states are summed as a tree, and the gradient by the
embedding stays where its rows are. This file imports nothing large, because every worker's process imports it.
"""

import argparse
import json
import logging
import time
from collections.abc import Iterator

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait
from numpy.typing import NDArray

from helpers.streaming import largest_and_rest, merge_largest_and_rest

TOKENS = 1024
RECORD = np.dtype([("m", "f4"), ("r", "f4"), ("x_y", "f4")])
DASK = {
    # hidden states that every worker has look redundant to the memory manager, which would delete them, to be sent again
    "distributed.scheduler.active-memory-manager.start": False,
    # a process that is done early would take over another's task, and fetch its shard
    "distributed.scheduler.work-stealing": False,
}
# Dask's own port for its pages, 8787, may be taken by another cluster on this machine, and None stands for that port.
LOCAL = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
PASSES = "forward", "backward"
Batch = tuple[NDArray, NDArray, NDArray]  # hidden states, labels, and the weight of each token in the mean


def rows_of_shard(rows: int, size: int, block_id: tuple[int, int]) -> NDArray:
    """Return one process's rows of the embedding, from a seed: what is lost with a process can be made again."""
    return np.float32(0.1) * np.random.default_rng([1, block_id[0]]).standard_normal((rows, size), np.float32)


def blocks_of_shard(
    shard: NDArray, first: int, hidden: NDArray, width: int = 2048
) -> Iterator[tuple[int, NDArray, NDArray]]:
    """Yield first class, rows and logits of a shard's blocks, so that no process holds all logits of its own shard."""
    for start in range(0, len(shard), width):
        rows = shard[start : start + width]
        yield first + start, rows, hidden @ rows.T


def shard_record(shard: NDArray, batch: Batch, block_id: tuple[int, int]) -> NDArray:
    """Reduce the logits of a shard to one record for each token: the pair (m, r), and the label's logit or -inf."""
    hidden, labels, _ = batch
    record = np.array([(-np.inf, 0, -np.inf)], RECORD).repeat(len(labels))
    for start, _, x in blocks_of_shard(shard, block_id[0] * len(shard), hidden):
        record["m"], record["r"] = merge_largest_and_rest((record["m"], record["r"]), largest_and_rest(x))
        here = (start <= labels) & (labels < start + x.shape[-1])
        record["x_y"][here] = x[here, labels[here] - start]
    return record[np.newaxis]


def merge_records(records: NDArray, axis: tuple[int], keepdims: bool) -> NDArray:
    """Merge the records of several shards, one row for each, into one row."""
    merged = records[:1].copy()
    for other in records[1:]:
        merged["m"], merged["r"] = merge_largest_and_rest((merged["m"][0], merged["r"][0]), (other["m"], other["r"]))
        merged["x_y"] = np.maximum(merged["x_y"], other["x_y"])
    return merged


def shard_gradients(shard: NDArray, first: int, batch: Batch, total: NDArray) -> tuple[NDArray, NDArray]:
    """Return a shard's share of the gradient by the hidden states, and the gradient by its own rows."""
    hidden, labels, weights = batch
    m, r, x_y = (total[name][0] for name in RECORD.names)
    others = np.where(x_y == m, r / (1 + r), 1 - np.exp(x_y - m) / (1 + r))
    by_hidden, by_rows = np.zeros_like(hidden), np.empty_like(shard)
    for start, rows, x in blocks_of_shard(shard, first, hidden):
        gradient = np.exp(x - m[:, np.newaxis]) / (1 + r)[:, np.newaxis]
        here = (start <= labels) & (labels < start + len(rows))
        gradient[here, labels[here] - start] = -others[here]
        gradient *= weights[:, np.newaxis]
        by_hidden += gradient @ rows
        by_rows[start - first : start - first + len(rows)] = gradient.T @ hidden
    return by_hidden, by_rows


def forward_plan(embedding: da.Array, batch: Batch, tokens: int = TOKENS) -> da.Array:
    """Return the records of all shards, merged by Dask's tree, as an array of one row."""
    meta = {"dtype": RECORD, "meta": np.empty((0, 0), RECORD)}
    chunks = ((1,) * embedding.numblocks[0], (tokens,))
    records = embedding.map_blocks(shard_record, batch=batch, chunks=chunks, **meta)
    merge = {"chunk": merge_records, "combine": merge_records, "aggregate": merge_records}
    return da.reduction(records, **merge, axis=0, keepdims=True, split_every=2, **meta)


def backward_plan(embedding: da.Array, batch: Batch, total: da.Array) -> tuple[da.Array, da.Array]:
    """Return the gradient by the hidden states, summed by Dask's tree, and that by the embedding, which stays in place."""
    rows, size = embedding.chunksize
    [[record]] = total.to_delayed()
    shares = [
        dask.delayed(shard_gradients, nout=2)(shard, number * rows, batch, record)
        for number, shard in enumerate(embedding.to_delayed().ravel())
    ]
    by_hidden = [da.from_delayed(share, (total.shape[1], size), np.float32) for share, _ in shares]
    by_rows = [da.from_delayed(share, (rows, size), np.float32) for _, share in shares]
    return da.stack(by_hidden).sum(axis=0, split_every=2), da.concatenate(by_rows)


def bytes_moved(client: Client) -> int:
    """Return how many bytes the workers have fetched from each other so far, by their own logs."""
    logs = client.run(lambda dask_worker: [entry["total"] for entry in dask_worker.transfer_incoming_log])
    return sum(map(sum, logs.values()))


def on_dask(workers: int, classes: int, size: int = 256, repeats: int = 5) -> dict:
    """Return times and bytes moved of loss and gradients, with one shard of the embedding for each process."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, TOKENS)
    batch = rng.standard_normal((TOKENS, size), np.float32), labels, np.full(TOKENS, 1 / TOKENS, np.float32)
    rows = classes // workers
    shard = {"chunks": ((rows,) * workers, (size,)), "dtype": np.float32, "meta": np.empty((0, 0), np.float32)}
    with (
        dask.config.set(DASK),
        LocalCluster(n_workers=workers, threads_per_worker=1, memory_limit=0, **LOCAL) as cluster,
        Client(cluster) as client,
    ):
        embedding = da.map_blocks(rows_of_shard, rows, size, **shard).persist()
        wait(embedding)
        # without the hash, a batch scattered again is another batch, and nothing is known of it
        passes = [both_passes(client, embedding, client.scatter(batch, broadcast=True, hash=False)) for _ in range(repeats)]
    seconds, moved, record = zip(*passes, strict=True)
    loss = ((record[0]["m"] - record[0]["x_y"]) + np.log1p(record[0]["r"])).mean(dtype=float)
    return {
        "workers": workers,
        "classes": classes,
        "seconds": dict(zip(PASSES, np.min(seconds, axis=0).round(3).tolist(), strict=True)),
        "bytes_moved": dict(zip(PASSES, np.max(moved, axis=0).tolist(), strict=True)),
        "bytes_by_hand": bytes_by_hand(workers, size),
        "bytes_of_gathered_logits": (classes - rows) * TOKENS * 4,
        "loss": float(loss),
    }


def both_passes(client: Client, embedding: da.Array, batch: Batch) -> tuple[NDArray, NDArray, NDArray]:
    """Return seconds and bytes moved of the two passes, and the merged record of each token."""
    start = time.perf_counter(), bytes_moved(client)
    total = forward_plan(embedding, batch).persist()
    wait(total)
    middle = time.perf_counter(), bytes_moved(client)
    wait(dask.persist(*backward_plan(embedding, batch, total)))
    end = time.perf_counter(), bytes_moved(client)
    seconds, moved = np.diff([start, middle, end], axis=0).T
    return seconds, moved.astype(int), total.compute()[0]


def bytes_by_hand(workers: int, size: int, tokens: int = TOKENS) -> dict[str, int]:
    """Return what has to move between processes: each but one hands on a record, and gets the total, and sends its share."""
    record, gradient = tokens * RECORD.itemsize, tokens * size * 4
    return {"forward": (workers - 1) * record, "backward": (workers - 1) * (record + gradient)}


def main() -> None:
    """Print what one cluster took."""
    parser = argparse.ArgumentParser(description="Measure loss and gradients on Dask.")
    parser.add_argument("workers", type=int)
    parser.add_argument("classes", type=int)
    options = parser.parse_args()
    print(json.dumps(on_dask(options.workers, options.classes)))


if __name__ == "__main__":
    main()
