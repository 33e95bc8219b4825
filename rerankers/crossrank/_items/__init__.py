"""What is compared: items, and collections of their features."""
