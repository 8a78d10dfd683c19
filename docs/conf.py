"""The documentation site, built by Sphinx from Markdown, notebooks and the code itself."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

from _site import generated, links, pictures  # noqa: E402

import spiral_env  # noqa: E402

project = "spiral_env"
author = copyright = "The spiral_env authors"
version = release = spiral_env.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["_site", "frameworks/*.txt", "generated/site"]
suppress_warnings = ["myst.strikethrough"]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 4
# A notebook that fails, or that writes a warning, fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 180
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "spiral_env"
html_static_path: list[str] = ["_static"]
html_extra_path = ["generated/site"]
html_css_files = ["spiral.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options: dict[str, Any] = {
    "logo": {"text": "spiral_env"},
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
}
html_sidebars = {name: [] for name in ("index", "quickstart", "concepts")}


# A notebook's kernel warns that it speaks over a local port.
_KERNEL = Path(tempfile.mkdtemp(prefix="spiral_env-docs-"))
atexit.register(shutil.rmtree, _KERNEL, ignore_errors=True)
(_KERNEL / "profile_default").mkdir()
(_KERNEL / "profile_default" / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 40\n")
os.environ["IPYTHONDIR"] = str(_KERNEL)


def setup(app: Any) -> None:
    """Write the pages that come from code before Sphinx looks for pages; mend links that leave the site."""
    generated.write(DOCS)
    pictures.draw(DOCS)
    app.connect("source-read", lambda _app, name, source: links.on_read(DOCS, name, source))
