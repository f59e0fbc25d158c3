"""An MLflow registry, brought here."""
