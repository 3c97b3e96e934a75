"""Evaluation: metrics, reports, pictures and diagnostics."""
