"""Preview of a restoration on its way: a folder with snapshots, an animation of them, and a chart of its course."""

import io
import os

import numpy as np

from ..errors import DdcError, OutputError
from ..jobs.output import write_target
from ..metrics import psnr
from ..picture import Picture
from ..pictures.write import encode_image_bytes
from .progress import Progress

SNAPSHOTS = 24
"""About how many snapshots are taken of one restoration."""
FRAME_SIDE = 512
"""Pixels of the longest side of the animation, which is to be looked at and not measured."""
FRAME_MS = 150
"""Milliseconds for which a snapshot is shown in the animation."""
LAST_FRAME_MS = 1500
"""Milliseconds for which the last snapshot is shown."""
ANIMATION = "course.webp"
"""Name of the animation's file in the folder."""
CHART = "course.png"
"""Name of the chart's file in the folder."""


class Preview:
    """Follows a restoration and writes what it sees to a folder, which is made if there is none.

    reference: uint8 samples of the truth, for study; their PSNR is drawn and used for nothing else.
    force: write to a folder that holds files.

    Raises `OutputError` if the folder holds files and not `force`, or cannot be written; `DdcError` without matplotlib.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, reference: np.ndarray | None = None, force: bool = False
    ) -> None:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise DdcError(
                "A preview draws a chart, which needs the package matplotlib: pip install 'ddcodec[bench]' brings it."
            ) from None
        self._figure, self._folder, self._reference = Figure, folder, reference
        try:
            os.makedirs(folder, exist_ok=True)
            if os.listdir(folder) and not force:
                raise OutputError(f"The folder {folder} is not empty; --force (-f) writes into it all the same.")
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None
        self._losses: list[tuple[int, float]] = []
        self._scores: list[tuple[int, float]] = []
        self._frames: list[np.ndarray] = []
        self._next = 0.0

    def follow(self, progress: Progress) -> None:
        """Take in one `progress.Progress`; to be called with each."""
        if progress.loss is not None:
            self._losses.append((progress.step, progress.loss))
        if progress.picture is None or progress.step < self._next * progress.total:
            return
        self._next = progress.step / progress.total + 1 / SNAPSHOTS
        self._keep(progress.step, np.rint(255 * progress.picture()).clip(0, 255).astype(np.uint8))

    def finish(self, step: int, samples: np.ndarray) -> None:
        """Write the result as the last snapshot, the animation and the chart.

        samples: uint8 (H, W) or (H, W, planes).

        Raises `OutputError`.
        """
        self._keep(step, samples.reshape(*samples.shape[:2], -1))
        self._write(ANIMATION, self._animation())
        self._write(CHART, self._chart())

    def _keep(self, step, samples):
        plain = samples[:, :, 0] if samples.shape[2] == 1 else samples
        if self._reference is not None and plain.shape == self._reference.shape:
            self._scores.append((step, psnr(self._reference, plain)))
        self._frames.append(plain[:: (stride := -(-max(plain.shape[:2]) // FRAME_SIDE)), ::stride])
        self._write(f"step-{step:06d}.png", encode_image_bytes(Picture(plain), "png"))

    def _animation(self):
        from PIL import Image

        first, *others = [Image.fromarray(np.ascontiguousarray(frame)).convert("RGB") for frame in self._frames]
        file = io.BytesIO()
        first.save(
            file,
            "WEBP",
            save_all=True,
            append_images=others,
            quality=85,
            loop=0,
            duration=[FRAME_MS] * len(others) + [LAST_FRAME_MS],
        )
        return file.getvalue()

    def _chart(self):
        figure = self._figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot(xlabel="step")
        if self._losses:
            steps, losses = zip(*self._losses)
            axes.plot(steps, -10 * np.log10(np.maximum(losses, 1e-10)), color="0.55", label="output to the input")
        if self._scores:
            axes.plot(*zip(*self._scores), "o-", label="result to the reference")
        axes.set_ylabel("PSNR in dB")
        if self._losses or self._scores:
            axes.legend()
        axes.grid(alpha=0.3)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110)
        return file.getvalue()

    def _write(self, name, data):
        write_target(os.path.join(self._folder, name), data, force=True)
