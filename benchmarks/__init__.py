"""Measurements that compare: with other toolkits, with the machine, with growing sizes."""
