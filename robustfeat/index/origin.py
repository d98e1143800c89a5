"""Whose features an index holds, and whose it may be searched with."""

from __future__ import annotations

from collections.abc import Sequence

Digests = str | Sequence[str]
"""The digest of an extractor, or all that `FeatureExtractor.digests` returns, its own first."""


def check_origin(place: str, built_with: str, extractor: Digests | None) -> str:
    """Check that an index may be used with an extractor.

    Args:
        place: the folder of the index.
        built_with: the digest of the extractor that the index was built with.
        extractor: the digest or digests of the extractor to use; None for any.

    Returns:
        Why the index may only be searched; empty for the extractor that it was built with.

    Raises:
        ValueError: if the index was built with none of them.
    """
    if extractor is None:
        return ""
    own, *others = [extractor] if isinstance(extractor, str) else extractor
    if built_with == own:
        return ""
    if built_with not in others:
        raise ValueError(
            f"the index {place!r} was built with another extractor ({built_with[:12] or 'unknown'}, not {own[:12]}); their "
            "features have nothing in common: build it again"
        )
    return (
        f"the index {place!r} was built with the extractor {built_with[:12]}, and {own[:12]} may only search it: an index of "
        "features of both would rank neither well. Add images with the extractor that it was built with"
    )
