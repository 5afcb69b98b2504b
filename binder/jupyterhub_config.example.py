"""What the book asks of a JupyterHub, whatever its spawner.

Copy it to where your hub reads its configuration, or name it there with ``load_subconfig``. Who may
log in (``authenticator_class``) and how servers are started (``spawner_class``) are your hub's own.
"""

import math
import os

c = get_config()  # noqa: F821  (JupyterHub defines it)

# Every chapter at the quick budget fits; sizes for more are on the teacher's page.
c.Spawner.mem_limit = "2G"
c.Spawner.cpu_limit = 2

c.Spawner.default_url = "/lab"

c.Spawner.environment = {
    # Where the servers see the images that you fetched for all; empty: stand-ins.
    "COMPANION_DATA": os.environ.get("COMPANION_DATA", ""),
    "COMPANION_BUDGET": "quick",
    # The numbers in the exercises are drawn from the name with which somebody logged in.
    "COMPANION_LEARNER": lambda spawner: spawner.user.name,
    # As many threads as cores: not every spawner's limit can be seen from within.
    "COMPANION_THREADS": lambda spawner: (
        str(math.ceil(spawner.cpu_limit)) if spawner.cpu_limit else ""
    ),
}
