"""`python -m ddcodec`: the same as the command `ddcodec`."""

from .cli import main

main()
