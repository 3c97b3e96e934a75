"""From a prepared folder to batches: order, padding and position, all a function of the seed."""
