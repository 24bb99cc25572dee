"""Transformers as they are: loading and saving them, attention, packed texts, dropout, adapters, devices."""
