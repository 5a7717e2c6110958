"""The names of Dive into Deep Learning over NumPy arrays, one module for each edition.

    from npattn.d2l import en as d2l     the English text, chapter 11
    from npattn.d2l import zh as d2l     the Chinese text, chapter 10

A cell of the text runs once its imports are changed and torch's arrays are NumPy's.

    English  Chinese
    11.1     10.1     heatmaps
    11.2     10.2     pooling by similarity: kernels, and a kernel whose width is learned
    11.3     10.3     masked softmax, additive and scaled dot-product attention
    11.4     10.4     Bahdanau's encoder and decoder
    11.5     10.5     multi-head attention
    11.6     10.6     positional encoding
    11.7     10.7     the Transformer: blocks, encoder, decoder
    11.8     –        the vision Transformer

Each module lists its names. Not here is what the text brings from earlier chapters to get data and
to train.

Each object is one of npattn.nn: it has `backward`, `params`, `grads`, `eval`, `state_dict`. It
starts in training mode, as in the text, and takes two more arguments by name: rng, a seed or
Generator, and, where it has parameters, dtype, float64 unless given.

Where this differs from the text, on purpose:

    a query without a valid key    weights and output 0, not an average over the padding
    a query without neighbours     likewise, not 0/0
    masking                        nothing that is passed in is written to
    valid_lens beyond the keys     an error, as all shapes and dtypes that do not fit
    padding behind a source        not read by Bahdanau's encoder, if it is given valid_lens
    decoding step by step          each token gets its own position, not position 0
    decoding in training mode      and in evaluation mode: both causal
    the decoder's state            a new one is returned; the old one stays as it was
    odd widths                     allowed in the positional encoding
    edges of an image              an error where patches do not tile it, not left out
    the boxcar kernel              1 up to a distance of 1, that included, as the text defines it
    first parameters               uniform after Glorot; the Transformer's embeddings with variance
                                   1/num_hiddens, token and positions of ViT with 0.02²
"""
