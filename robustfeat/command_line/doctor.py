"""This module examines the installation: versions, devices, folders, and a self-test of the whole pipeline on random images."""

from __future__ import annotations

import os
import time

import torch
from huggingface_hub import constants

from robustfeat.attacks import PGD, Threat
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.shipped import models
from robustfeat.numerics.random import generator
from robustfeat.runtime.environment import environment


def doctor() -> dict[str, str]:
    """Return facts by name; "self-test" is "passed" or the error."""
    facts = {name: str(value) for name, value in environment().items()}
    facts["cuda devices"] = str(torch.cuda.device_count())
    facts["published models"] = ", ".join(models()) or "none"
    facts["hub cache"] = constants.HF_HUB_CACHE
    facts["datasets cache"] = _datasets()
    facts["table cache"] = constants.HF_ASSETS_CACHE
    facts["ROBUSTFEAT_DATA"] = os.environ.get("ROBUSTFEAT_DATA", "not set")
    facts["faiss"] = _faiss()
    begin = time.monotonic()
    try:
        _self_test()
        facts["self-test"] = f"passed in {time.monotonic() - begin:.1f} s"
    except Exception as error:
        facts["self-test"] = f"FAILED: {type(error).__name__}: {error}"
    return facts


def _datasets() -> str:
    try:
        from datasets import config
    except ImportError:
        return "not installed: pip install datasets, for data sets of the Hub"
    return str(config.HF_DATASETS_CACHE)


def _faiss() -> str:
    try:
        import faiss
    except ImportError:
        return "not installed: pip install 'robustfeat[cpu]' or 'robustfeat[gpu]'"
    return f"{faiss.__version__}, {faiss.get_compile_options().strip()}"


def _self_test() -> None:
    """Measure a probe on two classes of noise with an untrained network: accuracy under PGD must not exceed clean accuracy."""
    random = generator(0)
    labels = torch.arange(200) % 2
    images = torch.rand(200, 3, 8, 8, generator=random) * 0.5 + 0.4 * labels.view(-1, 1, 1, 1)
    data = MemoryImages("noise", (images.clamp(0, 1) * 255).to(torch.uint8), labels, ("dark", "bright"))
    network = new_network(Architecture("cnn_tiny", classes=2, image_size=8))
    extractor = FeatureExtractor(network, Card("noise", network.architecture, network.feature_dim))
    attack = PGD(Threat("linf"), steps=5)
    report = evaluate(extractor, ["probe"], data.take(range(100)), data.take(range(100, 200)), [attack], progress=False)
    clean, robust = report.value("probe", "accuracy"), report.value("probe", "accuracy", "pgd")
    if not robust <= clean or clean < 0.9:
        raise RuntimeError(f"clean accuracy {clean}, robust accuracy {robust}")
