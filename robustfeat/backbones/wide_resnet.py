"""Wide residual networks for 32x32 images, Zagoruyko & Komodakis 2016 (arXiv 1605.07146), registered with timm.

They are the teachers of the adversarial-training literature. Use them with stem="timm": their first convolution is small
already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Batch norm, ReLU, convolution, twice; where the shape changes, the shortcut is a 1x1 convolution after the first ReLU."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(x))
        z = self.conv2(F.relu(self.bn2(self.conv1(y))))
        return z + (x if self.shortcut is None else self.shortcut(y))


class WideResNet(nn.Module):
    """Three groups of (depth - 4) / 6 blocks with 16, 32 and 64 times `width` channels; mean pooling; a linear head."""

    def __init__(self, depth: int, width: int, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        if (depth - 4) % 6:
            raise ValueError(f"the depth of a wide residual network is 6 n + 4, got {depth}")
        blocks = (depth - 4) // 6
        self.conv1 = nn.Conv2d(in_chans, 16, 3, padding=1, bias=False)
        before = 16
        for i in range(3):
            after = 16 * 2**i * width
            group = [Block(before if j == 0 else after, after, 2 if i and j == 0 else 1) for j in range(blocks)]
            self.add_module(f"block{i + 1}", nn.Sequential(*group))
            before = after
        self.bn = nn.BatchNorm2d(before)
        self.fc = nn.Linear(before, num_classes)
        self.num_features = before
        self.feature_info = [
            {"num_chs": 16 * 2**i * width, "reduction": 2**i, "module": f"block{i + 1}"} for i in range(3)
        ]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def get_classifier(self) -> nn.Module:
        """Return the linear head."""
        return self.fc

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last feature map."""
        x = self.conv1(x)
        for i in range(3):
            x = self.get_submodule(f"block{i + 1}")(x)
        return F.relu(self.bn(x))

    def forward_intermediates(
        self, x: Tensor, indices: Sequence[int], *, stop_early: bool = False, intermediates_only: bool = False
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the maps of `feature_info` at `indices`, after the last map unless `intermediates_only`, as in timm."""
        maps: list[Tensor] = []
        x = self.conv1(x)
        for i in range(max(indices) + 1 if stop_early else 3):
            x = self.get_submodule(f"block{i + 1}")(x)
            maps += [x] if i in indices else []
        return maps if intermediates_only else (F.relu(self.bn(x)), maps)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits of a feature map, or its pooled features if `pre_logits`."""
        pooled = x.mean(dim=(2, 3))
        return pooled if pre_logits else self.fc(pooled)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def _made(depth: int, width: int, arguments: dict[str, Any]) -> WideResNet:
    known = {key: value for key, value in arguments.items() if key in ("num_classes", "in_chans")}
    return WideResNet(depth, width, **known)


@register_model
def wrn_16_2(pretrained: bool = False, **arguments: Any) -> WideResNet:
    """Build a wide residual network of depth 16 and width 2."""
    return _made(16, 2, arguments)


@register_model
def wrn_28_10(pretrained: bool = False, **arguments: Any) -> WideResNet:
    """Build a wide residual network of depth 28 and width 10."""
    return _made(28, 10, arguments)


@register_model
def wrn_34_10(pretrained: bool = False, **arguments: Any) -> WideResNet:
    """Build a wide residual network of depth 34 and width 10."""
    return _made(34, 10, arguments)
