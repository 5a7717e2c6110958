"""The text's data and training for its two translators, on npattn's phrases and optimizers.

The text downloads pairs of sentences; here short ones come from `npattn.datasets.phrases`, in the
order of their lengths, as its file has them; the file's content may be given as `text`. Training
is in float32, as the text's is. Padding counts neither in the loss nor, as lengths say so, for the
encoders. A loss is a mean over words.
Source: d2l 3.2, 10.5, 10.7; in the Chinese edition 9.5, 9.7.
"""

import re
from collections import Counter
from time import perf_counter

import numpy as np

from npattn import bleu as _bleu
from npattn.d2l._figures import plot
from npattn.d2l._layers import Composite
from npattn.d2l._tensors import Tensor, takes_tensors
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.training import adam, clip_by_global_norm, init_adam, one_blas_thread
from npattn.trees import tree_map

# ---- sentences as ids ----


class Vocab:
    """Words and their ids: <unk> 0, <pad> 1, <bos> 2, <eos> 3, then those seen often enough."""

    def __init__(self, tokens, min_freq=2):
        seen = Counter(word for line in tokens for word in line)
        special = ["<unk>", "<pad>", "<bos>", "<eos>"]
        often = (word for word, n in seen.items() if n >= min_freq and word not in special)
        self.idx_to_token = special + sorted(often)
        self.token_to_idx = {word: i for i, word in enumerate(self.idx_to_token)}

    def __len__(self):
        return len(self.idx_to_token)

    def __getitem__(self, tokens):
        """The id of a word, 0 for an unknown one; of a list of words, a list."""
        if isinstance(tokens, (list, tuple)):
            return [self[token] for token in tokens]
        return self.token_to_idx.get(tokens, 0)

    def to_tokens(self, indices):
        """The word of an id; of several ids, a list."""
        if np.ndim(indices):
            return [self.idx_to_token[int(i)] for i in indices]
        return self.idx_to_token[int(indices)]


