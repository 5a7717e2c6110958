"""The text's names for the vision Transformer, on the shapes of its own examples."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_nn import assert_gradients_of, assert_same, torch_linear, torch_norm, torch_tree

from npattn.d2l import en as d2l
from npattn.kernels.activations import gelu
from npattn.kernels.dropout import dropout
from npattn.kernels.linear import linear
from npattn.kernels.masks import valid_lens_mask
from npattn.models.encoder import encoder_block, encoder_block_backward
from npattn.models.patches import patch_embedding
from npattn.models.vision import (
    VisionConfig,
    vision_transformer,
    vision_transformer_backward,
)
from npattn.trees import tree_leaves

IMAGES = (2, 3, 4, 6)  # B, channels, height, width


@pytest.fixture
def vit(shake, draw):
    """In evaluation mode, with every size known and no bias at 0: six patches and a token."""
    model = d2l.ViT((4, 6), 2, 8, 12, 2, 2, 0.2, 0.3, use_bias=True, num_classes=5, rng=0).eval()
    model(draw(*IMAGES))
    model.params = shake(model.params)
    return model


def test_patch_embedding_of_the_text():
    img_size, patch_size, num_hiddens, batch_size = 96, 16, 512, 4
    patch_emb = d2l.PatchEmbedding(img_size, patch_size, num_hiddens)
    X = np.zeros((batch_size, 3, img_size, img_size))
    d2l.check_shape(patch_emb(X), (batch_size, (img_size // patch_size) ** 2, num_hiddens))
    assert patch_emb.num_patches == 36 and d2l.PatchEmbedding().num_patches == 36
    assert patch_emb.params.W.shape == (16 * 16 * 3, 512)


def test_patch_embedding_is_the_pair(draw):
    X = draw(*IMAGES)
    patch_emb = d2l.PatchEmbedding((4, 6), (2, 2), 5, rng=0)
    assert patch_emb.params is None and patch_emb.num_patches == 6
    assert_array_equal(patch_emb(X), patch_embedding(X, patch_emb.params, patch=2)[0])
    assert_gradients_of(patch_emb, X)


def test_images_that_do_not_fit():
    for sizes in ((98, 16), ((96, 90), 16), (96, (16, 8))):
        with pytest.raises(ValueError, match="squares that tile the image, got patch_size=.*96|98"):
            d2l.PatchEmbedding(*sizes)
    patch_emb = d2l.PatchEmbedding(8, 4, 5)
    for shape in ((2, 3, 4, 8), (3, 8, 8)):  # the first would give fewer patches than promised
        with pytest.raises(ValueError, match=r"\(B, channels, 8, 8\), got"):
            patch_emb(np.zeros(shape))


def test_mlp(draw):
    X = draw(2, 3, 4)
    mlp = d2l.ViTMLP(6, 5, rng=0)
    assert mlp.eval()(X).shape == (2, 3, 5)
    mlp.params = mlp.params._replace(hidden=mlp.params.hidden._replace(b=draw(6)))
    A = gelu(linear(X, mlp.params.hidden)[0])[0]
    assert_array_equal(mlp(X), linear(A, mlp.params.output)[0])
    twin = copy.deepcopy(mlp.dropout1.rng)  # one generator draws for both
    A, _ = dropout(A, 0.5, twin)
    want, _ = dropout(linear(A, mlp.params.output)[0], 0.5, twin)
    assert_array_equal(mlp.train()(X), want)
    assert_gradients_of(mlp, X)


def test_block_of_the_text():
    X = np.ones((2, 100, 24))
    encoder_blk = d2l.ViTBlock(24, 24, 48, 8, 0.5)
    encoder_blk.eval()
    d2l.check_shape(encoder_blk(X), X.shape)
    assert encoder_blk.attention_weights.shape == (16, 100, 100)
    assert encoder_blk.attention.attention.attention_weights is encoder_blk.attention_weights


def test_block_is_the_pair(draw, shake):
    X, lens = draw(2, 5, 8), np.array([4, 0])
    block = d2l.ViTBlock(8, 8, 6, 2, 0.3, rng=0).eval()
    block(X)
    block.params = shake(block.params)
    Y = block(X, lens)
    want, cache = encoder_block(
        X, block.params, valid_lens_mask(lens, 5), num_heads=2, norm="pre", activation="gelu"
    )
    assert_array_equal(Y, want)
    dX, dparams = encoder_block_backward(X, cache)
    assert_allclose(block.backward(X), dX, rtol=1e-13, atol=1e-14)
    for got, leaf in zip(tree_leaves(block.grads), tree_leaves(dparams), strict=True):
        assert_allclose(got, leaf, rtol=1e-13, atol=1e-14)
    assert_gradients_of(block.train(), X, valid_lens=lens, max_entries=3)


def test_the_whole_is_the_vision_transformer(vit, draw):
    X = draw(*IMAGES)
    config = VisionConfig((3, 4, 6), 2, classes=5, width=8, num_heads=2, hidden=12, num_blocks=2)
    logits = vit(X)
    want, cache = vision_transformer(X, vit.params, config=config)
    assert_allclose(logits, want, rtol=1e-13)
    weights = [block.attention.attention.P.reshape(4, 7, 7) for block in cache.encoder.blocks]
    assert_allclose(vit.attention_weights, weights, rtol=1e-12)
    dlogits = draw(*logits.shape)
    dX, dparams = vision_transformer_backward(dlogits, cache)
    assert_allclose(vit.backward(dlogits), dX, rtol=1e-12, atol=1e-13)
    for got, leaf in zip(tree_leaves(vit.grads), tree_leaves(dparams), strict=True):
        assert_allclose(got, leaf, rtol=1e-12, atol=1e-13)


@pytest.mark.thorough
def test_gradients_of_the_whole_in_training_mode(vit, draw):
    X = draw(*IMAGES)
    want = vit(X)
    assert not np.array_equal(vit.train()(X), want)
    assert_gradients_of(vit, X, max_entries=1)


def test_agreement_with_torch(vit, draw):
    torch = pytest.importorskip("torch")
    X = draw(*IMAGES)
    pixels, p = torch.tensor(X, requires_grad=True), torch_tree(torch, vit.params)

    def heads(Z, params):
        own = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
        three = (params.query, params.key, params.value)
        leaves = {
            "in_proj_weight": torch.cat([q.W.T for q in three]),
            "in_proj_bias": torch.cat([q.b for q in three]),
            "out_proj.weight": params.output.W.T, "out_proj.bias": params.output.b,
        }
        return torch.func.functional_call(own, leaves, (Z, Z, Z))[0]

    kernel = p.patches.W.reshape(2, 2, 3, 8).permute(3, 2, 0, 1)
    Z = torch.nn.functional.conv2d(pixels, kernel, p.patches.b, stride=2)
    Z = Z.flatten(2).transpose(1, 2)
    Z = torch.cat((p.class_token.expand(2, 1, 8), Z), 1) + p.positions
    for block in p.encoder.blocks:
        Z = Z + heads(torch_norm(torch, Z, block.attention_norm), block.attention)
        mlp, A = block.feed_forward, torch_norm(torch, Z, block.feed_forward_norm)
        A = torch.nn.functional.gelu(torch_linear(A, mlp.hidden))
        Z = Z + torch_linear(A, mlp.output)
    want = torch_linear(torch_norm(torch, Z[:, 0], p.encoder.norm), p.output)

    logits = vit(X)
    assert_allclose(logits, want.detach().numpy(), rtol=1e-12, atol=1e-12)
    want.backward(torch.tensor(np.cos(logits)))
    assert_allclose(vit.backward(np.cos(logits)), pixels.grad.numpy(), rtol=1e-11, atol=1e-12)
    for got, leaf in zip(tree_leaves(vit.grads), tree_leaves(p), strict=True):
        assert_allclose(got, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_sizes_seeds_and_precision(draw):
    sizes = dict(
        img_size=4, patch_size=2, num_hiddens=4, mlp_num_hiddens=6, num_heads=2, num_blks=1,
        emb_dropout=0.1, blk_dropout=0.1,
    )
    X = draw(2, 1, 4, 4).astype(np.float32)
    model, twin = (d2l.ViT(**sizes, rng=0, dtype=np.float32) for _ in range(2))
    assert model.lr == 0.1
    logits = model(X)
    assert logits.shape == (2, 10) and logits.dtype == np.float32
    assert model.backward(logits).dtype == np.float32
    assert all(p.b is None for p in model.params.encoder.blocks[0].attention)
    assert_array_equal(twin(X), logits)
    assert_same(twin.params, model.params)
    assert len(model.blks) == 1 and len(model.head) == 2
