"""How Sphinx builds these pages: `make docs`, in which any warning is an error."""

project = "saywhat"
author = "The saywhat maintainers"
copyright = "2026, the saywhat maintainers, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "saywhat"
