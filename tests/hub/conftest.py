"""JupyterHub alone can read its configuration: pytest must not look for doctests there."""

collect_ignore = ["jupyterhub_config.py"]
