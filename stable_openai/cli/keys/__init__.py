"""The keys that the command line keeps for its user."""
