"""``python -m saywhat`` is ``saywhat``."""

from saywhat.cli import main

main()
