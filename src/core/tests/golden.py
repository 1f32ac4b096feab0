"""Prints the numbers that `src/metric/golden.rs` compares with: scikit-learn 1.9.1, scipy 1.17.1.

    pip install scikit-learn==1.9.1 scipy
    python golden.py
"""

import warnings

import numpy as np
from scipy.special import rel_entr
from sklearn import metrics as sk

warnings.simplefilter("ignore")  # rows that do not sum to one are meant

CLIP = 1e-15
Y = np.array([[1, 0], [0, 0], [0, 1], [1, 1], [0, 0], [1, 0]])
P = np.array([[0.9, 0.2], [0.3, 0.0], [0.45, 0.6], [0.7, 1.0], [1e-3, 0.2], [0.45, 0.35]])
SOFT = np.array([[0.8, 0.1], [0.3, 0.0], [0.5, 0.9], [1.0, 0.75], [0.05, 0.2], [0.6, 0.4]])
W = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 0.25])
CLASS = np.array([0, 1, 2, 1, 0, 1])
Q = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.0, 0.9, 0.1]]
)
SHARES = np.array(
    [[0.6, 0.3, 0.1], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6], [0.4, 0.5, 0.1], [0.9, 0.1, 0.0], [0.1, 0.8, 0.1]]
)
HEAVY = np.array([2.0, 1.0, 0.5])
T = np.array([[1.0, 10.0], [2.0, 12.0], [0.0, 9.0], [4.0, 15.5], [3.0, 11.0], [2.5, 10.5]])
V = np.array([[1.5, 9.0], [2.0, 12.5], [0.25, 9.5], [3.0, 15.0], [3.5, 10.0], [2.0, 11.0]])
AZ = np.array([0.1, 3.0, 6.2, 1.5, 4.0, 2.0])
ZE = np.array([0.2, 1.5, 3.0, 2.0, 0.9, 1.0])
AZ_P = np.array([0.3, 2.5, 0.1, 1.5, 1.0, 2.0])
ZE_P = np.array([0.3, 1.4, 2.9, 2.0, 2.0, 1.5])


def show(name, value):
    print(f"{name} = {float(value)!r}")


def binary(y, p, w=None, clip=CLIP):
    """log_loss of each column, its labels 0 and 1; scikit-learn takes [1 - p, p]."""
    p = np.clip(p, clip, 1 - clip)
    return np.mean([sk.log_loss(y[:, t], p[:, t], sample_weight=w, labels=[0, 1]) for t in range(y.shape[1])])


def soft(y, p, clip=CLIP):
    """A row of share y counts as y rows of 1 and 1 - y rows of 0."""
    p = np.clip(p, clip, 1 - clip)
    columns = []
    for t in range(y.shape[1]):
        labels, twice = np.repeat([1, 0], len(y)), np.tile(p[:, t], 2)
        columns.append(
            sk.log_loss(labels, twice, sample_weight=np.concatenate([y[:, t], 1 - y[:, t]]))
        )
    return np.mean(columns)


def multi(y, q, w=None, clip=CLIP, renormalize=False):
    q = np.clip(q, clip, 1)
    if renormalize:
        q = q / q.sum(axis=1, keepdims=True)
    return sk.log_loss(y, q, sample_weight=w, labels=[0, 1, 2])


def multi_soft(y, q, clip=CLIP):
    n, k = y.shape
    return sk.log_loss(
        np.tile(np.arange(k), n), np.repeat(np.clip(q, clip, 1), k, axis=0), sample_weight=y.ravel(), labels=[0, 1, 2]
    )


def vectors(az, ze):
    return np.stack([np.cos(az) * np.sin(ze), np.sin(az) * np.sin(ze), np.cos(ze)], axis=1)


show("BINARY", binary(Y, P))
show("BINARY_CLIP_1E3", binary(Y, P, clip=1e-3))
show("BINARY_WEIGHTS", binary(Y, P, W))
show("BINARY_SOFT", soft(SOFT, P))
show("MULTI", multi(CLASS, Q))
show("MULTI_WEIGHTS", multi(CLASS, Q, W))
show("MULTI_CLASS_WEIGHTS", multi(CLASS, Q, HEAVY[CLASS]))
show("MULTI_CLASS_MEAN", multi(CLASS, Q, (1 / np.bincount(CLASS))[CLASS]))
show("MULTI_CLASS_MEAN_WEIGHTS", multi(CLASS, Q, (HEAVY / np.bincount(CLASS))[CLASS]))
show("MULTI_RENORMALIZE", multi(CLASS, Q * np.array([[1.0, 0.5, 0.8]]), renormalize=True))
show("MULTI_SOFT", multi_soft(SHARES, Q))
show("KL", rel_entr(SHARES, np.clip(Q, CLIP, 1)).sum(axis=1).mean())
show("KL_WEIGHTS", np.average(rel_entr(SHARES, np.clip(Q, CLIP, 1)).sum(axis=1), weights=W))
show("MSE", sk.mean_squared_error(T, V))
show("MSE_WEIGHTS", sk.mean_squared_error(T, V, sample_weight=W))
show("RMSE", np.sqrt(sk.mean_squared_error(T, V)))
show("RMSE_ONE_COLUMN", sk.root_mean_squared_error(T[:, 0], V[:, 0]))
show("MCRMSE", sk.root_mean_squared_error(T, V))
show("MCRMSE_WEIGHTS", sk.root_mean_squared_error(T, V, sample_weight=W))
show("RMSLE", np.sqrt(sk.mean_squared_log_error(T, V)))
show("RMSLE_NEGATIVE", np.sqrt(sk.mean_squared_log_error(T, V - 0.75)))
show("MAE", sk.mean_absolute_error(T, V))
show("MAE_WEIGHTS", sk.mean_absolute_error(T, V, sample_weight=W))
show("R2", sk.r2_score(T, V))
show("R2_WEIGHTS", sk.r2_score(T, V, sample_weight=W))
show("AUC", sk.roc_auc_score(Y, P, average="macro"))
show("AUC_WEIGHTS", sk.roc_auc_score(Y, P, average="macro", sample_weight=W))
dot = (vectors(AZ, ZE) * vectors(AZ_P, ZE_P)).sum(axis=1)
show("ANGLE", np.arccos(np.clip(dot, -1, 1)).mean())
show("ANGLE_WEIGHTS", np.average(np.arccos(np.clip(dot, -1, 1)), weights=W))
