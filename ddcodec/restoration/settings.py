"""Named settings, tasks and efforts: the rows of `settings.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ..errors import UsageError

CODEC = "codec"
"""The prior that is no setting: the codec itself."""
AUTO = "auto"
"""The prior that stands for the best one of a task on a device; see `prior_for`."""


@dataclass(frozen=True)
class Setting:
    """A network, its input and its optimisation.

    The fields mean what stands in `settings.toml`.
    """

    name: str
    network: str
    rate: float
    steps: int
    jitter: float
    accumulating: bool
    jitter_decay: float
    learned_input: bool
    spike_rate: float
    widths: tuple[int, ...] = ()
    skips: tuple[int, ...] = ()
    down_filter: int = 0
    up_filter: int = 0
    smooth: bool = True
    downsampling: str = ""
    upsampling: str = ""
    input: str = ""
    input_channels: int = 0
    order: str = ""
    channels: int = 0
    upsamplings: int = 0


@dataclass(frozen=True)
class Effort:
    """Work that an effort from 1 to 9 takes.

    The fields mean what stands in `settings.toml`.
    """

    share: float
    runs: int
    views: int
    steps: int


@cache
def _rows():
    return tomllib.loads(files("ddcodec.restoration").joinpath("settings.toml").read_text("utf-8"))


def tasks() -> tuple[str, ...]:
    """Return the names of all tasks."""
    return tuple(_rows()["tasks"])


def setting_names() -> tuple[str, ...]:
    """Return the names of all settings."""
    return tuple(_rows()["settings"])


def priors() -> tuple[str, ...]:
    """Return all values that `--prior` takes."""
    return (AUTO, CODEC, *setting_names())


def effort_of(effort: int) -> Effort:
    """Return the `Effort` of a number from 1 to 9."""
    return Effort(**_rows()["efforts"][str(effort)])


def prior_for(task: str) -> str:
    """Return what `AUTO` stands for: `CODEC`, or the name of a setting."""
    return _rows()["tasks"][task]


def setting_of(name: str, task: str | None) -> Setting:
    """Return the `Setting` of that name, with the numbers that it has for a task.

    Raises `UsageError` for a name that is none.
    """
    if name not in _rows()["settings"]:
        raise UsageError(f"There is no prior {name}; choose one of: {', '.join(priors())}.")
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in _merged(name, task).items()
    }
    return Setting(name, **fields)


def _merged(name, task):
    row = dict(_rows()["settings"][name])
    # A setting takes over nothing that another has for a task. A variant is published with one rate for all tasks.
    fields = _merged(row.pop("like"), None) if "like" in row else {}
    own = row.pop(task, {})
    fields |= {key: value for key, value in row.items() if not isinstance(value, dict)}
    return fields | own
