"""Folders of models: written, read, described, averaged, and in the form of Sentence Transformers."""
