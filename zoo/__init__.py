"""Declarative models: one JSON file says what a model is; zoo checks, builds, trains and exports it."""

__version__ = "0.1.0"
