"""Whether a host can be reached, decided in two seconds instead of after a library's minute of retries."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import datasets
from huggingface_hub import constants

HUB = "https://huggingface.co"


def hub_endpoint() -> str:
    """The address of the Hub; HF_ENDPOINT overrides it, as everywhere."""
    return os.environ.get("HF_ENDPOINT", HUB)


def reachable(url: str, timeout: float = 1.5) -> bool:
    """Whether a TCP connection to the host of `url` opens within `timeout` seconds."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    parts = urlsplit(url)
    try:
        socket.create_connection(
            (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)), timeout
        ).close()
    except OSError:
        return False
    return True


@contextmanager
def cache_only(when: bool = True) -> Iterator[None]:
    """Inside, Hugging Face libraries ask their caches and never the network; nothing changes if `when` is False."""
    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    if when:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before
