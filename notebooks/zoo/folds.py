"""Fold maps of the contests: stratified over many labels, and with drugs kept together."""

import numpy as np


def stratified(labels: np.ndarray, n_folds: int, seed: int | None = None) -> np.ndarray:
    """A fold for every row, each label spread evenly: iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011).

    The rarest label goes first, each of its rows to the fold that still wants it most. Ties go to the fold that wants
    most rows, then to the first, or to a random one where there is a seed.
    """
    random = np.random.default_rng(seed)
    n, n_labels = labels.shape
    labels = labels.astype(bool)
    order = random.permutation(n) if seed is not None else np.arange(n)
    wanted_rows = np.full(n_folds, n / n_folds)
    wanted = np.tile(labels.sum(0) / n_folds, (n_folds, 1))
    fold = np.full(n, -1)
    left = labels.sum(0).astype(float)

    def best(choices: np.ndarray) -> int:
        return int(choices[random.integers(len(choices))] if seed is not None else choices[0])

    def assign(row: int, wishes: np.ndarray) -> None:
        choices = np.flatnonzero(wishes == wishes.max())
        choices = choices[wanted_rows[choices] == wanted_rows[choices].max()]
        fold[row] = at = best(choices)
        wanted_rows[at] -= 1
        wanted[at, labels[row]] -= 1
        left[labels[row]] -= 1

    while True:
        open_labels = np.flatnonzero(left > 0)
        if len(open_labels) == 0:
            break
        label = open_labels[left[open_labels].argmin()]
        for row in order[(fold[order] < 0) & labels[order, label]]:
            assign(row, wanted[:, label])
    for row in order[fold[order] < 0]:
        assign(row, wanted_rows)
    return fold


def by_drug(drugs: np.ndarray, labels: np.ndarray, n_folds: int = 5, seed: int = 34, few: int = 18) -> np.ndarray:
    """A fold for every row: drugs with at most `few` rows stay whole, the rows of others are spread; both stratified."""
    names, drug, counts = np.unique(drugs, return_inverse=True, return_counts=True)
    means = np.zeros((len(names), labels.shape[1]))
    np.add.at(means, drug, labels)
    rare = counts <= few
    fold_of_drug = np.full(len(names), -1)
    fold_of_drug[rare] = stratified(means[rare] > 0, n_folds, seed)
    fold = fold_of_drug[drug]
    rows = np.flatnonzero(~rare[drug])
    if len(rows):
        fold[rows] = stratified(labels[rows], n_folds, seed)
    return fold
