"""Whether a host can be reached, decided in two seconds instead of a library's minute of retries."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants

HUB = "https://huggingface.co"
PATIENCE = 1.5


def hub_endpoint() -> str:
    """Return the address of the Hub; HF_ENDPOINT overrides it, as in huggingface_hub."""
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def told_offline() -> bool:
    """Return whether HF_HUB_OFFLINE, in the environment now or when huggingface_hub was imported, forbids the network."""
    return constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in constants.ENV_VARS_TRUE_VALUES


def patience() -> float:
    """Return the seconds of silence after which a server counts as unreachable; ROBUSTFEAT_TIMEOUT overrides 1.5.

    Raises:
        ValueError: ROBUSTFEAT_TIMEOUT is not a number above 0.
    """
    text = os.environ.get("ROBUSTFEAT_TIMEOUT", str(PATIENCE))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"ROBUSTFEAT_TIMEOUT must be a number of seconds above 0, got {text!r}")
    return seconds


def reachable(url: str) -> bool:
    """Return whether a TCP connection to the host of `url`, or to the proxy in front of it, opens within `patience()` seconds."""
    if told_offline():
        return False
    opened: Queue[bool] = Queue()
    # In a thread, for a limit on the whole: neither the look-up of the name nor a host of many addresses has one.
    Thread(target=lambda: opened.put(_opens(url)), daemon=True).start()
    try:
        return opened.get(timeout=patience())
    except Empty:
        return False


def _opens(url: str) -> bool:
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), patience()).close()
    except (OSError, ValueError):  # ValueError: a port or a name that is none
        return False
    return True


@contextmanager
def cache_only(when: bool = True) -> Iterator[None]:
    """Make Hugging Face libraries use their caches, never the network, inside the context; nothing changes if `when` is False."""
    # `datasets` has a copy of the switch, made when it is imported; who uses it imports it before.
    switches: list[Any] = [constants, *filter(None, [sys.modules.get("datasets.config")])]
    before = [switch.HF_HUB_OFFLINE for switch in switches]
    for switch in switches if when else ():
        switch.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.HF_HUB_OFFLINE = value
