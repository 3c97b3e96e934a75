"""One program for each toolkit that translates a file and says how long that took.

They run in the toolkits' own environments, which have nothing of this project but this folder.
"""
