"""The names of Dive into Deep Learning over NumPy arrays, one module for each edition.

    from npattn.d2l import en as d2l     the English text, chapter 11
    from npattn.d2l import zh as d2l     the Chinese text, chapter 10

A cell of the text runs once its imports are changed and torch's arrays are NumPy's. The sections
on scoring functions, multi-head attention, positional encoding and the Transformer are covered.
Each object is one of npattn.nn: it has `backward`, `params`, `grads`, `eval`, `state_dict`. It
starts in training mode, as in the text, and takes two more arguments by name: rng, a seed or
Generator, and, where it has parameters, dtype, float64 unless given.

Where this differs from the text, on purpose:

    a query without a valid key    weights and output 0, not an average over the padding
    masking                        nothing that is passed in is written to
    valid_lens beyond the keys     an error, as all shapes and dtypes that do not fit
    decoding step by step          each token gets its own position, not position 0
    decoding in training mode      and in evaluation mode: both causal
    the decoder's state            a new one is returned; the old one stays as it was
    odd widths                     allowed in the positional encoding
    first parameters               uniform after Glorot, embeddings with variance 1/num_hiddens
"""
