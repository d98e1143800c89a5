"""A grid of three methods and two seeds that takes seconds."""

GRID = {
    "methods": {"natural": "natural", "at": "at", "gacd": "gacd"},
    "teacher": {"objective": "at", "recipe": {"student": "cnn_small"}},
    "seeds": [0, 1],
    "recipe": {
        **{"stem": "timm", "eps": 0.1, "steps": 1, "batch_size": 64, "max_steps": 4, "crop": 0, "flip": False},
        **{"channels_last": False, "eval_images": 20, "eval_steps": 1},
    },
    "attack": "fgsm",
    "limit": 20,
}
