"""`blend predict` against Python's onnxruntime: the same library, graphs and threads, in turn.

    python scripts/bench_infer.py BLEND [LIBRARY]

needs numpy, pandas, pyarrow, onnx, onnxruntime. Made here from a fixed seed in a temporary folder:

- tabular: an MLP 875-1024-1024-206 over rows of f32, at several batch sizes. The figure is that of the size at which
  Python is fastest; beside it what the run as a whole takes over its sessions' runs alone, loads included;
- events: masked attention over ragged events, `blend` with its own batches; Python with batches of 32 in the order of the
  file, padded to the batch's longest, and with the length-matched batches of IceCube's second place: 32 events of one
  bucket of 16 pulses, what is left over merged;
- features: events to tensors, against a data set of the second place's kind, which makes one event at a time (here with
  numpy's arrays, which cost less than the torch tensors it made);
- memory: the peak of a run over ten times the rows, less the sums and results that lie in files, over that of one, whose
  sums (12 MB) lie in memory.

Prints medians of paired runs, and PASS or MISS for each target. Where tables are small they are read before the clock
starts, large ones within it; Python's lie in memory.
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
import pandas as pd
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

PAIRS = 7
MISSED = []
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
    """What a run on one thread said of its only model, and of itself."""
    command = [program, "-C", str(folder), "--json", "--threads", "1", "predict", "m", "--split", "test", "--force", *arguments]
    done = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return done["models"][0] | {"peak": done["peak_rss_bytes"]}


def seconds_of(model, key):
    return sum(graph[key] for graph in model["graphs"])


def rate(model):
    """Rows per second of the graphs, without their loads, as Python's are not counted either."""
    rows = sum(graph["rows"] for graph in model["graphs"])
    return rows / (seconds_of(model, "seconds") - seconds_of(model, "load_seconds"))


def target(name, value, least=None, most=None):
    met = value >= least if most is None else value <= most
    wanted = f">= {least}" if most is None else f"<= {most}"
    if not met:
        MISSED.append(name)
    print(f"{'PASS' if met else 'MISS'}  {name:<58} {value:.3f}  (wanted {wanted})", flush=True)


def workspace(folder, output, stage, more):
    place = folder / "models" / "bench" / "m"
    place.mkdir(parents=True)
    (folder / "models/bench/competition.yaml").write_text("competition: bench\nmetric: rmse\nid: event_id\n")
    (place / "model.yaml").write_text(f"model: m\noutput: {output}\nstages:\n  - {stage}\n{more}\n")
    return place


def paired(name, ours, theirs):
    """Medians of both, and the median of the pairs' ratios."""
    pairs = [(ours(), theirs()) for _ in range(PAIRS)]
    a, b = (float(np.median([pair[i] for pair in pairs])) for i in (0, 1))
    ratio = float(np.median([x / y for x, y in pairs]))
    print(f"      {name:<46} blend {a:>9.0f}/s   python {b:>9.0f}/s   ratio {ratio:.3f}", flush=True)
    return a, b, ratio


def tabular(program, folder, library):
    x = RNG.standard_normal((40_000, 875)).astype(np.float32)
    place = workspace(folder, "probability", "{name: main, graphs: g.onnx, inputs: {x: {table: t}}}", "tables: {t: {test: x.npy}}")
    np.save(place / "x.npy", x)
    mlp(place / "g.onnx")
    run = session(place / "g.onnx", 1)
    overheads = []

    def python(size):
        start = time.perf_counter()
        out = [run.run(None, {"x": x[i : i + size]})[0] for i in range(0, len(x), size)]
        np.concatenate(out)
        return len(x) / (time.perf_counter() - start)

    def ours(size):
        model = blend(program, folder, "--batch-size", str(size), *library)
        overheads.append(model["seconds"] / seconds_of(model, "run_seconds") - 1)
        return rate(model)

    python(256)
    best = (0, 0)
    for size in (64, 256, 1024):
        _, theirs, ratio = paired(f"tabular, batches of {size}", lambda: ours(size), lambda: python(size))
        best = max(best, (theirs, ratio))
    target("tabular throughput over Python's, at its best batch size", best[1], least=0.98)
    target("predict over the bare session runs, less 1", float(np.median(overheads)), most=0.05)


