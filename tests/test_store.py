"""Kernels on the disk: whatever has become of the files, a function works, and what is said of it is true."""

import errno
import importlib.util
from types import SimpleNamespace

import numba
import pytest
from numba.core import caching

from ddcodec.errors import ShortMemoryError
from ddcodec.fit.cpu import engine as cpu_engine
from ddcodec.fit.cpu import simd, store
from ddcodec.format.arch import base_arch

SOURCE = "def triple(x):\n    return 3 * x\n"


@pytest.fixture
def triple(tmp_path, monkeypatch):
    """A function that makes a dispatcher anew, as a process would that has just been started; it returns what
    `on_compile` was called with, in a list.
    """
    path = tmp_path / "small.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("small", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))

    def start():
        kernel, compiled = simd.kept(module.triple), []
        kernel._cache.on_compile = compiled.append
        assert kernel(14) == 42
        return compiled

    return start


def files(tmp_path, extension):
    found = list((tmp_path / "cache").rglob(f"*.{extension}"))
    assert len(found) == 1
    return found


def test_compiled_once(triple):
    assert triple() == [True]
    assert triple() == []


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0x55 for byte in data[middle : middle + 64]) + data[middle + 64 :]


@pytest.mark.parametrize("extension", ["nbi", "nbc"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: bytes(range(1, 256)) * 8,
        flipped,
        lambda data: b"\x80\x04N.",
    ],
)
def test_a_spoilt_file_is_replaced(triple, tmp_path, extension, spoil):
    triple()
    for path in files(tmp_path, extension):
        path.write_bytes(spoil(path.read_bytes()))
    # Where only a name within the index was hit nothing more is lost than time.
    assert triple() in ([True], [])
    assert triple() == []


def test_a_missing_file_is_replaced(triple, tmp_path):
    triple()
    files(tmp_path, "nbc")[0].unlink()
    assert triple() == [True] and triple() == []


def test_of_another_version_of_numba(triple, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(numba, "__version__", "0.1")
        triple()
    assert triple() == [True] and triple() == []


def test_of_another_processor(triple, monkeypatch):
    """The index says that it is for this one, as after a race of two machines for one folder."""
    reduce = store._Entry.reduce
    with monkeypatch.context() as patch:
        patch.setattr(
            store._Entry,
            "reduce",
            lambda self, cres: reduce(
                self, SimpleNamespace(codegen=SimpleNamespace(magic_tuple=lambda: ("z80",)), _reduce=cres._reduce)
            ),
        )
        triple()
    assert triple() == [True] and triple() == []


@pytest.fixture
def read_only(monkeypatch):
    def refuse(self):
        raise OSError(errno.EROFS, "Read-only file system")

    return lambda: monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", refuse)


def test_read_where_nothing_can_be_written(triple, read_only):
    """In a container that was built with the kernels."""
    triple()
    read_only()
    assert triple() == []


def test_nothing_to_read_or_write(triple, read_only):
    read_only()
    assert triple() == [False] and triple() == [False]


def test_full_disk(triple, monkeypatch, tmp_path):
    def full(self, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_open_for_write", full)
    assert triple() == [True] and triple() == [True]
    monkeypatch.setattr(store, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert triple() == [False]


def test_short_memory(triple, monkeypatch):
    monkeypatch.setattr(store, "available_memory", lambda: 5 * 2**20)
    with pytest.raises(ShortMemoryError, match="needs 224 MiB of memory; 5 MiB are free"):
        triple()


def said_where(monkeypatch, promise, is_kept):
    """What `prepare` says where a kernel is compiled, or not (None)."""
    said = []

    class Engine:
        def __init__(self, *_):
            pass

        def evaluate(self):
            if promise is not None:
                for kernel in (cpu_engine._pack, cpu_engine._pass):
                    kernel._cache.on_compile(promise)
                    monkeypatch.setattr(kernel._cache, "is_kept", is_kept)

    with monkeypatch.context() as patch:
        patch.setattr(cpu_engine, "CpuEngine", Engine)
        cpu_engine.prepare(base_arch(8, 8, 3), said.append)
    return said


def test_what_is_said(monkeypatch):
    assert said_where(monkeypatch, None, True) == []
    (once,) = said_where(monkeypatch, True, True)
    assert "this happens once" in once
    (always,) = said_where(monkeypatch, False, False)
    assert "at every start" in always and "NUMBA_CACHE_DIR" in always and "once" not in always
    _, after_all = said_where(monkeypatch, True, False)
    assert "at every start" in after_all and "NUMBA_CACHE_DIR" in after_all


def test_nothing_is_said_of_what_is_there():
    said = []
    cpu_engine.prepare(base_arch(8, 8, 3), said.append)
    assert said == []
