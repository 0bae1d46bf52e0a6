"""Measure what the loss of a large vocabulary takes, whole and in blocks, and write the record ``vocabulary``.

    python -m measure.vocabulary [--quick] [--output FILE]

- Memory and time of the loss of 1,024 tokens and of its gradients by hidden states and embedding, in TensorFlow: the dense
  loss beside one that makes the logits in blocks. Each is measured in a process of its own, in ``tf.function``, and for one
  size eagerly and compiled by XLA too. The memory is how far the resident memory rises during one call, as in speed.py, but
  without what the allocator keeps after it was freed. Hidden states and embedding don't count, but their gradients do.
- Error of the loss and of the embedding's gradient when the chunks of a batch are added up in bfloat16, in float32, and in
  bfloat16 with the error of each addition carried along. The batch is bfloat16; the truth is float64.
- Time of the losses of a corpus on Dask, with the embedding spread over single-threaded processes: by the size of the
  vocabulary, and by the number of processes.

A time is the shortest of five, because what else the machine does only adds to it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import ml_dtypes
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from helpers import records
from helpers.recipes.tensorflow_blocked import blocked_cross_entropy
from measure.machine import about, peak_bytes_alive

TOKENS = 1024

# TensorFlow: the logits whole, and in blocks of classes


def dense_loss(hidden: tf.Tensor, embedding: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the loss of each token, from logits that are held whole."""
    logits = tf.matmul(hidden, embedding, transpose_b=True)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


LOSSES = {"dense": dense_loss, "blocked": blocked_cross_entropy}


def in_this_process(form: str, how: str, classes: int, repeats: int, size: int = 256) -> dict:
    """Return memory and time of one form of the loss and its gradients."""
    random = tf.random.Generator.from_seed(0)
    hidden, embedding = random.normal((TOKENS, size)), 0.1 * random.normal((classes, size))
    labels = random.uniform((TOKENS,), 0, classes, tf.int32)

    def gradients(hidden, embedding):
        with tf.GradientTape() as tape:
            tape.watch([hidden, embedding])
            loss = tf.reduce_mean(LOSSES[form](hidden, embedding, labels))
        return loss, *tape.gradient(loss, [hidden, embedding])

    if how != "eager":
        gradients = tf.function(gradients, jit_compile=how == "XLA")

    def call():
        loss, *_ = gradients(hidden, embedding)
        return float(loss)  # waits for it

    peak, times = peak_bytes_alive(call), []
    for _ in range(repeats):
        start = time.perf_counter()
        loss = call()
        times.append(time.perf_counter() - start)
    seconds = round(min(times), 3)
    return {"form": form, "how": how, "classes": classes, "peak_bytes": peak, "seconds": seconds, "loss": loss}


