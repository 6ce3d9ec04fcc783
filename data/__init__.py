"""Audio, text and tables: everything that needs no network."""
