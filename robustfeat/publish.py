"""Measured numbers become part of a model: they are written into its card and README, unless something is wrong with them."""

from __future__ import annotations

import dataclasses
import os

from robustfeat import hub
from robustfeat.card import Card
from robustfeat.files import write_text
from robustfeat.report import Report


def publish(folder: str | os.PathLike[str], report: Report, *, force: bool = False) -> Card:
    """Write the rows of a report, what ran and its flags into the card of a model folder; returns the card.

    Raises ValueError where the report is of other weights, and where a flag says that an attack failed, so that a number
    flatters the model; unchecked numbers are refused too. `force` publishes them, each with
    its flag.
    """
    path = hub.find(os.fspath(folder))
    card = hub.read_card(path)
    if report.weights != hub.load(path).digest():
        raise ValueError(f"the report is of other weights than those in {str(path)!r}; evaluate that folder")
    doubts = report.warnings() + tuple(
        f"{ran.task} {ran.metric}".rstrip() + f" under {ran.attack}: not checked for masked gradients"
        for ran in report.runs
        if ran.examined == 0
    )
    if doubts and not force:
        raise ValueError(
            f"numbers that may flatter the model are not published: {'; '.join(doubts)}. "
            "Use a stronger attack, have it checked (examined), or force it"
        )
    measured = {kind: f"{data['images']} images of {data['name']}" for kind, data in report.data.items()}
    card = dataclasses.replace(card, results=report.rows, measured=measured, attacks=report.attacks, flags=doubts)
    write_text(path / hub.CARD, card.to_json())
    write_text(path / hub.README, card.readme())
    return card
