from pathlib import Path as _Path

_root = _Path(__file__).resolve().parent.parent
if (_root / "setup.py").exists() and (_root / "tasks").exists():  # a checkout: tasks/ and pretrained/ lie beside the package
    __path__.append(str(_root))
