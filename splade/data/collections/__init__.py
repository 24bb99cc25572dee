"""Texts with ids: files of lines, ir_datasets, and what opens both."""
