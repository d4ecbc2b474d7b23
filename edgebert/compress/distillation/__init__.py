"""Knowledge distillation: a smaller DistilBERT that answers as its teacher does.

The method is that of DistilBERT itself: V. Sanh, L. Debut, J. Chaumond, T. Wolf, "DistilBERT, a distilled version of
BERT", 2019, arXiv 1910.01108. ``pipeline.distill`` does all of it.
"""
