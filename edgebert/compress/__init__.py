"""Making a smaller DistilBERT: distillation and vocabulary trimming."""
