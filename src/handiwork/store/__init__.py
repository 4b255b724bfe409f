"""Records and blobs: what is kept, and where. What it means, and who may see it, is decided above."""
