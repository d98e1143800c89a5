"""The types of images and features, and the arithmetic that all layers share."""
