"""Code to copy: losses for four frameworks, in a file each that imports its library alone, and the calls to recommend."""
