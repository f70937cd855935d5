"""What a trained net makes of rows: figures, reports, predictions."""
