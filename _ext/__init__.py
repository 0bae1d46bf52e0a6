"""What builds the book: build.py runs the chapters and Sphinx, and Sphinx loads the other modules as its extensions."""