def simulate(lengths):
    """Pulses of events of the given lengths in a made-up detector of IceCube's size, and its geometry."""
    geometry = pd.DataFrame(RNG.uniform(-500, 500, (5160, 3)), columns=["x", "y", "z"])
    event = np.repeat(np.arange(len(lengths)), lengths)
    at = np.arange(len(event)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pulses = pd.DataFrame({
        "event_id": event, "sensor_id": RNG.integers(0, 5160, len(event)), "time": 5000 + 11 * at,
        "charge": RNG.uniform(0.2, 5, len(event)).astype(np.float32), "auxiliary": RNG.random(len(event)) < 0.3,
    })
    return geometry, pulses


def detector(place, geometry, pulses):
    geometry.rename_axis("sensor_id").to_csv(place / "geometry.csv")
    pulses.to_parquet(place / "pulses.parquet", index=False)


EVENTS = "events: {e: {test: {pulses: [pulses.parquet]}, geometry: geometry.csv, max_pulses: 192}}"


def second_place(lengths):
    """32 events of one bucket as soon as it has them; in the end what is left over, merged."""
    buckets, batches = [[] for _ in range(100)], []
    for i, n in enumerate(lengths):
        bucket = buckets[max(1, min(n, 192) // 16)]
        bucket.append(i)
        if len(bucket) == 32:
            batches.append(np.array(bucket))
            bucket.clear()
    left = [i for bucket in buckets for i in bucket]
    return batches + [np.array(left[i : i + 32]) for i in range(0, len(left), 32)]


def events(program, folder, library):
    lengths = np.clip(RNG.lognormal(4.0, 0.75, 4000).astype(int), 5, 192)
    place = workspace(
        folder, "vector",
        "{name: main, graphs: g.onnx, inputs: {x: {events: e, features: [x, y, z, time, charge, auxiliary]}, mask: {events: e}}}",
        EVENTS,
    )
    encoder(place / "g.onnx")
    geometry, pulses = simulate(lengths)
    detector(place, geometry, pulses)
    xyz = geometry.to_numpy()[pulses["sensor_id"]] / 500
    rest = [(pulses["time"] - 1e4) / 3e4, np.log10(pulses["charge"]) / 3, pulses["auxiliary"]]
    features = np.column_stack([xyz, *rest]).astype(np.float32)
    start = np.cumsum(lengths) - lengths
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
    matched = second_place(lengths)
    python(in_order[:5])
    ours = lambda: rate(blend(program, folder, *library))
    ratio = paired("events, against 32 in file order", ours, lambda: python(in_order))[2]
    target("ragged events over batches of 32 in file order", ratio, least=2.5)
    ratio = paired("events, against length-matched batches", ours, lambda: python(matched))[2]
    target("ragged events over the second place's matched batches", ratio, least=1.0)


class OneByOne:
    """A data set of the second place's kind: an event is looked up, joined with the sensors, scaled, cut and padded."""

    def __init__(self, geometry, pulses, length):
        self.sensors, self.length = geometry.copy(), length
        self.sensors["qe"] = 0
        for string in range(78, 86):
            self.sensors.loc[string * 60 + 11 : string * 60 + 60, "qe"] = 1
        self.pulses = pulses.set_index("event_id")
        self.ids = pulses["event_id"].unique()

    def __getitem__(self, at):
        event = self.pulses.loc[[self.ids[at]]]
        sensor = self.sensors.loc[event["sensor_id"].to_numpy()]
        time_of = (event["time"].to_numpy() - 1e4) / 3e4
        charge = np.log10(event["charge"].to_numpy()) / 3
        auxiliary, n = event["auxiliary"].to_numpy(), len(event)
        if n > self.length:
            # As it was meant: what is not auxiliary first.
            order = np.random.permutation(n)
            order = np.sort(np.concatenate([order[~auxiliary[order]], order[auxiliary[order]]])[: self.length])
            sensor, time_of, charge, auxiliary = sensor.iloc[order], time_of[order], charge[order], auxiliary[order]
        kept = min(n, self.length)

        def padded(values, kind, *more):
            out = np.zeros((self.length, *more), kind)
            out[:kept] = values
            return out

        return {
            "pos": padded(sensor[["x", "y", "z"]].to_numpy() / 500, np.float32, 3),
            "time": padded(time_of, np.float32), "charge": padded(charge, np.float32),
            "auxiliary": padded(auxiliary, np.int64), "qe": padded(sensor["qe"].to_numpy(), np.int64),
            "mask": np.arange(self.length) < kept, "L0": np.int64(n),
        }


def features(program, folder, library):
    names = ["pos", "time", "charge", "auxiliary", "qe", "mask", "L0"]
    inputs = ", ".join(f"{name}: {{events: e}}" for name in names)
    place = workspace(folder, "value", f"{{name: main, graphs: g.onnx, inputs: {{{inputs}}}}}", EVENTS)
    kinds = [T.FLOAT, T.FLOAT, T.FLOAT, T.INT64, T.INT64, T.BOOL, T.INT64]
    ports = [value(name, kind, *(["n", "l"] if name != "L0" else ["n"]), *([3] if name == "pos" else []))
             for name, kind in zip(names, kinds)]
    # As little as a graph can do that takes them all.
    nodes = [h.make_node("Cast", ["L0"], ["y0"], to=T.FLOAT)]
    for i, name in enumerate(names[:-1]):
        nodes += [h.make_node("Cast", [name], [f"f{i}"], to=T.FLOAT),
                  h.make_node("ReduceMax", [f"f{i}"], [f"m{i}"], axes=[1, 2] if name == "pos" else [1], keepdims=0),
                  h.make_node("Add", [f"y{i}", f"m{i}"], ["y" if i == 5 else f"y{i + 1}"])]
    save(place / "g.onnx", nodes, ports, [value("y", T.FLOAT, "n")], {})
    lengths = np.clip(RNG.lognormal(4.3, 1.0, 20_000).astype(int), 5, 3000)
    geometry, pulses = simulate(lengths)
    detector(place, geometry, pulses)
    data = OneByOne(geometry, pulses, 192)

    def python(n=1000):
        start = time.perf_counter()
        for i in range(0, n, 32):
            batch = [data[at] for at in range(i, min(i + 32, n))]
            {key: np.stack([event[key] for event in batch]) for key in batch[0]}
        return n / (time.perf_counter() - start)

    def ours():
        return len(lengths) / seconds_of(blend(program, folder, *library), "build_seconds")

    python(100)
    target("events to tensors over one event at a time in Python", paired("features", ours, python)[2], least=20)


def memory(program, folder, library):
    place = workspace(folder, "probability", "{name: main, graphs: g.onnx, inputs: {x: {table: t}}}", "tables: {t: {test: x.parquet}}")
    save(place / "g.onnx", [h.make_node("MatMul", ["x", "w"], ["z"]), h.make_node("Sigmoid", ["z"], ["y"])],
         [value("x", T.FLOAT, "n", 200)], [value("y", T.FLOAT, "n", 50)], {"w": weight(200, 50)})

    def peak(n):
        table = pd.DataFrame(RNG.standard_normal((n, 200)).astype(np.float32), columns=[f"c{i}" for i in range(200)])
        table.insert(0, "event_id", np.arange(n))
        table.to_parquet(place / "x.parquet", index=False)
        model = blend(program, folder, *library)
        return model["peak"] - model["filed_bytes"]

    one, ten = peak(30_000), peak(300_000)
    print(f"      peak of 30,000 rows {one / 2**20:.0f} MiB, of 300,000 (240 MB of values) {ten / 2**20:.0f} MiB")
    target("peak memory at ten times the rows", ten / one, most=1.2)


def main():
    program = str(Path(sys.argv[1]).resolve())
    library = ["--ort-lib", sys.argv[2]] if len(sys.argv) > 2 else []
    print(f"onnxruntime {ort.__version__}, one thread, medians of {PAIRS} pairs")
    for problem in (tabular, events, features, memory):
        with tempfile.TemporaryDirectory() as folder:
            problem(program, Path(folder), library)
    sys.exit(1 if MISSED else 0)


if __name__ == "__main__":
    main()
