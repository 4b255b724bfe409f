"""What bytes are: the formats that are known, and how content is told apart. Nothing here opens a file."""
