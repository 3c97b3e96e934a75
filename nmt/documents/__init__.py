"""Localisation formats: which of their text is translated, and what must be preserved."""
