"""The public HTTP surface: inference, models, health, metrics and the documentation."""
