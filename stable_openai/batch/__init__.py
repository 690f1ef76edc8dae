"""The files of ``stable-openai batch``: requests are read and checked, priced, and their answers written."""
