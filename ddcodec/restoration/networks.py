"""The networks that are priors: the hourglass of the Deep Image Prior, its published variants, and the deep decoder.

A network makes samples in 0..1, (1, planes, H, W), of an input (1, channels, h, w). It is fitted to one picture, always
with the statistics of its batch of one (Ulyanov et al. 2018).
"""

import torch
from torch import nn
from torch.nn import functional

from .settings import Setting

SLOPE = 0.2
"""Slope of the leaky ReLUs below 0 (Ulyanov et al. 2018, supplement)."""
AMPLITUDE = 0.1
"""Largest value of an input of uniform noise (Ulyanov et al. 2018)."""


def network_for(setting: Setting, planes: int, random: torch.Generator | None = None) -> nn.Module:
    """Make a fresh network of a `Setting` on the CPU, with random weights.

    random: a torch generator, or None for torch's own.
    """
    network: nn.Module
    # Without memory, layers draw nothing. Otherwise they would draw from torch's own generator, which is the caller's.
    with torch.device("meta"):
        if setting.network == "deep decoder":
            network = DeepDecoder(setting.channels, setting.upsamplings, planes, setting.order == "upsample first")
        else:
            network = UNet(setting, planes)
    network = network.to(torch.float32).to_empty(device="cpu")
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif isinstance(layer, nn.Conv2d):
            _draw(layer, random)
    return network


@torch.no_grad()
def _draw(layer, random):
    """Start a convolution as torch does: with uniform weights, within one over the root of its inputs."""
    most = layer.weight[0].numel() ** -0.5
    for values in layer.parameters():
        values.uniform_(-most, most, generator=random)


def input_for(setting: Setting, height: int, width: int, random: torch.Generator) -> torch.Tensor:
    """Make the input of a network for a picture of that size: (1, channels, h, w) float32.

    height, width: multiples of `multiple_for`.
    random: a torch generator on the CPU.
    """
    if setting.network == "deep decoder":
        factor = 2**setting.upsamplings
        return AMPLITUDE * torch.rand(
            1, setting.channels, height // factor, width // factor, generator=random, dtype=torch.float32
        )
    if setting.input == "grid":
        rows, columns = torch.meshgrid(
            *(torch.linspace(0, 1, side, dtype=torch.float32) for side in (height, width)), indexing="ij"
        )
        return torch.stack([columns, rows])[None]
    return AMPLITUDE * torch.rand(1, setting.input_channels, height, width, generator=random, dtype=torch.float32)


def multiple_for(setting: Setting) -> int:
    """Return the pixels of which the sides of a network's pictures are multiples."""
    return 2 ** (setting.upsamplings if setting.network == "deep decoder" else len(setting.widths))


def least_side_for(setting: Setting) -> int:
    """Return the shortest side, in pixels, that a network's pictures can have.

    Its deepest level is reflected at the edges, so it must be larger than what the filters reach beyond them.
    """
    if setting.network == "deep decoder":
        return multiple_for(setting)
    return multiple_for(setting) * (max(setting.down_filter, setting.up_filter) // 2 + 1)


class UNet(nn.Sequential):
    """The hourglass of Ulyanov et al. 2018: `Level`s inside one another, a 1x1 layer to the planes, a sigmoid."""

    def __init__(self, setting: Setting, planes: int) -> None:
        level: Level | None = None
        channels = [2 if setting.input == "grid" else setting.input_channels, *setting.widths]
        for depth in reversed(range(len(setting.widths))):
            level = Level(setting, channels[depth], setting.widths[depth], setting.skips[depth], level)
        assert level is not None
        super().__init__(level, nn.Conv2d(setting.widths[0], planes, 1), nn.Sigmoid())


class Level(nn.Module):
    """One level of the hourglass: down, through the deeper levels, up, and one or two layers.

    After the upsampling a skip from the level's own input is joined. The join is normalised as a whole.
    """

    outputs: int

    def __init__(self, setting: Setting, inputs: int, width: int, skip: int, deeper: "Level | None") -> None:
        super().__init__()
        self.skip = _layer(inputs, skip, 1) if skip else None
        self.down = nn.Sequential(
            _halving(setting, inputs, width), *_after(width), _layer(width, width, setting.down_filter)
        )
        self.deeper = deeper
        self.upsampling = setting.upsampling
        joined = skip + (deeper.outputs if deeper else width)
        self.norm = nn.BatchNorm2d(joined)
        self.up = nn.Sequential(
            _layer(joined, width, setting.up_filter), *([_layer(width, width, 1)] if setting.smooth else [])
        )
        self.outputs = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        below = self.down(x)
        if self.deeper is not None:
            below = self.deeper(below)
        below = _resized(below, x.shape[2:], self.upsampling)
        return self.up(self.norm(below if self.skip is None else _joined(self.skip(x), below)))


class DeepDecoder(nn.Module):
    """The deep decoder: 1x1 layers, upsamplings by two, ReLU and channel normalisation (Heckel & Hand 2019, section 2).

    The layers have no biases, and the upsamplings are bilinear. The last layer is not followed by an upsampling.
    Another 1x1 layer and a sigmoid make the planes.

    upsample_first: upsample, ReLU, normalise after each layer, as in the published code; else normalise, ReLU,
        upsample, as in the paper's formula (2).
    """

    def __init__(self, channels: int, upsamplings: int, planes: int, upsample_first: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in range(upsamplings + 1))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(upsamplings + 1))
        self.output = nn.Conv2d(channels, planes, 1, bias=False)
        self.upsample_first = upsample_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = len(self.layers) - 1
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms)):
            x = layer(x)
            double = _doubled if index < last else nn.Identity()
            x = norm(functional.relu(double(x))) if self.upsample_first else double(functional.relu(norm(x)))
        return torch.sigmoid(self.output(x))


def _doubled(x):
    # The published code aligns corners.
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def _after(channels):
    return nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE, inplace=True)


def _layer(inputs, outputs, side):
    return nn.Sequential(_Filter(inputs, outputs, side), *_after(outputs))


class _Filter(nn.Conv2d):
    """A convolution that sees its input reflected at the edges."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kernel_size[0] > 1:
            x = _as_it_comes(functional.pad, x, [self.kernel_size[0] // 2] * 4, "reflect")
        return functional.conv2d(x, self.weight, self.bias, self.stride)


def _resized(x, size, mode):
    # The bicubic kernel has no bfloat16 on every device.
    return _as_it_comes(functional.interpolate, x.float() if mode == "bicubic" else x, size=size, mode=mode)


def _joined(skip, below):
    below = below.to(skip.dtype)
    if below.requires_grad:
        # The gradient of each part is a slice of the pixels' channels. Backward passes before it would take the slice
        # channel by channel.
        for part in (skip, below):
            part.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
    return torch.cat([skip, below], 1)


def _as_it_comes(function, x, *arguments, **options):
    """Apply a function in the type of `x`, without autocast.

    On a CPU autocast would turn it to float32, and the time of a step is that of moving memory.
    """
    with torch.autocast(x.device.type, enabled=False):
        return function(x, *arguments, **options)


def _halving(setting, inputs, outputs):
    if setting.downsampling == "stride":
        return _Filter(inputs, outputs, setting.down_filter, 2)
    pool = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}[setting.downsampling]
    return nn.Sequential(_Filter(inputs, outputs, setting.down_filter), pool(2, 2))
