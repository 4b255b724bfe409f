"""The door for products: HTTP, live events and the pages, which translate and never decide."""
