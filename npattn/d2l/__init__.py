"""The names of Dive into Deep Learning over NumPy arrays, one module for each edition.

    from npattn.d2l import en as d2l     the English text, chapter 11
    from npattn.d2l import zh as d2l     the Chinese text, chapter 10

The text's cells run as they stand, with their import lines changed:

    from npattn.d2l import en as d2l, torch, nn
    from npattn.d2l.en import *         the classes by their bare names, as the cells use them

`torch` and `nn` are stand-ins: they hold the names that the chapters use, and any other name
raises an error that says what to write. Their tensors are NumPy arrays with torch's methods and no
autograd. A cell that defines one of the classes keeps the one that is here, with a warning.
`Trainer` and `train_seq2seq` train the text's translators with our Adam, on sentences of npattn,
and draw their curves; the vision Transformer's images are not here. `python tests/d2l_cells.py`
runs a copy of the text cell by cell.

    English  Chinese
    11.1     10.1     heatmaps
    11.2     10.2     pooling by similarity: kernels, and a kernel whose width is learned
    11.3     10.3     masked softmax, additive and scaled dot-product attention
    11.4     10.4     Bahdanau's encoder and decoder
    11.5     10.5     multi-head attention
    11.6     10.6     positional encoding
    11.7     10.7     the Transformer: blocks, encoder, decoder
    11.8     –        the vision Transformer

Each module lists its names. What is spelled in another way in NumPy and npattn:

    torch                          without the stand-in
    torch.ones((2, 3)), tensor(x)  np.ones((2, 3)), np.array(x); zeros, eye, arange likewise
    torch.rand(2, 3), randn(2, 3)  rng.random((2, 3)), rng.standard_normal((2, 3))
    torch.bmm(A, B)                A @ B
    torch.cat((A, B), dim=1)       np.concatenate((A, B), axis=1)
    x.unsqueeze(1)                 x[:, None]
    x.transpose(1, 2)              x.swapaxes(1, 2)
    x.permute(0, 2, 1, 3)          x.transpose(0, 2, 1, 3)
    x.repeat(2, 1, 1)              np.tile(x, (2, 1, 1))
    x.repeat_interleave(2)         np.repeat(x, 2)
    x.size(1), x.dim()             x.shape[1], x.ndim
    softmax(x, dim=-1)             npattn.softmax(x)
    loss.backward()                layer.backward(dY); layer.grads
    optimizer.step()               params, state = adam(layer.params, layer.grads, state, lr=η)

    parameter of the text          here
    W_q, W_k, W_v, W_o             params.query, .key, .value, .output: each W (in, out) and b
    W_q, W_k, w_v (additive)       params.Wq, .Wk, .w
    dense1, dense2 (FFN)           params.hidden, .output
    ln (AddNorm)                   params.gain, .bias
    num_blks, num_layers           len(encoder.blks)
    weight (out, in)               W (in, out), its transpose

Each object is one of npattn.nn: it has `backward`, `params`, `grads`, `eval`, `state_dict`. It
starts in training mode, as in the text, and takes two more arguments by name: rng, a seed or
Generator, and, where it has parameters, dtype, float64 unless given. A float32 input beside float64
parameters is raised to float64.

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
