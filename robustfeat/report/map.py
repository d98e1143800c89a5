"""This module draws a map of features that shows where an attack moves the images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, Labels
from robustfeat.report.plot import figure_of
from robustfeat.runtime.files import atomic_file
from robustfeat.runtime.needed import needed

METHODS = ("pca", "tsne")


def plot_map(
    clean: Features,
    attacked: Features,
    labels: Labels | None,
    path: str | os.PathLike[str],
    *,
    method: Literal["pca", "tsne"] = "pca",
    seed: int = 0,
) -> None:
    """Draw an arrow per image from its clean to its attacked features, in two dimensions, coloured by class.

    Args:
        clean: the clean features (n, d).
        attacked: the attacked features (n, d).
        labels: class numbers (n,), or None for one colour.
        path: a .png or .svg file.
        method: "pca" (of the clean features: the lengths of arrows are comparable) or "tsne" (of both together; only small
            distances are meaningful).
        seed: the seed of t-SNE.

    Raises:
        ValueError: for fewer than three images, and for features without any variance.
    """
    points = project(clean, attacked, method, seed)
    begin, end = points.chunk(2)
    figure, (axes,) = figure_of(5.2, 1, height=4.8)
    colours = ["C0"] * len(begin) if labels is None else [f"C{int(c) % 10}" for c in labels]
    step = end - begin
    axes.quiver(*begin.T, *step.T, color=colours, angles="xy", scale_units="xy", scale=1, width=0.003, alpha=0.6)
    axes.scatter(*begin.T, c=colours, s=10)
    axes.update_datalim(points.numpy())
    axes.autoscale_view()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{method.upper()} of features: dots clean, arrows to attacked", fontsize=9)
    target = Path(path)
    with atomic_file(target) as temporary:
        figure.savefig(temporary, dpi=130, format=target.suffix.lstrip(".") or "png")


def project(clean: Features, attacked: Features, method: str, seed: int) -> Tensor:
    """Project clean and attacked features (n, d) to two dimensions, (2n, 2), the clean ones first."""
    if method not in METHODS:
        raise ValueError(f"method must be 'pca' or 'tsne', got {method!r}")
    if len(clean) != len(attacked) or len(clean) < 3:
        raise ValueError(f"a map needs at least three images, clean and attacked; got {len(clean)} and {len(attacked)}")
    x = torch.cat([clean, attacked]).double()
    centred = clean.double() - clean.double().mean(dim=0)
    if not bool(centred.any()):
        raise ValueError("the features are all equal; there is nothing to draw")
    if method == "pca":
        axes = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
        return (x - clean.double().mean(dim=0)) @ axes.T
    with needed("a map by 'tsne'", "sklearn", "scikit-learn"):
        from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(x) - 1) / 3)
    return torch.from_numpy(TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(x.float().numpy()))
