"""Real Docker hosts for tests and the demo: containers with a dockerd and an sshd of their own."""

from tests.hosts.host import DockerHost, ImageStore, Login, new_run_id, remove_hosts
from tests.hosts.image import BASE_IMAGE, ensure_base_image, ensure_host_image, ensure_other_image, ensure_sid_image
from tests.hosts.other import OtherHost, SharedHost, SidHost
from tests.hosts.runs import RemoteError, RunResult

__all__ = [
    "BASE_IMAGE",
    "DockerHost",
    "ImageStore",
    "Login",
    "OtherHost",
    "RemoteError",
    "RunResult",
    "SharedHost",
    "SidHost",
    "ensure_base_image",
    "ensure_host_image",
    "ensure_other_image",
    "ensure_sid_image",
    "new_run_id",
    "remove_hosts",
]
