"""Metrics of tasks: of scores that rank anomalies, of ranked lists, of anomaly maps."""
