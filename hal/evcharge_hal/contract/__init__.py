"""What both processes agree on: units, messages, faults and ports. Standard library only."""
