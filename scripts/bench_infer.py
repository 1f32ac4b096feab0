"""`blend predict` against Python's onnxruntime: the same library, graphs and threads, in turn.

    python scripts/bench_infer.py BLEND [LIBRARY]

needs numpy, onnx, onnxruntime. Two problems, made here from a fixed seed in a temporary folder:

- tabular: an MLP 875-1024-1024-206 over rows of f32, at several batch sizes;
- events: masked attention over ragged events, `blend` with length-matched batches, Python once with batches of 32 in the
  order of the file, padded to the batch's longest, once with the same length-matched batches.

Prints medians of paired runs as rows (events) per second and their ratio. Tables are read before
the clock starts; `blend` loads its graph within it.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

PAIRS = 5
RNG = np.random.default_rng(0)


def save(path, nodes, inputs, outputs, weights):
    graph = h.make_graph(nodes, "bench", inputs, outputs, [nh.from_array(value, key) for key, value in weights.items()])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), path)


def value(name, dtype, *dims):
    return h.make_tensor_value_info(name, dtype, list(dims))


def weight(*shape):
    return (RNG.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)


def mlp(path):
    weights, nodes, last = {}, [], "x"
    for i, (a, b) in enumerate([(875, 1024), (1024, 1024), (1024, 206)]):
        weights |= {f"w{i}": weight(a, b), f"b{i}": weight(b)}
        nodes.append(h.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"h{i}"]))
        last = f"h{i}"
        if i < 2:
            nodes.append(h.make_node("Relu", [last], [f"r{i}"]))
            last = f"r{i}"
    nodes.append(h.make_node("Sigmoid", [last], ["y"]))
    save(path, nodes, [value("x", T.FLOAT, "n", 875)], [value("y", T.FLOAT, "n", 206)], weights)


def encoder(path, dim=128, depth=3):
    """Attention of one head over pulses, mean over those that are there."""
    weights = {"w_in": weight(6, dim), "w_out": weight(dim, 3), "big": np.array(-1e9, np.float32),
               "one": np.array(1, np.float32), "axis1": np.array([1], np.int64), "axis2": np.array([2], np.int64),
               "scale": np.array(dim**-0.5, np.float32)}
    nodes = [h.make_node("Cast", ["mask"], ["m"], to=T.FLOAT), h.make_node("Unsqueeze", ["m", "axis2"], ["m_col"]),
             h.make_node("Unsqueeze", ["m", "axis1"], ["m_row"]), h.make_node("Sub", ["one", "m_row"], ["gone"]),
             h.make_node("Mul", ["gone", "big"], ["bias"]), h.make_node("MatMul", ["x", "w_in"], ["h0"])]
    for i in range(depth):
        weights |= {f"q{i}": weight(dim, dim), f"k{i}": weight(dim, dim), f"v{i}": weight(dim, dim),
                    f"f{i}": weight(dim, 4 * dim), f"g{i}": weight(4 * dim, dim)}
        for name in "qkv":
            nodes.append(h.make_node("MatMul", [f"h{i}", f"{name}{i}"], [f"{name}v{i}"]))
        nodes += [h.make_node("Transpose", [f"kv{i}"], [f"kt{i}"], perm=[0, 2, 1]),
                  h.make_node("MatMul", [f"qv{i}", f"kt{i}"], [f"s{i}"]), h.make_node("Mul", [f"s{i}", "scale"], [f"t{i}"]),
                  h.make_node("Add", [f"t{i}", "bias"], [f"u{i}"]), h.make_node("Softmax", [f"u{i}"], [f"p{i}"], axis=2),
                  h.make_node("MatMul", [f"p{i}", f"vv{i}"], [f"a{i}"]), h.make_node("Add", [f"h{i}", f"a{i}"], [f"b{i}"]),
                  h.make_node("MatMul", [f"b{i}", f"f{i}"], [f"c{i}"]), h.make_node("Relu", [f"c{i}"], [f"d{i}"]),
                  h.make_node("MatMul", [f"d{i}", f"g{i}"], [f"e{i}"]), h.make_node("Add", [f"b{i}", f"e{i}"], [f"h{i + 1}"])]
    nodes += [h.make_node("Mul", [f"h{depth}", "m_col"], ["kept"]), h.make_node("ReduceSum", ["kept", "axis1"], ["sum"], keepdims=0),
              h.make_node("ReduceSum", ["m", "axis1"], ["n"], keepdims=1), h.make_node("Div", ["sum", "n"], ["mean"]),
              h.make_node("MatMul", ["mean", "w_out"], ["y"])]
    save(path, nodes, [value("x", T.FLOAT, "n", "l", 6), value("mask", T.BOOL, "n", "l")], [value("y", T.FLOAT, "n", 3)], weights)


def session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def blend(program, folder, *arguments):
    """Rows per second of the graphs' own time, and of the whole run."""
    command = [program, "-C", str(folder), "--json", "--threads", "1", "predict", "m", "--split", "test", "--force", *arguments]
    done = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    model = done["models"][0]
    rows = sum(graph["rows"] for graph in model["graphs"])
    return rows / sum(graph["seconds"] for graph in model["graphs"]), rows / model["seconds"]


