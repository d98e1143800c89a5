"""The published weights: one folder per model with card.json, README.md and model.safetensors."""
