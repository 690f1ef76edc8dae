"""What a shared pool costs: a grant and its settlement, and the goodput of a crowd of processes at the limit."""
