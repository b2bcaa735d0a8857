"""The physical model: cars, cables, contactors, the house. No clock, no I/O, no chance."""
