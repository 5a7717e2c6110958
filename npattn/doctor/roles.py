"""What the parameters of a signature, and the weights of an object, stand for: read off their names.

    role("key_padding_mask")      "mask"
    weight_role("attn.q_proj.weight", 2)     "Wq"
"""

import re

_TABLE = (
    ("tile", r"[qkv]_?(block|tile|chunk)(_?size)?|(block|tile|chunk)(_?(size|len|k|q|m|n|kv|rows|cols))?|b[crkq]|bs|kblock|qblock|"
             r"block_?size_[qk]"),
    ("cap", r"(attn_?)?(logits?_?)?(soft_?)?cap(ping)?(_value)?|max_logit|tanh_clip(ping)?"),
    ("slopes", r"(alibi_?)?slopes?"),
    ("sink", r"(attn_?)?sinks?(_logits?)?"),
    # inputs
    ("mask", r"(.*_)?(mask|masks|attn_mask|keep|allowed|allow|visible|valid|drop_keys|pad|padding|"
             r"attend|blocked|forbidden|is_pad|m|M)"),
    ("lens", r"(.*_)?(valid_lens|valid_len|lens|lengths|length|seq_lens|seq_len|n_valid|len|"
             r"key_lens|kv_lens|sizes)"),
    ("causal", r"(is_|use_)?causal|autoregressive|is_decoder|look_?ahead"),
    ("bias_add", r"(attn_|score_|position_)?bias(es)?|additive|alibi|penalty"),
    ("train", r"(is_)?train(ing)?|training_mode|is_training"),
    ("eval", r"deterministic|eval|evaluate|inference"),
    ("dropout", r"(attn_|attention_|resid_)?(dropout|drop|drop_?prob|dropout_(p|rate|prob)|p_drop(out)?|"
                r"pdrop|drop_?rate|rate|p|prob)(_p)?"),
    ("rng", r"rng|generator|gen|key_rng|random_state|prng"),
    ("seed", r"seed"),
    ("kv_heads", r"(n_|num_|nr_)?(kv|key|k)_?heads|(n_|num_)?(kv_)?groups|n_?kv|kv_h|hk|h_kv|"
                 r"num_key_value_heads|num_query_groups|g"),
    ("heads", r"(n|num|nb|number_of|attention)?_?(attention_|q_)?heads?|n_?h|h|nhead|hq|"
              r"num_attention_heads"),
    ("head_dim", r"head_(dim|size)|d_?(head|k|key|q)|dim_(head|k|per_head|key)|dh|dk|dv|d_v|dim_v|"
                 r"size_per_head|query_size_per_head|key_dim|head_width"),
    ("hidden", r"d_?ff|d_?(hidden|inner|mlp|ffn)|hidden|hidden_(dim|features)|ffn?_(dim|hidden|size|"
               r"num_hiddens)|ffn_num_hiddens|dim_feedforward|mlp_(dim|hidden|size)|f|ff|ffn|"
               r"intermediate_size|n_inner|inner(_dim)?|expand|wide"),
    ("width", r"(d|n|dim|num|hidden|embed|model|emb|feature|input|in|out|output)?_?(model|embd|embed|emb|"
              r"dim|size|width|hiddens|features|channels|d|model_dim|d_model|input_dim)|d|dim|width|"
              r"c|hidden_size|embed_dim|num_hiddens|d_in|d_out|query_size|key_size|value_size|"
              r"input_dim_a|input_dim_b|q_dim|k_dim|v_dim|kdim|vdim|context_dim|embed_size|features|"
              r"model_size|hidden_dim"),
    ("max_len", r"(max_?)(seq_?)?(len|length|positions|t|time|tokens|position_embeddings)|block_?size|"
                r"context_?(len|length|size|window)|n_?ctx|ctx(_len)?|n_positions|seq_?len|max_seq_len|"
                r"max_seq"),
    ("layers", r"(n_|num_)?(layers|blocks|depth)|depth|n_layer"),
    ("returns", r"(return|need|output|with|get|want)_.*"),
    ("scale", r"scale|softmax_scale|sm_scale|scaling|temperature|inv_sqrt_d|scale_factor"),
    ("cache", r"(kv_?|layer_)?(cache|past|state|memory_cache|prev)(_kv|_key_values?|_key_value)?|"
              r"past_key_values?|kv|use_past"),
    ("use_cache", r"use_cache"),
    ("offset", r"(start_?|past_)?(offset|pos|position|start|pos_offset|position_offset|start_pos|"
               r"cache_position|past_len|t0)"),
    ("positions", r"positions|position_ids|pos_ids|input_pos"),
    ("eps", r"(layer_norm_|norm_|ln_)?(eps|epsilon)"),
    ("base", r"(rope_)?(base|theta)|rope_theta"),
    ("window", r"(sliding_|local_|attn_|left_)?window(_size|_len)?|(local_)?(span|radius|look_?back|"
               r"band(width)?)|win(_size)?"),
    ("upstream", r"d(o|y|out|output|h|z|context|ctx)|grad|grad_out(put)?s?|dout|upstream|g_out|"
                 r"grad_o|grad_y|d_out|g"),
    ("config", r"config|cfg|conf|args|hparams|opts"),
    ("ctx", r"ctx"),
    ("params", r"params?|weights|parameters|w|theta|wts"),
    ("batch_first", r"batch_first"),
    ("flag_bias", r"(use_|qkv_|with_|attn_)?bias"),
    ("q", r"x?_?q(s|_in|_input)?|query|queries|xq|input_q|query_states|target|tgt|dec|decoder_\w+|"
          r"dec_\w+|input_a|a|x_q|q_\d|inputs_q|from_tensor|query_layer"),
    ("k", r"x?_?k(s|_in|_input)?|(k|keys?)_?(t|transposed)|key|keys|xk|input_k|x_k|inputs_k|key_states|key_layer"),
    ("v", r"x?_?v(s|_in|_input)?|value|values|val|vals|xv|input_v|x_v|inputs_v|value_states|"
          r"value_layer"),
    ("memory", r"memory|context\w*|cond\w*|ctx_in|enc\w*|encoder_\w+|source|input_b|x_?kv|"
               r"inputs_kv|y|b|mem|other|to_tensor|z|x_kv|kv_in|key_value_states"),
    ("x", r"x\d?|xs|inputs?|hidden_states?|hidden|src|h|tokens?|embeddings?|seq(uence)?|emb|data|"
          r"features|input_tensor|x_in|residual|states|h_in"),
)
ROLES = {role: re.compile(pattern) for role, pattern in _TABLE}
CALL = ("tile", "cap", "slopes", "sink", "mask", "lens", "causal", "bias_add", "train",
        "eval", "dropout", "rng", "seed", "kv_heads", "heads", "returns", "scale", "cache",
        "use_cache", "offset", "positions", "eps", "base", "window", "max_len", "params", "config",
        "q", "k", "v", "memory", "x")
