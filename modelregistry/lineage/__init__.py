"""What a model was made from: the graph, what draws it, and what builds it from repositories."""
