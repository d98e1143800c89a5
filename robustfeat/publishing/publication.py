"""This module writes measured numbers into the card and README of a model, and refuses doubtful ones."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.patches import PatchExtractor
from robustfeat.features.remote import HF
from robustfeat.publishing.fixture import fixture
from robustfeat.publishing.public import public
from robustfeat.report import Report
from robustfeat.runtime.files import write_text


def publish(
    folder: str | os.PathLike[str],
    reports: Sequence[Report],
    *,
    limits: Sequence[str] | None = None,
    force: bool = False,
) -> Card:
    """Write reports into the card of a model folder, replacing all previous ones.

    Reports may be of several data sets, sizes and attacks. The card also gets features of two synthetic images
    (`robustfeat.publishing.fixture`). Paths of this machine are not published (`robustfeat.publishing.public`).

    Args:
        folder: the model folder.
        reports: the reports of this model.
        limits: sentences about what the model is not good for; None keeps those of the card.
        force: publish flagged and unchecked numbers too, each with its flag.

    Returns:
        The new card.

    Raises:
        ValueError: if a report is of other weights, if two reports contradict each other about the same images, or, without
            `force`, if a flag shows that an attack failed, so that a number overestimates the model, or a number was not checked.
    """
    if not reports:
        raise ValueError("there is no report to publish; give at least one")
    if os.fspath(folder).startswith(HF):
        raise ValueError(f"{folder!r} is on the Hub; publish into the folder it was pushed from, then push that again")
    path = hub.find(os.fspath(folder))
    extractor = hub.load(path)
    for report in reports:
        measured = PatchExtractor(extractor) if report.patches else extractor
        if report.weights != measured.digest():
            raise ValueError(
                f"the report on {report.measured_on} is of other weights than those in {str(path)!r}; evaluate that folder"
            )
    _refuse_contradictions(reports)
    doubts = [f"{report.measured_on}, {doubt}" for report in reports for doubt in report.doubts()]
    if doubts and not force:
        raise ValueError(
            f"numbers that may flatter the model are not published: {'; '.join(doubts)}. "
            "Use a stronger attack, have it checked (examined), or force it"
        )
    card = extractor.card
    limits = card.limits if limits is None else tuple(limits)
    card = public(dataclasses.replace(card, reports=tuple(reports), limits=limits, fixture=fixture(extractor)))
    texts = {hub.CARD: card.to_json(), hub.README: card.readme()}
    for file, text in texts.items():
        write_text(path / file, text)
    return card


def _refuse_contradictions(reports: Sequence[Report]) -> None:
    """Refuse two values of one metric, of the same features of the same images under the same attack."""
    seen: dict[tuple[object, ...], float] = {}
    for report in reports:
        for row in report.rows:
            # A size of a ladder starts from what the smaller ones have found: the same attack alone finds something else.
            ran = report.attacks.get(row.sized), report.sizes(row.attack)
            key = (report.patches, *report.data.fingerprints, row.task, row.metric, *row.sized, row.column, *ran)
            if seen.setdefault(key, row.value) != row.value:
                raise ValueError(
                    f"two reports on {report.measured_on} say {seen[key]} and {row.value} for {row.task} {row.metric} under "
                    f"{report.label(*row.sized, row.column)} on the same images; publish one of them"
                )
