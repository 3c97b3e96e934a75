"""From a model to text: search, scoring, and the translator."""
