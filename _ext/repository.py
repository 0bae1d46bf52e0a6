"""Sphinx extension: who publishes the book says where its repository is; pages then offer to run a chapter in the cloud.

Without BOOK_REPOSITORY_URL in the environment, as in a build of one's own, there is no button rather than a dead one.
"""

import os

from sphinx.application import Sphinx
from sphinx.config import Config

SERVICES = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}


def name_the_repository(app: Sphinx, config: Config) -> None:
    """Give the theme what its buttons need, and the text its addresses."""
    url = os.environ.get("BOOK_REPOSITORY_URL", "").rstrip("/")
    address, folder = "<the address of the repository>", "<its folder>"
    buttons = "Both ask for the address of the repository."
    if url:
        config.html_theme_options.update(repository_url=url, repository_branch="main")
        config.html_theme_options["launch_buttons"].update(SERVICES)
        address, folder = url, url.rsplit("/", 1)[1]
        buttons = "The buttons *Binder* and *Colab* at the top of each chapter open it there."
    config.myst_substitutions = {
        "clone": f"```\ngit clone {address}\ncd {folder}\nmake lab\n```",
        "install": f"```\n%pip install -q git+{address}\n```",
        "buttons": buttons,
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", name_the_repository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
