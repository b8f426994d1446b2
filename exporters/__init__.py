"""Exporters: a trained module becomes files for other runtimes, proven equal before they are published."""
