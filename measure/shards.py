"""Score a corpus that outgrows one process, on Dask: the loss of each token from shards of the corpus and of the embedding.

    python -m measure.shards WORKERS CLASSES

Each pair of a chunk of tokens and a shard of classes becomes one record for each token, and Dask merges the records of a
chunk as a tree. Chunks and shards may be of any number and any size. This file imports nothing large, because every worker's
process imports it.
"""

import argparse
import json
import logging
import time
from functools import partial

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait
from numpy.typing import NDArray

from helpers.streaming import largest_and_rest, merge_largest_and_rest

RECORD = np.dtype([("m", "f4"), ("r", "f4"), ("x_y", "f4")])
TOKENS, CHUNK, SIZE = 4096, 1024, 256
# Dask's own port for its pages, 8787, may be taken by another cluster on this machine, and None stands for that port.
LOCAL = {
    "threads_per_worker": 1,
    "host": "127.0.0.1",
    "dashboard_address": "127.0.0.1:0",
    "silence_logs": logging.CRITICAL,
}


def shard_record(hidden: NDArray, rows: NDArray, labels: NDArray, classes: NDArray, width: int = 2048) -> NDArray:
    """Reduce a shard's logits to one record for each token: the pair (m, r), and the label's logit or -inf.

    ``classes`` are the numbers of the shard's classes, so a shard need not know the sizes of those before it.
    """
    record = np.array([(-np.inf, 0, -np.inf)], RECORD).repeat(len(labels))
    for k in range(0, len(rows), width):
        x = hidden @ rows[k : k + width].T
        record["m"], record["r"] = merge_largest_and_rest((record["m"], record["r"]), largest_and_rest(x))
        place = labels - classes[k]
        here = (place >= 0) & (place < x.shape[-1])
        record["x_y"][here] = x[here, place[here]]
    return record[:, np.newaxis]


def merge_records(records: NDArray, axis: tuple[int], keepdims: bool) -> NDArray:
    """Merge the records of several shards, one column for each, into one column."""
    merged = records[:, :1].copy()
    for other in records.T[1:]:
        merged["m"][:, 0], merged["r"][:, 0] = merge_largest_and_rest(
            (merged["m"][:, 0], merged["r"][:, 0]), (other["m"], other["r"])
        )
        merged["x_y"][:, 0] = np.maximum(merged["x_y"][:, 0], other["x_y"])
    return merged


def losses_of_records(records: NDArray, labels: NDArray, classes: int, ignore_label: int) -> NDArray:
    """Return each token's loss, 0 where the label is to be ignored. Any other label that is no class is an error."""
    ignored = labels == ignore_label
    wrong = ~ignored & ((labels < 0) | (labels >= classes))
    if wrong.any():
        raise ValueError(f"labels must be in [0, {classes}) or {ignore_label}, got {labels[wrong][0]}")
    m, r, x_y = (records[name][:, 0] for name in RECORD.names)
    return np.where(ignored, 0, (m - x_y) + np.log1p(r))


def losses_on_dask(hidden: da.Array, embedding: da.Array, labels: da.Array, ignore_label: int = -100) -> da.Array:
    """Return the plan for the losses of all tokens: nothing is computed yet."""
    classes = embedding.shape[0]
    numbers = da.arange(classes, chunks=embedding.chunks[:1])
    meta = {"dtype": RECORD, "meta": np.empty((0, 0), RECORD)}
    pairs = hidden, "td", embedding, "vd", labels, "t", numbers, "v"
    records = da.blockwise(shard_record, "tv", *pairs, adjust_chunks={"v": lambda _: 1}, concatenate=True, **meta)
    tree = dict.fromkeys(("chunk", "combine", "aggregate"), merge_records)
    records = da.reduction(records, **tree, axis=1, keepdims=True, split_every=2, **meta)
    last = partial(losses_of_records, classes=classes, ignore_label=ignore_label)
    return da.blockwise(last, "t", records, "tv", labels, "t", concatenate=True, dtype="f4", meta=np.empty(0, "f4"))


def normal_rows(size: int, scale: float, seed: int, block_info: dict) -> NDArray:
    """Return one chunk of a matrix from a seed and its place: what is lost with a process can be made again."""
    (start, stop), _ = block_info[None]["array-location"]
    return np.float32(scale) * np.random.default_rng([seed, start]).standard_normal((stop - start, size), np.float32)


def normal_matrix(chunks: tuple[int, ...], size: int, scale: float, seed: int) -> da.Array:
    """Return a matrix whose chunks of rows are made where they are needed."""
    shape = {"chunks": (tuple(chunks), (size,)), "dtype": "f4", "meta": np.empty((0, 0), "f4")}
    return da.map_blocks(partial(normal_rows, size, scale, seed), **shape)


def on_dask(workers: int, classes: int, repeats: int = 3) -> dict:
    """Return the time and the mean loss of a corpus, with one shard of the embedding for each process."""
    hidden = normal_matrix((CHUNK,) * (TOKENS // CHUNK), SIZE, 1, 0)
    labels = da.from_array(np.random.default_rng(2).integers(0, classes, TOKENS), chunks=CHUNK)
    shards = np.diff(np.linspace(0, classes, workers + 1).astype(int)).tolist()
    with LocalCluster(n_workers=workers, memory_limit=0, **LOCAL) as cluster, Client(cluster):
        embedding = normal_matrix(shards, SIZE, 0.1, 1).persist()
        wait(embedding)
        mean, seconds = losses_on_dask(hidden, embedding, labels).mean(dtype=float), []
        for _ in range(repeats):
            start = time.perf_counter()
            [loss] = dask.compute(mean)
            seconds.append(time.perf_counter() - start)
    return {
        "workers": workers,
        "classes": classes,
        "tokens": TOKENS,
        "seconds": round(min(seconds), 3),
        "loss": float(loss),
    }


def main() -> None:
    """Print what one cluster took."""
    parser = argparse.ArgumentParser(description="Measure the losses of a corpus on Dask.")
    parser.add_argument("workers", type=int)
    parser.add_argument("classes", type=int)
    options = parser.parse_args()
    print(json.dumps(on_dask(options.workers, options.classes)))


if __name__ == "__main__":
    main()
