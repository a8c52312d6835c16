"""TLS to an engine: its files, looked at before they are used, so that a broken one is named."""

import ssl
from collections.abc import Callable
from pathlib import Path

import urllib3
from docker.tls import TLSConfig
from urllib3.exceptions import InsecureRequestWarning

from bottle.docker_engine.endpoint import TlsFiles, unusable
from bottle.model import Endpoint


def tls_config(files: TlsFiles, endpoint: Endpoint) -> TLSConfig:
    """docker-py's form of `files`. Raises ContextUnusable for one that cannot be used."""
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files.ca is not None:
        ca = files.ca
        _tried(lambda: probe.load_verify_locations(ca), ca, endpoint)
    if files.cert is not None and files.key is not None:
        cert, key = files.cert, files.key
        # An encrypted key is refused, as docker does, and nobody is asked for its password.
        _tried(lambda: probe.load_cert_chain(cert, key, password=""), cert, endpoint)
    if not files.verify:
        urllib3.disable_warnings(InsecureRequestWarning)  # that nobody is verified is what was asked for
    return TLSConfig(
        client_cert=(str(files.cert), str(files.key)) if files.cert is not None else None,
        ca_cert=str(files.ca) if files.ca is not None else None,
        verify=files.verify,
    )


def _tried(load: Callable[[], None], path: Path, endpoint: Endpoint) -> None:
    try:
        load()
    except OSError as error:  # ssl's own among them
        why = f"needs {path} for TLS, which cannot be used: {error.strerror or error}"
        raise unusable(endpoint.context, endpoint.origin or "its default", why) from error
