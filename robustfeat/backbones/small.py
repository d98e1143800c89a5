"""Networks for 8x8 to 32x32 images that train in seconds on a CPU, registered with timm beside its own.

`cnn_tiny` and `cnn_small` are plain convolutional networks; `resnet_tiny` is a residual network of another shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn


class ConvNet(nn.Module):
    """Convolution, batch norm and ReLU for each width, at half the resolution from the second on; mean pooling; a linear head."""

    def __init__(self, widths: tuple[int, ...], num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip((in_chans, *widths[:-1]), widths, strict=True)):
            layers += [
                nn.Conv2d(before, after, 3, stride=1 if i == 0 else 2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers)
        self.feature_info = [  # of timm: the map behind each ReLU
            {"num_chs": width, "reduction": 2**i, "module": f"body.{3 * i + 2}"} for i, width in enumerate(widths)
        ]
        self.num_features = widths[-1]
        self.fc = nn.Linear(widths[-1], num_classes)

    def get_classifier(self) -> nn.Module:
        """Return the linear head."""
        return self.fc

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last feature map."""
        return self.body(x)

    def forward_intermediates(
        self, x: Tensor, indices: Sequence[int], *, stop_early: bool = False, intermediates_only: bool = False
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the maps of `feature_info` at `indices`, after the last map unless `intermediates_only`, as in timm."""
        maps: list[Tensor] = []
        for i in range(max(indices) + 1 if stop_early else len(self.feature_info)):
            x = self.body[3 * i : 3 * i + 3](x)
            maps += [x] if i in indices else []
        return maps if intermediates_only else (x, maps)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits of a feature map, or its pooled features if `pre_logits`."""
        pooled = x.mean(dim=(2, 3))
        return pooled if pre_logits else self.fc(pooled)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def _drop_timm_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if key in ("num_classes", "in_chans")}


@register_model
def cnn_tiny(pretrained: bool = False, **arguments: Any) -> ConvNet:
    """Build a convolutional network of widths 32, 64 and 256."""
    return ConvNet((32, 64, 256), **_drop_timm_arguments(arguments))


@register_model
def cnn_small(pretrained: bool = False, **arguments: Any) -> ConvNet:
    """Build a convolutional network of widths 32, 64, 128 and 256."""
    return ConvNet((32, 64, 128, 256), **_drop_timm_arguments(arguments))


@register_model
def resnet_tiny(pretrained: bool = False, **arguments: Any) -> ResNet:
    """Build a residual network with one block for each of the widths 16, 32, 64 and 128."""
    model: Any = ResNet(
        cast(Any, BasicBlock), (1, 1, 1, 1), channels=(16, 32, 64, 128), **_drop_timm_arguments(arguments)
    )
    model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model