class Batches:
    """Arrays (N, …) in batches, at each turn in another order, or always in one."""

    def __init__(self, arrays, batch_size, shuffle):
        self.arrays, self.batch_size = arrays, batch_size
        self._rng = np.random.default_rng(0) if shuffle else None

    def __len__(self):
        return -(-len(self.arrays[0]) // self.batch_size)

    def __iter__(self):
        order = np.arange(len(self.arrays[0]))
        if self._rng:
            self._rng.shuffle(order)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield tuple(X[rows].view(Tensor) for X in self.arrays)


class MTFraEng:
    """English and French sentences, `num_train` to learn from and `num_val` held out.

    text  lines "English<tab>French", such as the text's fra.txt; None: the phrases of npattn
    """

    def __init__(self, batch_size, num_steps=9, num_train=512, num_val=128, *, text=None):
        self.batch_size, self.num_steps = batch_size, num_steps
        self.num_train, self.num_val = num_train, num_val
        tokens, vocabularies = _tokens_and_vocabularies(text, num_train + num_val)
        (self.src_vocab, self.tgt_vocab), (source, target) = vocabularies, tokens
        self.arrays = self._arrays(source, target)

    def build(self, src_sentences, tgt_sentences):
        """Sentences as the arrays of a batch."""
        lines = zip(src_sentences, tgt_sentences, strict=True)
        return tuple(
            X.view(Tensor) for X in self._arrays(*_tokens("\n".join(map("\t".join, lines))))
        )

    def train_dataloader(self):
        """Batches (source, target so far, source lengths, target) to learn from."""
        return Batches([X[: self.num_train] for X in self.arrays], self.batch_size, True)

    def val_dataloader(self):
        """Batches of the sentences held out."""
        return Batches([X[self.num_train :] for X in self.arrays], self.batch_size, False)

    def _arrays(self, source, target):
        X, lens = _ids(source, self.src_vocab, self.num_steps)
        Y, _ = _ids(target, self.tgt_vocab, self.num_steps)
        return X, _shifted(Y, self.tgt_vocab), lens, Y


def load_data_nmt(batch_size, num_steps, num_examples=600, *, text=None):
    """Batches (source, its lengths, target, its lengths), and the vocabularies of both."""
    tokens, vocabularies = _tokens_and_vocabularies(text, num_examples)
    X, Y = (_ids(*pair, num_steps) for pair in zip(tokens, vocabularies, strict=True))
    return Batches([*X, *Y], batch_size, True), *vocabularies


def _tokens_and_vocabularies(text, count):
    """Of the file's text words seen twice, as there; of the phrases, which do not repeat, all."""
    tokens = _tokens(_phrases() if text is None else text, count)
    return tokens, tuple(Vocab(side, min_freq=1 if text is None else 2) for side in tokens)


def _phrases():
    from npattn.datasets.phrases import training_pairs, write_english, write_french

    lines = [(write_english(p.english), write_french(p.french)) for p in training_pairs()]
    return "\n".join(map("\t".join, sorted(lines, key=lambda pair: len(pair[0]))))


def _tokens(text, count=None):
    """Words, and marks apart, of each line's two sentences, <eos> behind them."""
    lines = [line.split("\t")[:2] for line in text.lower().splitlines()[:count]]
    return [
        [[*re.sub(r"([,.!?])", r" \1", sentence).split(), "<eos>"] for sentence in side]
        for side in zip(*lines, strict=True)
    ]


def _ids(tokens, vocab, num_steps):
    """Ids (N, num_steps), cut or padded, and how many of each row are words."""
    rows = [vocab[line[:num_steps]] for line in tokens]
    padded = [row + [vocab["<pad>"]] * (num_steps - len(row)) for row in rows]
    return np.array(padded), np.array([len(row) for row in rows])


def _shifted(Y, vocab):
    """What the decoder has read before each word of Y (N, num_steps)."""
    return np.insert(Y[:, :-1], 0, vocab["<bos>"], axis=1)


# ---- models, and their training ----


class EncoderDecoder(Composite):
    """Call it with (source ids, target ids, source lengths); it returns logits and a state."""

    def __init__(self, encoder, decoder):
        super().__init__((encoder, decoder))
        self.encoder, self.decoder = encoder, decoder

    def _forward(self, enc_X, dec_X, enc_valid_lens=None):
        enc_outputs = self.encoder(enc_X, enc_valid_lens)
        return self.decoder(dec_X, self.decoder.init_state(enc_outputs, enc_valid_lens)), None

    def _backward(self, dlogits, cache):
        self.encoder.backward(self.decoder.backward(dlogits))

    def _output(self, Y):
        return Y[0]


class Seq2Seq(EncoderDecoder):
    """An encoder and a decoder for `Trainer`; tgt_pad is the id that counts in no loss."""

    def __init__(self, encoder, decoder, tgt_pad, lr):
        super().__init__(encoder, decoder)
        self.tgt_pad, self.lr = tgt_pad, lr

    def predict_step(self, batch, device, num_steps, save_attention_weights=False):
        """Greedy answers (B, num_steps), and the decoder's weights at each step, if asked."""
        src, tgt, src_valid_len, _ = batch
        self.eval()
        state = self.decoder.init_state(self.encoder(src, src_valid_len), src_valid_len)
        answer, weights = [tgt[:, :1]], []
        for _ in range(num_steps):
            logits, state = self.decoder(answer[-1], state)
            answer.append(logits.argmax(2))
            weights += [self.decoder.attention_weights] * save_attention_weights
        return np.concatenate(answer[1:], 1), weights


class Trainer:
    """Adam with the rate of the model, gradients clipped to a global norm if asked; then curves.

    `history` holds the losses of each epoch, "train_loss" and "val_loss".
    """

    def __init__(self, max_epochs, num_gpus=0, gradient_clip_val=0):
        self.max_epochs, self.gradient_clip_val = max_epochs, gradient_clip_val

    def fit(self, model, data):
        """Train a `Seq2Seq` on an `MTFraEng`."""
        if not isinstance(model, Seq2Seq):
            raise TypeError(
                f"Trainer trains a Seq2Seq, got {type(model).__name__}; for another model write "
                "a loop of loss, model.backward(dY) and npattn.training.fit or adam"
            )
        step = Adam(model, model.lr, self.gradient_clip_val, model.tgt_pad)
        self.history = {"train_loss": [], "val_loss": []}
        for _ in range(self.max_epochs):
            losses = [step(*batch) for batch in data.train_dataloader()]
            self.history["train_loss"].append(np.mean(losses))
            losses = [step.loss(*batch)[0] for batch in data.val_dataloader()]
            self.history["val_loss"].append(np.mean(losses))
        epochs = np.arange(1, self.max_epochs + 1)
        plot(epochs, list(self.history.values()), "epoch", legend=list(self.history))


class Adam:
    """Steps of Adam for an `EncoderDecoder`, whose parameters become float32."""

    def __init__(self, net, lr, clip, pad):
        self.net, self.lr, self.clip, self.pad, self.state = net, lr, clip, pad, None

    def __call__(self, X, read, lens, Y):
        """One step in training mode; returns the loss."""
        self.net.train()
        if self.state is None:
            self.loss(X, read, lens, Y)  # sizes are inferred from a first call
            self.net.params = tree_map(np.float32, self.net.params)
            self.state = init_adam(self.net.params)
        self.net.train().zero_grad()
        with one_blas_thread():
            loss, cache = self._loss(X, read, lens, Y)
            self.net.backward(cross_entropy_backward(1.0, cache))
        grads = self.net.grads
        if self.clip:
            grads, _ = clip_by_global_norm(grads, self.clip)
        self.net.params, self.state = adam(self.net.params, grads, self.state, lr=self.lr)
        return float(loss)

    def loss(self, X, read, lens, Y):
        """The loss in evaluation mode, and its cache."""
        self.net.eval()
        return self._loss(X, read, lens, Y)

    def _loss(self, X, read, lens, Y):
        logits, _ = self.net(*map(np.asarray, (X, read, lens)))
        return cross_entropy(logits, np.asarray(Y), ignore=self.pad)


def train_seq2seq(net, data_iter, lr, num_epochs, tgt_vocab, device):
    """Adam on an `EncoderDecoder`, gradients clipped to norm 1; prints the end, draws the curve."""
    step, losses, words, start = Adam(net, lr, 1.0, tgt_vocab["<pad>"]), [], 0, perf_counter()
    for _ in range(num_epochs):
        found = []
        for X, X_valid_len, Y, Y_valid_len in data_iter:
            found.append(step(X, _shifted(Y, tgt_vocab), X_valid_len, Y))
            words += int(Y_valid_len.sum())
        losses.append(np.mean(found))
    print(f"loss {losses[-1]:.3f}, {words / (perf_counter() - start):.1f} words a second")
    plot(np.arange(1, num_epochs + 1), losses, "epoch", "loss")


def predict_seq2seq(
    net, src_sentence, src_vocab, tgt_vocab, num_steps, device, save_attention_weights=False
):
    """A greedy translation as text, and the decoder's weights at each step, if asked.

    A sentence longer than num_steps is cut, and its length with it; the text keeps the length,
    which then points beyond the keys.
    """
    net.eval()
    (tokens,), _ = _tokens(f"{src_sentence}\t")
    X, lens = _ids([tokens], src_vocab, num_steps)
    state = net.decoder.init_state(net.encoder(X, lens), lens)
    token, answer, weights = np.array([[tgt_vocab["<bos>"]]]), [], []
    for _ in range(num_steps):
        logits, state = net.decoder(token, state)
        token = logits.argmax(2)
        weights += [net.decoder.attention_weights] * save_attention_weights
        if token.item() == tgt_vocab["<eos>"]:
            break
        answer.append(token.item())
    return " ".join(tgt_vocab.to_tokens(answer)), weights


@takes_tensors
def bleu(pred_seq, label_seq, k):
    """`npattn.bleu.bleu` of two sentences, whose words are split at spaces; an empty one has 0."""
    return _bleu.bleu(pred_seq.split(), label_seq.split(), k)
