"""The loss of every objective as loops over Python floats: what training must find."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from given_views import LABELS, STUDENT, TEACHER, N, head_tables, mirrored_tables
from plain_losses import Row, Table, cross_entropy, dot, huber, kl, mean, minus, softmax, softplus, unit

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
