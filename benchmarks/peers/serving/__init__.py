"""What runs in a peer's environment: how it is made of the checkpoint, and how it answers.

Each module has two functions. ``prepare(source, variant, out)`` makes the files, once, and may import everything.
``serve(files, variant, threads)`` returns what answers. It is timed from the start of the process, so that these
modules import nothing at the top that a user of the peer would not import: no ``dataclasses``, no ``pathlib``.
"""
