"""``python -m mentra_trio``: the same as the command ``mentra-trio``."""

import sys

from .cli import main

sys.exit(main())
