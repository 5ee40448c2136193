"""Builds the codec in C into the package, and makes wheels for a platform. The rest is in pyproject.toml."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

FOLDER = Path("ddcodec", "native")


def builder():
    """Load build.py; the package around it cannot be imported yet."""
    spec = spec_from_file_location("build", FOLDER / "build.py")
    module = module_from_spec(spec)
    # Its records look their module up there.
    sys.modules["build"] = module
    spec.loader.exec_module(module)
    return module


class BuildWithLibrary(build_py):
    """Without a compiler, or if it fails, the package is made without the library: it then decodes by NumPy."""

    library = None

    def run(self):
        super().run()
        native = builder()
        wheel = self.get_finalized_command("bdist_wheel")
        if wheel.plat_name_supplied and wheel.plat_name not in native.PLATFORMS:
            raise SystemExit(f"There is no platform {wheel.plat_name}; there are {', '.join(native.PLATFORMS)}.")
        target = native.PLATFORMS[wheel.plat_name] if wheel.plat_name_supplied else native.own_target()
        folder = FOLDER if self.editable_mode else Path(self.build_lib) / FOLDER
        for compiler in native.compilers():
            try:
                self.library = str(native.build(folder, compiler, target))
                return
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"The codec in C was not built: {error}", file=sys.stderr)
        if wheel.plat_name_supplied:
            raise SystemExit(f"There is no library for {wheel.plat_name}.")
        print("Without the codec in C, ddcodec decodes by NumPy, which takes much longer.", file=sys.stderr)

    def get_outputs(self, include_bytecode=True):
        return super().get_outputs(include_bytecode) + [self.library] * bool(self.library)


class PlatformWheel(bdist_wheel):
    """The library is loaded by ctypes, so that one wheel serves every Python of a platform."""

    def get_tag(self):
        if not self.get_finalized_command("build_py").library:
            return "py3", "none", "any"
        plat = self.plat_name if self.plat_name_supplied else super().get_tag()[2]
        return "py3", "none", plat


class WithLibrary(Distribution):
    """Its files go where those for one platform go."""

    def has_ext_modules(self):
        return True


setup(distclass=WithLibrary, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
