"""`python -m exchange.brain`: imports the exchange, as fast as that goes, and runs it."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the exchange; its exit code."""
    gc.disable()  # nearly all that an import makes stays: to look at it again and again takes a tenth of a start
    from exchange.brain import process

    gc.freeze()
    gc.enable()
    return process.main()


if __name__ == "__main__":
    sys.exit(main())
