"""What a build host imports: from a checkpoint to a bundle. ``edgebert.convert.pipeline.convert`` does it all."""
