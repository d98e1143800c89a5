"""The vocabulary of images and features, and the arithmetic that every layer shares."""
