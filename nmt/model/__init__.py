"""The network, independent of Lightning: tensors in, tensors out.

Dimension letters, one legend for the whole project: B batch, S source length, T target length,
E embedding, H hidden, G gates (a cell's projected size), M encoder output, Q query, C context,
A attention hidden, F features, V vocabulary, K beam, R rows (B * K), D directions, L any length,
N slots of a memory, W their width, P heads.
Masks are True at real tokens; tensors are batch first, but within the fused paths.
"""
