"""`evaluate`: every task, clean and under every attack, white-box through the whole pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch
from robustfeat.tasks.base import TASKS, Aim, Task
from robustfeat.tasks.intervals import bootstrap, wilson
from torch import Tensor

from robustfeat.attacks import Attack, Classifier, Goal
from robustfeat.data import ImageDataset
from robustfeat.environment import environment
from robustfeat.extractor import FeatureExtractor
from robustfeat.modes import evaluating
from robustfeat.progress import Progress
from robustfeat.random import generator
from robustfeat.report import Report
from robustfeat.types import Features, PerExample, Row

EVALUATE, RESAMPLE = 7, 8  # what these streams of random numbers are for


def evaluate(
    extractor: FeatureExtractor,
    tasks: Sequence[Task | str],
    train: ImageDataset,
    test: ImageDataset,
    attacks: Sequence[Attack] | Mapping[str, Attack] = (),
    *,
    batch_size: int = 256,
    seed: int = 0,
    progress: bool = True,
) -> Report:
    """Fit each task on features of `train`, measure it on `test`, as it is and under each attack.

    tasks: unfitted tasks or names of them.  attacks: by name, or a sequence that is named by its classes.
    Each attack raises the task's loss of (extractor(images), targets) by the exact gradient, once per loss in `task.aims()`.
    Metrics are those of the task, computed from the features of the attacked images; each row has n (test images) and a
    95 % interval.

    Raises ValueError for data without labels and where both splits hold the same images, KeyError for unknown task names.
    """
    chosen = [TASKS[task]() if isinstance(task, str) else task for task in tasks]
    if not chosen:
        raise ValueError("there is no task to evaluate; give at least one")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if not isinstance(attacks, Mapping):
        attacks = dict(zip(numbered([attack.name for attack in attacks]), attacks, strict=True))
    titles = numbered([task.name for task in chosen])
    train_labels, test_labels = train.require_labels(), test.require_labels()
    if len(test_labels) == 0:
        raise ValueError(f"the test split of {test.name!r} is empty")
    if train.fingerprint == test.fingerprint:
        raise ValueError(f"train and test are the same images of {test.name!r}; what is learnt by heart says nothing")
    device = extractor.device
    rows: list[Row] = []
    with evaluating(extractor):
        learnt = torch.from_numpy(extractor.transform(train, progress=progress)).to(device)
        clean = torch.from_numpy(extractor.transform(test, progress=progress))
        for title, task in zip(titles, chosen, strict=True):
            begin = time.monotonic()
            task.to(device).fit(learnt, train_labels.to(device))
            case_rows, targets = task.cases(test_labels)
            features = clean[case_rows]
            rows += _measure(title, task, "none", features, case_rows, targets, device, begin, seed)
            for number, (name, attack) in enumerate(attacks.items()):
                for metric, aim in task.aims().items():
                    begin = time.monotonic()
                    bar = f"{metric or title} under {name}"
                    pipeline = _Pipeline(extractor, aim, attack, bar if progress else None)
                    attacked = pipeline(test, case_rows, targets, features, batch_size, (seed, number))
                    for column, mask in task.columns(targets).items():
                        mixed = torch.where(mask[:, None], attacked, features)
                        label = f"{name}/{column}" if column else name
                        found = _measure(title, task, label, mixed, case_rows, targets, device, begin, seed)
                        rows += [row for row in found if metric in ("", row.metric)]
    return Report(
        model=extractor.card.name,
        data={"train": _describe(train), "test": _describe(test)},
        threat=", ".join(dict.fromkeys(str(attack.threat) for attack in attacks.values())) or "none",
        attacks={name: repr(attack) for name, attack in attacks.items()},
        rows=tuple(rows),
        environment=environment(device),
    )


class _Pipeline:
    """Pixels to the losses of an aim, under one attack. bar: what the progress bar says, or None for no bar."""

    def __init__(self, extractor: FeatureExtractor, aim: Aim, attack: Attack, bar: str | None) -> None:
        self.extractor, self.aim, self.attack, self.bar = extractor, aim, attack, bar

    def __call__(
        self, test: ImageDataset, rows: Tensor, targets: Tensor, clean: Features, batch_size: int, key: tuple[int, ...]
    ) -> Features:
        """Features of the attacked image of every case."""
        device = self.extractor.device
        parts = []
        with Progress(self.bar or "", len(rows), "cases", quiet=self.bar is None) as bar:
            for start in range(0, len(rows), batch_size):
                part = slice(start, start + batch_size)
                images = test.batch(rows[part]).images.to(device, memory_format=torch.channels_last)
                random = generator(*key[:1], EVALUATE, *key[1:], start, device=device)
                goal = self._goal(targets[part].to(device), clean[part].to(device))
                adversarial = self.attack(goal, images, generator=random)
                with torch.no_grad():
                    parts.append(self.extractor(adversarial).cpu())
                bar.advance(len(images))
        return torch.cat(parts)

    def _goal(self, targets: Tensor, clean: Features) -> Goal:
        """The aim at these targets, through the extractor."""

        def bound(loss: Callable[..., PerExample]) -> Callable[[Features, Tensor], PerExample]:
            return lambda features, rows: loss(features, targets[rows], clean[rows])

        losses = {name: bound(loss) for name, loss in self.aim.losses.items()}
        logits = self.aim.logits
        classifier = None if logits is None else Classifier(lambda x: logits(self.extractor(x)), targets)
        rows = torch.arange(len(targets), device=targets.device)
        return Goal(self.extractor, losses, rows, wins=self.aim.wins, classifier=classifier)


def _measure(
    title: str,
    task: Task,
    attack: str,
    features: Features,
    rows: Tensor,
    targets: Tensor,
    device: torch.device,
    begin: float,
    seed: int,
) -> list[Row]:
    """One report row per metric."""
    with torch.no_grad():
        judged = {name: v.cpu() for name, v in task.judge(features.to(device), targets.to(device)).items()}
    metrics = task.summary(judged, targets)
    images = int(rows.max()) + 1
    # A case without a value (a query with nothing to find) does not count.
    counted = {name: round(images * float((~values.isnan()).double().mean())) for name, values in judged.items()}
    rates = {
        name
        for name in metrics
        if name in judged and bool((judged[name].isnan() | (judged[name] == 0) | (judged[name] == 1)).all())
    }
    # Cases of one image stay together: cases_of[i] are the positions of image i.
    cases_of = rows.argsort(stable=True).view(images, -1)

    def again(drawn: Tensor) -> dict[str, float]:
        picked = cases_of[drawn].flatten()
        return task.summary({name: values[picked] for name, values in judged.items()}, targets[picked])

    resampled = {} if len(rates) == len(metrics) else bootstrap(again, images, generator(seed, RESAMPLE))
    seconds = round(time.monotonic() - begin, 3)
    found = []
    for name, value in metrics.items():
        # Where no resample had the metric (fewer images than classes, say), nothing is known about it.
        n = counted.get(name, images)
        low, high = wilson(value, n) if name in rates else resampled.get(name, (0.0, 1.0))
        found.append(Row(title, name, attack, value, low, high, n, seconds))
    return found


def numbered(names: Sequence[str]) -> list[str]:
    """Names made unique: the second "pgd" becomes "pgd-2".

    >>> numbered(["pgd", "fgsm", "pgd"])
    ['pgd', 'fgsm', 'pgd-2']
    """
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result


def _describe(data: ImageDataset) -> dict[str, object]:
    return {"name": data.name, "images": len(data), "fingerprint": data.fingerprint}
