"""Preprocessing in the graph against the libraries that people fit it with."""

import unittest

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtri
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from zoo import cells, deepinsight, folds, preprocess, simple_nn
from zoo.tabnet import Entmax

RANDOM = np.random.default_rng(0)


def heavy(rows: int, columns: int) -> np.ndarray:
    """Like the contest's measurements: four decimals, heavy tails, clipped at ten."""
    return np.clip(np.round(RANDOM.standard_t(3, (rows, columns)), 4), -10, 10).astype(np.float32)


class Fitted(unittest.TestCase):
    def test_inverse_normal(self):
        p = np.concatenate([np.geomspace(1e-7, 0.5, 500), 1 - np.geomspace(1e-7, 0.5, 500)])
        got = preprocess.inverse_normal(torch.tensor(p), torch.tensor(1 - p)).numpy()
        np.testing.assert_allclose(got, ndtri(p), rtol=3e-7, atol=3e-7)

    def test_ranks(self):
        x = heavy(900, 12)
        x[:, 3] = np.round(x[:, 3])  # many equal values
        x[:, 4] = 1.5  # nothing but
        other = np.concatenate([heavy(300, 12), x[:50], np.full((1, 12), 1e6), np.full((1, 12), -1e6)]).astype(np.float32)
        module = preprocess.RankGauss(12)
        module.fit(x)
        fitted = QuantileTransformer(n_quantiles=100, output_distribution="normal", subsample=None).fit(x)
        for rows in (x, other):
            got, wanted = preprocess.applied(module, rows), fitted.transform(rows)
            inside = np.abs(wanted) < 4.5  # beyond, 32 bits of a value next to the end of its column show
            np.testing.assert_allclose(got[inside], wanted[inside], atol=2e-4)
            self.assertTrue((np.abs(got[~inside]) > 4.2).all() and (np.sign(got[~inside]) == np.sign(wanted[~inside])).all())

    def test_projections(self):
        x = heavy(400, 30)
        module = preprocess.Projection(30, 5)
        got = module.fit_factors(x)
        np.testing.assert_allclose(got, FactorAnalysis(5, random_state=0).fit(x).transform(x), atol=2e-5)
        np.testing.assert_allclose(module.fit_principal(x), PCA(5, random_state=0).fit(x).transform(x), atol=2e-5)
        np.testing.assert_allclose(preprocess.Standard(30).fit(x), StandardScaler().fit_transform(x), atol=2e-5)

    def test_clusters(self):
        x = heavy(400, 8)
        got = preprocess.Clusters(8, 6).fit(x)
        wanted = KMeans(6, random_state=0, n_init=1).fit(x).predict(x)
        self.assertTrue((got.argmax(1) == wanted).all() and (got.sum(1) == 1).all())

    def test_row_statistics(self):
        x = heavy(50, 40)
        got = preprocess.row_statistics(torch.from_numpy(x), simple_nn.STATISTICS).numpy()
        frame = pd.DataFrame(x.astype(np.float64))
        wanted = np.stack([getattr(frame, name)(axis=1) for name in simple_nn.STATISTICS], axis=1)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)

    def test_the_old_network_never_sees_the_first_gene(self):
        config = simple_nn.SMALL_OLD
        net = simple_nn.SimpleNn(config).eval()
        features = torch.randn(4, config.columns.table)
        changed = features.clone()
        changed[:, cells.CODES] += 5.0
        with torch.no_grad():
            self.assertTrue(torch.equal(net(features), net(changed)))
            changed[:, cells.CODES + 1] += 5.0
            self.assertFalse(torch.equal(net(features), net(changed)))


class Masks(unittest.TestCase):
    def test_entmax(self):
        x = torch.tensor(RANDOM.normal(size=(20, 50)) * 2)
        got = Entmax()(x).double()
        # The definition: p_i = max(x_i / 2 - tau, 0)^2 with tau such that p sums to 1; tau by bisection.
        low, high = x.amax(1, keepdim=True) / 2 - 1, x.amax(1, keepdim=True) / 2
        for _ in range(60):
            middle = (low + high) / 2
            above = (torch.relu(x / 2 - middle) ** 2).sum(1, keepdim=True) > 1
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        np.testing.assert_allclose(got, torch.relu(x / 2 - low) ** 2, atol=1e-5)


    def test_entmax_has_finite_slopes(self):
        # All four together have a spread of exactly 1, so that the root is of 0.
        x = torch.tensor([[0.0, 0.0, -2.0, -2.0]], requires_grad=True)
        (Entmax()(x) * torch.tensor([[1.0, 2.0, 3.0, 4.0]])).sum().backward()
        self.assertTrue(torch.isfinite(x.grad).all(), x.grad)


class Images(unittest.TestCase):
    def test_drawing(self):
        columns, size = 40, 8
        module = deepinsight.Draw(columns, size)
        pixels = RANDOM.integers(0, size, (columns, 2))
        module.place(pixels)
        x = RANDOM.random((3, columns)).astype(np.float32)
        wanted = np.zeros((3, 3, size, size), np.float32)
        for a in range(size):
            for b in range(size):
                inside = x[:, (pixels == (a, b)).all(axis=1)]
                if inside.shape[1]:
                    wanted[:, :, a, b] = np.stack([inside.mean(1), inside.min(1), inside.max(1)], axis=1)
        np.testing.assert_allclose(preprocess.applied(module, x), wanted, atol=1e-6)

    def test_layout(self):
        x = RANDOM.normal(size=(200, 30))
        x[:, 1] = x[:, 0] + 0.01 * RANDOM.normal(size=200)
        pixels = deepinsight.layout(x, 50)
        self.assertTrue((pixels >= 0).all() and (pixels < 50).all())
        self.assertTrue(all(pixels[:, axis].min() == 0 and pixels[:, axis].max() == 49 for axis in (0, 1)))
        self.assertLess(np.abs(pixels[0] - pixels[1]).max(), 12)  # alike, so close

    def test_log_scale(self):
        x = heavy(200, 20)
        module = deepinsight.LogScale(20)
        fitted = module.fit(x)
        np.testing.assert_allclose(preprocess.applied(module, x), fitted, atol=1e-5)
        self.assertTrue(fitted.min() >= 0 and fitted.max() == 1)


class Folds(unittest.TestCase):
    def test_labels_are_spread(self):
        labels = RANDOM.random((2000, 30)) < np.geomspace(0.004, 0.1, 30)
        fold = folds.stratified(labels, 5)
        self.assertEqual(set(np.bincount(fold)), {400})
        for label in labels.T:
            counts = np.bincount(fold[label], minlength=5)
            self.assertLessEqual(counts.max() - counts.min(), 3)
        np.testing.assert_array_equal(fold, folds.stratified(labels, 5))

    def test_drugs_stay_together(self):
        drugs = np.concatenate([np.repeat(np.arange(200), 6), np.full(150, 999)])
        labels = RANDOM.random((len(drugs), 10)) < 0.05
        fold = folds.by_drug(drugs, labels)
        for drug in range(200):
            self.assertEqual(len(set(fold[drugs == drug])), 1)
        self.assertEqual(len(set(fold[drugs == 999])), 5)
        self.assertTrue((fold >= 0).all())


if __name__ == "__main__":
    unittest.main()
