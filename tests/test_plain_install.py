"""What a plain install can do; what it cannot is one sentence that says what to install."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import painted
from PIL import Image

import ddcodec

ROOT = Path(ddcodec.__file__).parents[1]
EXTRAS = ("torch", "imagecodecs", "scipy", "matplotlib", "distributed", "dask", "pillow_heif")
BLOCKED = (
    f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
    "import importlib.util as util; find = util.find_spec\n"
    f"util.find_spec = lambda name, *rest: None if name in {EXTRAS!r} else find(name, *rest)\n"
    "from ddcodec.__main__ import main; main()"
)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    Image.fromarray(painted(24, 36)).save(folder / "photo.png")
    samples = painted(24, 36).astype(">u2") * 257
    (folder / "deep.ppm").write_bytes(b"P6 36 24 65535\n" + samples.tobytes())
    return folder


def run(folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_eight_and_sixteen_bits_there_and_back(here):
    for source in "photo.png", "deep.ppm":
        result = run(here, "encode", source, "-o", f"{source}.ddc", "--iterations", "2", "--device", "cpu")
        assert result.returncode == 0, result.stderr
        target = f"{source}.ppm"
        assert run(here, "decode", f"{source}.ddc", "-o", target).returncode == 0
        data = (here / f"{source}.ddc").read_bytes()
        decoded = ddcodec.decode(data)
        assert (here / target).read_bytes().endswith(decoded.astype(decoded.dtype.newbyteorder(">")).tobytes())


@pytest.mark.parametrize(
    "words, needs, extra, code",
    [
        (("encode", "photo.png", "--profile", "classic"), "The profile classic", "torch", 1),
        (("encode", "photo.png", "--device", "cuda"), "Fitting on a GPU", "torch", 1),
        (("encode", "photo.png", "--scheduler", "dask://local"), "A cluster", "cluster", 1),
        (("bench", "photo.png", "-o", "report"), "The benchmark", "bench", 1),
        (("decode", "deep.ppm.ddc", "-o", "deep.png"), "For writing 16 bits a sample to a PNG", "16bit", 3),
    ],
)
def test_what_is_missing_is_one_sentence(here, words, needs, extra, code):
    result = run(here, *words)
    assert result.returncode == code, result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"Error: {needs}") and f"pip install 'ddcodec[{extra}]' brings" in line


def test_sixteen_bits_of_a_png_need_an_extra(here):
    whole = np.arange(24 * 36 * 3, dtype=np.uint16).reshape(24, 36, 3)
    imagecodecs = pytest.importorskip("imagecodecs")
    (here / "deep.png.source").write_bytes(imagecodecs.png_encode(whole))
    result = run(here, "encode", "deep.png.source", "-o", "x.ddc")
    assert result.returncode == 3 and "pip install 'ddcodec[16bit]' brings it." in result.stderr
