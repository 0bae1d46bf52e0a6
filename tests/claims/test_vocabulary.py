"""The losses of a large vocabulary, in blocks and over devices, equal the dense one, and their record is whole.

What XLA's processes print and the two processes of one program are tested in processes of their own, because the number of
JAX's devices is fixed when it starts.
"""

import ast
import datetime
import json
import os
import platform
import socket
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import ml_dtypes
import nbformat
import numpy as np
import pytest
import tensorflow as tf

from helpers import records
from helpers.precision import error_in_eps, exact_softmax_cross_entropy, exact_softmax_cross_entropy_gradient
from helpers.recipes import jax_sharded, tensorflow_blocked
from helpers.recipes.tensorflow_blocked import blocked_cross_entropy
from measure import shards, vocabulary
from measure.shards import on_dask
from measure.vocabulary import dense_loss

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RECORD = records.load("vocabulary")
EPS = float(np.finfo(np.float32).eps)

WAYS = {"eager": lambda function: function, "graph": tf.function, "XLA": partial(tf.function, jit_compile=True)}
in_every_way = pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)


def batch(tokens=50, size=16, classes=1000, seed=0):
    rng = np.random.default_rng(seed)
    hidden, embedding = rng.standard_normal((tokens, size), np.float32), rng.standard_normal((classes, size), np.float32)
    return tf.constant(hidden), tf.constant(embedding), tf.constant(rng.integers(0, classes, tokens))


def with_gradients(loss, hidden, embedding, labels, upstream=None):
    with tf.GradientTape() as tape:
        tape.watch([hidden, embedding])
        losses = loss(hidden, embedding, labels)
    return losses, *tape.gradient(losses, [hidden, embedding], upstream)


def functions(source):
    """Return the functions of a source by name, without docstrings and type hints, as text that no line length changes."""
    found = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    for node in found.values():
        node.returns = None
        for argument in node.args.args:
            argument.annotation = None
        if ast.get_docstring(node):
            node.body = node.body[1:]
    return {name: ast.dump(node) for name, node in found.items()}


@pytest.mark.parametrize("module", [jax_sharded, tensorflow_blocked, shards], ids=lambda module: module.__name__)
def test_chapter_shows_the_functions_that_are_tested(module):
    cells = nbformat.read(ROOT / "chapters" / "large-vocabularies.ipynb", as_version=4).cells
    shown = functions("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    tested = functions(Path(module.__file__).read_text(encoding="utf8"))
    if module is shards:
        tested = {name: body for name, body in tested.items() if name not in ("on_dask", "main")}
    assert tested
    assert {name: shown.get(name) for name in tested} == tested


# --- the loss in blocks ---


@in_every_way
@pytest.mark.parametrize("width", [1, 7, 64, 299, 300, 2048])
def test_blocks_of_any_width_give_the_dense_loss_and_gradients(how, width):
    hidden, embedding, labels = batch(classes=300)
    upstream = tf.constant(np.random.default_rng(1).random(50, np.float32))
    loss = partial(blocked_cross_entropy, width=width)
    blocked = how(lambda: with_gradients(loss, hidden, embedding, labels, upstream))()
    dense = with_gradients(dense_loss, hidden, embedding, labels, upstream)
    # the dense op subtracts logits of up to 20 from each other, and each product is a sum of 16 or 300 rounded terms
    for ours, theirs in zip(blocked, dense, strict=True):
        scale = float(tf.reduce_max(tf.abs(theirs)))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=64 * EPS * scale)


@in_every_way
def test_sequences_keep_their_shape_and_their_losses(how):
    hidden, embedding, labels = batch(tokens=30)
    loss = how(lambda *given: with_gradients(partial(blocked_cross_entropy, width=300), *given))
    flat = loss(hidden, embedding, labels)
    shaped = loss(tf.reshape(hidden, (5, 6, 16)), embedding, tf.reshape(labels, (5, 6)))
    for ours, theirs, shape in zip(shaped, flat, ((5, 6), (5, 6, 16), (1000, 16)), strict=True):
        assert ours.shape == shape
        np.testing.assert_array_equal(np.ravel(ours), np.ravel(theirs))


