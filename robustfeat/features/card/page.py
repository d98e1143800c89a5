"""README.md of a model folder: loading, threat model, results, training, and how to verify all of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from robustfeat.features.card.card import Card
from robustfeat.features.card.command import train_command
from robustfeat.features.card.tables import curve_table, ran, results_table
from robustfeat.objectives import OBJECTIVES
from robustfeat.report import Report, Sized
from robustfeat.runtime.progress import duration

BALLS = {
    "linf": "each value of each pixel may change by up to {} of the range [0, 1] (norm linf)",
    "l2": "the change of an image, over all its values in [0, 1], may be up to {} long (norm l2)",
}


def page(card: Card) -> str:
    """Return the whole page; sections without information are left out."""
    sections = {
        "Load": _load(card),
        "Threat model": _threat(card),
        "Results": _results(card),
        "Robustness against eps": _curves(card),
        "Health of the attacks": _health(card),
        "Limits": _limits(card),
        "Training data": _data(card),
        "Training": _training(card),
        "Check it yourself": _checks(card),
        "Licence": iter([card.licence + "."]),
    }
    lines = [f"# {card.name}", "", _summary(card)]
    for title, section in sections.items():
        if text := list(section):
            lines += ["", f"## {title}", "", *text]
    return "\n".join(lines) + "\n"


def _summary(card: Card) -> str:
    shape, side = card.architecture, card.architecture.image_size
    text = f"{shape.name} (stem {shape.stem}): {card.feature_dim} features of {side}x{side} RGB images in [0, 1]."
    if card.objective:
        text += f" Trained by `{card.objective}`"
        text += f" from the teacher {card.teacher.name}." if card.teacher else "."
    heads = {
        "trained": "trained with the backbone",
        "teacher": "the teacher's, frozen, on the student's features",
        "linear": "a linear one, fitted on the frozen features of clean images",
        "adversarial": "a linear one, fitted on the frozen features of attacked images",
    }
    return text + (f" Classifier: {heads[card.head]}." if card.head in heads else "")


def _load(card: Card) -> Iterator[str]:
    yield from ("```python", "import robustfeat", "", f'extractor = robustfeat.load("{card.name}")')
    yield "features = extractor.transform(images)  # a data set, paths, PIL images or a tensor (n, 3, h, w) in [0, 1]"
    yield "```"


def _threat(card: Card) -> Iterator[str]:
    norm, _, eps = card.threat.partition(" ")
    if norm in BALLS:
        yield f"Trained to withstand {card.threat}: {BALLS[norm].format(eps)}."
    else:
        yield "Trained without attacks: nothing was done to make it withstand any."
    yield ""
    yield (
        "The attacker knows everything, weights and fitted task (white box), and follows the exact gradient through the whole "
        "pipeline, from the decision of the task to the pixels. A robust number is what the attacks that ran have left: an upper "
        "bound on what withstands a better attacker."
    )


def by_data(card: Card) -> dict[str, list[Report]]:
    """Return the reports by the name of the data set that was measured; the training data set of the model comes first."""
    found: dict[str, list[Report]] = {}
    for report in card.reports:
        found.setdefault(report.measured_on, []).append(report)
    return dict(sorted(found.items(), key=lambda item: item[0] != (card.data and card.data.name)))


def _results(card: Card) -> Iterator[str]:
    if not card.reports:
        return
    yield "Fractions with 95 % intervals over test images; larger is better for the defender."
    for name, reports in by_data(card).items():
        tables = [(report, table) for report in reports if (table := results_table(report))]
        yield from ("", f"### {name}") if tables else ()
        for report, table in tables:
            yield from ("", _fitted_and_measured(report), "", *table)
            yield from ("", *ran(report)) if report.attacks else ()


def _fitted_and_measured(report: Report) -> str:
    train, test, setup = report.data.train, report.data.test, report.setup
    splits = ("", "") if setup is None else (f" ({setup.train})", f" ({setup.test})")
    learnt = f"fitted on {train.images:,} images{splits[0]}, " if train else ""
    measured = f"measured on {test.images:,}{splits[1]}" if test else "measured on unknown images"
    prints = [text[:12] for text in report.data.fingerprints if text]
    features = " on the maps of the middle stages" if report.patches else ""
    return (
        f"Tasks{features} {learnt}{measured}; threat {report.threat}; fingerprints {' and '.join(prints) or 'unknown'}."
    )


def _curves(card: Card) -> Iterator[str]:
    if any(curve_table(report) for report in card.reports):
        yield "Columns are sizes of the attack in pixel units; 0 is the clean image."
    for name, reports in by_data(card).items():
        for report in reports:
            for attack, table in curve_table(report).items():
                yield from ("", f"### {name}, attack {attack}", "", _fitted_and_measured(report), "", *table)
                largest = Sized(attack, report.sizes(attack)[-1])
                yield from (
                    "",
                    f"- attack {report.label(*largest)}: `{report.attacks[largest]}`; "
                    "each size starts from what the one before found",
                )


def _health(card: Card) -> Iterator[str]:
    runs = [run for report in card.reports for run in report.runs]
    if card.flags:
        yield "Signs that an attack failed, so that a number flatters the model:"
        yield ""
        for name, reports in by_data(card).items():
            yield from (f"- **{name}, {doubt}**" for report in reports for doubt in report.doubts())
    elif runs:
        least = min(run.examined for run in runs)
        yield f"Each of the {len(runs)} attacks on a task was examined on {least} cases or more; no flag was raised."


def _limits(card: Card) -> Iterator[str]:
    yield from (f"- {sentence}" for sentence in card.limits)
    for name, reports in by_data(card).items():
        counts = sorted({row.n for report in reports for row in report.rows})
        if counts:
            n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
            yield f"- Measured on n = {n} test images of {name}; the intervals are over images, not over training runs."
    if any(report.attacks for report in card.reports):
        yield "- Robust numbers are upper bounds, for the attacks and sizes that are named and no others."
    if card.recipe:
        yield f"- One training run, seed {card.recipe.seed}: another one ends in other numbers."
    side = card.architecture.image_size
    yield f"- Made for images of {side}x{side} pixels; larger photographs are scaled down to that and lose their detail."


def _data(card: Card) -> Iterator[str]:
    known = card.data.as_dict() if card.data else {}
    facts = [f"{key} {value:,}" if isinstance(value, int) else f"{key} `{value}`" for key, value in known.items()]
    if facts:
        yield ", ".join(facts) + "."
    if card.classes:
        yield from ("", "Classes: " + ", ".join(card.classes) + ".")


def _training(card: Card) -> Iterator[str]:
    if card.recipe and card.objective in set(OBJECTIVES):
        command = train_command(card.objective, card.options, card.recipe, f"runs/{card.name}")
        yield from ("```bash", command, "```", "", "What is not named has its default; card.json has every value.")
        if card.recipe.objects:
            yield f"Given as objects in Python, so that a command has no name for them: {', '.join(card.recipe.objects)}."
    for role, model in (("Teacher", card.teacher), ("Started from", card.start)):
        if model:
            yield from ("", f"{role}: {model.name}, sha256 of its weights `{model.sha256}`.")
    if card.compatible_with:
        yield from ("", f"In the feature space of the extractor with the digest `{card.compatible_with}`:")
        yield "indexes that were built with that one can be searched with this one."
    run = card.training
    if run.minutes is not None:
        spent = f"Time: {duration(60 * run.minutes)}"
        if run.steps is not None:
            spent += f" for {run.steps:,} steps ({run.epochs:.1f} epochs)"
        yield from ("", spent + ", measurements included.")
        if card.recipe and card.recipe.minutes and run.steps is not None:
            yield f"The recipe counts minutes: elsewhere, --max_steps {run.steps} instead of them trains as long."
    if run.held_out_robust is not None:
        yield (
            f"Best weights: of step {run.step:,}, with held-out accuracy {run.held_out_clean:.3f} clean and "
            f"{run.held_out_robust:.3f} under PGD ({run.images:,} images)."
        )
    if run.cosine_robust is not None:
        yield (
            f"Best weights: of step {run.step:,}, whose features of held-out images have a mean cosine to the teacher's clean "
            f"ones of {run.cosine_clean:.3f} clean and {run.cosine_robust:.3f} under PGD ({run.images:,} images)."
        )
    if run.heads is not None:
        tried = (f"{kind} {accuracy.clean:.3f} and {accuracy.robust:.3f}" for kind, accuracy in run.heads.items())
        yield f"Its head is the best on these images, of (clean and under PGD): {', '.join(tried)}."
    if run.environment:
        yield f"Trained: {_machine(run.environment)}; processes: {run.processes or 1}."
    chips = dict.fromkeys(_machine(report.environment) for report in card.reports if report.environment)
    yield from (f"Measured: {chip}." for chip in chips)


def _machine(environment: Mapping[str, str | int]) -> str:
    """Return chip, threads and versions on one line."""
    chip = environment.get("gpu") or environment.get("processor") or "unknown processor"
    versions = [
        f"{name} {environment[name]}" for name in ("python", "torch", "timm", "accelerate") if name in environment
    ]
    return ", ".join([f"{chip}, {environment.get('threads')} threads", *versions])


def _checks(card: Card) -> Iterator[str]:
    if card.weights:
        stored = f", {card.weights.dtype}" if card.weights.dtype else ""
        parts = len(card.weights.files) - 1
        named, whole = (f" with {parts} parts", " of the parts one after another") if parts > 0 else ("", "")
        checked = "those of each part before it reads one" if whole else "both before it reads the file"
        yield (
            f"`{card.weights.file}`{named}: {card.weights.bytes:,} bytes{stored}, "
            f"sha256 `{card.weights.sha256}`{whole}."
        )
        yield f"`robustfeat.load` checks {checked}."
    if card.fixture:
        yield from ("", "The same features come out here:", "", "```python", "import robustfeat")
        yield from ("from robustfeat.publishing import same_features", "")
        yield from (f'assert same_features(robustfeat.load("{card.name}"))', "```")
    if any(report.setup is not None for report in card.reports):
        yield from ("", "The numbers, on a sample of the images (`--full` trains again and measures everything):", "")
        yield from ("```bash", f"robustfeat reproduce {card.name} --quick", "```")
