"""The fast engine of attention without the matrix. The page `attention_by_blocks` shows the idea.

    tiled      the pair `tiled_attention`, and the driver of both directions
    passes     what is done on a patch of the score matrix, forward and backward
    tiles      how large tiles are, who works on which, and their dropout
    reach      who may attend to whom, tile by tile
    exp_range  how exp is kept fast and in range
    scratch    memory for products, used again and again
    threads    jobs side by side, while BLAS keeps to one thread
"""
