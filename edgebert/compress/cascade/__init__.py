"""Making a cascade of two bundles: its rule is fitted on one half of an evaluation set and measured on the other."""