@in_every_way
def test_gradients_keep_the_digits_that_the_dense_op_loses(how):
    embedding = tf.constant(np.float32([[20, 1], [0, 3], [0, -1], [0, 2]]))  # the logits are its first column
    hidden, labels = tf.constant([[1.0, 0.0]]), tf.constant([0])
    loss, by_hidden, _ = how(lambda: with_gradients(partial(blocked_cross_entropy, width=3), hidden, embedding, labels))()
    assert error_in_eps(loss[0], exact_softmax_cross_entropy(0, [20, 0, 0, 0]), "float32") < 4
    share = exact_softmax_cross_entropy_gradient(0, [20, 0, 0, 0])[1]
    for computed, exact in zip(by_hidden[0], (-60 * share, (-3 + 3 - 1 + 2) * share), strict=True):
        # a sum of four terms, of which the largest is 3 shares times 20 or 3
        assert abs(float(computed) - exact) <= 8 * EPS * 60 * share
    _, theirs, _ = with_gradients(dense_loss, hidden, embedding, labels)
    assert abs(float(theirs[0, 0]) / float(-60 * share)) < 0.01  # nothing of it is left


@in_every_way
@pytest.mark.parametrize("width", [3, 5, 40])
def test_losses_from_exact_logits_agree_with_mpmath(how, width):
    rng = np.random.default_rng(5)
    rows = np.round(16 * 4 * rng.standard_normal((40, 4))) / 16
    hidden = np.round(4 * rng.standard_normal((30, 4))) / 4  # so every product of the two is exact in float32
    labels = np.where(np.arange(30) % 2, (hidden @ rows.T).argmax(axis=-1), rng.integers(0, 40, 30))
    given = tf.constant(hidden, tf.float32), tf.constant(rows, tf.float32), tf.constant(labels)
    losses = how(lambda: blocked_cross_entropy(*given, width=width))().numpy()
    for loss, label, x in zip(losses, labels, hidden @ rows.T, strict=True):
        # 4 eps for each block, and half an eps for each unit of the spread of the logits, as for helpers.streaming
        bound = 4 * -(-40 // width) + (40 + np.ptp(x)) / 2
        assert error_in_eps(loss, exact_softmax_cross_entropy(int(label), x), "float32") < bound


@in_every_way
@pytest.mark.parametrize("label", [1000, -1, -99, 2**40])
def test_label_that_is_no_class_costs_nan_and_its_neighbors_do_not(how, label):
    hidden, embedding, labels = batch(tokens=6)
    wrong = tf.concat([[label], labels[1:]], axis=0)
    loss = partial(blocked_cross_entropy, width=300)
    losses, by_hidden, by_embedding = how(lambda: with_gradients(loss, hidden, embedding, wrong))()
    assert np.isnan(losses[0])
    assert np.isnan(by_hidden[0]).all()
    assert np.isnan(by_embedding).all()  # so no optimizer's step looks right
    right, slopes, _ = with_gradients(loss, hidden, embedding, labels)
    np.testing.assert_allclose(losses[1:], right[1:], rtol=64 * EPS)
    np.testing.assert_allclose(by_hidden[1:], slopes[1:], rtol=0, atol=64 * EPS)


@in_every_way
def test_ignored_labels_cost_nothing_and_move_nothing(how):
    hidden, embedding, labels = batch()
    padded = tf.where(tf.range(50) % 3 == 0, -100, tf.cast(labels, tf.int32))
    kept = np.flatnonzero(padded.numpy() >= 0)
    losses, by_hidden, by_embedding = how(lambda: with_gradients(blocked_cross_entropy, hidden, embedding, padded))()
    of_kept = with_gradients(blocked_cross_entropy, tf.gather(hidden, kept), embedding, tf.gather(labels, kept))
    assert np.all(np.delete(losses.numpy(), kept) == 0)
    assert np.all(np.delete(by_hidden.numpy(), kept, axis=0) == 0)
    np.testing.assert_allclose(losses.numpy()[kept], of_kept[0], rtol=64 * EPS)
    np.testing.assert_allclose(by_hidden.numpy()[kept], of_kept[1], atol=64 * EPS, rtol=0)
    np.testing.assert_allclose(by_embedding, of_kept[2], atol=64 * EPS * 3, rtol=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("width", [64, 1000, 8192])
def test_16_bit_inputs_are_added_up_in_float32(dtype, width):
    hidden, embedding, labels = batch(tokens=64, size=64, classes=8192)
    hidden, embedding = tf.cast(hidden, dtype), tf.cast(0.3 * embedding, dtype)
    exact = with_gradients(dense_loss, tf.cast(hidden, "float64"), tf.cast(embedding, "float64"), labels)
    loss, *gradients = with_gradients(partial(blocked_cross_entropy, width=width), hidden, embedding, labels)
    assert loss.dtype == "float32"
    np.testing.assert_allclose(loss, exact[0], rtol=64 * EPS)
    for ours, theirs in zip(gradients, exact[1:], strict=True):
        assert ours.dtype == dtype
        # one rounding to the type: half an eps of each entry, or half the smallest number, and a float32 sum's errors
        info, size = ml_dtypes.finfo(dtype), np.linalg.norm(theirs)
        limit = (float(info.eps) / 2 + 64 * EPS) * size + float(info.smallest_subnormal) / 2 * np.sqrt(theirs.numpy().size)
        assert np.linalg.norm(tf.cast(ours, "float64") - theirs) < limit


@in_every_way
def test_blocks_of_classes_that_cannot_occur_change_nothing(how):
    hidden = tf.constant([[1.0]])
    embedding = tf.constant([[-np.inf], [-np.inf], [2.0], [1.0], [-np.inf], [-np.inf]])
    loss = how(lambda: blocked_cross_entropy(hidden, embedding, tf.constant([3]), width=2))()
    np.testing.assert_allclose(loss, [np.log1p(np.e)], rtol=4 * EPS)


def test_a_variable_is_trained_as_by_the_dense_loss():
    hidden, start, labels = batch()
    for loss in (blocked_cross_entropy, dense_loss):
        embedding = tf.Variable(start)
        with tf.GradientTape() as tape:
            mean = tf.reduce_mean(loss(hidden, embedding, labels))
        gradient = tape.gradient(mean, embedding)
        assert gradient.shape == embedding.shape
        if loss is blocked_cross_entropy:
            ours = gradient
    np.testing.assert_allclose(ours, gradient, atol=4 * EPS, rtol=0)


# --- the loss over devices ---

PROGRAM = """
import json, os, sys
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=" + sys.argv[1]
import jax, numpy as np
from functools import partial
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from helpers.recipes.jax_sharded import sharded_cross_entropy
if len(sys.argv) > 2:
    jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", 2, int(sys.argv[3]))
mesh = jax.make_mesh((jax.device_count(),), ("shards",), axis_types=(AxisType.Auto,))
spread = NamedSharding(mesh, P("shards"))

def losses(classes):
    device = partial(sharded_cross_entropy, classes=classes, axis="shards")
    return jax.shard_map(device, mesh=mesh, in_specs=(P("shards"), P("shards"), P()), out_specs=P())

def put(array):
    padded = np.pad(array, ((0, -len(array) % jax.device_count()), (0, 0)))
    return jax.make_array_from_callback(padded.shape, spread, lambda place: padded[place])

def with_gradients(hidden, embedding, labels):
    def total(*weights):
        each = losses(len(embedding))(*weights, labels)
        return each.sum(), each
    given = put(hidden), put(embedding)
    return given, jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))
"""


def run_jax(code, *arguments):
    """Start a program with what PROGRAM defines, and return its process."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf8",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def printed(*processes, count=1, timeout=120):
    """Return what each process prints as JSON in its last lines."""
    try:
        ends = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, stderr) in zip(processes, ends, strict=True):
        assert process.returncode == 0, stderr[-2000:]
    return [json.loads(line) for stdout, _ in ends for line in stdout.splitlines()[-count:]]


AGAINST_DENSE = """
from helpers import categorical
rng, out = np.random.default_rng(0), {}
for classes in (5, 301, 1000):
    tokens = 12 * jax.device_count()
    hidden = rng.standard_normal((tokens, 16), np.float32)
    embedding = rng.standard_normal((classes, 16), np.float32)
    labels = rng.integers(0, classes, tokens)
    labels[::7] = -100
    labels[1] = classes - 1
    given, step = with_gradients(hidden, embedding, labels)
    (_, each), (by_hidden, by_rows) = step(*given)
    x = hidden.astype(float) @ embedding.T.astype(float)
    exact = categorical.sparse_softmax_cross_entropy_with_logits(labels, x, ignore_label=-100)
    slopes = categorical.sparse_softmax_cross_entropy_gradient(labels, x, ignore_label=-100)
    sizes, largest = np.abs(slopes), (np.abs(hidden) @ np.abs(embedding).T).max()
    off_hidden, off_rows = by_hidden - slopes @ embedding, by_rows[:classes] - slopes.T @ hidden
    out[classes] = {
        "loss": np.abs(np.asarray(each) - exact).max() / (largest + np.ptp(x)),
        "hidden": np.max(np.abs(off_hidden) / (sizes @ np.abs(embedding) + 1e-30)) / largest,
        "rows": np.max(np.abs(off_rows) / (sizes.T @ np.abs(hidden) + 1e-30)) / largest,
        "padding": float(np.abs(by_rows[classes:]).max(initial=0)),
        "ignored": [float(np.abs(each[::7]).max()), float(np.abs(by_hidden[::7]).max())],
    }
print(json.dumps(out, default=float))
"""

DIGITS = """
embedding = np.float32([[20, 1], [0, 3], [0, -1], [0, 2], [0, 0]])
hidden, labels = np.float32([[1, 0]] * 4), np.array([0, 5, -1, -100])
given, step = with_gradients(hidden, embedding, labels)
(_, each), (by_hidden, _) = step(*given)
ties = np.asarray(jax.jit(losses(5))(put(0 * hidden), put(embedding), np.array([0, 2, 4, -100])))
wide = [a.dtype.name for a in step(*(a.astype("bfloat16") for a in given))[1]]
print(json.dumps({"each": [float(a) for a in each], "slopes": by_hidden.tolist(), "ties": ties.tolist(), "wide": wide}))
"""

IN_BFLOAT16 = """
import ml_dtypes
from helpers import categorical
rng = np.random.default_rng(0)
hidden = rng.standard_normal((64, 32)).astype(ml_dtypes.bfloat16)
embedding = rng.standard_normal((1001, 32)).astype(ml_dtypes.bfloat16)
labels = rng.integers(0, 1001, 64)
given, step = with_gradients(hidden, embedding, labels)
(_, each), (by_hidden, by_rows) = step(*given)
h, rows = hidden.astype(float), embedding.astype(float)
losses_, slopes = (f(labels, h @ rows.T) for f in (
    categorical.sparse_softmax_cross_entropy_with_logits, categorical.sparse_softmax_cross_entropy_gradient))
def off(ours, theirs):
    return float(np.linalg.norm(np.asarray(ours, float) - theirs) / np.linalg.norm(theirs))
print(json.dumps([off(each, losses_), off(by_hidden, slopes @ rows), off(by_rows[:1001], slopes.T @ h)]))
"""

COLLECTIVES = """
import re
rng, out = np.random.default_rng(0), []
count = jax.device_count()
tokens, size = 16 * count, 8
for classes in (100, 1000):
    hidden, embedding = rng.standard_normal((tokens, size), np.float32), rng.standard_normal((classes, size), np.float32)
    given, step = with_gradients(hidden, embedding, rng.integers(0, classes, tokens))
    forward = jax.jit(lambda *weights: losses(classes)(*weights, np.zeros(tokens, int)))
    for program in (forward, step):
        text = program.lower(*given).compile().as_text()
        kinds = "all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute"
        pattern = rf"= (\\w+)\\[([\\d,]+)\\]\\S* ({kinds})[\\w-]*\\("
        out.append([[name, dtype, [int(n) for n in shape.split(",")]] for dtype, shape, name in re.findall(pattern, text)])
print(json.dumps(out))
"""

TWO = """
rng = np.random.default_rng(0)
hidden, embedding = rng.standard_normal((64, 16), np.float32), rng.standard_normal((1001, 16), np.float32)
labels = rng.integers(0, 1001, 64)
given, step = with_gradients(hidden, embedding, labels)
(total, _), gradients = step(*given)
norms = [float(jax.jit(lambda a: (a * a).sum())(gradient)) for gradient in gradients]
print(json.dumps([jax.process_count(), jax.device_count(), float(total), *norms]))
"""


@pytest.fixture(scope="module")
def on_devices():
    """Return what a program prints on so many devices; on four of them all programs run in one process."""
    parts = {"dense": AGAINST_DENSE, "digits": DIGITS, "bfloat16": IN_BFLOAT16, "collectives": COLLECTIVES, "two": TWO}

    @cache
    def four():
        return dict(zip(parts, printed(run_jax("".join(parts.values()), 4), count=len(parts)), strict=True))

    return lambda devices, name: four()[name] if devices == 4 else printed(run_jax(parts[name], devices))[0]


@pytest.mark.parametrize("devices", [1, 3, 4])
def test_devices_give_the_dense_losses_and_gradients(on_devices, devices):
    for found in on_devices(devices, "dense").values():
        # relative to the logits' sizes: 16 roundings of a product, some of exp and log, 64 of the sums over tokens
        assert found["loss"] < 24 * EPS
        assert found["hidden"] < 24 * EPS
        assert found["rows"] < 64 * EPS
        assert found["padding"] == 0
        assert found["ignored"] == [0, 0]


def test_devices_keep_the_digits_and_check_the_labels(on_devices):
    found = on_devices(4, "digits")  # eight rows for five classes: one device has padding only
    share = exact_softmax_cross_entropy_gradient(0, [20, 0, 0, 0, 0])[1]
    loss = exact_softmax_cross_entropy(0, [20, 0, 0, 0, 0])
    assert error_in_eps(np.float32(found["each"][0]), loss, "float32") < 4
    assert np.isnan(found["each"][1:3]).all()  # labels 5 and -1 of 5 classes
    assert np.isnan(found["slopes"][1:3]).all()
    assert found["each"][3] == 0 == max(np.abs(found["slopes"][3]))
    for computed, exact in zip(found["slopes"][0], (-80 * share, (-4 + 3 - 1 + 2) * share), strict=True):
        assert abs(computed - exact) <= 8 * EPS * 80 * share  # sums of five terms, of which the largest is 4 shares of 20
    np.testing.assert_allclose(found["ties"], [np.log(5)] * 3 + [0], rtol=4 * EPS)
    assert found["wide"] == ["bfloat16", "bfloat16"]


def test_devices_add_up_bfloat16_inputs_in_float32(on_devices):
    loss, *gradients = on_devices(4, "bfloat16")
    assert loss < 64 * EPS  # products of 32 terms and sums of 1,001
    assert max(gradients) < 2**-8 + 64 * EPS  # and one rounding, of half an eps of bfloat16, at the end


@pytest.mark.parametrize("devices", [2, 4])
def test_compiled_program_exchanges_the_bytes_counted_by_hand(on_devices, devices):
    programs = on_devices(devices, "collectives")
    tokens, size = 16 * devices, 8
    for forward, both in (programs[:2], programs[2:]):  # of 100 and of 1,000 classes: the bytes do not grow with them
        assert len(forward) == 2
        assert len(both) == 3
        assert {dtype for _, dtype, _ in both} == {"f32"}
        results = {(name, int(np.prod(shape)) * 4) for name, _, shape in both}
        states = tokens * size * 4
        assert results == {
            ("all-gather", states),
            ("all-gather", devices * tokens * 12),  # (m, S, x_y) of every device
            ("reduce-scatter", states // devices),  # what a device keeps of the sum
        }
        assert {(name, int(np.prod(shape)) * 4) for name, _, shape in forward} == {
            each for each in results if each[0] == "all-gather"
        }


def test_two_processes_give_the_loss_and_gradients_of_one(on_devices):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for found in printed(*(run_jax(TWO, 2, port, rank) for rank in range(2))):
        assert found[:2] == [2, 4]
        np.testing.assert_allclose(found[2:], on_devices(4, "two")[2:], rtol=8 * EPS)


# --- the record ---


def test_the_measurement_writes_what_the_book_reads(tmp_path, monkeypatch):
    rows = {"vocabulary": RECORD["memory"][0], "shards": RECORD["dask"][0]}
    monkeypatch.setattr(vocabulary, "in_its_own_process", lambda module, *arguments: rows[module])
    output = tmp_path / "vocabulary.json"
    monkeypatch.setattr(sys, "argv", ["vocabulary", "--quick", "--output", str(output)])
    vocabulary.main()
    results = json.loads(output.read_text(encoding="utf8"))
    assert set(results) == set(RECORD)
    for table in ("memory", "sums", "dask"):
        assert results[table]
        assert {tuple(row) for row in results[table]} == {tuple(row) for row in RECORD[table]}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only Linux and glibc tell what memory a call takes")
def test_a_process_measures_a_row_of_the_memory():
    row = vocabulary.in_its_own_process("vocabulary", "--quick", "--one", "blocked", "graph", 8192)
    [recorded] = [each for each in RECORD["memory"] if tuple(each.values())[:3] == ("blocked", "graph", 8192)]
    assert list(row) == list(recorded)
    np.testing.assert_allclose(row["loss"], recorded["loss"], rtol=8 * EPS)
    # the peak is the same in every run but for a few pages: nothing that was freed is counted
    assert abs(row["peak_bytes"] / recorded["peak_bytes"] - 1) < 0.25


def test_a_cluster_is_measured_like_a_row_of_dask():
    row, recorded = on_dask(2, 8192, repeats=1), RECORD["dask"][0]
    assert list(row) == list(recorded)
    np.testing.assert_allclose(row["loss"], recorded["loss"], rtol=8 * EPS)


def test_the_record_says_when_and_on_what_it_was_measured():
    assert datetime.date.fromisoformat(RECORD["measured"])
    assert set(RECORD["versions"]) == {"Python", "NumPy", "ml_dtypes", "TensorFlow", "Dask", "distributed"}
    assert RECORD["machine"]["processor"]


def test_recorded_memory_of_the_blocks_does_not_hold_the_logits():
    rows = {(row["form"], row["how"], row["classes"]): row for row in RECORD["memory"]}
    cases = [("graph", 2**k) for k in (13, 15, 17, 18)] + [("eager", 2**15), ("XLA", 2**15)]
    assert set(rows) == {(form, *case) for form in vocabulary.LOSSES for case in cases}
    for how, classes in cases:
        logits, by_embedding = 4 * vocabulary.TOKENS * classes, 4 * 256 * classes
        block = 4 * vocabulary.TOKENS * 2048
        dense, blocked = rows["dense", how, classes], rows["blocked", how, classes]
        assert dense["peak_bytes"] > (2 if how == "eager" else 1) * logits + by_embedding
        # the gradient by the embedding while its pieces are joined, or earlier, with what is alive of a block at once; XLA's
        # loop holds the embedding and the pieces more than once, but no logits
        limit = dense["peak_bytes"] if how == "XLA" else 2 * by_embedding + 4 * block
        assert blocked["peak_bytes"] < limit
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
