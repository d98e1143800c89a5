"""The GACD loss with stored negatives against the literal gather of CRD: 50,000 x 128 bank, N = 16,384, batch 128.

Both compute the loss of one batch, forward and backward to the student's embeddings, from the same drawn columns, in the
symmetric half (the one whose stored scores carry gradient). Memory is the peak of the resident set above the start, each
measured in a process of its own.
"""

from __future__ import annotations

import torch
from side_by_side import peak_memory, ratio
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.random import generator
from robustfeat.objectives.critic import Critic
from robustfeat.objectives.memory import MemoryBank

M, D, N, BATCH, TAU = 50_000, 128, 16_384, 128, 0.07


def setup() -> tuple[Critic, MemoryBank, Tensor, Tensor, Tensor]:
    random = generator(0)
    bank = MemoryBank(torch.randint(10, (M,), generator=random), D, 0.5, random)
    t = F.normalize(torch.randn(BATCH, D, generator=random), dim=1)
    s = F.normalize(torch.randn(BATCH, D, generator=random), dim=1).requires_grad_()
    columns = bank.draw(torch.arange(BATCH), N, random)
    critic = Critic()
    critic.c.fill_(2.2)
    return critic, bank, t, s, columns


def ours(critic: Critic, bank: MemoryBank, t: Tensor, s: Tensor, columns: Tensor) -> Tensor:
    loss = critic(s / TAU @ t.T, bank.scores(s / TAU, columns))[0].mean()
    (gradient,) = torch.autograd.grad(loss, s)
    return torch.cat([loss.detach()[None], gradient.flatten()])


def literal(critic: Critic, bank: MemoryBank, t: Tensor, s: Tensor, columns: Tensor) -> Tensor:
    """CRD's arithmetic: gather (n, N, d) vectors, batched product with each query, exp, divide by Z = c M, two logs.

    The live pairs, which CRD does not have, are added as in ours.
    """
    vectors = torch.index_select(bank.vectors, 0, columns.flatten()).view(BATCH, N, D)
    x = torch.exp(torch.bmm(vectors, s.view(BATCH, D, 1)).squeeze(2) / TAU) / (critic.c * M)
    live = torch.exp(s @ t.T / TAU) / (critic.c * M)
    noise = (N + BATCH - 1) / M
    positive = live.diagonal()
    loss = -torch.log(positive / (positive + noise)) - torch.log(noise / (x + noise)).sum(1)
    others = torch.log(noise / (live + noise))
    loss = (loss - others.sum(1) + others.diagonal()).mean()
    (gradient,) = torch.autograd.grad(loss, s)
    return torch.cat([loss.detach()[None], gradient.flatten()])


if __name__ == "__main__":
    parts = setup()
    torch.testing.assert_close(ours(*parts), literal(*parts), atol=1e-4, rtol=1e-4)
    a, b, r = ratio(lambda: ours(*parts), lambda: literal(*parts), rounds=7, warmup=1)
    print(f"time: ours {a * 1000:.0f} ms, literal gather {b * 1000:.0f} ms, {1 / r:.1f} times faster")
    own, other = peak_memory(ours, setup), peak_memory(literal, setup)
    print(f"peak memory: ours {own:.0f} MiB, literal gather {other:.0f} MiB, {other / own:.1f} times less")
