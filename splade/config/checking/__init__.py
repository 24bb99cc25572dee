"""Values joined with the wiring, and every mistake told with its address."""
