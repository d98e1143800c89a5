"""Checks that FAISS's scores are those of the metric, whatever a factory string puts around the items."""

from __future__ import annotations

from typing import Any

from robustfeat.index.contents import every_level
from robustfeat.index.faiss import import_faiss, reason
from robustfeat.index.hits import Metric

OTHER_SCORES = {
    "IndexLSH": "counts bits that differ",
    "IndexLattice": "knows distances only, whatever the metric",
}
KEEP_LENGTH = ("NormalizationTransform", "OPQMatrix", "RandomRotationMatrix", "RemapDimensionsTransform")


def make(dim: int, factory: str, metric: Metric) -> Any:
    """Return an empty FAISS index whose scores are those of the metric.

    Raises:
        ValueError: the factory string does not make such an index.
    """
    if "IDMap" in factory:
        raise ValueError(f"factory {factory!r} has a map of ids; leave it out, the index has ids of its own")
    faiss = import_faiss()
    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    try:
        index = faiss.index_factory(dim, factory, kind)
    except RuntimeError as error:
        raise ValueError(f"FAISS cannot make factory {factory!r} for width {dim}: {reason(error)}") from error
    _keep(index, factory, metric, kind)
    return index


def _keep(index: Any, factory: str, metric: Metric, kind: int) -> None:
    """Change an untrained index so that its scores are those of its metric; raise ValueError if that is not possible.

    Behind a transform that cuts, centres or scales them, unit vectors no longer have length 1: for cosines they are brought to
    length 1 again behind the last transform.
    """
    faiss = import_faiss()
    for level in every_level(index):
        name = type(level).__name__
        if name in OTHER_SCORES or level.metric_type != kind:
            why = OTHER_SCORES.get(name, "has another metric inside")
            raise ValueError(f"factory {factory!r} cannot give scores of metric {metric!r}: its {name} {why}")
        if not isinstance(level, faiss.IndexPreTransform):
            continue
        names = chain(level)
        if metric != "cosine" and "NormalizationTransform" in names:
            raise ValueError(f"factory {factory!r} normalises, which metric {metric!r} does not; use metric 'cosine'")
        last = faiss.downcast_VectorTransform(level.chain.at(level.chain.size() - 1))
        if metric == "cosine" and (names[-1] not in KEEP_LENGTH or last.d_out < last.d_in):
            normalise = faiss.NormalizationTransform(last.d_out)
            normalise.this.disown()  # the chain owns it now
            level.chain.push_back(normalise)


def chain(level: Any) -> tuple[str, ...]:
    """Return the kinds of transforms of one level, in order."""
    faiss = import_faiss()
    if not isinstance(level, faiss.IndexPreTransform):
        return ()
    return tuple(type(faiss.downcast_VectorTransform(level.chain.at(i))).__name__ for i in range(level.chain.size()))


def alike(one: Any, other: Any) -> bool:
    """Return whether two indexes have the same outermost kind and width, and the same metric and transforms on every level."""
    first, second = (
        [(type(index), index.d), *((level.metric_type, chain(level)) for level in every_level(index))]
        for index in (one, other)
    )
    return first == second
