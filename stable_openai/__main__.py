"""``python -m stable_openai`` is ``stable-openai``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
