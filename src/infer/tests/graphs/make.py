"""Makes the small graphs of the tests (onnx 1.23, numpy): `python make.py` in this folder.

Weights are simple formulas that the tests repeat; every graph is a few hundred bytes.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

HERE = Path(__file__).parent


def save(name, nodes, inputs, outputs, weights=(), opsets=(("", 17),), **more):
    graph = h.make_graph(nodes, name, inputs, outputs, [nh.from_array(value, key) for key, value in weights])
    model = h.make_model(graph, opset_imports=[h.make_opsetid(*opset) for opset in opsets], ir_version=8, **more)
    path = HERE / f"{name}.onnx"
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, path)


def value(name, dtype, *dims):
    return h.make_tensor_value_info(name, dtype, list(dims))


def dense(name, seed, fold, n_in=4, n_out=2, batch="batch", dtype=T.FLOAT):
    """`x w + b`."""
    kind = {T.FLOAT: np.float32, T.FLOAT16: np.float16, T.DOUBLE: np.float64}[dtype]
    k = seed * 3 + fold + 1
    w = np.array([[(k * (i + 1) * (j + 1) % 7 - 3) / 4 for j in range(n_out)] for i in range(n_in)], kind)
    b = np.array([(seed - fold + j) / 2 for j in range(n_out)], kind)
    nodes = [h.make_node("Gemm", ["x", "w", "b"], ["logit"])]
    save(name, nodes, [value("x", dtype, batch, n_in)], [value("logit", dtype, batch, n_out)], [("w", w), ("b", b)])


# Two seeds, three folds: 4 columns to 2 logits.
for seed in (0, 1):
    for fold in (0, 1, 2):
        dense(f"dense_seed{seed}_fold{fold}", seed, fold)
# A second stage: 4 columns and 2 outputs of the first to 1 probability.
for fold in (0, 1, 2):
    w = np.array([[(i + 1) * (fold + 1) / 10] for i in range(4)], np.float32)
    u = np.array([[(j - 0.5) * (fold + 1) / 4] for j in range(2)], np.float32)
    save(
        f"second_fold{fold}",
        [
            h.make_node("MatMul", ["x", "w"], ["a"]),
            h.make_node("MatMul", ["meta", "u"], ["c"]),
            h.make_node("Add", ["a", "c"], ["z"]),
            h.make_node("Sigmoid", ["z"], ["p"]),
        ],
        [value("x", T.FLOAT, "batch", 4), value("meta", T.FLOAT, "batch", 2)],
        [value("p", T.FLOAT, "batch", 1)],
        [("w", w), ("u", u)],
    )
# A transform between stages: 10 m.
save(
    "times_ten",
    [h.make_node("Mul", ["m", "ten"], ["out"])],
    [value("m", T.FLOAT, "n", 2)],
    [value("out", T.FLOAT, "n", 2)],
    [("ten", np.array(10, np.float32))],
)
# Fixed rows, other dtypes, other ranks.
dense("fixed", 0, 0, batch=4)
dense("half", 0, 0, dtype=T.FLOAT16)
dense("double", 0, 0, dtype=T.DOUBLE)
dense("three", 0, 0, n_out=3)
save(
    "image",
    [h.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
    [value("x", T.FLOAT, "batch", 1, 2, 2)],
    [value("y", T.FLOAT, "batch")],
    [("axes", np.array([1, 2, 3], np.int64))],
)
save(
    "mixed",  # an i64 column, a boolean and a vector
    [
        h.make_node("Cast", ["k"], ["kf"], to=T.FLOAT),
        h.make_node("Cast", ["flag"], ["ff"], to=T.FLOAT),
        h.make_node("Add", ["kf", "ff"], ["s"]),
        h.make_node("Add", ["s", "v"], ["y"]),
    ],
    [value("k", T.INT64, "batch", 1), value("flag", T.BOOL, "batch", 1), value("v", T.FLOAT, "batch", 1)],
    [value("y", T.FLOAT, "batch", 1)],
)
# Divides by the first column: infinite where it is 0.
save(
    "inverse",
    [h.make_node("Div", ["one", "x"], ["y"])],
    [value("x", T.FLOAT, "batch", 4)],
    [value("y", T.FLOAT, "batch", 4)],
    [("one", np.array(1, np.float32))],
)
# A label first, then probabilities.
save(
    "labels",
    [h.make_node("Softmax", ["x"], ["p"], axis=1), h.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0)],
    [value("x", T.FLOAT, "batch", 4)],
    [value("label", T.INT64, "batch"), value("p", T.FLOAT, "batch", 4)],
)
# As scikit-learn's exports end: a sequence of maps, classes not in order.
ML = (("", 17), ("ai.onnx.ml", 3))
maps = h.make_value_info(
    "maps", h.make_sequence_type_proto(h.make_map_type_proto(T.INT64, h.make_tensor_type_proto(T.FLOAT, [])))
)
save(
    "zipmap",
    [
        h.make_node("Softmax", ["x"], ["p"], axis=1),
        h.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
        h.make_node("ZipMap", ["p"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[30, 10, 20]),
    ],
    [value("x", T.FLOAT, "batch", 3)],
    [value("label", T.INT64, "batch"), maps],
    opsets=ML,
)
# Text in, as a pipeline with categories has it.
save(
    "text",
    [
        h.make_node(
            "LabelEncoder", ["t"], ["y"], domain="ai.onnx.ml", keys_strings=["a", "b"], values_floats=[1.0, 2.0],
            default_float=-1.0,
        )
    ],
    [value("t", T.STRING, "batch", 1)],
    [value("y", T.FLOAT, "batch", 1)],
    opsets=ML,
)
# An operator of a foreign domain, and the same defined by the graph itself.
foreign = h.make_node("Twice", ["x"], ["y"], domain="org.example")
ports = [value("x", T.FLOAT, "batch", 4)], [value("y", T.FLOAT, "batch", 4)]
save("foreign", [foreign], *ports, opsets=(("", 17), ("org.example", 1)))
twice = h.make_function(
    "org.example", "Twice", ["a"], ["b"], [h.make_node("Add", ["a", "a"], ["b"])], [h.make_opsetid("", 17)]
)
save("function", [foreign], *ports, opsets=(("", 17), ("org.example", 1)), functions=[twice])
# A graph with subgraphs.
save(
    "branch",
    [
        h.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        h.make_node("Greater", ["total", "zero"], ["positive"]),
        h.make_node(
            "If", ["positive"], ["y"],
            then_branch=h.make_graph([h.make_node("Identity", ["x"], ["t"])], "then", [], [value("t", T.FLOAT, "batch", 4)]),
            else_branch=h.make_graph([h.make_node("Neg", ["x"], ["e"])], "else", [], [value("e", T.FLOAT, "batch", 4)]),
        ),
    ],
    *ports,
    weights=[("zero", np.array(0, np.float32))],
)
# Data in another file.
w = np.arange(8, dtype=np.float32).reshape(4, 2)
tensor = nh.from_array(w, "w")
external = h.make_graph(
    [h.make_node("MatMul", ["x", "w"], ["y"])], "external", [value("x", T.FLOAT, "batch", 4)],
    [value("y", T.FLOAT, "batch", 2)], [tensor],
)
model = h.make_model(external, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
(HERE / "external.data").unlink(missing_ok=True)
onnx.save(
    model, HERE / "external.onnx", save_as_external_data=True, location="external.data", size_threshold=0,
)

# Preprocessing of a fold: (fold + 1) x. And columns made an image, or flags made whole numbers.
for fold in (0, 1, 2):
    save(
        f"prep_fold{fold}",
        [h.make_node("Mul", ["raw", "k"], ["y"])],
        [value("raw", T.FLOAT, "n", 4)],
        [value("y", T.FLOAT, "n", 4)],
        [("k", np.array(fold + 1, np.float32))],
    )
save(
    "to_image",
    [h.make_node("Reshape", ["raw", "shape"], ["y"])],
    [value("raw", T.FLOAT, "n", 4)],
    [value("y", T.FLOAT, "n", 1, 2, 2)],
    [("shape", np.array([-1, 1, 2, 2], np.int64))],
)
save(
    "open_image",  # every size but the batch's is the first input's own
    [h.make_node("ReduceSum", ["x", "axes"], ["r"], keepdims=0), h.make_node("ReduceMax", ["r"], ["y"], axes=[1])],
    [value("x", T.FLOAT, "batch", "channels", "height", "width")],
    [value("y", T.FLOAT, "batch", 1)],
    [("axes", np.array([1, 2], np.int64))],
)
# Masked sums over the pulses of an event: x, y, z, time, charge, auxiliary, qe, and the number of pulses.
def pulses(name, length, batch="batch"):
    def total(source, output, axes):
        return h.make_node("ReduceSum", [source, axes], [output], keepdims=1)
    save(
        name,
        [
            h.make_node("Cast", ["mask"], ["m"], to=T.FLOAT),
            h.make_node("Unsqueeze", ["m", "two"], ["m3"]),
            h.make_node("Mul", ["pos", "m3"], ["mpos"]),
            h.make_node("ReduceSum", ["mpos", "one"], ["spos"], keepdims=0),
            h.make_node("Mul", ["time", "m"], ["mtime"]),
            total("mtime", "stime", "one"),
            total("charge", "scharge", "one"),
            h.make_node("Cast", ["auxiliary"], ["fa"], to=T.FLOAT),
            total("fa", "saux", "one"),
            h.make_node("Cast", ["qe"], ["fq"], to=T.FLOAT),
            total("fq", "sqe", "one"),
            h.make_node("Cast", ["L0"], ["fl"], to=T.FLOAT),
            h.make_node("Unsqueeze", ["fl", "one"], ["n"]),
            h.make_node("Concat", ["spos", "stime", "scharge", "saux", "sqe", "n"], ["sums"], axis=1),
        ],
        [
            value("pos", T.FLOAT, batch, length, 3),
            value("time", T.FLOAT, batch, length),
            value("charge", T.FLOAT, batch, length),
            value("auxiliary", T.INT64, batch, length),
            value("qe", T.INT64, batch, length),
            value("mask", T.BOOL, batch, length),
            value("L0", T.INT64, batch),
        ],
        [value("sums", T.FLOAT, batch, 8)],
        [("one", np.array([1], np.int64)), ("two", np.array([2], np.int64))],
    )


pulses("pulses", "length")
pulses("pulses_fixed", 24, batch=4)

# The graph that a device must run before it is believed: y = x + x.
save(
    "tiny",
    [h.make_node("Add", ["x", "x"], ["y"])],
    [value("x", T.FLOAT, "n", 1)],
    [value("y", T.FLOAT, "n", 1)],
)
(HERE / "tiny.onnx").replace(HERE / "../../src/engine/tiny.onnx")
# Metrics: the squared error of each row, the largest error of all rows, and two that are none.
TRUTH, PREDICTION = value("truth", T.FLOAT, "n", 1), value("prediction", T.FLOAT, "n", 1)
ERROR = [h.make_node("Sub", ["prediction", "truth"], ["error"])]
save(
    "metric_rows",
    [*ERROR, h.make_node("Mul", ["error", "error"], ["square"])],
    [TRUTH, PREDICTION],
    [value("square", T.FLOAT, "n", 1)],
)
save(
    "metric_score",
    [
        *ERROR,
        h.make_node("Abs", ["error"], ["size"]),
        h.make_node("ReduceMax", ["size"], ["largest"], axes=[0, 1], keepdims=0),
    ],
    [TRUTH, PREDICTION],
    [value("largest", T.FLOAT)],
)
save(
    "metric_random",
    [
        *ERROR,
        h.make_node("RandomNormalLike", ["error"], ["noise"]),
        h.make_node("Add", ["error", "noise"], ["moved"]),
        h.make_node("ReduceSum", ["moved"], ["sum"], keepdims=0),
    ],
    [TRUTH, PREDICTION],
    [value("sum", T.FLOAT)],
)
save(
    "metric_log",
    [h.make_node("Log", ["prediction"], ["log"]), h.make_node("Mul", ["truth", "log"], ["loss"])],
    [TRUTH, PREDICTION],
    [value("loss", T.FLOAT, "n", 1)],
)
