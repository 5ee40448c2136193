"""Which decoder is at work, and what is said where the wished one is not there."""

import pytest
from click.testing import CliRunner

import ddcodec
from ddcodec.cli import cli
from ddcodec.decoder import decode_file
from ddcodec.errors import UsageError
from ddcodec.format import decoders
from ddcodec.format.decoders import VARIABLE, chosen, decoder_at_work, native_decoder
from ddcodec.native import library
from ddcodec.native.library import own_library


@pytest.fixture(autouse=True)
def no_wish(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def not_built(monkeypatch):
    monkeypatch.setattr(decoders, "native_decoder", lambda: None)


def run(*words):
    return CliRunner().invoke(cli, words, prog_name="ddcodec")


def test_an_install_has_the_codec_in_c():
    assert native_decoder() and decoder_at_work().name == "native"


def test_the_option_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "numpy")
    assert decoder_at_work().name == "numpy"
    with chosen("native"):
        assert decoder_at_work().name == "native"
        with chosen(None):
            assert decoder_at_work().name == "native"
    assert decoder_at_work().name == "numpy"


def test_without_the_library_numpy_decodes(not_built, encoded):
    assert decoder_at_work().name == "numpy"
    assert (ddcodec.decode(encoded.data) == encoded.samples).all()


def test_a_wish_for_what_is_not_there(not_built, encoded, monkeypatch):
    with pytest.raises(UsageError, match="The native decoder, which --decoder names, was not built"):
        decode_file(encoded.data, decoder="native")
    monkeypatch.setenv(VARIABLE, "native")
    with pytest.raises(UsageError, match="which the variable DDCODEC_DECODER names, was not built"):
        ddcodec.decode(encoded.data)


@pytest.fixture
def loaded_anew():
    """The library is looked for again, in the test and after it."""
    own_library.cache_clear()
    yield
    own_library.cache_clear()


def test_a_library_of_other_sources_is_not_used(loaded_anew, monkeypatch):
    """As it is left where sources have changed, and nobody has built it again."""
    monkeypatch.setattr(library, "sources_number", lambda: 99)
    assert native_decoder() is None


def test_a_file_that_is_no_library(loaded_anew, tmp_path, monkeypatch):
    path = tmp_path / library.NAME
    path.write_bytes(b"no library")
    monkeypatch.setattr(library.Library.__init__, "__defaults__", (path,))
    assert native_decoder() is None


def test_commands_with_each(encoded, tmp_path):
    file = tmp_path / "a.ddc"
    file.write_bytes(encoded.data)
    made = []
    for name in ("native", "numpy"):
        assert run("verify", str(file), "--decoder", name).exit_code == 0
        output = tmp_path / f"{name}.png"
        assert run("decode", str(file), "-o", str(output), "--decoder", name).exit_code == 0
        made.append(output.read_bytes())
    assert made[0] == made[1]


def test_a_decode_without_numpys_walk(encoded, monkeypatch):
    """The decoder in C leaves nothing of the code to NumPy."""
    monkeypatch.setattr(decoders, "walk_code", lambda *_, **__: pytest.fail("NumPy walked over the code."))
    monkeypatch.setattr(decoders, "render", lambda *_, **__: pytest.fail("NumPy rendered."))
    assert (ddcodec.decode(encoded.data) == encoded.samples).all()
    assert ddcodec.encode(encoded.samples, iterations=1)
