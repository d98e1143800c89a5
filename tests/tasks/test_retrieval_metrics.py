"""Metrics of ranked lists against pytorch-metric-learning and scikit-learn, to 1e-9, with ties and singletons."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.metrics import average_precision_score, ndcg_score
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks import Retrieval
from robustfeat.tasks.metrics.retrieval import average_precision, map_at_r, ndcg, recall_at


def lists(seed: int, queries: int, gallery: int, classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Labels of the gallery in each query's order, labels of the queries, hits, numbers of relevant items."""
    random = generator(120, seed)
    labels = torch.randint(classes, (gallery,), generator=random)
    targets = torch.randint(classes, (queries,), generator=random)
    ranked = labels[torch.rand(queries, gallery, generator=random).argsort(dim=1)]
    return ranked, targets, ranked == targets[:, None], torch.bincount(labels, minlength=classes)[targets]


CASES = [(0, 40, 60, 4), (1, 30, 30, 15), (2, 60, 25, 20), (3, 9, 400, 3), (4, 5, 1, 1)]


@pytest.mark.parametrize("arguments", CASES)
def test_as_pytorch_metric_learning(arguments: tuple[int, int, int, int]) -> None:
    ranked, targets, hits, relevant = lists(*arguments)
    known = relevant > 0
    calculator = AccuracyCalculator()
    values, counts = torch.unique(ranked[0], return_counts=True)
    kwargs = {
        "knn_labels": ranked[known],
        "query_labels": targets[known],
        "ref_includes_query": False,
        "label_counts": (values, counts),
        "not_lone_query_mask": torch.ones(int(known.sum()), dtype=torch.bool),
        "label_comparison_fn": torch.eq,
    }
    for ours, theirs in (
        (recall_at(hits, relevant, 1), calculator.calculate_precision_at_1(**kwargs)),
        (map_at_r(hits, relevant), calculator.calculate_mean_average_precision_at_r(**kwargs)),
        (average_precision(hits, relevant), calculator.calculate_mean_average_precision(**kwargs)),
    ):
        assert ours.isnan().tolist() == (~known).tolist()
        assert float(ours.nanmean()) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("arguments", CASES)
def test_as_scikit_learn(arguments: tuple[int, int, int, int]) -> None:
    _, _, hits, relevant = lists(*arguments)
    scores = -np.arange(hits.shape[1], dtype=float)
    for hit, ours, gain, r in zip(
        hits.numpy(), average_precision(hits, relevant), ndcg(hits, relevant), relevant, strict=True
    ):
        if r == 0:
            assert ours.isnan()
            continue
        assert float(ours) == pytest.approx(average_precision_score(hit, scores), abs=1e-9)
        if len(hit) > 1:
            assert float(gain) == pytest.approx(ndcg_score(hit[None].astype(float), scores[None]), abs=1e-9)


def test_lists_that_are_cut_off() -> None:
    """Two of three relevant items are found, at ranks 1 and 4."""
    hits, relevant = torch.tensor([[True, False, False, True]]), torch.tensor([3])
    assert float(average_precision(hits, relevant)) == pytest.approx((1 + 2 / 4) / 3)
    assert float(map_at_r(hits, relevant)) == pytest.approx(1 / 3)
    best = 1 + 1 / np.log2(3) + 1 / 2
    assert float(ndcg(hits, relevant)) == pytest.approx((1 + 1 / np.log2(5)) / best)
    more = ndcg(torch.tensor([[True]]), torch.tensor([3]))
    assert float(more) == pytest.approx(1 / best)


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_retrieval_with_ties_and_singletons(seed: int) -> None:
    """Items that are copies of each other within their class, so that ties do not decide; classes with one item."""
    random = generator(121, seed)
    centres = torch.randn(12, 6, generator=random)
    labels = torch.cat([torch.randint(8, (40,), generator=random), torch.arange(8, 12)])
    gallery = centres[labels].double() + 0.5 * torch.randn(len(labels), 6, generator=random).double()
    gallery[:10], gallery[10:20] = gallery[20:30].clone(), gallery[20:30].clone()
    labels[:10], labels[10:20] = labels[20:30].clone(), labels[20:30].clone()
    targets = torch.randint(14, (50,), generator=random)
    queries = torch.cat([centres, centres[:2]])[targets].double() + torch.randn(50, 6, generator=random).double()
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r", "mean_average_precision"),
        knn_func=CustomKNN(CosineSimilarity()),
        device=torch.device("cpu"),
        k=len(gallery),
    )
    expected = calculator.get_accuracy(queries, targets, gallery, labels, ref_includes_query=False)
    found = Retrieval().fit(gallery.float(), labels).score(queries.float(), targets)
    assert found["recall@1"] == pytest.approx(expected["precision_at_1"], abs=1e-9)
    assert found["map@r"] == pytest.approx(expected["mean_average_precision_at_r"], abs=1e-9)
    assert found["map"] == pytest.approx(expected["mean_average_precision"], abs=1e-9)


def test_the_twin_and_the_flat_index_find_the_same() -> None:
    """At least 99.99 % of the neighbours; those that differ are ties to the last digit."""
    random = generator(122)
    gallery = torch.randn(5000, 64, generator=random)
    queries = torch.randn(300, 64, generator=random)
    task = Retrieval().fit(gallery, torch.arange(5000) % 10)
    rows, cosines = task.search(queries, 100)
    assert task.gallery is not None
    twin = torch.nn.functional.normalize(queries, dim=1) @ task.gallery.T
    best = twin.topk(100, dim=1)
    assert (rows == best.indices).double().mean() >= 0.9999
    torch.testing.assert_close(cosines, best.values, atol=1e-6, rtol=0)


def test_a_shallow_search_has_the_same_shallow_metrics() -> None:
    random = generator(123)
    labels, targets = torch.randint(6, (80,), generator=random), torch.randint(6, (30,), generator=random)
    gallery, queries = torch.randn(80, 5, generator=random), torch.randn(30, 5, generator=random)
    deep, shallow = (Retrieval(deep=d).fit(gallery, labels).score(queries, targets) for d in (True, False))
    assert deep.keys() - shallow.keys() == {"map", "ndcg"}
    assert shallow == {name: deep[name] for name in shallow}
    assert deep == Retrieval().fit(gallery, labels).score(queries, targets), "up to 10,000 items unasked"
