"""A .gguf file that a test writes: what every one holds stands here."""

from contextlib import contextmanager

import gguf


@contextmanager
def written(path, architecture, tokens, merges, *, blocks, context, width, hidden, heads,
            model="gpt2", pre="gpt-2"):
    """The writer of a file with these sizes and this vocabulary; behind the block it is complete.

    merges  None leaves them out
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(blocks)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    if merges is not None:
        writer.add_token_merges(merges)
    yield writer
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
