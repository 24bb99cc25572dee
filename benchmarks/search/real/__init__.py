"""A real collection for the benchmark of search: sentences and questions, encoded by models that are trained here."""