MAKE = ("cap", "kv_heads", "heads", "head_dim", "hidden", "max_len", "width", "causal", "dropout",
        "rng", "seed", "flag_bias", "layers", "scale", "eps", "base", "window", "tile", "config",
        "batch_first", "train", "returns", "params")
PARTS = {  # what a part of a name says, where the whole of it is in no table
    MAKE: (("dropout", r"drop"), ("kv_heads", r"kv_?(head|group)|(head|group)s?_?kv"),
           ("head_dim", r"head_?(dim|size|width)|per_?head"), ("heads", r"heads?(_|$)|attn_?num"),
           ("hidden", r"(^|_)(ff|ffn|mlp|inner|intermediate|expan)"),
           ("max_len", r"(max|block|ctx|context|seq)_?(len|size|pos|tokens)"), ("layers", r"layers?$"),
           ("flag_bias", r"(^|_)bias"),
           ("width", r"dim|width|size|embd?|hidden|hid(_|$)|channels|features|model")),
    CALL: (("mask", r"ma?sk(?!.*(val|fill|type|mode|kind))|(^|_)pad"), ("lens", r"(^|_)len(gth)?s?(_|$)"), ("causal", r"causal"),
           ("dropout", r"drop"), ("cache", r"cache|(^|_)past"), ("q", r"quer"), ("k", r"(^|_)keys?(_|$)"),
           ("v", r"value|(^|_)vals?(_|$)"), ("memory", r"memory|context|encod"),
           ("x", r"(^|_)(inputs?|hidden|tokens|embed\w*)(_|$)")),
}
DROP_NAMES = re.compile(r"drop|pad|block(ed)?$|forbid|is_pad|masked_out|ignore")
KEEP_NAMES = re.compile(r"keep|allow|visible|valid|attend|not_pad")


def role(name, among):
    """The role of a parameter, or None."""
    name = name.strip("_")
    lower = name.lower()
    if among is CALL:
        if lower in ("h", "b", "d", "c", "a", "y", "z", "m", "p"):
            return {"h": "heads", "b": None, "d": None, "c": None, "a": "q", "y": "memory",
                    "z": "memory", "m": "mask", "p": "dropout"}[lower]
        if weight := weight_role(name, 0):
            return "weight:" + weight
    for key in among:
        if ROLES[key].fullmatch(lower):
            return key
    if among is MAKE and (weight := weight_role(name, 0)):
        return "weight:" + weight
    return None


def likely_role(name, among):
    """The role of a parameter that has none by its whole name, by a part of it; or None."""
    lower = name.strip("_").lower()
    return next((key for key, part in PARTS[among] if re.search(part, lower)), None)


