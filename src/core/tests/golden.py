"""Prints the numbers that `src/metric/golden.rs` compares with: scikit-learn 1.9.1, scipy 1.17.1.

    pip install scikit-learn==1.9.1 scipy
    python golden.py
"""

import warnings

import numpy as np
from scipy import stats
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

# Decisions, grades, orders, survival.
LABEL = np.array([[1, 0], [0, 0], [0, 1], [1, 1], [0, 0], [1, 0]])
HARD = (P >= 0.5).astype(int)
ARGMAX = Q.argmax(axis=1)
for name, metric in {
    "ACCURACY": sk.accuracy_score,
    "BALANCED_ACCURACY": sk.balanced_accuracy_score,
    "F1": sk.f1_score,
    "MCC": sk.matthews_corrcoef,
}.items():
    for suffix, w in (("", None), ("_WEIGHTS", W)):
        show(name + suffix, np.mean([metric(LABEL[:, t], HARD[:, t], sample_weight=w) for t in range(2)]))
        more = {"average": "macro"} if name == "F1" else {}
        show(name + "_CLASSES" + suffix, metric(CLASS, ARGMAX, sample_weight=w, **more))
GRADE = np.array([1, 2, 4, 3, 1, 2])
GRADED = np.array([1.4, 2.6, 3.3, 3.5, 0.6, 4.1])
ROUNDED = np.floor(GRADED + 0.5).astype(int)
for suffix, w in (("", None), ("_WEIGHTS", W)):
    show("QWK" + suffix, sk.cohen_kappa_score(GRADE, ROUNDED, weights="quadratic", sample_weight=w))
show("PINBALL_09", sk.mean_pinball_loss(T, V, alpha=0.9))
show("PINBALL_09_WEIGHTS", sk.mean_pinball_loss(T, V, alpha=0.9, sample_weight=W))
show("MAPE", sk.mean_absolute_percentage_error(T + 0.5, V))
show("MAPE_WEIGHTS", sk.mean_absolute_percentage_error(T + 0.5, V, sample_weight=W))
show("SMAPE", (2 * np.abs(V - T) / (np.abs(V) + np.abs(T))).mean())
show("PEARSON", np.mean([stats.pearsonr(T[:, t], V[:, t]).statistic for t in range(2)]))
cov = [np.cov(T[:, t], V[:, t], aweights=W) for t in range(2)]
show("PEARSON_WEIGHTS", np.mean([c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]) for c in cov]))
show("SPEARMAN", np.mean([stats.spearmanr(T[:, t], V[:, t]).statistic for t in range(2)]))
TWICE = np.repeat(np.arange(6), [1, 2, 1, 3, 1, 1])
show("SPEARMAN_COUNTS", np.mean([stats.spearmanr(T[TWICE, t], V[TWICE, t]).statistic for t in range(2)]))
APART = Q - np.array([0, 1e-6, 2e-6])  # the same order, ties apart: of equals the first counts here, the last there
show("TOP_2", sk.top_k_accuracy_score(CLASS, APART, k=2, labels=[0, 1, 2]))
show("TOP_2_WEIGHTS", sk.top_k_accuracy_score(CLASS, APART, k=2, labels=[0, 1, 2], sample_weight=W))
HOT = np.eye(3)[CLASS]
GAIN = np.array([[3, 0, 1], [0, 2, 2], [1, 0, 3], [0, 1, 0], [2, 1, 0], [0, 3, 1]], dtype=float)
for k in (2, 3):
    show(f"NDCG_{k}", sk.ndcg_score(HOT, Q, k=k))
    show(f"NDCG_{k}_GRADED", sk.ndcg_score(GAIN, Q, k=k))
show("NDCG_2_GRADED_WEIGHTS", sk.ndcg_score(GAIN, Q, k=2, sample_weight=W))
# With every place counted and no ties, label_ranking_average_precision_score is mean average precision.
RELEVANT = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 1, 1]])
show("MAP_3", sk.label_ranking_average_precision_score(RELEVANT, APART))
show("MAP_3_CLASSES", sk.label_ranking_average_precision_score(HOT, APART))
RISK = np.array([0.9, 0.4, 0.4, 0.7, 0.1, 0.3, 0.8, 0.4])
TIME = np.array([2.0, 5.0, 4.0, 5.0, 9.0, 9.0, 3.0, 7.0])
EVENT = np.array([1, 1, 0, 0, 1, 0, 1, 1])
STRATUM = np.array([0, 0, 0, 0, 1, 1, 1, 1])
PAIR_W = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 0.25, 1.5, 1.0])
# Without censoring and ties of time it is Somers' D moved to [0, 1].
show("C_INDEX_UNCENSORED", (stats.somersd(-np.arange(8.0), RISK).statistic + 1) / 2)


def c_index(time, event, risk, w):
    """By its definition, pair by pair."""
    good = every = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            longer = time[j] > time[i] or (time[j] == time[i] and not event[j])
            if event[i] and longer and i != j:
                every += w[i] * w[j]
                good += w[i] * w[j] * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    return good / every


show("C_INDEX", c_index(TIME, EVENT, RISK, np.ones(8)))
show("C_INDEX_WEIGHTS", c_index(TIME, EVENT, RISK, PAIR_W))
parts = [c_index(TIME[s], EVENT[s], RISK[s], np.ones(4)) for s in (STRATUM == 0, STRATUM == 1)]
show("STRATIFIED_C_INDEX", np.mean(parts) - np.sqrt(np.var(parts)))
