"""Gradient boosted trees, exported as one TreeEnsembleRegressor and a Softmax.

The trees are written out by hand rather than by a converter: the graph then has
no default attributes in it and stays small.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.ensemble import HistGradientBoostingClassifier


def fit(pixels: np.ndarray, labels: np.ndarray, seed: int) -> HistGradientBoostingClassifier:
    model = HistGradientBoostingClassifier(
        max_iter=22,
        learning_rate=0.3,
        max_leaf_nodes=6,
        min_samples_leaf=8,
        l2_regularization=1.0,
        max_features=0.3,
        early_stopping=False,  # it would need rows to stop on
        random_state=seed,
    )
    return model.fit(pixels, labels)


def to_onnx(model: HistGradientBoostingClassifier) -> onnx.ModelProto:
    """One tree per round and class; a leaf adds its value to its class's score."""
    columns: dict[str, list] = {
        name: []
        for name in (
            "nodes_treeids nodes_nodeids nodes_featureids nodes_values nodes_modes "
            "nodes_truenodeids nodes_falsenodeids "
            "target_treeids target_nodeids target_ids target_weights"
        ).split()
    }

    def add(prefix: str, **values) -> None:
        for name, value in values.items():
            columns[f"{prefix}_{name}"].append(value)

    trees = [(c, tree.nodes) for stage in model._predictors for c, tree in enumerate(stage)]
    for number, (target, nodes) in enumerate(trees):
        for index, node in enumerate(nodes):
            leaf = bool(node["is_leaf"])
            add(
                "nodes",
                treeids=number,
                nodeids=index,
                featureids=0 if leaf else int(node["feature_idx"]),
                # Pixels are whole numbers and thresholds lie halfway between
                # them, so rounding a threshold to float32 changes no decision.
                values=0.0 if leaf else float(node["num_threshold"]),
                modes="LEAF" if leaf else "BRANCH_LEQ",
                truenodeids=0 if leaf else int(node["left"]),
                falsenodeids=0 if leaf else int(node["right"]),
            )
            if leaf:
                add("target", treeids=number, nodeids=index, ids=target, weights=float(node["value"]))

    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["pixels"],
        ["scores"],
        domain="ai.onnx.ml",
        n_targets=10,
        base_values=[float(v) for v in model._baseline_prediction.ravel()],
        **columns,
    )
    softmax = helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1)
    graph = helper.make_graph(
        [ensemble, softmax],
        "boosted",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
