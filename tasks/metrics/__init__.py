"""Metrics of tasks for anomaly scores, ranked lists and anomaly maps."""
