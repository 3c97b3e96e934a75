"""From raw parallel text to a folder that `nmt train` reads."""
