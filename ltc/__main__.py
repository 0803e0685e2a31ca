"""``python -m ltc``."""

import sys

from ltc.cli import main

if __name__ == "__main__":
    sys.exit(main())
