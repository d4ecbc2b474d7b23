"""What runs in EdgeBERT's own environment: which peers there are, their environments and files, rounds and results."""
