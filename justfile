# Commands of the project; `just` lists them. They use the environment that `just setup` makes.

python := ".venv-dev/bin/python"

# List the commands.
default:
    @just --list

# Make the environment, with all that tests, linters and documents need.
setup:
    python3 -m venv .venv-dev
    {{python}} -m pip install -q -c constraints.txt -e '.[dev]'

# Format, lint and check types.
lint:
    {{python}} -m ruff format .
    .venv-dev/bin/clang-format -i ddcodec/native/*.[ch] ddcodec/native/fit/*.[ch] examples/*.c tests/*.c
    {{python}} -m ruff check .
    {{python}} -m mypy

# Run the tests, or some of them: `just test tests/test_cli.py`.
test *arguments:
    {{python}} -m pytest -q {{arguments}}

# Write what is made of the code and the rows: commands, reference, figures, tables, plots.
docs:
    {{python}} docs/make_commands.py
    {{python}} docs/make_reference.py
    {{python}} docs/make_figures.py
    {{python}} bench/readme_tables.py

# Benchmark a folder of pictures.
bench pictures *arguments:
    {{python}} -m ddcodec bench {{pictures}} -o report {{arguments}}

# Build the wheels of all platforms into dist/, the same bytes each time.
wheels:
    #!/usr/bin/env bash
    set -euo pipefail
    export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    for platform in $({{python}} -c "from ddcodec.native.build import PLATFORMS; print(*PLATFORMS)"); do
        rm -rf build
        {{python}} -m pip wheel -q --no-deps -w dist --config-settings=--build-option=--plat-name=$platform .
    done
