"""The fast engine of attention without the matrix. The page `attention_by_blocks` shows the idea.

    tiled           the pair `tiled_attention`
    driver          what a call keeps, and how its patches are dealt out
    passes          what is done on a patch of the score matrix, forward and backward
    score_steps     a cap, a bias and a sink, between the product and the softmax
    score_arguments what the arguments for these say
    sharing         heads of keys that several heads of queries share
    restrictions    what lengths, causality and windows say
    reach           who may attend to whom, tile by tile
    exp_range       how exp is kept fast and in range
    tiles           how large tiles are, who works on which, and their dropout
    scratch         memory for tiles, used again and again
    threads         jobs side by side
    blas_limit      BLAS held to one thread meanwhile
"""
