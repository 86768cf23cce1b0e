"""How the documentation is built."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "mentra_trio"
author = "The mentra_trio authors"
release = installed_version("mentra-trio")
version = release

extensions = ["myst_parser", "read_off_the_code"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "newsfragments"]

html_theme = "furo"
html_title = f"mentra_trio {release}"
html_show_sourcelink = False
