"""The losses of all objectives against plain loops over Python floats, with golden numbers, and what each term trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from given_views import (
    LABELS,
    SEEN,
    STUDENT,
    TEACHER,
    N,
    double,
    given,
    head_tables,
    mirrored_tables,
    ready,
    student_tables,
    teacher_tables,
)
from plain_losses import Row, Table, cross_entropy, dot, huber, kl, mean, minus, softmax, softplus, unit
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.objectives import Objective

Oracle = Callable[[Objective, list[Table], list[Table]], dict[str, float]]


def mapped(objective: Objective, side: str, rows: Table) -> Table:
    """The objective's trained layer, one product at a time."""
    layer = getattr(objective, side)
    if not hasattr(layer, "weight"):
        return rows
    weight = layer.weight.tolist()
    bias = [0.0] * len(weight) if layer.bias is None else layer.bias.tolist()
    return [[dot(w, row) + b for w, b in zip(weight, bias, strict=True)] for row in rows]


def ce(logits: Table) -> float:
    return mean([cross_entropy(row, label) for row, label in zip(logits, LABELS, strict=True)])


def kls(target: Table, prediction: Table, temperature: float = 1.0) -> Row:
    return [kl(p, q, temperature) for p, q in zip(target, prediction, strict=True)]


def kd(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    return {"kl": o.temperature**2 * mean(kls(t[1], s[1], o.temperature)), "ce": o.ce * ce(s[1])}


def rrm(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    cosines = [dot(unit(u), unit(v)) for u, v in zip(mapped(o, "student_side", s[0]), t[0], strict=True)]
    return {"ce": o.ce * ce(s[1]), "cosine": -mean(cosines)}


def fitnet(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    rows = zip(mapped(o, "student_side", s[0]), t[0], strict=True)
    return {"hint": mean([mean([x * x for x in minus(u, v)]) for u, v in rows])}


def rkd(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    def distances(f: Table) -> Row:
        d = [dot(minus(f[i], f[j]), minus(f[i], f[j])) ** 0.5 for i in range(N) for j in range(N) if i != j]
        return [x / mean(d) for x in d]

    def angles(f: Table) -> Row:
        triples = [(i, j, k) for i in range(N) for j in range(N) for k in range(N) if len({i, j, k}) == 3]
        return [dot(unit(minus(f[i], f[j])), unit(minus(f[k], f[j]))) for i, j, k in triples]

    terms = {"distance": (o.distance, distances), "angle": (o.angle, angles)}
    return {"ce": ce(s[1])} | {
        name: weight * mean([huber(a - b) for a, b in zip(relation(s[0]), relation(t[0]), strict=True)])
        for name, (weight, relation) in terms.items()
    }


def fare(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    return {"distance": mean([dot(minus(u, v), minus(u, v)) for u, v in zip(s[2], t[0], strict=True)])}


def ard(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    terms = {"kl": o.alpha * o.temperature**2 * mean(kls(t[1], s[3], o.temperature))}
    return terms if o.alpha == 1 else terms | {"ce": (1 - o.alpha) * ce(s[1])}


def iad(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    w = [softmax(row)[label] ** o.beta for row, label in zip(t[3], LABELS, strict=True)]
    w = [1.0] * N if int(o.steps_done) < o.warmup_steps else w
    teacher, itself = kls(t[1], s[3]), kls(s[1], s[3])
    return {"kl": mean([a * b for a, b in zip(w, teacher, strict=True)]),
            "self_kl": mean([(1 - a) * b for a, b in zip(w, itself, strict=True)])}  # fmt: skip


def igdm(o: Any, attacked: Table, mirrored: Table, t: list[Table]) -> dict[str, float]:
    """attacked, mirrored: the student's logits."""
    if o.igdm == 0:
        return {}
    found = [minus(a, b) for a, b in zip(attacked, mirrored, strict=True)]
    taught = [minus(a, b) for a, b in zip(t[3], mirrored_tables(TEACHER, 52)[1], strict=True)]
    return {"igdm": o.igdm * mean(kls(taught, found))}


def rslad(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    found = {"kl": o.alpha * mean(kls(t[1], s[3])), "clean_kl": (1 - o.alpha) * mean(kls(t[1], s[1]))}
    return found | igdm(o, s[3], mirrored_tables(STUDENT)[1], t)


def adaad(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    return {"kl": mean(kls(t[3], s[3]))} | igdm(o, s[3], mirrored_tables(STUDENT)[1], t)


def crd(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    others = o.student_bank.draw(torch.arange(N), o.drawn, generator(7)).tolist()
    total = 0.0
    for side, f, bank in (("student_side", s[0], o.teacher_bank), ("teacher_side", t[0], o.student_bank)):
        vectors = bank.vectors.tolist()
        anchors = [unit(row) for row in mapped(o, side, f)]
        scores = [[dot(u, vectors[k]) / o.tau for k in [i, *others[i]]] for i, u in enumerate(anchors)]
        offset = math.log(mean([mean([math.exp(v) for v in row]) for row in scores]) * o.drawn)
        total += mean([softplus(offset - row[0]) + sum(softplus(v - offset) for v in row[1:]) for row in scores])
    return {"ce": ce(s[1]), "crd": o.crd * total}


def natural(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    return {"ce": ce(s[1])}


def at(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    return {"ce": ce(s[3])}


def trades(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    return {"ce": ce(s[1]), "kl": o.beta * mean(kls(s[1], s[3]))}


def gacd(o: Any, s: list[Table], t: list[Table]) -> dict[str, float]:
    u, v = mapped(o, "student_side", s[2]), t[0]
    r = mean([dot(row, row) ** 0.5 for row in v])
    if hasattr(o.student_side, "weight"):
        u = [[r * x for x in unit(row)] for row in u]
    scores = [[dot(unit(a), unit(b)) / o.tau for b in u] for a in v]
    offset = math.log(mean([mean([math.exp(x) for x in row]) for row in scores]) * (N - 1))
    w = [softmax(row)[label] ** o.beta for row, label in zip(t[1], LABELS, strict=True)]
    unsure = [-sum(p * math.log(p) for p in softmax(row)) / math.log(len(row)) for row in t[3]]
    w = {"none": [1.0] * N, "entropy": [x**o.beta for x in unsure]}.get(o.weight, w)
    each = [
        softplus(offset - row[i])
        + sum(softplus(x - offset) for j, x in enumerate(row) if j != i)
        + o.align * dot(minus(u[i], v[i]), minus(u[i], v[i])) / r**2
        for i, row in enumerate(scores)
    ]
    weight, bias = head_tables(len(v[0]))

    def classify(f: Table) -> Table:
        return [[r * dot(row, unit(a)) + b for row, b in zip(weight, bias, strict=True)] for a in f]

    logits, turned = classify(u), classify(mapped(o, "student_side", mirrored_tables(STUDENT)[0]))
    guide = mean([cross_entropy(row, label) for row, label in zip(logits, LABELS, strict=True)])
    found = {"gacd": dot(w, each) / sum(w)} | ({"guide": o.guide * guide} if o.guide else {})
    return found | igdm(o, logits, turned, t)


OURS = (natural, at, trades, kd, crd, rrm, fitnet, rkd, fare, ard, iad, rslad, adaad, gacd)
ORACLES: dict[str, Oracle] = {f.__name__: f for f in OURS} | {"nfgsm": at}
FITTING = {"fare": {"teacher_dim": STUDENT}}
# Which outputs of the student each term has a gradient to.
TRAINS = {
    "natural": {"ce": {"logits"}},
    "at": {"ce": {"attacked logits"}},
    "trades": {"ce": {"logits"}, "kl": {"logits", "attacked logits"}},
    "nfgsm": {"ce": {"attacked logits"}},
    "kd": {"kl": {"logits"}, "ce": {"logits"}},
    "crd": {"ce": {"logits"}, "crd": {"features"}},
    "rrm": {"ce": {"logits"}, "cosine": {"features"}},
    "fitnet": {"hint": {"features"}},
    "rkd": {"ce": {"logits"}, "distance": {"features"}, "angle": {"features"}},
    "fare": {"distance": {"attacked features"}},
    "ard": {"kl": {"attacked logits"}},
    "iad": {"kl": {"attacked logits"}, "self_kl": {"logits", "attacked logits"}},
    "rslad": {"kl": {"attacked logits"}, "clean_kl": {"logits"}},
    "adaad": {"kl": {"attacked logits"}},
    "gacd": {"gacd": {"attacked features"}, "guide": {"attacked features"}},
}
# The sum of the oracle's terms, worked out once.
GOLDEN = {
    "natural": 1.072583745,
    "at": 2.692485336,
    "nfgsm": 2.692485336,
    "trades": 13.183529811,
    "kd": 3.965332134,
    "crd": 7.029719056,
    "rrm": 0.084206570,
    "fitnet": 19.009179448,
    "rkd": 8.867657847,
    "fare": 12.251077091,
    "ard": 1.643124934,
    "iad": 1.439300627,
    "rslad": 1.517037387,
    "adaad": 2.262142664,
    "gacd": 48.375677975,
}
OTHER_OPTIONS = [
    ("kd", {"temperature": 1.5, "ce": 0.3}),
    ("crd", {"tau": 0.5, "negatives": 2, "dim": 7, "crd": 2.0}),
    ("rrm", {"teacher_dim": STUDENT, "ce": 0.5}),
    ("fitnet", {"teacher_dim": STUDENT}),
    ("rkd", {"distance": 1.0, "angle": 2.0}),
    ("ard", {"alpha": 0.25, "temperature": 2.0}),
    ("iad", {"beta": 1.0}),
    ("iad", {"warmup_steps": 1}),
    ("rslad", {"alpha": 0.5}),
    ("trades", {"beta": 1.0}),
    ("gacd", {"tau": 0.7, "align": 0.0, "beta": 2.0}),
    ("gacd", {"guide": 0.0}),
    ("rslad", {"igdm": 2.0}),
    ("adaad", {"igdm": 10.0}),
    ("gacd", {"igdm": 3.0}),
    ("gacd", {"igdm": 3.0, "guide": 0.0, "teacher_dim": STUDENT}),
    ("gacd", {"weight": "entropy", "weight_on": "attacked"}),
    ("gacd", {"weight": "entropy", "weight_on": "attacked", "beta": 2.0, "align": 1.0}),
    ("gacd", {"align": 2.0, "weight": "none", "teacher_dim": STUDENT}),
]


def case(name: str, **options: Any) -> tuple[Objective, list[Table], list[Table]]:
    options = FITTING.get(name, {}) | options
    width = options.get("teacher_dim")
    objective = ready(name, **options)  # type: ignore[arg-type]
    return objective, student_tables(), teacher_tables() if width is None else teacher_tables(width)


def terms(objective: Objective, student: list[Tensor], teacher: list[Table]) -> dict[str, Tensor]:
    return objective(given(student, [double(t) for t in teacher])).terms


@pytest.mark.parametrize(("name", "options"), [(name, {}) for name in ORACLES] + OTHER_OPTIONS)
def test_terms_equal_the_oracle(name: str, options: dict[str, float]) -> None:
    objective, student, teacher = case(name, **options)
    expected = ORACLES[name](objective, student, teacher)
    found = terms(objective, [double(s) for s in student], teacher)
    assert {key: value.item() for key, value in found.items()} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", list(ORACLES))
def test_golden_numbers(name: str) -> None:
    objective, student, teacher = case(name)
    found = terms(objective, [double(s) for s in student], teacher)
    assert sum(value.item() for value in found.values()) == pytest.approx(GOLDEN[name], abs=1e-6)


@pytest.mark.parametrize("name", list(ORACLES))
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    objective, student, teacher = case(name)

    def total(*outputs: Tensor) -> Tensor:
        return torch.stack(list(terms(objective, list(outputs), teacher).values())).sum()

    total(*(double(s) for s in student))  # what the first batch decides is decided
    assert torch.autograd.gradcheck(total, [double(s).requires_grad_() for s in student])


@pytest.mark.parametrize(("name", "term"), [(name, term) for name in TRAINS for term in TRAINS[name]])
def test_every_term_by_itself_trains_the_student(name: str, term: str) -> None:
    objective, student, teacher = case(name)
    outputs = [double(s).requires_grad_() for s in student]
    found = terms(objective, outputs, teacher)
    assert found.keys() == TRAINS[name].keys()
    gradients = torch.autograd.grad(found[term], outputs, allow_unused=True)
    reached = {key for key, g in zip(SEEN, gradients, strict=True) if g is not None and g.abs().sum() > 1e-6}
    assert reached == TRAINS[name][term]
