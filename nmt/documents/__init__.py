"""The formats in which localisers keep text: what of them is translated, and what must survive."""
