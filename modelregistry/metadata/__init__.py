"""What is said of a version: checked by schemas, and the blocks that this library understands."""
