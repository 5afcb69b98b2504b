"""The hub of the tests: the book's own settings, and what any hub has to choose for itself."""

import os
from pathlib import Path

c = get_config()  # noqa: F821  (JupyterHub defines it)
load_subconfig(os.environ["HUB_BOOK_CONFIG"])  # noqa: F821

folder = Path(os.environ["HUB_FOLDER"])
ports = os.environ["HUB_PORTS"].split()

c.JupyterHub.bind_url = f"http://127.0.0.1:{ports[0]}"
c.JupyterHub.hub_port = int(ports[1])
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{ports[2]}"
c.ConfigurableHTTPProxy.command = os.environ["HUB_PROXY"].split("\n")
c.JupyterHub.db_url = "sqlite:///:memory:"

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["HUB_PASSWORD"]
c.Authenticator.allowed_users = {"anna"}

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(folder / "{username}")
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 120
# The tests ask JupyterLab in its own words what came out of a notebook.
c.Spawner.args = ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
if os.getuid() == 0:
    c.Spawner.args += ["--allow-root"]
# Fonts that were found and signs that were drawn before are not worth another half minute.
c.Spawner.environment["XDG_CACHE_HOME"] = os.environ["HUB_CACHE"]
