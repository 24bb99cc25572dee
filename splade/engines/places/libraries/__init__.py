"""Libraries that build an index from files in one go: Lucene, PISA, Seismic and BMP."""
