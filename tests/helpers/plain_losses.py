"""Losses one number at a time, in Python floats: an answer that owes nothing to torch."""

from __future__ import annotations

import math

Row = list[float]
Table = list[Row]


def softmax(row: Row, temperature: float = 1.0) -> Row:
    total = sum(math.exp(v / temperature) for v in row)
    return [math.exp(v / temperature) / total for v in row]


def kl(target: Row, prediction: Row, temperature: float = 1.0) -> float:
    p, q = softmax(target, temperature), softmax(prediction, temperature)
    return sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


def cross_entropy(row: Row, label: int) -> float:
    return -math.log(softmax(row)[label])


def dot(u: Row, v: Row) -> float:
    return sum(a * b for a, b in zip(u, v, strict=True))


def unit(u: Row) -> Row:
    return [a / math.sqrt(dot(u, u)) for a in u]


def minus(u: Row, v: Row) -> Row:
    return [a - b for a, b in zip(u, v, strict=True)]


def huber(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def mean(values: Row) -> float:
    return sum(values) / len(values)


def table(rows: int, columns: int, which: int) -> Table:
    """Numbers between -2 and 2 without a pattern that a loss could not see through."""
    return [[2 * math.sin(1 + 7.3 * which + 3.1 * i + 1.7 * j * (i + 1)) for j in range(columns)] for i in range(rows)]