def workspace(folder, output, stage, more):
    place = folder / "models" / "bench" / "m"
    place.mkdir(parents=True)
    (folder / "models/bench/competition.yaml").write_text("competition: bench\nmetric: rmse\nid: event_id\n")
    (place / "model.yaml").write_text(f"model: m\noutput: {output}\nstages:\n  - {stage}\n{more}\n")
    return place


def paired(name, ours, theirs):
    pairs = [(ours(), theirs()) for _ in range(PAIRS)]
    a, b = (float(np.median([pair[i] for pair in pairs])) for i in (0, 1))
    ratio = float(np.median([x / y for x, y in pairs]))
    print(f"{name:<46} blend {a:>9.0f}/s   python {b:>9.0f}/s   ratio {ratio:.3f}", flush=True)


def tabular(program, folder, library):
    x = RNG.standard_normal((20_000, 875)).astype(np.float32)
    place = workspace(folder, "probability", '{name: main, graphs: g.onnx, inputs: {x: {table: t}}}', "tables: {t: {test: x.npy}}")
    np.save(place / "x.npy", x)
    mlp(place / "g.onnx")
    run = session(place / "g.onnx", 1)

    def python(size):
        start = time.perf_counter()
        out = [run.run(None, {"x": x[i : i + size]})[0] for i in range(0, len(x), size)]
        np.concatenate(out)
        return len(x) / (time.perf_counter() - start)

    python(256)
    for size in (64, 256, 1024):
        paired(f"tabular, batches of {size}", lambda: blend(program, folder, "--batch-size", str(size), *library)[0], lambda: python(size))


def events(program, folder, library):
    lengths = np.clip(RNG.lognormal(4.0, 0.75, 4000).astype(int), 5, 192)
    place = workspace(
        folder, "vector",
        '{name: main, graphs: g.onnx, inputs: {x: {events: e, features: [x, y, z, time, charge, auxiliary]}, mask: {events: e}}}',
        "events: {e: {test: {pulses: [pulses.csv]}, geometry: geometry.csv, max_pulses: 192}}",
    )
    encoder(place / "g.onnx")
    geometry = RNG.uniform(-500, 500, (5160, 3))
    rows = "".join(f"{i},{a},{b},{c}\n" for i, (a, b, c) in enumerate(geometry))
    (place / "geometry.csv").write_text("sensor_id,x,y,z\n" + rows)
    event = np.repeat(np.arange(len(lengths)), lengths)
    sensor, charge = RNG.integers(0, 5160, len(event)), RNG.uniform(0.2, 5, len(event)).astype(np.float32)
    start = np.cumsum(lengths) - lengths
    at = np.arange(len(event)) - np.repeat(start, lengths)
    pulse_time, auxiliary = 5000 + 11 * at, RNG.random(len(event)) < 0.3
    lines = zip(event, sensor, pulse_time, charge, auxiliary)
    text = "".join(f"{e},{s},{t},{q},{'true' if a else 'false'}\n" for e, s, t, q, a in lines)
    (place / "pulses.csv").write_text("event_id,sensor_id,time,charge,auxiliary\n" + text)
    features = np.column_stack(
        [geometry[sensor] / 500, (pulse_time - 1e4) / 3e4, np.log10(charge) / 3, auxiliary]
    ).astype(np.float32)
    run = session(place / "g.onnx", 1)

    def batch(ids):
        longest = lengths[ids].max()
        x, mask = np.zeros((len(ids), longest, 6), np.float32), np.zeros((len(ids), longest), bool)
        for row, i in enumerate(ids):
            x[row, : lengths[i]] = features[start[i] : start[i] + lengths[i]]
            mask[row, : lengths[i]] = True
        return {"x": x, "mask": mask}

    def python(batches):
        begin = time.perf_counter()
        for ids in batches:
            run.run(None, batch(ids))
        return len(lengths) / (time.perf_counter() - begin)

    in_order = [np.arange(i, min(i + 32, len(lengths))) for i in range(0, len(lengths), 32)]
    matched, order = [], np.argsort(-lengths, kind="stable")
    while len(order):
        n = max(1, 512 // lengths[order[0]])
        matched.append(order[:n])
        order = order[n:]
    python(in_order[:5])
    ours = lambda: blend(program, folder, *library)[0]
    paired("events, against 32 in file order", ours, lambda: python(in_order))
    paired("events, against the same matched batches", ours, lambda: python(matched))


def main():
    program = str(Path(sys.argv[1]).resolve())
    library = ["--ort-lib", sys.argv[2]] if len(sys.argv) > 2 else []
    print(f"onnxruntime {ort.__version__}, one thread, medians of {PAIRS} pairs")
    for problem in (tabular, events):
        with tempfile.TemporaryDirectory() as folder:
            problem(program, Path(folder), library)


if __name__ == "__main__":
    main()
