"""How good translations are, and what they look like."""
