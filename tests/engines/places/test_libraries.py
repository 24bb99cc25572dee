"""Lucene, PISA, Seismic and BMP keep the contract of an engine, exactly where weights are whole numbers."""

import pytest
