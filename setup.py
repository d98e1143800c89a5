"""Packaging: `tasks/` and `pretrained/` lie beside the package and are installed inside it."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
CORE = find_packages(include=["robustfeat", "robustfeat.*"])
TASKS = [f"robustfeat.{name}" for name in find_packages(include=["tasks", "tasks.*"])]

setup(
    name="robustfeat",
    version=runpy.run_path(str(ROOT / "robustfeat" / "runtime" / "version.py"))["__version__"],
    description="Image features that stay meaningful under attack: distil, load, use and measure them",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    url="https://github.com/robustfeat/robustfeat",
    project_urls={
        "Documentation": "https://github.com/robustfeat/robustfeat/blob/main/docs/README.md",
        "Changelog": "https://github.com/robustfeat/robustfeat/blob/main/CHANGELOG.md",
        "Issues": "https://github.com/robustfeat/robustfeat/issues",
    },
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[*CORE, "robustfeat.bench.presets", *TASKS, "robustfeat.pretrained"],
    package_dir={"robustfeat.tasks": "tasks", "robustfeat.pretrained": "pretrained"},
    package_data={
        "robustfeat": ["py.typed"],
        "robustfeat.bench.presets": ["*.yaml"],
        "robustfeat.pretrained": ["README.md", "*/card.json", "*/config.json", "*/README.md", "*/model*.safetensors*"],
    },
    install_requires=[
        "torch>=2.6",
        "torchvision",
        "timm>=1.0.29",
        "accelerate>=1.2",
        "datasets>=3.2",
        "scikit-learn>=1.8",
        "scipy>=1.13",
        "numpy>=2.0",
        "pyarrow>=16",
        "safetensors>=0.4.5",
        "huggingface_hub>=1.2",
        "jaxtyping>=0.2.36",
        "jsonargparse[signatures]>=4.48",
        "pillow>=10.1",
        "pyyaml>=6",
        "tqdm>=4.66.3",
        "matplotlib>=3.8.4",
    ],
    extras_require={
        # All FAISS wheels write the same `faiss/` folder, so exactly one of these is chosen by the user.
        "cpu": ["faiss-cpu>=1.14.3"],
        "gpu": ["faiss-gpu>=1.14.3"],
        "heic": ["pillow-heif>=0.16"],  # photographs as many telephones write them
        "autoattack": ["pyautoattack==0.2.0"],
        "dev": [
            "pyautoattack==0.2.0",
            "pytorch-metric-learning>=2.8",
            "pytorch-ood>=0.4",
            "beartype>=0.19",
            "hypothesis>=6.100",
            "pytest>=8",
            "pytest-timeout>=2.3.1",
            "pytest-xdist>=3.6",
            "psutil",
            "tensorboard",
            "ruff==0.17.6",
            "mypy==2.4.1",
        ],
    },
    entry_points={"console_scripts": ["robustfeat=robustfeat.command_line.cli:main"]},
    keywords=[
        "adversarial robustness",
        "knowledge distillation",
        "image features",
        "image retrieval",
        "anomaly detection",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