_SPLIT = re.compile(r"[._\s\[\]]+")
_LETTER = {"q": "q", "query": "q", "queries": "q", "k": "k", "key": "k", "keys": "k", "v": "v",
           "value": "v", "values": "v", "val": "v", "o": "o", "out": "o", "output": "o",
           "qkv": "qkv", "kv": "kv", "cattn": "qkv", "kqv": "qkv"}
_NOISE = re.compile(r"^(w|b|to|weight|weights|bias|biases|proj|projection|linear|lin|fc|layer|mat|"
                    r"matrix|dense|attn|attention|self|net|kernel|in|param|params|p|heads?|c|mha|"
                    r"mhsa|sa|att|multihead|model|theta|all|msa|block|enc|encoder|\d+)$")


def weight_role(path, ndim):
    """"Wq", "bq", "Wqkv", "g1", "h1", "W1", "b1", … for the name of a weight; None if unknown.

    ndim  of the weight; 0 if unknown: the name alone must then say that it is a weight
    """
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", path).lower()
    last = name.split(".")[-1]
    if found := _OWN_NORM.search(name):
        letter = next(x for x in found.groups() if x)
        letter = "c" if letter in ("kv", "context", "ctx", "memory", "cond") else letter[0]
        return ("h" if re.search(r"bias|beta|shift", last) else "g") + letter
    for pattern in _NORMS:
        if re.search(pattern, name):
            number = "2" if re.search(r"2|ffn|ff_|mlp|post|after", name) else "1"
            shift = re.search(r"bias|beta|shift|(^|\.)b[et]_?\d$|^h\d|\.h\d|\bb\d?$|_b\d?$|(^|\.)(ln|norm)_?\d?_?b", name)
            return ("h" if shift else "g") + number
    for pattern, found in _FEED:
        if re.search(pattern, name):
            flat = re.search(r"bias", last) or re.match(r"b_?\d?($|_)", last) or ndim == 1
            return ("b" if flat else "W") + found
    tokens = [t for t in _SPLIT.split(name.replace("c_attn", "cattn").replace("in_proj", "qkv"))
              if t]
    letter = ""
    for token in reversed(tokens):
        short = re.sub(r"^(w|b|to|u|p)(?=(q|k|v|o|qkv|kv|out)$)", "", token)
        short = re.sub(r"^(q|k|v|o)(w|b|proj|mat|weight|bias)$", r"\1", short)
        if short in _LETTER:
            letter = _LETTER[short]
            break
        if not _NOISE.match(token):
            return None
    if not letter and "proj" in tokens and ndim:
        letter = "o"
    if not letter:
        return None
    bias = "bias" in tokens or ndim == 1 or any(re.fullmatch(r"b(q|k|v|o|qkv|kv|out)?", t)
                                                for t in tokens) or last.endswith("_b")
    weighty = ndim or bias or any(re.fullmatch(r"w(q|k|v|o|qkv|kv|out)?|weights?|proj|kernel|"
                                               r"(q|k|v|o)(w|proj)", t) for t in tokens)
    if not weighty:
        return None
    return ("b" if bias else "W") + letter


_SIDE = r"(q|k|query|key|kv|context|ctx|memory|cond)"
_OWN_NORM = re.compile(rf"(?:^|[._]){_SIDE}_?(?:norm|ln|layer_?norm|rms_?norm|scale|gain)(?:$|[._])|"
                       rf"(?:^|[._])(?:norm|ln|layer_?norm|rms_?norm|gain)_?{_SIDE}(?:$|[._])")
_NORMS = [r"(^|[._])(ln|norm|layer_?norm|layernorm|gamma|beta|gain|shift|rms)\w*",
          r"(^|\.)(g|h|be|bt|ga|gm)_?\d$|(^|\.)a_?2$", r"(^|[._])(attn|ffn?|mlp)_norm"]
_FEED = [(r"(^|[._])(w_?|b_?|ff_?|mlp_?|ffn_?)?gate(_proj)?\b", "3"),
         (r"(^|[._])(w|b|fc|lin|linear|ff|dense)_?3($|[._])", "3"),
         (r"(mlp|ffn?|feed_?forward|ff)\.(w3|linear3|v)\b", "3"),
         (r"(mlp|ffn?|feed_?forward|ff)\.(0|fc1|w1|c_fc|up\w*|linear1|lin1|in)\b", "1"),
         (r"(mlp|ffn?|feed_?forward|ff)\.(2|3|fc2|w2|c_proj|down\w*|linear2|lin2|out|1)\b", "2"),
         (r"(^|[._])(w|b|fc|lin|linear|ff|dense|w_?ff|b_?ff)_?1($|[._])", "1"),
         (r"(^|[._])(w|b|fc|lin|linear|ff|dense|w_?ff|b_?ff)_?2($|[._])", "2"),
         (r"(^|[._])(w|b)_(up|in|ff_in)\b|c_fc|(^|[._])up(_proj)?\b", "1"),
         (r"(^|[._])(w|b)_(down|ff_out)\b|(^|[._])down(_proj)?\b", "2")]
