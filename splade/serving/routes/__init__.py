"""The addresses of a server, a file for each family of forms."""
