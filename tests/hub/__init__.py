"""Pushing to a hub and pulling from one, against a stand-in of its HTTP interface."""
