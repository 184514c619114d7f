"""What a node needs beside chatlab's own dependencies, where its file asks for more.

The extra `chatlab[observe]` is imported only by what uses it, so that its absence costs a node
nothing, unless the cluster file wants that node to serve metrics.
"""

from importlib.util import find_spec

from node.config.cluster_file import ClusterConfig, ConfigError

METRICS_PACKAGE = "prometheus_client"


def check_extras(config: ClusterConfig, name: str) -> None:
    """Refuse a node that cannot do what the file asks of it. Raises ConfigError."""
    if config.metrics_address(name) and find_spec(METRICS_PACKAGE) is None:
        raise ConfigError(
            f"{name} cannot serve metrics: the package prometheus-client is not installed here; "
            "install the extra chatlab[observe], or take `metrics` out of the file"
        )