def in_its_own_process(module: str, *arguments: str | int) -> dict:
    """Return what one of the modules prints, so that no measurement finds the memory or the threads of another."""
    command = [sys.executable, "-m", f"measure.{module}", *map(str, arguments)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf8", cwd=Path(__file__).parents[1])
    return json.loads(run.stdout)


# NumPy: chunks of tokens, added up in several types

Sum = tuple[NDArray, NDArray]  # the sum, and what its rounding has left out


def bfloat16(array: NDArray) -> NDArray:
    """Round to bfloat16, and go on in float32."""
    return np.asarray(array).astype(ml_dtypes.bfloat16).astype(np.float32)


def add_in_bfloat16(total: Sum, part: NDArray) -> Sum:
    """Add and round."""
    return bfloat16(total[0] + part), total[1]


def add_in_float32(total: Sum, part: NDArray) -> Sum:
    """Add in float32."""
    return total[0] + part, total[1]


def add_compensated(total: Sum, part: NDArray) -> Sum:
    """Add and round to bfloat16, and keep the rounding error, in bfloat16 too, for the next addition."""
    whole = total[0] + (part + total[1])
    rounded = bfloat16(whole)
    return rounded, bfloat16(whole - rounded)


SUMS = {"bfloat16": add_in_bfloat16, "float32": add_in_float32, "bfloat16, compensated": add_compensated}


def bfloat16_batch(size: int = 64, classes: int = 8192) -> tuple[NDArray, NDArray, NDArray]:
    """Return hidden states, embedding and labels, the first two rounded to bfloat16."""
    rng = np.random.default_rng(0)
    hidden, embedding = rng.standard_normal((TOKENS, size)), 0.3 * rng.standard_normal((classes, size))
    return bfloat16(hidden), bfloat16(embedding), rng.integers(0, classes, TOKENS)


def chunk_of_tokens(hidden: NDArray, embedding: NDArray, labels: NDArray, tokens: int = TOKENS) -> tuple[NDArray, NDArray]:
    """Return what a chunk adds to the mean loss (minus the labels' logits, and the logarithms) and to the gradient."""
    x = hidden @ embedding.T
    x -= x.max(axis=-1, keepdims=True)
    picked = x[np.arange(len(labels)), labels]
    p = np.exp(x)
    total = p.sum(axis=-1)
    loss = np.array([-picked.sum(), np.log(total).sum()]) / tokens
    p /= total[:, np.newaxis] * tokens
    p[np.arange(len(labels)), labels] -= 1 / tokens
    return loss.astype(x.dtype), p.T @ hidden


def accumulated(chunk: int, batch: tuple[NDArray, NDArray, NDArray]) -> Iterator[tuple[str, float, NDArray]]:
    """Yield the mean loss and the embedding's gradient of a batch in chunks of so many tokens, for each type of the sum."""
    hidden, embedding, labels = batch
    losses = dict.fromkeys(SUMS, (np.float32(0), np.float32(0)))
    gradients = dict.fromkeys(SUMS, (np.zeros_like(embedding), np.float32(0)))
    for start in range(0, TOKENS, chunk):
        tokens = slice(start, start + chunk)
        terms, by_embedding = chunk_of_tokens(hidden[tokens], embedding, labels[tokens])
        for name, add in SUMS.items():
            for term in terms:
                losses[name] = add(losses[name], term)
            gradients[name] = add(gradients[name], by_embedding)
    for name in SUMS:
        yield name, float(sum(losses[name])), sum(gradients[name])


def errors_of_sums(chunks: list[int]) -> Iterator[dict]:
    """Yield the relative errors of loss and gradient for each size of the chunks and each type of the sum."""
    hidden, embedding, labels = batch = bfloat16_batch()
    exact_terms, exact_gradient = chunk_of_tokens(hidden.astype(float), embedding.astype(float), labels)
    exact = exact_terms.sum()

    def relative_error(gradient):
        return float(f"{np.linalg.norm(gradient - exact_gradient) / np.linalg.norm(exact_gradient):.3g}")

    for chunk in chunks:
        for name, loss, gradient in accumulated(chunk, batch):
            yield {
                "chunks": TOKENS // chunk,
                "sum": name,
                "loss": round(loss, 6),
                "exact_loss": round(float(exact), 6),
                "loss_error": float(f"{abs(loss / exact - 1):.3g}"),
                "gradient_error": relative_error(gradient),
                "gradient_error_handed_on_in_bfloat16": relative_error(bfloat16(gradient)),
            }


def main() -> None:
    """Measure, print and write the file; or measure one form of the loss in this process, and print that."""
    parser = argparse.ArgumentParser(description="Measure what the loss of a large vocabulary takes.")
    parser.add_argument("--quick", action="store_true", help="measure small vocabularies only")
    parser.add_argument("--output", type=Path, default=records.path("vocabulary"))
    parser.add_argument("--one", nargs=3, metavar=("FORM", "HOW", "CLASSES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        form, how, classes = options.one
        print(json.dumps(in_this_process(form, how, int(classes), repeats=1 if options.quick else 5)))
        return

    cases = [("graph", 2**k) for k in (13, 15, 17, 18)] + [("eager", 2**15), ("XLA", 2**15)]
    chunks = [2**k for k in range(10, -1, -1)]
    clusters = [(2, 2**k) for k in (13, 14, 15)] + [(1, 2**14), (4, 2**14)]
    if options.quick:
        cases, chunks, clusters = cases[:1], chunks[:5:4], clusters[:1]
    tables = {
        "memory": (in_its_own_process("vocabulary", "--one", form, *case) for case in cases for form in LOSSES),
        "sums": errors_of_sums(chunks),
        "dask": (in_its_own_process("shards", *cluster) for cluster in clusters),
    }
    modules = {"NumPy": np, "ml_dtypes": ml_dtypes, "TensorFlow": tf, "Dask": dask, "distributed": distributed}
    results = about(modules, cores_used=os.cpu_count())
    for name, rows in tables.items():
        results[name] = []
        for row in rows:
            print(name, row)
            results[name].append(row)
    options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
