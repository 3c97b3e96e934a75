"""From a prepared folder to padded batches, in a resumable order that the seed determines."""
